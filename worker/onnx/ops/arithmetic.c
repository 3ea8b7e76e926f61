// SPDX-License-Identifier: MIT
//
// The family arithmetic: Add, Sub, Mul, Div, Mod and Pow of two operands; Sum,
// Mean, Max and Min of many. See elementwise.h.
#include "worker/onnx/ops/elementwise.h"

// ---- arithmetic -----------------------------------------------------------

#define ADD_FLOAT(D, s, T, U) BINARY_FN(add_##s, KERN_CLONES, T, T, U, x + y)
#define ADD_INT(D, s, T, U) BINARY_FN(add_##s, , T, T, U, (Wrap)x + (Wrap)y)
#define ADD_ENTRY(D, s, T, U) ENTRY(D, add_##s)
EACH_FLOAT(ADD_FLOAT)
EACH_INT(ADD_INT)
static const binary_fn add_fns[REEL_DTYPE_COUNT] = {EACH_REAL(ADD_ENTRY)};

enum reel_err arithmetic_add(const struct op_call *call)
{
    HALVES_IN_F32(arithmetic_add);
    return binary_eval(call, add_fns, call->in[0]->dtype);
}

#define SUB_FLOAT(D, s, T, U) BINARY_FN(sub_##s, KERN_CLONES, T, T, U, x - y)
#define SUB_INT(D, s, T, U) BINARY_FN(sub_##s, , T, T, U, (Wrap)x - (Wrap)y)
#define SUB_ENTRY(D, s, T, U) ENTRY(D, sub_##s)
EACH_FLOAT(SUB_FLOAT)
EACH_INT(SUB_INT)
static const binary_fn sub_fns[REEL_DTYPE_COUNT] = {EACH_REAL(SUB_ENTRY)};
BINARY_EVAL(sub, call->in[0]->dtype)

#define MUL_FLOAT(D, s, T, U) BINARY_FN(mul_##s, KERN_CLONES, T, T, U, x *y)
#define MUL_INT(D, s, T, U) BINARY_FN(mul_##s, , T, T, U, (Wrap)x *(Wrap)y)
#define MUL_ENTRY(D, s, T, U) ENTRY(D, mul_##s)
EACH_FLOAT(MUL_FLOAT)
EACH_INT(MUL_INT)
static const binary_fn mul_fns[REEL_DTYPE_COUNT] = {EACH_REAL(MUL_ENTRY)};
BINARY_EVAL(mul, call->in[0]->dtype)

