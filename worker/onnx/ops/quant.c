// SPDX-License-Identifier: MIT
//
// Quantisation: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear,
// QLinearConv, QLinearMatMul.
//
// Called through the operator table. Rounding is to nearest even, saturation to
// the stored type's range; float8 and float4 are stored by common/narrow.h.
#include "worker/onnx/ops/quant.h"

#include "common/narrow.h"
#include "worker/onnx/ops/matmul.h"
#include "worker/onnx/ops/window.h"

#define TYPES_Q_ALL (TYPES_Q | TYPES_NARROW_INT | TYPES_FLOAT8 | T_(REEL_F4E2M1))

enum reel_err quant_range(enum reel_dtype dtype, float *out_low, float *out_high)
{
    switch (dtype) {
    case REEL_I8:
        *out_low = INT8_MIN, *out_high = INT8_MAX;
        return REEL_OK;
    case REEL_U8:
        *out_low = 0, *out_high = UINT8_MAX;
        return REEL_OK;
    case REEL_I16:
        *out_low = INT16_MIN, *out_high = INT16_MAX;
        return REEL_OK;
    case REEL_U16:
        *out_low = 0, *out_high = UINT16_MAX;
        return REEL_OK;
    case REEL_I4:
        *out_low = -8, *out_high = 7;
        return REEL_OK;
    case REEL_U4:
        *out_low = 0, *out_high = 15;
        return REEL_OK;
    case REEL_I2:
        *out_low = -2, *out_high = 1;
        return REEL_OK;
    case REEL_U2:
        *out_low = 0, *out_high = 3;
        return REEL_OK;
    default:
        return reel_fail(REEL_ERR_UNSUPPORTED, "quantising to %s is not supported", reel_dtype_name(dtype));
    }
}

// to = saturate(round(x / scale) + zero); a NaN becomes the lowest value.
#define QUANTIZE(TYPE)                                                                                              \
    HOT static void quantize_##TYPE(TYPE *restrict to, const float *restrict x, int64_t n, float scale, float zero, \
                                    float low, float high)                                                          \
    {                                                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                                           \
            float v = rintf(x[i] / scale) + zero;                                                                   \
            v = v > low ? v : low;                                                                                  \
            to[i] = (TYPE)(int32_t)(v < high ? v : high);                                                           \
        }                                                                                                           \
    }                                                                                                               \
    HOT static void dequantize_##TYPE(float *restrict to, const TYPE *restrict x, int64_t n, float scale,           \
                                      int32_t zero)                                                                 \
    {                                                                                                               \
        for (int64_t i = 0; i < n; i++) to[i] = (float)((int32_t)x[i] - zero) * scale;                              \
    }
QUANTIZE(int8_t)
QUANTIZE(uint8_t)
QUANTIZE(int16_t)
QUANTIZE(uint16_t)

void quant_store(enum reel_dtype dtype, void *to, int64_t at, const float *x, int64_t n, float scale, float zero)
{
    float low = 0, high = 0;
    quant_range(dtype, &low, &high);
    if (reel_is_narrow_int(dtype)) dtype = reel_narrow_int_base(dtype); // within its own range
    if (dtype == REEL_I8)
        quantize_int8_t((int8_t *)to + at, x, n, scale, zero, low, high);
    else if (dtype == REEL_U8)
        quantize_uint8_t((uint8_t *)to + at, x, n, scale, zero, low, high);
    else if (dtype == REEL_I16)
        quantize_int16_t((int16_t *)to + at, x, n, scale, zero, low, high);
    else
        quantize_uint16_t((uint16_t *)to + at, x, n, scale, zero, low, high);
}

void quant_load(enum reel_dtype dtype, float *to, const void *x, int64_t at, int64_t n, float scale, int32_t zero)
{
    if (reel_is_narrow_int(dtype)) dtype = reel_narrow_int_base(dtype);
    if (reel_is_narrow_float(dtype)) { // whose zero point is 0
        reel_narrow_to_f32_array(dtype, to, (const uint8_t *)x + at, n);
        for (int64_t i = 0; i < n; i++) to[i] *= scale;
        return;
    }
    switch (dtype) {
    case REEL_I8:
        dequantize_int8_t(to, (const int8_t *)x + at, n, scale, zero);
        return;
    case REEL_U8:
        dequantize_uint8_t(to, (const uint8_t *)x + at, n, scale, zero);
        return;
    case REEL_I16:
        dequantize_int16_t(to, (const int16_t *)x + at, n, scale, zero);
        return;
    case REEL_U16:
        dequantize_uint16_t(to, (const uint16_t *)x + at, n, scale, zero);
        return;
    default: // int32, whose differences need 64 bits
        for (int64_t i = 0; i < n; i++) to[i] = (float)((int64_t)((const int32_t *)x)[at + i] - zero) * scale;
    }
}

