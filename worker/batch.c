// SPDX-License-Identifier: MIT
//
// One queued frame after the other: check the slot's stamp, run the lane's
// task, publish the output slot, say DONE. After DONE the slot is no longer
// touched.
//
// On a CPU frames are run one by one: a batch gains nothing. With a device some
// are under way at once (device/device.h), and DONE is said in the order in which they
// were started. Either way each frame is a run of its own, so that its bytes
// cannot depend on which others it met.
#include <string.h>

#include "common/life.h"
#include "common/log.h"
#include "worker/picture_set.h"
#include "worker/worker.h"

static int at_once(const struct worker *w, const struct task *task)
{
    return task->batch < w->batch_most ? task->batch : w->batch_most;
}

static void say_less(struct worker *w, int batch, int less)
{
    w->batch_most = less;
    reel_child_note(&w->child, REEL_LOG_INFO, REEL_NO_JOB,
                    "runs of %d frames at once have no room: %d from now on (%s)", batch, less, reel_fail_text());
}

enum reel_err batch_engine(struct worker *w, const struct task *task, struct engine **out_engine)
{
    const struct view *v = &task->view;
    for (bool alone = false;;) {
        int batch = at_once(w, task);
        enum reel_err err = engines_get(w->engines, &w->model, v->net_w, v->net_h, batch, out_engine);
        // Runs of many are of the device's path alone.
        if (!err && batch > 1 && !device_takes(w->device, task, *out_engine)) {
            w->batch_most = 1;
            continue;
        }
        if (err != REEL_ERR_NOMEM || (alone && batch <= 1)) return err;
        if (alone) {
            say_less(w, batch, batch / 2);
        } else { // those of other sizes go first
            if ((err = batch_drain(w))) return err;
            engines_drop(w->engines);
            alone = true;
        }
    }
}

// Out of memory beside a run of several frames: with fewer there may be enough.
static bool shrink(struct worker *w, const struct task *task)
{
    int batch = at_once(w, task);
    if (!w->device || !w->has_model || batch < 2) return false;
    say_less(w, batch, batch / 2);
    if (batch_drain(w)) return false;
    engines_drop(w->engines);
    return true;
}

enum reel_err batch_band_engine(struct worker *w, const struct task *task, uint32_t part, struct engine **out_engine)
{
    struct band band;
    view_band(&task->view, (int)part, &band);
    const struct view *v = &task->view;
    enum reel_err err = engines_get_band(w->engines, &w->model, v->net_w, v->net_h, &band, out_engine);
    if (err != REEL_ERR_NOMEM) return err;
    engines_drop(w->engines); // those of other sizes go first
    return engines_get_band(w->engines, &w->model, v->net_w, v->net_h, &band, out_engine);
}

// The frames around one, or it and the next; those that are missing at the ends replaced by the last.
static enum reel_err find_seen(struct worker *w, const struct reel_rec_work *work, struct task_frame *frame)
{
    const struct reel_ring *in = &w->child.in[work->lane];
    const struct model_input *sees = &w->model.input;
    const int frames = w->has_model ? sees->frames : 1, back = model_sees_before(sees);
    for (int i = 0; frames > 1 && i < frames; i++) {
        int64_t n = (int64_t)work->n + i * sees->step - back, last = (int64_t)work->n + work->after;
        n = n < 0 ? 0 : n > last ? last : n;
        if (n == (int64_t)work->n + 1) n = work->next;
        const uint32_t slot = (uint32_t)n % in->slots;
        struct reel_stamp stamp;
        enum reel_err err = reel_ring_check(in, slot, (uint32_t)n, &stamp);
        if (err) return err;
        frame->seen[i] = reel_ring_pixels(in, slot);
    }
    return REEL_OK;
}

// Frames whose network carries a state come in order.
static enum reel_err check_order(struct worker *w, struct task *task, uint32_t n)
{
    if (!w->has_model || !engines_facts(w->engines)->states->n) return REEL_OK;
    if (n < task->next_n)
        return reel_fail(REEL_ERR_PROTO, "work names frame %u of a lane whose state is that of frame %u", n,
                         task->next_n - 1);
    task->next_n = n + 1;
    return REEL_OK;
}

// Checks the slots and finds the engine; nothing has begun yet.
static enum reel_err prepare(struct worker *w, struct worker_lane *l, const struct reel_rec_work *work,
                             struct engine **out_engine, struct task_frame *out_frame)
{
    struct reel_ring *in = &w->child.in[work->lane], *out = &w->child.out[work->lane];
    struct reel_stamp stamp;
    enum reel_err err = reel_ring_check(in, work->in_slot, work->n, &stamp);
    if (err) return err;
    int parts = l->task.view.parts;
    if (work->part && work->part >= (uint32_t)parts)
        return reel_fail(REEL_ERR_PROTO, "work names part %u of %d", work->part, parts);
    if ((work->round > 0) != (l->task.view.margin > 0))
        return reel_fail(REEL_ERR_PROTO, "work names round %llu", (unsigned long long)work->round);
    if (work->round)
        err = batch_band_engine(w, &l->task, work->part, out_engine);
    else if (w->has_model)
        err = batch_engine(w, &l->task, out_engine);
    else
        err = engines_get(w->engines, NULL, parts, 0, 1, out_engine);
    *out_frame = (struct task_frame){.in = reel_ring_pixels(in, work->in_slot),
                                     .out = reel_ring_pixels(out, work->out_slot),
                                     .aux = reel_ring_aux(out, work->out_slot),
                                     .in_on_gpu = in->on_gpu,
                                     .out_on_gpu = out->on_gpu,
                                     .n = work->n,
                                     .part = work->part,
                                     .after = work->after,
                                     .pts = work->pts};
    if (!err) err = check_order(w, &l->task, work->n);
    return err ? err : find_seen(w, work, out_frame);
}

