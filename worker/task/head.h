// SPDX-License-Identifier: MIT
//
// Detection heads: turns the raw outputs of a detector into boxes in pixels of the
// network's input. Pure arithmetic on tensors. Suppression, and scaling to the source, are
// in detect.c.
#ifndef REEL_WORKER_TASK_HEAD_H
#define REEL_WORKER_TASK_HEAD_H

#include "common/frame.h"
#include "common/tensor.h"
#include "kernels/gpu/results.h"
#include "worker/model/model.h"

struct head_box {
    float x1, y1, x2, y2, score;
    int32_t class_id;
    int64_t cell; // the one it was read from
    int n_points;
    struct {
        float x, y, score;
    } point[REEL_OBJECT_POINTS];
};

struct head_family;

struct head_list {
    struct head_box *box; // owned; free()
    int n, cap;
};

struct head_params {
    enum model_head head;
    int classes;
    bool decoded; // this and the next six: as in struct model
    int points, point_floats;
    bool points_first, udp, turned, centres;
    int net_w, net_h;
    float score; // boxes with a lower score are left out
};

#define HEAD_OUTPUTS 12
#define HEAD_GROUPS 4 // strides that have outputs of their own

// out: the outputs in the head's order (model.head_output), float32. Appends to list. Errors: UNSUPPORTED (shapes do
// not fit the head), NOMEM.
enum reel_err head_decode(const struct head_params *params, const struct reel_tensor *const *out, int n_out,
                          struct head_list *list);

// Number of boxes that an UltraFace network outputs for an input of this size.
int64_t head_ultraface_priors(int w, int h);

// ---- raw grids with anchors (head_grid.c) ---------------------------------------------

// An output read as a grid for a picture of net_w x net_h: three anchors in each of w x h cells.
struct head_grid {
    int stride; // 8, 16, 32, 64
    int64_t w, h;
    int channels; // of a cell, all anchors together
    bool planes;  // a plane for each number; otherwise a cell's numbers stand together
    bool apart;   // all cells of the first anchor come first
};
// False: the shape is no grid's.
bool head_as_grid(const struct reel_shape *shape, int net_w, int net_h, struct head_grid *out);
// Whether the anchors of a network of that head with so many grids are known.
bool head_grids_are_known(enum model_head head, int n_grids);

// ---- a selection of cells ------------------------------------------------------------

// The outputs seen as cells, each of which gives at most one box (or one for each anchor or class). Cells are numbered
// across the groups. Channel c of a group's cell i is element i * cell_step + c * channel_step of the part's output.
struct head_part {
    int output; // in the head's order
    int channels;
    int64_t cells;
    size_t cell_step, channel_step;
};
struct head_group {
    int64_t first, cells; // number of the first cell, and how many
    int n_parts;
    struct head_part part[GPU_PICK_PARTS];
};
struct head_layout {
    const struct head_family *family;
    int n_groups; // all with the same channels
    struct head_group group[HEAD_GROUPS];
    int64_t cells;
    int row;             // channels of all parts together
    int cols;            // FastestDet, CenterNet: cells per line; of heatmaps: columns of a map
    size_t points_apart; // of heatmaps: elements between the maps of two points
    enum gpu_pick_score score;
    struct gpu_pick_term a, b;
    bool read_all; // the terms are no scores yet, or a cell depends on others: no cell can be left out unread
};
// Errors: UNSUPPORTED, as head_decode().
enum reel_err head_layout_init(const struct head_params *params, const struct reel_shape *const *shape, int n_out,
                               struct head_layout *out);

// Cells in any order; each row has the channels of all parts, one part after the other.
struct head_picked {
    uint32_t n;
    const uint32_t *id; // [n] cell numbers
    const float *row;   // [n][layout.row]
};
// Gives the same list as head_decode(), provided that every cell that reaches the threshold was
// picked. Errors: NOMEM, FAULT (no such cell).
enum reel_err head_decode_picked(const struct head_params *params, const struct head_layout *layout,
                                 const struct head_picked *picked, struct head_list *list);

#endif
