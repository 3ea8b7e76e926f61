// SPDX-License-Identifier: MIT
//
// com.microsoft's quantised operators: QGemm, and the QLinear* family, which is
// computed on dequantised values. Called through the operator table.
#include "worker/onnx/ops/matmul.h"
#include "worker/onnx/ops/quant.h"
#include "worker/onnx/ops/window.h"

// QGemm: a, scale, zero; b, scale, zero; bias (int32, scale a b); scale, zero of
// the result, or none for float32.
static enum reel_err qgemm_sizes(const struct op_call *call, struct mat *a, struct mat *b, int64_t *m, int64_t *n,
                                 int64_t *k)
{
    if (!inputs_given(call, 6)) return REEL_ERR_INPUT;
    const struct reel_shape *sa = &call->in[0]->shape, *sb = &call->in[3]->shape;
    if (sa->ndim != 2 || sb->ndim != 2) return reel_fail(REEL_ERR_INPUT, "the operands must be matrices");
    const bool ta = node_attr_int(call->node, "transA", 0), tb = node_attr_int(call->node, "transB", 0);
    *m = sa->dim[ta ? 1 : 0], *k = sa->dim[ta ? 0 : 1], *n = sb->dim[tb ? 0 : 1];
    if (*k >= 0 && sb->dim[tb ? 1 : 0] >= 0 && sb->dim[tb ? 1 : 0] != *k)
        return reel_fail(REEL_ERR_INPUT, "the operands' extents differ");
    *a = (struct mat){NULL, ta ? 1 : sa->dim[1], ta ? sa->dim[1] : 1};
    *b = (struct mat){NULL, tb ? 1 : sb->dim[1], tb ? sb->dim[1] : 1};
    return REEL_OK;
}

static enum reel_err qgemm_infer(const struct op_call *call)
{
    struct mat a, b;
    struct reel_shape shape = {.ndim = 2};
    int64_t k = 0;
    enum reel_err err = qgemm_sizes(call, &a, &b, &shape.dim[0], &shape.dim[1], &k);
    if (err) return err;
    infer_out(call, 0, call_in(call, 7) ? call_in(call, 8) ? call->in[8]->dtype : call->in[0]->dtype : REEL_F32,
              &shape);
    return REEL_OK;
}

// The row of sums with the bias, as the result has it.
static void qgemm_store(const struct op_call *call, int32_t *acc, int64_t row, int64_t n)
{
    const struct reel_tensor *bias = call_in(call, 6), *ys = call_in(call, 7), *yz = call_in(call, 8);
    const float alpha = node_attr_float(call->node, "alpha", 1);
    const int64_t scales = reel_tensor_count(call->in[4]), biases = bias ? reel_tensor_count(bias) : 0;
    for (int64_t c = 0; c < n; c++) {
        if (bias)
            acc[c] = (int32_t)((uint32_t)acc[c] + (uint32_t)((const int32_t *)bias->data)[biases == 1   ? 0
                                                                                          : biases == n ? c
                                                                                                        : row * n + c]);
        float factor = alpha * (float)op_scalar(call->in[1], 0) * (float)op_scalar(call->in[4], scales > 1 ? c : 0);
        if (!ys)
            ((float *)call->out[0]->data)[row * n + c] = (float)acc[c] * factor;
        else
            quant_requantize(acc + c, 1, factor / (float)op_scalar(ys, 0), yz ? (float)op_scalar(yz, 0) : 0,
                             call->out[0]->dtype, call->out[0]->data, row * n + c);
    }
}

