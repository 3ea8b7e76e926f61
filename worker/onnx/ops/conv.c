// SPDX-License-Identifier: MIT
//
// Convolutions and pools: Conv, ConvTranspose, ConvInteger, DeformConv, Col2Im,
// MaxPool, AveragePool, LpPool, their global forms, MaxUnpool, MaxRoiPool, LRN.
//
// Called through the operator table, and by quant.c (conv_run_u32). Dense
// convolutions go through columns and a blocked matrix product, depthwise ones
// tap by tap over rows. What it is not: no fast path; the CPU backend has
// oneDNN for that and comes here for what oneDNN lacks.
#include "kernels/gemm.h"
#include "worker/onnx/ops/window.h"

// Elements of one column matrix: 1 MiB of floats stays in a second-level cache.
#define CONV_COLUMN_ELEMENTS (1 << 18)
// Larger kernels, strides, dilations or pads are nobody's network; below it no
// product of them overflows, and no loop over taps takes seconds.
#define WINDOW_LIMIT (1 << 24)

// ---- geometry -----------------------------------------------------------

int64_t window_volume(const int64_t extents[WINDOW_DIMS])
{
    return extents[0] * extents[1] * extents[2];
}

// Of positions from..to-1, those o with 0 <= o*stride + off < n are lo..hi-1.
static inline void valid_range(int64_t off, int64_t stride, int64_t n, int64_t from, int64_t to, int64_t *lo,
                               int64_t *hi)
{
    int64_t first = off >= 0 ? 0 : (-off + stride - 1) / stride;
    int64_t last = n - 1 - off < 0 ? 0 : (n - 1 - off) / stride + 1;
    *lo = first > from ? (first < to ? first : to) : from;
    *hi = last < to ? last : to;
    if (*hi < *lo) *hi = *lo;
}

// The taps of axis i that meet the input under output o; of the last axis, with
// o < 0, those that meet it under any output. A kernel far larger than the input
// costs no more than one of the input's size.
static inline void tap_range(const struct window *w, int i, int64_t o, int64_t *first, int64_t *last)
{
    int64_t at = o < 0 ? 0 : o * w->stride[i], reach = o < 0 ? (w->out[i] - 1) * w->stride[i] : 0;
    valid_range(at - w->begin[i] + reach, w->dilation[i], w->in[i] + reach, 0, w->kernel[i], first, last);
}

static bool window_is_pointwise(const struct window *w)
{
    for (int i = 0; i < WINDOW_DIMS; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->begin[i] || w->end[i]) return false;
    return true;
}

// Copies an attribute's nd integers to the last nd of three.
static enum reel_err window_ints(const struct op_call *call, const char *name, int nd, int64_t low, int64_t *to)
{
    const int64_t *v = NULL;
    int n = node_attr_ints(call->node, name, &v);
    if (n == 0) return REEL_OK;
    if (n != nd) return reel_fail(REEL_ERR_INPUT, "%s has %d elements where %d are needed", name, n, nd);
    for (int i = 0; i < nd; i++) {
        if (v[i] < low || v[i] > WINDOW_LIMIT)
            return reel_fail(REEL_ERR_INPUT, "%s has the element %lld", name, (long long)v[i]);
        to[WINDOW_DIMS - nd + i] = v[i];
    }
    return REEL_OK;
}

enum reel_err window_attrs(const struct op_call *call, const struct reel_shape *x, const int64_t *kernel,
                           struct window *out_w)
{
    *out_w = (struct window){
        .in = {1, 1, 1}, .kernel = {1, 1, 1}, .out = {1, 1, 1}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    struct window *w = out_w;
    w->nd = x->ndim - 2;
    if (w->nd < 1) return reel_fail(REEL_ERR_INPUT, "the input has rank %d, at least 3 is needed", x->ndim);
    if (w->nd > WINDOW_DIMS) return reel_fail(REEL_ERR_UNSUPPORTED, "more than %d spatial axes", WINDOW_DIMS);
    int skip = WINDOW_DIMS - w->nd;
    for (int i = 0; i < w->nd; i++) w->in[skip + i] = x->dim[2 + i];

    if (!kernel && !node_attr(call->node, "kernel_shape")) return reel_fail(REEL_ERR_INPUT, "kernel_shape is missing");
    enum reel_err err = window_ints(call, "kernel_shape", w->nd, 1, w->kernel);
    if (err) return err;
    for (int i = 0; kernel && i < w->nd; i++) {
        if (node_attr(call->node, "kernel_shape") && kernel[i] >= 0 && kernel[i] != w->kernel[skip + i])
            return reel_fail(REEL_ERR_INPUT, "kernel_shape does not fit the weights' shape");
        if (kernel[i] >= 0) w->kernel[skip + i] = kernel[i];
        if (w->kernel[skip + i] < 1 || w->kernel[skip + i] > WINDOW_LIMIT)
            return reel_fail(REEL_ERR_INPUT, "a kernel extent is %lld", (long long)kernel[i]);
    }
    err = window_ints(call, "strides", w->nd, 1, w->stride);
    if (!err) err = window_ints(call, "dilations", w->nd, 1, w->dilation);
    if (err) return err;

    const int64_t *pads = NULL;
    int n = node_attr_ints(call->node, "pads", &pads);
    if (n != 0 && n != 2 * w->nd)
        return reel_fail(REEL_ERR_INPUT, "pads has %d elements where %d are needed", n, 2 * w->nd);
    for (int i = 0; i < w->nd && n; i++) {
        if (llabs(pads[i] / 2) > WINDOW_LIMIT / 2 || llabs(pads[w->nd + i] / 2) > WINDOW_LIMIT / 2)
            return reel_fail(REEL_ERR_INPUT, "pads are out of range");
        w->begin[skip + i] = pads[i];
        w->end[skip + i] = pads[w->nd + i];
    }
    return REEL_OK;
}

// auto_pad: 0 NOTSET, 1 VALID, 2 SAME_UPPER, 3 SAME_LOWER
enum { PAD_NOTSET, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };

static enum reel_err auto_pad(const struct op_call *call, int *out_mode)
{
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const char *s = node_attr_string(call->node, "auto_pad", "NOTSET");
    for (int i = 0; i < 4; i++)
        if (!strcmp(s, names[i]) || !*s) {
            *out_mode = i;
            return REEL_OK;
        }
    return reel_fail(REEL_ERR_INPUT, "auto_pad is \"%s\"", s);
}

enum reel_err window_open(const struct op_call *call, const struct reel_shape *x, const int64_t *kernel,
                          struct window *out_w)
{
    struct window *w = out_w;
    int mode = 0;
    enum reel_err err = window_attrs(call, x, kernel, w);
    if (!err) err = auto_pad(call, &mode);
    if (err) return err;
    bool ceil_mode = node_attr_int(call->node, "ceil_mode", 0) != 0;
    for (int i = WINDOW_DIMS - w->nd; i < WINDOW_DIMS; i++) {
        int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1, in = w->in[i], s = w->stride[i];
        if (mode != PAD_NOTSET) w->begin[i] = w->end[i] = 0;
        if (in < 0) {
            w->out[i] = -1;
            continue;
        }
        if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) {
            w->out[i] = (in + s - 1) / s;
            int64_t total = (w->out[i] - 1) * s + span - in;
            // Windows smaller than their stride: a convolution starts at the
            // edge, a pool is centred, as the formulas of the two have it.
            if ((total < 0 && kernel) || in == 0) total = 0;
            w->begin[i] = mode == PAD_SAME_UPPER ? total / 2 : (total + 1) / 2;
            w->end[i] = total - w->begin[i];
            continue;
        }
        int64_t room = in + w->begin[i] + w->end[i] - span;
        w->out[i] = 0;
        if (room >= 0) w->out[i] = room / s + 1;
        if (ceil_mode && mode == PAD_NOTSET) {
            w->out[i] = room > -s ? (room + s - 1) / s + 1 : 0;
            // The last window must start inside the input or its leading pad.
            if ((w->out[i] - 1) * s >= in + w->begin[i]) w->out[i]--;
        }
        if (room < 0 && w->out[i] < 1)
            return reel_fail(REEL_ERR_INPUT,
                             "a kernel spanning %lld does not fit an extent of %lld with pads %lld, %lld",
                             (long long)span, (long long)in, (long long)w->begin[i], (long long)w->end[i]);
    }
    return REEL_OK;
}

