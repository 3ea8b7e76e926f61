// SPDX-License-Identifier: MIT
//
// A fused pattern: one convolution, transposed convolution or matrix product and the
// pointwise steps after it, which cuDNN is asked to compute in one kernel.
//
// The lowering describes its heavy steps with it, plan.c turns it into a cuDNN graph, and
// cached plans are keyed by its text. Everything here is plain data and pure functions,
// without cuDNN or a device, so that every build and test has it.
//
// Tensors are NHWC (channels innermost) and 16-byte aligned, with rows without gaps. There may
// be gaps between pixels if the tensor is part of a wider one. Only engines compiled at run
// time suit that: measured with cuDNN 9.19, on sm_80 and later they take any pitch without a
// workspace, while every precompiled engine repacks the tensor in one.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_PATTERN_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "worker/graph/graph.h"

enum gpu_pattern_kind {
    GPU_CONV,   // x (N,H,W,C), w (K,R,S,C/g) -> y (N,P,Q,K)
    GPU_DECONV, // transposed: x (N,H,W,C), w (C,R,S,K/g) -> y (N,P,Q,K)
    GPU_MATMUL, // x (N,M,C), w (C,K) or (N,C,K) -> y (N,M,K); h is M, c the inner extent
};

// Element types of the GPU executor; FP8 has no reel_dtype.
enum gpu_type {
    GPU_F32,
    GPU_F16,
    GPU_BF16,
    GPU_F8E4M3,
};

// Where a step's second operand comes from.
enum gpu_operand {
    GPU_OPERAND_NONE,    // RELU, CLIP, SIGMOID, ...
    GPU_OPERAND_SCALAR,  // ADD, MUL, PRELU with one known number: step.alpha
    GPU_OPERAND_CHANNEL, // (1,1,1,K): bias, PReLU slope, per-channel scale
    GPU_OPERAND_TENSOR,  // (N,P,Q,K): residual, gate
};

// One pointwise step; alpha and beta as in struct epilogue (graph.h).
struct gpu_step {
    enum epilogue_kind kind;
    enum gpu_operand operand;
    enum gpu_type type; // of a CHANNEL or TENSOR operand
    float alpha, beta;
    int pitch; // of a TENSOR operand, in elements; 0: packed
};

#define GPU_MAX_STEPS (NODE_MAX_EPILOGUE + 2) // epilogue + bias + scale

struct gpu_pattern {
    enum gpu_pattern_kind kind;
    int n, c, h, w; // x; a matrix product has w = 1
    int k, r, s;    // output channels, filter height and width (1x1 for a matrix product)
    int groups;
    int pad_top, pad_left, pad_bottom, pad_right;
    int stride_h, stride_w;
    int dilation_h, dilation_w;
    int out_pad_h, out_pad_w; // GPU_DECONV: ONNX output_padding
    int x_pitch, y_pitch;     // elements from pixel to pixel, 0: packed (c, k); not for GPU_MATMUL
    bool w_batched;           // GPU_MATMUL: w has its own N
    enum gpu_type x_type, w_type, y_type;
    bool allow_tf32; // x, w F32: tensor cores may round to TF32
    int n_steps;
    struct gpu_step step[GPU_MAX_STEPS];
};

// A pattern with strides, dilations and groups of 1, no padding, no steps, one image, and fp16
// throughout. The caller changes what differs.
struct gpu_pattern gpu_pattern_make(enum gpu_pattern_kind kind, int c, int h, int w, int k, int r, int s);
// Appends a step; false if there are already GPU_MAX_STEPS. Operands get the type of y.
bool gpu_pattern_add(struct gpu_pattern *p, enum epilogue_kind kind, enum gpu_operand operand, float alpha, float beta);

size_t gpu_type_bytes(enum gpu_type type);
const char *gpu_type_name(enum gpu_type type); // "f16"

// Extents of y; 0 if the filter does not fit.
void gpu_pattern_output(const struct gpu_pattern *p, int *out_p, int *out_q);
// Bytes of x, w, y and a step's operand, gaps included.
size_t gpu_pattern_x_bytes(const struct gpu_pattern *p);
size_t gpu_pattern_w_bytes(const struct gpu_pattern *p);
size_t gpu_pattern_y_bytes(const struct gpu_pattern *p);
size_t gpu_pattern_operand_bytes(const struct gpu_pattern *p, int step);
// Multiply-add pairs of the main operation, times two.
double gpu_pattern_flop(const struct gpu_pattern *p);

// Checks extents, types and steps. Errors: UNSUPPORTED with the reason.
enum reel_err gpu_pattern_check(const struct gpu_pattern *p);

// How many of the leading steps are worth putting into cuDNN's kernel, judged by what cuDNN
// 9.19 accepts; the rest belong in one elementwise kernel after it. The lowering can size
// buffers with this before any plan exists: gpu_plan_create() may fuse fewer, never more.
int gpu_pattern_fusable(const struct gpu_pattern *p);
// Whether cuDNN has no tensor-core kernel for it and our kernel is better: depthwise and
// nearly depthwise convolutions.
bool gpu_pattern_wants_own_kernel(const struct gpu_pattern *p);

// One canonical line: "conv 1x64x360x640 k64 3x3 p1,1,1,1 ... | +channel prelu".
// Equal patterns have equal texts. Writes into buf and returns it. Any text fits into
// GPU_PATTERN_TEXT_MAX bytes.
#define GPU_PATTERN_TEXT_MAX 768
const char *gpu_pattern_text(const struct gpu_pattern *p, char *buf, size_t buf_bytes);

#endif
