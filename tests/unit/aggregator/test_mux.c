// SPDX-License-Identifier: MIT
//
// Segments through lanes and encoders into parts, joined, and read back by
// libavformat: frames, timestamps, order, copied streams, chapters, texts.
#include <malloc.h>

#include "tests/unit/aggregator/lab.h"

#include "aggregator/sink/timeline.h"

struct read_back {
    int frames;
    int64_t pts[512], dts[512], duration[512]; // in microseconds, sorted by pts / in order
    int keys;
    AVRational sar;
    enum AVCodecID codec;
    uint32_t tag;
    int width, height, format, streams, chapters;
    enum AVColorPrimaries primaries;
    enum AVColorTransferCharacteristic transfer;
    bool has_mastering;
    char title[64], custom[64];
    int audio_packets, subtitle_packets, attachments;
    int64_t audio_first, video_us;
};

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void read_stream(struct read_back *r, const AVStream *st)
{
    const AVCodecParameters *par = st->codecpar;
    if (par->codec_type == AVMEDIA_TYPE_ATTACHMENT || st->disposition & AV_DISPOSITION_ATTACHED_PIC) r->attachments++;
    if (par->codec_type != AVMEDIA_TYPE_VIDEO || st->disposition & AV_DISPOSITION_ATTACHED_PIC) return;
    r->codec = par->codec_id;
    r->video_us = av_rescale_q(st->duration, st->time_base, (AVRational){1, 1000000});
    r->tag = par->codec_tag;
    r->width = par->width;
    r->height = par->height;
    r->format = par->format;
    r->primaries = par->color_primaries;
    r->transfer = par->color_trc;
    r->sar = st->sample_aspect_ratio.num ? st->sample_aspect_ratio : par->sample_aspect_ratio;
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
    for (int i = 0; i < par->nb_coded_side_data; i++)
        r->has_mastering |= par->coded_side_data[i].type == AV_PKT_DATA_MASTERING_DISPLAY_METADATA;
#else
    for (int i = 0; i < st->nb_side_data; i++)
        r->has_mastering |= st->side_data[i].type == AV_PKT_DATA_MASTERING_DISPLAY_METADATA;
#endif
}

