// SPDX-License-Identifier: MIT
//
// Rows of the normalisations for one element type; included by norm.c with REAL
// and FN(name) defined. It has no include guard on purpose.

// Mean and population variance of n elements, in NORM_LANES partial sums.
HOT static void FN(moments)(const REAL *x, int64_t n, double *out_mean, double *out_var)
{
    REAL lane[NORM_LANES] = {0};
    double sum = 0.0;
    int64_t whole = n - n % NORM_LANES;
    for (int64_t i = 0; i < whole; i += NORM_LANES)
        for (int l = 0; l < NORM_LANES; l++) lane[l] += x[i + l];
    for (int64_t i = whole; i < n; i++) lane[i - whole] += x[i];
    for (int l = 0; l < NORM_LANES; l++) sum += lane[l];
    REAL mean = (REAL)(sum / (double)n);
    REAL square[NORM_LANES] = {0};
    for (int64_t i = 0; i < whole; i += NORM_LANES)
        for (int l = 0; l < NORM_LANES; l++) square[l] += (x[i + l] - mean) * (x[i + l] - mean);
    for (int64_t i = whole; i < n; i++) square[i - whole] += (x[i] - mean) * (x[i] - mean);
    double var = 0.0;
    for (int l = 0; l < NORM_LANES; l++) var += square[l];
    *out_mean = mean;
    *out_var = var / (double)n;
}

HOT static double FN(sum_squares)(const REAL *x, int64_t n)
{
    REAL lane[NORM_LANES] = {0};
    int64_t whole = n - n % NORM_LANES;
    for (int64_t i = 0; i < whole; i += NORM_LANES)
        for (int l = 0; l < NORM_LANES; l++) lane[l] += x[i + l] * x[i + l];
    for (int64_t i = whole; i < n; i++) lane[i - whole] += x[i] * x[i];
    double sum = 0.0;
    for (int l = 0; l < NORM_LANES; l++) sum += lane[l];
    return sum;
}

// y = (x - mean) * a + b
HOT static void FN(affine)(const REAL *x, REAL *y, int64_t n, REAL mean, REAL a, REAL b)
{
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * a + b;
}

// y = (x - mean) * a * scale + bias, element by element; scale and bias may be NULL
HOT static void FN(affine_rows)(const REAL *x, REAL *y, int64_t n, REAL mean, REAL a, const REAL *scale,
                                const REAL *bias)
{
    if (scale && bias)
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * a * scale[i] + bias[i];
    else if (scale)
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * a * scale[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * a;
}
