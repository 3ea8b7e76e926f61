// SPDX-License-Identifier: MIT
//
// Lanes at work: binds segments to lanes, decoders and aggregators, carries
// events into lanes.c and dispatch.c, and their answers out as messages. All
// decisions about slots are made there; here are only bindings and messages.
#include "coordinator/coordinator.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/life.h"
#include "common/log.h"

_Static_assert(LANE_MAX_PARTS == REEL_MAX_PARTS, "lanes.h includes no message");

#define LEAST_WINDOW 8                  // frames in a lane's window beside those the workers hold
#define EASY_BYTES (UINT64_C(64) << 20) // of a lane's rings, that are taken for longer queues and fewer messages
#define OUT_SPARES 2                    // for second tries of late frames
#define NO_MEMORY_FRAMES 3              // in a row without memory: the worker is left out
#define DECODER_FRAMES 20               // a codec's own pictures: 16 references and some on the way

// ---- finding things -------------------------------------------------------------

// The lane a record of p names; NULL (p is killed) when there is none such.
static struct lane *lane_of(struct run *run, struct proc *p, uint32_t lane)
{
    if (lane < run->n_lanes) return &run->lanes[lane];
    reel_error("flow", "%s %u named lane %u of %u", supervise_stage_name(p->stage), p->index, lane, run->n_lanes);
    p->broken = true;
    supervise_kill(p);
    return NULL;
}

// Whether p is the decoder or aggregator that the lane is bound to.
static bool is_bound(const struct run *run, const struct proc *p, uint32_t lane)
{
    const struct lane_io *io = &run->io[lane];
    return p->stage == REEL_DECODER ? io->decoder == p->index
                                    : p->stage == REEL_AGGREGATOR && io->aggregator == p->index;
}

static void judge(struct proc *p, enum lane_result result, const char *what, uint32_t lane, uint32_t n)
{
    if (result != LANE_BAD) return;
    reel_error("flow", "%s %u said %s %u on lane %u, which cannot be", supervise_stage_name(p->stage), p->index, what,
               n, lane);
    p->broken = true;
    supervise_kill(p);
}

static struct job *job_of(struct run *run, const struct lane *lane)
{
    return &run->jobs[lane->p.job];
}

static uint32_t member_of(const struct proc *p)
{
    return p->stage == REEL_DECODER      ? (uint32_t)LANE_MEMBER_DECODER
           : p->stage == REEL_AGGREGATOR ? (uint32_t)LANE_MEMBER_AGGREGATOR
                                         : LANE_MEMBER_WORKER0 + p->index;
}

uint32_t flow_open_lanes(const struct run *run, uint32_t job)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < run->n_lanes; i++) n += run->lanes[i].state != LANE_IDLE && run->lanes[i].p.job == job;
    return n;
}

static uint32_t load_of(const struct run *run, const struct proc *p, bool *out_taken_alone)
{
    uint32_t load = 0;
    *out_taken_alone = false;
    for (uint32_t i = 0; i < run->n_lanes; i++) {
        if (run->lanes[i].state == LANE_IDLE || !is_bound(run, p, i)) continue;
        load++;
        if (run->io[i].alone) *out_taken_alone = true;
    }
    return load;
}

// Least loaded; among equals, and for device rings before all, one near `device`.
static struct proc *choose_near(struct run *run, enum reel_stage stage, bool alone, int device)
{
    struct proc *best = NULL;
    uint32_t best_load = 0;
    for (uint32_t i = 0; i < run->sup.count[stage]; i++) {
        struct proc *p = supervise_at(&run->sup, stage, i);
        if (p->pidfd < 0 || p->state < PROC_UP || p->hung || p->broken) continue;
        bool taken_alone;
        uint32_t load = load_of(run, p, &taken_alone);
        if (taken_alone || (alone && load)) continue;
        if (device >= 0 && p->device != device) load += run->n_lanes;
        if (best && load >= best_load) continue;
        best = p;
        best_load = load;
    }
    return best;
}

struct proc *flow_choose(struct run *run, enum reel_stage stage, bool alone)
{
    return choose_near(run, stage, alone, -1);
}

// ---- setup ----------------------------------------------------------------------

