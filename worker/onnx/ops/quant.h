// SPDX-License-Identifier: MIT
//
// What quant.c and quant_ms.c share: converting stored values (16 and 8 bits and narrower)
// to and from float32, subtracting zero points, and rounding sums to stored values. Neither
// operators nor the 8-bit kernels (backend/onednn) are here.
#ifndef REEL_WORKER_ONNX_OPS_QUANT_H
#define REEL_WORKER_ONNX_OPS_QUANT_H

#include "worker/onnx/ops/typed.h"

#define TYPES_Q8 (T_(REEL_I8) | T_(REEL_U8))
#define TYPES_Q (TYPES_Q8 | T_(REEL_I16) | T_(REEL_U16))

// The smallest and largest stored value. Errors: UNSUPPORTED.
enum reel_err quant_range(enum reel_dtype dtype, float *out_low, float *out_high);
// to[at + i] = saturate(round(x[i] / scale) + zero), ties to even; n elements of dtype.
void quant_store(enum reel_dtype dtype, void *to, int64_t at, const float *x, int64_t n, float scale, float zero);
// to[i] = (x[at + i] - zero) * scale.
void quant_load(enum reel_dtype dtype, float *to, const void *x, int64_t at, int64_t n, float scale, int32_t zero);
// Stores sums: to[at + i] = saturate(round(acc[i] * factor) + zero).
void quant_requantize(const int32_t *acc, int64_t n, float factor, float zero, enum reel_dtype dtype, void *to,
                      int64_t at);
// t - zero as int32, with one zero point per row or column if there are several. The caller
// frees *out_p. Errors: INPUT, NOMEM.
enum reel_err quant_centre(const struct reel_tensor *t, const struct reel_tensor *zero, int64_t rows, int64_t cols,
                           bool by_row, int32_t **out_p);
// Checks that input i is present and has one element. Errors: INPUT (with `what` in its
// text).
enum reel_err quant_one_element(const struct op_call *call, int i, const char *what);

#endif
