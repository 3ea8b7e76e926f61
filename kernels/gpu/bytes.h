// SPDX-License-Identifier: MIT
//
// Exact products of bytes on a GPU: ONNX's MatMulInteger and ConvInteger, used by networks
// whose quantisation depends on the data (DynamicQuantizeLinear). The rules are those of
// ops.h.
#ifndef REEL_KERNELS_GPU_BYTES_H
#define REEL_KERNELS_GPU_BYTES_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// A picture (images,channels,h,w) as a matrix of windows with rows (channel,r,s) and columns
// (p,q). Positions outside the picture have the zero point.
struct gpu_byte_windows {
    int h, w, p, q, r, s;
    int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
};

// y[b][i][j] (batches,m,k), int32, is the sum over c of (x[b][i][c] - x_zero) (w[b][c][j]
// - w_zero); sums wrap. x (x_count,m,c) and w (w_count,c,k) are row-major; batch b uses matrix
// b modulo their count. windows: w is a picture, and its matrices are groups of its channels.
struct gpu_bytes {
    bool x_signed, w_signed;
    int batches, x_count, w_count;
    int m, c, k;
    // How many zero points there are, bytes of the operand's type. 0: none; 1: one for all;
    // more: x has one for each row i, w one for each column j of its matrices.
    int x_zeros, w_zeros;
    bool windows;
    struct gpu_byte_windows at;
};
int gpu_bytes(const struct gpu_bytes *p, const void *x, const void *w, const void *x_zero, const void *w_zero,
              int32_t *y, void *stream);
void gpu_bytes_ref(const struct gpu_bytes *p, const void *x, const void *w, const void *x_zero, const void *w_zero,
                   int32_t *y);

// DynamicQuantizeLinear's scale and unsigned zero point for numbers between low and high.
int gpu_byte_scale(const float *low, const float *high, float *scale, uint8_t *zero, void *stream);
void gpu_byte_scale_ref(const float *low, const float *high, float *scale, uint8_t *zero);

#ifdef __cplusplus
}
#endif
#endif