enum reel_err flow_init(struct run *run)
{
    dispatch_init(&run->dispatch, run->workers);
    run->shm_kind = reel_shm_choose(run->memory.budget);
    run->ring_bytes = run->memory.budget / 4096 * 4096;
    for (uint32_t i = 0; i < run->n_lanes; i++) run->in_fds[i] = run->out_fds[i] = -1;
    for (uint32_t i = 0; i < run->n_lanes; i++) {
        lane_init(&run->lanes[i]);
        enum reel_err err = reel_shm_create(run->shm_kind, run->ring_bytes, &run->in_fds[i]);
        if (!err) err = reel_shm_create(run->shm_kind, run->ring_bytes, &run->out_fds[i]);
        if (err) return err;
        run->io[i] = (struct lane_io){.in_fd = run->in_fds[i], .out_fd = run->out_fds[i]};
    }
    return REEL_OK;
}

void flow_fini(struct run *run)
{
    for (uint32_t i = 0; i < run->n_lanes; i++) {
        if (run->in_fds[i] > 0) close(run->in_fds[i]);
        if (run->out_fds[i] > 0) close(run->out_fds[i]);
    }
}

// ---- opening a lane -------------------------------------------------------------

// Asks where the frames of a lane between these two may lie, and makes host
// slots as small as that leaves them.
static void place_rings(struct run *run, uint32_t l, const struct job *job, const struct proc *decoder,
                        const struct proc *aggregator, struct memory_want *want)
{
    bool any = run->mem_kind != REEL_MEM_NONE;
    struct placement_ask ask = {.gpus = &run->gpus,
                                .worker_gpu = run->worker_devices,
                                .n_workers = run->workers,
                                .decoder_gpu = decoder->device,
                                .aggregator_gpu = aggregator->device,
                                .rings_off = run->rings_off,
                                .in = any && job->scanned.on_device && job->shaped.reads_device,
                                .out = any && job->proven.on_device && job->shaped.writes_device &&
                                       job->proven.out.format.layout != REEL_PIX_NONE,
                                .segments_left = job->n_segments - job->n_committed,
                                .lanes = run->n_lanes,
                                .in_slots = want->in_slots,
                                .out_slots = want->out_slots + want->spares,
                                .least_in_slots = want->least_in_slots,
                                .least_out_slots = want->least_out_slots + want->spares,
                                .in_slot_bytes = want->in_slot_bytes,
                                .out_slot_bytes = want->out_slot_bytes};
    rings_plan(run, l, &ask);
    const struct placement *place = &run->io[l].rings.place;
    if (place->in) {
        want->in_slots = place->in_slots;
        want->in_slot_bytes = reel_ring_host_part(&job->in).slot_bytes;
    }
    if (place->out) {
        want->out_slots = place->out_slots - want->spares;
        want->out_slot_bytes = reel_ring_host_part(&job->proven.out).slot_bytes;
    }
}

static void want_of(const struct run *run, const struct job *job, struct memory_want *out)
{
    uint32_t hold = job->proven.hold_frames < LANE_MAX_SLOTS / 2 ? job->proven.hold_frames : LANE_MAX_SLOTS / 2;
    uint32_t batch = run->model.batch ? run->model.batch : 1;
    uint32_t parts = job->shaped.parts;
    uint32_t slots = hold + LEAST_WINDOW + (2 * run->workers * batch + parts - 1) / parts;
    uint32_t easy = slots + LEAST_WINDOW + 4 * run->workers * batch / parts;
    if (easy * (job->in.slot_bytes + job->proven.out.slot_bytes) <= EASY_BYTES) slots = easy;
    if (slots > LANE_MAX_SLOTS) slots = LANE_MAX_SLOTS;
    *out = (struct memory_want){.in_slot_bytes = job->in.slot_bytes,
                                .out_slot_bytes = job->proven.out.slot_bytes,
                                .in_slots = slots,
                                .out_slots = slots,
                                .least_in_slots = hold + batch + 1,
                                .least_out_slots = hold + batch,
                                .spares = parts > 1 ? 0 : OUT_SPARES,
                                .codec_bytes = job->proven.memory_bytes + DECODER_FRAMES * job->in.slot_bytes,
                                .model_bytes = run->workers * job->shaped.memory_bytes};
}

static uint64_t granted_bytes(const struct run *run)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < run->n_lanes; i++)
        if (run->lanes[i].state != LANE_IDLE) used += run->io[i].granted_bytes;
    return used;
}

