// SPDX-License-Identifier: MIT
//
// Arithmetic, bits, comparisons and choices of whole numbers on a GPU, exact in all
// their bits, which ops.h's chains, in float, are not: what networks do to indices and
// masks. One kernel for all types and operators. Rules are those of ops.h.
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
    GPU_INT_F32,  // these three: of GPU_INT_CAST alone
    GPU_INT_F16,
    GPU_INT_BF16,
};

// Formulas are those of the ONNX operators; what these leave open is as in the
// reference (worker/onnx/ops): results wrap, anything divided by zero is 0, a shift out
// of range leaves what the sign's extension gives.
enum gpu_integer_op {
    GPU_INT_CAST, // one operand; from a float: cut, from one that has no such number: INT64_MIN's lower bits
    GPU_INT_NEG,
    GPU_INT_ABS,
    GPU_INT_SIGN,
    GPU_INT_NOT, // every bit
    GPU_INT_ADD, // two
    GPU_INT_SUB,
    GPU_INT_MUL,
    GPU_INT_DIV, // towards zero
    GPU_INT_MOD, // with the divisor's sign
    GPU_INT_REM, // with the dividend's
    GPU_INT_POW,
    GPU_INT_MAX,
    GPU_INT_MIN,
    GPU_INT_AND,
    GPU_INT_OR,
    GPU_INT_XOR,
    GPU_INT_LEFT,
    GPU_INT_RIGHT,
    GPU_INT_EQ, // from here the result is BOOL
    GPU_INT_GT,
    GPU_INT_GE,
    GPU_INT_LT,
    GPU_INT_LE,
    GPU_INT_CLIP,   // three: not below the second, then not above the third
    GPU_INT_SELECT, // three: BOOL ? second : third, whose bits alone count
    GPU_INT_OPS,
};

// y, row-major, of operands with strides of their own (0: repeats), in elements.
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
