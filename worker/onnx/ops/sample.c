// SPDX-License-Identifier: MIT
//
// Sampling at computed places: GridSample (16, 20), AffineGrid (20), RoiAlign
// (10, 16), whose entries stand in image.c's table.
//
// GridSample turns a block of grid points into taps (indices and weights) once
// and applies them to every channel, so that the inner loop is a gather over
// neighbouring outputs.
#include "worker/onnx/ops/resample.h"

#define REAL float
#define FN(name) name##_f32
#include "worker/onnx/ops/sample_body.inc"
#undef REAL
#undef FN
#define REAL double
#define FN(name) name##_f64
#include "worker/onnx/ops/sample_body.inc"
#undef REAL
#undef FN

// ---- GridSample ---------------------------------------------------------

#define GRID_DIMS 3
#define GRID_TAPS 64     // cubic in three dimensions
#define GRID_BLOCK 512   // points: their taps stay in the first two caches
#define GRID_CUBIC -0.75 // the operator's fixed coefficient

enum grid_mode { GRID_NEAREST = 1, GRID_LINEAR = 2, GRID_CUBIC_MODE = 4 }; // taps per axis
enum padding { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION };

struct grid {
    int nd, taps;
    enum grid_mode mode;
    enum padding padding;
    bool align;
    int64_t in[GRID_DIMS]; // extents of the input, outermost first
};

static enum reel_err grid_open(const struct op_call *call, struct grid *g, struct reel_shape *out_shape)
{
    const struct reel_shape *x = &call->in[0]->shape, *at = &call->in[1]->shape;
    const char *mode = node_attr_string(call->node, "mode", call->opset < 20 ? "bilinear" : "linear");
    const char *padding = node_attr_string(call->node, "padding_mode", "zeros");
    *g = (struct grid){.align = node_attr_int(call->node, "align_corners", 0) != 0};
    *out_shape = shape_unknown();
    if (!strcmp(mode, "linear") || !strcmp(mode, "bilinear"))
        g->mode = GRID_LINEAR;
    else if (!strcmp(mode, "cubic") || !strcmp(mode, "bicubic"))
        g->mode = GRID_CUBIC_MODE;
    else if (!strcmp(mode, "nearest"))
        g->mode = GRID_NEAREST;
    else
        return reel_fail(REEL_ERR_UNSUPPORTED, "the mode \"%s\" is not known", mode);
    if (!strcmp(padding, "zeros"))
        g->padding = PADDING_ZEROS;
    else if (!strcmp(padding, "border"))
        g->padding = PADDING_BORDER;
    else if (!strcmp(padding, "reflection"))
        g->padding = PADDING_REFLECTION;
    else
        return reel_fail(REEL_ERR_UNSUPPORTED, "the padding mode \"%s\" is not known", padding);
    if (x->ndim < 0 || at->ndim < 0) return REEL_OK;
    g->nd = x->ndim - 2;
    if (g->nd < 1 || g->nd > GRID_DIMS)
        return reel_fail(REEL_ERR_UNSUPPORTED, "%d spatial axes are not supported", g->nd);
    if (at->ndim != x->ndim || (at->dim[at->ndim - 1] >= 0 && at->dim[at->ndim - 1] != g->nd))
        return reel_fail(REEL_ERR_INPUT, "the grid's shape does not fit an input of rank %d", x->ndim);
    if (x->dim[0] >= 0 && at->dim[0] >= 0 && x->dim[0] != at->dim[0])
        return reel_fail(REEL_ERR_INPUT, "input and grid have different batch extents");
    *out_shape = (struct reel_shape){.ndim = x->ndim, .dim = {x->dim[0], x->dim[1]}};
    g->taps = 1;
    for (int i = 0; i < g->nd; i++) {
        g->in[i] = x->dim[2 + i];
        out_shape->dim[2 + i] = at->dim[1 + i];
        g->taps *= (int)g->mode;
    }
    return REEL_OK;
}

