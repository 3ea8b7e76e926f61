// SPDX-License-Identifier: MIT
//
// Normalisations: BatchNormalization, InstanceNormalization, GroupNormalization,
// LayerNormalization, RMSNormalization, LpNormalization,
// MeanVarianceNormalization, and com.microsoft's SkipLayerNormalization.
//
// Called through the operator table. All are rows: mean and variance of a run
// of elements, then an affine map of it. Sums run in single precision partial
// sums whose number does not depend on the instruction set.
#include "worker/onnx/ops/work.h"

#define NORM_LANES 32

#define REAL float
#define FN(name) name##_f32
#include "worker/onnx/ops/norm_body.inc"
#undef REAL
#undef FN
#define REAL double
#define FN(name) name##_f64
#include "worker/onnx/ops/norm_body.inc"
#undef REAL
#undef FN

// The same on a working copy from element `at` on.
static void moments(const struct work *x, int64_t at, int64_t n, double *mean, double *var)
{
    if (x->dtype == REEL_F64)
        moments_f64((const double *)x->p + at, n, mean, var);
    else
        moments_f32((const float *)x->p + at, n, mean, var);
}

static void affine(const struct work *x, const struct work *y, int64_t at, int64_t n, double mean, double a, double b)
{
    if (x->dtype == REEL_F64)
        affine_f64((const double *)x->p + at, (double *)y->p + at, n, mean, a, b);
    else
        affine_f32((const float *)x->p + at, (float *)y->p + at, n, (float)mean, (float)a, (float)b);
}

static double element(const struct work *w, int64_t i)
{
    return w->dtype == REEL_F64 ? ((const double *)w->p)[i] : ((const float *)w->p)[i];
}

static void set_element(struct work *w, int64_t i, double v)
{
    if (w->dtype == REEL_F64)
        ((double *)w->p)[i] = v;
    else
        ((float *)w->p)[i] = (float)v;
}

static enum reel_err need_rank(const struct op_call *call, int rank)
{
    int n = call->in[0]->shape.ndim;
    if (n >= 0 && n < rank) return reel_fail(REEL_ERR_INPUT, "the input has rank %d, at least %d is needed", n, rank);
    return REEL_OK;
}

static enum reel_err need_count(const struct op_call *call, int i, int64_t n, const char *what)
{
    if (reel_tensor_count(call->in[i]) != n)
        return reel_fail(REEL_ERR_INPUT, "the %s has %lld elements where %lld are needed", what,
                         (long long)reel_tensor_count(call->in[i]), (long long)n);
    return REEL_OK;
}

// ---- BatchNormalization (1, 6, 7, 9, 14, 15) ----------------------------------

static bool batch_training(const struct op_call *call)
{
    return call->opset >= 14 && node_attr_int(call->node, "training_mode", 0) != 0;
}

static enum reel_err batch_infer(const struct op_call *call)
{
    if (!inputs_given(call, 5)) return REEL_ERR_INPUT;
    enum reel_err err = need_rank(call, 1);
    if (err) return err;
    if (node_attr_int(call->node, "spatial", 1) != 1)
        return reel_fail(REEL_ERR_UNSUPPORTED, "spatial=0 is not supported");
    if (call->opset < 7 && !node_attr_int(call->node, "is_test", 0))
        return reel_fail(REEL_ERR_UNSUPPORTED, "is_test=0 is not supported");
    for (int i = 1; i < call->n_out; i++)
        if (call->out[i] && !batch_training(call))
            return reel_fail(REEL_ERR_UNSUPPORTED, "the outputs of training are not supported");
    infer_out(call, 0, call->in[0]->dtype, &call->in[0]->shape);
    infer_out(call, 1, call->in[3]->dtype, &call->in[3]->shape);
    infer_out(call, 2, call->in[4]->dtype, &call->in[4]->shape);
    return REEL_OK;
}

// The batch's own moments of channel c, over (N, spatial).
static void batch_moments(const struct work *x, int64_t n, int64_t c_n, int64_t c, int64_t area, double *mean,
                          double *var)
{
    double sum = 0.0, square = 0.0;
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < area; i++) sum += element(x, (b * c_n + c) * area + i);
    *mean = sum / (double)(n * area);
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < area; i++) {
            double d = element(x, (b * c_n + c) * area + i) - *mean;
            square += d * d;
        }
    *var = square / (double)(n * area);
}

