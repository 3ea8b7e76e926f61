// SPDX-License-Identifier: MIT
//
// What quant.c and quant_ms.c share: stored 8- and 16-bit values (and narrower)
// to and from float32, zero points taken off, sums rounded to stored values.
// What it is not: no operator, and not the 8-bit kernels (backend/onednn).
#ifndef REEL_WORKER_ONNX_OPS_QUANT_H
#define REEL_WORKER_ONNX_OPS_QUANT_H

#include "worker/onnx/ops/typed.h"

#define TYPES_Q8 (T_(REEL_I8) | T_(REEL_U8))
#define TYPES_Q (TYPES_Q8 | T_(REEL_I16) | T_(REEL_U16))

// The least and the greatest stored value. Errors: UNSUPPORTED.
enum reel_err quant_range(enum reel_dtype dtype, float *out_low, float *out_high);
// to[at + i] = saturate(round(x[i] / scale) + zero), ties to even; n elements of dtype.
void quant_store(enum reel_dtype dtype, void *to, int64_t at, const float *x, int64_t n, float scale, float zero);
// to[i] = (x[at + i] - zero) * scale.
void quant_load(enum reel_dtype dtype, float *to, const void *x, int64_t at, int64_t n, float scale, int32_t zero);
// Stores sums: to[at + i] = saturate(round(acc[i] * factor) + zero).
void quant_requantize(const int32_t *acc, int64_t n, float factor, float zero, enum reel_dtype dtype, void *to,
                      int64_t at);
// t - zero as int32, with one zero point per row or column when there are
// several. *out_p is the caller's to free. Errors: INPUT, NOMEM.
enum reel_err quant_centre(const struct reel_tensor *t, const struct reel_tensor *zero, int64_t rows, int64_t cols,
                           bool by_row, int32_t **out_p);
// Errors: INPUT, naming it, unless input i is there and has one element.
enum reel_err quant_one_element(const struct op_call *call, int i, const char *what);

#endif
