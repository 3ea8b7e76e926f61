// SPDX-License-Identifier: MIT
//
// How pictures between two frames are made, and what is reported about them. Used by
// task/between.c on the host and device/between.c on a device. Pure, except between_say().
#ifndef REEL_WORKER_TASK_BETWEEN_H
#define REEL_WORKER_TASK_BETWEEN_H

#include "worker/task/task.h"

// A run of the network. Times are counted from 0, the frame, to `rate`, the next frame;
// those between are the pictures of the output slot.
struct between_step {
    int from, to; // the two pictures that it sees
    int at;       // the one that it makes, from < at < to
    float time;   // where `at` lies between the two, 0 to 1
};

// Writes all runs of a frame, in order, and returns their number, rate - 1. If the network
// takes no time, each run makes the middle of two pictures, which may be made ones.
int between_steps(const struct model *model, struct between_step out[REEL_MAX_RATE - 1]);
// Whether the picture at time k is a made one; and where it begins in the output slot, in
// bytes from the first picture.
bool between_is_made(const struct model *model, int k);
size_t between_offset(const struct task *task, int k);
// Whether frames n and n + 1, which differ by so much (kernels/cut.h), belong to two scenes.
bool between_is_cut(const struct task *task, uint32_t n, double differ);
// Writes the slot's results, which say which pictures are shown (enum reel_between).
void between_say(const struct task *task, struct task_frame *frame, bool makes);

#endif
