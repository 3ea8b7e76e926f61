// SPDX-License-Identifier: MIT
//
// A child's side of device rings. See child_rings.h. The coordinator knows which rings
// exist and who may use them (coordinator/rings.c).
#include "common/child_rings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cuda.h"
#include "common/life.h"
#include "common/log.h"

static struct reel_ring *ring_of(struct reel_child *c, uint32_t lane, enum reel_direction d)
{
    return d == REEL_RING_IN ? &c->in[lane] : &c->out[lane];
}

static struct reel_child_ring *mem_of(struct reel_child *c, uint32_t lane, enum reel_direction d)
{
    return &c->device_rings[2 * lane + (d == REEL_RING_OUT)];
}

static bool on_device(const struct reel_rec_open *open, enum reel_direction d)
{
    return (d == REEL_RING_IN ? open->in_place : open->out_place) == REEL_PLACE_DEVICE;
}

static uint32_t slots_of(const struct reel_rec_open *open, enum reel_direction d)
{
    return d == REEL_RING_IN ? open->in_slots : open->out_slots + open->out_spares;
}

enum reel_err reel_child_ring_configure(struct reel_child *c, const struct reel_rec_open *open, enum reel_direction d)
{
    struct reel_ring *ring = ring_of(c, open->lane, d);
    const struct reel_geometry *g = d == REEL_RING_IN ? &open->in : &open->out;
    return on_device(open, d) ? reel_ring_configure_device(ring, open->epoch, slots_of(open, d), g)
                              : reel_ring_configure(ring, open->epoch, slots_of(open, d), g);
}

static enum reel_err say(struct reel_child *c, enum reel_msg_type type, uint32_t lane, uint32_t epoch,
                         enum reel_direction d, enum reel_err result)
{
    struct reel_rec_ring rec = {.lane = lane, .epoch = epoch, .direction = d, .ok = !result};
    if (result) snprintf(rec.text, sizeof rec.text, "%.250s", reel_fail_text());
    return reel_bus_post(c->bus, REEL_BUS_HUB, type, &rec);
}

// ---- the owner ----------------------------------------------------------------

static enum reel_err open_device(struct reel_child *c)
{
    if (!reel_child_on_gpu(c) || c->device_open) return REEL_OK;
    enum reel_err err = reel_cuda_open(c->device);
    c->device_open = !err;
    return err;
}

static enum reel_err make(struct reel_child *c, const struct reel_rec_open *open, enum reel_direction d,
                          struct reel_child_ring *r)
{
    const struct reel_ring *ring = ring_of(c, open->lane, d);
    enum reel_err err = open_device(c);
    if (!err) err = reel_mem_alloc(c->mem_kind, c->device, ring->slots * ring->geometry.slot_bytes, &r->mem);
    if (err) return err;
    struct reel_ring_offer offer = {.lane = open->lane, .epoch = open->epoch, .direction = d};
    int fd;
    err = reel_mem_export(r->mem, &offer.handle, &fd);
    if (!err) err = reel_wire_send(c->wire_fd, &offer, sizeof offer, fd);
    if (fd >= 0) close(fd);
    if (err == REEL_AGAIN) err = reel_fail(REEL_ERR_LIMIT, "could not pass a device ring on: the wire is full");
    return err;
}

enum reel_err reel_child_ring_make(struct reel_child *c, const struct reel_rec_open *open, enum reel_direction d)
{
    struct reel_child_ring *r = mem_of(c, open->lane, d);
    // The memory of an earlier epoch: the coordinator opens a lane again only after all
    // its users have released that.
    reel_mem_close(&r->mem);
    if (!on_device(open, d)) return REEL_OK;
    *r = (struct reel_child_ring){.epoch = open->epoch};
    enum reel_err err = make(c, open, d, r);
    reel_crash_point("ring.made");
    enum reel_err said = say(c, REEL_MSG_RING_MADE, open->lane, open->epoch, d, err);
    if (err) {
        reel_mem_close(&r->mem);
        return err;
    }
    reel_ring_attach(ring_of(c, open->lane, d), reel_mem_base(r->mem), !reel_mem_on_host(r->mem));
    return said;
}

void reel_child_ring_free(struct reel_child *c, const struct reel_rec_ring *rec)
{
    if (rec->lane >= c->lanes || rec->direction > REEL_RING_OUT) return;
    struct reel_child_ring *r = mem_of(c, rec->lane, (enum reel_direction)rec->direction);
    if (r->epoch != rec->epoch) return;
    if (reel_mem_close(&r->mem)) reel_warn("rings", "%s", reel_fail_text());
}

// ---- the users ----------------------------------------------------------------

enum reel_err reel_child_ring_take(struct reel_child *c, const struct reel_rec_ring *rec)
{
    struct reel_ring_offer offer;
    int fd;
    enum reel_err err = reel_wire_recv(c->wire_fd, &offer, sizeof offer, &fd);
    if (err == REEL_GONE) return err;
    if (err || offer.lane != rec->lane || offer.epoch != rec->epoch || offer.direction != rec->direction ||
        offer.lane >= c->lanes || offer.direction > REEL_RING_OUT) {
        if (!err && fd >= 0) close(fd);
        return reel_fail(REEL_ERR_PROTO, "could not take a device ring: the wire holds another one than was announced");
    }
    enum reel_direction d = (enum reel_direction)offer.direction;
    struct reel_ring *ring = ring_of(c, offer.lane, d);
    struct reel_child_ring *r = mem_of(c, offer.lane, d);
    bool present = ring->on_device && ring->epoch == offer.epoch && !r->mem;
    if (present) {
        err = open_device(c);
        if (!err) err = reel_mem_open(&offer.handle, fd, c->device, &r->mem);
        if (!err && reel_mem_bytes(r->mem) < ring->slots * ring->geometry.slot_bytes) {
            reel_mem_close(&r->mem);
            err = reel_fail(REEL_ERR_PROTO, "could not take a device ring: it is too small");
        }
    }
    if (fd >= 0) close(fd);
    if (!present) return REEL_OK; // its epoch is over
    r->epoch = offer.epoch;
    if (!err) reel_ring_attach(ring, reel_mem_base(r->mem), !reel_mem_on_host(r->mem));
    reel_crash_point("ring.opened");
    return say(c, REEL_MSG_RING_OPEN, offer.lane, offer.epoch, d, err);
}

void reel_child_ring_drop(struct reel_child *c, uint32_t lane, enum reel_direction d)
{
    struct reel_child_ring *r = mem_of(c, lane, d);
    bool owner = (c->stage == REEL_DECODER && d == REEL_RING_IN) || (c->stage == REEL_AGGREGATOR && d == REEL_RING_OUT);
    if (owner) return;
    reel_ring_attach(ring_of(c, lane, d), NULL, false);
    if (reel_mem_close(&r->mem)) reel_warn("rings", "%s", reel_fail_text());
}

void reel_child_rings_fini(struct reel_child *c)
{
    for (uint32_t i = 0; c->device_rings && i < 2 * c->lanes; i++)
        reel_mem_close(&c->device_rings[i].mem); // the process ends: order no longer matters
    free(c->device_rings);
    c->device_rings = NULL;
    if (c->wire_fd > 0) close(c->wire_fd);
    c->wire_fd = -1;
}
