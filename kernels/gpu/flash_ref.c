// SPDX-License-Identifier: MIT
//
// Plain C twin of the kernel of flash.h.
#include <stdlib.h>

#include "kernels/gpu/flash_math.h"

struct sides {
    const void *q, *k, *v;
    const void *const *term;
    void *y;
};

static float load(const struct gpu_flash *p, const void *m, int64_t at)
{
    return gpu_elem_load((enum gpu_elem)p->elem, m, at);
}

static float score(const struct gpu_flash *p, const struct sides *s, int64_t matrix, int64_t i, int64_t j)
{
    const int64_t q = gpu_flash_at(&p->q, matrix) + i * p->q.row, k = gpu_flash_at(&p->k, matrix) + j * p->k.row;
    double product = 0;
    for (int64_t d = 0; d < p->dim; d++)
        product += (double)load(p, s->q, q + d * p->q.column) * (double)load(p, s->k, k + d * p->k.column);
    float v = gpu_flash_scaled(p, (float)product);
    for (int t = 0; t < p->n_terms; t++) {
        const struct gpu_flash_term *g = &p->term[t];
        const int64_t at = gpu_flash_at(&g->at, matrix) + i * g->at.row + j * g->at.column;
        v = gpu_flash_with(g, v, gpu_elem_load((enum gpu_elem)g->elem, s->term[t], at));
    }
    return v;
}

// Computes row i of a matrix; weights: scratch with room for its columns.
static void row(const struct gpu_flash *p, const struct sides *s, int64_t matrix, int64_t i,
                struct gpu_attention_bounds in, float *weights)
{
    float top = -INFINITY;
    double total = 0;
    for (int64_t j = in.first; j <= in.last; j++) {
        weights[j] = score(p, s, matrix, i, j);
        top = fmaxf(top, weights[j]);
    }
    for (int64_t j = in.first; j <= in.last; j++) {
        weights[j] = top == -INFINITY ? 0 : (float)exp((double)(weights[j] - top));
        total += (double)weights[j];
    }
    for (int64_t d = 0; d < p->v_dim; d++) {
        const int64_t v = gpu_flash_at(&p->v, matrix) + d * p->v.column;
        double sum = 0;
        for (int64_t j = in.first; j <= in.last; j++)
            if (weights[j] != 0) sum += (double)weights[j] * (double)load(p, s->v, v + j * p->v.row);
        gpu_elem_store((enum gpu_elem)p->elem, s->y, gpu_flash_at(&p->y, matrix) + i * p->y.row + d * p->y.column,
                       total == 0 ? 0 : p->y_scale * (float)(sum / total));
    }
}

void gpu_flash_ref(const struct gpu_flash *p, const void *q, const void *k, const void *v, const void *const *term,
                   const int64_t *valid, void *y)
{
    const struct sides s = {.q = q, .k = k, .v = v, .term = term, .y = y};
    float *weights = malloc((size_t)p->span.columns * sizeof *weights);
    if (!weights) abort();
    for (int64_t m = 0; m < p->count; m++)
        for (int64_t i = 0; i < p->span.rows; i++)
            row(p, &s, m, i, gpu_attention_bounds_of(&p->span, gpu_attention_valid(valid, m / p->heads), i), weights);
    free(weights);
}
