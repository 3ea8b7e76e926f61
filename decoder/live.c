// SPDX-License-Identifier: MIT
//
// Frames of a live input. See live.h. Runs in the main thread; reader.c runs in another one.
#include "decoder/live.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/filters.h"
#include "common/life.h"
#include "common/log.h"
#include "decoder/decode.h"
#include "decoder/facts.h"
#include "decoder/filter.h"
#include "decoder/reader.h"

#define MOST_HELD 4096
#define STEP_ITEMS 16 // items of the queue per step, between which lanes and messages get their turn

struct live {
    struct live_params p;
    enum reel_input_kind kind;
    struct reader *reader;
    struct reel_head *head; // of a pipe, else NULL
    bool waits;             // the input waits for its reader (files, pipes), so nothing is lost
    struct reader_stream *stream;
    struct decode *decode;
    struct filter *filter;
    AVFrame *decoded, *kept; // kept: the scan's first frame, when has_kept
    bool has_kept, wanted;
    struct copy *copy;
    struct reel_kept copy_kept;
    struct reader_item *held, **last_held; // packets of other streams that came before the first frame
    uint32_t n_held;
    int source_format; // the first frame's AVPixelFormat + 1; 0: unknown
    int64_t next_time; // for a frame without a timestamp, in the stream's time base
    // the end
    bool flushed, drained, ended, stopped;
    enum reel_err end_err;
    char end_text[REEL_TEXT_BYTES];
    // timestamps, in the job's time base
    AVRational time_base; // the job's; 0/1: not known yet
    bool placed;          // shift is known
    int64_t shift;        // from the filter's output to the job's timeline
    int64_t floor;        // earlier frames belong to an earlier attempt; INT64_MIN: there was none
    int64_t last_pts;     // of the last frame, INT64_MIN: none yet
    int64_t last_us;      // when that came
    // this attempt
    bool going;
    int64_t begun_us, start_pts; // a frame that comes at begun_us would have start_pts
    int64_t packets, errors_before, shown, out;
    uint64_t lost_told;
    int64_t run_us;
};

// ---- open and close -------------------------------------------------------------

static void take_resume(struct live *l, const struct reel_rec_open *open, struct reader_params *params)
{
    l->time_base = (AVRational){open->media.time_base.num, open->media.time_base.den};
    l->start_pts = open->start_pts;
    params->attempt = open->segment;
    if (l->kind != REEL_INPUT_FILE) return;
    l->floor = open->start_pts;
    params->resume_us = av_rescale_q(open->start_pts, l->time_base, AV_TIME_BASE_Q);
}

enum reel_err live_open(const struct live_params *p, struct live **out_live)
{
    *out_live = NULL;
    struct live *l = calloc(1, sizeof *l);
    if (!l || !(l->decoded = av_frame_alloc()) || !(l->kept = av_frame_alloc())) {
        live_close(&l);
        return reel_fail(REEL_ERR_NOMEM, "could not open video \"%s\": out of memory", p->job.input);
    }
    const char *why;
    l->p = *p;
    l->last_held = &l->held;
    l->floor = l->last_pts = INT64_MIN;
    l->time_base = (AVRational){0, 1};
    reel_input_kind_of(p->job.input, &l->kind, &why);
    l->waits = l->kind == REEL_INPUT_FILE || l->kind == REEL_INPUT_PIPE || reel_input_in_pieces(p->job.input);
    // The timeline of a file is that of the job: the demuxer has subtracted the start.
    l->placed = l->kind == REEL_INPUT_FILE;
    enum reel_err err = p->head_fd >= 0 ? reel_head_open(p->head_fd, &l->head) : REEL_OK;
    struct reader_params params = {.job = p->job,
                                   .settings = p->settings,
                                   .kind = l->kind,
                                   .fd = p->fd,
                                   .head = l->head,
                                   .resume_us = INT64_MIN,
                                   .latency_us = (int64_t)p->settings->latency_ms * 1000};
    if (p->resume) take_resume(l, p->resume, &params);
    l->p.resume = NULL; // was borrowed for this call only
    if (!err) err = reader_open(&params, &l->reader);
    if (err) live_close(&l);
    *out_live = l;
    return err;
}

