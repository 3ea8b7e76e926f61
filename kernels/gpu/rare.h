// SPDX-License-Identifier: MIT
//
// The GPU executor's kernels for operators that few networks use, and then on little data: one
// thread per result. The rules are those of ops.h.
#ifndef REEL_KERNELS_GPU_RARE_H
#define REEL_KERNELS_GPU_RARE_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// Determinants of x (count,n,n) by elimination in double precision, one thread per matrix;
// only for small ones.
#define GPU_DET_MOST 64
struct gpu_det {
    int x_elem, y_elem; // float
    int n;
    int64_t count;
};
// work: gpu_det_work_bytes().
static inline size_t gpu_det_work_bytes(const struct gpu_det *p)
{
    return (size_t)p->count * (size_t)p->n * (size_t)p->n * sizeof(double);
}
int gpu_det(const struct gpu_det *p, const void *x, void *y, void *work, void *stream);
void gpu_det_ref(const struct gpu_det *p, const void *x, void *y, void *work);

// ONNX TensorScatter: y is cache (batches,outer,length,inner) with update
// (batches,outer,n,inner) written from row start[batch] on; circular: the first row follows
// the last. Rows that would lie outside are left out.
struct gpu_cache_update {
    int elem_bytes; // 1, 2, 4 or 8
    int64_t batches, outer, length, n, inner;
    bool circular;
};
// start may be NULL: all 0.
int gpu_cache_update(const struct gpu_cache_update *p, const void *cache, const void *update, const int64_t *start,
                     void *y, void *stream);
void gpu_cache_update_ref(const struct gpu_cache_update *p, const void *cache, const void *update, const int64_t *start,
                          void *y);

#ifdef __cplusplus
}
#endif
#endif
