// SPDX-License-Identifier: MIT
//
// Kernels on blocked tensors: reordering, reshaping and joining them. See blocked.h.
#include "kernels/blocked.h"

#include <math.h>
#include <string.h>

#include "kernels/simd.h"

#define INLINE static inline __attribute__((always_inline))

typedef float quad __attribute__((vector_size(16)));
typedef int32_t quad_index __attribute__((vector_size(16)));

size_t blocked_floats(const struct blocked_shape *s)
{
    return (size_t)s->n * blocked_count(s) * s->h * s->w * s->lanes;
}

// ---- layout ------------------------------------------------------------------

INLINE quad quad_load(const float *p)
{
    quad q;
    memcpy(&q, p, sizeof q);
    return q;
}

// Transposes 4 x 4 elements from rows src_row floats apart to rows dst_row floats apart.
INLINE void transpose4(const float *src, size_t src_row, float *dst, size_t dst_row)
{
    quad a = quad_load(src), b = quad_load(src + src_row), c = quad_load(src + 2 * src_row),
         d = quad_load(src + 3 * src_row);
    const quad_index lo = {0, 4, 1, 5}, hi = {2, 6, 3, 7}, low = {0, 1, 4, 5}, high = {2, 3, 6, 7};
    quad ab_lo = __builtin_shuffle(a, b, lo), ab_hi = __builtin_shuffle(a, b, hi);
    quad cd_lo = __builtin_shuffle(c, d, lo), cd_hi = __builtin_shuffle(c, d, hi);
    quad r0 = __builtin_shuffle(ab_lo, cd_lo, low), r1 = __builtin_shuffle(ab_lo, cd_lo, high);
    quad r2 = __builtin_shuffle(ab_hi, cd_hi, low), r3 = __builtin_shuffle(ab_hi, cd_hi, high);
    memcpy(dst, &r0, sizeof r0);
    memcpy(dst + dst_row, &r1, sizeof r1);
    memcpy(dst + 2 * dst_row, &r2, sizeof r2);
    memcpy(dst + 3 * dst_row, &r3, sizeof r3);
}

static void transpose(const float *src, size_t src_row, float *dst, size_t dst_row, size_t rows, size_t columns)
{
    size_t whole = columns & ~(size_t)3;
    for (size_t x = 0; x < whole; x += 4) {
        size_t y = 0;
        for (; y + 4 <= rows; y += 4) transpose4(src + y * src_row + x, src_row, dst + x * dst_row + y, dst_row);
        for (; y < rows; y++)
            for (size_t k = 0; k < 4; k++) dst[(x + k) * dst_row + y] = src[y * src_row + x + k];
    }
    for (size_t x = whole; x < columns; x++)
        for (size_t y = 0; y < rows; y++) dst[x * dst_row + y] = src[y * src_row + x];
}

static int block_channels(const struct blocked_shape *s, int b)
{
    int left = s->c - b * s->lanes;
    return left < s->lanes ? left : s->lanes;
}

// Where block b of image n begins in the plain tensor, in floats.
static size_t plain_begin(const struct blocked_shape *s, int n, int b)
{
    const size_t plane = (size_t)s->h * s->w, depth = s->depth ? (size_t)s->depth : 1;
    const size_t channel = (size_t)n / depth * (size_t)s->c + (size_t)b * (size_t)s->lanes;
    return (channel * depth + (size_t)n % depth) * plane;
}

// How many floats lie between the channels of a pixel in the plain tensor.
static size_t plain_step(const struct blocked_shape *s)
{
    return (size_t)s->h * s->w * (s->depth ? (size_t)s->depth : 1);
}

void blocked_from_plain(const struct blocked_shape *s, const float *src, float *dst, int begin, int end)
{
    const size_t plane = (size_t)s->h * s->w, v = (size_t)s->lanes;
    const int nb = blocked_count(s);
    for (int u = begin; u < end; u++) {
        const int b = u % nb, have = block_channels(s, b);
        float *to = dst + (size_t)u * plane * v;
        if (have < s->lanes) memset(to, 0, sizeof(float) * plane * v);
        transpose(src + plain_begin(s, u / nb, b), plain_step(s), to, v, (size_t)have, plane);
    }
}

void blocked_to_plain(const struct blocked_shape *s, const float *src, float *dst, int begin, int end)
{
    const size_t plane = (size_t)s->h * s->w, v = (size_t)s->lanes;
    const int nb = blocked_count(s);
    for (int u = begin; u < end; u++) {
        const int b = u % nb;
        transpose(src + (size_t)u * plane * v, v, dst + plain_begin(s, u / nb, b), plain_step(s), plane,
                  (size_t)block_channels(s, b));
    }
}

