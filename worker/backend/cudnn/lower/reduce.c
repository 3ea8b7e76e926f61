// SPDX-License-Identifier: MIT
//
// Reductions and what stands on them: Reduce*, GlobalAveragePool, ArgMax,
// softmax, instance, group and layer normalisation. Long sums over few results
// are taken in two stages, so that they fill the device; where they are cut
// depends on the extents alone.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/lower/reduce.h"

// ---- one reduction ---------------------------------------------------------------------

static const struct reduction {
    const char *name;
    enum gpu_reduction kind;
    bool mean, root;
} reductions[] = {
    {"ReduceSum", GPU_REDUCE_SUM, false, false},        {"ReduceMean", GPU_REDUCE_SUM, true, false},
    {"ReduceL1", GPU_REDUCE_SUM_ABS, false, false},     {"ReduceL2", GPU_REDUCE_SUM_SQUARES, false, true},
    {"ReduceMax", GPU_REDUCE_MAX, false, false},        {"ReduceMin", GPU_REDUCE_MIN, false, false},
    {"ReduceProd", GPU_REDUCE_PROD, false, false},      {"ReduceSumSquare", GPU_REDUCE_SUM_SQUARES, false, false},
    {"GlobalAveragePool", GPU_REDUCE_SUM, true, false}, {"GlobalMaxPool", GPU_REDUCE_MAX, false, false},
};

static enum reel_err add_reduce(struct lowered *p, const struct node *node, const char *label,
                                const struct gpu_reduce *r, struct ref x, struct ref mean, struct ref y)
{
    struct step *s = gpu_add_step(p, STEP_REDUCE, node, label);
    if (!s) return gpu_no_memory(node);
    s->u.reduce = *r;
    s->x = x;
    s->y = y;
    s->extra[0] = mean;
    gpu_touch_last(p);
    return REEL_OK;
}

#define LONG_SUM 4096 // number of elements of one result from which two stages are faster
#define MOST_PARTS 1024
#define FEW_RESULTS 16384 // if an image has so many results, they fill a device without being cut

// It must never depend on the number of images, because a frame's sums must not depend on its batch.
static int64_t parts_of(const struct gpu_reduce *r)
{
    const bool contiguous = r->outer == 1 || r->src_outer == r->reduce * r->src_reduce;
    if (r->reduce < LONG_SUM || r->inner >= FEW_RESULTS || !contiguous) return 1;
    for (int64_t parts = MOST_PARTS; parts > 1; parts--)
        if (r->reduce % parts == 0 && r->reduce / parts >= 16) return parts;
    return 1;
}

enum reel_err gpu_emit_reduce(struct lowered *p, const struct node *node, const char *label, struct gpu_reduce r,
                              struct ref x, struct ref mean, struct ref y)
{
    const int64_t parts = parts_of(&r);
    if (!r.mean_outer_div) r.mean_outer_div = 1;
    if (!r.mean_inner_div) r.mean_inner_div = 1;
    if (parts == 1) return add_reduce(p, node, label, &r, x, mean, y);
    struct ref between;
    enum reel_err err = gpu_make_temporary(p, (size_t)(r.outer * parts * r.inner) * sizeof(float), &between);
    if (err) return err;
    struct gpu_reduce first = r, second = r;
    first.reduce = r.reduce / parts;
    first.outer = r.outer * parts;
    first.src_outer = first.reduce * r.src_reduce;
    first.mean_outer_div = parts * r.mean_outer_div;
    first.dst_elem = GPU_ELEM_F32;
    first.dst_outer = r.inner, first.dst_inner = 1;
    first.scale = 1, first.root = false;
    const bool extreme = r.kind == GPU_REDUCE_MAX || r.kind == GPU_REDUCE_MIN || r.kind == GPU_REDUCE_PROD;
    second.kind = extreme ? r.kind : GPU_REDUCE_SUM;
    second.src_elem = GPU_ELEM_F32;
    second.reduce = parts;
    second.src_outer = parts * r.inner, second.src_reduce = r.inner, second.src_inner = 1;
    err = add_reduce(p, node, label, &first, x, mean, between);
    return err ? err : add_reduce(p, node, label, &second, between, REF_NONE, y);
}

