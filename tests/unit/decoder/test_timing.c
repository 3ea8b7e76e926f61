// SPDX-License-Identifier: MIT
//
// timing: steps, repeats, which entries may be cut at.
#include "decoder/timing.h"
#include "tests/check.h"

static struct reel_entry entry_at(int64_t pts)
{
    return (struct reel_entry){.pts = pts};
}

// One entry per second, the first of each, whatever lies between.
static void test_thinning(void)
{
    struct timing t = {0};
    struct timing_result r;
    for (int64_t i = 0; i < 100; i++) {
        struct reel_entry e = entry_at(i * 10);
        CHECK(timing_add(&t, i * 10, i * 10, 10, true, i ? &e : NULL));
    }
    timing_finish(&t, 100, INT64_MIN, INT64_MAX, &r);
    CHECK_INT(t.n_entries, 10);
    CHECK_INT(t.entries[0].pts, 10);
    CHECK_INT(t.entries[1].pts, 100);
    CHECK_INT(t.entries[9].pts, 900);
    CHECK_INT(r.first, 0);
    CHECK_INT(r.last, 990);
    CHECK_INT(r.last_duration, 10);
    CHECK(!r.variable);
    timing_free(&t);
}

// Leading pictures behind an entry are fine; a picture of the time before that
// comes much later, or one of the time after that came before, forbids it.
static void test_order(void)
{
    struct timing t = {0};
    struct timing_result r;
    struct reel_entry e = entry_at(30);
    for (int64_t i = 0; i < 3; i++) CHECK(timing_add(&t, i * 10, TIMING_NONE, 10, true, NULL));
    e = entry_at(50);
    CHECK(timing_add(&t, 50, TIMING_NONE, 10, true, &e)); // 30 and 40 lead
    CHECK(timing_add(&t, 30, TIMING_NONE, 10, true, NULL));
    CHECK(timing_add(&t, 40, TIMING_NONE, 10, true, NULL));
    CHECK(timing_add(&t, 200, TIMING_NONE, 10, true, NULL));
    e = entry_at(150);
    CHECK(timing_add(&t, 150, TIMING_NONE, 10, true, &e)); // 200 was before: no entry
    e = entry_at(300);
    CHECK(timing_add(&t, 300, TIMING_NONE, 10, true, &e)); // 250 comes too late: no entry
    for (int64_t i = 1; i < 100; i++) CHECK(timing_add(&t, 300 + i * 10, TIMING_NONE, 10, true, NULL));
    CHECK(timing_add(&t, 250, TIMING_NONE, 10, true, NULL));
    timing_finish(&t, 1, INT64_MIN, INT64_MAX, &r);
    CHECK_INT(t.n_entries, 1);
    CHECK_INT(t.entries[0].pts, 50);
    timing_free(&t);
}

static void test_faults(void)
{
    struct timing t = {0};
    struct timing_result r;
    CHECK(timing_add(&t, 0, 0, 33, true, NULL));
    CHECK(timing_add(&t, 33, 33, 33, true, NULL));
    CHECK(timing_add(&t, 33, 20, 33, true, NULL));          // repeats, DTS goes back
    CHECK(timing_add(&t, TIMING_NONE, 67, 33, true, NULL)); // missing
    CHECK(timing_add(&t, 50, 68, 33, false, NULL));         // hidden: its time is nobody's
    CHECK(timing_add(&t, 67, 100, 0, true, NULL));
    timing_finish(&t, 1000, INT64_MIN, INT64_MAX, &r);
    CHECK_INT(r.repeated, 1);
    CHECK_INT(t.dts_back, 1);
    CHECK_INT(t.missing, 1);
    CHECK(!r.variable);             // 33 and 34: rounding of milliseconds
    CHECK_INT(r.last_duration, 34); // the mean, where none is said
    timing_free(&t);
}

