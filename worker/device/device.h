// SPDX-License-Identifier: MIT
//
// Frames through a device, several at once: while some are computed the next are
// uploaded and the last ones downloaded, on three streams. The worker's batch.c
// submits frames and takes them back in order.
//
//   slot (pinned host) --upload--> picture --feed--> network --tail--> picture --download--> slot
//
// Frames that an engine computes at once (engine_batch()) are fed one by one as
// they come; the network runs when they are all there, or when somebody waits
// for the oldest of them. Whichever frames share a run, each gets the same
// bytes: no kernel's choice depends on the others (docs/gpu.md).
//
// A frame is finished only when the host has seen its last event: until then
// nobody is told, and its slots are still the worker's. A lane is let go only
// after device_drain().
//
// What it is not: no slot table, no messages, no kernels.
#ifndef REEL_WORKER_DEVICE_DEVICE_H
#define REEL_WORKER_DEVICE_DEVICE_H

#include "worker/task/task.h"

#define DEVICE_BATCHES 3 // in work at once: one uploaded, one computed, one downloaded
#define DEVICE_BATCH 8   // most frames of one run
#define DEVICE_FRAMES (DEVICE_BATCHES * DEVICE_BATCH)

struct device;
struct device_ops;

// Slots as they are pinned: while their lane is open, and until its next
// segment, which mostly has the same.
struct device_pin {
    void *p; // NULL: none
    size_t bytes;
    uint32_t memory; // of reel_rec_open: other pages have another
};

// number: of the device. Errors: FAULT, NOMEM, UNSUPPORTED.
enum reel_err device_create(const struct device_ops *ops, int number, struct device **out_device);
// Waits for what is under way. Accepts &NULL.
void device_destroy(struct device **device);

// Whether this task's frames can go through the device with this engine.
bool device_takes(const struct device *device, const struct task *task, struct engine *engine);
// Whether the device then writes their output slots itself, so that they may lie on it.
bool device_writes(const struct device *device, const struct task *task, struct engine *engine);
// Pins the slots `want` (p NULL: none) in place of `have`, which it may be: that
// costs tenths of a millisecond for each MB, and a frame waits for it. That it
// fails costs speed only; `have` is none then.
void device_pin(struct device *device, const struct device_pin *want, struct device_pin *have);
// Whether the run of the frame that was submitted last has failed already.
bool device_failed(const struct device *d);
int device_in_work(const struct device *device); // frames submitted and not finished
// Whether one has to be finished before another one of this engine may start.
bool device_full(const struct device *device, const struct engine *engine);
// Starts a frame. token is given back by device_finish(). Errors leave nothing
// in work of this frame.
enum reel_err device_submit(struct device *device, struct task *task, struct engine *engine,
                            const struct task_frame *frame, uint64_t token);
// Whether the oldest frame in work would be waited for no more, or has failed.
bool device_ready(const struct device *device);
// Waits for the oldest frame in work and does what is left on the host. The
// frame is over, whatever is returned.
enum reel_err device_finish(struct device *device, struct task_frame *out_frame, uint64_t *out_token);
// Whether the device is lost for this process, which must exit then.
bool device_lost(const struct device *device);
// A task closes: its buffers on the device go. It has no frame in work.
void device_forget(struct device *device, struct task *task);

#endif
