// SPDX-License-Identifier: MIT
//
// A video decoded in segments, cut at every entry there is, gives exactly the
// frames of a linear decode: pixels, timestamps, count, and a ledger that
// accounts for every packet. Over codecs and containers (clips made by ffmpeg
// here) and over the shared test clips.
#include "decoder/around.h"
#include "tests/unit/decoder/clip.h"

// The same segments, each with the frames before it back to the entry before its own,
// or the file's beginning: those are the linear decode's as well, and count nowhere.
static void compare_warmed(const char *path, const struct clip_scan *scan, struct demux_pool *pool,
                           const struct clip_frames *linear)
{
    struct clip_frames parts = {0}, seen = {0};
    const int n = (int)scan->scanned.n_entries;
    for (int i = 0; i <= n && n; i++) {
        const int64_t start = i ? scan->entries[i - 1].pts : INT64_MIN, end = i < n ? scan->entries[i].pts : INT64_MAX;
        const int64_t from = i > 1 ? scan->entries[i - 2].pts : i ? linear->at[0].pts : start;
        seen.n = 0;
        const int first = parts.n;
        enum reel_err err =
            clip_segment_from(scan, pool, i > 1 ? &scan->entries[i - 2] : NULL, from, start, end, &parts, &seen);
        CHECK_MSG(!err, "%s: warmed up segment %d of %d: %s", path, i, n + 1, reel_fail_text());
        CHECK_MSG((seen.n > 0) == (i > 0) && seen.n <= first, "%s: segment %d has %d frames of warm-up behind %d", path,
                  i, seen.n, first);
        for (int k = 0; k < seen.n; k++)
            CHECK_MSG(seen.at[k].pts == linear->at[first - seen.n + k].pts &&
                          seen.at[k].crc == linear->at[first - seen.n + k].crc,
                      "%s: segment %d: frame %d of %d of its warm-up is another", path, i, k, seen.n);
    }
    for (int i = 0; n && i < linear->n && i < parts.n; i++)
        CHECK_MSG(linear->at[i].pts == parts.at[i].pts && linear->at[i].crc == parts.at[i].crc,
                  "%s: frame %d: warmed up it is another", path, i);
    CHECK_MSG(!n || linear->n == parts.n, "%s: %d frames linear, %d warmed up", path, linear->n, parts.n);
    CHECK_MSG(!n || (parts.ledger.packets == linear->ledger.packets && parts.ledger.hidden == linear->ledger.hidden &&
                     parts.ledger.unreadable == linear->ledger.unreadable),
              "%s: packets %lld hidden %lld unreadable %lld linear, %lld, %lld, %lld warmed up", path,
              (long long)linear->ledger.packets, (long long)linear->ledger.hidden, (long long)linear->ledger.unreadable,
              (long long)parts.ledger.packets, (long long)parts.ledger.hidden, (long long)parts.ledger.unreadable);
    free(parts.at);
    free(seen.at);
}

// Frames of one segment with those around it, in order; *out_seen[0] before it, [1] behind it.
static enum reel_err decode_around(const struct around_params *p, struct demux_pool *pool, struct clip_frames *frames,
                                   int out_seen[2], uint32_t *out_tries)
{
    struct around *around;
    struct clip_slot slot;
    enum reel_err err = around_open(p, pool, &around);
    if (err) return err;
    err = clip_slot_init(&p->own.media, &slot);
    out_seen[0] = out_seen[1] = 0;
    int64_t pts, duration;
    uint32_t flags;
    while (!err && ((err = around_next(around, slot.frame, &pts, &duration, &flags)) == REEL_OK || err == REEL_AGAIN)) {
        if (err == REEL_AGAIN) {
            err = REEL_OK;
            continue;
        }
        err = clip_take(&slot, pts, duration, frames);
        out_seen[0] += flags == (REEL_FRAME_WARMUP | REEL_FRAME_CONTEXT);
        out_seen[1] += flags == REEL_FRAME_CONTEXT;
    }
    around_ledger(around, &frames->ledger);
    *out_tries = around_tries(around);
    clip_slot_fini(&slot);
    around_close(&around, pool);
    return err == REEL_EOF ? REEL_OK : err;
}

