// SPDX-License-Identifier: MIT
//
// Convolutions: Conv, ConvTranspose, ConvInteger, DeformConv, Col2Im.
//
// Called through the operator table, and by quant.c (conv_run_u32). Dense
// convolutions go through columns and a blocked matrix product, depthwise ones
// tap by tap over rows. What it is not: no fast path; the backends have kernels
// of their own, and come here for what those lack.
#include "kernels/gemm.h"
#include "worker/onnx/ops/window.h"

// Elements of one column matrix: 1 MiB of floats stays in a second-level cache.
#define CONV_COLUMN_ELEMENTS (1 << 18)

static bool window_is_pointwise(const struct window *w)
{
    for (int i = 0; i < WINDOW_DIMS; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->begin[i] || w->end[i]) return false;
    return true;
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
    enum reel_err err = window_auto_pad(call, &mode);
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
        return reel_fail(REEL_ERR_INPUT, "%lld rows are not a multiple of the block's %lld elements",
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
};
const int ops_conv_count = sizeof ops_conv / sizeof ops_conv[0];
