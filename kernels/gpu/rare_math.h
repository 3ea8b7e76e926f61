// SPDX-License-Identifier: MIT
//
// The formulas of rare.h for one result, once for kernels and twins. Needs
// GPU_LOAD(elem, p, i) and GPU_STORE(elem, p, i, v) before it is included; rare.cu
// defines them.
#ifndef REEL_KERNELS_GPU_RARE_MATH_H
#define REEL_KERNELS_GPU_RARE_MATH_H

#include "kernels/gpu/math.h"
#include "kernels/gpu/rare.h"

#ifndef GPU_LOAD // a header compiles alone
#define GPU_LOAD(elem, p, i) gpu_elem_load((enum gpu_elem)(elem), p, i)
#define GPU_STORE(elem, p, i, v) gpu_elem_store((enum gpu_elem)(elem), p, i, v)
#endif

GPU_FN int gpu_det_pivot(const double *a, int n, int column)
{
    int best = column;
    for (int r = column + 1; r < n; r++)
        if (fabs(a[r * n + column]) > fabs(a[best * n + column])) best = r;
    return best;
}

// Of matrix i, which goes through a, (n,n) of its own.
GPU_FN void gpu_det_matrix(const struct gpu_det *p, const void *x, double *a, void *y, int64_t i)
{
    const int n = p->n;
    double det = 1;
    for (int k = 0; k < n * n; k++) a[k] = (double)GPU_LOAD(p->x_elem, x, i * n * n + k);
    for (int c = 0; c < n && det != 0; c++) {
        const int best = gpu_det_pivot(a, n, c);
        for (int k = c; k < n && best != c; k++) {
            const double t = a[c * n + k];
            a[c * n + k] = a[best * n + k];
            a[best * n + k] = t;
        }
        det *= best == c ? a[c * n + c] : -a[c * n + c];
        for (int r = c + 1; r < n && det != 0; r++) {
            const double f = a[r * n + c] / a[c * n + c];
            for (int k = c; k < n; k++) a[r * n + k] -= f * a[c * n + k];
        }
    }
    GPU_STORE(p->y_elem, y, i, (float)det);
}

// Row of the update that becomes row `row` of batch b; -1: none.
GPU_FN int64_t gpu_cache_row(const struct gpu_cache_update *p, const int64_t *start, int64_t b, int64_t row)
{
    const int64_t from = start ? start[b] : 0;
    if (p->circular) {
        const int64_t behind = (row - from % p->length + 2 * p->length) % p->length;
        return behind < p->n ? behind : -1;
    }
    return row >= from && row - from < p->n ? row - from : -1;
}

#endif
