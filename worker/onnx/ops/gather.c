// SPDX-License-Identifier: MIT
//
// The family gather: operators that read or write at positions which are data
// themselves, and those that make such positions.
//
// Every index is checked before it is used; negative ones count from the end.
// Elements are moved by their size. Scatters that combine (add, mul, max, min)
// do it in the element's type, 16-bit floats in single precision with one
// rounding per step.
#include "worker/onnx/ops/typed.h"

// ---- indices --------------------------------------------------------------

// All elements of integer input i as int64, in memory the caller frees.
static enum reel_err indices(const struct op_call *call, int i, int64_t **out_values)
{
    int64_t n;
    return typed_ints(call, i, INT64_MAX, out_values, &n);
}

// index in [-extent, extent) -> [0, extent).
static enum reel_err place(int64_t *index, int64_t extent)
{
    if (*index < -extent || *index >= extent)
        return reel_fail(REEL_ERR_INPUT, "index %lld is out of range for extent %lld", (long long)*index,
                         (long long)extent);
    if (*index < 0) *index += extent;
    return REEL_OK;
}

// All n indices at once; the first wrong one is named.
static enum reel_err place_all(int64_t *values, int64_t n, int64_t extent)
{
    enum reel_err err = REEL_OK;
    for (int64_t i = 0; !err && i < n; i++) err = place(&values[i], extent);
    return err;
}

static enum reel_err check_indices(const struct op_call *call, int i)
{
    enum reel_err err = typed_present(call, i + 1);
    if (err) return err;
    const enum reel_dtype dtype = call->in[i]->dtype;
    return dtype == REEL_I64 || dtype == REEL_I32 ? REEL_OK : typed_refuse(call, i);
}

static enum reel_err check_sized(const struct op_call *call, int i)
{
    return reel_dtype_bytes(call->in[i]->dtype) ? REEL_OK : typed_refuse(call, i);
}

static void copy_element(char *to, const char *from, size_t bytes)
{
    switch (bytes) {
    case 1:
        *to = *from;
        break;
    case 2:
        memcpy(to, from, 2);
        break;
    case 4:
        memcpy(to, from, 4);
        break;
    case 8:
        memcpy(to, from, 8);
        break;
    default:
        memcpy(to, from, bytes);
    }
}

// ---- Gather ---------------------------------------------------------------

static enum reel_err gather_shape(const struct op_call *call, int *out_axis, struct reel_shape *out)
{
    *out = shape_unknown();
    enum reel_err err = check_indices(call, 1);
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape, *at = &call->in[1]->shape;
    if (err || in->ndim < 0) return err;
    err = op_axis(node_attr_int(call->node, "axis", 0), in->ndim, out_axis);
    if (err || at->ndim < 0) return err;
    if (in->ndim - 1 + at->ndim > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_UNSUPPORTED, "the result has %d dimensions, more than the %d supported",
                         in->ndim - 1 + at->ndim, REEL_MAX_DIMS);
    out->ndim = 0;
    for (int d = 0; d < *out_axis; d++) out->dim[out->ndim++] = in->dim[d];
    for (int d = 0; d < at->ndim; d++) out->dim[out->ndim++] = at->dim[d];
    for (int d = *out_axis + 1; d < in->ndim; d++) out->dim[out->ndim++] = in->dim[d];
    return REEL_OK;
}

static enum reel_err infer_gather(const struct op_call *call)
{
    int axis;
    struct reel_shape shape;
    enum reel_err err = gather_shape(call, &axis, &shape);
    if (!err) infer_out(call, 0, call->in[0]->dtype, &shape);
    return err;
}

static enum reel_err eval_gather(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    int axis;
    struct reel_shape shape;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = gather_shape(call, &axis, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err) return err;
    int64_t *at;
    err = indices(call, 1, &at);
    const int64_t n = reel_tensor_count(call->in[1]), extent = in->shape.dim[axis];
    if (!err) err = place_all(at, n, extent);
    if (!err && reel_shape_count(&shape) > 0) {
        const int64_t outer = shape_span(&in->shape, 0, axis);
        const size_t row = (size_t)shape_span(&in->shape, axis + 1, in->shape.ndim) * reel_dtype_bytes(in->dtype);
        char *out = call->out[0]->data;
        for (int64_t o = 0; o < outer; o++) {
            const char *from = (const char *)in->data + (size_t)(o * extent) * row;
            for (int64_t i = 0; i < n; i++, out += row) copy_element(out, from + (size_t)at[i] * row, row);
        }
    }
    free(at);
    return err;
}

// ---- elements along an axis: GatherElements, ScatterElements ----------------