void blocked_from_nhwc(const struct blocked_shape *s, const float *src, float *dst, int begin, int end)
{
    const size_t v = (size_t)s->lanes, plane = (size_t)s->h * s->w;
    const int nb = blocked_count(s);
    for (int u = begin; u < end; u++)
        for (int b = 0; b < nb; b++) {
            const size_t have = (size_t)block_channels(s, b);
            const float *from = src + (size_t)u * s->w * s->c + (size_t)b * v;
            float *to = dst + (((size_t)(u / s->h) * nb + b) * plane + (size_t)(u % s->h) * s->w) * v;
            for (int x = 0; x < s->w; x++, from += s->c, to += v) {
                memcpy(to, from, sizeof(float) * have);
                if (have < v) memset(to + have, 0, sizeof(float) * (v - have));
            }
        }
}

void blocked_to_nhwc(const struct blocked_shape *s, const float *src, float *dst, int begin, int end)
{
    const size_t v = (size_t)s->lanes, plane = (size_t)s->h * s->w;
    const int nb = blocked_count(s);
    for (int u = begin; u < end; u++)
        for (int b = 0; b < nb; b++) {
            const size_t have = (size_t)block_channels(s, b);
            const float *from = src + (((size_t)(u / s->h) * nb + b) * plane + (size_t)(u % s->h) * s->w) * v;
            float *to = dst + (size_t)u * s->w * s->c + (size_t)b * v;
            for (int x = 0; x < s->w; x++, from += v, to += s->c) memcpy(to, from, sizeof(float) * have);
        }
}

// Where the source's neighbours are to be neighbours, a line of such runs is one
// unit: all elements of the last two axes. Otherwise a unit is some elements of
// the last axis, for all of the axis whose elements are neighbours in the source.
#define PERMUTE_PART 64

struct permute_way {
    bool runs;    // the last axis stays the last one
    int inner;    // the axis whose elements are neighbours in the source
    size_t row;   // floats between that axis's elements in the result
    size_t parts; // units that together cover the last axis
    size_t outer; // how many elements the other axes have together
};

static struct permute_way permute_way(const struct plain_permute *p)
{
    struct permute_way w = {.inner = p->n - 1, .row = 1, .parts = 1, .outer = 1};
    while (p->step[w.inner] != 1) w.row *= p->size[w.inner--];
    w.runs = w.inner == p->n - 1;
    if (w.runs)
        w.inner = p->n - 2; // this axis is part of the unit as well
    else
        w.parts = (p->size[p->n - 1] + PERMUTE_PART - 1) / PERMUTE_PART;
    for (int i = 0; i < p->n - 1; i++)
        if (i != w.inner) w.outer *= p->size[i];
    return w;
}

// How many floats from its begin element `index` of the other axes lies, in the source (*out_src) and in
// the result.
static size_t permute_at(const struct plain_permute *p, int inner, size_t index, size_t *out_src)
{
    size_t floats = p->size[p->n - 1], at = 0;
    *out_src = 0;
    for (int i = p->n - 2; i >= 0; floats *= p->size[i--]) {
        if (i == inner) continue;
        const size_t k = index % p->size[i];
        index /= p->size[i];
        *out_src += k * p->step[i];
        at += k * floats;
    }
    return at;
}

INLINE void copy_runs(float *dst, const float *src, size_t step, size_t runs, size_t n)
{
    for (size_t k = 0; k < runs; k++, dst += n, src += step) {
        if (n >= 64) {
            memcpy(dst, src, n * sizeof(float));
            continue;
        }
        size_t i = 0;
        for (; i + 4 <= n; i += 4) memcpy(dst + i, src + i, sizeof(quad));
        for (; i < n; i++) dst[i] = src[i];
    }
}

int plain_permute_units(const struct plain_permute *p)
{
    const struct permute_way w = permute_way(p);
    return (int)(w.outer * w.parts);
}

void plain_permute(const struct plain_permute *p, const float *src, float *dst, int begin, int end)
{
    const struct permute_way w = permute_way(p);
    const size_t last = p->size[p->n - 1], last_step = p->step[p->n - 1];
    for (size_t u = (size_t)begin; u < (size_t)end; u++) {
        size_t from;
        const size_t to = permute_at(p, w.inner, u / w.parts, &from);
        if (w.runs) {
            copy_runs(dst + to, src + from, p->step[w.inner], p->size[w.inner], last);
            continue;
        }
        const size_t first = u % w.parts * PERMUTE_PART;
        const size_t n = last - first < PERMUTE_PART ? last - first : PERMUTE_PART;
        transpose(src + from + first * last_step, last_step, dst + to + first, w.row, n, p->size[w.inner]);
    }
}

