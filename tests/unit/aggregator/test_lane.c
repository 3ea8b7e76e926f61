// SPDX-License-Identifier: MIT
//
// Lanes and the sinks beside video: order, stamps, slots coming back, frames that are filled in,
// filters; .md5, images, null.
#include "tests/unit/aggregator/lab.h"

// Field `at` of the md5 file's line of frame n.
static const char *md5_field(const char *text, int n, int at)
{
    static char field[64];
    const char *p = strstr(text, "hash\n");
    for (p = p ? p + 5 : ""; n > 0 && *p; n--) p = strchr(p, '\n') + 1;
    for (; at > 0 && *p; at--) p = strchr(p, ',') + 1;
    p += strspn(p, " ");
    snprintf(field, sizeof field, "%.*s", (int)strcspn(p, ",\n"), p);
    return field;
}

static void order_and_stamps(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_NULL, "");
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    CHECK_INT(l.proven.hold_frames, 1);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    CHECK_INT(lab_frame(&l, 0), REEL_OK);
    CHECK_INT(l.taken, 1); // at once
    struct reel_rec_frame rec = {0, l.open.epoch, 2, 2, 2, 0, 0, 0};
    CHECK_INT(lane_frame(l.lane, &rec), REEL_ERR_PROTO); // 1 is the next
    CHECK_INT(lane_finish(l.lane, 5), REEL_ERR_PROTO);
    // A slot that holds another frame is seen.
    rec.n = 1;
    CHECK_INT(lane_frame(l.lane, &rec), REEL_OK);
    struct reel_rec_committed committed;
    CHECK_INT(lane_step(l.lane, &committed), REEL_ERR_PROTO);
    CHECK_HAS(reel_fail_text(), "frame 1");
    lab_fini(&l);
}

static void null_counts(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_NULL, "");
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_DETECT, &media, 1, 4096), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    for (int i = 0; i < 30; i++) CHECK_INT(lab_frame(&l, i), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    CHECK_INT(l.committed[0].frames, 30);
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    CHECK_INT(muxed.frames, 30);
    CHECK_INT(lab_count_files(l.parts), 0);
    lab_fini(&l);
}

static void md5_of_known_samples(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_MD5, "a.md5");
    struct reel_media media = lab_media(37, 23, LAB_YUV420); // odd, with padding in the slot's rows
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    CHECK_INT(l.proven.out.format.log2_chroma_w, 1); // no encoder that would want another
    for (uint32_t s = 0; s < 2; s++) {
        CHECK_INT(lab_open(&l, s), REEL_OK);
        for (int i = 0; i < 3; i++) CHECK_INT(lab_frame_with(&l, (int)s * 300 + i * 100, 100, 0, NULL, 0), REEL_OK);
        CHECK_INT(lab_commit(&l), REEL_OK);
    }
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    char *text = lab_slurp(l.output);
    CHECK_HAS(text, "#tb 0: 1/12800\n");
    CHECK_HAS(text, "#dimensions 0: 37x23\n");
    // The same samples, packed and hashed here.
    uint8_t packed[37 * 23 * 2], *to = packed, hash[16];
    char hex[33];
    lab_draw(&l.out, 0, 1);
    for (int p = 0; p < 3; p++) {
        uint32_t w, h;
        reel_plane_size(&l.out.geometry, p, &w, &h);
        for (uint32_t y = 0; y < h; y++, to += w)
            memcpy(to, reel_ring_plane(&l.out, 0, p) + y * l.out.geometry.plane_stride[p], w);
    }
    av_md5_sum(hash, packed, (size_t)(to - packed));
    CHECK_STR(md5_field(text, 1, 5), reel_hex(hash, 16, hex));
    CHECK_STR(md5_field(text, 4, 5), hex); // frame 1 of the second segment
    CHECK_STR(md5_field(text, 4, 2), "400");
    CHECK_STR(md5_field(text, 4, 3), "100");
    free(text);
    lab_fini(&l);
}

