// SPDX-License-Identifier: MIT
//
// Chooses the encoder and its pixel format, and calls the implementation. See encode.h. A choice depends on
// its arguments alone, so every aggregator makes the same one.
#include "aggregator/encode.h"

#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "aggregator/picture.h"
#include "common/log.h"

// ---- the table ----------------------------------------------------------------

// Qualities are "looks like the source" in each codec's own scale. Options that
// would make bytes depend on the machine (pools sized by cores, a text with
// its instruction sets) are pinned. For live video: without B frames and looking
// ahead, at a speed that a camera's rate asks for (SVT-AV1 keeps two pictures all the
// same).
static const struct encode_traits table[] = {
    {"libx264", "preset=medium:crf=18", "preset=veryfast:tune=zerolatency:crf=20:forced-idr=1", .copies = true,
     .even = true, .memory_frames = 150},
    {"libx265", "preset=medium:crf=20", "preset=superfast:tune=zerolatency:crf=22:forced-idr=1", .copies = true,
     .even = true, .memory_frames = 120},
    {"libsvtav1", "preset=8:crf=28", "preset=11:crf=30", .copies = true, .even = true, .memory_frames = 200},
    {"libaom-av1", "cpu-used=6:crf=24:b=0", "usage=realtime:cpu-used=8:crf=28:b=0:lag-in-frames=0", .copies = true,
     .memory_frames = 80},
    {"libvpx-vp9", "deadline=good:cpu-used=2:crf=24:b=0",
     "deadline=realtime:cpu-used=7:row-mt=1:crf=28:b=0:lag-in-frames=0", .copies = true, .memory_frames = 60},
    // Its hidden frames would be packets of their own.
    {"libvpx", "deadline=good:cpu-used=2:crf=8:b=20M:auto-alt-ref=0",
     "deadline=realtime:cpu-used=6:crf=10:b=20M:auto-alt-ref=0:lag-in-frames=0", .copies = true, .memory_frames = 40},
    {"librav1e", "speed=8:qp=80", "speed=10:qp=100:rav1e-params=low_latency=true", .copies = true,
     .memory_frames = 120},
    {"prores_ks", "vendor=apl0", .copies = true, .memory_frames = 4},
    {"ffv1", "level=3:g=1:slicecrc=1", .copies = true, .memory_frames = 6},
    // MPEG-4 allows no time base above 65535, and MPEG-2 only those of its frame rates.
    {"mpeg4", "flags=+qscale:global_quality=236:mbd=rd", "flags=+qscale:global_quality=354:mbd=simple", .counts = true,
     .memory_frames = 12},
    {"mpeg2video", "flags=+qscale:global_quality=236:mbd=rd", "flags=+qscale+low_delay:global_quality=354:mbd=simple",
     .counts = true, .memory_frames = 12},
    {"mjpeg", "flags=+qscale:global_quality=236", .memory_frames = 4},
    {"png", "", .copies = true, .memory_frames = 3},
    {"tiff", "compression_algo=lzw", .copies = true, .memory_frames = 3},
    {"bmp", "", .copies = true, .memory_frames = 2},
    {"exr", "compression=zip16", .memory_frames = 5},
    {"dpx", "", .copies = true, .memory_frames = 3},
    {"ppm", "", .copies = true, .memory_frames = 3},
    {"pgm", "", .copies = true, .memory_frames = 3},
    {"libwebp", "quality=90", .copies = true, .memory_frames = 6},
    {"rawvideo", "", .copies = true, .memory_frames = 2},
    {"h264_nvenc", "preset=p5:rc=vbr:cq=19:b=0", "preset=p4:tune=ull:zerolatency=1:rc=vbr:cq=21:b=0:forced-idr=1",
     .copies = true, .memory_frames = 40},
    {"hevc_nvenc", "preset=p5:rc=vbr:cq=21:b=0", "preset=p4:tune=ull:zerolatency=1:rc=vbr:cq=23:b=0:forced-idr=1",
     .copies = true, .memory_frames = 40},
    {"av1_nvenc", "preset=p5:rc=vbr:cq=27:b=0", "preset=p4:tune=ull:zerolatency=1:rc=vbr:cq=29:b=0:forced-idr=1",
     .copies = true, .memory_frames = 40},
};
static const struct encode_traits unknown = {"", "", "", .memory_frames = 60};

static const struct encode_traits *find_traits(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name)) return &table[i];
    return &unknown;
}

