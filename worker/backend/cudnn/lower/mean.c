// SPDX-License-Identifier: MIT
//
// Reductions of what another reduction leaves: MeanVarianceNormalization, and
// ReduceLogSumExp, whose exponents are those of the distances from the largest.
#include <float.h>
#include <math.h>

#include "worker/backend/cudnn/lower/reduce.h"

// The strides of the dimensions that are kept, row-major, in all dimensions.
static void kept_strides(const struct reel_shape *s, const bool *reduced, int64_t *stride)
{
    int64_t step = 1;
    for (int d = s->ndim - 1; d >= 0; d--) {
        stride[d] = reduced[d] ? 0 : step;
        if (!reduced[d]) step *= s->dim[d];
    }
}

static void add_op(struct gpu_chain *c, enum gpu_op op, int operand, float alpha, float beta)
{
    c->step[c->n++] = (struct gpu_chain_step){op, operand, alpha, beta};
}

// Applies a chain to n floats in place; it has no operands, or one of as many floats.
static enum reel_err on_floats(struct lowered *p, const struct node *node, const char *label, int64_t n,
                               const struct gpu_chain *chain, struct ref operand, struct ref y)
{
    struct step s = gpu_step_of(STEP_ELEMENTWISE, label);
    struct gpu_elementwise *g = &s.u.elementwise;
    *g = (struct gpu_elementwise){.x_elem = GPU_ELEM_F32, .y_elem = GPU_ELEM_F32, .n_dims = 1, .chain = *chain};
    g->extent[0] = g->last = (int32_t)n;
    g->x_stride[0] = g->y_stride[0] = g->operand_stride[0][0] = 1;
    s.x = s.y = y, s.operand[0] = operand;
    return gpu_put_step(p, &s, node);
}

// Writes x as rows through a chain whose operands are floats of the kept dimensions.
static enum reel_err on_all(struct lowered *p, const struct node *node, const char *label, const struct info *in,
                            const struct view *x, const bool *reduced, const struct gpu_chain *chain,
                            const struct ref *operand, struct ref y, enum gpu_elem y_elem)
{
    struct step s = gpu_step_of(STEP_ELEMENTWISE, label);
    struct gpu_elementwise *g = &s.u.elementwise;
    *g = (struct gpu_elementwise){.x_elem = x->elem, .y_elem = y_elem, .n_dims = in->shape.ndim, .chain = *chain};
    int64_t step = 1, kept[REEL_MAX_DIMS];
    kept_strides(&in->shape, reduced, kept);
    for (int d = g->n_dims - 1; d >= 0; d--) {
        g->extent[d] = (int32_t)in->shape.dim[d];
        g->x_stride[d] = x->stride[d], g->y_stride[d] = step;
        step *= in->shape.dim[d];
        for (int k = 0; k < chain->n_operands; k++) g->operand_stride[k][d] = kept[d];
    }
    g->last = g->extent[g->n_dims - 1];
    for (int k = 0; k < chain->n_operands; k++) s.operand[k] = operand[k];
    s.x = x->at, s.y = y;
    return gpu_put_step(p, &s, node);
}

// ---- MeanVarianceNormalization ---------------------------------------------------------

#define EPSILON 1e-9f // of the operator's function body; it is added to the deviation

static bool mean_axes(const struct node *node, const struct info *in, bool *reduced)
{
    static const int64_t standard[] = {0, 2, 3};
    const int64_t *axes = standard;
    int n = 3;
    if (node_attr(node, "axes")) n = node_attr_ints(node, "axes", &axes);
    for (int d = 0; d < in->shape.ndim; d++) reduced[d] = false;
    for (int i = 0; i < n; i++) {
        const int64_t a = axes[i] < 0 ? axes[i] + in->shape.ndim : axes[i];
        if (a < 0 || a >= in->shape.ndim) return false;
        reduced[a] = true;
    }
    return n > 0;
}

