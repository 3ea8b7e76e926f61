// SPDX-License-Identifier: MIT
//
// Reductions (reduce.c) as parts of other operators' steps.
#ifndef REEL_WORKER_BACKEND_CUDNN_LOWER_REDUCE_H
#define REEL_WORKER_BACKEND_CUDNN_LOWER_REDUCE_H

#include "worker/backend/cudnn/program.h"

// Axes as an attribute or a constant, all of them when there are none, in reduced[dims].
// False: they are data, or nothing is reduced.
bool gpu_reduce_axes(struct lowered *p, const struct node *node, const struct info *in, bool *reduced);
// Extents and strides of *r for values of in's shape that lie as x says; the results are
// row-major over what is kept. What the kernel cannot read there is copied, and *x is
// the copy.
enum reel_err gpu_open_reduce(struct lowered *p, const struct node *node, const struct info *in, struct view *x,
                              const bool *reduced, struct gpu_reduce *r);
// The step, or two of them for long sums over few results.
enum reel_err gpu_emit_reduce(struct lowered *p, const struct node *node, const char *label, struct gpu_reduce r,
                              struct ref x, struct ref mean, struct ref y);

#endif
