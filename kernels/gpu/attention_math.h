// SPDX-License-Identifier: MIT
//
// The formulas of attention.h for one element, shared by kernels and twins. Needs
// GPU_LOAD(elem, p, i) before it is included; attention.cu defines it.
#ifndef REEL_KERNELS_GPU_ATTENTION_MATH_H
#define REEL_KERNELS_GPU_ATTENTION_MATH_H

#include "kernels/gpu/attention.h"
#include "kernels/gpu/math.h"

#ifndef GPU_LOAD // so that the header compiles on its own
#define GPU_LOAD(elem, p, i) gpu_elem_load((enum gpu_elem)(elem), p, i)
#endif

// The columns to which a row may attend.
struct gpu_attention_bounds {
    int64_t first, last;
};

// Number of columns of batch element b; -1: all, and the rows come after the past.
GPU_FN int64_t gpu_attention_valid(const int64_t *valid, int64_t b)
{
    return !valid ? -1 : valid[b] > 0 ? valid[b] : 0;
}

// Those of row i of a batch element with that many columns.
GPU_FN struct gpu_attention_bounds gpu_attention_bounds_of(const struct gpu_attention_span *s, int64_t have, int64_t i)
{
    const int64_t place = i + (have >= 0 ? have - s->rows : s->past);
    struct gpu_attention_bounds r;
    r.first = 0, r.last = have >= 0 && have < s->columns ? have - 1 : s->columns - 1;
    if (s->width - 1 < r.last) r.last = s->width - 1;
    if (s->causal && place < r.last) r.last = place;
    if (s->right >= 0 && place + s->right < r.last) r.last = place + s->right;
    if (s->left >= 0 && place - s->left > 0) r.first = place - s->left;
    return r;
}

// A row of scores: where it lies, and the columns to which it may attend.
struct gpu_attention_row {
    int64_t at, mask_at;
    struct gpu_attention_bounds in;
};

GPU_FN struct gpu_attention_row gpu_attention_row_of(const struct gpu_attention *p, const int64_t *valid, int64_t row)
{
    const int64_t i = row % p->span.rows, h = row / p->span.rows % p->heads, b = row / p->span.rows / p->heads;
    struct gpu_attention_row r;
    r.at = row * p->span.columns;
    r.mask_at = b * p->mask_batch + h * p->mask_head + i * p->mask_row;
    r.in = gpu_attention_bounds_of(&p->span, gpu_attention_valid(valid, b), i);
    return r;
}

// Score j of a row after softcap and mask.
GPU_FN float gpu_attention_score(const struct gpu_attention *p, const struct gpu_attention_row *r, const void *scores,
                                 const void *mask, int64_t j)
{
    if (j < r->in.first || j > r->in.last) return -INFINITY;
    float v = GPU_LOAD(p->elem, scores, r->at + j);
    if (p->softcap > 0) v = p->softcap * tanhf(v / p->softcap);
    if (!p->masked) return v;
    const float m = GPU_LOAD(p->mask_elem, mask, r->mask_at + j * p->mask_column);
    if (p->mask_elem == GPU_ELEM_U8) return m != 0 ? v : -INFINITY;
    return v + m;
}

// Element i of y, which is laid out as x.
GPU_FN float gpu_rotary_value(const struct gpu_rotary *p, const void *x, const void *cosine, const void *sine,
                              const int64_t *position, int64_t i)
{
    const int64_t row = i / p->dim, d = i % p->dim, first = i - d;
    const int64_t s = p->packed ? row / p->heads % p->length : row % p->length;
    const int64_t b = row / p->heads / p->length;
    const int64_t at = position ? position[b * p->length + s] : b * p->length + s;
    const float v = GPU_LOAD(p->elem, x, i);
    if (d >= 2 * p->half || at < 0 || at >= p->positions) return v;
    const int64_t pair = p->interleaved ? d / 2 : d % p->half;
    const bool imaginary = p->interleaved ? d & 1 : d >= p->half;
    const int64_t other = p->interleaved ? d ^ 1 : imaginary ? d - p->half : d + p->half;
    const float c = GPU_LOAD(p->cosine_elem, cosine, at * p->half + pair);
    const float w = GPU_LOAD(p->sine_elem, sine, at * p->half + pair) * GPU_LOAD(p->elem, x, first + other);
    return imaginary ? w + c * v : c * v - w;
}

#endif
