// SPDX-License-Identifier: MIT
//
// The GPU executor's own kernels, for everything for which cuDNN has no good engine. Each has
// a launcher (gpu_<name>, in *.cu, built by nvcc) and a twin in plain C (gpu_<name>_ref) that
// computes the same in host memory. Tests compare the kernel with its twin, and the host
// executor runs the twins.
//
// Launchers enqueue on `stream` (a cudaStream_t), never wait, and return a cudaError_t as int.
// Parameters are plain data without pointers, so that a compiled step can be kept, printed and
// run on either side.
//
// "Images" are NHWC: channel c of pixel p is at p * pitch + c, with pitch >= the number of
// channels. The lanes between the channels and the pitch are padding: whoever writes a pixel
// writes finite numbers there (the kernels of this file write zeros), so that products with
// zero weights stay zero.
//
// Arithmetic is in float for every element type, and a result is rounded once.
#ifndef REEL_KERNELS_GPU_OPS_H
#define REEL_KERNELS_GPU_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum gpu_elem {
    GPU_ELEM_F32,
    GPU_ELEM_F16,
    GPU_ELEM_BF16,
    GPU_ELEM_U8, // also booleans, which are 0 or 1
    GPU_ELEM_I8,
    GPU_ELEM_I32,
    GPU_ELEM_I64,
    GPU_ELEM_COUNT,               // number of types that every kernel reads and writes
    GPU_ELEM_F8 = GPU_ELEM_COUNT, // e4m3 (fp8.h): only for gpu_quantise() and cuDNN's convolutions
};

size_t gpu_elem_bytes(enum gpu_elem e);
const char *gpu_elem_name(enum gpu_elem e);
// Converts one element to float, and back (rounding to nearest even).
float gpu_elem_load(enum gpu_elem e, const void *p, int64_t i);
void gpu_elem_store(enum gpu_elem e, void *p, int64_t i, float v);

// ---- chains of pointwise steps --------------------------------------------------

// What a step does to the running value x, with operand b. The formulas are those of the ONNX
// operators of these names; see math.h.
enum gpu_op {
    GPU_OP_ADD,
    GPU_OP_SUB,
    GPU_OP_RSUB, // b - x
    GPU_OP_MUL,
    GPU_OP_DIV,
    GPU_OP_RDIV, // b / x
    GPU_OP_MAX,
    GPU_OP_MIN,
    GPU_OP_POW,
    GPU_OP_RPOW,  // b to the power x
    GPU_OP_PRELU, // x < 0 ? b x : x
    GPU_OP_MOD,   // fmod
    GPU_OP_EQ,
    GPU_OP_GT,
    GPU_OP_GE,
    GPU_OP_LT,
    GPU_OP_LE,
    GPU_OP_AND,
    GPU_OP_OR,
    GPU_OP_XOR,
    GPU_OP_SELECT, // b ? x : the next step's operand; that step is GPU_OP_ELSE
    GPU_OP_ELSE,
    GPU_OP_WITH_OPERAND, // from here on there are no operands
    GPU_OP_RELU = GPU_OP_WITH_OPERAND,
    GPU_OP_LEAKY, // alpha
    GPU_OP_CLIP,  // alpha to beta
    GPU_OP_SIGMOID,
    GPU_OP_TANH,
    GPU_OP_SILU,
    GPU_OP_HSWISH,
    GPU_OP_HSIGMOID, // alpha, beta
    GPU_OP_GELU_ERF,
    GPU_OP_GELU_TANH,
    GPU_OP_ELU, // alpha
    GPU_OP_MISH,
    GPU_OP_SELU,        // alpha, beta: gamma
    GPU_OP_CELU,        // alpha
    GPU_OP_THRESHOLDED, // alpha
    GPU_OP_ABS,
    GPU_OP_NEG,
    GPU_OP_SQRT,
    GPU_OP_RECIPROCAL,
    GPU_OP_EXP,
    GPU_OP_LOG,
    GPU_OP_ERF,
    GPU_OP_FLOOR,
    GPU_OP_CEIL,
    GPU_OP_ROUND, // to nearest even
    GPU_OP_SIN,
    GPU_OP_COS,
    GPU_OP_SIGN,
    GPU_OP_SOFTPLUS,
    GPU_OP_SOFTSIGN,
    GPU_OP_NOT,
    GPU_OP_AFFINE, // alpha x + beta
    GPU_OP_SWISH,  // x sigmoid(alpha x)
    GPU_OP_SHRINK, // alpha: lambd, beta: bias
    GPU_OP_TAN,
    GPU_OP_ASIN,
    GPU_OP_ACOS,
    GPU_OP_ATAN,
    GPU_OP_SINH,
    GPU_OP_COSH,
    GPU_OP_ASINH,
    GPU_OP_ACOSH,
    GPU_OP_ATANH,
    GPU_OP_IS_NAN,
    GPU_OP_IS_INF, // alpha, beta: whether negative, positive infinities count
    GPU_OP_COUNT
};
const char *gpu_op_name(enum gpu_op op);

