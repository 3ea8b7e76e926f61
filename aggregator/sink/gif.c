// SPDX-License-Identifier: MIT
//
// A GIF file of the parts' pictures (rgb24 or gray, as they are in memory): first all
// of them are looked at for the 255 colours that suit them together (palettegen), then
// each is made of these (paletteuse), so that no colours jump from frame to frame.
// Called by mux.c with the parts scanned.
#include "aggregator/sink/mux.h"
#include "common/life.h"

#define LOOK "palettegen"
// Outside of what moves nothing is dithered anew: less flicker, smaller files.
#define MAKE "paletteuse=dither=sierra2_4a:diff_mode=rectangle"
#define CENTISECONDS ((AVRational){1, 100})

struct gif {
    struct mux *mux;
    AVFilterGraph *graph;
    AVFilterContext *pictures, *palette, *out; // palette: NULL when it is looked for
    AVFrame *frame;                            // what a filter gave
    AVFrame *colours;                          // the palette that was found
    AVCodecContext *encoder;
    bool begun;    // the header is written
    uint64_t made; // frames written
};

static enum reel_err gif_failed(const struct gif *g, const char *what, int rc)
{
    char why[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(rc, why, sizeof why);
    if (rc == AVERROR(ENOMEM)) return mux_no_memory();
    if (rc == AVERROR(ENOSPC) || rc == AVERROR(EDQUOT) || rc == AVERROR(EIO))
        return sink_write_failed(g->mux->join->job->output, AVUNERROR(rc));
    return reel_fail(REEL_ERR_FAULT, "could not %s file \"%s\": %s", what, g->mux->join->job->output,
                     encode_log_text(why));
}

// ---- filters --------------------------------------------------------------------

static int add_source(struct gif *g, const char *name, int format, int width, int height, AVFilterContext **out)
{
    char args[128];
    snprintf(args, sizeof args, "video_size=%dx%d:pix_fmt=%d:time_base=1/25:pixel_aspect=1/1", width, height, format);
    return avfilter_graph_create_filter(out, avfilter_get_by_name("buffer"), name, args, NULL, g->graph);
}

static AVFilterInOut *add_end(AVFilterInOut *next, const char *name, AVFilterContext *filter)
{
    AVFilterInOut *end = avfilter_inout_alloc();
    if (!end) return next;
    *end = (AVFilterInOut){av_strdup(name), filter, 0, next};
    return end;
}

// One filter between the pictures, the palette where there is one, and `out`.
static enum reel_err open_graph(struct gif *g, const char *filter, const AVFrame *palette)
{
    const struct reel_pack_stream *v = g->mux->head.video;
    char text[128];
    g->graph = avfilter_graph_alloc();
    if (!g->graph) return mux_no_memory();
    g->graph->nb_threads = 1;
    g->palette = NULL;
    encode_log_clear();
    int rc = add_source(g, "pictures", v->format, v->width, v->height, &g->pictures);
    if (rc >= 0 && palette)
        rc = add_source(g, "palette", palette->format, palette->width, palette->height, &g->palette);
    if (rc >= 0)
        rc = avfilter_graph_create_filter(&g->out, avfilter_get_by_name("buffersink"), "out", NULL, NULL, g->graph);
    AVFilterInOut *inputs = add_end(NULL, "out", g->out), *outputs = NULL;
    if (palette) outputs = add_end(outputs, "palette", g->palette);
    outputs = add_end(outputs, "in", g->pictures);
    snprintf(text, sizeof text, "[in]%s%s[out]", palette ? "[palette]" : "", filter);
    if (rc >= 0) rc = avfilter_graph_parse_ptr(g->graph, text, &inputs, &outputs, NULL);
    if (rc >= 0) rc = avfilter_graph_config(g->graph, NULL);
    avfilter_inout_free(&inputs);
    avfilter_inout_free(&outputs);
    return rc < 0 ? gif_failed(g, "choose the colours of", rc) : REEL_OK;
}

// The next picture of the parts into the filter, NULL at their end.
static enum reel_err feed(struct gif *g, const struct reel_pack_packet *packet, int64_t n)
{
    if (!packet) {
        int rc = av_buffersrc_add_frame(g->pictures, NULL);
        return rc < 0 ? gif_failed(g, "choose the colours of", rc) : REEL_OK;
    }
    const struct reel_pack_stream *v = g->mux->head.video;
    AVFrame *f = av_frame_alloc();
    if (!f) return mux_no_memory();
    f->format = v->format;
    f->width = v->width;
    f->height = v->height;
    f->pts = n;
    int rc = av_frame_get_buffer(f, 0);
    const uint8_t *planes[4];
    int strides[4];
    int bytes = av_image_fill_arrays((uint8_t **)planes, strides, packet->data, (enum AVPixelFormat)v->format, v->width,
                                     v->height, 1);
    if (rc >= 0 && bytes != (int)packet->bytes) rc = AVERROR_INVALIDDATA;
    if (rc >= 0) {
        av_image_copy(f->data, f->linesize, planes, strides, (enum AVPixelFormat)v->format, v->width, v->height);
        rc = av_buffersrc_add_frame(g->pictures, f);
    }
    av_frame_free(&f);
    return rc < 0 ? gif_failed(g, "choose the colours of", rc) : REEL_OK;
}

// All pictures through the filter; `take` gets what comes out in g->frame.
static enum reel_err run_graph(struct gif *g, enum reel_err (*take)(struct gif *g))
{
    struct mux *m = g->mux;
    enum reel_err err = REEL_OK;
    bool end = false;
    m->segment = 0;
    for (int64_t n = 0; !err && !end; n++) {
        err = mux_next_video(m);
        end = err == REEL_EOF;
        if (!err || end) err = feed(g, end ? NULL : &m->part_record->u.packet, n);
        int rc = 0;
        while (!err && (rc = av_buffersink_get_frame(g->out, g->frame)) >= 0) {
            err = take(g);
            av_frame_unref(g->frame);
        }
        if (!err && rc != AVERROR(EAGAIN) && rc != AVERROR_EOF) err = gif_failed(g, "choose the colours of", rc);
        if (!err && !m->join->tick(m->join->ctx, 0)) err = REEL_GONE;
    }
    return err;
}

// ---- the file -------------------------------------------------------------------

static enum reel_err begin_file(struct gif *g, const AVFrame *like)
{
    struct mux *m = g->mux;
    const struct reel_pack_stream *v = m->head.video;
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_GIF);
    g->encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!g->encoder) return reel_fail(REEL_ERR_UNSUPPORTED, "could not write a GIF file: this FFmpeg has no encoder");
    g->encoder->width = v->width;
    g->encoder->height = v->height;
    g->encoder->pix_fmt = (enum AVPixelFormat)like->format;
    g->encoder->time_base = CENTISECONDS;
    g->encoder->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
    encode_log_clear();
    int rc = avcodec_open2(g->encoder, codec, NULL);
    if (rc >= 0) rc = avformat_alloc_output_context2(&m->oc, m->head.format, NULL, m->temporary);
    AVStream *st = rc >= 0 ? avformat_new_stream(m->oc, NULL) : NULL;
    if (rc >= 0) rc = st ? avcodec_parameters_from_context(st->codecpar, g->encoder) : AVERROR(ENOMEM);
    if (rc < 0) return gif_failed(g, "begin", rc);
    m->oc->flags |= AVFMT_FLAG_BITEXACT;
    st->time_base = CENTISECONDS;
    enum reel_err err = mux_open_output(m);
    if (err) return err;
    rc = avformat_write_header(m->oc, NULL); // endless, as others
    g->begun = rc >= 0;
    return rc < 0 ? gif_failed(g, "begin", rc) : REEL_OK;
}