static void filled_in_frames(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_MD5, "a.md5");
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 2, 0), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    CHECK_INT(lab_frame_with(&l, 0, 0, REEL_FRAME_REPEAT, NULL, 0), REEL_OK); // nothing before: the input
    CHECK_INT(lab_frame(&l, 1), REEL_OK);
    CHECK_INT(lab_frame_with(&l, 2, 0, REEL_FRAME_REPEAT, NULL, 0), REEL_OK);
    CHECK_INT(lab_frame_with(&l, 3, 0, REEL_FRAME_REPEAT, NULL, 0), REEL_OK);
    CHECK_INT(lab_frame_with(&l, 4, 0, REEL_FRAME_PASS, NULL, 0), REEL_OK);
    CHECK_INT(lab_frame(&l, 5), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    CHECK_INT(l.taken, 6);
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    char *text = lab_slurp(l.output), first[64], second[64];
    snprintf(first, sizeof first, "%s", md5_field(text, 1, 5));
    for (int i = 0; i < 6; i++) CHECK_STR(md5_field(text, i, 4), "18432"); // 128 x 96 always
    CHECK_STR(md5_field(text, 2, 5), first);
    CHECK_STR(md5_field(text, 3, 5), first);
    snprintf(second, sizeof second, "%s", md5_field(text, 4, 5));
    CHECK(strcmp(second, first));
    CHECK(strcmp(md5_field(text, 0, 5), second)); // inputs 0 and 4 differ
    free(text);
    lab_fini(&l);
}

static void post_filter(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_MD5, "a.md5");
    snprintf(l.settings.post_filter, sizeof l.settings.post_filter, "crop=32:24:0:0,scale=16:12,setpts=PTS*7");
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    CHECK_INT(l.plan.final_width, 16);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    for (int i = 0; i < 5; i++) CHECK_INT(lab_frame(&l, i * 10), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    CHECK_INT(l.taken, 5);
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    char *text = lab_slurp(l.output);
    CHECK_HAS(text, "#dimensions 0: 16x12\n");
    CHECK_STR(md5_field(text, 4, 2), "40"); // a filter does not move timestamps
    free(text);
    lab_fini(&l);

    static const char *const bad[][2] = {
        {"fps=5", "one picture for each"}, {"nosuch=3", "nosuch"}, {"scale=0x", "filter"}, {"reverse", "holds back"}};
    for (int i = 0; i < 4; i++) {
        lab_init(&l, REEL_OUTPUT_MD5, "a.md5");
        snprintf(l.settings.post_filter, sizeof l.settings.post_filter, "%s", bad[i][0]);
        enum reel_err err = lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0);
        if (!err) err = lab_open(&l, 0);
        for (int k = 0; !err && k < 70; k++) err = lab_frame(&l, k * 512);
        if (!err) err = lab_commit(&l);
        CHECK_MSG(err == REEL_ERR_CONFIG, "%s: %s", bad[i][0], reel_err_name(err));
        CHECK_HAS(reel_fail_text(), bad[i][1]);
        lab_fini(&l);
    }
}

// A filter that keeps pictures, the last ones to its end, keeps no slot with them.
static void keeping_filter(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_MD5, "a.md5");
    snprintf(l.settings.post_filter, sizeof l.settings.post_filter, "tmix=frames=20");
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    for (int i = 0; i < 30; i++) {
        CHECK_INT(lab_frame(&l, i * 512), REEL_OK);
        CHECK_INT(l.taken, i + 1);
    }
    CHECK_INT(lab_commit(&l), REEL_OK);
    lab_fini(&l);
}

static void given_up(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, "a.mp4");
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        CHECK_INT(lab_open(&l, epoch), REEL_OK);
        for (int i = 0; i < 7; i++) CHECK_INT(lab_frame(&l, i * 512), REEL_OK);
        CHECK_INT(lab_count_files(l.parts), 1);
        lane_close(&l.lane);
        lab_collect_taken(&l);
        CHECK_INT(l.taken, 7); // every slot came back
        CHECK_INT(lab_count_files(l.parts), 0);
    }
    lab_fini(&l);
}

static void unwritable_folder(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, "a.mp4");
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    lab_remove(l.parts);
    CHECK_INT(lab_open(&l, 0), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "segment-000000.part");
    lab_fini(&l);
}

static void disk_full(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, "a.mkv");
    snprintf(l.settings.encoder, sizeof l.settings.encoder, "ffv1");
    struct reel_media media = lab_media(640, 360, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    char path[REEL_PATH_BYTES], temporary[REEL_PATH_BYTES];
    reel_part_begin(reel_part_path(&l.job, 0, path), temporary);
    CHECK_INT(symlink("/dev/full", temporary), 0);
    enum reel_err err = lab_open(&l, 0);
    for (int i = 0; !err && i < 40; i++) err = lab_frame(&l, i * 512);
    CHECK_INT(err, REEL_ERR_IO); // in mid-segment
    CHECK_HAS(reel_fail_text(), "No space left on device");
    CHECK_HAS(reel_fail_text(), "free some space");
    lane_close(&l.lane);
    CHECK_INT(lab_count_files(l.parts), 0);
    lab_fini(&l);
}

// ---- images ---------------------------------------------------------------------------

