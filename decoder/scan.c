// SPDX-License-Identifier: MIT
//
// Scanning an input. See scan.h. One pass: every packet of the video stream is
// timed and looked at for an entry; the first packets are also decoded until
// a frame is out, because only a frame says what the pictures are like; all
// other packets go to the copy.
#include "decoder/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/filters.h"
#include "common/hash.h"
#include "common/life.h"
#include "common/log.h"
#include "decoder/copy.h"
#include "decoder/decode.h"
#include "decoder/entry.h"
#include "decoder/facts.h"
#include "decoder/filter.h"
#include "decoder/nvdec.h"
#include "decoder/timing.h"
#include "decoder/upload.h"

#define STEP_US 5000 // of one step: lanes get their turn in between

struct scan {
    struct reel_job job;
    const struct reel_settings *settings;
    const struct notes *notes;
    struct demux *demux;
    struct copy *copy;
    struct entry_inspector *inspector;
    struct timing timing;
    AVPacket *packet;
    // the first frame
    struct decode *decode;
    struct filter *filter;
    AVFrame *frame;
    bool has_frame;
    int source_format;
    // counts
    int64_t packets, discarded, hidden, with_time;
    bool sets_changed;
    struct reel_media media;
};

static enum reel_err no_memory(const char *name)
{
    return reel_fail(REEL_ERR_NOMEM, "could not scan video \"%s\": no memory", name);
}

enum reel_err scan_open(const struct reel_job *job, const struct reel_settings *settings, const struct notes *notes,
                        struct scan **out_scan)
{
    *out_scan = NULL;
    struct scan *s = calloc(1, sizeof *s);
    if (!s) return no_memory(job->input);
    s->job = *job;
    s->settings = settings;
    s->notes = notes;
    s->packet = av_packet_alloc();
    s->frame = av_frame_alloc();
    enum reel_err err = s->packet && s->frame ? demux_open(job, settings, &s->demux) : no_memory(job->input);
    if (!err) err = (s->inspector = entry_create(s->demux->par)) ? REEL_OK : no_memory(job->input);
    if (!err) {
        struct decode_params decode = {
            .par = s->demux->par,
            .time_base = s->demux->time_base,
            .threads = 1, // more would only delay the first frame
            .max_pixels = (int64_t)(settings->max_pixels * 1e6),
            .name = job->input,
        };
        err = decode_open(&decode, &s->decode);
    }
    if (!err) {
        struct filter_params filter = {
            .pre_filter = settings->pre_filter,
            .matrix = demux_display_matrix(s->demux),
            .time_base = s->demux->time_base,
            .frame_rate = s->demux->frame_rate,
        };
        err = filter_create(&filter, &s->filter);
    }
    if (!err) err = copy_open(job, s->demux, notes, &s->copy);
    if (err) scan_close(&s);
    *out_scan = s;
    return err;
}

void scan_close(struct scan **scan)
{
    struct scan *s = *scan;
    if (!s) return;
    copy_close(&s->copy);
    filter_destroy(&s->filter);
    decode_close(&s->decode);
    entry_destroy(&s->inspector);
    timing_free(&s->timing);
    av_packet_free(&s->packet);
    av_frame_free(&s->frame);
    demux_close(&s->demux);
    free(s);
    *scan = NULL;
}

uint32_t scan_job(const struct scan *s)
{
    return s->job.id;
}

// ---- the first frame ------------------------------------------------------

