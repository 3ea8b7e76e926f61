// SPDX-License-Identifier: MIT
//
// Pools: MaxPool, AveragePool, LpPool, their global forms, MaxUnpool,
// MaxRoiPool, and LRN. Called through the operator table. What it is not: no
// fast path, as conv.c.
#include "worker/onnx/ops/window.h"

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

// y[i] += x[i*step]
HOT static void add_row(float *restrict y, const float *restrict x, int64_t n, int64_t step)
{
    if (step == 1)
        for (int64_t i = 0; i < n; i++) y[i] += x[i];
    else if (step == 2)
        for (int64_t i = 0; i < n; i++) y[i] += x[2 * i];
    else
        for (int64_t i = 0; i < n; i++) y[i] += x[i * step];
}

// Sums of one plane: each output row gathers the rows under its window.
static void pool_sums_f32(const struct window *w, const float *x, float *y)
{
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
                        if (hi > lo) add_row(row_y + lo, row + lo * w->stride[2] + off, hi - lo, w->stride[2]);
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

const struct op_def ops_pool[] = {
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
const int ops_pool_count = sizeof ops_pool / sizeof ops_pool[0];