// Axes as an attribute or a constant; all axes if there are none.
bool gpu_reduce_axes(struct lowered *p, const struct node *node, const struct info *in, bool *reduced)
{
    const int nd = in->shape.ndim;
    const int64_t *axes = NULL;
    int n = node_attr_ints(node, "axes", &axes);
    if (!n && node->n_in > 1 && node->in[1] && !(axes = gpu_const_ints(p, node->in[1], &n))) return false;
    if (!n && node_attr_int(node, "noop_with_empty_axes", 0)) return false;
    for (int d = 0; d < nd; d++) reduced[d] = n == 0;
    for (int i = 0; i < n; i++) {
        const int64_t a = axes[i] < 0 ? axes[i] + nd : axes[i];
        if (a < 0 || a >= nd) return false;
        reduced[a] = true;
    }
    return true;
}

struct run { // neighbouring dimensions that are contiguous in memory
    int64_t extent, src, dst;
    bool reduced;
};

// The dimensions in the order of the source's memory, merged as far as both sides allow.
static int runs_of(const struct info *in, const struct view *x, const bool *reduced, struct run *run)
{
    int64_t dst[REEL_MAX_DIMS], step = 1;
    int n = 0;
    for (int d = in->shape.ndim - 1; d >= 0; d--) {
        dst[d] = reduced[d] ? 0 : step;
        if (!reduced[d]) step *= in->shape.dim[d];
    }
    for (int d = 0; d < in->shape.ndim; d++) {
        if (in->shape.dim[d] == 1) continue;
        struct run r = {in->shape.dim[d], x->stride[d], dst[d], reduced[d]};
        int k = n++;
        for (; k > 0 && run[k - 1].src < r.src; k--) run[k] = run[k - 1];
        run[k] = r;
    }
    for (int i = n - 2; i >= 0; i--) {
        const struct run *a = &run[i], *b = &run[i + 1];
        if (a->reduced != b->reduced || a->src != b->src * b->extent || a->dst != b->dst * b->extent) continue;
        run[i] = (struct run){a->extent * b->extent, b->src, b->dst, a->reduced};
        for (int k = i + 1; k + 1 < n; k++) run[k] = run[k + 1];
        n--;
    }
    return n;
}

// The dimensions as kept, reduced, kept, which the kernel wants; either kept run may be missing.
static bool fill_reduce(const struct run *run, int n, struct gpu_reduce *r)
{
    r->outer = r->reduce = r->inner = 1;
    int i = 0;
    if (i < n && !run[i].reduced) {
        r->outer = run[i].extent, r->src_outer = run[i].src, r->dst_outer = run[i].dst;
        i++;
    }
    if (i < n && run[i].reduced) {
        r->reduce = run[i].extent, r->src_reduce = run[i].src;
        i++;
    }
    if (i < n && !run[i].reduced) {
        r->inner = run[i].extent, r->src_inner = run[i].src, r->dst_inner = run[i].dst;
        i++;
    }
    return i == n;
}

// Copies the value so that the reduced dimensions are last.
static enum reel_err gather_rows(struct lowered *p, const struct node *node, const struct info *in, struct view *x,
                                 const bool *reduced, struct gpu_reduce *r)
{
    struct move m = MOVE_NONE;
    struct ref rows;
    enum reel_err err = gpu_make_temporary(p, (size_t)in->count * gpu_elem_bytes(x->elem), &rows);
    if (err) return err;
    int64_t step = 1;
    r->outer = r->reduce = r->inner = 1;
    m.n = in->shape.ndim;
    for (int last = 1; last >= 0; last--)
        for (int d = m.n - 1; d >= 0; d--) {
            if (reduced[d] != (last == 1)) continue;
            m.extent[d] = in->shape.dim[d], m.src[d] = x->stride[d], m.dst[d] = step;
            step *= in->shape.dim[d];
            *(last ? &r->reduce : &r->outer) *= in->shape.dim[d];
        }
    r->src_outer = r->reduce, r->src_reduce = 1, r->dst_outer = 1;
    err = gpu_emit_move(p, node, "gather rows", &m, x->at, x->elem, rows, x->elem);
    x->at = rows;
    return err;
}

