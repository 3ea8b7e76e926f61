// SPDX-License-Identifier: MIT
//
// The array forms of kernels/math.h: loops over its inline functions.
#include "kernels/math.h"

#include "kernels/simd.h"

#define ARRAY_FORM(name, expression)                                           \
    KERN_CLONES void kern_##name##_f32(const float *x, float *y, size_t count) \
    {                                                                          \
        KERN_INDEPENDENT                                                       \
        for (size_t i = 0; i < count; i++) y[i] = expression;                  \
    }

ARRAY_FORM(exp, kern_exp1_f32(x[i]))
ARRAY_FORM(sigmoid, kern_sigmoid1_f32(x[i]))
ARRAY_FORM(tanh, kern_tanh1_f32(x[i]))
ARRAY_FORM(erf, kern_erf1_f32(x[i]))
ARRAY_FORM(softplus, kern_softplus1_f32(x[i]))
ARRAY_FORM(mish, kern_mish1_f32(x[i]))
ARRAY_FORM(gelu, kern_gelu1_f32(x[i]))
ARRAY_FORM(gelu_tanh, kern_gelu_tanh1_f32(x[i]))

KERN_CLONES void kern_silu_f32(const float *x, float *y, size_t count, float alpha)
{
    KERN_INDEPENDENT
    for (size_t i = 0; i < count; i++) y[i] = kern_silu1_f32(x[i], alpha);
}

#define LANES 8

KERN_CLONES double kern_exp_sum_f32(const float *x, float *y, size_t count, float shift)
{
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int l = 0; l < LANES; l++) {
            y[i + l] = kern_exp1_f32(x[i + l] - shift);
            lane[l] += (double)y[i + l];
        }
    for (int l = 0; i < count; i++, l++) {
        y[i] = kern_exp1_f32(x[i] - shift);
        lane[l] += (double)y[i];
    }
    double sum = 0;
    for (int l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

KERN_CLONES float kern_max_f32(const float *x, size_t count)
{
    float lane[2 * LANES];
    for (int l = 0; l < 2 * LANES; l++) lane[l] = -INFINITY;
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES)
        for (int l = 0; l < 2 * LANES; l++) {
            const float v = x[i + l];
            lane[l] = v > lane[l] || v != v ? v : lane[l];
        }
    for (; i < count; i++) lane[0] = x[i] > lane[0] || x[i] != x[i] ? x[i] : lane[0];
    float max = lane[0];
    for (int l = 1; l < 2 * LANES; l++) max = lane[l] > max || lane[l] != lane[l] ? lane[l] : max;
    return max;
}
