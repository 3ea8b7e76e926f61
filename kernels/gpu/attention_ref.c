// SPDX-License-Identifier: MIT
//
// Plain C twins of the kernels of attention.h.
#include "kernels/gpu/attention_math.h"

void gpu_attention_ref(const struct gpu_attention *p, void *scores, const void *mask, const int64_t *valid)
{
    for (int64_t row = 0; row < (int64_t)p->batch * p->heads * p->span.rows; row++) {
        const struct gpu_attention_row r = gpu_attention_row_of(p, valid, row);
        float top = -INFINITY;
        double sum = 0;
        for (int64_t j = 0; p->scores && j < p->span.columns; j++)
            gpu_elem_store((enum gpu_elem)p->elem, scores, r.at + j, gpu_attention_score(p, &r, scores, mask, j));
        if (p->scores) continue;
        for (int64_t j = 0; j < p->span.columns; j++) top = fmaxf(top, gpu_attention_score(p, &r, scores, mask, j));
        for (int64_t j = 0; j < p->span.columns && top != -INFINITY; j++)
            sum += exp((double)(gpu_attention_score(p, &r, scores, mask, j) - top));
        for (int64_t j = 0; j < p->span.columns; j++) {
            const float v = gpu_attention_score(p, &r, scores, mask, j);
            gpu_elem_store((enum gpu_elem)p->elem, scores, r.at + j,
                           top == -INFINITY ? 0 : (float)(exp((double)(v - top)) / sum));
        }
    }
}

void gpu_rotary_ref(const struct gpu_rotary *p, const void *x, const void *cosine, const void *sine,
                    const int64_t *position, void *y)
{
    for (int64_t i = 0; i < (int64_t)p->batch * p->heads * p->length * p->dim; i++)
        gpu_elem_store((enum gpu_elem)p->elem, y, i, gpu_rotary_value(p, x, cosine, sine, position, i));
}
