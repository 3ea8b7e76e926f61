// SPDX-License-Identifier: MIT
//
// Short rows; see rows.h. Everything of a run of rows is in one function that is
// compiled for each instruction set: a call for each row and pass costs more
// than the arithmetic.
#include "kernels/rows.h"

#include <math.h>
#include <stdbool.h>

#include "kernels/math.h"
#include "kernels/simd.h"

#define INLINE static inline __attribute__((always_inline))

#define LANES 16

// In a fixed order, as a tree.
INLINE float lanes_sum(const float lane[LANES])
{
    float half[LANES / 2], quarter[LANES / 4];
    for (int l = 0; l < LANES / 2; l++) half[l] = lane[l] + lane[l + LANES / 2];
    for (int l = 0; l < LANES / 4; l++) quarter[l] = half[l] + half[l + LANES / 4];
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

INLINE float row_sum(const float *x, size_t n)
{
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += x[i + (size_t)l];
    for (int l = 0; i < n; i++, l++) lane[l] += x[i];
    return lanes_sum(lane);
}

// The sum of what is left of each element without the mean as it was rounded: what that lacks.
INLINE float row_rest(const float *x, size_t n, float mean)
{
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += x[i + (size_t)l] - mean;
    for (int l = 0; i < n; i++, l++) lane[l] += x[i] - mean;
    return lanes_sum(lane);
}

INLINE float row_squares(const float *x, size_t n, float mean, float rest)
{
    float lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            const float d = (x[i + (size_t)l] - mean) - rest;
            lane[l] += d * d;
        }
    for (int l = 0; i < n; i++, l++) {
        const float d = (x[i] - mean) - rest;
        lane[l] += d * d;
    }
    return lanes_sum(lane);
}

KERN_CLONES void rows_layer_norm(const float *x, float *y, size_t rows, size_t n, float epsilon, const float *scale,
                                 const float *shift)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        const float mean = row_sum(x, n) / (float)n;
        const float rest = row_rest(x, n, mean) / (float)n;
        const float f = 1.0f / sqrtf(row_squares(x, n, mean, rest) / (float)n + epsilon);
        if (scale && shift) {
            for (size_t i = 0; i < n; i++) y[i] = ((x[i] - mean) - rest) * f * scale[i] + shift[i];
        } else if (scale) {
            for (size_t i = 0; i < n; i++) y[i] = ((x[i] - mean) - rest) * f * scale[i];
        } else {
            for (size_t i = 0; i < n; i++) y[i] = ((x[i] - mean) - rest) * f;
        }
    }
}

INLINE float row_max(const float *x, size_t n)
{
    float lane[LANES];
    for (int l = 0; l < LANES; l++) lane[l] = -INFINITY;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] = x[i + (size_t)l] > lane[l] ? x[i + (size_t)l] : lane[l];
    for (; i < n; i++) lane[0] = x[i] > lane[0] ? x[i] : lane[0];
    for (int l = 1; l < LANES; l++) lane[0] = lane[l] > lane[0] ? lane[l] : lane[0];
    return lane[0];
}

// Of two or a few elements, where whole lanes would be mostly empty.
INLINE float few_max(const float *x, size_t n)
{
    float max = x[0];
    for (size_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

// Rows whose exponentials are computed together: in the first-level cache.
#define BLOCK 2048

KERN_CLONES void rows_softmax(const float *x, float *y, size_t rows, size_t n)
{
    const bool few = n < LANES;
    const size_t per = n < BLOCK ? BLOCK / n : 1;
    for (size_t r = 0; r < rows; r += per) {
        const size_t have = rows - r < per ? rows - r : per;
        const float *from = x + r * n;
        float *to = y + r * n;
        for (size_t k = 0; k < have; k++) {
            const float max = few ? few_max(from + k * n, n) : row_max(from + k * n, n);
            for (size_t i = 0; i < n; i++) to[k * n + i] = from[k * n + i] - max;
        }
        KERN_INDEPENDENT
        for (size_t i = 0; i < have * n; i++) to[i] = kern_exp1_f32(to[i]);
        for (size_t k = 0; k < have; k++) {
            float sum = 0;
            if (few)
                for (size_t i = 0; i < n; i++) sum += to[k * n + i];
            else
                sum = row_sum(to + k * n, n);
            const float f = 1.0f / sum;
            for (size_t i = 0; i < n; i++) to[k * n + i] *= f;
        }
    }
}
