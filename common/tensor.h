// SPDX-License-Identifier: MIT
//
// A dense tensor: element type, shape and bytes. Plain data; used by the
// executor (worker), the kernels' tests and the .npy reader. It knows no graph,
// no layout but row-major, and no device.
#ifndef REEL_COMMON_TENSOR_H
#define REEL_COMMON_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define REEL_MAX_DIMS 8

// Element types; the numbers are our own (ONNX's are mapped at import).
enum reel_dtype {
    REEL_DTYPE_NONE = 0,
    REEL_F32,
    REEL_F64,
    REEL_F16,  // IEEE 754 binary16
    REEL_BF16, // upper half of an F32
    REEL_I8,
    REEL_I16,
    REEL_I32,
    REEL_I64,
    REEL_U8,
    REEL_U16,
    REEL_U32,
    REEL_U64,
    REEL_BOOL,   // one byte, 0 or 1
    REEL_STRING, // carried through import, refused by every operator
    // Narrow types (narrow.h): a byte for each element here, packed in files.
    REEL_F8E4M3FN,
    REEL_F8E4M3FNUZ,
    REEL_F8E5M2,
    REEL_F8E5M2FNUZ,
    REEL_F8E8M0, // powers of two
    REEL_F4E2M1,
    REEL_I4, // sign extended to the byte
    REEL_U4,
    REEL_I2,
    REEL_U2,
    REEL_DTYPE_COUNT,
};

// ndim < 0: rank unknown. dim[i] < 0: that extent is unknown (before shape
// inference only). A scalar has ndim 0 and one element.
struct reel_shape {
    int ndim;
    int64_t dim[REEL_MAX_DIMS];
};

// data is row-major without gaps, 64-byte aligned when allocated here; NULL
// while only type and shape are known. owned: data belongs to this tensor and
// is freed by reel_tensor_fini(). For empty tensors (an extent of 0) data may
// be NULL or not, and count is 0.
struct reel_tensor {
    enum reel_dtype dtype;
    struct reel_shape shape;
    void *data;
    bool owned;
};

// Bytes of one element; 0 for NONE and STRING.
size_t reel_dtype_bytes(enum reel_dtype dtype);
// "float32", "int64", ...
const char *reel_dtype_name(enum reel_dtype dtype);
// Of 16 bits and more: what is computed in.
bool reel_dtype_is_float(enum reel_dtype dtype);

// Elements of a fully known shape, or -1 when an extent is unknown, negative
// or the product passes 2^40 (a hostile file must not overflow us).
int64_t reel_shape_count(const struct reel_shape *shape);
bool reel_shape_equal(const struct reel_shape *a, const struct reel_shape *b);
// Writes "1x3x360x640" ("scalar" for ndim 0, '?' for unknown) into buf and
// returns buf.
const char *reel_shape_text(const struct reel_shape *shape, char *buf, size_t buf_bytes);

// Allocates zeroed memory for dtype and shape; sets owned. On failure returns
// REEL_ERR_NOMEM or REEL_ERR_LIMIT and leaves *t empty.
enum reel_err reel_tensor_init(struct reel_tensor *t, enum reel_dtype dtype, const struct reel_shape *shape);
// Frees owned memory and zeroes *t. Accepts a zeroed tensor.
void reel_tensor_fini(struct reel_tensor *t);
// Deep copy into an empty tensor.
enum reel_err reel_tensor_copy(struct reel_tensor *out_t, const struct reel_tensor *src);
// A tensor that only points into something else gets data of its own. Errors: NOMEM.
enum reel_err reel_tensor_own(struct reel_tensor *t);
int64_t reel_tensor_count(const struct reel_tensor *t);
size_t reel_tensor_bytes(const struct reel_tensor *t);

// Scalar conversions, round to nearest even (IEEE 754).
float reel_f16_to_f32(uint16_t h);
uint16_t reel_f32_to_f16(float f);
float reel_bf16_to_f32(uint16_t h);
uint16_t reel_f32_to_bf16(float f);
// Array conversions between any two numeric types; float to integer truncates
// and saturates nothing (ONNX Cast leaves out of range undefined; ours wraps as
// the CPU does, narrow integers keep the low bits), float to narrow float
// saturates, anything to BOOL is x != 0.
void reel_convert(void *dst, enum reel_dtype dst_dtype, const void *src, enum reel_dtype src_dtype, int64_t count);

// NumPy .npy files (format 1.0-3.0, C order, little endian; bf16 is written as
// '<V2' like ml_dtypes do). Errors: INPUT, IO, UNSUPPORTED.
enum reel_err reel_npy_read(const char *path, struct reel_tensor *out_t);
enum reel_err reel_npy_write(const char *path, const struct reel_tensor *t);

#endif