static void release_ring(struct lane_io *io)
{
    if (io->in_reserved || io->out_reserved) io->memory++;
    if (io->in_reserved) reel_shm_punch(io->in_fd, io->in_reserved);
    if (io->out_reserved) reel_shm_punch(io->out_fd, io->out_reserved);
    io->in_reserved = io->out_reserved = 0;
}

// Reserves the slots, or keeps those of the segment before when they are the same.
static enum reel_err reserve(struct lane_io *io, const struct memory_grant *grant, const struct memory_want *want)
{
    uint64_t in = grant->in_slots * want->in_slot_bytes;
    uint64_t out = (uint64_t)(grant->out_slots + grant->spares) * want->out_slot_bytes;
    io->granted_bytes = grant->bytes;
    if (in == io->in_reserved && out == io->out_reserved) return REEL_OK;
    release_ring(io);
    enum reel_err err = reel_shm_reserve(io->in_fd, in);
    if (!err) io->in_reserved = in;
    if (!err) err = reel_shm_reserve(io->out_fd, out);
    if (!err) io->out_reserved = out;
    if (err) {
        io->in_reserved = in; // part of it may be there
        io->out_reserved = out;
        release_ring(io);
    }
    return err;
}

static void fill_open(const struct run *run, uint32_t l, const struct job *job, uint32_t segment,
                      const struct memory_grant *grant, struct reel_rec_open *out)
{
    const struct segment *plan = &job->segments[segment].plan;
    *out = (struct reel_rec_open){.lane = l,
                                  .epoch = run->last_epoch,
                                  .job = job->spec->id,
                                  .segment = segment,
                                  .in_slots = grant->in_slots,
                                  .out_slots = grant->out_slots,
                                  .out_spares = grant->spares,
                                  .in = job->in,
                                  .out = job->proven.out,
                                  .media = job->scanned.media,
                                  .out_colour = job->proven.out_colour,
                                  .task = job->shaped.task,
                                  .parts = job->shaped.parts,
                                  .tile_pixels = job->shaped.tile_pixels,
                                  .exchange = job->shaped.exchange,
                                  .in_place = run->io[l].rings.place.in ? REEL_PLACE_DEVICE : REEL_PLACE_HOST,
                                  .out_place = run->io[l].rings.place.out ? REEL_PLACE_DEVICE : REEL_PLACE_HOST,
                                  .memory = run->io[l].memory,
                                  .software = job->segments[segment].crashes[REEL_DECODER] > 0,
                                  .has_entry = plan->has_entry,
                                  .entry = plan->entry,
                                  .start_pts = plan->start_pts,
                                  .end_pts = plan->end_pts};
}

// Puts a segment on an idle lane. False: not now.
static bool open_lane(struct run *run, uint32_t l, struct job *job, uint32_t segment, int64_t now_us)
{
    struct job_segment *s = &job->segments[segment];
    struct proc *decoder = flow_choose(run, REEL_DECODER, s->suspect);
    struct proc *aggregator =
        choose_near(run, REEL_AGGREGATOR, s->suspect, decoder && run->mem_kind ? decoder->device : -1);
    if (!decoder || !aggregator) return false;
    struct memory_want want;
    struct memory_grant grant;
    want_of(run, job, &want);
    place_rings(run, l, job, decoder, aggregator, &want);
    uint64_t used = granted_bytes(run);
    enum memory_answer answer = memory_fit(run->memory.budget, used, &want, &grant);
    if (answer == MEMORY_WAIT) return false;
    if (answer == MEMORY_REFUSED) {
        char text[REEL_TEXT_BYTES];
        memory_explain(&run->memory, &want, text, sizeof text);
        jobs_fail(run, job, REEL_ERR_NOMEM, text);
        return false;
    }
    struct lane_io *io = &run->io[l];
    if (reserve(io, &grant, &want)) {
        if (!used) jobs_fail(run, job, REEL_ERR_NOMEM, reel_fail_text());
        return false;
    }
    run->last_epoch++;
    fill_open(run, l, job, segment, &grant, &io->open);
    struct lane_params params = {.epoch = run->last_epoch,
                                 .job = job->spec->id,
                                 .segment = segment,
                                 .shape = job->spec->id,
                                 .in_slots = grant.in_slots,
                                 .out_slots = grant.out_slots,
                                 .out_spares = grant.spares,
                                 .parts = job->shaped.parts,
                                 .together = job->shaped.exchange,
                                 .order = ++run->last_order};
    struct lane *lane = &run->lanes[l];
    lane_open(lane, &params);
    io->decoder = decoder->index;
    io->aggregator = aggregator->index;
    io->alone = s->suspect;
    io->opened_us = now_us;
    io->ledger = (struct ledger_entry){0};
    if (io->rings.place.gpu >= 0) lane_limit(lane);
    lane_next_window(lane, &io->open.window_end);
    lane_join(lane, LANE_MEMBER_DECODER);
    lane_join(lane, LANE_MEMBER_AGGREGATOR);
    run_post(run, decoder, REEL_MSG_OPEN_LANE, &io->open);
    run_post(run, aggregator, REEL_MSG_OPEN_LANE, &io->open);
    for (uint32_t i = 0; i < run->workers; i++) {
        struct proc *w = supervise_at(&run->sup, REEL_WORKER, i);
        if (w->state != PROC_READY || !rings_reached_by(run, l, i)) continue;
        lane_join(lane, LANE_MEMBER_WORKER0 + i);
        run_post(run, w, REEL_MSG_OPEN_LANE, &io->open);
    }
    s->state = SEGMENT_ACTIVE;
    if (io->rings.place.gpu >= 0)
        reel_debug("flow", "lane %u: %s on GPU %d", l,
                   !io->rings.place.in    ? "results"
                   : !io->rings.place.out ? "frames"
                                          : "frames and results",
                   io->rings.place.gpu);
    reel_debug("flow", "lane %u: job %u segment %u, epoch %u, decoder %u, aggregator %u, %u + %u slots", l,
               job->spec->id, segment, run->last_epoch, io->decoder, io->aggregator, grant.in_slots, grant.out_slots);
    return true;
}