// ---- encoder ------------------------------------------------------------------

// Whether RTP defines a payload for the codec.
static bool rtp_holds(enum AVCodecID id)
{
    return id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC || id == AV_CODEC_ID_VP8 || id == AV_CODEC_ID_VP9 ||
           id == AV_CODEC_ID_MPEG4 || id == AV_CODEC_ID_MPEG2VIDEO || id == AV_CODEC_ID_MJPEG;
}

bool encode_is_raw(const AVOutputFormat *container)
{
    return container && (!strcmp(container->name, "yuv4mpegpipe") || !strcmp(container->name, "gif"));
}

bool encode_has_fixed_rate(const AVOutputFormat *container)
{
    return container && (!strcmp(container->name, "yuv4mpegpipe") || !strcmp(container->name, "avi"));
}

static bool container_holds(const AVOutputFormat *container, enum AVCodecID id)
{
    if (!container) return true;
    if (encode_is_raw(container)) return id == AV_CODEC_ID_RAWVIDEO;
    if (id == AV_CODEC_ID_RAWVIDEO) return false;               // most readers guess what these bits mean
    if (!strcmp(container->name, "rtsp")) return rtp_holds(id); // libavformat cannot be asked about these muxers
    if (!strcmp(container->name, "vob")) return id == AV_CODEC_ID_MPEG2VIDEO || id == AV_CODEC_ID_MPEG1VIDEO;
    if (!strcmp(container->name, "mpegts") || !strcmp(container->name, "rtp_mpegts"))
        return id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC || id == AV_CODEC_ID_MPEG2VIDEO ||
               id == AV_CODEC_ID_MPEG1VIDEO || id == AV_CODEC_ID_MPEG4;
    return avformat_query_codec(container, id, FF_COMPLIANCE_NORMAL) == 1;
}

const char *encode_alternatives(const AVOutputFormat *container, char *buf, size_t bytes)
{
    size_t at = 0;
    buf[0] = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const AVCodec *codec = avcodec_find_encoder_by_name(table[i].name);
        if (!codec || strstr(table[i].name, "_nvenc") || !container_holds(container, codec->id)) continue;
        const AVCodecDescriptor *d = avcodec_descriptor_get(codec->id);
        bool picture = codec->id == AV_CODEC_ID_PNG || codec->id == AV_CODEC_ID_TIFF || codec->id == AV_CODEC_ID_BMP ||
                       codec->id == AV_CODEC_ID_EXR || codec->id == AV_CODEC_ID_DPX || codec->id == AV_CODEC_ID_PPM ||
                       codec->id == AV_CODEC_ID_PGM || codec->id == AV_CODEC_ID_WEBP;
        if (picture || !d) continue;
        int n = snprintf(buf + at, bytes - at, "%s%s", at ? ", " : "", table[i].name);
        if (n < 0 || (size_t)n >= bytes - at) break;
        at += (size_t)n;
    }
    return buf;
}

static enum reel_err find_encoder(const char *name, const AVOutputFormat *container, const AVCodec **out_codec)
{
    char known[512];
    if (!*name) {
        static const char *const order[] = {"mpeg4", "libx264",    "libvpx-vp9", "libopenh264", "libx265",
                                            "ffv1",  "mpeg2video", "rawvideo",   "mpeg4"};
        // H.264 in .avi is left to those who ask for it: most programs that still need .avi cannot
        // play it.
        const bool old = container && !strcmp(container->name, "avi");
        for (size_t i = old ? 0 : 1; i < sizeof order / sizeof *order; i++) {
            *out_codec = avcodec_find_encoder_by_name(order[i]);
            if (*out_codec && container_holds(container, (*out_codec)->id)) return REEL_OK;
        }
        return reel_fail(REEL_ERR_UNSUPPORTED,
                         "could not find an encoder for .%s: this FFmpeg has none that fits\nname one with --encoder, "
                         "or install an FFmpeg with libx264 or libvpx",
                         container ? container->name : "video");
    }
    *out_codec = avcodec_find_encoder_by_name(name);
    if (!*out_codec || (*out_codec)->type != AVMEDIA_TYPE_VIDEO)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not find encoder \"%s\": this FFmpeg has none of that name\navailable: %s", name,
                         encode_alternatives(container, known, sizeof known));
    if (!container_holds(container, (*out_codec)->id))
        return reel_fail(
            REEL_ERR_CONFIG, "could not use encoder \"%s\": a file of format %s cannot hold %s\nit holds: %s", name,
            container->name, avcodec_get_name((*out_codec)->id), encode_alternatives(container, known, sizeof known));
    return REEL_OK;
}

