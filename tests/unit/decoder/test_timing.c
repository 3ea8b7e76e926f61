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
    for (int64_t i = -5; i < -1; i++) CHECK(timing_add(&t, i * 10, i * 10, 10, true, NULL));
    timing_finish(&t, 1000, INT64_MIN, INT64_MAX, &r);
    CHECK_INT(r.last, -20);
    CHECK_INT(r.last_duration, 10);
    timing_free(&t);
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
    for (int i = 0; i < 10; i++) CHECK(timing_add(&t, 10 * i, TIMING_NONE, 10, true, NULL));
    CHECK(timing_add(&t, 100, TIMING_NONE, 10, false, NULL));
    timing_finish(&t, 1000, 0, 1000, &r);
    CHECK_INT(r.frames, 10);
    CHECK_INT(r.next, TIMING_NONE);
    CHECK_INT(r.last_duration, 10);
    CHECK_INT(r.hidden, 1);
    CHECK(!r.earlier);
    timing_finish(&t, 1000, 200, 300, &r); // nothing
    CHECK_INT(r.frames, 0);
    CHECK(r.earlier);
    timing_free(&t);
}

CHECK_MAIN({"thinning", test_thinning}, {"order", test_order}, {"faults", test_faults},
           {"before_zero", test_before_zero}, {"part", test_part}, {"part_of_all", test_part_of_all})
