// SPDX-License-Identifier: MIT
//
// How a network's map becomes a mask of the source's pixels. Settled once per task, for the
// CPU (segment.c) and for a device (worker/device/mask.c).
#ifndef REEL_WORKER_TASK_SEGMENT_H
#define REEL_WORKER_TASK_SEGMENT_H

#include "kernels/gpu/results.h"
#include "kernels/mask.h"
#include "worker/task/task.h"

struct segment_plan {
    enum gpu_mask_kind kind;
    struct mask_scores scores; // without data: where the numbers lie in the row-major output
    bool sigmoid;              // for ABOVE and BYTES: the map holds logits
    float threshold;           // for ABOVE
    struct resize_axis x, y;   // from the map to the mask; owned
};

// shape: of the task's output for one picture. Errors: UNSUPPORTED, PROTO (the output slot
// cannot hold a mask), NOMEM.
enum reel_err segment_plan_init(const struct task *task, const struct reel_shape *shape, struct segment_plan *out);
void segment_plan_fini(struct segment_plan *plan);

#endif