// Walks an indices tensor over a data tensor of the same rank: for each of its
// positions the offset in data with the coordinate along axis left out.
struct element_walk {
    int ndim, axis;
    int64_t index[REEL_MAX_DIMS], dim[REEL_MAX_DIMS], stride[REEL_MAX_DIMS];
    int64_t at; // in elements, without the axis' coordinate
};

static enum reel_err element_walk_init(struct element_walk *w, const struct reel_shape *data,
                                       const struct reel_shape *at, int axis)
{
    *w = (struct element_walk){.ndim = data->ndim, .axis = axis};
    int64_t stride = 1;
    for (int d = data->ndim - 1; d >= 0; d--) {
        w->dim[d] = at->dim[d];
        w->stride[d] = stride;
        stride *= data->dim[d];
        if (d != axis && at->dim[d] > data->dim[d])
            return reel_fail(REEL_ERR_INPUT, "the indices are longer (%lld) than the data (%lld) in dimension %d",
                             (long long)at->dim[d], (long long)data->dim[d], d);
    }
    return REEL_OK;
}

static void element_walk_next(struct element_walk *w)
{
    for (int d = w->ndim - 1; d >= 0; d--) {
        const int64_t stride = d == w->axis ? 0 : w->stride[d];
        w->at += stride;
        if (++w->index[d] < w->dim[d]) return;
        w->at -= stride * w->dim[d];
        w->index[d] = 0;
    }
}

static enum reel_err elements_axis(const struct op_call *call, int *out_axis)
{
    *out_axis = 0;
    enum reel_err err = check_indices(call, 1);
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape, *at = &call->in[1]->shape;
    if (in->ndim < 0) return REEL_OK;
    err = op_axis(node_attr_int(call->node, "axis", 0), in->ndim, out_axis);
    if (err || at->ndim < 0) return err;
    if (in->ndim != at->ndim)
        return reel_fail(REEL_ERR_INPUT, "data and indices have ranks %d and %d", in->ndim, at->ndim);
    return REEL_OK;
}

static enum reel_err infer_gather_elements(const struct op_call *call)
{
    int axis;
    enum reel_err err = elements_axis(call, &axis);
    if (!err) infer_out(call, 0, call->in[0]->dtype, &call->in[1]->shape);
    return err;
}

static enum reel_err eval_gather_elements(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    int axis;
    struct element_walk w = {.ndim = 0};
    enum reel_err err = check_sized(call, 0);
    if (!err) err = elements_axis(call, &axis);
    const int64_t n = err ? 0 : reel_tensor_count(call->in[1]);
    if (!err && n > 0) err = element_walk_init(&w, &in->shape, &call->in[1]->shape, axis);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &call->in[1]->shape);
    if (err || n == 0) return err;
    int64_t *at;
    err = indices(call, 1, &at);
    if (!err) err = place_all(at, n, in->shape.dim[axis]);
    const size_t bytes = reel_dtype_bytes(in->dtype);
    char *out = call->out[0]->data;
    for (int64_t i = 0; !err && i < n; i++, element_walk_next(&w))
        copy_element(out + (size_t)i * bytes, (const char *)in->data + (size_t)(w.at + at[i] * w.stride[axis]) * bytes,
                     bytes);
    free(at);
    return err;
}

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
    return reel_fail(REEL_ERR_INPUT, "attribute reduction is \"%s\", which is no way to combine", text);
}

// ---- ScatterElements (Scatter) ----------------------------------------------

static enum reel_err infer_scatter_elements(const struct op_call *call)
{
    int axis;
    enum reduction reduction;
    enum reel_err err = elements_axis(call, &axis);
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
    enum reel_err err = check_sized(call, 0);
    if (!err) err = elements_axis(call, &axis);
    if (!err) err = typed_same(call, 0, 2);
    if (!err) err = read_reduction(call, &reduction);
    if (!err && !reel_shape_equal(&call->in[1]->shape, &updates->shape))
        err = reel_fail(REEL_ERR_INPUT, "indices and updates have different shapes");
    const int64_t n = err ? 0 : reel_tensor_count(updates);
    if (!err && n > 0) err = element_walk_init(&w, &in->shape, &updates->shape, axis);
    if (!err) err = typed_copy_as(call, &in->shape);
    if (err || !call->out[0] || n == 0) return err;
    int64_t *at;
    err = indices(call, 1, &at);
    if (!err) err = place_all(at, n, in->shape.dim[axis]);
    const size_t bytes = reel_dtype_bytes(in->dtype);
    char *out = call->out[0]->data;
    for (int64_t i = 0; !err && i < n; i++, element_walk_next(&w)) {
        char *to = out + (size_t)(w.at + at[i] * w.stride[axis]) * bytes;
        const char *from = (const char *)updates->data + (size_t)i * bytes;
        if (reduction == REDUCE_NONE)
            copy_element(to, from, bytes);
        else
            combine_fns[in->dtype](to, from, 1, reduction);
    }
    free(at);
    return err;
}

