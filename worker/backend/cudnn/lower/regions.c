// SPDX-License-Identifier: MIT
//
// Finds a detector's second stage; see regions.h. A stage begins with one RoiAlign, or with
// the ScatterElements that put those of several levels together, and has every node behind it
// that reads only it and constants and computes each row from the same row alone.
#include "worker/backend/cudnn/lower/regions.h"

#include <string.h>

static bool is_onnx(const struct node *node, const char *op_type)
{
    return node_is(node, op_type) && (!*node->domain || !strcmp(node->domain, "ai.onnx"));
}

static bool reads_extents(const struct node *node)
{
    return node_is(node, "Shape") || node_is(node, "Size");
}

// ---- where a stage begins ----------------------------------------------------------------

// Rows of known length that the host has.
static bool host_rows(const struct lowered *p, const struct value *v, enum reel_dtype dtype, int ndim)
{
    const struct info *i = v ? info_of(p, v) : NULL;
    bool ok = i && !v->constant && i->count < 0 && i->dtype == dtype && i->shape.ndim == ndim;
    for (int d = 1; ok && d < ndim; d++) ok = i->shape.dim[d] == (dtype == REEL_F32 ? 4 : 1);
    return ok;
}

static bool good_align(const struct lowered *p, const struct node *node)
{
    struct step s;
    if (!is_onnx(node, "RoiAlign") || node->n_epilogue || node->n_in != 3 || !node->out[0]) return false;
    if (info_of(p, node->out[0])->regions || !gpu_roi_align_step(p, node, &s)) return false;
    const struct info *x = info_of(p, node->in[0]), *y = info_of(p, node->out[0]);
    if (!x->image || x->shape.ndim != 4 || x->late || node->in[0]->constant || y->dtype != REEL_F32) return false;
    if (y->shape.ndim != 4 || y->shape.dim[1] != x->shape.dim[1] || y->shape.dim[2] < 1 || y->shape.dim[3] < 1)
        return false;
    return host_rows(p, node->in[1], REEL_F32, 2) && host_rows(p, node->in[2], REEL_I64, 1);
}

static bool same_type_cast(const struct lowered *p, const struct node *node)
{
    return is_onnx(node, "Cast") && !node->n_epilogue && info_of(p, node->in[0])->dtype == REEL_F32 &&
           info_of(p, node->out[0])->dtype == REEL_F32;
}

// Whether v is read by that node and for its extents.
static bool only_read_by(const struct value *v, const struct node *node)
{
    if (v->is_output) return false;
    for (int i = 0; i < v->n_use_nodes; i++)
        if (v->uses[i] != node && !reads_extents(v->uses[i])) return false;
    return true;
}

// The level whose features a ScatterElements puts among those of others.
static bool level_of(const struct lowered *p, const struct node *scatter, struct region_level *out)
{
    const char *how = node_attr_string(scatter, "reduction", "none");
    if (!is_onnx(scatter, "ScatterElements") || scatter->n_epilogue || strcmp(how, "none")) return false;
    if (node_attr_int(scatter, "axis", 0) || !scatter->out[0] || info_of(p, scatter->out[0])->shape.ndim != 4)
        return false;
    const struct node *expand = scatter->in[1]->producer, *reader = scatter, *from = scatter->in[2]->producer;
    if (!expand || !is_onnx(expand, "Expand") || !only_read_by(expand->out[0], scatter)) return false;
    if (!host_rows(p, expand->in[0], REEL_I64, 4)) return false;
    while (from && same_type_cast(p, from) && only_read_by(from->out[0], reader)) {
        reader = from;
        from = from->in[0]->producer;
    }
    if (!from || !good_align(p, from) || !only_read_by(from->out[0], reader)) return false;
    *out = (struct region_level){.align = from, .rows = expand->in[0]};
    return true;
}

static bool zeros(const struct node *node)
{
    const struct attr *a = node_attr(node, "value");
    return is_onnx(node, "ConstantOfShape") && (!a || op_scalar(a->u.t, 0) == 0);
}

// All levels that end in this ScatterElements, in the order in which they are written.
static bool scattered(const struct lowered *p, const struct node *last, struct regions *r)
{
    struct region_level found[REGION_LEVELS];
    const struct node *node = last, *before;
    for (int n = 0; n < REGION_LEVELS && level_of(p, node, &found[n]); node = before) {
        n++;
        before = node->in[0]->producer;
        if (!before || !only_read_by(node->in[0], node)) return false;
        if (!zeros(before)) continue;
        const struct info *y = info_of(p, found[0].align->out[0]);
        for (int i = 0; i < n; i++) {
            const struct info *other = info_of(p, found[i].align->out[0]);
            for (int d = 1; d < 4; d++)
                if (other->shape.dim[d] != y->shape.dim[d]) return false;
            r->level[n - 1 - i] = found[i];
        }
        r->last = last;
        r->n_levels = n;
        r->extents = before->in[0];
        return true;
    }
    return false;
}