#define GPU_CHAIN_MAX 10
#define GPU_OPERANDS 4

struct gpu_chain_step {
    int op;      // enum gpu_op
    int operand; // number of its operand; -1: alpha is the operand
    float alpha, beta;
};

// An operand of a chain applied to an image: one element per channel, or an image with the
// result's extents. (Elementwise kernels have strides instead and read only `elem`.)
struct gpu_chain_operand {
    int elem; // enum gpu_elem
    bool per_channel;
    int pitch;            // of an image; 0: that of the result
    int64_t image_stride; // per_channel: elements from one image's row to the next one's; 0: one row for all
};

struct gpu_chain {
    int n, n_operands;
    struct gpu_chain_step step[GPU_CHAIN_MAX];
    struct gpu_chain_operand operand[GPU_OPERANDS];
};

// ---- moving: transpose, slice, pad, concat, expand, gather by table, cast -----------

#define GPU_DIMS 8

// dst[dst_base + sum i_d dst_stride_d] = src[src_base + sum f_d(i_d) src_stride_d]
// where f_d is the identity or a table of indices, in which -1 stands for `fill`.
struct gpu_copy {
    int from, to; // enum gpu_elem
    int n_dims;
    int32_t extent[GPU_DIMS];
    int64_t src_stride[GPU_DIMS], dst_stride[GPU_DIMS];
    int64_t src_base, dst_base;
    int32_t table[GPU_DIMS]; // offset in `tables` of the dimension's table, or -1
    int pad_dim, pad_from;   // along pad_dim, indices from pad_from on give 0; pad_dim -1: none
    float fill;
};
// tables may be NULL if no dimension has one.
int gpu_copy(const struct gpu_copy *p, const void *src, void *dst, const int32_t *tables, void *stream);
void gpu_copy_ref(const struct gpu_copy *p, const void *src, void *dst, const int32_t *tables);

// ---- elementwise with broadcasting ---------------------------------------------------

// y[i] = chain(x[i]); every operand has its own strides (0: repeats). The last dimension of y
// may be longer than what is computed; the rest is filled with zeros.
struct gpu_elementwise {
    int x_elem, y_elem;
    int n_dims;
    int32_t extent[GPU_DIMS]; // the last one with padding
    int32_t last;             // elements of the last one that are computed
    int64_t x_stride[GPU_DIMS], y_stride[GPU_DIMS];
    int64_t operand_stride[GPU_OPERANDS][GPU_DIMS];
    struct gpu_chain chain;
};
// operand: chain.n_operands pointers. x and an operand may be y itself if they have y's
// strides.
int gpu_elementwise(const struct gpu_elementwise *p, const void *x, const void *const *operand, void *y, void *stream);
void gpu_elementwise_ref(const struct gpu_elementwise *p, const void *x, const void *const *operand, void *y);

