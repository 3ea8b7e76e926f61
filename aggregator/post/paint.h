// SPDX-License-Identifier: MIT
//
// Drawing on planar pictures of any depth and chroma subsampling: filled
// rectangles, frames, letters, and blending by a mask. Colours are given as
// R'G'B' and turned into the picture's own samples once.
//
// Drawing operations are recorded in a list (kernels/overlay.h) and take effect
// when the list is played: immediately, on a picture in main memory
// (paint_play), or later, on an encoder's surface, to which the list travels
// with the picture (paint_attach, paint_of).
#ifndef REEL_AGGREGATOR_POST_PAINT_H
#define REEL_AGGREGATOR_POST_PAINT_H

#include <stdint.h>

#include "aggregator/picture.h"
#include "kernels/overlay.h"

#define PAINT_GLYPH_W OVERLAY_GLYPH_W
#define PAINT_GLYPH_H OVERLAY_GLYPH_H
extern const unsigned char paint_font[95][PAINT_GLYPH_H];

struct paint_canvas {
    int width, height;
    struct reel_pixel_format format;
    struct reel_colour colour;
    // What was drawn so far.
    struct overlay_item *item;
    uint32_t n, room;
    uint64_t *glyph;
    uint32_t glyphs, glyph_room;
    const uint8_t *mask; // borrowed
    size_t mask_stride;
    struct overlay_blend blend;
    bool full; // no memory: something is missing
};

// An empty list for pictures of one format, size and colour.
void paint_begin(struct paint_canvas *canvas, struct reel_pixel_format format, int width, int height,
                 const struct reel_colour *colour);
void paint_end(struct paint_canvas *canvas);
struct overlay_ink paint_ink(const struct paint_canvas *canvas, uint32_t rgb);
// Colour i of a fixed series in which neighbours are easy to distinguish.
uint32_t paint_palette(int i);

// Clipped to the picture.
void paint_fill(struct paint_canvas *c, int x, int y, int w, int h, struct overlay_ink ink);
// The border of a rectangle, `line` pixels wide, inside it.
void paint_frame(struct paint_canvas *c, int x, int y, int w, int h, int line, struct overlay_ink ink);
// Text with its upper left corner at (x, y); each dot is scale x scale.
void paint_text(struct paint_canvas *c, int x, int y, int scale, const char *text, struct overlay_ink ink);
int paint_text_width(const char *text, int scale);
// out = picture + (ink - picture) * alpha / 255 (overlay.h). The mask has a sample
// for each luma sample and must hold as long as the list; there is one for a list.
void paint_blend(struct paint_canvas *c, const uint8_t *mask, size_t stride, const struct overlay_blend *blend);

// Draws the list on a picture of the canvas's size and depth. NOMEM, UNSUPPORTED.
enum reel_err paint_play(const struct paint_canvas *canvas, AVFrame *frame);
// Hands the list over to a frame and its clones, which draw nothing by themselves;
// the canvas is empty afterwards. NOMEM.
enum reel_err paint_attach(struct paint_canvas *canvas, AVFrame *frame);
// The list that a frame was given, or NULL.
const struct paint_canvas *paint_of(const AVFrame *frame);
// Pointers hold as long as the canvas.
struct overlay_list paint_list(const struct paint_canvas *canvas);

#endif
