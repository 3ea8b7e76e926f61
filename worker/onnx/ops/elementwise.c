// SPDX-License-Identifier: MIT
//
// The family elementwise: unary and binary arithmetic, comparison, logic,
// activations, Where, Clip, Cast and bitwise operators.
//
// One small function per operator and element type runs over a contiguous run
// of elements; typed.h's walk finds the runs under broadcasting. 16-bit floats
// are computed in single precision and rounded once. Integers wrap. NaN is
// passed on wherever ONNX's numpy reference does so.
#include "common/narrow.h"
#include "kernels/math.h"
#include "worker/onnx/ops/typed.h"

// ---- unary: one function per type -----------------------------------------

// n elements from in to out (which may be in); p are the operator's parameters.
typedef void (*unary_fn)(void *out, const void *in, int64_t n, const float *p);

#define UNARY_FN(name, CLONES, T, R, expression)                                                           \
    CLONES static void name(void *out, const void *in, int64_t n, const float *params)                     \
    {                                                                                                      \
        R *o = out;                                                                                        \
        const T *v = in;                                                                                   \
        const float p[2] __attribute__((unused)) = {params ? params[0] : 0.0f, params ? params[1] : 0.0f}; \
        KERN_INDEPENDENT                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                  \
            const T x = v[i];                                                                              \
            o[i] = (R)(expression);                                                                        \
        }                                                                                                  \
    }
