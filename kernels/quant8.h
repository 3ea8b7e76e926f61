// SPDX-License-Identifier: MIT
//
// Work on 8-bit tensors other than convolutions and products: conversion from and to float32,
// pooling, changes of layout. Called by the executor's CPU backend for quantised networks. The
// arithmetic is that of the dequantised operators in float32, step by step, so that results
// are bit-exact with ONNX's reference.
//
// "Biased" numbers are unsigned. Those of a signed tensor have 128 added, which inverts the top
// bit: flip is 128 if the bytes in memory are signed, else 0.
#ifndef REEL_KERNELS_QUANT8_H
#define REEL_KERNELS_QUANT8_H

#include "kernels/blocked.h"

// One tensor's scale and biased zero point.
struct q8_scale {
    float scale;
    int zero;
    int flip;
};

// A function of a byte for each channel c: y = x * factor[c] + shift[c] from x = turn on, with
// the other line below that, rounded and limited to lo..hi; x and y are biased bytes. Arrays
// are filled up to whole vectors. With a table, y = table[c * 256 + x] instead.
struct q8_lines {
    const float *factor, *shift, *below_factor, *below_shift;
    const uint8_t *table;
    bool bent; // the line below `turn` differs
    int turn, lo, hi;
    int flip_in, flip_out; // of the bytes read and written
};

// x / scale rounded to nearest, ties to even, plus zero, limited to the type. NaN becomes the
// lowest number.
void q8_quantize(uint8_t *dst, const float *src, size_t n, struct q8_scale to);
void q8_dequantize(float *dst, const uint8_t *src, size_t n, struct q8_scale from);
// Extends the range low..high to include n floats. DynamicQuantizeLinear starts from 0..0.
void q8_range(const float *src, size_t n, float *in_out_low, float *in_out_high);
// Plain (N,C,H,W) bytes, inverted by flip, to blocked biased ones, and back. Lanes beyond C
// become 0. Units: n * blocks.
void q8_block(const struct blocked_shape *s, int flip, const uint8_t *src, uint8_t *dst, int begin, int end);
void q8_unblock(const struct blocked_shape *s, int flip, const uint8_t *src, uint8_t *dst, int begin, int end);

// Only move elements: as blocked_gather() (fill is biased) and blocked_depth_to_space()
// (blocked.h) do with floats. flip: of the plain result.
void q8_gather(const struct blocked_shape *in, const struct blocked_shape *out, const int *map_y, const int *map_x,
               int fill, const uint8_t *src, uint8_t *dst, int begin, int end);
void q8_depth_to_space(const struct blocked_shape *s, int b, bool crd, int flip, const uint8_t *src, uint8_t *dst,
                       int begin, int end);
// The same as q8_gather() between plain (N,C,H,W) tensors, without a fill. Units: n * c.
void q8_gather_plain(const struct blocked_shape *in, const struct blocked_shape *out, const int *map_y,
                     const int *map_x, const uint8_t *src, uint8_t *dst, int begin, int end);

// The largest number under each window, blocked; positions outside the image are ignored.
// Units: n * blocks.
struct q8_window {
    int kh, kw, sh, sw, dh, dw, pad_top, pad_left;
};
void q8_max_pool(const struct blocked_shape *in, const struct blocked_shape *out, const struct q8_window *w,
                 const uint8_t *src, uint8_t *dst, int begin, int end);
// Sums of (biased number - zero) over H and W, (N, blocks, V). Units: n * blocks.
void q8_sum(const struct blocked_shape *s, int zero, const uint8_t *src, int32_t *sums, int begin, int end);

#endif
