// SPDX-License-Identifier: MIT
//
// Which elements of a tensor are not zero, for the host: their positions, in order, and the
// elements of another tensor at them, written by the device into host memory, so that a mask of
// millions of which some hundreds are set need not be copied. The rules are those of ops.h.
#ifndef REEL_KERNELS_GPU_FOUND_H
#define REEL_KERNELS_GPU_FOUND_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GPU_FOUND_TILE 4096 // elements that one block looks at
#define GPU_FOUND_MOST INT64_C(0x7fff0000)

struct gpu_found {
    int elem;       // of x, any type; NaN counts as not zero
    int64_t n;      // elements, at most GPU_FOUND_MOST
    int data_bytes; // of an element of data: 1, 2, 4, 8; 0: there are none
};

static inline size_t gpu_found_work_bytes(const struct gpu_found *p)
{
    return (size_t)((p->n + GPU_FOUND_TILE - 1) / GPU_FOUND_TILE) * sizeof(int32_t);
}

// x (n); data (n) or NULL. found (1 + n): how many, then their positions; values (n): data at
// these. Both are memory that host and device can access, of which no more is written than is
// found. work: gpu_found_work_bytes() on the device.
int gpu_found(const struct gpu_found *p, const void *x, const void *data, int32_t *found, void *values, void *work,
              void *stream);
void gpu_found_ref(const struct gpu_found *p, const void *x, const void *data, int32_t *found, void *values);

#ifdef __cplusplus
}
#endif
#endif
