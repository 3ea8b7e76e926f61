// SPDX-License-Identifier: MIT
//
// The part of flow.c for frames that several workers compute together: sends each round as WORK
// to every member, and ends rounds through the object that the members share
// (common/rounds.h). team.c decides who gets what, and when.
#include <string.h>

#include "common/log.h"
#include "common/proto.h"
#include "coordinator/flow.h"

void flow_team_init(struct run *run)
{
    void *base;
    if (run->settings.split != SET_SPLIT_SPATIAL || run->collective_fd < 0) return;
    if (reel_shm_map(run->collective_fd, REEL_COLLECTIVE_BYTES, &base))
        reel_debug("flow", "no frame's parts exchange rows: %s", reel_fail_text());
    else
        run->rounds = base;
}

void flow_team_end(struct run *run)
{
    // Ends all rounds, so that members that wait for each other read the QUIT message.
    if (run->rounds) reel_rounds_end(run->rounds, UINT64_MAX - 1);
}

void flow_team_fini(struct run *run)
{
    if (run->rounds) reel_shm_unmap(run->rounds, REEL_COLLECTIVE_BYTES);
    run->rounds = NULL;
}

bool flow_team_fits(const struct run *run, uint32_t parts)
{
    uint32_t workers = 0;
    for (uint32_t i = 0; i < run->workers; i++) workers += !run->sup.proc[run->sup.first[REEL_WORKER] + i].left_out;
    return run->rounds && !run->team.off && parts <= workers;
}

void flow_team_break(struct run *run, const struct lane *lane, const char *why)
{
    if (!lane->p.together || !team_break(&run->team, run->lanes, run->n_lanes)) return;
    reel_rounds_end(run->rounds, run->team.round);
    reel_debug("flow", "rounds up to %llu are over: %s", (unsigned long long)run->team.round, why);
}

// From now on each frame goes whole to one worker: the same result, but later.
static void turn_off(struct run *run)
{
    bool any = false;
    for (uint32_t i = 0; i < run->n_active; i++) {
        struct job *job = &run->jobs[run->active[i]];
        if (!job->shaped.exchange || flow_team_fits(run, job->shaped.parts)) continue;
        job->shaped.exchange = 0;
        job->shaped.parts = 1;
        flow_close_job(run, job->spec->id);
        any = true;
    }
    if (any)
        reel_warn("flow", "each frame is no longer split, but goes to one worker: %s",
                  run->team.off ? "the workers could not process one together" : "there are not enough workers");
}

// Workers that share a GPU can exchange rows only through host memory. So can a restarted worker
// with those that joined before.
static bool may_join(struct run *run)
{
    for (uint32_t i = 0; i < run->workers; i++) {
        const struct proc *p = supervise_at(&run->sup, REEL_WORKER, i);
        if (p->incarnation != 1 || p->left_out) return false;
        for (uint32_t k = 0; k < i && p->device >= 0; k++)
            if (supervise_at(&run->sup, REEL_WORKER, k)->device == p->device) return false;
    }
    return true;
}

static void ask_to_join(struct run *run)
{
    if (!team_asks(&run->team, &run->dispatch, run->lanes, run->n_lanes)) return;
    if (!may_join(run)) {
        team_part(&run->team);
        return;
    }
    for (uint32_t i = 0; i < run->workers; i++)
        run_post(run, supervise_at(&run->sup, REEL_WORKER, i), REEL_MSG_JOIN, NULL);
}

void flow_team_joined(struct run *run, const struct reel_rec_joined *rec)
{
    team_on_joined(&run->team, rec->ok);
    if (run->team.join == TEAM_JOINED) reel_debug("flow", "rows of parts go from device to device");
}

void flow_team_gone(struct run *run)
{
    team_part(&run->team);
}

static void hand_out(struct run *run, const struct team_give *give)
{
    struct lane *lane = &run->lanes[give->lane];
    const struct lane_frame *f = lane_frame_of(lane, give->n);
    for (uint32_t i = 0; i < give->parts; i++) {
        struct reel_rec_work rec = {.lane = give->lane,
                                    .epoch = lane->p.epoch,
                                    .n = give->n,
                                    .in_slot = give->n % lane->p.in_slots,
                                    .out_slot = give->out_slot,
                                    .flags = f->flags,
                                    .part = i,
                                    .up = give->direct && i > 0 ? (uint16_t)(give->worker[i - 1] + 1) : 0,
                                    .down =
                                        give->direct && i + 1 < give->parts ? (uint16_t)(give->worker[i + 1] + 1) : 0,
                                    .round = give->round,
                                    .pts = f->pts};
        run_post(run, supervise_at(&run->sup, REEL_WORKER, give->worker[i]), REEL_MSG_WORK, &rec);
    }
    run->frames_given += give->parts;
}

bool flow_team_step(struct run *run, int64_t now_us)
{
    struct team_give give;
    bool any = false;
    if (!run->rounds) return false;
    turn_off(run);
    ask_to_join(run);
    for (; team_next(&run->team, &run->dispatch, run->lanes, run->n_lanes, now_us, &give); any = true)
        hand_out(run, &give);
    return any;
}
