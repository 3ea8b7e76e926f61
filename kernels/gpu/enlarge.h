// SPDX-License-Identifier: MIT
//
// A fast kernel for the step with which upscalers end: depth to space, alone or combined with
// a second image (enlarge.cu). gpu_elementwise() and gpu_copy() try it first, and use their
// own kernels for what it does not recognise. It has no twins because theirs apply.
#ifndef REEL_KERNELS_GPU_ENLARGE_H
#define REEL_KERNELS_GPU_ENLARGE_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// Whether the step has this form: factor 2, 3 or 4 and few channels, dimensions in the order of
// y's memory as the lowering leaves them, no padding, one type, and at most one step in the
// chain (add, sub, rsub or mul with one operand). If so it is enqueued, and *out_error is the
// launch's cudaError_t.
bool gpu_enlarge(const struct gpu_elementwise *p, const void *x, const void *const *operand, void *y, void *stream,
                 int *out_error);

#ifdef __cplusplus
}
#endif
#endif