static void publish(struct worker *w, const struct reel_rec_work *work, const struct task_frame *frame)
{
    reel_crash_point("worker.mid_slot");
    // Of a frame in parts one writes the stamp: it is a check, the order comes from the messages.
    if (!work->part) reel_ring_publish(&w->child.out[work->lane], work->out_slot, work->n, work->pts, frame->aux_bytes);
}

static void begin_stat(struct worker *w, const struct reel_rec_work *work, uint32_t job)
{
    struct reel_stat_row *row = w->child.row;
    atomic_store_explicit(&row->job, job, memory_order_relaxed);
    atomic_store_explicit(&row->frame, work->n, memory_order_relaxed);
    atomic_store_explicit(&row->state, REEL_STATE_BUSY, memory_order_relaxed);
}

static void end_stat(struct worker *w, const struct task_frame *frame, int64_t total_us)
{
    struct reel_stat_row *row = w->child.row;
    reel_stat_add(&row->frames, 1);
    reel_stat_add(&row->progress, 1);
    reel_stat_add(&row->busy_us, (uint64_t)total_us);
    reel_stat_add(&row->run_us, (uint64_t)frame->run_us);
}

// Answers for a frame; its credit comes back.
static enum reel_err answer(struct worker *w, const struct reel_rec_work *work, enum reel_err err,
                            const struct task_frame *frame, int64_t total_us)
{
    w->credits_back++;
    w->child.part = work->part;
    if (err)
        return reel_child_failed(&w->child, REEL_SCOPE_LANE, err, w->lanes[work->lane].rec.job, work->lane, work->epoch,
                                 work->n);
    end_stat(w, frame, total_us);
    w->frame_us = total_us;
    if (!w->untold_us) w->untold_us = reel_now_us();
    struct reel_rec_done done = {.lane = work->lane,
                                 .epoch = work->epoch,
                                 .n = work->n,
                                 .out_slot = work->out_slot,
                                 .run_us = (uint32_t)frame->run_us,
                                 .total_us = (uint32_t)total_us,
                                 .part = work->part,
                                 .credits = w->credits_back};
    w->credits_back = 0;
    reel_crash_point("worker.before_done");
    return reel_bus_post(w->child.bus, REEL_BUS_HUB, REEL_MSG_DONE, &done);
}

// Rows go from device to device, behind each other on its stream.
static bool is_direct(const struct reel_rec_work *work)
{
    return work->up || work->down;
}

// Of a part that exchanges rows: what runs next is this one.
static enum reel_err begin_round(struct worker *w, const struct reel_rec_work *work)
{
    if (!work->round) return REEL_OK;
    const struct team_round round = {.number = work->round,
                                     .part = work->part,
                                     .parts = (uint32_t)w->lanes[work->lane].task.view.parts,
                                     .up = work->up - 1,
                                     .down = work->down - 1,
                                     .direct = is_direct(work)};
    return team_begin(w->team, &round);
}

// ---- one by one ---------------------------------------------------------------

// What the frame before has left; of the first one, what there is before it.
static enum reel_err find_states(struct worker *w, struct task *task, struct engine *engine)
{
    const struct view *v = &task->view;
    if (!w->has_model || !engine_plan(engine)->n) return REEL_OK;
    enum reel_err err = REEL_OK;
    if (!task->states)
        err = engine_states_create(w->engines, &w->model, v->net_w, v->net_h, v->n_x * v->n_y, &task->states);
    if (!err) engine_use_states(engine, task->states, 0);
    return err;
}

static enum reel_err run_here(struct worker *w, const struct reel_rec_work *work, struct engine *engine,
                              struct task_frame *frame)
{
    struct worker_lane *l = &w->lanes[work->lane];
    enum reel_err err = begin_round(w, work);
    if (!err) err = find_states(w, &l->task, engine);
    if (w->has_model) engine_give(engine, l->task.pictures ? l->task.pictures->given : NULL, w->model.input.n_given);
    if (!err) err = l->task.ops->run(&l->task, engine, frame);
    if (!err) publish(w, work, frame);
    return err;
}

// ---- through the device ---------------------------------------------------------

bool batch_in_work(const struct worker *w)
{
    return w->device && device_in_work(w->device) > 0;
}

