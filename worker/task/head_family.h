// SPDX-License-Identifier: MIT
//
// What a family of detection heads is, and what the families share. The outputs of a
// family are a number of cells; each cell has a score and numbers from which one box is
// made. Included by head.c and the families: head_priors.c, head_yolo.c, head_distance.c,
// head_final.c, head_grid.c, head_pose.c.
#ifndef REEL_WORKER_TASK_HEAD_FAMILY_H
#define REEL_WORKER_TASK_HEAD_FAMILY_H

#include "worker/task/head.h"

// Channel c of part k is v[k][c * step[k]], see head_at().
struct head_cell {
    int group;
    int64_t i; // in its group
    const float *v[GPU_PICK_PARTS];
    size_t step[GPU_PICK_PARTS];
};

struct head_family {
    int outputs; // of the network; 0: lay_out() checks it
    // Checks the shapes and fills in groups, score and terms of a zeroed layout.
    // Errors: UNSUPPORTED.
    enum reel_err (*lay_out)(const struct head_params *params, const struct reel_shape *const *shape, int n_out,
                             struct head_layout *out);
    // Appends the cell's box if its score reaches params->score. Errors: NOMEM.
    enum reel_err (*read)(const struct head_params *params, const struct head_layout *layout,
                          const struct head_cell *cell, struct head_list *list);
};

extern const struct head_family head_yunet, head_yunet_2021, head_retinaface, head_ssd;      // head_priors.c
extern const struct head_family head_yolo_rows, head_yolov8, head_yolo_nas, head_fastestdet; // head_yolo.c
extern const struct head_family head_queries, head_rows, head_lists;                         // head_final.c
extern const struct head_family head_scrfd, head_nanodet, head_picodet;                      // head_distance.c
extern const struct head_family head_grids, head_centernet;                                  // head_grid.c
extern const struct head_family head_heatmap, head_simcc, head_movenet;                      // head_pose.c

// ---- layouts (head_family.c) ----------------------------------------------------

// The tensor as a matrix whose columns are the last dimension. False if it is not one.
bool head_as_rows(const struct reel_shape *shape, int64_t *out_rows, int64_t *out_cols);
// Adds a part to the group: output `output` holds one row of `cols` channels per cell.
void head_add_rows(struct head_group *group, int output, int64_t cells, int64_t cols);
// The same for an output with channels first: one plane of cells per channel.
void head_add_planes(struct head_group *group, int output, int64_t cells, int64_t channels);

#define HEAD_TERM(...) ((struct gpu_pick_term){__VA_ARGS__})
#define HEAD_NO_TERM HEAD_TERM(0, 0, 0)
void head_score_by(struct head_layout *layout, enum gpu_pick_score score, struct gpu_pick_term a,
                   struct gpu_pick_term b);
// Reports the shape; returns UNSUPPORTED.
enum reel_err head_bad_shape(enum model_head head, const struct reel_shape *shape);

// ---- cells (head_family.c) ------------------------------------------------------

static inline float head_at(const struct head_cell *cell, int part, int channel)
{
    return cell->v[part][(size_t)channel * cell->step[part]];
}

// Turns the sides of a box rotated by `angle` into those of the upright box around it.
void head_make_upright(float angle, float *w, float *h);

// Index of the largest of n values that lie `step` apart; the first of equal ones.
int head_best_of(const float *v, int n, size_t step);
// The best of the n channels of a part that begin at `from`, counted from there.
int head_best_class(const struct head_cell *cell, int part, int from, int n);
float head_sigmoid(float v);

// ---- boxes (head_family.c) ------------------------------------------------------

// Append a box, by its corners or by centre and size. *out_box is NULL if a coordinate is not
// finite: such boxes are left out. False when out of memory.
bool head_add_corners(struct head_list *list, float x1, float y1, float x2, float y2, float score, int class_id,
                      struct head_box **out_box);
bool head_add_center(struct head_list *list, float cx, float cy, float w, float h, float score, int class_id,
                     struct head_box **out_box);
// Adds a keypoint to the box, unless box is NULL, its points are full or x or y is not finite.
void head_add_point(struct head_box *box, float x, float y, float score);
// Adds params->points keypoints that begin at channel `at` of part 0.
void head_add_points(const struct head_params *params, const struct head_cell *cell, int at, struct head_box *box);
// Reports it; returns NOMEM.
enum reel_err head_no_memory(void);

#endif
