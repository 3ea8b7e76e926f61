// SPDX-License-Identifier: MIT
//
// Everything but convolutions and products on 8-bit tensors: from and to
// float32, pooling, changes of layout. Called by the executor's CPU
// backend for quantised networks. The arithmetic is that of the dequantised
// operators in float32, step by step, so that results are those of ONNX's
// reference to the bit.
//
// "Biased" numbers are unsigned; of a signed tensor 128 more, which is the top
// bit turned over: flip is 128 where the bytes in memory are signed, else 0.
#ifndef REEL_KERNELS_QUANT8_H
#define REEL_KERNELS_QUANT8_H

#include "kernels/blocked.h"

// One tensor's scale and biased zero point.
struct q8_scale {
    float scale;
    int zero;
    int flip;
};

// A function of a byte for each of up to V channels: y = x * factor + shift from
// x = turn on and another line below, rounded, within lo..hi; x and y as biased
// bytes. Vectors are whole. With a table, y = table[c * 256 + x] instead.
struct q8_lines {
    const float *factor, *shift, *below_factor, *below_shift;
    const uint8_t *table;
    bool bent; // the line below is another
    int turn, lo, hi;
    int flip_in, flip_out; // of the bytes in memory
};

// x / scale to the nearest, ties to even, + zero, within the type; NaN becomes
// the lowest.
void q8_quantize(uint8_t *dst, const float *src, size_t n, struct q8_scale to);
void q8_dequantize(float *dst, const uint8_t *src, size_t n, struct q8_scale from);
// The lowest and the highest of n floats and 0 (DynamicQuantizeLinear).
void q8_range(const float *src, size_t n, float *in_out_low, float *in_out_high);
// (N,C,H,W) bytes, turned by flip, to blocked biased ones and back; units: n *
// blocks. Lanes beyond C become 0.
void q8_block(const struct blocked_shape *s, int flip, const uint8_t *src, uint8_t *dst, int begin, int end);
void q8_unblock(const struct blocked_shape *s, int flip, const uint8_t *src, uint8_t *dst, int begin, int end);

// Elements moved, by nothing but copies: as blocked_gather (fill is biased)
// and blocked_depth_to_space (blocked.h) for floats. flip is of the plain result.
void q8_gather(const struct blocked_shape *in, const struct blocked_shape *out, const int *map_y, const int *map_x,
               int fill, const uint8_t *src, uint8_t *dst, int begin, int end);
void q8_depth_to_space(const struct blocked_shape *s, int b, bool crd, int flip, const uint8_t *src, uint8_t *dst,
                       int begin, int end);
// (N,C,H,W) of in to that of out, as q8_gather without a fill. Units: n * c.
void q8_gather_plain(const struct blocked_shape *in, const struct blocked_shape *out, const int *map_y,
                     const int *map_x, const uint8_t *src, uint8_t *dst, int begin, int end);

// The largest under a window, blocked; what lies around the image counts for
// nothing. Units: n * blocks.
struct q8_window {
    int kh, kw, sh, sw, dh, dw, pad_top, pad_left;
};
void q8_max_pool(const struct blocked_shape *in, const struct blocked_shape *out, const struct q8_window *w,
                 const uint8_t *src, uint8_t *dst, int begin, int end);
// Sums over H and W of biased numbers less zero, (N, blocks, V). Units: n * blocks.
void q8_sum(const struct blocked_shape *s, int zero, const uint8_t *src, int32_t *sums, int begin, int end);

#endif
