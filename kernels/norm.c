// SPDX-License-Identifier: MIT
//
// Means, variances and what is made of them; see norm.h.
//
// Memory is read once for both sums: pieces that stay in the first-level cache
// are summed in float, first for their mean, then about it, and merged in
// double. So a mean far from 0 costs no digits.
#include "kernels/norm.h"

#include <stdbool.h>
#include <string.h>

#include "kernels/simd.h"

#define INLINE static inline __attribute__((always_inline))

// Vectors of 8, for which the compiler uses what the CPU has.
#define W 8
typedef float vec __attribute__((vector_size(4 * W)));

// Pixels whose sums are made in float: 4 KB of 16 lanes.
#define PIECE 64
#define SUMS 4 // partial sums, which hide the additions' latency

// A macro, because a function cannot return vectors that the CPU may lack.
#define LOAD(x, p)                   \
    do {                             \
        const float *p_ = (p);       \
        memcpy(&(x), p_, sizeof(x)); \
    } while (0)

// The moments of n <= PIECE pixels of H vectors. The sum of the distances corrects the mean's own rounding.
INLINE void piece_moments(const float *src, size_t n, const int H, struct norm_moments *out)
{
    vec sum[SUMS][2] = {{{0}}}, rest[SUMS][2] = {{{0}}}, square[SUMS][2] = {{{0}}}, mean[2];
    const size_t whole = n - n % SUMS, v = (size_t)H * W;
    for (size_t i = 0; i < whole; i += SUMS)
        for (size_t k = 0; k < SUMS; k++)
            for (int h = 0; h < H; h++) {
                vec x;
                LOAD(x, src + (i + k) * v + h * W);
                sum[k][h] += x;
            }
    for (size_t i = whole; i < n; i++)
        for (int h = 0; h < H; h++) {
            vec x;
            LOAD(x, src + i * v + h * W);
            sum[0][h] += x;
        }
    for (int h = 0; h < H; h++) mean[h] = ((sum[0][h] + sum[1][h]) + (sum[2][h] + sum[3][h])) / (float)n;
    for (size_t i = 0; i < n; i += SUMS)
        for (size_t k = 0; k < SUMS && (i < whole || i + k < n); k++)
            for (int h = 0; h < H; h++) {
                vec d;
                LOAD(d, src + (i + k) * v + h * W);
                d -= mean[h];
                rest[k][h] += d;
                square[k][h] += d * d;
            }
    for (int h = 0; h < H; h++) {
        const vec r = (rest[0][h] + rest[1][h]) + (rest[2][h] + rest[3][h]);
        const vec s = (square[0][h] + square[1][h]) + (square[2][h] + square[3][h]);
        for (int l = 0; l < W; l++) {
            const double off = (double)r[l] / (double)n;
            out->mean[h * W + l] = (double)mean[h][l] + off;
            out->square[h * W + l] = (double)s[l] - off * (double)r[l];
        }
    }
    out->count = (double)n;
}

INLINE void merge(struct norm_moments *m, const struct norm_moments *more, int lanes)
{
    const double total = m->count + more->count, share = more->count / total, weight = m->count * share;
    for (int l = 0; l < lanes; l++) {
        const double d = more->mean[l] - m->mean[l];
        m->mean[l] += d * share;
        m->square[l] += more->square[l] + d * d * weight;
    }
    m->count = total;
}

void norm_merge(struct norm_moments *m, const struct norm_moments *more, int lanes)
{
    if (!more->count) return;
    merge(m, more, lanes);
}

INLINE void moments(const float *src, size_t pixels, const int H, struct norm_moments *out)
{
    struct norm_moments piece;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < pixels; i += PIECE) {
        piece_moments(src + i * (size_t)H * W, pixels - i < PIECE ? pixels - i : PIECE, H, &piece);
        merge(out, &piece, H * W);
    }
}

KERN_CLONES void norm_moments(const float *src, size_t pixels, int lanes, struct norm_moments *out)
{
    if (lanes == 2 * W)
        moments(src, pixels, 2, out);
    else
        moments(src, pixels, 1, out);
}

void norm_row_moments(const float *src, size_t count, struct norm_moments *out)
{
    const size_t pixels = count / NORM_LANES;
    struct norm_moments lanes, one = {.count = 0};
    norm_moments(src, pixels, NORM_LANES, &lanes);
    memset(out, 0, sizeof *out);
    one.count = lanes.count;
    for (int l = 0; l < NORM_LANES && pixels; l++) {
        one.mean[0] = lanes.mean[l];
        one.square[0] = lanes.square[l];
        merge(out, &one, 1);
    }
    for (size_t i = pixels * NORM_LANES; i < count; i++) {
        one = (struct norm_moments){.mean = {(double)src[i]}, .count = 1};
        merge(out, &one, 1);
    }
}

INLINE void apply(const float *src, float *dst, size_t pixels, const float *mean, const float *mul, const float *add,
                  const int H)
{
    vec m[2], f[2], a[2];
    for (int h = 0; h < H; h++) {
        LOAD(m[h], mean + h * W);
        LOAD(f[h], mul + h * W);
        LOAD(a[h], add + h * W);
    }
    for (size_t i = 0; i < pixels; i++)
        for (int h = 0; h < H; h++, src += W, dst += W) {
            vec y;
            LOAD(y, src);
            y = (y - m[h]) * f[h] + a[h];
            memcpy(dst, &y, sizeof y);
        }
}

KERN_CLONES void norm_apply(const float *src, float *dst, size_t pixels, int lanes, const float *mean, const float *mul,
                            const float *add)
{
    if (lanes == 2 * W)
        apply(src, dst, pixels, mean, mul, add, 2);
    else
        apply(src, dst, pixels, mean, mul, add, 1);
}

void norm_row_apply(const float *src, float *dst, size_t count, float mean, float mul, float add)
{
    const size_t pixels = count / NORM_LANES;
    float m[NORM_LANES], f[NORM_LANES], a[NORM_LANES];
    for (int l = 0; l < NORM_LANES; l++) m[l] = mean, f[l] = mul, a[l] = add;
    norm_apply(src, dst, pixels, NORM_LANES, m, f, a);
    for (size_t i = pixels * NORM_LANES; i < count; i++) dst[i] = (src[i] - mean) * mul + add;
}
