// SPDX-License-Identifier: MIT
//
// Epilogue steps in plain C; see epilogue.h. Formulas are those of the ONNX
// operators they were made from (Relu, LeakyRelu, PRelu, Clip, Sigmoid, Tanh,
// HardSwish, HardSigmoid, Gelu, Elu, Mish).
#include "worker/backend/epilogue.h"

#include <math.h>
#include <stdlib.h>

#include "worker/onnx/op.h"

static double step(const struct epilogue *e, double x, double other)
{
    switch (e->kind) {
    case EPILOGUE_ADD:
        return x + other;
    case EPILOGUE_MUL:
        return x * other;
    case EPILOGUE_RELU:
        return x > 0 || x != x ? x : 0;
    case EPILOGUE_LEAKY:
        return x < 0 ? (double)e->alpha * x : x;
    case EPILOGUE_PRELU:
        return x < 0 ? other * x : x;
    case EPILOGUE_CLIP:
        return x < (double)e->alpha ? (double)e->alpha : x > (double)e->beta ? (double)e->beta : x;
    case EPILOGUE_SIGMOID:
        return 1 / (1 + exp(-x));
    case EPILOGUE_TANH:
        return tanh(x);
    case EPILOGUE_SILU:
        return x / (1 + exp(-x));
    case EPILOGUE_HSWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case EPILOGUE_HSIGMOID:
        return fmin(fmax((double)e->alpha * x + (double)e->beta, 0), 1);
    case EPILOGUE_GELU_ERF:
        return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
    case EPILOGUE_GELU_TANH:
        return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case EPILOGUE_ELU:
        return x < 0 ? (double)e->alpha * expm1(x) : x;
    case EPILOGUE_MISH:
        return x * tanh(fmax(x, 0) + log1p(exp(-fabs(x))));
    }
    return x;
}

// Strides, in elements, with which `other` is read for x's shape: 0 along dimensions that repeat.
static enum reel_err strides_through(const struct reel_shape *x, const struct reel_tensor *other, int64_t *out_stride)
{
    struct reel_shape both;
    enum reel_err err = op_broadcast(x, &other->shape, &both);
    if (!err && !reel_shape_equal(&both, x)) err = reel_fail(REEL_ERR_INPUT, "an operand is larger than the result");
    if (err) return err;
    int64_t stride = 1;
    for (int i = x->ndim - 1; i >= 0; i--) {
        int k = i - (x->ndim - other->shape.ndim);
        out_stride[i] = k < 0 || other->shape.dim[k] == 1 ? 0 : stride;
        if (k >= 0) stride *= other->shape.dim[k];
    }
    return REEL_OK;
}

enum reel_err epilogue_apply(const struct epilogue *e, struct reel_tensor *x, const struct reel_tensor *other)
{
    int64_t stride[REEL_MAX_DIMS] = {0}, index[REEL_MAX_DIMS] = {0};
    if (other) {
        enum reel_err err = strides_through(&x->shape, other, stride);
        if (err) return err;
    }
    size_t item = reel_dtype_bytes(x->dtype);
    int64_t count = reel_tensor_count(x), at = 0;
    for (int64_t i = 0; i < count; i++) {
        void *place = (char *)x->data + (size_t)i * item;
        double v = step(e, op_scalar(x, i), other ? op_scalar(other, at) : 0);
        reel_convert(place, x->dtype, &v, REEL_F64, 1);
        for (int d = x->shape.ndim - 1; other && d >= 0; d--) {
            at += stride[d];
            if (++index[d] < x->shape.dim[d]) break;
            at -= stride[d] * x->shape.dim[d];
            index[d] = 0;
        }
    }
    return REEL_OK;
}