static bool image_is(const char *path, int w, int h, enum AVPixelFormat format)
{
    AVFormatContext *ic = NULL;
    if (avformat_open_input(&ic, path, NULL, NULL) < 0 || avformat_find_stream_info(ic, NULL) < 0) return false;
    const AVCodecParameters *par = ic->streams[0]->codecpar;
    bool ok = par->width == w && par->height == h && par->format == format;
    avformat_close_input(&ic);
    return ok;
}

static void images(void)
{
    static const struct {
        const char *pattern, *third;
        uint8_t depth;
        enum AVPixelFormat format;
    } cases[] = {{"out/x%03d.png", "out/x003.png", 8, AV_PIX_FMT_RGB24},
                 {"%d.png", "3.png", 10, AV_PIX_FMT_RGB48BE},
                 {"f_%06d.jpg", "f_000003.jpg", 8, AV_PIX_FMT_YUVJ420P},
                 {"%02d.tif", "03.tif", 8, AV_PIX_FMT_RGB24},
                 {"%d.bmp", "3.bmp", 8, AV_PIX_FMT_BGR24}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lab l;
        lab_init(&l, REEL_OUTPUT_IMAGES, cases[i].pattern);
        struct reel_media media = lab_media(37, 23, (struct reel_pixel_format){REEL_PIX_YUV, cases[i].depth, 1, 1});
        enum reel_err err = lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0);
        CHECK_MSG(!err, "%s: %s", cases[i].pattern, reel_fail_text());
        for (uint32_t s = 0; s < 3; s++) {
            CHECK_INT(lab_open(&l, s), REEL_OK);
            for (int k = 0; k < 2; k++) CHECK_INT(lab_frame(&l, k), REEL_OK);
            CHECK_INT(lab_commit(&l), REEL_OK);
            CHECK_INT(l.taken, 2);
        }
        CHECK(lab_verify(&l, 1, 2));
        // A join that was interrupted after three moves goes on.
        char path[REEL_PATH_BYTES], from[REEL_PATH_BYTES + 16], to[400];
        struct reel_rec_muxed muxed;
        CHECK_INT(lab_join(&l, &muxed), REEL_OK);
        CHECK_INT(muxed.frames, 6);
        snprintf(to, sizeof to, "%s/%s", l.folder, cases[i].third);
        snprintf(from, sizeof from, "%s/1%s", reel_part_path(&l.job, 1, path), strrchr(cases[i].third, '.'));
        CHECK_INT(rename(to, from), 0); // as if it had not been moved yet
        CHECK_INT(lab_join(&l, &muxed), REEL_OK);
        CHECK_INT(muxed.frames, 6);
        CHECK(muxed.bytes > 0);
        CHECK_MSG(image_is(to, 37, 23, cases[i].format), "%s", to);
        CHECK(!lab_verify(&l, 1, 2)); // its files are elsewhere now
        unlink(to);
        CHECK_INT(lab_join(&l, &muxed), REEL_ERR_IO); // gone from both: not hidden
        lab_fini(&l);
    }
}

// Frames of networks that make some between two: n is drawn as picture 10 n, the
// made ones behind it as 10 n + 1 and 10 n + 2.
#define RATE 3
static void put_between(struct lab *l, const int64_t *pts, uint32_t frames, const uint8_t marks[][RATE - 1])
{
    struct reel_rec_committed committed;
    for (uint32_t n = 0; n < frames; n++) {
        lab_draw(&l->in, n, 10 * n);
        reel_ring_publish(&l->in, n, n, pts[n], 0);
    }
    for (uint32_t n = 0; n < frames; n++) {
        const struct reel_geometry whole = l->out.geometry;
        const bool filled = marks[n][0] == 255;
        struct {
            struct reel_results head;
            uint8_t mark[RATE - 1];
        } results = {.head = {.task = REEL_TASK_IMAGE, .count = RATE - 1, .bytes = RATE - 1}};
        memcpy(results.mark, marks[n], sizeof results.mark);
        for (uint32_t k = 0; k < RATE - 1; k++) {
            for (int p = 0; p < 3; p++)
                l->out.geometry.plane_offset[p] = whole.plane_offset[p] + k * whole.picture_bytes;
            lab_draw(&l->out, n, 10 * n + 1 + k);
        }
        l->out.geometry = whole;
        memcpy(reel_ring_aux(&l->out, n), &results, sizeof results.head + RATE - 1);
        reel_ring_publish(&l->out, n, n, pts[n], (uint32_t)sizeof results.head + RATE - 1);
        const bool last = n + 1 == frames;
        const struct reel_rec_frame rec = {.epoch = l->open.epoch,
                                           .n = n,
                                           .in_slot = n,
                                           .out_slot = n,
                                           .flags = filled ? REEL_FRAME_REPEAT : 0,
                                           .pts = pts[n],
                                           .duration = 512,
                                           .after = !last,
                                           .next = n + !last,
                                           .next_pts = last ? 0 : pts[n + 1]};
        CHECK_INT(lane_frame(l->lane, &rec), REEL_OK);
        l->next++;
        CHECK_INT(lane_step(l->lane, &committed), REEL_OK);
        lab_collect_taken(l);
        CHECK_INT(l->taken, n + 1); // both slots are free
    }
}

