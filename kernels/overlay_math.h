// SPDX-License-Identifier: MIT
//
// Blending, for overlay.c and gpu_overlay.cu, which defines OVERLAY_FN (how a
// function is declared) before.
#ifndef REEL_KERNELS_OVERLAY_MATH_H
#define REEL_KERNELS_OVERLAY_MATH_H

#include "kernels/overlay.h"

#ifndef OVERLAY_FN
#define OVERLAY_FN static inline
#endif

// have + (want - have) * alpha / 255, rounded half away from `have`.
OVERLAY_FN int overlay_mix(int have, int want, int alpha)
{
    int d = (want - have) * alpha;
    return have + (d + (d < 0 ? -127 : 127)) / 255;
}

// Alpha of sample (x, y) of a plane; *out_value is the mask's value whose ink it takes.
OVERLAY_FN int overlay_alpha(const struct overlay_list *l, const struct overlay_picture *p,
                             const struct overlay_plane *plane, int x, int y, int *out_value)
{
    const int sx = plane->log2_w, sy = plane->log2_h;
    const uint8_t *mask = l->mask + (size_t)(y << sy) * l->mask_stride + (size_t)(x << sx);
    *out_value = mask[0];
    int sum = l->blend->alpha_of[mask[0]], n = 1;
    if (!(sx | sy)) return sum;
    const int first = sum;
    for (int i = 1; i < 1 << (sx + sy); i++) {
        const int dx = i & ((1 << sx) - 1), dy = i >> sx;
        if ((x << sx) + dx >= p->width || (y << sy) + dy >= p->height) continue;
        const int value = mask[(size_t)dy * l->mask_stride + (size_t)dx], alpha = l->blend->alpha_of[value];
        sum += alpha, n++;
        if (!first && alpha) *out_value = value;
    }
    return (sum + n / 2) / n;
}

#endif
