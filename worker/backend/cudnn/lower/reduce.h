// SPDX-License-Identifier: MIT
//
// Reductions (reduce.c), also used by the lowering of other operators.
#ifndef REEL_WORKER_BACKEND_CUDNN_LOWER_REDUCE_H
#define REEL_WORKER_BACKEND_CUDNN_LOWER_REDUCE_H

#include "worker/backend/cudnn/program.h"

// Sets reduced[dims] from the axes, an attribute or a constant; all if there are none. False:
// the axes are data, or nothing is reduced.
bool gpu_reduce_axes(struct lowered *p, const struct node *node, const struct info *in, bool *reduced);
// Fills extents and strides of *r for values of in's shape that are laid out as *x says. The
// results are row-major over the axes that are kept. If the kernel cannot read that layout,
// the values are copied and *x becomes the copy.
enum reel_err gpu_open_reduce(struct lowered *p, const struct node *node, const struct info *in, struct view *x,
                              const bool *reduced, struct gpu_reduce *r);
// Adds the step, or two steps for long sums with few results.
enum reel_err gpu_emit_reduce(struct lowered *p, const struct node *node, const char *label, struct gpu_reduce r,
                              struct ref x, struct ref mean, struct ref y);

#endif
