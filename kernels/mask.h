// SPDX-License-Identifier: MIT
//
// Turns a network's coarse maps into a mask of the source's pixels: the best class by
// interpolated scores, or a weight as a byte.
#ifndef REEL_KERNELS_MASK_H
#define REEL_KERNELS_MASK_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/resize.h"

// Scores of n classes at w x h positions: class c at (x, y) is
// data[c * step_c + y * step_y + x * step_x].
struct mask_scores {
    const float *data;
    int n, w, h;
    size_t step_c, step_y, step_x;
};

// The class with the largest score at each position, the lowest of equal ones; out is w x
// h.
void mask_best(const struct mask_scores *s, uint16_t *out);
// The best class at every output position, with scores interpolated along the axes
// (non-negative weights). best is mask_best()'s result: where all taps agree, no scores
// need to be interpolated. Classes above 255 become 255.
void mask_classes(const struct mask_scores *s, const uint16_t *best, const struct resize_axis *x,
                  const struct resize_axis *y, uint8_t *out, size_t out_stride);
// The same without the shortcut.
void mask_classes_ref(const struct mask_scores *s, const struct resize_axis *x, const struct resize_axis *y,
                      uint8_t *out, size_t out_stride);
// 0..1 to 0..255, rounded; n values.
void mask_bytes(const float *v, uint8_t *out, int n);

#endif