#define ALPHA_ADVICE                                                                                                 \
    "\nwhat keeps transparency: .mov (prores_ks), .webm (libvpx-vp9), .mkv (ffv1), images .png, .tif, .webp, .bmp, " \
    ".exr"

// The usual encoder of transparent pictures for each container. Other containers cannot hold them, or
// players ignore their transparency.
static enum reel_err find_alpha(const AVOutputFormat *container, const char **out_usual)
{
    static const char *const usual[][2] = {{"mov", "prores_ks"}, {"webm", "libvpx-vp9"}, {"matroska", "ffv1"}};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (!strcmp(usual[i][0], container->name)) return *out_usual = usual[i][1], REEL_OK;
    return reel_fail(REEL_ERR_CONFIG,
                     "could not write transparent pictures into a file of format %s: it keeps none" ALPHA_ADVICE,
                     container->name);
}

// ---- pixel format ---------------------------------------------------------------

// How much of a picture of format `want` is lost in a libav format, as a cost. Kinds of loss are powers of
// ten apart, so that a worse kind is never preferred to a lesser one.
static int64_t format_cost(enum AVPixelFormat format, enum AVCodecID id, struct reel_pixel_format want, bool alpha,
                           bool odd_w, bool odd_h, bool even, struct encode_choice *c)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    // Only these are big endian.
    const bool big_endian = id == AV_CODEC_ID_PNG || id == AV_CODEC_ID_PPM || id == AV_CODEC_ID_PGM;
    if (!d ||
        d->flags & (AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_BAYER))
        return -1;
    if (alpha != ((d->flags & AV_PIX_FMT_FLAG_ALPHA) != 0)) return -1;
    if (d->flags & AV_PIX_FMT_FLAG_FLOAT && id != AV_CODEC_ID_EXR) return -1;
    if (d->flags & AV_PIX_FMT_FLAG_BE && d->comp[0].depth > 8 && !big_endian) return -1;
    bool full_only = !strncmp(d->name, "yuvj", 4);
    if (full_only != (id == AV_CODEC_ID_MJPEG && strncmp(d->name, "yuv", 3) == 0)) return -1;
    if (even && ((odd_w && d->log2_chroma_w) || (odd_h && d->log2_chroma_h))) return -1;
    bool rgb = d->flags & AV_PIX_FMT_FLAG_RGB, gray = d->nb_components - alpha == 1;
    bool want_rgb = want.layout == REEL_PIX_GBR, want_gray = want.layout == REEL_PIX_GRAY;
    *c = (struct encode_choice){.format = format};
    c->loses_depth = d->comp[0].depth < want.depth;
    c->loses_colour = gray && !want_gray;
    c->loses_chroma =
        !gray && !want_gray && !rgb && (d->log2_chroma_w > want.log2_chroma_w || d->log2_chroma_h > want.log2_chroma_h);
    c->odd_made_444 = even && (odd_w || odd_h) && !gray && !rgb && (want.log2_chroma_w || want.log2_chroma_h);
    int64_t cost = 0;
    if (c->loses_colour) cost += 1000000000;
    if (c->loses_depth) cost += 10000000 * (want.depth - d->comp[0].depth);
    if (c->loses_chroma)
        cost += 1000000 * (1 + d->log2_chroma_w - want.log2_chroma_w + d->log2_chroma_h - want.log2_chroma_h);
    if (!gray && rgb != want_rgb) cost += want_gray ? 200000 : 100000; // the conversion rounds
    cost += 1000 * (d->comp[0].depth > want.depth ? d->comp[0].depth - want.depth : 0);
    // If chroma has to be added, the format with the fewest chroma samples is best.
    int chroma = d->log2_chroma_w + d->log2_chroma_h, had = want.log2_chroma_w + want.log2_chroma_h;
    if (!gray && !rgb) cost += 100 * (want_gray ? 2 - chroma + 1 : had > chroma ? had - chroma : 0);
    struct reel_pixel_format slot;
    if (!picture_slot_format(format, &slot))
        cost += 20; // packed formats need one more conversion
    else if (slot.layout == REEL_PIX_NV && want.layout != REEL_PIX_NV)
        cost += 10;
    return cost;
}