// Segment i of those that begin at entries first, first + 1...
static struct around_params around_of(const struct clip_scan *scan, int i, int before, int after)
{
    const int n = (int)scan->scanned.n_entries;
    struct around_params p = {
        .own = {.settings = &clip_settings,
                .job = scan->job,
                .media = scan->scanned.media,
                .has_entry = i > 0,
                .start_pts = i ? scan->entries[i - 1].pts : INT64_MIN,
                .end_pts = i < n ? scan->entries[i].pts : INT64_MAX},
        .before = i ? (uint32_t)before : 0,
        .after = i < n ? (uint32_t)after : 0,
    };
    p.own.warmup_pts = p.own.start_pts;
    if (i) p.own.entry = scan->entries[i - 1];
    if (i < n) p.next = scan->entries[i];
    if (i > 1) p.lead = (struct reel_lead){.n = 1, .from = {scan->entries[i - 2]}};
    return p;
}

// The same segments with three frames before and two behind: those of the linear decode, and
// at the first try.
static void compare_around(const char *path, const struct clip_scan *scan, struct demux_pool *pool,
                           const struct clip_frames *linear)
{
    const int n = (int)scan->scanned.n_entries;
    int at = 0;
    for (int i = 0; i <= n && n; i++) {
        struct clip_frames got = {0};
        int seen[2];
        uint32_t tries;
        const struct around_params p = around_of(scan, i, 3, 2);
        enum reel_err err = decode_around(&p, pool, &got, seen, &tries);
        CHECK_MSG(!err, "%s: segment %d of %d: %s", path, i, n + 1, reel_fail_text());
        const int own = got.n - seen[0] - seen[1], left = linear->n - at - own;
        CHECK_MSG(seen[0] == (at < 3 ? at : 3) && seen[1] == (left < 2 ? left : 2),
                  "%s: segment %d: %d frames before it, %d behind it", path, i, seen[0], seen[1]);
        for (int k = 0; k < got.n; k++)
            CHECK_MSG(got.at[k].pts == linear->at[at - seen[0] + k].pts &&
                          got.at[k].crc == linear->at[at - seen[0] + k].crc,
                      "%s: segment %d: frame %d is another", path, i, k - seen[0]);
        CHECK_MSG(tries <= (i > 0), "%s: segment %d: %u tries at what lies before it", path, i, tries);
        at += own;
        free(got.at);
    }
    CHECK_MSG(!n || at == linear->n, "%s: %d frames linear, %d with what lies around", path, linear->n, at);
}

// Decodes path in one piece and in segments and compares. min_entries: at
// least so many cuts must have been possible (-1: the file may even fail).
static void compare(const char *path, int min_entries, int max_entries)
{
    struct clip_scan scan = clip_scan(path, "null:", REEL_OUTPUT_NULL);
    CHECK_MSG(!scan.err, "%s: %s", path, scan.text);
    int n = (int)scan.scanned.n_entries;
    CHECK_MSG(n >= min_entries && n <= max_entries, "%s: %d entries, expected %d to %d", path, n, min_entries,
              max_entries);

    struct clip_frames linear = {0}, parts = {0};
    struct demux_pool *pool = demux_pool_create(NULL);
    enum reel_err err = clip_segment(&scan, pool, NULL, INT64_MIN, INT64_MAX, &linear);
    CHECK_MSG(!err, "%s: %s", path, reel_fail_text());
    CHECK_MSG(linear.ledger.packets == scan.scanned.media.n_packets, "%s: %lld packets accounted for, %lld scanned",
              path, (long long)linear.ledger.packets, (long long)scan.scanned.media.n_packets);

    for (int i = 0; i <= n && n; i++) {
        int64_t start = i ? scan.entries[i - 1].pts : INT64_MIN, end = i < n ? scan.entries[i].pts : INT64_MAX;
        err = clip_segment(&scan, pool, i ? &scan.entries[i - 1] : NULL, start, end, &parts);
        CHECK_MSG(!err, "%s: segment %d of %d: %s", path, i, n + 1, reel_fail_text());
    }
    if (n) {
        for (int i = 0; i < linear.n && i < parts.n; i++)
            CHECK_MSG(linear.at[i].pts == parts.at[i].pts && linear.at[i].crc == parts.at[i].crc,
                      "%s: frame %d: linear pts %lld crc %08x, in segments pts %lld crc %08x", path, i,
                      (long long)linear.at[i].pts, linear.at[i].crc, (long long)parts.at[i].pts, parts.at[i].crc);
        CHECK_MSG(linear.n == parts.n, "%s: %d frames linear, %d in segments", path, linear.n, parts.n);
        CHECK_MSG(parts.ledger.packets == scan.scanned.media.n_packets, "%s: segments account for %lld packets of %lld",
                  path, (long long)parts.ledger.packets, (long long)scan.scanned.media.n_packets);
        CHECK_MSG(parts.ledger.hidden == linear.ledger.hidden && parts.ledger.unreadable == linear.ledger.unreadable,
                  "%s: hidden %lld unreadable %lld linear, %lld and %lld in segments", path,
                  (long long)linear.ledger.hidden, (long long)linear.ledger.unreadable, (long long)parts.ledger.hidden,
                  (long long)parts.ledger.unreadable);
    }
    compare_warmed(path, &scan, pool, &linear);
    compare_around(path, &scan, pool, &linear);
    if (check_now.failed) return;
    if (getenv("CLIP_LOG"))
        printf("# %s: %d frames, %d entries, flags %#x, hidden %lld, unreadable %lld, errors %lld\n", path, linear.n, n,
               scan.scanned.media.flags, (long long)linear.ledger.hidden, (long long)linear.ledger.unreadable,
               (long long)linear.ledger.errors);
    demux_pool_destroy(&pool);
    free(linear.at);
    free(parts.at);
    free(scan.entries);
}

