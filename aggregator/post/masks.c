// SPDX-License-Identifier: MIT
//
// Masks. See masks.h.
#include "aggregator/post/masks.h"

#include <math.h>

#define GREEN 0x00b140u

static void class_inks(const struct paint_canvas *c, struct paint_ink ink[256])
{
    ink[0] = paint_ink(c, 0);
    for (int i = 1; i < 256; i++) ink[i] = paint_ink(c, paint_palette(i - 1));
}

static uint8_t to_alpha(double opacity)
{
    return (uint8_t)lrint(255 * fmin(1, fmax(0, opacity)));
}

void masks_overlay_classes(const struct paint_canvas *c, const uint8_t *mask, size_t stride, double opacity)
{
    struct paint_ink ink[256];
    uint8_t alpha[256];
    class_inks(c, ink);
    memset(alpha, to_alpha(opacity), sizeof alpha);
    alpha[0] = 0;
    paint_blend(c, &(struct paint_mask){mask, stride, alpha, ink});
}

void masks_paint_classes(const struct paint_canvas *c, const uint8_t *mask, size_t stride)
{
    paint_fill(c, 0, 0, c->frame->width, c->frame->height, paint_ink(c, 0));
    masks_overlay_classes(c, mask, stride, 1);
}

void masks_overlay_matte(const struct paint_canvas *c, const uint8_t *matte, size_t stride, double opacity)
{
    struct paint_ink ink[256];
    uint8_t alpha[256];
    for (int i = 0; i < 256; i++) {
        ink[i] = paint_ink(c, GREEN);
        alpha[i] = to_alpha(opacity * i / 255);
    }
    paint_blend(c, &(struct paint_mask){matte, stride, alpha, ink});
}

void masks_rle(const uint8_t *mask, size_t stride, int width, int height, int value,
               void (*put)(void *ctx, uint32_t run), void *ctx)
{
    uint32_t run = 0;
    bool inside = false;
    for (int x = 0; x < width; x++)
        for (int y = 0; y < height; y++) {
            bool is = mask[(size_t)y * stride + (size_t)x] == value;
            if (is != inside) {
                put(ctx, run);
                run = 0;
                inside = is;
            }
            run++;
        }
    put(ctx, run);
}
