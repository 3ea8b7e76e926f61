// SPDX-License-Identifier: MIT
//
// The matrix product that the operators share, chosen by element type. Used by matmul.c,
// attention.c, rnn.c and quant.c.
#ifndef REEL_WORKER_ONNX_OPS_MATMUL_H
#define REEL_WORKER_ONNX_OPS_MATMUL_H

#include "worker/onnx/ops/work.h"

// A row-major or transposed operand: element (i,j) is at p[i*row + j*col].
struct mat {
    const void *p;
    int64_t row, col;
};

// C (m,n; rows c_row apart) = A B, or += with accumulate. dtype is F32, F64, or an integer
// of 32 or 64 bits, whose arithmetic wraps.
enum reel_err mat_mul(enum reel_dtype dtype, int64_t m, int64_t n, int64_t k, struct mat a, struct mat b, void *c,
                      int64_t c_row, bool accumulate);

// How MatMul's operands are combined: the shape of the result, and where each batch of it
// finds its operands.
struct mat_plan {
    int64_t m, n, k, batches;
    int nb;                                                                      // batch axes
    int64_t extent[REEL_MAX_DIMS], a_step[REEL_MAX_DIMS], b_step[REEL_MAX_DIMS]; // in matrices
};

// Follows numpy.matmul's rules. *out_shape may contain -1; the plan is not usable then.
enum reel_err mat_plan_open(const struct reel_shape *a, const struct reel_shape *b, struct mat_plan *plan,
                            struct reel_shape *out_shape);
// The numbers of the operands' matrices for batch i.
void mat_plan_at(const struct mat_plan *plan, int64_t i, int64_t *out_a, int64_t *out_b);

// attention.c; the family's table is in matmul.c.
enum reel_err attention_infer(const struct op_call *call);
enum reel_err attention_eval(const struct op_call *call);
enum reel_err multi_head_infer(const struct op_call *call);
enum reel_err multi_head_eval(const struct op_call *call);
enum reel_err rotary_eval(const struct op_call *call);

#endif
