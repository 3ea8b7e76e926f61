// SPDX-License-Identifier: MIT
//
// Plans an output: from job, task and input to encoder, format, size and colour. See plan.h. Everything is
// decided from the arguments, so an aggregator that never saw the proof makes the same plan for a lane.
#include "aggregator/plan.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregator/nvenc.h"
#include "aggregator/picture.h"
#include "aggregator/post/filter.h"

#define MAX_HOLD 40 // pictures that an encoder may keep in its ring; if it needs more it gets copies
#define MATRIX_RGB 0
#define MATRIX_UNKNOWN 2
#define MATRIX_JFIF 5 // BT.470 BG: what a JPEG file means

// ---- kinds ------------------------------------------------------------------

// The container for an address: the one that its protocol was made for, otherwise a transport stream.
static const char *container_of_address(const char *url)
{
    static const char *const names[][2] = {{"rtmp", "flv"}, {"rtmps", "flv"}, {"rtsp", "rtsp"}, {"rtp", "rtp_mpegts"}};
    size_t n = strcspn(url, ":");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i][0]) == n && !strncasecmp(url, names[i][0], n)) return names[i][1];
    const char *name = !strncasecmp(url, "http", 4) ? reel_container_of(url, strcspn(url, "?#")) : NULL;
    return name ? name : "mpegts";
}

const char *plan_container_name(const char *output)
{
    return reel_is_url(output) ? container_of_address(output) : reel_container_of(output, strlen(output));
}

bool plan_is_video(enum reel_output_kind kind)
{
    return kind == REEL_OUTPUT_VIDEO || kind == REEL_OUTPUT_STREAM;
}

// Whether this build of libavformat can send to an address.
static bool has_protocol(const char *url)
{
    size_t n = strcspn(url, ":");
    void *at = NULL;
    if (!strncasecmp(url, "rtsp", n)) return true; // through its muxer only
    for (const char *name; (name = avio_enum_protocols(&at, 1));)
        if (strlen(name) == n && !strncasecmp(url, name, n)) return true;
    return false;
}

static enum reel_err find_container(struct plan *p)
{
    const char *name = plan_container_name(p->job.output);
    p->container = name ? av_guess_format(name, NULL, NULL) : NULL;
    if (!p->container || (reel_is_url(p->job.output) && !has_protocol(p->job.output)))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not write \"%s\": this FFmpeg has no writer for it",
                         p->job.output);
    return REEL_OK;
}

static const char *image_encoder(const char *output)
{
    static const char *const names[][2] = {{".png", "png"},   {".jpg", "mjpeg"}, {".jpeg", "mjpeg"},  {".tif", "tiff"},
                                           {".tiff", "tiff"}, {".bmp", "bmp"},   {".exr", "exr"},     {".dpx", "dpx"},
                                           {".ppm", "ppm"},   {".pgm", "pgm"},   {".webp", "libwebp"}};
    const char *dot = strrchr(output, '.');
    for (size_t i = 0; dot && i < sizeof names / sizeof *names; i++)
        if (!strcasecmp(dot, names[i][0])) return names[i][1];
    return "png";
}