// ---- GatherND, ScatterND ----------------------------------------------------

// Indices (..., q): each q-tuple names a block of data below batch dimensions.
struct nd {
    int batch, q;
    int64_t n_batch;    // product of the batch extents
    int64_t n_each;     // tuples a batch
    int64_t block;      // elements behind a tuple
    int64_t batch_size; // elements of data a batch
};

static enum reel_err nd_check(const struct reel_shape *data, const struct reel_shape *at, int batch, int *out_q)
{
    if (data->ndim < 1 || at->ndim < 1 || batch < 0 || batch >= data->ndim || batch >= at->ndim)
        return reel_fail(REEL_ERR_INPUT, "data of rank %d and indices of rank %d do not fit %d batch dimensions",
                         data->ndim, at->ndim, batch);
    for (int d = 0; d < batch; d++)
        if (data->dim[d] >= 0 && at->dim[d] >= 0 && data->dim[d] != at->dim[d])
            return reel_fail(REEL_ERR_INPUT, "batch dimension %d is %lld in data and %lld in indices", d,
                             (long long)data->dim[d], (long long)at->dim[d]);
    const int64_t q = at->dim[at->ndim - 1];
    if (q > data->ndim - batch)
        return reel_fail(REEL_ERR_INPUT, "indices of %lld numbers point into rank %d", (long long)q,
                         data->ndim - batch);
    *out_q = (int)q;
    return REEL_OK;
}

static void nd_init(struct nd *nd, const struct reel_shape *data, const struct reel_shape *at, int batch, int q)
{
    *nd = (struct nd){.batch = batch, .q = q};
    nd->n_batch = shape_span(data, 0, batch);
    nd->n_each = shape_span(at, batch, at->ndim - 1);
    nd->block = shape_span(data, batch + q, data->ndim);
    nd->batch_size = shape_span(data, batch, data->ndim);
}

// Turns all tuples into offsets of data, in elements; out_offsets may not be
// the tuples themselves.
static enum reel_err nd_offsets(const struct nd *nd, const struct reel_shape *data, int64_t *tuples,
                                int64_t *out_offsets)
{
    for (int64_t b = 0, i = 0; b < nd->n_batch; b++)
        for (int64_t k = 0; k < nd->n_each; k++, i++) {
            int64_t at = 0;
            for (int j = 0; j < nd->q; j++) {
                int64_t *index = &tuples[i * nd->q + j];
                enum reel_err err = place(index, data->dim[nd->batch + j]);
                if (err) return err;
                at = at * data->dim[nd->batch + j] + *index;
            }
            out_offsets[i] = b * nd->batch_size + at * nd->block;
        }
    return REEL_OK;
}

static enum reel_err gather_nd_shape(const struct op_call *call, int *out_batch, int *out_q, struct reel_shape *out)
{
    *out = shape_unknown();
    enum reel_err err = typed_present(call, 2);
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape, *at = &call->in[1]->shape;
    if (call->in[1]->dtype != REEL_I64) return typed_refuse(call, 1);
    if (in->ndim < 0 || at->ndim < 0) return REEL_OK;
    const int64_t batch = node_attr_int(call->node, "batch_dims", 0);
    if (batch < 0 || batch > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_INPUT, "attribute batch_dims is %lld", (long long)batch);
    *out_batch = (int)batch;
    err = nd_check(in, at, *out_batch, out_q);
    if (err || *out_q < 0) return err;
    const int ndim = at->ndim - 1 + in->ndim - *out_batch - *out_q;
    if (ndim > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_UNSUPPORTED, "the result has %d dimensions, more than the %d supported", ndim,
                         REEL_MAX_DIMS);
    out->ndim = 0;
    for (int d = 0; d < at->ndim - 1; d++) out->dim[out->ndim++] = at->dim[d];
    for (int d = *out_batch + *out_q; d < in->ndim; d++) out->dim[out->ndim++] = in->dim[d];
    return REEL_OK;
}

static enum reel_err infer_gather_nd(const struct op_call *call)
{
    int batch = 0, q = 0;
    struct reel_shape shape;
    enum reel_err err = gather_nd_shape(call, &batch, &q, &shape);
    if (!err) infer_out(call, 0, call->in[0]->dtype, &shape);
    return err;
}

