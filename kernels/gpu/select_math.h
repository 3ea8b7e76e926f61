// SPDX-License-Identifier: MIT
//
// The formulas of select.h for one element, shared by kernels and twins.
#ifndef REEL_KERNELS_GPU_SELECT_MATH_H
#define REEL_KERNELS_GPU_SELECT_MATH_H

#include "kernels/gpu/math.h"
#include "kernels/gpu/select.h"

// Where tuple i points to; -1: an index is out of range.
GPU_FN int64_t gpu_index_place(const struct gpu_index *p, const void *index, int64_t i)
{
    int64_t at = 0, rest = i;
    for (int d = p->n_dims - 1; d >= 0; d--) {
        at += rest % p->extent[d] * p->base[d];
        rest /= p->extent[d];
    }
    for (int j = 0; j < p->q; j++) {
        int64_t k = gpu_int_load(p->index_elem, index, i * p->q + j);
        if (k < 0) k += p->at_extent[j];
        if (k < 0 || k >= p->at_extent[j]) return -1;
        at += k * p->at_stride[j];
    }
    return at;
}

// As the reference implementation: a NaN in `a` stays.
GPU_FN float gpu_combine_floats(int how, float a, float b)
{
    switch (how) {
    case GPU_COMBINE_ADD:
        return a + b;
    case GPU_COMBINE_MUL:
        return a * b;
    case GPU_COMBINE_MAX:
        return a > b || a != a ? a : b;
    case GPU_COMBINE_MIN:
        return a < b || a != a ? a : b;
    default:
        return b;
    }
}

GPU_FN int64_t gpu_combine_ints(int how, int64_t a, int64_t b)
{
    switch (how) {
    case GPU_COMBINE_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case GPU_COMBINE_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case GPU_COMBINE_MAX:
        return a > b ? a : b;
    case GPU_COMBINE_MIN:
        return a < b ? a : b;
    default:
        return b;
    }
}

GPU_FN bool gpu_triangle_keeps(const struct gpu_triangle *p, int64_t row, int64_t column)
{
    return p->upper ? column - row >= p->k : column - row <= p->k;
}

#endif
