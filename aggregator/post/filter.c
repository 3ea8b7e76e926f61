// SPDX-License-Identifier: MIT
//
// Runs --post_filter. See filter.h.
#include "aggregator/post/filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "aggregator/picture.h"
#include "common/filters.h"

// Most pictures inside a filter: one that keeps more is waiting for the end of the video, which memory is
// not made for.
#define MOST_HELD 64

struct filter {
    AVFilterGraph *graph;
    AVFilterContext *source, *sink;
    struct reel_colour colour; // of the filter's result
    // PTS of the pictures in the filter, the oldest first.
    int64_t *pts;
    size_t from, used, room;
};

static bool is_known(const char *name)
{
    return avfilter_get_by_name(name) != NULL;
}

static enum reel_err refused(const struct plan *p, int rc)
{
    char why[AV_ERROR_MAX_STRING_SIZE], name[64];
    av_strerror(rc, why, sizeof why);
    // FFmpeg 7 and later report an unknown filter's arguments first.
    if (reel_filter_unknown(p->settings->post_filter, is_known, name, sizeof name))
        return reel_fail(REEL_ERR_CONFIG, "could not set up filter \"%s\": No such filter: '%s'",
                         p->settings->post_filter, name);
    return reel_fail(REEL_ERR_CONFIG, "could not set up filter \"%s\": %s", p->settings->post_filter,
                     encode_log_text(why));
}

static int make_ends(const struct plan *p, struct filter *f)
{
    const struct reel_media *m = &p->media;
    char args[512];
    snprintf(args, sizeof args, "video_size=%dx%d:pix_fmt=%d:time_base=%d/%d:pixel_aspect=%d/%d", p->width, p->height,
             p->drawn_format, m->time_base.num, m->time_base.den, m->sar.num, m->sar.den > 0 ? m->sar.den : 1);
    size_t at = strlen(args);
    if (m->frame_rate.num > 0 && m->frame_rate.den > 0)
        snprintf(args + at, sizeof args - at, ":frame_rate=%d/%d", m->frame_rate.num, m->frame_rate.den);
#if LIBAVFILTER_VERSION_INT >= AV_VERSION_INT(9, 16, 100) // 7.0: else a change "in mid-stream" is seen
    at = strlen(args);
    const char *range = !p->colour.range_known ? "unknown" : p->colour.full_range ? "pc" : "tv";
    snprintf(args + at, sizeof args - at, ":colorspace=%d:range=%s", p->colour.matrix, range);
#endif
    int rc = avfilter_graph_create_filter(&f->source, avfilter_get_by_name("buffer"), "in", args, NULL, f->graph);
    if (rc < 0) return rc;
    return avfilter_graph_create_filter(&f->sink, avfilter_get_by_name("buffersink"), "out", NULL, NULL, f->graph);
}

static int link_chain(struct filter *f, const char *chain)
{
    AVFilterInOut *outputs = avfilter_inout_alloc(), *inputs = avfilter_inout_alloc();
    int rc = AVERROR(ENOMEM);
    if (outputs && inputs) {
        outputs->name = av_strdup("in");
        outputs->filter_ctx = f->source;
        inputs->name = av_strdup("out");
        inputs->filter_ctx = f->sink;
        rc = avfilter_graph_parse_ptr(f->graph, chain, &inputs, &outputs, NULL);
        if (rc >= 0) rc = avfilter_graph_config(f->graph, NULL);
    }
    avfilter_inout_free(&outputs);
    avfilter_inout_free(&inputs);
    return rc;
}

static enum reel_err build(const struct plan *p, const char *tail, struct filter **out_filter)
{
    struct filter *f = calloc(1, sizeof *f);
    char *chain = av_asprintf("%s%s", p->settings->post_filter, tail);
    if (f) f->graph = avfilter_graph_alloc();
    if (!f || !chain || !f->graph) {
        av_free(chain);
        filter_destroy(&f);
        return reel_fail(REEL_ERR_NOMEM, "could not set up filter \"%s\": out of memory", p->settings->post_filter);
    }
    f->graph->nb_threads = 1;
    encode_log_clear();
    int rc = make_ends(p, f);
    if (rc >= 0) rc = link_chain(f, chain);
    av_free(chain);
    if (rc < 0) {
        filter_destroy(&f);
        return refused(p, rc);
    }
    *out_filter = f;
    return REEL_OK;
}

