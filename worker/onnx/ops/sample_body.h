// SPDX-License-Identifier: MIT
//
// Sampling a plane through precomputed taps for one element type; included by
// sample.c with REAL and FN(name) defined. It has no include guard on purpose.

// y[i] = sum over taps k of weight[k*n + i] * x[index[k*n + i]]; a place outside
// has weight 0 and adds nothing, whatever x holds there.
HOT static void FN(sample_points)(REAL *restrict y, const REAL *restrict x, const int32_t *restrict index,
                                  const REAL *restrict weight, int64_t n, int taps)
{
    for (int64_t i = 0; i < n; i++) y[i] = 0;
    for (int k = 0; k < taps; k++) {
        const int32_t *at = index + k * n;
        const REAL *w = weight + k * n;
        for (int64_t i = 0; i < n; i++) {
            REAL v = w[i] * x[at[i]];
            y[i] += w[i] == 0 ? 0 : v;
        }
    }
}