// Applies the steps from..chain->n of a chain to an image in place: those that a cuDNN plan
// does not include.
struct gpu_finish {
    int elem;
    int64_t pixels;       // all images together
    int64_t image_pixels; // of one image
    int channels, pitch;
    int from;
    struct gpu_chain chain;
};
int gpu_finish(const struct gpu_finish *p, const void *const *operand, void *y, void *stream);
void gpu_finish_ref(const struct gpu_finish *p, const void *const *operand, void *y);

// ---- convolution -----------------------------------------------------------------------

struct gpu_conv {
    int elem;       // of x, w and y
    bool x_f8;      // x and w are e4m3; y is elem, which may be F8. Only for the twin and cuDNN
    int n, c, h, w; // x
    int k, p, q;    // y: channels, rows, columns
    int r, s;
    int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
    int groups;
    int x_pitch, y_pitch;
    int y_lanes;     // lanes written per pixel: k and padding; lanes beyond are not ours (not for depthwise)
    bool transposed; // w is (C,R,S,K/g); else (K,R,S,C/g)
    int c_used;      // channels of x whose weights are not all zero, c without padding; 0: all
    int sm;          // of the device, 90 for compute capability 9.0; 0: do not use tensor cores
    struct gpu_chain chain;
};
// Any convolution, by one of several kernels (conv_way.h). Always correct, but slow if there
// are many channels and none of the fast kernels fits.
int gpu_conv(const struct gpu_conv *p, const void *x, const void *w, const void *const *operand, void *y, void *stream);
void gpu_conv_ref(const struct gpu_conv *p, const void *x, const void *w, const void *const *operand, void *y);
// groups == c == k, not transposed; w is (R,S,pitch) with zeros in the padding, and
// x_pitch == y_pitch.
int gpu_depthwise(const struct gpu_conv *p, const void *x, const void *w, const void *const *operand, void *y,
                  void *stream);
void gpu_depthwise_ref(const struct gpu_conv *p, const void *x, const void *w, const void *const *operand, void *y);

// ---- matrix product ----------------------------------------------------------------------

// y (batches,m,k) = x (batches,m,c) times w (batches,c,k), then the chain on rows (channels:
// k). Strides between matrices are in elements; 0 repeats.
struct gpu_matmul {
    int x_elem, w_elem, y_elem;
    int batches, m, c, k;
    int64_t x_batch, w_batch, y_batch;
    int64_t x_row, x_col, w_row, w_col; // strides within a matrix
    float alpha;                        // factor of the product
    struct gpu_chain chain;
};
int gpu_matmul(const struct gpu_matmul *p, const void *x, const void *w, const void *const *operand, void *y,
               void *stream);
void gpu_matmul_ref(const struct gpu_matmul *p, const void *x, const void *w, const void *const *operand, void *y);

// ---- windows and resampling -------------------------------------------------------------

struct gpu_pool {
    int elem;
    int n, c, h, w, p, q;
    int r, s, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
    // average: the divisor counts positions within [-pad, size + pad_after)
    // when count_pad, else those inside the picture
    bool average, count_pad;
    int pad_bottom, pad_right;
    int x_pitch, y_pitch;
};
int gpu_pool(const struct gpu_pool *p, const void *x, void *y, void *stream);
void gpu_pool_ref(const struct gpu_pool *p, const void *x, void *y);

// Separable resampling: output row i is the sum over t < taps of
// weight[i * taps + t] times input row index[i * taps + t]. One table for rows,
// then one for columns.
struct gpu_resize {
    int elem;
    int n, c, h, w, p, q;
    int taps_h, taps_w;
    int x_pitch, y_pitch;
};
// index: p * taps_h then q * taps_w numbers; weight likewise.
int gpu_resize(const struct gpu_resize *p, const void *x, const int32_t *index, const float *weight, void *y,
               void *stream);
void gpu_resize_ref(const struct gpu_resize *p, const void *x, const int32_t *index, const float *weight, void *y);

