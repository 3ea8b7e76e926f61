// SPDX-License-Identifier: MIT
//
// Plain C twins of the kernels of select.h: one element after another.
#include <stdlib.h>
#include <string.h>

#include "kernels/gpu/select_math.h"

// ---- the k largest ---------------------------------------------------------------------

size_t gpu_topk_keys(const struct gpu_topk *p)
{
    size_t n = 2;
    while (n < (size_t)p->k) n *= 2;
    return n;
}

int64_t gpu_topk_tile(const struct gpu_topk *p)
{
    // four times what a tile leaves, so that the second pass reads a quarter at most
    const int64_t tile = 4 * p->k > GPU_TOPK_TILE ? 4 * p->k : GPU_TOPK_TILE;
    return p->outer * p->inner < GPU_TOPK_COLUMNS && p->n >= 2 * tile ? tile : 0;
}

int64_t gpu_topk_kept(const struct gpu_topk *p)
{
    const int64_t tile = gpu_topk_tile(p), last = (p->n - 1) % tile + 1;
    return (p->n - 1) / tile * p->k + (last < p->k ? last : p->k);
}

size_t gpu_topk_sort_bytes(const struct gpu_topk *p)
{
    const size_t keys = gpu_topk_keys(p), key = p->elem == GPU_ELEM_I64 ? 16 : 8;
    return keys <= GPU_TOPK_SHARED ? 0 : (size_t)(p->outer * p->inner) * keys * key;
}

size_t gpu_topk_work_bytes(const struct gpu_topk *p)
{
    const size_t list = gpu_topk_tile(p) ? (size_t)(p->outer * p->inner * gpu_topk_kept(p)) * sizeof(int32_t) : 0;
    return gpu_topk_sort_bytes(p) + list;
}

struct candidate {
    double v;  // value of floats
    int64_t i; // value of integers; v is 0 then
    int64_t at;
};

static struct candidate candidate_of(const struct gpu_topk *p, const void *x, int64_t first, int64_t i)
{
    struct candidate c = {.at = i};
    const int64_t at = first + i * p->inner;
    if (p->elem == GPU_ELEM_I64 && p->is_f64)
        c.v = ((const double *)x)[at];
    else if (p->elem >= GPU_ELEM_U8)
        c.i = gpu_int_load(p->elem, x, at);
    else
        c.v = (double)gpu_elem_load((enum gpu_elem)p->elem, x, at);
    return c;
}

static bool is_better(const struct candidate *a, const struct candidate *b, bool smallest)
{
    const bool above = a->v > b->v || (isnan(a->v) && !isnan(b->v)) || a->i > b->i;
    const bool below = a->v < b->v || (isnan(b->v) && !isnan(a->v)) || a->i < b->i;
    if (above || below) return above != smallest;
    return a->at < b->at;
}

// Keeps the k best so far, best first, sorted by insertion.
static void topk_column(const struct gpu_topk *p, const void *x, int64_t first, struct candidate *best)
{
    int64_t have = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const struct candidate c = candidate_of(p, x, first, i);
        int64_t k = have < p->k ? have++ : p->k;
        if (k == p->k && !is_better(&c, &best[k - 1], p->smallest)) continue;
        if (k == p->k) k--;
        for (; k > 0 && is_better(&c, &best[k - 1], p->smallest); k--) best[k] = best[k - 1];
        best[k] = c;
    }
}

void gpu_topk_ref(const struct gpu_topk *p, const void *x, void *values, int64_t *positions)
{
    const size_t bytes = gpu_elem_bytes((enum gpu_elem)p->elem);
    struct candidate *best = malloc((size_t)p->k * sizeof *best + 1);
    if (!best) abort();
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t i = 0; i < p->inner; i++) {
            const int64_t first = o * p->n * p->inner + i;
            topk_column(p, x, first, best);
            for (int64_t j = 0; j < p->k; j++) {
                const int64_t to = (o * p->k + j) * p->inner + i, from = first + best[j].at * p->inner;
                if (positions) positions[to] = best[j].at;
                if (values) memcpy((char *)values + (size_t)to * bytes, (const char *)x + (size_t)from * bytes, bytes);
            }
        }
    free(best);
}

// ---- indices ---------------------------------------------------------------------------

void gpu_gather_at_ref(const struct gpu_index *p, const void *data, const void *index, void *dst)
{
    const size_t row = (size_t)p->block * (size_t)p->elem_bytes;
    for (int64_t i = 0; i < p->tuples; i++) {
        const int64_t at = gpu_index_place(p, index, i);
        char *to = (char *)dst + (size_t)i * row;
        if (at < 0)
            memset(to, 0, row);
        else
            memcpy(to, (const char *)data + (size_t)at * (size_t)p->elem_bytes, row);
    }
}

size_t gpu_scatter_work_bytes(const struct gpu_index *p)
{
    const int64_t places = p->block ? p->count / p->block : 0;
    return (size_t)(places + (p->combine == GPU_COMBINE_NONE ? 0 : p->tuples)) * sizeof(int32_t);
}

