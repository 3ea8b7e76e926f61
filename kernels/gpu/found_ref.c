// SPDX-License-Identifier: MIT
//
// The plain C twin of found.h.
#include "kernels/gpu/found.h"

#include <string.h>

void gpu_found_ref(const struct gpu_found *p, const void *x, const void *data, int32_t *found, void *values)
{
    const size_t bytes = (size_t)p->data_bytes;
    int32_t n = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (gpu_elem_load((enum gpu_elem)p->elem, x, i) == 0) continue;
        if (bytes) memcpy((char *)values + (size_t)n * bytes, (const char *)data + (size_t)i * bytes, bytes);
        found[++n] = (int32_t)i;
    }
    found[0] = n;
}
