// SPDX-License-Identifier: MIT
//
// Makes the mask of a segmentation or matte on a device, so that only the mask is
// downloaded and not the network's maps. Used by image.c.
#ifndef REEL_WORKER_DEVICE_MASK_H
#define REEL_WORKER_DEVICE_MASK_H

#include "worker/device/image.h"

struct device_mask;

// Whether masks of this task can be made from this engine's tensors. Asked before the
// output slots' geometry is known.
bool device_mask_can(const struct task *task, struct engine *engine);
// OK with *out NULL: not possible with these tensors; the task finishes on the host.
// Errors: NOMEM, FAULT, as segment_plan_init().
enum reel_err device_mask_create(const struct device_ops *ops, const struct task *task, struct engine *engine,
                                 struct device_mask **out);
// Accepts &NULL.
void device_mask_destroy(struct device_mask **mask);
// Enqueues making the mask and writing it to frame->out.
enum reel_err device_mask_write(struct device_mask *mask, struct engine *engine, const struct device_frame *frame);

#endif