// The codec of a container that holds pictures uncompressed; NULL if it does not.
static const enum AVPixelFormat *raw_formats(const AVOutputFormat *container)
{
    static const enum AVPixelFormat y4m[] = {
        AV_PIX_FMT_YUV420P,   AV_PIX_FMT_YUV422P,   AV_PIX_FMT_YUV444P,   AV_PIX_FMT_YUV411P,   AV_PIX_FMT_GRAY8,
        AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV422P10, AV_PIX_FMT_YUV444P10, AV_PIX_FMT_GRAY10,    AV_PIX_FMT_YUV420P12,
        AV_PIX_FMT_YUV422P12, AV_PIX_FMT_YUV444P12, AV_PIX_FMT_GRAY12,    AV_PIX_FMT_YUV420P16, AV_PIX_FMT_YUV422P16,
        AV_PIX_FMT_YUV444P16, AV_PIX_FMT_GRAY16,    AV_PIX_FMT_NONE};
    static const enum AVPixelFormat gif[] = {AV_PIX_FMT_RGB24, AV_PIX_FMT_GRAY8, AV_PIX_FMT_NONE};
    if (!encode_is_raw(container)) return NULL;
    return !strcmp(container->name, "gif") ? gif : y4m;
}

enum reel_err encode_choose(const char *name, const AVOutputFormat *container, struct reel_pixel_format want,
                            bool alpha, int width, int height, int rank, struct encode_choice *out_choice)
{
    const AVCodec *codec;
    const char *usual = "";
    enum reel_err err = alpha && container ? find_alpha(container, &usual) : REEL_OK;
    if (!err) err = find_encoder(*name ? name : usual, container, &codec);
    if (err) return err;
    const struct encode_traits *traits = find_traits(codec->name);
    const enum AVPixelFormat *formats = raw_formats(container);
    static const enum AVPixelFormat any[] = {AV_PIX_FMT_YUV420P, AV_PIX_FMT_NONE};
    if (!formats) formats = av_codec_formats(codec);
    if (!formats) formats = any;
    int64_t last = -1;
    int last_at = -1;
    // Finds the next more expensive one; equal costs keep the encoder's order.
    for (int pass = 0; pass <= rank; pass++) {
        int64_t best = INT64_MAX;
        int best_at = -1;
        struct encode_choice best_choice = {0};
        for (int i = 0; formats[i] != AV_PIX_FMT_NONE; i++) {
            struct encode_choice c;
            int64_t cost = format_cost(formats[i], codec->id, want, alpha, width & 1, height & 1, traits->even, &c);
            if (cost < 0 || cost < last || (cost == last && i <= last_at) || cost >= best) continue;
            best = cost;
            best_at = i;
            best_choice = c;
        }
        if (best_at < 0) {
            if (pass > 0) return REEL_EOF;
            char known[512];
            if (alpha)
                return reel_fail(REEL_ERR_CONFIG,
                                 "could not write transparent pictures with encoder \"%s\": it takes none" ALPHA_ADVICE,
                                 codec->name);
            return reel_fail(REEL_ERR_CONFIG,
                             "could not encode pictures of %dx%d with \"%s\": it supports no suitable pixel "
                             "format%s\nother encoders are: %s",
                             width, height, codec->name, (width | height) & 1 ? " an odd size" : "",
                             encode_alternatives(container, known, sizeof known));
        }
        last = best;
        last_at = best_at;
        *out_choice = best_choice;
    }
    out_choice->codec = codec;
    out_choice->traits = traits;
    return REEL_OK;
}

// ---- implementations --------------------------------------------------------------

static const struct encode_ops *const implementations[] = {&encode_sw};

enum reel_err encode_open(const struct encode_params *p, struct encoder **out_encoder)
{
    for (size_t i = 0; i < sizeof implementations / sizeof *implementations; i++)
        if (implementations[i]->can(p->choice->codec)) return implementations[i]->open(p, out_encoder);
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not open encoder \"%s\": it needs pictures in device memory",
                     p->choice->codec->name);
}

enum reel_err encode_send(struct encoder *e, const AVFrame *frame)
{
    return e->ops->send(e, frame);
}

enum reel_err encode_receive(struct encoder *e, AVPacket *packet)
{
    return e->ops->receive(e, packet);
}

void encode_close(struct encoder **e)
{
    if (*e) (*e)->ops->close(*e);
    *e = NULL;
}

void encode_describe(const struct encoder *e, struct reel_pack_stream *out_stream)
{
    e->ops->describe(e, out_stream);
}

