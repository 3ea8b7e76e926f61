// SPDX-License-Identifier: MIT
//
// Which frames go to which worker. Flow control: counts promises to receive
// (credits), never slots; who may touch a slot is lanes.c's alone.
//
// Workers pull: READY adds credits, nothing is sent beyond them. Oldest lane
// first, lowest frame first. How much a worker may hold follows from its
// measured speed: a second batch only while it would not keep the lanes
// waiting, near the end nothing that others would finish sooner, and nothing at
// all if one of its frames would hold up the others for a whole window. Where a
// lane's frames are worked on in parts, a part counts as a frame here: an idle
// worker takes the next part of the oldest frame. Frames whose parts are done
// together are given by team.c, which counts them here. A lane whose frames carry
// a state is bound to the worker with the fewest such lanes before its first
// frame, and its frames go there in order.
//
// Pure: time comes in as an argument. Called by flow.c.
#ifndef COORDINATOR_DISPATCH_H
#define COORDINATOR_DISPATCH_H

#include "coordinator/lanes.h"

#define DISPATCH_MAX_BATCH 64

// One worker; plain data.
struct dispatch_worker {
    bool up;
    bool alone;       // holds a suspected frame: nothing else may go there
    uint32_t credits; // frames it still accepts
    uint32_t held;    // frames it has
    uint32_t batch;   // the most it takes in one message
    double frame_us;  // measured, smoothed; 0 not yet known
    uint64_t done;    // frames answered in all
    int64_t idle_us;  // when it was first seen with nothing to do; 0: it has something
};

struct dispatch {
    uint32_t n;
    struct dispatch_worker worker[LANE_MAX_WORKERS];
    int64_t remaining;    // frames of the run not yet given, -1 unknown
    double ahead_us;      // of work that a worker may hold now
    double live_ahead_us; // the same with a live input, where it is short; 0: none is live
    int late_factor;      // a head frame is late after this many times the usual time
};

struct dispatch_item {
    uint32_t lane, n, part, out_slot;
};

struct dispatch_batch {
    uint32_t worker, count;
    struct dispatch_item item[DISPATCH_MAX_BATCH];
};

void dispatch_init(struct dispatch *d, uint32_t workers);
void dispatch_up(struct dispatch *d, uint32_t worker, uint32_t batch);
void dispatch_on_ready(struct dispatch *d, uint32_t worker, uint32_t credits);
// An answer: frame_us is the time the worker needed for this frame.
void dispatch_on_done(struct dispatch *d, uint32_t worker, uint32_t frame_us);
// The closing of their lane has answered frames that it held.
void dispatch_on_let_go(struct dispatch *d, uint32_t worker, uint32_t frames);
void dispatch_on_gone(struct dispatch *d, uint32_t worker);

// Decides the next batch and books it in lanes and d. False: nothing to send.
// lanes: array of n_lanes; those not OPEN are passed over.
bool dispatch_next(struct dispatch *d, struct lane *lanes, uint32_t n_lanes, int64_t now_us,
                   struct dispatch_batch *out_batch);
// Frames per microsecond of all workers whose speed is known.
double dispatch_rate(const struct dispatch *d);

#endif