static enum reel_err eval_gather_nd(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    int batch = 0, q = 0;
    struct reel_shape shape;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = gather_nd_shape(call, &batch, &q, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    struct nd nd;
    nd_init(&nd, &in->shape, &call->in[1]->shape, batch, q);
    int64_t *tuples, n = nd.n_batch * nd.n_each;
    err = indices(call, 1, &tuples);
    int64_t *offsets = err ? NULL : work_alloc(n, sizeof *offsets);
    if (!err && !offsets) err = REEL_ERR_NOMEM;
    if (!err) err = nd_offsets(&nd, &in->shape, tuples, offsets);
    const size_t bytes = reel_dtype_bytes(in->dtype), row = (size_t)nd.block * bytes;
    char *out = call->out[0]->data;
    for (int64_t i = 0; !err && i < n; i++)
        copy_element(out + (size_t)i * row, (const char *)in->data + (size_t)offsets[i] * bytes, row);
    free(offsets);
    free(tuples);
    return err;
}

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
    enum reel_err err = check_sized(call, 0);
    if (!err) err = scatter_nd_check(call, &q, &reduction);
    if (!err) err = typed_copy_as(call, &in->shape);
    if (err || !call->out[0] || reel_tensor_count(updates) == 0) return err;
    struct nd nd;
    nd_init(&nd, &in->shape, &call->in[1]->shape, 0, q);
    int64_t *tuples;
    err = indices(call, 1, &tuples);
    int64_t *offsets = err ? NULL : work_alloc(nd.n_each, sizeof *offsets);
    if (!err && !offsets) err = REEL_ERR_NOMEM;
    if (!err) err = nd_offsets(&nd, &in->shape, tuples, offsets);
    const size_t bytes = reel_dtype_bytes(in->dtype), row = (size_t)nd.block * bytes;
    char *out = call->out[0]->data;
    for (int64_t i = 0; !err && i < nd.n_each; i++) {
        const char *from = (const char *)updates->data + (size_t)i * row;
        if (reduction == REDUCE_NONE)
            copy_element(out + (size_t)offsets[i] * bytes, from, row);
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
    enum reel_err err = check_sized(call, 0);
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
            copy_element(out + (size_t)(o * length + (first + i) % length) * row,
                         (const char *)update->data + (size_t)(o * n + i) * row, row);
    }
    free(start);
    return err;
}

// ---- OneHot -----------------------------------------------------------------

static enum reel_err one_hot_shape(const struct op_call *call, int *out_axis, struct reel_shape *out)
{
    enum reel_err err = typed_present(call, 3);
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape;
    const struct reel_tensor *depth = call->in[1], *values = call->in[2];
    *out = shape_unknown();
    if (!(TYPES_NUM & T_(depth->dtype))) return typed_refuse(call, 1);
    if (!reel_dtype_bytes(values->dtype)) return typed_refuse(call, 2);
    const int64_t n_depth = reel_tensor_count(depth), n_values = reel_tensor_count(values);
    if ((n_depth >= 0 && n_depth != 1) || (n_values >= 0 && n_values != 2))
        return reel_fail(REEL_ERR_INPUT, "depth has %lld elements, not 1, or values %lld, not 2", (long long)n_depth,
                         (long long)n_values);
    if (in->ndim < 0) return REEL_OK;
    if (in->ndim + 1 > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_UNSUPPORTED, "the result has more than %d dimensions", REEL_MAX_DIMS);
    err = op_axis(node_attr_int(call->node, "axis", -1), in->ndim + 1, out_axis);
    if (err) return err;
    out->ndim = in->ndim + 1;
    for (int d = 0, from = 0; d < out->ndim; d++) out->dim[d] = d == *out_axis ? -1 : in->dim[from++];
    if (!has_data(depth)) return REEL_OK;
    const double wide = op_scalar(depth, 0);
    if (!(wide >= 0 && wide <= 0x1p40)) return reel_fail(REEL_ERR_INPUT, "depth is %g", wide);
    out->dim[*out_axis] = op_scalar_int(depth, 0);
    return REEL_OK;
}

static enum reel_err infer_one_hot(const struct op_call *call)
{
    int axis;
    struct reel_shape shape;
    enum reel_err err = one_hot_shape(call, &axis, &shape);
    if (!err) infer_out(call, 0, call->in[2]->dtype, &shape);
    return err;
}

static enum reel_err eval_one_hot(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0], *values = call->in[2];
    int axis;
    struct reel_shape shape;
    if (!(TYPES_NUM & T_(in->dtype))) return typed_refuse(call, 0);
    enum reel_err err = one_hot_shape(call, &axis, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, values->dtype, &shape);
    const int64_t n = reel_shape_count(&shape);
    if (err || n == 0) return err;
    const size_t bytes = reel_dtype_bytes(values->dtype);
    const char *off = values->data, *on = off + bytes;
    char *out = call->out[0]->data;
    for (int64_t i = 0; i < n; i++) copy_element(out + (size_t)i * bytes, off, bytes);
    const int64_t outer = shape_span(&in->shape, 0, axis), inner = shape_span(&in->shape, axis, in->shape.ndim);
    const int64_t depth = shape.dim[axis];
    for (int64_t i = 0; i < outer * inner; i++) {
        // An index out of range, NaN too, leaves its column off.
        const double wide = op_scalar(in, i);
        if (!(wide >= (double)-depth && wide < (double)depth)) continue;
        int64_t at = op_scalar_int(in, i);
        if (at < 0) at += depth;
        copy_element(out + (size_t)((i / inner * depth + at) * inner + i % inner) * bytes, on, bytes);
    }
    return REEL_OK;
}

