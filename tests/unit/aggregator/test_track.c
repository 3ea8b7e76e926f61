// SPDX-License-Identifier: MIT
//
// Tracking: made-up objects on known ways, seen, missed, weak and renamed; and the
// assignment against all permutations.
#include "aggregator/post/track.h"

#include <math.h>
#include <string.h>

#include "aggregator/post/assign.h"
#include "tests/check.h"

#define MOST 8

// One frame's detections, in the order in which they are added.
struct scene {
    struct reel_object object[MOST];
    struct results results;
    int32_t track[MOST];
};

static void add(struct scene *s, double x, double y, double score, int class_id)
{
    s->object[s->results.head.count++] = (struct reel_object){
        .class_id = class_id, .score = (float)score, .x = (float)x, .y = (float)y, .w = 20, .h = 40};
}

static struct tracker *begin(double keep, int32_t first_id)
{
    const struct track_params params = {.score = 0.5f, .keep = keep, .first_id = first_id};
    struct tracker *t = NULL;
    if (tracker_create(&params, &t)) abort();
    return t;
}

static void frame(struct tracker *t, uint32_t n, struct scene *s)
{
    s->results.items = (const uint8_t *)s->object;
    CHECK_INT(tracker_frame(t, n, n / 25.0, &s->results, s->track), REEL_OK);
}

// Two pass each other; each keeps its number, whatever order they come in.
static void crossing(void)
{
    struct tracker *t = begin(1, 1);
    for (uint32_t n = 0; n < 100; n++) {
        struct scene s = {0};
        const double left = 3.0 * n, right = 300 - 3.0 * n;
        const bool turned = n % 3 == 1;
        add(&s, turned ? right : left, turned ? 60 : 50, 0.9, 0);
        add(&s, turned ? left : right, turned ? 50 : 60, 0.8, 0);
        frame(t, n, &s);
        CHECK_INT(s.track[0], turned ? 2 : 1);
        CHECK_INT(s.track[1], turned ? 1 : 2);
    }
    tracker_destroy(&t);
}

// Out of sight for so many frames, on its way all the time: the number it has then.
static int32_t number_behind(uint32_t gap, double keep, bool dropped)
{
    struct tracker *t = begin(keep, 1);
    int32_t number = 0;
    for (uint32_t n = 0; n < 40 + gap; n++) {
        struct scene s = {0};
        const bool hidden = n >= 20 && n < 20 + gap;
        if (hidden && dropped) continue;
        if (!hidden) add(&s, 2.0 * n, 50, 0.9, 0);
        frame(t, n, &s);
        if (!hidden) number = s.track[0];
    }
    tracker_destroy(&t);
    return number;
}

static void lost_and_found(void)
{
    CHECK_INT(number_behind(0, 1, false), 1);
    CHECK_INT(number_behind(15, 1, false), 1);
    CHECK_INT(number_behind(15, 1, true), 1); // frames that were never there
    CHECK_INT(number_behind(15, 0.4, false), 2);
    CHECK_INT(number_behind(40, 1, false), 2);
    CHECK_INT(number_behind(40, 4, false), 1);
}

// Weak detections go on with a track, and are nothing by themselves.
static void weak(void)
{
    struct tracker *t = begin(1, 1);
    for (uint32_t n = 0; n < 30; n++) {
        struct scene s = {0};
        add(&s, 2.0 * n, 50, n < 5 || n > 20 ? 0.9 : 0.2, 0);
        add(&s, 200, 50, 0.3, 0);
        frame(t, n, &s);
        CHECK_INT(s.track[0], 1);
        CHECK_INT(s.track[1], TRACK_HIDDEN);
    }
    tracker_destroy(&t);
}