static void close_codec(struct live *l)
{
    filter_destroy(&l->filter);
    decode_close(&l->decode);
}

void live_close(struct live **live)
{
    struct live *l = *live;
    if (!l) return;
    reader_close(&l->reader);
    reel_head_close(&l->head);
    for (struct reader_item *item; (item = l->held);) {
        l->held = item->next;
        reader_free(&item);
    }
    close_codec(l);
    reader_stream_free(&l->stream);
    copy_close(&l->copy);
    av_frame_free(&l->decoded);
    av_frame_free(&l->kept);
    free(l);
    *live = NULL;
}

int live_bell(const struct live *l)
{
    return reader_bell(l->reader);
}

uint32_t live_job(const struct live *l)
{
    return l->p.job.id;
}

// ---- items of the reader ----------------------------------------------------------

static enum reel_err open_codec(struct live *l)
{
    const struct reader_stream *s = l->stream;
    struct filter_params filter = {
        .pre_filter = l->p.settings->pre_filter,
        .matrix = s->has_matrix ? s->matrix : NULL,
        .time_base = s->time_base,
        .frame_rate = s->frame_rate,
    };
    struct decode_params decode = {
        .par = s->par,
        .time_base = s->time_base,
        .threads = l->p.settings->decoder_threads,
        .max_pixels = (int64_t)(l->p.settings->max_pixels * 1e6),
        .name = l->p.job.input,
    };
    enum reel_err err = filter_create(&filter, &l->filter);
    if (!err && filter_passes(l->filter)) decode.nvdec = l->p.nvdec;
    return err ? err : decode_open(&decode, &l->decode);
}

// The input was opened, perhaps again; what the codec still held is lost then.
static enum reel_err take_stream(struct live *l, struct reader_item *item)
{
    close_codec(l);
    reader_stream_free(&l->stream);
    l->stream = item->stream;
    item->stream = NULL;
    l->flushed = l->drained = false;
    l->errors_before = 0;
    l->next_time = 0;
    if (l->kind != REEL_INPUT_FILE) l->placed = false;
    return open_codec(l);
}

static enum reel_err finish_copy(struct live *l)
{
    struct reel_kept kept;
    uint64_t bytes;
    uint8_t sha256[32];
    enum reel_err err = l->copy ? copy_finish(l->copy, &kept, &bytes, sha256) : REEL_OK;
    copy_close(&l->copy);
    return err;
}

static enum reel_err take_copy(struct live *l, struct reader_item *item)
{
    enum reel_err err = finish_copy(l);
    l->copy = item->copy;
    l->copy_kept = item->kept;
    item->copy = NULL;
    return err;
}

static int64_t moved(int64_t ts, int64_t by)
{
    return ts == AV_NOPTS_VALUE ? ts : ts + by;
}

// Copies a packet of another stream, shifted like the video. Packets before the first frame, or of
// an earlier attempt, are left out.
static enum reel_err copy_other(struct live *l, AVPacket *k)
{
    int64_t by = av_rescale_q(l->shift, l->time_base, k->time_base);
    k->pts = moved(k->pts, by);
    k->dts = moved(k->dts, by);
    int64_t ts = k->pts != AV_NOPTS_VALUE ? k->pts : k->dts;
    if (ts == AV_NOPTS_VALUE || ts < 0) return REEL_OK;
    if (l->floor != INT64_MIN && av_compare_ts(ts, k->time_base, l->floor, l->time_base) < 0) return REEL_OK;
    return copy_packet(l->copy, k);
}

static enum reel_err pass_other(struct live *l, struct reader_item **item)
{
    if (!l->copy) return REEL_OK;
    if (l->going && l->placed && !l->held) return copy_other(l, (*item)->packet);
    if (!l->waits || l->n_held >= MOST_HELD) return REEL_OK;
    (*item)->next = NULL;
    *l->last_held = *item;
    l->last_held = &(*item)->next;
    l->n_held++;
    *item = NULL;
    return REEL_OK;
}

