// SPDX-License-Identifier: MIT
//
// The worker process: main.c (the story), intake.c (messages in: lanes, shapes,
// work), batch.c (work done), model/, view.c, engine/, task/ (frames), and
// the executor behind net.h. One thread; nothing here is shared but the slots.
#ifndef REEL_WORKER_WORKER_H
#define REEL_WORKER_WORKER_H

#include "common/child.h"
#include "worker/device/device.h"
#include "worker/engine/engine.h"
#include "worker/pictures.h"
#include "worker/task/task.h"
#include "worker/team/team.h"

// Frames the coordinator may have promised to this worker at once. It gives
// fewer where the worker is slow; this only bounds the queue.
#define WORKER_CREDITS 32

struct worker_lane {
    bool open;
    struct device_pin pin[2]; // by enum reel_direction
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
    struct pictures *pictures;   // that the model is given beside the frames; NULL: none
    struct collective *together; // of all workers; NULL: there is none
    struct team *team;           // that bands exchange rows through; NULL: they do not
    void *model_bytes;           // of the model's file, when the workers read it together; NULL: alone
    size_t n_model_bytes;
    struct worker_lane *lanes; // [child.lanes]
    struct reel_rec_work queue[WORKER_CREDITS];
    uint32_t queue_first, queue_count;
    uint32_t credits_back;                       // to be given back with the next DONE or READY
    int64_t untold_us;                           // when the oldest DONE that was not sent yet was done; 0: none
    int64_t frame_us;                            // of the last frame
    bool in_parts;                               // the last frame was one
    struct device *device;                       // frames go through it; NULL: one by one, on the host
    struct reel_rec_work in_work[DEVICE_FRAMES]; // by token
    uint64_t tokens;
    int batch_most; // frames of one run for which there was memory
    bool quit;
};

// intake.c: takes one message. Errors end the process.
enum reel_err intake_take(struct worker *worker, const struct reel_msg *msg);
void intake_close_all(struct worker *worker);
// Lets go of the slots of lanes that are closed: the memory is wanted elsewhere.
void intake_unpin_idle(struct worker *worker);
// Whether there are such.
bool intake_keeps_pins(const struct worker *worker);
// Frames of one run of the network for inputs of this size: --batch, or as many
// as keep a GPU busy, where the network takes them.
int intake_batch(struct worker *worker, int net_w, int net_h);

// batch.c: does the oldest frame of the queue and answers; with a device, starts
// it, or waits for the oldest one there. Errors end the
// process; a frame's failure is reported as its lane's.
enum reel_err batch_next(struct worker *worker);
// Whether frames are with the device; they are answered by batch_next().
bool batch_in_work(const struct worker *worker);
// The engine of a task's frames, compiled when it is new. Without the memory for
// a batch it is halved, for this worker's life: the bytes are the same.
enum reel_err batch_engine(struct worker *worker, const struct task *task, struct engine **out_engine);
// The same for one part of frames whose bands exchange rows.
enum reel_err batch_band_engine(struct worker *worker, const struct task *task, uint32_t part,
                                struct engine **out_engine);
// Answers for all frames that are with the device: engines may come and go then.
enum reel_err batch_drain(struct worker *worker);
// Waits for a lane's frames on the device and forgets them: their slots are no
// longer touched.
void batch_drop_lane(struct worker *worker, uint32_t lane);

#endif