static bool goes_on(const struct lowered *p, const struct node *node)
{
    struct region_level next;
    const struct value *v = node->out[0];
    for (int i = 0; i < v->n_use_nodes; i++)
        if (v->uses[i]->in[0] == v && level_of(p, v->uses[i], &next)) return true;
    return false;
}

// ---- what belongs to it ------------------------------------------------------------------

static const struct region_value *value_in(const struct lowered *p, const struct regions *r, const struct value *v)
{
    const struct info *i = v ? info_of(p, v) : NULL;
    if (!i || i->regions != r || (i->region_role != REGION_FIRST && i->region_role != REGION_INSIDE)) return NULL;
    for (int k = 0; k < r->n_values; k++)
        if (r->value[k].v == v) return &r->value[k];
    return NULL;
}

// A constant that says nothing about the number of rows.
static bool for_all_rows(const struct value *v, int ndim)
{
    return v->constant && (v->constant->shape.ndim < ndim ||
                           (v->constant->shape.ndim == ndim && (!ndim || v->constant->shape.dim[0] == 1)));
}

static bool pointwise_rows(const struct lowered *p, const struct regions *r, const struct node *node, int ndim)
{
    for (int i = 0; i < node->n_in; i++) {
        const struct region_value *in = value_in(p, r, node->in[i]);
        if (node->in[i] && !(in ? in->piece.ndim == ndim : for_all_rows(node->in[i], ndim))) return false;
    }
    return true;
}

static bool keeps_rows(const struct node *node)
{
    if (node_is(node, "Flatten")) return node_attr_int(node, "axis", 1) == 1;
    const struct reel_tensor *t = node->n_in == 2 && node->in[1] ? node->in[1]->constant : NULL;
    if (!t || !reel_tensor_count(t) || node_attr_int(node, "allowzero", 0)) return false;
    const int64_t rows = op_scalar_int(t, 0);
    return rows == 0 || rows == -1;
}

// Whether each row of the result is computed from the same row of the first input alone. The
// others are constants.
static bool row_by_row(const struct node *node, int ndim)
{
    static const char *const layers[] = {"Conv",        "ConvTranspose",     "BatchNormalization",   "MaxPool",
                                         "AveragePool", "GlobalAveragePool", "InstanceNormalization"};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (node_is(node, layers[i])) return ndim >= 3;
    if (node_is(node, "Gemm")) return !node_attr_int(node, "transA", 0) && ndim == 2;
    if (node_is(node, "MatMul")) return ndim >= 2 && node->in[1]->constant && node->in[1]->constant->shape.ndim == 2;
    if (node_is(node, "Resize")) return ndim == 4 && (node->n_in < 4 || !node->in[3]);
    if (node_is(node, "Flatten") || node_is(node, "Reshape")) return keeps_rows(node);
    if (!node_is(node, "Softmax")) return false;
    const int64_t axis = node_attr_int(node, "axis", node->opset < 13 ? 1 : -1);
    return axis != 0 && axis != -ndim && ndim >= 2;
}

static bool others_are_constant(const struct lowered *p, const struct regions *r, const struct node *node, int ndim)
{
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i] && !node->in[i]->constant) return false;
    for (int i = 0; i < node->n_epilogue; i++) {
        const struct value *other = node->epilogue[i].other;
        if (other && !for_all_rows(other, ndim) && !value_in(p, r, other)) return false;
    }
    return true;
}

// The result's extents with the rows of a piece; false: they are not known, or it has other rows.
static bool infer_piece(const struct lowered *p, const struct regions *r, const struct node *node,
                        struct reel_shape *out_shape)
{
    enum { MOST = 8 };
    struct reel_tensor in[MOST], out = {.shape.ndim = -1};
    const struct reel_tensor *in_at[MOST];
    struct reel_tensor *out_at[MOST] = {&out};
    if (node->n_in > MOST || node->n_out > MOST) return false;
    for (int i = 0; i < node->n_in; i++) {
        const struct region_value *from = value_in(p, r, node->in[i]);
        if (from) in[i] = (struct reel_tensor){.dtype = REEL_F32, .shape = from->piece};
        in_at[i] = !node->in[i] ? NULL : from ? &in[i] : node->in[i]->constant;
    }
    if (op_infer(node, in_at, out_at) || out.dtype != REEL_F32 || out.shape.ndim < 2) return false;
    *out_shape = out.shape;
    return reel_shape_count(&out.shape) > 0 && out.shape.dim[0] == r->rows;
}

