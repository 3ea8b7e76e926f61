// SPDX-License-Identifier: MIT
//
// Signals: HannWindow, HammingWindow, BlackmanWindow, DFT (17, 20), STFT,
// MelWeightMatrix (17).
//
// Called through the operator table. Transforms are of mixed
// radix; a large prime factor costs its square.
#include "worker/onnx/ops/work.h"

#define PI 3.14159265358979323846
// Longer transforms than this by the definition take minutes.
#define DFT_MAX (1 << 20)

// ---- scalars ------------------------------------------------------------

// A one-element integer input; *out_known is false when it is not there yet.
static enum reel_err scalar_in(const struct op_call *call, int i, int64_t *out_value, bool *out_known)
{
    const struct reel_tensor *t = call_in(call, i);
    *out_known = has_data(t);
    if (!*out_known) return REEL_OK;
    if (reel_tensor_count(t) != 1) return reel_fail(REEL_ERR_INPUT, "input %d must be one element", i);
    *out_value = op_scalar_int(t, 0);
    return REEL_OK;
}

static enum reel_err output_type(const struct op_call *call, enum reel_dtype *out_dtype)
{
    *out_dtype = dtype_of_onnx(node_attr_int(call->node, "output_datatype", 1));
    if (*out_dtype == REEL_DTYPE_NONE || *out_dtype == REEL_BOOL)
        return reel_fail(REEL_ERR_UNSUPPORTED, "the output type is not supported");
    return REEL_OK;
}

// ---- windows ------------------------------------------------------------

static enum reel_err window_size(const struct op_call *call, struct reel_shape *out_shape)
{
    bool known = false;
    *out_shape = (struct reel_shape){1, {-1}};
    enum reel_err err = scalar_in(call, 0, &out_shape->dim[0], &known);
    if (!err && known && out_shape->dim[0] < 0) err = reel_fail(REEL_ERR_INPUT, "the size is negative");
    return err;
}

static enum reel_err window_infer(const struct op_call *call)
{
    struct reel_shape shape = {0};
    enum reel_dtype dtype = REEL_F32;
    enum reel_err err = window_size(call, &shape);
    if (!err) err = output_type(call, &dtype);
    if (err) return err;
    infer_out(call, 0, dtype, &shape);
    return REEL_OK;
}

static enum reel_err window_eval(const struct op_call *call)
{
    struct reel_shape shape = {0};
    enum reel_dtype dtype = REEL_F32;
    enum reel_err err = window_size(call, &shape);
    if (!err) err = output_type(call, &dtype);
    if (err || !call_out(call, 0)) return err;
    // w(n) = a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)
    double a0 = 0.5, a1 = 0.5, a2 = 0.0;
    if (!strcmp(call->node->op_type, "HammingWindow")) a0 = 25.0 / 46.0, a1 = 1.0 - a0;
    if (!strcmp(call->node->op_type, "BlackmanWindow")) a0 = 0.42, a1 = 0.5, a2 = 0.08;
    int64_t n = shape.dim[0], period = node_attr_int(call->node, "periodic", 1) ? n : n - 1;
    struct work y = {0};
    err = op_alloc_out(call, 0, dtype, &shape);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    for (int64_t i = 0; !err && i < n; i++) {
        double at = period > 0 ? 2.0 * PI * (double)i / (double)period : PI; // a window of one sample passes it
        ((double *)y.p)[i] = a0 - a1 * cos(at) + a2 * cos(2.0 * at);
    }
    if (!err) work_commit(&y);
    work_fini(&y);
    return err;
}

// ---- transforms ---------------------------------------------------------

#define FACTORS_MAX 32

// A plan for length n: its factors, roots[k] = exp(sign 2 pi i k / n), and room
// for numbers of the wider type.
struct fourier {
    int64_t n;
    bool inverse, narrow; // narrow: computed in single precision
    int n_factors;
    int64_t factor[FACTORS_MAX];
    double *roots;
    void *points, *work;
};

#define REAL float
#define FN(name) name##_f32
#include "worker/onnx/ops/fourier_body.inc"
#undef REAL
#undef FN
#define REAL double
#define FN(name) name##_f64
#include "worker/onnx/ops/fourier_body.inc"
#undef REAL
#undef FN

static void fourier_fini(struct fourier *f)
{
    free(f->roots);
    free(f->points);
    free(f->work);
}

