// SPDX-License-Identifier: MIT
//
// Cutting into segments: every timestamp is in exactly one, cuts lie on
// entries, and random inputs keep both.
#include "coordinator/plan.h"

#include "tests/check.h"

static struct reel_media media_of(int64_t last)
{
    return (struct reel_media){.time_base = {1, 1000}, .first_pts = 0, .last_pts = last, .n_frames = 100};
}

static void cuts_at_entries(void)
{
    struct reel_media m = media_of(30000);
    struct reel_entry e[31];
    for (int i = 0; i < 31; i++) e[i] = (struct reel_entry){.packet_no = i * 25, .pts = i * 1000};
    uint32_t n;
    struct segment *s = plan_segments(&m, e, 31, 10, &n);
    CHECK_INT(n, 4); // 0..9, 10..19, 20..29, 30
    CHECK(!s[0].has_entry && s[1].has_entry);
    CHECK_INT(s[1].start_pts, 10000);
    CHECK_INT(s[1].end_pts, 20000);
    CHECK_INT(s[1].entry.packet_no, 250);
    CHECK_INT(s[3].end_pts, INT64_MAX);
    free(s);
}

static void no_cut(void)
{
    struct reel_media m = media_of(30000);
    struct reel_entry e = {.pts = 15000};
    uint32_t n;
    m.flags = REEL_MEDIA_NO_CUT;
    struct segment *s = plan_segments(&m, &e, 1, 10, &n);
    CHECK_INT(n, 1);
    free(s);
    m.flags = 0;
    m.time_base = (struct reel_rational){0, 0};
    s = plan_segments(&m, &e, 1, 10, &n);
    CHECK_INT(n, 1);
    free(s);
    s = plan_segments(&m, NULL, 0, 10, &n);
    CHECK_INT(n, 1);
    CHECK_INT(s[0].start_pts, INT64_MIN);
    CHECK_INT(s[0].end_pts, INT64_MAX);
    free(s);
}

