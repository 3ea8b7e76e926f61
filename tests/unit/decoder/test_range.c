// SPDX-License-Identifier: MIT
//
// A part of an input: which timestamps are of it, when all of it has been read, and what is
// kept of the other streams.
#include "decoder/range.h"

#include <stdlib.h>
#include <string.h>

#include "decoder/cut.h"
#include "tests/check.h"

static const AVRational ms = {1, 1000}, second = {1, 1};

static struct range range_of(const char *start, const char *end, AVRational tb)
{
    static struct reel_settings s;
    struct range r;
    snprintf(s.start, sizeof s.start, "%s", start);
    snprintf(s.end, sizeof s.end, "%s", end);
    if (range_init(&r, &s, tb)) abort();
    return r;
}

// A time that was read off a frame, rounded, is that frame's.
static void rounded_times(void)
{
    const AVRational ntsc = {1001, 30000}, fine = {1, 15360};
    for (int64_t k = 1; k < 5000; k++) {
        int64_t us = (k * 1001 * 1000000 + 15000) / 30000; // nearest
        CHECK_INT(range_tick(us, ntsc), k);
        CHECK_INT(range_tick(us + 2, ntsc), k + 1);
        us = (k * 512 * 1000000 + 7680) / 15360;
        CHECK_INT(range_tick(us, fine), k * 512);
    }
    CHECK_INT(range_tick(12345000, ms), 12345);
    CHECK_INT(range_tick(12345100, ms), 12346);
    CHECK_INT(range_tick(0, ms), 0);
    CHECK_INT(range_tick(INT64_MAX, ms), INT64_MAX);
}

static void begins_at_its_first_frame(void)
{
    struct range r = range_of("1", "", ms);
    static const int64_t pts[] = {980, 1060, 1020, 1100}; // reordered
    for (int i = 0; i < 4; i++) range_see(&r, pts[i], AV_NOPTS_VALUE, true);
    range_see(&r, 1001, AV_NOPTS_VALUE, false); // hidden
    CHECK(!range_is_settled(&r));
    CHECK_INT(range_zero(&r), 1020);
    for (int i = 0; i < 64; i++) range_see(&r, 1140 + 40 * i, AV_NOPTS_VALUE, true);
    CHECK(range_is_settled(&r) && !range_is_read(&r));
    CHECK_INT(range_zero(&r), 1020);
}

// A video that begins later: what sounds before it stays.
static void begins_before_the_video(void)
{
    struct range r = range_of("1", "", ms);
    range_see(&r, 5000, 5000, true);
    CHECK_INT(range_zero(&r), 1000);
    r = range_of("", "3", ms);
    CHECK(r.on && range_is_settled(&r));
    CHECK_INT(range_zero(&r), 0);
    r = range_of("0", "", ms);
    CHECK(!r.on);
}

static void is_read(void)
{
    struct range r = range_of("", "1", ms);
    for (int i = 0; i < 60; i++) range_see(&r, 1000 + i, AV_NOPTS_VALUE, true);
    range_see(&r, 999, AV_NOPTS_VALUE, true); // one that comes late
    for (int i = 0; i < 64; i++) range_see(&r, 1100 + i, AV_NOPTS_VALUE, true);
    CHECK(!range_is_read(&r));
    range_see(&r, 1200, AV_NOPTS_VALUE, true);
    CHECK(range_is_read(&r));
}

static bool kept(enum cut_kind kind, int64_t pts, int64_t duration, bool *begun, struct reel_pack_packet *p)
{
    static const struct cut cut = {.zero = 10, .end = 20, .time_base = {1, 1}};
    bool own = false;
    *p = (struct reel_pack_packet){.pts = pts, .dts = pts, .duration = duration, .flags = p->flags};
    return cut_packet(&cut, kind, ms, begun ? begun : &own, p);
}

