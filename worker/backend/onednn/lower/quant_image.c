// SPDX-License-Identifier: MIT
//
// Pooling and concatenation of 8-bit tensors; see quant.c.
#include <limits.h>
#include <string.h>

#include "kernels/quant8.h"
#include "worker/backend/onednn/lower/quant.h"
#include "worker/onnx/op.h"

// ---- pooling ----------------------------------------------------------------------------

struct pool8 {
    struct blocked_shape in, out;
    struct q8_window w;
    struct form src, dst;
    struct q8_scale from, to; // of a mean
};

struct pool8_job {
    const struct pool8 *w;
    const uint8_t *src;
    uint8_t *dst;
};

static void max_units(void *job, int begin, int end, int thread)
{
    const struct pool8_job *j = job;
    q8_max_pool(&j->w->in, &j->w->out, &j->w->w, j->src, j->dst, begin, end);
}

static void mean_units(void *job, int begin, int end, int thread)
{
    const struct pool8_job *j = job;
    const double plane = (double)j->w->in.h * j->w->in.w;
    const int v = j->w->in.lanes;
    for (int u = begin; u < end; u++) {
        int32_t sums[16];
        float means[16];
        q8_sum(&j->w->in, j->w->from.zero, j->src + (size_t)u * (size_t)j->w->in.h * (size_t)j->w->in.w * (size_t)v,
               sums, 0, 1);
        for (int c = 0; c < v; c++) means[c] = (float)(sums[c] * (double)j->w->from.scale / plane);
        q8_quantize(j->dst + (size_t)u * (size_t)v, means, (size_t)v, j->w->to);
    }
}

static enum reel_err run_pool8(struct program *p, struct step *s, void (*units)(void *, int, int, int))
{
    const struct pool8 *w = s->data;
    struct pool8_job job = {w, form_at(p, &w->src), form_at(p, &w->dst)};
    pool_run(p->pool, units, &job, w->in.n * blocked_count(&w->in));
    return REEL_OK;
}

static enum reel_err run_max8(struct program *p, struct step *s)
{
    return run_pool8(p, s, max_units);
}

static enum reel_err run_mean8(struct program *p, struct step *s)
{
    return run_pool8(p, s, mean_units);
}

static enum reel_err emit_pool8(struct program *p, const struct node *node, const char *kernel, const struct pool8 *w,
                                enum reel_err (*run)(struct program *, struct step *))
{
    struct step *s = add_step(p, node, kernel, run, sizeof *w);
    if (!s) return no_memory(node);
    *(struct pool8 *)s->data = *w;
    touch(p, &w->src, p->n_steps - 1);
    touch(p, &w->dst, p->n_steps - 1);
    return REEL_OK;
}

// A large window over both axes costs less as two passes, one an axis.
#define SPLIT_WINDOW 9

// MaxPool of bytes, as pass_quant leaves it.
enum reel_err lower_max8(struct program *p, const struct node *node, bool *out_done)
{
    if (!is_onnx(node, "MaxPool") || node->n_epilogue) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    struct conv_geometry g;
    bool over;
    if (!in->bytes_image || !out->bytes_image || in->bs.c != out->bs.c || in->bs.n != out->bs.n) return REEL_OK;
    if (node->n_out > 1 && node->out[1] && info_of(p, node->out[1])->uses) return REEL_OK;
    if (!pool_window(node, in, out, &g, &over)) return REEL_OK;
    struct pool8 w = {.w = {g.kh, g.kw, g.sh, g.sw, g.dh, g.dw, g.pad_top, g.pad_left}, .in = in->bs, .out = out->bs};
    *out_done = true;
    enum reel_err err = need_form(p, in->v, LAYOUT_BLOCKED, &w.src);
    if (!err && g.kh > 1 && g.kw > 1 && g.kh * g.kw >= SPLIT_WINDOW) { // along the rows first
        struct pool8 rows = w;
        rows.w = (struct q8_window){1, g.kw, 1, g.sw, 1, g.dw, 0, g.pad_left};
        rows.out.h = in->bs.h;
        err = make_temporary(p, blocked_floats(&rows.out), &rows.dst);
        if (!err) err = emit_pool8(p, node, "max pool of bytes", &rows, run_max8);
        w.src = rows.dst;
        w.in = rows.out;
        w.w = (struct q8_window){g.kh, 1, g.sh, 1, g.dh, 1, g.pad_top, 0};
    }
    if (!err) err = make_form(p, node->out[0], LAYOUT_BLOCKED, &w.dst);
    return err ? err : emit_pool8(p, node, "max pool of bytes", &w, run_max8);
}

enum reel_err lower_mean8(struct program *p, const struct node *node, bool *out_done)
{
    const struct info *in;
    struct pool8 w = {0};
    if (!is_onnx(node, "GlobalAveragePool") || node->n_epilogue || !dequantized_from(p, node->in[0], &in, &w.from))
        return REEL_OK;
    const struct node *q = quantizer(p, node->out[0], &w.to);
    if (!q || !in->bytes_image || !form_exists(&in->form[LAYOUT_BLOCKED])) return REEL_OK;
    const struct info *out = info_of(p, q->out[0]);
    if (!out->bytes_image || out->bs.h * out->bs.w != 1) return REEL_OK;
    *out_done = true;
    w.in = in->bs, w.out = out->bs;
    enum reel_err err = need_form(p, in->v, LAYOUT_BLOCKED, &w.src);
    if (!err) err = make_form(p, out->v, LAYOUT_BLOCKED, &w.dst);
    return err ? err : emit_pool8(p, node, "mean of bytes", &w, run_mean8);
}