// Copies the held packets: the first frame has come, so their place is known.
static enum reel_err pass_held(struct live *l)
{
    enum reel_err err = REEL_OK;
    for (struct reader_item *item; (item = l->held);) {
        l->held = item->next;
        if (!err && l->copy) err = copy_other(l, item->packet);
        reader_free(&item);
    }
    l->last_held = &l->held;
    l->n_held = 0;
    return err;
}

static enum reel_err take_packet(struct live *l, struct reader_item **item)
{
    AVPacket *k = (*item)->packet;
    if (!l->decode) return REEL_OK;
    if (k->stream_index != l->stream->video) return pass_other(l, item);
    int64_t begin = reel_now_us();
    enum reel_err err = decode_send(l->decode, k);
    l->run_us += reel_now_us() - begin;
    // Cannot happen: next_raw() empties the codec before every packet.
    if (err == REEL_AGAIN)
        return reel_fail(REEL_ERR_FAULT, "could not decode \"%s\": the codec is full", l->p.job.input);
    l->packets++;
    return err;
}

static void take_end(struct live *l, struct reader_item *item)
{
    l->ended = true;
    l->end_err = item->err;
    memcpy(l->end_text, item->text, sizeof l->end_text);
}

static void pass_notes(struct live *l)
{
    int level;
    char text[REEL_TEXT_BYTES];
    while (reader_note(l->reader, &level, text)) l->p.notes->say(l->p.notes->ctx, level, text);
}

// Handles one item of the queue. AGAIN: there is none.
static enum reel_err take_item(struct live *l)
{
    struct reader_item *item;
    pass_notes(l);
    enum reel_err err = reader_next(l->reader, &item);
    if (err) return err;
    switch (item->what) {
    case READER_STREAM:
        err = take_stream(l, item);
        break;
    case READER_COPY:
        err = take_copy(l, item);
        break;
    case READER_PACKET:
        l->wanted = false;
        err = take_packet(l, &item);
        break;
    case READER_END:
        take_end(l, item);
        break;
    }
    reader_free(&item);
    return err;
}

// ---- frames ---------------------------------------------------------------------

// Sends a frame from the codec to the filter.
static enum reel_err filter_decoded(struct live *l)
{
    AVFrame *f = l->decoded;
    if (!l->source_format) l->source_format = f->format + 1;
    const struct reader_stream *s = l->stream;
    if (f->best_effort_timestamp != AV_NOPTS_VALUE) f->pts = f->best_effort_timestamp;
    // Raw streams have no timestamps; their frames follow each other at the frame rate.
    AVRational rate = s->frame_rate.num > 0 ? s->frame_rate : (AVRational){25, 1};
    const int64_t step = av_rescale_q(1, av_inv_q(rate), s->time_base);
    if (s->made_pts || f->pts == AV_NOPTS_VALUE) {
        f->pts = l->next_time;
        av_frame_set_duration(f, step);
    }
    l->next_time = f->pts + step;
    if (l->stream->sar.num > 0 && l->stream->sar.den > 0) f->sample_aspect_ratio = l->stream->sar;
    l->shown++;
    return filter_send(l->filter, f);
}

// Passes one frame from the codec to the filter. EOF: the codec is drained.
static enum reel_err decode_one(struct live *l)
{
    if (!l->decode) return REEL_AGAIN;
    int64_t begin = reel_now_us();
    enum reel_err err = decode_receive(l->decode, l->decoded);
    l->run_us += reel_now_us() - begin;
    return err ? err : filter_decoded(l);
}

// At the end of the input: makes the codec and the filter give the frames they still hold.
static enum reel_err flush(struct live *l)
{
    if (!l->decode) {
        l->drained = true;
        return REEL_OK;
    }
    if (!l->flushed) {
        l->flushed = true;
        return decode_send(l->decode, NULL);
    }
    l->drained = true;
    return filter_send(l->filter, NULL);
}

