// SPDX-License-Identifier: MIT
//
// Masks of objects, as YOLO's segmenting exports make them: an object's mask is the sum of
// prototypes (1,C,H,W), weighted by C numbers that stand behind its box, and cut to the
// box. Called by detect.c. What it is not: classes of a map (segment.h).
#ifndef REEL_WORKER_TASK_INSTANCES_H
#define REEL_WORKER_TASK_INSTANCES_H

#include "worker/task/head.h"
#include "worker/task/task.h"

// Objects beyond have no mask: their numbers are bytes.
#define INSTANCES_MOST 255

struct instance {
    const struct head_box *box; // in pixels of the network's input
    const float *weights;       // [prototypes' channels], `step` apart
    size_t step;
};

// Writes the output's plane: a pixel of the source has the number (from 1) of the first
// object whose mask is above settings.segment.threshold there, else 0. Errors: UNSUPPORTED
// (shapes), PROTO (the slot is no plane of the source's size), NOMEM.
enum reel_err instances_put(struct task *task, const struct task_frame *frame, const struct reel_tensor *prototypes,
                            const struct instance *objects, int n);

#endif
