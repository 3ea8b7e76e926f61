// SPDX-License-Identifier: MIT
//
// demux_place(): from a stream's timestamps to the job's timeline.
//
// The timeline begins where libav says that the file begins (the earliest start of its
// streams). Opening the same file again gives the same start, so all processes that open it
// agree. Wrapped and restarted counters are continued.
#include <stdlib.h>

#include "decoder/demux.h"

// The value closest to `near` that differs from ts by whole periods of the stream's counter (33 bits
// in MPEG-TS).
static int64_t unwrap(int64_t ts, int64_t near, int bits)
{
    if (bits <= 0 || bits >= 62 || near == AV_NOPTS_VALUE) return ts;
    int64_t period = INT64_C(1) << bits, half = period / 2;
    int64_t turns = (near - ts + (near >= ts ? half : -half)) / period;
    return ts + turns * period;
}

// In MPEG streams that were concatenated (cat a.ts b.ts) the clock starts again in the middle.
// The video decides where: from there on all streams are shifted so that it continues one
// picture later. This depends on the video's packets alone, so a lane, which reads no other
// streams, gets the same result.
#define SPLICE_BACK_MS 100      // a DTS that goes back by less is damage
#define SPLICE_AHEAD_MS 3600000 // a longer gap is not a pause
#define BESIDE_MS 10000         // packets of the same time are at most this far apart in the file

static int64_t ticks(AVRational time_base, int ms)
{
    return av_rescale_q(ms, (AVRational){1, 1000}, time_base);
}

static bool is_spliced(const struct demux_clock *clock, AVRational time_base, int64_t ts)
{
    if (clock->last == AV_NOPTS_VALUE) return false;
    return ts < clock->last - ticks(time_base, SPLICE_BACK_MS) || ts > clock->last + ticks(time_base, SPLICE_AHEAD_MS);
}

static int64_t shifted(const struct demux_clock *clock, int64_t ts, int bits, int64_t shift)
{
    return unwrap(ts, clock->last == AV_NOPTS_VALUE ? clock->last : clock->last - shift, bits) + shift;
}

static int64_t place_video(struct demux *d, struct demux_clock *clock, int64_t dts, int bits)
{
    int64_t ts = shifted(clock, dts, bits, d->shift);
    if (!d->may_splice || !is_spliced(clock, d->time_base, ts)) return ts;
    int64_t step = clock->duration;
    if (step <= 0 && d->frame_rate.num > 0) step = av_rescale_q(1, av_inv_q(d->frame_rate), d->time_base);
    if (step <= 0) step = 1;
    d->splices++;
    d->shift_before = d->shift;
    d->shift += clock->last + step - ts;
    return clock->last + step;
}

// Other streams reach a splice earlier or later than the video. Each packet belongs to the
// side whose times are near the video's last packet.
static int64_t place_other(const struct demux *d, struct demux_clock *clock, AVRational time_base, int64_t dts,
                           int bits)
{
    int64_t ts = shifted(clock, dts, bits, d->shift), video = d->clocks[d->video].last;
    if (!d->may_splice || video == AV_NOPTS_VALUE) return ts;
    video = av_rescale_q(video, d->time_base, time_base);
    int64_t beside = ticks(time_base, BESIDE_MS), before = shifted(clock, dts, bits, d->shift_before);
    bool is_late = d->splices && llabs(ts - video) > beside && llabs(before - video) <= beside;
    if (llabs(ts - video) <= beside || is_late || !is_spliced(clock, time_base, ts)) {
        clock->ahead = false;
        return is_late ? before : ts;
    }
    if (!clock->ahead) clock->own = clock->last + clock->duration - ts;
    clock->ahead = true;
    return ts + clock->own;
}

int64_t demux_time(int64_t ts)
{
    const int64_t reach = INT64_C(1) << 60;
    return ts > -reach && ts < reach ? ts : AV_NOPTS_VALUE;
}

void demux_place(struct demux *d, AVPacket *packet)
{
    packet->pts = demux_time(packet->pts);
    packet->dts = demux_time(packet->dts);
    if (demux_time(packet->duration) == AV_NOPTS_VALUE) packet->duration = 0;
    struct demux_clock *clock = &d->clocks[packet->stream_index];
    const AVStream *st = d->fmt->streams[packet->stream_index];
    int bits = st->pts_wrap_bits;
    if (packet->dts != AV_NOPTS_VALUE) {
        int64_t ts = packet->stream_index == d->video ? place_video(d, clock, packet->dts, bits)
                                                      : place_other(d, clock, st->time_base, packet->dts, bits);
        int64_t shift = ts - packet->dts;
        clock->last = packet->dts = ts;
        if (packet->pts != AV_NOPTS_VALUE) packet->pts = shifted(clock, packet->pts, bits, shift);
    } else if (packet->pts != AV_NOPTS_VALUE) {
        clock->last = packet->pts = shifted(clock, packet->pts, bits, d->shift);
    }
    clock->duration = packet->duration;
    if (packet->pts != AV_NOPTS_VALUE) packet->pts -= clock->start;
    if (packet->dts != AV_NOPTS_VALUE) packet->dts -= clock->start;
}
