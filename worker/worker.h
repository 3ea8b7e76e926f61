// SPDX-License-Identifier: MIT
//
// The worker process: main.c (the story), intake.c (messages in: lanes, shapes,
// work), batch.c (work done), model.c, view.c, engine.c, task/ (frames), and
// the executor behind net.h. One thread; nothing here is shared but the slots.
#ifndef REEL_WORKER_WORKER_H
#define REEL_WORKER_WORKER_H

#include "common/child.h"
#include "worker/engine.h"
#include "worker/task/task.h"

// Frames the coordinator may have promised to this worker at once. It gives
// fewer where the worker is slow; this only bounds the queue.
#define WORKER_CREDITS 16

struct worker_lane {
    bool open;
    struct reel_rec_open rec;
    struct task task;
};

struct worker {
    struct reel_child child;
    struct backend_params params;
    const char *backend;
    bool has_model;
    struct model model;
    struct engines *engines;
    struct worker_lane *lanes; // [child.lanes]
    struct reel_rec_work queue[WORKER_CREDITS];
    uint32_t queue_first, queue_count;
    uint32_t credits_back; // to be given back with the next READY
    int64_t untold_us;     // when the oldest DONE that was not sent yet was done; 0: none
    int64_t frame_us;      // of the last frame
    bool quit;
};

// intake.c: takes one message. Errors end the process.
enum reel_err intake_take(struct worker *worker, const struct reel_msg *msg);
void intake_close_all(struct worker *worker);

// batch.c: does the oldest frame of the queue and answers. Errors end the
// process; a frame's failure is reported as its lane's.
enum reel_err batch_next(struct worker *worker);

#endif
