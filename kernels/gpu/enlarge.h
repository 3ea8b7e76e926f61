// SPDX-License-Identifier: MIT
//
// The fast form of a step that upscalers end with: depth to space, alone or
// joined with a second image (enlarge.cu). gpu_elementwise() and gpu_copy()
// ask here first; what is not recognised they do themselves. Not a step of its
// own: the twins are theirs.
#ifndef REEL_KERNELS_GPU_ENLARGE_H
#define REEL_KERNELS_GPU_ENLARGE_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whether the step has the form: factor 2, 3 or 4 and few channels, dimensions
// in the order of y's memory as the lowering leaves them, no padding, one type,
// at most one step in the chain (add, sub, rsub, mul with one operand). Then it
// is enqueued, and *out_error is the launch's cudaError_t.
bool gpu_enlarge(const struct gpu_elementwise *p, const void *x, const void *const *operand, void *y, void *stream,
                 int *out_error);

#ifdef __cplusplus
}
#endif
#endif
