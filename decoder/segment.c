// SPDX-License-Identifier: MIT
//
// Decodes a segment's frames. See segment.h.
//
//   demux -> decode -> range and timestamps -> filter -> the lane
//
// The end takes the same way: at the demuxer's EOF the codec gets NULL, at the codec's EOF (or the
// first frame after the range) the filter gets NULL, and the filter's EOF ends the segment.
#include "decoder/segment.h"

#include <stdlib.h>

#include "common/life.h"
#include "decoder/decode.h"
#include "decoder/entry.h"
#include "decoder/filter.h"
#include "decoder/timing.h"

// Packets per step: about as many as a codec with threads and reordering holds back, and few enough
// that the lane's turn stays short.
#define STEP_PACKETS 16

struct segment {
    struct segment_params p;
    struct demux *demux;
    struct decode *decode;
    struct filter *filter;
    AVPacket *packet; // if has_packet: read but not yet taken by the codec
    AVFrame *decoded;
    bool has_packet, demux_ended, flushed, decode_ended;
    bool past_start; // this segment's first picture has been read (it may have begun before)
    bool past_end;   // the next segment's entry has been read
    bool beyond;     // a packet that is shown after that entry has been read: no leading picture follows
    bool made_pts, exact_pts;
    bool late;                             // decoding begins before the range
    bool loose;                            // the packets of the part cannot be recognised by their PTS
    AVRational time_base, media_time_base; // of decoded frames, and of those that leave this segment
    int64_t last_pts;                      // of the last decoded frame, INT64_MIN: none yet
    int64_t last_out_pts;                  // of the last frame that left the filter
    int64_t last_duration;
    int64_t decoded_frames; // counted from the beginning of the file (streams without timestamps)
    bool interlaced;
    bool concealed;     // the codec concealed errors in a frame of the range
    int64_t shown, out; // frames of the range before and after the filter
    struct segment_ledger ledger;
    int64_t hidden_known, run_us;
    int64_t errors_before; // errors that the codec reported before the range
    int64_t missing;       // packets of the range that unexpectedly gave no frame
};

enum reel_err segment_open(const struct segment_params *p, struct demux_pool *pool, struct segment **out_segment)
{
    *out_segment = NULL;
    struct segment *s = calloc(1, sizeof *s);
    enum reel_err err = REEL_OK;
    if (!s || !(s->packet = av_packet_alloc()) || !(s->decoded = av_frame_alloc())) {
        err = reel_fail(REEL_ERR_NOMEM, "could not open segment of \"%s\": out of memory", p->job.input);
        goto fail;
    }
    s->p = *p;
    s->last_pts = s->last_out_pts = INT64_MIN;
    // Packets of numbered images have timestamps, made from the number.
    s->made_pts = p->media.flags & REEL_MEDIA_MADE_PTS && !(p->media.flags & REEL_MEDIA_STILL);
    s->exact_pts = !(p->media.flags & REEL_MEDIA_NO_CUT);
    s->past_start = p->start_pts == INT64_MIN;
    s->late = p->has_entry ? p->entry.pts < p->start_pts : p->start_pts > INT64_MIN;
    s->loose = !s->exact_pts && p->media.flags & (REEL_MEDIA_FROM | REEL_MEDIA_TO);
    s->media_time_base = (AVRational){p->media.time_base.num, p->media.time_base.den};
    s->demux = demux_pool_take(pool, p->job.id);
    if (!s->demux)
        err = demux_open(&p->job, p->settings, &s->demux);
    else if (!p->has_entry)
        err = demux_rewind(s->demux);
    if (err) goto fail;
    s->demux->progress = demux_pool_progress(pool);
    demux_video_only(s->demux);
    if (p->has_entry) {
        err = demux_seek(s->demux, &p->entry, s->packet);
        if (err) goto fail;
        s->has_packet = true;
    }
    s->time_base = s->made_pts ? av_inv_q(demux_made_rate(s->demux)) : s->demux->time_base;
    struct decode_params decode = {
        .par = s->demux->par,
        .time_base = s->time_base,
        .threads = p->settings->decoder_threads,
        .max_pixels = (int64_t)(p->settings->max_pixels * 1e6),
        .name = p->job.input,
        .kept_frames = p->kept_frames,
    };
    struct filter_params filter = {
        .pre_filter = p->settings->pre_filter,
        .matrix = demux_display_matrix(s->demux),
        .time_base = s->time_base,
        .frame_rate = s->demux->frame_rate,
    };
    err = filter_create(&filter, &s->filter);
    // Filters work on frames in main memory, so a GPU is used only without them.
    if (!err && filter_passes(s->filter)) decode.nvdec = p->nvdec;
    if (!err) err = decode_open(&decode, &s->decode);
    if (err) goto fail;
    *out_segment = s;
    return REEL_OK;
fail:
    segment_close(&s, pool);
    return err;
}

