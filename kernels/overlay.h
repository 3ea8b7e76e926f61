// SPDX-License-Identifier: MIT
//
// What is drawn over a picture, as a list in the order of drawing: rectangles,
// lines of text, a mask that is blended in. The aggregator makes the list once
// (aggregator/post/paint.c); overlay_draw() plays it on a picture in host memory,
// item by item, gpu_overlay() on one in a GPU's, sample by sample. Both give the
// same bytes, so the one is the other's twin.
//
// A chroma sample belongs to a rectangle or a dot of a letter when any of its
// luma samples does, so that thin lines keep their colour.
#ifndef REEL_KERNELS_OVERLAY_H
#define REEL_KERNELS_OVERLAY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A letter is a grid of dots with a column between letters: bit
// row * OVERLAY_GLYPH_W + column of a glyph is a dot.
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
    int32_t x0, y0, x1, y1; // luma samples [x0, x1) x [y0, y1) that it may change; within the picture
    int32_t left, top;      // TEXT: upper left corner of the first glyph, maybe outside
    int32_t scale;          // TEXT: a dot is scale x scale
    uint32_t glyph, glyphs; // TEXT: from the list's glyph on
    struct overlay_ink ink; // FILL, TEXT
};

// For each value of the mask how much of the ink is taken (255: all), and which.
struct overlay_blend {
    uint8_t alpha_of[256];
    struct overlay_ink ink_of[256];
};

// All pointers are of one memory, the host's or a GPU's.
struct overlay_list {
    const struct overlay_item *item;
    uint32_t n;
    const uint64_t *glyph;
    // BLEND: a sample for each luma sample. A chroma sample takes the mean of their
    // alphas, and the ink of the first, or where that has no alpha of the last that has.
    const uint8_t *mask;
    size_t mask_stride;
    const struct overlay_blend *blend;
};

// Sample (x, y) is number x * step of row y, `shift` bits up in its word.
struct overlay_plane {
    void *data;
    size_t stride; // bytes
    int step;      // 1; 2 where planes 1 and 2 lie interleaved (NV12, P010)
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
