// SPDX-License-Identifier: MIT
//
// What is kept of the streams beside the video when only a part of an input is
// processed, and when it is shown. Pure: packets of the copy part in, packets on the
// output's timeline out. All streams are moved by the same time, so that they stay with
// each other; packets are never cut in two.
#ifndef REEL_DECODER_CUT_H
#define REEL_DECODER_CUT_H

#include "common/pack.h"
#include "decoder/av.h"

// From zero to before end, moved so that zero becomes 0. In time_base.
struct cut {
    int64_t zero, end; // INT64_MAX: no end
    AVRational time_base;
};

enum cut_kind {
    CUT_SOUND,  // packets that begin in the part
    CUT_HIDDEN, // the same, and one that reaches into it: the container hides what is before 0 (edit list)
    CUT_TEXT,   // events that are seen in it, shortened to that
    CUT_VIDEO,  // from its first keyframe on
    CUT_OTHER,  // packets that begin in the part
};

// Whether a packet (time base tb, of the input's timeline) is kept; its times are the output's
// then. *begun: of its stream, false at first.
bool cut_packet(const struct cut *cut, enum cut_kind kind, AVRational tb, bool *begun, struct reel_pack_packet *packet);
// The same of a chapter, which is shortened to the part.
bool cut_chapter(const struct cut *cut, struct reel_pack_chapter *chapter);
// The timecode of the output's first frame, where `text` is that of the input's. False: it is none.
bool cut_timecode(const struct cut *cut, AVRational frame_rate, const char *text, char *buf, size_t bytes);

#endif