static void add_note(struct plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_note(struct plan *p, const char *fmt, ...)
{
    size_t at = strlen(p->notes);
    va_list args;
    va_start(args, fmt);
    if (at && at + 2 < sizeof p->notes) at += (size_t)snprintf(p->notes + at, sizeof p->notes - at, "\n");
    vsnprintf(p->notes + at, sizeof p->notes - at, fmt, args);
    va_end(args);
}

void plan_time(const struct plan *p, const struct reel_rec_frame *rec, uint32_t k, int64_t *out_pts,
               int64_t *out_duration)
{
    *out_pts = rec->pts;
    *out_duration = rec->duration;
    if (p->rate < 2) return;
    // The end of an output: behind the last frame, as late as that is shown.
    int64_t gap = rec->after ? rec->next_pts - rec->pts : rec->duration > 0 ? rec->duration : p->source.last_duration;
    if (gap < 1) gap = 1;
    *out_pts = reel_media_time(&p->source, p->rate, rec->pts, gap, k);
    *out_duration = reel_media_time(&p->source, p->rate, rec->pts, gap, k + 1) - *out_pts;
}

// Whether the task's results can become an output of this kind.
static enum reel_err check_kind(const struct plan *p)
{
    const bool picture = p->wants == PLAN_PICTURE;
    if (p->job.kind == REEL_OUTPUT_FLO && p->task != REEL_TASK_FLOW)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not write motion to \"%s\": the model does not measure it\na .flo file takes optical "
                         "flow (--task flow): name another output, or a model like RAFT",
                         p->job.output);
    if (p->job.kind == REEL_OUTPUT_JSONL && p->task == REEL_TASK_IMAGE)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not write results to \"%s\": the model makes pictures, not objects or classes\nname a "
                         "video, like out.mp4, or state what the outputs mean with --task",
                         p->job.output);
    const char *slash = strrchr(p->job.output, '/');
    const bool one = p->job.kind == REEL_OUTPUT_IMAGES && !strchr(slash ? slash : p->job.output, '%');
    if (one && (p->media.n_frames != 1 || p->rate > 1))
        return reel_fail(
            REEL_ERR_CONFIG,
            "could not write \"%s\": more than one picture comes out, each into a file of its own\ngive the "
            "name a place for the number, like frames/%%06d.png; an animation can be a .gif or a .webm",
            p->job.output);
    if (p->settings->detect.track && p->task != REEL_TASK_DETECT)
        return reel_fail(REEL_ERR_CONFIG, "could not track objects (--detect.track): the model finds none");
    if (picture && p->task == REEL_TASK_TENSOR)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not make pictures for \"%s\": the model's raw outputs are not pictures\nname a .jsonl "
                         "file, or state what the outputs mean with --task",
                         p->job.output);
    return REEL_OK;
}

static enum reel_err begin(const struct reel_settings *settings, const struct reel_job *job, enum reel_task task,
                           uint32_t rate, const struct reel_media *media, const struct reel_geometry *in,
                           struct plan *p)
{
    if (rate > REEL_MAX_RATE) return reel_fail(REEL_ERR_PROTO, "could not plan the output: %u frames for each", rate);
    *p = (struct plan){.settings = settings,
                       .job = *job,
                       .task = task,
                       .rate = rate ? rate : 1,
                       .source = *media,
                       .media = reel_media_at_rate(media, rate),
                       .in = *in};
    p->wants = job->kind == REEL_OUTPUT_NULL                                    ? PLAN_NOTHING
               : job->kind == REEL_OUTPUT_JSONL || job->kind == REEL_OUTPUT_FLO ? PLAN_RESULTS
                                                                                : PLAN_PICTURE;
    if (plan_is_video(job->kind)) {
        enum reel_err err = find_container(p);
        if (err) return err;
        snprintf(p->encoder_name, sizeof p->encoder_name, "%s", settings->encoder);
    } else if (job->kind == REEL_OUTPUT_IMAGES) {
        snprintf(p->encoder_name, sizeof p->encoder_name, "%s", image_encoder(job->output));
    }
    return check_kind(p);
}

// ---- colour -----------------------------------------------------------------

// Whether players learn that pictures have the full range, from the codec's own header or from the
// container's. With ProRes they never do.
static bool tells_range(const struct plan *p)
{
    static const char *const containers[] = {"matroska", "webm", "mp4"};
    if (!p->choice.codec || !p->container || !plan_is_video(p->job.kind) || encode_is_raw(p->container)) return true;
    switch (p->choice.codec->id) {
    case AV_CODEC_ID_PRORES:
        return false;
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_AV1:
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_MJPEG:
        return true;
    default:
        for (size_t i = 0; i < sizeof containers / sizeof *containers; i++)
            if (!strcmp(p->container->name, containers[i])) return true;
        return false;
    }
}

