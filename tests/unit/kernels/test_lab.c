// SPDX-License-Identifier: MIT
//
// lab.h's tables against the formulas in double precision, and the formulas
// against colours that are known.
#include "kernels/lab.h"

#include "tests/check.h"

#define N 1003 // no whole number of vectors

static struct lab_tables tables;

// The gray whose lightness is L, by halves.
static double gray_of(double lightness)
{
    double low = 0, high = 1;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (lab_lightness_ref(middle) < lightness)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void known_colours(void)
{
    // L a b of sRGB's primaries and what two of them make
    static const struct {
        double lab[3], rgb[3];
    } known[] = {{{53.24, 80.09, 67.20}, {1, 0, 0}},   {{87.73, -86.18, 83.18}, {0, 1, 0}},
                 {{32.30, 79.19, -107.86}, {0, 0, 1}}, {{97.14, -21.55, 94.48}, {1, 1, 0}},
                 {{53.39, 0, 0}, {0.5, 0.5, 0.5}},     {{60.32, 98.23, -60.82}, {1, 0, 1}},
                 {{91.11, -48.09, -14.13}, {0, 1, 1}}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        double rgb[3];
        lab_to_rgb_ref(gray_of(known[k].lab[0]), known[k].lab[1], known[k].lab[2], rgb);
        for (int i = 0; i < 3; i++)
            CHECK_MSG(fabs(rgb[i] - known[k].rgb[i]) < 0.01, "colour %zu: channel %d is %g, not %g", k, i, rgb[i],
                      known[k].rgb[i]);
    }
    CHECK_NEAR(lab_lightness_ref(0), 0, 1e-9);
    CHECK_NEAR(lab_lightness_ref(1), 100, 1e-9);
}

static void lightness_by_table(void)
{
    float v[N], got[N];
    double most = 0;
    lab_tables_init(&tables);
    for (int i = 0; i < N; i++) v[i] = (float)i / (N - 1);
    lab_lightness_row(&tables, v, got, N, 100, 0);
    for (int i = 0; i < N; i++) most = fmax(most, fabs((double)got[i] - lab_lightness_ref((double)v[i])));
    CHECK_MSG(most < 1e-4, "off by %g", most);
    lab_lightness_row(&tables, v, got, N, 1, -0.5f); // (L - 50) / 100
    CHECK_NEAR(got[0], -0.5, 1e-6);
    CHECK_NEAR(got[N - 1], 0.5, 1e-6);
    const float odd[3] = {-0.3f, 1.7f, NAN};
    lab_lightness_row(&tables, odd, got, 3, 100, 0);
    CHECK_NEAR(got[0], 0, 1e-4);
    CHECK_NEAR(got[1], 100, 1e-4);
    CHECK_NEAR(got[2], 0, 1e-4);
}

static void colours_by_table(void)
{
    float v[N], a[N], b[N], r[N], g[N], u[N];
    uint64_t seed = 7;
    double most = 0;
    lab_tables_init(&tables);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < N; i++) {
            const float wide = round % 2 ? 110 : 20;
            v[i] = (float)(check_rand(&seed) >> 40) / (1 << 24);
            a[i] = ((float)(check_rand(&seed) >> 40) / (1 << 23) - 1) * wide;
            b[i] = ((float)(check_rand(&seed) >> 40) / (1 << 23) - 1) * wide;
        }
        lab_to_rgb_row(&tables, v, a, b, r, g, u, N);
        for (int i = 0; i < N; i++) {
            double want[3];
            lab_to_rgb_ref((double)v[i], (double)a[i], (double)b[i], want);
            most = fmax(most, fabs((double)r[i] - want[0]));
            most = fmax(most, fabs((double)g[i] - want[1]));
            most = fmax(most, fabs((double)u[i] - want[2]));
        }
    }
    CHECK_MSG(most < 5e-5, "off by %g", most);
}

// Without colours each gray of 12 bits comes back.
static void grays_stay(void)
{
    lab_tables_init(&tables);
    for (int k = 0; k < 4096; k++) {
        const float v = (float)k / 4095, none = 0;
        float rgb[3];
        lab_to_rgb_row(&tables, &v, &none, &none, &rgb[0], &rgb[1], &rgb[2], 1);
        for (int i = 0; i < 3; i++)
            CHECK_MSG(fabsf(rgb[i] * 4095 - (float)k) < 0.4f, "gray %d: channel %d is %g", k, i,
                      (double)(rgb[i] * 4095));
    }
}

static void no_number_is_a_colour(void)
{
    const float v[2] = {0.5f, 0.5f}, a[2] = {NAN, INFINITY}, b[2] = {0, -INFINITY};
    float rgb[3][2];
    lab_tables_init(&tables);
    lab_to_rgb_row(&tables, v, a, b, rgb[0], rgb[1], rgb[2], 2);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) CHECK(rgb[i][k] >= 0 && rgb[i][k] <= 1);
}

static void luma_is_moved(void)
{
    float v[3] = {0.5f, 0.25f, 1}, r[3] = {0.6f, 0.2f, 0.9f}, g[3] = {0.3f, 0.2f, 1}, b[3] = {0.2f, 0.2f, 0.8f};
    const float from = 0.299f * r[0] + 0.587f * g[0] + 0.114f * b[0], red = r[0] - from;
    lab_move_luma_row(v, r, g, b, 3, 0.299f, 0.114f);
    CHECK_NEAR(0.299f * r[0] + 0.587f * g[0] + 0.114f * b[0], 0.5, 1e-6);
    CHECK_NEAR(r[0] - 0.5f, red, 1e-6); // the colour as it was
    CHECK_NEAR(r[1], 0.25, 1e-6);
    CHECK_NEAR(b[1], 0.25, 1e-6);
    CHECK_NEAR(g[2], 1, 1e-6);
}

CHECK_MAIN({"known_colours", known_colours}, {"lightness_by_table", lightness_by_table},
           {"colours_by_table", colours_by_table}, {"grays_stay", grays_stay},
           {"no_number_is_a_colour", no_number_is_a_colour}, {"luma_is_moved", luma_is_moved})
