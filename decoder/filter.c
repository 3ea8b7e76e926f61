// SPDX-License-Identifier: MIT
//
// The filter graph between the codec and the slots. See filter.h.
#include "decoder/filter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/filters.h"

// A last frame that is said to be longer is not: filters like fps would fill the time with copies.
#define LONGEST_US INT64_C(600000000)

struct filter {
    char *chain; // "": frames pass unchanged
    int rotation;
    AVRational time_base, out_time_base, frame_rate, out_frame_rate;
    int64_t end_pts;  // when the last frame that was sent ends: filters like fps fill the time up to that
    AVFrame *passing; // the frame that passes if there is no graph
    bool has_passing, ended;

    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
    struct filter_shape {
        int width, height, format, colour_space, colour_range;
        AVRational sar;
    } shape;       // of the frames for which the graph was built
    AVFrame *held; // a frame of a new shape, which waits until the old graph is empty
    bool draining; // the old graph is being emptied
};

// ---- upright --------------------------------------------------------------

// The filters that undo a display matrix (its angle is counter-clockwise), with mirroring.
// *out_degrees: by how much they turn the picture clockwise.
static const char *upright(const int32_t *m, int *out_degrees)
{
    *out_degrees = 0;
    double theta = m ? -round(av_display_rotation_get(m)) : 0;
    if (!m || isnan(theta)) return "";
    theta -= 360 * floor(theta / 360 + 0.9 / 360);
    if (fabs(theta - 90) < 1) {
        *out_degrees = 90;
        return m[3] > 0 ? "transpose=cclock_flip" : "transpose=clock";
    }
    if (fabs(theta - 270) < 1) {
        *out_degrees = 270;
        return m[3] < 0 ? "transpose=clock_flip" : "transpose=cclock";
    }
    if (fabs(theta - 180) < 1) {
        *out_degrees = 180;
        return m[0] < 0 ? (m[4] < 0 ? "hflip,vflip" : "hflip") : (m[4] < 0 ? "vflip" : "");
    }
    return theta < 1 && m[4] < 0 ? "vflip" : "";
}

enum reel_err filter_create(const struct filter_params *p, struct filter **out_filter)
{
    *out_filter = NULL;
    struct filter *f = calloc(1, sizeof *f);
    if (!f) goto no_memory;
    const char *turn = upright(p->matrix, &f->rotation);
    const char *comma = *turn && *p->pre_filter ? "," : "";
    f->chain = av_asprintf("%s%s%s", turn, comma, p->pre_filter);
    f->passing = av_frame_alloc();
    f->held = av_frame_alloc();
    if (!f->chain || !f->passing || !f->held) goto no_memory;
    f->time_base = f->out_time_base = p->time_base;
    f->frame_rate = f->out_frame_rate = p->frame_rate;
    *out_filter = f;
    return REEL_OK;
no_memory:
    filter_destroy(&f);
    return reel_fail(REEL_ERR_NOMEM, "could not set up filters: out of memory");
}

void filter_destroy(struct filter **filter)
{
    struct filter *f = *filter;
    if (!f) return;
    avfilter_graph_free(&f->graph);
    av_frame_free(&f->passing);
    av_frame_free(&f->held);
    av_free(f->chain);
    free(f);
    *filter = NULL;
}

// ---- the graph ------------------------------------------------------------

static struct filter_shape shape_of(const AVFrame *frame)
{
    return (struct filter_shape){frame->width,      frame->height,      frame->format,
                                 frame->colorspace, frame->color_range, frame->sample_aspect_ratio};
}

static bool same_shape(const struct filter_shape *a, const struct filter_shape *b)
{
    return a->width == b->width && a->height == b->height && a->format == b->format &&
           a->colour_space == b->colour_space && a->colour_range == b->colour_range && !av_cmp_q(a->sar, b->sar);
}

static _Thread_local struct {
    bool on;
    char text[256]; // the first error message; "": none
} heard;

void filter_hear(void *ctx, const char *fmt, va_list args)
{
    if (!heard.on || *heard.text) return;
    char line[256];
    int prefix = 1;
    va_list again;
    va_copy(again, args);
    av_log_format_line2(ctx, AV_LOG_ERROR, fmt, again, line, sizeof line, &prefix);
    va_end(again);
    line[strcspn(line, "\r\n")] = 0;
    const char *text = strstr(line, "] "); // drops the prefix in "[AVFilterGraph @ 0x55..] text"
    snprintf(heard.text, sizeof heard.text, "%s", *line == '[' && text ? text + 2 : line);
}

static bool is_known(const char *name)
{
    return avfilter_get_by_name(name) != NULL;
}

