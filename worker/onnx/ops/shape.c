// SPDX-License-Identifier: MIT
//
// The family shape: operators whose result holds the same elements in another
// shape, and those that talk about shapes.
#include "worker/onnx/ops/moving.h"

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

// ---- Reshape ----------------------------------------------------------------

// The new shape; extents that cannot be known yet are -1, an unknown rank too.
static enum reel_err reshape_shape(const struct op_call *call, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    const bool allowzero = node_attr_int(call->node, "allowzero", 0) != 0;
    struct ints want;
    enum reel_err err = ints_read(call, call->opset < 5 ? "shape" : NULL, call->opset < 5 ? -1 : 1, &want);
    if (err) return err;
    if (!want.present) return reel_fail(REEL_ERR_INPUT, "no new shape is given");
    *out = shape_unknown();
    if (want.n > REEL_MAX_DIMS) return move_too_many_dims(want.n);
    if (!want.known && want.n < 0) return REEL_OK;
    out->ndim = want.n;
    for (int i = 0; i < want.n; i++) out->dim[i] = -1;
    if (!want.known) return REEL_OK;

    int wild = -1;
    bool zero = false, unknown = false;
    for (int i = 0; i < want.n; i++) {
        const int64_t d = want.v[i];
        if (d < -1) return reel_fail(REEL_ERR_INPUT, "extent %lld of the new shape is negative", (long long)d);
        if (d == -1) {
            if (wild >= 0) return reel_fail(REEL_ERR_INPUT, "more than one extent of the new shape is -1");
            wild = i;
            continue;
        }
        out->dim[i] = d;
        zero |= d == 0;
        if (d == 0 && !allowzero) {
            if (in->ndim < 0) {
                out->dim[i] = -1;
            } else {
                if (i >= in->ndim) return reel_fail(REEL_ERR_INPUT, "extent %d is copied from no dimension", i);
                out->dim[i] = in->dim[i];
            }
        }
        unknown |= out->dim[i] < 0;
    }
    if (allowzero && zero && wild >= 0) return reel_fail(REEL_ERR_INPUT, "-1 and 0 together leave the shape open");
    const int64_t count = reel_shape_count(in);
    if (wild < 0 || unknown || count < 0) return REEL_OK;
    out->dim[wild] = 1;
    const int64_t rest = reel_shape_count(out);
    if (rest < 0 || (rest == 0 && count != 0) || (rest > 0 && count % rest != 0))
        return reel_fail(REEL_ERR_INPUT, "%lld elements do not divide into the new shape", (long long)count);
    out->dim[wild] = rest ? count / rest : 0;
    return REEL_OK;
}

static enum reel_err infer_reshape(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = reshape_shape(call, &shape);
    if (err) return err;
    const int64_t count = reel_shape_count(&call->in[0]->shape), other = reel_shape_count(&shape);
    if (count >= 0 && other >= 0 && count != other)
        return reel_fail(REEL_ERR_INPUT, "the new shape has %lld elements, the input %lld", (long long)other,
                         (long long)count);
    return move_infer(call, &shape);
}

static enum reel_err eval_reshape(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = move_check(call, 0);
    if (!err) err = reshape_shape(call, &shape);
    return err ? err : typed_copy_as(call, &shape);
}

// ---- Squeeze, Unsqueeze, Flatten --------------------------------------------

static enum reel_err squeeze_shape(const struct op_call *call, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    struct ints axes;
    enum reel_err err = ints_read(call, "axes", 1, &axes);
    if (err) return err;
    *out = shape_unknown();
    if (in->ndim < 0) return REEL_OK;
    if (!axes.known) {
        if (axes.n < 0 || axes.n > in->ndim) return REEL_OK;
        out->ndim = in->ndim - axes.n;
        for (int d = 0; d < out->ndim; d++) out->dim[d] = -1;
        return REEL_OK;
    }
    err = ints_axes(&axes, in->ndim);
    if (err) return err;
    bool gone[REEL_MAX_DIMS] = {false};
    for (int i = 0; i < axes.n; i++) gone[axes.v[i]] = true;
    struct reel_shape shape = {.ndim = 0};
    for (int d = 0; d < in->ndim; d++) {
        // Without axes all extents of 1 go: an unknown one leaves the rank open.
        if (!axes.present && in->dim[d] < 0) return REEL_OK;
        if (gone[d] && in->dim[d] >= 0 && in->dim[d] != 1)
            return reel_fail(REEL_ERR_INPUT, "axis %d has extent %lld, not 1", d, (long long)in->dim[d]);
        if (!gone[d] && (axes.present || in->dim[d] != 1)) shape.dim[shape.ndim++] = in->dim[d];
    }
    *out = shape;
    return REEL_OK;
}

