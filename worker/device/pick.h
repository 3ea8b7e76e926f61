// SPDX-License-Identifier: MIT
//
// Picks a detector's cells with sufficiently high scores on a device. Only these reach the
// host, which makes boxes of them as it does of all cells (task/head.h), so the results are
// identical to the bit. Used by image.c.
#ifndef REEL_WORKER_DEVICE_PICK_H
#define REEL_WORKER_DEVICE_PICK_H

#include "worker/device/image.h"

struct device_pick;

// OK with *out NULL: not possible with these tensors; all outputs are downloaded. Errors:
// NOMEM.
enum reel_err device_pick_create(const struct device_ops *ops, const struct task *task, struct engine *engine,
                                 struct device_pick **out);
// Accepts &NULL.
void device_pick_destroy(struct device_pick **pick);
// Host memory needed for a frame's cells if all were picked, in bytes.
size_t device_pick_bytes(const struct device_pick *pick);
// Enqueues picking the frame's cells into `to` (from host_alloc()). count: 4 bytes of
// device memory for this frame alone.
enum reel_err device_pick_enqueue(struct device_pick *pick, struct engine *engine, const struct device_frame *frame,
                                  void *count, void *to);
// Makes the frame's results from the cells, once they have arrived.
enum reel_err device_pick_finish(const struct device_pick *pick, struct task *task, struct task_frame *frame,
                                 const void *to);

#endif