enum reel_err grid_sample_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct grid g;
    struct reel_shape shape = {0};
    enum reel_err err = grid_open(call, &g, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// Mirrors x at the borders until it lies between them.
static double reflect(double x, double low, double high)
{
    double range = high - low;
    if (x >= low && x <= high) return x;
    if (range <= 0.0) return low;
    double away = x < low ? low - x : x - high, turns = floor(away / range), rest = away - turns * range;
    bool even = fmod(turns, 2.0) == 0.0;
    if (x < low) return even ? low + rest : high - rest;
    return even ? high - rest : low + rest;
}

// Where tap place i of an axis lies, or -1 when it counts as zero.
static int64_t grid_place(const struct grid *g, double i, int64_t n)
{
    double last = (double)(n - 1);
    if (g->padding == PADDING_BORDER) i = i < 0.0 ? 0.0 : i > last ? last : i;
    if (g->padding == PADDING_REFLECTION) {
        double low = g->align ? 0.0 : -0.5, high = g->align ? last : last + 0.5;
        i = trunc(reflect(i, low, high));
        i = i < 0.0 ? 0.0 : i > last ? last : i;
    }
    return i < 0.0 || i > last ? -1 : (int64_t)i;
}

// One axis of one point: places and weights of its taps.
static void grid_axis(const struct grid *g, double normal, int64_t n, int64_t place[4], double weight[4])
{
    double last = (double)(n - 1), low = g->align ? 0.0 : -0.5, high = g->align ? last : last + 0.5;
    double x = g->align ? (normal + 1.0) / 2.0 * last : ((normal + 1.0) * (double)n - 1.0) / 2.0;
    x = x >= -1e9 ? x : -1e9; // also for NaN
    x = x <= 1e9 ? x : 1e9;
    if (g->mode == GRID_NEAREST) x = rint(x);
    if (x < low || x > high) {
        // Cubic clamps its samples alone: the curve goes on beyond the border.
        if (g->padding == PADDING_BORDER && g->mode != GRID_CUBIC_MODE) x = x < 0.0 ? 0.0 : last;
        if (g->padding == PADDING_REFLECTION) x = reflect(x, low, high);
    }
    double base = floor(x), t = x - base;
    int first = 0;
    if (g->mode == GRID_NEAREST) {
        base = trunc(x);
        weight[0] = 1.0;
    } else if (g->mode == GRID_LINEAR) {
        weight[0] = 1.0 - t;
        weight[1] = t;
    } else {
        cubic_weights(t, GRID_CUBIC, weight);
        first = -1;
    }
    for (int k = 0; k < (int)g->mode; k++) place[k] = grid_place(g, base + first + k, n);
}

// The taps of points p0..p0+n-1 of a grid whose coordinates are x first.
static void grid_taps(const struct grid *g, const double *grid, int64_t n, enum reel_dtype dtype, int32_t *index,
                      void *weight)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t place[GRID_DIMS][4];
        double w[GRID_DIMS][4];
        for (int d = 0; d < g->nd; d++) grid_axis(g, grid[i * g->nd + g->nd - 1 - d], g->in[d], place[d], w[d]);
        for (int k = 0; k < g->taps; k++) {
            int64_t at = 0;
            double product = 1.0;
            for (int d = 0, rest = k, unit = g->taps / (int)g->mode; d < g->nd; d++) {
                int tap = rest / unit;
                rest %= unit;
                unit = unit > 1 ? unit / (int)g->mode : 1;
                if (place[d][tap] < 0) product = 0.0;
                at = at * g->in[d] + (place[d][tap] < 0 ? 0 : place[d][tap]);
                product *= w[d][tap];
            }
            index[k * n + i] = (int32_t)at;
            if (dtype == REEL_F64)
                ((double *)weight)[k * n + i] = product;
            else
                ((float *)weight)[k * n + i] = (float)product;
        }
    }
}

// One axis of bilinear sampling without reflection: the lower place, both
// weights, of which those outside are zero.
static int32_t linear_axis(const struct grid *g, double normal, int64_t n, double weight[2])
{
    double last = (double)(n - 1);
    double x = g->align ? (normal + 1.0) / 2.0 * last : ((normal + 1.0) * (double)n - 1.0) / 2.0;
    x = x >= -1e9 ? x : -1e9; // also for NaN
    x = x <= 1e9 ? x : 1e9;
    if (g->padding == PADDING_BORDER) x = x < 0.0 ? 0.0 : x > last ? last : x;
    int32_t base = (int32_t)x;
    base -= x < (double)base;
    double t = x - (double)base;
    weight[0] = base >= 0 && base < n ? 1.0 - t : 0.0;
    weight[1] = base >= -1 && base < n - 1 ? t : 0.0;
    return base;
}