static bool oldest_is_done(void *user)
{
    return device_ready(((struct worker *)user)->device);
}

// The oldest frame comes back from the device.
static enum reel_err take_back(struct worker *w, bool tell)
{
    struct task_frame frame;
    uint64_t token = w->tokens - (uint64_t)device_in_work(w->device);
    const struct reel_rec_work *work = &w->in_work[token % DEVICE_FRAMES];
    // A kernel that waits for a neighbour's rows would wait for ever if that is gone.
    enum reel_err settled = is_direct(work) ? team_settle(w->team, work->round, oldest_is_done, w) : REEL_OK;
    enum reel_err err = device_finish(w->device, &frame, &token);
    if (!err && settled) err = reel_fail(settled, "could not do a part of frame %u: its round is over", work->n);
    if (err && device_lost(w->device)) return err; // this process is of no use any more
    if (err && work->round) team_end_round(w->team, work->round);
    if (!tell) {
        w->credits_back++;
        return REEL_OK;
    }
    if (!err) publish(w, work, &frame);
    int batch = at_once(w, &w->lanes[work->lane].task);
    if (err == REEL_ERR_NOMEM && batch > 1) say_less(w, batch, batch / 2); // it comes again, here or elsewhere
    return answer(w, work, err, &frame, frame.run_us);
}

void batch_drop_lane(struct worker *w, uint32_t lane)
{
    bool any = false;
    // In order: frames of other lanes in front are answered as always.
    for (int i = 0; batch_in_work(w) && i < DEVICE_FRAMES; i++) {
        uint64_t token = w->tokens - (uint64_t)device_in_work(w->device);
        bool mine = w->in_work[token % DEVICE_FRAMES].lane == lane;
        if (take_back(w, !mine)) break;
        any |= mine;
    }
    if (any) reel_debug("batch", "lane %u: waited for the device", lane);
}

enum reel_err batch_drain(struct worker *w)
{
    enum reel_err err = REEL_OK;
    while (!err && batch_in_work(w)) err = take_back(w, true);
    return err;
}

static enum reel_err start(struct worker *w, const struct reel_rec_work *work, struct engine *engine,
                           const struct task_frame *frame)
{
    enum reel_err err = begin_round(w, work);
    if (!err) err = device_submit(w->device, &w->lanes[work->lane].task, engine, frame, w->tokens);
    if (err) return err;
    w->in_work[w->tokens++ % DEVICE_FRAMES] = *work;
    // The others of its round would wait for rows of this one.
    return work->round && device_failed(w->device) ? batch_drain(w) : REEL_OK;
}

// ---- the next frame -------------------------------------------------------------------

// Another network size may take the place of one that frames in work use.
static bool other_engine(const struct worker *w, const struct worker_lane *l)
{
    if (!batch_in_work(w)) return false;
    const struct task *have = &w->lanes[w->in_work[(w->tokens - 1) % DEVICE_FRAMES].lane].task;
    return have->view.net_w != l->task.view.net_w || have->view.net_h != l->task.view.net_h ||
           have->batch != l->task.batch;
}

enum reel_err batch_next(struct worker *w)
{
    if (batch_in_work(w) && !w->queue_count) return take_back(w, true);
    struct reel_rec_work work = w->queue[w->queue_first];
    struct worker_lane *l = &w->lanes[work.lane];
    enum reel_err err = REEL_OK;
    // While rows are exchanged by way of the host this process does nothing else: what is done is told before.
    const bool staged = work.round && !is_direct(&work);
    if ((other_engine(w, l) || staged) && (err = batch_drain(w))) return err;
    w->queue_first = (w->queue_first + 1) % WORKER_CREDITS;
    w->queue_count--;
    begin_stat(w, &work, l->rec.job);
    w->child.part = work.part;
    w->in_parts = l->task.view.parts > 1;
    int64_t begin_us = reel_now_us();
    struct task_frame frame = {0};
    struct engine *engine = NULL;
again:
    err = prepare(w, l, &work, &engine, &frame);
    reel_crash_point("worker.before_run");
    if (!err && (reel_fault_point("worker.memory") || (at_once(w, &l->task) > 1 && reel_fault_point("worker.room"))))
        err = reel_fail(REEL_ERR_NOMEM, "could not run the network: a fault point says that memory is used up");
    if (!err && w->device && device_takes(w->device, &l->task, engine)) {
        // The oldest one makes room; it is another frame than this one, and answered as that.
        while (device_full(w->device, engine))
            if ((err = take_back(w, true))) return err;
        begin_stat(w, &work, l->rec.job);
        w->child.part = work.part;
        if (!(err = start(w, &work, engine, &frame))) return REEL_OK;
    } else if (!err) {
        err = run_here(w, &work, engine, &frame);
    }
    if (err && w->device && device_lost(w->device)) return err;
    if (err == REEL_ERR_NOMEM && shrink(w, &l->task)) goto again;
    if (err && work.round) team_end_round(w->team, work.round);
    return answer(w, &work, err, &frame, reel_now_us() - begin_us);
}