static int64_t centiseconds(const struct mux *m, int64_t pts)
{
    return av_rescale_q(pts, (AVRational){m->head.video->time_base.num, m->head.video->time_base.den}, CENTISECONDS);
}

// Times are those of the job from its first frame on: rounding does not add up.
static enum reel_err write_packet(struct gif *g, AVPacket *packet)
{
    struct mux *m = g->mux;
    int64_t first = m->timeline.sorted[0], pts = m->timeline.sorted[g->made];
    int64_t end = pts + timeline_duration(&m->timeline, pts);
    packet->pts = packet->dts = centiseconds(m, pts - first);
    packet->duration = centiseconds(m, end - first) - packet->pts;
    if (g->made && packet->pts <= m->last_video_dts) packet->pts = packet->dts = m->last_video_dts + 1;
    m->last_video_dts = packet->pts;
    packet->stream_index = 0;
    uint64_t bytes = (uint64_t)packet->size;
    int rc = av_write_frame(m->oc, packet);
    if (rc < 0) return gif_failed(g, "write", rc);
    g->made++;
    reel_crash_point("aggregator.mid_mux");
    return m->join->tick(m->join->ctx, bytes) ? REEL_OK : REEL_GONE;
}

static enum reel_err encode(struct gif *g, const AVFrame *frame)
{
    encode_log_clear();
    int rc = avcodec_send_frame(g->encoder, frame);
    while (rc >= 0 && (rc = avcodec_receive_packet(g->encoder, g->mux->packet)) >= 0) {
        enum reel_err err = write_packet(g, g->mux->packet);
        av_packet_unref(g->mux->packet);
        if (err) return err;
    }
    return rc == AVERROR(EAGAIN) || rc == AVERROR_EOF ? REEL_OK : gif_failed(g, "encode", rc);
}

static enum reel_err take_picture(struct gif *g)
{
    enum reel_err err = g->encoder ? REEL_OK : begin_file(g, g->frame);
    g->frame->pict_type = AV_PICTURE_TYPE_NONE;
    return err ? err : encode(g, g->frame);
}

// ---- both passes ------------------------------------------------------------------

static enum reel_err take_palette(struct gif *g)
{
    if (!g->colours) g->colours = av_frame_clone(g->frame);
    return g->colours ? REEL_OK : mux_no_memory();
}

static enum reel_err make(struct gif *g)
{
    enum reel_err err = open_graph(g, MAKE, g->colours);
    int rc = err ? 0 : av_buffersrc_write_frame(g->palette, g->colours);
    if (!err && rc >= 0) rc = av_buffersrc_add_frame(g->palette, NULL);
    if (rc < 0) err = gif_failed(g, "choose the colours of", rc);
    if (!err) err = run_graph(g, take_picture);
    if (!err && g->encoder) err = encode(g, NULL);
    g->mux->frames = g->mux->written = g->made;
    return err;
}

enum reel_err gif_write(struct mux *m)
{
    struct gif g = {.mux = m, .frame = av_frame_alloc()};
    enum reel_err err = g.frame ? open_graph(&g, LOOK, NULL) : mux_no_memory();
    if (!err) err = run_graph(&g, take_palette);
    avfilter_graph_free(&g.graph);
    if (!err && !g.colours)
        err = reel_fail(REEL_ERR_FAULT, "could not choose the colours of file \"%s\"", m->join->job->output);
    if (!err) err = make(&g);
    if (err && g.begun) av_write_trailer(m->oc); // libavformat frees the packet that it holds nowhere else
    avfilter_graph_free(&g.graph);
    avcodec_free_context(&g.encoder);
    av_frame_free(&g.frame);
    av_frame_free(&g.colours);
    return err;
}
