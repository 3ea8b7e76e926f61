// SPDX-License-Identifier: MIT
//
// The part of an input that is processed (--start, --end), while its packets are
// scanned: which frames are of it, where the output's timeline begins, and when nothing
// more of the file is needed. Pure; all times are PTS of the job's timeline in the video's
// time base.
//
// A frame is of the part when from <= pts < to. The output's 0 is the first such frame's
// time, so that no output begins with nothing to see; where the video itself begins later
// than the part, it is the part's start, and what sounds before the first frame stays.
#ifndef REEL_DECODER_RANGE_H
#define REEL_DECODER_RANGE_H

#include "common/settings.h"
#include "decoder/av.h"

struct range {
    bool on; // false: the whole input, and nothing below is of use
    int64_t start_us, end_us;
    int64_t from, to; // INT64_MIN, INT64_MAX: no bound
    AVRational time_base;
    // of the packets so far
    int64_t first;    // earliest one from `from` on; INT64_MAX: none yet
    int64_t last;     // latest time
    bool earlier;     // there was one before `from`
    int64_t n_after;  // packets since the first one at `from` or later
    int64_t n_behind; // packets since the first one at `to` or later
    int64_t untimed;  // packets that show and have no PTS
};

// Errors: CONFIG (which the coordinator has refused before).
enum reel_err range_init(struct range *range, const struct reel_settings *settings, AVRational time_base);
// First PTS that is not before a time, which may have been rounded to a microsecond.
int64_t range_tick(int64_t us, AVRational time_base);
// The next video packet, in coding order. pts, dts: AV_NOPTS_VALUE where it has none.
void range_see(struct range *range, int64_t pts, int64_t dts, bool shows);
// Whether range_zero() will not change any more.
bool range_is_settled(const struct range *range);
// What is 0 in the output, as far as it can be known.
int64_t range_zero(const struct range *range);
// Every frame of the part has been read.
bool range_is_read(const struct range *range);
// "0:01:30 to 0:02:00", for people.
const char *range_text(const struct range *range, char *buf, size_t bytes);

#endif