static bool read_file(const char *path, struct read_back *r)
{
    *r = (struct read_back){.audio_first = INT64_MIN};
    AVFormatContext *ic = NULL;
    if (avformat_open_input(&ic, path, NULL, NULL) < 0 || avformat_find_stream_info(ic, NULL) < 0) return false;
    r->streams = (int)ic->nb_streams;
    r->chapters = (int)ic->nb_chapters;
    for (unsigned i = 0; i < ic->nb_streams; i++) read_stream(r, ic->streams[i]);
    const AVDictionaryEntry *e = av_dict_get(ic->metadata, "title", NULL, 0);
    if (e) snprintf(r->title, sizeof r->title, "%s", e->value);
    e = av_dict_get(ic->metadata, "x_custom", NULL, 0);
    if (e) snprintf(r->custom, sizeof r->custom, "%s", e->value);
    AVPacket *pkt = av_packet_alloc();
    while (av_read_frame(ic, pkt) >= 0) {
        const AVStream *st = ic->streams[pkt->stream_index];
        AVRational us = {1, 1000000};
        if (st->disposition & AV_DISPOSITION_ATTACHED_PIC) {
            // counted as an attachment
        } else if (st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) {
            if (r->audio_first == INT64_MIN) r->audio_first = av_rescale_q(pkt->pts, st->time_base, us);
            r->audio_packets++;
        } else if (st->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE) {
            r->subtitle_packets++;
        } else if (r->frames < 512) {
            r->pts[r->frames] = av_rescale_q(pkt->pts, st->time_base, us);
            r->dts[r->frames] = pkt->dts == AV_NOPTS_VALUE ? INT64_MIN : av_rescale_q(pkt->dts, st->time_base, us);
            r->duration[r->frames] = av_rescale_q(pkt->duration, st->time_base, us);
            r->keys += pkt->flags & AV_PKT_FLAG_KEY ? 1 : 0;
            r->frames++;
        }
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    avformat_close_input(&ic);
    qsort(r->pts, (size_t)r->frames, sizeof *r->pts, by_value);
    return true;
}

// Two segments of `each` frames with the given timestamps. 0: done.
static enum reel_err encode_two(struct lab *l, const int64_t *pts, int each)
{
    enum reel_err err = REEL_OK;
    for (uint32_t s = 0; !err && s < 2; s++) {
        err = lab_open(l, s);
        for (int i = 0; !err && i < each; i++) err = lab_frame(l, pts[s * (uint32_t)each + (uint32_t)i]);
        if (!err && (err = lab_commit(l)) == REEL_OK && l->taken != (uint32_t)each)
            err = reel_fail(REEL_ERR_FAULT, "%u of %d frames were taken", l->taken, each);
    }
    return err;
}

static void containers(void)
{
    static const struct {
        const char *name, *encoder;
        enum AVCodecID codec;
        int tolerance_us; // the container's clock
    } cases[] = {{"a.mp4", "", AV_CODEC_ID_H264, 1},
                 {"a.mkv", "", AV_CODEC_ID_H264, 501},
                 {"a.mov", "", AV_CODEC_ID_H264, 1},
                 {"a.ts", "", AV_CODEC_ID_H264, 12},
                 {"a.webm", "", AV_CODEC_ID_VP9, 501},
                 {"a.mp4", "libx265", AV_CODEC_ID_HEVC, 1},
                 {"a.ts", "libx265", AV_CODEC_ID_HEVC, 12},
                 {"a.mp4", "mpeg4", AV_CODEC_ID_MPEG4, 1},
                 {"a.mkv", "ffv1", AV_CODEC_ID_FFV1, 501},
                 {"a.mov", "prores_ks", AV_CODEC_ID_PRORES, 1},
                 {"a.ts", "mpeg2video", AV_CODEC_ID_MPEG2VIDEO, 12},
                 {"a.mp4", "libsvtav1", AV_CODEC_ID_AV1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (*cases[i].encoder && !avcodec_find_encoder_by_name(cases[i].encoder)) continue;
        struct lab l;
        lab_init(&l, REEL_OUTPUT_VIDEO, cases[i].name);
        snprintf(l.settings.encoder, sizeof l.settings.encoder, "%s", cases[i].encoder);
        struct reel_media media = lab_media(192, 96, LAB_YUV420); // Matroska keeps the SAR as a size
        media.colour = (struct reel_colour){1, 1, 1, 0, 1, 1};
        media.sar = (struct reel_rational){4, 3};
        // 25 frames a second, one long gap: a variable rate.
        int64_t pts[40];
        for (int k = 0; k < 40; k++) pts[k] = k * 512 + (k >= 13 ? 1111 : 0);
        enum reel_err err = lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0);
        if (!err) err = encode_two(&l, pts, 20);
        struct reel_rec_muxed muxed = {0};
        if (!err) err = lab_join(&l, &muxed);
        CHECK_MSG(!err, "%s %s: %s", cases[i].name, cases[i].encoder, reel_fail_text());
        static struct read_back r;
        CHECK(read_file(l.output, &r));
        CHECK_INT(muxed.frames, 40);
        CHECK_MSG(r.frames == 40, "%s %s: %d frames", cases[i].name, cases[i].encoder, r.frames);
        CHECK_INT(r.codec, cases[i].codec);
        CHECK_INT(r.width, 192);
        CHECK_INT(r.height, 96);
        // MPEG-2 has three shapes of picture.
        bool any_shape = cases[i].codec != AV_CODEC_ID_MPEG2VIDEO;
        CHECK_MSG(!any_shape || r.sar.num * 3 == r.sar.den * 4, "%s %s: SAR %d:%d", cases[i].name, cases[i].encoder,
                  r.sar.num, r.sar.den);
        CHECK_MSG(r.primaries == AVCOL_PRI_BT709 || cases[i].codec == AV_CODEC_ID_MPEG4, "%s %s: primaries %d",
                  cases[i].name, cases[i].encoder, r.primaries);
        if (!strcmp(cases[i].encoder, "libx265") && strstr(cases[i].name, "mp4"))
            CHECK_INT(r.tag, MKTAG('h', 'v', 'c', '1'));
        for (int k = 0; k < 40; k++) {
            int64_t want = (pts[k] - pts[0]) * 625 / 8, have = r.pts[k] - r.pts[0];
            CHECK_MSG(llabs(have - want) <= cases[i].tolerance_us, "%s %s: frame %d at %lld us, not %lld",
                      cases[i].name, cases[i].encoder, k, (long long)have, (long long)want);
            if (k && r.dts[k] != INT64_MIN && r.dts[k - 1] != INT64_MIN) CHECK(r.dts[k] > r.dts[k - 1]);
        }
        if (strstr(cases[i].name, ".mp4") || strstr(cases[i].name, ".mov")) CHECK_INT(r.pts[0], 0);
        CHECK(r.keys >= 2);
        // Nothing but the output and the parts lies there: the output with both of its names.
        CHECK_INT(lab_count_files(l.folder), 2);
        CHECK_INT(lab_count_files(l.parts), 3);
        lab_fini(&l);
    }
}

// Whatever the memory held before: libx264 reads some that it never wrote.
static void same_bytes_twice(void)
{
    uint8_t hash[2][3][32];
    static const char *const names[] = {"a.mp4", "a.mkv", "a.ts"};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) {
            struct lab l;
            if (k) mallopt(M_PERTURB, 0x5a);
            lab_init(&l, REEL_OUTPUT_VIDEO, names[i]);
            struct reel_media media = lab_media(160, 96, LAB_YUV420);
            int64_t pts[60];
            for (int f = 0; f < 60; f++) pts[f] = f * 512;
            CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
            CHECK_INT(encode_two(&l, pts, 30), REEL_OK);
            struct reel_rec_muxed muxed;
            CHECK_INT(lab_join(&l, &muxed), REEL_OK);
            uint64_t bytes;
            CHECK_INT(reel_sha256_file(l.output, hash[k][i], &bytes), REEL_OK);
            CHECK_INT(bytes, muxed.bytes);
            if (k) CHECK(!memcmp(hash[0][i], hash[1][i], 32));
            lab_fini(&l);
        }
}