void flow_on_worker_ready(struct run *run, struct proc *p)
{
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        if (run->lanes[l].state != LANE_OPEN || !rings_reached_by(run, l, p->index)) continue;
        lane_join(&run->lanes[l], LANE_MEMBER_WORKER0 + p->index);
        run_post(run, p, REEL_MSG_OPEN_LANE, &run->io[l].open);
        rings_offer(run, l, p);
    }
    dispatch_up(&run->dispatch, p->index, run->model.batch);
}

// ---- closing a lane -------------------------------------------------------------

static struct proc *member_proc(struct run *run, uint32_t l, uint32_t member)
{
    if (member == LANE_MEMBER_DECODER) return supervise_at(&run->sup, REEL_DECODER, run->io[l].decoder);
    if (member == LANE_MEMBER_AGGREGATOR) return supervise_at(&run->sup, REEL_AGGREGATOR, run->io[l].aggregator);
    return supervise_at(&run->sup, REEL_WORKER, member - LANE_MEMBER_WORKER0);
}

// OPEN -> CLOSING: everyone who has the epoch is asked to let go.
static void close_lane(struct run *run, uint32_t l)
{
    struct lane *lane = &run->lanes[l];
    if (lane->state != LANE_OPEN) return;
    if (lane_held_by(lane, LANE_NO_WORKER)) flow_team_break(run, lane, "their lane is given up");
    lane_close(lane);
    struct reel_rec_lane rec = {l, lane->p.epoch};
    for (uint32_t m = 0; m < LANE_MEMBER_WORKER0 + run->workers; m++)
        if (lane_has_member(lane, m)) run_post(run, member_proc(run, l, m), REEL_MSG_CLOSE_LANE, &rec);
}

// The epoch is given up; its segment starts again later.
static void give_up(struct run *run, uint32_t l)
{
    struct lane *lane = &run->lanes[l];
    if (lane->state != LANE_OPEN) return;
    struct job *job = job_of(run, lane);
    struct job_segment *s = &job->segments[lane->p.segment];
    if (s->state == SEGMENT_ACTIVE) s->state = SEGMENT_PENDING;
    if (lane->p.segment < job->next_pending) job->next_pending = lane->p.segment;
    close_lane(run, l);
}

void flow_close_job(struct run *run, uint32_t job)
{
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN && run->lanes[l].p.job == job) give_up(run, l);
}

static void drop_member(struct run *run, uint32_t l, uint32_t member)
{
    struct lane *lane = &run->lanes[l];
    if (member >= LANE_MEMBER_WORKER0) {
        uint32_t worker = member - LANE_MEMBER_WORKER0;
        rings_on_gone(run, l, supervise_at(&run->sup, REEL_WORKER, worker));
        dispatch_on_let_go(&run->dispatch, worker, lane_on_worker_gone(lane, worker));
    }
    if (lane->state == LANE_CLOSING)
        lane_on_closed(lane, lane->p.epoch, member);
    else
        lane->members[member / 64] &= ~(UINT64_C(1) << member % 64);
}

