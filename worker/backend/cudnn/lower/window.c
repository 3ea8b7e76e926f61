// SPDX-License-Identifier: MIT
//
// Pooling and resizing of NHWC images. A resize is two tables of taps, one an
// axis, which are the reference implementation's; so every mode is the same kernel.
#include <string.h>

#include "worker/backend/cudnn/program.h"
#include "worker/onnx/ops/resample.h"

// ---- pooling -------------------------------------------------------------------------

// Reads one axis of a pool; false if a number is out of range.
struct pool_axis {
    int size, stride, dilation, before, after;
};

static bool pool_axis(const struct node *node, int i, int axes, int64_t in, int64_t out, struct pool_axis *a)
{
    const char *mode = node_attr_string(node, "auto_pad", "NOTSET");
    const int64_t k = gpu_attr_at(node, "kernel_shape", i, 0), s = gpu_attr_at(node, "strides", i, 1);
    const int64_t d = gpu_attr_at(node, "dilations", i, 1);
    int64_t before = gpu_attr_at(node, "pads", i, 0), after = gpu_attr_at(node, "pads", axes + i, 0);
    if (!strcmp(mode, "VALID")) before = after = 0;
    if (!strncmp(mode, "SAME", 4)) {
        // windows that are smaller than their stride are centred, so this is negative
        const int64_t total = (out - 1) * s + (k - 1) * d + 1 - in;
        before = !strcmp(mode, "SAME_LOWER") ? (total + 1) / 2 : total / 2;
        after = total - before;
    } else if (before < 0 || after < 0) {
        return false;
    }
    if (k < 1 || k > 65536 || s < 1 || s > 65536 || d < 1 || d > 65536 || before < -65536 || before > 65536 ||
        after < -65536 || after > 65536)
        return false;
    *a = (struct pool_axis){(int)k, (int)s, (int)d, (int)before, (int)after};
    return true;
}

enum pool_way { POOL_MAX, POOL_AVERAGE, POOL_LP };

static const char *pool_label(enum pool_way way)
{
    return way == POOL_AVERAGE ? "average pool" : way == POOL_LP ? "lp pool" : "max pool";
}

// A pool over one to three axes, in rows, or with channels innermost if the volume lies so. With fewer than
// three axes, the first extents are 1.
static enum reel_err pool_volume(struct lowered *p, const struct node *node, enum pool_way way, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    struct step s = gpu_step_of(STEP_POOL3, pool_label(way));
    struct gpu_pool3 *g = &s.u.pool3;
    enum form_kind kind;
    const int axes = in->shape.ndim - 2;
    const int64_t power = way == POOL_LP ? node_attr_int(node, "p", 2) : 0;
    if (in->dtype != REEL_F32 || in->count > INT32_MAX || out->count > INT32_MAX || node->in[0]->constant)
        return REEL_OK;
    if (node->n_epilogue || (node->n_out > 1 && node->out[1] && info_of(p, node->out[1])->uses)) return REEL_OK;
    if (axes < 1 || axes > 3 || power < 0 || power > 64 || (way == POOL_LP && !power)) return REEL_OK;
    g->planes = (int)(in->shape.dim[0] * in->shape.dim[1]);
    g->average = way == POOL_AVERAGE;
    g->power = (int)power;
    g->count_pad = g->average && node_attr_int(node, "count_include_pad", 0) != 0;
    for (int d = 0; d < 3 - axes; d++) g->in[d] = g->out[d] = g->size[d] = g->stride[d] = g->dilation[d] = 1;
    for (int i = 0; i < axes; i++) {
        struct pool_axis a;
        const int d = 3 - axes + i;
        if (!pool_axis(node, i, axes, in->shape.dim[2 + i], out->shape.dim[2 + i], &a)) return REEL_OK;
        g->in[d] = (int32_t)in->shape.dim[2 + i], g->out[d] = (int32_t)out->shape.dim[2 + i];
        g->size[d] = a.size, g->stride[d] = a.stride, g->dilation[d] = a.dilation;
        g->before[d] = a.before, g->after[d] = a.after;
    }
    const bool image = in->volume && out->volume && gpu_best_form(p, in) == FORM_IMAGE;
    if (image) g->planes = in->n, g->channels = in->c, g->x_pitch = in->pitch, g->y_pitch = out->pitch;
    kind = FORM_IMAGE;
    enum reel_err err = image ? gpu_need_form(p, node->in[0], kind, &s.x) : gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    g->elem = gpu_form_elem(p, in, kind);
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

enum reel_err gpu_lower_pool(struct lowered *p, const struct node *node, bool *out_done)
{
    const bool average = node_is(node, "AveragePool"), lp = node_is(node, "LpPool");
    if ((!average && !lp && !node_is(node, "MaxPool")) || !node->in[0] || !node->out[0]) return REEL_OK;
    if (lp) return gpu_only_on_host(p, node->in[0]) ? REEL_OK : pool_volume(p, node, POOL_LP, out_done);
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    if (in->shape.ndim == 5 && out->shape.ndim == 5)
        return pool_volume(p, node, average ? POOL_AVERAGE : POOL_MAX, out_done);
    if (!in->image || !out->image || in->c != out->c || in->n != out->n || node->n_epilogue) return REEL_OK;
    const bool places = node->n_out > 1 && node->out[1] && info_of(p, node->out[1])->uses;
    if (places && node_attr_int(node, "storage_order", 0)) return REEL_OK;
    struct gpu_pool g = {.elem = p->low,
                         .n = in->n,
                         .c = in->c,
                         .h = in->h,
                         .w = in->w,
                         .p = out->h,
                         .q = out->w,
                         .r = 1,
                         .s = 1,
                         .stride_h = 1,
                         .stride_w = 1,
                         .dilation_h = 1,
                         .dilation_w = 1,
                         .average = average,
                         .count_pad = average && node_attr_int(node, "count_include_pad", 0) != 0,
                         .x_pitch = in->pitch,
                         .y_pitch = out->pitch};
    const int axes = in->shape.ndim - 2;
    for (int i = 0; i < axes; i++) {
        const bool rows = axes == 2 && i == 0;
        struct pool_axis a;
        if (!pool_axis(node, i, axes, rows ? in->h : in->w, rows ? out->h : out->w, &a)) return REEL_OK;
        *(rows ? &g.r : &g.s) = a.size;
        *(rows ? &g.stride_h : &g.stride_w) = a.stride;
        *(rows ? &g.dilation_h : &g.dilation_w) = a.dilation;
        *(rows ? &g.pad_top : &g.pad_left) = a.before;
        *(rows ? &g.pad_bottom : &g.pad_right) = a.after;
    }
    struct ref x, y;
    enum reel_err err = gpu_need_form(p, node->in[0], FORM_IMAGE, &x);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_IMAGE, &y);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_POOL, node, pool_label(average ? POOL_AVERAGE : POOL_MAX));
    if (!s) return err ? err : gpu_no_memory(node);
    s->u.pool = g;
    s->x = x;
    s->y = y;
    gpu_touch_last(p);
    *out_done = true;
    if (!places) return REEL_OK;
    struct step t = gpu_step_of(STEP_POOL_PLACES, "places");
    t.x = x;
    t.u.pool = g;
    err = gpu_make_form(p, node->out[1], FORM_PLAIN, &t.y);
    return err ? err : gpu_put_step(p, &t, node);
}