static enum reel_err unsqueeze_shape(const struct op_call *call, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    struct ints axes;
    enum reel_err err = ints_read(call, "axes", 1, &axes);
    if (err) return err;
    if (!axes.present) return reel_fail(REEL_ERR_INPUT, "no axes are given");
    *out = shape_unknown();
    if (in->ndim < 0 || axes.n < 0) return REEL_OK;
    const int ndim = in->ndim + axes.n;
    if (ndim > REEL_MAX_DIMS) return move_too_many_dims(ndim);
    out->ndim = ndim;
    for (int d = 0; d < ndim; d++) out->dim[d] = -1;
    if (!axes.known) return REEL_OK;
    err = ints_axes(&axes, ndim);
    if (err) return err;
    bool fresh[REEL_MAX_DIMS] = {false};
    for (int i = 0; i < axes.n; i++) fresh[axes.v[i]] = true;
    for (int d = 0, from = 0; d < ndim; d++) out->dim[d] = fresh[d] ? 1 : in->dim[from++];
    return REEL_OK;
}

// (rows, columns) around axis, which may be the rank itself.
static enum reel_err flatten_shape(const struct op_call *call, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    *out = (struct reel_shape){.ndim = 2, .dim = {-1, -1}};
    if (in->ndim < 0) return REEL_OK;
    int64_t axis = node_attr_int(call->node, "axis", 1);
    if (axis < -in->ndim || axis > in->ndim)
        return reel_fail(REEL_ERR_INPUT, "axis %lld is out of range for rank %d", (long long)axis, in->ndim);
    if (axis < 0) axis += in->ndim;
    out->dim[0] = shape_span(in, 0, (int)axis);
    out->dim[1] = shape_span(in, (int)axis, in->ndim);
    return REEL_OK;
}

#define VIEW_OP(name)                                             \
    static enum reel_err infer_##name(const struct op_call *call) \
    {                                                             \
        struct reel_shape shape;                                  \
        enum reel_err err = name##_shape(call, &shape);           \
        return err ? err : move_infer(call, &shape);              \
    }                                                             \
    static enum reel_err eval_##name(const struct op_call *call)  \
    {                                                             \
        struct reel_shape shape;                                  \
        enum reel_err err = move_check(call, 0);                  \
        if (!err) err = name##_shape(call, &shape);               \
        return err ? err : typed_copy_as(call, &shape);           \
    }
VIEW_OP(squeeze)
VIEW_OP(unsqueeze)
VIEW_OP(flatten)

// ---- Shape, Size, Range -----------------------------------------------------

static void shape_bounds(const struct op_call *call, int *out_start, int *out_end)
{
    const int ndim = call->in[0]->shape.ndim;
    int64_t start = node_attr_int(call->node, "start", 0), end = node_attr_int(call->node, "end", ndim);
    start = clamp(start, -ndim, ndim);
    end = clamp(end, -ndim, ndim);
    *out_start = (int)(start < 0 ? start + ndim : start);
    *out_end = (int)(end < 0 ? end + ndim : end);
    if (*out_end < *out_start) *out_end = *out_start;
}

static enum reel_err infer_shape_op(const struct op_call *call)
{
    struct reel_shape shape = {.ndim = 1, .dim = {-1}};
    if (call->in[0]->shape.ndim >= 0) {
        int start, end;
        shape_bounds(call, &start, &end);
        shape.dim[0] = end - start;
    }
    infer_out(call, 0, REEL_I64, &shape);
    return REEL_OK;
}

static enum reel_err eval_shape_op(const struct op_call *call)
{
    if (!call->out[0]) return REEL_OK;
    int start, end;
    shape_bounds(call, &start, &end);
    const struct reel_shape shape = {.ndim = 1, .dim = {end - start}};
    enum reel_err err = op_alloc_out(call, 0, REEL_I64, &shape);
    if (err) return err;
    for (int d = start; d < end; d++) ((int64_t *)call->out[0]->data)[d - start] = call->in[0]->shape.dim[d];
    return REEL_OK;
}

static enum reel_err infer_size(const struct op_call *call)
{
    infer_out(call, 0, REEL_I64, &(struct reel_shape){.ndim = 0});
    return REEL_OK;
}

static enum reel_err eval_size(const struct op_call *call)
{
    if (!call->out[0]) return REEL_OK;
    enum reel_err err = op_alloc_out(call, 0, REEL_I64, &(struct reel_shape){.ndim = 0});
    if (!err) *(int64_t *)call->out[0]->data = reel_tensor_count(call->in[0]);
    return err;
}