static void window_shape(const struct window *w, int64_t n, int64_t c, struct reel_shape *out_shape)
{
    *out_shape = (struct reel_shape){.ndim = w->nd + 2, .dim = {n, c}};
    for (int i = 0; i < w->nd; i++) out_shape->dim[2 + i] = w->out[WINDOW_DIMS - w->nd + i];
}

// ---- Conv ---------------------------------------------------------------

#define REAL float
#define FN(name) name##_f32
#define GEMM gemm_f32
#include "worker/onnx/ops/conv_body.inc"
#undef REAL
#undef FN
#undef GEMM

#define REAL double
#define FN(name) name##_f64
#define GEMM gemm_f64
#include "worker/onnx/ops/conv_body.inc"
#undef REAL
#undef FN
#undef GEMM

#define REAL uint32_t
#define FN(name) name##_u32
#define GEMM gemm_u32
#define CONV_FORWARD_ONLY
#include "worker/onnx/ops/conv_body.inc"
#undef REAL
#undef FN
#undef GEMM

enum reel_err conv_run_u32(const struct conv *conv, const uint32_t *x, const uint32_t *weights, const uint32_t *bias,
                           uint32_t *y)
{
    return conv_u32(conv, x, weights, bias, y);
}

enum reel_err conv_open(const struct op_call *call, const struct reel_shape *x, const struct reel_shape *weights,
                        struct conv *out_conv, struct reel_shape *out_shape)
{
    *out_conv = (struct conv){0};
    *out_shape = shape_unknown();
    if (weights->ndim < 0) return REEL_OK;
    int64_t groups = node_attr_int(call->node, "group", 1);
    struct reel_shape xs = *x;
    if (xs.ndim < 0) xs = (struct reel_shape){weights->ndim, {-1, -1, -1, -1, -1, -1, -1, -1}};
    if (xs.ndim != weights->ndim)
        return reel_fail(REEL_ERR_INPUT, "the input has rank %d and the weights rank %d", xs.ndim, weights->ndim);
    enum reel_err err = window_open(call, &xs, weights->ndim > 2 ? &weights->dim[2] : NULL, &out_conv->w);
    if (err) return err;
    int64_t c = xs.dim[1], m = weights->dim[0], cg = weights->dim[1];
    if (groups < 1 || groups > WINDOW_LIMIT || (m >= 0 && m % groups))
        return reel_fail(REEL_ERR_INPUT, "group %lld does not divide %lld output channels", (long long)groups,
                         (long long)m);
    if (c >= 0 && cg >= 0 && c != cg * groups)
        return reel_fail(REEL_ERR_INPUT, "the input has %lld channels and the weights take %lld x %lld groups",
                         (long long)c, (long long)cg, (long long)groups);
    out_conv->n = xs.dim[0];
    out_conv->groups = groups;
    out_conv->cg = cg;
    out_conv->mg = m < 0 ? -1 : m / groups;
    window_shape(&out_conv->w, xs.dim[0], m, out_shape);
    return REEL_OK;
}

static enum reel_err check_bias(const struct reel_tensor *bias, int64_t channels)
{
    if (bias && reel_tensor_count(bias) != channels)
        return reel_fail(REEL_ERR_INPUT, "the bias has %lld elements for %lld channels",
                         (long long)reel_tensor_count(bias), (long long)channels);
    return REEL_OK;
}

static enum reel_err conv_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct conv cv;
    struct reel_shape shape = {0};
    enum reel_err err = conv_open(call, &call->in[0]->shape, &call->in[1]->shape, &cv, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

typedef enum reel_err conv_fn_f32(const struct conv *, const float *, const float *, const float *, float *);
typedef enum reel_err conv_fn_f64(const struct conv *, const double *, const double *, const double *, double *);

// Opens the tensors of a floating-point convolution in one type and runs it.
static enum reel_err conv_float(const struct op_call *call, const struct conv *cv, conv_fn_f32 *run_f32,
                                conv_fn_f64 *run_f64)
{
    const struct reel_tensor *bias = call_in(call, 2);
    enum reel_dtype dtype = work_dtype(call->in[0]->dtype);
    struct work x = {0}, wt = {0}, b = {0}, y = {0};
    enum reel_err err = check_bias(bias, cv->mg * cv->groups);
    if (!err) err = work_in(&x, call->in[0], dtype);
    if (!err) err = work_in(&wt, call->in[1], dtype);
    if (!err) err = work_in(&b, bias, dtype);
    if (!err) err = work_out(&y, call->out[0], dtype);
    if (!err) err = dtype == REEL_F64 ? run_f64(cv, x.p, wt.p, b.p, y.p) : run_f32(cv, x.p, wt.p, b.p, y.p);
    if (!err) work_commit(&y);
    work_fini(&x), work_fini(&wt), work_fini(&b), work_fini(&y);
    return err;
}

static enum reel_err conv_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct conv cv;
    struct reel_shape shape = {0};
    enum reel_err err = conv_open(call, &call->in[0]->shape, &call->in[1]->shape, &cv, &shape);
    if (err || !call_out(call, 0)) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    return err ? err : conv_float(call, &cv, conv_f32, conv_f64);
}

// ---- ConvTranspose ------------------------------------------------------

// The pads that give a wanted output extent; ConvTranspose 11: the odd one goes
// to the end with SAME_UPPER and to the start otherwise.
static void transpose_pads(struct window *w, int i, int64_t natural, int64_t want, int mode)
{
    int64_t total = natural - want;
    int64_t half = total / 2;
    w->begin[i] = total < 0 ? 0 : mode == PAD_SAME_UPPER ? half : total - half;
    w->end[i] = total - w->begin[i];
    w->out[i] = want;
}

