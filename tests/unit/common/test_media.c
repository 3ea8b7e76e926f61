// SPDX-License-Identifier: MIT
//
// Streams with more frames: time bases that do not collapse, times that lie evenly.
#include "common/media.h"

#include "tests/check.h"

static struct reel_media media_of(int num, int den)
{
    return (struct reel_media){.time_base = {num, den},
                               .frame_rate = {25, 1},
                               .first_pts = 3,
                               .last_pts = 102,
                               .last_duration = 1,
                               .n_frames = 100};
}

static void one_is_the_same(void)
{
    const struct reel_media in = media_of(1, 25), out = reel_media_at_rate(&in, 1);
    CHECK_INT(memcmp(&in, &out, sizeof in), 0);
    CHECK_INT(reel_media_time(&in, 1, 17, 5, 0), 17);
}

static void ticks_are_divided(void)
{
    const struct reel_media in = media_of(1, 25), out = reel_media_at_rate(&in, 3);
    CHECK(out.time_base.num == 1 && out.time_base.den == 75);
    CHECK(out.frame_rate.num == 75 && out.frame_rate.den == 1);
    CHECK_INT(out.n_frames, 300);
    CHECK_INT(out.first_pts, 9);
    CHECK_INT(out.last_pts, 308); // two thirds behind the last one
    CHECK_INT(out.last_duration, 1);
    for (int k = 0; k <= 3; k++) CHECK_INT(reel_media_time(&in, 3, 10, 1, (uint32_t)k), 30 + k);
    // Of two gaps each is divided evenly.
    for (int k = 0; k <= 3; k++) CHECK_INT(reel_media_time(&in, 3, -4, 7, (uint32_t)k), -12 + 7 * k);
}

static void numerators_are_divided_first(void)
{
    struct reel_media in = media_of(1001, 30000), out = reel_media_at_rate(&in, 2);
    CHECK(out.time_base.num == 1001 && out.time_base.den == 60000);
    in = media_of(4, 100);
    out = reel_media_at_rate(&in, 8);
    CHECK(out.time_base.num == 1 && out.time_base.den == 200);
    CHECK_INT(reel_media_time(&in, 8, 2, 1, 5), 21);
}

// Neither twice nor eight times this denominator is a number of 32 bits.
static void other_time_bases_become_nanoseconds(void)
{
    struct reel_media in = media_of(1, 2000000000), out = reel_media_at_rate(&in, 2);
    CHECK(out.time_base.num == 1 && out.time_base.den == 1000000000);
    CHECK_INT(reel_media_time(&in, 2, 80000000, 80000000, 0), 40000000);
    CHECK_INT(reel_media_time(&in, 2, 80000000, 80000000, 1), 60000000);
    in = media_of(1999999973, 2147483647); // a tick is nearly a second
    out = reel_media_at_rate(&in, 8);
    CHECK(out.time_base.num == 1 && out.time_base.den == 1000000000);
    int64_t before = -1;
    for (uint32_t k = 0; k <= 8; k++) {
        const int64_t t = reel_media_time(&in, 8, 0, 1, k);
        CHECK_MSG(t > before, "%u: %lld", k, (long long)t);
        before = t;
    }
    CHECK_INT(before, 931322562);
}

static void nothing_overflows(void)
{
    const struct reel_media in = media_of(1999999973, 2147483647);
    CHECK_INT(reel_media_time(&in, 8, INT64_MAX, INT64_MAX, 7), INT64_MAX);
    CHECK_INT(reel_media_time(&in, 8, INT64_MIN, 0, 0), INT64_MIN);
    struct reel_media none = media_of(0, 0), out = reel_media_at_rate(&none, 8);
    CHECK(out.time_base.num == 0 && out.time_base.den == 0);
    none = media_of(1, 25);
    none.frame_rate = (struct reel_rational){INT32_MAX, 1};
    out = reel_media_at_rate(&none, 8);
    CHECK(out.frame_rate.num == 0 && out.frame_rate.den == 1); // unknown
}

CHECK_MAIN({"one_is_the_same", one_is_the_same}, {"ticks_are_divided", ticks_are_divided},
           {"numerators_are_divided_first", numerators_are_divided_first},
           {"other_time_bases_become_nanoseconds", other_time_bases_become_nanoseconds},
           {"nothing_overflows", nothing_overflows})
