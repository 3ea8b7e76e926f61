// SPDX-License-Identifier: MIT
//
// The family scatter: operators that write at positions which are data
// themselves.
//
// indices.h checks every index before it is used. Elements are moved by their
// size; scatters that combine (add, mul, max, min) do it in the element's type,
// 16-bit floats in single precision with one rounding per step.
#include "worker/onnx/ops/indices.h"
#include "worker/onnx/ops/moving.h"

// ---- combining ------------------------------------------------------------

enum reduction { REDUCE_NONE, REDUCE_ADD, REDUCE_MUL, REDUCE_MAX, REDUCE_MIN };

// to[i] = to[i] combined with from[i], n elements.
typedef void (*combine_fn)(void *to, const void *from, int64_t n, enum reduction reduction);

#define COMBINE_FN(D, s, T, U)                                                                 \
    static void combine_##s(void *pto, const void *pfrom, int64_t n, enum reduction reduction) \
    {                                                                                          \
        T *to = pto;                                                                           \
        const T *from = pfrom;                                                                 \
        for (int64_t i = 0; i < n; i++) {                                                      \
            const T a = to[i], b = from[i];                                                    \
            to[i] = reduction == REDUCE_ADD   ? (T)((U)a + (U)b)                               \
                    : reduction == REDUCE_MUL ? (T)((U)a * (U)b)                               \
                    : reduction == REDUCE_MAX ? (a > b || a != a ? a : b)                      \
                                              : (a < b || a != a ? a : b);                     \
        }                                                                                      \
    }
EACH_REAL(COMBINE_FN)

static void combine_half(uint16_t *to, const uint16_t *from, int64_t n, enum reduction reduction, enum reel_dtype dtype)
{
    for (int64_t i = 0; i < n; i++) {
        float a, b;
        reel_convert(&a, REEL_F32, &to[i], dtype, 1);
        reel_convert(&b, REEL_F32, &from[i], dtype, 1);
        combine_f32(&a, &b, 1, reduction);
        reel_convert(&to[i], dtype, &a, REEL_F32, 1);
    }
}

static void combine_f16(void *to, const void *from, int64_t n, enum reduction reduction)
{
    combine_half(to, from, n, reduction, REEL_F16);
}

static void combine_bf16(void *to, const void *from, int64_t n, enum reduction reduction)
{
    combine_half(to, from, n, reduction, REEL_BF16);
}

// Sums of booleans are "or", products "and".
static void combine_bool(void *pto, const void *pfrom, int64_t n, enum reduction reduction)
{
    uint8_t *to = pto;
    const uint8_t *from = pfrom;
    const bool any = reduction == REDUCE_ADD || reduction == REDUCE_MAX;
    for (int64_t i = 0; i < n; i++) to[i] = any ? to[i] || from[i] : to[i] && from[i];
}

#define COMBINE_ENTRY(D, s, T, U) [D] = combine_##s,
static const combine_fn combine_fns[REEL_DTYPE_COUNT] = {
    EACH_REAL(COMBINE_ENTRY)[REEL_F16] = combine_f16, [REEL_BF16] = combine_bf16, [REEL_BOOL] = combine_bool};

static enum reel_err read_reduction(const struct op_call *call, enum reduction *out)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    const char *text = node_attr_string(call->node, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (!strcmp(text, names[i])) {
            *out = (enum reduction)i;
            return REEL_OK;
        }
    return reel_fail(REEL_ERR_INPUT, "attribute reduction is \"%s\", which is not a reduction", text);
}

// ---- ScatterElements (Scatter) ----------------------------------------------

static enum reel_err infer_scatter_elements(const struct op_call *call)
{
    int axis;
    enum reduction reduction;
    enum reel_err err = index_axis(call, &axis);
    if (!err) err = typed_same(call, 0, 2);
    if (!err) err = read_reduction(call, &reduction);
    return err ? err : op_infer_same(call);
}

