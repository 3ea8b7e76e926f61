// SPDX-License-Identifier: MIT
//
// Plain C twin of the kernel that converts images to e4m3. See fp8.h.
#include "kernels/gpu/fp8.h"

void gpu_quantise_ref(const struct gpu_quantise *p, const void *x, void *y)
{
    uint8_t *to = y;
    for (int64_t i = 0; i < p->pixels; i++)
        for (int c = 0; c < p->channels; c++)
            to[i * p->channels + c] =
                gpu_f8_of(gpu_elem_load((enum gpu_elem)p->elem, x, i * p->x_pitch + c) * p->scale);
}
