// SPDX-License-Identifier: MIT
//
// Scans an input in one pass. See scan.h. The timestamps of all video packets are noted, and
// each is checked for an entry. The first packets are also decoded until there is a frame,
// because only a frame shows the format of the pictures. All other packets go to the copy.
//
// If only a part of the input is processed (range.h), the pass begins some seconds before it,
// provided that the container has an index (else at the beginning), and ends after it. Packets of
// other streams wait until it is known which time becomes 0. If decoding could not start where the
// index led, the scan starts again at the beginning.
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
#include "decoder/range.h"
#include "decoder/timing.h"
#include "decoder/upload.h"

#define STEP_US 5000 // duration of one step; lanes get their turn in between

// How long before a part its scan begins, because of context frames and distant keyframes. Longer
// with subtitles, whose packets lie where they begin and which may be shown for a long time.
#define LEAD_US INT64_C(10000000)
#define LEAD_TEXT_US INT64_C(60000000)
// If it would begin closer to the beginning of the file than this, it begins there.
#define FAR_US INT64_C(20000000)
// Packets of other streams lie at most this far after the video packets of the same time; the second
// is for sparse streams, whose packets lie early.
#define BESIDE_US INT64_C(10000000)
#define BESIDE_SPARSE_US INT64_C(2000000)

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
    int64_t next_time; // of a frame without a timestamp
    // counts
    int64_t packets, discarded, hidden, with_time;
    bool sets_changed;
    struct reel_media media;
    // a part of the input
    struct range range;
    bool counted;     // packets have no timestamps: their time is their number
    int64_t first_no; // number of the first packet that is read; REEL_PACKET_FAR: unknown
    AVPacket **held;  // [n_held] packets of other streams, until the copy is open
    size_t n_held, room_held;
};

static enum reel_err out_of_memory(const char *name)
{
    return reel_fail(REEL_ERR_NOMEM, "could not scan video \"%s\": out of memory", name);
}

// ---- a part of the input ----------------------------------------------------

static bool has_text(const struct demux *d)
{
    for (unsigned i = 0; d->fmt && i < d->n_streams; i++)
        if (d->fmt->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_SUBTITLE) return true;
    return false;
}

// How long before the part its scan begins.
static int64_t lead_us(const struct scan *s)
{
    AVRational rate = s->demux->frame_rate;
    if (rate.num <= 0 || rate.den <= 0) rate = (AVRational){10, 1};
    int64_t warm_up = av_rescale_q(s->settings->warmup_frames, av_inv_q(rate), AV_TIME_BASE_Q);
    return warm_up + (has_text(s->demux) ? LEAD_TEXT_US : LEAD_US);
}

// Whether the file's index can be trusted: it is the container's own, and timestamps do not depend on
// what was read before.
static bool has_index(const struct demux *d)
{
    const char *name = d->fmt ? d->fmt->iformat->name : "";
    return strstr(name, "mov") || strstr(name, "matroska");
}

// Seeks to some time before the part, if possible.
static void go_near(struct scan *s)
{
    const struct range *r = &s->range;
    int64_t before_us = r->start_us - lead_us(s);
    if (s->demux->images) {
        int64_t no = before_us > 0 ? range_tick(before_us, r->time_base) : 0, last = images_count(s->demux->images) - 1;
        s->first_no = s->demux->packet_no = no < last ? no : last;
        return;
    }
    if (r->start_us <= 0 || before_us < FAR_US || s->demux->made_pts || !has_index(s->demux)) return;
    if (demux_go_to(s->demux, av_rescale_q(before_us, AV_TIME_BASE_Q, r->time_base))) s->first_no = REEL_PACKET_FAR;
}

static enum reel_err open_copy(struct scan *s)
{
    struct cut cut = {.zero = range_zero(&s->range), .end = s->range.to, .time_base = s->range.time_base};
    return copy_open(&s->job, s->demux, s->range.on ? &cut : NULL, s->notes, &s->copy);
}

static void drop_held(struct scan *s)
{
    for (size_t i = 0; i < s->n_held; i++) av_packet_free(&s->held[i]);
    s->n_held = 0;
}

