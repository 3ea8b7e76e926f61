// SPDX-License-Identifier: MIT
//
// Choice of frames and workers. See dispatch.h.
#include "coordinator/dispatch.h"

#include <string.h>

#define SMOOTHING 0.2          // weight of the newest measurement
#define RETRY_FACTOR 50        // a worker too slow to be given frames is tried again after this many of its frame times
#define AHEAD_US 40000.0       // how much work a worker may hold: quick frames are sent in groups
#define AHEAD_PARTS_US 12000.0 // the same for parts of frames, which are needed soon
#define LATE_FACTOR 3          // the lane's first frame goes to a second worker after this many usual times
#define LATE_LEAST_US 40000    // but no sooner, because a busy machine delays frames too
#define LATE_STOCKED 10        // and this many times later while the aggregator has enough other frames

void dispatch_init(struct dispatch *d, uint32_t workers)
{
    memset(d, 0, sizeof *d);
    d->n = workers;
    d->remaining = -1;
    d->late_factor = LATE_FACTOR;
}

void dispatch_up(struct dispatch *d, uint32_t worker, uint32_t batch)
{
    struct dispatch_worker *w = &d->worker[worker];
    // The speed of the process that it replaces is the best estimate.
    *w = (struct dispatch_worker){.up = true, .frame_us = w->frame_us, .done = w->done};
    w->batch = batch < 1 ? 1 : batch > DISPATCH_MAX_BATCH ? DISPATCH_MAX_BATCH : batch;
}

void dispatch_on_ready(struct dispatch *d, uint32_t worker, uint32_t credits)
{
    struct dispatch_worker *w = &d->worker[worker];
    if (w->up) w->credits += credits < UINT32_MAX - w->credits ? credits : 0;
}

void dispatch_on_let_go(struct dispatch *d, uint32_t worker, uint32_t frames)
{
    struct dispatch_worker *w = &d->worker[worker];
    w->held -= frames < w->held ? frames : w->held;
    if (!w->held) w->alone = false;
}

void dispatch_on_done(struct dispatch *d, uint32_t worker, uint32_t frame_us)
{
    struct dispatch_worker *w = &d->worker[worker];
    double us = frame_us ? frame_us : 1;
    // The first frame may have included initialising a device, so a much shorter time replaces
    // the average instead of being averaged in.
    w->frame_us = us < w->frame_us / 2 || !w->frame_us ? us : w->frame_us + SMOOTHING * (us - w->frame_us);
    w->done++;
    dispatch_on_let_go(d, worker, 1);
}

void dispatch_on_gone(struct dispatch *d, uint32_t worker)
{
    struct dispatch_worker *w = &d->worker[worker];
    w->up = w->alone = false;
    w->credits = w->held = 0;
}

double dispatch_rate(const struct dispatch *d)
{
    double rate = 0;
    for (uint32_t i = 0; i < d->n; i++)
        if (d->worker[i].up && d->worker[i].frame_us > 0) rate += 1 / d->worker[i].frame_us;
    return rate;
}

// How many frames the open lanes can have in flight; a slow worker may delay all of them.
static uint32_t frames_in_window(const struct lane *lanes, uint32_t n_lanes)
{
    uint32_t frames = 0;
    for (uint32_t i = 0; i < n_lanes; i++) {
        if (lanes[i].state != LANE_OPEN) continue;
        uint32_t slots = lanes[i].p.in_slots < lanes[i].p.out_slots ? lanes[i].p.in_slots : lanes[i].p.out_slots;
        frames += lanes[i].p.parts > 1 ? slots * lanes[i].p.parts : slots;
    }
    return frames;
}

static double ahead_us(const struct lane *lanes, uint32_t n_lanes)
{
    for (uint32_t i = 0; i < n_lanes; i++)
        if (lanes[i].state == LANE_OPEN && lanes[i].p.parts > 1) return AHEAD_PARTS_US;
    return AHEAD_US;
}

// Whether w is so slow that the other workers would finish all frames in the windows before w
// finishes one, and then wait for it.
static bool holds_up_others(const struct dispatch_worker *w, double rate, uint32_t window, int64_t now_us)
{
    if (w->frame_us <= 0 || w->frame_us * rate - 1 <= window) return false;
    return !w->idle_us || (double)(now_us - w->idle_us) < RETRY_FACTOR * w->frame_us;
}

// How many more frames the worker may get now.
static uint32_t room(const struct dispatch *d, const struct dispatch_worker *w, double rate, uint32_t window,
                     int64_t now_us)
{
    if (!w->up || w->alone || !w->credits) return 0;
    if (w->held == 0 && holds_up_others(w, rate, window, now_us)) return 0;
    if (w->held == 0) return w->credits < w->batch ? w->credits : w->batch;
    // A second batch hides the latency of the messages. But its last frame is done only two
    // batches from now, and the window must not have to wait for it.
    if (w->frame_us <= 0) return 0;
    double ahead = d->ahead_us / w->frame_us, most = d->live_ahead_us > 0 ? 0 : 2.0 * w->batch;
    if (ahead > most) most = ahead;
    double fits = rate > 0 ? 0.5 * window / (rate * w->frame_us) : most;
    if (fits < 2.0 * w->batch) return 0;
    if (most > fits) most = fits;
    if (w->held + 1 > most) return 0;
    uint32_t more = (uint32_t)(most - w->held);
    if (more > w->batch) more = w->batch;
    return more < w->credits ? more : w->credits;
}