// The next frame from the filter, without a place on the job's timeline. AGAIN: none without more
// packets (with *out_worked: none in this step). EOF.
static enum reel_err next_raw(struct live *l, AVFrame *frame, bool *out_worked)
{
    *out_worked = false;
    for (int i = 0; i < STEP_ITEMS; i++) {
        enum reel_err err = l->filter ? filter_receive(l->filter, frame) : l->drained ? REEL_EOF : REEL_AGAIN;
        if (err != REEL_AGAIN) {
            *out_worked = true;
            return err;
        }
        err = l->drained ? REEL_EOF : decode_one(l);
        if (err == REEL_AGAIN || err == REEL_EOF) {
            if (err == REEL_EOF && !l->flushed) return REEL_EOF;
            err = l->ended ? flush(l) : take_item(l);
        }
        if (err) return err;
        *out_worked = true;
    }
    return REEL_AGAIN;
}

// ---- the scan -------------------------------------------------------------------

static void fill_times(struct live *l, struct reel_media *m)
{
    AVRational tb = filter_time_base(l->filter);
    if (tb.num <= 0 || tb.den <= 0) tb = l->stream->time_base;
    l->time_base = tb;
    m->time_base = (struct reel_rational){tb.num, tb.den};
    AVRational rate = filter_frame_rate(l->filter);
    m->frame_rate = (struct reel_rational){rate.num, rate.den > 0 ? rate.den : 1};
    m->flags |= REEL_MEDIA_NO_CUT | REEL_MEDIA_VFR;
    if (l->stream->made_pts) m->flags |= REEL_MEDIA_MADE_PTS;
    m->n_frames = m->n_packets = -1;
}

static enum reel_err end_of_scan(const struct live *l)
{
    if (l->end_err) return reel_fail(l->end_err, "%s", l->end_text);
    const char *why = l->decode ? decode_last_error(l->decode) : "";
    return reel_fail(
        REEL_ERR_INPUT, "could not decode video \"%s\": it ended without a single frame%s%s%s", l->p.job.input,
        *why ? ": " : "", why,
        l->kind == REEL_INPUT_PIPE
            ? "\na pipe needs a format that can be read from start to end, like .ts, .mkv or fragmented .mp4"
            : "");
}

enum reel_err live_scan(struct live *l, struct reel_rec_scanned *out)
{
    bool worked = true;
    enum reel_err err = next_raw(l, l->kept, &worked);
    if (err == REEL_AGAIN) {
        if (!worked && l->waits && !l->wanted) {
            l->wanted = true;
            reader_want_one(l->reader);
        }
        return err;
    }
    if (err == REEL_EOF) return end_of_scan(l);
    if (err) return err;
    *out = (struct reel_rec_scanned){.job = l->p.job.id, .media = l->stream->media, .kept = l->copy_kept};
    fill_times(l, &out->media);
    struct facts_ask ask = {.name = l->p.job.input,
                            .notes = l->p.notes,
                            .source = (enum AVPixelFormat)(l->source_format - 1),
                            .rotation = filter_rotation(l->filter)};
    if ((err = facts_of_picture(&ask, l->kept, &out->media))) return err;
    snprintf(out->media.codec, sizeof out->media.codec, "%s", avcodec_get_name(l->stream->par->codec_id));
    out->kept.timestamps = REEL_KEPT_ALL;
    const bool turned = out->media.rotation || *l->p.settings->pre_filter;
    out->on_device = l->stream->on_device && !turned && !(out->media.flags & REEL_MEDIA_ALPHA);
    reel_crash_point("decoder.opened");
    // If the input cannot wait, the scanned frame will be outdated when the run begins.
    l->has_kept = l->waits;
    if (!l->has_kept) av_frame_unref(l->kept);
    return REEL_OK;
}

// ---- attempts -------------------------------------------------------------------

void live_begin(struct live *l, const struct reel_rec_open *open)
{
    l->going = true;
    l->begun_us = reel_now_us();
    l->time_base = (AVRational){open->media.time_base.num, open->media.time_base.den};
    l->start_pts = open->start_pts;
    if (!l->has_kept) { // otherwise the frames of the scan belong to this attempt
        l->packets = l->shown = l->out = 0;
        l->errors_before = l->decode ? decode_errors(l->decode) : 0;
    }
    reader_begin(l->reader, open->segment);
    reader_go(l->reader);
}