enum reel_err gpu_open_reduce(struct lowered *p, const struct node *node, const struct info *in, struct view *x,
                              const bool *reduced, struct gpu_reduce *r)
{
    struct run run[REEL_MAX_DIMS];
    const int n = runs_of(in, x, reduced, run);
    return fill_reduce(run, n, r) ? REEL_OK : gather_rows(p, node, in, x, reduced, r);
}

// A sum over H and W of an image, whose result is an image too; padding lanes are summed like channels.
static bool over_image(const struct info *in, const struct info *out, enum form_kind kind, const bool *reduced)
{
    return kind == FORM_IMAGE && has_pixels(out) && out->shape.ndim == in->shape.ndim && out->h * out->w == 1 &&
           in->pitch == out->pitch && !reduced[0] && !reduced[1];
}

static enum reel_err reduce_node(struct lowered *p, const struct node *node, const struct reduction *how,
                                 bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    bool reduced[REEL_MAX_DIMS];
    if (in->dtype != REEL_F32 || in->shape.ndim < 1 || node->in[0]->constant || node->n_epilogue) return REEL_OK;
    if (!strncmp(node->op_type, "Global", 6)) {
        for (int d = 0; d < in->shape.ndim; d++) reduced[d] = d > 1;
    } else if (!gpu_reduce_axes(p, node, in, reduced)) {
        return REEL_OK;
    }
    struct gpu_reduce r = {.kind = how->kind, .scale = 1, .root = how->root};
    struct view x;
    struct ref y;
    enum reel_err err = gpu_need_view(p, node->in[0], &x);
    if (err) return err;
    const bool image = over_image(in, out, gpu_best_form(p, in), reduced);
    if (image) {
        r.outer = in->n, r.reduce = (int64_t)in->h * in->w, r.inner = in->pitch;
        r.src_outer = r.reduce * in->pitch, r.src_reduce = in->pitch, r.src_inner = 1;
        r.dst_outer = out->pitch, r.dst_inner = 1;
    } else {
        err = gpu_open_reduce(p, node, in, &x, reduced, &r);
    }
    if (!err) err = gpu_make_form(p, node->out[0], image ? FORM_IMAGE : FORM_PLAIN, &y);
    if (err) return err;
    if (how->mean) r.scale = (float)(1 / (double)r.reduce);
    r.src_elem = x.elem;
    r.dst_elem = image ? p->low : GPU_ELEM_F32;
    *out_done = true;
    return gpu_emit_reduce(p, node, node->op_type, r, x.at, REF_NONE, y);
}

// A row-major shape as (outer, axis, inner).
static void split_axis(const struct reel_shape *s, int axis, int64_t *outer, int64_t *extent, int64_t *inner)
{
    *outer = *inner = 1;
    *extent = s->dim[axis];
    for (int d = 0; d < axis; d++) *outer *= s->dim[d];
    for (int d = axis + 1; d < s->ndim; d++) *inner *= s->dim[d];
}

// ---- logarithms of sums, norms -------------------------------------------------------------

// A sum over axes, then its logarithm.
static enum reel_err log_sum_node(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct reduction sum = {"ReduceLogSum", GPU_REDUCE_SUM, false, false};
    const struct value *y = node->out[0];
    struct pointwise plan = {.main = y};
    enum reel_err err = reduce_node(p, node, &sum, out_done);
    if (err || !*out_done) return err;
    gpu_pointwise_step(&plan, GPU_OP_LOG, 0, 0);
    return gpu_pointwise_onto(p, node, "log", &plan, y);
}