// ---- granularity --------------------------------------------------------

// Which scale an element has: runs of `run` neighbours share one.
struct grain {
    int64_t run, inner, along, block, blocks; // inner: elements behind the axis; along: the axis' extent
    bool single, per_axis;
};

static enum reel_err grain_open(const struct op_call *call, struct grain *g)
{
    const struct reel_shape *x = &call->in[0]->shape, *s = &call->in[1]->shape;
    // com.microsoft's twins have the newest semantics under version 1.
    int opset = *call->node->domain ? OPSET_LAST : call->opset;
    int64_t block = opset >= 21 ? node_attr_int(call->node, "block_size", 0) : 0;
    const struct reel_tensor *zero = call_in(call, 2);
    if (zero && reel_tensor_count(zero) != reel_tensor_count(call->in[1]))
        return reel_fail(REEL_ERR_INPUT, "scale and zero point have different shapes");
    *g = (struct grain){.single = reel_shape_count(s) == 1 && block == 0, .run = reel_shape_count(x)};
    if (g->single) return REEL_OK;
    if (opset < 13) return reel_fail(REEL_ERR_INPUT, "per-axis scales need opset 13");
    int axis = 0;
    enum reel_err err = op_axis(node_attr_int(call->node, "axis", 1), x->ndim, &axis);
    // A vector has one axis to quantise along, whatever the default says.
    if (err && x->ndim == 1 && !node_attr(call->node, "axis")) err = REEL_OK, axis = 0;
    if (err) return err;
    g->inner = shape_span(x, axis + 1, x->ndim);
    g->along = x->dim[axis];
    g->block = block ? block : 1;
    g->blocks = block ? s->ndim == x->ndim ? s->dim[axis] : -1 : s->dim[0];
    if (block < 0 || block > INT32_MAX) return reel_fail(REEL_ERR_INPUT, "block_size is %lld", (long long)block);
    bool fits = g->blocks > 0 && (block ? s->ndim == x->ndim : s->ndim == 1);
    fits = fits && (g->along + g->block - 1) / g->block == g->blocks;
    for (int i = 0; fits && block && i < x->ndim; i++) fits = i == axis || s->dim[i] == x->dim[i];
    if (!fits) return reel_fail(REEL_ERR_INPUT, "the scale's shape does not fit axis %d", axis);
    g->per_axis = block == 0;
    g->run = g->per_axis ? g->inner : 1;
    return REEL_OK;
}

// The scale number of element i, and how many elements from i on share it.
static int64_t grain_at(const struct grain *g, int64_t i, int64_t *out_n)
{
    *out_n = g->run;
    if (g->single) return 0;
    int64_t at = i / g->inner % g->along, outer = i / g->inner / g->along;
    if (g->per_axis) return at;
    if (g->inner == 1) { // a block's elements are neighbours
        int64_t left = g->block - at % g->block;
        *out_n = left < g->along - at ? left : g->along - at;
    }
    return (outer * g->blocks + at / g->block) * g->inner + i % g->inner;
}

// ---- QuantizeLinear -----------------------------------------------------

static enum reel_err quantize_type(const struct op_call *call, enum reel_dtype *out_dtype)
{
    const struct reel_tensor *zero = call_in(call, 2);
    int64_t wanted = node_attr_int(call->node, "output_dtype", 0);
    *out_dtype = zero ? zero->dtype : wanted ? dtype_of_onnx(wanted) : REEL_U8;
    if (zero && wanted && dtype_of_onnx(wanted) != zero->dtype)
        return reel_fail(REEL_ERR_INPUT, "output_dtype and the zero point's type differ");
    float low, high;
    if (reel_is_narrow_float(*out_dtype) && *out_dtype != REEL_F8E8M0) return REEL_OK;
    return quant_range(*out_dtype, &low, &high);
}