#define SOURCE "-f lavfi -i testsrc2=s=192x108:r=24:d=5"

static void made(const char *args, const char *name, int min_entries, int max_entries)
{
    char path[256];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!clip_make(args, name, path, sizeof path)) SKIP("this ffmpeg cannot make the clip");
    compare(path, min_entries, max_entries);
    unlink(path);
}

static void test_h264_closed(void)
{
    made(SOURCE " -c:v libx264 -g 24 -bf 3 -preset veryfast -flags +cgop", "closed.mp4", 3, 5);
}
static void test_h264_open(void)
{
    made(SOURCE " -c:v libx264 -g 24 -bf 3 -b-pyramid normal -preset medium -x264-params open-gop=1:scenecut=0",
         "open.mp4", 3, 5);
}
static void test_h264_open_ts(void)
{
    made(SOURCE " -c:v libx264 -g 24 -bf 3 -preset medium -x264-params open-gop=1:scenecut=0", "open.ts", 3, 5);
}
static void test_h264_open_mkv(void)
{
    made(SOURCE " -c:v libx264 -g 24 -bf 3 -preset medium -x264-params open-gop=1:scenecut=0", "open.mkv", 3, 5);
}
static void test_h264_refresh(void)
{
    made(SOURCE " -c:v libx264 -g 24 -bf 0 -preset veryfast -intra-refresh 1", "refresh.mp4", 0, 0);
}
static void test_h264_interlaced(void)
{
    made(SOURCE " -c:v libx264 -g 24 -flags +ildct+ilme -x264-params tff=1 -preset veryfast", "inter.mp4", 3, 5);
}
static void test_h264_fragmented(void)
{
    made(SOURCE " -c:v libx264 -g 24 -preset veryfast -movflags frag_keyframe+empty_moov", "frag.mp4", 3, 5);
}
static void test_h264_raw(void)
{
    made(SOURCE " -c:v libx264 -g 24 -preset veryfast", "raw.h264", 0, 0);
}
static void test_hevc_open(void)
{
    made(SOURCE " -c:v libx265 -preset fast -x265-params keyint=24:min-keyint=24:open-gop=1:bframes=4:log-level=none",
         "open5.mp4", 3, 5);
}
static void test_hevc_open_ts(void)
{
    made(SOURCE " -c:v libx265 -preset fast -x265-params keyint=24:min-keyint=24:open-gop=1:bframes=4:log-level=none",
         "open5.ts", 3, 5);
}
static void test_hevc_open_mkv(void)
{
    made(SOURCE " -c:v libx265 -preset fast -pix_fmt yuv420p10le -x265-params "
                "keyint=24:min-keyint=24:open-gop=1:log-level=none",
         "open5.mkv", 3, 5);
}
static void test_mpeg2_ts(void)
{
    made(SOURCE " -c:v mpeg2video -g 12 -bf 2 -b:v 1M", "m2.ts", 3, 5);
}
static void test_mpeg2_ps(void)
{
    made(SOURCE " -c:v mpeg2video -g 12 -bf 2 -b:v 1M", "m2.mpg", 3, 5);
}
static void test_mpeg4_mp4(void)
{
    made(SOURCE " -c:v mpeg4 -g 24 -bf 2 -b:v 1M", "m4.mp4", 3, 5);
}
static void test_mpeg4_avi(void)
{
    made(SOURCE " -c:v mpeg4 -g 24 -b:v 1M", "m4.avi", 3, 5);
}
static void test_vp8(void)
{
    made(SOURCE " -c:v libvpx -g 24 -auto-alt-ref 1 -lag-in-frames 16 -cpu-used 8 -b:v 500k", "vp8.webm", 3, 5);
}
static void test_vp9(void)
{
    made(SOURCE " -c:v libvpx-vp9 -g 24 -auto-alt-ref 1 -lag-in-frames 25 -cpu-used 8 -b:v 500k", "vp9.webm", 3, 5);
}
static void test_vp9_mp4(void)
{
    made(SOURCE " -c:v libvpx-vp9 -g 24 -auto-alt-ref 1 -lag-in-frames 25 -cpu-used 8 -b:v 500k", "vp9.mp4", 3, 5);
}
static void test_av1(void)
{
    made(SOURCE " -c:v libsvtav1 -g 24 -preset 12", "av1.mkv", 1, 5);
}
static void test_prores(void)
{
    made(SOURCE " -c:v prores_ks", "pro.mov", 3, 5);
}
static void test_mjpeg(void)
{
    made(SOURCE " -c:v mjpeg", "jpeg.avi", 3, 5);
}
static void test_ffv1(void)
{
    made(SOURCE " -c:v ffv1 -g 6", "ffv1.mkv", 3, 5);
}
static void test_vfr(void)
{
    made(SOURCE " -vf select='not(eq(mod(n\\,7)\\,3))' -vsync vfr -c:v libx264 -g 24 -preset veryfast", "vfr.mkv", 2,
         5);
}
static void test_audio_first(void)
{
    made(SOURCE " -f lavfi -i sine=d=6 -c:v libx264 -g 24 -preset veryfast -c:a aac -output_ts_offset 3", "late.ts", 3,
         5);
}
static void test_images(void)
{
    char path[256];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!clip_make(SOURCE " -frames:v 60 -pix_fmt rgb24", "%03d.png", path, sizeof path))
        SKIP("this ffmpeg cannot make images");
    compare(path, 1, 3);
}