// ---- resize --------------------------------------------------------------------------

// Rows and columns: an axis that is not resized has one tap an element.
struct tables {
    int taps[2], out[2];
    int32_t *index; // of rows, followed by those of columns
    float *weight;
    size_t n;
};

static bool fill_tables(struct lowered *p, const struct resize_axis *const axis[2], int rows, int columns,
                        struct tables *t)
{
    *t = (struct tables){.out = {rows, columns}};
    for (int i = 0; i < 2; i++) {
        t->taps[i] = axis[i]->taps ? (int)axis[i]->taps : 1;
        t->n += (size_t)t->out[i] * (size_t)t->taps[i];
    }
    t->index = gpu_lower_alloc(p, t->n * sizeof *t->index);
    t->weight = gpu_lower_alloc(p, t->n * sizeof *t->weight);
    if (!t->index || !t->weight) return false;
    size_t at = 0;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < t->out[i] * t->taps[i]; k++, at++) {
            t->index[at] = axis[i]->taps ? axis[i]->index[k] : k;
            t->weight[at] = axis[i]->taps ? axis[i]->weight[k] : 1;
        }
    return true;
}

// Enlarges every input pixel to a square of factor x factor equal pixels.
static bool repeats(const struct tables *t, bool nearest, const struct info *in, const struct info *out, int factor)
{
    if (!nearest || factor < 2 || out->h != in->h * factor || out->w != in->w * factor) return false;
    for (int i = 0; i < out->h; i++)
        if (t->index[i] != i / factor) return false;
    for (int i = 0; i < out->w; i++)
        if (t->index[out->h + i] != i / factor) return false;
    return true;
}

// Resizes n pictures x of h x w pixels into y.
struct resized {
    int n, h, w;
    struct ref x, y;
};

static enum reel_err emit_resize(struct lowered *p, const struct node *node, const char *label, const struct tables *t,
                                 const struct resized *r)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    struct step s = gpu_step_of(STEP_RESIZE, label);
    enum reel_err err = gpu_make_constant(p, t->index, t->n * sizeof *t->index, &s.w);
    if (!err) err = gpu_make_constant(p, t->weight, t->n * sizeof *t->weight, &s.extra[0]);
    s.x = r->x, s.y = r->y;
    s.u.resize = (struct gpu_resize){.elem = p->low,
                                     .n = r->n,
                                     .c = in->c,
                                     .h = r->h,
                                     .w = r->w,
                                     .p = t->out[0],
                                     .q = t->out[1],
                                     .taps_h = t->taps[0],
                                     .taps_w = t->taps[1],
                                     .x_pitch = in->pitch,
                                     .y_pitch = out->pitch};
    return err ? err : gpu_put_step(p, &s, node);
}