// Pictures before the time 0 (an edit list shows the file from later on), to the stream's end.
static void test_before_zero(void)
{
    struct timing t = {0};
    struct timing_result r;
    const struct reel_entry e = entry_at(-50);
    for (int64_t i = -5; i < -1; i++) CHECK(timing_add(&t, i * 10, i * 10, 12, true, i == -5 ? &e : NULL));
    timing_finish(&t, 1000, INT64_MIN, INT64_MAX, &r);
    CHECK_INT(t.dts_back, 0);
    CHECK_INT(t.n_entries, 1);
    CHECK_INT(r.last, -20);
    CHECK_INT(r.last_duration, 12); // of its packet
    timing_free(&t);
}

// A DTS that is missing or the same does not go back.
static void test_decoding_times(void)
{
    static const int64_t dts[] = {10, TIMING_NONE, 10, 20, TIMING_NONE, 19, 30};
    struct timing t = {0};
    for (int i = 0; i < 7; i++) CHECK(timing_add(&t, 10 * i, dts[i], 10, true, NULL));
    CHECK_INT(t.dts_back, 1);
    timing_free(&t);
}

// Whether an entry stays one when a picture of time `pts` follows it `behind` packets later.
static bool stays(int64_t pts, int behind)
{
    struct timing t = {0};
    struct timing_result r;
    const struct reel_entry e = entry_at(1000);
    bool ok = timing_add(&t, 0, TIMING_NONE, 10, true, NULL) && timing_add(&t, 1000, TIMING_NONE, 10, true, &e);
    for (int i = 1; i <= 80 && ok; i++)
        ok = timing_add(&t, i == behind ? pts : 1000 + 10 * i, TIMING_NONE, 10, true, NULL);
    timing_finish(&t, 1e6, INT64_MIN, INT64_MAX, &r);
    const bool kept = ok && t.n_entries == 1;
    timing_free(&t);
    return kept;
}

static void test_leading_pictures(void)
{
    CHECK(stays(990, TIMING_LEADING_MAX - 1));
    CHECK(!stays(990, TIMING_LEADING_MAX)); // too late
    CHECK(stays(1000, TIMING_LEADING_MAX)); // not shown before it
}

// At the time of a picture before it is no entry; more entries than fit the first arrays.
static void test_many_entries(void)
{
    struct timing t = {0};
    struct timing_result r;
    for (int64_t i = 0; i < 6000; i++) {
        const struct reel_entry e = entry_at(i / 2 * 100);
        CHECK(timing_add(&t, i / 2 * 100, TIMING_NONE, 50, true, i < 2 ? NULL : &e));
        CHECK(timing_add(&t, 0, TIMING_NONE, 50, false, NULL));
    }
    CHECK_INT(t.n_entries, 2999);
    timing_finish(&t, 100, INT64_MIN, INT64_MAX, &r);
    CHECK_INT(t.n_entries, 2999);
    for (int64_t i = 0; i < t.n_entries; i++) CHECK_INT(t.entries[i].pts, (i + 1) * 100);
    CHECK_INT(r.frames, 6000);
    CHECK_INT(r.hidden, 6000);
    CHECK_INT(r.repeated, 3000);
    CHECK_INT(r.last_duration, 50);
    timing_free(&t);
}

// Pictures at these times, each a tick of `duration` long.
static struct timing_result result_of(const int64_t *pts, int n, int64_t duration, int64_t from, int64_t to)
{
    struct timing t = {0};
    struct timing_result r = {0};
    bool ok = true;
    for (int i = 0; i < n; i++) ok &= timing_add(&t, pts[i], TIMING_NONE, i ? duration : 10, true, NULL);
    timing_finish(&t, 1000, from, to, &r);
    timing_free(&t);
    return ok ? r : (struct timing_result){.frames = -1};
}

