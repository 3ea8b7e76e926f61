// SPDX-License-Identifier: MIT
//
// The plain C twins of results.cu: loops over the elements.
#include <math.h>

#include "kernels/gpu/results.h"

#define GPU_FN static inline
#define GPU_MUL(a, b) ((a) * (b))
#define GPU_ADD(a, b) ((a) + (b))
#define GPU_EXP(v) expf(v)

static inline float gpu_number(const void *data, enum gpu_elem elem, size_t i)
{
    return gpu_elem_load(elem, data, (int64_t)i);
}

#include "kernels/gpu/results_math.h"

size_t gpu_mask_scratch_bytes(const struct gpu_mask *m)
{
    if (m->kind == GPU_MASK_CLASSES) return (size_t)m->scores.w * (size_t)m->scores.h * sizeof(uint16_t);
    return m->kind == GPU_MASK_NUMBERS ? 0 : (size_t)m->scores.w * (size_t)m->y.n_out * sizeof(float);
}

typedef void (*element_fn)(const struct gpu_mask *m, int x, int y);

static void each(const struct gpu_mask *m, element_fn f, int w, int h)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) f(m, x, y);
}

void gpu_mask_ref(const struct gpu_mask *m)
{
    int w = m->x.n_out, h = m->y.n_out;
    switch (m->kind) {
    case GPU_MASK_CLASSES:
        each(m, gpu_best_pixel, m->scores.w, m->scores.h);
        each(m, gpu_class_pixel, w, h);
        break;
    case GPU_MASK_NUMBERS:
        each(m, gpu_number_pixel, w, h);
        break;
    case GPU_MASK_ABOVE:
    case GPU_MASK_BYTES:
        each(m, gpu_weight_row_element, m->scores.w, h);
        each(m, gpu_weight_pixel, w, h);
        break;
    }
}

void gpu_pick_ref(const struct gpu_pick *p)
{
    for (int64_t cell = 0; cell < p->cells; cell++) {
        if (!gpu_pick_keeps(p, cell)) continue;
        uint32_t at = (*p->count)++;
        p->id[at] = p->first + (uint32_t)cell;
        for (int i = 0; i < p->row_floats; i++)
            p->row[(size_t)at * (size_t)p->row_floats + (size_t)i] = gpu_pick_row_number(p, cell, i);
    }
}