static enum reel_err batch_eval(const struct op_call *call)
{
    if (!inputs_given(call, 5)) return REEL_ERR_INPUT;
    const struct reel_shape *s = &call->in[0]->shape;
    enum reel_err err = batch_infer(call);
    if (err) return err;
    // A 1-D input is one channel per the specification of opset 15.
    int64_t n = s->ndim > 0 ? s->dim[0] : 1, c_n = s->ndim > 1 ? s->dim[1] : 1;
    int64_t area = s->ndim > 2 ? shape_span(s, 2, s->ndim) : 1;
    bool training = batch_training(call);
    double epsilon = node_attr_float(call->node, "epsilon", 1e-5f);
    double momentum = node_attr_float(call->node, "momentum", 0.9f);
    enum reel_dtype dtype = work_dtype(call->in[0]->dtype);
    struct work in[5] = {{0}}, out[3] = {{0}};
    for (int i = 1; !err && i < 5; i++) err = need_count(call, i, c_n, "parameter");
    for (int i = 0; !err && i < 5; i++) err = work_in(&in[i], call->in[i], dtype);
    for (int i = 0; !err && i < 3; i++) {
        if (!call_out(call, i)) continue;
        const struct reel_tensor *like = call->in[i ? i + 2 : 0];
        err = op_alloc_out(call, i, like->dtype, &like->shape);
        if (!err) err = work_out(&out[i], call->out[i], dtype);
    }
    for (int64_t c = 0; !err && c < c_n; c++) {
        double mean = element(&in[3], c), var = element(&in[4], c);
        if (training) {
            double m, v;
            batch_moments(&in[0], n, c_n, c, area, &m, &v);
            if (out[1].p) set_element(&out[1], c, mean * momentum + m * (1.0 - momentum));
            if (out[2].p) set_element(&out[2], c, var * momentum + v * (1.0 - momentum));
            mean = m, var = v;
        }
        double a = element(&in[1], c) / sqrt(var + epsilon), b = element(&in[2], c);
        for (int64_t i = 0; out[0].p && i < n; i++) affine(&in[0], &out[0], (i * c_n + c) * area, area, mean, a, b);
    }
    for (int i = 0; i < 3; i++) {
        if (!err && out[i].p) work_commit(&out[i]);
        work_fini(&out[i]);
    }
    for (int i = 0; i < 5; i++) work_fini(&in[i]);
    return err;
}

// ---- InstanceNormalization, GroupNormalization --------------------------

// Groups of channels share moments; scale and bias are per channel, or per
// group (GroupNormalization 18).
static enum reel_err group_run(const struct op_call *call, int64_t groups, bool per_group)
{
    const struct reel_shape *s = &call->in[0]->shape;
    int64_t n = s->dim[0], c_n = s->dim[1], area = shape_span(s, 2, s->ndim);
    if (groups < 1 || c_n % groups)
        return reel_fail(REEL_ERR_INPUT, "%lld groups do not divide %lld channels", (long long)groups, (long long)c_n);
    double epsilon = node_attr_float(call->node, "epsilon", 1e-5f);
    int64_t per = c_n / groups, params = per_group ? groups : c_n;
    enum reel_dtype dtype = work_dtype(call->in[0]->dtype);
    struct work in[3] = {{0}}, y = {0};
    enum reel_err err = need_count(call, 1, params, "scale");
    if (!err) err = need_count(call, 2, params, "bias");
    if (!err) err = op_alloc_out(call, 0, call->in[0]->dtype, s);
    for (int i = 0; !err && i < 3; i++) err = work_in(&in[i], call->in[i], dtype);
    if (!err) err = work_out(&y, call->out[0], dtype);
    for (int64_t g = 0; !err && per * area > 0 && g < n * groups; g++) {
        double mean, var;
        moments(&in[0], g * per * area, per * area, &mean, &var);
        double inv = 1.0 / sqrt(var + epsilon);
        for (int64_t c = 0; c < per; c++) {
            int64_t param = per_group ? g % groups : g % groups * per + c;
            affine(&in[0], &y, (g * per + c) * area, area, mean, inv * element(&in[1], param), element(&in[2], param));
        }
    }
    if (!err) work_commit(&y);
    for (int i = 0; i < 3; i++) work_fini(&in[i]);
    work_fini(&y);
    return err;
}

