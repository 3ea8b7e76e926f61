// SPDX-License-Identifier: MIT
//
// libavcodec's encoders: pictures in main memory, and NVENC's on a GPU's surfaces
// (nvenc.h). See encode.h.
//
// Encoders get the job's time base itself, so that no timestamp is rounded;
// the few that cannot have it ("counts") get the frames' numbers, and their
// packets get the timestamps back from a table.
#include "aggregator/encode.h"

#include <stdio.h>
#include <stdlib.h>

#include "aggregator/nvenc.h"
#include "aggregator/picture.h"
#include "aggregator/post/paint.h"

struct encoder_sw {
    struct encoder base;
    AVCodecContext *ctx;
    AVBSFContext *range; // writes the range into the codec's header, or NULL
    bool range_in_packets;
    struct picture_pool drawn;
    bool counts;
    bool sent, ended; // sent: a picture was sent; ended: the last packet came out
    // counts: timestamps of frames [pts_from, n_pts), frame i at [i - pts_from]
    int64_t *pts;
    size_t pts_from, n_pts, room_pts;
    struct reel_rational time_base, frame_rate;
    struct reel_colour colour;
};

static bool can(const AVCodec *codec)
{
    return true;
}

// ---- options ------------------------------------------------------------------

// HDR10's static metadata in the units of the codecs' option strings.
struct hdr {
    bool has_display, has_light;
    unsigned gx, gy, bx, by, rx, ry, wx, wy, max, min, cll, fall;
};

static unsigned in_units(AVRational q, int unit)
{
    return q.den ? (unsigned)(av_q2d(q) * unit + 0.5) : 0;
}

static struct hdr read_hdr(const struct reel_media *m)
{
    struct hdr h = {0};
    if (!m) return h;
    AVMasteringDisplayMetadata d;
    if (m->flags & REEL_MEDIA_HAS_MASTERING && m->mastering_bytes == sizeof d && sizeof d <= sizeof m->mastering) {
        memcpy(&d, m->mastering, sizeof d);
        h.has_display = d.has_primaries && d.has_luminance;
        h.rx = in_units(d.display_primaries[0][0], 50000), h.ry = in_units(d.display_primaries[0][1], 50000);
        h.gx = in_units(d.display_primaries[1][0], 50000), h.gy = in_units(d.display_primaries[1][1], 50000);
        h.bx = in_units(d.display_primaries[2][0], 50000), h.by = in_units(d.display_primaries[2][1], 50000);
        h.wx = in_units(d.white_point[0], 50000), h.wy = in_units(d.white_point[1], 50000);
        h.max = in_units(d.max_luminance, 10000), h.min = in_units(d.min_luminance, 10000);
    }
    h.has_light = m->flags & REEL_MEDIA_HAS_LIGHT_LEVEL;
    h.cll = m->max_cll;
    h.fall = m->max_fall;
    return h;
}

// The options that reach x264, x265 or SVT-AV1 as one string ("x265-params"): those that make their bytes
// reproducible, and HDR metadata, which their wrappers do not pass on.
static const char *inner_options(const struct encode_params *p, char *buf, size_t bytes)
{
    const char *name = p->choice->codec->name;
    struct hdr h = read_hdr(p->media);
    int at = 0;
#define ADD(...) at += snprintf(buf + at, (size_t)at < bytes ? bytes - (size_t)at : 0, __VA_ARGS__)
    if (!strcmp(name, "libx265")) {
        ADD("info=0:log-level=error:pools=%d:frame-threads=%d", p->threads, p->threads < 4 || p->live ? 1 : 2);
        if (h.has_display)
            ADD(":master-display=G(%u,%u)B(%u,%u)R(%u,%u)WP(%u,%u)L(%u,%u)", h.gx, h.gy, h.bx, h.by, h.rx, h.ry, h.wx,
                h.wy, h.max, h.min);
        if (h.has_light) ADD(":max-cll=%u,%u", h.cll, h.fall);
        if (h.has_display || h.has_light) ADD(":hdr10=1");
    } else if (!strcmp(name, "libx264")) {
        if (h.has_display)
            ADD("mastering-display=G(%u,%u)B(%u,%u)R(%u,%u)WP(%u,%u)L(%u,%u)", h.gx, h.gy, h.bx, h.by, h.rx, h.ry, h.wx,
                h.wy, h.max, h.min);
        if (h.has_light) ADD("%scll=%u,%u", at ? ":" : "", h.cll, h.fall);
    } else if (!strcmp(name, "libsvtav1")) {
        ADD("lp=%d%s", p->threads, p->live ? ":pred-struct=1:scd=0:lookahead=0" : ""); // low delay, P frames
        if (h.has_display)
            ADD(":mastering-display=G(%.5f,%.5f)B(%.5f,%.5f)R(%.5f,%.5f)WP(%.5f,%.5f)L(%.4f,%.4f)", h.gx / 5e4,
                h.gy / 5e4, h.bx / 5e4, h.by / 5e4, h.rx / 5e4, h.ry / 5e4, h.wx / 5e4, h.wy / 5e4, h.max / 1e4,
                h.min / 1e4);
        if (h.has_light) ADD(":content-light=%u,%u", h.cll, h.fall);
    }
#undef ADD
    return at ? buf : NULL;
}