// As grid_taps for the most usual case: pictures, bilinear, no reflection.
static void grid_taps_bilinear(const struct grid *g, const double *grid, int64_t n, int32_t *index, float *weight)
{
    const int32_t w = (int32_t)g->in[1];
    const int64_t last_x = g->in[1] - 1, last_y = g->in[0] - 1;
    for (int64_t i = 0; i < n; i++) {
        double wx[2], wy[2];
        int32_t x0 = linear_axis(g, grid[2 * i], g->in[1], wx), y0 = linear_axis(g, grid[2 * i + 1], g->in[0], wy);
        int32_t x1 = x0 + 1, y1 = y0 + 1;
        x0 = x0 < 0 ? 0 : x0 > last_x ? (int32_t)last_x : x0, x1 = x1 < 0 ? 0 : x1 > last_x ? (int32_t)last_x : x1;
        y0 = y0 < 0 ? 0 : y0 > last_y ? (int32_t)last_y : y0, y1 = y1 < 0 ? 0 : y1 > last_y ? (int32_t)last_y : y1;
        index[i] = y0 * w + x0, weight[i] = (float)(wy[0] * wx[0]);
        index[n + i] = y0 * w + x1, weight[n + i] = (float)(wy[0] * wx[1]);
        index[2 * n + i] = y1 * w + x0, weight[2 * n + i] = (float)(wy[1] * wx[0]);
        index[3 * n + i] = y1 * w + x1, weight[3 * n + i] = (float)(wy[1] * wx[1]);
    }
}

static enum reel_err grid_run(const struct grid *g, const struct reel_shape *out, const struct work *x,
                              const double *grid, struct work *y)
{
    int64_t points = shape_span(out, 2, out->ndim), plane = 1;
    for (int d = 0; d < g->nd; d++) plane *= g->in[d];
    if (plane > INT32_MAX) return reel_fail(REEL_ERR_LIMIT, "the input's planes are too large");
    int32_t *index = work_alloc((int64_t)g->taps * GRID_BLOCK, sizeof *index);
    double *weight = work_alloc((int64_t)g->taps * GRID_BLOCK, sizeof *weight);
    enum reel_err err = index && weight ? REEL_OK : REEL_ERR_NOMEM;
    bool pictures = g->nd == 2 && g->mode == GRID_LINEAR && g->padding != PADDING_REFLECTION && y->dtype != REEL_F64;
    for (int64_t b = 0; !err && b < out->dim[0]; b++)
        for (int64_t p = 0; p < points; p += GRID_BLOCK) {
            int64_t n = points - p < GRID_BLOCK ? points - p : GRID_BLOCK;
            if (pictures)
                grid_taps_bilinear(g, grid + (b * points + p) * 2, n, index, (float *)(void *)weight);
            else
                grid_taps(g, grid + (b * points + p) * g->nd, n, y->dtype, index, weight);
            for (int64_t c = b * out->dim[1]; c < (b + 1) * out->dim[1]; c++) {
                if (y->dtype == REEL_F64)
                    sample_points_f64((double *)y->p + c * points + p, (const double *)x->p + c * plane, index, weight,
                                      n, g->taps);
                else
                    sample_points_f32((float *)y->p + c * points + p, (const float *)x->p + c * plane, index,
                                      (const float *)(const void *)weight, n, g->taps);
            }
        }
    free(index);
    free(weight);
    return err;
}

enum reel_err grid_sample_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct grid g;
    struct reel_shape shape = {0};
    enum reel_err err = grid_open(call, &g, &shape);
    if (err || !call_out(call, 0)) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    if (reel_tensor_count(call->in[0]) == 0) return reel_fail(REEL_ERR_INPUT, "the input is empty");
    enum reel_dtype stored = call->in[0]->dtype;
    enum reel_dtype dtype = reel_dtype_is_float(stored) ? work_dtype(stored) : REEL_F64;
    struct work x = {0}, grid = {0}, y = {0};
    err = work_in(&x, call->in[0], dtype);
    if (!err) err = work_in(&grid, call->in[1], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], dtype);
    if (!err) err = grid_run(&g, &shape, &x, grid.p, &y);
    if (!err) work_commit(&y);
    work_fini(&x), work_fini(&grid), work_fini(&y);
    return err;
}

// ---- AffineGrid ---------------------------------------------------------

static enum reel_err affine_shape(const struct op_call *call, struct reel_shape *out_shape, int64_t size[5],
                                  int *out_nd)
{
    const struct reel_shape *theta = &call->in[0]->shape;
    int n = 0;
    *out_shape = shape_unknown();
    if (!op_const_ints(call, 1, size, 5, &n)) {
        if (theta->ndim != 3 || theta->dim[1] < 0) return REEL_OK;
        int nd = theta->dim[1] == 3 ? 3 : 2;
        *out_shape = (struct reel_shape){.ndim = nd + 2, .dim = {theta->dim[0], -1, -1, -1, -1}};
        out_shape->dim[nd + 1] = nd;
        return REEL_OK;
    }
    if (n != 4 && n != 5) return reel_fail(REEL_ERR_INPUT, "size has %d elements, not 4 or 5", n);
    *out_nd = n - 2;
    if (theta->ndim >= 0 &&
        (theta->ndim != 3 || (theta->dim[0] >= 0 && theta->dim[0] != size[0]) ||
         (theta->dim[1] >= 0 && theta->dim[1] != n - 2) || (theta->dim[2] >= 0 && theta->dim[2] != n - 1)))
        return reel_fail(REEL_ERR_INPUT, "theta's shape does not fit the size");
    *out_shape = (struct reel_shape){.ndim = n, .dim = {size[0]}};
    for (int i = 2; i < n; i++) {
        if (size[i] < 0) return reel_fail(REEL_ERR_INPUT, "a size is negative");
        out_shape->dim[i - 1] = size[i];
    }
    out_shape->dim[n - 1] = n - 2;
    return REEL_OK;
}

