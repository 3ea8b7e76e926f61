// SPDX-License-Identifier: MIT
//
// Converts between the pictures of slots and the tensors of a network on a GPU. Does what
// kernels/yuv.h and kernels/resize.h do on the CPU, with the same formulas in the same order,
// so that the bits are the same (except for the rounding of 16-bit tensors). The worker's
// device path (worker/device/device.c) calls these for every frame.
//
// Launchers run asynchronously on `stream`, take device pointers in the
// structures and return a cudaError_t as int. The _ref twins do the same on
// host memory.
#ifndef REEL_KERNELS_GPU_PIXELS_H
#define REEL_KERNELS_GPU_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/resize.h"
#include "kernels/yuv.h"

// ---- operands -----------------------------------------------------------------

enum gpu_pixel_type { GPU_PIXEL_F32, GPU_PIXEL_F16, GPU_PIXEL_BF16 };

// A picture as numbers: element (x, y) of channel c is
// data[y * row + x * pixel + c * plane].
struct gpu_image {
    void *data;
    enum gpu_pixel_type type;
    int width, height;
    int channels;             // that are used: 1 or 3
    int padded;               // all channels; those beyond `channels` are written as 0
    size_t row, pixel, plane; // in elements
};

// (H, W, C): pixel_stride channels per pixel, the last of them padding.
struct gpu_image gpu_image_nhwc(void *data, enum gpu_pixel_type type, int w, int h, int channels, size_t pixel_stride);
// (C, H, W).
struct gpu_image gpu_image_planar(void *data, enum gpu_pixel_type type, int w, int h, int channels);

// A slot's picture, with the constants of its format computed once.
struct gpu_picture {
    struct yuv_picture p;
    int cw, ch;                                                     // chroma size
    float y_scale, y_offset, c_scale, c_offset;                     // sample -> value
    float y_mul, y_add, y_low, y_high, c_mul, c_add, c_low, c_high; // value -> sample
    float r_cr, g_cb, g_cr, b_cb;                                   // Y'CbCr -> R'G'B'
    float kr, kg, kb, per_cb, per_cr;                               // and back
};
struct gpu_picture gpu_picture_of(const struct yuv_picture *p);

// An axis of a resize, with its tables in device memory.
struct gpu_axis {
    int n_in, n_out, taps;
    const int *first;    // [n_out]
    const float *weight; // [n_out][taps]
};

// How values (R, G, B or Y in 0..1) are stored: value * gain + bias on the way
// in, stored * gain + bias on the way out; channel c holds colour order[c].
struct gpu_coding {
    float gain[3], bias[3]; // of colours R, G, B; luma: element 0
    int order[3];
};

// ---- picture to tensor ------------------------------------------------------------

// Converts the picture into dst at (0, 0); if dst is larger, the picture's edge is repeated.
// One channel: luma.
int gpu_feed(const struct gpu_picture *src, const struct gpu_image *dst, const struct gpu_coding *coding, void *stream);
void gpu_feed_ref(const struct gpu_picture *src, const struct gpu_image *dst, const struct gpu_coding *coding);

// ---- resizing, in two passes: rows, then columns --------------------------------------

// What is resized.
enum gpu_rows_of {
    GPU_ROWS_PICTURE, // the picture's R, G, B, or its luma (planes 1)
    GPU_ROWS_CHROMA,  // Cb and Cr at chroma resolution, -0.5..0.5 (planes 2); not for GBR
    GPU_ROWS_IMAGE,   // the part of an image at (x0, y0), decoded by `coding`
};
struct gpu_rows {
    enum gpu_rows_of what;
    struct gpu_picture picture;
    struct gpu_image image;
    struct gpu_coding coding;
    int x0, y0;
    int planes, width; // of the result
    struct gpu_axis y;
    float *out; // [planes][y.n_out][width]
};
// Resizes along y at full width, into out.
int gpu_rows(const struct gpu_rows *r, void *stream);
void gpu_rows_ref(const struct gpu_rows *r);

// Resizes `rows` ([planes][height][x.n_in]) along x, into dst at (x0, y0).
struct gpu_columns {
    const float *rows;
    int planes, height;
    struct gpu_axis x;
    struct gpu_image dst;
    struct gpu_coding coding;
    int x0, y0;
};
int gpu_columns(const struct gpu_columns *c, void *stream);
void gpu_columns_ref(const struct gpu_columns *c);
// The same for Cb and Cr (planes 2), into the picture's chroma samples.
int gpu_columns_chroma(const struct gpu_columns *c, const struct gpu_picture *dst, void *stream);
void gpu_columns_chroma_ref(const struct gpu_columns *c, const struct gpu_picture *dst);

// Everything outside w x h at (x0, y0) becomes `fill`, one number per colour.
int gpu_borders(const struct gpu_image *dst, const struct gpu_coding *coding, int x0, int y0, int w, int h,
                const float fill[3], void *stream);
void gpu_borders_ref(const struct gpu_image *dst, const struct gpu_coding *coding, int x0, int y0, int w, int h,
                     const float fill[3]);

// ---- tiles ------------------------------------------------------------------------------

// dst = the part of src at (x0, y0), channel by channel.
int gpu_cut(const struct gpu_image *src, const struct gpu_image *dst, int x0, int y0, void *stream);
void gpu_cut_ref(const struct gpu_image *src, const struct gpu_image *dst, int x0, int y0);
// canvas (colours) += decoded tile * (wx[x] * wy[y]) at (x0, y0). Where a weight is 0, the
// canvas is not changed.
struct gpu_blend {
    struct gpu_image tile, canvas; // canvas: float32
    struct gpu_coding coding;
    int x0, y0;
    const float *wx, *wy; // [tile.width], [tile.height]
};
int gpu_blend(const struct gpu_blend *b, void *stream);
void gpu_blend_ref(const struct gpu_blend *b);

// ---- tensor to picture: the fused tail ------------------------------------------------------

struct gpu_tail {
    struct gpu_picture dst;
    struct gpu_image made;
    struct gpu_coding coding;
    // Added to the decoded colours: (C, H, W) float32 of dst's size (data NULL: none).
    struct gpu_image residual;
    bool neutral; // for luma: make chroma neutral; otherwise it is not written
    int y0, y1;   // rows of dst to write, whole chroma rows; y1 0: all
};
// How many rows of chroma samples (without chroma: of pixels) it writes.
void gpu_tail_rows(const struct gpu_tail *t, int *out_begin, int *out_end);
// Clips to 0..1, applies the matrix, averages chroma at its site, rounds.
int gpu_tail(const struct gpu_tail *t, void *stream);
void gpu_tail_ref(const struct gpu_tail *t);

#ifdef __cplusplus
}
#endif

#endif
