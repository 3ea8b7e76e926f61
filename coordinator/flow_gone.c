// SPDX-License-Identifier: MIT
//
// Failures in a lane: deaths and reported failures of its processes, and the suspicion and
// quarantine of frames and segments that follow. Called by run.c and flow.c.
#include "coordinator/flow.h"

#include <stdio.h>

#include "common/log.h"

#define NO_MEMORY_FRAMES 3 // after so many frames in a row without memory the worker is left out

uint32_t flow_fill_in_flag(const struct run *run)
{
    return run->settings.poison == SET_POISON_PASSTHROUGH ? REEL_FRAME_PASS : REEL_FRAME_REPEAT;
}

// ---- crashes ----------------------------------------------------------------------

// Gives up a frame that has crashed a stage often enough, the last time alone.
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
    lane_quarantine(lane, n, flow_fill_in_flag(run));
}

// Counts against frame n that a worker which had it crashed, or refused it. alone: the worker had
// no other frame.
static void suspect_frame(struct run *run, uint32_t l, uint32_t n, bool alone)
{
    struct lane *lane = &run->lanes[l];
    struct job *job = flow_job_of(run, lane);
    if (lane->state != LANE_OPEN || job->state != JOB_RUN) return;
    struct lane_frame *f = lane_frame_of(lane, n);
    // Another worker still has the whole frame and may succeed; if not, its crash will count.
    if (f && f->state == SLOT_GIVEN && lane->p.parts < 2) alone = false;
    bool over = poison_on_crash(&job->poison, lane->p.segment, n, alone, (uint32_t)run->settings.poison_tries);
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
        const bool over = lane_needs(lane, w); // the network's state was in that worker
        flow_drop_member(run, l, LANE_MEMBER_WORKER0 + w);
        for (uint32_t i = 0; i < n_suspects; i++) suspect_frame(run, l, suspects[i], held == 1);
        // A live input goes on, with a fresh state.
        if (over && run->settings.live)
            lane_unbind(lane);
        else if (over)
            flow_give_up(run, l);
    }
    dispatch_on_gone(&run->dispatch, w);
}

// The worker that holds the lane's state failed at frame n and has released it, so later frames
// started from a wrong state. A live input goes on without that frame.
static void state_failed(struct run *run, uint32_t l, uint32_t n)
{
    struct lane *lane = &run->lanes[l];
    struct job *job = flow_job_of(run, lane);
    if (!run->settings.live)
        flow_give_up(run, l);
    else if (poison_on_crash(&job->poison, lane->p.segment, n, true, 1))
        quarantine(run, job, lane, n);
}

// A decoder or aggregator crashed or failed by itself during an epoch: its segment is suspected.
static void suspect_segment(struct run *run, const struct proc *p, uint32_t l, bool alone, const char *why)
{
    struct lane *lane = &run->lanes[l];
    struct job *job = flow_job_of(run, lane);
    struct job_segment *s = &job->segments[lane->p.segment];
    s->suspect = true;
    if (alone || s->crashes[p->stage] == 0) s->crashes[p->stage]++;
    uint32_t tries = (uint32_t)run->settings.poison_tries;
    if (p->stage == REEL_AGGREGATOR && alone) {
        // The statistics page says at which frame it was. That is only a hint, which is tested by
        // filling in that frame.
        const struct reel_stat_row *row = &run->stat->row[p->row];
        uint32_t n = atomic_load_explicit(&row->frame, memory_order_relaxed);
        bool known =
            atomic_load_explicit(&row->job, memory_order_relaxed) == lane->p.job && n < lane->sent && !lane->finished;
        if (known) tries *= 2; // the frame is given up before the segment
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
    bool alone = flow_load_of(run, p, &taken_alone) == 1;
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        struct lane *lane = &run->lanes[l];
        if (lane->state == LANE_IDLE || !flow_is_bound(run, p, l) || !lane_has_member(lane, flow_member_of(p)))
            continue;
        if (run->settings.live && lane->state == LANE_OPEN && p->stage == REEL_DECODER && !run->io[l].rings.place.in) {
            flow_drop_member(run, l, flow_member_of(p));
            lane_cut_short(lane); // the frames it announced are in their slots
            continue;
        }
        // An attempt at a live input is not repeated, and the next one numbers its frames anew.
        if (!run->settings.live && lane->state == LANE_OPEN && death->by_itself)
            suspect_segment(run, p, l, alone, death->why);
        // Killed from outside again and again: with one segment at a time it may make progress.
        if (lane->state == LANE_OPEN && p->idle_deaths >= 3)
            flow_job_of(run, lane)->segments[lane->p.segment].suspect = true;
        flow_drop_member(run, l, flow_member_of(p));
        flow_give_up(run, l);
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
    struct lane *lane = flow_lane_of(run, p, rec->lane);
    if (!lane || lane->state != LANE_OPEN || rec->epoch != lane->p.epoch) return;
    struct job *job = flow_job_of(run, lane);
    if (p->stage == REEL_WORKER && rec->n == REEL_NO_FRAME) {
        jobs_fail(run, job, (enum reel_err)rec->err, rec->text);
        return;
    }
    if (p->stage == REEL_WORKER) flow_team_break(run, lane, rec->text);
    if (p->stage == REEL_WORKER && (rec->err == REEL_ERR_NOMEM || (rec->err == REEL_GONE && lane->p.together))) {
        // The frame is not to blame: it waits for memory, for another worker, or for a whole team.
        enum lane_result result = lane_on_refused(lane, rec->epoch, rec->n, rec->part, p->index);
        flow_judge(p, result, "FAILED", rec->lane, rec->n);
        if (result != LANE_OK) return;
        dispatch_on_let_go(&run->dispatch, p->index, 1);
        if (lane->p.stateful) state_failed(run, rec->lane, rec->n);
        if (rec->err == REEL_ERR_NOMEM && ++p->no_memory >= NO_MEMORY_FRAMES && !p->left_out)
            run_leave_out(run, p, rec->text);
        return;
    }
    if (p->stage == REEL_WORKER) {
        bool alone = run->dispatch.worker[p->index].held == 1;
        enum lane_result result = lane_on_refused(lane, rec->epoch, rec->n, rec->part, p->index);
        flow_judge(p, result, "FAILED", rec->lane, rec->n);
        if (result != LANE_OK) return;
        dispatch_on_let_go(&run->dispatch, p->index, 1);
        reel_warn("flow", "worker %u, frame %u of segment %u: %s", p->index, rec->n, lane->p.segment, rec->text);
        if (!lane->p.stateful || !run->settings.live) suspect_frame(run, rec->lane, rec->n, alone);
        if (lane->p.stateful) state_failed(run, rec->lane, rec->n);
        return;
    }
    if (!flow_is_bound(run, p, rec->lane)) return;
    snprintf(p->text, sizeof p->text, "%s", rec->text);
    if (run->settings.live) {
        progress_pause(run->progress);
        reel_warn("flow", "%s %u: %s", supervise_stage_name(p->stage), p->index, rec->text);
        flow_give_up(run, rec->lane);
        return;
    }
    // It reported the failure, so the lane that caused it is known (alone = true).
    suspect_segment(run, p, rec->lane, true, "failed");
    flow_give_up(run, rec->lane);
}