// Writes n pixels of a row of b channels side by side. q[i] is the first pixel of channel i, and pixels are
// v floats apart. b and v are known at compile time.
INLINE void interleave_rows(const float *const *q, float *to, int n, const int b, const int v)
{
    KERN_INDEPENDENT
    for (int x = 0; x < n; x++)
        for (int i = 0; i < b; i++) to[x * b + i] = q[i][(size_t)x * v];
}

// The same for channels that follow each other in memory.
INLINE void copy_pixels(const float *q, float *to, int n, const int b, const int v)
{
    for (int x = 0; x < n; x++) memcpy(to + x * b, q + (size_t)x * v, sizeof(float) * (size_t)b);
}

INLINE void depth_to_space_row(const float *const *q, float *to, int n, const int b, const int v)
{
    bool side_by_side = v > 1;
    for (int i = 1; i < b; i++) side_by_side &= q[i] == q[0] + i;
    if (side_by_side)
        copy_pixels(q[0], to, n, b, v);
    else
        interleave_rows(q, to, n, b, v);
}

// The b rows that one input row makes of an output channel.
INLINE void depth_to_space_rows(const struct blocked_shape *s, const int b, bool crd, const float *from, float *to,
                                int c, const int v)
{
    const int co = s->c / (b * b);
    const size_t plane = (size_t)s->h * s->w;
    const float *q[BLOCKED_MOST_DEPTH];
    for (int by = 0; by < b; by++, to += (size_t)s->w * b) {
        for (int bx = 0; bx < b; bx++) {
            const int ch = crd ? c * b * b + by * b + bx : (by * b + bx) * co + c;
            q[bx] = from + (size_t)(ch / v) * plane * v + ch % v;
        }
        depth_to_space_row(q, to, s->w, b, v);
    }
}

INLINE void depth_to_space_lanes(const struct blocked_shape *s, int b, bool crd, const float *from, float *to, int c,
                                 const int v)
{
    if (b == 2)
        depth_to_space_rows(s, 2, crd, from, to, c, v);
    else if (b == 3)
        depth_to_space_rows(s, 3, crd, from, to, c, v);
    else if (b == 4)
        depth_to_space_rows(s, 4, crd, from, to, c, v);
    else
        depth_to_space_rows(s, b, crd, from, to, c, v);
}

KERN_CLONES void blocked_depth_to_space(const struct blocked_shape *s, int b, bool crd, const float *src, float *dst,
                                        int begin, int end)
{
    const int co = s->c / (b * b), v = s->lanes;
    for (int u = begin; u < end; u++) {
        const int image = u / s->h / co, c = u / s->h % co, y = u % s->h;
        const float *from = src + (((size_t)image * blocked_count(s) * s->h) + (size_t)y) * s->w * v;
        float *to = dst + (size_t)u * s->w * b * b;
        if (v == 1)
            depth_to_space_lanes(s, b, crd, from, to, c, 1);
        else if (v == 16)
            depth_to_space_lanes(s, b, crd, from, to, c, 16);
        else
            depth_to_space_lanes(s, b, crd, from, to, c, 8);
    }
}

// e: bytes of an element, known at compile time.
INLINE void copy_channels(const struct blocked_shape *s_src, const char *src, int src_c,
                          const struct blocked_shape *s_dst, char *dst, int dst_c, int count, int begin, int end,
                          const size_t e)
{
    const size_t plane = (size_t)s_src->h * s_src->w, v = (size_t)s_src->lanes;
    for (int u = begin; u < end; u++) {
        const char *from = src + (size_t)u * blocked_count(s_src) * plane * v * e;
        char *to = dst + (size_t)u * blocked_count(s_dst) * plane * v * e;
        for (int i = 0, n; i < count; i += n) {
            // a run of channels that does not cross a block's end in either tensor
            const size_t a = (size_t)(src_c + i), z = (size_t)(dst_c + i);
            const size_t left_a = v - a % v, left_z = v - z % v;
            n = count - i;
            if ((size_t)n > left_a) n = (int)left_a;
            if ((size_t)n > left_z) n = (int)left_z;
            const char *p = from + (a / v * plane * v + a % v) * e;
            char *q = to + (z / v * plane * v + z % v) * e;
            if ((size_t)n == v) {
                memcpy(q, p, plane * v * e);
                continue;
            }
            for (size_t x = 0; x < plane; x++, p += v * e, q += v * e)
                for (int k = 0; k < n; k++) memcpy(q + (size_t)k * e, p + (size_t)k * e, e);
        }
    }
}

