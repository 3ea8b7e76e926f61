// SPDX-License-Identifier: MIT
//
// Lanes at work: passes events to lanes.c and dispatch.c and sends their answers as messages.
// Decisions about slots are made only there.
#include "coordinator/flow.h"

#include <unistd.h>

#include "common/life.h"
#include "common/log.h"
#include "coordinator/limits.h"

#define WAIT_SHARE 0.1 // weight of the newest frame in the shown latency of a live input

_Static_assert(LANE_MAX_PARTS == REEL_MAX_PARTS, "lanes.h includes no message");
_Static_assert(LANE_CONTEXT == REEL_FRAME_CONTEXT, "lanes.h includes no message");
_Static_assert(LANE_WARMUP == REEL_FRAME_WARMUP, "lanes.h includes no message");

// ---- finding things -------------------------------------------------------------

struct lane *flow_lane_of(struct run *run, struct proc *p, uint32_t lane)
{
    if (lane < run->n_lanes) return &run->lanes[lane];
    reel_error("flow", "%s %u named lane %u of %u", supervise_stage_name(p->stage), p->index, lane, run->n_lanes);
    p->broken = true;
    supervise_kill(p);
    return NULL;
}

bool flow_is_bound(const struct run *run, const struct proc *p, uint32_t lane)
{
    const struct lane_io *io = &run->io[lane];
    return p->stage == REEL_DECODER ? io->decoder == p->index
                                    : p->stage == REEL_AGGREGATOR && io->aggregator == p->index;
}

void flow_judge(struct proc *p, enum lane_result result, const char *what, uint32_t lane, uint32_t n)
{
    if (result != LANE_BAD) return;
    reel_error("flow", "%s %u said %s %u on lane %u, which cannot be", supervise_stage_name(p->stage), p->index, what,
               n, lane);
    p->broken = true;
    supervise_kill(p);
}

struct job *flow_job_of(struct run *run, const struct lane *lane)
{
    return &run->jobs[lane->p.job];
}

uint32_t flow_member_of(const struct proc *p)
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

uint32_t flow_load_of(const struct run *run, const struct proc *p, bool *out_taken_alone)
{
    uint32_t load = 0;
    *out_taken_alone = false;
    for (uint32_t i = 0; i < run->n_lanes; i++) {
        if (run->lanes[i].state == LANE_IDLE || !flow_is_bound(run, p, i)) continue;
        load++;
        if (run->io[i].alone) *out_taken_alone = true;
    }
    return load;
}

// ---- setup ----------------------------------------------------------------------

enum reel_err flow_init(struct run *run)
{
    dispatch_init(&run->dispatch, run->workers);
    run->shm_kind = reel_shm_choose(run->memory.budget);
    run->ring_bytes = run->memory.budget / 4096 * 4096;
    for (uint32_t i = 0; i < run->n_lanes; i++) run->in_fds[i] = run->out_fds[i] = -1;
    if (!run->ring_bytes) {
        char budget[32];
        return reel_fail(REEL_ERR_NOMEM, "could not make rings: only %s of memory may be used%s\n%s",
                         memory_text(run->memory.budget, budget),
                         run->memory.budget == run->memory.option ? " (--memory)"
                         : run->memory.budget == run->memory.file ? " (ulimit -f)"
                                                                  : " (half of what is free)",
                         "allow some hundred MB");
    }
    // memory is taken of what is used alone, addresses of all
    enum reel_err narrow = limits_check_addresses(run);
    if (narrow) return narrow;
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

// ---- closing a lane -------------------------------------------------------------

static struct proc *member_proc(struct run *run, uint32_t l, uint32_t member)
{
    if (member == LANE_MEMBER_DECODER) return supervise_at(&run->sup, REEL_DECODER, run->io[l].decoder);
    if (member == LANE_MEMBER_AGGREGATOR) return supervise_at(&run->sup, REEL_AGGREGATOR, run->io[l].aggregator);
    return supervise_at(&run->sup, REEL_WORKER, member - LANE_MEMBER_WORKER0);
}

// OPEN -> CLOSING: asks all members of the epoch to release it.
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

void flow_give_up(struct run *run, uint32_t l)
{
    struct lane *lane = &run->lanes[l];
    if (lane->state != LANE_OPEN) return;
    struct job *job = flow_job_of(run, lane);
    struct job_segment *s = &job->segments[lane->p.segment];
    if (run->settings.live) {
        close_lane(run, l);
        live_lost(run, job, lane);
        return;
    }
    if (s->state == SEGMENT_ACTIVE) s->state = SEGMENT_PENDING;
    if (lane->p.segment < job->next_pending) job->next_pending = lane->p.segment;
    close_lane(run, l);
}

void flow_close_job(struct run *run, uint32_t job)
{
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN && run->lanes[l].p.job == job) flow_give_up(run, l);
}