void live_pause(struct live *l)
{
    l->going = false;
}

static int64_t ticks_of(const struct live *l, int64_t us)
{
    return av_rescale_q(us, AV_TIME_BASE_Q, l->time_base);
}

// Places the first frame of a connection: at 0, or after the last frame by as much time as has
// passed since that.
static void place(struct live *l, int64_t pts, int64_t now_us)
{
    if (l->placed) return;
    l->placed = true;
    if (l->last_pts != INT64_MIN)
        l->shift = l->last_pts + ticks_of(l, now_us - l->last_us) - pts;
    else if (l->start_pts > 0)
        l->shift = l->start_pts + ticks_of(l, now_us - l->begun_us) - pts;
    else
        l->shift = -pts;
}

// The frame's PTS and duration in the job's time base. False: it belongs to an earlier attempt.
static bool stamp(struct live *l, const AVFrame *frame, int64_t *out_pts, int64_t *out_duration)
{
    AVRational from = filter_time_base(l->filter);
    if (from.num <= 0 || from.den <= 0) from = l->stream->time_base;
    int64_t now_us = reel_now_us(), pts = av_rescale_q(frame->pts, from, l->time_base);
    place(l, pts, now_us);
    pts += l->shift;
    if (l->floor != INT64_MIN && pts < l->floor) return false;
    if (pts < 0) pts = 0;
    if (l->last_pts != INT64_MIN && pts <= l->last_pts) pts = l->last_pts + 1;
    l->last_pts = pts;
    l->last_us = now_us;
    int64_t duration = av_frame_duration(frame);
    *out_pts = pts;
    *out_duration = duration > 0 ? av_rescale_q(duration, from, l->time_base) : 0;
    return true;
}

enum reel_err live_next(struct live *l, AVFrame *frame, int64_t *out_pts, int64_t *out_duration, bool *out_worked)
{
    *out_worked = true;
    if (l->stopped) return REEL_EOF;
    enum reel_err err = REEL_OK;
    if (l->has_kept) {
        av_frame_move_ref(frame, l->kept);
        l->has_kept = false;
    } else {
        err = next_raw(l, frame, out_worked);
    }
    if (err == REEL_EOF) {
        enum reel_err finished = finish_copy(l);
        return l->end_err ? reel_fail(l->end_err, "%s", l->end_text) : finished ? finished : REEL_EOF;
    }
    if (err) return err;
    if (!stamp(l, frame, out_pts, out_duration)) {
        av_frame_unref(frame);
        l->shown--;
        return REEL_AGAIN;
    }
    l->out++;
    return l->held ? pass_held(l) : REEL_OK;
}

enum reel_err live_idle(struct live *l, bool *out_worked)
{
    *out_worked = false;
    pass_notes(l);
    if (l->waits || l->going || !l->stream) return REEL_OK;
    enum reel_err err = next_raw(l, l->kept, out_worked);
    av_frame_unref(l->kept);
    if (err == REEL_EOF) *out_worked = false; // the next attempt will report it
    return err == REEL_AGAIN || err == REEL_EOF ? REEL_OK : err;
}

void live_stop(struct live *l)
{
    l->stopped = true;
    finish_copy(l);
}

uint64_t live_lost(struct live *l)
{
    uint64_t lost = reader_dropped(l->reader), more = lost - l->lost_told;
    l->lost_told = lost;
    return more;
}

void live_ledger(const struct live *l, struct live_ledger *out)
{
    int64_t errors = l->decode ? decode_errors(l->decode) - l->errors_before : 0, silent = l->packets - l->shown;
    *out = (struct live_ledger){.packets = l->packets, .filtered = l->shown > l->out ? l->shown - l->out : 0};
    if (errors > 0 && silent > 0) out->unreadable = errors < silent ? errors : silent;
}

int64_t live_run_us(const struct live *l)
{
    return l->run_us;
}
