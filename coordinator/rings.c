// SPDX-License-Identifier: MIT
//
// Passes the handles of device rings from their owners to their users. See rings.h.
#include "coordinator/rings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "coordinator/coordinator.h"

_Static_assert(sizeof((struct lane_rings *)0)->ring[0].opened * 8 >= LANE_MAX_WORKERS, "a bit for each worker");

enum reel_mem_kind rings_kind(const struct reel_gpu_table *gpus)
{
    bool vmm = true, host = true;
    for (uint32_t i = 0; i < gpus->n; i++) vmm &= gpus->gpu[i].vmm, host &= gpus->gpu[i].host;
    const char *asked = getenv("REELMILL_DEVICE_MEMORY"); // off, ipc or vmm, to compare them
    if (!gpus->n || (asked && !strcmp(asked, "off"))) return REEL_MEM_NONE;
    enum reel_mem_kind kind = reel_mem_choose(vmm, host), wanted = asked ? reel_mem_kind_parse(asked) : REEL_MEM_NONE;
    bool may = !host && (wanted == REEL_MEM_IPC || (wanted == REEL_MEM_VMM && vmm));
    return may ? wanted : kind;
}

void rings_plan(struct run *run, uint32_t l, const struct placement_ask *ask)
{
    struct lane_rings *r = &run->io[l].rings;
    memset(r, 0, sizeof *r);
    r->ring[REEL_RING_IN].fd = r->ring[REEL_RING_OUT].fd = -1;
    placement_decide(ask, &r->place);
    r->ring[REEL_RING_IN].on_device = r->place.in;
    r->ring[REEL_RING_OUT].on_device = r->place.out;
}

bool rings_reached_by(const struct run *run, uint32_t l, uint32_t worker)
{
    int gpu = run->io[l].rings.place.gpu;
    return gpu < 0 || placement_reaches(&run->gpus, run->worker_devices[worker], gpu);
}

bool rings_aggregator_ready(const struct run *run, uint32_t l)
{
    const struct lane_rings *r = &run->io[l].rings;
    // The output ring is its own; it reads the input ring for filled-in frames and for drawing.
    return (!r->ring[REEL_RING_IN].on_device || r->ring[REEL_RING_IN].aggregator_opened) &&
           (!r->ring[REEL_RING_OUT].on_device || r->ring[REEL_RING_OUT].made);
}

static bool has_opened(const struct lane_rings *r, enum reel_direction d, uint32_t worker)
{
    return !r->ring[d].on_device || (r->ring[d].opened[worker / 64] >> worker % 64 & 1);
}

// ---- offers ---------------------------------------------------------------------

static void offer_one(struct run *run, uint32_t l, struct proc *p, enum reel_direction d)
{
    struct lane_rings *r = &run->io[l].rings;
    uint32_t epoch = run->lanes[l].p.epoch;
    if (!r->ring[d].made || p->pidfd < 0 || p->wire < 0) return;
    struct reel_ring_offer offer = {.lane = l, .epoch = epoch, .direction = d, .handle = r->ring[d].handle};
    enum reel_err err = reel_wire_send(p->wire, &offer, sizeof offer, r->ring[d].fd);
    if (err == REEL_GONE) return; // its death is handled elsewhere
    if (err) {
        reel_error("rings", "%s %u does not take its device rings: killed", supervise_stage_name(p->stage), p->index);
        p->broken = true;
        supervise_kill(p);
        return;
    }
    struct reel_rec_ring rec = {.lane = l, .epoch = epoch, .direction = d, .ok = 1};
    run_post(run, p, REEL_MSG_RING, &rec);
}

void rings_offer(struct run *run, uint32_t l, struct proc *p)
{
    if (p->stage == REEL_DECODER) return;
    offer_one(run, l, p, REEL_RING_IN);
    if (p->stage == REEL_WORKER) offer_one(run, l, p, REEL_RING_OUT);
}

static void offer_all(struct run *run, uint32_t l, enum reel_direction d)
{
    for (uint32_t i = 0; i < run->workers; i++)
        if (lane_has_member(&run->lanes[l], LANE_MEMBER_WORKER0 + i))
            offer_one(run, l, supervise_at(&run->sup, REEL_WORKER, i), d);
    if (d == REEL_RING_IN && lane_has_member(&run->lanes[l], LANE_MEMBER_AGGREGATOR))
        offer_one(run, l, supervise_at(&run->sup, REEL_AGGREGATOR, run->io[l].aggregator), d);
}

// ---- answers --------------------------------------------------------------------

// A ring on this GPU failed: from now on frames on it go through host memory.
static enum rings_result fall_back(struct run *run, uint32_t l, const struct proc *p, const char *text)
{
    int gpu = run->io[l].rings.place.gpu;
    if (gpu >= 0 && !(run->rings_off >> gpu & 1)) {
        run->rings_off |= UINT64_C(1) << gpu;
        progress_pause(run->progress);
        if (run->settings.progress != SET_PROGRESS_OFF)
            fprintf(stderr, "note: frames go through host memory on GPU %d: %s %u: %s\n", gpu,
                    supervise_stage_name(p->stage), p->index, text);
        reel_info("rings", "no device rings on GPU %d: %s", gpu, text);
    }
    return RINGS_GIVE_UP;
}

