// SPDX-License-Identifier: MIT
//
// See moving.h.
#include "worker/onnx/ops/moving.h"

void move_strided(char *dst, const char *src, int64_t stride, int64_t n, size_t bytes)
{
    if (stride == 1) {
        memcpy(dst, src, (size_t)n * bytes);
        return;
    }
#define COPY(T) \
    for (int64_t i = 0; i < n; i++) ((T *)dst)[i] = ((const T *)src)[i * stride]
    switch (bytes) {
    case 1:
        COPY(uint8_t);
        break;
    case 2:
        COPY(uint16_t);
        break;
    case 4:
        COPY(uint32_t);
        break;
    default:
        COPY(uint64_t);
    }
#undef COPY
}

enum reel_err move_check(const struct op_call *call, int i)
{
    return reel_dtype_bytes(call->in[i]->dtype) ? REEL_OK : typed_refuse(call, i);
}

enum reel_err move_infer(const struct op_call *call, const struct reel_shape *shape)
{
    infer_out(call, 0, call->in[0]->dtype, shape);
    return REEL_OK;
}

enum reel_err ints_read(const struct op_call *call, const char *attr, int input, struct ints *out)
{
    *out = (struct ints){.known = true};
    const int max = (int)(sizeof out->v / sizeof *out->v);
    if (attr && node_attr(call->node, attr)) {
        const int64_t *ints;
        out->present = true;
        out->n = node_attr_ints(call->node, attr, &ints);
        if (out->n > max) return reel_fail(REEL_ERR_INPUT, "attribute %s has %d values: too many", attr, out->n);
        for (int i = 0; i < out->n; i++) out->v[i] = ints[i];
        return REEL_OK;
    }
    const struct reel_tensor *t = input < 0 ? NULL : call_in(call, input);
    if (!t) return REEL_OK;
    out->present = true;
    if (t->dtype != REEL_I32 && t->dtype != REEL_I64 && t->dtype != REEL_DTYPE_NONE)
        return reel_fail(REEL_ERR_INPUT, "input %d is of type %s, but must be int32 or int64", input,
                         reel_dtype_name(t->dtype));
    const int64_t count = reel_tensor_count(t);
    if (t->shape.ndim > 1 || count > max)
        return reel_fail(REEL_ERR_INPUT, "input %d is not a list of at most %d integers", input, max);
    out->n = (int)count;
    out->known = has_data(t) && count >= 0;
    for (int i = 0; out->known && i < out->n; i++) out->v[i] = op_scalar_int(t, i);
    return REEL_OK;
}

enum reel_err ints_axes(struct ints *axes, int ndim)
{
    bool seen[REEL_MAX_DIMS] = {false};
    for (int i = 0; i < axes->n; i++) {
        int axis;
        enum reel_err err = op_axis(axes->v[i], ndim, &axis);
        if (err) return err;
        if (seen[axis]) return reel_fail(REEL_ERR_INPUT, "axis %d is named twice", axis);
        seen[axis] = true;
        axes->v[i] = axis;
    }
    return REEL_OK;
}

enum reel_err move_too_many_dims(int ndim)
{
    return reel_fail(REEL_ERR_UNSUPPORTED, "the result has %d dimensions, more than the %d supported", ndim,
                     REEL_MAX_DIMS);
}