static const char *resize_label(const struct node *node)
{
    const char *mode = node_attr_string(node, "mode", "nearest");
    return !strcmp(mode, "nearest") ? "nearest" : strcmp(mode, "cubic") ? "linear" : "cubic";
}

// Resizes pictures along their rows and columns only.
static enum reel_err lower_axes(struct lowered *p, const struct node *node, const struct resize_axis *axes,
                                bool *out_done)
{
    static const struct resize_axis stays = {0};
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const int nd = in->shape.ndim;
    const struct resize_axis *const axis[2] = {nd == 4 ? &axes[2] : &stays, &axes[nd - 1]};
    if (axes[0].taps || axes[1].taps || axis[0]->outside || axis[1]->outside) return REEL_OK;
    if ((axis[0]->taps ? axis[0]->out : in->h) != out->h || (axis[1]->taps ? axis[1]->out : in->w) != out->w)
        return REEL_OK;
    struct tables t;
    if (!fill_tables(p, axis, out->h, out->w, &t)) return gpu_no_memory(node);
    const bool nearest = !strcmp(node_attr_string(node, "mode", "nearest"), "nearest");
    const int factor = out->h / in->h;
    *out_done = true;
    if (nd == 4 && repeats(&t, nearest, in, out, factor) && gpu_deferrable(p, node, factor)) {
        gpu_defer(p, node, factor, DEFER_NEAREST);
        return REEL_OK;
    }
    struct resized r = {in->n, in->h, in->w, REF_NONE, REF_NONE};
    enum reel_err err = gpu_need_form(p, node->in[0], FORM_IMAGE, &r.x);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_IMAGE, &r.y);
    return err ? err : emit_resize(p, node, resize_label(node), &t, &r);
}

// Resizes volumes: first every plane as a picture, then the planes, each as one row.
static enum reel_err lower_planes(struct lowered *p, const struct node *node, const struct resize_axis *axes,
                                  bool *out_done)
{
    static const struct resize_axis stays = {0};
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const int64_t *x = in->shape.dim, *y = out->shape.dim;
    const struct resize_axis *const plane[2] = {&axes[3], &axes[4]}, *const depth[2] = {&axes[2], &stays};
    for (int d = 0; d < 5; d++)
        if (axes[d].outside || (d < 2 && axes[d].taps) || (axes[d].taps ? axes[d].out : x[d]) != y[d]) return REEL_OK;
    const bool within = axes[3].taps || axes[4].taps || !axes[2].taps, across = axes[2].taps;
    const size_t between = (size_t)(x[0] * x[2] * y[3] * y[4]) * (size_t)in->pitch * gpu_elem_bytes(p->low);
    struct tables t[2];
    if (x[2] * y[3] * y[4] * in->pitch > INT32_MAX / x[0]) return REEL_OK;
    if (!fill_tables(p, plane, (int)y[3], (int)y[4], &t[0]) ||
        !fill_tables(p, depth, (int)y[2], (int)(y[3] * y[4]), &t[1]))
        return gpu_no_memory(node);
    struct resized r = {(int)(x[0] * x[2]), (int)x[3], (int)x[4], REF_NONE, REF_NONE};
    struct ref to, made = REF_NONE;
    *out_done = true;
    enum reel_err err = gpu_need_form(p, node->in[0], FORM_IMAGE, &r.x);
    if (!err && within && across) err = gpu_make_temporary(p, between, &made);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_IMAGE, &to);
    r.y = across ? made : to;
    if (!err && within) err = emit_resize(p, node, resize_label(node), &t[0], &r);
    r = (struct resized){in->n, (int)x[2], (int)(y[3] * y[4]), within ? made : r.x, to};
    return err || !across ? err : emit_resize(p, node, resize_label(node), &t[1], &r);
}

enum reel_err gpu_lower_resize(struct lowered *p, const struct node *node, bool *out_done)
{
    if ((!node_is(node, "Resize") && !node_is(node, "Upsample")) || !node->in[0] || !node->out[0]) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    const bool volumes = in->volume && out->volume;
    if (!volumes && (!in->image || !out->image)) return REEL_OK;
    if (in->n != out->n || in->c != out->c || node->n_epilogue) return REEL_OK;
    if (volumes && in->pitch != out->pitch) return REEL_OK;
    struct resize_axis axes[REEL_MAX_DIMS] = {{0}};
    enum reel_err err = resize_axes_open(node, in->dtype, &in->shape, axes);
    if (!err) err = volumes ? lower_planes(p, node, axes, out_done) : lower_axes(p, node, axes, out_done);
    resize_axes_close(axes);
    return err == REEL_AGAIN ? REEL_OK : err;
}
