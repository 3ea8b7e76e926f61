// SPDX-License-Identifier: MIT
//
// Concatenating and cutting the channels of blocked images, floats or bytes:
// Concat, Split, and Slice along the channels. A part is written at its place
// at once, or read where it lies, whenever it is whole vectors of one image;
// the steps here are what is left. Called by image.c.
#include "worker/backend/onednn/program.h"

struct part {
    struct blocked_shape src_shape, dst_shape;
    struct form src, dst;
    int src_c, dst_c, count;
};

struct parts {
    struct part *part;
    int n, images;
    bool bytes;
};

struct parts_job {
    struct program *p;
    const struct parts *parts;
};

static void part_units(void *job, int begin, int end, int thread)
{
    const struct parts_job *j = job;
    for (int u = begin; u < end; u++) {
        const struct part *q = &j->parts->part[u / j->parts->images];
        const int image = u % j->parts->images;
        const void *src = form_at(j->p, &q->src);
        void *dst = form_at(j->p, &q->dst);
        if (j->parts->bytes)
            blocked_copy_channels8(&q->src_shape, src, q->src_c, &q->dst_shape, dst, q->dst_c, q->count, image,
                                   image + 1);
        else
            blocked_copy_channels(&q->src_shape, src, q->src_c, &q->dst_shape, dst, q->dst_c, q->count, image,
                                  image + 1);
    }
}

static enum reel_err run_parts(struct program *p, struct step *s)
{
    struct parts_job job = {p, s->data};
    pool_run(p->pool, part_units, &job, job.parts->n * job.parts->images);
    return REEL_OK;
}

static enum reel_err emit_parts(struct program *p, const struct node *node, struct part *part, int n,
                                const char *kernel)
{
    struct step *s = add_step(p, node, kernel, run_parts, sizeof(struct parts));
    if (!s) return no_memory(node);
    *(struct parts *)s->data = (struct parts){part, n, part[0].src_shape.n, info_of(p, node->in[0])->bytes_image};
    for (int i = 0; i < n; i++) {
        touch(p, &part[i].src, p->n_steps - 1);
        touch(p, &part[i].dst, p->n_steps - 1);
    }
    return REEL_OK;
}

enum reel_err lower_concat(struct program *p, const struct node *node, bool *out_done)
{
    struct info *out = info_of(p, node->out[0]);
    int64_t axis = node_attr_int(node, "axis", 1);
    if (axis < 0) axis += out->shape.ndim;
    if (!out->image || axis != 1 || node->n_epilogue) return REEL_OK;
    bool any = false;
    for (int i = 0; i < node->n_in; i++) {
        const struct info *in = info_of(p, node->in[i]);
        if (!in->image || in->shape.ndim != out->shape.ndim) return REEL_OK;
        any |= in->form[LAYOUT_BLOCKED].buf >= 0;
    }
    if (!any) return REEL_OK;
    struct part *part = program_alloc(p, sizeof *part * (size_t)node->n_in);
    if (!part) return no_memory(node);
    int c = 0, n = 0;
    for (int i = 0; i < node->n_in; i++) {
        const struct info *in = info_of(p, node->in[i]);
        part[i] = (struct part){.src_shape = in->bs, .dst_shape = out->bs, .dst_c = c, .count = in->bs.c};
        enum reel_err err = need_form(p, node->in[i], LAYOUT_BLOCKED, &part[i].src);
        if (err) return err;
        c += in->bs.c;
    }
    struct form dst;
    enum reel_err err = make_form(p, node->out[0], LAYOUT_BLOCKED, &dst);
    for (int i = 0; i < node->n_in; i++) {
        // what was written to its place at once needs no copy
        const size_t place = dst.offset + (size_t)part[i].dst_c * (size_t)out->bs.h * (size_t)out->bs.w * sizeof(float);
        if (part[i].src.buf == dst.buf && !part[i].src.constant && part[i].src.offset == place) continue;
        part[n] = part[i];
        part[n++].dst = dst;
    }
    *out_done = true;
    if (!err && !n) out->step = -1; // made by several steps
    return err || !n ? err : emit_parts(p, node, part, n, "concat");
}

// Output `out` is channels [from, ...) of the blocked input: a view when whole
// blocks of one image are cut, a plain view when they are few, else a copy.
enum reel_err cut_channels(struct program *p, const struct node *node, const struct value *out_value, int from)
{
    struct info *in = info_of(p, node->in[0]), *out = info_of(p, out_value);
    struct form src;
    const bool few = in->bs.n == 1 && few_channels(out);
    const enum layout layout = few ? LAYOUT_PLAIN : LAYOUT_BLOCKED;
    enum reel_err err = need_form(p, node->in[0], layout, &src);
    if (err) return err;
    if (in->bs.n == 1 && (few || from % in->bs.lanes == 0) && src.buf >= 0) {
        src.offset += (size_t)from * (size_t)in->bs.h * (size_t)in->bs.w * reel_dtype_bytes(in->dtype);
        set_form(p, out_value, layout, src);
        out->made = in->made;
        return REEL_OK;
    }
    err = need_form(p, node->in[0], LAYOUT_BLOCKED, &src);
    struct part *part = err ? NULL : program_alloc(p, sizeof *part);
    if (!part) return err ? err : no_memory(node);
    *part = (struct part){.src_shape = in->bs, .dst_shape = out->bs, .src = src, .src_c = from, .count = out->bs.c};
    err = make_form(p, out_value, LAYOUT_BLOCKED, &part->dst);
    return err ? err : emit_parts(p, node, part, 1, "cut channels");
}

enum reel_err lower_split(struct program *p, const struct node *node, const struct info *in, bool *out_done)
{
    int64_t axis = node_attr_int(node, "axis", 0);
    if (axis < 0) axis += in->shape.ndim;
    if (axis != 1) return REEL_OK;
    int from = 0;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < node->n_out && !err; i++) {
        const struct info *out = node->out[i] ? info_of(p, node->out[i]) : NULL;
        if (!out || (!out->image && !out->bytes_image)) return REEL_OK;
        err = cut_channels(p, node, node->out[i], from);
        from += info_of(p, node->out[i])->bs.c;
    }
    *out_done = true;
    return err;
}
