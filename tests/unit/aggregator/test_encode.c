// SPDX-License-Identifier: MIT
//
// The choice of encoders and formats, and every encoder of the table at 8 and
// 10 bits and at odd sizes, through a lane, decoded again and compared.
#include "tests/unit/aggregator/lab.h"

static const struct reel_pixel_format yuv420 = {REEL_PIX_YUV, 8, 1, 1}, yuv420_10 = {REEL_PIX_YUV, 10, 1, 1},
                                      yuv422_10 = {REEL_PIX_YUV, 10, 1, 0}, yuv444 = {REEL_PIX_YUV, 8, 0, 0},
                                      gray = {REEL_PIX_GRAY, 8, 0, 0}, gbr = {REEL_PIX_GBR, 8, 0, 0};

static enum AVPixelFormat choose(const char *encoder, const char *container, struct reel_pixel_format want, int w,
                                 int h)
{
    struct encode_choice c;
    const AVOutputFormat *format = container ? av_guess_format(container, NULL, NULL) : NULL;
    return encode_choose(encoder, format, want, false, w, h, 0, &c) ? AV_PIX_FMT_NONE : c.format;
}

static void formats(void)
{
    CHECK_INT(choose("", "mp4", yuv420, 64, 64), AV_PIX_FMT_YUV420P);
    CHECK_INT(choose("", "mp4", yuv420_10, 64, 64), AV_PIX_FMT_YUV420P10LE);
    CHECK_INT(choose("", "mp4", yuv422_10, 64, 64), AV_PIX_FMT_YUV422P10LE);
    CHECK_INT(choose("", "mp4", yuv444, 64, 64), AV_PIX_FMT_YUV444P);
    CHECK_INT(choose("", "mp4", yuv420, 63, 64), AV_PIX_FMT_YUV444P);        // x264 takes no odd 4:2:0
    CHECK_INT(choose("", "mp4", yuv420_10, 64, 63), AV_PIX_FMT_YUV422P10LE); // the width may be halved
    CHECK_INT(choose("", "mp4", gray, 64, 64), AV_PIX_FMT_GRAY8);
    CHECK_INT(choose("", "mp4", gbr, 64, 64), AV_PIX_FMT_YUV444P);
    CHECK_INT(choose("", "webm", yuv420, 63, 63), AV_PIX_FMT_YUV420P); // VP9 does
    CHECK_INT(choose("", "webm", yuv420_10, 64, 64), AV_PIX_FMT_YUV420P10LE);
    CHECK_INT(choose("prores_ks", "mov", yuv420, 64, 64), AV_PIX_FMT_YUV422P10LE);
    CHECK_INT(choose("prores_ks", "mov", yuv444, 64, 64), AV_PIX_FMT_YUV444P10LE);
    CHECK_INT(choose("ffv1", "matroska", gbr, 64, 64), AV_PIX_FMT_0RGB32);
    CHECK_INT(choose("png", NULL, gbr, 64, 64), AV_PIX_FMT_RGB24);
    CHECK_INT(choose("png", NULL, (struct reel_pixel_format){REEL_PIX_GBR, 10, 0, 0}, 64, 64), AV_PIX_FMT_RGB48BE);
    CHECK_INT(choose("png", NULL, gray, 64, 64), AV_PIX_FMT_GRAY8);
    CHECK_INT(choose("mjpeg", NULL, yuv420, 64, 64), AV_PIX_FMT_YUVJ420P);
    CHECK_INT(choose("mpeg4", "mp4", yuv420_10, 64, 64), AV_PIX_FMT_YUV420P); // loses depth: there is no other
}

