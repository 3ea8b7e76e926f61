// SPDX-License-Identifier: MIT
//
// kernels/rows against the definitions in double: any number and length of rows,
// in place, and one row alone as among others.
#include "kernels/rows.h"

#include <math.h>

#include "tests/check.h"

static uint64_t seed = 4;

static float *values(size_t n, double lo, double hi)
{
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = (float)(lo + (hi - lo) * (double)(check_rand(&seed) >> 11) / 9007199254740992.0);
    return x;
}

static size_t rand_size(size_t most)
{
    return 1 + (size_t)(check_rand(&seed) % most);
}

static void softmax_as_defined(void)
{
    for (int trial = 0; trial < 300; trial++) {
        const size_t n = trial % 10 == 9 ? 3000 : rand_size(trial % 2 ? 6 : 150),
                     rows = rand_size(trial % 10 == 9 ? 3 : 60);
        const double wide = trial % 3 ? 5 : 200;
        float *x = values(n * rows, -wide, wide), *y = values(n * rows, 0, 0), *alone = values(n, 0, 0);
        if (trial % 4 == 0) memcpy(y, x, n * rows * sizeof *x);
        rows_softmax(trial % 4 ? x : y, y, rows, n);
        for (size_t r = 0; r < rows; r++) {
            double max = -INFINITY, sum = 0;
            for (size_t i = 0; i < n; i++) max = fmax(max, (double)x[r * n + i]);
            for (size_t i = 0; i < n; i++) sum += exp((double)x[r * n + i] - max);
            for (size_t i = 0; i < n; i++) {
                const double want = exp((double)x[r * n + i] - max) / sum;
                CHECK_MSG(fabs(want - (double)y[r * n + i]) <= 2e-6 * want + 1e-12, "%zu rows of %zu: %g for %g", rows,
                          n, (double)y[r * n + i], want);
            }
        }
        rows_softmax(x + (rows - 1) * n, alone, 1, n);
        CHECK(!memcmp(alone, y + (rows - 1) * n, n * sizeof *y));
        free(x), free(y), free(alone);
    }
}

static void what_is_no_number(void)
{
    const float x[3][3] = {{1, NAN, 2}, {INFINITY, 0, 1}, {-INFINITY, 0, 0}};
    float y[3][3];
    rows_softmax(x[0], y[0], 3, 3);
    CHECK(isnan(y[0][0]) && isnan(y[0][1]) && isnan(y[0][2]));
    CHECK(isnan(y[1][0]));
    CHECK(y[2][0] == 0 && y[2][1] == 0.5f && y[2][2] == 0.5f);
}

static void layer_norm_as_defined(void)
{
    for (int trial = 0; trial < 300; trial++) {
        const size_t n = trial % 10 == 9 ? 3000 : rand_size(150), rows = rand_size(trial % 10 == 9 ? 3 : 40);
        const double middle = trial % 3 ? 0.5 : 1000;
        float *x = values(n * rows, middle - 1, middle + 1), *y = values(n * rows, 0, 0);
        float *scale = trial % 5 ? values(n, -2, 2) : NULL, *shift = trial % 5 > 1 ? values(n, -1, 1) : NULL;
        if (trial % 4 == 0) memcpy(y, x, n * rows * sizeof *x);
        rows_layer_norm(trial % 4 ? x : y, y, rows, n, 1e-3f, scale, shift);
        for (size_t r = 0; r < rows; r++) {
            double mean = 0, square = 0;
            for (size_t i = 0; i < n; i++) mean += (double)x[r * n + i] / (double)n;
            for (size_t i = 0; i < n; i++) square += ((double)x[r * n + i] - mean) * ((double)x[r * n + i] - mean);
            for (size_t i = 0; i < n; i++) {
                double want = ((double)x[r * n + i] - mean) / sqrt(square / (double)n + (double)1e-3f);
                if (scale) want *= (double)scale[i];
                if (shift) want += (double)shift[i];
                // a mean far from 0 costs no digits
                CHECK_MSG(fabs(want - (double)y[r * n + i]) <= 3e-6 * (1 + fabs(want)), "%zu rows of %zu: %g for %g",
                          rows, n, (double)y[r * n + i], want);
            }
        }
        free(x), free(y), free(scale), free(shift);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"softmax_as_defined", softmax_as_defined},
        {"what_is_no_number", what_is_no_number},
        {"layer_norm_as_defined", layer_norm_as_defined},
    };
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}