// max(ceil((limit - start) / delta), 0)
static enum reel_err range_count(const struct op_call *call, int64_t *out_n)
{
    const enum reel_dtype dtype = call->in[0]->dtype;
    *out_n = 0;
    if (reel_dtype_is_float(dtype)) {
        const double start = op_scalar(call->in[0], 0), limit = op_scalar(call->in[1], 0);
        const double delta = op_scalar(call->in[2], 0), n = ceil((limit - start) / delta);
        if (delta == 0 || !(n < 0x1p40)) return reel_fail(REEL_ERR_INPUT, "the range has no end");
        if (n > 0) *out_n = (int64_t)n;
        return REEL_OK;
    }
    const __int128 start = op_scalar_int(call->in[0], 0), limit = op_scalar_int(call->in[1], 0);
    const __int128 delta = op_scalar_int(call->in[2], 0);
    if (delta == 0) return reel_fail(REEL_ERR_INPUT, "the range has no end");
    const __int128 n = delta > 0 ? (limit - start + delta - 1) / delta : (start - limit - delta - 1) / -delta;
    if (n >= INT64_C(1) << 40) return reel_fail(REEL_ERR_INPUT, "the range is too long");
    if (n > 0) *out_n = (int64_t)n;
    return REEL_OK;
}

static enum reel_err range_check(const struct op_call *call, bool *out_known)
{
    *out_known = true;
    for (int i = 0; i < 3; i++) {
        enum reel_err err = typed_same(call, 0, i);
        if (err) return err;
        const int64_t n = reel_tensor_count(call->in[i]);
        if (n >= 0 && n != 1) return reel_fail(REEL_ERR_INPUT, "input %d is not a scalar", i);
        if (!has_data(call->in[i])) *out_known = false;
    }
    return REEL_OK;
}

static enum reel_err infer_range(const struct op_call *call)
{
    struct reel_shape shape = {.ndim = 1, .dim = {-1}};
    bool known;
    enum reel_err err = range_check(call, &known);
    if (!err && known) err = range_count(call, &shape.dim[0]);
    return err ? err : move_infer(call, &shape);
}

static enum reel_err eval_range(const struct op_call *call)
{
    HALVES_IN_F32(eval_range);
    struct reel_shape shape = {.ndim = 1};
    const enum reel_dtype dtype = call->in[0]->dtype;
    if (!(TYPES_NUM & T_(dtype))) return typed_refuse(call, 0);
    bool known;
    enum reel_err err = range_check(call, &known);
    if (!err) err = range_count(call, &shape.dim[0]);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, dtype, &shape);
    if (err) return err;
    void *out = call->out[0]->data;
    if (dtype == REEL_F32) {
        const float start = *(const float *)call->in[0]->data, delta = *(const float *)call->in[2]->data;
        for (int64_t i = 0; i < shape.dim[0]; i++) ((float *)out)[i] = start + (float)i * delta;
    } else if (dtype == REEL_F64) {
        const double start = op_scalar(call->in[0], 0), delta = op_scalar(call->in[2], 0);
        for (int64_t i = 0; i < shape.dim[0]; i++) ((double *)out)[i] = start + (double)i * delta;
    } else {
        const uint64_t start = (uint64_t)op_scalar_int(call->in[0], 0), delta = (uint64_t)op_scalar_int(call->in[2], 0);
        const size_t bytes = reel_dtype_bytes(dtype);
        for (int64_t i = 0; i < shape.dim[0]; i++) {
            const int64_t v = (int64_t)(start + (uint64_t)i * delta);
            reel_convert((char *)out + (size_t)i * bytes, dtype, &v, REEL_I64, 1);
        }
    }
    return REEL_OK;
}

// ---- the table --------------------------------------------------------------

const struct op_def ops_shape[] = {
    DEF("Flatten", 1, OPSET_LAST, 1, 1, TYPES_ANY, OP_VIEW, infer_flatten, eval_flatten),
    DEF("Range", 11, OPSET_LAST, 3, 3, TYPES_NUM, 0, infer_range, eval_range),
    DEF("Reshape", 1, 4, 1, 1, TYPES_ANY, OP_VIEW, infer_reshape, eval_reshape),
    DEF("Reshape", 5, OPSET_LAST, 2, 2, TYPES_ANY, OP_VIEW, infer_reshape, eval_reshape),
    DEF("Shape", 1, OPSET_LAST, 1, 1, TYPES_ANY, 0, infer_shape_op, eval_shape_op),
    DEF("Size", 1, OPSET_LAST, 1, 1, TYPES_ANY, 0, infer_size, eval_size),
    DEF("Squeeze", 1, 12, 1, 1, TYPES_ANY, OP_VIEW, infer_squeeze, eval_squeeze),
    DEF("Squeeze", 13, OPSET_LAST, 1, 2, TYPES_ANY, OP_VIEW, infer_squeeze, eval_squeeze),
    DEF("Unsqueeze", 1, 12, 1, 1, TYPES_ANY, OP_VIEW, infer_unsqueeze, eval_unsqueeze),
    DEF("Unsqueeze", 13, OPSET_LAST, 2, 2, TYPES_ANY, OP_VIEW, infer_unsqueeze, eval_unsqueeze),
};
const int ops_shape_count = sizeof ops_shape / sizeof *ops_shape;