// ---- NonZero, Compress ------------------------------------------------------

// out[i] = element i of t is not 0 (NaN is not, -0 is).
static enum reel_err nonzero_mask(const struct reel_tensor *t, uint8_t **out_mask)
{
    const int64_t n = reel_tensor_count(t);
    uint8_t *mask = work_alloc(n, 1);
    *out_mask = mask;
    if (!mask) return REEL_ERR_NOMEM;
    reel_convert(mask, REEL_BOOL, t->data, t->dtype, n);
    for (int64_t i = 0; t->dtype == REEL_BOOL && i < n; i++) mask[i] = mask[i] != 0;
    return REEL_OK;
}

static enum reel_err infer_nonzero(const struct op_call *call)
{
    const int ndim = call->in[0]->shape.ndim;
    infer_out(call, 0, REEL_I64, &(struct reel_shape){.ndim = 2, .dim = {ndim, -1}});
    return REEL_OK;
}

// (rank, n): one row of coordinates per dimension, in row-major order.
static enum reel_err eval_nonzero(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    enum reel_err err = check_sized(call, 0);
    if (err || !call->out[0]) return err;
    uint8_t *mask;
    err = nonzero_mask(in, &mask);
    if (err) return err;
    const int64_t count = reel_tensor_count(in);
    const int ndim = in->shape.ndim;
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) n += mask[i];
    err = op_alloc_out(call, 0, REEL_I64, &(struct reel_shape){.ndim = 2, .dim = {ndim, n}});
    if (!err) {
        int64_t *out = call->out[0]->data, index[REEL_MAX_DIMS] = {0}, k = 0;
        for (int64_t i = 0; i < count; i++) {
            if (mask[i]) {
                for (int d = 0; d < ndim; d++) out[d * n + k] = index[d];
                k++;
            }
            for (int d = ndim - 1; d >= 0; d--) {
                if (++index[d] < in->shape.dim[d]) break;
                index[d] = 0;
            }
        }
    }
    free(mask);
    return err;
}

static enum reel_err compress_shape(const struct op_call *call, int *out_axis, struct reel_shape *out)
{
    enum reel_err err = typed_present(call, 2);
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape, *condition = &call->in[1]->shape;
    *out_axis = -1;
    *out = shape_unknown();
    if (call->in[1]->dtype != REEL_BOOL) return typed_refuse(call, 1);
    if (condition->ndim >= 0 && condition->ndim != 1)
        return reel_fail(REEL_ERR_INPUT, "the condition has rank %d, not 1", condition->ndim);
    *out = (struct reel_shape){.ndim = 1, .dim = {-1}};
    if (!node_attr(call->node, "axis")) return REEL_OK;
    *out = *in;
    if (in->ndim < 0) return REEL_OK;
    err = op_axis(node_attr_int(call->node, "axis", 0), in->ndim, out_axis);
    if (!err) out->dim[*out_axis] = -1;
    return err;
}

static enum reel_err infer_compress(const struct op_call *call)
{
    int axis;
    struct reel_shape shape;
    enum reel_err err = compress_shape(call, &axis, &shape);
    if (!err) infer_out(call, 0, call->in[0]->dtype, &shape);
    return err;
}

static enum reel_err eval_compress(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0], *condition = call->in[1];
    int axis;
    struct reel_shape shape;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = compress_shape(call, &axis, &shape);
    if (err || !call->out[0]) return err;
    const bool flat = axis < 0;
    const int64_t outer = flat ? 1 : shape_span(&in->shape, 0, axis);
    const int64_t inner = flat ? 1 : shape_span(&in->shape, axis + 1, in->shape.ndim);
    const int64_t extent = flat ? reel_tensor_count(in) : in->shape.dim[axis];
    // A shorter condition leaves the rest out; what stands beyond must be false.
    const int64_t n_condition = reel_tensor_count(condition), n = n_condition < extent ? n_condition : extent;
    const uint8_t *take = condition->data;
    int64_t kept = 0;
    for (int64_t i = 0; i < n_condition; i++) {
        if (!take[i]) continue;
        if (i >= extent)
            return reel_fail(REEL_ERR_INPUT, "element %lld is chosen of %lld", (long long)i, (long long)extent);
        kept++;
    }
    shape.dim[flat ? 0 : axis] = kept;
    err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    const size_t row = (size_t)inner * reel_dtype_bytes(in->dtype);
    char *out = call->out[0]->data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++) {
            if (!take[i]) continue;
            copy_element(out, (const char *)in->data + (size_t)(o * extent + i) * row, row);
            out += row;
        }
    return REEL_OK;
}

