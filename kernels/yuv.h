// SPDX-License-Identifier: MIT
//
// Converts between planar video samples and the floats of a network.
//
// Reading: YUV, NV, GRAY or GBR samples of 8..16 bits, with any chroma subsampling and siting,
// become R'G'B' in 0..1 (clipped), then value * gain + bias as planar or interleaved floats.
// Writing: the way back, rounded to nearest and clipped to the range of the format, with
// chroma averaged at its siting. Everything is done row by row, so that the steps of a row
// stay in the nearest cache.
//
// Formulas: ITU-T H.273 (matrix coefficients Kr, Kb; quantisation of limited and full range);
// chroma siting as in H.264 annex E.
//
// This module knows only pointers, strides and sizes, and no slots, rings or file formats.
#ifndef REEL_KERNELS_YUV_H
#define REEL_KERNELS_YUV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum yuv_layout {
    YUV_GRAY,   // Y alone
    YUV_PLANAR, // Y, Cb, Cr
    YUV_NV,     // Y, then Cb and Cr interleaved
    YUV_GBR,    // G, B, R planes of equal size
};

enum yuv_site {
    YUV_SITE_FIRST,  // on the first luma sample of the group (left, top)
    YUV_SITE_CENTER, // between the first and the second
    YUV_SITE_LAST,   // on the second (bottom)
};

// A picture's samples. Rows of 16-bit samples are aligned to 2 bytes.
struct yuv_picture {
    enum yuv_layout layout;
    int depth;            // 8..16 bits; more than 8 take 2 bytes
    int shift;            // the value is sample >> shift (P010: 6)
    int log2_cw, log2_ch; // chroma subsampling, 0..2
    int width, height;    // 1..32768
    uint8_t *plane[3];
    size_t stride[3]; // bytes from row to row
    int matrix;       // H.273 MatrixCoefficients; 1 when unknown
    bool full;        // full range
    enum yuv_site site_x, site_y;
};

// Three channels of floats in the order R, G, B: element (x, y) of channel i is
// c[i][y * row + x * px]. On reading a picture, stored = value * gain + bias;
// on writing one, value = stored * gain + bias.
struct rgb_view {
    float *c[3];
    size_t row, px; // in floats; px: 1 (planar), 3 (interleaved) or, when reading, more (other channels between)
    int width, height;
    float gain[3], bias[3];
};

// One channel, likewise.
struct luma_view {
    float *c;
    size_t row;
    int width, height;
    float gain, bias;
};

// Floats of scratch memory that the functions below need for pictures of this width.
size_t yuv_scratch_floats(int width);

int yuv_chroma_width(const struct yuv_picture *p);
int yuv_chroma_height(const struct yuv_picture *p);

// Row y (0 <= y < height) as R, G, B in 0..1.
void yuv_read_row(const struct yuv_picture *p, int y, float *r, float *g, float *b, float *scratch);
// Row y as luma (for GBR computed by the matrix). 0 is black and 1 is white. Limited range also
// has values beyond these, which cameras use; they are kept.
void yuv_read_luma_row(const struct yuv_picture *p, int y, float *out_y, float *scratch);
// Row cy of chroma plane 0 (Cb) or 1 (Cr) in -0.5..0.5, at chroma resolution.
// Not for GRAY and GBR.
void yuv_read_chroma_row(const struct yuv_picture *p, int which, int cy, float *out_c);

// Converts the whole picture into dst; if dst is larger, the picture's edge is repeated.
void yuv_to_rgb(const struct yuv_picture *src, const struct rgb_view *dst, float *scratch);
void yuv_to_luma(const struct yuv_picture *src, const struct luma_view *dst, float *scratch);

// The same for rows y0 <= y < y1 of dst only.
void yuv_to_rgb_rows(const struct yuv_picture *src, const struct rgb_view *dst, int y0, int y1, float *scratch);
void yuv_to_luma_rows(const struct yuv_picture *src, const struct luma_view *dst, int y0, int y1, float *scratch);

// Converts the upper left part of src into the picture dst, which src must cover.
void yuv_from_rgb(const struct yuv_picture *dst, const struct rgb_view *src, float *scratch);
// Writes only the luma plane (GRAY, PLANAR, NV). Values beyond 0..1 are kept as far as samples
// can hold them.
void yuv_from_luma(const struct yuv_picture *dst, const struct luma_view *src, float *scratch);
// The same for rows y0 <= y < y1 of dst only, with their chroma. y0 and y1 must be multiples of
// the rows that share a chroma row (y1 may be the height). If chroma is sited on a row,
// YUV_ROWS_AROUND rows of src on both sides are read too.
#define YUV_ROWS_AROUND 2
void yuv_from_rgb_rows(const struct yuv_picture *dst, const struct rgb_view *src, int y0, int y1, float *scratch);
void yuv_from_luma_rows(const struct yuv_picture *dst, const struct luma_view *src, int y0, int y1, float *scratch);
// Writes row cy of a chroma plane from values in -0.5..0.5.
void yuv_write_chroma_row(const struct yuv_picture *dst, int which, int cy, const float *c);

// The same, sample by sample in double precision; for tests of the above.
void yuv_to_rgb_ref(const struct yuv_picture *src, const struct rgb_view *dst);
void yuv_from_rgb_ref(const struct yuv_picture *dst, const struct rgb_view *src);

// Luma weights of a matrix: Y = Kr R + (1 - Kr - Kb) G + Kb B.
void yuv_matrix_weights(int matrix, double *out_kr, double *out_kb);

#endif
