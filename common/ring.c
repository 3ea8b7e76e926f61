// SPDX-License-Identifier: MIT
//
// Addresses and stamps of a ring's slots. See ring.h.
#include "common/ring.h"

#include <stdlib.h>
#include <string.h>

#include "common/life.h"
#include "common/log.h"
#include "common/shm.h"

// A failure is a bug of ours, and continuing would write into other processes' memory.
#define RING_ASSERT(cond)                                      \
    do {                                                       \
        if (!(cond)) {                                         \
            reel_error("ring", "assertion failed: %s", #cond); \
            abort();                                           \
        }                                                      \
    } while (0)

enum reel_err reel_ring_init(struct reel_ring *ring, int fd, uint64_t bytes)
{
    *ring = (struct reel_ring){0};
    void *base;
    enum reel_err err = reel_shm_map(fd, bytes, &base);
    if (err) return err;
    ring->base = base;
    ring->bytes = bytes;
    return REEL_OK;
}

void reel_ring_fini(struct reel_ring *ring)
{
    reel_shm_unmap(ring->base, ring->bytes);
    *ring = (struct reel_ring){0};
}

enum reel_err reel_ring_configure(struct reel_ring *ring, uint32_t epoch, uint32_t slots,
                                  const struct reel_geometry *geometry)
{
    if (!reel_geometry_valid(geometry, slots, ring->bytes))
        return reel_fail(REEL_ERR_PROTO, "could not set up ring: %u slots of %llu bytes do not fit %llu", slots,
                         (unsigned long long)geometry->slot_bytes, (unsigned long long)ring->bytes);
    ring->epoch = epoch;
    ring->slots = slots;
    ring->geometry = ring->slot = *geometry;
    ring->on_device = ring->on_gpu = false;
    ring->pixels = NULL;
    return REEL_OK;
}

struct reel_geometry reel_ring_host_part(const struct reel_geometry *geometry)
{
    struct reel_geometry part;
    const struct reel_pixel_format none = {.layout = REEL_PIX_NONE};
    // Cannot fail: with no planes the slot cannot be too large.
    RING_ASSERT(!reel_geometry_init(&part, none, geometry->width, geometry->height, geometry->aux_bytes));
    return part;
}

enum reel_err reel_ring_configure_device(struct reel_ring *ring, uint32_t epoch, uint32_t slots,
                                         const struct reel_geometry *geometry)
{
    if (!reel_geometry_valid(geometry, slots, UINT64_MAX))
        return reel_fail(REEL_ERR_PROTO, "could not set up device ring: its geometry is invalid");
    struct reel_geometry part = reel_ring_host_part(geometry);
    enum reel_err err = reel_ring_configure(ring, epoch, slots, &part);
    if (err) return err;
    ring->geometry = *geometry;
    ring->on_device = true;
    return REEL_OK;
}

void reel_ring_attach(struct reel_ring *ring, void *pixels, bool on_gpu)
{
    ring->pixels = pixels;
    ring->on_gpu = on_gpu;
}

uint8_t *reel_ring_slot(const struct reel_ring *ring, uint32_t slot_id)
{
    RING_ASSERT(slot_id < ring->slots);
    return ring->base + slot_id * ring->slot.slot_bytes;
}

uint8_t *reel_ring_pixels(const struct reel_ring *ring, uint32_t slot_id)
{
    if (!ring->on_device) return reel_ring_slot(ring, slot_id);
    RING_ASSERT(slot_id < ring->slots && ring->pixels);
    return ring->pixels + slot_id * ring->geometry.slot_bytes;
}

uint8_t *reel_ring_plane(const struct reel_ring *ring, uint32_t slot_id, int plane)
{
    RING_ASSERT(plane >= 0 && plane < reel_format_planes(ring->geometry.format));
    return reel_ring_pixels(ring, slot_id) + ring->geometry.plane_offset[plane];
}

uint8_t *reel_ring_aux(const struct reel_ring *ring, uint32_t slot_id)
{
    return reel_ring_slot(ring, slot_id) + ring->slot.aux_offset;
}

void reel_ring_publish(const struct reel_ring *ring, uint32_t slot_id, uint32_t n, int64_t pts, uint32_t aux_bytes)
{
    RING_ASSERT(aux_bytes <= ring->geometry.aux_bytes);
    struct reel_stamp *stamp = (struct reel_stamp *)reel_ring_slot(ring, slot_id);
    stamp->epoch = ring->epoch;
    stamp->n = n;
    stamp->aux_bytes = aux_bytes;
    stamp->pts = pts;
    stamp->written_us = reel_now_us();
    // Pairs with the acquire load in reel_ring_check(). The message that announces the slot
    // already orders the accesses; this only makes sure that the stamp is written last.
    __atomic_store_n(&stamp->magic, REEL_STAMP_MAGIC, __ATOMIC_RELEASE);
}

enum reel_err reel_ring_check(const struct reel_ring *ring, uint32_t slot_id, uint32_t n, struct reel_stamp *out_stamp)
{
    if (slot_id >= ring->slots)
        return reel_fail(REEL_ERR_PROTO, "could not read slot %u: the ring has %u", slot_id, ring->slots);
    const struct reel_stamp *stamp = (const struct reel_stamp *)reel_ring_slot(ring, slot_id);
    // Pairs with the release store in reel_ring_publish().
    uint32_t magic = __atomic_load_n(&stamp->magic, __ATOMIC_ACQUIRE);
    if (magic != REEL_STAMP_MAGIC || stamp->epoch != ring->epoch || stamp->n != n)
        return reel_fail(REEL_ERR_PROTO,
                         "could not read slot %u: it holds frame %u of epoch %u, not frame %u of epoch %u", slot_id,
                         stamp->n, stamp->epoch, n, ring->epoch);
    *out_stamp = *stamp;
    if (out_stamp->aux_bytes > ring->geometry.aux_bytes)
        return reel_fail(REEL_ERR_PROTO, "could not read slot %u: %u bytes of side data, there is room for %u", slot_id,
                         out_stamp->aux_bytes, ring->geometry.aux_bytes);
    return REEL_OK;
}