void flow_on_lane_closed(struct run *run, struct proc *p, const struct reel_rec_lane *rec)
{
    struct lane *lane = lane_of(run, p, rec->lane);
    if (!lane || lane->state != LANE_CLOSING || rec->epoch != lane->p.epoch) return;
    if (p->stage != REEL_WORKER && !is_bound(run, p, rec->lane)) return;
    drop_member(run, rec->lane, member_of(p));
}

void flow_on_ring_made(struct run *run, struct proc *p, const struct reel_rec_ring *rec)
{
    if (!lane_of(run, p, rec->lane)) return;
    if (rings_on_made(run, p, rec) == RINGS_GIVE_UP) give_up(run, rec->lane);
}

void flow_on_ring_open(struct run *run, struct proc *p, const struct reel_rec_ring *rec)
{
    if (!lane_of(run, p, rec->lane)) return;
    if (rings_on_open(run, p, rec) == RINGS_GIVE_UP) give_up(run, rec->lane);
}

// ---- events ---------------------------------------------------------------------

static uint32_t fill_in_flag(const struct run *run)
{
    return run->settings.poison == SET_POISON_PASSTHROUGH ? REEL_FRAME_PASS : REEL_FRAME_REPEAT;
}

void flow_on_decoded(struct run *run, struct proc *p, const struct reel_rec_decoded *rec)
{
    struct lane *lane = lane_of(run, p, rec->lane);
    if (!lane || !is_bound(run, p, rec->lane)) return;
    enum lane_result result = lane_on_decoded(lane, rec->epoch, rec->n, rec->flags, rec->pts, rec->duration);
    judge(p, result, "DECODED", rec->lane, rec->n);
    if (result != LANE_OK) return;
    struct job *job = job_of(run, lane);
    if (!job->poison.count) return;
    const struct poison_frame *f = poison_find(&job->poison, lane->p.segment, rec->n);
    if (!f) return;
    lane_frame_of(lane, rec->n)->suspicion = f->crashes > 255 ? 255 : (uint8_t)f->crashes;
    if (f->quarantined) lane_quarantine(lane, rec->n, fill_in_flag(run));
}

void flow_on_lane_end(struct run *run, struct proc *p, const struct reel_rec_lane_end *rec)
{
    struct lane *lane = lane_of(run, p, rec->lane);
    if (!lane || !is_bound(run, p, rec->lane)) return;
    enum lane_result result = lane_on_end(lane, rec->epoch, rec->frames);
    judge(p, result, "LANE_END", rec->lane, rec->frames);
    if (result != LANE_OK) return;
    run->io[rec->lane].ledger = (struct ledger_entry){.packets = rec->packets,
                                                      .hidden = rec->hidden,
                                                      .unreadable = rec->unreadable,
                                                      .filtered = rec->filtered,
                                                      .decoded = rec->frames};
    supervise_on_progress(p);
}

void flow_on_done(struct run *run, struct proc *p, const struct reel_rec_done *rec)
{
    struct lane *lane = lane_of(run, p, rec->lane);
    if (!lane) return;
    bool first;
    enum lane_result result = lane_on_done(lane, rec->epoch, rec->n, rec->part, p->index, rec->out_slot, &first);
    judge(p, result, "DONE", rec->lane, rec->n);
    if (result != LANE_OK) return;
    p->no_memory = 0;
    if (first) team_on_done(&run->team);
    dispatch_on_done(&run->dispatch, p->index, rec->total_us);
    supervise_on_progress(p);
    struct job *job = job_of(run, lane);
    if (job->poison.count) poison_on_done(&job->poison, lane->p.segment, rec->n);
}

void flow_on_taken(struct run *run, struct proc *p, const struct reel_rec_taken *rec)
{
    struct lane *lane = lane_of(run, p, rec->lane);
    if (!lane || !is_bound(run, p, rec->lane)) return;
    enum lane_result result = lane_on_taken(lane, rec->epoch, rec->n);
    judge(p, result, "TAKEN", rec->lane, rec->n);
    run->frames_taken += result == LANE_OK;
}

