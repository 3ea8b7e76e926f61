// SPDX-License-Identifier: MIT
//
// Draws masks. See masks.h.
#include "aggregator/post/masks.h"

#include <math.h>

#define GREEN 0x00b140u

static uint8_t to_alpha(double opacity)
{
    return (uint8_t)lrint(255 * fmin(1, fmax(0, opacity)));
}

void masks_overlay_classes(struct paint_canvas *c, const uint8_t *mask, size_t stride, double opacity)
{
    struct overlay_blend b;
    memset(b.alpha_of, to_alpha(opacity), sizeof b.alpha_of);
    b.alpha_of[0] = 0;
    b.ink_of[0] = paint_ink(c, 0);
    for (int i = 1; i < 256; i++) b.ink_of[i] = paint_ink(c, paint_palette(i - 1));
    paint_blend(c, mask, stride, &b);
}

void masks_overlay_objects(struct paint_canvas *c, const uint8_t *mask, size_t stride, const struct results *objects,
                           double opacity)
{
    struct overlay_blend b = {0};
    for (uint32_t i = 0; i < objects->head.count && i < 255; i++) {
        if (!results_shown(objects, i)) continue;
        const int32_t track = results_track(objects, i);
        b.ink_of[i + 1] = paint_ink(c, paint_palette(track ? track : results_object(objects, i).class_id));
        b.alpha_of[i + 1] = to_alpha(opacity);
    }
    paint_blend(c, mask, stride, &b);
}

void masks_paint_classes(struct paint_canvas *c, const uint8_t *mask, size_t stride)
{
    paint_fill(c, 0, 0, c->width, c->height, paint_ink(c, 0));
    masks_overlay_classes(c, mask, stride, 1);
}

void masks_overlay_matte(struct paint_canvas *c, const uint8_t *matte, size_t stride, double opacity)
{
    struct overlay_blend b;
    for (int i = 0; i < 256; i++) {
        b.ink_of[i] = paint_ink(c, GREEN);
        b.alpha_of[i] = to_alpha(opacity * i / 255);
    }
    paint_blend(c, matte, stride, &b);
}

void masks_replace_background(struct paint_canvas *c, const uint8_t *mask, size_t stride, bool classes, uint32_t rgb)
{
    struct overlay_blend b;
    for (int i = 0; i < 256; i++) {
        b.ink_of[i] = paint_ink(c, rgb);
        b.alpha_of[i] = (uint8_t)(classes ? (i ? 0 : 255) : 255 - i);
    }
    paint_blend(c, mask, stride, &b);
}

void masks_to_alpha(const uint8_t *mask, size_t stride, bool matte, int width, int height, int depth, uint8_t *alpha,
                    size_t alpha_stride)
{
    const unsigned top = (1u << depth) - 1;
    uint16_t of[256];
    for (unsigned v = 0; v < 256; v++) of[v] = (uint16_t)(matte ? (v * top + 127) / 255 : v ? top : 0);
    for (int y = 0; y < height; y++, mask += stride, alpha += alpha_stride) {
        uint16_t *wide = (uint16_t *)(void *)alpha;
        if (depth > 8)
            for (int x = 0; x < width; x++) wide[x] = of[mask[x]];
        else
            for (int x = 0; x < width; x++) alpha[x] = (uint8_t)of[mask[x]];
    }
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