// Fours, then a two in front, then odd primes. Returns the largest.
static int64_t fourier_factors(struct fourier *f)
{
    int64_t left = f->n, largest = 1;
    for (; left % 4 == 0; left /= 4) f->factor[f->n_factors++] = 4;
    if (left % 2 == 0) {
        left /= 2;
        f->factor[f->n_factors] = f->factor[0];
        f->factor[0] = 2;
        f->n_factors++;
    }
    for (int64_t p = 3; p * p <= left; p += 2)
        for (; left % p == 0; left /= p) f->factor[f->n_factors++] = p;
    if (left > 1) f->factor[f->n_factors++] = left;
    for (int i = 0; i < f->n_factors; i++) largest = f->factor[i] > largest ? f->factor[i] : largest;
    return largest;
}

// A complex single-precision signal is transformed in single precision, as the
// libraries do from which the operator's expectations come; all else in double.
static enum reel_err fourier_init(struct fourier *f, int64_t n, bool inverse, bool narrow)
{
    *f = (struct fourier){.n = n, .inverse = inverse, .narrow = narrow};
    if (n < 1 || n > DFT_MAX) return reel_fail(REEL_ERR_INPUT, "a transform of length %lld", (long long)n);
    int64_t largest = fourier_factors(f);
    f->roots = work_alloc(2 * n, sizeof(double));
    f->points = work_alloc(4 * largest + 8, sizeof(double));
    f->work = work_alloc(6 * n + 2 * FACTORS_MAX, sizeof(double)); // the result, then 2 n numbers
    if (!f->roots || !f->points || !f->work) {
        fourier_fini(f);
        return REEL_ERR_NOMEM;
    }
    for (int64_t k = 0; k < n; k++) {
        double at = 2.0 * PI * (double)k / (double)n;
        f->roots[2 * k] = cos(at);
        f->roots[2 * k + 1] = inverse ? sin(at) : -sin(at);
    }
    return REEL_OK;
}

// Transforms x (n complex numbers) in place and multiplies by factor.
static void fourier_run(const struct fourier *f, double *x, double factor)
{
    if (!f->narrow) {
        transform_f64(f, x, factor);
        return;
    }
    float *narrow = (float *)f->work + 6 * f->n; // behind what the narrow transform uses
    for (int64_t i = 0; i < 2 * f->n; i++) narrow[i] = (float)x[i];
    transform_f32(f, narrow, (float)factor);
    for (int64_t i = 0; i < 2 * f->n; i++) x[i] = narrow[i];
}

// ---- DFT ----------------------------------------------------------------

struct dft {
    int axis;
    int64_t length;
    bool inverse, onesided, known;
    struct reel_shape out;
};

static enum reel_err dft_axis(const struct op_call *call, struct dft *d)
{
    int ndim = call->in[0]->shape.ndim;
    int64_t axis = node_attr_int(call->node, "axis", 1);
    bool known = true;
    if (call->opset >= 20) {
        axis = -2;
        if (call_in(call, 2)) {
            enum reel_err err = scalar_in(call, 2, &axis, &known);
            if (err) return err;
        }
    }
    d->known = known;
    enum reel_err err = op_axis(axis, ndim, &d->axis);
    if (!err && d->axis == ndim - 1) err = reel_fail(REEL_ERR_INPUT, "the last axis holds complex numbers");
    return err;
}

static enum reel_err dft_open(const struct op_call *call, struct dft *d)
{
    const struct reel_shape *s = &call->in[0]->shape;
    *d = (struct dft){.inverse = node_attr_int(call->node, "inverse", 0) != 0,
                      .onesided = node_attr_int(call->node, "onesided", 0) != 0,
                      .out = shape_unknown()};
    if (s->ndim < 0) return REEL_OK;
    if (s->ndim < 2 || (s->dim[s->ndim - 1] >= 0 && s->dim[s->ndim - 1] != 1 && s->dim[s->ndim - 1] != 2))
        return reel_fail(REEL_ERR_INPUT, "the input must end in an axis of 1 or 2");
    enum reel_err err = dft_axis(call, d);
    if (err) return err;
    d->out = *s;
    d->out.dim[s->ndim - 1] = d->inverse && d->onesided ? 1 : 2;
    if (!d->known) {
        for (int i = 0; i < s->ndim - 1; i++) d->out.dim[i] = -1;
        return REEL_OK;
    }
    int64_t n = s->dim[d->axis];
    d->length = n < 0 ? -1 : d->inverse && d->onesided ? 2 * (n - 1) : n;
    if (call_in(call, 1)) {
        bool known = false;
        err = scalar_in(call, 1, &d->length, &known);
        if (!known) d->length = -1;
        if (!err && known && d->length < 1) err = reel_fail(REEL_ERR_INPUT, "dft_length is not positive");
    }
    d->out.dim[d->axis] = d->length < 0 ? -1 : d->onesided && !d->inverse ? d->length / 2 + 1 : d->length;
    return err;
}

