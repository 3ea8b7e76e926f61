// SPDX-License-Identifier: MIT
//
// The family unary: functions of one operand (arithmetic, signs, Not, bits, and
// questions such as IsNaN). Its activations are activation.c. See elementwise.h.
#include "kernels/math.h"
#include "worker/onnx/ops/elementwise.h"

// ---- floats ---------------------------------------------------------------

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
UNARY_OP(sin, , sinf(x), sin(x))
UNARY_OP(sinh, , sinhf(x), sinh(x))
UNARY_OP(sqrt, KERN_CLONES, sqrtf(x), sqrt(x))
UNARY_OP(tan, , tanf(x), tan(x))

// ---- integers too ---------------------------------------------------------

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

// Integers were in Erf's list up to opset 12; the result is truncated.
#define ERF_INT(D, s, T, U) UNARY_FN(erf_##s, , T, T, erf((double)x))
#define ERF_ENTRY(D, s, T, U) ENTRY(D, erf_##s)
UNARY_FN(erf_f32, KERN_CLONES, float, float, kern_erf1_f32(x))
UNARY_FN(erf_f64, , double, double, erf(x))
EACH_INT(ERF_INT)
static const unary_fn erf_fns[REEL_DTYPE_COUNT] = {EACH_REAL(ERF_ENTRY)};
UNARY_EVAL(erf)

#define BITWISE_NOT(D, s, T, U) UNARY_FN(bitwise_not_##s, , T, T, ~(U)x)
#define BITWISE_NOT_ENTRY(D, s, T, U) ENTRY(D, bitwise_not_##s)
EACH_INT(BITWISE_NOT)
static const unary_fn bitwise_not_fns[REEL_DTYPE_COUNT] = {EACH_INT(BITWISE_NOT_ENTRY)};
UNARY_EVAL(bitwise_not)

// ---- with a boolean result ------------------------------------------------

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
    return unary_eval(call, isnan_fns, REEL_BOOL, NULL);
}

static enum reel_err eval_isinf(const struct op_call *call)
{
    const float p[2] = {node_attr_int(call->node, "detect_negative", 1) != 0,
                        node_attr_int(call->node, "detect_positive", 1) != 0};
    return unary_eval(call, isinf_fns, REEL_BOOL, p);
}

static enum reel_err infer_bool(const struct op_call *call)
{
    infer_out(call, 0, REEL_BOOL, &call->in[0]->shape);
    return REEL_OK;
}

// ---- the table ------------------------------------------------------------

#define BOOL_DEF(op, since, types, eval)                                                     \
    {                                                                                        \
        "", op, since, OPSET_LAST, 1, 1, 1, 1, types, OP_ELEMENTWISE, infer_bool, eval, NULL \
    }

const struct op_def ops_unary[] = {
    UNARY_DEF("", "Abs", 1, OPSET_LAST, TYPES_NUM, eval_abs),
    UNARY_DEF("", "Acos", 7, OPSET_LAST, TYPES_FLOAT, eval_acos),
    UNARY_DEF("", "Acosh", 9, OPSET_LAST, TYPES_FLOAT, eval_acosh),
    UNARY_DEF("", "Asin", 7, OPSET_LAST, TYPES_FLOAT, eval_asin),
    UNARY_DEF("", "Asinh", 9, OPSET_LAST, TYPES_FLOAT, eval_asinh),
    UNARY_DEF("", "Atan", 7, OPSET_LAST, TYPES_FLOAT, eval_atan),
    UNARY_DEF("", "Atanh", 9, OPSET_LAST, TYPES_FLOAT, eval_atanh),
    UNARY_DEF("", "BitwiseNot", 18, OPSET_LAST, TYPES_INT, eval_bitwise_not),
    UNARY_DEF("", "Ceil", 1, OPSET_LAST, TYPES_FLOAT, eval_ceil),
    UNARY_DEF("", "Cos", 7, OPSET_LAST, TYPES_FLOAT, eval_cos),
    UNARY_DEF("", "Cosh", 9, OPSET_LAST, TYPES_FLOAT, eval_cosh),
    UNARY_DEF("", "Erf", 9, OPSET_LAST, TYPES_NUM, eval_erf),
    UNARY_DEF("", "Exp", 1, OPSET_LAST, TYPES_FLOAT, eval_exp),
    UNARY_DEF("", "Floor", 1, OPSET_LAST, TYPES_FLOAT, eval_floor),
    BOOL_DEF("IsInf", 10, TYPES_FLOAT, eval_isinf),
    BOOL_DEF("IsNaN", 9, TYPES_FLOAT, eval_isnan),
    UNARY_DEF("", "Log", 1, OPSET_LAST, TYPES_FLOAT, eval_log),
    UNARY_DEF("", "Neg", 1, OPSET_LAST, SINT_FLOAT, eval_neg),
    UNARY_DEF("", "Not", 1, OPSET_LAST, T_(REEL_BOOL), eval_not),
    UNARY_DEF("", "Reciprocal", 1, OPSET_LAST, TYPES_FLOAT, eval_reciprocal),
    UNARY_DEF("", "Round", 11, OPSET_LAST, TYPES_FLOAT, eval_round),
    UNARY_DEF("", "Sign", 9, OPSET_LAST, TYPES_NUM, eval_sign),
    UNARY_DEF("", "Sin", 7, OPSET_LAST, TYPES_FLOAT, eval_sin),
    UNARY_DEF("", "Sinh", 9, OPSET_LAST, TYPES_FLOAT, eval_sinh),
    UNARY_DEF("", "Sqrt", 1, OPSET_LAST, TYPES_FLOAT, eval_sqrt),
    UNARY_DEF("", "Tan", 7, OPSET_LAST, TYPES_FLOAT, eval_tan),
};
const int ops_unary_count = sizeof ops_unary / sizeof *ops_unary;
