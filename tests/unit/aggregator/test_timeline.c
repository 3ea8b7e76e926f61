// SPDX-License-Identifier: MIT
//
// The DTS rule: exact reorder depth, strictly growing DTS that never pass
// their PTS, durations that add up; for fixed rates, variable ones, B-frames
// and random decoding orders.
#include "aggregator/sink/timeline.h"

#include "tests/check.h"

static void add_all(struct timeline *t, const int64_t *pts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (timeline_add(t, pts[i])) abort();
}

static void no_reordering(void)
{
    struct timeline t = {0};
    const int64_t pts[] = {100, 140, 200, 210};
    add_all(&t, pts, 4);
    CHECK_INT(timeline_close(&t, 33), REEL_OK);
    CHECK_INT(t.depth, 0);
    for (size_t i = 0; i < 4; i++) CHECK_INT(timeline_dts(&t, i), pts[i]);
    CHECK_INT(timeline_duration(&t, 140), 60);
    CHECK_INT(timeline_duration(&t, 210), 33);
    timeline_fini(&t);
}

static void pyramid(void)
{
    // I0 P4 B2 b1 b3 P8 B6 b5 b7, 512 apart
    struct timeline t = {0};
    const int64_t order[] = {0, 4, 2, 1, 3, 8, 6, 5, 7};
    for (size_t i = 0; i < 9; i++) timeline_add(&t, order[i] * 512);
    CHECK_INT(timeline_close(&t, 512), REEL_OK);
    CHECK_INT(t.depth, 2);
    for (size_t i = 0; i < 9; i++) {
        CHECK_INT(timeline_dts(&t, i), ((int64_t)i - 2) * 512);
        CHECK(timeline_dts(&t, i) <= order[i] * 512);
    }
    timeline_fini(&t);
}

static void variable_rate(void)
{
    // Shown at 0 10 50 55 400; decoded with one B-frame between.
    struct timeline t = {0};
    const int64_t order[] = {0, 50, 10, 400, 55};
    add_all(&t, order, 5);
    CHECK_INT(timeline_close(&t, 7), REEL_OK);
    CHECK_INT(t.depth, 1);
    const int64_t want[] = {-10, 0, 10, 50, 55};
    for (size_t i = 0; i < 5; i++) CHECK_INT(timeline_dts(&t, i), want[i]);
    CHECK_INT(timeline_duration(&t, 55), 345);
    CHECK_INT(timeline_duration(&t, 400), 7);
    timeline_fini(&t);
}

static void random_orders(void)
{
    uint64_t seed = 7;
    for (int round = 0; round < 2000; round++) {
        struct timeline t = {0};
        size_t n = 1 + check_rand(&seed) % 60;
        int64_t shown[64], order[64];
        shown[0] = (int64_t)(check_rand(&seed) % 2000) - 1000;
        for (size_t i = 1; i < n; i++) shown[i] = shown[i - 1] + 1 + (int64_t)(check_rand(&seed) % 100);
        memcpy(order, shown, sizeof order);
        for (size_t i = 0; i < n; i++) { // exchanges within a small distance
            size_t k = i + check_rand(&seed) % 4;
            if (k >= n) continue;
            int64_t swap = order[i];
            order[i] = order[k];
            order[k] = swap;
        }
        add_all(&t, order, n);
        CHECK_INT(timeline_close(&t, 40), REEL_OK);
        int64_t sum = 0;
        bool tight = t.depth == 0;
        for (size_t i = 0; i < n; i++) {
            CHECK_MSG(timeline_dts(&t, i) <= order[i], "round %d: dts %lld after pts %lld", round,
                      (long long)timeline_dts(&t, i), (long long)order[i]);
            if (i) CHECK_MSG(timeline_dts(&t, i) > timeline_dts(&t, i - 1), "round %d: dts do not grow", round);
            sum += timeline_duration(&t, order[i]);
            // With a depth less by one some packet would be late.
            if (t.depth && i >= t.depth - 1) tight |= shown[i - (t.depth - 1)] > order[i];
        }
        CHECK_MSG(tight, "round %d: depth %zu is not the smallest", round, t.depth);
        CHECK_INT(sum, shown[n - 1] + (n > 1 || t.last_duration ? t.last_duration : 0) - shown[0]);
        timeline_fini(&t);
    }
}

static void one_timestamp_twice(void)
{
    struct timeline t = {0};
    const int64_t order[] = {0, 40, 20, 40};
    add_all(&t, order, 4);
    CHECK_INT(timeline_close(&t, 20), REEL_ERR_INPUT);
    CHECK_HAS(reel_fail_text(), "two frames have timestamp 40");
    timeline_fini(&t);
}

// As for standard output: each part closed when it comes gives what all of them give at once.
static void part_by_part(void)
{
    struct timeline whole = {0}, parts = {.depth = 2};
    const int64_t order[] = {0, 4, 2, 1, 3, 8, 6, 5, 7, 9, 13, 11, 10, 12, 20};
    const size_t ends[] = {9, 14, 15};
    add_all(&whole, order, 15);
    CHECK_INT(timeline_close(&whole, 2), REEL_OK);
    for (size_t k = 0, at = 0; k < 3; at = ends[k++]) {
        add_all(&parts, order + at, ends[k] - at);
        CHECK_INT(timeline_close(&parts, 2), REEL_OK);
        CHECK_INT(parts.depth, 2);
    }
    for (size_t i = 0; i < 15; i++) {
        CHECK_INT(timeline_dts(&parts, i), timeline_dts(&whole, i));
        CHECK_INT(timeline_duration(&parts, order[i]), timeline_duration(&whole, order[i]));
    }
    CHECK_INT(timeline_median(&parts), 1);
    const int64_t back = 19;
    add_all(&parts, &back, 1);
    CHECK_INT(timeline_close(&parts, 2), REEL_ERR_INPUT);
    timeline_fini(&whole);
    timeline_fini(&parts);
}

CHECK_MAIN({"no_reordering", no_reordering}, {"pyramid", pyramid}, {"variable_rate", variable_rate},
           {"random_orders", random_orders}, {"one_timestamp_twice", one_timestamp_twice},
           {"part_by_part", part_by_part})