// Keeps a packet that may belong to the part until the copy is open.
static enum reel_err hold_packet(struct scan *s, AVPacket *k)
{
    AVRational tb = s->demux->fmt->streams[k->stream_index]->time_base;
    int64_t time = k->pts != AV_NOPTS_VALUE ? k->pts : k->dts, length = k->duration > 0 ? k->duration : 0;
    if (time == AV_NOPTS_VALUE || av_compare_ts(time + length, tb, s->range.start_us, AV_TIME_BASE_Q) < 0)
        return REEL_OK;
    if (s->n_held == s->room_held) {
        size_t room = s->room_held ? 2 * s->room_held : 256;
        AVPacket **more = realloc(s->held, room * sizeof *more);
        if (!more) return out_of_memory(s->job.input);
        s->held = more;
        s->room_held = room;
    }
    AVPacket *own = av_packet_alloc();
    if (!own) return out_of_memory(s->job.input);
    av_packet_move_ref(own, k);
    s->held[s->n_held++] = own;
    return REEL_OK;
}

// Opens the copy of a part, now that 0 is known, and gives it the held packets.
static enum reel_err settle_zero(struct scan *s)
{
    enum reel_err err = s->copy ? REEL_OK : open_copy(s);
    for (size_t i = 0; i < s->n_held && !err; i++) err = copy_packet(s->copy, s->held[i]);
    drop_held(s);
    return err;
}

// Whether all packets of other streams that belong to the part must have been read.
static bool others_are_read(const struct scan *s)
{
    const struct demux *d = s->demux;
    if (!d->fmt || !copy_is_open(s->copy)) return true;
    int64_t beyond_us = av_rescale_q(s->range.last, s->range.time_base, AV_TIME_BASE_Q) - s->range.end_us;
    for (unsigned i = 0; i < d->n_streams; i++) {
        const AVStream *st = d->fmt->streams[i];
        const struct demux_clock *clock = &d->clocks[i];
        bool sound = st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
        if ((int)i == d->video || st->disposition & AV_DISPOSITION_ATTACHED_PIC) continue;
        if (beyond_us >= (sound ? BESIDE_US : BESIDE_SPARSE_US)) continue;
        bool known = sound && clock->last != AV_NOPTS_VALUE;
        if (!known || av_compare_ts(clock->last - clock->start, st->time_base, s->range.end_us, AV_TIME_BASE_Q) < 0)
            return false;
    }
    return true;
}

// ---- begin and end ----------------------------------------------------------

static void close_parts(struct scan *s)
{
    drop_held(s);
    copy_close(&s->copy);
    filter_destroy(&s->filter);
    decode_close(&s->decode);
    entry_destroy(&s->inspector);
    timing_free(&s->timing);
    demux_close(&s->demux);
}