static enum reel_err global_lp_node(struct lowered *p, const struct node *node, bool *out_done)
{
    static const struct reduction norms[] = {{"GlobalLpPool", GPU_REDUCE_SUM_ABS, false, false},
                                             {"GlobalLpPool", GPU_REDUCE_SUM_SQUARES, false, true}};
    const int64_t power = node_attr_int(node, "p", 2);
    return power == 1 || power == 2 ? reduce_node(p, node, &norms[power - 1], out_done) : REEL_OK;
}

// x / max(norm, the smallest normal number): zeros stay zeros.
static enum reel_err divide_by_norm(struct lowered *p, const struct node *node, const struct gpu_reduce *r,
                                    struct ref x, struct ref norm, struct ref y, enum gpu_elem y_elem)
{
    const int64_t norms = r->outer * r->inner;
    struct step s = gpu_step_of(STEP_ELEMENTWISE, "not zero");
    struct gpu_elementwise *g = &s.u.elementwise;
    *g = (struct gpu_elementwise){.x_elem = GPU_ELEM_F32, .y_elem = GPU_ELEM_F32, .n_dims = 1};
    g->extent[0] = g->last = (int32_t)norms;
    g->x_stride[0] = g->y_stride[0] = 1;
    g->chain.n = 1;
    g->chain.step[0] = (struct gpu_chain_step){GPU_OP_CLIP, -1, FLT_MIN, INFINITY};
    s.x = s.y = norm;
    enum reel_err err = gpu_put_step(p, &s, node);
    s.label = "divide";
    *g = (struct gpu_elementwise){.x_elem = r->src_elem, .y_elem = y_elem, .n_dims = 3};
    const int64_t extent[3] = {r->outer, r->reduce, r->inner};
    const int64_t stride[3] = {r->src_outer, r->src_reduce, 1}, of[3] = {r->inner, 0, 1};
    for (int d = 0; d < 3; d++) {
        g->extent[d] = (int32_t)extent[d];
        g->x_stride[d] = g->y_stride[d] = stride[d];
        g->operand_stride[0][d] = of[d];
    }
    g->last = (int32_t)r->inner;
    g->chain.n = g->chain.n_operands = 1;
    g->chain.operand[0].elem = GPU_ELEM_F32;
    g->chain.step[0] = (struct gpu_chain_step){GPU_OP_DIV, 0, 0, 0};
    s.x = x, s.y = y, s.operand[0] = norm;
    return err ? err : gpu_put_step(p, &s, node);
}

static enum reel_err lp_normalization_node(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    const int64_t power = node_attr_int(node, "p", 2);
    int64_t axis = node_attr_int(node, "axis", -1);
    if (axis < 0) axis += in->shape.ndim;
    if (in->dtype != REEL_F32 || node->in[0]->constant || node->n_epilogue || in->count > INT32_MAX) return REEL_OK;
    if (axis < 0 || axis >= in->shape.ndim || power < 1 || power > 2 || gpu_only_on_host(p, node->in[0]))
        return REEL_OK;
    struct gpu_reduce r = {.kind = power == 1 ? GPU_REDUCE_SUM_ABS : GPU_REDUCE_SUM_SQUARES,
                           .root = power == 2,
                           .scale = 1,
                           .dst_elem = GPU_ELEM_F32,
                           .src_inner = 1,
                           .dst_inner = 1};
    struct ref x, norm, y;
    enum form_kind kind;
    split_axis(&in->shape, (int)axis, &r.outer, &r.reduce, &r.inner);
    r.src_outer = r.reduce * r.inner, r.src_reduce = r.dst_outer = r.inner;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &x);
    r.src_elem = gpu_form_elem(p, in, kind);
    if (!err) err = gpu_make_temporary(p, (size_t)(r.outer * r.inner) * sizeof(float), &norm);
    if (!err) err = gpu_emit_reduce(p, node, "norm", r, x, REF_NONE, norm);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &y);
    *out_done = true;
    return err ? err : divide_by_norm(p, node, &r, x, norm, y, gpu_form_elem(p, in, kind));
}

