// SPDX-License-Identifier: MIT
//
// The formulas of results.h for one element, once for kernels and twins.
// They follow kernels/mask.c, kernels/resize.c and the worker's heads operation
// by operation; sums are never contracted.
//
// Needs GPU_FN, GPU_MUL, GPU_ADD, GPU_EXP and gpu_number() before it is
// included: results.cu and results_ref.c define them.
#ifndef REEL_KERNELS_GPU_RESULTS_MATH_H
#define REEL_KERNELS_GPU_RESULTS_MATH_H

#include "kernels/gpu/results.h"

#ifndef GPU_EXP // a header compiles alone
#include <math.h>
#define GPU_FN static inline
#define GPU_MUL(a, b) ((a) * (b))
#define GPU_ADD(a, b) ((a) + (b))
#define GPU_EXP(v) expf(v)
GPU_FN float gpu_number(const void *data, enum gpu_elem elem, size_t i)
{
    return gpu_elem_load(elem, data, (int64_t)i);
}
#endif

// ---- masks -------------------------------------------------------------------------

GPU_FN float gpu_score_at(const struct gpu_scores *s, int c, int x, int y)
{
    return gpu_number(s->data, s->elem, (size_t)c * s->step_c + (size_t)y * s->step_y + (size_t)x * s->step_x);
}

// The first of the largest.
GPU_FN void gpu_best_pixel(const struct gpu_mask *m, int x, int y)
{
    const struct gpu_scores *s = &m->scores;
    int best = 0;
    float top = gpu_score_at(s, 0, x, y);
    for (int c = 1; c < s->n; c++) {
        float v = gpu_score_at(s, c, x, y);
        if (v > top) top = v, best = c;
    }
    ((uint16_t *)m->scratch)[(size_t)y * (size_t)s->w + (size_t)x] = (uint16_t)best;
}

GPU_FN int gpu_interpolated_class(const struct gpu_mask *m, int i, int j)
{
    const struct gpu_axis *x = &m->x, *y = &m->y;
    const float *wx = x->weight + (size_t)i * (size_t)x->taps, *wy = y->weight + (size_t)j * (size_t)y->taps;
    int best = 0;
    float top = 0.0f;
    for (int c = 0; c < m->scores.n; c++) {
        float sum = 0.0f;
        for (int v = 0; v < y->taps; v++) {
            float row = 0.0f;
            for (int u = 0; u < x->taps; u++)
                row = GPU_ADD(row, GPU_MUL(wx[u], gpu_score_at(&m->scores, c, x->first[i] + u, y->first[j] + v)));
            sum = GPU_ADD(sum, GPU_MUL(wy[v], row));
        }
        if (c == 0 || sum > top) top = sum, best = c;
    }
    return best;
}

// A class that is best under all taps is best between them.
GPU_FN void gpu_class_pixel(const struct gpu_mask *m, int i, int j)
{
    const struct gpu_axis *x = &m->x, *y = &m->y;
    const uint16_t *at = (const uint16_t *)m->scratch + (size_t)y->first[j] * (size_t)m->scores.w + (size_t)x->first[i];
    bool same = true;
    for (int v = 0; v < y->taps && same; v++)
        for (int u = 0; u < x->taps; u++) same = same && at[(size_t)v * (size_t)m->scores.w + (size_t)u] == at[0];
    int best = same ? at[0] : gpu_interpolated_class(m, i, j);
    m->out[(size_t)j * m->stride + (size_t)i] = (uint8_t)(best > 255 ? 255 : best);
}

GPU_FN void gpu_number_pixel(const struct gpu_mask *m, int i, int j)
{
    float v = gpu_score_at(&m->scores, 0, m->x.first[i], m->y.first[j]);
    m->out[(size_t)j * m->stride + (size_t)i] = (uint8_t)(v > 0.0f ? v < 255.0f ? (int)v : 255 : 0);
}

GPU_FN void gpu_weight_row_element(const struct gpu_mask *m, int x, int j)
{
    const float *w = m->y.weight + (size_t)j * (size_t)m->y.taps;
    float sum = 0.0f;
    bool begun = false;
    for (int k = 0; k < m->y.taps; k++) {
        if (w[k] == 0.0f) continue;
        float v = gpu_score_at(&m->scores, 0, x, m->y.first[j] + k);
        if (m->sigmoid) v = 1.0f / GPU_ADD(1.0f, GPU_EXP(-v));
        sum = begun ? GPU_ADD(sum, GPU_MUL(v, w[k])) : GPU_MUL(v, w[k]);
        begun = true;
    }
    ((float *)m->scratch)[(size_t)j * (size_t)m->scores.w + (size_t)x] = sum;
}

GPU_FN void gpu_weight_pixel(const struct gpu_mask *m, int i, int j)
{
    const float *w = m->x.weight + (size_t)i * (size_t)m->x.taps;
    const float *at = (const float *)m->scratch + (size_t)j * (size_t)m->scores.w + m->x.first[i];
    float v = 0.0f;
    for (int k = 0; k < m->x.taps; k++) v = GPU_ADD(v, GPU_MUL(at[k], w[k]));
    uint8_t *out = &m->out[(size_t)j * m->stride + (size_t)i];
    if (m->kind == GPU_MASK_ABOVE) {
        *out = v > m->threshold;
        return;
    }
    v = GPU_MUL(v, 255.0f);
    v = v > 0.0f ? v : 0.0f;
    v = v < 255.0f ? v : 255.0f;
    *out = (uint8_t)(int)GPU_ADD(v, 0.5f);
}

// ---- cells ----------------------------------------------------------------------------

GPU_FN float gpu_pick_number(const struct gpu_pick *p, int part, int64_t cell, int channel)
{
    const struct gpu_pick_part *t = &p->part[part];
    return gpu_number(t->data, t->elem, (size_t)cell * t->cell_step + (size_t)channel * t->channel_step);
}

GPU_FN float gpu_pick_best(const struct gpu_pick *p, const struct gpu_pick_term *t, int64_t cell)
{
    float top = gpu_pick_number(p, t->part, cell, t->from);
    for (int c = 1; c < t->n; c++) {
        float v = gpu_pick_number(p, t->part, cell, t->from + c);
        if (v > top) top = v;
    }
    return top;
}

GPU_FN float gpu_pick_cut(float v)
{
    return v > 0.0f ? v < 1.0f ? v : 1.0f : 0.0f;
}

GPU_FN bool gpu_pick_keeps(const struct gpu_pick *p, int64_t cell)
{
    float v = gpu_pick_best(p, &p->a, cell), b = p->score == GPU_PICK_ONE ? 1.0f : gpu_pick_best(p, &p->b, cell);
    if (p->score == GPU_PICK_PRODUCT) v = GPU_MUL(v, b);
    if (p->score == GPU_PICK_ROOT) v = sqrtf(GPU_MUL(gpu_pick_cut(v), gpu_pick_cut(b)));
    if (p->score == GPU_PICK_POWERS) v = GPU_MUL(powf(v, 0.6f), powf(b, 0.4f));
    return !(v < p->least);
}

// Channel i of the cell's row.
GPU_FN float gpu_pick_row_number(const struct gpu_pick *p, int64_t cell, int i)
{
    int part = 0;
    while (part + 1 < p->n_parts && i >= p->part[part].channels) i -= p->part[part++].channels;
    return gpu_pick_number(p, part, cell, i);
}

#endif
