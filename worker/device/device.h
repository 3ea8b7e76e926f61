// SPDX-License-Identifier: MIT
//
// Computes frames on a device, several at once: while some are computed, the next are
// uploaded and the previous ones downloaded, on three streams. The worker's batch.c submits
// frames and collects them in order.
//
//    slot (pinned host) --upload--> picture --feed--> network --tail--> picture --download--> slot
//
// Frames that share a run of the network (engine_batch()) are fed one by one as they
// arrive; the network runs when all are there, or when somebody waits for the oldest of
// them. Every frame gets the same bytes whichever frames share its run, because no kernel's
// choice depends on the others (docs/gpu.md).
//
// A frame is finished only when the host has seen its last event; until then its slots
// still belong to the worker. A lane may be closed only after device_drain().
//
// There are no slot tables, messages or kernels here.
#ifndef REEL_WORKER_DEVICE_DEVICE_H
#define REEL_WORKER_DEVICE_DEVICE_H

#include "worker/task/task.h"

#define DEVICE_BATCHES 3 // in flight at once: one being uploaded, one computed, one downloaded
#define DEVICE_BATCH 8   // most frames of one run
#define DEVICE_FRAMES (DEVICE_BATCHES * DEVICE_BATCH)

struct device;
struct device_ops;

// Pinned slots. They stay pinned after their lane has closed, because the next segment
// usually has the same ones.
struct device_pin {
    void *p; // NULL: none
    size_t bytes;
    uint32_t memory; // as in reel_rec_open; differs for other pages
};

// number: which device. Errors: FAULT, NOMEM, UNSUPPORTED.
enum reel_err device_create(const struct device_ops *ops, int number, struct device **out_device);
// Waits for everything in flight. Accepts &NULL.
void device_destroy(struct device **device);

// Whether this task's frames can go through the device with this engine.
bool device_takes(const struct device *device, const struct task *task, struct engine *engine);
// Whether the device also writes this task's output slots, so that they may lie on it.
bool device_writes(const struct device *device, const struct task *task, struct engine *engine);
// Pins the slots `want` (p NULL: none) and unpins `have`, unless they are the same. Pinning
// takes tenths of a millisecond per MB, while a frame waits. Failure only costs speed;
// `have` is empty then.
void device_pin(struct device *device, const struct device_pin *want, struct device_pin *have);
// Whether the run of the frame submitted last has already failed.
bool device_failed(const struct device *d);
int device_in_work(const struct device *device); // frames submitted and not finished
// Whether a frame must be finished before another one may start with this engine.
bool device_full(const struct device *device, const struct engine *engine);
// Starts a frame. device_finish() gives token back. After an error nothing of this frame is
// in flight.
enum reel_err device_submit(struct device *device, struct task *task, struct engine *engine,
                            const struct task_frame *frame, uint64_t token);
// Whether device_finish() would return without waiting.
bool device_ready(const struct device *device);
// Waits for the oldest frame and does what remains on the host. The frame is over, whatever
// is returned.
enum reel_err device_finish(struct device *device, struct task_frame *out_frame, uint64_t *out_token);
// Whether this process can no longer use the device, and must exit.
bool device_lost(const struct device *device);
// Frees the buffers that a task has on the device; call before closing it, when none of its
// frames is in flight.
void device_forget(struct device *device, struct task *task);

#endif