static enum reel_err eval_scatter_elements(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0], *updates = call->in[2];
    int axis;
    enum reduction reduction = REDUCE_NONE;
    struct element_walk w = {.ndim = 0};
    enum reel_err err = move_check(call, 0);
    if (!err) err = index_axis(call, &axis);
    if (!err) err = typed_same(call, 0, 2);
    if (!err) err = read_reduction(call, &reduction);
    if (!err && !reel_shape_equal(&call->in[1]->shape, &updates->shape))
        err = reel_fail(REEL_ERR_INPUT, "indices and updates have different shapes");
    const int64_t n = err ? 0 : reel_tensor_count(updates);
    if (!err && n > 0) err = element_walk_init(&w, &in->shape, &updates->shape, axis);
    if (!err) err = typed_copy_as(call, &in->shape);
    if (err || !call->out[0] || n == 0) return err;
    int64_t *at;
    err = index_read(call, 1, &at);
    if (!err) err = index_place_all(at, n, in->shape.dim[axis]);
    const size_t bytes = reel_dtype_bytes(in->dtype);
    char *out = call->out[0]->data;
    for (int64_t i = 0; !err && i < n; i++, element_walk_next(&w)) {
        char *to = out + (size_t)(w.at + at[i] * w.stride[axis]) * bytes;
        const char *from = (const char *)updates->data + (size_t)i * bytes;
        if (reduction == REDUCE_NONE)
            move_element(to, from, bytes);
        else
            combine_fns[in->dtype](to, from, 1, reduction);
    }
    free(at);
    return err;
}

// ---- ScatterND --------------------------------------------------------------

static enum reel_err scatter_nd_check(const struct op_call *call, int *out_q, enum reduction *out_reduction)
{
    *out_q = -1;
    enum reel_err err = typed_present(call, 3);
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape, *at = &call->in[1]->shape, *updates = &call->in[2]->shape;
    if (call->in[1]->dtype != REEL_I64) return typed_refuse(call, 1);
    err = typed_same(call, 0, 2);
    if (!err) err = read_reduction(call, out_reduction);
    if (err || in->ndim < 0 || at->ndim < 0) return err;
    err = nd_check(in, at, 0, out_q);
    if (err || *out_q < 0 || updates->ndim < 0) return err;
    bool fits = updates->ndim == at->ndim - 1 + in->ndim - *out_q;
    for (int d = 0; fits && d < updates->ndim; d++) {
        const int64_t want = d < at->ndim - 1 ? at->dim[d] : in->dim[d - (at->ndim - 1) + *out_q];
        fits = want < 0 || updates->dim[d] < 0 || want == updates->dim[d];
    }
    if (fits) return REEL_OK;
    return reel_fail(REEL_ERR_INPUT, "the updates' shape does not fit data and indices");
}

static enum reel_err infer_scatter_nd(const struct op_call *call)
{
    int q;
    enum reduction reduction = REDUCE_NONE;
    enum reel_err err = scatter_nd_check(call, &q, &reduction);
    return err ? err : op_infer_same(call);
}

static enum reel_err eval_scatter_nd(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0], *updates = call->in[2];
    int q;
    enum reduction reduction = REDUCE_NONE;
    enum reel_err err = move_check(call, 0);
    if (!err) err = scatter_nd_check(call, &q, &reduction);
    if (!err) err = typed_copy_as(call, &in->shape);
    if (err || !call->out[0] || reel_tensor_count(updates) == 0) return err;
    struct nd nd;
    nd_init(&nd, &in->shape, &call->in[1]->shape, 0, q);
    int64_t *tuples;
    err = index_read(call, 1, &tuples);
    int64_t *offsets = err ? NULL : work_alloc(nd.n_each, sizeof *offsets);
    if (!err && !offsets) err = REEL_ERR_NOMEM;
    if (!err) err = nd_offsets(&nd, &in->shape, tuples, offsets);
    const size_t bytes = reel_dtype_bytes(in->dtype), row = (size_t)nd.block * bytes;
    char *out = call->out[0]->data;
    for (int64_t i = 0; !err && i < nd.n_each; i++) {
        const char *from = (const char *)updates->data + (size_t)i * row;
        if (reduction == REDUCE_NONE)
            move_element(out + (size_t)offsets[i] * bytes, from, row);
        else
            combine_fns[in->dtype](out + (size_t)offsets[i] * bytes, from, nd.block, reduction);
    }
    free(offsets);
    free(tuples);
    return err;
}

