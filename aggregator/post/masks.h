// SPDX-License-Identifier: MIT
//
// Masks: classes or mattes shown over a picture or alone, and their run
// lengths as in COCO.
#ifndef REEL_AGGREGATOR_POST_MASKS_H
#define REEL_AGGREGATOR_POST_MASKS_H

#include "aggregator/post/paint.h"
#include "aggregator/post/results.h"

// The canvas borrows the mask.
// Class 0 is the background and stays as it is.
void masks_overlay_classes(struct paint_canvas *canvas, const uint8_t *mask, size_t stride, double opacity);
// A pixel has the number of an object, from 1: in the colour of its class, as its box. 0 stays as it is.
void masks_overlay_objects(struct paint_canvas *canvas, const uint8_t *mask, size_t stride,
                           const struct results *objects, double opacity);
// Each class in its colour on black.
void masks_paint_classes(struct paint_canvas *canvas, const uint8_t *mask, size_t stride);
// The foreground, where alpha is high, turns green.
void masks_overlay_matte(struct paint_canvas *canvas, const uint8_t *alpha, size_t stride, double opacity);

// Where the matte is low, or the class is 0, a colour (R'G'B') instead of the picture.
void masks_replace_background(struct paint_canvas *canvas, const uint8_t *mask, size_t stride, bool classes,
                              uint32_t rgb);

// The alpha plane of a cut-out, of samples of `depth` bits (two bytes above 8, strides in
// bytes): a matte's values over the whole range; else all or, where the mask is 0, nothing.
void masks_to_alpha(const uint8_t *mask, size_t stride, bool matte, int width, int height, int depth, uint8_t *alpha,
                    size_t alpha_stride);

// COCO's uncompressed run lengths of the pixels equal to value: column by
// column, beginning with the number of pixels outside. Calls put for each run.
void masks_rle(const uint8_t *mask, size_t stride, int width, int height, int value,
               void (*put)(void *ctx, uint32_t run), void *ctx);

#endif