// An entry whose recorded place leads elsewhere is found from the start.
static void test_wrong_place(void)
{
    char path[256];
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    if (!clip_make(SOURCE " -c:v mpeg2video -g 12 -bf 2", "place.ts", path, sizeof path)) SKIP("no mpeg2video");
    struct clip_scan scan = clip_scan(path, "null:", REEL_OUTPUT_NULL);
    CHECK(scan.scanned.n_entries > 2);
    struct demux_pool *pool = demux_pool_create(NULL);
    struct clip_frames right = {0}, wrong = {0};
    struct reel_entry entry = scan.entries[1];
    CHECK_INT(clip_segment(&scan, pool, &entry, entry.pts, scan.entries[2].pts, &right), REEL_OK);
    for (int64_t pos = -1; pos < 1000000; pos += 333333) {
        entry.pos = pos;
        CHECK_INT(clip_segment(&scan, pool, &entry, entry.pts, scan.entries[2].pts, &wrong), REEL_OK);
        CHECK_INT(wrong.n, right.n);
        for (int i = 0; i < right.n; i++)
            CHECK(right.at[i].crc == wrong.at[i].crc && right.at[i].pts == wrong.at[i].pts);
        wrong.n = 0;
    }
    entry.checksum++;
    CHECK_INT(clip_segment(&scan, pool, &entry, entry.pts, scan.entries[2].pts, &wrong), REEL_ERR_INPUT);
    CHECK_HAS(reel_fail_text(), "changed");
    demux_pool_destroy(&pool);
    free(right.at);
    free(wrong.at);
    free(scan.entries);
}