// Behind the first frame a number is given at the second sight; what is seen but once never has one.
static void second_sight(void)
{
    struct tracker *t = begin(1, 1000001);
    for (uint32_t n = 0; n < 10; n++) {
        struct scene s = {0};
        add(&s, 10, 50, 0.9, 0);
        if (n == 3) add(&s, 300, 50, 0.9, 0);
        if (n > 5) add(&s, 500, 50, 0.9, 0);
        frame(t, n, &s);
        CHECK_INT(s.track[0], 1000001);
        if (n == 3) CHECK_INT(s.track[1], TRACK_NONE);
        if (n > 5) CHECK_INT(s.track[1], n == 6 ? TRACK_NONE : 1000002);
    }
    tracker_destroy(&t);
}

// A name that comes and goes; and two of other classes in nearly one place, where it decides.
static void classes(void)
{
    struct tracker *t = begin(1, 1);
    for (uint32_t n = 0; n < 30; n++) {
        struct scene s = {0};
        add(&s, 2.0 * n, 50, 0.9, n / 4 % 2 ? 7 : 2);
        const bool turned = n % 2;
        add(&s, turned ? 304 : 300, 50, 0.9, turned);
        add(&s, turned ? 300 : 304, 50, 0.9, !turned);
        frame(t, n, &s);
        CHECK_INT(s.track[0], 1);
        CHECK_INT(s.track[1], turned ? 3 : 2);
        CHECK_INT(s.track[2], turned ? 2 : 3);
    }
    tracker_destroy(&t);
}

static void no_numbers(void)
{
    struct tracker *t = begin(1, 1);
    for (uint32_t n = 0; n < 4; n++) {
        struct scene s = {0};
        add(&s, NAN, 50, 0.9, 0);
        add(&s, 10, INFINITY, 0.2, 0);
        add(&s, 10, 50, 0.9, 0);
        s.object[2].w = 0;
        add(&s, 10, 50, 0.9, 0);
        frame(t, n, &s);
        CHECK_INT(s.track[0], TRACK_NONE);
        CHECK_INT(s.track[1], TRACK_HIDDEN);
        CHECK_INT(s.track[2], TRACK_NONE);
        CHECK_INT(s.track[3], 1);
    }
    struct scene none = {0};
    frame(t, 4, &none);
    tracker_destroy(&t);
    tracker_destroy(&t);
}

// ---- assignment -----------------------------------------------------------------

static float best_of(const float *weight, int rows, int cols, int row, unsigned taken)
{
    if (row == rows) return 0;
    float best = best_of(weight, rows, cols, row + 1, taken); // this one has none
    for (int c = 0; c < cols; c++) {
        if (taken & 1u << c) continue;
        const float sum = weight[row * cols + c] + best_of(weight, rows, cols, row + 1, taken | 1u << c);
        if (sum > best) best = sum;
    }
    return best;
}

static void assignment(void)
{
    uint32_t random = 1;
    for (int i = 0; i < 400; i++) {
        float weight[36];
        int pair[6], rows = 1 + i % 6, cols = 1 + i / 6 % 6;
        for (int k = 0; k < rows * cols; k++) {
            random = random * 1664525u + 1013904223u;
            weight[k] = random >> 30 ? (float)(random >> 20 & 15) : 0; // many equal, a quarter none
        }
        CHECK_INT(assign(weight, rows, cols, pair), REEL_OK);
        unsigned taken = 0;
        float sum = 0;
        for (int r = 0; r < rows; r++) {
            if (pair[r] < 0) continue;
            CHECK(pair[r] < cols && !(taken & 1u << pair[r]) && weight[r * cols + pair[r]] > 0);
            taken |= 1u << pair[r];
            sum += weight[r * cols + pair[r]];
        }
        CHECK_NEAR(sum, best_of(weight, rows, cols, 0, 0), 1e-4);
    }
    int none[2];
    CHECK_INT(assign(NULL, 2, 0, none), REEL_OK);
    CHECK_INT(none[1], -1);
}

CHECK_MAIN({"crossing", crossing}, {"lost_and_found", lost_and_found}, {"weak", weak}, {"second_sight", second_sight},
           {"classes", classes}, {"no_numbers", no_numbers}, {"assignment", assignment})