static enum reel_err qgemm_eval(const struct op_call *call)
{
    struct mat a, b;
    struct reel_shape shape = {.ndim = 2};
    int64_t k = 0;
    enum reel_err err = qgemm_sizes(call, &a, &b, &shape.dim[0], &shape.dim[1], &k);
    if (err || !call_out(call, 0)) return err;
    const int64_t m = shape.dim[0], n = shape.dim[1], scales = reel_tensor_count(call->in[4]);
    const struct reel_tensor *bias = call_in(call, 6);
    const bool tb = node_attr_int(call->node, "transB", 0);
    err = quant_one_element(call, 1, "the scale of a");
    if (!err && reel_tensor_count(call->in[2]) != 1) err = quant_one_element(call, 2, "the zero point of a");
    if (!err && call_in(call, 7)) err = quant_one_element(call, 7, "the output's scale");
    if (!err && scales != 1 && scales != n) err = reel_fail(REEL_ERR_INPUT, "a scale does not fit its operand");
    const int64_t biases = bias ? reel_tensor_count(bias) : 1;
    if (!err && bias && (bias->dtype != REEL_I32 || (biases != 1 && biases != n && biases != m * n)))
        err = reel_fail(REEL_ERR_INPUT, "the bias must be %lld of int32", (long long)n);
    if (!err) {
        const enum reel_dtype quantized = call_in(call, 8) ? call->in[8]->dtype : call->in[0]->dtype;
        err = op_alloc_out(call, 0, call_in(call, 7) ? quantized : REEL_F32, &shape);
    }
    int32_t *pa = NULL, *pb = NULL, *acc = NULL;
    if (!err) err = quant_centre(call->in[0], call->in[2], 1, 1, true, &pa);
    if (!err) err = quant_centre(call->in[3], call->in[5], tb ? n : k, tb ? k : n, tb, &pb);
    if (!err && !(acc = work_alloc(m * n, sizeof *acc))) err = REEL_ERR_NOMEM;
    a.p = pa, b.p = pb;
    if (!err) err = mat_mul(REEL_I32, m, n, k, a, b, acc, n, false);
    for (int64_t i = 0; !err && i < m; i++) qgemm_store(call, acc + i * n, i, n);
    free(pa);
    free(pb);
    free(acc);
    return err;
}

// in[i], in[i+1] (scale), in[i+2] (zero point, optional) as floats.
static enum reel_err dequantized(const struct op_call *call, int i, struct work *out_w)
{
    const struct reel_tensor *t = call_in(call, i), *scale = call_in(call, i + 1), *zero = call_in(call, i + 2);
    *out_w = (struct work){.dtype = REEL_F32};
    if (!t || !scale || reel_tensor_count(scale) != 1 || (zero && reel_tensor_count(zero) != 1))
        return reel_fail(REEL_ERR_UNSUPPORTED, "only one scale and zero point per tensor are supported");
    if (!((TYPES_Q | T_(REEL_I32)) >> t->dtype & 1))
        return reel_fail(REEL_ERR_INPUT, "input %d has the type %s", i, reel_dtype_name(t->dtype));
    int64_t n = reel_tensor_count(t);
    out_w->p = out_w->owned = work_alloc(n, sizeof(float));
    if (!out_w->p) return REEL_ERR_NOMEM;
    quant_load(t->dtype, out_w->p, t->data, 0, n, (float)op_scalar(scale, 0),
               zero ? (int32_t)op_scalar_int(zero, 0) : 0);
    return REEL_OK;
}

// Stores floats with the output scale in[i] and zero point in[i+1].
static enum reel_err store_quantized(const struct op_call *call, int i, const float *values,
                                     const struct reel_shape *shape, enum reel_dtype dtype)
{
    const struct reel_tensor *scale = call_in(call, i), *zero = call_in(call, i + 1);
    float low, high;
    if (!scale || reel_tensor_count(scale) != 1 || (zero && reel_tensor_count(zero) != 1))
        return reel_fail(REEL_ERR_UNSUPPORTED, "only one scale and zero point per tensor are supported");
    enum reel_err err = quant_range(dtype, &low, &high);
    if (!err) err = op_alloc_out(call, 0, dtype, shape);
    if (!err)
        quant_store(dtype, call->out[0]->data, 0, values, reel_shape_count(shape), (float)op_scalar(scale, 0),
                    zero ? (float)op_scalar(zero, 0) : 0.0f);
    return err;
}

