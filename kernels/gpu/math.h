// SPDX-License-Identifier: MIT
//
// The formulas of chain steps (ops.h), once for kernels and twins. Sources:
// the ONNX operators of these names (opset 20); Gelu's tanh form is that of
// Hendrycks and Gimpel 2016.
#ifndef REEL_KERNELS_GPU_MATH_H
#define REEL_KERNELS_GPU_MATH_H

#include <math.h>

#include "kernels/gpu/ops.h"

// The frequent steps are expanded in place; the rest is one function a file,
// called, which keeps kernels with many vectors small and quick to compile.
#if defined(__CUDACC__)
#define GPU_FN static __device__ __forceinline__
#define GPU_FN_RARE static __device__ __noinline__
#else
#define GPU_FN static inline
#define GPU_FN_RARE static inline
#endif

GPU_FN_RARE float gpu_op_binary_rare(int op, float x, float b)
{
    switch (op) {
    case GPU_OP_SUB:
        return x - b;
    case GPU_OP_RSUB:
        return b - x;
    case GPU_OP_DIV:
        return x / b;
    case GPU_OP_RDIV:
        return b / x;
    case GPU_OP_MAX: // NaN wins, as in NumPy
        return x != x ? x : x > b ? x : b;
    case GPU_OP_MIN:
        return x != x ? x : x < b ? x : b;
    case GPU_OP_POW:
        return b == 2 ? x * x : powf(x, b);
    case GPU_OP_RPOW:
        return powf(b, x);
    case GPU_OP_MOD:
        return fmodf(x, b);
    case GPU_OP_EQ:
        return x == b ? 1.0f : 0.0f;
    case GPU_OP_GT:
        return x > b ? 1.0f : 0.0f;
    case GPU_OP_GE:
        return x >= b ? 1.0f : 0.0f;
    case GPU_OP_LT:
        return x < b ? 1.0f : 0.0f;
    case GPU_OP_LE:
        return x <= b ? 1.0f : 0.0f;
    case GPU_OP_AND:
        return x != 0 && b != 0 ? 1.0f : 0.0f;
    case GPU_OP_XOR:
        return (x != 0) != (b != 0) ? 1.0f : 0.0f;
    default: // GPU_OP_OR
        return x != 0 || b != 0 ? 1.0f : 0.0f;
    }
}

GPU_FN float gpu_op_binary(int op, float x, float b)
{
    if (op == GPU_OP_ADD) return x + b;
    if (op == GPU_OP_MUL) return x * b;
    if (op == GPU_OP_PRELU) return x < 0 ? b * x : x;
    return gpu_op_binary_rare(op, x, b);
}

GPU_FN_RARE float gpu_op_unary_rare(int op, float x, float alpha, float beta)
{
    switch (op) {
    case GPU_OP_SIGMOID:
        return 1 / (1 + expf(-x));
    case GPU_OP_TANH:
        return tanhf(x);
    case GPU_OP_SILU:
        return x / (1 + expf(-x));
    case GPU_OP_HSWISH:
        return x * fminf(fmaxf(x / 6 + 0.5f, 0), 1);
    case GPU_OP_HSIGMOID:
        return fminf(fmaxf(alpha * x + beta, 0), 1);
    case GPU_OP_GELU_ERF:
        return 0.5f * x * (1 + erff(x * 0.70710678118654752f));
    case GPU_OP_GELU_TANH:
        return 0.5f * x * (1 + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case GPU_OP_ELU:
        return x < 0 ? alpha * expm1f(x) : x;
    case GPU_OP_MISH:
        return x * tanhf(fmaxf(x, 0) + log1pf(expf(-fabsf(x))));
    case GPU_OP_SELU:
        return beta * (x < 0 ? alpha * expm1f(x) : x);
    case GPU_OP_CELU:
        return fmaxf(x, 0) + fminf(alpha * expm1f(x / alpha), 0);
    case GPU_OP_THRESHOLDED:
        return x > alpha ? x : 0;
    case GPU_OP_ABS:
        return fabsf(x);
    case GPU_OP_NEG:
        return -x;
    case GPU_OP_SQRT:
        return sqrtf(x);
    case GPU_OP_RECIPROCAL:
        return 1 / x;
    case GPU_OP_EXP:
        return expf(x);
    case GPU_OP_LOG:
        return logf(x);
    case GPU_OP_ERF:
        return erff(x);
    case GPU_OP_FLOOR:
        return floorf(x);
    case GPU_OP_CEIL:
        return ceilf(x);
    case GPU_OP_ROUND:
        return rintf(x);
    case GPU_OP_SIN:
        return sinf(x);
    case GPU_OP_COS:
        return cosf(x);
    case GPU_OP_SIGN:
        return x > 0 ? 1.0f : x < 0 ? -1.0f : x;
    case GPU_OP_SOFTPLUS:
        return fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
    case GPU_OP_SOFTSIGN:
        return x / (1 + fabsf(x));
    case GPU_OP_NOT:
        return x == 0 ? 1.0f : 0.0f;
    case GPU_OP_AFFINE:
        return alpha * x + beta;
    case GPU_OP_SWISH:
        return x / (1 + expf(-alpha * x));
    case GPU_OP_SHRINK:
        return x < -alpha ? x + beta : x > alpha ? x - beta : 0;
    case GPU_OP_TAN:
        return tanf(x);
    case GPU_OP_ASIN:
        return asinf(x);
    case GPU_OP_ACOS:
        return acosf(x);
    case GPU_OP_ATAN:
        return atanf(x);
    case GPU_OP_SINH:
        return sinhf(x);
    case GPU_OP_COSH:
        return coshf(x);
    case GPU_OP_ASINH:
        return asinhf(x);
    case GPU_OP_ACOSH:
        return acoshf(x);
    case GPU_OP_ATANH:
        return atanhf(x);
    case GPU_OP_IS_NAN:
        return x != x ? 1.0f : 0.0f;
    case GPU_OP_IS_INF:
        return (x > 3.4028234e38f && beta != 0) || (x < -3.4028234e38f && alpha != 0) ? 1.0f : 0.0f;
    default:
        return x;
    }
}

GPU_FN float gpu_op_unary(int op, float x, float alpha, float beta)
{
    if (op == GPU_OP_RELU) return x > 0 || x != x ? x : 0;
    if (op == GPU_OP_LEAKY) return x < 0 ? alpha * x : x;
    if (op == GPU_OP_CLIP) return x < alpha ? alpha : x > beta ? beta : x;
    return gpu_op_unary_rare(op, x, alpha, beta);
}

// Integers of any type, as they are: large ones are no floats.
GPU_FN int64_t gpu_int_load(int elem, const void *p, int64_t i)
{
    switch (elem) {
    case GPU_ELEM_U8:
        return ((const uint8_t *)p)[i];
    case GPU_ELEM_I8:
        return ((const int8_t *)p)[i];
    case GPU_ELEM_I32:
        return ((const int32_t *)p)[i];
    default:
        return ((const int64_t *)p)[i];
    }
}

GPU_FN void gpu_int_store(int elem, void *p, int64_t i, int64_t v)
{
    switch (elem) {
    case GPU_ELEM_U8:
        ((uint8_t *)p)[i] = (uint8_t)v;
        return;
    case GPU_ELEM_I8:
        ((int8_t *)p)[i] = (int8_t)v;
        return;
    case GPU_ELEM_I32:
        ((int32_t *)p)[i] = (int32_t)v;
        return;
    default:
        ((int64_t *)p)[i] = v;
        return;
    }
}

#endif
