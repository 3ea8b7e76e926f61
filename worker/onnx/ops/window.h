// SPDX-License-Identifier: MIT
//
// Sliding windows: the geometry that convolutions and pools share, and the integer
// convolution that the quantised operators use.
//
// Everything is mapped to three spatial axes (depth, height, width). The leading ones of a
// 1-D or 2-D operator have extent 1, so one loop nest serves all.
#ifndef REEL_WORKER_ONNX_OPS_WINDOW_H
#define REEL_WORKER_ONNX_OPS_WINDOW_H

#include "worker/onnx/ops/work.h"

#define WINDOW_DIMS 3
// Larger kernels, strides, dilations or pads do not occur in real networks. Below this
// limit no product of them overflows, and no loop over taps takes seconds.
#define WINDOW_LIMIT (1 << 24)

struct window {
    int nd;                                                         // spatial axes of the operator, 1..3
    int64_t in[WINDOW_DIMS], kernel[WINDOW_DIMS], out[WINDOW_DIMS]; // extents; in and out may be -1 in inference
    int64_t stride[WINDOW_DIMS], dilation[WINDOW_DIMS];
    int64_t begin[WINDOW_DIMS], end[WINDOW_DIMS]; // padding; a negative one crops
};

// Reads and checks kernel_shape (unless kernel has the nd extents), strides, dilations,
// pads, auto_pad and ceil_mode. x is (N,C,spatial...).
enum reel_err window_open(const struct op_call *call, const struct reel_shape *x, const int64_t *kernel,
                          struct window *out_w);
// The same without the output's extent, for ConvTranspose and MaxUnpool, which have other
// rules for it.
enum reel_err window_attrs(const struct op_call *call, const struct reel_shape *x, const int64_t *kernel,
                           struct window *out_w);
// Copies an attribute's nd integers, all at least `low`, to the last nd of three.
enum reel_err window_ints(const struct op_call *call, const char *name, int nd, int64_t low, int64_t *to);
int64_t window_volume(const int64_t extents[WINDOW_DIMS]);
// The shape (n, c, output's extents).
void window_shape(const struct window *w, int64_t n, int64_t c, struct reel_shape *out_shape);

enum { PAD_NOTSET, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };
enum reel_err window_auto_pad(const struct op_call *call, int *out_mode);

// Of the positions o in from..to-1, those with 0 <= o*stride + off < n are lo..hi-1.
static inline void valid_range(int64_t off, int64_t stride, int64_t n, int64_t from, int64_t to, int64_t *lo,
                               int64_t *hi)
{
    int64_t first = off >= 0 ? 0 : (-off + stride - 1) / stride;
    int64_t last = n - 1 - off < 0 ? 0 : (n - 1 - off) / stride + 1;
    *lo = first > from ? (first < to ? first : to) : from;
    *hi = last < to ? last : to;
    if (*hi < *lo) *hi = *lo;
}

// The taps of axis i that meet the input for output o; for the last axis with o < 0, those
// that meet it for any output. So a kernel far larger than the input costs no more than one
// of the input's size.
static inline void tap_range(const struct window *w, int i, int64_t o, int64_t *first, int64_t *last)
{
    int64_t at = o < 0 ? 0 : o * w->stride[i], reach = o < 0 ? (w->out[i] - 1) * w->stride[i] : 0;
    valid_range(at - w->begin[i] + reach, w->dilation[i], w->in[i] + reach, 0, w->kernel[i], first, last);
}

// A convolution of x (n, groups*cg, in) with weights (groups*mg, cg, kernel), giving (n,
// groups*mg, out).
struct conv {
    struct window w;
    int64_t n, groups, cg, mg;
};

// Reads the geometry of Conv, ConvInteger and QLinearConv and the shape of the result (-1
// where unknown; ndim -1 if ranks are unknown).
enum reel_err conv_open(const struct op_call *call, const struct reel_shape *x, const struct reel_shape *weights,
                        struct conv *out_conv, struct reel_shape *out_shape);
// bias has groups*mg elements, or is NULL. Products and sums wrap, so signed
// operands may be passed as their bit patterns.
enum reel_err conv_run_u32(const struct conv *conv, const uint32_t *x, const uint32_t *weights, const uint32_t *bias,
                           uint32_t *y);

#endif