static bool belongs(const struct lowered *p, const struct regions *r, const struct node *node,
                    struct reel_shape *out_shape)
{
    const struct region_value *any = NULL;
    if ((*node->domain && strcmp(node->domain, "ai.onnx")) || !node->n_in || !node->out[0]) return false;
    if (node->op->flags & (OP_CONTROL | OP_RANDOM | OP_DATA_SHAPE)) return false;
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i]) return false;
    for (int i = 0; i < node->n_in && !any; i++) any = value_in(p, r, node->in[i]);
    if (!any || info_of(p, node->out[0])->count >= 0 || !infer_piece(p, r, node, out_shape)) return false;
    const int ndim = any->piece.ndim;
    if ((node->op->flags & OP_ELEMENTWISE) || node_is(node, "Clip"))
        return out_shape->ndim == ndim && pointwise_rows(p, r, node, ndim) && !node->n_epilogue;
    return any->v == node->in[0] && row_by_row(node, ndim) && others_are_constant(p, r, node, out_shape->ndim);
}

static void add_value(struct lowered *p, struct regions *r, const struct value *v, enum region_role role,
                      const struct reel_shape *piece)
{
    r->value[r->n_values++] = (struct region_value){.v = v, .piece = *piece, .host = REF_NONE};
    info_of(p, v)->regions = r;
    info_of(p, v)->region_role = role;
}

// What nodes outside the stage read of its values.
static void find_readers(const struct lowered *p, struct regions *r)
{
    for (int i = 0; i < r->n_values; i++) {
        struct region_value *rv = &r->value[i];
        rv->read = rv->v->is_output;
        for (int k = 0; k < rv->v->n_use_nodes; k++) {
            const struct node *node = rv->v->uses[k];
            const bool inside = node->n_out && node->out[0] && value_in(p, r, node->out[0]);
            rv->extents |= reads_extents(node);
            rv->read |= !inside && !reads_extents(node);
        }
    }
}

static void mark(struct lowered *p, struct regions *r, const struct value *v, enum region_role role)
{
    info_of(p, v)->regions = r;
    info_of(p, v)->region_role = role;
}

static void cover(struct lowered *p, struct regions *r)
{
    const struct node *scatter = r->last;
    for (int i = 0; r->extents && i < r->n_levels; i++, scatter = scatter->in[0]->producer) {
        for (const struct node *n = scatter->in[2]->producer; n; n = n->in[0]->producer) {
            mark(p, r, n->out[0], REGION_EXTENTS);
            if (node_is(n, "RoiAlign")) break;
        }
        mark(p, r, scatter->in[1], REGION_COVERED);
        mark(p, r, scatter->in[0], REGION_COVERED);
    }
}

static enum reel_err add_stage(struct lowered *p, const struct regions *found)
{
    struct regions *r = gpu_lower_alloc(p, sizeof *r);
    if (!r) return gpu_no_memory(found->last);
    *r = *found;
    for (const struct node *n = r->last; n; n = n->next) r->cap_values++;
    r->value = gpu_lower_alloc(p, (size_t)r->cap_values * sizeof *r->value);
    if (!r->value) return gpu_no_memory(found->last);
    cover(p, r);
    struct reel_shape piece = info_of(p, r->level[0].align->out[0])->shape;
    r->rows = piece.dim[2] * piece.dim[3] > REGION_SMALL ? REGION_FEW : REGION_MANY;
    piece.dim[0] = r->rows;
    add_value(p, r, r->last->out[0], REGION_FIRST, &piece);
    for (const struct node *n = r->last->next; n; n = n->next)
        if (belongs(p, r, n, &piece)) add_value(p, r, n->out[0], REGION_INSIDE, &piece);
    find_readers(p, r);
    return REEL_OK;
}

enum reel_err gpu_plan_regions(struct lowered *p)
{
    enum reel_err err = REEL_OK;
    for (const struct node *n = p->graph->first; n && !err; n = n->next) {
        struct regions r = {.host_at = REF_NONE};
        if (is_onnx(n, "ScatterElements") && scattered(p, n, &r) && !goes_on(p, n)) err = add_stage(p, &r);
    }
    for (const struct node *n = p->graph->first; n && !err; n = n->next) {
        if (!good_align(p, n)) continue;
        struct regions r = {.last = n, .n_levels = 1, .level[0].align = n, .host_at = REF_NONE};
        err = add_stage(p, &r);
    }
    return err;
}
