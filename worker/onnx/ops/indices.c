// SPDX-License-Identifier: MIT
//
// See indices.h.
#include "worker/onnx/ops/indices.h"

enum reel_err index_read(const struct op_call *call, int i, int64_t **out_values)
{
    int64_t n;
    return typed_ints(call, i, INT64_MAX, out_values, &n);
}

enum reel_err index_place(int64_t *index, int64_t extent)
{
    if (*index < -extent || *index >= extent)
        return reel_fail(REEL_ERR_INPUT, "index %lld is out of range for extent %lld", (long long)*index,
                         (long long)extent);
    if (*index < 0) *index += extent;
    return REEL_OK;
}

enum reel_err index_place_all(int64_t *values, int64_t n, int64_t extent)
{
    enum reel_err err = REEL_OK;
    for (int64_t i = 0; !err && i < n; i++) err = index_place(&values[i], extent);
    return err;
}

enum reel_err index_check(const struct op_call *call, int i)
{
    enum reel_err err = typed_present(call, i + 1);
    if (err) return err;
    const enum reel_dtype dtype = call->in[i]->dtype;
    return dtype == REEL_I64 || dtype == REEL_I32 ? REEL_OK : typed_refuse(call, i);
}

// ---- elements along an axis -------------------------------------------------

enum reel_err element_walk_init(struct element_walk *w, const struct reel_shape *data, const struct reel_shape *at,
                                int axis)
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

void element_walk_next(struct element_walk *w)
{
    for (int d = w->ndim - 1; d >= 0; d--) {
        const int64_t stride = d == w->axis ? 0 : w->stride[d];
        w->at += stride;
        if (++w->index[d] < w->dim[d]) return;
        w->at -= stride * w->dim[d];
        w->index[d] = 0;
    }
}

enum reel_err index_axis(const struct op_call *call, int *out_axis)
{
    *out_axis = 0;
    enum reel_err err = index_check(call, 1);
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape, *at = &call->in[1]->shape;
    if (in->ndim < 0) return REEL_OK;
    err = op_axis(node_attr_int(call->node, "axis", 0), in->ndim, out_axis);
    if (err || at->ndim < 0) return err;
    if (in->ndim != at->ndim)
        return reel_fail(REEL_ERR_INPUT, "data and indices have ranks %d and %d", in->ndim, at->ndim);
    return REEL_OK;
}

// ---- tuples -----------------------------------------------------------------

enum reel_err nd_check(const struct reel_shape *data, const struct reel_shape *at, int batch, int *out_q)
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

void nd_init(struct nd *nd, const struct reel_shape *data, const struct reel_shape *at, int batch, int q)
{
    *nd = (struct nd){.batch = batch, .q = q};
    nd->n_batch = shape_span(data, 0, batch);
    nd->n_each = shape_span(at, batch, at->ndim - 1);
    nd->block = shape_span(data, batch + q, data->ndim);
    nd->batch_size = shape_span(data, batch, data->ndim);
}

enum reel_err nd_offsets(const struct nd *nd, const struct reel_shape *data, int64_t *tuples, int64_t *out_offsets)
{
    for (int64_t b = 0, i = 0; b < nd->n_batch; b++)
        for (int64_t k = 0; k < nd->n_each; k++, i++) {
            int64_t at = 0;
            for (int j = 0; j < nd->q; j++) {
                int64_t *index = &tuples[i * nd->q + j];
                enum reel_err err = index_place(index, data->dim[nd->batch + j]);
                if (err) return err;
                at = at * data->dim[nd->batch + j] + *index;
            }
            out_offsets[i] = b * nd->batch_size + at * nd->block;
        }
    return REEL_OK;
}
