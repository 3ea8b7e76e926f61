// SPDX-License-Identifier: MIT
//
// Analysis of the timestamps of a whole video stream: range, steps, faults, and
// at which entries it may be cut. Pure; filled packet by packet by the scan.
#ifndef REEL_DECODER_TIMING_H
#define REEL_DECODER_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/media.h"

#define TIMING_NONE INT64_MIN // no timestamp (the number libav uses, too)

// Pictures that are coded after an entry but shown before it follow it within so many packets (the
// reorder depth of 16 frames, twice that in fields, and some reserve). If one comes later, the
// timestamps are wrong.
#define TIMING_LEADING_MAX 64

// Growing arrays; all zero is empty.
struct timing {
    int64_t *pts; // of every packet that may show, in coding order
    int64_t n, room;
    int64_t missing;  // packets without a PTS
    int64_t dts_back; // DTS that went back
    int64_t last_dts;
    int64_t longest;          // PTS so far
    int64_t longest_duration; // of the packet with that PTS
    struct reel_entry *entries;
    int64_t *entry_at; // index into pts of each entry's packet
    int64_t n_entries, room_entries;
    int64_t *hidden_at; // of each hidden packet: how many that show were coded before it
    int64_t n_hidden, room_hidden;
    bool any;
};

// first to last_duration and the steps are those of a part: from <= pts < to.
struct timing_result {
    int64_t frames; // packets that show in it
    int64_t hidden; // hidden ones that are coded from its first frame to the first one behind it
    int64_t first, last, last_duration;
    int64_t next;     // PTS of the first frame behind it, or TIMING_NONE
    bool earlier;     // there are frames before it
    int64_t repeated; // packets that show at the time of another, in the whole stream
    bool variable;    // steps differ by more than one tick (of rounding)
    double mean_step; // 0: fewer than two
};

// One packet. entry: NULL when decoding cannot start here. shows: false for
// hidden packets, whose timestamp does not count. False when memory is short.
bool timing_add(struct timing *t, int64_t pts, int64_t dts, int64_t duration, bool shows,
                const struct reel_entry *entry);
// After the last packet. Thins the entries: valid ones (everything coded before
// shows before), at most one per second of PTS, the first of each; ticks is
// the length of a second. from, to: the part; INT64_MIN, INT64_MAX: all.
void timing_finish(struct timing *t, double ticks, int64_t from, int64_t to, struct timing_result *out_result);
void timing_free(struct timing *t);

#endif
