// SPDX-License-Identifier: MIT
//
// Loops over typed elements: lists of the element types, for macros that define one
// function per type; the walk over broadcast operands; and evaluation of 16-bit floats in
// single precision.
//
// Used by the elementwise families (elementwise.h), by reduce, and by those that move
// elements (moving.h, indices.h). work.h converts whole tensors to another type. No
// operator is defined here.
#ifndef REEL_WORKER_ONNX_OPS_TYPED_H
#define REEL_WORKER_ONNX_OPS_TYPED_H

#include "kernels/simd.h"
#include "worker/onnx/ops/work.h"

// X(dtype, suffix, type, unsigned type whose arithmetic wraps)
#define EACH_FLOAT(X)              \
    X(REEL_F32, f32, float, float) \
    X(REEL_F64, f64, double, double)
#define EACH_SINT(X)                    \
    X(REEL_I8, i8, int8_t, uint32_t)    \
    X(REEL_I16, i16, int16_t, uint32_t) \
    X(REEL_I32, i32, int32_t, uint32_t) \
    X(REEL_I64, i64, int64_t, uint64_t)
#define EACH_UINT(X)                     \
    X(REEL_U8, u8, uint8_t, uint32_t)    \
    X(REEL_U16, u16, uint16_t, uint32_t) \
    X(REEL_U32, u32, uint32_t, uint32_t) \
    X(REEL_U64, u64, uint64_t, uint64_t)
#define EACH_INT(X) EACH_SINT(X) EACH_UINT(X)
#define EACH_REAL(X) EACH_FLOAT(X) EACH_INT(X)

// True for a signed integer type (as a constant; no warning for unsigned ones).
#define IS_SIGNED(T) ((T)-1 < (T)1)

static inline bool is_half(enum reel_dtype dtype)
{
    return dtype == REEL_F16 || dtype == REEL_BF16;
}

// Evaluates a call on F32 copies of its 16-bit float inputs, and rounds 16-bit float
// outputs once. eval must accept F32.
enum reel_err typed_eval_in_f32(const struct op_call *call, enum reel_err (*eval)(const struct op_call *));

// The first line of an eval function that handles F32 but not 16-bit floats.
#define HALVES_IN_F32(eval)                                                    \
    do {                                                                       \
        if (is_half(call->in[0]->dtype)) return typed_eval_in_f32(call, eval); \
    } while (0)

// Checks that inputs 0 to n - 1 are present (a file may omit any by an empty name).
enum reel_err typed_present(const struct op_call *call, int n);
// The error "does not take float16" if the operator does not support this input's type; OK
// if the type is not known yet (only during inference).
enum reel_err typed_refuse(const struct op_call *call, int input);
// INPUT unless a and b are present and have the same type.
enum reel_err typed_same(const struct op_call *call, int a, int b);
// Reads all of integer input i (int32 or int64) into new memory of at least one element,
// which the caller frees. Rejects other types, and more than max elements.
enum reel_err typed_ints(const struct op_call *call, int i, int64_t max, int64_t **out_values, int64_t *out_n);
// Copies input 0 to output 0 with another shape that has as many elements.
enum reel_err typed_copy_as(const struct op_call *call, const struct reel_shape *shape);

// ---- walking over broadcast operands ------------------------------------
//
// Visits the output's elements in order, in runs that are as long as possible: adjacent
// dimensions are merged if every operand allows it. Within a run, operand i
// advances by step[i] (0 or 1) elements.
//
//     for (walk_start(&w, &shape, shapes, n); !w.done; walk_next(&w))
//         kernel(out + w.out, a + w.at[0], w.step[0], b + w.at[1], w.step[1], w.run);

#define WALK_MAX 3

struct walk {
    int n; // operands
    int64_t run;
    int64_t out;          // offset of this run in the output, in elements
    int64_t at[WALK_MAX]; // offsets of this run in the operands
    int64_t step[WALK_MAX];
    bool done;

    int outer; // dimensions around the run
    int64_t dim[REEL_MAX_DIMS], index[REEL_MAX_DIMS];
    int64_t stride[WALK_MAX][REEL_MAX_DIMS];
};

// shapes[i] must broadcast to shape (all extents known).
void walk_start(struct walk *w, const struct reel_shape *shape, const struct reel_shape *const *shapes, int n);
void walk_next(struct walk *w);

#endif
