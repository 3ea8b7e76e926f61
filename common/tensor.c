// SPDX-License-Identifier: MIT
//
// Tensors: allocation, shapes as text, and conversions between element types.
// Called by the executor and by the .npy reader (npy.c). Conversions round to
// nearest even; the 16-bit float loops use F16C where the CPU has it, with the
// same results bit for bit as the portable code (NaNs stay NaNs).
#include "common/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/narrow.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ALIGN_BYTES 64
// 2^40 elements: more than any tensor that fits a machine, and products stay inside int64.
#define MAX_COUNT (INT64_C(1) << 40)

struct dtype_info {
    const char *name;
    size_t bytes;
};

static const struct dtype_info dtypes[REEL_DTYPE_COUNT] = {
    [REEL_DTYPE_NONE] = {"none", 0},
    [REEL_F32] = {"float32", 4},
    [REEL_F64] = {"float64", 8},
    [REEL_F16] = {"float16", 2},
    [REEL_BF16] = {"bfloat16", 2},
    [REEL_I8] = {"int8", 1},
    [REEL_I16] = {"int16", 2},
    [REEL_I32] = {"int32", 4},
    [REEL_I64] = {"int64", 8},
    [REEL_U8] = {"uint8", 1},
    [REEL_U16] = {"uint16", 2},
    [REEL_U32] = {"uint32", 4},
    [REEL_U64] = {"uint64", 8},
    [REEL_BOOL] = {"bool", 1},
    [REEL_STRING] = {"string", 0},
    [REEL_F8E4M3FN] = {"float8e4m3fn", 1},
    [REEL_F8E4M3FNUZ] = {"float8e4m3fnuz", 1},
    [REEL_F8E5M2] = {"float8e5m2", 1},
    [REEL_F8E5M2FNUZ] = {"float8e5m2fnuz", 1},
    [REEL_F8E8M0] = {"float8e8m0", 1},
    [REEL_F4E2M1] = {"float4e2m1", 1},
    [REEL_I4] = {"int4", 1},
    [REEL_U4] = {"uint4", 1},
    [REEL_I2] = {"int2", 1},
    [REEL_U2] = {"uint2", 1},
};

size_t reel_dtype_bytes(enum reel_dtype dtype)
{
    return (unsigned)dtype < REEL_DTYPE_COUNT ? dtypes[dtype].bytes : 0;
}

