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

#define LANES 16

KERN_CLONES double kern_exp_sum_f32(const float *x, float *y, size_t count, float shift)
{
    double lane[LANES] = {0};
    KERN_INDEPENDENT
    for (size_t i = 0; i < count; i++) y[i] = kern_exp1_f32(x[i] - shift);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += (double)y[i + l];
    for (int l = 0; i < count; i++, l++) lane[l] += (double)y[i];
    double sum = 0;
    for (int l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

KERN_CLONES float kern_max_f32(const float *x, size_t count)
{
    float lane[LANES];
    for (int l = 0; l < LANES; l++) lane[l] = -INFINITY;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    for (; i < count; i++) lane[0] = x[i] > lane[0] ? x[i] : lane[0];
    float max = lane[0];
    for (int l = 1; l < LANES; l++) max = lane[l] > max ? lane[l] : max;
    return max;
}