// Division by zero, undefined in ONNX, gives 0; the smallest over -1 wraps.
static inline int64_t div_signed(int64_t x, int64_t y)
{
    if (y == 0) return 0;
    return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

#define DIV_FLOAT(D, s, T, U) BINARY_FN(div_##s, KERN_CLONES, T, T, U, x / y)
#define DIV_SINT(D, s, T, U) BINARY_FN(div_##s, , T, T, U, div_signed(x, y))
#define DIV_UINT(D, s, T, U) BINARY_FN(div_##s, , T, T, U, y ? x / y : 0)
#define DIV_ENTRY(D, s, T, U) ENTRY(D, div_##s)
EACH_FLOAT(DIV_FLOAT)
EACH_SINT(DIV_SINT)
EACH_UINT(DIV_UINT)
static const binary_fn div_fns[REEL_DTYPE_COUNT] = {EACH_REAL(DIV_ENTRY)};
BINARY_EVAL(div, call->in[0]->dtype)

#define MAX_FN(D, s, T, U) BINARY_FN(max_##s, KERN_CLONES, T, T, U, x > y || x != x ? x : y)
#define MIN_FN(D, s, T, U) BINARY_FN(min_##s, KERN_CLONES, T, T, U, x < y || x != x ? x : y)
#define MAX_ENTRY(D, s, T, U) ENTRY(D, max_##s)
#define MIN_ENTRY(D, s, T, U) ENTRY(D, min_##s)
EACH_REAL(MAX_FN)
EACH_REAL(MIN_FN)
static const binary_fn max_fns[REEL_DTYPE_COUNT] = {EACH_REAL(MAX_ENTRY)};
static const binary_fn min_fns[REEL_DTYPE_COUNT] = {EACH_REAL(MIN_ENTRY)};

// Mod with fmod = 0: x - floor(x / y) * y, the sign of y. By zero: 0.
static inline int64_t mod_floor_signed(int64_t x, int64_t y)
{
    if (y == 0 || y == -1) return 0;
    const int64_t r = x % y;
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}
static inline double mod_floor_f64_one(double x, double y)
{
    const double r = fmod(x, y);
    if (r == 0) return copysign(0.0, y);
    return (r < 0) != (y < 0) ? r + y : r;
}
static inline float mod_floor_f32_one(float x, float y)
{
    const float r = fmodf(x, y);
    if (r == 0) return copysignf(0.0f, y);
    return (r < 0) != (y < 0) ? r + y : r;
}
#define MOD_SINT(D, s, T, U) BINARY_FN(mod_##s, , T, T, U, mod_floor_signed(x, y))
#define MOD_UINT(D, s, T, U) BINARY_FN(mod_##s, , T, T, U, y ? x % y : 0)
#define MOD_ENTRY(D, s, T, U) ENTRY(D, mod_##s)
BINARY_FN(mod_f32, , float, float, float, mod_floor_f32_one(x, y))
BINARY_FN(mod_f64, , double, double, double, mod_floor_f64_one(x, y))
EACH_SINT(MOD_SINT)
EACH_UINT(MOD_UINT)
static const binary_fn mod_fns[REEL_DTYPE_COUNT] = {EACH_REAL(MOD_ENTRY)};

// fmod = 1: the sign of x.
#define FMOD_SINT(D, s, T, U) BINARY_FN(fmod_##s, , T, T, U, y == 0 || y == -1 ? 0 : x % y)
#define FMOD_SINT_ENTRY(D, s, T, U) ENTRY(D, fmod_##s)
BINARY_FN(fmod_f32, , float, float, float, fmodf(x, y))
BINARY_FN(fmod_f64, , double, double, double, fmod(x, y))
EACH_SINT(FMOD_SINT)
static const binary_fn fmod_fns[REEL_DTYPE_COUNT] = {EACH_FLOAT(FMOD_SINT_ENTRY) EACH_SINT(FMOD_SINT_ENTRY)
                                                         EACH_UINT(MOD_ENTRY)};

static enum reel_err eval_mod(const struct op_call *call)
{
    HALVES_IN_F32(eval_mod);
    return binary_eval(call, node_attr_int(call->node, "fmod", 0) ? fmod_fns : mod_fns, call->in[0]->dtype);
}

// ---- Pow ------------------------------------------------------------------

// Squares and roots are what networks ask for; the results equal powf's.
KERN_CLONES static void pow_f32_square(float *o, const float *a, int64_t n)
{
    KERN_INDEPENDENT
    for (int64_t i = 0; i < n; i++) o[i] = a[i] * a[i];
}

// pow() differs from sqrt() in -0 and -infinity.
KERN_CLONES static void pow_f32_root(float *o, const float *a, int64_t n)
{
    KERN_INDEPENDENT
    for (int64_t i = 0; i < n; i++) o[i] = a[i] == -INFINITY ? INFINITY : sqrtf(a[i]) + 0.0f;
}

static void pow_f32(void *out, const void *pa, int64_t step_a, const void *pb, int64_t step_b, int64_t n)
{
    float *o = out;
    const float *a = pa, *b = pb;
    if (step_a && !step_b && *b == 2.0f) {
        pow_f32_square(o, a, n);
    } else if (step_a && !step_b && *b == 0.5f) {
        pow_f32_root(o, a, n);
    } else {
        for (int64_t i = 0; i < n; i++) o[i] = powf(a[i * step_a], b[i * step_b]);
    }
}

// By squaring, wrapping. A negative exponent gives the truncated quotient.
static inline uint64_t pow_int_one(uint64_t x, int64_t y)
{
    if (y < 0) {
        if (x == 1) return 1;
        if (x == UINT64_MAX) return y & 1 ? UINT64_MAX : 1; // -1
        return 0;
    }
    uint64_t power = 1;
    for (; y; y >>= 1, x *= x)
        if (y & 1) power *= x;
    return power;
}

BINARY_FN(pow_f64, , double, double, double, pow(x, y))
BINARY_FN(pow_i64, , int64_t, int64_t, int64_t, pow_int_one((uint64_t)x, y))

// The type in which base and exponent are raised: integers stay exact, floats
// of 32 bits and less among themselves stay in single precision.
static enum reel_dtype pow_dtype(enum reel_dtype a, enum reel_dtype b)
{
    const bool float_a = reel_dtype_is_float(a), float_b = reel_dtype_is_float(b);
    if (!float_a && !float_b) return REEL_I64;
    const bool small_a = float_a && a != REEL_F64, small_b = float_b && b != REEL_F64;
    // An integer exponent below 2^24 is the same number as a float.
    const bool small_int = b == REEL_I8 || b == REEL_U8 || b == REEL_I16 || b == REEL_U16;
    return small_a && (small_b || small_int) ? REEL_F32 : REEL_F64;
}

static enum reel_err infer_pow(const struct op_call *call)
{
    struct reel_shape b, shape;
    enum reel_err err = typed_present(call, 2);
    if (!err) err = binary_shape(call, &b, &shape);
    if (!err && !(TYPES_NUM & T_(call->in[1]->dtype))) err = typed_refuse(call, 1);
    if (!err) infer_out(call, 0, call->in[0]->dtype, &shape);
    return err;
}

static enum reel_err eval_pow(const struct op_call *call)
{
    const struct reel_tensor *a = call->in[0], *b = call->in[1];
    if (!(TYPES_NUM & T_(a->dtype))) return typed_refuse(call, 0);
    if (!(TYPES_NUM & T_(b->dtype))) return typed_refuse(call, 1);
    struct reel_shape b_shape, shape;
    enum reel_err err = binary_shape(call, &b_shape, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, a->dtype, &shape);
    if (err) return err;

    enum reel_dtype dtype = pow_dtype(a->dtype, b->dtype);
    // 2 and 0.5 as double give what they give as float.
    if (dtype == REEL_F64 && a->dtype == REEL_F32 && reel_tensor_count(b) == 1) {
        const double y = op_scalar(b, 0);
        if (y == 2.0 || y == 0.5) dtype = REEL_F32;
    }
    const binary_fn fn = dtype == REEL_I64 ? pow_i64 : dtype == REEL_F32 ? pow_f32 : pow_f64;
    struct work wa = {0}, wb = {0}, wo = {0};
    err = work_in(&wa, a, dtype);
    if (!err) err = work_in(&wb, b, dtype);
    if (!err) err = work_out(&wo, call->out[0], dtype);
    if (!err) {
        struct reel_tensor out = {.dtype = dtype, .shape = shape, .data = wo.p};
        binary_run(fn, &out, wa.p, &a->shape, wb.p, &b_shape, reel_dtype_bytes(dtype));
        work_commit(&wo);
    }
    work_fini(&wa);
    work_fini(&wb);
    work_fini(&wo);
    return err;
}

// ---- Sum, Mean, Max, Min --------------------------------------------------

static enum reel_err variadic_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    *out_shape = call->in[0]->shape;
    for (int i = 1; i < call->n_in; i++) {
        if (!call->in[i]) return reel_fail(REEL_ERR_INPUT, "input %d is missing", i);
        enum reel_err err = typed_same(call, 0, i);
        if (err) return err;
        if (out_shape->ndim < 0 || call->in[i]->shape.ndim < 0) {
            *out_shape = shape_unknown();
            continue;
        }
        const struct reel_shape so_far = *out_shape;
        err = op_broadcast(&so_far, &call->in[i]->shape, out_shape);
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err infer_variadic(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = variadic_shape(call, &shape);
    if (!err) infer_out(call, 0, call->in[0]->dtype, &shape);
    return err;
}

static enum reel_err variadic(const struct op_call *call, const binary_fn *fns)
{
    const struct reel_tensor *first = call->in[0];
    if (!fns[first->dtype]) return typed_refuse(call, 0);
    struct reel_shape shape;
    enum reel_err err = variadic_shape(call, &shape);
    if (err || !call->out[0]) return err;
    if (call->n_in == 1) return typed_copy_as(call, &shape);
    struct reel_tensor *out = call->out[0];
    err = op_alloc_out(call, 0, first->dtype, &shape);
    if (err) return err;
    const binary_fn fn = fns[first->dtype];
    const size_t bytes = reel_dtype_bytes(first->dtype);
    binary_run(fn, out, first->data, &first->shape, call->in[1]->data, &call->in[1]->shape, bytes);
    for (int i = 2; i < call->n_in; i++)
        binary_run(fn, out, out->data, &shape, call->in[i]->data, &call->in[i]->shape, bytes);
    return REEL_OK;
}

#define VARIADIC_EVAL(name, fns)                                 \
    static enum reel_err eval_##name(const struct op_call *call) \
    {                                                            \
        HALVES_IN_F32(eval_##name);                              \
        return variadic(call, fns);                              \
    }
VARIADIC_EVAL(sum, add_fns)
VARIADIC_EVAL(max, max_fns)
VARIADIC_EVAL(min, min_fns)

static enum reel_err eval_mean(const struct op_call *call)
{
    HALVES_IN_F32(eval_mean);
    if (!reel_dtype_is_float(call->in[0]->dtype)) return typed_refuse(call, 0);
    enum reel_err err = variadic(call, add_fns);
    struct reel_tensor *out = call->out[0];
    if (err || !out || reel_tensor_count(out) == 0) return err;
    const float n32 = (float)call->n_in;
    const double n64 = call->n_in;
    if (out->dtype == REEL_F32)
        div_f32(out->data, out->data, 1, &n32, 0, reel_tensor_count(out));
    else
        div_f64(out->data, out->data, 1, &n64, 0, reel_tensor_count(out));
    return REEL_OK;
}

// ---- the table ------------------------------------------------------------

#define VARIADIC_DEF(op, types, eval)                                                         \
    {                                                                                         \
        "", op, 1, OPSET_LAST, 1, -1, 1, 1, types, OP_ELEMENTWISE, infer_variadic, eval, NULL \
    }

const struct op_def ops_arithmetic[] = {
    BINARY_DEF("Add", 1, TYPES_NUM, binary_infer, arithmetic_add),
    BINARY_DEF("Div", 1, TYPES_NUM, binary_infer, eval_div),
    VARIADIC_DEF("Max", TYPES_NUM, eval_max),
    VARIADIC_DEF("Mean", TYPES_FLOAT, eval_mean),
    VARIADIC_DEF("Min", TYPES_NUM, eval_min),
    BINARY_DEF("Mod", 10, TYPES_NUM, binary_infer, eval_mod),
    BINARY_DEF("Mul", 1, TYPES_NUM, binary_infer, eval_mul),
    BINARY_DEF("Pow", 1, TYPES_NUM, infer_pow, eval_pow),
    BINARY_DEF("Sub", 1, TYPES_NUM, binary_infer, eval_sub),
    VARIADIC_DEF("Sum", TYPES_NUM, eval_sum),
};
const int ops_arithmetic_count = sizeof ops_arithmetic / sizeof *ops_arithmetic;
