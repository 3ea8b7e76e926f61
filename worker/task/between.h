// SPDX-License-Identifier: MIT
//
// What pictures between two frames are made of, and what is said of them, for
// whoever makes them: task/between.c on the host, device/image.c on a device. Pure
// but for between_say().
#ifndef REEL_WORKER_TASK_BETWEEN_H
#define REEL_WORKER_TASK_BETWEEN_H

#include "worker/task/task.h"

// A run of the network. Times count in parts of the rate: 0 is the frame, rate the
// next one, those between them are the pictures of the output slot.
struct between_step {
    int from, to; // what it sees
    int at;       // what it makes, from < at < to
    float time;   // of `at` between the two, 0 to 1
};

// All runs of a frame, in order: rate - 1. Where the network is told no time, each
// makes the middle of two, made ones among them.
int between_steps(const struct model *model, struct between_step out[REEL_MAX_RATE - 1]);
// Whether time k is a picture of the slot, and where it begins there, from the first one.
bool between_is_made(const struct model *model, int k);
size_t between_offset(const struct task *task, int k);
// Whether frames that differ by so much (kernels/cut.h) are of two scenes.
bool between_is_cut(const struct task *task, uint32_t n, double differ);
// Writes the slot's results: which pictures are shown (enum reel_between).
void between_say(const struct task *task, struct task_frame *frame, bool makes);

#endif
