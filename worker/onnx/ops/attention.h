// SPDX-License-Identifier: MIT
//
// What an Attention or MultiHeadAttention node asks for, for backends that compute it
// themselves (attention.c).
#ifndef REEL_WORKER_ONNX_OPS_ATTENTION_H
#define REEL_WORKER_ONNX_OPS_ATTENTION_H

#include "worker/onnx/ops/matmul.h"

// Extents and options of one call.
struct attention {
    int64_t batch, q_heads, kv_heads, q_len, past, kv_len, total, dim, v_dim;
    bool packed; // (B,S,heads*dim) instead of (B,heads,S,dim)
    double scale, softcap;
    bool causal;
    int64_t left, right; // window bounds, -1 none
    int64_t mode;        // of the fourth output
    enum reel_dtype dtype;
};

// Fills *a from shapes and attributes; unknown extents stay -1. *out_known is false when a
// rank is unknown. Errors: INPUT.
enum reel_err attention_open(const struct op_call *call, struct attention *a, bool *out_known);
// The same for com.microsoft's MultiHeadAttention. Errors: INPUT, UNSUPPORTED.
enum reel_err multi_head_open(const struct op_call *call, struct attention *a);

#endif
