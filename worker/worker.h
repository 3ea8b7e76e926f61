// SPDX-License-Identifier: MIT
//
// The worker process: main.c (overview), intake.c (messages: lanes, shapes, work), batch.c
// (doing the work), model/, view.c, engine/ and task/ (frames), and the executor behind
// net.h. One thread; only the slots are shared with other processes.
#ifndef REEL_WORKER_WORKER_H
#define REEL_WORKER_WORKER_H

#include "common/child.h"
#include "worker/device/device.h"
#include "worker/engine/engine.h"
#include "worker/pictures.h"
#include "worker/task/task.h"
#include "worker/team/team.h"

// Frames that the coordinator may have promised to this worker at once. It gives a slow
// worker fewer; this only bounds the queue.
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
    struct pictures *pictures;   // for inputs beside the frames; NULL: none
    struct collective *together; // connects all workers; NULL: none
    struct team *team;           // through which bands exchange rows; NULL: they do not
    void *model_bytes;           // the model's file, if the workers read it together; NULL: they do not
    size_t n_model_bytes;
    struct worker_lane *lanes; // [child.lanes]
    struct reel_rec_work queue[WORKER_CREDITS];
    uint32_t queue_first, queue_count;
    uint32_t credits_back;                       // to return with the next DONE or READY
    int64_t untold_us;                           // time of the oldest DONE not sent yet; 0: none
    int64_t frame_us;                            // time spent on the last frame
    bool in_parts;                               // the last work was a part of a frame
    struct device *device;                       // computes the frames; NULL: the host does, one by one
    struct reel_rec_work in_work[DEVICE_FRAMES]; // by token
    uint64_t tokens;
    int batch_most; // most frames of one run that fit the memory
    bool quit;
};

// intake.c: handles one message. Errors end the process.
enum reel_err intake_take(struct worker *worker, const struct reel_msg *msg);
void intake_close_all(struct worker *worker);
// Unpins the slots of closed lanes, because the memory is needed elsewhere.
void intake_unpin_idle(struct worker *worker);
// Whether slots of closed lanes are pinned.
bool intake_keeps_pins(const struct worker *worker);
// Frames per run of the network for inputs of this size: --batch, or as many as keep a GPU
// busy, if the network accepts them.
int intake_batch(struct worker *worker, int net_w, int net_h);

// batch.c: does the oldest frame of the queue and answers. With a device, starts it there,
// or waits for the oldest frame on the device. Errors end the process; a frame's failure is
// reported as its lane's.
enum reel_err batch_next(struct worker *worker);
// Whether frames are on the device; batch_next() answers them.
bool batch_in_work(const struct worker *worker);
// The engine for a task's frames, compiled if it is new. If memory does not suffice for a
// batch, the batch is halved for the rest of this worker's life; the output bytes do not
// change.
enum reel_err batch_engine(struct worker *worker, const struct task *task, struct engine **out_engine);
// The same for one part of frames whose bands exchange rows.
enum reel_err batch_band_engine(struct worker *worker, const struct task *task, uint32_t part,
                                struct engine **out_engine);
// Finishes and answers all frames on the device; engines may be created and destroyed after
// that.
enum reel_err batch_drain(struct worker *worker);
// Waits for a lane's frames on the device and forgets them; their slots are not touched
// after that.
void batch_drop_lane(struct worker *worker, uint32_t lane);

#endif
