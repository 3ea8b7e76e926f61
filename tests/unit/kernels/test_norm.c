// SPDX-License-Identifier: MIT
//
// kernels/norm against the definition in double: any count, lanes, means far
// from 0, chunks merged; and in place.
#include "kernels/norm.h"

#include <math.h>

#include "tests/check.h"

static uint64_t seed = 9;

static double rand_unit(void)
{
    return (double)(check_rand(&seed) >> 11) / 9007199254740992.0;
}

static int rand_int(int lo, int hi)
{
    return lo + (int)(check_rand(&seed) % (uint64_t)(hi - lo + 1));
}

// Moments of every `lanes`-th of count * lanes values, plainly.
static void moments_ref(const float *x, size_t count, int lanes, int lane, double *mean, double *square)
{
    double sum = 0, about = 0;
    for (size_t i = 0; i < count; i++) sum += (double)x[i * (size_t)lanes + (size_t)lane];
    *mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)x[i * (size_t)lanes + (size_t)lane] - *mean;
        about += d * d;
    }
    *square = about;
}

static float *values(size_t n, double middle, double width)
{
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; x && i < n; i++) x[i] = (float)(middle + width * (rand_unit() - 0.5));
    return x;
}

static void check_lane(const struct norm_moments *m, int l, const float *x, size_t count, int lanes)
{
    double mean, square;
    moments_ref(x, count, lanes, l, &mean, &square);
    const double wide = sqrt(square / (double)count) + 1e-30;
    CHECK_MSG(fabs(m->mean[l] - mean) <= 1e-6 * wide + 1e-15 * fabs(mean) &&
                  fabs(m->square[l] - square) <= 2e-5 * square + 1e-30,
              "%zu pixels of %d lanes: lane %d has mean %.12g for %.12g, squares %.9g for %.9g", count, lanes, l,
              m->mean[l], mean, m->square[l], square);
}

static void moments_of_any_count(void)
{
    for (int trial = 0; trial < 300; trial++) {
        const int lanes = trial % 3 == 0 ? 8 : trial % 3 == 1 ? 16 : 1;
        const size_t count = (size_t)(trial < 200 ? rand_int(1, 300) : rand_int(1000, 9000));
        // as far from 0 as 12 bits of float's 24 allow
        float *x = values(count * (size_t)lanes, trial % 4 == 0 ? 4096 : rand_unit(), trial % 5 ? 2 : 1e-2);
        struct norm_moments m;
        if (lanes == 1)
            norm_row_moments(x, count, &m);
        else
            norm_moments(x, count, lanes, &m);
        CHECK(m.count == (double)count);
        for (int l = 0; l < lanes; l++) check_lane(&m, l, x, count, lanes);
        // the same in chunks
        const size_t cut = (size_t)rand_int(0, (int)count);
        struct norm_moments a, b;
        if (lanes == 1) {
            norm_row_moments(x, cut, &a);
            norm_row_moments(x + cut, count - cut, &b);
        } else {
            norm_moments(x, cut, lanes, &a);
            norm_moments(x + cut * (size_t)lanes, count - cut, lanes, &b);
        }
        norm_merge(&a, &b, lanes);
        for (int l = 0; l < lanes; l++) check_lane(&a, l, x, count, lanes);
        free(x);
    }
}

static void equal_values_have_no_variance(void)
{
    float x[16 * 100];
    struct norm_moments m;
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) x[i] = 0.1f;
    norm_moments(x, 100, 16, &m);
    for (int l = 0; l < 16; l++)
        CHECK_MSG(m.square[l] < 1e-12, "lane %d: mean %g, squares %g", l, m.mean[l], m.square[l]);
}

static void applied_in_place_and_beside(void)
{
    for (int trial = 0; trial < 100; trial++) {
        const int lanes = trial % 3 == 0 ? 8 : trial % 3 == 1 ? 16 : 1;
        const size_t count = (size_t)rand_int(1, 200), n = count * (size_t)lanes;
        float *x = values(n, 0, 8), *y = values(n, 0, 1), *mean = values(16, 0, 1), *mul = values(16, 0, 4),
              *add = values(16, 0, 1);
        for (int in_place = 0; in_place < 2; in_place++) {
            float *src = in_place ? y : x;
            if (in_place) memcpy(y, x, n * sizeof *x);
            if (lanes == 1)
                norm_row_apply(src, y, count, *mean, *mul, *add);
            else
                norm_apply(src, y, count, lanes, mean, mul, add);
            for (size_t i = 0; i < n; i++) {
                const size_t l = i % (size_t)lanes;
                const double want = ((double)x[i] - (double)mean[l]) * (double)mul[l] + (double)add[l];
                CHECK_MSG(fabs(want - (double)y[i]) <= 1e-5, "lanes %d, element %zu: %g for %g", lanes, i, (double)y[i],
                          want);
            }
        }
        free(x), free(y), free(mean), free(mul), free(add);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"moments_of_any_count", moments_of_any_count},
        {"equal_values_have_no_variance", equal_values_have_no_variance},
        {"applied_in_place_and_beside", applied_in_place_and_beside},
    };
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}