// ---- reductions --------------------------------------------------------------------------

enum gpu_reduction {
    GPU_REDUCE_SUM,
    GPU_REDUCE_SUM_ABS,
    GPU_REDUCE_SUM_SQUARES,
    GPU_REDUCE_SUM_DIFF2, // of (x - mean)^2
    GPU_REDUCE_MAX,
    GPU_REDUCE_MIN,
    GPU_REDUCE_PROD,
};

// dst[o][i] = post(scale * reduce over r of src[o][r][i]). The order of a sum depends only on
// the extents.
struct gpu_reduce {
    int kind; // enum gpu_reduction
    int src_elem, dst_elem;
    int64_t outer, reduce, inner;
    int64_t src_outer, src_reduce, src_inner; // strides in elements
    int64_t dst_outer, dst_inner;
    int64_t mean_outer; // SUM_DIFF2: mean[o / mean_outer_div * mean_outer + i / mean_inner_div], float
    int64_t mean_outer_div, mean_inner_div;
    float scale;
    bool root; // post: square root
};
int gpu_reduce(const struct gpu_reduce *p, const void *src, const float *mean, void *dst, void *stream);
void gpu_reduce_ref(const struct gpu_reduce *p, const void *src, const float *mean, void *dst);

// Index of the largest (smallest) element: int64. Strides as above.
struct gpu_argmax {
    int src_elem;
    int64_t outer, reduce, inner;
    int64_t src_outer, src_reduce, src_inner;
    bool smallest, last; // last: of equal elements the last one
};
int gpu_argmax(const struct gpu_argmax *p, const void *src, int64_t *dst, void *stream);
void gpu_argmax_ref(const struct gpu_argmax *p, const void *src, int64_t *dst);

struct gpu_softmax {
    int src_elem, dst_elem;
    int64_t outer, axis, inner;
    int64_t src_outer, src_axis, src_inner, dst_outer, dst_axis, dst_inner;
    bool logarithm;
};
int gpu_softmax(const struct gpu_softmax *p, const void *src, void *dst, void *stream);
void gpu_softmax_ref(const struct gpu_softmax *p, const void *src, void *dst);

// y = (x - mean) / sqrt(var + epsilon) * scale[c] + shift[c]. Mean and variance are float, one
// for each image and group of channels (groups == c: each channel).
struct gpu_norm {
    int elem;
    int64_t images, pixels; // pixels of one image
    int c, groups, x_pitch, y_pitch;
    float epsilon;
};
int gpu_norm(const struct gpu_norm *p, const void *x, const float *mean, const float *var, const float *scale,
             const float *shift, void *y, void *stream);
void gpu_norm_ref(const struct gpu_norm *p, const void *x, const float *mean, const float *var, const float *scale,
                  const float *shift, void *y);

// Rows of `columns`: (x - mean) / sqrt(var + epsilon) * scale + shift; rms: the mean is not
// subtracted. scale and shift (float) may be NULL.
struct gpu_layer_norm {
    int elem;
    int64_t rows;
    int columns;
    float epsilon;
    bool rms;
};
int gpu_layer_norm(const struct gpu_layer_norm *p, const void *x, const float *scale, const float *shift, void *y,
                   void *stream);
void gpu_layer_norm_ref(const struct gpu_layer_norm *p, const void *x, const float *scale, const float *shift, void *y);

// ---- gathering -----------------------------------------------------------------------------

// dst[o][j][i] = src[o][index[j]][i]. Negative indices count from the end; indices out of range
// give zeros.
struct gpu_gather {
    int elem_bytes;
    int64_t outer, axis, inner, n_index;
};
int gpu_gather(const struct gpu_gather *p, const void *src, const int64_t *index, void *dst, void *stream);
void gpu_gather_ref(const struct gpu_gather *p, const void *src, const int64_t *index, void *dst);

#ifdef __cplusplus
}
#endif
#endif