void segment_close(struct segment **segment, struct demux_pool *pool)
{
    struct segment *s = *segment;
    if (!s) return;
    filter_destroy(&s->filter);
    decode_close(&s->decode);
    if (s->demux) demux_pool_put(pool, &s->demux);
    av_packet_free(&s->packet);
    av_frame_free(&s->decoded);
    free(s);
    *segment = NULL;
}

// ---- packets --------------------------------------------------------------

// Whether a packet belongs to this segment's own range. For packets that are shown the PTS decides
// (leading pictures belong to the segment before the entry that they follow), for others the position
// in coding order, between this segment's entry and the next one's. So each packet of the file belongs
// to exactly one segment.
static bool is_own(struct segment *s, bool shows)
{
    int64_t pts = s->packet->pts;
    if (s->made_pts || (shows && pts == AV_NOPTS_VALUE)) return true;
    if (shows && s->past_end && pts > s->p.end_pts) s->beyond = true;
    if (shows && pts == s->p.end_pts) s->past_end = true;
    if (shows && pts == s->p.start_pts) s->past_start = true;
    if (!shows) return s->past_start && !s->past_end;
    return pts < s->p.end_pts && pts >= s->p.start_pts;
}

static void count_packet(struct segment *s)
{
    const AVPacket *k = s->packet;
    bool shows = !(k->flags & AV_PKT_FLAG_DISCARD) && !entry_hidden(s->demux->par->codec_id, k);
    if (!is_own(s, shows)) return;
    s->ledger.packets++;
    if (!shows) s->hidden_known++;
}

// Reads the next video packet unless one is waiting. EOF at the end of the file.
static enum reel_err next_packet(struct segment *s)
{
    while (!s->has_packet) {
        enum reel_err err = demux_read(s->demux, s->packet);
        if (err) return err;
        if (!s->demux->images && s->packet->stream_index != s->demux->video) {
            av_packet_unref(s->packet);
            continue;
        }
        s->has_packet = true;
    }
    return REEL_OK;
}

static enum reel_err feed(struct segment *s)
{
    enum reel_err err = s->demux_ended ? REEL_EOF : next_packet(s);
    if (err == REEL_EOF) {
        s->demux_ended = true;
        err = s->flushed ? REEL_EOF : decode_send(s->decode, NULL);
        if (!err) s->flushed = true;
        return err;
    }
    if (err) return err;
    if (s->made_pts) s->packet->pts = s->packet->dts = AV_NOPTS_VALUE;
    err = decode_send(s->decode, s->packet);
    if (err) return err; // on AGAIN the packet is kept
    count_packet(s);
    av_packet_unref(s->packet);
    s->has_packet = false;
    return REEL_OK;
}

// After the last frame of the range, counts packets until all leading pictures must have been read:
// in damaged streams that frame may come early.
static enum reel_err count_rest(struct segment *s)
{
    for (int i = 0; i < TIMING_LEADING_MAX && !s->beyond; i++) {
        enum reel_err err = s->demux_ended ? REEL_EOF : next_packet(s);
        if (err == REEL_EOF) return REEL_OK;
        if (err) return err;
        count_packet(s);
        av_packet_unref(s->packet);
        s->has_packet = false;
    }
    return REEL_OK;
}

// ---- frames ---------------------------------------------------------------

// The frame's time on the job's timeline, in the stream's time base.
static int64_t place_frame(struct segment *s, const AVFrame *frame)
{
    if (s->made_pts) return s->decoded_frames++;
    int64_t pts = s->exact_pts ? frame->pts : frame->best_effort_timestamp;
    if (pts == AV_NOPTS_VALUE) {
        if (s->last_pts == INT64_MIN) return 0;
        return s->last_pts + (s->last_duration > 0 ? s->last_duration : 1);
    }
    if (s->last_pts != INT64_MIN && pts <= s->last_pts) {
        s->ledger.moved++;
        pts = s->last_pts + 1;
    }
    return pts;
}

static enum reel_err show(struct segment *s, AVFrame *f, int64_t pts)
{
    f->pts = pts;
    f->sample_aspect_ratio = demux_sar(s->demux, f);
    if (s->made_pts) av_frame_set_duration(f, 1);
    return filter_send(s->filter, f);
}