static const char *inner_key(const char *name)
{
    static const char *const keys[][2] = {
        {"libx264", "x264-params"}, {"libx265", "x265-params"}, {"libsvtav1", "svtav1-params"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(name, keys[i][0])) return keys[i][1];
    return NULL;
}

// Seconds between keyframes of live video. A viewer who joins waits half of that on average.
#define LIVE_KEY_SECONDS 2

static void set_live(const struct encode_params *p, AVCodecContext *c)
{
    c->max_b_frames = 0;
    double rate = av_q2d(c->framerate);
    c->gop_size = rate > 1 && rate < 1000 ? (int)(LIVE_KEY_SECONDS * rate + 0.5) : 50;
    // With frame threads, an encoder returns pictures only when every thread has one.
    if (c->codec->capabilities & AV_CODEC_CAP_FRAME_THREADS && !(c->codec->capabilities & AV_CODEC_CAP_SLICE_THREADS))
        c->thread_count = 1;
}

// Defaults first, then what makes bytes reproducible, then the user's own options, which win.
static enum reel_err gather_options(const struct encode_params *p, AVDictionary **out)
{
    const char *name = p->choice->codec->name;
    const struct encode_traits *traits = p->choice->traits;
    if (av_dict_parse_string(out, p->live && traits->live ? traits->live : traits->defaults, "=", ":", 0) < 0)
        return reel_fail(REEL_ERR_FAULT, "could not read the default options of encoder \"%s\"", name);
    AVDictionary *user = NULL;
    if (av_dict_parse_string(&user, p->opts, "=", ":", 0) < 0) {
        av_dict_free(&user);
        return reel_fail(REEL_ERR_CONFIG, "could not read --encoder_opts \"%s\": use key=value:key=value", p->opts);
    }
    // If the user sets a quality or bit rate, our default quality is left out: x264 cannot have both.
    if (av_dict_get(user, "b", NULL, 0) || av_dict_get(user, "qp", NULL, 0)) {
        av_dict_set(out, "crf", NULL, 0);
        av_dict_set(out, "cq", NULL, 0);
        av_dict_set(out, "flags", NULL, 0);
        av_dict_set(out, "global_quality", NULL, 0);
    }
    char inner[768];
    const char *key = inner_key(name);
    if (key && inner_options(p, inner, sizeof inner)) {
        const AVDictionaryEntry *theirs = av_dict_get(user, key, NULL, 0);
        if (theirs) {
            size_t at = strlen(inner);
            snprintf(inner + at, sizeof inner - at, ":%s", theirs->value);
        }
        av_dict_set(&user, key, inner, 0);
    }
    av_dict_copy(out, user, 0);
    av_dict_free(&user);
    return REEL_OK;
}

// ---- open ---------------------------------------------------------------------

// The nearest frame rate that a codec with fixed rates supports.
static AVRational near_rate(const AVCodec *codec, AVRational rate)
{
    const AVRational *rates = av_codec_rates(codec);
    if (!rates) return rate;
    return rates[av_find_nearest_q_idx(rate, rates)];
}

static bool keeps_fields(const AVCodec *codec)
{
    return codec->id == AV_CODEC_ID_H264 || codec->id == AV_CODEC_ID_MPEG2VIDEO || codec->id == AV_CODEC_ID_MPEG4 ||
           codec->id == AV_CODEC_ID_PRORES;
}

static void set_context(const struct encode_params *p, struct encoder_sw *e)
{
    AVCodecContext *c = e->ctx;
    const AVCodec *codec = p->choice->codec;
    c->width = p->width;
    c->height = p->height;
    c->pix_fmt = p->choice->format;
    bool known = p->frame_rate.num > 0 && p->frame_rate.den > 0;
    c->framerate = known ? (AVRational){p->frame_rate.num, p->frame_rate.den} : (AVRational){25, 1};
    c->time_base = (AVRational){p->time_base.num, p->time_base.den};
    if (e->counts) {
        c->framerate = near_rate(codec, c->framerate);
        int num, den; // MPEG-4's denominator has 16 bits
        av_reduce(&num, &den, c->framerate.num, c->framerate.den, 65535);
        c->framerate = (AVRational){num, den};
        c->time_base = av_inv_q(c->framerate);
    }
    c->sample_aspect_ratio = (AVRational){p->sar.num, p->sar.den > 0 ? p->sar.den : 1};
    c->color_primaries = (enum AVColorPrimaries)p->colour.primaries;
    c->color_trc = (enum AVColorTransferCharacteristic)p->colour.transfer;
    c->colorspace = (enum AVColorSpace)p->colour.matrix;
    c->chroma_sample_location = (enum AVChromaLocation)p->colour.chroma_location;
    if (p->colour.range_known) c->color_range = p->colour.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    c->thread_count = p->threads;
    // Frame threads of libavcodec would hold back pictures without need. Libraries with their own
    // threads interpret this differently (x264: sliced threads).
    if (codec->capabilities & AV_CODEC_CAP_SLICE_THREADS) c->thread_type = FF_THREAD_SLICE;
    c->flags |= AV_CODEC_FLAG_BITEXACT;
    if (p->global_header) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    c->field_order = AV_FIELD_PROGRESSIVE;
    if (p->interlaced) {
        c->field_order = p->top_first ? AV_FIELD_TT : AV_FIELD_BB;
        if (keeps_fields(codec)) c->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
    }
    if (p->in_order) c->max_b_frames = 0;
    if (p->live) set_live(p, c);
}

// x264 and x265 do not write that the range is limited when nothing else about the colour is known, and
// players guess. So the range is written into their headers.
static enum reel_err say_range(const struct encode_params *p, struct encoder_sw *e)
{
    const char *name = e->ctx->codec_id == AV_CODEC_ID_H264   ? "h264_metadata"
                       : e->ctx->codec_id == AV_CODEC_ID_HEVC ? "hevc_metadata"
                                                              : NULL;
    const struct reel_colour *k = &p->colour;
    bool unsaid = k->range_known && !k->full_range && k->primaries == 2 && k->transfer == 2 && k->matrix == 2;
    const AVBitStreamFilter *filter = name && unsaid ? av_bsf_get_by_name(name) : NULL;
    if (!filter) return REEL_OK;
    e->range_in_packets = !p->global_header;
    if (av_bsf_alloc(filter, &e->range) < 0)
        return reel_fail(REEL_ERR_NOMEM, "could not open an encoder: out of memory");
    e->range->time_base_in = e->ctx->time_base;
    if (avcodec_parameters_from_context(e->range->par_in, e->ctx) >= 0 &&
        av_opt_set_int(e->range->priv_data, "video_full_range_flag", 0, 0) >= 0 && av_bsf_init(e->range) >= 0)
        return REEL_OK;
    return reel_fail(REEL_ERR_FAULT, "could not write the colour range into the header of encoder \"%s\"",
                     p->choice->codec->name);
}

static int filter_range(struct encoder_sw *e, AVPacket *packet)
{
    if (!e->range || !e->range_in_packets) return 0;
    int rc = av_bsf_send_packet(e->range, packet);
    return rc < 0 ? rc : av_bsf_receive_packet(e->range, packet);
}

// Reports options that neither the context nor the codec accepted.
static enum reel_err check_leftovers(const struct encode_params *p, const AVDictionary *options)
{
    const AVDictionaryEntry *left = av_dict_get(options, "", NULL, AV_DICT_IGNORE_SUFFIX);
    if (!left) return REEL_OK;
    return reel_fail(
        REEL_ERR_CONFIG,
        "could not set option \"%s\" of encoder \"%s\": it has none of that name\nsee: ffmpeg -h encoder=%s", left->key,
        p->choice->codec->name, p->choice->codec->name);
}

// SVT-AV1 hangs when it is closed without having been told of the last picture (seen with 1.4), or without
// having had any picture.
static void flush_svt(struct encoder_sw *e)
{
    if (e->ended || !e->ctx || !avcodec_is_open(e->ctx) || strcmp(e->ctx->codec->name, "libsvtav1")) return;
    AVPacket *packet = av_packet_alloc();
    AVFrame *gray = av_frame_alloc();
    if (packet && gray && !e->sent) {
        gray->format = e->ctx->pix_fmt;
        gray->width = e->ctx->width;
        gray->height = e->ctx->height;
        gray->pts = 0;
        if (av_frame_get_buffer(gray, 0) >= 0) avcodec_send_frame(e->ctx, gray);
    }
    if (packet && avcodec_send_frame(e->ctx, NULL) >= 0)
        while (avcodec_receive_packet(e->ctx, packet) >= 0) av_packet_unref(packet);
    av_frame_free(&gray);
    av_packet_free(&packet);
}

static void close_sw(struct encoder *base)
{
    struct encoder_sw *e = (struct encoder_sw *)base;
    if (!e) return;
    flush_svt(e);
    avcodec_free_context(&e->ctx);
    av_bsf_free(&e->range);
    picture_pool_fini(&e->drawn);
    free(e->pts);
    free(e);
}

static enum reel_err open_sw(const struct encode_params *p, struct encoder **out_encoder)
{
    struct encoder_sw *e = calloc(1, sizeof *e);
    if (!e) return reel_fail(REEL_ERR_NOMEM, "could not open an encoder: out of memory");
    *e = (struct encoder_sw){.base = {&encode_sw},
                             .counts = p->choice->traits->counts,
                             .time_base = p->time_base,
                             .frame_rate = p->frame_rate,
                             .colour = p->colour};
    AVDictionary *options = NULL;
    enum reel_err err = REEL_OK;
    e->ctx = avcodec_alloc_context3(p->choice->codec);
    if (!e->ctx) err = reel_fail(REEL_ERR_NOMEM, "could not open an encoder: out of memory");
    if (!err) err = gather_options(p, &options);
    if (!err) {
        set_context(p, e);
        if (nvenc_is(p->choice->codec) && nvenc_ready()) err = nvenc_prepare(e->ctx);
    }
    if (!err) {
        encode_log_clear();
        int rc = avcodec_open2(e->ctx, p->choice->codec, &options);
        char why[AV_ERROR_MAX_STRING_SIZE];
        av_strerror(rc, why, sizeof why);
        if (rc < 0)
            err = reel_fail(REEL_ERR_UNSUPPORTED, "could not open encoder \"%s\" for %dx%d %s: %s",
                            p->choice->codec->name, p->width, p->height, av_get_pix_fmt_name(p->choice->format),
                            encode_log_text(why));
    }
    if (!err) err = check_leftovers(p, options);
    if (!err && p->live && e->counts && e->ctx->has_b_frames)
        err = reel_fail(REEL_ERR_CONFIG,
                        "could not use --encoder_opts \"%s\": live video from encoder \"%s\" cannot have B frames",
                        p->opts, p->choice->codec->name);
    if (!err) err = say_range(p, e);
    av_dict_free(&options);
    if (err)
        close_sw(&e->base);
    else
        *out_encoder = &e->base;
    return err;
}

// ---- frames and packets ---------------------------------------------------------

static enum reel_err remember_pts(struct encoder_sw *e, int64_t pts)
{
    size_t n = e->n_pts - e->pts_from;
    if (n == e->room_pts) {
        size_t room = e->room_pts ? 2 * e->room_pts : 256;
        int64_t *more = realloc(e->pts, room * sizeof *more);
        if (!more) return reel_fail(REEL_ERR_NOMEM, "could not encode: out of memory");
        e->pts = more;
        e->room_pts = room;
    }
    e->pts[n] = pts;
    e->n_pts++;
    return REEL_OK;
}

// Forgets those far before the frame whose packet came last: they are not needed any more.
static void forget_pts(struct encoder_sw *e, size_t at)
{
    const size_t keep = 64; // more frames than any codec reorders
    if (at < 2 * keep) return;
    size_t gone = at - keep, n = e->n_pts - e->pts_from;
    memmove(e->pts, e->pts + gone, (n - gone) * sizeof *e->pts);
    e->pts_from += gone;
}

static enum reel_err refused(struct encoder_sw *e, int rc)
{
    char why[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(rc, why, sizeof why);
    return reel_fail(rc == AVERROR(ENOMEM) ? REEL_ERR_NOMEM : REEL_ERR_FAULT, "could not encode with \"%s\": %s",
                     e->ctx->codec->name, encode_log_text(why));
}

static enum reel_err send_picture(struct encoder_sw *e, const AVFrame *frame)
{
    encode_log_clear();
    e->sent |= frame != NULL;
    if (!frame || !e->counts) {
        int rc = avcodec_send_frame(e->ctx, frame);
        return rc < 0 ? refused(e, rc) : REEL_OK;
    }
    AVFrame *counted = av_frame_clone(frame);
    if (!counted) return reel_fail(REEL_ERR_NOMEM, "could not encode: out of memory");
    counted->pts = (int64_t)e->n_pts;
    enum reel_err err = remember_pts(e, frame->pts);
    int rc = err ? 0 : avcodec_send_frame(e->ctx, counted);
    av_frame_free(&counted);
    return rc < 0 ? refused(e, rc) : err;
}

// Copies a frame and draws on it what comes with the frame.
static enum reel_err drawn_copy(struct encoder_sw *e, const AVFrame *frame, AVFrame **out)
{
    enum reel_err err = picture_copy(&e->drawn, frame, out);
    if (err) return err;
    av_buffer_unref(&(*out)->opaque_ref);
    err = paint_play(paint_of(frame), *out);
    if (err) av_frame_free(out);
    return err;
}

static enum reel_err send_sw(struct encoder *base, const AVFrame *frame)
{
    struct encoder_sw *e = (struct encoder_sw *)base;
    AVFrame *own = NULL;
    enum reel_err err = REEL_OK;
    if (frame && e->ctx->hw_frames_ctx)
        err = nvenc_surface(e->ctx, frame, &own);
    else if (frame && paint_of(frame))
        err = drawn_copy(e, frame, &own);
    if (!err) err = send_picture(e, own ? own : frame);
    av_frame_free(&own);
    return err;
}

static enum reel_err receive_sw(struct encoder *base, AVPacket *packet)
{
    struct encoder_sw *e = (struct encoder_sw *)base;
    int rc = avcodec_receive_packet(e->ctx, packet);
    if (rc == AVERROR(EAGAIN)) return REEL_AGAIN;
    if (rc == AVERROR_EOF) {
        e->ended = true;
        return REEL_EOF;
    }
    if (rc >= 0) rc = filter_range(e, packet);
    if (rc < 0) return refused(e, rc);
    if (!e->counts) return REEL_OK;
    if (packet->pts < (int64_t)e->pts_from || packet->pts >= (int64_t)e->n_pts)
        return reel_fail(REEL_ERR_FAULT, "could not encode with \"%s\": it gave a packet for a frame that was not sent",
                         e->ctx->codec->name);
    size_t at = (size_t)packet->pts - e->pts_from;
    packet->pts = e->pts[at];
    packet->dts = AV_NOPTS_VALUE;
    forget_pts(e, at);
    return REEL_OK;
}

static void describe_sw(const struct encoder *base, struct reel_pack_stream *s)
{
    const struct encoder_sw *e = (const struct encoder_sw *)base;
    const AVCodecContext *c = e->ctx;
    memset(s, 0, offsetof(struct reel_pack_stream, side));
    s->media_type = AVMEDIA_TYPE_VIDEO;
    s->codec_id = c->codec_id;
    s->codec_tag = c->codec_tag;
    s->format = c->hw_frames_ctx ? c->sw_pix_fmt : c->pix_fmt;
    s->profile = c->profile;
    s->level = c->level;
    s->width = c->width;
    s->height = c->height;
    s->bits_per_coded_sample = c->bits_per_coded_sample;
    s->bits_per_raw_sample = c->bits_per_raw_sample;
    s->video_delay = c->has_b_frames;
    s->time_base = e->time_base;
    s->frame_rate = e->frame_rate;
    s->sar = (struct reel_rational){c->sample_aspect_ratio.num, c->sample_aspect_ratio.den};
    s->colour = e->colour;
    s->duration = INT64_MIN;
    s->extradata = e->range ? e->range->par_out->extradata : c->extradata;
    s->extradata_bytes = (uint32_t)(e->range ? e->range->par_out->extradata_size : c->extradata_size);
    s->n_side = 0;
    s->n_text = 0;
}

const struct encode_ops encode_sw = {
    .name = "libavcodec",
    .can = can,
    .open = open_sw,
    .send = send_sw,
    .receive = receive_sw,
    .close = close_sw,
    .describe = describe_sw,
};
