// SPDX-License-Identifier: MIT
//
// Narrow element types: every code's value and the codes of 65536 floats from
// all over the range against ml_dtypes 0.6 (by a hash of all results), and each
// rounding against a search through all values.
#include "common/narrow.h"

#include "tests/check.h"

static uint64_t hash(uint64_t h, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) h = (h ^ ((const uint8_t *)p)[i]) * UINT64_C(1099511628211);
    return h;
}

// Float number i of 65536: the upper half counts, the lower is scattered.
static float spread(uint32_t i)
{
    const uint32_t bits = i << 16 | (i * 40503 & 0xffff);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static const struct {
    enum reel_dtype dtype;
    int codes;
    uint64_t values, rounded[2]; // without and with saturation
} known[] = {
    {REEL_F8E4M3FN, 256, UINT64_C(0xdad1d9c50f749ca5), {UINT64_C(0xffb290f5360a4fc5), UINT64_C(0xc0dd0cbb188e5bc5)}},
    {REEL_F8E4M3FNUZ, 256, UINT64_C(0xf51851cb11c63018), {UINT64_C(0x9a4bb0ac90d7cfa5), UINT64_C(0xf8e7c8f195aa7995)}},
    {REEL_F8E5M2, 256, UINT64_C(0x6c1e56b6fb09c905), {UINT64_C(0x7707c17aebf81425), UINT64_C(0x9e70a00e1c39fe85)}},
    {REEL_F8E5M2FNUZ, 256, UINT64_C(0x94ae6fc493d49818), {UINT64_C(0xdb080fcc3bfefb25), UINT64_C(0x26162618f6c99f05)}},
    {REEL_F4E2M1, 16, UINT64_C(0x2403bb76b85dfea5), {UINT64_C(0x8c6467cf0bc3765), UINT64_C(0x8c6467cf0bc3765)}},
    {REEL_F8E8M0, 256, UINT64_C(0x6d2c8b41c3f0e5a5), {UINT64_C(0x0), UINT64_C(0x0)}},
};
enum { N_KNOWN = sizeof known / sizeof known[0] };
#define FNV UINT64_C(14695981039346656037)

static void every_code_has_its_value(void)
{
    for (int k = 0; k < N_KNOWN; k++) {
        uint64_t h = FNV;
        float all[256];
        uint8_t codes[256];
        for (int i = 0; i < 256; i++) codes[i] = (uint8_t)(i % known[k].codes);
        reel_convert(all, REEL_F32, codes, known[k].dtype, 256);
        for (int i = 0; i < known[k].codes; i++) {
            const float x = reel_narrow_to_f32(known[k].dtype, (uint8_t)i);
            uint32_t bits = 0x7fc00000;
            if (x == x) memcpy(&bits, &x, sizeof bits);
            h = hash(h, &bits, sizeof bits);
            CHECK((isnan(x) && isnan(all[i])) || x == all[i]);
        }
        CHECK_MSG(h == known[k].values, "%s has other values", reel_dtype_name(known[k].dtype));
    }
}

static void floats_round_as_in_ml_dtypes(void)
{
    for (int k = 0; k < N_KNOWN; k++) {
        if (known[k].dtype == REEL_F8E8M0) continue;
        for (int saturate = 0; saturate < 2; saturate++) {
            uint64_t h = FNV;
            for (uint32_t i = 0; i < 65536; i++) {
                const float x = isnan(spread(i)) && known[k].dtype == REEL_F4E2M1 ? 0 : spread(i);
                uint8_t code = reel_f32_to_narrow(known[k].dtype, x, saturate);
                if (isnan(reel_narrow_to_f32(known[k].dtype, code))) code = 0xee;
                h = hash(h, &code, 1);
            }
            CHECK_MSG(h == known[k].rounded[saturate], "%s rounds otherwise, saturate %d",
                      reel_dtype_name(known[k].dtype), saturate);
        }
    }
}

// The nearest finite value; of two, the one whose code is even.
static uint8_t search(enum reel_dtype dtype, int codes, float x)
{
    double least = INFINITY;
    int best = -1;
    for (int c = 0; c < codes; c++) {
        const double v = reel_narrow_to_f32(dtype, (uint8_t)c);
        if (!isfinite(v) || (signbit(v) != signbit((double)x) && x != 0)) continue;
        const double d = fabs(v - (double)x);
        if (best < 0 || d < least || (d == least && c % 2 == 0)) best = c, least = d;
    }
    return (uint8_t)best;
}

static void rounding_is_to_the_nearest(void)
{
    uint64_t seed = 3;
    for (int k = 0; k < N_KNOWN; k++) {
        if (known[k].dtype == REEL_F8E8M0) continue;
        for (int i = 0; i < 4000; i++) {
            // halfway points too: the mean of two neighbours
            const uint8_t c = (uint8_t)(check_rand(&seed) % (unsigned)(known[k].codes / 2 - 1));
            const float a = reel_narrow_to_f32(known[k].dtype, c), b = reel_narrow_to_f32(known[k].dtype, c + 1);
            if (!isfinite(a) || !isfinite(b)) continue;
            const float x = i % 2 ? (a + b) / 2 : a + (b - a) * (float)(check_rand(&seed) % 1000) / 1000;
            CHECK_INT(reel_f32_to_narrow(known[k].dtype, x, true), search(known[k].dtype, known[k].codes / 2, x));
        }
    }
}

static void powers_of_two(void)
{
    static const struct {
        float x;
        uint8_t up, down, nearest;
    } cases[] = {{1, 127, 127, 127},        {1.1f, 128, 127, 127},     {1.5f, 128, 127, 128},
                 {1.75f, 128, 127, 128},    {2, 128, 128, 128},        {0, 0, 0, 0},
                 {0x1p-127f, 0, 0, 0},      {0x1.2p-127f, 1, 0, 0},    {0x1.8p-127f, 1, 0, 1},
                 {0x1p-126f, 1, 1, 1},      {0x1p127f, 254, 254, 254}, {0x1.8p127f, 254, 254, 254},
                 {INFINITY, 254, 254, 254}, {NAN, 255, 255, 255}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_INT(reel_f32_to_e8m0(cases[i].x, true, REEL_E8M0_UP), cases[i].up);
        CHECK_INT(reel_f32_to_e8m0(cases[i].x, true, REEL_E8M0_DOWN), cases[i].down);
        CHECK_INT(reel_f32_to_e8m0(cases[i].x, true, REEL_E8M0_NEAREST), cases[i].nearest);
    }
    CHECK_INT(reel_f32_to_e8m0(0x1.8p127f, false, REEL_E8M0_UP), 255);
    CHECK_INT(reel_f32_to_e8m0(INFINITY, false, REEL_E8M0_UP), 255);
}

static void narrow_integers_keep_the_low_bits(void)
{
    const int32_t in[] = {-9, -8, -1, 0, 7, 8, 15, 16, 300, -300};
    const int i4[] = {7, -8, -1, 0, 7, -8, -1, 0, -4, 4}, u4[] = {7, 8, 15, 0, 7, 8, 15, 0, 12, 4},
              i2[] = {-1, 0, -1, 0, -1, 0, -1, 0, 0, 0}, u2[] = {3, 0, 3, 0, 3, 0, 3, 0, 0, 0};
    const int *want[] = {i4, u4, i2, u2};
    for (int t = 0; t < 4; t++) {
        const enum reel_dtype dtype = (enum reel_dtype)(REEL_I4 + t);
        uint8_t bytes[10];
        int64_t back[10];
        double real[10];
        reel_convert(bytes, dtype, in, REEL_I32, 10);
        reel_convert(back, REEL_I64, bytes, dtype, 10);
        reel_convert(real, REEL_F64, bytes, dtype, 10);
        for (int i = 0; i < 10; i++) {
            CHECK_INT(back[i], want[t][i]);
            CHECK(real[i] == want[t][i]);
        }
    }
}

// A double just above a halfway point goes up, which rounding twice would not.
static void doubles_round_once(void)
{
    const double x = 1.0625 * (1 + 0x1p-40);
    uint8_t code;
    reel_convert(&code, REEL_F8E4M3FN, &x, REEL_F64, 1);
    CHECK(reel_narrow_to_f32(REEL_F8E4M3FN, code) == 1.125f);
}

CHECK_MAIN({"every_code_has_its_value", every_code_has_its_value},
           {"floats_round_as_in_ml_dtypes", floats_round_as_in_ml_dtypes},
           {"rounding_is_to_the_nearest", rounding_is_to_the_nearest}, {"powers_of_two", powers_of_two},
           {"narrow_integers_keep_the_low_bits", narrow_integers_keep_the_low_bits},
           {"doubles_round_once", doubles_round_once})