// The colour of pictures in `format` whose source has the media's colour.
static struct reel_colour colour_for(const struct plan *p, enum AVPixelFormat format, int height)
{
    const struct reel_media *m = &p->media;
    struct reel_colour c = m->colour;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    if (d->flags & AV_PIX_FMT_FLAG_RGB) {
        c.matrix = MATRIX_RGB;
        c.full_range = c.range_known = 1;
        c.chroma_location = 0;
        return c;
    }
    struct reel_colour guess = {.matrix = MATRIX_UNKNOWN};
    if (m->format.layout == REEL_PIX_GBR || c.matrix == MATRIX_RGB) { // not YUV yet: the usual matrix for the size
        c.matrix = (uint8_t)reel_colour_matrix(&guess, height);
        c.full_range = 0;
        c.range_known = 1;
    } else if (c.matrix == MATRIX_UNKNOWN &&
               reel_colour_matrix(&guess, height) != reel_colour_matrix(&guess, (int)m->height)) {
        c.matrix =
            (uint8_t)reel_colour_matrix(&guess, (int)m->height); // players would guess another matrix from the new size
    }
    if (p->choice.codec && p->choice.codec->id == AV_CODEC_ID_MJPEG && p->job.kind == REEL_OUTPUT_IMAGES) {
        c.matrix = MATRIX_JFIF;
        c.primaries = c.transfer = MATRIX_UNKNOWN;
    }
    if (p->choice.codec && p->choice.codec->id == AV_CODEC_ID_WEBP) { // means BT.601 and 16..235 (RFC 6386, 9.2)
        c.matrix = MATRIX_JFIF;
        c.full_range = 0;
        c.range_known = 1;
    }
    // Formats whose readers expect all values.
    const bool gray_file = p->job.kind == REEL_OUTPUT_IMAGES && d->nb_components == 1;
    if (gray_file || !strncmp(d->name, "yuvj", 4)) c.full_range = c.range_known = 1;
    if (c.full_range && !tells_range(p)) {
        c.full_range = 0; // otherwise they would be shown with too much contrast
        c.range_known = 1;
    }
    if (d->log2_chroma_w != m->format.log2_chroma_w || d->log2_chroma_h != m->format.log2_chroma_h)
        c.chroma_location = 0;
    return c;
}

// ---- source picture ---------------------------------------------------------

// Images hold RGB, except JPEG and WebP.
static struct reel_pixel_format image_wish(const struct plan *p, struct reel_pixel_format want)
{
    bool yuv = !strcmp(p->encoder_name, "mjpeg") || !strcmp(p->encoder_name, "libwebp");
    if (yuv || want.layout == REEL_PIX_GRAY) return want;
    return (struct reel_pixel_format){.layout = REEL_PIX_GBR, .depth = want.depth};
}

// The model's wish, completed with the input's depth and chroma.
static struct reel_pixel_format complete_wish(const struct plan *p, const struct reel_rec_shaped *shaped)
{
    struct reel_pixel_format wish = shaped->format;
    struct reel_pixel_format have = p->media.format;
    struct reel_pixel_format want = {.layout = wish.layout, .depth = have.depth ? have.depth : 8};
    if (want.layout == REEL_PIX_NONE) want.layout = have.layout;
    if (want.layout == REEL_PIX_NV) want.layout = REEL_PIX_YUV;
    // A coloured picture from a gray video gets the usual chroma.
    bool from_gray = have.layout == REEL_PIX_GRAY;
    if (want.layout == REEL_PIX_YUV) {
        want.log2_chroma_w = from_gray ? 1 : have.layout == REEL_PIX_GBR ? 0 : have.log2_chroma_w;
        want.log2_chroma_h = from_gray ? 1 : have.layout == REEL_PIX_GBR ? 0 : have.log2_chroma_h;
    }
    return p->job.kind == REEL_OUTPUT_IMAGES && !shaped->luma_only ? image_wish(p, want) : want;
}

// The slot's format for pictures that go to the encoder as `av`.
static struct reel_pixel_format slot_format_for(enum AVPixelFormat av)
{
    struct reel_pixel_format f;
    if (picture_slot_format(av, &f) && f.layout != REEL_PIX_NV) return f;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(av);
    uint8_t depth = d->flags & AV_PIX_FMT_FLAG_FLOAT ? 16 : (uint8_t)d->comp[0].depth;
    if (d->flags & AV_PIX_FMT_FLAG_RGB) return (struct reel_pixel_format){.layout = REEL_PIX_GBR, .depth = depth};
    const int colours = d->nb_components - (d->flags & AV_PIX_FMT_FLAG_ALPHA ? 1 : 0);
    if (colours == 1) return (struct reel_pixel_format){.layout = REEL_PIX_GRAY, .depth = depth};
    return (struct reel_pixel_format){
        .layout = REEL_PIX_YUV, .depth = depth, .log2_chroma_w = d->log2_chroma_w, .log2_chroma_h = d->log2_chroma_h};
}