const char *reel_dtype_name(enum reel_dtype dtype)
{
    return (unsigned)dtype < REEL_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

bool reel_dtype_is_float(enum reel_dtype dtype)
{
    return dtype == REEL_F32 || dtype == REEL_F64 || dtype == REEL_F16 || dtype == REEL_BF16;
}

// ---- shapes -----------------------------------------------------------------

int64_t reel_shape_count(const struct reel_shape *shape)
{
    if (shape->ndim < 0 || shape->ndim > REEL_MAX_DIMS) return -1;
    int64_t count = 1;
    bool empty = false;
    for (int i = 0; i < shape->ndim; i++) {
        int64_t d = shape->dim[i];
        if (d < 0 || d > MAX_COUNT) return -1;
        if (d == 0)
            empty = true;
        else if (count > MAX_COUNT / d)
            return -1;
        else
            count *= d;
    }
    return empty ? 0 : count;
}

bool reel_shape_equal(const struct reel_shape *a, const struct reel_shape *b)
{
    if (a->ndim != b->ndim) return false;
    for (int i = 0; i < a->ndim; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

const char *reel_shape_text(const struct reel_shape *shape, char *buf, size_t buf_bytes)
{
    if (buf_bytes == 0) return buf;
    if (shape->ndim <= 0) {
        snprintf(buf, buf_bytes, "%s", shape->ndim < 0 ? "?" : "scalar");
        return buf;
    }
    size_t n = 0;
    buf[0] = '\0';
    for (int i = 0; i < shape->ndim && n < buf_bytes; i++) {
        const char *x = i ? "x" : "";
        int k = shape->dim[i] < 0 ? snprintf(buf + n, buf_bytes - n, "%s?", x)
                                  : snprintf(buf + n, buf_bytes - n, "%s%" PRId64, x, shape->dim[i]);
        n += k > 0 ? (size_t)k : 0;
    }
    return buf;
}

// ---- tensors ----------------------------------------------------------------

int64_t reel_tensor_count(const struct reel_tensor *t)
{
    return reel_shape_count(&t->shape);
}

size_t reel_tensor_bytes(const struct reel_tensor *t)
{
    int64_t count = reel_shape_count(&t->shape);
    return count < 0 ? 0 : (size_t)count * reel_dtype_bytes(t->dtype);
}

enum reel_err reel_tensor_init(struct reel_tensor *t, enum reel_dtype dtype, const struct reel_shape *shape)
{
    struct reel_shape wanted = *shape; // may be &t->shape
    *t = (struct reel_tensor){.shape.ndim = 0};
    char text[128];
    int64_t count = reel_shape_count(&wanted);
    size_t item = reel_dtype_bytes(dtype);
    if (count < 0 || item == 0)
        return reel_fail(REEL_ERR_LIMIT, "could not allocate tensor: %s of shape %s has no definite size",
                         reel_dtype_name(dtype), reel_shape_text(&wanted, text, sizeof text));

    size_t bytes = ((size_t)count * item + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    if (bytes == 0) bytes = ALIGN_BYTES;
    void *data = aligned_alloc(ALIGN_BYTES, bytes);
    if (!data)
        return reel_fail(REEL_ERR_NOMEM, "could not allocate tensor: %zu MiB (%s of shape %s)", bytes >> 20,
                         reel_dtype_name(dtype), reel_shape_text(&wanted, text, sizeof text));
    memset(data, 0, bytes);
    *t = (struct reel_tensor){.dtype = dtype, .shape = wanted, .data = data, .owned = true};
    return REEL_OK;
}

void reel_tensor_fini(struct reel_tensor *t)
{
    if (t->owned) free(t->data);
    *t = (struct reel_tensor){.shape.ndim = 0};
}

enum reel_err reel_tensor_copy(struct reel_tensor *out_t, const struct reel_tensor *src)
{
    if (src->dtype == REEL_STRING || !src->data) {
        *out_t = (struct reel_tensor){.dtype = src->dtype, .shape = src->shape};
        return REEL_OK;
    }
    struct reel_tensor copy;
    enum reel_err err = reel_tensor_init(&copy, src->dtype, &src->shape);
    if (err) return err;
    memcpy(copy.data, src->data, reel_tensor_bytes(src));
    *out_t = copy;
    return REEL_OK;
}

enum reel_err reel_tensor_own(struct reel_tensor *t)
{
    if (t->owned) return REEL_OK;
    struct reel_tensor copy = {0};
    enum reel_err err = reel_tensor_copy(&copy, t);
    if (!err) *t = copy;
    return err;
}

// ---- 16-bit floats ----------------------------------------------------------

static float f32_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t bits_of_f32(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

float reel_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 1023;
    if (exp == 31) return f32_of_bits(sign | 0x7f800000 | man << 13 | (man ? 0x400000 : 0));
    if (exp) return f32_of_bits(sign | (exp + 112) << 23 | man << 13);
    // A subnormal is man * 2^-24, which a float represents exactly.
    float f = (float)man * 0x1p-24f;
    return f32_of_bits(sign | bits_of_f32(f));
}

uint16_t reel_f32_to_f16(float f)
{
    uint32_t u = bits_of_f32(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x1ff)); // NaN, made quiet
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00);                    // would round above 65504: infinity
    if (a < 0x38800000) {
        // Below 2^-14 the result is subnormal: adding 1/2 shifts the mantissa to units of 2^-24 and rounds.
        uint32_t r = bits_of_f32(f32_of_bits(a) + 0.5f);
        return (uint16_t)(sign | (r - 0x3f000000));
    }
    uint32_t r = a - 0x38000000 + 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | r >> 13);
}

float reel_bf16_to_f32(uint16_t h)
{
    return f32_of_bits((uint32_t)h << 16);
}

uint16_t reel_f32_to_bf16(float f)
{
    uint32_t u = bits_of_f32(f);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// Rounds a double to a float, setting the last bit if anything was cut off (round to odd).
// Rounding that again to 16 bits gives the same result as rounding the double directly.
float reel_f64_to_f32_odd(double d)
{
    float f = (float)d;
    double back = f;
    if (back == d || d != d || back - back != 0) return f;
    uint32_t u = bits_of_f32(f);
    if ((back > d) == (d > 0)) u--; // rounded away from zero: step back
    return f32_of_bits(u | 1);
}

#if defined(__x86_64__)
#define HAVE_F16C 1
__attribute__((target("avx,f16c"))) static void f16_to_f32_f16c(float *dst, const uint16_t *src, int64_t count)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(src + i))));
    for (; i < count; i++) dst[i] = reel_f16_to_f32(src[i]);
}

__attribute__((target("avx,f16c"))) static void f32_to_f16_f16c(uint16_t *dst, const float *src, int64_t count)
{
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128((__m128i *)(dst + i), _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < count; i++) dst[i] = reel_f32_to_f16(src[i]);
}

static bool cpu_has_f16c(void)
{
    return __builtin_cpu_supports("avx2"); // every CPU with AVX2 has F16C
}
#else
#define HAVE_F16C 0
#endif