enum reel_err affine_grid_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    int64_t size[5];
    int nd = 0;
    enum reel_err err = affine_shape(call, &shape, size, &nd);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// Element i of n along an axis in -1..1.
static double normal_place(int64_t i, int64_t n, bool align)
{
    if (!align) return (2.0 * (double)i + 1.0) / (double)n - 1.0;
    return n > 1 ? 2.0 * (double)i / (double)(n - 1) - 1.0 : 0.0;
}

enum reel_err affine_grid_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    int64_t size[5] = {0};
    int nd = 0;
    enum reel_err err = affine_shape(call, &shape, size, &nd);
    if (err || !call_out(call, 0)) return err;
    bool align = node_attr_int(call->node, "align_corners", 0) != 0;
    struct work theta = {0}, y = {0};
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (!err) err = work_in(&theta, call->in[0], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    int64_t points = shape_span(&shape, 1, shape.ndim - 1);
    for (int64_t i = 0; !err && i < size[0] * points; i++) {
        const double *row = (double *)theta.p + i / points * nd * (nd + 1);
        double at[4] = {0}; // x, y(, z), 1
        int64_t rest = i % points;
        for (int d = 0; d < nd; d++) {
            int64_t n = shape.dim[nd - d];
            at[d] = normal_place(rest % n, n, align);
            rest /= n;
        }
        at[nd] = 1.0;
        for (int k = 0; k < nd; k++, row += nd + 1) {
            double sum = 0.0;
            for (int d = 0; d <= nd; d++) sum += row[d] * at[d];
            ((double *)y.p)[i * nd + k] = sum;
        }
    }
    if (!err) work_commit(&y);
    work_fini(&theta), work_fini(&y);
    return err;
}

// ---- RoiAlign -----------------------------------------------------------

#define ROI_SAMPLES_MAX 4096 // per bin and axis

struct roi_align {
    int64_t h, w, channels, ph, pw, ratio;
    double scale, shift;
    bool average;
};

static enum reel_err roi_align_shape(const struct op_call *call, struct roi_align *r, struct reel_shape *out_shape)
{
    const struct reel_shape *x = &call->in[0]->shape, *rois = &call->in[1]->shape;
    const char *mode = node_attr_string(call->node, "mode", "avg");
    const char *how = node_attr_string(call->node, "coordinate_transformation_mode",
                                       call->opset < 16 ? "output_half_pixel" : "half_pixel");
    *r = (struct roi_align){.ph = node_attr_int(call->node, "output_height", 1),
                            .pw = node_attr_int(call->node, "output_width", 1),
                            .ratio = node_attr_int(call->node, "sampling_ratio", 0),
                            .scale = node_attr_float(call->node, "spatial_scale", 1.0f),
                            .average = !strcmp(mode, "avg"),
                            .shift = !strcmp(how, "half_pixel") ? 0.5 : 0.0};
    if (strcmp(mode, "avg") && strcmp(mode, "max"))
        return reel_fail(REEL_ERR_INPUT, "the mode \"%s\" is not known", mode);
    if (r->ph < 1 || r->pw < 1 || r->ph > INT32_MAX || r->pw > INT32_MAX || r->ratio < 0 || r->ratio > ROI_SAMPLES_MAX)
        return reel_fail(REEL_ERR_INPUT, "the output's extents or the sampling ratio are out of range");
    if ((x->ndim >= 0 && x->ndim != 4) ||
        (rois->ndim >= 0 && (rois->ndim != 2 || (rois->dim[1] >= 0 && rois->dim[1] != 4))))
        return reel_fail(REEL_ERR_INPUT, "the input must be 4-D and the regions (n,4)");
    *out_shape =
        (struct reel_shape){4, {rois->ndim == 2 ? rois->dim[0] : -1, x->ndim == 4 ? x->dim[1] : -1, r->ph, r->pw}};
    if (x->ndim == 4) r->channels = x->dim[1], r->h = x->dim[2], r->w = x->dim[3];
    return REEL_OK;
}