void gpu_scatter_ref(const struct gpu_index *p, const void *data, const void *index, const void *updates, void *y)
{
    const size_t bytes = (size_t)p->elem_bytes;
    if (data)
        memcpy(y, data, (size_t)p->count * bytes);
    else
        memset(y, 0, (size_t)p->count * bytes);
    for (int64_t i = 0; i < p->tuples; i++) {
        const int64_t at = gpu_index_place(p, index, i);
        if (at < 0) continue;
        for (int64_t b = 0; b < p->block; b++) {
            const int64_t to = at + b, from = i * p->block + b;
            if (p->combine == GPU_COMBINE_NONE)
                memcpy((char *)y + (size_t)to * bytes, (const char *)updates + (size_t)from * bytes, bytes);
            else if (p->elem <= GPU_ELEM_BF16)
                gpu_elem_store((enum gpu_elem)p->elem, y, to,
                               gpu_combine_floats(p->combine, gpu_elem_load((enum gpu_elem)p->elem, y, to),
                                                  gpu_elem_load((enum gpu_elem)p->elem, updates, from)));
            else
                gpu_int_store(
                    p->elem, y, to,
                    gpu_combine_ints(p->combine, gpu_int_load(p->elem, y, to), gpu_int_load(p->elem, updates, from)));
        }
    }
}

static int64_t hot_place(const struct gpu_one_hot *p, const void *index, int64_t i)
{
    int64_t at;
    if (p->index_elem <= GPU_ELEM_BF16) {
        const float f = gpu_elem_load((enum gpu_elem)p->index_elem, index, i);
        if (!(f >= -(float)p->depth && f < (float)p->depth)) return -1;
        at = (int64_t)f;
    } else {
        at = gpu_int_load(p->index_elem, index, i);
    }
    return at < 0 ? at + p->depth : at;
}

void gpu_one_hot_ref(const struct gpu_one_hot *p, const void *index, const void *values, void *y)
{
    const size_t bytes = (size_t)p->elem_bytes;
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t d = 0; d < p->depth; d++)
            for (int64_t i = 0; i < p->inner; i++) {
                const bool hot = hot_place(p, index, o * p->inner + i) == d;
                memcpy((char *)y + (size_t)((o * p->depth + d) * p->inner + i) * bytes,
                       (const char *)values + (hot ? bytes : 0), bytes);
            }
}

// ---- prefixes, triangles, reversed sequences --------------------------------------------

static void scan_floats(const struct gpu_scan *p, const void *x, void *y, int64_t first)
{
    double sum = p->product ? 1 : 0;
    for (int64_t k = 0; k < p->n; k++) {
        const int64_t at = first + (p->reverse ? p->n - 1 - k : k) * p->inner;
        const double v = (double)gpu_elem_load((enum gpu_elem)p->x_elem, x, at), before = sum;
        sum = p->product ? sum * v : sum + v;
        gpu_elem_store((enum gpu_elem)p->y_elem, y, at, (float)(p->exclusive ? before : sum));
    }
}

static void scan_ints(const struct gpu_scan *p, const void *x, void *y, int64_t first)
{
    int64_t sum = p->product ? 1 : 0;
    for (int64_t k = 0; k < p->n; k++) {
        const int64_t at = first + (p->reverse ? p->n - 1 - k : k) * p->inner, before = sum;
        sum = gpu_combine_ints(p->product ? GPU_COMBINE_MUL : GPU_COMBINE_ADD, sum, gpu_int_load(p->x_elem, x, at));
        gpu_int_store(p->y_elem, y, at, p->exclusive ? before : sum);
    }
}

void gpu_scan_ref(const struct gpu_scan *p, const void *x, void *y)
{
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t i = 0; i < p->inner; i++)
            (p->x_elem <= GPU_ELEM_BF16 ? scan_floats : scan_ints)(p, x, y, o * p->n * p->inner + i);
}

void gpu_triangle_ref(const struct gpu_triangle *p, const void *x, void *y)
{
    const size_t bytes = (size_t)p->elem_bytes;
    for (int64_t r = 0; r < p->matrices * p->rows; r++)
        for (int64_t c = 0; c < p->columns; c++) {
            const size_t at = (size_t)(r * p->columns + c) * bytes;
            if (gpu_triangle_keeps(p, r % p->rows, c))
                memcpy((char *)y + at, (const char *)x + at, bytes);
            else
                memset((char *)y + at, 0, bytes);
        }
}

void gpu_reverse_ref(const struct gpu_reverse *p, const void *x, const int64_t *length, void *y)
{
    const size_t row = (size_t)p->inner * (size_t)p->elem_bytes;
    const int64_t step_t = p->batch_first ? 1 : p->batches, step_b = p->batch_first ? p->times : 1;
    for (int64_t b = 0; b < p->batches; b++)
        for (int64_t t = 0; t < p->times; t++) {
            const int64_t n = length[b] > p->times ? p->times : length[b], from = t < n ? n - 1 - t : t;
            memcpy((char *)y + (size_t)(b * step_b + t * step_t) * row,
                   (const char *)x + (size_t)(b * step_b + from * step_t) * row, row);
        }
}
