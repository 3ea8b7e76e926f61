// SPDX-License-Identifier: MIT
//
// Resize (10, 11, 13, 18, 19) and Upsample (7, 9), whose entries stand in
// image.c's table.
//
// The interpolation is separable: one table of source places and weights per
// axis, applied axis by axis, the last one first; axes that stay as they are
// are not touched. Nearest moves bytes of any type. Coordinates are computed in
// double from the operator's formulas, so that a table is exact and the pixels
// differ by rounding only.
#include "worker/onnx/ops/resample.h"

#define TAPS_MAX (1 << 16)

enum resize_mode { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC };

enum coordinates {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_HALF_PIXEL_FOR_NN,
    TF_CROP_AND_RESIZE,
};

enum nearest {
    ROUND_PREFER_FLOOR,
    ROUND_PREFER_CEIL,
    FLOOR,
    CEIL,
    SIMPLE, // before opset 11: up when shrinking, else down
};

struct resize {
    enum resize_mode mode;
    enum coordinates coordinates;
    enum nearest nearest;
    bool antialias, exclude_outside;
    bool by_sizes; // each scale is the ratio of two extents
    double cubic_a, extrapolation;
    double scale[REEL_MAX_DIMS], start[REEL_MAX_DIMS], end[REEL_MAX_DIMS];
    struct reel_shape out;
};

// What one axis does: output o is the sum over taps k of weight[k*out + o] times
// input index[k*out + o]. outside[o]: the extrapolation value instead.
struct axis_table {
    int64_t in, out, taps;
    int32_t *index;
    void *weight; // in the working type
    bool *outside;
};

#define REAL float
#define FN(name) name##_f32
#include "worker/onnx/ops/resize_body.inc"
#undef REAL
#undef FN
#define REAL double
#define FN(name) name##_f64
#include "worker/onnx/ops/resize_body.inc"
#undef REAL
#undef FN

// ---- attributes ---------------------------------------------------------

static enum reel_err pick(const char *what, const char *text, const char *const *names, int n, int *out_pick)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(text, names[i])) {
            *out_pick = i;
            return REEL_OK;
        }
    return reel_fail(REEL_ERR_UNSUPPORTED, "%s \"%s\" is not known", what, text);
}

static enum reel_err resize_attrs(const struct op_call *call, struct resize *r)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const coordinates[] = {"half_pixel",        "half_pixel_symmetric", "pytorch_half_pixel",
                                              "align_corners",     "asymmetric",           "tf_half_pixel_for_nn",
                                              "tf_crop_and_resize"};
    static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    const struct node *node = call->node;
    const char *mode = node_attr_string(node, "mode", "nearest");
    int m = 0, c = 0, n = 0;
    if (!strcmp(mode, "bilinear")) mode = "linear"; // older Upsample files
    enum reel_err err = pick("the mode", mode, modes, 3, &m);
    if (err) return err;
    r->mode = (enum resize_mode)m;
    if (!strcmp(node->op_type, "Upsample") || call->opset < 11) {
        r->coordinates = ASYMMETRIC;
        r->nearest = !strcmp(node->op_type, "Upsample") ? FLOOR : SIMPLE;
        if (m == MODE_CUBIC) return reel_fail(REEL_ERR_INPUT, "cubic needs opset 11");
        return REEL_OK;
    }
    err = pick("the coordinate transformation mode",
               node_attr_string(node, "coordinate_transformation_mode", "half_pixel"), coordinates, 7, &c);
    if (!err)
        err = pick("the nearest mode", node_attr_string(node, "nearest_mode", "round_prefer_floor"), nearest, 4, &n);
    if (err) return err;
    r->coordinates = (enum coordinates)c;
    r->nearest = (enum nearest)n;
    r->antialias = node_attr_int(node, "antialias", 0) != 0 && r->mode != MODE_NEAREST;
    r->exclude_outside = node_attr_int(node, "exclude_outside", 0) != 0;
    r->cubic_a = node_attr_float(node, "cubic_coeff_a", -0.75f);
    r->extrapolation = node_attr_float(node, "extrapolation_value", 0.0f);
    return REEL_OK;
}