// Near the end: whether the others would finish all remaining frames before this worker
// finishes one more.
static bool too_slow_for_rest(const struct dispatch *d, const struct dispatch_worker *w, double rate)
{
    if (d->remaining < 0 || w->frame_us <= 0) return false;
    double others = rate - 1 / w->frame_us;
    if (others <= 0) return false;
    double fastest = 0;
    for (uint32_t i = 0; i < d->n; i++)
        if (d->worker[i].up && d->worker[i].frame_us > 0 && (!fastest || d->worker[i].frame_us < fastest))
            fastest = d->worker[i].frame_us;
    double mine = (w->held + 1) * w->frame_us;
    return mine > (double)d->remaining / others + 2 * fastest;
}

// A set of workers.
struct crew {
    uint64_t bits[(LANE_MAX_WORKERS + 63) / 64];
};

static void crew_add(struct crew *c, uint32_t worker)
{
    c->bits[worker / 64] |= UINT64_C(1) << worker % 64;
}

// The worker that would finish one more frame first; d->n when none may get one. lane: only
// workers that may serve it, or NULL.
static uint32_t choose_worker(const struct dispatch *d, double rate, uint32_t window, bool idle_only,
                              const struct crew *except, const struct lane *lane, int64_t now_us)
{
    uint32_t best = d->n;
    double best_us = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct dispatch_worker *w = &d->worker[i];
        if ((except->bits[i / 64] >> i % 64 & 1) || (lane && !lane_may_serve(lane, i))) continue;
        if ((idle_only && w->held) || !room(d, w, rate, window, now_us) || too_slow_for_rest(d, w, rate)) continue;
        double ready_us = (w->held + 1) * (w->frame_us > 0 ? w->frame_us : 1);
        if (best < d->n && ready_us >= best_us) continue;
        best = i;
        best_us = ready_us;
    }
    return best;
}

// The open lane with the lowest order above `after` (any: with the lowest of all); n_lanes: none.
static uint32_t next_oldest(const struct lane *lanes, uint32_t n_lanes, uint64_t after, bool any)
{
    uint32_t best = n_lanes;
    for (uint32_t i = 0; i < n_lanes; i++) {
        if (lanes[i].state != LANE_OPEN || lanes[i].p.together || (!any && lanes[i].p.order <= after)) continue;
        if (best == n_lanes || lanes[i].p.order < lanes[best].p.order) best = i;
    }
    return best;
}

// Fills the batch of a chosen worker; suspected frames go alone.
static void collect(struct dispatch *d, struct lane *lanes, uint32_t n_lanes, uint32_t most, int64_t now_us,
                    struct dispatch_batch *batch)
{
    struct dispatch_worker *w = &d->worker[batch->worker];
    uint32_t shape = 0;
    uint32_t l = next_oldest(lanes, n_lanes, 0, true);
    for (; l < n_lanes && batch->count < most; l = next_oldest(lanes, n_lanes, lanes[l].p.order, false)) {
        struct lane *lane = &lanes[l];
        if ((batch->count && lane->p.shape != shape) || !lane_may_serve(lane, batch->worker)) continue;
        uint32_t from = 0;
        while (batch->count < most) {
            uint32_t n = lane_next_work(lane, from);
            if (n == UINT32_MAX) break;
            from = n + 1;
            bool suspected = lane_frame_of(lane, n)->suspicion > 0;
            if (suspected && (batch->count || w->held)) {
                if (lane->p.stateful) break; // the frames after it need its state
                continue;
            }
            shape = lane->p.shape;
            uint32_t part = lane_next_part(lane, n);
            uint32_t slot = lane_give(lane, n, batch->worker, now_us);
            batch->item[batch->count++] = (struct dispatch_item){l, n, part, slot};
            w->alone = suspected;
            if (suspected) most = 1;
        }
    }
}