// Bytes changed in the middle: no segmenting may lose count of a packet or
// give a timestamp twice.
static void test_damage(void)
{
    static const char *const names[] = {"damage.mp4", "damage.ts", "damage.mkv"};
    if (!clip_have_ffmpeg()) SKIP("there is no ffmpeg command to make clips with");
    uint64_t seed = 42;
    for (size_t k = 0; k < 3; k++) {
        char path[256];
        if (!clip_make(SOURCE " -c:v libx264 -g 24 -bf 3 -preset medium -x264-params open-gop=1:scenecut=0", names[k],
                       path, sizeof path))
            SKIP("this ffmpeg cannot make the clip");
        for (int round = 0; round < 4; round++) {
            FILE *f = fopen(path, "r+");
            CHECK(f);
            fseek(f, 0, SEEK_END);
            long size = ftell(f);
            for (int i = 0; i < 8; i++) { // in the middle half: the headers stay whole
                fseek(f, size / 4 + (long)(check_rand(&seed) % (uint64_t)(size / 2)), SEEK_SET);
                fputc((int)(check_rand(&seed) & 255), f);
            }
            fclose(f);
            struct clip_scan scan = clip_scan(path, "null:", REEL_OUTPUT_NULL);
            if (scan.err) continue;
            struct demux_pool *pool = demux_pool_create(NULL);
            struct clip_frames parts = {0};
            int n = (int)scan.scanned.n_entries;
            for (int i = 0; i <= n; i++) {
                int64_t start = i ? scan.entries[i - 1].pts : INT64_MIN, end = i < n ? scan.entries[i].pts : INT64_MAX;
                enum reel_err err = clip_segment(&scan, pool, i ? &scan.entries[i - 1] : NULL, start, end, &parts);
                CHECK_MSG(!err, "%s round %d: %s", names[k], round, reel_fail_text());
            }
            CHECK_MSG(parts.ledger.packets == scan.scanned.media.n_packets, "%s round %d: %lld packets of %lld",
                      names[k], round, (long long)parts.ledger.packets, (long long)scan.scanned.media.n_packets);
            CHECK(parts.ledger.hidden + parts.ledger.unreadable <= parts.ledger.packets);
            for (int i = 1; i < parts.n; i++) CHECK(parts.at[i].pts > parts.at[i - 1].pts);
            demux_pool_destroy(&pool);
            free(parts.at);
            free(scan.entries);
        }
    }
}

static void test_testdata(void)
{
    const char *dir = clip_testdata();
    if (!dir) SKIP("no test data (REELMILL_TESTDATA)");
    static const char *const clips[] = {
        "derived_open_gop_h264.mp4",
        "derived_open_gop_hevc.mp4",
        "h264_bbb_bpyramid.mp4",
        "hevc_ts.ts",
        "av1_8bit_1080x720_face.mp4",
        "chaplin_people_bw.mp4",
        "derived_10bit_hevc.mkv",
        "derived_641x361_av1.mkv",
        "derived_853x480_vp9.webm",
        "derived_interlaced_bff_mpeg2.ts",
        "derived_interlaced_tff_h264.mp4",
        "derived_vfr_faces_h264.mkv",
        "fire_phone_vfr_rot180.mp4",
        "flower_960x540.mp4",
        "flower_960x540_vp8.webm",
        "friday_faces_bw_640x480.mp4",
        "hevc_main10_hlg_vfr_bframes_rot90_editlist.mp4",
        "mpeg4_sintel_like_960x400.avi",
        "no_duration.webm",
        "person_signing_fullrange.mkv",
        "prores_422_10bit_180x144.mov",
        "security_person_178x100.mp4",
        "stream_of_water_480x360.mp4",
        "vp9_bbb_642x642.webm",
        "dog_resolution_change.h264",
        "h264_face_fragmented.mp4",
    };
    for (size_t i = 0; i < sizeof clips / sizeof clips[0]; i++) {
        char path[1200];
        snprintf(path, sizeof path, "%s/%s", dir, clips[i]);
        compare(path, 0, 1000);
        if (check_now.failed) return;
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"h264 closed gop", test_h264_closed},
        {"h264 open gop", test_h264_open},
        {"h264 open gop in ts", test_h264_open_ts},
        {"h264 open gop in mkv", test_h264_open_mkv},
        {"h264 intra refresh", test_h264_refresh},
        {"h264 interlaced", test_h264_interlaced},
        {"h264 fragmented mp4", test_h264_fragmented},
        {"h264 raw", test_h264_raw},
        {"hevc open gop", test_hevc_open},
        {"hevc open gop in ts", test_hevc_open_ts},
        {"hevc open gop in mkv", test_hevc_open_mkv},
        {"mpeg2 in ts", test_mpeg2_ts},
        {"mpeg2 in ps", test_mpeg2_ps},
        {"mpeg4 in mp4", test_mpeg4_mp4},
        {"mpeg4 in avi", test_mpeg4_avi},
        {"vp8 alternate reference", test_vp8},
        {"vp9 alternate reference", test_vp9},
        {"vp9 in mp4", test_vp9_mp4},
        {"av1", test_av1},
        {"prores", test_prores},
        {"mjpeg", test_mjpeg},
        {"ffv1", test_ffv1},
        {"variable frame rate", test_vfr},
        {"audio and offset in ts", test_audio_first},
        {"image sequence", test_images},
        {"wrong place", test_wrong_place},
        {"damage", test_damage},
        {"test data", test_testdata},
    };
    clip_begin();
    int rc = check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
    clip_end();
    return rc;
}