// float and double by one expression each
#define UNARY_FLOAT(name, CLONES, expr32, expr64)      \
    UNARY_FN(name##_f32, CLONES, float, float, expr32) \
    UNARY_FN(name##_f64, , double, double, expr64)     \
    static const unary_fn name##_fns[REEL_DTYPE_COUNT] = {[REEL_F32] = name##_f32, [REEL_F64] = name##_f64};

// 16-bit floats in pieces that stay in the first cache.
static void unary_half(const struct reel_tensor *in, struct reel_tensor *out, unary_fn fn, const float *p)
{
    enum { PIECE = 1024 };
    float buf[PIECE];
    const int64_t count = reel_tensor_count(in);
    const bool to_half = is_half(out->dtype);
    for (int64_t i = 0; i < count; i += PIECE) {
        const int64_t n = count - i < PIECE ? count - i : PIECE;
        char *to = (char *)out->data + (size_t)i * reel_dtype_bytes(out->dtype);
        reel_convert(buf, REEL_F32, (const uint16_t *)in->data + i, in->dtype, n);
        fn(to_half ? (void *)buf : to, buf, n, p);
        if (to_half) reel_convert(to, out->dtype, buf, REEL_F32, n);
    }
}

static enum reel_err unary(const struct op_call *call, const unary_fn *fns, enum reel_dtype out_dtype, const float *p)
{
    const struct reel_tensor *in = call->in[0];
    const bool half = is_half(in->dtype);
    const unary_fn fn = fns[half ? REEL_F32 : in->dtype];
    if (!fn) return typed_refuse(call, 0);
    if (!call->out[0]) return REEL_OK;
    enum reel_err err = op_alloc_out(call, 0, out_dtype, &in->shape);
    if (err) return err;
    const int64_t n = reel_tensor_count(in);
    if (n > 0 && half)
        unary_half(in, call->out[0], fn, p);
    else if (n > 0)
        fn(call->out[0]->data, in->data, n, p);
    return REEL_OK;
}

// An operator without attributes whose result has its input's type.
#define UNARY_EVAL(name)                                          \
    static enum reel_err eval_##name(const struct op_call *call)  \
    {                                                             \
        return unary(call, name##_fns, call->in[0]->dtype, NULL); \
    }
#define UNARY_OP(name, CLONES, expr32, expr64) UNARY_FLOAT(name, CLONES, expr32, expr64) UNARY_EVAL(name)

// An operator with float attributes a and b.
#define UNARY_OP_AB(name, CLONES, expr32, expr64, attr_a, default_a, attr_b, default_b) \
    UNARY_FLOAT(name, CLONES, expr32, expr64)                                           \
    static enum reel_err eval_##name(const struct op_call *call)                        \
    {                                                                                   \
        const float p[2] = {node_attr_float(call->node, attr_a, default_a),             \
                            node_attr_float(call->node, attr_b, default_b)};            \
        return unary(call, name##_fns, call->in[0]->dtype, p);                          \
    }
// The second attribute is not there.
#define UNARY_OP_A(name, CLONES, expr32, expr64, attr_a, default_a) \
    UNARY_OP_AB(name, CLONES, expr32, expr64, attr_a, default_a, "", 0.0f)

UNARY_OP(acos, , acosf(x), acos(x))
UNARY_OP(acosh, , acoshf(x), acosh(x))
UNARY_OP(asin, , asinf(x), asin(x))
UNARY_OP(asinh, , asinhf(x), asinh(x))
UNARY_OP(atan, , atanf(x), atan(x))
UNARY_OP(atanh, , atanhf(x), atanh(x))
UNARY_OP(ceil, KERN_CLONES, ceilf(x), ceil(x))
UNARY_OP(cos, , cosf(x), cos(x))
UNARY_OP(cosh, , coshf(x), cosh(x))
UNARY_OP(exp, KERN_CLONES, kern_exp1_f32(x), exp(x))
UNARY_OP(floor, KERN_CLONES, floorf(x), floor(x))
UNARY_OP(log, , logf(x), log(x))
UNARY_OP(reciprocal, KERN_CLONES, 1.0f / x, 1.0 / x)
UNARY_OP(round, KERN_CLONES, rintf(x), rint(x))
UNARY_OP(sigmoid, KERN_CLONES, kern_sigmoid1_f32(x), 1.0 / (1.0 + exp(-x)))
UNARY_OP(sin, , sinf(x), sin(x))
UNARY_OP(sinh, , sinhf(x), sinh(x))
UNARY_OP(softsign, KERN_CLONES, x / (1.0f + fabsf(x)), x / (1.0 + fabs(x)))
UNARY_OP(sqrt, KERN_CLONES, sqrtf(x), sqrt(x))
UNARY_OP(tan, , tanf(x), tan(x))
UNARY_OP(tanh, KERN_CLONES, kern_tanh1_f32(x), tanh(x))

static inline double softplus_f64_one(double x)
{
    return (x > 0 ? x : x != x ? x : 0) + log1p(exp(-fabs(x)));
}
UNARY_OP(softplus, KERN_CLONES, kern_softplus1_f32(x), softplus_f64_one(x))
UNARY_OP(mish, KERN_CLONES, kern_mish1_f32(x), x *tanh(softplus_f64_one(x)))
// max(0, min(1, y)), NaN passing.
static inline float hard_sigmoid_f32_one(float y)
{
    y = y < 0.0f ? 0.0f : y;
    return y > 1.0f ? 1.0f : y;
}
static inline double hard_sigmoid_f64_one(double y)
{
    y = y < 0.0 ? 0.0 : y;
    return y > 1.0 ? 1.0 : y;
}
// x * max(0, min(1, x / 6 + 1 / 2))
UNARY_OP(hardswish, KERN_CLONES, x *hard_sigmoid_f32_one(x *(1.0f / 6) + 0.5f),
         x *hard_sigmoid_f64_one(x *(1.0 / 6) + 0.5))

// Relu, Elu and their kind: comparisons stand so that NaN passes.
// Both sides are computed, so that the choice is no branch.
static inline float elu_f32_one(float x, float alpha)
{
    const float e = alpha * kern_expm1_neg_f32(x);
    return x > 0 ? x : e;
}
static inline float leaky_f32_one(float x, float alpha)
{
    const float y = alpha * x;
    return x < 0 ? y : x;
}
UNARY_OP_A(elu, KERN_CLONES, elu_f32_one(x, p[0]), x > 0 ? x : (double)p[0] * expm1(x), "alpha", 1.0f)
UNARY_OP_A(leaky_relu, KERN_CLONES, leaky_f32_one(x, p[0]), x < 0 ? (double)p[0] * x : x, "alpha", 0.01f)
UNARY_OP_A(thresholded_relu, KERN_CLONES,
           x > p[0] ? x
           : x != x ? x
                    : 0.0f,
           x > (double)p[0] ? x
           : x != x         ? x
                            : 0.0,
           "alpha", 1.0f)
UNARY_OP_AB(selu, KERN_CLONES, p[1] * elu_f32_one(x, p[0]), (double)p[1] * (x > 0 ? x : (double)p[0] * expm1(x)),
            "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f)
UNARY_OP_AB(hard_sigmoid, KERN_CLONES, hard_sigmoid_f32_one(p[0] * x + p[1]),
            hard_sigmoid_f64_one((double)p[0] * x + (double)p[1]), "alpha", 0.2f, "beta", 0.5f)
UNARY_OP_A(swish, KERN_CLONES, kern_silu1_f32(x, p[0]), x *(1.0 / (1.0 + exp(-(double)p[0] * x))), "alpha", 1.0f)
// max(0, x) + min(0, alpha * (exp(x / alpha) - 1)); a negative alpha swaps the
// roles, so that both terms are computed.
static inline float celu_f32_one(float x, float alpha)
{
    const float e = alpha * (alpha > 0 ? kern_expm1_neg_f32(x / alpha) : kern_exp1_f32(x / alpha) - 1.0f);
    return (x > 0 ? x : x != x ? x : 0.0f) + (e < 0 ? e : e != e ? e : 0.0f);
}
static inline double celu_f64_one(double x, double alpha)
{
    const double e = alpha * expm1(x / alpha);
    return (x > 0 ? x : x != x ? x : 0.0) + (e < 0 ? e : e != e ? e : 0.0);
}
UNARY_OP_A(celu, KERN_CLONES, celu_f32_one(x, p[0]), celu_f64_one(x, (double)p[0]), "alpha", 1.0f)
// com.microsoft QuickGelu: x * sigmoid(alpha * x)
UNARY_OP_A(quick_gelu, KERN_CLONES, kern_silu1_f32(x, p[0]), x *(1.0 / (1.0 + exp(-(double)p[0] * x))), "alpha", 1.702f)
// Experimental operators of the first opsets, found in CoreML exports.
UNARY_OP_AB(affine, KERN_CLONES, p[0] * x + p[1], (double)p[0] * x + (double)p[1], "alpha", 1.0f, "beta", 0.0f)
UNARY_OP_AB(scaled_tanh, KERN_CLONES, p[0] * kern_tanh1_f32(p[1] * x), (double)p[0] * tanh((double)p[1] * x), "alpha",
            1.0f, "beta", 1.0f)
UNARY_OP_AB(parametric_softplus, KERN_CLONES, p[0] * kern_softplus1_f32(p[1] * x),
            (double)p[0] * softplus_f64_one((double)p[1] * x), "alpha", 1.0f, "beta", 1.0f)

UNARY_FLOAT(gelu, KERN_CLONES, kern_gelu1_f32(x), 0.5 * x * (1.0 + erf(x * M_SQRT1_2)))
UNARY_FLOAT(gelu_tanh, KERN_CLONES, kern_gelu_tanh1_f32(x),
            0.5 * x * (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))))

static enum reel_err eval_gelu(const struct op_call *call)
{
    const char *approximate = node_attr_string(call->node, "approximate", "none");
    if (!strcmp(approximate, "none")) return unary(call, gelu_fns, call->in[0]->dtype, NULL);
    if (!strcmp(approximate, "tanh")) return unary(call, gelu_tanh_fns, call->in[0]->dtype, NULL);
    return reel_fail(REEL_ERR_INPUT, "attribute approximate is \"%s\", but must be \"none\" or \"tanh\"", approximate);
}

// ---- unary on integers too ------------------------------------------------

#define ENTRY(dtype, fn) [dtype] = fn,

#define ABS_SINT(D, s, T, U) UNARY_FN(abs_##s, , T, T, x < 0 ? (T)(0 - (U)x) : x)
#define SAME_UINT(D, s, T, U) UNARY_FN(same_##s, , T, T, x)
#define ABS_ENTRY(D, s, T, U) ENTRY(D, abs_##s)
#define SAME_ENTRY(D, s, T, U) ENTRY(D, same_##s)
UNARY_FN(abs_f32, KERN_CLONES, float, float, fabsf(x))
UNARY_FN(abs_f64, , double, double, fabs(x))
EACH_SINT(ABS_SINT)
EACH_UINT(SAME_UINT)
static const unary_fn abs_fns[REEL_DTYPE_COUNT] = {EACH_FLOAT(ABS_ENTRY) EACH_SINT(ABS_ENTRY) EACH_UINT(SAME_ENTRY)};
UNARY_EVAL(abs)

#define NEG_FLOAT(D, s, T, U) UNARY_FN(neg_##s, , T, T, -x)
#define NEG_SINT(D, s, T, U) UNARY_FN(neg_##s, , T, T, 0 - (U)x)
#define NEG_ENTRY(D, s, T, U) ENTRY(D, neg_##s)
EACH_FLOAT(NEG_FLOAT)
EACH_SINT(NEG_SINT)
static const unary_fn neg_fns[REEL_DTYPE_COUNT] = {EACH_FLOAT(NEG_ENTRY) EACH_SINT(NEG_ENTRY)};
UNARY_EVAL(neg)

#define SIGN_SIGNED(D, s, T, U) UNARY_FN(sign_##s, , T, T, x > 0 ? 1 : x < 0 ? -1 : x)
#define SIGN_UINT(D, s, T, U) UNARY_FN(sign_##s, , T, T, x != 0)
#define SIGN_ENTRY(D, s, T, U) ENTRY(D, sign_##s)
EACH_FLOAT(SIGN_SIGNED)
EACH_SINT(SIGN_SIGNED)
EACH_UINT(SIGN_UINT)
static const unary_fn sign_fns[REEL_DTYPE_COUNT] = {EACH_REAL(SIGN_ENTRY)};
UNARY_EVAL(sign)

#define RELU_SIGNED(D, s, T, U) UNARY_FN(relu_##s, KERN_CLONES, T, T, x < 0 ? 0 : x)
#define RELU_ENTRY(D, s, T, U) ENTRY(D, relu_##s)
EACH_FLOAT(RELU_SIGNED)
EACH_SINT(RELU_SIGNED)
static const unary_fn relu_fns[REEL_DTYPE_COUNT] = {EACH_FLOAT(RELU_ENTRY) EACH_SINT(RELU_ENTRY)};
UNARY_EVAL(relu)

// Integers were in Erf's list up to opset 12; the result is truncated.
#define ERF_INT(D, s, T, U) UNARY_FN(erf_##s, , T, T, erf((double)x))
#define ERF_ENTRY(D, s, T, U) ENTRY(D, erf_##s)
UNARY_FN(erf_f32, KERN_CLONES, float, float, kern_erf1_f32(x))
UNARY_FN(erf_f64, , double, double, erf(x))
EACH_INT(ERF_INT)
static const unary_fn erf_fns[REEL_DTYPE_COUNT] = {EACH_REAL(ERF_ENTRY)};
UNARY_EVAL(erf)

// x < -lambd ? x + bias : x > lambd ? x - bias : 0; p = {lambd, bias}
#define SHRINK_FN(D, s, T, U)                                     \
    UNARY_FN(shrink_##s, , T, T,                                  \
             (double)x < -(double)p[0] ? (double)x + (double)p[1] \
                                       : ((double)x > (double)p[0] ? (double)x - (double)p[1] : 0.0))
// Small results are truncated from double; beyond 2^53 the bias is added as an
// integer, and what leaves the type's range wraps.
static inline uint64_t shrink_int_one(double x, uint64_t bits, const float *p)
{
    if (!(x < -(double)p[0]) && !(x > (double)p[0])) return 0;
    const double bias = x < -(double)p[0] ? (double)p[1] : -(double)p[1];
    const double sum = x + bias;
    return fabs(sum) < 0x1p53 ? (uint64_t)(int64_t)sum : bits + (uint64_t)(int64_t)bias;
}
#define SHRINK_INT(D, s, T, U) UNARY_FN(shrink_##s, , T, T, shrink_int_one((double)x, (uint64_t)x, p))
#define SHRINK_ENTRY(D, s, T, U) ENTRY(D, shrink_##s)
EACH_FLOAT(SHRINK_FN)
EACH_INT(SHRINK_INT)
static const unary_fn shrink_fns[REEL_DTYPE_COUNT] = {EACH_REAL(SHRINK_ENTRY)};

static enum reel_err eval_shrink(const struct op_call *call)
{
    const float p[2] = {node_attr_float(call->node, "lambd", 0.5f), node_attr_float(call->node, "bias", 0.0f)};
    if (reel_dtype_is_float(call->in[0]->dtype)) return unary(call, shrink_fns, call->in[0]->dtype, p);
    // Integers are computed in double: keep |bias| where int64 can hold it.
    if (!(fabsf(p[1]) < 1e18f)) return reel_fail(REEL_ERR_INPUT, "attribute bias is %g: too large", (double)p[1]);
    return unary(call, shrink_fns, call->in[0]->dtype, p);
}

#define BITWISE_NOT(D, s, T, U) UNARY_FN(bitwise_not_##s, , T, T, ~(U)x)
#define BITWISE_NOT_ENTRY(D, s, T, U) ENTRY(D, bitwise_not_##s)
EACH_INT(BITWISE_NOT)
static const unary_fn bitwise_not_fns[REEL_DTYPE_COUNT] = {EACH_INT(BITWISE_NOT_ENTRY)};
UNARY_EVAL(bitwise_not)

// ---- unary with a boolean result ------------------------------------------

UNARY_FN(not_bool, , uint8_t, uint8_t, !x)
static const unary_fn not_fns[REEL_DTYPE_COUNT] = {[REEL_BOOL] = not_bool};
UNARY_EVAL(not )

UNARY_FN(isnan_f32, , float, uint8_t, x != x)
UNARY_FN(isnan_f64, , double, uint8_t, x != x)
static const unary_fn isnan_fns[REEL_DTYPE_COUNT] = {[REEL_F32] = isnan_f32, [REEL_F64] = isnan_f64};

// p = {detect_negative, detect_positive}
UNARY_FN(isinf_f32, , float, uint8_t, (x == -INFINITY && p[0] != 0) || (x == INFINITY && p[1] != 0))
UNARY_FN(isinf_f64, , double, uint8_t, (x == -INFINITY && p[0] != 0) || (x == INFINITY && p[1] != 0))
static const unary_fn isinf_fns[REEL_DTYPE_COUNT] = {[REEL_F32] = isinf_f32, [REEL_F64] = isinf_f64};

static enum reel_err eval_isnan(const struct op_call *call)
{
    return unary(call, isnan_fns, REEL_BOOL, NULL);
}

static enum reel_err eval_isinf(const struct op_call *call)
{
    const float p[2] = {node_attr_int(call->node, "detect_negative", 1) != 0,
                        node_attr_int(call->node, "detect_positive", 1) != 0};
    return unary(call, isinf_fns, REEL_BOOL, p);
}

static enum reel_err infer_bool(const struct op_call *call)
{
    infer_out(call, 0, REEL_BOOL, &call->in[0]->shape);
    return REEL_OK;
}

// ---- Cast, CastLike, BitCast ----------------------------------------------

// The type in attribute `to`. Operators of opset 1 have its name as a string.
static enum reel_err cast_target(const struct op_call *call, enum reel_dtype *out_dtype)
{
    const struct attr *to = node_attr(call->node, "to");
    if (!to) return reel_fail(REEL_ERR_INPUT, "attribute to is missing");
    *out_dtype = REEL_DTYPE_NONE;
    if (to->type == ATTR_STRING) {
        static const struct {
            const char *name;
            enum reel_dtype dtype;
        } names[] = {{"FLOAT", REEL_F32},  {"DOUBLE", REEL_F64}, {"FLOAT16", REEL_F16}, {"INT8", REEL_I8},
                     {"INT16", REEL_I16},  {"INT32", REEL_I32},  {"INT64", REEL_I64},   {"UINT8", REEL_U8},
                     {"UINT16", REEL_U16}, {"UINT32", REEL_U32}, {"UINT64", REEL_U64},  {"BOOL", REEL_BOOL}};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (!strcmp(names[i].name, to->u.s)) *out_dtype = names[i].dtype;
        if (*out_dtype) return REEL_OK;
        return reel_fail(REEL_ERR_UNSUPPORTED, "casting to type \"%s\" is not supported", to->u.s);
    }
    if (to->type != ATTR_INT) return reel_fail(REEL_ERR_INPUT, "attribute to is no integer");
    *out_dtype = dtype_of_onnx(to->u.i);
    if (*out_dtype == REEL_DTYPE_NONE || *out_dtype == REEL_STRING)
        return reel_fail(REEL_ERR_UNSUPPORTED, "casting to element type %lld is not supported", (long long)to->u.i);
    return REEL_OK;
}

// To float8 (Cast-19: saturate) and float8e8m0 (Cast-24: round_mode).
static enum reel_err cast_narrow(const struct op_call *call, enum reel_dtype dtype, int64_t n)
{
    const bool saturate = node_attr_int(call->node, "saturate", 1) != 0;
    const char *mode = node_attr_string(call->node, "round_mode", "up");
    const enum reel_e8m0_round round = !strcmp(mode, "down")      ? REEL_E8M0_DOWN
                                       : !strcmp(mode, "nearest") ? REEL_E8M0_NEAREST
                                                                  : REEL_E8M0_UP;
    if (round == REEL_E8M0_UP && strcmp(mode, "up")) return reel_fail(REEL_ERR_INPUT, "round_mode is \"%.40s\"", mode);
    uint8_t *out = call->out[0]->data;
    const struct reel_tensor *in = call->in[0];
    if (saturate && (dtype != REEL_F8E8M0 || round == REEL_E8M0_UP)) {
        reel_convert(out, dtype, in->data, in->dtype, n);
        return REEL_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        const float x = reel_f64_to_f32_odd(op_scalar(in, i));
        out[i] = dtype == REEL_F8E8M0 ? reel_f32_to_e8m0(x, saturate, round) : reel_f32_to_narrow(dtype, x, saturate);
    }
    return REEL_OK;
}

static enum reel_err cast_to(const struct op_call *call, enum reel_dtype dtype)
{
    const struct reel_tensor *in = call->in[0];
    if (!reel_dtype_bytes(in->dtype)) return typed_refuse(call, 0);
    if (!call->out[0]) return REEL_OK;
    enum reel_err err = op_alloc_out(call, 0, dtype, &in->shape);
    if (err) return err;
    const int64_t n = reel_tensor_count(in);
    if (reel_is_narrow_float(dtype) && dtype != in->dtype) return cast_narrow(call, dtype, n);
    reel_convert(call->out[0]->data, dtype, in->data, in->dtype, n);
    return REEL_OK;
}

static enum reel_err infer_cast(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = cast_target(call, &dtype);
    if (err) return err;
    infer_out(call, 0, dtype, &call->in[0]->shape);
    return REEL_OK;
}

static enum reel_err eval_cast(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = cast_target(call, &dtype);
    return err ? err : cast_to(call, dtype);
}

static enum reel_err infer_cast_like(const struct op_call *call)
{
    enum reel_err err = typed_present(call, 2);
    if (err) return err;
    infer_out(call, 0, call->in[1]->dtype, &call->in[0]->shape);
    return REEL_OK;
}

static enum reel_err eval_cast_like(const struct op_call *call)
{
    if (!reel_dtype_bytes(call->in[1]->dtype)) return typed_refuse(call, 1);
    return cast_to(call, call->in[1]->dtype);
}

static enum reel_err infer_bit_cast(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = cast_target(call, &dtype);
    if (err) return err;
    if (reel_elements_a_byte(dtype) > 1)
        return reel_fail(REEL_ERR_UNSUPPORTED, "%s is not supported", reel_dtype_name(dtype));
    if (call->in[0]->dtype && reel_dtype_bytes(dtype) != reel_dtype_bytes(call->in[0]->dtype))
        return reel_fail(REEL_ERR_INPUT, "%s and %s have elements of different sizes",
                         reel_dtype_name(call->in[0]->dtype), reel_dtype_name(dtype));
    infer_out(call, 0, dtype, &call->in[0]->shape);
    return REEL_OK;
}

static enum reel_err eval_bit_cast(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = cast_target(call, &dtype);
    if (err) return err;
    const struct reel_tensor *in = call->in[0];
    if (reel_dtype_bytes(dtype) != reel_dtype_bytes(in->dtype)) return infer_bit_cast(call);
    if (!call->out[0]) return REEL_OK;
    err = op_alloc_out(call, 0, dtype, &in->shape);
    if (err) return err;
    const size_t bytes = reel_tensor_bytes(in);
    if (bytes) memcpy(call->out[0]->data, in->data, bytes);
    // A bool holds 0 or 1 here, whatever the bits were.
    uint8_t *b = call->out[0]->data;
    for (size_t i = 0; dtype == REEL_BOOL && i < bytes; i++) b[i] = b[i] != 0;
    return REEL_OK;
}

// ---- Clip -----------------------------------------------------------------

// min(max(x, lo), hi) with the bounds read from memory; NULL: none.
typedef void (*clip_fn)(void *out, const void *in, int64_t n, const void *lo, const void *hi);

#define CLIP_FN(D, s, T, MIN, MAX)                                                                           \
    KERN_CLONES static void clip_##s(void *out, const void *in, int64_t n, const void *plo, const void *phi) \
    {                                                                                                        \
        T *o = out;                                                                                          \
        const T *v = in;                                                                                     \
        const T lo = plo ? *(const T *)plo : (MIN), hi = phi ? *(const T *)phi : (MAX);                      \
        KERN_INDEPENDENT                                                                                     \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            const T x = v[i] < lo ? lo : v[i];                                                               \
            o[i] = x > hi ? hi : x;                                                                          \
        }                                                                                                    \
    }
CLIP_FN(REEL_F32, f32, float, -INFINITY, INFINITY)
CLIP_FN(REEL_F64, f64, double, -INFINITY, INFINITY)
CLIP_FN(REEL_I8, i8, int8_t, INT8_MIN, INT8_MAX)
CLIP_FN(REEL_I16, i16, int16_t, INT16_MIN, INT16_MAX)
CLIP_FN(REEL_I32, i32, int32_t, INT32_MIN, INT32_MAX)
CLIP_FN(REEL_I64, i64, int64_t, INT64_MIN, INT64_MAX)
CLIP_FN(REEL_U8, u8, uint8_t, 0, UINT8_MAX)
CLIP_FN(REEL_U16, u16, uint16_t, 0, UINT16_MAX)
CLIP_FN(REEL_U32, u32, uint32_t, 0, UINT32_MAX)
CLIP_FN(REEL_U64, u64, uint64_t, 0, UINT64_MAX)
#define CLIP_ENTRY(D, s, T, U) ENTRY(D, clip_##s)
static const clip_fn clip_fns[REEL_DTYPE_COUNT] = {EACH_REAL(CLIP_ENTRY)};

static enum reel_err clip_between(const struct op_call *call, const void *lo, const void *hi)
{
    const struct reel_tensor *in = call->in[0];
    if (!clip_fns[in->dtype]) return typed_refuse(call, 0);
    if (!call->out[0]) return REEL_OK;
    enum reel_err err = op_alloc_out(call, 0, in->dtype, &in->shape);
    if (err) return err;
    const int64_t n = reel_tensor_count(in);
    if (n > 0) clip_fns[in->dtype](call->out[0]->data, in->data, n, lo, hi);
    return REEL_OK;
}

// Opsets 1 to 10: the bounds are float attributes.
static enum reel_err eval_clip_attr(const struct op_call *call)
{
    HALVES_IN_F32(eval_clip_attr);
    const float lo = node_attr_float(call->node, "min", -INFINITY);
    const float hi = node_attr_float(call->node, "max", INFINITY);
    const double lo64 = (double)lo, hi64 = (double)hi;
    return call->in[0]->dtype == REEL_F64 ? clip_between(call, &lo64, &hi64) : clip_between(call, &lo, &hi);
}

static enum reel_err infer_clip(const struct op_call *call)
{
    for (int i = 1; i < call->n_in; i++) {
        if (!call->in[i]) continue;
        enum reel_err err = typed_same(call, 0, i);
        if (err) return err;
        const int64_t n = reel_shape_count(&call->in[i]->shape);
        if (n >= 0 && n != 1) return reel_fail(REEL_ERR_INPUT, "bound %d has %lld elements, not 1", i, (long long)n);
    }
    return op_infer_same(call);
}

static enum reel_err eval_clip(const struct op_call *call)
{
    HALVES_IN_F32(eval_clip);
    const void *bound[2] = {NULL, NULL};
    for (int i = 1; i < call->n_in && i < 3; i++) {
        const struct reel_tensor *t = call->in[i];
        if (!t) continue;
        enum reel_err err = typed_same(call, 0, i);
        if (err) return err;
        if (reel_tensor_count(t) != 1) return reel_fail(REEL_ERR_INPUT, "bound %d is no scalar", i);
        bound[i - 1] = t->data;
    }
    return clip_between(call, bound[0], bound[1]);
}

// ---- binary: one function per type ----------------------------------------

// A run of n results; an operand whose step is 0 is one element.
typedef void (*binary_fn)(void *out, const void *a, int64_t step_a, const void *b, int64_t step_b, int64_t n);

#define BINARY_LOOP(X, Y, expression)     \
    do {                                  \
        KERN_INDEPENDENT                  \
        for (int64_t i = 0; i < n; i++) { \
            const Type x = X, y = Y;      \
            o[i] = (Result)(expression);  \
        }                                 \
    } while (0)
#define BINARY_FN(name, CLONES, T, R, W, expression)                                                              \
    CLONES static void name(void *out, const void *pa, int64_t step_a, const void *pb, int64_t step_b, int64_t n) \
    {                                                                                                             \
        typedef T Type;                                                                                           \
        typedef R Result;                                                                                         \
        typedef W Wrap __attribute__((unused));                                                                   \
        R *o = out;                                                                                               \
        const T *a = pa, *b = pb;                                                                                 \
        if (step_a && step_b) {                                                                                   \
            BINARY_LOOP(a[i], b[i], expression);                                                                  \
        } else if (step_a) {                                                                                      \
            const T one = *b;                                                                                     \
            BINARY_LOOP(a[i], one, expression);                                                                   \
        } else if (step_b) {                                                                                      \
            const T one = *a;                                                                                     \
            BINARY_LOOP(one, b[i], expression);                                                                   \
        } else {                                                                                                  \
            const T first = *a, second = *b;                                                                      \
            BINARY_LOOP(first, second, expression);                                                               \
        }                                                                                                         \
    }

// The shape of the second operand as broadcasting sees it. Opsets 1 to 6 align
// it with attribute axis where attribute broadcast asks for it: trailing
// extents of 1 do the same in today's rules.
static enum reel_err second_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    const struct reel_shape *a = &call->in[0]->shape, *b = &call->in[1]->shape;
    *out_shape = *b;
    if (call->opset >= 7 || !node_attr_int(call->node, "broadcast", 0) || a->ndim < 0 || b->ndim < 0) return REEL_OK;
    const struct attr *axis = node_attr(call->node, "axis");
    if (!axis) return REEL_OK;
    const int64_t at = axis->u.i < 0 ? axis->u.i + a->ndim : axis->u.i;
    if (axis->type != ATTR_INT || at < 0 || at > a->ndim || b->ndim > a->ndim - at)
        return reel_fail(REEL_ERR_INPUT, "attribute axis does not fit operands of rank %d and %d", a->ndim, b->ndim);
    while (out_shape->ndim < a->ndim - at) out_shape->dim[out_shape->ndim++] = 1;
    return REEL_OK;
}

static enum reel_err binary_shape(const struct op_call *call, struct reel_shape *out_b, struct reel_shape *out_shape)
{
    enum reel_err err = second_shape(call, out_b);
    if (err) return err;
    if (call->in[0]->shape.ndim < 0 || out_b->ndim < 0) {
        *out_shape = shape_unknown();
        return REEL_OK;
    }
    return op_broadcast(&call->in[0]->shape, out_b, out_shape);
}

static enum reel_err infer_binary_as(const struct op_call *call, enum reel_dtype dtype)
{
    struct reel_shape b, shape;
    enum reel_err err = typed_same(call, 0, 1);
    if (!err) err = binary_shape(call, &b, &shape);
    if (!err) infer_out(call, 0, dtype, &shape);
    return err;
}

static enum reel_err infer_binary(const struct op_call *call)
{
    return infer_binary_as(call, call->in[0]->dtype);
}

static enum reel_err infer_compare(const struct op_call *call)
{
    return infer_binary_as(call, REEL_BOOL);
}

// out = fn(a, b) over the broadcast shape.
static void binary_run(binary_fn fn, struct reel_tensor *out, const void *a, const struct reel_shape *a_shape,
                       const void *b, const struct reel_shape *b_shape, size_t in_bytes)
{
    struct walk w;
    const size_t out_bytes = reel_dtype_bytes(out->dtype);
    char *o = out->data;
    for (walk_start(&w, &out->shape, (const struct reel_shape *const[]){a_shape, b_shape}, 2); !w.done; walk_next(&w))
        fn(o + (size_t)w.out * out_bytes, (const char *)a + (size_t)w.at[0] * in_bytes, w.step[0],
           (const char *)b + (size_t)w.at[1] * in_bytes, w.step[1], w.run);
}

static enum reel_err binary(const struct op_call *call, const binary_fn *fns, enum reel_dtype out_dtype)
{
    const struct reel_tensor *a = call->in[0], *b = call->in[1];
    if (!fns[a->dtype]) return typed_refuse(call, 0);
    struct reel_shape b_shape, shape;
    enum reel_err err = typed_same(call, 0, 1);
    if (!err) err = binary_shape(call, &b_shape, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, out_dtype, &shape);
    if (err) return err;
    binary_run(fns[a->dtype], call->out[0], a->data, &a->shape, b->data, &b_shape, reel_dtype_bytes(a->dtype));
    return REEL_OK;
}

#define BINARY_EVAL(name, out_dtype)                             \
    static enum reel_err eval_##name(const struct op_call *call) \
    {                                                            \
        HALVES_IN_F32(eval_##name);                              \
        return binary(call, name##_fns, out_dtype);              \
    }

// ---- arithmetic -----------------------------------------------------------

#define ADD_FLOAT(D, s, T, U) BINARY_FN(add_##s, KERN_CLONES, T, T, U, x + y)
#define ADD_INT(D, s, T, U) BINARY_FN(add_##s, , T, T, U, (Wrap)x + (Wrap)y)
#define ADD_ENTRY(D, s, T, U) ENTRY(D, add_##s)
EACH_FLOAT(ADD_FLOAT)
EACH_INT(ADD_INT)
static const binary_fn add_fns[REEL_DTYPE_COUNT] = {EACH_REAL(ADD_ENTRY)};
BINARY_EVAL(add, call->in[0]->dtype)

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
    return binary(call, node_attr_int(call->node, "fmod", 0) ? fmod_fns : mod_fns, call->in[0]->dtype);
}

// ---- comparison and logic -------------------------------------------------

#define EQUAL_FN(D, s, T, U) BINARY_FN(equal_##s, , T, uint8_t, U, x == y)
#define EQUAL_ENTRY(D, s, T, U) ENTRY(D, equal_##s)
EACH_REAL(EQUAL_FN)
static const binary_fn equal_fns[REEL_DTYPE_COUNT] = {EACH_REAL(EQUAL_ENTRY)[REEL_BOOL] = equal_u8};
BINARY_EVAL(equal, REEL_BOOL)

#define LESS_FN(D, s, T, U) BINARY_FN(less_##s, , T, uint8_t, U, x < y)
#define LESS_ENTRY(D, s, T, U) ENTRY(D, less_##s)
EACH_REAL(LESS_FN)
static const binary_fn less_fns[REEL_DTYPE_COUNT] = {EACH_REAL(LESS_ENTRY)};
BINARY_EVAL(less, REEL_BOOL)

#define LESS_EQUAL_FN(D, s, T, U) BINARY_FN(less_equal_##s, , T, uint8_t, U, x <= y)
#define LESS_EQUAL_ENTRY(D, s, T, U) ENTRY(D, less_equal_##s)
EACH_REAL(LESS_EQUAL_FN)
static const binary_fn less_equal_fns[REEL_DTYPE_COUNT] = {EACH_REAL(LESS_EQUAL_ENTRY)};
BINARY_EVAL(less_equal, REEL_BOOL)

#define GREATER_FN(D, s, T, U) BINARY_FN(greater_##s, , T, uint8_t, U, x > y)
#define GREATER_ENTRY(D, s, T, U) ENTRY(D, greater_##s)
EACH_REAL(GREATER_FN)
static const binary_fn greater_fns[REEL_DTYPE_COUNT] = {EACH_REAL(GREATER_ENTRY)};
BINARY_EVAL(greater, REEL_BOOL)

#define GREATER_EQUAL_FN(D, s, T, U) BINARY_FN(greater_equal_##s, , T, uint8_t, U, x >= y)
#define GREATER_EQUAL_ENTRY(D, s, T, U) ENTRY(D, greater_equal_##s)
EACH_REAL(GREATER_EQUAL_FN)
static const binary_fn greater_equal_fns[REEL_DTYPE_COUNT] = {EACH_REAL(GREATER_EQUAL_ENTRY)};
BINARY_EVAL(greater_equal, REEL_BOOL)

#define BITWISE_AND_FN(D, s, T, U) BINARY_FN(bitwise_and_##s, , T, T, U, x &y)
#define BITWISE_OR_FN(D, s, T, U) BINARY_FN(bitwise_or_##s, , T, T, U, x | y)
#define BITWISE_XOR_FN(D, s, T, U) BINARY_FN(bitwise_xor_##s, , T, T, U, x ^ y)
#define BITWISE_AND_ENTRY(D, s, T, U) ENTRY(D, bitwise_and_##s)
#define BITWISE_OR_ENTRY(D, s, T, U) ENTRY(D, bitwise_or_##s)
#define BITWISE_XOR_ENTRY(D, s, T, U) ENTRY(D, bitwise_xor_##s)
EACH_INT(BITWISE_AND_FN)
EACH_INT(BITWISE_OR_FN)
EACH_INT(BITWISE_XOR_FN)
static const binary_fn bitwise_and_fns[REEL_DTYPE_COUNT] = {EACH_INT(BITWISE_AND_ENTRY)};
static const binary_fn bitwise_or_fns[REEL_DTYPE_COUNT] = {EACH_INT(BITWISE_OR_ENTRY)};
static const binary_fn bitwise_xor_fns[REEL_DTYPE_COUNT] = {EACH_INT(BITWISE_XOR_ENTRY)};
BINARY_EVAL(bitwise_and, call->in[0]->dtype)
BINARY_EVAL(bitwise_or, call->in[0]->dtype)
BINARY_EVAL(bitwise_xor, call->in[0]->dtype)

// Booleans are bytes of 0 or 1, but a file's data may say otherwise.
BINARY_FN(and_bool, , uint8_t, uint8_t, uint8_t, x &&y)
BINARY_FN(or_bool, , uint8_t, uint8_t, uint8_t, x || y)
BINARY_FN(xor_bool, , uint8_t, uint8_t, uint8_t, !x != !y)
static const binary_fn and_fns[REEL_DTYPE_COUNT] = {[REEL_BOOL] = and_bool};
static const binary_fn or_fns[REEL_DTYPE_COUNT] = {[REEL_BOOL] = or_bool};
static const binary_fn xor_fns[REEL_DTYPE_COUNT] = {[REEL_BOOL] = xor_bool};
BINARY_EVAL(and, REEL_BOOL)
BINARY_EVAL(or, REEL_BOOL)
BINARY_EVAL(xor, REEL_BOOL)

// A shift by a negative amount or by all the bits of the type or more leaves
// what the sign's extension alone produces (opset 28; undefined before).
#define BITS(T) ((int)(8 * sizeof(T)))
#define SHIFT_LEFT(D, s, T, U) BINARY_FN(shift_left_##s, , T, T, U, (uint64_t)y < BITS(T) ? (Wrap)x << y : 0)
#define SHIFT_RIGHT_UINT(D, s, T, U) BINARY_FN(shift_right_##s, , T, T, U, y < BITS(T) ? x >> y : 0)
#define SHIFT_RIGHT_SINT(D, s, T, U) \
    BINARY_FN(shift_right_##s, , T, T, U, x >> (y >= 0 && y < BITS(T) ? (int)y : BITS(T) - 1))
#define SHIFT_LEFT_ENTRY(D, s, T, U) ENTRY(D, shift_left_##s)
#define SHIFT_RIGHT_ENTRY(D, s, T, U) ENTRY(D, shift_right_##s)
EACH_INT(SHIFT_LEFT)
EACH_UINT(SHIFT_RIGHT_UINT)
EACH_SINT(SHIFT_RIGHT_SINT)
static const binary_fn shift_left_fns[REEL_DTYPE_COUNT] = {EACH_INT(SHIFT_LEFT_ENTRY)};
static const binary_fn shift_right_fns[REEL_DTYPE_COUNT] = {EACH_INT(SHIFT_RIGHT_ENTRY)};

static enum reel_err eval_bit_shift(const struct op_call *call)
{
    const char *direction = node_attr_string(call->node, "direction", "");
    if (!strcmp(direction, "LEFT")) return binary(call, shift_left_fns, call->in[0]->dtype);
    if (!strcmp(direction, "RIGHT")) return binary(call, shift_right_fns, call->in[0]->dtype);
    return reel_fail(REEL_ERR_INPUT, "attribute direction is \"%s\", but must be \"LEFT\" or \"RIGHT\"", direction);
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

// ---- PRelu ----------------------------------------------------------------

#define PRELU_SIGNED(D, s, T, U) BINARY_FN(prelu_##s, KERN_CLONES, T, T, U, x < 0 ? x * y : x)
#define PRELU_SINT(D, s, T, U) BINARY_FN(prelu_##s, , T, T, U, x < 0 ? (T)((Wrap)x * (Wrap)y) : x)
#define PRELU_UINT(D, s, T, U) BINARY_FN(prelu_##s, , T, T, U, ((void)y, x))
#define PRELU_ENTRY(D, s, T, U) ENTRY(D, prelu_##s)
EACH_FLOAT(PRELU_SIGNED)
EACH_SINT(PRELU_SINT)
EACH_UINT(PRELU_UINT)
static const binary_fn prelu_fns[REEL_DTYPE_COUNT] = {EACH_REAL(PRELU_ENTRY)};

// The slope's shape, which must broadcast to x's. Before opset 7 a slope of
// more than one element has one per channel.
static enum reel_err prelu_slope(const struct op_call *call, struct reel_shape *out_slope)
{
    const struct reel_shape *x = &call->in[0]->shape;
    *out_slope = call->in[1]->shape;
    if (x->ndim < 0 || out_slope->ndim < 0) return REEL_OK;
    if (call->opset < 7 && out_slope->ndim == 1 && out_slope->dim[0] != 1)
        while (out_slope->ndim < x->ndim - 1) out_slope->dim[out_slope->ndim++] = 1;
    struct reel_shape both;
    enum reel_err err = op_broadcast(x, out_slope, &both);
    if (err) return err;
    bool same = both.ndim == x->ndim;
    for (int d = 0; same && d < x->ndim; d++) same = x->dim[d] < 0 || both.dim[d] < 0 || both.dim[d] == x->dim[d];
    if (same) return REEL_OK;
    char from[96], to[96];
    return reel_fail(REEL_ERR_INPUT, "slope of shape %s does not broadcast to %s",
                     reel_shape_text(out_slope, from, sizeof from), reel_shape_text(x, to, sizeof to));
}

static enum reel_err infer_prelu(const struct op_call *call)
{
    struct reel_shape slope;
    enum reel_err err = typed_same(call, 0, 1);
    if (!err) err = prelu_slope(call, &slope);
    return err ? err : op_infer_same(call);
}

static enum reel_err eval_prelu(const struct op_call *call)
{
    HALVES_IN_F32(eval_prelu);
    const struct reel_tensor *x = call->in[0];
    if (!prelu_fns[x->dtype]) return typed_refuse(call, 0);
    struct reel_shape slope;
    enum reel_err err = typed_same(call, 0, 1);
    if (!err) err = prelu_slope(call, &slope);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, x->dtype, &x->shape);
    if (err) return err;
    binary_run(prelu_fns[x->dtype], call->out[0], x->data, &x->shape, call->in[1]->data, &slope,
               reel_dtype_bytes(x->dtype));
    return REEL_OK;
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

// ---- Where ----------------------------------------------------------------

// By element size: the bits are moved, whatever they mean.
#define WHERE_FN(name, T)                                                                                         \
    static void name(void *out, const uint8_t *c, const int64_t *step, const void *px, const void *py, int64_t n) \
    {                                                                                                             \
        T *o = out;                                                                                               \
        const T *x = px, *y = py;                                                                                 \
        if (step[0] && step[1] && step[2]) {                                                                      \
            for (int64_t i = 0; i < n; i++) o[i] = c[i] ? x[i] : y[i];                                            \
        } else if (step[0] && step[2]) {                                                                          \
            const T one = *x;                                                                                     \
            for (int64_t i = 0; i < n; i++) o[i] = c[i] ? one : y[i];                                             \
        } else if (step[0] && step[1]) {                                                                          \
            const T one = *y;                                                                                     \
            for (int64_t i = 0; i < n; i++) o[i] = c[i] ? x[i] : one;                                             \
        } else {                                                                                                  \
            for (int64_t i = 0; i < n; i++) o[i] = c[i * step[0]] ? x[i * step[1]] : y[i * step[2]];              \
        }                                                                                                         \
    }
WHERE_FN(where_1, uint8_t)
WHERE_FN(where_2, uint16_t)
WHERE_FN(where_4, uint32_t)
WHERE_FN(where_8, uint64_t)

static enum reel_err where_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    enum reel_err err = typed_present(call, 3);
    if (!err) err = typed_same(call, 1, 2);
    if (!err && call->in[0]->dtype != REEL_BOOL) err = typed_refuse(call, 0);
    if (!err && !reel_dtype_bytes(call->in[1]->dtype)) err = typed_refuse(call, 1);
    if (err) return err;
    for (int i = 0; i < 3; i++)
        if (call->in[i]->shape.ndim < 0) {
            *out_shape = shape_unknown();
            return REEL_OK;
        }
    struct reel_shape values;
    err = op_broadcast(&call->in[1]->shape, &call->in[2]->shape, &values);
    return err ? err : op_broadcast(&call->in[0]->shape, &values, out_shape);
}

static enum reel_err infer_where(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = where_shape(call, &shape);
    if (!err) infer_out(call, 0, call->in[1]->dtype, &shape);
    return err;
}

static enum reel_err eval_where(const struct op_call *call)
{
    const struct reel_tensor *c = call->in[0], *x = call->in[1], *y = call->in[2];
    struct reel_shape shape;
    enum reel_err err = where_shape(call, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, x->dtype, &shape);
    if (err) return err;
    const size_t bytes = reel_dtype_bytes(x->dtype);
    char *out = call->out[0]->data;
    const struct reel_shape *const shapes[] = {&c->shape, &x->shape, &y->shape};
    struct walk w;
    for (walk_start(&w, &shape, shapes, 3); !w.done; walk_next(&w)) {
        const uint8_t *pc = (const uint8_t *)c->data + w.at[0];
        const char *px = (const char *)x->data + (size_t)w.at[1] * bytes;
        const char *py = (const char *)y->data + (size_t)w.at[2] * bytes;
        char *po = out + (size_t)w.out * bytes;
        if (bytes == 1) where_1(po, pc, w.step, px, py, w.run);
        if (bytes == 2) where_2(po, pc, w.step, px, py, w.run);
        if (bytes == 4) where_4(po, pc, w.step, px, py, w.run);
        if (bytes == 8) where_8(po, pc, w.step, px, py, w.run);
    }
    return REEL_OK;
}

// ---- com.microsoft's Gelu with a bias -------------------------------------

static enum reel_err infer_bias_gelu(const struct op_call *call)
{
    // BiasGelu cannot do without its bias, FastGelu can.
    if (!strcmp(call->node->op_type, "BiasGelu") && !call_in(call, 1))
        return reel_fail(REEL_ERR_INPUT, "the bias is missing");
    return call_in(call, 1) ? infer_binary(call) : op_infer_same(call);
}

static enum reel_err bias_gelu(const struct op_call *call, const unary_fn *fns)
{
    if (!call_in(call, 1)) return unary(call, fns, call->in[0]->dtype, NULL);
    if (!fns[call->in[0]->dtype]) return typed_refuse(call, 0);
    enum reel_err err = binary(call, add_fns, call->in[0]->dtype);
    struct reel_tensor *out = call->out[0];
    if (err || !out) return err;
    const int64_t n = reel_tensor_count(out);
    if (n > 0) fns[out->dtype](out->data, out->data, n, NULL);
    return REEL_OK;
}

static enum reel_err eval_bias_gelu(const struct op_call *call)
{
    HALVES_IN_F32(eval_bias_gelu);
    return bias_gelu(call, gelu_fns);
}

static enum reel_err eval_fast_gelu(const struct op_call *call)
{
    HALVES_IN_F32(eval_fast_gelu);
    return bias_gelu(call, gelu_tanh_fns);
}

// ---- ImageScaler (experimental, until opset 9) ----------------------------

// (N,C,...) f32: x * scale + bias[c]
static enum reel_err eval_image_scaler(const struct op_call *call)
{
    HALVES_IN_F32(eval_image_scaler);
    const struct reel_tensor *in = call->in[0];
    if (in->dtype != REEL_F32) return typed_refuse(call, 0);
    const float *bias = NULL;
    const int n_bias = node_attr_floats(call->node, "bias", &bias);
    if (in->shape.ndim < 2 || (n_bias && n_bias != in->shape.dim[1]))
        return reel_fail(REEL_ERR_INPUT, "attribute bias has %d values, which does not fit the channels", n_bias);
    if (!call->out[0]) return REEL_OK;
    enum reel_err err = op_alloc_out(call, 0, REEL_F32, &in->shape);
    if (err || reel_tensor_count(in) == 0) return err;
    const int64_t channels = in->shape.dim[1], area = shape_span(&in->shape, 2, in->shape.ndim);
    const float scale = node_attr_float(call->node, "scale", 1.0f);
    for (int64_t i = 0; i < in->shape.dim[0] * channels; i++) {
        const float p[2] = {scale, n_bias ? bias[i % channels] : 0.0f};
        affine_f32((float *)call->out[0]->data + i * area, (const float *)in->data + i * area, area, p);
    }
    return REEL_OK;
}

// ---- the table ------------------------------------------------------------

#define MS "com.microsoft"
#define SINT_FLOAT (TYPES_FLOAT | TYPES_SINT)
#define UNARY_DEF(domain, op, since, until, types, eval)                                       \
    {                                                                                          \
        domain, op, since, until, 1, 1, 1, 1, types, OP_ELEMENTWISE, op_infer_same, eval, NULL \
    }
#define BOOL_DEF(op, since, types, eval)                                                     \
    {                                                                                        \
        "", op, since, OPSET_LAST, 1, 1, 1, 1, types, OP_ELEMENTWISE, infer_bool, eval, NULL \
    }
#define BINARY_DEF(op, since, types, infer, eval)                                       \
    {                                                                                   \
        "", op, since, OPSET_LAST, 2, 2, 1, 1, types, OP_ELEMENTWISE, infer, eval, NULL \
    }
#define VARIADIC_DEF(op, types, eval)                                                         \
    {                                                                                         \
        "", op, 1, OPSET_LAST, 1, -1, 1, 1, types, OP_ELEMENTWISE, infer_variadic, eval, NULL \
    }
// Experimental operators went away with opset 10.
#define EXPERIMENTAL_LAST 9
#define NO_STRINGS "no strings"

const struct op_def ops_elementwise[] = {
    UNARY_DEF("", "Abs", 1, OPSET_LAST, TYPES_NUM, eval_abs),
    UNARY_DEF("", "Acos", 7, OPSET_LAST, TYPES_FLOAT, eval_acos),
    UNARY_DEF("", "Acosh", 9, OPSET_LAST, TYPES_FLOAT, eval_acosh),
    BINARY_DEF("Add", 1, TYPES_NUM, infer_binary, eval_add),
    UNARY_DEF("", "Affine", 1, EXPERIMENTAL_LAST, TYPES_FLOAT, eval_affine),
    BINARY_DEF("And", 1, T_(REEL_BOOL), infer_compare, eval_and),
    UNARY_DEF("", "Asin", 7, OPSET_LAST, TYPES_FLOAT, eval_asin),
    UNARY_DEF("", "Asinh", 9, OPSET_LAST, TYPES_FLOAT, eval_asinh),
    UNARY_DEF("", "Atan", 7, OPSET_LAST, TYPES_FLOAT, eval_atan),
    UNARY_DEF("", "Atanh", 9, OPSET_LAST, TYPES_FLOAT, eval_atanh),
    {"", "BitCast", 26, OPSET_LAST, 1, 1, 1, 1, TYPES_ALL | TYPES_FLOAT8 | T_(REEL_F8E8M0), OP_ELEMENTWISE,
     infer_bit_cast, eval_bit_cast, "no strings, no types of 4 bits and less"},
    BINARY_DEF("BitShift", 11, TYPES_INT, infer_binary, eval_bit_shift),
    BINARY_DEF("BitwiseAnd", 18, TYPES_INT, infer_binary, eval_bitwise_and),
    UNARY_DEF("", "BitwiseNot", 18, OPSET_LAST, TYPES_INT, eval_bitwise_not),
    BINARY_DEF("BitwiseOr", 18, TYPES_INT, infer_binary, eval_bitwise_or),
    BINARY_DEF("BitwiseXor", 18, TYPES_INT, infer_binary, eval_bitwise_xor),
    {"", "Cast", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_ANY, OP_ELEMENTWISE, infer_cast, eval_cast, NO_STRINGS},
    {"", "CastLike", 15, OPSET_LAST, 2, 2, 1, 1, TYPES_ANY, OP_ELEMENTWISE, infer_cast_like, eval_cast_like,
     NO_STRINGS},
    UNARY_DEF("", "Ceil", 1, OPSET_LAST, TYPES_FLOAT, eval_ceil),
    UNARY_DEF("", "Celu", 12, OPSET_LAST, TYPES_FLOAT, eval_celu),
    UNARY_DEF("", "Clip", 1, 10, TYPES_FLOAT, eval_clip_attr),
    {"", "Clip", 11, OPSET_LAST, 1, 3, 1, 1, TYPES_NUM, OP_ELEMENTWISE, infer_clip, eval_clip, NULL},
    UNARY_DEF("", "Cos", 7, OPSET_LAST, TYPES_FLOAT, eval_cos),
    UNARY_DEF("", "Cosh", 9, OPSET_LAST, TYPES_FLOAT, eval_cosh),
    BINARY_DEF("Div", 1, TYPES_NUM, infer_binary, eval_div),
    UNARY_DEF("", "Elu", 1, OPSET_LAST, TYPES_FLOAT, eval_elu),
    BINARY_DEF("Equal", 1, TYPES_ALL, infer_compare, eval_equal),
    UNARY_DEF("", "Erf", 9, OPSET_LAST, TYPES_NUM, eval_erf),
    UNARY_DEF("", "Exp", 1, OPSET_LAST, TYPES_FLOAT, eval_exp),
    UNARY_DEF("", "Floor", 1, OPSET_LAST, TYPES_FLOAT, eval_floor),
    UNARY_DEF("", "Gelu", 20, OPSET_LAST, TYPES_FLOAT, eval_gelu),
    BINARY_DEF("Greater", 1, TYPES_NUM, infer_compare, eval_greater),
    BINARY_DEF("GreaterOrEqual", 12, TYPES_NUM, infer_compare, eval_greater_equal),
    UNARY_DEF("", "HardSigmoid", 1, OPSET_LAST, TYPES_FLOAT, eval_hard_sigmoid),
    UNARY_DEF("", "HardSwish", 14, OPSET_LAST, TYPES_FLOAT, eval_hardswish),
    UNARY_DEF("", "ImageScaler", 1, EXPERIMENTAL_LAST, T_(REEL_F32) | T_(REEL_F16) | T_(REEL_BF16), eval_image_scaler),
    BOOL_DEF("IsInf", 10, TYPES_FLOAT, eval_isinf),
    BOOL_DEF("IsNaN", 9, TYPES_FLOAT, eval_isnan),
    UNARY_DEF("", "LeakyRelu", 1, OPSET_LAST, TYPES_FLOAT, eval_leaky_relu),
    BINARY_DEF("Less", 1, TYPES_NUM, infer_compare, eval_less),
    BINARY_DEF("LessOrEqual", 12, TYPES_NUM, infer_compare, eval_less_equal),
    UNARY_DEF("", "Log", 1, OPSET_LAST, TYPES_FLOAT, eval_log),
    VARIADIC_DEF("Max", TYPES_NUM, eval_max),
    VARIADIC_DEF("Mean", TYPES_FLOAT, eval_mean),
    VARIADIC_DEF("Min", TYPES_NUM, eval_min),
    UNARY_DEF("", "Mish", 18, OPSET_LAST, TYPES_FLOAT, eval_mish),
    BINARY_DEF("Mod", 10, TYPES_NUM, infer_binary, eval_mod),
    BINARY_DEF("Mul", 1, TYPES_NUM, infer_binary, eval_mul),
    UNARY_DEF("", "Neg", 1, OPSET_LAST, SINT_FLOAT, eval_neg),
    UNARY_DEF("", "Not", 1, OPSET_LAST, T_(REEL_BOOL), eval_not),
    BINARY_DEF("Or", 1, T_(REEL_BOOL), infer_compare, eval_or),
    UNARY_DEF("", "ParametricSoftplus", 1, EXPERIMENTAL_LAST, TYPES_FLOAT, eval_parametric_softplus),
    BINARY_DEF("Pow", 1, TYPES_NUM, infer_pow, eval_pow),
    BINARY_DEF("PRelu", 1, TYPES_NUM, infer_prelu, eval_prelu),
    UNARY_DEF("", "Reciprocal", 1, OPSET_LAST, TYPES_FLOAT, eval_reciprocal),
    UNARY_DEF("", "Relu", 1, OPSET_LAST, SINT_FLOAT, eval_relu),
    UNARY_DEF("", "Round", 11, OPSET_LAST, TYPES_FLOAT, eval_round),
    UNARY_DEF("", "ScaledTanh", 1, EXPERIMENTAL_LAST, TYPES_FLOAT, eval_scaled_tanh),
    UNARY_DEF("", "Selu", 1, OPSET_LAST, TYPES_FLOAT, eval_selu),
    UNARY_DEF("", "Shrink", 9, OPSET_LAST, TYPES_NUM, eval_shrink),
    UNARY_DEF("", "Sigmoid", 1, OPSET_LAST, TYPES_FLOAT, eval_sigmoid),
    UNARY_DEF("", "Sign", 9, OPSET_LAST, TYPES_NUM, eval_sign),
    UNARY_DEF("", "Sin", 7, OPSET_LAST, TYPES_FLOAT, eval_sin),
    UNARY_DEF("", "Sinh", 9, OPSET_LAST, TYPES_FLOAT, eval_sinh),
    UNARY_DEF("", "Softplus", 1, OPSET_LAST, TYPES_FLOAT, eval_softplus),
    UNARY_DEF("", "Softsign", 1, OPSET_LAST, TYPES_FLOAT, eval_softsign),
    UNARY_DEF("", "Sqrt", 1, OPSET_LAST, TYPES_FLOAT, eval_sqrt),
    BINARY_DEF("Sub", 1, TYPES_NUM, infer_binary, eval_sub),
    VARIADIC_DEF("Sum", TYPES_NUM, eval_sum),
    UNARY_DEF("", "Swish", 24, OPSET_LAST, TYPES_FLOAT, eval_swish),
    UNARY_DEF("", "Tan", 7, OPSET_LAST, TYPES_FLOAT, eval_tan),
    UNARY_DEF("", "Tanh", 1, OPSET_LAST, TYPES_FLOAT, eval_tanh),
    UNARY_DEF("", "ThresholdedRelu", 1, OPSET_LAST, TYPES_FLOAT, eval_thresholded_relu),
    {"", "Where", 9, OPSET_LAST, 3, 3, 1, 1, T_(REEL_BOOL), OP_ELEMENTWISE, infer_where, eval_where, "no strings"},
    BINARY_DEF("Xor", 1, T_(REEL_BOOL), infer_compare, eval_xor),

    {MS, "BiasGelu", 1, OPSET_LAST, 2, 2, 1, 1, TYPES_FLOAT, OP_ELEMENTWISE, infer_bias_gelu, eval_bias_gelu, NULL},
    {MS, "FastGelu", 1, OPSET_LAST, 1, 2, 1, 1, TYPES_FLOAT, OP_ELEMENTWISE, infer_bias_gelu, eval_fast_gelu, NULL},
    UNARY_DEF(MS, "Gelu", 1, OPSET_LAST, TYPES_FLOAT, eval_gelu),
    UNARY_DEF(MS, "QuickGelu", 1, OPSET_LAST, TYPES_FLOAT, eval_quick_gelu),
};
const int ops_elementwise_count = sizeof ops_elementwise / sizeof *ops_elementwise;