// near: the scan may begin near the part; false: at the beginning of the file.
static enum reel_err open_parts(struct scan *s, bool near)
{
    const struct reel_settings *settings = s->settings;
    enum reel_err err = demux_open(&s->job, settings, &s->demux);
    if (!err) err = range_init(&s->range, settings, s->demux->time_base);
    if (!err && near && s->range.on) go_near(s);
    if (!err) err = (s->inspector = entry_create(s->demux->par)) ? REEL_OK : out_of_memory(s->job.input);
    if (!err) {
        struct decode_params decode = {
            .par = s->demux->par,
            .time_base = s->demux->time_base,
            .threads = 1, // frame threads would only delay the first frame
            .max_pixels = (int64_t)(settings->max_pixels * 1e6),
            .name = s->job.input,
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
    if (!err && !s->range.on) err = open_copy(s);
    return err;
}

enum reel_err scan_open(const struct reel_job *job, const struct reel_settings *settings, const struct notes *notes,
                        struct scan **out_scan)
{
    *out_scan = NULL;
    struct scan *s = calloc(1, sizeof *s);
    if (!s) return out_of_memory(job->input);
    s->job = *job;
    s->settings = settings;
    s->notes = notes;
    s->packet = av_packet_alloc();
    s->frame = av_frame_alloc();
    enum reel_err err = s->packet && s->frame ? open_parts(s, true) : out_of_memory(job->input);
    if (err) scan_close(&s);
    *out_scan = s;
    return err;
}

// Starts again at the beginning of the file.
static enum reel_err restart(struct scan *s)
{
    reel_debug("scan", "\"%s\": the index does not lead to the part, reading from the start", s->job.input);
    close_parts(s);
    av_frame_unref(s->frame);
    s->has_frame = s->sets_changed = s->counted = false;
    s->source_format = 0;
    s->packets = s->discarded = s->hidden = s->with_time = s->first_no = s->next_time = 0;
    s->media = (struct reel_media){0};
    return open_parts(s, false);
}

void scan_close(struct scan **scan)
{
    struct scan *s = *scan;
    if (!s) return;
    close_parts(s);
    free(s->held);
    av_packet_free(&s->packet);
    av_frame_free(&s->frame);
    free(s);
    *scan = NULL;
}

uint32_t scan_job(const struct scan *s)
{
    return s->job.id;
}

// ---- the first frame ------------------------------------------------------

// The time between two frames without timestamps. Filters that look at the time (fps) need one.
static int64_t frame_step(const struct scan *s)
{
    return av_rescale_q(1, av_inv_q(demux_made_rate(s->demux)), s->demux->time_base);
}

// Passes frames from the codec through the filter until the first one comes out.
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
        if (s->frame->pts == AV_NOPTS_VALUE) {
            s->frame->pts = s->next_time;
            av_frame_set_duration(s->frame, frame_step(s));
        }
        s->next_time = s->frame->pts + frame_step(s);
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

// If the first packet has no timestamp, packets are counted instead.
static enum reel_err see_time(struct scan *s, const AVPacket *k, bool shows)
{
    if (!s->range.on) return REEL_OK;
    bool first = s->packets == 1 && !s->demux->still;
    if (first && !s->with_time) {
        enum reel_err err = range_init(&s->range, s->settings, av_inv_q(demux_made_rate(s->demux)));
        if (err) return err;
        s->counted = true;
    }
    if (s->counted)
        range_see(&s->range, s->packets - 1, AV_NOPTS_VALUE, shows);
    else
        range_see(&s->range, k->pts, k->dts, shows);
    return REEL_OK;
}

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
    // Decoding from the first packet of the file needs no entry.
    bool able = verdict.entry || s->demux->still;
    no += s->first_no;
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
    enum reel_err err = see_time(s, k, shows);
    if (err) return err;
    int64_t dts = s->demux->estimates_dts ? TIMING_NONE : k->dts;
    if (!timing_add(&s->timing, k->pts, dts, k->duration, shows, is_entry ? &entry : NULL))
        return out_of_memory(s->job.input);
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

// The container's rate if the timestamps agree with it, because it is exact (30000/1001); else a
// usual rate that differs no more than the timestamps are rounded; else the measured rate.
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

// The duration of a frame at this rate, in ticks of `out`; without a rate that of `otherwise`.
static int64_t one_of(AVRational rate, AVRational otherwise, AVRational out)
{
    return av_rescale_q(1, rate.num > 0 && rate.den > 0 ? av_inv_q(rate) : otherwise, out);
}

// temporal: the filter may give other frames at other times.
static void fill_made_times(struct scan *s, bool temporal)
{
    struct reel_media *m = &s->media;
    const AVRational rate = demux_made_rate(s->demux), own = av_inv_q(rate);
    const AVRational out = temporal ? filter_time_base(s->filter) : own;
    const AVRational known = filter_frame_rate(s->filter), out_rate = temporal && known.num > 0 ? known : rate;
    const int64_t shown = s->packets - s->discarded - s->hidden;
    m->flags |= REEL_MEDIA_MADE_PTS;
    m->time_base = (struct reel_rational){out.num, out.den};
    m->frame_rate = (struct reel_rational){out_rate.num, out_rate.den};
    m->last_pts = shown > 0 ? av_rescale_q(shown - 1, own, out) : 0;
    m->last_duration = one_of(out_rate, own, out);
}

static enum reel_err refuse_part(const struct scan *s)
{
    const struct range *r = &s->range;
    char part[96];
    range_text(r, part, sizeof part);
    if (r->last >= r->from)
        return reel_fail(REEL_ERR_INPUT, "could not process \"%s\" from %s: no frame begins in that time", s->job.input,
                         part);
    double end = r->last > INT64_MIN ? (double)r->last * av_q2d(r->time_base) : 0;
    return reel_fail(REEL_ERR_INPUT,
                     "could not process \"%s\" from %s: its last frame is at %.3f s\ngive an earlier --start",
                     s->job.input, part, end);
}

// Sets the bounds of the part: at frames, or, if not all timestamps are known, at the given times.
// Errors: INPUT if it has no frame.
static enum reel_err fill_part(struct scan *s, const struct timing_result *t)
{
    struct reel_media *m = &s->media;
    const struct range *r = &s->range;
    const bool known = !s->counted && !r->untimed, made = m->flags & REEL_MEDIA_MADE_PTS;
    if (known ? !t->frames : r->first == INT64_MAX || r->first >= r->to) return refuse_part(s);
    if (r->from > INT64_MIN && (!known || t->earlier)) m->flags |= REEL_MEDIA_FROM;
    if (r->to < INT64_MAX && (!known || t->next != TIMING_NONE)) m->flags |= REEL_MEDIA_TO;
    AVRational own = made ? av_inv_q(demux_made_rate(s->demux)) : s->demux->time_base;
    m->start_pts = known ? t->first : range_tick(r->start_us, own);
    m->end_pts = known ? t->next : range_tick(r->end_us, own);
    m->zero_pts =
        av_rescale_q(known ? range_zero(r) : m->start_pts, own, (AVRational){m->time_base.num, m->time_base.den});
    if (known && made) { // numbered images
        m->first_pts = av_rescale_q(t->first, own, (AVRational){m->time_base.num, m->time_base.den});
        m->last_pts = av_rescale_q(t->last, own, (AVRational){m->time_base.num, m->time_base.den});
    }
    if (m->n_frames >= 0) m->n_frames = known ? t->frames : -1;
    if (m->flags & (REEL_MEDIA_FROM | REEL_MEDIA_TO))
        m->n_packets = m->flags & REEL_MEDIA_NO_CUT ? -1 : t->frames + t->hidden;
    return REEL_OK;
}

static uint8_t fill_times(struct scan *s, struct timing_result *t)
{
    struct reel_media *m = &s->media;
    m->n_packets = s->packets;
    m->hidden_packets = (int32_t)(s->discarded < INT32_MAX ? s->discarded : INT32_MAX);
    m->n_frames = s->packets - s->discarded - s->hidden;
    bool temporal = !reel_filter_is_spatial(s->settings->pre_filter);
    AVRational tb = s->demux->time_base;
    timing_finish(&s->timing, 1 / av_q2d(tb), s->range.from, s->range.to, t);
    if (s->demux->still) m->flags |= REEL_MEDIA_STILL;
    if (temporal) {
        m->flags |= REEL_MEDIA_NO_CUT;
        m->n_frames = -1;
    }
    // Filters after the model and object tracking may look at several frames; the input is not cut then.
    if (!reel_filter_is_spatial(s->settings->post_filter) || s->settings->detect.track) m->flags |= REEL_MEDIA_NO_CUT;
    if (s->sets_changed) m->flags |= REEL_MEDIA_NO_CUT;
    if (s->demux->made_pts || !s->with_time) {
        fill_made_times(s, temporal);
        if (!s->demux->still) m->flags |= REEL_MEDIA_NO_CUT;
        return REEL_KEPT_NONE;
    }
    AVRational out_tb = temporal ? filter_time_base(s->filter) : tb;
    m->time_base = (struct reel_rational){out_tb.num, out_tb.den};
    m->first_pts = av_rescale_q(t->first, tb, out_tb);
    m->last_pts = av_rescale_q(t->last, tb, out_tb);
    m->last_duration = av_rescale_q(t->last_duration, tb, out_tb);
    AVRational rate = temporal ? filter_frame_rate(s->filter) : (AVRational){0, 1};
    if (rate.num <= 0) rate = measured_rate(s, t, tb); // also if the filter's rate varies
    m->frame_rate = (struct reel_rational){rate.num, rate.den > 0 ? rate.den : 1};
    if (temporal && filter_frame_rate(s->filter).num > 0) m->last_duration = one_of(rate, tb, out_tb);
    if (t->variable) m->flags |= REEL_MEDIA_VFR;
    bool moved = s->timing.dts_back || t->repeated;
    if (s->timing.missing || moved || s->demux->splices) m->flags |= REEL_MEDIA_NO_CUT;
    if (s->demux->splices)
        notes_say(s->notes, REEL_LOG_WARN,
                  "\"%s\": the clock restarts %lld times, as in concatenated recordings: the output continues there "
                  "without a gap",
                  s->job.input, (long long)s->demux->splices);
    if (!moved) return s->demux->splices ? REEL_KEPT_PART : REEL_KEPT_ALL;
    notes_say(s->notes, REEL_LOG_WARN,
              "\"%s\": %lld timestamps repeat and %lld go back; such frames are moved by one tick each", s->job.input,
              (long long)t->repeated, (long long)s->timing.dts_back);
    return REEL_KEPT_PART;
}

// Whether decoding can start at the entries: timestamps and parameter sets must be in order.
static bool entries_hold(const struct scan *s, const struct timing_result *t)
{
    bool made = (s->demux->made_pts && !s->demux->still) || (!s->with_time && !s->demux->still);
    bool moved = s->timing.dts_back || t->repeated;
    return !made && !moved && !s->timing.missing && !s->demux->splices && !s->sets_changed;
}

// Whether the packets that were read, which may begin near the part, are enough to decode it.
static bool is_grounded(const struct scan *s, const struct timing_result *t)
{
    if (s->first_no < REEL_PACKET_FAR) return true;
    return s->has_frame && entries_hold(s, t) && t->earlier && s->timing.n_entries &&
           s->timing.entries[0].pts <= t->first;
}

static uint32_t count_entries(const struct scan *s, const struct timing_result *t)
{
    bool part = s->media.flags & (REEL_MEDIA_FROM | REEL_MEDIA_TO);
    // A filter may forbid cuts, but decoding can still begin near the part.
    bool usable = part ? entries_hold(s, t) : !(s->media.flags & REEL_MEDIA_NO_CUT);
    return usable ? (uint32_t)s->timing.n_entries : 0;
}

// Evaluates the pass. *out_anew: it was not enough, and the scan has started again.
static enum reel_err take_stock(struct scan *s, struct timing_result *t, uint8_t *out_timestamps, bool *out_anew)
{
    enum reel_err err = probe_frame(s, NULL);
    if (err) return err;
    if (s->has_frame) {
        if ((err = fill_picture(s))) return err;
        *out_timestamps = fill_times(s, t);
    }
    *out_anew = !is_grounded(s, t);
    if (*out_anew) return restart(s);
    if (s->range.on && s->packets && (s->has_frame || s->range.last < s->range.from)) err = fill_part(s, t);
    if (err) return err;
    return s->has_frame ? REEL_OK : refuse_no_frame(s);
}

static enum reel_err finish(struct scan *s, struct scan_result *out)
{
    *out = (struct scan_result){0};
    struct reel_rec_scanned *r = &out->scanned;
    struct timing_result times = {0};
    uint8_t timestamps = 0;
    bool anew;
    enum reel_err err = take_stock(s, &times, &timestamps, &anew);
    if (err) return err;
    if (anew) return REEL_AGAIN;
    snprintf(s->media.codec, sizeof s->media.codec, "%s", avcodec_get_name(s->demux->par->codec_id));
    if (s->demux->images && images_missing(s->demux->images))
        notes_say(s->notes, REEL_LOG_WARN, "\"%s\": %lld numbers are missing between the first image and the last",
                  s->job.input, (long long)images_missing(s->demux->images));
    err = demux_identity(s->demux, r->input_sha256, &r->input_bytes);
    if (!err && s->range.on) err = settle_zero(s);
    if (!err) err = copy_finish(s->copy, &r->kept, &r->copy_bytes, r->copy_sha256);
    if (err) return err;
    r->job = s->job.id;
    r->kept.timestamps = timestamps;
    r->media = s->media;
    const bool turned = s->media.rotation || *s->settings->pre_filter;
    r->on_device = nvdec_can(s->demux->par) && !turned && !(s->media.flags & REEL_MEDIA_ALPHA);
    out->entries = s->timing.entries;
    r->n_entries = count_entries(s, &times);
    return REEL_OK;
}

static enum reel_err take_packet(struct scan *s)
{
    if (s->demux->images || s->packet->stream_index == s->demux->video) {
        enum reel_err err = scan_video(s, s->packet);
        if (err || !s->range.on || s->copy || !range_is_settled(&s->range)) return err;
        return settle_zero(s);
    }
    return s->copy ? copy_packet(s->copy, s->packet) : hold_packet(s, s->packet);
}

enum reel_err scan_step(struct scan *s, struct scan_result *out_result)
{
    int64_t until = reel_now_us() + STEP_US;
    do {
        enum reel_err err = demux_read(s->demux, s->packet);
        if (err == REEL_EOF) return finish(s, out_result);
        if (err) return err;
        reel_crash_point("decoder.scan");
        err = take_packet(s);
        av_packet_unref(s->packet);
        if (err) return err;
        // The index led to a place after the beginning of the part.
        bool late = s->first_no == REEL_PACKET_FAR && s->packets && !s->range.earlier;
        if (late && (err = restart(s))) return err;
        if (s->copy && range_is_read(&s->range) && others_are_read(s)) return finish(s, out_result);
    } while (reel_now_us() < until);
    return REEL_AGAIN;
}