static enum reel_err quantize_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    enum reel_dtype dtype = REEL_U8;
    enum reel_err err = quantize_type(call, &dtype);
    if (err) return err;
    infer_out(call, 0, dtype, &call->in[0]->shape);
    return REEL_OK;
}

// Rounds quotients to a narrower type first, where the division is done in it.
static void round_quotients(float *q, int64_t n, float scale, enum reel_dtype precision)
{
    for (int64_t i = 0; i < n; i++) {
        float v = q[i] / scale;
        q[i] = precision == REEL_F16 ? reel_f16_to_f32(reel_f32_to_f16(v)) : reel_bf16_to_f32(reel_f32_to_bf16(v));
    }
}

static enum reel_err quantize_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    enum reel_dtype dtype = REEL_U8;
    struct grain g = {0};
    enum reel_err err = quantize_type(call, &dtype);
    if (err || !call_out(call, 0)) return err;
    err = grain_open(call, &g);
    const bool saturate = node_attr_int(call->node, "saturate", 1) != 0; // of float8 only
    enum reel_dtype precision = dtype_of_onnx(node_attr_int(call->node, "precision", 0));
    if (precision == REEL_DTYPE_NONE) precision = call->in[1]->dtype;
    bool narrow = precision == REEL_F16 || precision == REEL_BF16;
    struct work x = {0}, scale = {0}, zero = {0};
    struct reel_tensor own = {0}; // quotients are rounded in a copy
    if (!err) err = op_alloc_out(call, 0, dtype, &call->in[0]->shape);
    if (!err) err = work_in(&x, call->in[0], REEL_F32);
    if (!err) err = work_in(&scale, call->in[1], REEL_F32);
    if (!err) err = work_in(&zero, call_in(call, 2), REEL_F32);
    int64_t n = reel_tensor_count(call->in[0]);
    float *values = x.p;
    if (!err && narrow && !x.owned) {
        err = reel_tensor_copy(&own, call->in[0]);
        values = own.data;
    }
    for (int64_t i = 0, run = 0; !err && i < n; i += run) {
        int64_t at = grain_at(&g, i, &run);
        float s = ((float *)scale.p)[at], z = zero.p ? ((float *)zero.p)[at] : 0.0f;
        if (narrow) round_quotients(values + i, run, s, precision);
        if (!reel_is_narrow_float(dtype)) {
            quant_store(dtype, call->out[0]->data, i, values + i, run, narrow ? 1.0f : s, z);
            continue;
        }
        // The zero point of a float8 only tells its type (QuantizeLinear-19).
        if (TYPES_FLOAT8 & T_(dtype)) z = 0.0f;
        uint8_t *codes = (uint8_t *)call->out[0]->data + i;
        for (int64_t k = 0; k < run; k++)
            codes[k] = reel_f32_to_narrow(dtype, values[i + k] / (narrow ? 1.0f : s) + z, saturate);
    }
    work_fini(&x), work_fini(&scale), work_fini(&zero);
    reel_tensor_fini(&own);
    return err;
}

// ---- DequantizeLinear ---------------------------------------------------

static enum reel_dtype dequantize_type(const struct op_call *call)
{
    enum reel_dtype wanted = dtype_of_onnx(node_attr_int(call->node, "output_dtype", 0));
    return wanted != REEL_DTYPE_NONE ? wanted : call->in[1]->dtype;
}

static enum reel_err dequantize_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    infer_out(call, 0, dequantize_type(call), &call->in[0]->shape);
    return REEL_OK;
}