static enum reel_err instance_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    enum reel_err err = need_rank(call, 2);
    if (err || !call_out(call, 0)) return err;
    return group_run(call, call->in[0]->shape.dim[1], false);
}

static enum reel_err group_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    enum reel_err err = need_rank(call, 2);
    if (err || !call_out(call, 0)) return err;
    return group_run(call, node_attr_int(call->node, "num_groups", 0), call->opset < 21);
}

// ---- LayerNormalization, RMSNormalization, SkipLayerNormalization -------

// A parameter that broadcasts to x (its last axes from `axis` on, or all of
// it), written out. *out_rows tells whether it has one row per row of x.
static enum reel_err expand_param(const struct reel_tensor *t, const struct reel_shape *x, int axis,
                                  enum reel_dtype dtype, struct work *out_w, bool *out_rows)
{
    *out_w = (struct work){.dtype = dtype};
    *out_rows = false;
    if (!t) return REEL_OK;
    int lead = x->ndim - t->shape.ndim;
    if (lead < 0) return reel_fail(REEL_ERR_INPUT, "a parameter has more axes than the input");
    for (int i = lead; i < x->ndim; i++) {
        int64_t d = t->shape.dim[i - lead];
        if (d != 1 && d != x->dim[i]) return reel_fail(REEL_ERR_INPUT, "a parameter does not broadcast to the input");
        if (d != 1 && i < axis) *out_rows = true;
    }
    int first = *out_rows ? 0 : axis;
    int64_t n = shape_span(x, first, x->ndim);
    struct work src = {0};
    enum reel_err err = work_in(&src, t, dtype);
    if (err) return err;
    if (n == reel_tensor_count(t)) {
        *out_w = src;
        return REEL_OK;
    }
    out_w->p = out_w->owned = work_alloc(n, reel_dtype_bytes(dtype));
    for (int64_t i = 0; out_w->p && i < n; i++) {
        int64_t from = 0, unit = 1, rest = i;
        for (int d = x->ndim - 1; d >= first; d--) {
            int64_t at = rest % x->dim[d];
            rest /= x->dim[d];
            if (d < lead) continue;
            int64_t extent = t->shape.dim[d - lead];
            if (extent != 1) from += at * unit;
            unit *= extent;
        }
        set_element(out_w, i, element(&src, from));
    }
    work_fini(&src);
    return out_w->p ? REEL_OK : REEL_ERR_NOMEM;
}

static enum reel_err layer_shape(const struct op_call *call, int *out_axis, struct reel_shape *out_stats)
{
    const struct reel_shape *s = &call->in[0]->shape;
    *out_stats = *s;
    *out_axis = 0;
    if (s->ndim < 0) return REEL_OK;
    enum reel_err err = op_axis(node_attr_int(call->node, "axis", -1), s->ndim, out_axis);
    for (int i = *out_axis; !err && i < s->ndim; i++) out_stats->dim[i] = 1;
    return err;
}

static enum reel_dtype stash_dtype(const struct op_call *call)
{
    enum reel_dtype dtype = dtype_of_onnx(node_attr_int(call->node, "stash_type", 1));
    return reel_dtype_is_float(dtype) ? dtype : REEL_F32;
}

static enum reel_err layer_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct reel_shape stats = {0};
    int axis = 0;
    enum reel_err err = layer_shape(call, &axis, &stats);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &call->in[0]->shape);
    infer_out(call, 1, stash_dtype(call), &stats);
    infer_out(call, 2, stash_dtype(call), &stats);
    return REEL_OK;
}