static enum reel_err conv_transpose_extents(const struct op_call *call, struct window *w)
{
    int skip = WINDOW_DIMS - w->nd, mode = 0;
    int64_t extra[WINDOW_DIMS] = {0};
    const int64_t *wanted = NULL;
    int n = node_attr_ints(call->node, "output_shape", &wanted);
    enum reel_err err = auto_pad(call, &mode);
    if (!err) err = window_ints(call, "output_padding", w->nd, 0, extra);
    if (err) return err;
    if (n != 0 && n != w->nd && n != w->nd + 2)
        return reel_fail(REEL_ERR_INPUT, "output_shape has %d elements for %d spatial axes", n, w->nd);
    for (int i = skip; i < WINDOW_DIMS; i++) {
        int64_t in = w->in[i], s = w->stride[i], span = (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (mode != PAD_NOTSET) w->begin[i] = w->end[i] = 0;
        int64_t natural = in < 0 ? -1 : s * (in - 1) + extra[i] + span;
        if (n) {
            int64_t want = wanted[n - WINDOW_DIMS + i];
            if (want < 1 || want > INT32_MAX)
                return reel_fail(REEL_ERR_INPUT, "output_shape has the extent %lld", (long long)want);
            if (in < 0)
                w->out[i] = want;
            else
                transpose_pads(w, i, natural, want, mode);
        } else if (in < 0) {
            w->out[i] = -1;
        } else if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) {
            transpose_pads(w, i, natural, in * s, mode);
        } else {
            w->out[i] = natural - w->begin[i] - w->end[i];
            if (w->out[i] < (in ? 1 : 0))
                return reel_fail(REEL_ERR_INPUT, "the pads leave nothing of an extent of %lld", (long long)natural);
        }
    }
    return REEL_OK;
}

static enum reel_err conv_transpose_open(const struct op_call *call, struct conv *cv, struct reel_shape *out_shape)
{
    const struct reel_shape *x = &call->in[0]->shape, *weights = &call->in[1]->shape;
    *cv = (struct conv){0};
    *out_shape = shape_unknown();
    if (x->ndim < 0 || weights->ndim < 0) return REEL_OK;
    if (x->ndim != weights->ndim)
        return reel_fail(REEL_ERR_INPUT, "the input has rank %d and the weights rank %d", x->ndim, weights->ndim);
    enum reel_err err = window_attrs(call, x, x->ndim > 2 ? &weights->dim[2] : NULL, &cv->w);
    if (!err) err = conv_transpose_extents(call, &cv->w);
    if (err) return err;
    int64_t groups = node_attr_int(call->node, "group", 1), c = x->dim[1], wc = weights->dim[0];
    if (groups < 1 || groups > WINDOW_LIMIT || (wc >= 0 && wc % groups))
        return reel_fail(REEL_ERR_INPUT, "group %lld does not divide %lld input channels", (long long)groups,
                         (long long)wc);
    if (c >= 0 && wc >= 0 && c != wc)
        return reel_fail(REEL_ERR_INPUT, "the input has %lld channels and the weights %lld", (long long)c,
                         (long long)wc);
    cv->n = x->dim[0];
    cv->groups = groups;
    cv->cg = wc < 0 ? -1 : wc / groups;
    cv->mg = weights->dim[1];
    window_shape(&cv->w, x->dim[0], cv->mg < 0 ? -1 : cv->mg * groups, out_shape);
    return REEL_OK;
}

static enum reel_err conv_transpose_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct conv cv;
    struct reel_shape shape = {0};
    enum reel_err err = conv_transpose_open(call, &cv, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

static enum reel_err conv_transpose_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct conv cv;
    struct reel_shape shape = {0};
    enum reel_err err = conv_transpose_open(call, &cv, &shape);
    if (err || !call_out(call, 0)) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    return err ? err : conv_float(call, &cv, conv_transpose_f32, conv_transpose_f64);
}

// ---- ConvInteger --------------------------------------------------------

static enum reel_err conv_integer_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct conv cv;
    struct reel_shape shape = {0};
    enum reel_err err = conv_open(call, &call->in[0]->shape, &call->in[1]->shape, &cv, &shape);
    if (err) return err;
    infer_out(call, 0, REEL_I32, &shape);
    return REEL_OK;
}

// t - zero point, the zero point per tensor or per element of axis 0.
static uint32_t *centred(const struct reel_tensor *t, const struct reel_tensor *zero)
{
    int64_t n = reel_tensor_count(t), zeros = zero ? reel_tensor_count(zero) : 0;
    int64_t rows = zeros > 1 ? zeros : 1;
    if (zeros > 1 && (t->shape.ndim < 1 || t->shape.dim[0] != zeros)) {
        reel_fail(REEL_ERR_INPUT, "the zero point has %lld elements", (long long)zeros);
        return NULL;
    }
    int32_t *p = work_alloc(n, sizeof *p);
    if (!p || n == 0) return (uint32_t *)p;
    reel_convert(p, REEL_I32, t->data, t->dtype, n);
    for (int64_t r = 0; zeros && r < rows; r++) {
        int32_t z = (int32_t)op_scalar_int(zero, r);
        for (int64_t i = r * (n / rows); i < (r + 1) * (n / rows); i++) p[i] -= z;
    }
    return (uint32_t *)p;
}

static enum reel_err conv_integer_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct conv cv;
    struct reel_shape shape = {0};
    enum reel_err err = conv_open(call, &call->in[0]->shape, &call->in[1]->shape, &cv, &shape);
    if (err || !call_out(call, 0)) return err;
    const struct reel_tensor *zero = call_in(call, 2);
    if (zero && reel_tensor_count(zero) != 1)
        return reel_fail(REEL_ERR_INPUT, "the input's zero point must be one element");
    err = op_alloc_out(call, 0, REEL_I32, &shape);
    if (err) return err;
    uint32_t *x = centred(call->in[0], zero), *w = x ? centred(call->in[1], call_in(call, 3)) : NULL;
    err = x && w ? conv_u32(&cv, x, w, NULL, call->out[0]->data) : REEL_ERR_INPUT;
    free(x);
    free(w);
    return err;
}

// ---- DeformConv (19) ----------------------------------------------------

struct deform {
    struct conv cv;
    int64_t offset_groups;
};

static enum reel_err deform_open(const struct op_call *call, struct deform *d, struct reel_shape *out_shape)
{
    enum reel_err err = conv_open(call, &call->in[0]->shape, &call->in[1]->shape, &d->cv, out_shape);
    if (err || out_shape->ndim < 0) return err;
    if (d->cv.w.nd != 2) return reel_fail(REEL_ERR_UNSUPPORTED, "only two spatial axes are supported");
    d->offset_groups = node_attr_int(call->node, "offset_group", 1);
    int64_t c = call->in[0]->shape.ndim > 1 ? call->in[0]->shape.dim[1] : -1;
    if (d->offset_groups < 1 || (c >= 0 && c % d->offset_groups))
        return reel_fail(REEL_ERR_INPUT, "offset_group %lld does not divide the channels", (long long)d->offset_groups);
    return REEL_OK;
}

