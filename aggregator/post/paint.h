// SPDX-License-Identifier: MIT
//
// Drawing on planar pictures of any depth and chroma subsampling: filled
// rectangles, frames, letters, and blending by a mask. Colours are given as
// R'G'B' and turned into the picture's own samples once.
#ifndef REEL_AGGREGATOR_POST_PAINT_H
#define REEL_AGGREGATOR_POST_PAINT_H

#include <stdint.h>

#include "aggregator/picture.h"

#define PAINT_GLYPH_W 5
#define PAINT_GLYPH_H 7
extern const unsigned char paint_font[95][PAINT_GLYPH_H];

struct paint_canvas {
    AVFrame *frame; // writable; format one that slots carry
    struct reel_pixel_format format;
    struct reel_colour colour;
};

// A colour as samples of planes 0, 1, 2.
struct paint_ink {
    uint16_t sample[3];
};

// False when the frame's format is none that can be drawn on.
bool paint_begin(struct paint_canvas *canvas, AVFrame *frame, const struct reel_colour *colour);
struct paint_ink paint_ink(const struct paint_canvas *canvas, uint32_t rgb);
// Colour i of a series whose neighbours differ well; the same for ever.
uint32_t paint_palette(int i);

// Clipped to the picture.
void paint_fill(const struct paint_canvas *c, int x, int y, int w, int h, struct paint_ink ink);
// The border of a rectangle, `line` pixels wide, inside it.
void paint_frame(const struct paint_canvas *c, int x, int y, int w, int h, int line, struct paint_ink ink);
// Text with its upper left corner at (x, y); each dot is scale x scale.
void paint_text(const struct paint_canvas *c, int x, int y, int scale, const char *text, struct paint_ink ink);
int paint_text_width(const char *text, int scale);

// out = picture + (ink - picture) * alpha / 255. alpha_of maps a mask sample to
// alpha, ink_of to an ink; the mask has a sample for each luma sample, chroma
// takes the mean of its alphas and the ink at its first one.
struct paint_mask {
    const uint8_t *data;
    size_t stride;
    const uint8_t *alpha_of;        // [256]
    const struct paint_ink *ink_of; // [256]
};
void paint_blend(const struct paint_canvas *c, const struct paint_mask *mask);

#endif