static enum reel_err dft_infer(const struct op_call *call)
{
    struct dft d;
    enum reel_err err = dft_open(call, &d);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &d.out);
    return REEL_OK;
}

// One signal: n numbers of `parts` values, `step` numbers apart, into line.
static void dft_load(const struct dft *d, const double *x, int64_t n, int64_t step, int parts, double *line)
{
    bool half = d->inverse && d->onesided;
    int64_t used = half ? d->length / 2 + 1 : d->length;
    for (int64_t i = 0; i < d->length; i++) {
        int64_t from = i < used ? i : d->length - i; // the mirrored half of a real signal's spectrum
        bool there = from < n && (i < used || half);
        line[2 * i] = there ? x[from * step * parts] : 0.0;
        double im = there && parts == 2 ? x[from * step * parts + 1] : 0.0;
        if (half && (from == 0 || 2 * from == d->length)) im = 0.0;
        line[2 * i + 1] = i < used ? im : -im;
    }
}

static enum reel_err dft_eval(const struct op_call *call)
{
    struct dft d;
    struct fourier f = {0};
    enum reel_err err = dft_open(call, &d);
    if (err || !call_out(call, 0)) return err;
    const struct reel_shape *s = &call->in[0]->shape;
    int parts = (int)s->dim[s->ndim - 1], out_parts = (int)d.out.dim[d.out.ndim - 1];
    err = op_alloc_out(call, 0, call->in[0]->dtype, &d.out);
    if (!err) err = fourier_init(&f, d.length, d.inverse, parts == 2 && call->in[0]->dtype == REEL_F32);
    if (err) return err;
    struct work x = {0}, y = {0};
    double *line = work_alloc(2 * d.length, sizeof *line);
    err = line ? work_in(&x, call->in[0], REEL_F64) : REEL_ERR_NOMEM;
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    int64_t n = s->dim[d.axis], m = d.out.dim[d.axis];
    int64_t inner = shape_span(s, d.axis + 1, s->ndim - 1), outer = shape_span(s, 0, d.axis);
    double factor = d.inverse ? 1.0 / (double)d.length : 1.0;
    for (int64_t i = 0; !err && i < outer * inner; i++) {
        int64_t o = i / inner, q = i % inner;
        dft_load(&d, (double *)x.p + (o * n * inner + q) * parts, n, inner, parts, line);
        fourier_run(&f, line, factor);
        double *to = (double *)y.p + (o * m * inner + q) * out_parts;
        for (int64_t k = 0; k < m; k++)
            for (int c = 0; c < out_parts; c++) to[k * inner * out_parts + c] = line[2 * k + c];
    }
    if (!err) work_commit(&y);
    free(line);
    fourier_fini(&f);
    work_fini(&x), work_fini(&y);
    return err;
}

// ---- STFT ---------------------------------------------------------------

struct stft {
    int64_t step, length, frames, bins;
    struct reel_shape out;
};