static void depth_of_b_frames(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, "a.mp4");
    snprintf(l.settings.encoder_opts, sizeof l.settings.encoder_opts, "bf=3:b_strategy=0:preset=veryfast");
    struct reel_media media = lab_media(160, 96, LAB_YUV420);
    int64_t pts[40];
    for (int f = 0; f < 40; f++) pts[f] = f * 512 + 1024; // does not begin at 0
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    CHECK_INT(encode_two(&l, pts, 20), REEL_OK);
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_OK);
    static struct read_back r;
    CHECK(read_file(l.output, &r));
    CHECK_INT(r.frames, 40);
    CHECK_INT(r.pts[0], 80000);
    CHECK_INT(r.pts[39], 80000 + 39 * 40000);
    for (int k = 0; k < 40; k++) {
        CHECK_INT(r.dts[k] - r.dts[0], k * 40000);
    }
    CHECK(r.dts[0] < r.pts[0]);        // there are B-frames
    CHECK_INT(r.video_us, 40 * 40000); // the last one's duration is kept
    lab_fini(&l);
}

// ---- copied streams -----------------------------------------------------------

static void write_copy(const struct lab *l, bool with_cover)
{
    char path[REEL_PATH_BYTES];
    struct reel_pack_writer *w;
    if (reel_pack_create(reel_copy_part_path(&l->job, path), &w)) abort();
    static struct reel_pack_stream s;
    s = lab_mp3();
    s.n_text = 1;
    s.text[0] = (struct reel_pack_text){"language", "deu"};
    if (reel_pack_put_stream(w, &s)) abort();
    // A picture of 1 x 1: PNG's signature is enough for a muxer.
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10, 0, 0, 0, 13, 'I', 'H', 'D',
                                  'R',  0,   0,   0,   1,  0,  0,  0,  1, 8, 0, 0,  0,   0};
    s = (struct reel_pack_stream){.id = 1,
                                  .media_type = AVMEDIA_TYPE_VIDEO,
                                  .codec_id = AV_CODEC_ID_PNG,
                                  .width = 1,
                                  .height = 1,
                                  .disposition = with_cover ? AV_DISPOSITION_ATTACHED_PIC : 0,
                                  .time_base = {1, 90000},
                                  .duration = INT64_MIN};
    if (reel_pack_put_stream(w, &s)) abort();
    s = (struct reel_pack_stream){.id = 2, // nobody holds it
                                  .media_type = AVMEDIA_TYPE_DATA,
                                  .codec_id = AV_CODEC_ID_DVD_NAV,
                                  .time_base = {1, 1000},
                                  .duration = INT64_MIN};
    if (reel_pack_put_stream(w, &s)) abort();
    struct reel_pack_text globals[] = {{"title", "a film"}, {"x_custom", "kept"}};
    if (reel_pack_put_globals(w, globals, 2)) abort();
    static struct reel_pack_chapter chapter;
    chapter = (struct reel_pack_chapter){
        .id = 1, .time_base = {1, 1000}, .end = 500, .n_text = 1, .text = {{"title", "one"}}};
    if (reel_pack_put_chapter(w, &chapter)) abort();
    chapter = (struct reel_pack_chapter){
        .id = 2, .time_base = {1, 1000}, .start = 500, .end = 1600, .n_text = 1, .text = {{"title", "two"}}};
    if (reel_pack_put_chapter(w, &chapter)) abort();
    struct reel_pack_packet cover = {.stream = 1, .pts = 0, .dts = 0, .flags = 1, .bytes = sizeof png, .data = png};
    if (with_cover && reel_pack_put_packet(w, &cover)) abort();
    // MPEG-1 layer 3, 32 kbit/s, 48 kHz, stereo: 96 bytes a frame.
    uint8_t frame[96] = {0xff, 0xfb, 0x14, 0x00};
    for (int i = 0; i < 60; i++) {
        struct reel_pack_packet p = {.stream = 0,
                                     .pts = i * 1152,
                                     .dts = i * 1152,
                                     .duration = 1152,
                                     .flags = 1,
                                     .bytes = sizeof frame,
                                     .data = frame};
        if (reel_pack_put_packet(w, &p)) abort();
    }
    uint64_t bytes;
    uint8_t sha[32];
    if (reel_pack_commit(&w, &bytes, sha)) abort();
}

