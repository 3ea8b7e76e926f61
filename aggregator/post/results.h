// SPDX-License-Identifier: MIT
//
// A worker's results in an output slot's aux area, with every size checked:
// shared memory is written by a process that may have gone wrong.
#ifndef REEL_AGGREGATOR_POST_RESULTS_H
#define REEL_AGGREGATOR_POST_RESULTS_H

#include "common/frame.h"

// Borrows the slot's memory.
struct results {
    struct reel_results head; // count and bytes are sound
    const uint8_t *items;
    const int32_t *track; // of each object, as tracker_frame() gives them (track.h); NULL: they are not tracked
};

// item sizes by head.task; PROTO when they do not fit aux_bytes.
enum reel_err results_read(const uint8_t *aux, uint32_t aux_bytes, struct results *out_results);
// Item i of a detection or classification (copied: no alignment is promised).
struct reel_object results_object(const struct results *r, uint32_t i);
struct reel_class_score results_class(const struct results *r, uint32_t i);
// The track of object i, or 0; whether it is reported.
static inline int32_t results_track(const struct results *r, uint32_t i)
{
    return r->track && r->track[i] > 0 ? r->track[i] : 0;
}
static inline bool results_shown(const struct results *r, uint32_t i)
{
    return !r->track || r->track[i] >= 0;
}

#endif