static enum reel_err stft_open(const struct op_call *call, struct stft *f)
{
    const struct reel_shape *s = &call->in[0]->shape;
    const struct reel_tensor *window = call_in(call, 2);
    *f = (struct stft){.step = -1, .length = -1, .frames = -1, .bins = -1, .out = shape_unknown()};
    if (s->ndim >= 0 && s->ndim != 3) return reel_fail(REEL_ERR_INPUT, "the signal has rank %d, not 3", s->ndim);
    bool step_known = false, length_known = false, onesided = node_attr_int(call->node, "onesided", 1) != 0;
    enum reel_err err = scalar_in(call, 1, &f->step, &step_known);
    if (!err && call_in(call, 3)) err = scalar_in(call, 3, &f->length, &length_known);
    if (err) return err;
    if (window && window->shape.ndim >= 0 && window->shape.ndim != 1)
        return reel_fail(REEL_ERR_INPUT, "the window has rank %d, not 1", window->shape.ndim);
    int64_t window_n = window && window->shape.ndim == 1 ? window->shape.dim[0] : -1;
    int64_t signal = s->ndim == 3 ? s->dim[1] : -1;
    if (!call_in(call, 3)) f->length = window ? window_n : signal;
    if ((step_known && f->step < 1) || (length_known && f->length < 1) ||
        (f->length >= 0 && window_n >= 0 && f->length != window_n))
        return reel_fail(REEL_ERR_INPUT, "frame step, frame length and window do not fit");
    if (signal >= 0 && f->length >= 0 && f->length > signal)
        return reel_fail(REEL_ERR_INPUT, "a frame is longer than the signal");
    if (onesided && s->ndim == 3 && s->dim[2] == 2)
        return reel_fail(REEL_ERR_INPUT, "a complex signal has no one-sided spectrum");
    if (f->length >= 0) f->bins = onesided ? f->length / 2 + 1 : f->length;
    if (signal >= 0 && step_known && f->length >= 0) f->frames = (signal - f->length) / f->step + 1;
    f->out = (struct reel_shape){4, {s->ndim == 3 ? s->dim[0] : -1, f->frames, f->bins, 2}};
    return REEL_OK;
}

static enum reel_err stft_infer(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct stft f;
    enum reel_err err = stft_open(call, &f);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &f.out);
    return REEL_OK;
}

static enum reel_err stft_eval(const struct op_call *call)
{
    if (!inputs_given(call, 2)) return REEL_ERR_INPUT;
    struct stft f;
    struct fourier plan = {0};
    enum reel_err err = stft_open(call, &f);
    if (err || !call_out(call, 0)) return err;
    const struct reel_shape *s = &call->in[0]->shape;
    int64_t parts = s->dim[2];
    if (parts != 1 && parts != 2) return reel_fail(REEL_ERR_INPUT, "the signal must end in an axis of 1 or 2");
    err = op_alloc_out(call, 0, call->in[0]->dtype, &f.out);
    if (!err) err = fourier_init(&plan, f.length, false, false);
    if (err) return err;
    struct work x = {0}, window = {0}, y = {0};
    double *line = work_alloc(2 * f.length, sizeof *line);
    err = line ? work_in(&x, call->in[0], REEL_F64) : REEL_ERR_NOMEM;
    if (!err) err = work_in(&window, call_in(call, 2), REEL_F64);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    for (int64_t i = 0; !err && i < s->dim[0] * f.frames; i++) {
        const double *from = (double *)x.p + (i / f.frames * s->dim[1] + i % f.frames * f.step) * parts;
        for (int64_t k = 0; k < f.length; k++) {
            double w = window.p ? ((double *)window.p)[k] : 1.0;
            line[2 * k] = from[k * parts] * w;
            line[2 * k + 1] = parts == 2 ? from[k * parts + 1] * w : 0.0;
        }
        fourier_run(&plan, line, 1.0);
        memcpy((double *)y.p + i * f.bins * 2, line, 2 * sizeof *line * (size_t)f.bins);
    }
    if (!err) work_commit(&y);
    free(line);
    fourier_fini(&plan);
    work_fini(&x), work_fini(&window), work_fini(&y);
    return err;
}

// ---- MelWeightMatrix ----------------------------------------------------

static enum reel_err mel_shape(const struct op_call *call, struct reel_shape *out_shape)
{
    int64_t bands = -1, length = -1;
    bool has_bands = false, has_length = false;
    enum reel_err err = scalar_in(call, 0, &bands, &has_bands);
    if (!err) err = scalar_in(call, 1, &length, &has_length);
    if (!err && ((has_bands && (bands < 0 || bands > DFT_MAX)) || (has_length && (length < 0 || length > DFT_MAX))))
        err = reel_fail(REEL_ERR_INPUT, "the numbers of bands or of samples are out of range");
    *out_shape = (struct reel_shape){2, {has_length ? length / 2 + 1 : -1, has_bands ? bands : -1}};
    return err;
}

