// SPDX-License-Identifier: MIT
//
// What lower_quant*.c and backend_onednn.c share about 8-bit
// values. A float32 value with info.dequantize set and no form is the
// dequantised form of that node's input, made when somebody asks for it.
#ifndef REEL_WORKER_BACKEND_ONEDNN_LOWER_QUANT_H
#define REEL_WORKER_BACKEND_ONEDNN_LOWER_QUANT_H

#include "kernels/quant8.h"
#include "worker/backend/onednn/program.h"

// Elements done at a time by one thread.
#define QUANT_PIECE 16384
int quant_pieces(size_t count);

bool is_byte(enum reel_dtype t);
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

// lower_quant_table.c. Chains of operators on one computed tensor.
enum reel_err lower_table8(struct program *p, const struct node *node, bool *out_done);
// lower_quant_image.c. MaxPool, GlobalAveragePool, Concat.
enum reel_err lower_max8(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_mean8(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_concat8(struct program *p, const struct node *node, bool *out_done);

// lower_quant_conv.c. Conv; ConvTranspose; MatMul and Gemm by constant weights; ConvInteger and
// MatMulInteger by constant weights.
enum reel_err lower_conv8(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_deconv8(struct program *p, const struct node *node, bool *out_done);
enum reel_err lower_matmul8(struct program *p, const struct node *node, bool *out_done);
// QuantizeLinear of the result of a step of theirs: the step makes bytes.
enum reel_err quantize_behind(struct program *p, const struct node *node, struct info *in, struct info *out,
                              struct q8_scale to, bool *out_done);

#endif