// ---- how many pictures it holds -----------------------------------------------------

static void count_down(void *opaque, uint8_t *data)
{
    atomic_fetch_sub((_Atomic int *)opaque, 1);
    av_free(data);
}

// A gray picture whose lifetime is counted.
static AVFrame *counted_frame(enum AVPixelFormat format, int side, int64_t pts, _Atomic int *alive)
{
    AVFrame *f = av_frame_alloc();
    int bytes = av_image_get_buffer_size(format, side, side, 64);
    uint8_t *data = f && bytes > 0 ? av_malloc((size_t)bytes + 64) : NULL;
    if (data) f->buf[0] = av_buffer_create(data, (size_t)bytes, count_down, alive, AV_BUFFER_FLAG_READONLY);
    if (!data || !f->buf[0]) {
        av_free(data);
        av_frame_free(&f);
        return NULL;
    }
    atomic_fetch_add(alive, 1);
    memset(data, (int)(pts * 7 & 127), (size_t)bytes);
    av_image_fill_arrays(f->data, f->linesize, data, format, side, side, 64);
    f->format = format;
    f->width = f->height = side;
    f->pts = pts;
    return f;
}

int encode_measure_hold(const struct encode_params *params, int max)
{
    if (params->choice->traits->copies) return 1;
    struct encode_params p = *params;
    p.width = p.height = 128; // multiples of every block size
    p.time_base = (struct reel_rational){1, 25};
    p.frame_rate = (struct reel_rational){25, 1};
    struct encoder *e;
    if (encode_open(&p, &e)) return 1; // if it cannot be opened, that is reported at the real size
    _Atomic int alive = 0;
    int most = 1;
    AVPacket *packet = av_packet_alloc();
    for (int i = 0; packet && i < max + 8; i++) {
        AVFrame *f = counted_frame(p.choice->format, p.width, i, &alive);
        if (!f) break;
        enum reel_err err = encode_send(e, f);
        av_frame_free(&f);
        while (!err && !(err = encode_receive(e, packet))) av_packet_unref(packet);
        if (err != REEL_AGAIN) break;
        int now = atomic_load(&alive) + 1; // including the one that is being handed over
        if (now > most) most = now;
    }
    av_packet_free(&packet);
    encode_close(&e);
    return most < max ? most : max;
}

// ---- what libav says ----------------------------------------------------------------

static _Thread_local char said[512];

static void on_log(void *ctx, int level, const char *fmt, va_list args)
{
    if (level > AV_LOG_INFO) return;
    char line[512];
    int prefix = 1;
    av_log_format_line2(ctx, level, fmt, args, line, sizeof line, &prefix);
    line[strcspn(line, "\r\n")] = 0;
    if (!*line) return;
    // Removes the address in "[libx264 @ 0x55..] text", which says nothing to a user.
    const char *text = strstr(line, "] ");
    text = *line == '[' && text ? text + 2 : line;
    if (level <= AV_LOG_ERROR) {
        if (*said) av_strlcat(said, "; ", sizeof said);
        av_strlcat(said, text, sizeof said);
        reel_debug("libav", "%s", line);
    } else if (level <= AV_LOG_WARNING) {
        reel_debug("libav", "%s", line);
    } else {
        reel_trace("libav", "%s", line);
    }
}

void encode_begin(void)
{
    // Once in some hundred processes the bytes were different, in the same way each time (libx264
    // 0.164, which reads a few bytes beyond a block of the heap). It never happened again since malloc
    // returns zeroed memory here. That this is the cause is not proved.
    mallopt(M_PERTURB, 0xff);
    av_log_set_callback(on_log);
    setenv("SVT_LOG", "1", 0); // SVT-AV1 prints by itself: errors only
}

const char *encode_log_text(const char *fallback)
{
    return *said ? said : fallback;
}

void encode_log_clear(void)
{
    said[0] = 0;
}

const char *encode_libraries(char *buf, size_t bytes)
{
    unsigned c = avcodec_version(), f = avformat_version(), s = swscale_version();
    snprintf(buf, bytes, "libavcodec %u.%u.%u, libavformat %u.%u.%u, libswscale %u.%u.%u, %s", c >> 16, c >> 8 & 255,
             c & 255, f >> 16, f >> 8 & 255, f & 255, s >> 16, s >> 8 & 255, s & 255, av_version_info());
    return buf;
}
