// SPDX-License-Identifier: MIT
//
// What the families shape, move, repeat, gather, scatter and pick share: moving elements by
// their size, whatever their type, and reading lists of integers that are an attribute or
// an input. No operator is defined here.
#ifndef REEL_WORKER_ONNX_OPS_MOVING_H
#define REEL_WORKER_ONNX_OPS_MOVING_H

#include "worker/onnx/ops/typed.h"

// dst[i] = src[i * stride] for n elements; stride in elements, may be negative
// or 0.
void move_strided(char *dst, const char *src, int64_t stride, int64_t n, size_t bytes);
// Copies one element, or a row of them, of `bytes` bytes.
static inline void move_element(char *to, const char *from, size_t bytes)
{
    switch (bytes) {
    case 1:
        *to = *from;
        break;
    case 2:
        memcpy(to, from, 2);
        break;
    case 4:
        memcpy(to, from, 4);
        break;
    case 8:
        memcpy(to, from, 8);
        break;
    default:
        memcpy(to, from, bytes);
    }
}

// Refuses element types without a size (strings).
enum reel_err move_check(const struct op_call *call, int i);
// Sets out[0] to in[0]'s type and this shape during inference.
enum reel_err move_infer(const struct op_call *call, const struct reel_shape *shape);
// The error for a result with too many dimensions.
enum reel_err move_too_many_dims(int ndim);

// Integers that are an attribute or an input, at most REEL_MAX_DIMS of them.
struct ints {
    bool known;   // false: depends on data not known yet
    bool present; // false: neither attribute nor input
    int n;        // also if not known, when the input's shape tells; else -1
    int64_t v[2 * REEL_MAX_DIMS];
};

// attr may be NULL, input may be -1. If both are present, the attribute counts.
enum reel_err ints_read(const struct op_call *call, const char *attr, int input, struct ints *out);
// Converts the values to axes in [0, ndim), each at most once.
enum reel_err ints_axes(struct ints *axes, int ndim);

// Rows of the families' tables.
#define NARROW "no strings, no float8, no types of 4 bits and less"
#define DEF(op, since, until, min_in, max_in, types, flags, infer, eval)              \
    {                                                                                 \
        "", op, since, until, min_in, max_in, 1, 1, types, flags, infer, eval, NARROW \
    }
// The same for all opsets from `since` on, with up to max_out results.
#define DEF_SINCE(op, since, min_in, max_in, max_out, types, flags, infer, eval)                       \
    {                                                                                                  \
        "", op, since, OPSET_LAST, min_in, max_in, 1, max_out, types, flags, infer, eval, "no strings" \
    }

#endif
