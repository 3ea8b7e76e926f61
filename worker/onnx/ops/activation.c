// SPDX-License-Identifier: MIT
//
// The family activation: what networks put behind a layer - Relu and its kind,
// Gelu with and without a bias, PRelu, Clip - and the scalings of the first
// opsets. See elementwise.h.
#include "kernels/math.h"
#include "worker/onnx/ops/elementwise.h"

// ---- of floats ------------------------------------------------------------

UNARY_OP(sigmoid, KERN_CLONES, kern_sigmoid1_f32(x), 1.0 / (1.0 + exp(-x)))
UNARY_OP(softsign, KERN_CLONES, x / (1.0f + fabsf(x)), x / (1.0 + fabs(x)))
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
    if (!strcmp(approximate, "none")) return unary_eval(call, gelu_fns, call->in[0]->dtype, NULL);
    if (!strcmp(approximate, "tanh")) return unary_eval(call, gelu_tanh_fns, call->in[0]->dtype, NULL);
    return reel_fail(REEL_ERR_INPUT, "attribute approximate is \"%s\", but must be \"none\" or \"tanh\"", approximate);
}

// ---- of integers too ------------------------------------------------------

#define RELU_SIGNED(D, s, T, U) UNARY_FN(relu_##s, KERN_CLONES, T, T, x < 0 ? 0 : x)
#define RELU_ENTRY(D, s, T, U) ENTRY(D, relu_##s)
EACH_FLOAT(RELU_SIGNED)
EACH_SINT(RELU_SIGNED)
static const unary_fn relu_fns[REEL_DTYPE_COUNT] = {EACH_FLOAT(RELU_ENTRY) EACH_SINT(RELU_ENTRY)};
UNARY_EVAL(relu)

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
    if (reel_dtype_is_float(call->in[0]->dtype)) return unary_eval(call, shrink_fns, call->in[0]->dtype, p);
    // Integers are computed in double: keep |bias| where int64 can hold it.
    if (!(fabsf(p[1]) < 1e18f)) return reel_fail(REEL_ERR_INPUT, "attribute bias is %g: too large", (double)p[1]);
    return unary_eval(call, shrink_fns, call->in[0]->dtype, p);
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
        if (reel_tensor_count(t) != 1) return reel_fail(REEL_ERR_INPUT, "bound %d is not a scalar", i);
        bound[i - 1] = t->data;
    }
    return clip_between(call, bound[0], bound[1]);
}

// ---- com.microsoft's Gelu with a bias -------------------------------------

static enum reel_err infer_bias_gelu(const struct op_call *call)
{
    // BiasGelu cannot do without its bias, FastGelu can.
    if (!strcmp(call->node->op_type, "BiasGelu") && !call_in(call, 1))
        return reel_fail(REEL_ERR_INPUT, "the bias is missing");
    return call_in(call, 1) ? binary_infer(call) : op_infer_same(call);
}

static enum reel_err bias_gelu(const struct op_call *call, const unary_fn *fns)
{
    if (!call_in(call, 1)) return unary_eval(call, fns, call->in[0]->dtype, NULL);
    if (!fns[call->in[0]->dtype]) return typed_refuse(call, 0);
    enum reel_err err = arithmetic_add(call);
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
// Experimental operators went away with opset 10.
#define EXPERIMENTAL_LAST 9

const struct op_def ops_activation[] = {
    UNARY_DEF("", "Affine", 1, EXPERIMENTAL_LAST, TYPES_FLOAT, eval_affine),
    UNARY_DEF("", "Celu", 12, OPSET_LAST, TYPES_FLOAT, eval_celu),
    UNARY_DEF("", "Clip", 1, 10, TYPES_FLOAT, eval_clip_attr),
    {"", "Clip", 11, OPSET_LAST, 1, 3, 1, 1, TYPES_NUM, OP_ELEMENTWISE, infer_clip, eval_clip, NULL},
    UNARY_DEF("", "Elu", 1, OPSET_LAST, TYPES_FLOAT, eval_elu),
    UNARY_DEF("", "Gelu", 20, OPSET_LAST, TYPES_FLOAT, eval_gelu),
    UNARY_DEF("", "HardSigmoid", 1, OPSET_LAST, TYPES_FLOAT, eval_hard_sigmoid),
    UNARY_DEF("", "HardSwish", 14, OPSET_LAST, TYPES_FLOAT, eval_hardswish),
    UNARY_DEF("", "ImageScaler", 1, EXPERIMENTAL_LAST, T_(REEL_F32) | T_(REEL_F16) | T_(REEL_BF16), eval_image_scaler),
    UNARY_DEF("", "LeakyRelu", 1, OPSET_LAST, TYPES_FLOAT, eval_leaky_relu),
    UNARY_DEF("", "Mish", 18, OPSET_LAST, TYPES_FLOAT, eval_mish),
    UNARY_DEF("", "ParametricSoftplus", 1, EXPERIMENTAL_LAST, TYPES_FLOAT, eval_parametric_softplus),
    BINARY_DEF("PRelu", 1, TYPES_NUM, infer_prelu, eval_prelu),
    UNARY_DEF("", "Relu", 1, OPSET_LAST, SINT_FLOAT, eval_relu),
    UNARY_DEF("", "ScaledTanh", 1, EXPERIMENTAL_LAST, TYPES_FLOAT, eval_scaled_tanh),
    UNARY_DEF("", "Selu", 1, OPSET_LAST, TYPES_FLOAT, eval_selu),
    UNARY_DEF("", "Shrink", 9, OPSET_LAST, TYPES_NUM, eval_shrink),
    UNARY_DEF("", "Sigmoid", 1, OPSET_LAST, TYPES_FLOAT, eval_sigmoid),
    UNARY_DEF("", "Softplus", 1, OPSET_LAST, TYPES_FLOAT, eval_softplus),
    UNARY_DEF("", "Softsign", 1, OPSET_LAST, TYPES_FLOAT, eval_softsign),
    UNARY_DEF("", "Swish", 24, OPSET_LAST, TYPES_FLOAT, eval_swish),
    UNARY_DEF("", "Tanh", 1, OPSET_LAST, TYPES_FLOAT, eval_tanh),
    UNARY_DEF("", "ThresholdedRelu", 1, OPSET_LAST, TYPES_FLOAT, eval_thresholded_relu),
    {MS, "BiasGelu", 1, OPSET_LAST, 2, 2, 1, 1, TYPES_FLOAT, OP_ELEMENTWISE, infer_bias_gelu, eval_bias_gelu, NULL},
    {MS, "FastGelu", 1, OPSET_LAST, 1, 2, 1, 1, TYPES_FLOAT, OP_ELEMENTWISE, infer_bias_gelu, eval_fast_gelu, NULL},
    UNARY_DEF(MS, "Gelu", 1, OPSET_LAST, TYPES_FLOAT, eval_gelu),
    UNARY_DEF(MS, "QuickGelu", 1, OPSET_LAST, TYPES_FLOAT, eval_quick_gelu),
};
const int ops_activation_count = sizeof ops_activation / sizeof *ops_activation;