static enum reel_err qlinear_binary_infer(const struct op_call *call)
{
    struct reel_shape shape = shape_unknown();
    if (!call_in(call, 3)) return reel_fail(REEL_ERR_INPUT, "input 3 is missing");
    enum reel_err err = op_broadcast(&call->in[0]->shape, &call->in[3]->shape, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// Element number in an operand of shape s for element i of the result.
static int64_t broadcast_at(const struct reel_shape *s, const struct reel_shape *out, int64_t i)
{
    int64_t at = 0, unit = 1;
    for (int d = out->ndim - 1, k = s->ndim - 1; k >= 0; d--, k--) {
        if (s->dim[k] != 1) at += i % out->dim[d] * unit;
        unit *= s->dim[k];
        i /= out->dim[d];
    }
    return at;
}

static enum reel_err qlinear_binary_eval(const struct op_call *call)
{
    struct reel_shape shape = shape_unknown();
    if (!call_in(call, 3)) return reel_fail(REEL_ERR_INPUT, "input 3 is missing");
    const struct reel_shape *sa = &call->in[0]->shape, *sb = &call->in[3]->shape;
    enum reel_err err = op_broadcast(sa, sb, &shape);
    if (err || !call_out(call, 0)) return err;
    bool product = !strcmp(call->node->op_type, "QLinearMul");
    struct work a = {0}, b = {0};
    int64_t n = reel_shape_count(&shape);
    float *y = work_alloc(n, sizeof *y);
    err = y ? dequantized(call, 0, &a) : REEL_ERR_NOMEM;
    if (!err) err = dequantized(call, 3, &b);
    for (int64_t i = 0; !err && i < n; i++) {
        float va = ((float *)a.p)[broadcast_at(sa, &shape, i)], vb = ((float *)b.p)[broadcast_at(sb, &shape, i)];
        y[i] = product ? va * vb : va + vb;
    }
    if (!err) err = store_quantized(call, 6, y, &shape, call->in[0]->dtype);
    work_fini(&a), work_fini(&b);
    free(y);
    return err;
}

static enum reel_err qlinear_unary_eval(const struct op_call *call)
{
    if (!call_out(call, 0)) return REEL_OK;
    bool sigmoid = !strcmp(call->node->op_type, "QLinearSigmoid");
    float alpha = node_attr_float(call->node, "alpha", 0.01f);
    struct work x = {0};
    enum reel_err err = dequantized(call, 0, &x);
    float *p = x.p;
    int64_t n = reel_tensor_count(call->in[0]);
    for (int64_t i = 0; !err && i < n; i++) {
        if (sigmoid)
            p[i] = (float)(1.0 / (1.0 + exp(-(double)p[i])));
        else
            p[i] = p[i] < 0.0f ? alpha * p[i] : p[i];
    }
    if (!err) err = store_quantized(call, 3, p, &call->in[0]->shape, call->in[0]->dtype);
    work_fini(&x);
    return err;
}

// The rows that a softmax is taken over: `n` elements, `inner` apart. Its attribute
// says the opset of the Softmax it stands for: below 13 all dimensions from axis on
// are one.
static enum reel_err qlinear_softmax_rows(const struct op_call *call, int64_t *outer, int64_t *n, int64_t *inner)
{
    const struct reel_shape *s = &call->in[0]->shape;
    int axis;
    enum reel_err err = op_axis(node_attr_int(call->node, "axis", -1), s->ndim, &axis);
    if (err) return err;
    const bool one = node_attr_int(call->node, "opset", 13) < 13;
    *outer = shape_span(s, 0, axis);
    *n = shape_span(s, axis, one ? s->ndim : axis + 1);
    *inner = one ? 1 : shape_span(s, axis + 1, s->ndim);
    return REEL_OK;
}

static enum reel_err qlinear_softmax_eval(const struct op_call *call)
{
    if (!call_out(call, 0)) return REEL_OK;
    int64_t outer = 0, n = 0, inner = 0;
    struct work x = {0};
    enum reel_err err = qlinear_softmax_rows(call, &outer, &n, &inner);
    if (!err) err = dequantized(call, 0, &x);
    for (int64_t i = 0; !err && n && i < outer * inner; i++) {
        float *p = (float *)x.p + i / inner * n * inner + i % inner, most = p[0];
        double sum = 0;
        for (int64_t k = 0; k < n; k++) most = p[k * inner] > most ? p[k * inner] : most;
        for (int64_t k = 0; k < n; k++) sum += exp((double)p[k * inner] - (double)most);
        for (int64_t k = 0; k < n; k++) p[k * inner] = (float)(exp((double)p[k * inner] - (double)most) / sum);
    }
    if (!err) err = store_quantized(call, 3, x.p, &call->in[0]->shape, call->in[0]->dtype);
    work_fini(&x);
    return err;
}

// The window of a pool: of the attributes, or (global) the whole input.
static enum reel_err qlinear_pool_window(const struct op_call *call, struct window *w, struct reel_shape *out_shape)
{
    const struct reel_shape *x = &call->in[0]->shape;
    *w = (struct window){0};
    *out_shape = *x;
    if (node_attr_int(call->node, "channels_last", 0))
        return reel_fail(REEL_ERR_UNSUPPORTED, "channels_last is not supported");
    if (x->ndim < 0) return REEL_OK;
    if (x->ndim < 3 || x->ndim > 5) return reel_fail(REEL_ERR_INPUT, "the input has rank %d", x->ndim);
    if (strcmp(call->node->op_type, "QLinearGlobalAveragePool")) {
        enum reel_err err = window_open(call, x, NULL, w);
        if (!err && (w->kernel[0] > 1024 || w->kernel[1] > 1024 || w->kernel[2] > 1024))
            err = reel_fail(REEL_ERR_UNSUPPORTED, "a kernel beyond 1024 is not supported");
        for (int i = 2; !err && i < x->ndim; i++) out_shape->dim[i] = w->out[WINDOW_DIMS - x->ndim + i];
        return err;
    }
    for (int i = 0; i < WINDOW_DIMS; i++) {
        int d = i - WINDOW_DIMS + x->ndim;
        w->in[i] = w->kernel[i] = d >= 2 ? x->dim[d] : 1;
        w->out[i] = w->stride[i] = w->dilation[i] = 1;
        if (d >= 2) out_shape->dim[d] = 1;
    }
    return REEL_OK;
}

static enum reel_err qlinear_pool_infer(const struct op_call *call)
{
    struct window w;
    struct reel_shape shape = {0};
    enum reel_err err = qlinear_pool_window(call, &w, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// The mean under output q of a plane; pads count as zero when counted.
static float window_mean(const struct window *w, const float *x, int64_t q, bool padded)
{
    int64_t o[WINDOW_DIMS] = {q / w->out[2] / w->out[1], q / w->out[2] % w->out[1], q % w->out[2]}, count = 0;
    double sum = 0.0;
    for (int64_t k = 0; k < window_volume(w->kernel); k++) {
        int64_t at[WINDOW_DIMS] = {k / w->kernel[2] / w->kernel[1], k / w->kernel[2] % w->kernel[1], k % w->kernel[2]};
        bool inside = true, counted = true;
        for (int i = 0; i < WINDOW_DIMS; i++) {
            at[i] = o[i] * w->stride[i] - w->begin[i] + at[i] * w->dilation[i];
            inside = inside && at[i] >= 0 && at[i] < w->in[i];
            counted = counted && at[i] >= -w->begin[i] && at[i] < w->in[i] + w->end[i];
        }
        if (inside) sum += x[(at[0] * w->in[1] + at[1]) * w->in[2] + at[2]];
        count += inside || (padded && counted);
    }
    return count ? (float)(sum / (double)count) : 0.0f;
}

static enum reel_err qlinear_pool_eval(const struct op_call *call)
{
    struct window w;
    struct reel_shape shape = {0};
    enum reel_err err = qlinear_pool_window(call, &w, &shape);
    if (err || !call_out(call, 0)) return err;
    bool padded = node_attr_int(call->node, "count_include_pad", 0) != 0;
    int64_t planes = shape.dim[0] * shape.dim[1], in = window_volume(w.in), out = window_volume(w.out);
    struct work x = {0};
    float *y = work_alloc(planes * out, sizeof *y);
    err = y ? dequantized(call, 0, &x) : REEL_ERR_NOMEM;
    for (int64_t i = 0; !err && i < planes * out; i++)
        y[i] = window_mean(&w, (float *)x.p + i / out * in, i % out, padded);
    if (!err) err = store_quantized(call, 3, y, &shape, call->in[0]->dtype);
    work_fini(&x);
    free(y);
    return err;
}

// QLinearConcat: in 0, 1 the output's scale and zero point, then triples.
static enum reel_err qlinear_concat_shape(const struct op_call *call, struct reel_shape *out_shape, int *out_axis)
{
    *out_shape = shape_unknown();
    *out_axis = 0;
    if (call->n_in < 5 || (call->n_in - 2) % 3 || !call->in[1])
        return reel_fail(REEL_ERR_INPUT, "the inputs are not a scale, a zero point and triples");
    for (int i = 2; i < call->n_in; i++)
        if (!call->in[i]) return reel_fail(REEL_ERR_INPUT, "input %d is missing", i);
    struct reel_shape s = call->in[2]->shape;
    if (s.ndim < 0) return REEL_OK;
    enum reel_err err = op_axis(node_attr_int(call->node, "axis", 1), s.ndim, out_axis);
    if (err) return err;
    for (int i = 5; i < call->n_in; i += 3) {
        const struct reel_shape *t = &call->in[i]->shape;
        if (t->ndim < 0) return REEL_OK;
        if (t->ndim != s.ndim) return reel_fail(REEL_ERR_INPUT, "the inputs' ranks differ");
        for (int d = 0; d < s.ndim; d++)
            if (d != *out_axis && s.dim[d] >= 0 && t->dim[d] >= 0 && s.dim[d] != t->dim[d])
                return reel_fail(REEL_ERR_INPUT, "the inputs' extents differ");
        int64_t more = t->dim[*out_axis];
        s.dim[*out_axis] = s.dim[*out_axis] < 0 || more < 0 ? -1 : s.dim[*out_axis] + more;
    }
    *out_shape = s;
    return REEL_OK;
}

static enum reel_err qlinear_concat_infer(const struct op_call *call)
{
    struct reel_shape shape = {0};
    int axis = 0;
    enum reel_err err = qlinear_concat_shape(call, &shape, &axis);
    if (err) return err;
    infer_out(call, 0, call->in[1]->dtype, &shape);
    return REEL_OK;
}

static enum reel_err qlinear_concat_eval(const struct op_call *call)
{
    struct reel_shape shape = {0};
    int axis = 0;
    enum reel_err err = qlinear_concat_shape(call, &shape, &axis);
    if (err || !call_out(call, 0)) return err;
    float *y = work_alloc(reel_shape_count(&shape), sizeof *y);
    if (!y) return REEL_ERR_NOMEM;
    int64_t outer = shape_span(&shape, 0, axis), row = shape_span(&shape, axis, shape.ndim), at = 0;
    for (int i = 2; !err && i < call->n_in; i += 3) {
        struct work x = {0};
        int64_t part = shape_span(&call->in[i]->shape, axis, shape.ndim);
        err = dequantized(call, i, &x);
        for (int64_t o = 0; !err && part && o < outer; o++)
            memcpy(y + o * row + at, (float *)x.p + o * part, sizeof *y * (size_t)part);
        at += part;
        work_fini(&x);
    }
    if (!err) err = store_quantized(call, 0, y, &shape, call->in[1]->dtype);
    free(y);
    return err;
}

// ---- table --------------------------------------------------------------

#define MS "com.microsoft"
#define PER_TENSOR "one scale per tensor"

const struct op_def ops_quant_ms[] = {
    {MS, "QLinearAdd", 1, 1, 7, 8, 1, 1, TYPES_Q8, 0, qlinear_binary_infer, qlinear_binary_eval, PER_TENSOR},
    {MS, "QLinearMul", 1, 1, 7, 8, 1, 1, TYPES_Q8, 0, qlinear_binary_infer, qlinear_binary_eval, PER_TENSOR},
    {MS, "QLinearSigmoid", 1, 1, 4, 5, 1, 1, TYPES_Q8, 0, op_infer_same, qlinear_unary_eval, PER_TENSOR},
    {MS, "QLinearLeakyRelu", 1, 1, 4, 5, 1, 1, TYPES_Q8, 0, op_infer_same, qlinear_unary_eval, PER_TENSOR},
    {MS, "QLinearSoftmax", 1, 1, 5, 5, 1, 1, TYPES_Q8, 0, op_infer_same, qlinear_softmax_eval, PER_TENSOR},
    {MS, "QLinearGlobalAveragePool", 1, 1, 4, 5, 1, 1, TYPES_Q8, 0, qlinear_pool_infer, qlinear_pool_eval,
     "one scale per tensor, channels first"},
    {MS, "QLinearAveragePool", 1, 1, 4, 5, 1, 1, TYPES_Q8, 0, qlinear_pool_infer, qlinear_pool_eval,
     "one scale per tensor, channels first"},
    {MS, "QGemm", 1, 1, 6, 9, 1, 1, TYPES_Q8, 0, qgemm_infer, qgemm_eval, NULL},
    {MS, "QLinearConcat", 1, 1, 5, -1, 1, 1, T_(REEL_F32), 0, qlinear_concat_infer, qlinear_concat_eval, PER_TENSOR},
};
const int ops_quant_ms_count = sizeof ops_quant_ms / sizeof ops_quant_ms[0];