// --verify: the beginning alone, cut anywhere.
static void limited(void)
{
    struct reel_media m = media_of(30000);
    struct reel_entry e[31];
    for (int i = 0; i < 31; i++) e[i] = (struct reel_entry){.packet_no = i * 25, .pts = i * 1000};
    static const struct {
        double seconds;
        uint32_t segments;
        int64_t end;
    } rows[] = {{2, 1, 2000}, {10, 1, 10000}, {10.5, 2, 10500}, {0.0001, 1, 1}, {1e6, 4, 1000000000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t n;
        struct segment *s = plan_segments(&m, e, 31, 10, &n);
        n = plan_limit(&m, rows[i].seconds, s, n);
        CHECK_INT(n, rows[i].segments);
        CHECK_INT(s[n - 1].end_pts, rows[i].end);
        CHECK_INT(s[n - 1].has_next, rows[i].end == 10000); // cut where a segment begins
        free(s);
    }
    uint32_t n;
    m.flags = REEL_MEDIA_NO_CUT;
    struct segment *s = plan_segments(&m, e, 31, 10, &n);
    CHECK_INT(plan_limit(&m, 2, s, n), 1);
    CHECK_INT(s[0].end_pts, INT64_MAX);
    free(s);
}

// Frames every 40 ms, entries every second, segments of ten.
static void warmed_up(void)
{
    struct reel_media m = media_of(30000);
    m.n_frames = 751;
    struct reel_entry e[31];
    for (int i = 0; i < 31; i++) e[i] = (struct reel_entry){.packet_no = i * 25, .pts = i * 1000};
    static const struct {
        int frames;
        int64_t context, entry; // of the second segment; entry -1: none
    } rows[] = {{0, 10000, 10000}, {1, 9940, 9000}, {24, 9020, 9000}, {25, 8980, 8000},
                {249, 20, 0},      {250, 0, 0},     {1000, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t n;
        struct segment *s = plan_segments(&m, e, 31, 10, &n);
        plan_warm_up(&m, e, 31, rows[i].frames, s, n);
        CHECK_INT(s[0].warmup_pts, INT64_MIN);
        CHECK(!s[0].has_entry);
        CHECK_INT(s[1].start_pts, 10000);
        CHECK_INT(s[1].warmup_pts, rows[i].context);
        CHECK_INT(s[1].entry.pts, rows[i].entry);
        CHECK(s[1].has_entry);
        free(s);
    }
    // No entry is early enough: from the file's beginning.
    uint32_t n;
    struct segment *s = plan_segments(&m, e + 10, 1, 10, &n);
    CHECK_INT(n, 2);
    plan_warm_up(&m, e + 10, 1, 5, s, n);
    CHECK(!s[1].has_entry);
    CHECK_INT(s[1].warmup_pts, 10000 - 220);
    free(s);
    m.n_frames = -1, m.frame_rate = (struct reel_rational){25, 1}; // where nobody has counted them
    s = plan_segments(&m, e, 31, 10, &n);
    plan_warm_up(&m, e, 31, 1, s, n);
    CHECK_INT(s[1].warmup_pts, 9940);
    free(s);
}

// A frame at each of 25 packets a second, entries every second, segments of ten: where the
// frames before the second segment come from.
static void leads(void)
{
    struct reel_media m = media_of(30000);
    struct reel_entry e[31];
    for (int i = 0; i < 31; i++) e[i] = (struct reel_entry){.packet_no = i * 25, .pts = i * 1000};
    static const struct {
        uint32_t before, last; // the last entry that is there
        uint32_t n, inner;
        int64_t from[2];
    } rows[] = {
        {0, 30, 0, 0, {0}},    // nothing is looked at
        {1, 30, 1, 1, {9000}}, // the first segment has no entry: then from the file's beginning
        {4, 30, 1, 1, {9000}}, // 25 packets are enough for 4 frames,
        {5, 30, 1, 1, {8000}}, // and not for 5
        {7, 30, 1, 1, {8000}}, //
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t n;
        struct segment *s = plan_segments(&m, e, 31, 10, &n);
        plan_lead(e, 31, rows[i].before, s, n);
        CHECK_INT(s[0].lead.n, 0);
        CHECK(s[0].has_next && s[0].next.pts == 10000 && !s[3].has_next);
        CHECK_INT(s[1].lead.n, rows[i].n);
        CHECK_INT(s[1].lead.inner, rows[i].inner);
        for (uint32_t k = 0; k < rows[i].n; k++) CHECK_INT(s[1].lead.from[k].pts, rows[i].from[k]);
        CHECK_INT(s[1].entry.pts, 10000); // its own stays
        // The third one also has the second's own entry to go back to.
        CHECK_INT(s[2].lead.n, rows[i].before ? 2 : 0);
        if (rows[i].before) CHECK_INT(s[2].lead.from[1].pts, 10000);
        free(s);
    }
}

// Segments of two frames: their context reaches over several of them.
static void leads_of_short_segments(void)
{
    struct reel_media m = media_of(30000);
    struct reel_entry e[31];
    for (int i = 0; i < 31; i++) e[i] = (struct reel_entry){.packet_no = i * 2, .pts = i * 1000};
    uint32_t n;
    struct segment *s = plan_segments(&m, e + 1, 30, 1, &n);
    CHECK_INT(n, 31);
    plan_lead(e + 1, 30, 3, s, n);
    CHECK_INT(s[1].lead.n, 0); // there is no entry before: from the beginning
    CHECK_INT(s[2].lead.n, 0); // one entry in front of it may be one frame
    CHECK_INT(s[3].lead.n, 0);
    for (uint32_t i = 4; i < n; i++) { // three entries are three frames at least, and that is a segment's own entry
        CHECK_INT(s[i].lead.n, 1);
        CHECK_INT(s[i].lead.inner, 0);
        CHECK_INT(s[i].lead.from[0].pts, (i - 3) * 1000);
    }
    free(s);
    // Entries that show behind the cut are no way to what shows before it.
    e[9].pts = 10500;
    s = plan_segments(&m, e + 1, 30, 10, &n);
    CHECK_INT(s[1].start_pts, 10500);
    free(s);
    e[9].pts = 9000, e[8].pts = 11500;
    s = plan_segments(&m, e + 1, 30, 10, &n);
    plan_lead(e + 1, 30, 1, s, n);
    CHECK_INT(s[1].start_pts, 11500);
    CHECK_INT(s[1].lead.from[0].pts, 7000);
    free(s);
}

static void random_inputs(void)
{
    uint64_t seed = 5;
    for (int round = 0; round < 2000; round++) {
        struct reel_media m = media_of((int64_t)(check_rand(&seed) % 100000));
        m.first_pts = -(int64_t)(check_rand(&seed) % 5000);
        struct reel_entry e[64];
        uint32_t count = check_rand(&seed) % 64, n;
        int64_t pts = INT64_MIN;
        for (uint32_t i = 0; i < count; i++) {
            // Mostly forward, some back, some wild.
            uint64_t r = check_rand(&seed);
            pts = r % 50 == 0 ? (int64_t)check_rand(&seed) : (i ? pts : -3000) + (int64_t)(r >> 8) % 4000 - 500;
            e[i] = (struct reel_entry){.packet_no = i, .pts = pts};
        }
        struct segment *s = plan_segments(&m, e, count, 1 + (double)(check_rand(&seed) % 8), &n);
        CHECK(s && n >= 1 && n <= count + 1);
        CHECK(s[0].start_pts == INT64_MIN && s[n - 1].end_pts == INT64_MAX);
        const uint32_t before = check_rand(&seed) % 8;
        plan_lead(e, count, before, s, n);
        for (uint32_t i = 1; i < n; i++) {
            CHECK_MSG(s[i].start_pts == s[i - 1].end_pts && s[i].start_pts > s[i - 1].start_pts,
                      "round %d: a gap before segment %u", round, i);
            CHECK(s[i].entry.pts == s[i].start_pts && s[i].start_pts <= m.last_pts && s[i].start_pts > m.first_pts);
            CHECK(s[i - 1].has_next && s[i - 1].next.packet_no == s[i].entry.packet_no);
            CHECK(s[i].lead.n <= (before ? 2 : 0));
            for (uint32_t k = 0; k < s[i].lead.n; k++) { // each lies before the one before it
                const struct reel_entry *from = &s[i].lead.from[k], *last = k ? from - 1 : &s[i].entry;
                CHECK_MSG(from->packet_no < last->packet_no, "round %d: segment %u, place %u", round, i, k);
            }
            if (s[i].lead.n) CHECK(s[i].lead.from[0].pts < s[i].start_pts);
        }
        free(s);
    }
}

// A part: from its first frame, by the entry in front, to the frame behind its last one.
static void parts(void)
{
    struct reel_media m = media_of(30000);
    struct reel_entry e[31];
    for (int i = 0; i < 31; i++) e[i] = (struct reel_entry){.packet_no = i * 25, .pts = i * 1000, .bytes = 1};
    m.flags = REEL_MEDIA_FROM | REEL_MEDIA_TO;
    m.first_pts = m.start_pts = 5400;
    m.last_pts = 28960;
    m.end_pts = 29000;
    uint32_t n;
    struct segment *s = plan_segments(&m, e + 1, 30, 10, &n);
    CHECK_INT(n, 3); // 5.4, 16, 26
    CHECK(s[0].has_entry && s[0].has_before && s[2].has_next);
    CHECK_INT(s[0].entry.pts, 5000);
    CHECK_INT(s[0].start_pts, 5400);
    CHECK_INT(s[0].warmup_pts, 5400);
    CHECK_INT(s[1].start_pts, 16000);
    CHECK_INT(s[2].end_pts, 29000);
    CHECK_INT(s[2].next.pts, 29000);
    plan_lead(e + 1, 30, 2, s, n);
    CHECK_INT(s[0].lead.n, 2); // its own entry, and one with enough behind it
    CHECK(!s[0].lead.inner);
    CHECK_INT(s[0].lead.from[0].pts, 5000);
    CHECK_INT(s[0].lead.from[1].pts, 4000);
    plan_warm_up(&m, e + 1, 30, 50, s, n);         // at 3.3 frames a second
    CHECK(s[0].warmup_pts < 0 && !s[0].has_entry); // from the file's beginning
    plan_warm_up(&m, e + 1, 30, 3, s, n);
    CHECK(s[0].has_entry && s[0].entry.pts <= s[0].warmup_pts && s[0].warmup_pts < s[0].start_pts);
    free(s);

    // What cannot be cut is one segment, and shows nothing of what is around it.
    m.flags |= REEL_MEDIA_NO_CUT;
    s = plan_segments(&m, e + 1, 30, 10, &n);
    CHECK_INT(n, 1);
    CHECK(s[0].has_entry && !s[0].has_before && !s[0].has_next);
    CHECK_INT(s[0].start_pts, 5400);
    CHECK_INT(s[0].end_pts, 29000);
    free(s);
    s = plan_segments(&m, NULL, 0, 10, &n);
    CHECK(!s[0].has_entry);
    CHECK_INT(s[0].start_pts, 5400);
    free(s);
}

CHECK_MAIN({"cuts_at_entries", cuts_at_entries}, {"no_cut", no_cut}, {"limited", limited}, {"warmed_up", warmed_up},
           {"leads", leads}, {"leads_of_short_segments", leads_of_short_segments}, {"random_inputs", random_inputs},
           {"parts", parts})