// The same for a picture that a model makes. If it is made of luma it is YUV in the slot, and becomes RGB
// on the way to the encoder only where nothing else is lost by that.
static struct reel_pixel_format slot_for(const struct reel_rec_shaped *shaped, enum AVPixelFormat av,
                                         struct reel_pixel_format wish)
{
    struct reel_pixel_format f = slot_format_for(av);
    return shaped->luma_only && f.layout == REEL_PIX_GBR ? wish : f;
}

static void source_from_slot(struct plan *p, const struct reel_geometry *g, const struct reel_colour *colour)
{
    p->format = g->format;
    p->drawn_format = p->alpha ? picture_alpha_format(g->format) : picture_av_format(g->format);
    p->width = (int)g->width;
    p->height = (int)g->height;
    p->colour = *colour;
}

// The source of tasks whose picture the model does not make: the input's picture to draw on, or the mask
// (for mattes, and for images of class numbers).
static void source_of_results(struct plan *p)
{
    const enum set_picture shown = p->settings->segment.picture;
    bool mask = shown == SET_PICTURE_MASK;
    p->raw_mask =
        mask && (p->task == REEL_TASK_MATTE || (p->task == REEL_TASK_SEGMENT && p->job.kind == REEL_OUTPUT_IMAGES));
    const struct reel_colour levels = {2, 2, 2, 1, 1, 0};
    if (p->raw_mask)
        source_from_slot(p, &p->out, &levels);
    else
        source_from_slot(p, &p->in, &p->media.colour);
    // Objects have masks if the network makes them.
    p->cutout = shown == SET_PICTURE_CUTOUT && p->wants == PLAN_PICTURE && p->out.format.layout == REEL_PIX_GRAY;
    if (p->cutout) p->drawn_format = picture_alpha_format(p->format);
}

// ---- transparency -----------------------------------------------------------

// Whether the output's encoder accepts transparent pictures. If false, reel_fail_text() says why not.
static bool takes_alpha(const struct plan *p)
{
    struct encode_choice c;
    struct reel_pixel_format any = p->media.format;
    if (p->job.kind == REEL_OUTPUT_MD5) return true;
    return !encode_choose(p->encoder_name, p->container, any, true, 16, 16, 0, &c);
}

// Decides about the input's transparency: it is kept if the output can hold it, unless the user does not
// want it, or a video would need another encoder than usual for a channel that seems unused.
static enum reel_err decide_alpha(struct plan *p)
{
    const enum set_alpha want = p->settings->alpha;
    const enum set_picture shown = p->settings->segment.picture;
    if (!p->in.alpha_stride || p->wants != PLAN_PICTURE || want == SET_ALPHA_DROP) return REEL_OK;
    const bool masked = shown != SET_PICTURE_OVERLAY || p->settings->background.n;
    if (p->task != REEL_TASK_IMAGE && masked) return REEL_OK; // the mask decides what is transparent
    const bool unused = p->media.flags & REEL_MEDIA_OPAQUE;
    if (takes_alpha(p)) {
        p->alpha = want == SET_ALPHA_KEEP || !unused || !plan_is_video(p->job.kind) || *p->encoder_name;
        if (!p->alpha)
            add_note(p, "the input's first frame is opaque: its transparency is not kept (--alpha keep would keep it)");
        return REEL_OK;
    }
    const char *why = reel_fail_text();
    if (want == SET_ALPHA_KEEP)
        return reel_fail(REEL_ERR_CONFIG, "could not keep the input's transparency (--alpha keep): %s", why);
    add_note(p, "the input's transparency is not kept: %s", why);
    if (!unused) p->kept.colour = REEL_KEPT_PART;
    return REEL_OK;
}

