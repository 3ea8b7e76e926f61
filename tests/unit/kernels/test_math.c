// SPDX-License-Identifier: MIT
//
// kernels/math.h against double precision: errors in units of the last place,
// special values, and that array forms equal the inline ones for every length.
#include "kernels/math.h"

#include "tests/check.h"

// Distance of got to the exact value in units of the last place of the float
// nearest to it (at least the smallest denormal).
static double ulps(float got, double exact)
{
    if (isnan(got) || isnan(exact)) return isnan(got) && isnan(exact) ? 0 : INFINITY;
    const float near = (float)exact;
    if (isinf(near) || isinf(got)) return near == got ? 0 : INFINITY;
    const float a = fabsf(near);
    const double unit = (double)nextafterf(a, INFINITY) - (double)a;
    return fabs((double)got - exact) / unit;
}

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double exact_softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double exact_mish(double x)
{
    return x * tanh(exact_softplus(x));
}
static double exact_silu(double x)
{
    return x * exact_sigmoid(x);
}
static float silu_one(float x)
{
    return kern_silu1_f32(x, 1.0f);
}

static void check_range(const char *name, float (*f)(float), double (*exact)(double), float lo, float hi, double limit)
{
    double worst = 0;
    float at = 0;
    const int steps = 400001;
    for (int i = 0; i < steps; i++) {
        const float x = (float)(lo + ((double)hi - lo) * i / (steps - 1));
        const double u = ulps(f(x), exact((double)x));
        if (u > worst || isnan(u)) worst = u, at = x;
    }
    CHECK_MSG(worst <= limit, "%s(%.9g) is off by %.2f ulp, allowed %.2f", name, (double)at, worst, limit);
}

static void functions_are_exact_enough(void)
{
    check_range("exp", kern_exp1_f32, exp, -87.3f, 88.7f, 2);
    check_range("exp", kern_exp1_f32, exp, -1, 1, 2);
    check_range("exp", kern_exp1_f32, exp, -110, -87, 2);
    check_range("expm1", kern_expm1_neg_f32, expm1, -30, 0, 2);
    check_range("expm1", kern_expm1_neg_f32, expm1, -1e-3f, 0, 2);
    check_range("sigmoid", kern_sigmoid1_f32, exact_sigmoid, -87, 30, 3);
    check_range("tanh", kern_tanh1_f32, tanh, -12, 12, 3);
    check_range("tanh", kern_tanh1_f32, tanh, -0.01f, 0.01f, 2);
    check_range("erf", kern_erf1_f32, erf, -5, 5, 3);
    check_range("erf", kern_erf1_f32, erf, -0.01f, 0.01f, 2);
    check_range("softplus", kern_softplus1_f32, exact_softplus, -80, 80, 3);
    check_range("mish", kern_mish1_f32, exact_mish, -80, 80, 4);
    check_range("silu", silu_one, exact_silu, -80, 80, 4);
}

static double exact_gelu(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}
static double exact_gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

// 1 + erf cancels for negative x: the absolute error is what counts.
static void gelu_is_near(void)
{
    for (int i = -800; i <= 800; i++) {
        const float x = (float)i / 100;
        CHECK_NEAR(kern_gelu1_f32(x), exact_gelu((double)x), 5e-7 * (1 + fabs((double)x)));
        CHECK_NEAR(kern_gelu_tanh1_f32(x), exact_gelu_tanh((double)x), 5e-7 * (1 + fabs((double)x)));
    }
}

static void special_values(void)
{
    CHECK(kern_exp1_f32(0.0f) == 1.0f);
    CHECK(kern_exp1_f32(INFINITY) == INFINITY && kern_exp1_f32(-INFINITY) == 0.0f && isnan(kern_exp1_f32(NAN)));
    CHECK(kern_exp1_f32(88.8f) == INFINITY && kern_exp1_f32(-104.5f) == 0.0f);
    CHECK(kern_exp1_f32(-103.5f) > 0.0f);
    CHECK(kern_expm1_neg_f32(-INFINITY) == -1.0f && isnan(kern_expm1_neg_f32(NAN)));
    CHECK(kern_sigmoid1_f32(INFINITY) == 1.0f && kern_sigmoid1_f32(-INFINITY) == 0.0f);
    CHECK(kern_sigmoid1_f32(0.0f) == 0.5f && isnan(kern_sigmoid1_f32(NAN)));
    CHECK(kern_tanh1_f32(INFINITY) == 1.0f && kern_tanh1_f32(-INFINITY) == -1.0f && isnan(kern_tanh1_f32(NAN)));
    CHECK(kern_tanh1_f32(-0.0f) == 0.0f && signbit(kern_tanh1_f32(-0.0f)));
    CHECK(kern_erf1_f32(INFINITY) == 1.0f && kern_erf1_f32(-INFINITY) == -1.0f && isnan(kern_erf1_f32(NAN)));
    CHECK(kern_softplus1_f32(INFINITY) == INFINITY && kern_softplus1_f32(-INFINITY) == 0.0f);
    CHECK(isnan(kern_softplus1_f32(NAN)) && isnan(kern_mish1_f32(NAN)));
    CHECK(kern_mish1_f32(100.0f) == 100.0f && kern_mish1_f32(INFINITY) == INFINITY);
}

static void arrays_equal_inline_forms(void)
{
    uint64_t seed = 7;
    float x[67] = {0}, y[67];
    for (size_t n = 0; n <= 67; n++) {
        for (size_t i = 0; i < n; i++) x[i] = (float)((double)(check_rand(&seed) % 20000) / 1000 - 10);
        kern_exp_f32(x, y, n);
        for (size_t i = 0; i < n; i++) CHECK(y[i] == kern_exp1_f32(x[i]));
        kern_erf_f32(x, y, n);
        for (size_t i = 0; i < n; i++) CHECK(y[i] == kern_erf1_f32(x[i]));
        kern_gelu_f32(x, y, n);
        for (size_t i = 0; i < n; i++) CHECK(y[i] == kern_gelu1_f32(x[i]));
        memcpy(y, x, sizeof x);
        kern_tanh_f32(y, y, n); // in place
        for (size_t i = 0; i < n; i++) CHECK(y[i] == kern_tanh1_f32(x[i]));

        double sum = 0;
        float max = -INFINITY;
        for (size_t i = 0; i < n; i++) sum += (double)kern_exp1_f32(x[i] - 1.5f), max = fmaxf(max, x[i]);
        CHECK_NEAR(kern_exp_sum_f32(x, y, n, 1.5f), sum, 1e-12 * (1 + sum));
        CHECK(kern_max_f32(x, n) == max);
        if (n) x[n - 1] = NAN;
        if (n > 1) CHECK(kern_max_f32(x, n) == kern_max_f32(x, n - 1));
    }
}

CHECK_MAIN({"functions are exact enough", functions_are_exact_enough}, {"gelu is near", gelu_is_near},
           {"special values", special_values}, {"arrays equal inline forms", arrays_equal_inline_forms})
