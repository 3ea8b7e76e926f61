// SPDX-License-Identifier: MIT
//
// One lane's epoch in this process: the waiting frames, the picture made from each,
// the sink. Frames are taken strictly in the order n = 0, 1, 2... (in a live job
// numbers are missing); a step does one of them, so that no lane waits long for
// another.
#ifndef REEL_AGGREGATOR_LANE_H
#define REEL_AGGREGATOR_LANE_H

#include "aggregator/live/live.h"
#include "aggregator/plan.h"
#include "aggregator/release.h"
#include "common/ring.h"
#include "common/stat.h"

struct lane;

struct lane_params {
    const struct reel_settings *settings;
    const struct reel_job *job;
    const struct reel_rec_open *open;
    struct reel_ring *in, *out; // mapped; those in host memory are configured here; borrowed
    struct release *release;
    struct reel_stat_row *row;
    struct live *live; // of a live job, borrowed; else NULL
};

enum reel_err lane_open(const struct lane_params *params, struct lane **out_lane);
// Releases everything and removes the unfinished part. Accepts &NULL.
void lane_close(struct lane **lane);

// PROTO when it is not the next one (live: not a later one), or there are more than
// slots.
enum reel_err lane_frame(struct lane *lane, const struct reel_rec_frame *rec);
enum reel_err lane_finish(struct lane *lane, uint32_t frames);
// Does one frame, or the end. AGAIN: nothing to do, or the sink has no room; EOF: the part is committed
// (*out_committed is filled, once).
enum reel_err lane_step(struct lane *lane, struct reel_rec_committed *out_committed);

uint32_t lane_epoch(const struct lane *lane);
uint32_t lane_job(const struct lane *lane);
bool lane_is_live(const struct lane *lane);
// The frame being done, for messages.
uint32_t lane_at(const struct lane *lane);
// After a failure a lane only waits to be closed.
void lane_set_failed(struct lane *lane);
bool lane_failed(const struct lane *lane);

#endif