void flow_drop_member(struct run *run, uint32_t l, uint32_t member)
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
    struct lane *lane = flow_lane_of(run, p, rec->lane);
    if (!lane || lane->state != LANE_CLOSING || rec->epoch != lane->p.epoch) return;
    if (p->stage != REEL_WORKER && !flow_is_bound(run, p, rec->lane)) return;
    flow_drop_member(run, rec->lane, flow_member_of(p));
}

void flow_on_ring_made(struct run *run, struct proc *p, const struct reel_rec_ring *rec)
{
    if (!flow_lane_of(run, p, rec->lane)) return;
    if (rings_on_made(run, p, rec) == RINGS_GIVE_UP) flow_give_up(run, rec->lane);
}

void flow_on_ring_open(struct run *run, struct proc *p, const struct reel_rec_ring *rec)
{
    if (!flow_lane_of(run, p, rec->lane)) return;
    if (rings_on_open(run, p, rec) == RINGS_GIVE_UP) flow_give_up(run, rec->lane);
}

// ---- events ---------------------------------------------------------------------

void flow_on_decoded(struct run *run, struct proc *p, const struct reel_rec_decoded *rec)
{
    struct lane *lane = flow_lane_of(run, p, rec->lane);
    if (!lane || !flow_is_bound(run, p, rec->lane)) return;
    enum lane_result result = lane_on_decoded(lane, rec->epoch, rec->n, rec->flags, rec->pts, rec->duration);
    flow_judge(p, result, "DECODED", rec->lane, rec->n);
    if (result == LANE_STALE && run->settings.live) live_on_stale(run, flow_job_of(run, lane), lane, rec);
    if (result != LANE_OK) return;
    struct job *job = flow_job_of(run, lane);
    if (run->settings.live) {
        live_on_decoded(run, job, lane, rec->n, reel_now_us());
        supervise_on_progress(p); // an attempt of a live input may last as long as the run
    }
    if (!job->poison.count) return;
    const struct poison_frame *f = poison_find(&job->poison, lane->p.segment, rec->n);
    struct lane_frame *frame = lane_frame_of(lane, rec->n);
    if (!f || !frame) return; // a context frame's slot may be free already
    frame->suspicion = f->crashes > 255 ? 255 : (uint8_t)f->crashes;
    if (f->quarantined) lane_quarantine(lane, rec->n, flow_fill_in_flag(run));
}

void flow_on_lane_end(struct run *run, struct proc *p, const struct reel_rec_lane_end *rec)
{
    struct lane *lane = flow_lane_of(run, p, rec->lane);
    if (!lane || !flow_is_bound(run, p, rec->lane)) return;
    enum lane_result result = lane_on_end(lane, rec->epoch, rec->frames);
    flow_judge(p, result, "LANE_END", rec->lane, rec->frames);
    if (result != LANE_OK) return;
    run->io[rec->lane].ledger = (struct ledger_entry){.packets = rec->packets,
                                                      .hidden = rec->hidden,
                                                      .unreadable = rec->unreadable,
                                                      .filtered = rec->filtered,
                                                      .decoded = rec->frames - lane->warmup};
    flow_job_of(run, lane)->live.over = true;
    supervise_on_progress(p);
}

void flow_on_done(struct run *run, struct proc *p, const struct reel_rec_done *rec)
{
    struct lane *lane = flow_lane_of(run, p, rec->lane);
    if (!lane) return;
    bool first;
    enum lane_result result = lane_on_done(lane, rec->epoch, rec->n, rec->part, p->index, rec->out_slot, &first);
    flow_judge(p, result, "DONE", rec->lane, rec->n);
    if (result != LANE_OK) return;
    p->no_memory = 0;
    if (first) team_on_done(&run->team);
    dispatch_on_done(&run->dispatch, p->index, rec->total_us);
    supervise_on_progress(p);
    struct job *job = flow_job_of(run, lane);
    if (job->poison.count) poison_on_done(&job->poison, lane->p.segment, rec->n);
}

void flow_on_taken(struct run *run, struct proc *p, const struct reel_rec_taken *rec)
{
    struct lane *lane = flow_lane_of(run, p, rec->lane);
    if (!lane || !flow_is_bound(run, p, rec->lane)) return;
    const struct lane_frame *f = run->settings.live ? lane_frame_of(lane, rec->n) : NULL;
    int64_t decoded_us = f ? f->decoded_us : 0;
    enum lane_result result = lane_on_taken(lane, rec->epoch, rec->n);
    flow_judge(p, result, "TAKEN", rec->lane, rec->n);
    if (result != LANE_OK) return;
    run->frames_taken += run_rate(run);
    if (!f) return;
    run->live_wait_us += WAIT_SHARE * ((double)(reel_now_us() - decoded_us) - run->live_wait_us);
    supervise_on_progress(p);
}