static void f16_to_f32_array(float *dst, const uint16_t *src, int64_t count)
{
#if HAVE_F16C
    if (cpu_has_f16c()) {
        f16_to_f32_f16c(dst, src, count);
        return;
    }
#endif
    for (int64_t i = 0; i < count; i++) dst[i] = reel_f16_to_f32(src[i]);
}

static void f32_to_f16_array(uint16_t *dst, const float *src, int64_t count)
{
#if HAVE_F16C
    if (cpu_has_f16c()) {
        f32_to_f16_f16c(dst, src, count);
        return;
    }
#endif
    for (int64_t i = 0; i < count; i++) dst[i] = reel_f32_to_f16(src[i]);
}

// ---- conversions between any two types --------------------------------------

// Truncates without undefined behaviour; out of range it gives what x86's cvttsd2si gives.
static int64_t f64_to_i64(double x)
{
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

static uint64_t f64_to_u64(double x)
{
    return x >= 0x1p63 && x < 0x1p64 ? (uint64_t)x : (uint64_t)f64_to_i64(x);
}

// Each source type is loaded as double, int64 or uint64, and each destination type is stored
// from these three. Conversion from integers to float32 rounds only once.
#define STORE_FROM_F64(X)                                            \
    X(REEL_F32, float, (float)v)                                     \
    X(REEL_F64, double, v)                                           \
    X(REEL_F16, uint16_t, reel_f32_to_f16(reel_f64_to_f32_odd(v)))   \
    X(REEL_BF16, uint16_t, reel_f32_to_bf16(reel_f64_to_f32_odd(v))) \
    X(REEL_I8, int8_t, (int8_t)f64_to_i64(v))                        \
    X(REEL_I16, int16_t, (int16_t)f64_to_i64(v))                     \
    X(REEL_I32, int32_t, (int32_t)f64_to_i64(v))                     \
    X(REEL_I64, int64_t, f64_to_i64(v))                              \
    X(REEL_U8, uint8_t, (uint8_t)f64_to_i64(v))                      \
    X(REEL_U16, uint16_t, (uint16_t)f64_to_i64(v))                   \
    X(REEL_U32, uint32_t, (uint32_t)f64_to_i64(v))                   \
    X(REEL_U64, uint64_t, f64_to_u64(v))                             \
    X(REEL_BOOL, uint8_t, v != 0)

#define STORE_FROM_INT(X)                                                    \
    X(REEL_F32, float, (float)v)                                             \
    X(REEL_F64, double, (double)v)                                           \
    X(REEL_F16, uint16_t, reel_f32_to_f16(reel_f64_to_f32_odd((double)v)))   \
    X(REEL_BF16, uint16_t, reel_f32_to_bf16(reel_f64_to_f32_odd((double)v))) \
    X(REEL_I8, int8_t, (int8_t)v)                                            \
    X(REEL_I16, int16_t, (int16_t)v)                                         \
    X(REEL_I32, int32_t, (int32_t)v)                                         \
    X(REEL_I64, int64_t, (int64_t)v)                                         \
    X(REEL_U8, uint8_t, (uint8_t)v)                                          \
    X(REEL_U16, uint16_t, (uint16_t)v)                                       \
    X(REEL_U32, uint32_t, (uint32_t)v)                                       \
    X(REEL_U64, uint64_t, (uint64_t)v)                                       \
    X(REEL_BOOL, uint8_t, v != 0)

#define STORE_CASE(DTYPE, TYPE, EXPR)         \
    case DTYPE: {                             \
        TYPE *d = dst;                        \
        for (int64_t i = 0; i < count; i++) { \
            LOADED_TYPE v = LOAD(s[i]);       \
            d[i] = EXPR;                      \
        }                                     \
        break;                                \
    }

#define SAME(x) (x)
#define DEFINE_CONVERT(NAME, SRC, KIND)                                                 \
    static void NAME(void *dst, enum reel_dtype dst_dtype, const SRC *s, int64_t count) \
    {                                                                                   \
        switch (dst_dtype) {                                                            \
            KIND(STORE_CASE)                                                            \
        default:                                                                        \
            break;                                                                      \
        }                                                                               \
    }

#define LOADED_TYPE double
#define LOAD SAME
DEFINE_CONVERT(convert_f32, float, STORE_FROM_F64)
DEFINE_CONVERT(convert_f64, double, STORE_FROM_F64)
#undef LOAD
#define LOAD reel_f16_to_f32
DEFINE_CONVERT(convert_f16, uint16_t, STORE_FROM_F64)
#undef LOAD
#define LOAD reel_bf16_to_f32
DEFINE_CONVERT(convert_bf16, uint16_t, STORE_FROM_F64)
#undef LOAD
#undef LOADED_TYPE

#define LOADED_TYPE int64_t
#define LOAD SAME
DEFINE_CONVERT(convert_i8, int8_t, STORE_FROM_INT)
DEFINE_CONVERT(convert_i16, int16_t, STORE_FROM_INT)
DEFINE_CONVERT(convert_i32, int32_t, STORE_FROM_INT)
DEFINE_CONVERT(convert_i64, int64_t, STORE_FROM_INT)
DEFINE_CONVERT(convert_u8, uint8_t, STORE_FROM_INT)
DEFINE_CONVERT(convert_u16, uint16_t, STORE_FROM_INT)
DEFINE_CONVERT(convert_u32, uint32_t, STORE_FROM_INT)
#undef LOADED_TYPE
#define LOADED_TYPE uint64_t
DEFINE_CONVERT(convert_u64, uint64_t, STORE_FROM_INT)
#undef LOADED_TYPE
#define LOADED_TYPE int64_t
#undef LOAD
#define LOAD(x) ((x) != 0)
DEFINE_CONVERT(convert_bool, uint8_t, STORE_FROM_INT)
#undef LOAD
#undef LOADED_TYPE

// Converts from or to a narrow type (narrow.h), through float32, or through the 8-bit integer
// type in which a narrow integer is stored.
static void convert_narrow(void *dst, enum reel_dtype dst_dtype, const void *src, enum reel_dtype src_dtype,
                           int64_t count)
{
    enum { CHUNK = 512 };
    float part[CHUNK];
    if (reel_is_narrow_int(src_dtype)) {
        reel_convert(dst, dst_dtype, src, reel_narrow_int_base(src_dtype), count);
        return;
    }
    if (reel_is_narrow_int(dst_dtype)) {
        reel_convert(dst, reel_narrow_int_base(dst_dtype), src, src_dtype, count);
        reel_narrow_int_wrap(dst_dtype, dst, count);
        return;
    }
    for (int64_t i = 0; i < count; i += CHUNK) {
        const int64_t n = count - i < CHUNK ? count - i : CHUNK;
        const char *from = (const char *)src + (size_t)i * reel_dtype_bytes(src_dtype);
        if (reel_is_narrow_float(src_dtype))
            reel_narrow_to_f32_array(src_dtype, part, (const uint8_t *)from, n);
        else if (src_dtype == REEL_F64)
            for (int64_t k = 0; k < n; k++) part[k] = reel_f64_to_f32_odd(((const double *)(const void *)from)[k]);
        else
            reel_convert(part, REEL_F32, from, src_dtype, n);
        if (!reel_is_narrow_float(dst_dtype))
            reel_convert((char *)dst + (size_t)i * reel_dtype_bytes(dst_dtype), dst_dtype, part, REEL_F32, n);
        else
            for (int64_t k = 0; k < n; k++) ((uint8_t *)dst)[i + k] = reel_f32_to_narrow(dst_dtype, part[k], true);
    }
}

void reel_convert(void *dst, enum reel_dtype dst_dtype, const void *src, enum reel_dtype src_dtype, int64_t count)
{
    if (count <= 0) return;
    if (dst_dtype == src_dtype) {
        memmove(dst, src, (size_t)count * reel_dtype_bytes(src_dtype));
        return;
    }
    if (src_dtype > REEL_STRING || dst_dtype > REEL_STRING) {
        convert_narrow(dst, dst_dtype, src, src_dtype, count);
        return;
    }
    switch (src_dtype) {
    case REEL_F32:
        if (dst_dtype == REEL_F16)
            f32_to_f16_array(dst, src, count);
        else
            convert_f32(dst, dst_dtype, src, count);
        break;
    case REEL_F16:
        if (dst_dtype == REEL_F32)
            f16_to_f32_array(dst, src, count);
        else
            convert_f16(dst, dst_dtype, src, count);
        break;
    case REEL_F64:
        convert_f64(dst, dst_dtype, src, count);
        break;
    case REEL_BF16:
        convert_bf16(dst, dst_dtype, src, count);
        break;
    case REEL_I8:
        convert_i8(dst, dst_dtype, src, count);
        break;
    case REEL_I16:
        convert_i16(dst, dst_dtype, src, count);
        break;
    case REEL_I32:
        convert_i32(dst, dst_dtype, src, count);
        break;
    case REEL_I64:
        convert_i64(dst, dst_dtype, src, count);
        break;
    case REEL_U8:
        convert_u8(dst, dst_dtype, src, count);
        break;
    case REEL_U16:
        convert_u16(dst, dst_dtype, src, count);
        break;
    case REEL_U32:
        convert_u32(dst, dst_dtype, src, count);
        break;
    case REEL_U64:
        convert_u64(dst, dst_dtype, src, count);
        break;
    case REEL_BOOL:
        convert_bool(dst, dst_dtype, src, count);
        break;
    default:
        break;
    }
}
