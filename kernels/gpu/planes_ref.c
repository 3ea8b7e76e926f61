// SPDX-License-Identifier: MIT
//
// The plain C twins of planes.cu. See planes.h.
#include "kernels/gpu/planes.h"

static unsigned load(const void *row, int i, int sample_bytes)
{
    return sample_bytes == 1 ? ((const uint8_t *)row)[i] : ((const uint16_t *)row)[i];
}

static void store(void *row, int i, int sample_bytes, unsigned v)
{
    if (sample_bytes == 1)
        ((uint8_t *)row)[i] = (uint8_t)v;
    else
        ((uint16_t *)row)[i] = (uint16_t)v;
}

void gpu_planes_split_ref(const struct gpu_planes *p)
{
    for (int y = 0; y < p->height; y++) {
        const uint8_t *from = (const uint8_t *)p->interleaved + (size_t)y * p->interleaved_pitch;
        for (int i = 0; i < p->n; i++) {
            uint8_t *to = (uint8_t *)p->plane[i] + (size_t)y * p->plane_pitch[i];
            for (int x = 0; x < p->width; x++)
                store(to, x, p->sample_bytes, load(from, p->n * x + i, p->sample_bytes) >> p->shift);
        }
    }
}

void gpu_planes_join_ref(const struct gpu_planes *p)
{
    for (int y = 0; y < p->height; y++) {
        uint8_t *to = (uint8_t *)p->interleaved + (size_t)y * p->interleaved_pitch;
        for (int i = 0; i < p->n; i++) {
            const uint8_t *from = (const uint8_t *)p->plane[i] + (size_t)y * p->plane_pitch[i];
            for (int x = 0; x < p->width; x++)
                store(to, p->n * x + i, p->sample_bytes, load(from, x, p->sample_bytes) << p->shift);
        }
    }
}