// ---- Unique -----------------------------------------------------------------

// -1, 0, 1 for elements a and b of type T; NaN is above all and equals itself.
typedef int (*compare_fn)(const void *a, const void *b);
#define COMPARE_FN(D, s, T, U)                             \
    static int compare_##s(const void *pa, const void *pb) \
    {                                                      \
        const T a = *(const T *)pa, b = *(const T *)pb;    \
        if (a != a || b != b) return (a != a) - (b != b);  \
        return (a > b) - (a < b);                          \
    }
EACH_REAL(COMPARE_FN)

static int compare_f16(const void *a, const void *b)
{
    const float x = reel_f16_to_f32(*(const uint16_t *)a), y = reel_f16_to_f32(*(const uint16_t *)b);
    return compare_f32(&x, &y);
}

static int compare_bf16(const void *a, const void *b)
{
    const float x = reel_bf16_to_f32(*(const uint16_t *)a), y = reel_bf16_to_f32(*(const uint16_t *)b);
    return compare_f32(&x, &y);
}

#define COMPARE_ENTRY(D, s, T, U) [D] = compare_##s,
static const compare_fn compare_fns[REEL_DTYPE_COUNT] = {
    EACH_REAL(COMPARE_ENTRY)[REEL_F16] = compare_f16, [REEL_BF16] = compare_bf16, [REEL_BOOL] = compare_u8};

// The subtensors along an axis, each (outer, inner) elements.
struct subtensors {
    const char *data;
    int64_t outer, n, inner;
    size_t bytes;
    compare_fn compare;
};

static int compare_subtensors(const struct subtensors *s, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t i = 0; i < s->inner; i++) {
            const int c = s->compare(s->data + (size_t)((o * s->n + a) * s->inner + i) * s->bytes,
                                     s->data + (size_t)((o * s->n + b) * s->inner + i) * s->bytes);
            if (c) return c;
        }
    return 0;
}

// Equal subtensors are ordered by position.
static int by_value(const void *a, const void *b, void *subtensors)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    const int c = compare_subtensors(subtensors, x, y);
    return c ? c : (x > y) - (x < y);
}

static int by_first(const void *a, const void *b, void *first)
{
    const int64_t x = ((const int64_t *)first)[*(const int64_t *)a], y = ((const int64_t *)first)[*(const int64_t *)b];
    return (x > y) - (x < y);
}

// Groups of equal subtensors, in output order.
struct groups {
    int64_t n;        // groups
    int64_t *first;   // position of each group's first member
    int64_t *count;   // members
    int64_t *inverse; // group of each subtensor
};

static void groups_fini(struct groups *g)
{
    free(g->first);
    free(g->count);
    free(g->inverse);
}

static enum reel_err groups_find(struct groups *g, struct subtensors *s, bool sorted)
{
    *g = (struct groups){.first = work_alloc(s->n, 8), .count = work_alloc(s->n, 8), .inverse = work_alloc(s->n, 8)};
    int64_t *order = work_alloc(s->n, 2 * sizeof *order), *rank = order ? order + s->n : NULL;
    if (!g->first || !g->count || !g->inverse || !order) {
        free(order);
        return REEL_ERR_NOMEM;
    }
    for (int64_t i = 0; i < s->n; i++) order[i] = i;
    qsort_r(order, (size_t)s->n, sizeof *order, by_value, s);
    for (int64_t i = 0; i < s->n; i++) {
        if (i == 0 || compare_subtensors(s, order[i - 1], order[i]) != 0) {
            g->first[g->n] = order[i];
            g->count[g->n++] = 0;
        }
        g->count[g->n - 1]++;
        g->inverse[order[i]] = g->n - 1;
    }
    if (!sorted) {
        // Groups by first occurrence: order[new] = old, rank[old] = new.
        for (int64_t i = 0; i < g->n; i++) order[i] = i;
        qsort_r(order, (size_t)g->n, sizeof *order, by_first, g->first);
        for (int64_t i = 0; i < g->n; i++) rank[order[i]] = i;
        for (int64_t i = 0; i < s->n; i++) g->inverse[i] = rank[g->inverse[i]];
        for (int64_t i = 0; i < s->n; i++) g->count[g->inverse[i]] = 0;
        for (int64_t i = s->n - 1; i >= 0; i--) {
            g->first[g->inverse[i]] = i;
            g->count[g->inverse[i]]++;
        }
    }
    free(order);
    return REEL_OK;
}

