// SPDX-License-Identifier: MIT
//
// Operators that pick elements (kernels/gpu/select.h): TopK, gathering and scattering by computed indices,
// OneHot, running sums, triangles. All of them work on rows.
#include <string.h>

#include "worker/backend/cudnn/program.h"

// One axis of a tensor as (outer, n, inner).
struct along {
    int64_t outer, n, inner;
};

static bool along_axis(const struct reel_shape *shape, int64_t axis, struct along *out)
{
    if (axis < 0) axis += shape->ndim;
    if (axis < 0 || axis >= shape->ndim) return false;
    *out = (struct along){1, shape->dim[axis], 1};
    for (int d = 0; d < axis; d++) out->outer *= shape->dim[d];
    for (int d = (int)axis + 1; d < shape->ndim; d++) out->inner *= shape->dim[d];
    return true;
}

// Types whose elements have whole bytes, so that they can be moved.
static bool movable(const struct info *i)
{
    const size_t bytes = reel_dtype_bytes(i->dtype);
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

static bool is_exact(enum reel_dtype dtype)
{
    bool exact;
    gpu_elem_of(dtype, &exact);
    return exact;
}

// How many bytes an element has in that form.
static int elem_bytes(const struct lowered *p, const struct info *i, enum form_kind kind)
{
    return (int)(kind == FORM_LOW ? gpu_elem_bytes(p->low) : reel_dtype_bytes(i->dtype));
}

// ---- TopK ------------------------------------------------------------------------------

static enum reel_err lower_topk(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct value *v = node->in[0], *out[2] = {NULL, NULL};
    const struct info *in = info_of(p, v), *shaped = NULL;
    struct along a, k;
    struct ref work = REF_NONE;
    for (int i = 0; i < 2 && i < node->n_out; i++)
        if (node->out[i] && info_of(p, node->out[i])->uses) out[i] = node->out[i], shaped = info_of(p, out[i]);
    const int64_t axis = node_attr_int(node, "axis", -1);
    const bool is_f64 = in->dtype == REEL_F64; // compares by the bits
    if (!shaped || !(is_exact(in->dtype) || is_f64) || !along_axis(&in->shape, axis, &a)) return REEL_OK;
    if (!along_axis(&shaped->shape, axis, &k) || a.n > GPU_TOPK_MOST_N || k.n > GPU_TOPK_MOST_K) return REEL_OK;
    if (a.outer * a.inner > INT32_MAX) return REEL_OK;
    struct step s = gpu_step_of(STEP_TOPK, "top k");
    enum form_kind kind;
    enum reel_err err = gpu_need_rows(p, v, &kind, &s.x);
    s.u.topk = (struct gpu_topk){.elem = gpu_form_elem(p, in, kind),
                                 .outer = a.outer,
                                 .n = a.n,
                                 .inner = a.inner,
                                 .k = k.n,
                                 .smallest = !node_attr_int(node, "largest", 1),
                                 .is_f64 = is_f64};
    const size_t bytes = gpu_topk_work_bytes(&s.u.topk);
    if (!err && out[0]) err = gpu_make_form(p, out[0], kind, &s.y);
    if (!err && out[1]) err = gpu_make_form(p, out[1], FORM_PLAIN, &s.extra[0]);
    if (!err && bytes) err = gpu_make_temporary(p, bytes, &work);
    s.extra[1] = work;
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// ---- indices ---------------------------------------------------------------------------

static bool is_index(const struct info *i)
{
    return i->dtype == REEL_I64 || i->dtype == REEL_I32;
}

static void row_strides(const struct reel_shape *shape, int64_t *stride)
{
    int64_t step = 1;
    for (int d = shape->ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= shape->dim[d];
    }
}

// GatherElements and ScatterElements: each index replaces the coordinate of one axis.
static bool index_elements(const struct node *node, const struct info *in, const struct info *index,
                           struct gpu_index *g)
{
    int64_t stride[REEL_MAX_DIMS], axis = node_attr_int(node, "axis", 0);
    const int n = in->shape.ndim;
    if (axis < 0) axis += n;
    if (index->shape.ndim != n || n < 1 || n > GPU_DIMS || axis < 0 || axis >= n) return false;
    row_strides(&in->shape, stride);
    g->n_dims = n;
    for (int d = 0; d < n; d++) {
        if (index->shape.dim[d] > INT32_MAX || (d != axis && index->shape.dim[d] > in->shape.dim[d])) return false;
        g->extent[d] = (int32_t)index->shape.dim[d];
        g->base[d] = d == axis ? 0 : stride[d];
    }
    g->q = 1;
    g->at_extent[0] = in->shape.dim[axis];
    g->at_stride[0] = stride[axis];
    g->tuples = index->count;
    g->block = 1;
    return true;
}

// GatherND and ScatterND: the indices' last dimension holds coordinates; the first `batch` dimensions are
// common to both.
static bool index_tuples(const struct info *in, const struct info *index, int64_t batch, struct gpu_index *g)
{
    int64_t stride[REEL_MAX_DIMS];
    const int n = index->shape.ndim - 1;
    if (n < 0 || n > GPU_DIMS || batch < 0 || batch > n || in->shape.ndim > GPU_DIMS) return false;
    const int64_t q = index->shape.dim[n];
    if (q < 0 || batch + q > in->shape.ndim) return false;
    row_strides(&in->shape, stride);
    g->n_dims = n;
    g->q = (int)q;
    g->tuples = g->block = 1;
    for (int d = 0; d < n; d++) {
        if (index->shape.dim[d] > INT32_MAX) return false;
        g->extent[d] = (int32_t)index->shape.dim[d];
        g->base[d] = d < batch ? stride[d] : 0;
        g->tuples *= index->shape.dim[d];
    }
    for (int j = 0; j < g->q; j++) {
        g->at_extent[j] = in->shape.dim[batch + j];
        g->at_stride[j] = stride[batch + j];
    }
    for (int d = (int)(batch + q); d < in->shape.ndim; d++) g->block *= in->shape.dim[d];
    return true;
}

static bool index_of(struct lowered *p, const struct node *node, struct gpu_index *g)
{
    const struct info *in = info_of(p, node->in[0]), *index = info_of(p, node->in[1]);
    *g = (struct gpu_index){.index_elem = index->dtype == REEL_I64 ? GPU_ELEM_I64 : GPU_ELEM_I32, .count = in->count};
    if (!is_index(index) || !movable(in)) return false;
    const bool ok = node_is(node, "GatherND")    ? index_tuples(in, index, node_attr_int(node, "batch_dims", 0), g)
                    : node_is(node, "ScatterND") ? index_tuples(in, index, 0, g)
                                                 : index_elements(node, in, index, g);
    return ok && g->tuples > 0 && g->tuples <= INT32_MAX && g->block > 0 && g->count > 0;
}

static enum reel_err lower_gather_at(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    struct step s = gpu_step_of(STEP_GATHER_AT, "gather");
    enum form_kind kind;
    if (!index_of(p, node, &s.u.index) || s.u.index.tuples * s.u.index.block != info_of(p, node->out[0])->count)
        return REEL_OK;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_need_form(p, node->in[1], FORM_PLAIN, &s.w);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    s.u.index.elem = gpu_form_elem(p, in, kind);
    s.u.index.elem_bytes = elem_bytes(p, in, kind);
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

static bool combine_of(const struct node *node, const struct info *in, int *out)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    const char *text = node_attr_string(node, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (!strcmp(text, names[i])) {
            *out = i;
            return i == GPU_COMBINE_NONE || (is_exact(in->dtype) && in->dtype != REEL_BOOL);
        }
    return false;
}

// Data and updates in one form: the program's float type if one of them exists only in that.
static enum reel_err scatter_operands(struct lowered *p, const struct node *node, enum form_kind *out_kind,
                                      struct step *s)
{
    enum form_kind kind[2];
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind[0], &s->x);
    if (!err) err = gpu_need_rows(p, node->in[2], &kind[1], &s->extra[0]);
    *out_kind = err || kind[0] == kind[1] ? kind[0] : FORM_LOW;
    if (!err && kind[0] != *out_kind) err = gpu_need_form(p, node->in[0], *out_kind, &s->x);
    if (!err && kind[1] != *out_kind) err = gpu_need_form(p, node->in[2], *out_kind, &s->extra[0]);
    return err;
}

static enum reel_err lower_scatter(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 3 || !node->in[2]) return REEL_OK;
    const struct info *in = info_of(p, node->in[0]), *updates = info_of(p, node->in[2]);
    struct step s = gpu_step_of(STEP_SCATTER, "scatter");
    enum form_kind kind = FORM_PLAIN;
    if (updates->dtype != in->dtype || !index_of(p, node, &s.u.index) || !combine_of(node, in, &s.u.index.combine))
        return REEL_OK;
    if (s.u.index.tuples * s.u.index.block != updates->count || s.u.index.count / s.u.index.block > INT32_MAX)
        return REEL_OK;
    enum reel_err err = scatter_operands(p, node, &kind, &s);
    if (!err) err = gpu_need_form(p, node->in[1], FORM_PLAIN, &s.w);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    if (!err) err = gpu_make_temporary(p, gpu_scatter_work_bytes(&s.u.index), &s.extra[1]);
    s.u.index.elem = gpu_form_elem(p, in, kind);
    s.u.index.elem_bytes = elem_bytes(p, in, kind);
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// ---- one of many -----------------------------------------------------------------------

static enum reel_err lower_one_hot(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 3 || !node->in[2]) return REEL_OK;
    const struct info *index = info_of(p, node->in[0]), *values = info_of(p, node->in[2]);
    const struct info *out = info_of(p, node->out[0]);
    struct along a;
    if (!is_exact(index->dtype) || !movable(values) || values->count != 2 ||
        !along_axis(&out->shape, node_attr_int(node, "axis", -1), &a))
        return REEL_OK;
    struct step s = gpu_step_of(STEP_ONE_HOT, "one hot");
    enum form_kind kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_need_form(p, node->in[2], FORM_PLAIN, &s.w);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &s.y);
    s.u.one_hot = (struct gpu_one_hot){.index_elem = gpu_form_elem(p, index, kind),
                                       .elem_bytes = (int)reel_dtype_bytes(values->dtype),
                                       .outer = a.outer,
                                       .depth = a.n,
                                       .inner = a.inner};
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// Finds the position of the largest, then makes one of many of it.
static enum reel_err lower_hardmax(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    const int64_t axis = node_attr_int(node, "axis", node->opset < 13 ? 1 : -1);
    struct along a;
    if (!is_exact(in->dtype) || !along_axis(&in->shape, axis, &a)) return REEL_OK;
    if (node->opset < 13) a.n *= a.inner, a.inner = 1; // it is a matrix
    struct step best = gpu_step_of(STEP_ARGMAX, "largest"), s = gpu_step_of(STEP_ONE_HOT, "one hot");
    enum form_kind kind;
    const float values[2] = {0, 1};
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &best.x);
    const enum gpu_elem elem = gpu_form_elem(p, in, kind);
    if (!err) err = gpu_make_temporary(p, (size_t)(a.outer * a.inner) * sizeof(int64_t), &best.y);
    best.u.argmax = (struct gpu_argmax){.src_elem = elem,
                                        .outer = a.outer,
                                        .reduce = a.n,
                                        .inner = a.inner,
                                        .src_outer = a.n * a.inner,
                                        .src_reduce = a.inner,
                                        .src_inner = 1};
    if (!err) err = gpu_put_step(p, &best, node);
    if (!err) err = gpu_make_constant_floats(p, values, 2, 2, elem, &s.w);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    s.x = best.y;
    s.u.one_hot = (struct gpu_one_hot){.index_elem = GPU_ELEM_I64,
                                       .elem_bytes = (int)gpu_elem_bytes(elem),
                                       .outer = a.outer,
                                       .depth = a.n,
                                       .inner = a.inner};
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// ---- prefixes, triangles, reversed sequences --------------------------------------------

// Long sums are kept in the declared type, which mostly is float32.
static enum reel_err lower_scan(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    struct along a;
    int n = 0;
    const int64_t *axis = node->n_in > 1 && node->in[1] ? gpu_const_ints(p, node->in[1], &n) : NULL;
    if (!axis || n != 1 || !is_exact(in->dtype) || in->dtype == REEL_BOOL || !along_axis(&in->shape, *axis, &a))
        return REEL_OK;
    if (a.outer * a.inner > INT32_MAX) return REEL_OK;
    struct step s = gpu_step_of(STEP_SCAN, "prefixes");
    enum form_kind kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_make_form(p, node->out[0], FORM_PLAIN, &s.y);
    s.u.scan = (struct gpu_scan){.x_elem = gpu_form_elem(p, in, kind),
                                 .y_elem = gpu_form_elem(p, in, FORM_PLAIN),
                                 .outer = a.outer,
                                 .n = a.n,
                                 .inner = a.inner,
                                 .exclusive = node_attr_int(node, "exclusive", 0) != 0,
                                 .reverse = node_attr_int(node, "reverse", 0) != 0,
                                 .product = node_is(node, "CumProd")};
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

static enum reel_err lower_triangle(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    const int nd = in->shape.ndim;
    int n = 1;
    const int64_t zero = 0, *k = &zero;
    if (node->n_in > 1 && node->in[1]) k = gpu_const_ints(p, node->in[1], &n);
    if (!k || n != 1 || nd < 2 || !movable(in)) return REEL_OK;
    struct step s = gpu_step_of(STEP_TRIANGLE, "triangle");
    enum form_kind kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    const int64_t rows = in->shape.dim[nd - 2], columns = in->shape.dim[nd - 1];
    s.u.triangle = (struct gpu_triangle){.elem_bytes = elem_bytes(p, in, kind),
                                         .matrices = in->count / (rows * columns),
                                         .rows = rows,
                                         .columns = columns,
                                         .k = *k < -rows     ? -rows
                                              : *k > columns ? columns
                                                             : *k,
                                         .upper = node_attr_int(node, "upper", 1) != 0};
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

static enum reel_err lower_reverse(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *in = info_of(p, node->in[0]);
    const int64_t batch = node_attr_int(node, "batch_axis", 1), time = node_attr_int(node, "time_axis", 0);
    if (node->n_in < 2 || !node->in[1] || info_of(p, node->in[1])->dtype != REEL_I64 || !movable(in)) return REEL_OK;
    if (in->shape.ndim < 2 || batch < 0 || batch > 1 || time != 1 - batch) return REEL_OK;
    if (info_of(p, node->in[1])->count != in->shape.dim[batch]) return REEL_OK;
    struct step s = gpu_step_of(STEP_REVERSE, "reverse");
    enum form_kind kind;
    enum reel_err err = gpu_need_rows(p, node->in[0], &kind, &s.x);
    if (!err) err = gpu_need_form(p, node->in[1], FORM_PLAIN, &s.w);
    if (!err) err = gpu_make_form(p, node->out[0], kind, &s.y);
    s.u.reverse = (struct gpu_reverse){.elem_bytes = elem_bytes(p, in, kind),
                                       .times = in->shape.dim[time],
                                       .batches = in->shape.dim[batch],
                                       .inner = in->count / (in->shape.dim[0] * in->shape.dim[1]),
                                       .batch_first = batch == 0};
    *out_done = true;
    return err ? err : gpu_put_step(p, &s, node);
}

// A result that depends only on the shape is a constant.
static enum reel_err lower_eye(struct lowered *p, const struct node *node, bool *out_done)
{
    const struct info *out = info_of(p, node->out[0]);
    struct reel_tensor in = {.dtype = info_of(p, node->in[0])->dtype, .shape = info_of(p, node->in[0])->shape};
    struct reel_tensor made = {.dtype = out->dtype, .shape = out->shape};
    const struct reel_tensor *in_list = &in;
    struct reel_tensor *out_list = &made;
    const size_t bytes = reel_dtype_bytes(out->dtype) * (size_t)out->count;
    if (!bytes || !(made.data = gpu_lower_alloc(p, bytes))) return bytes ? gpu_no_memory(node) : REEL_OK;
    struct ref at;
    enum reel_err err = op_eval(node, 1, &in_list, 1, &out_list);
    if (!err) err = gpu_make_constant(p, made.data, bytes, &at);
    if (!err) gpu_set_form(p, node->out[0], FORM_PLAIN, at);
    *out_done = true;
    return err;
}

enum reel_err gpu_lower_select(struct lowered *p, const struct node *node, bool *out_done)
{
    if (node->n_in < 1 || !node->in[0] || node->n_out < 1 || node->n_epilogue) return REEL_OK;
    if (node_is(node, "TopK")) return lower_topk(p, node, out_done);
    if (!node->out[0]) return REEL_OK;
    if (node_is(node, "EyeLike")) return lower_eye(p, node, out_done);
    if (gpu_only_on_host(p, node->in[0])) return REEL_OK;
    if (node_is(node, "OneHot")) return lower_one_hot(p, node, out_done);
    if (node_is(node, "Hardmax")) return lower_hardmax(p, node, out_done);
    if (node_is(node, "CumSum") || node_is(node, "CumProd")) return lower_scan(p, node, out_done);
    if (node_is(node, "Trilu")) return lower_triangle(p, node, out_done);
    if (node->n_in < 2 || !node->in[1]) return REEL_OK;
    if (node_is(node, "ReverseSequence")) return lower_reverse(p, node, out_done);
    if (node_is(node, "GatherElements") || node_is(node, "GatherND")) return lower_gather_at(p, node, out_done);
    if (node_is(node, "ScatterND") || node_is(node, "ScatterElements") || node_is(node, "Scatter"))
        return lower_scatter(p, node, out_done);
    return REEL_OK;
}