static enum reel_err deform_infer(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct deform d;
    struct reel_shape shape = {0};
    enum reel_err err = deform_open(call, &d, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// Bilinear sample of a plane, zero outside.
static double sample_zero(const double *plane, int64_t h, int64_t w, double y, double x)
{
    if (!(y > -1.0 && y < (double)h && x > -1.0 && x < (double)w)) return 0.0;
    int64_t y0 = (int64_t)floor(y), x0 = (int64_t)floor(x);
    double fy = y - (double)y0, fx = x - (double)x0, sum = 0.0;
    for (int dy = 0; dy < 2; dy++)
        for (int dx = 0; dx < 2; dx++) {
            int64_t yy = y0 + dy, xx = x0 + dx;
            if (yy < 0 || yy >= h || xx < 0 || xx >= w) continue;
            sum += (dy ? fy : 1.0 - fy) * (dx ? fx : 1.0 - fx) * plane[yy * w + xx];
        }
    return sum;
}

// The sampled columns of image n, group g.
static void deform_columns(const struct deform *d, int64_t n, int64_t g, const double *x, const double *offset,
                           const double *mask, double *col)
{
    const struct window *w = &d->cv.w;
    int64_t kh_n = w->kernel[1], kw_n = w->kernel[2], oh_n = w->out[1], ow_n = w->out[2], taps = kh_n * kw_n;
    int64_t channels = d->cv.cg * d->cv.groups, per_offset = channels / d->offset_groups, area = oh_n * ow_n;
    for (int64_t c = 0; c < d->cv.cg; c++) {
        int64_t channel = g * d->cv.cg + c, og = channel / per_offset;
        const double *plane = x + (n * channels + channel) * w->in[1] * w->in[2];
        for (int64_t k = 0; k < taps; k++) {
            const double *off = offset + ((n * d->offset_groups + og) * taps + k) * 2 * area;
            const double *m = mask ? mask + ((n * d->offset_groups + og) * taps + k) * area : NULL;
            double *to = col + (c * taps + k) * area;
            for (int64_t q = 0; q < area; q++) {
                double y = (double)(q / ow_n * w->stride[1] - w->begin[1] + k / kw_n * w->dilation[1]) + off[q];
                double xx = (double)(q % ow_n * w->stride[2] - w->begin[2] + k % kw_n * w->dilation[2]) + off[area + q];
                to[q] = sample_zero(plane, w->in[1], w->in[2], y, xx) * (m ? m[q] : 1.0);
            }
        }
    }
}

static enum reel_err deform_check(const struct op_call *call, const struct deform *d)
{
    const struct window *w = &d->cv.w;
    const struct reel_tensor *offset = call->in[2], *bias = call_in(call, 3), *mask = call_in(call, 4);
    int64_t taps = w->kernel[1] * w->kernel[2], area = w->out[1] * w->out[2];
    int64_t want = d->cv.n * d->offset_groups * taps * area;
    if (reel_tensor_count(offset) != 2 * want || (mask && reel_tensor_count(mask) != want))
        return reel_fail(REEL_ERR_INPUT, "the offsets or the mask do not have the shape that the output needs");
    return check_bias(bias, d->cv.mg * d->cv.groups);
}

static enum reel_err deform_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct deform d = {0};
    struct reel_shape shape = {0};
    enum reel_err err = deform_open(call, &d, &shape);
    if (err || !call_out(call, 0)) return err;
    err = deform_check(call, &d);
    if (!err) err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (err) return err;
    const struct window *w = &d.cv.w;
    int64_t area = w->out[1] * w->out[2], depth = d.cv.cg * w->kernel[1] * w->kernel[2];
    struct work in[5] = {{0}}, y = {0};
    double *col = work_alloc(depth * area, sizeof *col);
    if (!col) return REEL_ERR_NOMEM;
    for (int i = 0; !err && i < 5; i++) err = work_in(&in[i], call_in(call, i), REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    for (int64_t i = 0; !err && i < d.cv.n * d.cv.groups; i++) {
        int64_t n = i / d.cv.groups, g = i % d.cv.groups;
        double *to = (double *)y.p + i * d.cv.mg * area;
        const double *bias = in[3].p;
        deform_columns(&d, n, g, in[0].p, in[2].p, in[4].p, col);
        fill_bias_f64(to, d.cv.mg, area, bias ? bias + g * d.cv.mg : NULL);
        if (!gemm_f64(d.cv.mg, area, depth, (double *)in[1].p + g * d.cv.mg * depth, depth, 1, col, area, 1, to, area,
                      true))
            err = reel_fail(REEL_ERR_NOMEM, "no memory for the packed matrices");
    }
    if (!err) work_commit(&y);
    for (int i = 0; i < 5; i++) work_fini(&in[i]);
    work_fini(&y);
    free(col);
    return err;
}

// ---- Col2Im (18) --------------------------------------------------------

#define COL_DIMS (REEL_MAX_DIMS - 2)

struct col2im {
    int nd;
    int64_t image[COL_DIMS], block[COL_DIMS], dilation[COL_DIMS], stride[COL_DIMS], begin[COL_DIMS], steps[COL_DIMS];
    int64_t columns, taps;
};

static enum reel_err col2im_ints(const struct op_call *call, const char *name, int n, int64_t low, int64_t *to)
{
    const int64_t *v = NULL;
    int count = node_attr_ints(call->node, name, &v);
    if (count == 0) return REEL_OK;
    if (count != n) return reel_fail(REEL_ERR_INPUT, "%s has %d elements where %d are needed", name, count, n);
    for (int i = 0; i < n; i++) {
        if (v[i] < low || v[i] > WINDOW_LIMIT)
            return reel_fail(REEL_ERR_INPUT, "%s has the element %lld", name, (long long)v[i]);
        to[i] = v[i];
    }
    return REEL_OK;
}

static enum reel_err col2im_open(const struct op_call *call, struct col2im *c, struct reel_shape *out_shape)
{
    *c = (struct col2im){0};
    *out_shape = shape_unknown();
    const struct reel_tensor *x = call->in[0];
    int n = 0, blocks = 0;
    if (!op_const_ints(call, 1, c->image, COL_DIMS, &n) || !op_const_ints(call, 2, c->block, COL_DIMS, &blocks))
        return REEL_OK;
    if (n < 1 || n > COL_DIMS || blocks != n)
        return reel_fail(REEL_ERR_INPUT, "image_shape and block_shape do not fit");
    c->nd = n;
    int64_t pads[2 * COL_DIMS] = {0};
    for (int i = 0; i < n; i++) c->dilation[i] = c->stride[i] = 1;
    enum reel_err err = col2im_ints(call, "dilations", n, 1, c->dilation);
    if (!err) err = col2im_ints(call, "strides", n, 1, c->stride);
    if (!err) err = col2im_ints(call, "pads", 2 * n, 0, pads);
    if (err) return err;
    c->columns = c->taps = 1;
    for (int i = 0; i < n; i++) {
        c->begin[i] = pads[i];
        if (c->image[i] < 1 || c->block[i] < 1 || c->image[i] > WINDOW_LIMIT || c->block[i] > WINDOW_LIMIT)
            return reel_fail(REEL_ERR_INPUT, "image_shape or block_shape is out of range");
        int64_t room = c->image[i] + pads[i] + pads[n + i] - (c->dilation[i] * (c->block[i] - 1) + 1);
        if (room < 0) return reel_fail(REEL_ERR_INPUT, "the block does not fit the padded image");
        c->steps[i] = room / c->stride[i] + 1;
        if (__builtin_mul_overflow(c->columns, c->steps[i], &c->columns) ||
            __builtin_mul_overflow(c->taps, c->block[i], &c->taps))
            return reel_fail(REEL_ERR_LIMIT, "the image is too large");
    }
    if (x->shape.ndim < 0) return REEL_OK;
    if (x->shape.ndim != 3) return reel_fail(REEL_ERR_INPUT, "the input has rank %d, not 3", x->shape.ndim);
    if (x->shape.dim[1] >= 0 && x->shape.dim[1] % c->taps)
        return reel_fail(REEL_ERR_INPUT, "%lld rows are no multiple of the block's %lld elements",
                         (long long)x->shape.dim[1], (long long)c->taps);
    if (x->shape.dim[2] >= 0 && x->shape.dim[2] != c->columns)
        return reel_fail(REEL_ERR_INPUT, "%lld columns where the block has %lld places", (long long)x->shape.dim[2],
                         (long long)c->columns);
    *out_shape = (struct reel_shape){.ndim = n + 2,
                                     .dim = {x->shape.dim[0], x->shape.dim[1] < 0 ? -1 : x->shape.dim[1] / c->taps}};
    for (int i = 0; i < n; i++) out_shape->dim[2 + i] = c->image[i];
    return REEL_OK;
}

static enum reel_err col2im_infer(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct col2im c;
    struct reel_shape shape = {0};
    enum reel_err err = col2im_open(call, &c, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// Where tap t of column l lands in the image, or -1.
static int64_t col2im_place(const struct col2im *c, int64_t t, int64_t l)
{
    int64_t place = 0, unit = 1;
    for (int i = c->nd - 1; i >= 0; i--) {
        int64_t at = l % c->steps[i] * c->stride[i] - c->begin[i] + t % c->block[i] * c->dilation[i];
        if (at < 0 || at >= c->image[i]) return -1;
        place += at * unit;
        unit *= c->image[i];
        l /= c->steps[i];
        t /= c->block[i];
    }
    return place;
}

static enum reel_err col2im_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct col2im c;
    struct reel_shape shape = {0};
    enum reel_err err = col2im_open(call, &c, &shape);
    if (err || !call_out(call, 0)) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (err) return err;
    int64_t planes = shape.dim[0] * shape.dim[1], area = shape_span(&shape, 2, shape.ndim);
    struct work x = {0}, y = {0};
    err = work_in(&x, call->in[0], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    if (!err) {
        const double *from = x.p;
        double *to = y.p;
        memset(to, 0, sizeof *to * (size_t)(planes * area));
        for (int64_t t = 0; t < c.taps; t++)
            for (int64_t l = 0; l < c.columns; l++) {
                int64_t place = col2im_place(&c, t, l);
                for (int64_t p = 0; place >= 0 && p < planes; p++)
                    to[p * area + place] += from[(p * c.taps + t) * c.columns + l];
            }
        work_commit(&y);
    }
    work_fini(&x), work_fini(&y);
    return err;
}

// ---- MaxPool ------------------------------------------------------------

#define REAL float
#define LOWEST (-INFINITY)
#define FN(name) name##_f32
#include "worker/onnx/ops/pool_body.inc"
#undef REAL
#undef LOWEST
#undef FN
#define REAL double
#define LOWEST (-INFINITY)
#define FN(name) name##_f64
#include "worker/onnx/ops/pool_body.inc"
#undef REAL
#undef LOWEST
#undef FN
#define REAL int8_t
#define LOWEST INT8_MIN
#define FN(name) name##_i8
#include "worker/onnx/ops/pool_body.inc"
#undef REAL
#undef LOWEST
#undef FN
#define REAL uint8_t
#define LOWEST 0
#define FN(name) name##_u8
#include "worker/onnx/ops/pool_body.inc"
#undef REAL
#undef LOWEST
#undef FN

static enum reel_err pool_open(const struct op_call *call, struct window *w, struct reel_shape *out_shape)
{
    const struct reel_shape *x = &call->in[0]->shape;
    *out_shape = shape_unknown();
    if (x->ndim < 0) return REEL_OK;
    enum reel_err err = window_open(call, x, NULL, w);
    if (err) return err;
    for (int i = 0; i < WINDOW_DIMS; i++) {
        int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (w->begin[i] >= span || w->end[i] >= span)
            return reel_fail(REEL_ERR_INPUT, "pads %lld, %lld do not fit a kernel spanning %lld",
                             (long long)w->begin[i], (long long)w->end[i], (long long)span);
    }
    window_shape(w, x->dim[0], x->dim[1], out_shape);
    return REEL_OK;
}

static enum reel_err max_pool_infer(const struct op_call *call)
{
    struct window w;
    struct reel_shape shape = {0};
    enum reel_err err = pool_open(call, &w, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    infer_out(call, 1, REEL_I64, &shape);
    return REEL_OK;
}

static void max_pool_plane(const struct window *w, enum reel_dtype dtype, const void *x, void *y, int64_t *index,
                           bool column_major)
{
    switch (dtype) {
    case REEL_F64:
        index ? max_pool_index_f64(w, x, y, index, column_major) : max_pool_f64(w, x, y);
        break;
    case REEL_I8:
        index ? max_pool_index_i8(w, x, y, index, column_major) : max_pool_i8(w, x, y);
        break;
    case REEL_U8:
        index ? max_pool_index_u8(w, x, y, index, column_major) : max_pool_u8(w, x, y);
        break;
    default:
        index ? max_pool_index_f32(w, x, y, index, column_major) : max_pool_f32(w, x, y);
        break;
    }
}

static enum reel_err max_pool_eval(const struct op_call *call)
{
    struct window w;
    struct reel_shape shape = {0};
    enum reel_err err = pool_open(call, &w, &shape);
    if (err) return err;
    enum reel_dtype stored = call->in[0]->dtype;
    enum reel_dtype dtype = stored == REEL_I8 || stored == REEL_U8 ? stored : work_dtype(stored);
    struct reel_tensor discarded = {0}; // when only the indices are wanted
    if (call_out(call, 0))
        err = op_alloc_out(call, 0, stored, &shape);
    else
        err = reel_tensor_init(&discarded, stored, &shape);
    if (!err && call_out(call, 1)) err = op_alloc_out(call, 1, REEL_I64, &shape);
    struct work x = {0}, y = {0};
    if (!err) err = work_in(&x, call->in[0], dtype);
    if (!err) err = work_out(&y, call_out(call, 0) ? call->out[0] : &discarded, dtype);
    if (!err) {
        int64_t planes = shape.dim[0] * shape.dim[1], in = window_volume(w.in), out = window_volume(w.out);
        size_t elem = reel_dtype_bytes(dtype);
        bool column_major = node_attr_int(call->node, "storage_order", 0) != 0;
        for (int64_t p = 0; p < planes; p++) {
            int64_t *index = call_out(call, 1) ? (int64_t *)call->out[1]->data + p * out : NULL;
            max_pool_plane(&w, dtype, (char *)x.p + (size_t)(p * in) * elem, (char *)y.p + (size_t)(p * out) * elem,
                           index, column_major);
            for (int64_t i = 0; index && i < out; i++) index[i] += p * in;
        }
        work_commit(&y);
    }
    work_fini(&x), work_fini(&y);
    reel_tensor_fini(&discarded);
    return err;
}

// ---- AveragePool, LpPool ------------------------------------------------

enum pool_kind {
    POOL_AVERAGE, // mean of the window
    POOL_LP,      // p-norm of the window
};

static double power_abs(double x, int64_t p)
{
    if (p == 1) return fabs(x);
    if (p == 2) return x * x;
    return pow(fabs(x), (double)p);
}

static double root(double x, int64_t p)
{
    if (p == 1) return x;
    return p == 2 ? sqrt(x) : pow(x, 1.0 / (double)p);
}

// Places of window `o` along axis i that lie in the input, or (padded) in the
// input and its pads; what ceil_mode overhangs counts nowhere.
static int64_t window_count(const struct window *w, int i, int64_t o, bool padded)
{
    int64_t low = padded ? -w->begin[i] : 0, high = padded ? w->in[i] + w->end[i] : w->in[i];
    int64_t start = o * w->stride[i] - w->begin[i], d = w->dilation[i];
    int64_t first = start >= low ? 0 : (low - start + d - 1) / d;
    int64_t last = start >= high ? 0 : (high - 1 - start) / d + 1;
    if (last > w->kernel[i]) last = w->kernel[i];
    return last > first ? last - first : 0;
}

// Sums of one plane: each output row gathers the rows under its window.
static void pool_sums_f32(const struct window *w, const float *x, float *y)
{
    const float one = 1.0f;
    for (int64_t od = 0; od < w->out[0]; od++)
        for (int64_t oh = 0; oh < w->out[1]; oh++) {
            float *row_y = y + (od * w->out[1] + oh) * w->out[2];
            memset(row_y, 0, sizeof *row_y * (size_t)w->out[2]);
            int64_t tap[WINDOW_DIMS][2];
            tap_range(w, 0, od, &tap[0][0], &tap[0][1]);
            tap_range(w, 1, oh, &tap[1][0], &tap[1][1]);
            tap_range(w, 2, -1, &tap[2][0], &tap[2][1]);
            for (int64_t kd = tap[0][0]; kd < tap[0][1]; kd++)
                for (int64_t kh = tap[1][0]; kh < tap[1][1]; kh++) {
                    int64_t id = od * w->stride[0] - w->begin[0] + kd * w->dilation[0];
                    int64_t ih = oh * w->stride[1] - w->begin[1] + kh * w->dilation[1];
                    const float *row = x + (id * w->in[1] + ih) * w->in[2];
                    for (int64_t kw = tap[2][0]; kw < tap[2][1]; kw++) {
                        int64_t off = kw * w->dilation[2] - w->begin[2], lo, hi;
                        valid_range(off, w->stride[2], w->in[2], 0, w->out[2], &lo, &hi);
                        if (hi > lo) axpy_f32(row_y + lo, row + lo * w->stride[2] + off, one, hi - lo, w->stride[2]);
                    }
                }
        }
}

static void average_plane_f32(const struct window *w, const float *x, float *y, bool padded)
{
    pool_sums_f32(w, x, y);
    for (int64_t od = 0; od < w->out[0]; od++)
        for (int64_t oh = 0; oh < w->out[1]; oh++) {
            float *row = y + (od * w->out[1] + oh) * w->out[2];
            int64_t rows = window_count(w, 0, od, padded) * window_count(w, 1, oh, padded);
            for (int64_t ow = 0; ow < w->out[2]; ow++) {
                int64_t count = rows * window_count(w, 2, ow, padded);
                row[ow] = count ? row[ow] / (float)count : 0.0f;
            }
        }
}

// One plane in double: AveragePool of doubles, LpPool of anything.
static void pool_plane_f64(const struct window *w, enum pool_kind kind, int64_t p, bool padded, const double *x,
                           double *y)
{
    for (int64_t q = 0; q < window_volume(w->out); q++) {
        int64_t o[WINDOW_DIMS] = {q / w->out[2] / w->out[1], q / w->out[2] % w->out[1], q % w->out[2]};
        int64_t first[WINDOW_DIMS], last[WINDOW_DIMS], at[WINDOW_DIMS];
        double sum = 0.0;
        for (int i = 0; i < WINDOW_DIMS; i++) {
            tap_range(w, i, o[i], &first[i], &last[i]);
            at[i] = o[i] * w->stride[i] - w->begin[i];
        }
        for (int64_t kd = first[0]; kd < last[0]; kd++)
            for (int64_t kh = first[1]; kh < last[1]; kh++) {
                int64_t row = (at[0] + kd * w->dilation[0]) * w->in[1] + at[1] + kh * w->dilation[1];
                for (int64_t kw = first[2]; kw < last[2]; kw++) {
                    double v = x[row * w->in[2] + at[2] + kw * w->dilation[2]];
                    sum += kind == POOL_LP ? power_abs(v, p) : v;
                }
            }
        int64_t count = 1;
        for (int i = 0; i < WINDOW_DIMS; i++) count *= window_count(w, i, o[i], padded);
        y[q] = kind == POOL_LP ? root(sum, p) : count ? sum / (double)count : 0.0;
    }
}

static enum reel_err pool_infer(const struct op_call *call)
{
    struct window w;
    struct reel_shape shape = {0};
    enum reel_err err = pool_open(call, &w, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

static enum reel_err pool_eval(const struct op_call *call, enum pool_kind kind)
{
    struct window w;
    struct reel_shape shape = {0};
    enum reel_err err = pool_open(call, &w, &shape);
    if (err || !call_out(call, 0)) return err;
    bool padded = node_attr_int(call->node, "count_include_pad", 0) != 0;
    int64_t p = node_attr_int(call->node, "p", 2);
    if (p < 1) return reel_fail(REEL_ERR_INPUT, "p is %lld", (long long)p);
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (err) return err;
    enum reel_dtype dtype = kind == POOL_LP ? REEL_F64 : work_dtype(call->in[0]->dtype);
    struct work x = {0}, y = {0};
    err = work_in(&x, call->in[0], dtype);
    if (!err) err = work_out(&y, call->out[0], dtype);
    int64_t planes = shape.dim[0] * shape.dim[1], in = window_volume(w.in), out = window_volume(w.out);
    for (int64_t i = 0; !err && i < planes; i++) {
        if (dtype == REEL_F64)
            pool_plane_f64(&w, kind, p, padded, (double *)x.p + i * in, (double *)y.p + i * out);
        else
            average_plane_f32(&w, (float *)x.p + i * in, (float *)y.p + i * out, padded);
    }
    if (!err) work_commit(&y);
    work_fini(&x), work_fini(&y);
    return err;
}

static enum reel_err average_pool_eval(const struct op_call *call)
{
    return pool_eval(call, POOL_AVERAGE);
}

static enum reel_err lp_pool_eval(const struct op_call *call)
{
    return pool_eval(call, POOL_LP);
}

// ---- global pools -------------------------------------------------------

static enum reel_err global_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    *out_shape = call->in[0]->shape;
    if (out_shape->ndim >= 0 && out_shape->ndim < 2)
        return reel_fail(REEL_ERR_INPUT, "the input has rank %d, at least 2 is needed", out_shape->ndim);
    for (int i = 2; i < out_shape->ndim; i++) out_shape->dim[i] = 1;
    return REEL_OK;
}

static enum reel_err global_infer(const struct op_call *call)
{
    struct reel_shape shape = {0};
    enum reel_err err = global_shape(call, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

#define LANES 16

// A sum in LANES partial sums: the same on every instruction set.
HOT static double sum_f32(const float *x, int64_t n)
{
    float lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += x[i + l];
    double sum = 0.0;
    for (int l = 0; l < LANES; l++) sum += lane[l];
    for (; i < n; i++) sum += x[i];
    return sum;
}

// kind: 'a' mean, 'm' maximum, 'l' p-norm
static double global_value(char kind, int64_t p, enum reel_dtype dtype, const void *x, int64_t n)
{
    const float *f = x;
    const double *d = x;
    if (kind == 'a' && dtype == REEL_F32) return sum_f32(f, n) / (double)n;
    double acc = kind == 'm' ? -INFINITY : 0.0;
    for (int64_t i = 0; i < n; i++) {
        double v = dtype == REEL_F32 ? f[i] : d[i];
        if (kind == 'm')
            acc = v > acc ? v : acc;
        else
            acc += kind == 'l' ? power_abs(v, p) : v;
    }
    return kind == 'a' ? acc / (double)n : kind == 'l' ? root(acc, p) : acc;
}

static enum reel_err global_eval(const struct op_call *call, char kind)
{
    struct reel_shape shape = {0};
    enum reel_err err = global_shape(call, &shape);
    if (err || !call_out(call, 0)) return err;
    int64_t p = node_attr_int(call->node, "p", 2), n = shape_span(&call->in[0]->shape, 2, call->in[0]->shape.ndim);
    if (p < 1) return reel_fail(REEL_ERR_INPUT, "p is %lld", (long long)p);
    if (n < 1) return reel_fail(REEL_ERR_INPUT, "the input has no spatial elements");
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (err) return err;
    enum reel_dtype dtype = work_dtype(call->in[0]->dtype);
    struct work x = {0}, y = {0};
    err = work_in(&x, call->in[0], dtype);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    int64_t planes = shape.dim[0] * shape.dim[1];
    for (int64_t i = 0; !err && i < planes; i++)
        ((double *)y.p)[i] = global_value(kind, p, dtype, (char *)x.p + (size_t)(i * n) * reel_dtype_bytes(dtype), n);
    if (!err) work_commit(&y);
    work_fini(&x), work_fini(&y);
    return err;
}

static enum reel_err global_average_eval(const struct op_call *call)
{
    return global_eval(call, 'a');
}

static enum reel_err global_max_eval(const struct op_call *call)
{
    return global_eval(call, 'm');
}

static enum reel_err global_lp_eval(const struct op_call *call)
{
    return global_eval(call, 'l');
}

// ---- MaxUnpool ----------------------------------------------------------

// *inferred is the pooled input's shape that the indices refer to; *out_shape
// the output's, which may be larger.
static enum reel_err unpool_shapes(const struct op_call *call, struct reel_shape *inferred,
                                   struct reel_shape *out_shape)
{
    const struct reel_shape *x = &call->in[0]->shape;
    *inferred = *out_shape = shape_unknown();
    if (x->ndim < 0) return REEL_OK;
    struct window w;
    enum reel_err err = window_attrs(call, x, NULL, &w);
    if (err) return err;
    for (int i = WINDOW_DIMS - w.nd; i < WINDOW_DIMS; i++) {
        w.out[i] = w.in[i] < 0 ? -1 : (w.in[i] - 1) * w.stride[i] - w.begin[i] - w.end[i] + w.kernel[i];
        if (w.in[i] >= 0 && w.out[i] < 1) return reel_fail(REEL_ERR_INPUT, "the pads leave no output");
    }
    window_shape(&w, x->dim[0], x->dim[1], inferred);
    *out_shape = *inferred;
    const struct reel_tensor *wanted = call_in(call, 2);
    if (!wanted) return REEL_OK;
    int n = 0;
    if (!op_const_ints(call, 2, out_shape->dim, REEL_MAX_DIMS, &n)) {
        for (int i = 0; i < out_shape->ndim; i++) out_shape->dim[i] = -1;
        return REEL_OK;
    }
    if (n != x->ndim) return reel_fail(REEL_ERR_INPUT, "output_shape has %d elements for rank %d", n, x->ndim);
    for (int i = 0; i < n; i++)
        if (out_shape->dim[i] < inferred->dim[i])
            return reel_fail(REEL_ERR_INPUT, "output_shape is smaller than what was pooled");
    return REEL_OK;
}

static enum reel_err unpool_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape inferred = {0}, shape = {0};
    enum reel_err err = unpool_shapes(call, &inferred, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

static enum reel_err unpool_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape inferred = {0}, shape = {0};
    enum reel_err err = unpool_shapes(call, &inferred, &shape);
    if (err || !call_out(call, 0)) return err;
    const struct reel_tensor *x = call->in[0], *at = call->in[1];
    int64_t n = reel_tensor_count(x), places = reel_shape_count(&inferred);
    if (at->dtype != REEL_I64 || reel_tensor_count(at) != n)
        return reel_fail(REEL_ERR_INPUT, "the indices do not have the input's shape");
    err = op_alloc_out(call, 0, x->dtype, &shape);
    if (err) return err;
    size_t elem = reel_dtype_bytes(x->dtype), bytes = reel_tensor_bytes(call->out[0]);
    if (bytes) memset(call->out[0]->data, 0, bytes);
    for (int64_t i = 0; i < n; i++) {
        int64_t from = ((const int64_t *)at->data)[i], to = 0, unit = 1;
        if (from < 0 || from >= places)
            return reel_fail(REEL_ERR_INPUT, "the index %lld is outside the output", (long long)from);
        for (int d = shape.ndim - 1; d >= 0; d--) {
            to += from % inferred.dim[d] * unit;
            from /= inferred.dim[d];
            unit *= shape.dim[d];
        }
        memcpy((char *)call->out[0]->data + (size_t)to * elem, (const char *)x->data + (size_t)i * elem, elem);
    }
    return REEL_OK;
}

// ---- MaxRoiPool ---------------------------------------------------------

static enum reel_err roi_pool_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    const struct reel_shape *x = &call->in[0]->shape, *rois = &call->in[1]->shape;
    const int64_t *pooled = NULL;
    if (node_attr_ints(call->node, "pooled_shape", &pooled) != 2 || pooled[0] < 1 || pooled[1] < 1 ||
        pooled[0] > WINDOW_LIMIT || pooled[1] > WINDOW_LIMIT)
        return reel_fail(REEL_ERR_INPUT, "pooled_shape must be two positive extents");
    *out_shape = (struct reel_shape){
        4, {rois->ndim == 2 ? rois->dim[0] : -1, x->ndim == 4 ? x->dim[1] : -1, pooled[0], pooled[1]}};
    if ((x->ndim >= 0 && x->ndim != 4) ||
        (rois->ndim >= 0 && (rois->ndim != 2 || (rois->dim[1] >= 0 && rois->dim[1] != 5))))
        return reel_fail(REEL_ERR_INPUT, "the input must be 4-D and the regions (n,5)");
    return REEL_OK;
}

static enum reel_err roi_pool_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    enum reel_err err = roi_pool_shape(call, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// Bin b of `bins` over `extent` elements from `start`, cut to 0..limit.
static void roi_bin(int64_t start, int64_t extent, int64_t bins, int64_t b, int64_t limit, int64_t *lo, int64_t *hi)
{
    double size = (double)extent / (double)bins;
    *lo = start + (int64_t)floor((double)b * size);
    *hi = start + (int64_t)ceil((double)(b + 1) * size);
    *lo = *lo < 0 ? 0 : *lo > limit ? limit : *lo;
    *hi = *hi < 0 ? 0 : *hi > limit ? limit : *hi;
}

static enum reel_err roi_pool_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    enum reel_err err = roi_pool_shape(call, &shape);
    if (err || !call_out(call, 0)) return err;
    const struct reel_shape *xs = &call->in[0]->shape;
    double scale = node_attr_float(call->node, "spatial_scale", 1.0f);
    struct work x = {0}, rois = {0}, y = {0};
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (!err) err = work_in(&x, call->in[0], REEL_F64);
    if (!err) err = work_in(&rois, call->in[1], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    int64_t h = xs->dim[2], w = xs->dim[3], q = 0;
    for (int64_t r = 0; !err && r < shape.dim[0]; r++) {
        const double *roi = (double *)rois.p + r * 5;
        double edge[4];
        for (int i = 0; i < 4; i++) edge[i] = round(roi[1 + i] * scale);
        for (int i = 0; i < 4; i++)
            if (!(fabs(edge[i]) < WINDOW_LIMIT)) err = reel_fail(REEL_ERR_INPUT, "a region is out of range");
        if (!(roi[0] >= 0 && roi[0] < (double)xs->dim[0])) err = reel_fail(REEL_ERR_INPUT, "a region's batch is wrong");
        if (err) break;
        int64_t x1 = (int64_t)edge[0], y1 = (int64_t)edge[1];
        int64_t rw = (int64_t)edge[2] - x1 + 1, rh = (int64_t)edge[3] - y1 + 1;
        for (int64_t c = 0; c < shape.dim[1]; c++)
            for (int64_t p = 0; p < shape.dim[2] * shape.dim[3]; p++, q++) {
                int64_t h0, h1, w0, w1;
                roi_bin(y1, rh < 1 ? 1 : rh, shape.dim[2], p / shape.dim[3], h, &h0, &h1);
                roi_bin(x1, rw < 1 ? 1 : rw, shape.dim[3], p % shape.dim[3], w, &w0, &w1);
                const double *plane = (double *)x.p + ((int64_t)roi[0] * xs->dim[1] + c) * h * w;
                double best = h1 > h0 && w1 > w0 ? -INFINITY : 0.0;
                for (int64_t i = h0; i < h1; i++)
                    for (int64_t j = w0; j < w1; j++) best = fmax(best, plane[i * w + j]);
                ((double *)y.p)[q] = best;
            }
    }
    if (!err) work_commit(&y);
    work_fini(&x), work_fini(&rois), work_fini(&y);
    return err;
}

// ---- LRN ----------------------------------------------------------------

static enum reel_err lrn_eval(const struct op_call *call)
{
    const struct reel_shape *s = &call->in[0]->shape;
    if (!call_out(call, 0)) return REEL_OK;
    if (s->ndim < 2) return reel_fail(REEL_ERR_INPUT, "the input has rank %d, at least 2 is needed", s->ndim);
    int64_t size = node_attr_int(call->node, "size", 0);
    if (size < 1) return reel_fail(REEL_ERR_INPUT, "size is %lld", (long long)size);
    double alpha = node_attr_float(call->node, "alpha", 1e-4f), beta = node_attr_float(call->node, "beta", 0.75f);
    double bias = node_attr_float(call->node, "bias", 1.0f);
    enum reel_err err = op_alloc_out(call, 0, call->in[0]->dtype, s);
    struct work x = {0}, y = {0};
    if (!err) err = work_in(&x, call->in[0], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    int64_t c_n = s->dim[1], area = shape_span(s, 2, s->ndim);
    int64_t before = (size - 1) / 2, after = size - 1 - before; // floor and ceil of (size-1)/2
    for (int64_t i = 0; !err && i < s->dim[0] * c_n; i++) {
        int64_t c = i % c_n, lo = c > before ? c - before : 0, hi = after < c_n - c ? c + after : c_n - 1;
        if (hi > c_n - 1) hi = c_n - 1;
        const double *image = (double *)x.p + (i - c) * area;
        double *to = (double *)y.p + i * area;
        for (int64_t q = 0; q < area; q++) {
            double sum = 0.0;
            for (int64_t k = lo; k <= hi; k++) sum += image[k * area + q] * image[k * area + q];
            to[q] = image[c * area + q] / pow(bias + alpha / (double)size * sum, beta);
        }
    }
    if (!err) work_commit(&y);
    work_fini(&x), work_fini(&y);
    return err;
}

// ---- table --------------------------------------------------------------

#define UP_TO_3D "1 to 3 spatial axes"
#define TYPES_QUANT (T_(REEL_I8) | T_(REEL_U8))

const struct op_def ops_conv[] = {
    {"", "Conv", 1, OPSET_LAST, 2, 3, 1, 1, TYPES_FLOAT, 0, conv_infer, conv_eval, UP_TO_3D},
    {"", "ConvTranspose", 1, OPSET_LAST, 2, 3, 1, 1, TYPES_FLOAT, 0, conv_transpose_infer, conv_transpose_eval,
     UP_TO_3D},
    {"", "ConvInteger", 10, OPSET_LAST, 2, 4, 1, 1, TYPES_QUANT, 0, conv_integer_infer, conv_integer_eval, UP_TO_3D},
    {"", "DeformConv", 19, OPSET_LAST, 3, 5, 1, 1, TYPES_FLOAT, 0, deform_infer, deform_eval, "2 spatial axes"},
    {"", "Col2Im", 18, OPSET_LAST, 3, 3, 1, 1, TYPES_FLOAT, 0, col2im_infer, col2im_eval, "floating point"},
    {"", "MaxPool", 1, OPSET_LAST, 1, 1, 1, 2, TYPES_FLOAT | TYPES_QUANT, 0, max_pool_infer, max_pool_eval, UP_TO_3D},
    {"", "AveragePool", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, pool_infer, average_pool_eval, UP_TO_3D},
    {"", "LpPool", 2, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, pool_infer, lp_pool_eval, UP_TO_3D},
    {"", "GlobalAveragePool", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, global_infer, global_average_eval, NULL},
    {"", "GlobalMaxPool", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, global_infer, global_max_eval, NULL},
    {"", "GlobalLpPool", 2, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, global_infer, global_lp_eval, NULL},
    {"", "MaxUnpool", 9, OPSET_LAST, 2, 3, 1, 1, TYPES_FLOAT, OP_DATA_SHAPE, unpool_infer, unpool_eval, UP_TO_3D},
    {"", "MaxRoiPool", 1, OPSET_LAST, 2, 2, 1, 1, TYPES_FLOAT, 0, roi_pool_infer, roi_pool_eval, NULL},
    {"", "LRN", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, op_infer_same, lrn_eval, NULL},
};
const int ops_conv_count = sizeof ops_conv / sizeof ops_conv[0];
