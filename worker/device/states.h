// SPDX-License-Identifier: MIT
//
// The states that a network carries from frame to frame, on the device: copied to its
// inputs before each run and from its outputs after it, on the program's stream. Each task
// (lane) has its own, one set per tile; they outlive a rebuilt engine. Used by device.c and
// image.c.
#ifndef REEL_WORKER_DEVICE_STATES_H
#define REEL_WORKER_DEVICE_STATES_H

#include "worker/device/device.h"

struct device_states;

// Enqueues a run of the network for tile `tile` of the task's frame, with its states if
// there are any. Errors: NOMEM, FAULT.
enum reel_err device_states_run(const struct device_ops *ops, struct task *task, struct engine *engine, int tile);
// Accepts &NULL. No frame may be in flight.
void device_states_destroy(struct device_states **states);

#endif