// ---- encoder ----------------------------------------------------------------

// Format and size behind the filter: what the filter returns, or the source's own.
static enum reel_err behind_filter(struct plan *p, struct reel_pixel_format *out_want, bool *out_alpha)
{
    *out_want = p->format;
    *out_alpha = p->cutout || p->alpha;
    p->final_width = p->width;
    p->final_height = p->height;
    p->final_sar = p->media.sar;
    if (!*p->settings->post_filter) return REEL_OK;
    struct filter_format f;
    enum reel_err err = filter_probe(p, &f);
    if (err) return err;
    p->final_width = f.width;
    p->final_height = f.height;
    p->final_sar = f.sar;
    *out_want = slot_format_for(f.format);
    *out_alpha &= (av_pix_fmt_desc_get(f.format)->flags & AV_PIX_FMT_FLAG_ALPHA) != 0;
    return REEL_OK;
}

static struct encode_params params_for(const struct plan *p)
{
    return (struct encode_params){
        .choice = &p->choice,
        .opts = p->without_opts ? "" : p->settings->encoder_opts,
        .threads = p->settings->encoder_threads,
        .width = p->final_width,
        .height = p->final_height,
        .colour = p->final_colour,
        .sar = p->final_sar,
        .time_base = p->media.time_base,
        .frame_rate = p->media.frame_rate,
        .live = p->settings->live,
        .in_order = encode_has_fixed_rate(p->container),
        .global_header = p->container && p->container->flags & AVFMT_GLOBALHEADER,
        .interlaced = p->media.flags & REEL_MEDIA_INTERLACED,
        .top_first = p->media.flags & REEL_MEDIA_TOP_FIRST,
        .media = &p->media,
    };
}

