// SPDX-License-Identifier: MIT
//
// Plain C twins of the kernels of rare.h.
#include <string.h>

#include "kernels/gpu/rare_math.h"

void gpu_det_ref(const struct gpu_det *p, const void *x, void *y, void *work)
{
    for (int64_t i = 0; i < p->count; i++) gpu_det_matrix(p, x, (double *)work + i * p->n * p->n, y, i);
}

void gpu_cache_update_ref(const struct gpu_cache_update *p, const void *cache, const void *update, const int64_t *start,
                          void *y)
{
    const size_t bytes = (size_t)p->inner * (size_t)p->elem_bytes;
    for (int64_t o = 0; o < p->batches * p->outer; o++)
        for (int64_t row = 0; row < p->length; row++) {
            const int64_t from = gpu_cache_row(p, start, o / p->outer, row), to = o * p->length + row;
            const char *src = from < 0 ? (const char *)cache + (size_t)to * bytes
                                       : (const char *)update + (size_t)(o * p->n + from) * bytes;
            memcpy((char *)y + (size_t)to * bytes, src, bytes);
        }
}