void blocked_copy_channels(const struct blocked_shape *s_src, const float *src, int src_c,
                           const struct blocked_shape *s_dst, float *dst, int dst_c, int count, int begin, int end)
{
    copy_channels(s_src, (const char *)src, src_c, s_dst, (char *)dst, dst_c, count, begin, end, sizeof(float));
}

void blocked_copy_channels8(const struct blocked_shape *s_src, const uint8_t *src, int src_c,
                            const struct blocked_shape *s_dst, uint8_t *dst, int dst_c, int count, int begin, int end)
{
    copy_channels(s_src, (const char *)src, src_c, s_dst, (char *)dst, dst_c, count, begin, end, 1);
}

// ---- sampling -------------------------------------------------------------------

INLINE void mean_block(const float *src, size_t plane, float *dst, const int v)
{
    // four partial sums: a fixed order, in chains that are short enough to be exact and fast
    float acc[4][16];
    for (int k = 0; k < 4; k++)
        for (int l = 0; l < v; l++) acc[k][l] = 0;
    size_t i = 0;
    for (; i + 4 <= plane; i += 4)
        for (int k = 0; k < 4; k++)
            for (int l = 0; l < v; l++) acc[k][l] += src[(i + k) * v + l];
    for (; i < plane; i++)
        for (int l = 0; l < v; l++) acc[0][l] += src[i * v + l];
    for (int l = 0; l < v; l++) dst[l] = ((acc[0][l] + acc[1][l]) + (acc[2][l] + acc[3][l])) / (float)plane;
}

KERN_CLONES void blocked_mean(const struct blocked_shape *in, const float *src, float *dst, int begin, int end)
{
    const size_t plane = (size_t)in->h * in->w;
    for (int u = begin; u < end; u++) {
        if (in->lanes == 16)
            mean_block(src + (size_t)u * plane * 16, plane, dst + (size_t)u * 16, 16);
        else
            mean_block(src + (size_t)u * plane * 8, plane, dst + (size_t)u * 8, 8);
    }
}

INLINE void gather_block(const struct blocked_shape *in, const struct blocked_shape *out, const int *map_y,
                         const int *map_x, float value, const float *src, float *dst, const int v)
{
    for (int y = 0; y < out->h; y++)
        for (int x = 0; x < out->w; x++, dst += v) {
            const bool in_range = map_y[y] >= 0 && map_x[x] >= 0;
            const float *p = src + ((ptrdiff_t)map_y[y] * in->w + map_x[x]) * v;
            if (in_range)
                memcpy(dst, p, sizeof(float) * (size_t)v);
            else
                for (int l = 0; l < v; l++) dst[l] = value;
        }
}

KERN_CLONES void blocked_gather(const struct blocked_shape *in, const struct blocked_shape *out, const int *map_y,
                                const int *map_x, float value, const float *src, float *dst, int begin, int end)
{
    const size_t from = (size_t)in->h * in->w * in->lanes, to = (size_t)out->h * out->w * in->lanes;
    for (int u = begin; u < end; u++) {
        if (in->lanes == 16)
            gather_block(in, out, map_y, map_x, value, src + u * from, dst + u * to, 16);
        else
            gather_block(in, out, map_y, map_x, value, src + u * from, dst + u * to, 8);
    }
}

INLINE void linear_block(const struct blocked_shape *in, const struct blocked_shape *out,
                         const struct blocked_linear *m, const float *src, float *dst, const int v)
{
    for (int y = 0; y < out->h; y++) {
        const float *a = src + (size_t)m->y0[y] * in->w * v, *b = src + (size_t)m->y1[y] * in->w * v;
        const float wy = m->wy[y];
        for (int x = 0; x < out->w; x++, dst += v) {
            const size_t x0 = (size_t)m->x0[x] * v, x1 = (size_t)m->x1[x] * v;
            const float wx = m->wx[x];
            for (int l = 0; l < v; l++) {
                float top = a[x0 + l] * (1 - wx) + a[x1 + l] * wx;
                float bottom = b[x0 + l] * (1 - wx) + b[x1 + l] * wx;
                dst[l] = top * (1 - wy) + bottom * wy;
            }
        }
    }
}

KERN_CLONES void blocked_linear(const struct blocked_shape *in, const struct blocked_shape *out,
                                const struct blocked_linear *map, const float *src, float *dst, int begin, int end)
{
    const size_t from = (size_t)in->h * in->w * in->lanes, to = (size_t)out->h * out->w * in->lanes;
    for (int u = begin; u < end; u++) {
        if (in->lanes == 16)
            linear_block(in, out, map, src + u * from, dst + u * to, 16);
        else
            linear_block(in, out, map, src + u * from, dst + u * to, 8);
    }
}