// Handles a frame from the codec: drops it, ends the segment, or sends it to the filter.
static enum reel_err take_frame(struct segment *s)
{
    AVFrame *f = s->decoded;
    int64_t pts = place_frame(s, f);
    s->last_pts = pts;
    s->last_duration = av_frame_duration(f);
    s->interlaced |= av_frame_interlaced(f);
    if (pts >= s->p.end_pts) {
        av_frame_unref(f);
        s->decode_ended = true;
        enum reel_err err = count_rest(s);
        return err ? err : filter_send(s->filter, NULL);
    }
    if (pts < s->p.start_pts && (s->late || pts >= s->p.warmup_pts)) s->errors_before = decode_errors(s->decode);
    if (pts < s->p.warmup_pts) {
        av_frame_unref(f);
        return REEL_OK;
    }
    if (pts >= s->p.start_pts) s->shown++, s->concealed |= f->decode_error_flags || f->flags & AV_FRAME_FLAG_CORRUPT;
    return show(s, f, pts);
}

static enum reel_err decode_step(struct segment *s)
{
    for (int fed = 0; fed < STEP_PACKETS;) {
        enum reel_err err = decode_receive(s->decode, s->decoded);
        if (!err) return take_frame(s);
        if (err == REEL_EOF) {
            s->decode_ended = true;
            return filter_send(s->filter, NULL);
        }
        if (err != REEL_AGAIN) return err;
        err = feed(s);
        if (err && err != REEL_EOF && err != REEL_AGAIN) return err;
        fed++;
    }
    return REEL_OK;
}

// Accounts for packets that gave no frame, by the rules in segment.h.
static void close_ledger(struct segment *s)
{
    struct segment_ledger *l = &s->ledger;
    l->errors = decode_errors(s->decode) - s->errors_before;
    l->hidden = s->hidden_known;
    l->filtered = s->shown > s->out ? s->shown - s->out : 0;
    if (s->loose) l->packets = s->shown, l->hidden = 0;
    int64_t silent = l->packets - l->hidden - s->shown;
    if (silent <= 0) return;
    s->missing = silent;
    if (l->errors)
        l->unreadable = silent;
    else if (!s->interlaced)
        l->hidden += silent;
}

// Whether no damage was reported and every packet gave what it should.
static bool has_all(const struct segment *s)
{
    return !s->ledger.errors && (!s->missing || s->interlaced);
}

static enum reel_err out_frame(struct segment *s, AVFrame *frame, int64_t *out_pts, int64_t *out_duration)
{
    AVRational from = filter_time_base(s->filter);
    int64_t pts = frame->pts;
    if (av_cmp_q(from, s->media_time_base) && pts != AV_NOPTS_VALUE) pts = av_rescale_q(pts, from, s->media_time_base);
    if (pts == AV_NOPTS_VALUE || (s->last_out_pts != INT64_MIN && pts <= s->last_out_pts)) pts = s->last_out_pts + 1;
    s->last_out_pts = pts;
    // Count only frames of the range, not those of the warm-up. If the packets cannot be told apart
    // there is no warm-up, and the filter may use another time base.
    s->out += s->loose || (pts >= s->p.start_pts && pts < s->p.end_pts);
    *out_pts = pts;
    int64_t duration = av_frame_duration(frame);
    if (duration > 0)
        duration = av_cmp_q(from, s->media_time_base) ? av_rescale_q(duration, from, s->media_time_base) : duration;
    else if (s->made_pts)
        duration = av_rescale_q(1, s->time_base, s->media_time_base);
    *out_duration = duration > 0 ? duration : 0;
    return REEL_OK;
}

enum reel_err segment_next(struct segment *s, AVFrame *frame, int64_t *out_pts, int64_t *out_duration)
{
    int64_t begin = reel_now_us();
    enum reel_err err = filter_receive(s->filter, frame);
    if (err == REEL_AGAIN && !s->decode_ended) {
        err = decode_step(s);
        if (!err) err = filter_receive(s->filter, frame);
    }
    s->run_us += reel_now_us() - begin;
    if (!err) return out_frame(s, frame, out_pts, out_duration);
    if (err != REEL_EOF) return err;
    close_ledger(s);
    // A GPU conceals damage in its own way and drops frames that it cannot decode. So a segment counts
    // only if it is complete; otherwise it is decoded in software.
    if (decode_on_gpu(s->decode) && !has_all(s))
        return reel_fail(REEL_ERR_FAULT,
                         "could not decode a segment on the GPU: %lld damaged places, %lld frames are missing",
                         (long long)s->ledger.errors, (long long)s->missing);
    return REEL_EOF;
}

void segment_ledger(const struct segment *s, struct segment_ledger *out_ledger)
{
    *out_ledger = s->ledger;
}

bool segment_is_whole(const struct segment *s)
{
    return has_all(s) && !s->concealed;
}

int64_t segment_run_us(const struct segment *s)
{
    return s->run_us;
}
