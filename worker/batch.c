// SPDX-License-Identifier: MIT
//
// One queued frame after the other: check the slot's stamp, run the lane's
// task, publish the output slot, say DONE. After DONE the slot is no longer
// touched.
//
// Frames are run one by one: on a CPU a batch gains nothing, and so the bytes
// cannot depend on how frames met.
#include <string.h>

#include "common/life.h"
#include "common/log.h"
#include "worker/worker.h"

static enum reel_err run_frame(struct worker *w, struct worker_lane *l, const struct reel_rec_work *work,
                               struct task_frame *out_frame)
{
    struct reel_ring *in = &w->child.in[work->lane], *out = &w->child.out[work->lane];
    struct reel_stamp stamp;
    enum reel_err err = reel_ring_check(in, work->in_slot, work->n, &stamp);
    if (err) return err;
    int parts = l->task.view.parts;
    if (work->part && work->part >= (uint32_t)parts)
        return reel_fail(REEL_ERR_PROTO, "work names part %u of %d", work->part, parts);
    struct engine *engine = NULL;
    if (w->has_model)
        err = engines_get(w->engines, &w->model, l->task.view.net_w, l->task.view.net_h, &engine);
    else
        err = engines_get(w->engines, NULL, parts, 0, &engine);
    if (err) return err;
    *out_frame = (struct task_frame){.in = reel_ring_slot(in, work->in_slot),
                                     .out = reel_ring_slot(out, work->out_slot),
                                     .n = work->n,
                                     .part = work->part,
                                     .pts = work->pts};
    reel_crash_point("worker.before_run");
    if ((err = l->task.ops->run(&l->task, engine, out_frame))) return err;
    reel_crash_point("worker.mid_slot");
    // Of a frame in parts one writes the stamp: it is a check, the order comes from the messages.
    if (!work->part) reel_ring_publish(out, work->out_slot, work->n, work->pts, out_frame->aux_bytes);
    return REEL_OK;
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

enum reel_err batch_next(struct worker *w)
{
    struct reel_rec_work work = w->queue[w->queue_first];
    w->queue_first = (w->queue_first + 1) % WORKER_CREDITS;
    w->queue_count--;
    struct worker_lane *l = &w->lanes[work.lane];
    begin_stat(w, &work, l->rec.job);
    w->child.part = work.part;
    int64_t begin_us = reel_now_us();
    struct task_frame frame = {0};
    enum reel_err err = run_frame(w, l, &work, &frame);
    w->credits_back++;
    if (err) return reel_child_failed(&w->child, REEL_SCOPE_LANE, err, l->rec.job, work.lane, work.epoch, work.n);
    int64_t total_us = reel_now_us() - begin_us;
    end_stat(w, &frame, total_us);
    w->frame_us = total_us;
    if (!w->untold_us) w->untold_us = begin_us + total_us;
    struct reel_rec_done done = {.lane = work.lane,
                                 .epoch = work.epoch,
                                 .n = work.n,
                                 .out_slot = work.out_slot,
                                 .run_us = (uint32_t)frame.run_us,
                                 .total_us = (uint32_t)total_us,
                                 .part = work.part};
    reel_crash_point("worker.before_done");
    return reel_bus_post(w->child.bus, REEL_BUS_HUB, REEL_MSG_DONE, &done);
}