static enum reel_err dequantize_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    if (!call_out(call, 0)) return REEL_OK;
    const struct reel_tensor *in = call->in[0], *zp = call_in(call, 2);
    if (zp && zp->dtype != in->dtype) return reel_fail(REEL_ERR_INPUT, "the zero point has another type");
    struct grain g = {0};
    struct work scale = {0}, zero = {0}, y = {0};
    enum reel_err err = grain_open(call, &g);
    if (!err) err = op_alloc_out(call, 0, dequantize_type(call), &in->shape);
    if (!err) err = work_in(&scale, call->in[1], REEL_F32);
    if (!err) err = work_in(&zero, zp, REEL_I32);
    if (!err) err = work_out(&y, call->out[0], REEL_F32);
    int64_t n = reel_tensor_count(in);
    for (int64_t i = 0, run = 0; !err && i < n; i += run) {
        int64_t at = grain_at(&g, i, &run);
        quant_load(in->dtype, (float *)y.p + i, in->data, i, run, ((float *)scale.p)[at],
                   zero.p ? ((int32_t *)zero.p)[at] : 0);
    }
    if (!err) work_commit(&y);
    work_fini(&scale), work_fini(&zero), work_fini(&y);
    return err;
}

// ---- DynamicQuantizeLinear (11) -----------------------------------------

static enum reel_err dynamic_infer(const struct op_call *call)
{
    infer_out(call, 0, REEL_U8, &call->in[0]->shape);
    infer_out(call, 1, REEL_F32, &(struct reel_shape){0});
    infer_out(call, 2, REEL_U8, &(struct reel_shape){0});
    return REEL_OK;
}

static enum reel_err dynamic_eval(const struct op_call *call)
{
    const struct reel_shape scalar = {0};
    struct work x = {0};
    enum reel_err err = work_in(&x, call->in[0], REEL_F32);
    if (!err && call_out(call, 0)) err = op_alloc_out(call, 0, REEL_U8, &call->in[0]->shape);
    if (!err && call_out(call, 1)) err = op_alloc_out(call, 1, REEL_F32, &scalar);
    if (!err && call_out(call, 2)) err = op_alloc_out(call, 2, REEL_U8, &scalar);
    if (!err) {
        const float *p = x.p;
        int64_t n = reel_tensor_count(call->in[0]);
        float low = 0.0f, high = 0.0f; // the range always holds 0
        for (int64_t i = 0; i < n; i++) {
            low = p[i] < low ? p[i] : low;
            high = p[i] > high ? p[i] : high;
        }
        float scale = high == low ? 1.0f : (high - low) / 255.0f;
        float zero = rintf(fminf(fmaxf(0.0f - low / scale, 0.0f), 255.0f));
        if (call_out(call, 0)) quant_store(REEL_U8, call->out[0]->data, 0, p, n, scale, zero);
        if (call_out(call, 1)) *(float *)call->out[1]->data = scale;
        if (call_out(call, 2)) *(uint8_t *)call->out[2]->data = (uint8_t)zero;
    }
    work_fini(&x);
    return err;
}

// ---- QLinearConv, QLinearMatMul -----------------------------------------

enum reel_err quant_one_element(const struct op_call *call, int i, const char *what)
{
    if (!call_in(call, i) || reel_tensor_count(call->in[i]) != 1)
        return reel_fail(REEL_ERR_INPUT, "%s must be one element", what);
    return REEL_OK;
}

enum reel_err quant_centre(const struct reel_tensor *t, const struct reel_tensor *zero, int64_t rows, int64_t cols,
                           bool by_row, int32_t **out_p)
{
    int64_t n = reel_tensor_count(t), zeros = reel_tensor_count(zero);
    int64_t along = by_row ? rows : cols;
    *out_p = NULL;
    if (zeros != 1 && zeros != along)
        return reel_fail(REEL_ERR_INPUT, "a zero point has %lld elements", (long long)zeros);
    int32_t *p = work_alloc(n, sizeof *p);
    if (!p) return REEL_ERR_NOMEM;
    if (n) reel_convert(p, REEL_I32, t->data, t->dtype, n);
    for (int64_t i = 0; i < n; i++)
        p[i] -= (int32_t)op_scalar_int(zero, zeros == 1 ? 0 : by_row ? i / cols % rows : i % cols);
    *out_p = p;
    return REEL_OK;
}

void quant_requantize(const int32_t *acc, int64_t n, float factor, float zero, enum reel_dtype dtype, void *to,
                      int64_t at)
{
    enum { CHUNK = 256 };
    float part[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;
        for (int64_t k = 0; k < m; k++) part[k] = (float)acc[i + k] * factor;
        quant_store(dtype, to, at + i, part, m, 1.0f, zero);
    }
}