// ---- softmax and argmax --------------------------------------------------------------------

static enum reel_err softmax_node(struct lowered *p, const struct node *node, bool logarithm, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    if (in->dtype != REEL_F32 || node->in[0]->constant || in->shape.ndim < 1) return REEL_OK;
    const bool old = node->opset < 13; // all dimensions from the axis on are one
    int64_t axis = node_attr_int(node, "axis", old ? 1 : -1);
    if (axis < 0) axis += in->shape.ndim;
    if (axis < 0 || axis >= in->shape.ndim) return REEL_OK;
    struct gpu_softmax g = {.logarithm = logarithm};
    split_axis(&in->shape, (int)axis, &g.outer, &g.axis, &g.inner);
    if (old) g.axis *= g.inner, g.inner = 1;
    const bool channels =
        gpu_best_form(p, in) == FORM_IMAGE && axis == 1 && in->n == 1 && g.inner == (int64_t)in->h * in->w;
    struct ref x, y;
    enum form_kind kind = gpu_best_form(p, in);
    if (kind == FORM_IMAGE && !channels) kind = FORM_PLAIN;
    enum reel_err err = gpu_need_form(p, node->in[0], kind, &x);
    const enum form_kind to = kind == FORM_IMAGE ? FORM_PLAIN : kind;
    if (!err) err = gpu_make_form(p, node->out[0], to, &y);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_SOFTMAX, node, logarithm ? "log softmax" : "softmax");
    if (!s) return err ? err : gpu_no_memory(node);
    g.src_elem = gpu_form_elem(p, in, kind);
    g.dst_elem = gpu_form_elem(p, in, to);
    g.dst_outer = g.axis * g.inner, g.dst_axis = g.inner, g.dst_inner = 1;
    g.src_outer = g.dst_outer, g.src_axis = g.dst_axis, g.src_inner = 1;
    if (channels) g.src_axis = 1, g.src_inner = in->pitch;
    s->u.softmax = g;
    s->x = x;
    s->y = y;
    gpu_touch_last(p);
    *out_done = true;
    return REEL_OK;
}

static enum reel_err argmax_node(struct lowered *p, const struct node *node, bool smallest, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    if (in->dtype != REEL_F32 || node->in[0]->constant || in->shape.ndim < 1) return REEL_OK;
    int64_t axis = node_attr_int(node, "axis", 0);
    if (axis < 0) axis += in->shape.ndim;
    struct gpu_argmax g = {.smallest = smallest, .last = node_attr_int(node, "select_last_index", 0) != 0};
    split_axis(&in->shape, (int)axis, &g.outer, &g.reduce, &g.inner);
    enum form_kind kind = gpu_best_form(p, in);
    if (kind == FORM_IMAGE && axis != 1) kind = FORM_PLAIN;
    struct ref x, y;
    enum reel_err err = gpu_need_form(p, node->in[0], kind, &x);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &y);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_ARGMAX, node, node->op_type);
    if (!s) return err ? err : gpu_no_memory(node);
    g.src_outer = g.reduce * g.inner, g.src_reduce = g.inner, g.src_inner = 1;
    if (kind == FORM_IMAGE) g.src_outer = g.inner * in->pitch, g.src_reduce = 1, g.src_inner = in->pitch;
    g.src_elem = gpu_form_elem(p, in, kind);
    s->u.argmax = g;
    s->x = x;
    s->y = y;
    gpu_touch_last(p);
    *out_done = true;
    return REEL_OK;
}