static void tell_free(struct run *run, struct proc *owner, uint32_t l, uint32_t epoch, enum reel_direction d)
{
    struct reel_rec_ring rec = {.lane = l, .epoch = epoch, .direction = d, .ok = 1};
    run_post(run, owner, REEL_MSG_FREE_RING, &rec);
}

static enum rings_result broken(struct proc *p, const char *what)
{
    reel_error("rings", "%s %u %s", supervise_stage_name(p->stage), p->index, what);
    p->broken = true;
    supervise_kill(p);
    return RINGS_OK;
}

enum rings_result rings_on_made(struct run *run, struct proc *p, const struct reel_rec_ring *rec)
{
    enum reel_direction d = p->stage == REEL_DECODER ? REEL_RING_IN : REEL_RING_OUT;
    if (rec->direction != d) return broken(p, "made a ring that is not its to make");
    struct lane *lane = &run->lanes[rec->lane];
    struct lane_rings *r = &run->io[rec->lane].rings;
    uint32_t bound = p->stage == REEL_DECODER ? run->io[rec->lane].decoder : run->io[rec->lane].aggregator;
    bool present = lane->state != LANE_IDLE && lane->p.epoch == rec->epoch && bound == p->index;
    if (!rec->ok) return present && lane->state == LANE_OPEN ? fall_back(run, rec->lane, p, rec->text) : RINGS_OK;
    struct reel_ring_offer offer;
    int fd;
    enum reel_err err = reel_wire_recv(p->wire, &offer, sizeof offer, &fd);
    if (err == REEL_GONE) return RINGS_OK; // its death is handled elsewhere
    if (err || offer.lane != rec->lane || offer.epoch != rec->epoch || offer.direction != d) {
        if (!err && fd >= 0) close(fd);
        return broken(p, "announced a ring that is not on its wire");
    }
    if (!present || !r->ring[d].on_device || r->ring[d].made) {
        if (fd >= 0) close(fd);
        tell_free(run, p, rec->lane, rec->epoch, d); // nobody uses it: its epoch is over
        return RINGS_OK;
    }
    r->ring[d].made = true;
    r->ring[d].handle = offer.handle;
    r->ring[d].fd = fd;
    if (lane->state == LANE_OPEN) offer_all(run, rec->lane, d);
    return RINGS_OK;
}

enum rings_result rings_on_open(struct run *run, struct proc *p, const struct reel_rec_ring *rec)
{
    struct lane *lane = &run->lanes[rec->lane];
    struct lane_rings *r = &run->io[rec->lane].rings;
    if (lane->state != LANE_OPEN || lane->p.epoch != rec->epoch) return RINGS_OK;
    if (rec->direction > REEL_RING_OUT || !r->ring[rec->direction].made)
        return broken(p, "opened a ring that nobody made");
    if (!rec->ok) return fall_back(run, rec->lane, p, rec->text);
    if (p->stage == REEL_AGGREGATOR) {
        r->ring[rec->direction].aggregator_opened = run->io[rec->lane].aggregator == p->index;
        return RINGS_OK;
    }
    r->ring[rec->direction].opened[p->index / 64] |= UINT64_C(1) << p->index % 64;
    if (has_opened(r, REEL_RING_IN, p->index) && has_opened(r, REEL_RING_OUT, p->index)) lane_allow(lane, p->index);
    return RINGS_OK;
}

bool rings_owes(const struct run *run, uint32_t l, const struct proc *p)
{
    const struct lane_rings *r = &run->io[l].rings;
    bool in = r->ring[REEL_RING_IN].on_device, out = r->ring[REEL_RING_OUT].on_device;
    bool in_made = r->ring[REEL_RING_IN].made, out_made = r->ring[REEL_RING_OUT].made;
    if (p->stage == REEL_DECODER) return in && !in_made;
    if (p->stage == REEL_AGGREGATOR)
        return (out && !out_made) || (in && in_made && !r->ring[REEL_RING_IN].aggregator_opened);
    return (in_made && !has_opened(r, REEL_RING_IN, p->index)) || (out_made && !has_opened(r, REEL_RING_OUT, p->index));
}

void rings_on_gone(struct run *run, uint32_t l, const struct proc *p)
{
    struct lane_rings *r = &run->io[l].rings;
    if (p->stage != REEL_WORKER) return; // the death of another stage ends the epoch
    for (int d = 0; d < 2; d++) r->ring[d].opened[p->index / 64] &= ~(UINT64_C(1) << p->index % 64);
    lane_disallow(&run->lanes[l], p->index);
}

void rings_end(struct run *run, uint32_t l)
{
    struct lane_rings *r = &run->io[l].rings;
    struct proc *owner[2] = {supervise_at(&run->sup, REEL_DECODER, run->io[l].decoder),
                             supervise_at(&run->sup, REEL_AGGREGATOR, run->io[l].aggregator)};
    for (int d = 0; d < 2; d++) {
        if (!r->ring[d].made) continue;
        // If the owner was restarted it does not know this ring and ignores the message.
        tell_free(run, owner[d], l, run->lanes[l].p.epoch, (enum reel_direction)d);
        if (r->ring[d].fd >= 0) close(r->ring[d].fd);
        r->ring[d].fd = -1;
        r->ring[d].made = false;
    }
}
