// SPDX-License-Identifier: MIT
//
// One element of integer.h, once for kernel and twin. Needs GPU_LOAD(elem, p, i) and
// GPU_STORE(elem, p, i, v) before it is included; integer.cu defines them.
#ifndef REEL_KERNELS_GPU_INTEGER_MATH_H
#define REEL_KERNELS_GPU_INTEGER_MATH_H

#include "kernels/gpu/integer.h"
#include "kernels/gpu/math.h"

#ifndef GPU_LOAD // a header compiles alone
#define GPU_LOAD(elem, p, i) gpu_elem_load((enum gpu_elem)(elem), p, i)
#define GPU_STORE(elem, p, i, v) gpu_elem_store((enum gpu_elem)(elem), p, i, v)
#endif

GPU_FN bool gpu_integer_is_signed(int kind)
{
    return kind <= GPU_INT_I64;
}

GPU_FN int gpu_integer_bits(int kind)
{
    return kind >= GPU_INT_BOOL ? 8 : 8 << kind % 4;
}

GPU_FN int gpu_integer_elem(int kind)
{
    return kind == GPU_INT_F32 ? GPU_ELEM_F32 : kind == GPU_INT_F16 ? GPU_ELEM_F16 : GPU_ELEM_BF16;
}

// All arithmetic is in 64 bits, which are cut when they are stored.
GPU_FN uint64_t gpu_integer_load(int kind, const void *p, int64_t i)
{
    switch (kind) {
    case GPU_INT_I8:
        return (uint64_t)(int64_t)((const int8_t *)p)[i];
    case GPU_INT_I16:
        return (uint64_t)(int64_t)((const int16_t *)p)[i];
    case GPU_INT_I32:
        return (uint64_t)(int64_t)((const int32_t *)p)[i];
    case GPU_INT_U16:
        return ((const uint16_t *)p)[i];
    case GPU_INT_U32:
        return ((const uint32_t *)p)[i];
    case GPU_INT_I64:
    case GPU_INT_U64:
        return ((const uint64_t *)p)[i];
    default:
        return ((const uint8_t *)p)[i];
    }
}

GPU_FN void gpu_integer_store(int kind, void *p, int64_t i, uint64_t v)
{
    switch (gpu_integer_bits(kind)) {
    case 8:
        ((uint8_t *)p)[i] = (uint8_t)(kind == GPU_INT_BOOL ? v != 0 : v);
        return;
    case 16:
        ((uint16_t *)p)[i] = (uint16_t)v;
        return;
    case 32:
        ((uint32_t *)p)[i] = (uint32_t)v;
        return;
    default:
        ((uint64_t *)p)[i] = v;
        return;
    }
}

GPU_FN uint64_t gpu_integer_divide(bool sign, uint64_t x, uint64_t y)
{
    if (y == 0) return 0;
    if (!sign) return x / y;
    return y == UINT64_MAX ? 0 - x : (uint64_t)((int64_t)x / (int64_t)y);
}

GPU_FN uint64_t gpu_integer_remainder(bool sign, bool floored, uint64_t x, uint64_t y)
{
    if (y == 0 || (sign && y == UINT64_MAX)) return 0;
    if (!sign) return x % y;
    const int64_t r = (int64_t)x % (int64_t)y;
    return (uint64_t)(floored && r != 0 && (r < 0) != ((int64_t)y < 0) ? r + (int64_t)y : r);
}

// By squaring. A negative exponent gives the quotient, cut.
GPU_FN uint64_t gpu_integer_power(uint64_t x, int64_t y)
{
    if (y < 0) return x == 1 ? 1 : x != UINT64_MAX ? 0 : y & 1 ? UINT64_MAX : 1;
    uint64_t power = 1;
    for (; y; y >>= 1, x *= x)
        if (y & 1) power *= x;
    return power;
}

GPU_FN uint64_t gpu_integer_shift(bool left, bool sign, int bits, uint64_t x, uint64_t y)
{
    const bool inside = y < (uint64_t)bits;
    if (left) return inside ? x << y : 0;
    if (sign) return (uint64_t)((int64_t)x >> (inside ? (int)y : bits - 1));
    return inside ? x >> y : 0;
}

GPU_FN bool gpu_integer_less(bool sign, uint64_t x, uint64_t y)
{
    return sign ? (int64_t)x < (int64_t)y : x < y;
}

GPU_FN uint64_t gpu_integer_unary(int op, bool sign, uint64_t x)
{
    switch (op) {
    case GPU_INT_NEG:
        return 0 - x;
    case GPU_INT_ABS:
        return sign && (int64_t)x < 0 ? 0 - x : x;
    case GPU_INT_SIGN:
        return sign && (int64_t)x < 0 ? UINT64_MAX : x != 0;
    case GPU_INT_NOT:
        return ~x;
    default:
        return x;
    }
}

