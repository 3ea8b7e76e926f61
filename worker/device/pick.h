// SPDX-License-Identifier: MIT
//
// A detector's cells whose score is high enough, picked on a device: only they
// come to the host, which makes boxes of them as of all cells (task/head.h), so
// that the results are the same to the bit. Used by image.c.
#ifndef REEL_WORKER_DEVICE_PICK_H
#define REEL_WORKER_DEVICE_PICK_H

#include "worker/device/image.h"

struct device_pick;

// NULL in *out, and OK: not with these tensors; all of them are downloaded.
// Errors: NOMEM.
enum reel_err device_pick_create(const struct device_ops *ops, const struct task *task, struct engine *engine,
                                 struct device_pick **out);
// Accepts &NULL.
void device_pick_destroy(struct device_pick **pick);
// Host memory that a frame's cells need, if all were picked.
size_t device_pick_bytes(const struct device_pick *pick);
// Enqueues picking the frame's cells into `to` (host memory of host_alloc());
// count: 4 bytes on the device, the frame's own.
enum reel_err device_pick_enqueue(struct device_pick *pick, struct engine *engine, const struct device_frame *frame,
                                  void *count, void *to);
// Makes the frame's results of them, when they are there.
enum reel_err device_pick_finish(const struct device_pick *pick, struct task *task, struct task_frame *frame,
                                 const void *to);

#endif
