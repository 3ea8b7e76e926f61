// SPDX-License-Identifier: MIT
//
// Where the frames of a lane lie: in host memory, or on a GPU. Decided when a
// lane opens, from what the GPUs, the stages and the job can. Pure.
//
// A ring on a GPU is for workers of that GPU and those with probed peer access.
// Where that is not all of them, lanes of other GPUs must keep the others busy,
// or the frames go through host memory, which all can read.
#ifndef COORDINATOR_PLACEMENT_H
#define COORDINATOR_PLACEMENT_H

#include "common/device.h"

struct placement_ask {
    const struct reel_gpu_table *gpus;
    const int *worker_gpu; // [n_workers], numbers of the table
    uint32_t n_workers;
    int decoder_gpu, aggregator_gpu; // of the lane's processes, -1 none
    uint64_t rings_off;              // bit i: rings on GPU i have failed
    bool in, out;                    // what the lane's stages and the job can have on a device
    uint32_t segments_left;          // of the job, this one included
    uint32_t lanes;                  // of the run
    uint32_t in_slots, out_slots;    // wanted (out with spares)
    uint32_t least_in_slots, least_out_slots;
    uint64_t in_slot_bytes, out_slot_bytes;
};

struct placement {
    int gpu; // -1: all in host memory
    bool in, out;
    uint32_t in_slots, out_slots; // of rings on the device; no more than wanted
};

void placement_decide(const struct placement_ask *ask, struct placement *out);
// Whether a worker on GPU `worker_gpu` reaches memory of GPU `gpu`.
bool placement_reaches(const struct reel_gpu_table *gpus, int worker_gpu, int gpu);

#endif