// What a cut-out is encoded as, by the container alone or by a named encoder.
static void transparent(void)
{
    static const struct {
        const char *encoder, *container;
        const struct reel_pixel_format *want;
        enum AVPixelFormat format;
    } cases[] = {
        {"", "mov", &yuv420, AV_PIX_FMT_YUVA444P10LE},
        {"", "matroska", &yuv420, AV_PIX_FMT_YUVA420P},
        {"", "matroska", &yuv422_10, AV_PIX_FMT_YUVA422P10LE},
        {"", "webm", &yuv420, AV_PIX_FMT_YUVA420P},
        {"png", NULL, &gbr, AV_PIX_FMT_RGBA},
        {"png", NULL, &yuv420_10, AV_PIX_FMT_RGBA64BE},
        {"", "mp4", &yuv420, AV_PIX_FMT_NONE},
        {"libx264", "matroska", &yuv420, AV_PIX_FMT_NONE},
        {"libvpx-vp9", "mp4", &yuv420, AV_PIX_FMT_NONE},
        {"mjpeg", NULL, &yuv420, AV_PIX_FMT_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const AVOutputFormat *format = cases[i].container ? av_guess_format(cases[i].container, NULL, NULL) : NULL;
        struct encode_choice c = {.format = AV_PIX_FMT_NONE};
        enum reel_err err = encode_choose(cases[i].encoder, format, *cases[i].want, true, 64, 64, 0, &c);
        CHECK_INT(err, cases[i].format == AV_PIX_FMT_NONE ? REEL_ERR_CONFIG : REEL_OK);
        if (err)
            CHECK_HAS(reel_fail_text(), "what keeps transparency");
        else
            CHECK_INT(c.format, cases[i].format);
    }
    CHECK_INT(picture_alpha_format(gray), AV_PIX_FMT_YUVA420P);
    CHECK_INT(picture_alpha_format((struct reel_pixel_format){REEL_PIX_NV, 10, 1, 1}), AV_PIX_FMT_YUVA420P10LE);
    CHECK_INT(picture_alpha_format((struct reel_pixel_format){REEL_PIX_YUV, 8, 2, 0}), AV_PIX_FMT_YUVA422P);
}

static void refusals(void)
{
    CHECK_INT(choose("libx246", "mp4", yuv420, 64, 64), AV_PIX_FMT_NONE);
    CHECK_HAS(reel_fail_text(), "\"libx246\"");
    CHECK_HAS(reel_fail_text(), "libx264");
    CHECK_INT(choose("libx264", "webm", yuv420, 64, 64), AV_PIX_FMT_NONE);
    CHECK_HAS(reel_fail_text(), "libvpx-vp9");
    CHECK_INT(choose("prores_ks", "mpegts", yuv420, 64, 64), AV_PIX_FMT_NONE);
    if (avcodec_find_encoder_by_name("libsvtav1")) {
        CHECK_INT(choose("libsvtav1", "mp4", yuv420, 63, 64), AV_PIX_FMT_NONE);
        CHECK_HAS(reel_fail_text(), "odd size");
    }
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, "a.mp4");
    struct reel_media media = lab_media(64, 64, yuv420);
    snprintf(l.settings.encoder_opts, sizeof l.settings.encoder_opts, "presett=fast");
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "\"presett\"");
    snprintf(l.settings.encoder_opts, sizeof l.settings.encoder_opts, "preset=fasst");
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "fasst");
    l.settings.encoder_opts[0] = 0;
    CHECK_INT(lab_prove(&l, REEL_TASK_TENSOR, &media, 1, 0), REEL_ERR_CONFIG);
    l.job.kind = REEL_OUTPUT_JSONL;
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_ERR_CONFIG);
    lab_fini(&l);
}

// ---- every encoder --------------------------------------------------------------

// Mean absolute difference of luma between frame n of the file and the picture
// that lab_draw() made, in steps of 8 bits; negative when it cannot be read.
static double difference(const char *path, const struct reel_geometry *g, int *out_frames)
{
    AVFormatContext *ic = NULL;
    if (avformat_open_input(&ic, path, NULL, NULL) < 0 || avformat_find_stream_info(ic, NULL) < 0) return -1;
    const AVCodec *codec = avcodec_find_decoder(ic->streams[0]->codecpar->codec_id);
    AVCodecContext *dc = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!dc) return -2;
    avcodec_parameters_to_context(dc, ic->streams[0]->codecpar);
    if (avcodec_open2(dc, codec, NULL) < 0) return -3;
    struct reel_ring want = {.base = calloc(1, g->slot_bytes), .bytes = g->slot_bytes, .slots = 1, .geometry = *g};
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    double sum = 0;
    *out_frames = 0;
    bool more = true;
    while (more) {
        more = av_read_frame(ic, pkt) >= 0;
        avcodec_send_packet(dc, more ? pkt : NULL);
        av_packet_unref(pkt);
        while (avcodec_receive_frame(dc, f) >= 0) {
            lab_draw(&want, 0, (uint32_t)*out_frames);
            const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
            int deep = d->comp[0].depth, deep2 = g->format.depth;
            for (int y = 0; y < f->height; y++)
                for (int x = 0; x < f->width; x++) {
                    const uint8_t *a = f->data[0] + (ptrdiff_t)y * f->linesize[0];
                    const uint8_t *b = reel_ring_plane(&want, 0, 0) + (size_t)y * g->plane_stride[0];
                    double va = deep > 8 ? ((const uint16_t *)a)[x] / (double)(1 << (deep - 8)) : a[x];
                    double vb = deep2 > 8 ? ((const uint16_t *)b)[x] / (double)(1 << (deep2 - 8)) : b[x];
                    sum += fabs(va - vb) / (f->width * f->height);
                }
            ++*out_frames;
            av_frame_unref(f);
        }
    }
    av_frame_free(&f);
    av_packet_free(&pkt);
    avcodec_free_context(&dc);
    avformat_close_input(&ic);
    free(want.base);
    return *out_frames ? sum / *out_frames : -4;
}