// One row of length n at element `at`; centre: subtract the mean.
static void layer_row(const struct work *x, const struct work *y, int64_t at, int64_t n, double mean, double inv,
                      const struct work *scale, int64_t scale_at, const struct work *bias, int64_t bias_at)
{
    if (x->dtype == REEL_F64) {
        affine_rows_f64((double *)x->p + at, (double *)y->p + at, n, mean, inv,
                        scale->p ? (double *)scale->p + scale_at : NULL, bias->p ? (double *)bias->p + bias_at : NULL);
        return;
    }
    affine_rows_f32((float *)x->p + at, (float *)y->p + at, n, (float)mean, (float)inv,
                    scale->p ? (float *)scale->p + scale_at : NULL, bias->p ? (float *)bias->p + bias_at : NULL);
}

// Rows of x (a working copy of shape s) from `axis` on. stats[0] and stats[1]
// (mean, inverse deviation) may be empty.
static void layer_rows(const struct reel_shape *s, int axis, bool centre, double epsilon, const struct work *x,
                       struct work *y, const struct work *scale, bool scale_rows, const struct work *bias,
                       bool bias_rows, struct work stats[2])
{
    int64_t rows = shape_span(s, 0, axis), n = shape_span(s, axis, s->ndim);
    for (int64_t r = 0; n > 0 && r < rows; r++) {
        double mean = 0.0, var;
        if (centre)
            moments(x, r * n, n, &mean, &var);
        else
            var = (x->dtype == REEL_F64 ? sum_squares_f64((double *)x->p + r * n, n)
                                        : sum_squares_f32((float *)x->p + r * n, n)) /
                  (double)n;
        double inv = 1.0 / sqrt(var + epsilon);
        layer_row(x, y, r * n, n, mean, inv, scale, scale_rows ? r * n : 0, bias, bias_rows ? r * n : 0);
        if (stats[0].p) set_element(&stats[0], r, mean);
        if (stats[1].p) set_element(&stats[1], r, inv);
    }
}

static enum reel_err layer_run(const struct op_call *call, bool centre)
{
    struct reel_shape stats_shape = {0};
    int axis = 0;
    const struct reel_shape *s = &call->in[0]->shape;
    enum reel_err err = layer_shape(call, &axis, &stats_shape);
    if (err) return err;
    enum reel_dtype dtype = work_dtype(call->in[0]->dtype);
    struct work x = {0}, scale = {0}, bias = {0}, y = {0}, stats[2] = {{0}};
    struct reel_tensor discarded = {0};
    bool scale_rows = false, bias_rows = false;
    err = work_in(&x, call->in[0], dtype);
    if (!err) err = expand_param(call->in[1], s, axis, dtype, &scale, &scale_rows);
    if (!err) err = expand_param(centre ? call_in(call, 2) : NULL, s, axis, dtype, &bias, &bias_rows);
    if (!err)
        err = call_out(call, 0) ? op_alloc_out(call, 0, call->in[0]->dtype, s)
                                : reel_tensor_init(&discarded, call->in[0]->dtype, s);
    if (!err) err = work_out(&y, call_out(call, 0) ? call->out[0] : &discarded, dtype);
    for (int i = 0; !err && i < 2; i++) {
        if (!call_out(call, 1 + i)) continue;
        err = op_alloc_out(call, 1 + i, stash_dtype(call), &stats_shape);
        if (!err) err = work_out(&stats[i], call->out[1 + i], dtype);
    }
    if (!err) {
        double epsilon = node_attr_float(call->node, "epsilon", 1e-5f);
        layer_rows(s, axis, centre, epsilon, &x, &y, &scale, scale_rows, &bias, bias_rows, stats);
        work_commit(&y);
        for (int i = 0; i < 2; i++)
            if (stats[i].p) work_commit(&stats[i]);
    }
    work_fini(&x), work_fini(&scale), work_fini(&bias), work_fini(&y), work_fini(&stats[0]), work_fini(&stats[1]);
    reel_tensor_fini(&discarded);
    return err;
}

static enum reel_err layer_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    return layer_run(call, true);
}

static enum reel_err rms_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    return layer_run(call, false);
}

// com.microsoft: x + skip (+ bias), then LayerNormalization of the last axis.
static enum reel_err skip_layer_infer(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct reel_shape stats = call->in[0]->shape;
    if (stats.ndim > 0) stats.dim[stats.ndim - 1] = 1;
    infer_out(call, 0, call->in[0]->dtype, &call->in[0]->shape);
    infer_out(call, 1, REEL_F32, &stats);
    infer_out(call, 2, REEL_F32, &stats);
    infer_out(call, 3, call->in[0]->dtype, &call->in[0]->shape);
    return REEL_OK;
}

