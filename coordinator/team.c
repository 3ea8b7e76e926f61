// SPDX-License-Identifier: MIT
//
// Frames that several workers compute together. See team.h.
#include "coordinator/team.h"

#include <string.h>

// How many frames a team may have: one in work, and one to hide the latency of the messages.
#define AHEAD 2

static uint32_t parts_in_work(const struct lane *lanes, uint32_t n_lanes)
{
    uint32_t parts = 0;
    for (uint32_t l = 0; l < n_lanes; l++)
        if (lanes[l].p.together) parts += lane_held_by(&lanes[l], LANE_NO_WORKER);
    return parts;
}

// Whether the worker can take a part now. It may still have whole frames of other lanes, which it
// will finish first (alone: it may not).
static bool may_take(const struct dispatch *d, const struct lane *lane, uint32_t worker, bool alone)
{
    const struct dispatch_worker *w = &d->worker[worker];
    return w->up && !w->alone && w->credits && (!alone || !w->held) && lane_may_serve(lane, worker);
}

// Whether the members can take one more frame of the lane. While they have none they are chosen
// anew, lowest numbers first, so that each usually keeps its part.
static bool gather(struct team *t, const struct dispatch *d, const struct lane *lane, uint32_t in_work, bool alone)
{
    if (in_work + lane->p.parts > AHEAD * lane->p.parts) return false;
    if (!in_work) {
        t->n = 0;
        for (uint32_t i = 0; i < d->n && t->n < lane->p.parts; i++)
            if (may_take(d, lane, i, alone)) t->member[t->n++] = (uint16_t)i;
    }
    if (t->n != lane->p.parts) return false;
    for (uint32_t i = 0; i < t->n; i++)
        if (!may_take(d, lane, t->member[i], alone)) return false;
    return true;
}

static struct lane *oldest_with_work(struct lane *lanes, uint32_t n_lanes, uint32_t *out_n)
{
    struct lane *best = NULL;
    for (uint32_t l = 0; l < n_lanes; l++) {
        if (lanes[l].state != LANE_OPEN || !lanes[l].p.together || (best && lanes[l].p.order >= best->p.order))
            continue;
        uint32_t n = lane_next_work(&lanes[l], 0);
        if (n == UINT32_MAX) continue;
        best = &lanes[l];
        *out_n = n;
    }
    return best;
}

bool team_asks(struct team *t, const struct dispatch *d, const struct lane *lanes, uint32_t n_lanes)
{
    bool any = false;
    for (uint32_t l = 0; l < n_lanes; l++) any |= lanes[l].state == LANE_OPEN && lanes[l].p.together;
    for (uint32_t i = 0; i < d->n; i++) any &= d->worker[i].up;
    if (t->join != TEAM_UNASKED || !any) return false;
    t->join = TEAM_ASKED;
    t->unjoined = d->n;
    return true;
}

void team_on_joined(struct team *t, bool ok)
{
    if (t->join != TEAM_ASKED) return;
    if (!ok)
        t->join = TEAM_APART;
    else if (--t->unjoined == 0)
        t->join = TEAM_JOINED;
}

void team_part(struct team *t)
{
    t->join = TEAM_APART;
}

bool team_next(struct team *t, struct dispatch *d, struct lane *lanes, uint32_t n_lanes, int64_t now_us,
               struct team_give *out)
{
    uint32_t n;
    struct lane *lane = t->off || t->join < TEAM_JOINED ? NULL : oldest_with_work(lanes, n_lanes, &n);
    if (!lane) return false;
    const uint32_t in_work = parts_in_work(lanes, n_lanes);
    if (in_work && t->broken) return false;
    t->broken = false;
    const bool suspected = lane_frame_of(lane, n)->suspicion > 0;
    if ((suspected && in_work) || !gather(t, d, lane, in_work, suspected)) return false;
    *out = (struct team_give){.round = ++t->round,
                              .lane = (uint32_t)(lane - lanes),
                              .n = n,
                              .parts = lane->p.parts,
                              .direct = t->join == TEAM_JOINED};
    memcpy(out->worker, t->member, sizeof out->worker);
    out->out_slot = lane_give_together(lane, n, t->member, now_us);
    for (uint32_t i = 0; i < t->n; i++) {
        struct dispatch_worker *w = &d->worker[t->member[i]];
        w->held++;
        w->credits--;
        w->alone = suspected;
    }
    if (d->remaining >= t->n) d->remaining -= t->n;
    return true;
}

bool team_break(struct team *t, const struct lane *lanes, uint32_t n_lanes)
{
    if (t->broken || !parts_in_work(lanes, n_lanes)) return false;
    t->broken = true;
    team_part(t);
    if (++t->breaks >= TEAM_MOST_BREAKS) t->off = true;
    return true;
}

void team_on_done(struct team *t)
{
    t->breaks = 0;
}
