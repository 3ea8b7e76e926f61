// SPDX-License-Identifier: MIT
//
// Elementary functions in single precision that vectorise: exp, tanh, sigmoid, erf and the
// activations built from them.
//
// The inline forms take one value and contain no branches and no calls, so a loop over them
// becomes vector code. The array forms are such loops, compiled for several instruction
// sets. The largest error is 2 ulp for exp and 3 ulp for the others, except where the
// function itself cancels (the tests measure it). The bits are the same on every
// instruction set. NaN gives NaN; infinities and denormals are handled correctly. These are
// not fast approximations.
#ifndef REEL_KERNELS_MATH_H
#define REEL_KERNELS_MATH_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// ---- one value ----------------------------------------------------------

static inline float kern_bits_f32(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t kern_f32_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

// v limited to 0..1; NaN becomes 0.
static inline float kern_clip01_f32(float v)
{
    v = v > 0.0f ? v : 0.0f;
    return v < 1.0f ? v : 1.0f;
}

// x = n ln 2 + r with |r| <= ln 2 / 2; exp(x) = 2^n (1 + q), q = r + r^2 p(r), p
// a minimax polynomial. Returns q for -105 <= x <= 89 or NaN.
static inline float kern_exp_parts_f32(float x, uint32_t *out_n)
{
    // Adding 1.5 * 2^23 rounds to an integer that stands in the low bits.
    const float t = x * 1.44269504f + 12582912.0f;
    *out_n = kern_f32_bits(t) - UINT32_C(0x4b400000);
    const float k = t - 12582912.0f;
    // ln 2 in two parts; the first has 9 bits, so that k times it is exact.
    float r = x - k * 0.693359375f;
    r = r + k * 2.12194440e-4f;
    float p = 0.00138131424f;
    p = p * r + 0.00836941879f;
    p = p * r + 0.041668456f;
    p = p * r + 0.166665152f;
    p = p * r + 0.49999994f;
    return r + r * r * p;
}

// 2^n is applied in two halves, so that results below the normal range are
// rounded once and 2^128 is reached.
static inline float kern_exp1_f32(float x)
{
    x = x > 89.0f ? 89.0f : x;     // the last finite result is at 88.73
    x = x < -105.0f ? -105.0f : x; // 0 from -103.98 on
    uint32_t n;
    const float q = kern_exp_parts_f32(x, &n);
    const uint32_t half = (uint32_t)((int32_t)n >> 1);
    return (1.0f + q) * kern_bits_f32((half + 127) << 23) * kern_bits_f32((n - half + 127) << 23);
}

// exp(x) - 1 for x <= 0, exact near 0 (ELU and its kind); 0 and NaN above.
static inline float kern_expm1_neg_f32(float x)
{
    x = x > 0.0f ? 0.0f : x;
    x = x < -30.0f ? -30.0f : x; // -1 from -17.4 on
    uint32_t n;
    const float q = kern_exp_parts_f32(x, &n), scale = kern_bits_f32((n + 127) << 23);
    return (scale - 1.0f) + scale * q;
}

// 1 / (1 + exp(-x)), from exp(-|x|) so that nothing overflows.
static inline float kern_sigmoid1_f32(float x)
{
    const float e = kern_exp1_f32(-fabsf(x));
    return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}

static inline float kern_tanh1_f32(float x)
{
    const float a = fabsf(x), z = x * x;
    float p = -0.00571703678f;
    p = p * z + 0.0206505787f;
    p = p * z - 0.0537434965f;
    p = p * z + 0.133314908f;
    p = p * z - 0.333332837f;
    const float near = a + a * z * p;
    const float far = 1.0f - 2.0f / (kern_exp1_f32(2.0f * a) + 1.0f);
    // The fitted range of the polynomial ends at 0.625. NaN takes far.
    return copysignf(a < 0.625f ? near : far, x);
}

// log(1 + e) for 0 <= e <= 1: 2 atanh(e / (2 + e)).
static inline float kern_log1p_unit_f32(float e)
{
    const float s = e / (2.0f + e), z = s * s;
    float p = 0.121504694f;
    p = p * z + 0.107138284f;
    p = p * z + 0.143084422f;
    p = p * z + 0.199994385f;
    p = p * z + 0.333333373f;
    return 2.0f * (s + s * z * p);
}

// log(1 + exp(x))
static inline float kern_softplus1_f32(float x)
{
    return (x > 0.0f ? x : x != x ? x : 0.0f) + kern_log1p_unit_f32(kern_exp1_f32(-fabsf(x)));
}

// Below 1 an odd polynomial, above it 1 - exp(q(|x|)), q fitted to log(erfc).
static inline float kern_erf1_f32(float x)
{
    const float a = fabsf(x), z = x * x;
    float p = 7.85385782e-05f;
    p = p * z - 0.000801019254f;
    p = p * z + 0.00518832775f;
    p = p * z - 0.026853811f;
    p = p * z + 0.112835854f;
    p = p * z - 0.37612626f;
    p = p * z + 0.128379166f;
    const float near = x + x * p;
    const float t = a > 4.0f ? 4.0f : a; // erf(4) is 1 in single precision
    float q = -2.16973003e-05f;
    q = q * t + 0.000441468932f;
    q = q * t - 0.00420526648f;
    q = q * t + 0.0252102893f;
    q = q * t - 0.108422019f;
    q = q * t - 0.6332165f;
    q = q * t - 1.12958026f;
    q = q * t + 0.00018845938f;
    const float far = copysignf(1.0f - kern_exp1_f32(q), x);
    return a < 1.0f ? near : far;
}

static inline float kern_silu1_f32(float x, float alpha)
{
    return x * kern_sigmoid1_f32(alpha * x);
}

// 0.5 x (1 + erf(x / sqrt 2))
static inline float kern_gelu1_f32(float x)
{
    return 0.5f * x * (1.0f + kern_erf1_f32(x * 0.707106781f));
}

// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
static inline float kern_gelu_tanh1_f32(float x)
{
    return 0.5f * x * (1.0f + kern_tanh1_f32(0.797884561f * (x + 0.044715f * x * x * x)));
}

// x tanh(log(1 + exp(x))) = x n / (n + 2) with n = e (e + 2), e = exp(x). From
// 20 on it is x.
static inline float kern_mish1_f32(float x)
{
    const float e = kern_exp1_f32(x > 20.0f ? 20.0f : x), n = e * (e + 2.0f);
    return x * (n / (n + 2.0f));
}

// ---- arrays: y[i] = f(x[i]); y may be x -----------------------------------

void kern_exp_f32(const float *x, float *y, size_t count);
void kern_sigmoid_f32(const float *x, float *y, size_t count);
void kern_tanh_f32(const float *x, float *y, size_t count);
void kern_erf_f32(const float *x, float *y, size_t count);
void kern_softplus_f32(const float *x, float *y, size_t count);
void kern_mish_f32(const float *x, float *y, size_t count);
void kern_gelu_f32(const float *x, float *y, size_t count);
void kern_gelu_tanh_f32(const float *x, float *y, size_t count);
// x * sigmoid(alpha * x)
void kern_silu_f32(const float *x, float *y, size_t count, float alpha);
// y[i] = exp(x[i] - shift); returns the sum of y, added up in 16 lanes of
// double precision (the order does not depend on the instruction set).
double kern_exp_sum_f32(const float *x, float *y, size_t count, float shift);
// The largest element, -INFINITY for none. NaNs are passed over.
float kern_max_f32(const float *x, size_t count);

#endif