static enum reel_err unique_axis(const struct op_call *call, int *out_axis)
{
    *out_axis = -1;
    if (!node_attr(call->node, "axis") || call->in[0]->shape.ndim < 0) return REEL_OK;
    return op_axis(node_attr_int(call->node, "axis", 0), call->in[0]->shape.ndim, out_axis);
}

static enum reel_err infer_unique(const struct op_call *call)
{
    const struct reel_shape vector = {.ndim = 1, .dim = {-1}};
    int axis;
    enum reel_err err = unique_axis(call, &axis);
    if (err) return err;
    struct reel_shape shape = vector;
    if (node_attr(call->node, "axis")) shape = call->in[0]->shape;
    if (axis >= 0) shape.dim[axis] = -1;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    for (int i = 1; i < 4; i++) infer_out(call, i, REEL_I64, &vector);
    return REEL_OK;
}

static enum reel_err unique_store(const struct op_call *call, int i, const int64_t *values, int64_t n)
{
    if (!call_out(call, i)) return REEL_OK;
    enum reel_err err = op_alloc_out(call, i, REEL_I64, &(struct reel_shape){.ndim = 1, .dim = {n}});
    if (!err && n) memcpy(call->out[i]->data, values, (size_t)n * sizeof *values);
    return err;
}

static enum reel_err unique_values(const struct op_call *call, const struct subtensors *s, const struct groups *g,
                                   int axis)
{
    const struct reel_tensor *in = call->in[0];
    if (!call->out[0]) return REEL_OK;
    struct reel_shape shape = {.ndim = 1, .dim = {g->n}};
    if (axis >= 0) shape = in->shape, shape.dim[axis] = g->n;
    enum reel_err err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    const size_t row = (size_t)s->inner * s->bytes;
    char *out = call->out[0]->data;
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t k = 0; k < g->n; k++, out += row)
            copy_element(out, s->data + (size_t)(o * s->n + g->first[k]) * row, row);
    return REEL_OK;
}

static enum reel_err eval_unique(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    if (!compare_fns[in->dtype]) return typed_refuse(call, 0);
    int axis;
    enum reel_err err = unique_axis(call, &axis);
    if (err) return err;
    struct subtensors s = {.data = in->data, .outer = 1, .n = reel_tensor_count(in), .inner = 1};
    s.bytes = reel_dtype_bytes(in->dtype);
    s.compare = compare_fns[in->dtype];
    if (axis >= 0) {
        s.outer = shape_span(&in->shape, 0, axis);
        s.n = in->shape.dim[axis];
        s.inner = shape_span(&in->shape, axis + 1, in->shape.ndim);
    }
    struct groups g;
    err = groups_find(&g, &s, node_attr_int(call->node, "sorted", 1) != 0);
    if (!err) err = unique_values(call, &s, &g, axis);
    if (!err) err = unique_store(call, 1, g.first, g.n);
    if (!err) err = unique_store(call, 2, g.inverse, s.n);
    if (!err) err = unique_store(call, 3, g.count, g.n);
    groups_fini(&g);
    return err;
}

// ---- Trilu, EyeLike ---------------------------------------------------------

static enum reel_err infer_trilu(const struct op_call *call)
{
    if (call->in[0]->shape.ndim >= 0 && call->in[0]->shape.ndim < 2)
        return reel_fail(REEL_ERR_INPUT, "the input has rank %d, but must hold matrices", call->in[0]->shape.ndim);
    return op_infer_same(call);
}

// Keeps j - i >= k (upper) or <= k (lower) of every matrix, 0 elsewhere.
static enum reel_err eval_trilu(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    enum reel_err err = check_sized(call, 0);
    if (err) return err;
    if (in->shape.ndim < 2) return infer_trilu(call);
    int64_t k = 0;
    if (call_in(call, 1)) {
        int64_t *values, n;
        err = typed_ints(call, 1, 1, &values, &n);
        if (!err && n != 1) err = reel_fail(REEL_ERR_INPUT, "k is no scalar");
        if (!err) k = values[0];
        free(values);
        if (err) return err;
    }
    if (!call->out[0]) return REEL_OK;
    err = op_alloc_out(call, 0, in->dtype, &in->shape);
    if (err || reel_tensor_count(in) == 0) return err;
    const int64_t rows = in->shape.dim[in->shape.ndim - 2], columns = in->shape.dim[in->shape.ndim - 1];
    const int64_t total = shape_span(&in->shape, 0, in->shape.ndim - 1);
    const bool upper = node_attr_int(call->node, "upper", 1) != 0;
    const size_t bytes = reel_dtype_bytes(in->dtype), row = (size_t)columns * bytes;
    k = k < -rows ? -rows : k > columns ? columns : k;
    for (int64_t r = 0; r < total; r++) {
        // The first column beyond the lower part, or the first of the upper.
        int64_t cut = r % rows + k + (upper ? 0 : 1);
        cut = cut < 0 ? 0 : cut > columns ? columns : cut;
        const size_t head = (size_t)cut * bytes;
        char *out = (char *)call->out[0]->data + (size_t)r * row;
        const char *from = (const char *)in->data + (size_t)r * row;
        if (upper) {
            memset(out, 0, head);
            memcpy(out + head, from + head, row - head);
        } else {
            memcpy(out, from, head);
            memset(out + head, 0, row - head);
        }
    }
    return REEL_OK;
}