static enum reel_err mean_variance(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    bool reduced[REEL_MAX_DIMS];
    if (!mean_axes(node, in, reduced)) return REEL_OK;
    struct gpu_reduce r = {.scale = 1};
    struct view x, rows;
    struct ref statistic[2], y; // mean and deviation
    enum reel_err err = gpu_need_view(p, node->in[0], &x);
    rows = x;
    if (!err) err = gpu_open_reduce(p, node, in, &rows, reduced, &r);
    if (err || (r.inner > 1 && r.dst_inner != 1)) return err;
    *out_done = true;
    const int64_t kept = r.outer * r.inner;
    r.kind = GPU_REDUCE_SUM, r.src_elem = rows.elem, r.dst_elem = GPU_ELEM_F32;
    r.scale = (float)(1 / (double)r.reduce);
    for (int i = 0; i < 2 && !err; i++) {
        err = gpu_make_temporary(p, (size_t)kept * sizeof(float), &statistic[i]);
        if (!err)
            err = gpu_emit_reduce(p, node, i ? "deviation" : "mean", r, rows.at, i ? statistic[0] : REF_NONE,
                                  statistic[i]);
        r.kind = GPU_REDUCE_SUM_DIFF2, r.root = true, r.mean_outer = r.dst_outer;
    }
    struct gpu_chain not_zero = {0}, chain = {.n_operands = 2, .operand = {{GPU_ELEM_F32}, {GPU_ELEM_F32}}};
    add_op(&not_zero, GPU_OP_AFFINE, -1, 1, EPSILON);
    if (!err) err = on_floats(p, node, "not zero", kept, &not_zero, REF_NONE, statistic[1]);
    add_op(&chain, GPU_OP_SUB, 0, 0, 0);
    add_op(&chain, GPU_OP_DIV, 1, 0, 0);
    const enum form_kind kind = x.elem == p->low ? FORM_LOW : FORM_PLAIN;
    if (!err) err = gpu_make_form(p, node->out[0], kind, &y);
    return err ? err : on_all(p, node, "normalise", in, &x, reduced, &chain, statistic, y, x.elem);
}

// ---- ReduceLogSumExp -------------------------------------------------------------------

static enum reel_err log_sum_exp(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]), *out = info_of(p, node->out[0]);
    bool reduced[REEL_MAX_DIMS];
    if (!gpu_reduce_axes(p, node, in, reduced)) return REEL_OK;
    struct gpu_reduce r = {.kind = GPU_REDUCE_MAX, .scale = 1, .dst_elem = GPU_ELEM_F32};
    struct gpu_chain bounds = {0}, exponent = {.n_operands = 1, .operand = {{GPU_ELEM_F32}}}, back = exponent;
    struct view x, rows, terms = {.elem = GPU_ELEM_F32};
    struct ref top, y;
    int64_t step = 1;
    enum reel_err err = gpu_need_view(p, node->in[0], &x);
    rows = x;
    if (!err) err = gpu_open_reduce(p, node, in, &rows, reduced, &r);
    r.src_elem = rows.elem;
    *out_done = true;
    if (!err) err = gpu_make_temporary(p, (size_t)out->count * sizeof(float), &top);
    if (!err) err = gpu_emit_reduce(p, node, "largest", r, rows.at, REF_NONE, top);
    add_op(&bounds, GPU_OP_CLIP, -1, -FLT_MAX, FLT_MAX); // differences of infinities must not arise
    if (!err) err = on_floats(p, node, "finite", out->count, &bounds, REF_NONE, top);
    add_op(&exponent, GPU_OP_SUB, 0, 0, 0);
    add_op(&exponent, GPU_OP_EXP, -1, 0, 0);
    if (!err) err = gpu_make_temporary(p, (size_t)in->count * sizeof(float), &terms.at);
    if (!err) err = on_all(p, node, "exponents", in, &x, reduced, &exponent, &top, terms.at, GPU_ELEM_F32);
    for (int d = in->shape.ndim - 1; d >= 0; d--) terms.stride[d] = step, step *= in->shape.dim[d];
    r = (struct gpu_reduce){.kind = GPU_REDUCE_SUM, .scale = 1, .src_elem = GPU_ELEM_F32, .dst_elem = GPU_ELEM_F32};
    if (!err) err = gpu_open_reduce(p, node, in, &terms, reduced, &r);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &y);
    if (!err) err = gpu_emit_reduce(p, node, "sum", r, terms.at, REF_NONE, y);
    add_op(&back, GPU_OP_LOG, -1, 0, 0);
    add_op(&back, GPU_OP_ADD, 0, 0, 0);
    return err ? err : on_floats(p, node, "log", out->count, &back, top, y);
}

enum reel_err gpu_lower_mean(struct lowered *p, const struct node *node, bool *out_done)
{
    const bool mean = node_is(node, "MeanVarianceNormalization");
    if ((!mean && !node_is(node, "ReduceLogSumExp")) || node->n_in < 1 || !node->in[0] || !node->out[0]) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]);
    if (in->dtype != REEL_F32 || in->shape.ndim < 1 || in->count < 1 || in->count > INT32_MAX || node->n_epilogue)
        return REEL_OK;
    if (node->in[0]->constant || gpu_only_on_host(p, node->in[0])) return REEL_OK;
    return (mean ? mean_variance : log_sum_exp)(p, node, out_done);
}