// ---- sizes --------------------------------------------------------------

// The axes which roi, scales and sizes speak of: the attribute (18), or all.
static enum reel_err resize_axes(const struct op_call *call, int ndim, int *axes, int *out_n)
{
    const int64_t *given = NULL;
    int n = node_attr_ints(call->node, "axes", &given);
    *out_n = n ? n : ndim;
    if (n > ndim) return reel_fail(REEL_ERR_INPUT, "axes has %d elements for rank %d", n, ndim);
    for (int i = 0; i < *out_n; i++) axes[i] = i;
    for (int i = 0; i < n; i++) {
        enum reel_err err = op_axis(given[i], ndim, &axes[i]);
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err set_extent(struct resize *r, int axis, double extent)
{
    if (!(extent >= 0.0 && extent <= INT32_MAX)) return reel_fail(REEL_ERR_INPUT, "an output extent is %g", extent);
    r->out.dim[axis] = (int64_t)extent;
    return REEL_OK;
}

static enum reel_err sizes_from_scales(struct resize *r, const struct reel_shape *in, const int *axes, int n,
                                       const float *scales)
{
    for (int i = 0; i < n; i++) {
        if (!(scales[i] > 0.0f) || !isfinite(scales[i]))
            return reel_fail(REEL_ERR_INPUT, "a scale is %g", (double)scales[i]);
        r->scale[axes[i]] = scales[i];
        if (in->dim[axes[i]] < 0) {
            r->out.dim[axes[i]] = -1;
            continue;
        }
        // In single precision: 3 * 0.33333334f is 1, as the model's maker meant.
        float extent = (float)in->dim[axes[i]] * scales[i];
        enum reel_err err = set_extent(r, axes[i], floorf(extent));
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err sizes_given(const struct op_call *call, struct resize *r, const struct reel_shape *in,
                                 const int *axes, int n, const int64_t *sizes)
{
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    int policy = 0;
    enum reel_err err = pick("the aspect ratio policy",
                             node_attr_string(call->node, "keep_aspect_ratio_policy", "stretch"), policies, 3, &policy);
    r->by_sizes = policy == 0;
    double common = 0.0;
    for (int i = 0; !err && i < n; i++) {
        int64_t d = in->dim[axes[i]];
        if (sizes[i] < 0) return reel_fail(REEL_ERR_INPUT, "a size is %lld", (long long)sizes[i]);
        err = set_extent(r, axes[i], (double)sizes[i]);
        if (d <= 0) {
            if (policy) r->out.dim[axes[i]] = -1, common = -1.0;
            continue;
        }
        double scale = (double)sizes[i] / (double)d;
        r->scale[axes[i]] = scale;
        if (i == 0 || (policy == 1 ? scale < common : scale > common)) common = common < 0.0 ? common : scale;
    }
    for (int i = 0; !err && policy && i < n; i++) {
        int64_t d = in->dim[axes[i]];
        r->scale[axes[i]] = common;
        if (common < 0.0 || d < 0)
            r->out.dim[axes[i]] = -1;
        else
            err = set_extent(r, axes[i], floor(common * (double)d + 0.5));
    }
    return err;
}

static enum reel_err read_roi(const struct op_call *call, struct resize *r, const int *axes, int n)
{
    const struct reel_tensor *roi = call_in(call, 1);
    for (int i = 0; i < REEL_MAX_DIMS; i++) r->start[i] = 0.0, r->end[i] = 1.0;
    if (r->coordinates != TF_CROP_AND_RESIZE || !roi || !has_data(roi)) return REEL_OK;
    if (reel_tensor_count(roi) != 2 * n)
        return reel_fail(REEL_ERR_INPUT, "roi has %lld elements where %d are needed", (long long)reel_tensor_count(roi),
                         2 * n);
    for (int i = 0; i < n; i++) {
        r->start[axes[i]] = op_scalar(roi, i);
        r->end[axes[i]] = op_scalar(roi, n + i);
        if (!isfinite(r->start[axes[i]]) || !isfinite(r->end[axes[i]]))
            return reel_fail(REEL_ERR_INPUT, "roi is not finite");
    }
    return REEL_OK;
}

static enum reel_err resize_open(const struct op_call *call, struct resize *r)
{
    const struct reel_shape *in = &call->in[0]->shape;
    *r = (struct resize){.out = *in};
    enum reel_err err = resize_attrs(call, r);
    if (err || in->ndim < 0) return err;
    int axes[REEL_MAX_DIMS], n = 0;
    err = resize_axes(call, in->ndim, axes, &n);
    if (!err && call->opset >= 11) err = read_roi(call, r, axes, n);
    if (err) return err;
    for (int i = 0; i < REEL_MAX_DIMS; i++) r->scale[i] = 1.0;

    const float *attr_scales = NULL;
    int n_attr = node_attr_floats(call->node, "scales", &attr_scales); // Upsample 7
    bool late = call->opset >= 11 && strcmp(call->node->op_type, "Upsample") != 0;
    const struct reel_tensor *scales = call_in(call, late ? 2 : 1), *sizes = late ? call_in(call, 3) : NULL;
    if (n_attr) {
        if (n_attr != n) return reel_fail(REEL_ERR_INPUT, "scales has %d elements for rank %d", n_attr, n);
        return sizes_from_scales(r, in, axes, n, attr_scales);
    }
    if (scales && scales->shape.ndim >= 0 && reel_tensor_count(scales) == 0) scales = NULL;
    if (sizes && sizes->shape.ndim >= 0 && reel_tensor_count(sizes) == 0) sizes = NULL;
    // A file may give an empty scales of unknown extent beside sizes.
    const struct reel_tensor *used = sizes && !(scales && scales->data) ? sizes : scales;
    if (!used) return reel_fail(REEL_ERR_INPUT, "neither scales nor sizes are given");
    if (!has_data(used)) {
        for (int i = 0; i < n; i++) r->out.dim[axes[i]] = -1;
        return REEL_OK;
    }
    if (reel_tensor_count(used) != n)
        return reel_fail(REEL_ERR_INPUT, "%s has %lld elements where %d are needed", used == sizes ? "sizes" : "scales",
                         (long long)reel_tensor_count(used), n);
    float f[REEL_MAX_DIMS];
    int64_t s[REEL_MAX_DIMS];
    for (int i = 0; i < n; i++) {
        if (used == sizes)
            s[i] = op_scalar_int(used, i);
        else
            f[i] = (float)op_scalar(used, i);
    }
    return used == sizes ? sizes_given(call, r, in, axes, n, s) : sizes_from_scales(r, in, axes, n, f);
}

enum reel_err resize_infer(const struct op_call *call)
{
    struct resize r;
    enum reel_err err = resize_open(call, &r);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &r.out);
    return REEL_OK;
}

// ---- tables -------------------------------------------------------------

// x / scale; of extents without the scale's rounding, which would decide ties.
static double unscaled(const struct resize *r, int axis, int64_t in, int64_t out, double x)
{
    return r->by_sizes ? x * (double)in / (double)out : x / r->scale[axis];
}

// The place in the input of output element o along an axis.
static double source_place(const struct resize *r, int axis, int64_t in, int64_t out, int64_t o)
{
    double length = r->by_sizes ? (double)out : r->scale[axis] * (double)in; // may be fractional
    double x = (double)o, last = (double)(in - 1);
    switch (r->coordinates) {
    case HALF_PIXEL:
        return unscaled(r, axis, in, out, x + 0.5) - 0.5;
    case HALF_PIXEL_SYMMETRIC:
        return (double)in / 2.0 * (1.0 - (double)out / length) + unscaled(r, axis, in, out, x + 0.5) - 0.5;
    case PYTORCH_HALF_PIXEL:
        return out > 1 ? unscaled(r, axis, in, out, x + 0.5) - 0.5 : 0.0;
    case ALIGN_CORNERS:
        return length == 1.0 || out == 1 ? 0.0 : x * last / (length - 1.0);
    case TF_HALF_PIXEL_FOR_NN:
        return unscaled(r, axis, in, out, x + 0.5);
    case TF_CROP_AND_RESIZE:
        if (length == 1.0 || out == 1) return 0.5 * (r->start[axis] + r->end[axis]) * last;
        return r->start[axis] * last + x * (r->end[axis] - r->start[axis]) * last / (length - 1.0);
    case ASYMMETRIC:
        break;
    }
    return unscaled(r, axis, in, out, x);
}

static double nearest_place(enum nearest mode, double x, double scale)
{
    switch (mode) {
    case ROUND_PREFER_FLOOR:
        return ceil(x - 0.5);
    case ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case CEIL:
        return ceil(x);
    case SIMPLE:
        return scale < 1.0 ? ceil(x) : floor(x);
    case FLOOR:
        break;
    }
    return floor(x);
}

static double cubic_kernel(double x, double a)
{
    x = fabs(x);
    if (x <= 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

// Weights of `taps` samples from floor(x) + first on; t = x - floor(x).
static void tap_weights(const struct resize *r, double scale, int64_t first, int64_t taps, double t, double *w)
{
    if (r->mode == MODE_NEAREST) {
        w[0] = 1.0;
    } else if (r->antialias) {
        double sum = 0.0, shrink = scale < 1.0 ? scale : 1.0;
        for (int64_t k = 0; k < taps; k++) {
            double at = ((double)(first + k) - t) * shrink;
            w[k] = r->mode == MODE_CUBIC ? cubic_kernel(at, r->cubic_a) : fmax(1.0 - fabs(at), 0.0);
            sum += w[k];
        }
        for (int64_t k = 0; k < taps; k++) w[k] /= sum;
    } else if (r->mode == MODE_CUBIC) {
        cubic_weights(t, r->cubic_a, w);
    } else {
        w[0] = 1.0 - t;
        w[1] = t;
    }
}

static void table_fini(struct axis_table *t)
{
    free(t->index);
    free(t->weight);
    free(t->outside);
    *t = (struct axis_table){0};
}

// Number of taps, and the first one's distance from floor(x).
static enum reel_err tap_span(const struct resize *r, double scale, int64_t *out_first, int64_t *out_taps)
{
    int radius = r->mode == MODE_CUBIC ? 2 : 1;
    *out_first = 1 - radius;
    *out_taps = r->mode == MODE_NEAREST ? 1 : 2 * radius;
    if (r->mode == MODE_NEAREST) *out_first = 0;
    if (!r->antialias || scale >= 1.0) return REEL_OK;
    double reach = floor(-radius / scale) + 1.0;
    if (reach < -(TAPS_MAX / 2)) return reel_fail(REEL_ERR_LIMIT, "the scale %g is too small to antialias", scale);
    *out_first = (int64_t)reach;
    *out_taps = 2 - 2 * *out_first;
    return REEL_OK;
}

static enum reel_err table_fill(const struct resize *r, int axis, enum reel_dtype dtype, struct axis_table *t,
                                double *w, int64_t first)
{
    for (int64_t o = 0; o < t->out; o++) {
        double x = source_place(r, axis, t->in, t->out, o);
        if (!(fabs(x) < 1e15)) return reel_fail(REEL_ERR_INPUT, "a source coordinate is %g", x);
        t->outside[o] = r->coordinates == TF_CROP_AND_RESIZE && (x < 0.0 || x > (double)(t->in - 1));
        double base = r->mode == MODE_NEAREST ? nearest_place(r->nearest, x, r->scale[axis]) : floor(x);
        tap_weights(r, r->scale[axis], first, t->taps, x - base, w);
        double kept = 0.0;
        for (int64_t k = 0; k < t->taps; k++) {
            double at = base + (double)(first + k);
            bool inside = at >= 0.0 && at <= (double)(t->in - 1);
            if (r->exclude_outside && r->mode != MODE_NEAREST && !inside) w[k] = 0.0;
            kept += w[k];
            at = at < 0.0 ? 0.0 : at > (double)(t->in - 1) ? (double)(t->in - 1) : at;
            t->index[k * t->out + o] = (int32_t)at;
        }
        for (int64_t k = 0; k < t->taps; k++) {
            double v = r->exclude_outside && r->mode != MODE_NEAREST && kept != 0.0 ? w[k] / kept : w[k];
            if (dtype == REEL_F64)
                ((double *)t->weight)[k * t->out + o] = v;
            else
                ((float *)t->weight)[k * t->out + o] = (float)v;
        }
    }
    return REEL_OK;
}

static enum reel_err table_init(const struct resize *r, int axis, int64_t in, enum reel_dtype dtype,
                                struct axis_table *t)
{
    int64_t first = 0;
    *t = (struct axis_table){.in = in, .out = r->out.dim[axis]};
    enum reel_err err = tap_span(r, r->scale[axis], &first, &t->taps);
    if (err) return err;
    if (in > INT32_MAX) return reel_fail(REEL_ERR_LIMIT, "an extent of %lld is too large", (long long)in);
    t->index = work_alloc(t->out * t->taps, sizeof *t->index);
    t->weight = work_alloc(t->out * t->taps, reel_dtype_bytes(dtype));
    t->outside = work_alloc(t->out, sizeof *t->outside);
    double *w = work_alloc(t->taps, sizeof *w);
    err = t->index && t->weight && t->outside && w ? table_fill(r, axis, dtype, t, w, first) : REEL_ERR_NOMEM;
    free(w);
    if (err) table_fini(t);
    return err;
}

// ---- running ------------------------------------------------------------

#define TAKE(TYPE)                                                                                                  \
    HOT static void take_##TYPE(TYPE *restrict y, const TYPE *restrict x, const int32_t *restrict index, int64_t n) \
    {                                                                                                               \
        for (int64_t o = 0; o < n; o++) y[o] = x[index[o]];                                                         \
    }
TAKE(uint8_t)
TAKE(uint16_t)
TAKE(uint32_t)
TAKE(uint64_t)

// Nearest along one axis, for elements of any size.
static void move_axis(const struct axis_table *t, size_t elem, const void *src, void *dst, int64_t outer, int64_t inner)
{
    size_t row = elem * (size_t)inner;
    const char *x = src;
    char *y = dst;
    for (int64_t i = 0; i < outer; i++, x += (size_t)t->in * row, y += (size_t)t->out * row) {
        if (row == 4 && inner == 1)
            take_uint32_t((void *)y, (const void *)x, t->index, t->out);
        else if (row == 2 && inner == 1)
            take_uint16_t((void *)y, (const void *)x, t->index, t->out);
        else if (row == 1)
            take_uint8_t((void *)y, (const void *)x, t->index, t->out);
        else if (row == 8 && inner == 1)
            take_uint64_t((void *)y, (const void *)x, t->index, t->out);
        else
            for (int64_t o = 0; o < t->out; o++) memcpy(y + (size_t)o * row, x + (size_t)t->index[o] * row, row);
    }
}

// Also with tf_half_pixel_for_nn, whose formula taken literally would mix batch and channels
// by half an element.
static bool axis_stays(const struct resize *r, const struct reel_shape *in, int axis)
{
    if (r->out.dim[axis] != in->dim[axis] || fabs(r->scale[axis] - 1.0) > 1e-9) return false;
    return r->coordinates != TF_CROP_AND_RESIZE || (r->start[axis] == 0.0 && r->end[axis] == 1.0);
}

// Puts the extrapolation value where any axis is outside.
static void fill_outside(const struct resize *r, struct axis_table *const *tables, enum reel_dtype dtype, void *y)
{
    int64_t n = reel_shape_count(&r->out);
    size_t elem = reel_dtype_bytes(dtype);
    char value[8];
    reel_convert(value, dtype, &r->extrapolation, REEL_F64, 1);
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i;
        for (int d = r->out.ndim - 1; d >= 0; rest /= r->out.dim[d], d--)
            if (tables[d] && tables[d]->outside[rest % r->out.dim[d]]) {
                memcpy((char *)y + (size_t)i * elem, value, elem);
                break;
            }
    }
}

// Applies the tables of all axes that change, from the last one on. src and the
// result are of `dtype`; the result ends in dst.
static enum reel_err run_axes(const struct resize *r, const struct reel_shape *in, struct axis_table *const *tables,
                              enum reel_dtype dtype, const void *src, void *dst)
{
    struct reel_shape now = *in;
    size_t elem = reel_dtype_bytes(dtype);
    const void *from = src;
    void *owned = NULL;
    int left = 0;
    for (int d = 0; d < in->ndim; d++) left += tables[d] != NULL;
    if (left == 0 && reel_shape_count(in) > 0) memcpy(dst, src, (size_t)reel_shape_count(in) * elem);
    for (int d = in->ndim - 1; d >= 0; d--) {
        if (!tables[d]) continue;
        int64_t outer = shape_span(&now, 0, d), inner = shape_span(&now, d + 1, now.ndim);
        now.dim[d] = r->out.dim[d];
        void *to = --left ? work_alloc(reel_shape_count(&now), elem) : dst;
        if (!to) {
            free(owned);
            return REEL_ERR_NOMEM;
        }
        if (r->mode == MODE_NEAREST)
            move_axis(tables[d], elem, from, to, outer, inner);
        else if (dtype == REEL_F64)
            mix_axis_f64(tables[d], from, to, outer, inner);
        else
            mix_axis_f32(tables[d], from, to, outer, inner);
        free(owned);
        owned = left ? to : NULL;
        from = to;
    }
    return REEL_OK;
}

// Integers saturate: cubic overshoots.
static void saturate(double *p, int64_t n, enum reel_dtype dtype)
{
    static const double range[REEL_DTYPE_COUNT][2] = {
        [REEL_I8] = {-128, 127},
        [REEL_U8] = {0, 255},
        [REEL_I16] = {-32768, 32767},
        [REEL_U16] = {0, 65535},
        [REEL_I32] = {INT32_MIN, INT32_MAX},
        [REEL_U32] = {0, UINT32_MAX},
        [REEL_I64] = {-9.2e18, 9.2e18},
        [REEL_U64] = {0, 1.8e19},
        [REEL_BOOL] = {0, 1},
    };
    const double *lim = range[dtype];
    for (int64_t i = 0; i < n; i++) p[i] = p[i] < lim[0] ? lim[0] : p[i] > lim[1] ? lim[1] : p[i];
}

static enum reel_err resize_run(const struct op_call *call, const struct resize *r, struct axis_table *const *tables,
                                enum reel_dtype dtype, bool crops)
{
    const struct reel_tensor *in = call->in[0];
    struct work x = {0}, y = {0};
    enum reel_err err = work_in(&x, in, dtype);
    if (!err) err = work_out(&y, call->out[0], dtype);
    if (!err) err = run_axes(r, &in->shape, tables, dtype, x.p, y.p);
    if (!err && crops) fill_outside(r, tables, dtype, y.p);
    if (!err) {
        if (r->mode != MODE_NEAREST && !reel_dtype_is_float(in->dtype))
            saturate(y.p, reel_shape_count(&r->out), in->dtype);
        work_commit(&y);
    }
    work_fini(&x), work_fini(&y);
    return err;
}

enum reel_err resize_eval(const struct op_call *call)
{
    struct resize r;
    enum reel_err err = resize_open(call, &r);
    if (err || !call_out(call, 0)) return err;
    const struct reel_tensor *in = call->in[0];
    err = op_alloc_out(call, 0, in->dtype, &r.out);
    if (err || reel_shape_count(&r.out) == 0) return err;
    if (reel_tensor_count(in) == 0) return reel_fail(REEL_ERR_INPUT, "the input is empty");
    enum reel_dtype dtype = in->dtype;
    if (r.mode != MODE_NEAREST) dtype = reel_dtype_is_float(dtype) ? work_dtype(dtype) : REEL_F64;
    struct axis_table table[REEL_MAX_DIMS] = {{0}}, *used[REEL_MAX_DIMS] = {NULL};
    bool crops = false;
    for (int d = 0; !err && d < in->shape.ndim; d++) {
        if (axis_stays(&r, &in->shape, d)) continue;
        err = table_init(&r, d, in->shape.dim[d], r.mode == MODE_NEAREST ? REEL_F64 : dtype, &table[d]);
        used[d] = &table[d];
        for (int64_t o = 0; !err && o < table[d].out; o++) crops = crops || table[d].outside[o];
    }
    if (!err) err = resize_run(call, &r, used, dtype, crops);
    for (int d = 0; d < REEL_MAX_DIMS; d++) table_fini(&table[d]);
    return err;
}

// ---- for backends -------------------------------------------------------

static enum reel_err give_axis(const struct axis_table *t, struct resize_axis *a)
{
    *a = (struct resize_axis){.out = t->out, .taps = t->taps};
    a->index = work_alloc(t->out * t->taps, sizeof *a->index);
    a->weight = work_alloc(t->out * t->taps, sizeof *a->weight);
    if (!a->index || !a->weight) return REEL_ERR_NOMEM;
    for (int64_t o = 0; o < t->out; o++) {
        a->outside |= t->outside[o];
        for (int64_t k = 0; k < t->taps; k++) {
            a->index[o * t->taps + k] = t->index[k * t->out + o];
            a->weight[o * t->taps + k] = ((const float *)t->weight)[k * t->out + o];
        }
    }
    return REEL_OK;
}

#define MOST_INPUTS 4 // X, roi, scales, sizes

enum reel_err resize_axes_open(const struct node *node, enum reel_dtype dtype, const struct reel_shape *shape,
                               struct resize_axis axes[REEL_MAX_DIMS])
{
    struct reel_tensor known[MOST_INPUTS] = {{.dtype = dtype, .shape = *shape}};
    const struct reel_tensor *list[MOST_INPUTS] = {&known[0]};
    if (node->n_in > MOST_INPUTS) return REEL_AGAIN;
    for (int i = 1; i < node->n_in; i++) {
        const struct value *v = node->in[i];
        if (!v) continue;
        known[i] = (struct reel_tensor){.dtype = v->dtype, .shape = v->shape};
        list[i] = v->constant ? v->constant : &known[i];
    }
    const struct op_call call = {.node = node, .opset = node->opset, .n_in = node->n_in, .in = list};
    struct resize r;
    enum reel_err err = resize_open(&call, &r);
    for (int d = 0; !err && d < shape->ndim; d++)
        if (r.out.dim[d] < 1 || shape->dim[d] < 1) return REEL_AGAIN;
    for (int d = 0; !err && d < shape->ndim; d++) {
        struct axis_table t;
        if (axis_stays(&r, shape, d)) continue;
        err = table_init(&r, d, shape->dim[d], REEL_F32, &t);
        if (err) break;
        err = give_axis(&t, &axes[d]);
        table_fini(&t);
    }
    return err;
}

void resize_axes_close(struct resize_axis axes[REEL_MAX_DIMS])
{
    for (int d = 0; d < REEL_MAX_DIMS; d++) {
        free(axes[d].index);
        free(axes[d].weight);
        axes[d] = (struct resize_axis){0};
    }
}