enum reel_err roi_align_infer(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct roi_align r;
    struct reel_shape shape = {0};
    enum reel_err err = roi_align_shape(call, &r, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    return REEL_OK;
}

// One sample: the bilinear mean, or (max) the largest weighted corner, which is
// what the operator's reference takes the maximum of.
static double roi_sample(const struct roi_align *r, const double *plane, double y, double x)
{
    if (!(y >= -1.0 && y <= (double)r->h && x >= -1.0 && x <= (double)r->w)) return 0.0;
    y = y < 0.0 ? 0.0 : y;
    x = x < 0.0 ? 0.0 : x;
    int64_t y0 = (int64_t)y, x0 = (int64_t)x, y1 = y0 + 1, x1 = x0 + 1;
    if (y0 >= r->h - 1) y0 = y1 = r->h - 1, y = (double)y0;
    if (x0 >= r->w - 1) x0 = x1 = r->w - 1, x = (double)x0;
    double fy = y - (double)y0, fx = x - (double)x0;
    double a = (1.0 - fy) * (1.0 - fx) * plane[y0 * r->w + x0], b = (1.0 - fy) * fx * plane[y0 * r->w + x1];
    double c = fy * (1.0 - fx) * plane[y1 * r->w + x0], d = fy * fx * plane[y1 * r->w + x1];
    return r->average ? a + b + c + d : fmax(fmax(a, b), fmax(c, d));
}

static enum reel_err roi_align_one(const struct roi_align *r, const double *x, const double *roi, double *y)
{
    double x0 = roi[0] * r->scale - r->shift, y0 = roi[1] * r->scale - r->shift;
    double w = roi[2] * r->scale - r->shift - x0, h = roi[3] * r->scale - r->shift - y0;
    if (r->shift == 0.0) w = fmax(w, 1.0), h = fmax(h, 1.0); // malformed regions become 1x1
    double bin_h = h / (double)r->ph, bin_w = w / (double)r->pw;
    double ny = r->ratio ? (double)r->ratio : ceil(bin_h), nx = r->ratio ? (double)r->ratio : ceil(bin_w);
    if (!(ny <= ROI_SAMPLES_MAX && nx <= ROI_SAMPLES_MAX))
        return reel_fail(REEL_ERR_INPUT, "a region needs too many samples");
    int64_t gy = ny > 0 ? (int64_t)ny : 0, gx = nx > 0 ? (int64_t)nx : 0, count = gy * gx;
    for (int64_t q = 0; q < r->channels * r->ph * r->pw; q++) {
        int64_t c = q / (r->ph * r->pw), ph = q / r->pw % r->ph, pw = q % r->pw;
        const double *plane = x + c * r->h * r->w;
        double acc = 0.0;
        for (int64_t k = 0; k < count; k++) {
            double at_y = y0 + (double)ph * bin_h + ((double)(k / gx) + 0.5) * bin_h / (double)gy;
            double at_x = x0 + (double)pw * bin_w + ((double)(k % gx) + 0.5) * bin_w / (double)gx;
            double v = roi_sample(r, plane, at_y, at_x);
            acc = r->average ? acc + v : k == 0 ? v : fmax(acc, v);
        }
        y[q] = r->average && count ? acc / (double)count : acc;
    }
    return REEL_OK;
}

enum reel_err roi_align_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct roi_align r;
    struct reel_shape shape = {0};
    enum reel_err err = roi_align_shape(call, &r, &shape);
    if (err || !call_out(call, 0)) return err;
    if (reel_tensor_count(call->in[2]) != shape.dim[0])
        return reel_fail(REEL_ERR_INPUT, "batch_indices must have one element per region");
    struct work x = {0}, rois = {0}, y = {0};
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (!err) err = work_in(&x, call->in[0], REEL_F64);
    if (!err) err = work_in(&rois, call->in[1], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    int64_t image = r.channels * r.h * r.w, per = r.channels * r.ph * r.pw;
    for (int64_t i = 0; !err && i < shape.dim[0]; i++) {
        int64_t b = op_scalar_int(call->in[2], i);
        if (b < 0 || b >= call->in[0]->shape.dim[0] || r.h * r.w == 0)
            err = reel_fail(REEL_ERR_INPUT, "a region's batch index is %lld", (long long)b);
        else
            err = roi_align_one(&r, (double *)x.p + b * image, (double *)rois.p + i * 4, (double *)y.p + i * per);
    }
    if (!err) work_commit(&y);
    work_fini(&x), work_fini(&rois), work_fini(&y);
    return err;
}
