// SPDX-License-Identifier: MIT
//
// Detection heads: from a family's raw outputs to boxes in pixels of the
// network's input. Pure arithmetic on tensors; suppression and the way back to
// the source are detect.c's.
#ifndef REEL_WORKER_TASK_HEAD_H
#define REEL_WORKER_TASK_HEAD_H

#include "common/frame.h"
#include "common/tensor.h"
#include "worker/model.h"

struct head_box {
    float x1, y1, x2, y2, score;
    int32_t class_id;
    int n_points;
    struct {
        float x, y, score;
    } point[REEL_OBJECT_POINTS];
};

struct head_list {
    struct head_box *box; // owned; free()
    int n, cap;
};

struct head_params {
    enum model_head head;
    int classes;
    bool decoded; // YOLOX, SSD: boxes, not offsets from cells or priors
    int net_w, net_h;
    float score; // boxes below are left out
};

// out: the head's outputs in its own order (model.head_output), float32.
// Appends to list. Errors: UNSUPPORTED (shapes that are not the head's), NOMEM.
enum reel_err head_decode(const struct head_params *params, const struct reel_tensor *const *out, int n_out,
                          struct head_list *list);

// How many boxes an UltraFace network makes at this size.
int64_t head_ultraface_priors(int w, int h);

#endif
