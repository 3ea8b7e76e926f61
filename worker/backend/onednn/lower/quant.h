// SPDX-License-Identifier: MIT
//
// What lower_quant*.c and backend_onednn.c share about 8-bit
// values. A float32 value with info.dequantize set and no form is the
// dequantised form of that node's input, made when somebody asks for it.
#ifndef REEL_WORKER_BACKEND_ONEDNN_LOWER_QUANT_H
#define REEL_WORKER_BACKEND_ONEDNN_LOWER_QUANT_H

#include <string.h>

#include "kernels/conv8.h"
#include "kernels/quant8.h"
#include "worker/backend/onednn/program.h"

// Elements done at a time by one thread.
#define QUANT_PIECE 16384
int quant_pieces(size_t count);

bool is_byte(enum reel_dtype t);
// Whether node is there, and ONNX's operator of that name.
static inline bool is_onnx(const struct node *node, const char *op_type)
{
    return node && !*node->domain && !strcmp(node->op_type, op_type);
}
static inline const struct reel_tensor *constant_of(const struct value *v)
{
    return v ? v->constant : NULL;
}
// Elements in memory of a value in that layout.
size_t count_in(const struct info *i, enum layout layout);
// The scale and biased zero point of a (De)QuantizeLinear of `bytes`, when they
// are one constant for the tensor.
bool one_scale(struct program *p, const struct node *node, const struct info *bytes, struct q8_scale *out);
// The QuantizeLinear that alone reads v.
const struct node *quantizer(struct program *p, const struct value *v, struct q8_scale *out);
// 128 where the bytes of that value in that layout are signed, else 0.
int memory_flip(const struct info *bytes, enum layout layout);
// Whether v is dequantised from a computed tensor with one scale; then which.
bool dequantized_from(struct program *p, const struct value *v, const struct info **out_bytes, struct q8_scale *out);

// Makes the float32 form of a value with info.dequantize.
enum reel_err make_dequantized(struct program *p, struct info *i, enum layout layout);
// The float32 forms of a node's operands, where their bytes lie; for operators
// without 8-bit kernels.
enum reel_err dequantize_operands(struct program *p, const struct node *node);

// ---- weights, biases and clamps (quant_weights.c) -------------------------------

// Constant 8-bit weights as (outputs, per output), with a scale and a zero point
// an output channel or one for all.
struct weights8 {
    const struct reel_tensor *w, *scale, *zero;
    int64_t outputs, inputs; // inputs: elements of an output channel
    bool transposed;         // in memory (inputs, outputs)
};

// A scale or zero point that is there for all outputs or for each, or not at all.
bool weights8_fit(const struct reel_tensor *t, int64_t outputs);
// Weights dequantised by a node; axis: that of the output channels.
bool weights8_dequantized(struct program *p, const struct value *v, int axis, struct weights8 *w);
// Less their zero points, (outputs, inputs), until the next call; NULL: no memory.
int16_t *weights8_centred(struct program *p, const struct weights8 *w);
float weights8_scale(const struct weights8 *w, int64_t o);
// The node's bias of n numbers; NULL: it has none, or *out_ok is false and it cannot be read.
const float *constant_bias(struct program *p, const struct node *node, int n, bool *out_ok);
// The bias as a whole number of products' steps, as quantised files have it: it
// is part of the sum then. False when it is not one.
bool whole_bias(const float *bias, const float *factor, int n, int32_t *out);
// The bounds that the epilogue's clamps leave of lo and hi, in steps of the
// result; false when it does something else.
bool only_clamps(const struct conv_epilogue *e, float scale, float *lo, float *hi);

// ---- lowering --------------------------------------------------------------------------

// quant_table.c. Chains of operators on one computed tensor.
enum reel_err lower_table8(struct program *p, const struct node *node, bool *out_done);
// quant_image.c. MaxPool, GlobalAveragePool, Concat.
enum reel_err lower_max8(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_mean8(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_concat8(struct program *p, const struct node *node, bool *out_done);

// quant_deconv.c. ConvTranspose.
enum reel_err lower_deconv8(struct program *p, const struct node *node, bool *out_done);
// quant_conv.c. Conv; MatMul and Gemm by constant weights; ConvInteger and
// MatMulInteger by constant weights.
enum reel_err lower_conv8(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_matmul8(struct program *p, const struct node *node, bool *out_done);
// QuantizeLinear of the result of a step of theirs: the step makes bytes.
enum reel_err quantize_behind(struct program *p, const struct node *node, struct info *in, struct info *out,
                              struct q8_scale to, bool *out_done);

#endif