static enum reel_err skip_layer_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    const struct reel_shape *s = &call->in[0]->shape;
    if (s->ndim < 1) return reel_fail(REEL_ERR_INPUT, "the input is a scalar");
    int axis = s->ndim - 1;
    int64_t n = reel_tensor_count(call->in[0]), width = s->dim[axis];
    struct reel_shape stats_shape = *s;
    stats_shape.dim[axis] = 1;
    enum reel_dtype dtype = REEL_F32;
    struct work in[5] = {{0}}, sum = {.dtype = dtype}, y = {0}, stats[2] = {{0}}, total = {0};
    bool rows = false, unused = false;
    enum reel_err err = op_alloc_out(call, 0, call->in[0]->dtype, s);
    if (!err) err = work_in(&in[0], call->in[0], dtype);
    if (!err) err = expand_param(call->in[1], s, axis, dtype, &in[1], &rows);
    for (int i = 2; !err && i < 5; i++) err = expand_param(call_in(call, i), s, axis, dtype, &in[i], &unused);
    if (!err && !(sum.p = sum.owned = work_alloc(n, sizeof(float)))) err = REEL_ERR_NOMEM;
    if (!err) err = work_out(&y, call->out[0], dtype);
    for (int i = 0; !err && i < 2; i++) {
        if (!call_out(call, 1 + i)) continue;
        err = op_alloc_out(call, 1 + i, REEL_F32, &stats_shape);
        if (!err) err = work_out(&stats[i], call->out[1 + i], dtype);
    }
    if (!err && call_out(call, 3)) err = op_alloc_out(call, 3, call->in[0]->dtype, s);
    if (!err && call_out(call, 3)) err = work_out(&total, call->out[3], dtype);
    if (!err) {
        const float *x = in[0].p, *skip = in[1].p, *bias = in[4].p;
        float *to = sum.p;
        for (int64_t i = 0; i < n; i++) to[i] = x[i] + skip[rows ? i : i % width] + (bias ? bias[i % width] : 0.0f);
        if (total.p && n) memcpy(total.p, sum.p, sizeof(float) * (size_t)n);
        double epsilon = node_attr_float(call->node, "epsilon", 1e-12f);
        layer_rows(s, axis, true, epsilon, &sum, &y, &in[2], false, &in[3], false, stats);
        work_commit(&y);
        if (total.p) work_commit(&total);
    }
    for (int i = 0; i < 5; i++) work_fini(&in[i]);
    work_fini(&sum), work_fini(&y), work_fini(&stats[0]), work_fini(&stats[1]), work_fini(&total);
    return err;
}

// ---- LpNormalization, MeanVarianceNormalization -------------------------

