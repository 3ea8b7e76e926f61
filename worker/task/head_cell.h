// SPDX-License-Identifier: MIT
//
// What head.c asks of the families of heads (head_family.c): a family's outputs
// are a number of cells, each with a score and what makes a box of it. Included
// by these two only.
#ifndef REEL_WORKER_TASK_HEAD_CELL_H
#define REEL_WORKER_TASK_HEAD_CELL_H

#include "worker/task/head.h"

// Channel c of part k is v[k][c * step[k]].
struct head_cell {
    int64_t i; // in its group
    const float *v[GPU_PICK_PARTS];
    size_t step[GPU_PICK_PARTS];
};

// Fills groups, score and terms; out is zeroed, shape has as many as the family
// wants. Errors: UNSUPPORTED.
enum reel_err head_lay_out(const struct head_params *params, const struct reel_shape *const *shape, int n_out,
                           struct head_layout *out);
// Appends the cell's box, when its score passes. Errors: NOMEM.
enum reel_err head_read_cell(const struct head_params *params, const struct head_layout *layout, int group,
                             const struct head_cell *cell, struct head_list *list);
// Says so; UNSUPPORTED.
enum reel_err head_bad_shape(enum model_head head, const struct reel_shape *shape);

#endif
