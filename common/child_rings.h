// SPDX-License-Identifier: MIT
//
// Device rings on the side of a child: made by their owner (decoder: input,
// aggregator: output), opened by the others, released at the end of the epoch.
// The protocol is described in common/proto.h.
#ifndef REEL_COMMON_CHILD_RINGS_H
#define REEL_COMMON_CHILD_RINGS_H

#include "common/child.h"

// Sets up a lane's ring for an epoch as OPEN_LANE says, on either side; pixels
// on a device are attached later (make, take). Errors: PROTO.
enum reel_err reel_child_ring_configure(struct reel_child *child, const struct reel_rec_open *open,
                                        enum reel_direction direction);
// Owner, after configure: allocates the device ring, sends its handle and
// RING_MADE. On failure the coordinator is told (it gives up the epoch) and the
// reason returned: NOMEM, UNSUPPORTED, FAULT. OK if the ring is in host memory.
enum reel_err reel_child_ring_make(struct reel_child *child, const struct reel_rec_open *open,
                                   enum reel_direction direction);
// On RING: takes the handle from the wire, opens it and says RING_OPEN. One of
// another epoch than the ring's is dropped. Errors: those of the bus.
enum reel_err reel_child_ring_take(struct reel_child *child, const struct reel_rec_ring *rec);
// User: releases the ring before LANE_CLOSED. Owner: keeps the memory, which
// others may still have open, until FREE_RING.
void reel_child_ring_drop(struct reel_child *child, uint32_t lane, enum reel_direction direction);
// Owner, on FREE_RING.
void reel_child_ring_free(struct reel_child *child, const struct reel_rec_ring *rec);
// Frees and releases everything.
void reel_child_rings_fini(struct reel_child *child);

// Whether device memory is real GPU memory, which only the GPU can access.
static inline bool reel_child_on_gpu(const struct reel_child *child)
{
    return child->mem_kind == REEL_MEM_IPC || child->mem_kind == REEL_MEM_VMM;
}

#endif