// Takes what the codec has, through the filter, until the first frame is out.
static enum reel_err pull_frame(struct scan *s)
{
    while (!s->has_frame) {
        enum reel_err err = filter_receive(s->filter, s->frame);
        if (!err) {
            s->has_frame = true;
            return REEL_OK;
        }
        if (err != REEL_AGAIN) return err == REEL_EOF ? REEL_OK : err;
        err = decode_receive(s->decode, s->frame);
        if (err == REEL_AGAIN) return REEL_OK;
        if (err == REEL_EOF) {
            err = filter_send(s->filter, NULL);
            if (err) return err;
            continue;
        }
        if (err) return err;
        if (s->source_format == 0) s->source_format = s->frame->format + 1;
        s->frame->sample_aspect_ratio = demux_sar(s->demux, s->frame);
        if (s->frame->pts == AV_NOPTS_VALUE) s->frame->pts = 0;
        err = filter_send(s->filter, s->frame);
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err probe_frame(struct scan *s, const AVPacket *packet)
{
    if (s->has_frame) return REEL_OK;
    enum reel_err err = decode_send(s->decode, packet);
    while (err == REEL_AGAIN && !(err = pull_frame(s)) && !s->has_frame) err = decode_send(s->decode, packet);
    if (!err) err = pull_frame(s);
    return err;
}

// ---- packets --------------------------------------------------------------

static enum reel_err scan_video(struct scan *s, const AVPacket *k)
{
    int64_t no = s->packets++;
    struct entry_verdict verdict;
    entry_inspect(s->inspector, k, &verdict);
    s->sets_changed |= verdict.sets_changed;
    bool discarded = k->flags & AV_PKT_FLAG_DISCARD;
    if (discarded) s->discarded++;
    if (verdict.hidden) s->hidden++;
    if (k->pts != AV_NOPTS_VALUE || k->dts != AV_NOPTS_VALUE) s->with_time++;
    // The first packet needs no entry: every job starts there without one.
    bool able = verdict.entry || s->demux->still;
    bool is_entry = able && !verdict.hidden && no > 0 && k->pts != AV_NOPTS_VALUE;
    struct reel_entry entry;
    if (is_entry)
        entry = (struct reel_entry){.packet_no = no,
                                    .pts = k->pts,
                                    .dts = k->dts,
                                    .pos = k->pos,
                                    .bytes = (uint32_t)k->size,
                                    .checksum = reel_crc32c(0, k->data, (size_t)k->size)};
    bool shows = !discarded && !verdict.hidden;
    int64_t dts = s->demux->estimates_dts ? TIMING_NONE : k->dts;
    if (!timing_add(&s->timing, k->pts, dts, k->duration, shows, is_entry ? &entry : NULL))
        return no_memory(s->job.input);
    return probe_frame(s, k);
}

// ---- what was found -------------------------------------------------------

static enum reel_err refuse_no_frame(const struct scan *s)
{
    if (!s->packets)
        return reel_fail(
            REEL_ERR_INPUT,
            "could not decode video \"%s\": its video stream holds no pictures\nthe file's data may be cut off",
            s->job.input);
    const char *why = decode_last_error(s->decode);
    if (!s->demux->par->width && !s->demux->still && *why)
        return reel_fail(REEL_ERR_INPUT,
                         "could not decode video \"%s\": the size of its pictures is unknown or more than %g million "
                         "pixels\nif that is intended, raise --max_pixels",
                         s->job.input, s->settings->max_pixels);
    return reel_fail(REEL_ERR_INPUT, "could not decode video \"%s\": none of its %lld packets gave a picture%s%s",
                     s->job.input, (long long)s->packets, *why ? ": " : "", why);
}

static enum reel_err fill_picture(struct scan *s)
{
    const AVStream *stream = s->demux->fmt ? s->demux->fmt->streams[s->demux->video] : NULL;
    struct facts_ask ask = {.name = s->job.input,
                            .notes = s->notes,
                            .source = (enum AVPixelFormat)(s->source_format - 1),
                            .still = s->demux->still,
                            .rotation = filter_rotation(s->filter)};
    if (stream) facts_of_stream(stream, &s->media);
    return facts_of_picture(&ask, s->frame, &s->media);
}

// The container's average where the timestamps agree with it (it is exact,
// 30000/1001), else a usual rate as near as the timestamps' rounding allows,
// else what they say.
static AVRational measured_rate(const struct scan *s, const struct timing_result *t, AVRational tb)
{
    static const AVRational usual[] = {{24000, 1001}, {24, 1}, {25, 1},       {30000, 1001}, {30, 1},  {48, 1},
                                       {50, 1},       {15, 1}, {60000, 1001}, {60, 1},       {120, 1}, {10, 1}};
    AVRational stated = s->demux->frame_rate;
    if (t->mean_step <= 0) return stated;
    double measured = 1 / (t->mean_step * av_q2d(tb));
    if (stated.num > 0 && stated.den > 0 && fabs(av_q2d(stated) / measured - 1) < 0.01) return stated;
    double nearest = t->variable ? 0 : 1.0 / (double)(t->last - t->first);
    AVRational best = av_d2q(measured, 100000);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        double off = fabs(av_q2d(usual[i]) / measured - 1);
        if (off < nearest) nearest = off, best = usual[i];
    }
    return best;
}

static void fill_made_times(struct scan *s)
{
    struct reel_media *m = &s->media;
    AVRational rate = s->demux->frame_rate;
    if (rate.num <= 0 || rate.den <= 0) rate = av_d2q(s->settings->frame_rate, 1001000);
    m->flags |= REEL_MEDIA_MADE_PTS;
    m->time_base = (struct reel_rational){rate.den, rate.num};
    m->frame_rate = (struct reel_rational){rate.num, rate.den};
    m->last_pts = m->n_frames > 0 ? m->n_frames - 1 : 0;
    m->last_duration = 1;
}

static uint8_t fill_times(struct scan *s)
{
    struct reel_media *m = &s->media;
    m->n_packets = s->packets;
    m->hidden_packets = (int32_t)(s->discarded < INT32_MAX ? s->discarded : INT32_MAX);
    m->n_frames = s->packets - s->discarded - s->hidden;
    bool temporal = !reel_filter_is_spatial(s->settings->pre_filter);
    struct timing_result t;
    AVRational tb = s->demux->time_base;
    timing_finish(&s->timing, 1 / av_q2d(tb), &t);
    if (s->demux->still) m->flags |= REEL_MEDIA_STILL;
    if (temporal) {
        m->flags |= REEL_MEDIA_NO_CUT;
        m->n_frames = -1;
    }
    // What looks at several pictures behind the model, a filter or the tracking of objects, sees no cut either.
    if (!reel_filter_is_spatial(s->settings->post_filter) || s->settings->detect.track) m->flags |= REEL_MEDIA_NO_CUT;
    if (s->sets_changed) m->flags |= REEL_MEDIA_NO_CUT;
    if (s->demux->made_pts || !s->with_time) {
        fill_made_times(s);
        if (!s->demux->still) m->flags |= REEL_MEDIA_NO_CUT;
        return REEL_KEPT_NONE;
    }
    AVRational out_tb = temporal ? filter_time_base(s->filter) : tb;
    m->time_base = (struct reel_rational){out_tb.num, out_tb.den};
    m->first_pts = av_rescale_q(t.first, tb, out_tb);
    m->last_pts = av_rescale_q(t.last, tb, out_tb);
    m->last_duration = av_rescale_q(t.last_duration, tb, out_tb);
    AVRational rate = measured_rate(s, &t, tb);
    m->frame_rate = (struct reel_rational){rate.num, rate.den > 0 ? rate.den : 1};
    if (t.variable) m->flags |= REEL_MEDIA_VFR;
    bool moved = s->timing.dts_back || t.repeated;
    if (s->timing.missing || moved || s->demux->splices) m->flags |= REEL_MEDIA_NO_CUT;
    if (s->demux->splices)
        notes_say(s->notes, REEL_LOG_WARN,
                  "\"%s\": the clock restarts %lld times, as in concatenated recordings: the output continues there "
                  "without a gap",
                  s->job.input, (long long)s->demux->splices);
    if (!moved) return s->demux->splices ? REEL_KEPT_PART : REEL_KEPT_ALL;
    notes_say(s->notes, REEL_LOG_WARN,
              "\"%s\": %lld timestamps repeat and %lld go back; such frames are moved by one tick each", s->job.input,
              (long long)t.repeated, (long long)s->timing.dts_back);
    return REEL_KEPT_PART;
}

static enum reel_err finish(struct scan *s, struct scan_result *out)
{
    *out = (struct scan_result){0};
    enum reel_err err = probe_frame(s, NULL);
    if (err) return err;
    if (!s->has_frame) return refuse_no_frame(s);
    if ((err = fill_picture(s))) return err;
    struct reel_rec_scanned *r = &out->scanned;
    uint8_t timestamps = fill_times(s);
    snprintf(s->media.codec, sizeof s->media.codec, "%s", avcodec_get_name(s->demux->par->codec_id));
    if (s->demux->images && images_missing(s->demux->images))
        notes_say(s->notes, REEL_LOG_WARN, "\"%s\": %lld numbers are missing between the first image and the last",
                  s->job.input, (long long)images_missing(s->demux->images));
    err = demux_identity(s->demux, r->input_sha256, &r->input_bytes);
    if (!err) err = copy_finish(s->copy, &r->kept, &r->copy_bytes, r->copy_sha256);
    if (err) return err;
    r->job = s->job.id;
    r->kept.timestamps = timestamps;
    r->media = s->media;
    r->on_device = nvdec_can(s->demux->par) && !s->media.rotation && !*s->settings->pre_filter;
    out->entries = s->timing.entries;
    r->n_entries = s->media.flags & REEL_MEDIA_NO_CUT ? 0 : (uint32_t)s->timing.n_entries;
    return REEL_OK;
}

enum reel_err scan_step(struct scan *s, struct scan_result *out_result)
{
    int64_t until = reel_now_us() + STEP_US;
    do {
        enum reel_err err = demux_read(s->demux, s->packet);
        if (err == REEL_EOF) return finish(s, out_result);
        if (err) return err;
        reel_crash_point("decoder.scan");
        if (s->demux->images || s->packet->stream_index == s->demux->video)
            err = scan_video(s, s->packet);
        else
            err = copy_packet(s->copy, s->packet);
        av_packet_unref(s->packet);
        if (err) return err;
    } while (reel_now_us() < until);
    return REEL_AGAIN;
}
