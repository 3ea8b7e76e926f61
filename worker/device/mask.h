// SPDX-License-Identifier: MIT
//
// A segmentation's or matte's mask made on a device: only it is downloaded, not
// the network's maps. Used by image.c.
#ifndef REEL_WORKER_DEVICE_MASK_H
#define REEL_WORKER_DEVICE_MASK_H

#include "worker/device/image.h"

struct device_mask;

// Whether there is a way for this task's masks and this engine's tensors. Asked
// before the output slots' geometry is known.
bool device_mask_can(const struct task *task, struct engine *engine);
// NULL in *out, and OK: not with these tensors; their task finishes on the host.
// Errors: NOMEM, FAULT, as segment_plan_init().
enum reel_err device_mask_create(const struct device_ops *ops, const struct task *task, struct engine *engine,
                                 struct device_mask **out);
// Accepts &NULL.
void device_mask_destroy(struct device_mask **mask);
// Enqueues the mask's way into frame->out.
enum reel_err device_mask_write(struct device_mask *mask, struct engine *engine, const struct device_frame *frame);

#endif
