// SPDX-License-Identifier: MIT
//
// A ring: the equal slots of one lane in one direction, seen by one process.
// Frame n lives in slot n mod slots. The ring holds no state of a slot: that
// is the coordinator's alone (common/proto.h has the table); here are only
// addresses and the stamp that readers assert.
//
// The pixels lie in the slots themselves, or in a device ring (common/mem.h) of
// the same number of slots; stamp and aux area are always in host memory.
#ifndef REEL_COMMON_RING_H
#define REEL_COMMON_RING_H

#include "common/frame.h"

// Process-private handle. init: after the descriptor is mapped; configure: at
// each epoch.
struct reel_ring {
    uint8_t *base;
    uint64_t bytes; // of the mapping
    uint32_t slots;
    struct reel_geometry geometry; // of pictures, as in OPEN_LANE
    struct reel_geometry slot;     // of what lies in host memory: the same, or without the picture
    uint32_t epoch;
    bool on_device;
    bool on_gpu;     // and only a GPU reaches them there
    uint8_t *pixels; // begin of the device ring; NULL until it is attached
};

// Maps fd. Errors: IO, PROTO.
enum reel_err reel_ring_init(struct reel_ring *ring, int fd, uint64_t bytes);
void reel_ring_fini(struct reel_ring *ring);
// Takes the geometry of a new epoch. PROTO when it does not fit the mapping.
enum reel_err reel_ring_configure(struct reel_ring *ring, uint32_t epoch, uint32_t slots,
                                  const struct reel_geometry *geometry);

// The same for an epoch whose pixels lie on a device. The host's slots are then
// those of reel_ring_host_part(geometry).
enum reel_err reel_ring_configure_device(struct reel_ring *ring, uint32_t epoch, uint32_t slots,
                                         const struct reel_geometry *geometry);
// Begin of the device ring (borrowed until the next configure), NULL to let go.
// on_gpu: the processor must not touch it.
void reel_ring_attach(struct reel_ring *ring, void *pixels, bool on_gpu);
struct reel_geometry reel_ring_host_part(const struct reel_geometry *geometry);

// Begin of slot slot_id in host memory (0 <= slot_id < slots; asserted).
uint8_t *reel_ring_slot(const struct reel_ring *ring, uint32_t slot_id);
static inline uint32_t reel_ring_slot_of(const struct reel_ring *ring, uint32_t n)
{
    return n % ring->slots;
}
// What the plane offsets of the geometry count from: the slot, or its like on
// the device (a device pointer).
uint8_t *reel_ring_pixels(const struct reel_ring *ring, uint32_t slot_id);
uint8_t *reel_ring_plane(const struct reel_ring *ring, uint32_t slot_id, int plane);
uint8_t *reel_ring_aux(const struct reel_ring *ring, uint32_t slot_id);

// Writer: called after the last byte of frame n is in the slot.
void reel_ring_publish(const struct reel_ring *ring, uint32_t slot_id, uint32_t n, int64_t pts, uint32_t aux_bytes);
// Reader: the stamp of a slot that must hold frame n of this epoch. Returns
// PROTO (with both values in the text) when it does not.
enum reel_err reel_ring_check(const struct reel_ring *ring, uint32_t slot_id, uint32_t n, struct reel_stamp *out_stamp);

#endif