static void every_encoder(void)
{
    static const struct {
        const char *name, *file;
        bool ten, odd; // are there
    } cases[] = {
        {"libx264", "a.mp4", true, true},    {"libx265", "a.mp4", true, true},     {"libsvtav1", "a.mkv", true, false},
        {"libaom-av1", "a.mkv", true, true}, {"libvpx-vp9", "a.webm", true, true}, {"libvpx", "a.webm", false, true},
        {"librav1e", "a.mkv", true, true},   {"prores_ks", "a.mov", true, true},   {"ffv1", "a.mkv", true, true},
        {"mpeg4", "a.mp4", false, true},     {"mpeg2video", "a.mkv", false, true}, {"mjpeg", "a.mov", false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int ten = 0; ten < 2; ten++)
            for (int odd = 0; odd < 2; odd++) {
                if (!avcodec_find_encoder_by_name(cases[i].name) || (odd && !cases[i].odd)) continue;
                struct lab l;
                lab_init(&l, REEL_OUTPUT_VIDEO, cases[i].file);
                snprintf(l.settings.encoder, sizeof l.settings.encoder, "%s", cases[i].name);
                struct reel_media media = lab_media(odd ? 97 : 96, odd ? 71 : 72, ten ? yuv420_10 : yuv420);
                media.colour = (struct reel_colour){1, 1, 1, 0, 1, 1};
                enum reel_err err = lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0);
                if (!err) err = lab_open(&l, 0);
                for (int f = 0; !err && f < 12; f++) err = lab_frame(&l, f * 512);
                if (!err) err = lab_commit(&l);
                CHECK_MSG(!err, "%s %d bit %s: %s", cases[i].name, ten ? 10 : 8, odd ? "odd" : "even",
                          reel_fail_text());
                CHECK_INT(l.taken, 12);
                bool deep = l.proven.out.format.depth >= 10;
                CHECK_MSG(deep == (ten && cases[i].ten) || !strcmp(cases[i].name, "prores_ks"),
                          "%s: %d bits made of %d", cases[i].name, l.proven.out.format.depth, ten ? 10 : 8);
                CHECK_MSG(!l.plan.choice.traits->copies || l.proven.hold_frames == 2, "%s holds %u", cases[i].name,
                          l.proven.hold_frames);
                struct reel_rec_muxed muxed;
                err = lab_join(&l, &muxed);
                CHECK_MSG(!err, "%s: %s", cases[i].name, reel_fail_text());
                int frames = 0;
                double d = difference(l.output, &l.proven.out, &frames);
                CHECK_MSG(frames == 12 && d >= 0 && d < 6, "%s %d bit %s: %d frames, luma off by %g", cases[i].name,
                          ten ? 10 : 8, odd ? "odd" : "even", frames, d);
                if (!strcmp(cases[i].name, "ffv1")) CHECK(d == 0);
                lab_fini(&l);
            }
}

// The table says which encoders copy; with a ring of the proven size a lane
// must never wait for a slot (lab_frame() fails when it would).
static void slots_suffice(void)
{
    static const char *const names[] = {"libx264", "libx265", "libvpx-vp9", "mpeg4", "mpeg2video", "mjpeg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct lab l;
        lab_init(&l, REEL_OUTPUT_VIDEO, strcmp(names[i], "libvpx-vp9") ? "a.mkv" : "a.webm");
        snprintf(l.settings.encoder, sizeof l.settings.encoder, "%s", names[i]);
        if (!strncmp(names[i], "mpeg", 4)) snprintf(l.settings.encoder_opts, sizeof l.settings.encoder_opts, "bf=2");
        struct reel_media media = lab_media(96, 64, yuv420);
        enum reel_err err = lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0);
        if (!err) err = lab_open(&l, 0);
        for (int f = 0; !err && f < 80; f++) err = lab_frame(&l, f * 512);
        if (!err) err = lab_commit(&l);
        CHECK_MSG(!err && l.taken == 80, "%s: %s, %u taken", names[i], reel_fail_text(), l.taken);
        lab_fini(&l);
    }
}

// The encoder of a proven plan, as a lane opens it.
static enum reel_err open_proven(struct lab *l, struct encoder **out_encoder)
{
    struct reel_rec_open open = {.in = l->prove.in,
                                 .out = l->proven.out,
                                 .media = l->prove.media,
                                 .out_colour = l->proven.out_colour,
                                 .task = REEL_TASK_IMAGE};
    return plan_open(&l->settings, &l->job, &open, &l->plan, out_encoder);
}

