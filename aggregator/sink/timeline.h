// SPDX-License-Identifier: MIT
//
// Decoding timestamps and durations of a whole job's video, from presentation
// timestamps alone. Pure: no file, no libav.
//
// With the packets in decoding order and D the reorder depth (the smallest
// with which no packet is decoded after it is shown), the DTS of packet i is
// the (i-D)-th PTS in order of showing; before the first it goes back in steps
// of the first distance. A packet's duration is the distance to the next PTS.
#ifndef REEL_AGGREGATOR_SINK_TIMELINE_H
#define REEL_AGGREGATOR_SINK_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct timeline {
    int64_t *pts;    // in decoding order
    int64_t *sorted; // in order of showing: those up to the last timeline_close()
    size_t n, room, closed;
    size_t depth; // D; at least what it was before the first close
    int64_t step; // before the first PTS
    int64_t last_duration;
};

enum reel_err timeline_add(struct timeline *t, int64_t pts); // NOMEM
// Orders what was added since the last time, all of which is shown after what was there
// then. INPUT when two packets have one PTS, or one goes back.
enum reel_err timeline_close(struct timeline *t, int64_t last_duration);
int64_t timeline_dts(const struct timeline *t, size_t i);
// Of the packet with this pts.
int64_t timeline_duration(const struct timeline *t, int64_t pts);
// The middle one of all distances between neighbours; 0: there are none, or no memory.
int64_t timeline_median(const struct timeline *t);
void timeline_fini(struct timeline *t);

#endif