static void test_steps(void)
{
    static const int64_t pts[] = {0, 10, 20, 30}, uneven[] = {0, 10, 22, 32}, rounded[] = {0, 10, 21, 31},
                         twice[] = {0, 0};
    CHECK(result_of(uneven, 4, 10, INT64_MIN, INT64_MAX).variable); // by two ticks
    CHECK(!result_of(rounded, 4, 10, INT64_MIN, INT64_MAX).variable);
    CHECK_NEAR(result_of(rounded, 4, 10, INT64_MIN, INT64_MAX).mean_step, 31.0 / 3, 1e-9);
    // What a packet says is believed from a quarter of a step on.
    CHECK_INT(result_of(pts, 4, 3, INT64_MIN, INT64_MAX).last_duration, 3);
    CHECK_INT(result_of(pts, 4, 2, INT64_MIN, INT64_MAX).last_duration, 10);
    CHECK_INT(result_of(pts, 4, -9, INT64_MIN, INT64_MAX).last_duration, 10);
    CHECK_INT(result_of(twice, 2, 30, INT64_MIN, INT64_MAX).last_duration, 10); // of the first packet at that time
}

// The bounds of a part: a picture at `from` belongs to it, one at `to` does not.
static void test_bounds(void)
{
    static const int64_t pts[] = {0, 10, 20, 30};
    struct timing_result r = result_of(pts, 4, 10, 10, 30);
    CHECK_INT(r.frames, 2);
    CHECK_INT(r.first, 10);
    CHECK_INT(r.next, 30);
    r = result_of(pts, 4, 10, 12, 20); // nothing
    CHECK_INT(r.frames, 0);
    CHECK_INT(r.first, 0);
    CHECK_INT(r.next, 20);
    r = result_of(pts, 4, 10, 20, 35); // ends while the last one is shown
    CHECK_INT(r.next, TIMING_NONE);
    CHECK_INT(r.last_duration, 5);
}

// A part in the midst of pictures that are reordered, and what is hidden in it.
static void test_part(void)
{
    struct timing t = {0};
    struct timing_result r;
    static const int64_t pts[] = {0, 30, 10, 20, 60, 40, 50, 90, 70, 80};
    for (int i = 0; i < 10; i++) {
        CHECK(timing_add(&t, pts[i], TIMING_NONE, 10, true, NULL));
        CHECK(timing_add(&t, pts[i], TIMING_NONE, 10, false, NULL)); // hidden, behind each
    }
    timing_finish(&t, 1000, 15, 45, &r); // 20 30 40
    CHECK_INT(r.frames, 3);
    CHECK_INT(r.first, 20);
    CHECK_INT(r.last, 40);
    CHECK_INT(r.next, 50);
    CHECK_INT(r.last_duration, 5); // to the part's end
    CHECK_INT(r.hidden, 3);        // behind 20, 60 and 40
    CHECK(r.earlier);
    timing_free(&t);
}

// The stream begins and ends within the part: that is all of it.
static void test_part_of_all(void)
{
    struct timing t = {0};
    struct timing_result r;
    CHECK(timing_add(&t, 0, TIMING_NONE, 10, false, NULL));
    for (int i = 0; i < 10; i++) CHECK(timing_add(&t, 10 * i, TIMING_NONE, 10, true, NULL));
    CHECK(timing_add(&t, 100, TIMING_NONE, 10, false, NULL));
    timing_finish(&t, 1000, 0, 1000, &r);
    CHECK_INT(r.frames, 10);
    CHECK_INT(r.next, TIMING_NONE);
    CHECK_INT(r.last_duration, 10);
    CHECK_INT(r.hidden, 2); // in front of the first, and behind the last
    CHECK(!r.earlier);
    timing_finish(&t, 1000, 200, 300, &r); // nothing
    CHECK_INT(r.frames, 0);
    CHECK(r.earlier);
    timing_free(&t);
}

CHECK_MAIN({"thinning", test_thinning}, {"order", test_order}, {"faults", test_faults},
           {"before_zero", test_before_zero}, {"decoding_times", test_decoding_times},
           {"leading_pictures", test_leading_pictures}, {"many_entries", test_many_entries}, {"steps", test_steps},
           {"bounds", test_bounds}, {"part", test_part}, {"part_of_all", test_part_of_all})
