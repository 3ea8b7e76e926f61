// SPDX-License-Identifier: MIT
//
// The family gather: operators that read at positions which are data themselves.
//
// indices.h checks every index before it is used. Elements are moved by their
// size, whatever their type.
#include "worker/onnx/ops/indices.h"
#include "worker/onnx/ops/moving.h"

// ---- Gather ---------------------------------------------------------------

static enum reel_err gather_shape(const struct op_call *call, int *out_axis, struct reel_shape *out)
{
    *out = shape_unknown();
    enum reel_err err = index_check(call, 1);
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
    enum reel_err err = move_check(call, 0);
    if (!err) err = gather_shape(call, &axis, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err) return err;
    int64_t *at;
    err = index_read(call, 1, &at);
    const int64_t n = reel_tensor_count(call->in[1]), extent = in->shape.dim[axis];
    if (!err) err = index_place_all(at, n, extent);
    if (!err && reel_shape_count(&shape) > 0) {
        const int64_t outer = shape_span(&in->shape, 0, axis);
        const size_t row = (size_t)shape_span(&in->shape, axis + 1, in->shape.ndim) * reel_dtype_bytes(in->dtype);
        char *out = call->out[0]->data;
        for (int64_t o = 0; o < outer; o++) {
            const char *from = (const char *)in->data + (size_t)(o * extent) * row;
            for (int64_t i = 0; i < n; i++, out += row) move_element(out, from + (size_t)at[i] * row, row);
        }
    }
    free(at);
    return err;
}

// ---- GatherElements ---------------------------------------------------------

static enum reel_err infer_gather_elements(const struct op_call *call)
{
    int axis;
    enum reel_err err = index_axis(call, &axis);
    if (!err) infer_out(call, 0, call->in[0]->dtype, &call->in[1]->shape);
    return err;
}

static enum reel_err eval_gather_elements(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    int axis;
    struct element_walk w = {.ndim = 0};
    enum reel_err err = move_check(call, 0);
    if (!err) err = index_axis(call, &axis);
    const int64_t n = err ? 0 : reel_tensor_count(call->in[1]);
    if (!err && n > 0) err = element_walk_init(&w, &in->shape, &call->in[1]->shape, axis);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &call->in[1]->shape);
    if (err || n == 0) return err;
    int64_t *at;
    err = index_read(call, 1, &at);
    if (!err) err = index_place_all(at, n, in->shape.dim[axis]);
    const size_t bytes = reel_dtype_bytes(in->dtype);
    char *out = call->out[0]->data;
    for (int64_t i = 0; !err && i < n; i++, element_walk_next(&w))
        move_element(out + (size_t)i * bytes, (const char *)in->data + (size_t)(w.at + at[i] * w.stride[axis]) * bytes,
                     bytes);
    free(at);
    return err;
}

// ---- GatherND ---------------------------------------------------------------

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
    enum reel_err err = move_check(call, 0);
    if (!err) err = gather_nd_shape(call, &batch, &q, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    struct nd nd;
    nd_init(&nd, &in->shape, &call->in[1]->shape, batch, q);
    int64_t *tuples, n = nd.n_batch * nd.n_each;
    err = index_read(call, 1, &tuples);
    int64_t *offsets = err ? NULL : work_alloc(n, sizeof *offsets);
    if (!err && !offsets) err = REEL_ERR_NOMEM;
    if (!err) err = nd_offsets(&nd, &in->shape, tuples, offsets);
    const size_t bytes = reel_dtype_bytes(in->dtype), row = (size_t)nd.block * bytes;
    char *out = call->out[0]->data;
    for (int64_t i = 0; !err && i < n; i++)
        move_element(out + (size_t)i * row, (const char *)in->data + (size_t)offsets[i] * bytes, row);
    free(offsets);
    free(tuples);
    return err;
}

// ---- the table --------------------------------------------------------------

const struct op_def ops_gather[] = {
    DEF_SINCE("Gather", 1, 2, 2, 1, TYPES_ANY, 0, infer_gather, eval_gather),
    DEF_SINCE("GatherElements", 11, 2, 2, 1, TYPES_ALL, 0, infer_gather_elements, eval_gather_elements),
    DEF_SINCE("GatherND", 11, 2, 2, 1, TYPES_ALL, 0, infer_gather_nd, eval_gather_nd),
};
const int ops_gather_count = sizeof ops_gather / sizeof *ops_gather;