enum reel_err gpu_lower_reduce(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || !node->in[0] || !node->out[0]) return REEL_OK;
    if (node_is(node, "Softmax")) return softmax_node(p, node, false, out_done);
    if (node_is(node, "LogSoftmax")) return softmax_node(p, node, true, out_done);
    if (node_is(node, "ArgMax")) return argmax_node(p, node, false, out_done);
    if (node_is(node, "ArgMin")) return argmax_node(p, node, true, out_done);
    if (node_is(node, "ReduceLogSum")) return log_sum_node(p, node, out_done);
    if (node_is(node, "GlobalLpPool")) return global_lp_node(p, node, out_done);
    if (node_is(node, "LpNormalization")) return lp_normalization_node(p, node, out_done);
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++)
        if (node_is(node, reductions[i].name)) return reduce_node(p, node, &reductions[i], out_done);
    return REEL_OK;
}

// ---- normalisation ---------------------------------------------------------------------------

// The mean or variance of every group of channels: (n, groups) floats. With `mean`, it sums the squares of
// the distances from it.
static enum reel_err statistic(struct lowered *p, const struct node *node, const struct info *in, int groups,
                               struct ref x, struct ref mean, struct ref *out_ref)
{
    const int in_group = in->c / groups;
    struct ref channels;
    struct gpu_reduce r = {.kind = mean.buf < 0 ? GPU_REDUCE_SUM : GPU_REDUCE_SUM_DIFF2,
                           .src_elem = p->low,
                           .dst_elem = GPU_ELEM_F32,
                           .outer = in->n,
                           .reduce = (int64_t)in->h * in->w,
                           .inner = in->c,
                           .src_reduce = in->pitch,
                           .src_inner = 1,
                           .dst_outer = in->c,
                           .dst_inner = 1,
                           .mean_outer = groups,
                           .mean_inner_div = in_group};
    r.src_outer = r.reduce * in->pitch;
    r.scale = (float)(1 / (double)r.reduce);
    enum reel_err err = gpu_make_temporary(p, (size_t)in->n * (size_t)in->c * sizeof(float), &channels);
    if (!err) err = gpu_emit_reduce(p, node, mean.buf < 0 ? "mean" : "variance", r, x, mean, channels);
    *out_ref = channels;
    if (err || in_group == 1) return err;
    const struct gpu_reduce over = {.kind = GPU_REDUCE_SUM,
                                    .src_elem = GPU_ELEM_F32,
                                    .dst_elem = GPU_ELEM_F32,
                                    .outer = (int64_t)in->n * groups,
                                    .reduce = in_group,
                                    .inner = 1,
                                    .src_outer = in_group,
                                    .src_reduce = 1,
                                    .dst_outer = 1,
                                    .scale = 1 / (float)in_group};
    err = gpu_make_temporary(p, (size_t)in->n * (size_t)groups * sizeof(float), out_ref);
    return err ? err : gpu_emit_reduce(p, node, "of a group", over, channels, REF_NONE, *out_ref);
}

// The constant as c floats, one a channel (one per group is repeated).
static enum reel_err channel_floats(struct lowered *p, const struct value *v, int c, int groups, struct ref *out_ref,
                                    bool *out_ok)
{
    const float *f = gpu_const_floats(p, v);
    const int64_t n = f ? reel_tensor_count(v->constant) : 0;
    *out_ok = f && (n == c || n == groups);
    if (!*out_ok) return REEL_OK;
    float *all = gpu_lower_alloc(p, (size_t)c * sizeof *all);
    if (!all) return gpu_no_memory(NULL);
    for (int i = 0; i < c; i++) all[i] = f[n == c ? i : i / (c / groups)];
    return gpu_make_constant(p, all, (size_t)c * sizeof *all, out_ref);
}