static enum reel_err refuse_chain(const struct filter *f, int code)
{
    char reason[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(code, reason, sizeof reason);
    const char *why = *heard.text ? heard.text : reason;
    // From FFmpeg 7 on libavfilter reports an unknown filter's arguments first.
    char name[64], unknown[96];
    if (reel_filter_unknown(f->chain, is_known, name, sizeof name)) {
        snprintf(unknown, sizeof unknown, "No such filter: '%s'", name);
        why = unknown;
    }
    return reel_fail(
        code == AVERROR(ENOMEM) ? REEL_ERR_NOMEM : REEL_ERR_CONFIG,
        "could not set up filter \"%s\": %s\n--pre_filter takes an FFmpeg filter chain with one input and one output",
        f->chain, why);
}

static int make_source(struct filter *f, const struct filter_shape *s)
{
    f->source = avfilter_graph_alloc_filter(f->graph, avfilter_get_by_name("buffer"), "in");
    AVBufferSrcParameters *par = av_buffersrc_parameters_alloc();
    int r = AVERROR(ENOMEM);
    if (f->source && par) {
        par->format = s->format;
        par->width = s->width;
        par->height = s->height;
        par->time_base = f->time_base;
        par->frame_rate = f->frame_rate;
        par->sample_aspect_ratio = s->sar;
#if LIBAVFILTER_VERSION_INT >= AV_VERSION_INT(10, 1, 100)
        par->color_space = s->colour_space;
        par->color_range = s->colour_range;
#endif
        r = av_buffersrc_parameters_set(f->source, par);
        if (r >= 0) r = avfilter_init_str(f->source, NULL);
    }
    av_free(par);
    return r;
}

static enum reel_err build(struct filter *f, const struct filter_shape *s)
{
    avfilter_graph_free(&f->graph);
    f->graph = avfilter_graph_alloc();
    if (!f->graph) return refuse_chain(f, AVERROR(ENOMEM));
    f->graph->nb_threads = 1;
    // Conversions that libavfilter inserts by itself must give the same bytes on every CPU.
    f->graph->scale_sws_opts = av_strdup("flags=bicubic+accurate_rnd+full_chroma_int+bitexact");
    AVFilterInOut *in = avfilter_inout_alloc(), *out = avfilter_inout_alloc();
    heard.on = true, *heard.text = 0;
    int r = in && out ? make_source(f, s) : AVERROR(ENOMEM);
    if (r >= 0)
        r = avfilter_graph_create_filter(&f->sink, avfilter_get_by_name("buffersink"), "out", NULL, NULL, f->graph);
    if (r >= 0) {
        *out = (AVFilterInOut){.name = av_strdup("in"), .filter_ctx = f->source};
        *in = (AVFilterInOut){.name = av_strdup("out"), .filter_ctx = f->sink};
        r = avfilter_graph_parse_ptr(f->graph, f->chain, &in, &out, NULL);
    }
    if (r >= 0) r = avfilter_graph_config(f->graph, NULL);
    heard.on = false;
    avfilter_inout_free(&in);
    avfilter_inout_free(&out);
    if (r < 0) return refuse_chain(f, r);
    *heard.text = 0;
    f->shape = *s;
    f->out_time_base = av_buffersink_get_time_base(f->sink);
    f->out_frame_rate = av_buffersink_get_frame_rate(f->sink);
    return REEL_OK;
}

static int64_t end_of(const struct filter *f, const AVFrame *frame)
{
    int64_t length = av_frame_duration(frame);
    if (frame->pts == AV_NOPTS_VALUE) return AV_NOPTS_VALUE;
    if (length <= 0 && f->frame_rate.num > 0) length = av_rescale_q(1, av_inv_q(f->frame_rate), f->time_base);
    const int64_t longest = av_rescale_q(LONGEST_US, AV_TIME_BASE_Q, f->time_base);
    return frame->pts + (length > longest ? longest : length > 0 ? length : 1);
}

// NULL: there are no more frames.
static enum reel_err feed(struct filter *f, AVFrame *frame)
{
    if (frame) f->end_pts = end_of(f, frame);
    int r = frame ? av_buffersrc_add_frame_flags(f->source, frame, 0) : av_buffersrc_close(f->source, f->end_pts, 0);
    return r < 0 ? refuse_chain(f, r) : REEL_OK;
}

enum reel_err filter_send(struct filter *f, AVFrame *frame)
{
    if (!frame) {
        f->ended = true;
        if (f->graph && !f->draining) return feed(f, NULL);
        return REEL_OK;
    }
    if (!*f->chain) {
        av_frame_unref(f->passing);
        av_frame_move_ref(f->passing, frame);
        f->has_passing = true;
        return REEL_OK;
    }
    struct filter_shape shape = shape_of(frame);
    if (f->graph && !same_shape(&shape, &f->shape)) {
        av_frame_unref(f->held);
        av_frame_move_ref(f->held, frame);
        f->draining = true;
        return feed(f, NULL);
    }
    enum reel_err err = f->graph ? REEL_OK : build(f, &shape);
    return err ? err : feed(f, frame);
}

// Called when the old graph is empty: builds a new one for the held frame.
static enum reel_err turn_over(struct filter *f)
{
    struct filter_shape shape = shape_of(f->held);
    f->draining = false;
    enum reel_err err = build(f, &shape);
    if (!err) err = feed(f, f->held);
    if (!err && f->ended) err = feed(f, NULL);
    return err;
}

enum reel_err filter_receive(struct filter *f, AVFrame *frame)
{
    if (f->has_passing) {
        av_frame_move_ref(frame, f->passing);
        f->has_passing = false;
        return REEL_OK;
    }
    if (!f->graph) return f->ended ? REEL_EOF : REEL_AGAIN;
    for (;;) {
        int r = av_buffersink_get_frame(f->sink, frame);
        if (r >= 0) return REEL_OK;
        if (r == AVERROR(EAGAIN)) return REEL_AGAIN;
        if (r != AVERROR_EOF) return refuse_chain(f, r);
        if (!f->draining) return f->ended ? REEL_EOF : REEL_AGAIN;
        enum reel_err err = turn_over(f);
        if (err) return err;
    }
}

AVRational filter_time_base(const struct filter *f)
{
    return f->out_time_base;
}

AVRational filter_frame_rate(const struct filter *f)
{
    return f->out_frame_rate.num > 0 && f->out_frame_rate.den > 0 ? f->out_frame_rate : (AVRational){0, 1};
}

bool filter_passes(const struct filter *f)
{
    return !*f->chain;
}

int filter_rotation(const struct filter *f)
{
    return f->rotation;
}