static void copied_streams(void)
{
    static const struct {
        const char *name;
        int chapters, attachments;
        bool custom, cover;
    } cases[] = {{"a.mp4", 2, 1, false, true},
                 {"a.mp4", 2, 0, true, false},
                 {"a.mkv", 2, 1, true, true},
                 {"a.mov", 2, 0, true, true},
                 {"a.ts", 0, 0, false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lab l;
        lab_init(&l, REEL_OUTPUT_VIDEO, cases[i].name);
        struct reel_media media = lab_media(160, 96, LAB_YUV420);
        int64_t pts[40];
        for (int f = 0; f < 40; f++) pts[f] = f * 512;
        CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
        CHECK_INT(encode_two(&l, pts, 20), REEL_OK);
        write_copy(&l, cases[i].cover);
        struct reel_rec_muxed muxed;
        enum reel_err err = lab_join(&l, &muxed);
        CHECK_MSG(!err, "%s: %s", cases[i].name, reel_fail_text());
        static struct read_back r;
        CHECK(read_file(l.output, &r));
        CHECK_MSG(r.frames == 40, "%s: %d frames, %d streams", cases[i].name, r.frames, r.streams);
        CHECK_MSG(r.audio_packets == 60, "%s: %d audio packets; %s", cases[i].name, r.audio_packets, l.notes);
        CHECK_MSG(llabs(r.audio_first - r.pts[0]) <= 600, "%s: audio at %lld, video at %lld", cases[i].name,
                  (long long)r.audio_first, (long long)r.pts[0]);
        CHECK_MSG(r.chapters == cases[i].chapters, "%s: %d chapters", cases[i].name, r.chapters);
        CHECK_MSG(r.attachments == cases[i].attachments, "%s: %d pictures", cases[i].name, r.attachments);
        CHECK_HAS(l.notes, "data stream (dvd_nav_packet)");
        if (cases[i].chapters) CHECK_STR(r.title, "a film");
        if (cases[i].custom) {
            CHECK_STR(r.custom, "kept");
            CHECK_INT(muxed.kept.metadata, REEL_KEPT_NONE); // as it was told: nothing lost
        } else {
            CHECK_HAS(l.notes, "x_custom");
            CHECK(muxed.kept.metadata == REEL_KEPT_PART || muxed.kept.metadata == REEL_KEPT_LOST);
        }
        if (!cases[i].chapters) CHECK_INT(muxed.kept.chapters, REEL_KEPT_LOST);
        if (cases[i].cover && !cases[i].attachments) CHECK_HAS(l.notes, cases[i].chapters ? "cover picture" : "(png)");
        lab_fini(&l);
    }
}

// ---- what must not pass ---------------------------------------------------------

static bool count_ticks(void *ctx, uint64_t bytes)
{
    int *left = ctx;
    return --*left > 0;
}

// The hash of a long part shows progress, block by block, and can be given up.
static void long_parts_tick(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, "a.mp4");
    CHECK_INT(mkdir(l.job.parts_dir, 0755) && errno != EEXIST, 0);
    enum { BYTES = 5 << 20 };
    char *data = calloc(BYTES, 1), path[REEL_PATH_BYTES];
    FILE *f = fopen(reel_part_path(&l.job, 0, path), "wb");
    CHECK(data && f && fwrite(data, BYTES, 1, f) == 1 && !fclose(f));
    struct reel_rec_verify want = {.segment = 0, .frames = 1, .bytes = BYTES};
    struct reel_sha256 sha;
    reel_sha256_init(&sha);
    reel_sha256_update(&sha, data, BYTES);
    reel_sha256_final(&sha, want.sha256);
    int left = 100;
    struct sink_check check = {&l.job, &want, count_ticks, &left};
    CHECK(sink_video.verify(&check));
    CHECK_MSG(100 - left >= 5, "%d ticks", 100 - left);
    left = 3; // the third says no
    CHECK(!sink_video.verify(&check));
    CHECK_INT(left, 0);
    free(data);
    lab_fini(&l);
}

