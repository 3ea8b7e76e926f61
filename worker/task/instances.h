// SPDX-License-Identifier: MIT
//
// Masks of objects, as YOLO's segmentation exports make them: an object's mask is the sum of
// the prototypes (1,C,H,W), weighted by C numbers that follow its box, and cut to the box.
// Called by detect.c. Maps of classes are in segment.h.
#ifndef REEL_WORKER_TASK_INSTANCES_H
#define REEL_WORKER_TASK_INSTANCES_H

#include "worker/task/head.h"
#include "worker/task/task.h"

// Most objects with a mask, because their numbers are stored in bytes.
#define INSTANCES_MOST 255

struct instance {
    const struct head_box *box; // in pixels of the network's input
    const float *weights;       // one for each channel of the prototypes, `step` floats apart
    size_t step;
};

// Writes the output's plane: each pixel of the source gets the number (from 1) of the first
// object whose mask is above settings.segment.threshold there, or 0. Errors: UNSUPPORTED
// (shapes), PROTO (the slot is not a plane of the source's size), NOMEM.
enum reel_err instances_put(struct task *task, const struct task_frame *frame, const struct reel_tensor *prototypes,
                            const struct instance *objects, int n);

#endif