void flow_on_committed(struct run *run, struct proc *p, const struct reel_rec_committed *rec)
{
    struct lane *lane = flow_lane_of(run, p, rec->lane);
    if (!lane || !flow_is_bound(run, p, rec->lane)) return;
    const uint32_t rate = run_rate(run), frames = rec->frames + rec->unsent;
    enum lane_result result = frames % rate ? LANE_BAD : lane_on_committed(lane, rec->epoch, frames / rate);
    flow_judge(p, result, "COMMITTED", rec->lane, rec->frames);
    if (result != LANE_OK) return;
    struct job *job = flow_job_of(run, lane);
    struct ledger_entry ledger = run->io[rec->lane].ledger;
    ledger.encoded = rec->frames;
    if (run->settings.live) live_account(run, job, lane, rec, &ledger);
    ledger.quarantined = poison_quarantined(&job->poison, lane->p.segment, lane->warmup);
    uint32_t segment = lane->p.segment;
    supervise_on_progress(p);
    supervise_on_progress(supervise_at(&run->sup, REEL_DECODER, run->io[rec->lane].decoder));
    close_lane(run, rec->lane);
    jobs_on_committed(run, job, segment, rec, &ledger);
}

// ---- the step -------------------------------------------------------------------

static bool lane_goes_on(struct run *run, uint32_t l)
{
    struct lane *lane = &run->lanes[l];
    bool any = false;
    uint32_t n, end, frames;
    struct proc *aggregator = supervise_at(&run->sup, REEL_AGGREGATOR, run->io[l].aggregator);
    for (const struct lane_frame *f; rings_aggregator_ready(run, l) && (f = lane_next_frame(lane, &n)); any = true) {
        const uint32_t next = lane_next_seen(lane, n);
        struct reel_rec_frame rec = {.lane = l,
                                     .epoch = lane->p.epoch,
                                     .n = n,
                                     .in_slot = n % lane->p.in_slots,
                                     .out_slot = f->out_slot,
                                     .flags = f->flags,
                                     .pts = f->pts,
                                     .duration = f->duration,
                                     .after = lane_after(lane, n),
                                     .next = next,
                                     .next_pts = lane_frame_of(lane, next)->pts};
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
                                        .after = lane_after(lane, n),
                                        .next = lane_next_seen(lane, n),
                                        .pts = f->pts};
            run_post(run, w, REEL_MSG_WORK, &rec);
        }
        run->frames_given += batch.count;
        // A worker takes one message as one batch.
        if (run->model.batch > 1) reel_bus_flush(run->bus);
    }
}

static void fill_idle_lanes(struct run *run, int64_t now_us)
{
    // All lanes before any is opened: a suspected segment needs a process that no lane uses.
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
            flow_release_ring(&run->io[l]);
            continue;
        }
        if (!flow_open_lane(run, l, job, segment, now_us)) return;
    }
}

void flow_step(struct run *run, int64_t now_us)
{
    fill_idle_lanes(run, now_us);
    for (uint32_t l = 0; l < run->n_lanes && run->settings.live; l++)
        if (run->lanes[l].state == LANE_OPEN)
            late_drop(&run->lanes[l], run->jobs[run->lanes[l].p.job].proven.hold_frames, now_us,
                      (int64_t)run->settings.latency_ms * 1000);
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN) lane_goes_on(run, l);
    hand_out(run, now_us);
}

bool flow_owes(const struct run *run, const struct proc *p)
{
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        const struct lane *lane = &run->lanes[l];
        if (lane->state == LANE_IDLE || !lane_has_member(lane, flow_member_of(p))) continue;
        if (p->stage != REEL_WORKER && !flow_is_bound(run, p, l)) continue;
        if (lane->state == LANE_CLOSING || rings_owes(run, l, p)) return true;
        if (p->stage == REEL_DECODER && !lane->ended && lane->decoded < lane->window_end) return true;
        uint32_t held = run->jobs[lane->p.job].proven.hold_frames; // the encoder may keep so many at any time
        if (p->stage == REEL_AGGREGATOR && (lane->finished || lane_at_aggregator(lane) > held)) return true;
    }
    return p->stage == REEL_WORKER && run->dispatch.worker[p->index].held > 0;
}