static void frames_between(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_MD5, "a.md5");
    l.rate = RATE;
    struct reel_media media = lab_media(37, 23, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, sizeof(struct reel_results) + 8), REEL_OK);
    CHECK_INT(l.proven.out.pictures, RATE - 1);
    CHECK_INT(l.proven.hold_frames, 2);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    enum { MADE = REEL_BETWEEN_MADE, BEFORE = REEL_BETWEEN_BEFORE, BEHIND = REEL_BETWEEN_BEHIND };
    static const int64_t pts[] = {0, 512, 513, 5000};
    static const uint8_t marks[][RATE - 1] = {{MADE, MADE}, {BEFORE, BEHIND}, {255, 255}, {BEFORE, BEHIND}};
    put_between(&l, pts, 4, marks);
    CHECK_INT(lab_commit(&l), REEL_OK);
    CHECK_INT(l.committed[0].frames, 12);
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    char *text = lab_slurp(l.output);
    CHECK_HAS(text, "#tb 0: 1/38400\n");
    // Which picture each line must be, and when: also a gap of a single tick is divided.
    static const struct {
        uint32_t picture;
        int pts, duration;
    } want[] = {{0, 0, 512},       {1, 512, 512},    {2, 1024, 512},   {10, 1536, 1},
                {10, 1537, 1},     {20, 1538, 1},    {20, 1539, 4487}, {20, 6026, 4487},
                {20, 10513, 4487}, {30, 15000, 512}, {30, 15512, 512}, {30, 16024, 512}};
    uint8_t packed[37 * 23 * 2], hash[16];
    for (int i = 0; i < 12; i++) {
        char hex[33], number[16];
        uint8_t *to = packed;
        lab_draw(&l.in, 7, want[i].picture);
        for (int p = 0; p < 3; p++) {
            uint32_t w, h;
            reel_plane_size(&l.in.geometry, p, &w, &h);
            for (uint32_t y = 0; y < h; y++, to += w)
                memcpy(to, reel_ring_plane(&l.in, 7, p) + y * l.in.geometry.plane_stride[p], w);
        }
        av_md5_sum(hash, packed, (size_t)(to - packed));
        CHECK_STR(md5_field(text, i, 5), reel_hex(hash, 16, hex));
        snprintf(number, sizeof number, "%d", want[i].pts);
        CHECK_STR(md5_field(text, i, 2), number);
        snprintf(number, sizeof number, "%d", want[i].duration);
        CHECK_STR(md5_field(text, i, 3), number);
    }
    free(text);
    lab_fini(&l);
}

// A worker that does not say what lies between is none to believe.
static void frames_between_unsaid(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_MD5, "a.md5");
    l.rate = 2;
    struct reel_media media = lab_media(64, 48, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, sizeof(struct reel_results) + 8), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    CHECK_INT(lab_frame(&l, 0), REEL_ERR_PROTO);
    CHECK_HAS(reel_fail_text(), "what lies behind");
    lab_fini(&l);
    lab_init(&l, REEL_OUTPUT_NULL, "");
    l.rate = 8;
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 64), REEL_OK);
    CHECK_INT(lab_open(&l, 0), REEL_OK);
    for (int i = 0; i < 3; i++) CHECK_INT(lab_frame(&l, i), REEL_OK);
    CHECK_INT(lab_commit(&l), REEL_OK);
    CHECK_INT(l.committed[0].frames, 24);
    lab_fini(&l);
}

CHECK_MAIN({"frames_between", frames_between}, {"frames_between_unsaid", frames_between_unsaid},
           {"order_and_stamps", order_and_stamps}, {"null_counts", null_counts},
           {"md5_of_known_samples", md5_of_known_samples}, {"filled_in_frames", filled_in_frames},
           {"post_filter", post_filter}, {"keeping_filter", keeping_filter}, {"given_up", given_up},
           {"unwritable_folder", unwritable_folder}, {"disk_full", disk_full}, {"images", images})