static void damaged_part(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, "a.mp4");
    struct reel_media media = lab_media(160, 96, LAB_YUV420);
    int64_t pts[8];
    for (int f = 0; f < 8; f++) pts[f] = f * 512;
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    CHECK_INT(encode_two(&l, pts, 4), REEL_OK);
    char path[REEL_PATH_BYTES];
    CHECK(lab_verify(&l, 1, 4));
    FILE *f = fopen(reel_part_path(&l.job, 1, path), "r+b");
    fseek(f, 300, SEEK_SET);
    int c = fgetc(f);
    fseek(f, 300, SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
    CHECK(!lab_verify(&l, 1, 4));
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_ERR_INPUT);
    CHECK_HAS(reel_fail_text(), "checksum");
    CHECK_INT(access(l.output, F_OK), -1);
    CHECK_INT(lab_count_files(l.folder), 1); // no temporary either
    // Too few frames.
    l.segments = 1;
    CHECK_INT(lab_join(&l, &muxed), REEL_ERR_INPUT);
    CHECK_HAS(reel_fail_text(), "4 frames of 8");
    lab_fini(&l);
}

static void other_header(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, "a.mp4");
    struct reel_media media = lab_media(160, 96, LAB_YUV420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    for (uint32_t s = 0; s < 2; s++) {
        snprintf(l.settings.encoder_opts, sizeof l.settings.encoder_opts, "%s", s ? "refs=2" : "refs=4");
        CHECK_INT(lab_open(&l, s), REEL_OK);
        for (int i = 0; i < 4; i++) CHECK_INT(lab_frame(&l, (int64_t)(s * 4 + (uint32_t)i) * 512), REEL_OK);
        CHECK_INT(lab_commit(&l), REEL_OK);
    }
    struct reel_rec_muxed muxed;
    CHECK_INT(lab_join(&l, &muxed), REEL_ERR_INPUT);
    CHECK_HAS(reel_fail_text(), "different codec header");
    lab_fini(&l);
}

