// SPDX-License-Identifier: MIT
//
// What is drawn over a picture, as a list in the order of drawing: rectangles, lines of text,
// and a mask that is blended in. The aggregator makes the list (aggregator/post/paint.c).
// overlay_draw() draws it on a picture in host memory, item by item; gpu_overlay() on one in a
// GPU's memory, sample by sample. Both give the same bytes, and tests compare them.
//
// A chroma sample belongs to a rectangle or to a dot of a letter if any of its luma samples
// does, so that thin lines keep their colour.
#ifndef REEL_KERNELS_OVERLAY_H
#define REEL_KERNELS_OVERLAY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A letter is a grid of dots, with an empty column between letters. Bit
// row * OVERLAY_GLYPH_W + column of a glyph: there is a dot.
#define OVERLAY_GLYPH_W 5
#define OVERLAY_GLYPH_H 7

// A colour as samples of planes 0, 1, 2, in the picture's depth.
struct overlay_ink {
    uint16_t sample[3];
};

enum overlay_kind {
    OVERLAY_FILL,
    OVERLAY_TEXT,
    OVERLAY_BLEND, // the list's mask, over the whole picture
};

struct overlay_item {
    int32_t kind;           // enum overlay_kind
    int32_t x0, y0, x1, y1; // the luma samples [x0, x1) x [y0, y1) that it may change, inside the picture
    int32_t left, top;      // TEXT: upper left corner of the first glyph; may be outside
    int32_t scale;          // TEXT: a dot is scale x scale
    uint32_t glyph, glyphs; // TEXT: the first one in the list's glyphs, and how many
    struct overlay_ink ink; // FILL, TEXT
};

// For each value of the mask: how opaque the ink is (255: fully), and which ink.
struct overlay_blend {
    uint8_t alpha_of[256];
    struct overlay_ink ink_of[256];
};

// All pointers are to the host's memory, or all to a GPU's.
struct overlay_list {
    const struct overlay_item *item;
    uint32_t n;
    const uint64_t *glyph;
    // BLEND: one value for each luma sample. A chroma sample takes the mean alpha of its luma
    // samples, and the ink of the first one; if that is transparent, of the last that is not.
    const uint8_t *mask;
    size_t mask_stride;
    const struct overlay_blend *blend;
};

// Sample (x, y) is word x * step of row y, shifted left by `shift` bits.
struct overlay_plane {
    void *data;
    size_t stride; // bytes
    int step;      // 1; 2 if planes 1 and 2 are interleaved (NV12, P010)
    int log2_w, log2_h, shift;
};

struct overlay_picture {
    int width, height; // luma samples
    int bytes;         // of a sample: 1, 2
    int planes;
    struct overlay_plane plane[3];
};

void overlay_draw(const struct overlay_list *list, const struct overlay_picture *picture);
// Asynchronous on `stream`; returns a cudaError_t.
int gpu_overlay(const struct overlay_list *list, const struct overlay_picture *picture, void *stream);

#ifdef __cplusplus
}
#endif

#endif