static enum reel_err lp_eval(const struct op_call *call)
{
    const struct reel_shape *s = &call->in[0]->shape;
    int64_t p = node_attr_int(call->node, "p", 2);
    int axis = 0;
    if (!call_out(call, 0)) return REEL_OK;
    if (p != 1 && p != 2) return reel_fail(REEL_ERR_INPUT, "p is %lld, not 1 or 2", (long long)p);
    enum reel_err err = op_axis(node_attr_int(call->node, "axis", -1), s->ndim, &axis);
    if (!err) err = op_alloc_out(call, 0, call->in[0]->dtype, s);
    struct work x = {0}, y = {0};
    if (!err) err = work_in(&x, call->in[0], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    if (!err) {
        int64_t outer = shape_span(s, 0, axis), n = s->dim[axis], inner = shape_span(s, axis + 1, s->ndim);
        for (int64_t q = 0; q < outer * inner; q++) {
            const double *from = (double *)x.p + q / inner * n * inner + q % inner;
            double *to = (double *)y.p + q / inner * n * inner + q % inner, norm = 0.0;
            for (int64_t i = 0; i < n; i++) norm += p == 1 ? fabs(from[i * inner]) : from[i * inner] * from[i * inner];
            if (p == 2) norm = sqrt(norm);
            for (int64_t i = 0; i < n; i++) to[i * inner] = norm == 0.0 ? 0.0 : from[i * inner] / norm;
        }
        work_commit(&y);
    }
    work_fini(&x), work_fini(&y);
    return err;
}

// Adds 1e-9 to the deviation as the operator's function body does.
#define MVN_EPSILON 1e-9

static enum reel_err mvn_eval(const struct op_call *call)
{
    const struct reel_shape *s = &call->in[0]->shape;
    if (!call_out(call, 0)) return REEL_OK;
    bool reduced[REEL_MAX_DIMS] = {false};
    const int64_t standard[] = {0, 2, 3}, *axes = NULL;
    int n_axes = node_attr_ints(call->node, "axes", &axes);
    if (!node_attr(call->node, "axes")) axes = standard, n_axes = 3;
    enum reel_err err = REEL_OK;
    for (int i = 0; !err && i < n_axes; i++) {
        int axis = 0;
        err = op_axis(axes[i], s->ndim, &axis);
        reduced[axis] = true;
    }
    struct reel_shape kept = *s;
    for (int i = 0; i < s->ndim; i++)
        if (reduced[i]) kept.dim[i] = 1;
    int64_t n = reel_tensor_count(call->in[0]), groups = reel_shape_count(&kept);
    struct work x = {0}, y = {0};
    if (!err) err = op_alloc_out(call, 0, call->in[0]->dtype, s);
    if (!err) err = work_in(&x, call->in[0], REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    double *sums = err ? NULL : work_alloc(2 * groups + 1, sizeof *sums);
    if (!err && !sums) err = REEL_ERR_NOMEM;
    if (!err && n > 0) {
        memset(sums, 0, sizeof *sums * (size_t)(2 * groups));
        double count = (double)(n / groups);
        // pass 0: means; 1: squared distances; 2: results
        for (int pass = 0; pass < 3; pass++)
            for (int64_t i = 0; i < n; i++) {
                int64_t g = 0, unit = 1, rest = i;
                for (int d = s->ndim - 1; d >= 0; d--) {
                    if (!reduced[d]) g += rest % s->dim[d] * unit, unit *= s->dim[d];
                    rest /= s->dim[d];
                }
                double v = ((double *)x.p)[i], away = v - sums[g] / count;
                if (pass == 0)
                    sums[g] += v;
                else if (pass == 1)
                    sums[groups + g] += away * away;
                else
                    ((double *)y.p)[i] = away / (sqrt(sums[groups + g] / count) + MVN_EPSILON);
            }
        work_commit(&y);
    }
    free(sums);
    work_fini(&x), work_fini(&y);
    return err;
}

// ---- table --------------------------------------------------------------

const struct op_def ops_norm[] = {
    {"", "BatchNormalization", 1, OPSET_LAST, 5, 5, 1, 5, TYPES_FLOAT, 0, batch_infer, batch_eval,
     "spatial=0 and, before opset 14, training outputs are refused"},
    {"", "InstanceNormalization", 6, OPSET_LAST, 3, 3, 1, 1, TYPES_FLOAT, 0, op_infer_same, instance_eval, NULL},
    {"", "GroupNormalization", 18, OPSET_LAST, 3, 3, 1, 1, TYPES_FLOAT, 0, op_infer_same, group_eval, NULL},
    // since 17; ONNX Runtime's optimiser writes it into models of any opset
    {"", "LayerNormalization", 1, OPSET_LAST, 2, 3, 1, 3, TYPES_FLOAT, 0, layer_infer, layer_eval, NULL},
    {"", "RMSNormalization", 23, OPSET_LAST, 2, 2, 1, 1, TYPES_FLOAT, 0, layer_infer, rms_eval, NULL},
    {"", "LpNormalization", 1, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, op_infer_same, lp_eval, NULL},
    {"", "MeanVarianceNormalization", 9, OPSET_LAST, 1, 1, 1, 1, TYPES_FLOAT, 0, op_infer_same, mvn_eval, NULL},
    {"com.microsoft", "SkipLayerNormalization", 1, 1, 3, 5, 1, 4, TYPES_FLOAT, 0, skip_layer_infer, skip_layer_eval,
     NULL},
};
const int ops_norm_count = sizeof ops_norm / sizeof ops_norm[0];
