// SPDX-License-Identifier: MIT
//
// Arithmetic, bit operations, comparisons and selection of integers on a GPU, as networks use
// them for indices and masks. Exact in all bits, unlike the chains of ops.h, which compute in
// float. One kernel for all types and operators. The rules are those of ops.h.
#ifndef REEL_KERNELS_GPU_INTEGER_H
#define REEL_KERNELS_GPU_INTEGER_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

enum gpu_integer_kind {
    GPU_INT_I8,
    GPU_INT_I16,
    GPU_INT_I32,
    GPU_INT_I64,
    GPU_INT_U8,
    GPU_INT_U16,
    GPU_INT_U32,
    GPU_INT_U64,
    GPU_INT_BOOL, // a byte of 0 or 1
    GPU_INT_F32,  // these three only for GPU_INT_CAST
    GPU_INT_F16,
    GPU_INT_BF16,
};

// The formulas are those of the ONNX operators. What ONNX leaves open is done as in the
// reference implementation (worker/onnx/ops): results wrap, division by zero gives 0, and a
// shift by too many bits leaves only copies of the sign.
enum gpu_integer_op {
    GPU_INT_CAST, // one operand; a float is truncated, one out of range gives the lower bits of INT64_MIN
    GPU_INT_NEG,
    GPU_INT_ABS,
    GPU_INT_SIGN,
    GPU_INT_NOT, // every bit
    GPU_INT_ADD, // two operands from here on
    GPU_INT_SUB,
    GPU_INT_MUL,
    GPU_INT_DIV, // towards zero
    GPU_INT_MOD, // with the divisor's sign
    GPU_INT_REM, // with the dividend's sign
    GPU_INT_POW,
    GPU_INT_MAX,
    GPU_INT_MIN,
    GPU_INT_AND,
    GPU_INT_OR,
    GPU_INT_XOR,
    GPU_INT_LEFT,
    GPU_INT_RIGHT,
    GPU_INT_EQ, // these give BOOL
    GPU_INT_GT,
    GPU_INT_GE,
    GPU_INT_LT,
    GPU_INT_LE,
    GPU_INT_CLIP,   // three operands: at least the second, then at most the third
    GPU_INT_SELECT, // three operands: BOOL ? second : third, copied bit by bit
    GPU_INT_OPS,
};

// y is row-major; each operand has strides in elements (0: repeats).
struct gpu_integer {
    int op;
    int in[3], out; // enum gpu_integer_kind
    int n_in;
    int n_dims;
    int32_t extent[GPU_DIMS];
    int64_t stride[3][GPU_DIMS];
    int64_t count; // below 2^31
};
int gpu_integer(const struct gpu_integer *p, const void *const *in, void *y, void *stream);
void gpu_integer_ref(const struct gpu_integer *p, const void *const *in, void *y);
const char *gpu_integer_op_name(enum gpu_integer_op op);

#ifdef __cplusplus
}
#endif
#endif