// Sends a picture whose levels move with n; 0: nothing came out, 1: its packet, which
// is a keyframe or not.
static int send_one(struct lab *l, struct encoder *e, struct picture_pool *pool, int n, bool key, bool *out_key)
{
    AVFrame *f;
    AVPacket *pkt = av_packet_alloc();
    if (picture_alloc(pool, l->plan.final_format, l->plan.final_width, l->plan.final_height, &f)) return -1;
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? f->height / 2 : f->height); y++)
            memset(f->data[p] + y * f->linesize[p], 40 + n * 3 + y, (size_t)(p ? f->width / 2 : f->width));
    f->pts = n * 512;
    if (key) f->pict_type = AV_PICTURE_TYPE_I;
    int came = encode_send(e, f) ? -1 : 0;
    while (came >= 0 && !encode_receive(e, pkt)) {
        came += pkt->pts == f->pts ? 1 : 100; // no other's
        *out_key = pkt->flags & AV_PKT_FLAG_KEY;
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    av_frame_free(&f);
    return came;
}

// Live: each picture's packet comes when it is sent, and one is a keyframe when asked.
// Not so SVT-AV1, which keeps two back and has keyframes at its own places.
static void live_packets_come_at_once(void)
{
    static const struct {
        const char *name;
        bool intra;
    } cases[] = {{"libx264", false},    {"libx265", false}, {"libvpx-vp9", false}, {"libvpx", false},
                 {"libaom-av1", false}, {"mpeg4", false},   {"mpeg2video", false}, {"mjpeg", true},
                 {"ffv1", true},        {"prores_ks", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!avcodec_find_encoder_by_name(cases[i].name)) continue;
        struct lab l;
        lab_init(&l, REEL_OUTPUT_STREAM, "a.mkv");
        l.settings.live = true;
        snprintf(l.settings.encoder, sizeof l.settings.encoder, "%s", cases[i].name);
        struct reel_media media = lab_media(192, 128, yuv420);
        struct encoder *e = NULL;
        enum reel_err err = lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0);
        if (!err) err = open_proven(&l, &e);
        CHECK_MSG(!err, "%s: %s", cases[i].name, reel_fail_text());
        struct picture_pool pool = {0};
        for (int n = 0; n < 30; n++) {
            bool key = false;
            int came = send_one(&l, e, &pool, n, n == 20, &key);
            CHECK_MSG(came == 1, "%s: %d for picture %d", cases[i].name, came, n);
            CHECK_MSG(key == (cases[i].intra || n == 0 || n == 20), "%s: picture %d is %s keyframe", cases[i].name, n,
                      key ? "a" : "no");
        }
        encode_close(&e);
        picture_pool_fini(&pool);
        lab_fini(&l);
    }
    // The user's own wish for B frames counts, where timestamps allow it.
    struct lab l;
    lab_init(&l, REEL_OUTPUT_STREAM, "a.mkv");
    l.settings.live = true;
    snprintf(l.settings.encoder, sizeof l.settings.encoder, "mpeg4");
    snprintf(l.settings.encoder_opts, sizeof l.settings.encoder_opts, "bf=2");
    struct reel_media media = lab_media(192, 128, yuv420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "cannot have B frames");
    lab_fini(&l);
}

static void notes(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_VIDEO, "a.mp4");
    struct reel_media media = lab_media(97, 71, yuv420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    CHECK_HAS(l.plan.notes, "odd size");
    CHECK_INT(l.proven.out.format.log2_chroma_w, 0);
    snprintf(l.settings.encoder, sizeof l.settings.encoder, "mpeg4");
    media = lab_media(96, 64, yuv420_10);
    media.colour = (struct reel_colour){9, 16, 9, 0, 1, 1};
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    CHECK_HAS(l.plan.notes, "8 bits");
    CHECK_INT(l.proven.kept.colour, REEL_KEPT_PART);
    // A matrix that players would guess from the size is said when the size changes.
    l.settings.encoder[0] = 0;
    media = lab_media(640, 360, yuv420);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 2, 0), REEL_OK);
    CHECK_INT(l.proven.out_colour.matrix, 6);
    CHECK_INT(lab_prove(&l, REEL_TASK_IMAGE, &media, 1, 0), REEL_OK);
    CHECK_INT(l.proven.out_colour.matrix, 2);
    lab_fini(&l);
}

CHECK_MAIN({"formats", formats}, {"transparent", transparent}, {"refusals", refusals}, {"every_encoder", every_encoder},
           {"slots_suffice", slots_suffice}, {"live_packets_come_at_once", live_packets_come_at_once}, {"notes", notes})
