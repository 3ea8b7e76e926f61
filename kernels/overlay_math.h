// SPDX-License-Identifier: MIT
//
// Blending, for overlay.c and kernels/gpu/overlay.cu. They define OVERLAY_FN, how a function
// is declared, before they include this.
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

// The alpha of sample (x, y) of a plane; *out_value: the mask's value whose ink it takes.
OVERLAY_FN int overlay_alpha(const struct overlay_list *l, const struct overlay_picture *p,
                             const struct overlay_plane *plane, int x, int y, int *out_value)
{
    const int sx = plane->log2_w, sy = plane->log2_h;
    const int right = p->width - (x << sx), below = p->height - (y << sy);
    const int w = right < 1 << sx ? right : 1 << sx, h = below < 1 << sy ? below : 1 << sy;
    const uint8_t *mask = l->mask + (size_t)(y << sy) * l->mask_stride + (size_t)(x << sx);
    const int first = l->blend->alpha_of[mask[0]];
    int sum = 0;
    *out_value = mask[0];
    for (int dy = 0; dy < h; dy++, mask += l->mask_stride)
        for (int dx = 0; dx < w; dx++) {
            const int alpha = l->blend->alpha_of[mask[dx]];
            sum += alpha;
            if (!first && alpha) *out_value = mask[dx];
        }
    return (sum + w * h / 2) / (w * h);
}

#endif
