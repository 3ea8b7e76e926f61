// SPDX-License-Identifier: MIT
//
// Device rings on the side of the coordinator: who made them, duplicates of
// their descriptors, who has opened them. Called by flow.c; the protocol is
// described in common/proto.h. No driver is needed to hold a descriptor.
#ifndef COORDINATOR_RINGS_H
#define COORDINATOR_RINGS_H

#include "common/wire.h"
#include "coordinator/placement.h"
#include "coordinator/supervise.h"

struct run;

// Of one lane; in struct lane_io.
struct lane_rings {
    struct placement place;
    struct {
        bool on_device, made;
        struct reel_mem_handle handle;
        int fd;                           // a duplicate, -1 none
        uint64_t opened[(384 + 63) / 64]; // workers that have it
        bool aggregator_opened;
    } ring[2]; // enum reel_direction
};

// Kind of device memory of a run over these GPUs; NONE: no device rings.
enum reel_mem_kind rings_kind(const struct reel_gpu_table *gpus);
// Decides where the lane's frames will lie and fills the places of `open`.
void rings_plan(struct run *run, uint32_t lane, const struct placement_ask *ask);
// Whether a worker can serve the lane at all.
bool rings_reached_by(const struct run *run, uint32_t lane, uint32_t worker);
// Whether frames may be named to the lane's aggregator.
bool rings_aggregator_ready(const struct run *run, uint32_t lane);
// Sends p (a member that has OPEN_LANE) the rings that exist already.
void rings_offer(struct run *run, uint32_t lane, struct proc *p);
// Whether p, a member of the open lane, has yet to make or open a ring.
bool rings_owes(const struct run *run, uint32_t lane, const struct proc *p);
// p is dead: what it had opened counts no longer.
void rings_on_gone(struct run *run, uint32_t lane, const struct proc *p);
// The lane is idle: its owners may free, the duplicates go.
void rings_end(struct run *run, uint32_t lane);

enum rings_result {
    RINGS_OK,
    RINGS_GIVE_UP, // the epoch cannot go on; the next one will do without
};
enum rings_result rings_on_made(struct run *run, struct proc *p, const struct reel_rec_ring *rec);
enum rings_result rings_on_open(struct run *run, struct proc *p, const struct reel_rec_ring *rec);

#endif