void flow_on_committed(struct run *run, struct proc *p, const struct reel_rec_committed *rec)
{
    struct lane *lane = lane_of(run, p, rec->lane);
    if (!lane || !is_bound(run, p, rec->lane)) return;
    enum lane_result result = lane_on_committed(lane, rec->epoch, rec->frames);
    judge(p, result, "COMMITTED", rec->lane, rec->frames);
    if (result != LANE_OK) return;
    struct job *job = job_of(run, lane);
    struct ledger_entry ledger = run->io[rec->lane].ledger;
    ledger.encoded = rec->frames;
    ledger.quarantined = poison_quarantined(&job->poison, lane->p.segment);
    uint32_t segment = lane->p.segment;
    supervise_on_progress(p);
    supervise_on_progress(supervise_at(&run->sup, REEL_DECODER, run->io[rec->lane].decoder));
    close_lane(run, rec->lane);
    jobs_on_committed(run, job, segment, rec, &ledger);
}

// ---- crashes ----------------------------------------------------------------------

// A frame has crashed a stage often enough, the last time alone.
static void quarantine(struct run *run, struct job *job, struct lane *lane, uint32_t n)
{
    if (run->settings.poison == SET_POISON_FAIL) {
        char text[256];
        snprintf(text, sizeof text, "frame %u of segment %u crashed a process %d times", n, lane->p.segment,
                 run->settings.poison_tries);
        jobs_fail(run, job, REEL_ERR_FAULT, text);
        return;
    }
    jobs_quarantine(run, job, lane->p.segment, n);
    lane_quarantine(lane, n, fill_in_flag(run));
}

// Frame n of the lane was with a worker that crashed, or that refused it.
static void suspect_frame(struct run *run, uint32_t l, uint32_t n, bool alone)
{
    struct lane *lane = &run->lanes[l];
    struct job *job = job_of(run, lane);
    if (lane->state != LANE_OPEN || job->state != JOB_RUN) return;
    bool over = poison_on_crash(&job->poison, lane->p.segment, n, alone, (uint32_t)run->settings.poison_tries);
    struct lane_frame *f = lane_frame_of(lane, n);
    if (f && f->suspicion < 255) f->suspicion++;
    if (over) quarantine(run, job, lane, n);
}

static void worker_gone(struct run *run, const struct supervise_death *death)
{
    flow_team_gone(run);
    uint32_t w = death->proc->index;
    uint32_t held = run->dispatch.worker[w].held;
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        struct lane *lane = &run->lanes[l];
        if (lane->state == LANE_IDLE) continue;
        uint32_t suspects[LANE_MAX_SLOTS], n_suspects = 0;
        for (uint32_t n = lane->low; death->by_itself && n < lane->window_end; n++) {
            const struct lane_frame *f = lane_frame_of(lane, n);
            if (f->state == SLOT_GIVEN && lane_frame_is_with(f, w)) suspects[n_suspects++] = n;
        }
        if (lane_held_by(lane, w)) flow_team_break(run, lane, "a worker is gone");
        drop_member(run, l, LANE_MEMBER_WORKER0 + w);
        for (uint32_t i = 0; i < n_suspects; i++) suspect_frame(run, l, suspects[i], held == 1);
    }
    dispatch_on_gone(&run->dispatch, w);
}

// A decoder or aggregator ended an epoch by itself: its segment is watched.
static void suspect_segment(struct run *run, const struct proc *p, uint32_t l, bool alone, const char *why)
{
    struct lane *lane = &run->lanes[l];
    struct job *job = job_of(run, lane);
    struct job_segment *s = &job->segments[lane->p.segment];
    s->suspect = true;
    if (alone || s->crashes[p->stage] == 0) s->crashes[p->stage]++;
    uint32_t tries = (uint32_t)run->settings.poison_tries;
    if (p->stage == REEL_AGGREGATOR && alone) {
        // The statistics name the frame it was at: a hint, tried out by filling it in.
        const struct reel_stat_row *row = &run->stat->row[p->row];
        uint32_t n = atomic_load_explicit(&row->frame, memory_order_relaxed);
        bool known =
            atomic_load_explicit(&row->job, memory_order_relaxed) == lane->p.job && n < lane->sent && !lane->finished;
        if (known) tries *= 2; // the frame goes first
        if (known && poison_on_crash(&job->poison, lane->p.segment, n, true, (uint32_t)run->settings.poison_tries)) {
            quarantine(run, job, lane, n);
            s->crashes[p->stage] = 0;
        }
    }
    if (s->crashes[p->stage] < tries || job->state != JOB_RUN) return;
    char text[REEL_TEXT_BYTES + 512];
    snprintf(text, sizeof text, "%s %u %s %u times in segment %u%s%s", supervise_stage_name(p->stage), p->index, why,
             s->crashes[p->stage], lane->p.segment, p->text[0] ? ": " : "", p->text);
    jobs_fail(run, job, REEL_ERR_FAULT, text);
}