// A second try of a frame that holds up its lane, for a worker with nothing to do.
static bool second_try(struct dispatch *d, struct lane *lanes, uint32_t n_lanes, double rate, uint32_t window,
                       int64_t now_us, struct dispatch_batch *batch)
{
    for (uint32_t l = 0; l < n_lanes; l++) {
        if (lanes[l].state != LANE_OPEN || lanes[l].p.parts > 1 || lanes[l].sent >= lanes[l].decoded) continue;
        const struct lane_frame *f = lane_frame_of(&lanes[l], lanes[l].sent);
        if (!f || f->state != SLOT_GIVEN || f->suspicion) continue;
        if (lane_late_head(&lanes[l], now_us - LATE_LEAST_US) == UINT32_MAX) continue; // the usual case
        uint32_t holder = f->holder[0].worker != LANE_NO_WORKER ? f->holder[0].worker : f->holder[1].worker;
        struct crew except = {{0}};
        crew_add(&except, holder);
        uint32_t w = choose_worker(d, rate, window, true, &except, &lanes[l], now_us);
        if (w == d->n || d->worker[w].frame_us <= 0) continue;
        double late_us = d->late_factor * d->worker[w].frame_us;
        if (late_us < LATE_LEAST_US) late_us = LATE_LEAST_US;
        if (2 * lane_at_aggregator(&lanes[l]) >= lanes[l].p.out_slots) late_us *= LATE_STOCKED;
        uint32_t n = lane_late_head(&lanes[l], now_us - (int64_t)late_us);
        if (n == UINT32_MAX) continue;
        // Not if the worker that has it will, at its usual speed, finish first.
        const struct dispatch_worker *h = &d->worker[holder];
        double left_us = h->held * h->frame_us - (double)(now_us - f->given_us);
        if (h->frame_us > 0 && left_us > 0 && left_us < d->worker[w].frame_us) continue;
        uint32_t slot = lane_give_second(&lanes[l], n, w);
        batch->worker = w;
        batch->item[batch->count++] = (struct dispatch_item){l, n, 0, slot};
        return true;
    }
    return false;
}

// The worker with the fewest lanes bound to it; among equals the fastest, if speeds are known.
static uint32_t choose_keeper(const struct dispatch *d, const struct lane *lanes, uint32_t n_lanes,
                              const struct lane *lane)
{
    uint32_t kept[LANE_MAX_WORKERS] = {0}, best = d->n;
    for (uint32_t l = 0; l < n_lanes; l++)
        for (uint32_t i = 0; lanes[l].p.stateful && i < d->n; i++) kept[i] += lane_needs(&lanes[l], i);
    for (uint32_t i = 0; i < d->n; i++) {
        if (!d->worker[i].up || (lane->limited && !(lane->allowed[i / 64] >> i % 64 & 1))) continue;
        const bool better = best == d->n || kept[i] < kept[best] ||
                            (kept[i] == kept[best] && d->worker[i].frame_us < d->worker[best].frame_us);
        if (better) best = i;
    }
    return best;
}

// Binds stateful lanes that have a frame ready to a worker.
static void bind_lanes(const struct dispatch *d, struct lane *lanes, uint32_t n_lanes)
{
    for (uint32_t l = 0; l < n_lanes; l++) {
        struct lane *lane = &lanes[l];
        if (!lane->p.stateful || lane->state != LANE_OPEN || lane->keeper != LANE_NO_WORKER || !lane->decoded) continue;
        const uint32_t keeper = choose_keeper(d, lanes, n_lanes, lane);
        if (keeper < d->n) lane_bind(lane, keeper);
    }
}

static bool some_cannot_serve(const struct dispatch *d, const struct lane *lanes, uint32_t n_lanes)
{
    for (uint32_t l = 0; l < n_lanes; l++) {
        if (lanes[l].state != LANE_OPEN || (!lanes[l].limited && !lanes[l].p.stateful)) continue;
        for (uint32_t i = 0; i < d->n; i++)
            if (d->worker[i].up && !lane_may_serve(&lanes[l], i)) return true;
    }
    return false;
}

bool dispatch_next(struct dispatch *d, struct lane *lanes, uint32_t n_lanes, int64_t now_us,
                   struct dispatch_batch *out_batch)
{
    bind_lanes(d, lanes, n_lanes);
    double rate = dispatch_rate(d);
    uint32_t window = frames_in_window(lanes, n_lanes);
    d->ahead_us = ahead_us(lanes, n_lanes);
    if (d->live_ahead_us > 0 && d->live_ahead_us < d->ahead_us) d->ahead_us = d->live_ahead_us;
    for (uint32_t i = 0; i < d->n; i++) {
        struct dispatch_worker *w = &d->worker[i];
        if (w->held)
            w->idle_us = 0;
        else if (!w->idle_us)
            w->idle_us = now_us > 0 ? now_us : 1;
    }
    out_batch->count = 0;
    struct crew skip = {{0}};
    bool limited = some_cannot_serve(d, lanes, n_lanes);
    // If some lanes are restricted to some workers, every worker is tried in turn, and none
    // waits for a faster one, which perhaps may not serve the lane.
    if (limited) rate = 0;
    for (uint32_t attempt = 0; attempt < (limited ? d->n : 2) && !out_batch->count; attempt++) {
        out_batch->worker = choose_worker(d, rate, window, attempt > 0 && !limited, &skip, NULL, now_us);
        if (out_batch->worker == d->n) break; // a second try may still be due
        collect(d, lanes, n_lanes, room(d, &d->worker[out_batch->worker], rate, window, now_us), now_us, out_batch);
        // Only suspected frames are left, and this worker holds others; try an idle one.
        crew_add(&skip, out_batch->worker);
    }
    if (!out_batch->count && !second_try(d, lanes, n_lanes, rate, window, now_us, out_batch)) return false;
    struct dispatch_worker *w = &d->worker[out_batch->worker];
    w->held += out_batch->count;
    w->credits -= out_batch->count;
    if (d->remaining >= out_batch->count) d->remaining -= out_batch->count;
    return true;
}