static enum reel_err qlinear_conv_infer(const struct op_call *call)
{
    if (!inputs_given(call, 8)) return REEL_ERR_INPUT;
    struct conv cv;
    struct reel_shape shape = {0};
    enum reel_err err = conv_open(call, &call->in[0]->shape, &call->in[3]->shape, &cv, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[7]->dtype, &shape);
    return REEL_OK;
}

static enum reel_err qlinear_conv_check(const struct op_call *call, int64_t channels)
{
    static const struct {
        int in;
        const char *what;
    } single[] = {{1, "the input's scale"},
                  {2, "the input's zero point"},
                  {6, "the output's scale"},
                  {7, "the output's zero point"}};
    float low, high;
    enum reel_err err = quant_range(call->in[7]->dtype, &low, &high);
    for (int i = 0; !err && i < 4; i++) err = quant_one_element(call, single[i].in, single[i].what);
    if (err) return err;
    int64_t scales = reel_tensor_count(call->in[4]);
    if (scales != 1 && scales != channels)
        return reel_fail(REEL_ERR_INPUT, "the weights' scale has %lld elements", (long long)scales);
    const struct reel_tensor *bias = call_in(call, 8);
    if (bias && (bias->dtype != REEL_I32 || reel_tensor_count(bias) != channels))
        return reel_fail(REEL_ERR_INPUT, "the bias must be %lld of int32", (long long)channels);
    return REEL_OK;
}