static void sound(void)
{
    struct reel_pack_packet p = {0};
    CHECK(!kept(CUT_SOUND, 9990, 20, NULL, &p));
    CHECK(kept(CUT_SOUND, 10010, 20, NULL, &p) && p.pts == 10 && p.dts == 10 && p.duration == 20);
    CHECK(kept(CUT_SOUND, 19990, 20, NULL, &p) && p.pts == 9990);
    CHECK(!kept(CUT_SOUND, 20000, 20, NULL, &p));
    CHECK(!kept(CUT_HIDDEN, 9980, 20, NULL, &p));
    CHECK(kept(CUT_HIDDEN, 9981, 20, NULL, &p) && p.pts == -19);
    CHECK(!kept(CUT_HIDDEN, INT64_MIN, 20, NULL, &p));
    bool begun = true;
    CHECK(kept(CUT_SOUND, INT64_MIN, 20, &begun, &p) && p.pts == INT64_MIN);
}

static void text(void)
{
    struct reel_pack_packet p = {0};
    CHECK(!kept(CUT_TEXT, 5000, 5000, NULL, &p));
    CHECK(kept(CUT_TEXT, 5000, 7000, NULL, &p) && p.pts == 0 && p.dts == 0 && p.duration == 2000);
    CHECK(kept(CUT_TEXT, 19000, 5000, NULL, &p) && p.pts == 9000 && p.duration == 1000);
    CHECK(kept(CUT_TEXT, 0, 50000, NULL, &p) && p.pts == 0 && p.duration == 10000);
    CHECK(!kept(CUT_TEXT, 5000, 0, NULL, &p)); // nobody knows how long
    CHECK(kept(CUT_TEXT, 12000, 0, NULL, &p) && p.pts == 2000);
}

static void video(void)
{
    struct reel_pack_packet p = {0};
    bool begun = false;
    CHECK(!kept(CUT_VIDEO, 10000, 40, &begun, &p)); // no keyframe
    p.flags = AV_PKT_FLAG_KEY;
    CHECK(!kept(CUT_VIDEO, 9000, 40, &begun, &p));
    p.flags = AV_PKT_FLAG_KEY;
    CHECK(kept(CUT_VIDEO, 11000, 40, &begun, &p) && p.pts == 1000 && begun);
    p.flags = 0;
    CHECK(kept(CUT_VIDEO, 11040, 40, &begun, &p));
}

static void chapters(void)
{
    static const struct cut cut = {.zero = 10, .end = 20, .time_base = {1, 1}};
    struct reel_pack_chapter c = {.time_base = {1, 1000}, .start = 0, .end = 10000};
    CHECK(!cut_chapter(&cut, &c));
    c = (struct reel_pack_chapter){.time_base = {1, 1000}, .start = 0, .end = 12000};
    CHECK(cut_chapter(&cut, &c) && c.start == 0 && c.end == 2000);
    c = (struct reel_pack_chapter){.time_base = {1, 1000}, .start = 15000, .end = 30000};
    CHECK(cut_chapter(&cut, &c) && c.start == 5000 && c.end == 10000);
    c = (struct reel_pack_chapter){.time_base = {1, 1000}, .start = 20000, .end = 30000};
    CHECK(!cut_chapter(&cut, &c));
    c = (struct reel_pack_chapter){.time_base = {1, 1000}, .start = 5000, .end = INT64_MIN};
    CHECK(cut_chapter(&cut, &c) && c.start == 0 && c.end == INT64_MIN);
}

static void timecodes(void)
{
    const struct cut cut = {.zero = 90, .end = INT64_MAX, .time_base = second};
    char code[64];
    CHECK(cut_timecode(&cut, (AVRational){25, 1}, "10:00:00:05", code, sizeof code));
    CHECK_STR(code, "10:01:30:05");
    CHECK(!cut_timecode(&cut, (AVRational){25, 1}, "noon", code, sizeof code));
    CHECK(!cut_timecode(&cut, (AVRational){0, 1}, "10:00:00:05", code, sizeof code));
}

CHECK_MAIN({"rounded_times", rounded_times}, {"begins_at_its_first_frame", begins_at_its_first_frame},
           {"begins_before_the_video", begins_before_the_video}, {"is_read", is_read}, {"sound", sound}, {"text", text},
           {"video", video}, {"chapters", chapters}, {"timecodes", timecodes})