static void bound_stage_gone(struct run *run, const struct supervise_death *death)
{
    struct proc *p = death->proc;
    bool taken_alone;
    bool alone = load_of(run, p, &taken_alone) == 1;
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        struct lane *lane = &run->lanes[l];
        if (lane->state == LANE_IDLE || !is_bound(run, p, l) || !lane_has_member(lane, member_of(p))) continue;
        if (lane->state == LANE_OPEN && death->by_itself) suspect_segment(run, p, l, alone, death->why);
        // Killed from outside again and again: with one segment at a time it gets somewhere.
        if (lane->state == LANE_OPEN && p->idle_deaths >= 3)
            job_of(run, lane)->segments[lane->p.segment].suspect = true;
        drop_member(run, l, member_of(p));
        give_up(run, l);
    }
}

void flow_on_gone(struct run *run, const struct supervise_death *death)
{
    if (death->proc->stage == REEL_WORKER)
        worker_gone(run, death);
    else
        bound_stage_gone(run, death);
}

bool flow_is_present(const struct run *run, uint32_t lane, uint32_t epoch)
{
    return lane < run->n_lanes && run->lanes[lane].state == LANE_OPEN && run->lanes[lane].p.epoch == epoch;
}

void flow_on_lane_failed(struct run *run, struct proc *p, const struct reel_rec_failed *rec)
{
    struct lane *lane = lane_of(run, p, rec->lane);
    if (!lane || lane->state != LANE_OPEN || rec->epoch != lane->p.epoch) return;
    struct job *job = job_of(run, lane);
    if (p->stage == REEL_WORKER && rec->n == REEL_NO_FRAME) {
        jobs_fail(run, job, (enum reel_err)rec->err, rec->text);
        return;
    }
    if (p->stage == REEL_WORKER) flow_team_break(run, lane, rec->text);
    if (p->stage == REEL_WORKER && (rec->err == REEL_ERR_NOMEM || (rec->err == REEL_GONE && lane->p.together))) {
        // No fault of the frame: it waits for memory, for another worker, or for all of a team.
        enum lane_result result = lane_on_refused(lane, rec->epoch, rec->n, rec->part, p->index);
        judge(p, result, "FAILED", rec->lane, rec->n);
        if (result != LANE_OK) return;
        dispatch_on_let_go(&run->dispatch, p->index, 1);
        if (rec->err == REEL_ERR_NOMEM && ++p->no_memory >= NO_MEMORY_FRAMES && !p->left_out)
            run_leave_out(run, p, rec->text);
        return;
    }
    if (p->stage == REEL_WORKER) {
        bool alone = run->dispatch.worker[p->index].held == 1;
        enum lane_result result = lane_on_refused(lane, rec->epoch, rec->n, rec->part, p->index);
        judge(p, result, "FAILED", rec->lane, rec->n);
        if (result != LANE_OK) return;
        dispatch_on_let_go(&run->dispatch, p->index, 1);
        reel_warn("flow", "worker %u, frame %u of segment %u: %s", p->index, rec->n, lane->p.segment, rec->text);
        suspect_frame(run, rec->lane, rec->n, alone);
        return;
    }
    if (!is_bound(run, p, rec->lane)) return;
    snprintf(p->text, sizeof p->text, "%s", rec->text);
    // Reported, not crashed: the guilty lane is known.
    suspect_segment(run, p, rec->lane, true, "failed");
    give_up(run, rec->lane);
}

// ---- the step -------------------------------------------------------------------