static enum reel_err group_norm(struct lowered *p, const struct node *node, int groups, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    struct ref x, y, scale, shift, mean, var;
    bool a = false, b = false;
    if (!has_pixels(in) || !has_pixels(out) || node->n_in < 3 || groups < 1 || in->c % groups) return REEL_OK;
    enum reel_err err = channel_floats(p, node->in[1], in->c, groups, &scale, &a);
    if (!err) err = channel_floats(p, node->in[2], in->c, groups, &shift, &b);
    if (err || !a || !b) return err;
    err = gpu_need_form(p, node->in[0], FORM_IMAGE, &x);
    if (!err) err = statistic(p, node, in, groups, x, REF_NONE, &mean);
    if (!err) err = statistic(p, node, in, groups, x, mean, &var);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_IMAGE, &y);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_NORM, node, "normalise");
    if (!s) return err ? err : gpu_no_memory(node);
    s->u.norm = (struct gpu_norm){.elem = p->low,
                                  .images = in->n,
                                  .pixels = (int64_t)in->h * in->w,
                                  .c = in->c,
                                  .groups = groups,
                                  .x_pitch = in->pitch,
                                  .y_pitch = out->pitch,
                                  .epsilon = node_attr_float(node, "epsilon", 1e-5f)};
    s->x = x;
    s->y = y;
    s->extra[0] = mean;
    s->extra[1] = var;
    s->operand[0] = scale;
    s->operand[1] = shift;
    gpu_touch_last(p);
    *out_done = true;
    return REEL_OK;
}

static enum reel_err layer_norm(struct lowered *p, const struct node *node, bool rms, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    int64_t axis = node_attr_int(node, "axis", -1), rows, columns, inner;
    if (axis < 0) axis += in->shape.ndim;
    if (in->dtype != REEL_F32 || node->in[0]->constant || axis < 0 || axis >= in->shape.ndim) return REEL_OK;
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] && info_of(p, node->out[i])->uses) return REEL_OK;
    split_axis(&in->shape, (int)axis, &rows, &columns, &inner);
    columns *= inner;
    if (columns > INT32_MAX) return REEL_OK;
    struct ref constant[2] = {REF_NONE, REF_NONE};
    enum reel_err err = REEL_OK;
    for (int i = 1; i < 3 && i < node->n_in && !err; i++) {
        if (!node->in[i]) continue;
        const float *f = gpu_const_floats(p, node->in[i]);
        if (!f || info_of(p, node->in[i])->count != columns) return REEL_OK;
        err = gpu_make_constant(p, f, (size_t)columns * sizeof *f, &constant[i - 1]);
    }
    enum form_kind kind = gpu_best_form(p, in);
    if (kind == FORM_IMAGE) kind = FORM_PLAIN;
    struct ref x, y;
    if (!err) err = gpu_need_form(p, node->in[0], kind, &x);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &y);
    struct step *s = err ? NULL : gpu_add_step(p, STEP_LAYER_NORM, node, rms ? "rms norm" : "layer norm");
    if (!s) return err ? err : gpu_no_memory(node);
    s->u.layer_norm = (struct gpu_layer_norm){.elem = gpu_form_elem(p, in, kind),
                                              .rows = rows,
                                              .columns = (int)columns,
                                              .epsilon = node_attr_float(node, "epsilon", 1e-5f),
                                              .rms = rms};
    s->x = x;
    s->y = y;
    s->extra[0] = constant[0];
    s->extra[1] = constant[1];
    gpu_touch_last(p);
    *out_done = true;
    return REEL_OK;
}

enum reel_err gpu_lower_norm(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || !node->in[0] || !node->out[0] || node->n_epilogue) return REEL_OK;
    if (node_is(node, "InstanceNormalization")) return group_norm(p, node, info_of(p, node->in[0])->c, out_done);
    if (node_is(node, "GroupNormalization"))
        return group_norm(p, node, (int)node_attr_int(node, "num_groups", 0), out_done);
    if (node_is(node, "LayerNormalization")) return layer_norm(p, node, false, out_done);
    if (node_is(node, "RMSNormalization")) return layer_norm(p, node, true, out_done);
    return REEL_OK;
}
