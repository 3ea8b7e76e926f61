// SPDX-License-Identifier: MIT
//
// Attention as one kernel that does not store its scores in memory: y = y_scale softmax(scale
// q k' with terms) v, for many small or few large matrices, on tensor cores (sm_80 and later,
// 16-bit elements). q, k, v, y and the terms are accessed in place, by strides. The rules are
// those of ops.h.
#ifndef REEL_KERNELS_GPU_FLASH_H
#define REEL_KERNELS_GPU_FLASH_H

#include "kernels/gpu/attention.h"

#ifdef __cplusplus
extern "C" {
#endif

// Longest row of q, k and v.
#define GPU_FLASH_DIM 256
#define GPU_FLASH_TERMS 3

// Where the matrices of one operand lie: matrix i = (a * extent[0] + b) * extent[1] + c
// begins at a, b, c times their strides. In elements.
struct gpu_flash_place {
    int32_t extent[2];
    int64_t stride[3];
    int64_t row, column;
};

enum gpu_flash_op {
    GPU_FLASH_ADD,
    GPU_FLASH_MUL,
    GPU_FLASH_KEEP, // U8: where it is 0, the score becomes `fill`
    GPU_FLASH_DROP, // U8: the same where it is not 0
};

// A term: what is done to every score. Terms are applied in order.
struct gpu_flash_term {
    int op, elem; // elem: U8, F32 or the program's float type
    float fill;
    struct gpu_flash_place at; // of (rows, columns); column less than 2^31 / columns
};

struct gpu_flash {
    int elem;             // F16 or BF16, of q, k, v and y
    int64_t count;        // matrices: batch elements x heads, heads inside
    int heads;            // of a batch element
    int dim, v_dim;       // of a row of q and k, of v and y
    float scale, softcap; // softcap 0: none
    float y_scale;        // of the result
    struct gpu_attention_span span;
    struct gpu_flash_place q, k, v, y;
    int n_terms;
    struct gpu_flash_term term[GPU_FLASH_TERMS];
};

// Whether there is a kernel for it. Depends only on type, device and extents.
static inline bool gpu_flash_takes(int elem, int sm, int64_t dim, int64_t v_dim)
{
    return sm >= 80 && (elem == GPU_ELEM_F16 || elem == GPU_ELEM_BF16) && dim >= 1 && dim <= GPU_FLASH_DIM &&
           v_dim >= 1 && v_dim <= GPU_FLASH_DIM;
}

// term: the address of each term. valid: as for gpu_attention(). A row that may attend to
// nothing becomes zeros. A row's result does not depend on the rows and matrices computed with
// it.
int gpu_flash(const struct gpu_flash *p, const void *q, const void *k, const void *v, const void *const *term,
              const int64_t *valid, void *y, void *stream);
void gpu_flash_ref(const struct gpu_flash *p, const void *q, const void *k, const void *v, const void *const *term,
                   const int64_t *valid, void *y);

#ifdef __cplusplus
}
#endif
#endif