static bool lane_goes_on(struct run *run, uint32_t l)
{
    struct lane *lane = &run->lanes[l];
    bool any = false;
    uint32_t n, end, frames;
    struct proc *aggregator = supervise_at(&run->sup, REEL_AGGREGATOR, run->io[l].aggregator);
    for (const struct lane_frame *f; rings_aggregator_ready(run, l) && (f = lane_next_frame(lane, &n)); any = true) {
        struct reel_rec_frame rec = {.lane = l,
                                     .epoch = lane->p.epoch,
                                     .n = n,
                                     .in_slot = n % lane->p.in_slots,
                                     .out_slot = f->out_slot,
                                     .flags = f->flags,
                                     .pts = f->pts,
                                     .duration = f->duration};
        run_post(run, aggregator, REEL_MSG_FRAME, &rec);
    }
    if (lane_next_finish(lane, &frames)) {
        struct reel_rec_finish rec = {l, lane->p.epoch, frames};
        run_post(run, aggregator, REEL_MSG_FINISH, &rec);
        any = true;
    }
    if (lane_next_window(lane, &end)) {
        struct reel_rec_window rec = {l, lane->p.epoch, end};
        run->io[l].open.window_end = end;
        run_post(run, supervise_at(&run->sup, REEL_DECODER, run->io[l].decoder), REEL_MSG_WINDOW, &rec);
        any = true;
    }
    return any;
}

static void note_first_dispatch(struct run *run, int64_t now_us)
{
    if (run->first_dispatch_us) return;
    run->first_dispatch_us = now_us;
    run->last_commit_us = now_us;
    report_read_cpu(run, run->cpu_at_first);
    for (uint32_t i = 0; i < run->sup.n; i++) run->busy_at_first[i] = atomic_load(&run->stat->row[i].busy_us);
}

static void hand_out(struct run *run, int64_t now_us)
{
    struct dispatch_batch batch;
    if (flow_team_step(run, now_us)) note_first_dispatch(run, now_us);
    while (dispatch_next(&run->dispatch, run->lanes, run->n_lanes, now_us, &batch)) {
        note_first_dispatch(run, now_us);
        struct proc *w = supervise_at(&run->sup, REEL_WORKER, batch.worker);
        for (uint32_t i = 0; i < batch.count; i++) {
            struct lane *lane = &run->lanes[batch.item[i].lane];
            uint32_t n = batch.item[i].n;
            const struct lane_frame *f = lane_frame_of(lane, n);
            struct reel_rec_work rec = {.lane = batch.item[i].lane,
                                        .epoch = lane->p.epoch,
                                        .n = n,
                                        .in_slot = n % lane->p.in_slots,
                                        .out_slot = batch.item[i].out_slot,
                                        .flags = f->flags,
                                        .part = batch.item[i].part,
                                        .pts = f->pts};
            run_post(run, w, REEL_MSG_WORK, &rec);
        }
        run->frames_given += batch.count;
        // One message is one batch.
        if (run->model.batch > 1) reel_bus_flush(run->bus);
    }
}

static void fill_idle_lanes(struct run *run, int64_t now_us)
{
    // All first: a stage is free for a suspected segment when every lane has left it.
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (lane_next_idle(&run->lanes[l])) {
            run->io[l].granted_bytes = 0;
            rings_end(run, l);
        }
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        if (run->lanes[l].state != LANE_IDLE) continue;
        uint32_t segment;
        struct job *job = run->interrupted || run->failed ? NULL : jobs_next_segment(run, &segment);
        if (!job) {
            release_ring(&run->io[l]);
            continue;
        }
        if (!open_lane(run, l, job, segment, now_us)) return;
    }
}

void flow_step(struct run *run, int64_t now_us)
{
    fill_idle_lanes(run, now_us);
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN) lane_goes_on(run, l);
    hand_out(run, now_us);
}

bool flow_owes(const struct run *run, const struct proc *p)
{
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        const struct lane *lane = &run->lanes[l];
        if (lane->state == LANE_IDLE || !lane_has_member(lane, member_of(p))) continue;
        if (p->stage != REEL_WORKER && !is_bound(run, p, l)) continue;
        if (lane->state == LANE_CLOSING || rings_owes(run, l, p)) return true;
        if (p->stage == REEL_DECODER && !lane->ended && lane->decoded < lane->window_end) return true;
        uint32_t held = run->jobs[lane->p.job].proven.hold_frames; // an encoder may keep these for as long as it likes
        if (p->stage == REEL_AGGREGATOR && (lane->finished || lane->sent - lane->taken > held)) return true;
    }
    return p->stage == REEL_WORKER && run->dispatch.worker[p->index].held > 0;
}