static void hdr_and_ten_bits(void)
{
    static const char *const encoders[] = {"libx264", "libx265", "libsvtav1"};
    for (int i = 0; i < 3; i++) {
        if (!avcodec_find_encoder_by_name(encoders[i])) continue;
        struct lab l;
        lab_init(&l, REEL_OUTPUT_VIDEO, "a.mkv");
        snprintf(l.settings.encoder, sizeof l.settings.encoder, "%s", encoders[i]);
        struct reel_media media = lab_media(160, 96, (struct reel_pixel_format){REEL_PIX_YUV, 10, 1, 1});
        media.colour = (struct reel_colour){9, 16, 9, 0, 1, 1};
        AVMasteringDisplayMetadata d = {.has_primaries = 1,
                                        .has_luminance = 1,
                                        .min_luminance = {1, 10000},
                                        .max_luminance = {1000, 1},
                                        .white_point = {{15635, 50000}, {16450, 50000}},
                                        .display_primaries = {{{34000, 50000}, {16000, 50000}},
                                                              {{13250, 50000}, {34500, 50000}},
                                                              {{7500, 50000}, {3000, 50000}}}};
        memcpy(media.mastering, &d, sizeof d);
        media.mastering_bytes = sizeof d;
        media.max_cll = 1000;
        media.max_fall = 400;
        media.flags = REEL_MEDIA_HAS_MASTERING | REEL_MEDIA_HAS_LIGHT_LEVEL;
        int64_t pts[8];
        for (int f = 0; f < 8; f++) pts[f] = f * 512;
        enum reel_err err = lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0);
        CHECK_MSG(!err, "%s: %s", encoders[i], reel_fail_text());
        CHECK_INT(l.proven.out.format.depth, 10);
        CHECK_INT(l.proven.kept.colour, REEL_KEPT_ALL);
        err = encode_two(&l, pts, 4);
        struct reel_rec_muxed muxed;
        if (!err) err = lab_join(&l, &muxed);
        CHECK_MSG(!err, "%s: %s", encoders[i], reel_fail_text());
        static struct read_back r;
        CHECK(read_file(l.output, &r));
        CHECK_INT(r.format, AV_PIX_FMT_YUV420P10LE);
        CHECK_INT(r.transfer, 16);
        CHECK(r.has_mastering);
        lab_fini(&l);
    }
}

CHECK_MAIN({"containers", containers}, {"same_bytes_twice", same_bytes_twice}, {"depth_of_b_frames", depth_of_b_frames},
           {"copied_streams", copied_streams}, {"damaged_part", damaged_part}, {"long_parts_tick", long_parts_tick},
           {"other_header", other_header}, {"hdr_and_ten_bits", hdr_and_ten_bits})
