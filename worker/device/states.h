// SPDX-License-Identifier: MIT
//
// What a network carries from frame to frame, on the device: before a run each
// state is copied to its input, behind it from its output, on the program's stream.
// A task (a lane) has its own, a set for each tile; they stay when its engine is
// made anew. Used by device.c and image.c.
#ifndef REEL_WORKER_DEVICE_STATES_H
#define REEL_WORKER_DEVICE_STATES_H

#include "worker/device/device.h"

struct device_states;

// Enqueues a run of the network, of tile `tile` of the task's frame, with its states
// where it has some. Errors: NOMEM, FAULT.
enum reel_err device_states_run(const struct device_ops *ops, struct task *task, struct engine *engine, int tile);
// Accepts &NULL. Nothing is in work.
void device_states_destroy(struct device_states **states);

#endif
