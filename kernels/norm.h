// SPDX-License-Identifier: MIT
//
// Normalises float32 by mean and variance: channels of blocked images (lanes side by side, see
// conv_cpu.h) and plain rows. Called by the executor's CPU backend, which cuts the work into
// chunks of fixed size and merges their moments in order, so that results do not depend on the
// number of threads. Sums have a fixed order, so that they do not depend on the instruction
// set either.
#ifndef REEL_KERNELS_NORM_H
#define REEL_KERNELS_NORM_H

#include <stddef.h>

#define NORM_LANES 16

// Of `count` values per lane: the mean, and the sum of squared differences from it.
struct norm_moments {
    double mean[NORM_LANES], square[NORM_LANES];
    double count;
};

// The moments of each of `lanes` (8 or 16) channels of that many pixels.
void norm_moments(const float *src, size_t pixels, int lanes, struct norm_moments *out);
// The moments of one plain row, in lane 0.
void norm_row_moments(const float *src, size_t count, struct norm_moments *out);
// Adds `more` to m, over the first `lanes` lanes (Chan, Golub, LeVeque 1979).
void norm_merge(struct norm_moments *m, const struct norm_moments *more, int lanes);

// dst = (src - mean[lane]) * mul[lane] + add[lane]; dst may be src.
void norm_apply(const float *src, float *dst, size_t pixels, int lanes, const float *mean, const float *mul,
                const float *add);
void norm_row_apply(const float *src, float *dst, size_t count, float mean, float mul, float add);

#endif