// ---- TensorScatter ----------------------------------------------------------

static enum reel_err tensor_scatter_check(const struct op_call *call, int *out_axis, bool *out_circular)
{
    enum reel_err err = typed_present(call, 2);
    if (err) return err;
    const struct reel_shape *cache = &call->in[0]->shape, *update = &call->in[1]->shape;
    const char *mode = node_attr_string(call->node, "mode", "linear");
    *out_circular = !strcmp(mode, "circular");
    if (!*out_circular && strcmp(mode, "linear") != 0)
        return reel_fail(REEL_ERR_INPUT, "attribute mode is \"%s\", but must be \"linear\" or \"circular\"", mode);
    err = typed_same(call, 0, 1);
    if (err || cache->ndim < 0 || update->ndim < 0) return err;
    err = op_axis(node_attr_int(call->node, "axis", -2), cache->ndim, out_axis);
    if (err) return err;
    bool fits = *out_axis > 0 && update->ndim == cache->ndim;
    for (int d = 0; fits && d < cache->ndim; d++) {
        const int64_t a = cache->dim[d], b = update->dim[d];
        fits = a < 0 || b < 0 || a == b || (d == *out_axis && b < a);
    }
    return fits ? REEL_OK : reel_fail(REEL_ERR_INPUT, "the update does not fit the cache along axis %d", *out_axis);
}

static enum reel_err infer_tensor_scatter(const struct op_call *call)
{
    int axis;
    bool circular;
    enum reel_err err = tensor_scatter_check(call, &axis, &circular);
    return err ? err : op_infer_same(call);
}

static enum reel_err eval_tensor_scatter(const struct op_call *call)
{
    const struct reel_tensor *cache = call->in[0], *update = call->in[1];
    int axis;
    bool circular;
    enum reel_err err = move_check(call, 0);
    if (!err) err = tensor_scatter_check(call, &axis, &circular);
    if (!err) err = typed_copy_as(call, &cache->shape);
    if (err || !call->out[0] || reel_tensor_count(update) == 0) return err;
    const int64_t batches = cache->shape.dim[0], outer = shape_span(&cache->shape, 0, axis);
    const int64_t length = cache->shape.dim[axis], n = update->shape.dim[axis];
    int64_t *start = NULL, n_start = 0;
    if (call_in(call, 2)) err = typed_ints(call, 2, batches, &start, &n_start);
    if (!err && start && n_start != batches)
        err = reel_fail(REEL_ERR_INPUT, "%lld write indices are given for %lld samples", (long long)n_start,
                        (long long)batches);
    for (int64_t b = 0; !err && start && b < batches; b++)
        if (start[b] < 0 || (!circular && start[b] > length - n))
            err = reel_fail(REEL_ERR_INPUT, "write index %lld is out of range for extent %lld", (long long)start[b],
                            (long long)length);
    const size_t row = (size_t)shape_span(&cache->shape, axis + 1, cache->shape.ndim) * reel_dtype_bytes(cache->dtype);
    char *out = call->out[0]->data;
    for (int64_t o = 0; !err && o < outer; o++) {
        const int64_t first = start ? start[o / (outer / batches)] % length : 0;
        for (int64_t i = 0; i < n; i++)
            move_element(out + (size_t)(o * length + (first + i) % length) * row,
                         (const char *)update->data + (size_t)(o * n + i) * row, row);
    }
    free(start);
    return err;
}

// ---- the table --------------------------------------------------------------

const struct op_def ops_scatter[] = {
    DEF_SINCE("Scatter", 9, 3, 3, 1, TYPES_ALL, 0, infer_scatter_elements, eval_scatter_elements),
    DEF_SINCE("ScatterElements", 11, 3, 3, 1, TYPES_ALL, 0, infer_scatter_elements, eval_scatter_elements),
    DEF_SINCE("ScatterND", 11, 3, 3, 1, TYPES_ALL, 0, infer_scatter_nd, eval_scatter_nd),
    DEF_SINCE("TensorScatter", 24, 2, 3, 1, TYPES_ALL, 0, infer_tensor_scatter, eval_tensor_scatter),
};
const int ops_scatter_count = sizeof ops_scatter / sizeof *ops_scatter;
