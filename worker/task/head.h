// SPDX-License-Identifier: MIT
//
// Detection heads: from a family's raw outputs to boxes in pixels of the
// network's input. Pure arithmetic on tensors; suppression and the way back to
// the source are detect.c's.
#ifndef REEL_WORKER_TASK_HEAD_H
#define REEL_WORKER_TASK_HEAD_H

#include "common/frame.h"
#include "common/tensor.h"
#include "kernels/gpu/results.h"
#include "worker/model/model.h"

struct head_box {
    float x1, y1, x2, y2, score;
    int32_t class_id;
    int64_t cell; // that it was read from
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
    bool decoded;             // as in struct model
    int points, point_floats; // likewise
    bool turned;
    int net_w, net_h;
    float score; // boxes below are left out
};

#define HEAD_OUTPUTS 12

// out: the head's outputs in its own order (model.head_output), float32.
// Appends to list. Errors: UNSUPPORTED (shapes that are not the head's), NOMEM.
enum reel_err head_decode(const struct head_params *params, const struct reel_tensor *const *out, int n_out,
                          struct head_list *list);

// How many boxes an UltraFace network makes at this size.
int64_t head_ultraface_priors(int w, int h);

// ---- a few cells of many -----------------------------------------------------------

// A family's outputs as cells, numbered through its groups: element (cell i of
// the group, channel c) of a part stands at i * cell_step + c * channel_step of
// the output, row-major. Cells of a score below the threshold give no box.
struct head_part {
    int output; // of the head's own order
    int channels;
    int64_t cells;
    size_t cell_step, channel_step;
};
struct head_group {
    int64_t first, cells; // number of its first one
    int n_parts;
    struct head_part part[GPU_PICK_PARTS];
};
struct head_layout {
    int n_groups; // the same channels in each
    struct head_group group[3];
    int64_t cells;
    int row;  // channels of all parts
    int cols; // FastestDet: cells of a line
    enum gpu_pick_score score;
    struct gpu_pick_term a, b;
    bool logits; // the terms are none to hold against a threshold
};
// Errors: UNSUPPORTED, as head_decode().
enum reel_err head_layout_init(const struct head_params *params, const struct reel_shape *const *shape, int n_out,
                               struct head_layout *out);

// Cells in any order, the channels of a cell's parts side by side.
struct head_picked {
    uint32_t n;
    const uint32_t *id; // [n] number of the cell
    const float *row;   // [n][layout.row]
};
// What head_decode() makes when these are all the cells that pass the threshold,
// or more. Errors: NOMEM, FAULT (cells that are not there).
enum reel_err head_decode_picked(const struct head_params *params, const struct head_layout *layout,
                                 const struct head_picked *picked, struct head_list *list);

#endif