// The software encoder that replaces a GPU's where the GPU has none: A100, H100, H200 and B200 have no
// NVENC. NULL: this is no such encoder.
static const char *stand_in(const char *name)
{
    static const char *const pairs[][2] = {
        {"h264_nvenc", "libx264"}, {"hevc_nvenc", "libx265"}, {"av1_nvenc", "libsvtav1"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (!strcmp(name, pairs[i][0])) return avcodec_find_encoder_by_name(pairs[i][1]) ? pairs[i][1] : NULL;
    return NULL;
}

static enum reel_err try_encoder(struct plan *p, struct encoder **out_encoder);

// Opens the encoder for the plan's source; in software if the GPU has none.
static enum reel_err open_encoder(struct plan *p, struct encoder **out_encoder)
{
    enum reel_err err = try_encoder(p, out_encoder);
    const char *other = err && err != REEL_ERR_NOMEM ? stand_in(p->encoder_name) : NULL;
    if (!other) return err;
    add_note(p, "no GPU here can encode (%s): %s encodes on the CPU", p->encoder_name, other);
    snprintf(p->encoder_name, sizeof p->encoder_name, "%s", other);
    p->without_opts = true; // the options were meant for the other encoder
    return try_encoder(p, out_encoder);
}

// Tries formats from the best one on, until the encoder opens at this size. Everything that is final
// follows from that format.
static enum reel_err try_encoder(struct plan *p, struct encoder **out_encoder)
{
    struct reel_pixel_format want;
    bool alpha;
    enum reel_err err = behind_filter(p, &want, &alpha);
    if (err) return err;
    *out_encoder = NULL;
    if (p->job.kind == REEL_OUTPUT_MD5) {
        p->final_format = alpha ? picture_alpha_format(want) : picture_av_format(want);
        p->final_colour = p->task == REEL_TASK_IMAGE ? p->colour : colour_for(p, p->final_format, p->final_height);
        return REEL_OK;
    }
    enum reel_err first = REEL_OK;
    char text[REEL_ERROR_TEXT_MAX] = "";
    for (int rank = 0; rank < 6; rank++) {
        err = encode_choose(p->encoder_name, p->container, want, alpha, p->final_width, p->final_height, rank,
                            &p->choice);
        if (err == REEL_EOF) break;
        if (err) return err;
        if (p->choice.loses_colour) break; // a gray output of a coloured source is worse than none
        p->final_format = p->choice.format;
        p->final_colour = colour_for(p, p->final_format, p->final_height);
        struct encode_params params = params_for(p);
        err = encode_open(&params, out_encoder);
        if (err != REEL_ERR_UNSUPPORTED) return err;
        if (!first) {
            first = *params.opts ? REEL_ERR_CONFIG : err; // the most likely cause
            snprintf(text, sizeof text, "%s", reel_fail_text());
        }
    }
    char known[512];
    if (!first)
        return reel_fail(REEL_ERR_CONFIG, "could not use encoder \"%s\": it takes only gray pictures", p->encoder_name);
    return reel_fail(first, "%s\nother encoders are: %s", text, encode_alternatives(p->container, known, sizeof known));
}

// ---- on a GPU -----------------------------------------------------------------

bool plan_keeps_input(const struct plan *p)
{
    struct reel_pixel_format last, f = p->format;
    return p->wants == PLAN_PICTURE && plan_is_video(p->job.kind) && p->task != REEL_TASK_IMAGE && !p->raw_mask &&
           !*p->settings->post_filter && f.layout == REEL_PIX_YUV && f.log2_chroma_w == 1 && f.log2_chroma_h == 1 &&
           picture_slot_format(p->final_format, &last) && (last.layout == REEL_PIX_YUV || last.layout == REEL_PIX_NV) &&
           last.log2_chroma_w == 1 && last.log2_chroma_h == 1 && last.depth == f.depth &&
           p->final_colour.full_range == p->colour.full_range;
}

// Whether the encoder gets the output slots' pictures without a copy, in 4:2:0.
static bool sends_output(const struct plan *p)
{
    const struct reel_pixel_format f = p->out.format;
    return p->task == REEL_TASK_IMAGE && !p->alpha && !*p->settings->post_filter && f.layout == REEL_PIX_YUV &&
           f.log2_chroma_w == 1 && f.log2_chroma_h == 1 && p->final_width == p->width && p->final_height == p->height;
}

// Whether the output slots hold masks, which are drawn over the input's pictures.
static bool is_masked(const struct plan *p)
{
    return p->task == REEL_TASK_SEGMENT || p->task == REEL_TASK_MATTE;
}

// ---- proof ------------------------------------------------------------------

// For outputs that store a frame rate instead of times: says what happens to frames that do not follow it.
static void say_times(struct plan *p)
{
    const struct reel_media *m = &p->media;
    if (p->container && !strcmp(p->container->name, "gif") &&
        (int64_t)m->frame_rate.num > INT64_C(50) * m->frame_rate.den)
        add_note(
            p, "browsers show a GIF's frames no faster than 50 a second, the input has more: it will be shown slower");
    if (!encode_has_fixed_rate(p->container) || !(m->flags & REEL_MEDIA_VFR) || p->settings->live) return;
    p->kept.timestamps = REEL_KEPT_PART;
    add_note(
        p,
        "the input's frames come at no fixed rate, and %s has one: each is shown at the nearest time that is free, "
        "and until the next one comes; an .mkv would keep the times",
        strcmp(p->container->name, "avi") ? "a .y4m" : "an .avi");
}

static void say_losses(struct plan *p)
{
    const struct reel_media *m = &p->media;
    const struct encode_choice *c = &p->choice;
    say_times(p);
    if (!plan_is_video(p->job.kind) || encode_is_raw(p->container)) {
        uint8_t times = p->kept.timestamps;
        memset(&p->kept, REEL_KEPT_UNASKED, sizeof p->kept);
        if (times) p->kept.timestamps = times;
        return;
    }
    const struct reel_colour *k = &m->colour;
    bool tagged = k->primaries != 2 || k->transfer != 2 || k->matrix != 2 || k->range_known;
    bool hdr = m->flags & (REEL_MEDIA_HAS_MASTERING | REEL_MEDIA_HAS_LIGHT_LEVEL);
    if (!p->kept.colour) p->kept.colour = tagged || hdr || p->alpha ? REEL_KEPT_ALL : REEL_KEPT_NONE;
    const char *name = c->codec->name;
    struct reel_pixel_format f = slot_format_for(c->format);
    if (c->loses_depth) {
        p->kept.colour = REEL_KEPT_PART;
        add_note(p, "encoder %s supports %d bits: the input's %d are rounded", name, f.depth, m->format.depth);
    }
    if (c->loses_chroma) {
        p->kept.colour = REEL_KEPT_PART;
        add_note(p, "encoder %s supports no finer chroma than %s", name, av_get_pix_fmt_name(c->format));
    }
    if (hdr && !strcmp(p->container->name, "mpegts") && c->codec->id != AV_CODEC_ID_HEVC &&
        c->codec->id != AV_CODEC_ID_H264) {
        p->kept.colour = REEL_KEPT_PART;
        add_note(p, "HDR metadata cannot be kept with %s in a .ts file", name);
    }
    if (c->odd_made_444)
        add_note(p,
                 "%dx%d is an odd size, which %s does not support with subsampled chroma: encoding %s, which some "
                 "players cannot show",
                 p->final_width, p->final_height, name, av_get_pix_fmt_name(c->format));
    if (m->flags & REEL_MEDIA_INTERLACED && p->rate > 1)
        add_note(p, "the input is interlaced, which is unsuitable for frame interpolation: deinterlace it with "
                    "--pre_filter bwdif=send_frame");
    if (m->flags & REEL_MEDIA_INTERLACED && c->codec->id != AV_CODEC_ID_H264 &&
        c->codec->id != AV_CODEC_ID_MPEG2VIDEO && c->codec->id != AV_CODEC_ID_MPEG4 &&
        c->codec->id != AV_CODEC_ID_PRORES && c->codec->id != AV_CODEC_ID_FFV1)
        add_note(p, "encoder %s does not mark interlaced frames: they stay interlaced, without their flags", name);
}

// Checks now, not after hours, that parts and output can be written.
static enum reel_err check_folder(const struct plan *p)
{
    if (p->job.kind == REEL_OUTPUT_NULL) return REEL_OK;
    if (access(p->job.parts_dir, W_OK | X_OK) && errno != ENOENT)
        return reel_fail(REEL_ERR_IO, "could not write into folder \"%s\": %s", p->job.parts_dir, strerror(errno));
    return REEL_OK;
}

// The ring for the workers' results, before the encoder is known for certain.
static enum reel_err choose_slot(struct plan *p, const struct reel_rec_shaped *shaped,
                                 struct reel_pixel_format *out_format, uint32_t *out_w, uint32_t *out_h)
{
    *out_format = (struct reel_pixel_format){0};
    *out_w = *out_h = 0;
    if (p->task != REEL_TASK_IMAGE && shaped->format.layout == REEL_PIX_GRAY) { // a mask
        *out_format = (struct reel_pixel_format){.layout = REEL_PIX_GRAY, .depth = 8};
        *out_w = p->in.width;
        *out_h = p->in.height;
    }
    if (p->task != REEL_TASK_IMAGE) return REEL_OK;
    if (!shaped->width || !shaped->height)
        return reel_fail(REEL_ERR_PROTO, "could not plan the output: the model's picture has no size");
    *out_w = shaped->width;
    *out_h = shaped->height;
    *out_format = complete_wish(p, shaped);
    if (!plan_is_video(p->job.kind) && p->job.kind != REEL_OUTPUT_IMAGES) return REEL_OK;
    struct encode_choice c;
    enum reel_err err =
        encode_choose(p->encoder_name, p->container, *out_format, p->alpha, (int)*out_w, (int)*out_h, 0, &c);
    if (!err) *out_format = slot_for(shaped, c.format, *out_format);
    return err;
}

// The slot format with which the encoder opens: its first choice, or the one that worked after the first
// was refused.
static enum reel_err settle(struct plan *p, const struct reel_rec_shaped *shaped, struct encoder **out_encoder)
{
    struct reel_pixel_format format;
    uint32_t w, h;
    enum reel_err err = choose_slot(p, shaped, &format, &w, &h);
    const uint32_t pictures = p->rate > 1 ? p->rate - 1 : 1;
    if (!err) err = reel_geometry_init_several(&p->out, format, w, h, pictures, shaped->results_bytes);
    if (err) return err;
    if (p->task == REEL_TASK_IMAGE) {
        struct reel_colour colour = colour_for(p, picture_av_format(format), (int)h);
        source_from_slot(p, &p->out, &colour);
    } else {
        source_of_results(p);
    }
    if (p->wants != PLAN_PICTURE) return REEL_OK;
    if (p->settings->segment.picture == SET_PICTURE_CUTOUT && !p->cutout)
        return reel_fail(REEL_ERR_CONFIG, "could not cut anything out (--segment.picture cutout): the model makes no "
                                          "matte, no classes of pixels and no masks of objects");
    err = open_encoder(p, out_encoder);
    if (err || p->task != REEL_TASK_IMAGE || *p->settings->post_filter || !p->choice.codec) return err;
    struct reel_pixel_format opened = slot_for(shaped, p->final_format, format);
    p->colour = p->final_colour; // the encoder wants JPEG's range and matrix
    if (!memcmp(&opened, &format, sizeof format)) return REEL_OK;
    p->format = opened;
    return reel_geometry_init_several(&p->out, opened, w, h, pictures, shaped->results_bytes);
}

enum reel_err plan_prove(const struct reel_settings *settings, const struct reel_job *job,
                         const struct reel_rec_prove *prove, struct plan *p, struct reel_rec_proven *out)
{
    enum reel_task task = (enum reel_task)prove->shaped.task;
    enum reel_err err = begin(settings, job, task, prove->rate, &prove->media, &prove->in, p);
    if (!err) err = check_folder(p);
    if (!err) err = decide_alpha(p);
    struct encoder *encoder = NULL;
    if (!err) err = settle(p, &prove->shaped, &encoder);
    encode_close(&encoder);
    if (err) return err;
    *out = (struct reel_rec_proven){.job = job->id, .hold_frames = 1, .out = p->out, .out_colour = p->colour};
    if (p->choice.codec) {
        // What was lost on the way to the slot is counted too.
        struct encode_choice c;
        bool filtered = *settings->post_filter;
        if (task == REEL_TASK_IMAGE && !filtered &&
            !encode_choose(p->encoder_name, p->container, complete_wish(p, &prove->shaped), p->alpha, p->final_width,
                           p->final_height, 0, &c)) {
            p->choice.loses_depth = c.loses_depth;
            p->choice.loses_chroma = c.loses_chroma;
            p->choice.odd_made_444 = c.odd_made_444;
        }
        struct encode_params params = params_for(p);
        // With several pictures a frame, the encoder gets copies.
        if (p->rate == 1) out->hold_frames = (uint32_t)encode_measure_hold(&params, MAX_HOLD);
        int bytes = av_image_get_buffer_size(p->final_format, p->final_width, p->final_height, 64);
        out->memory_bytes = (uint64_t)bytes * (uint64_t)p->choice.traits->memory_frames;
    }
    out->on_device =
        nvenc_is(p->choice.codec) && nvenc_ready() && (sends_output(p) || (is_masked(p) && plan_keeps_input(p)));
    if (p->wants == PLAN_PICTURE) out->hold_frames++; // the last picture, which fills in for missing frames
    say_losses(p);
    out->kept = p->kept;
    return REEL_OK;
}

enum reel_err plan_open(const struct reel_settings *settings, const struct reel_job *job,
                        const struct reel_rec_open *open, struct plan *p, struct encoder **out_encoder)
{
    *out_encoder = NULL;
    enum reel_err err = begin(settings, job, (enum reel_task)open->task, open->rate, &open->media, &open->in, p);
    if (!err) err = decide_alpha(p);
    if (err) return err;
    p->out = open->out;
    if (p->task == REEL_TASK_IMAGE)
        source_from_slot(p, &open->out, &open->out_colour);
    else
        source_of_results(p);
    if (p->wants != PLAN_PICTURE) return REEL_OK;
    if (p->format.layout == REEL_PIX_NONE || picture_av_format(p->format) == AV_PIX_FMT_NONE)
        return reel_fail(REEL_ERR_PROTO, "could not plan segment %u: its pictures have no known format", open->segment);
    return open_encoder(p, out_encoder);
}