static enum reel_err qlinear_conv_eval(const struct op_call *call)
{
    if (!inputs_given(call, 8)) return REEL_ERR_INPUT;
    struct conv cv;
    struct reel_shape shape = {0};
    enum reel_err err = conv_open(call, &call->in[0]->shape, &call->in[3]->shape, &cv, &shape);
    if (err || !call_out(call, 0)) return err;
    int64_t channels = cv.groups * cv.mg, area = window_volume(cv.w.out);
    err = qlinear_conv_check(call, channels);
    if (!err) err = op_alloc_out(call, 0, call->in[7]->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    int32_t *x = NULL, *w = NULL, *acc = NULL;
    int64_t per = reel_tensor_count(call->in[3]) / channels;
    err = quant_centre(call->in[0], call->in[2], 1, 1, true, &x);
    if (!err) err = quant_centre(call->in[3], call->in[5], channels, per, true, &w);
    if (!err && !(acc = work_alloc(reel_shape_count(&shape), sizeof *acc))) err = REEL_ERR_NOMEM;
    const uint32_t *bias = call_in(call, 8) ? call->in[8]->data : NULL;
    if (!err) err = conv_run_u32(&cv, (uint32_t *)x, (uint32_t *)w, bias, (uint32_t *)acc);
    float xs = (float)op_scalar(call->in[1], 0), ys = (float)op_scalar(call->in[6], 0);
    float zero = (float)op_scalar(call->in[7], 0);
    bool many = reel_tensor_count(call->in[4]) > 1;
    for (int64_t i = 0; !err && i < cv.n * channels; i++) {
        float factor = xs * (float)op_scalar(call->in[4], many ? i % channels : 0) / ys;
        quant_requantize(acc + i * area, area, factor, zero, call->in[7]->dtype, call->out[0]->data, i * area);
    }
    free(x);
    free(w);
    free(acc);
    return err;
}

static enum reel_err qlinear_matmul_infer(const struct op_call *call)
{
    if (!inputs_given(call, 8)) return REEL_ERR_INPUT;
    struct mat_plan plan;
    struct reel_shape shape = {0};
    enum reel_err err = mat_plan_open(&call->in[0]->shape, &call->in[3]->shape, &plan, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[7]->dtype, &shape);
    return REEL_OK;
}

// A scale per tensor, or per row of A or column of B.
static float scale_at(const struct reel_tensor *t, int64_t i)
{
    return (float)op_scalar(t, reel_tensor_count(t) > 1 ? i : 0);
}

static enum reel_err qlinear_matmul_run(const struct op_call *call, const struct mat_plan *p, const int32_t *a,
                                        const int32_t *b, int32_t *acc)
{
    float ys = (float)op_scalar(call->in[6], 0), zero = (float)op_scalar(call->in[7], 0);
    bool by_column = reel_tensor_count(call->in[4]) > 1;
    for (int64_t i = 0; i < p->batches; i++) {
        int64_t at_a, at_b, base = i * p->m * p->n;
        mat_plan_at(p, i, &at_a, &at_b);
        enum reel_err err = mat_mul(REEL_I32, p->m, p->n, p->k, (struct mat){a + at_a * p->m * p->k, p->k, 1},
                                    (struct mat){b + at_b * p->k * p->n, p->n, 1}, acc, p->n, false);
        if (err) return err;
        for (int64_t r = 0; r < p->m; r++) {
            float as = scale_at(call->in[1], r);
            for (int64_t c = 0; c < p->n; c += by_column ? 1 : p->n)
                quant_requantize(acc + r * p->n + c, by_column ? 1 : p->n, as * scale_at(call->in[4], c) / ys, zero,
                                 call->in[7]->dtype, call->out[0]->data, base + r * p->n + c);
        }
    }
    return REEL_OK;
}

static enum reel_err qlinear_matmul_eval(const struct op_call *call)
{
    if (!inputs_given(call, 8)) return REEL_ERR_INPUT;
    struct mat_plan plan;
    struct reel_shape shape = {0};
    float low, high;
    enum reel_err err = mat_plan_open(&call->in[0]->shape, &call->in[3]->shape, &plan, &shape);
    if (err || !call_out(call, 0)) return err;
    err = quant_range(call->in[7]->dtype, &low, &high);
    if (!err) err = quant_one_element(call, 6, "the output's scale");
    if (!err) err = quant_one_element(call, 7, "the output's zero point");
    int64_t a_scales = reel_tensor_count(call->in[1]), b_scales = reel_tensor_count(call->in[4]);
    if (!err && ((a_scales != 1 && a_scales != plan.m) || (b_scales != 1 && b_scales != plan.n)))
        err = reel_fail(REEL_ERR_INPUT, "a scale does not fit its operand");
    if (!err) err = op_alloc_out(call, 0, call->in[7]->dtype, &shape);
    int32_t *a = NULL, *b = NULL, *acc = NULL;
    if (!err) err = quant_centre(call->in[0], call->in[2], plan.m, plan.k, true, &a);
    if (!err) err = quant_centre(call->in[3], call->in[5], plan.k, plan.n, false, &b);
    if (!err && !(acc = work_alloc(plan.m * plan.n, sizeof *acc))) err = REEL_ERR_NOMEM;
    if (!err) err = qlinear_matmul_run(call, &plan, a, b, acc);
    free(a);
    free(b);
    free(acc);
    return err;
}

// ---- table --------------------------------------------------------------

#define MS "com.microsoft"
#define PER_TENSOR "one scale per tensor"

const struct op_def ops_quant[] = {
    {"", "QuantizeLinear", 10, OPSET_LAST, 2, 3, 1, 1, T_(REEL_F32) | T_(REEL_F16) | T_(REEL_BF16) | T_(REEL_I32), 0,
     quantize_infer, quantize_eval, NULL},
    {"", "DequantizeLinear", 10, OPSET_LAST, 2, 3, 1, 1, TYPES_Q_ALL | T_(REEL_I32), 0, dequantize_infer,
     dequantize_eval, NULL},
    {"", "DynamicQuantizeLinear", 11, OPSET_LAST, 1, 1, 1, 3, T_(REEL_F32), 0, dynamic_infer, dynamic_eval, NULL},
    {"", "QLinearConv", 10, OPSET_LAST, 8, 9, 1, 1, TYPES_Q8, 0, qlinear_conv_infer, qlinear_conv_eval,
     "1 to 3 spatial axes"},
    {"", "QLinearMatMul", 10, OPSET_LAST, 8, 8, 1, 1, TYPES_Q8, 0, qlinear_matmul_infer, qlinear_matmul_eval, NULL},
    {MS, "QuantizeLinear", 1, 1, 2, 3, 1, 1, T_(REEL_F32) | T_(REEL_F16), 0, quantize_infer, quantize_eval, PER_TENSOR},
    {MS, "DequantizeLinear", 1, 1, 2, 3, 1, 1, TYPES_Q | T_(REEL_I32), 0, dequantize_infer, dequantize_eval,
     PER_TENSOR},
};
const int ops_quant_count = sizeof ops_quant / sizeof ops_quant[0];