static enum reel_err mel_infer(const struct op_call *call)
{
    if (!inputs_given(call, 5)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    enum reel_dtype dtype = REEL_F32;
    enum reel_err err = mel_shape(call, &shape);
    if (!err) err = output_type(call, &dtype);
    if (err) return err;
    infer_out(call, 0, dtype, &shape);
    return REEL_OK;
}

static double hertz_to_mel(double f)
{
    return 2595.0 * log10(1.0 + f / 700.0);
}

static double mel_to_hertz(double m)
{
    return 700.0 * (pow(10.0, m / 2595.0) - 1.0);
}

// The triangle of band b over spectrum bins low..centre..high.
static void mel_band(double *y, int64_t bins, int64_t bands, int64_t b, const int64_t edge[3])
{
    int64_t rise = edge[1] - edge[0], fall = edge[2] - edge[1];
    if (rise == 0) y[edge[1] * bands + b] = 1.0;
    for (int64_t j = edge[0]; rise && j <= edge[1] && j < bins; j++)
        y[j * bands + b] = (double)(j - edge[0]) / (double)rise;
    for (int64_t j = edge[1]; fall > 0 && j < edge[2] && j < bins; j++)
        y[j * bands + b] = (double)(edge[2] - j) / (double)fall;
}

static enum reel_err mel_eval(const struct op_call *call)
{
    if (!inputs_given(call, 5)) return REEL_ERR_INPUT;
    struct reel_shape shape = {0};
    enum reel_dtype dtype = REEL_F32;
    int64_t rate = 0, length = 0;
    bool known = false;
    enum reel_err err = mel_shape(call, &shape);
    if (!err) err = output_type(call, &dtype);
    if (!err) err = scalar_in(call, 1, &length, &known);
    if (!err) err = scalar_in(call, 2, &rate, &known);
    if (err || !call_out(call, 0)) return err;
    if (reel_tensor_count(call->in[3]) != 1 || reel_tensor_count(call->in[4]) != 1 || rate < 1)
        return reel_fail(REEL_ERR_INPUT, "the sample rate or the edge frequencies are wrong");
    double low = hertz_to_mel(op_scalar(call->in[3], 0)), high = hertz_to_mel(op_scalar(call->in[4], 0));
    struct work y = {0};
    err = op_alloc_out(call, 0, dtype, &shape);
    if (!err) err = work_out(&y, call->out[0], REEL_F64);
    int64_t bins = shape.dim[0], bands = shape.dim[1];
    if (!err) memset(y.p, 0, sizeof(double) * (size_t)(bins * bands));
    double step = (high - low) / (double)(bands + 2);
    for (int64_t b = 0; !err && b < bands; b++) {
        int64_t edge[3];
        for (int i = 0; !err && i < 3; i++) {
            double bin = floor((double)(length + 1) * mel_to_hertz((double)(b + i) * step + low) / (double)rate);
            if (!(bin >= 0.0 && bin <= (double)bins))
                err = reel_fail(REEL_ERR_INPUT, "an edge frequency is outside the spectrum");
            else
                edge[i] = (int64_t)bin;
        }
        if (!err && (edge[1] >= bins || edge[0] > edge[1]))
            err = reel_fail(REEL_ERR_INPUT, "a band lies outside the spectrum");
        if (!err) mel_band(y.p, bins, bands, b, edge);
    }
    if (!err) work_commit(&y);
    work_fini(&y);
    return err;
}

// ---- table --------------------------------------------------------------

#define TYPES_INDEX (T_(REEL_I32) | T_(REEL_I64))

const struct op_def ops_signal[] = {
    {"", "HannWindow", 17, OPSET_LAST, 1, 1, 1, 1, TYPES_INDEX, OP_DATA_SHAPE, window_infer, window_eval, NULL},
    {"", "HammingWindow", 17, OPSET_LAST, 1, 1, 1, 1, TYPES_INDEX, OP_DATA_SHAPE, window_infer, window_eval, NULL},
    {"", "BlackmanWindow", 17, OPSET_LAST, 1, 1, 1, 1, TYPES_INDEX, OP_DATA_SHAPE, window_infer, window_eval, NULL},
    {"", "DFT", 17, OPSET_LAST, 1, 3, 1, 1, TYPES_FLOAT, OP_DATA_SHAPE, dft_infer, dft_eval, NULL},
    {"", "STFT", 17, OPSET_LAST, 2, 4, 1, 1, TYPES_FLOAT, OP_DATA_SHAPE, stft_infer, stft_eval, NULL},
    {"", "MelWeightMatrix", 17, OPSET_LAST, 5, 5, 1, 1, TYPES_INDEX, OP_DATA_SHAPE, mel_infer, mel_eval, NULL},
};
const int ops_signal_count = sizeof ops_signal / sizeof ops_signal[0];