enum reel_err filter_probe(const struct plan *p, struct filter_format *out)
{
    struct filter *f;
    enum reel_err err = build(p, "", &f);
    if (err) return err;
    AVRational sar = av_buffersink_get_sample_aspect_ratio(f->sink);
    *out = (struct filter_format){.format = (enum AVPixelFormat)av_buffersink_get_format(f->sink),
                                  .width = av_buffersink_get_w(f->sink),
                                  .height = av_buffersink_get_h(f->sink),
                                  .sar = {sar.num, sar.den > 0 ? sar.den : 1}};
    filter_destroy(&f);
    return REEL_OK;
}

enum reel_err filter_create(const struct plan *p, struct filter **out_filter)
{
    char tail[96];
    snprintf(tail, sizeof tail, ",format=%s", av_get_pix_fmt_name(p->final_format));
    enum reel_err err = build(p, tail, out_filter);
    if (!err) (*out_filter)->colour = p->final_colour;
    return err;
}

void filter_destroy(struct filter **filter)
{
    struct filter *f = *filter;
    if (!f) return;
    avfilter_graph_free(&f->graph);
    free(f->pts);
    free(f);
    *filter = NULL;
}

enum reel_err filter_send(struct filter *f, AVFrame **frame)
{
    if (*frame) {
        if (f->used == f->room && f->from) {
            memmove(f->pts, f->pts + f->from, (f->used - f->from) * sizeof *f->pts);
            f->used -= f->from;
            f->from = 0;
        }
        if (f->used == f->room) {
            size_t room = f->room ? 2 * f->room : 64;
            int64_t *more = realloc(f->pts, room * sizeof *more);
            if (!more) return reel_fail(REEL_ERR_NOMEM, "could not filter: out of memory");
            f->pts = more;
            f->room = room;
        }
        f->pts[f->used++] = (*frame)->pts;
    }
    encode_log_clear();
    int rc = av_buffersrc_add_frame(f->source, *frame);
    av_frame_free(frame);
    char why[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(rc, why, sizeof why);
    return rc < 0 ? reel_fail(REEL_ERR_FAULT, "could not filter a picture: %s", encode_log_text(why)) : REEL_OK;
}

enum reel_err filter_receive(struct filter *f, AVFrame **out_frame)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame) return reel_fail(REEL_ERR_NOMEM, "could not filter: out of memory");
    int rc = av_buffersink_get_frame(f->sink, frame);
    if (rc >= 0 && f->from < f->used) {
        frame->pts = f->pts[f->from++];
        picture_tag(frame, &f->colour);
        *out_frame = frame;
        return REEL_OK;
    }
    av_frame_free(&frame);
    static const char text[] = "could not use --post_filter: it does not give exactly one picture for each\nfilters "
                               "that change the number of pictures cannot be used here";
    if (rc >= 0 || (rc == AVERROR_EOF && f->from < f->used)) return reel_fail(REEL_ERR_CONFIG, "%s", text);
    if (rc == AVERROR(EAGAIN) && f->used - f->from > MOST_HELD)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not use --post_filter: it holds back more than %d pictures\nfilters that need the "
                         "whole video cannot be used here; apply them to the output (ffmpeg -vf)",
                         MOST_HELD);
    if (rc == AVERROR(EAGAIN)) return REEL_AGAIN;
    if (rc == AVERROR_EOF) return REEL_EOF;
    char why[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(rc, why, sizeof why);
    return reel_fail(REEL_ERR_FAULT, "could not filter a picture: %s", encode_log_text(why));
}