// ---- Concat ---------------------------------------------------------------------------------

// A part: `rows` runs of `bytes` bytes each, which follow `from_step` and
// `to_step` apart.
struct part8 {
    struct form src;
    size_t bytes, to; // of a run, and where it begins in a row of the result
    bool same;        // the scales are equal: the table changes nothing
    uint8_t table[256];
};

struct concat8 {
    struct form dst;
    size_t rows, row_bytes;
    int n;
    struct part8 *part;
};

struct concat8_job {
    struct program *p;
    const struct concat8 *w;
    uint8_t *dst;
};

static void concat8_units(void *job, int begin, int end, int thread)
{
    const struct concat8_job *j = job;
    for (int u = begin; u < end; u++) {
        const struct part8 *part = &j->w->part[u % j->w->n];
        const size_t row = (size_t)(u / j->w->n);
        const uint8_t *src = (const uint8_t *)form_at(j->p, &part->src) + row * part->bytes;
        uint8_t *dst = j->dst + row * j->w->row_bytes + part->to;
        if (part->same)
            memcpy(dst, src, part->bytes);
        else
            j->p->k8->lookup(dst, src, part->bytes, part->table);
    }
}

static enum reel_err run_concat8(struct program *p, struct step *s)
{
    const struct concat8 *w = s->data;
    struct concat8_job job = {p, w, form_at(p, &w->dst)};
    pool_run(p->pool, concat8_units, &job, w->n * (int)w->rows);
    return REEL_OK;
}

// Whether whole blocks of channels are put together.
static bool concat_blocked(struct program *p, const struct node *node, int axis, const struct info *out)
{
    if (!out->bytes_image || axis != 1) return false;
    bool any = false;
    for (int i = 0; i < node->n_in; i++) {
        const struct info *in = info_of(p, info_of(p, node->in[i])->dequantize->in[0]);
        if (!in->bytes_image || in->shape.ndim != out->shape.ndim) return false;
        if (i + 1 < node->n_in && in->bs.c % in->bs.lanes) return false;
        any |= form_exists(&in->form[LAYOUT_BLOCKED]);
    }
    return any;
}

static enum reel_err concat_parts(struct program *p, const struct node *node, int axis, const struct info *out,
                                  const struct q8_scale *to, enum layout layout, struct concat8 *w)
{
    w->rows = 1;
    for (int d = 0; d < axis; d++) w->rows *= (size_t)out->shape.dim[d];
    uint8_t all[256];
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)i;
    for (int i = 0; i < node->n_in; i++) {
        const struct info *in = NULL;
        struct q8_scale from, turned = *to;
        float x[256];
        if (!dequantized_from(p, node->in[i], &in, &from)) return no_memory(node); // asked before

        struct part8 *part = &w->part[i];
        part->bytes = count_in(in, layout) / w->rows;
        part->to = w->row_bytes;
        w->row_bytes += part->bytes;
        from.flip = memory_flip(in, layout), turned.flip = memory_flip(out, layout);
        q8_dequantize(x, all, 256, from);
        q8_quantize(part->table, x, 256, turned);
        part->same = !memcmp(part->table, all, 256);
        enum reel_err err = need_form(p, in->v, layout, &part->src);
        if (err) return err;
    }
    return REEL_OK;
}

enum reel_err lower_concat8(struct program *p, const struct node *node, bool *out_done)
{
    struct q8_scale to, from;
    const struct info *in;
    if (!is_onnx(node, "Concat") || node->n_epilogue || node->n_in < 1) return REEL_OK;
    for (int i = 0; i < node->n_in; i++)
        if (!dequantized_from(p, node->in[i], &in, &from)) return REEL_OK;
    const struct node *q = quantizer(p, node->out[0], &to);
    if (!q) return REEL_OK;
    const struct info *out = info_of(p, q->out[0]);
    int axis = 0;
    if (out->count < 1 || op_axis(node_attr_int(node, "axis", 1), out->shape.ndim, &axis)) return REEL_OK;
    const enum layout layout = concat_blocked(p, node, axis, out) ? LAYOUT_BLOCKED : LAYOUT_PLAIN;
    struct concat8 w = {.n = node->n_in, .part = program_alloc(p, sizeof *w.part * (size_t)node->n_in)};
    if (!w.part) return no_memory(node);
    enum reel_err err = concat_parts(p, node, axis, out, &to, layout, &w);
    if (!err && w.rows * (size_t)w.n > INT32_MAX / 2) return REEL_OK;
    if (!err) err = make_form(p, out->v, layout, &w.dst);
    struct step *s = err ? NULL : add_step(p, node, "concat of bytes", run_concat8, sizeof w);
    if (!s) return err ? err : no_memory(node);
    *(struct concat8 *)s->data = w;
    for (int i = 0; i < w.n; i++) touch(p, &w.part[i].src, p->n_steps - 1);
    touch(p, &w.dst, p->n_steps - 1);
    *out_done = true;
    return REEL_OK;
}
