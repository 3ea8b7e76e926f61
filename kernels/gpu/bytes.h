// SPDX-License-Identifier: MIT
//
// Products of bytes on a GPU, exact: what ONNX's MatMulInteger and ConvInteger are, of
// networks whose numbers are brought to bytes by steps that the data decide
// (DynamicQuantizeLinear). Rules are those of ops.h.
#ifndef REEL_KERNELS_GPU_BYTES_H
#define REEL_KERNELS_GPU_BYTES_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// A picture (images,channels,h,w) as columns of windows: row (channel,r,s), column
// (p,q); beyond the picture is the zero point.
struct gpu_byte_windows {
    int h, w, p, q, r, s;
    int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
};

// y[b][i][j] (batches,m,k), int32, is the sum over c of (x[b][i][c] - x_zero) (w[b][c][j]
// - w_zero); sums wrap. x (x_count,m,c) and w (w_count,c,k) are row-major, batch b's is b
// modulo their count. windows: w is a picture, batch b its channels of that number.
struct gpu_bytes {
    bool x_signed, w_signed;
    int batches, x_count, w_count;
    int m, c, k;
    // Zero points are bytes of the operand's type: 0: there are none; 1: one for all;
    // else as many, x's one for each row i of matrix b, w's one for each column j.
    int x_zeros, w_zeros;
    bool windows;
    struct gpu_byte_windows at;
};
int gpu_bytes(const struct gpu_bytes *p, const void *x, const void *w, const void *x_zero, const void *w_zero,
              int32_t *y, void *stream);
void gpu_bytes_ref(const struct gpu_bytes *p, const void *x, const void *w, const void *x_zero, const void *w_zero,
                   int32_t *y);

// DynamicQuantizeLinear's scale and zero point (unsigned) of numbers between low and high.
int gpu_byte_scale(const float *low, const float *high, float *scale, uint8_t *zero, void *stream);
void gpu_byte_scale_ref(const float *low, const float *high, float *scale, uint8_t *zero);

#ifdef __cplusplus
}
#endif
#endif