GPU_FN uint64_t gpu_integer_binary(int op, bool sign, int bits, uint64_t x, uint64_t y)
{
    switch (op) {
    case GPU_INT_ADD:
        return x + y;
    case GPU_INT_SUB:
        return x - y;
    case GPU_INT_MUL:
        return x * y;
    case GPU_INT_DIV:
        return gpu_integer_divide(sign, x, y);
    case GPU_INT_MOD:
    case GPU_INT_REM:
        return gpu_integer_remainder(sign, op == GPU_INT_MOD, x, y);
    case GPU_INT_POW:
        return gpu_integer_power(x, (int64_t)y);
    case GPU_INT_MAX:
        return gpu_integer_less(sign, x, y) ? y : x;
    case GPU_INT_MIN:
        return gpu_integer_less(sign, x, y) ? x : y;
    case GPU_INT_AND:
        return x & y;
    case GPU_INT_OR:
        return x | y;
    case GPU_INT_XOR:
        return x ^ y;
    case GPU_INT_LEFT:
    case GPU_INT_RIGHT:
        return gpu_integer_shift(op == GPU_INT_LEFT, sign, bits, x, y);
    case GPU_INT_EQ:
        return x == y;
    case GPU_INT_GT:
        return gpu_integer_less(sign, y, x);
    case GPU_INT_GE:
        return !gpu_integer_less(sign, x, y);
    case GPU_INT_LT:
        return gpu_integer_less(sign, x, y);
    default: // LE
        return !gpu_integer_less(sign, y, x);
    }
}

GPU_FN uint64_t gpu_integer_ternary(int op, bool sign, uint64_t x, uint64_t y, uint64_t z)
{
    if (op == GPU_INT_SELECT) return x ? y : z;
    const uint64_t above = gpu_integer_less(sign, x, y) ? y : x;
    return gpu_integer_less(sign, z, above) ? z : above;
}

// Cut, as x86 does it; of float32 every other number fits double.
GPU_FN uint64_t gpu_integer_of_float(int to, float v)
{
    if (to == GPU_INT_BOOL) return v != 0;
    if (v >= -9223372036854775808.0f && v < 9223372036854775808.0f) return (uint64_t)(int64_t)v;
    if (to == GPU_INT_U64 && v > 0 && v < 18446744073709551616.0f) return (uint64_t)v;
    return (uint64_t)1 << 63;
}

GPU_FN void gpu_integer_cast(int from, int to, const void *x, int64_t at, void *y, int64_t i)
{
    if (from >= GPU_INT_F32) {
        gpu_integer_store(to, y, i, gpu_integer_of_float(to, GPU_LOAD(gpu_integer_elem(from), x, at)));
        return;
    }
    const uint64_t v = gpu_integer_load(from, x, at);
    if (to >= GPU_INT_F32)
        GPU_STORE(gpu_integer_elem(to), y, i, gpu_integer_is_signed(from) ? (float)(int64_t)v : (float)v);
    else
        gpu_integer_store(to, y, i, v);
}

GPU_FN void gpu_integer_element(const struct gpu_integer *p, const void *a, const void *b, const void *c, void *y,
                                int64_t i)
{
    int64_t at_a = 0, at_b = 0, at_c = 0;
    uint32_t left = (uint32_t)i;
    for (int d = p->n_dims - 1; d >= 0; d--) {
        const uint32_t above = left / (uint32_t)p->extent[d], k = left - above * (uint32_t)p->extent[d];
        at_a += k * p->stride[0][d], at_b += k * p->stride[1][d], at_c += k * p->stride[2][d];
        left = above;
    }
    if (p->op == GPU_INT_CAST) {
        gpu_integer_cast(p->in[0], p->out, a, at_a, y, i);
        return;
    }
    const bool sign = gpu_integer_is_signed(p->in[0]);
    uint64_t v = gpu_integer_load(p->in[0], a, at_a);
    if (p->op < GPU_INT_ADD) {
        v = gpu_integer_unary(p->op, sign, v);
    } else {
        const uint64_t other = gpu_integer_load(p->in[1], b, at_b);
        v = p->op < GPU_INT_CLIP ? gpu_integer_binary(p->op, sign, gpu_integer_bits(p->in[0]), v, other)
                                 : gpu_integer_ternary(p->op, sign, v, other, gpu_integer_load(p->in[2], c, at_c));
    }
    gpu_integer_store(p->out, y, i, v);
}

#endif
