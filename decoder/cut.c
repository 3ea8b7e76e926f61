// SPDX-License-Identifier: MIT
//
// Cuts the other streams to the processed part of an input. See cut.h.
#include "decoder/cut.h"

#include <stdio.h>

struct span {
    int64_t zero, end;
};

static struct span span_in(const struct cut *cut, AVRational tb)
{
    return (struct span){
        .zero = av_rescale_q(cut->zero, cut->time_base, tb),
        .end = cut->end == INT64_MAX ? INT64_MAX : av_rescale_q_rnd(cut->end, cut->time_base, tb, AV_ROUND_UP),
    };
}

// Text that is on screen when the part begins is shown from 0 on for the rest of its duration.
static bool cut_text(struct span span, struct reel_pack_packet *p)
{
    const int64_t begin = p->pts;
    if (p->duration <= 0) return begin >= span.zero && begin < span.end;
    int64_t from = begin > span.zero ? begin : span.zero, to = begin + p->duration;
    if (to > span.end) to = span.end;
    if (to <= from) return false;
    p->pts = p->dts = from;
    p->duration = to - from;
    return true;
}

static bool is_kept(struct span span, enum cut_kind kind, bool begun, const struct reel_pack_packet *p)
{
    const int64_t time = p->pts != INT64_MIN ? p->pts : p->dts;
    if (time == INT64_MIN) return begun;
    switch (kind) {
    case CUT_HIDDEN:
        return time < span.end && time + (p->duration > 0 ? p->duration : 0) >= span.zero + (p->duration > 0);
    case CUT_VIDEO:
        // Nothing before the first keyframe can be decoded.
        if (!begun && !(p->flags & AV_PKT_FLAG_KEY)) return false;
        return time >= span.zero && (p->dts != INT64_MIN ? p->dts : time) < span.end;
    default:
        return time >= span.zero && time < span.end;
    }
}

bool cut_packet(const struct cut *cut, enum cut_kind kind, AVRational tb, bool *begun, struct reel_pack_packet *p)
{
    const struct span span = span_in(cut, tb);
    bool kept = kind == CUT_TEXT && p->pts != INT64_MIN ? cut_text(span, p) : is_kept(span, kind, *begun, p);
    if (!kept) return false;
    *begun = true;
    if (p->pts != INT64_MIN) p->pts -= span.zero;
    if (p->dts != INT64_MIN) p->dts -= span.zero;
    return true;
}

bool cut_chapter(const struct cut *cut, struct reel_pack_chapter *c)
{
    const struct span span = span_in(cut, (AVRational){c->time_base.num, c->time_base.den});
    if (c->start >= span.end || (c->end != INT64_MIN && c->end <= span.zero)) return false;
    if (c->end > span.end) c->end = span.end;
    if (c->end != INT64_MIN) c->end -= span.zero;
    c->start = c->start > span.zero ? c->start - span.zero : 0;
    return true;
}

bool cut_timecode(const struct cut *cut, AVRational frame_rate, const char *text, char *buf, size_t bytes)
{
    AVTimecode code;
    char out[AV_TIMECODE_STR_SIZE];
    if (frame_rate.num <= 0 || frame_rate.den <= 0) return false;
    if (av_timecode_init_from_string(&code, frame_rate, text, NULL) < 0) return false;
    int64_t frames = av_rescale_q(cut->zero, cut->time_base, av_inv_q(frame_rate));
    if (frames < 0 || frames > INT32_MAX / 2) return false;
    snprintf(buf, bytes, "%s", av_timecode_make_string(&code, out, (int)frames));
    return true;
}