static enum reel_err eye_dtype(const struct op_call *call, enum reel_dtype *out_dtype)
{
    *out_dtype = call->in[0]->dtype;
    const struct attr *dtype = node_attr(call->node, "dtype");
    if (dtype) *out_dtype = dtype_of_onnx(node_attr_int(call->node, "dtype", 0));
    if (!reel_dtype_bytes(*out_dtype)) return reel_fail(REEL_ERR_UNSUPPORTED, "attribute dtype is no supported type");
    if (call->in[0]->shape.ndim >= 0 && call->in[0]->shape.ndim != 2)
        return reel_fail(REEL_ERR_INPUT, "the input has rank %d, not 2", call->in[0]->shape.ndim);
    return REEL_OK;
}

static enum reel_err infer_eye_like(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = eye_dtype(call, &dtype);
    if (!err) infer_out(call, 0, dtype, &call->in[0]->shape);
    return err;
}

static enum reel_err eval_eye_like(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = eye_dtype(call, &dtype);
    if (err || !call->out[0]) return err;
    const struct reel_shape *shape = &call->in[0]->shape;
    err = op_alloc_out(call, 0, dtype, shape);
    if (err || reel_shape_count(shape) == 0) return err;
    struct reel_tensor *out = call->out[0];
    memset(out->data, 0, reel_tensor_bytes(out));
    const int64_t k = node_attr_int(call->node, "k", 0), rows = shape->dim[0], columns = shape->dim[1];
    if (k <= -rows || k >= columns) return REEL_OK;
    const int64_t one = 1;
    for (int64_t r = k < 0 ? -k : 0; r < rows && r + k < columns; r++)
        reel_convert((char *)out->data + (size_t)(r * columns + r + k) * reel_dtype_bytes(dtype), dtype, &one, REEL_I64,
                     1);
    return REEL_OK;
}

// ---- the table --------------------------------------------------------------

#define DEF(op, since, min_in, max_in, max_out, types, flags, infer, eval)                             \
    {                                                                                                  \
        "", op, since, OPSET_LAST, min_in, max_in, 1, max_out, types, flags, infer, eval, "no strings" \
    }

const struct op_def ops_gather[] = {
    DEF("Compress", 9, 2, 2, 1, TYPES_ALL, OP_DATA_SHAPE, infer_compress, eval_compress),
    DEF("EyeLike", 9, 1, 1, 1, TYPES_ALL, 0, infer_eye_like, eval_eye_like),
    DEF("Gather", 1, 2, 2, 1, TYPES_ANY, 0, infer_gather, eval_gather),
    DEF("GatherElements", 11, 2, 2, 1, TYPES_ALL, 0, infer_gather_elements, eval_gather_elements),
    DEF("GatherND", 11, 2, 2, 1, TYPES_ALL, 0, infer_gather_nd, eval_gather_nd),
    DEF("NonZero", 9, 1, 1, 1, TYPES_ALL, OP_DATA_SHAPE, infer_nonzero, eval_nonzero),
    DEF("OneHot", 9, 3, 3, 1, TYPES_NUM, 0, infer_one_hot, eval_one_hot),
    DEF("Scatter", 9, 3, 3, 1, TYPES_ALL, 0, infer_scatter_elements, eval_scatter_elements),
    DEF("ScatterElements", 11, 3, 3, 1, TYPES_ALL, 0, infer_scatter_elements, eval_scatter_elements),
    DEF("ScatterND", 11, 3, 3, 1, TYPES_ALL, 0, infer_scatter_nd, eval_scatter_nd),
    DEF("TensorScatter", 24, 2, 3, 1, TYPES_ALL, 0, infer_tensor_scatter, eval_tensor_scatter),
    DEF("Trilu", 14, 1, 2, 1, TYPES_ALL, 0, infer_trilu, eval_trilu),
    DEF("Unique", 11, 1, 1, 4, TYPES_ALL, OP_DATA_SHAPE, infer_unique, eval_unique),
};
const int ops_gather_count = sizeof ops_gather / sizeof *ops_gather;
