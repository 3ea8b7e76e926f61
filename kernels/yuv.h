// SPDX-License-Identifier: MIT
//
// Between planar video samples and the floats of a network.
//
// Read: YUV, NV, GRAY or GBR samples of 8..16 bits, any chroma subsampling with
// its siting, to R'G'B' in 0..1 (clipped), then value * gain + bias into planar
// or interleaved floats. Write: the way back, rounded to nearest, clipped to
// the range of the format, chroma averaged at its siting. Everything is done
// row by row, so that a row's steps stay in the nearest cache.
//
// Formulas: ITU-T H.273 (matrix coefficients Kr, Kb; quantisation of limited
// and full range); chroma siting as in H.264 annex E.
//
// Pointers, strides and sizes only: no slot, no ring, no file format.
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
    YUV_SITE_CENTER, // between them
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
    size_t row, px; // in floats; px is 1 (planar), 3 (interleaved), or, on reading, more (channels of others between)
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

// Floats of scratch that the functions below need for pictures of this width.
size_t yuv_scratch_floats(int width);

int yuv_chroma_width(const struct yuv_picture *p);
int yuv_chroma_height(const struct yuv_picture *p);

// Row y (0 <= y < height) as R, G, B in 0..1.
void yuv_read_row(const struct yuv_picture *p, int y, float *r, float *g, float *b, float *scratch);
// Row y as luma (of GBR: computed by the matrix). 0 is black and 1 is white, but
// limited range has values beyond both, which cameras use: they stay.
void yuv_read_luma_row(const struct yuv_picture *p, int y, float *out_y, float *scratch);
// Row cy of chroma plane 0 (Cb) or 1 (Cr) in -0.5..0.5, at chroma resolution.
// Not for GRAY and GBR.
void yuv_read_chroma_row(const struct yuv_picture *p, int which, int cy, float *out_c);

// The whole picture into dst; where dst is larger than the picture its edge is
// repeated.
void yuv_to_rgb(const struct yuv_picture *src, const struct rgb_view *dst, float *scratch);
void yuv_to_luma(const struct yuv_picture *src, const struct luma_view *dst, float *scratch);

// Rows y0 <= y < y1 of dst alone.
void yuv_to_rgb_rows(const struct yuv_picture *src, const struct rgb_view *dst, int y0, int y1, float *scratch);
void yuv_to_luma_rows(const struct yuv_picture *src, const struct luma_view *dst, int y0, int y1, float *scratch);

// The upper left part of src as the picture dst (src must cover it).
void yuv_from_rgb(const struct yuv_picture *dst, const struct rgb_view *src, float *scratch);
// Luma plane alone (GRAY, PLANAR, NV). Values beyond 0..1 are kept as far as samples reach.
void yuv_from_luma(const struct yuv_picture *dst, const struct luma_view *src, float *scratch);
// Rows y0 <= y < y1 of dst alone, with their chroma: y0 and y1 are whole groups
// of rows under one chroma row (y1 may be the height). Where chroma is sited on
// a row, YUV_ROWS_AROUND rows of src on both sides are read too.
#define YUV_ROWS_AROUND 2
void yuv_from_rgb_rows(const struct yuv_picture *dst, const struct rgb_view *src, int y0, int y1, float *scratch);
void yuv_from_luma_rows(const struct yuv_picture *dst, const struct luma_view *src, int y0, int y1, float *scratch);
// Row cy of a chroma plane from values in -0.5..0.5.
void yuv_write_chroma_row(const struct yuv_picture *dst, int which, int cy, const float *c);

// The same, sample by sample in double precision: what the above is tested
// against.
void yuv_to_rgb_ref(const struct yuv_picture *src, const struct rgb_view *dst);
void yuv_from_rgb_ref(const struct yuv_picture *dst, const struct rgb_view *src);

// Luma weights of a matrix: Y = Kr R + (1 - Kr - Kb) G + Kb B.
void yuv_matrix_weights(int matrix, double *out_kr, double *out_kb);

#endif
