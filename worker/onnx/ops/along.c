// SPDX-License-Identifier: MIT
//
// The family along: operators that work along one axis and keep the others.
// ArgMax and ArgMin, CumSum and CumProd, Softmax and its kin, TopK. 16-bit
// floats are computed in single precision and rounded once.
#include "kernels/math.h"
#include "worker/onnx/ops/typed.h"

// ---- one axis: outer x n x inner --------------------------------------------

struct axis_view {
    int axis;
    int64_t outer, n, inner;
};

static enum reel_err axis_view(const struct reel_shape *shape, int64_t axis, struct axis_view *out)
{
    enum reel_err err = op_axis(axis, shape->ndim, &out->axis);
    if (err) return err;
    out->outer = shape_span(shape, 0, out->axis);
    out->n = shape->dim[out->axis];
    out->inner = shape_span(shape, out->axis + 1, shape->ndim);
    return REEL_OK;
}

#define ENTRY(dtype, fn) [dtype] = fn,

// ---- ArgMax, ArgMin -----------------------------------------------------------

// (outer, n, inner) -> (outer, inner) positions. The first of equals, or the
// last; NaN counts as the extreme, as in numpy.
typedef void (*arg_fn)(const void *in, int64_t *out, const struct axis_view *v, bool last, void *best);

#define ARG_FN(name, T, BETTER)                                                                                       \
    static void name(const void *pin, int64_t *out, const struct axis_view *v, bool last, void *pbest)                \
    {                                                                                                                 \
        T *best = pbest;                                                                                              \
        const T *in = pin;                                                                                            \
        for (int64_t o = 0; o < v->outer; o++, out += v->inner) {                                                     \
            memcpy(best, in, (size_t)v->inner * sizeof *in);                                                          \
            memset(out, 0, (size_t)v->inner * sizeof *out);                                                           \
            for (int64_t k = 0; k < v->n; k++, in += v->inner)                                                        \
                for (int64_t i = 0; i < v->inner; i++) {                                                              \
                    const T x = in[i], b = best[i];                                                                   \
                    const bool take = (b == b && (x BETTER b || x != x)) || (last && (x == b || (x != x && b != b))); \
                    out[i] = take ? k : out[i];                                                                       \
                    best[i] = take ? x : b;                                                                           \
                }                                                                                                     \
        }                                                                                                             \
    }
#define ARGMAX_FN(D, s, T, U) ARG_FN(argmax_##s, T, >)
#define ARGMIN_FN(D, s, T, U) ARG_FN(argmin_##s, T, <)
#define ARGMAX_ENTRY(D, s, T, U) ENTRY(D, argmax_##s)
#define ARGMIN_ENTRY(D, s, T, U) ENTRY(D, argmin_##s)
EACH_REAL(ARGMAX_FN)
EACH_REAL(ARGMIN_FN)
static const arg_fn argmax_fns[REEL_DTYPE_COUNT] = {EACH_REAL(ARGMAX_ENTRY)};
static const arg_fn argmin_fns[REEL_DTYPE_COUNT] = {EACH_REAL(ARGMIN_ENTRY)};

static enum reel_err arg_shape(const struct op_call *call, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    *out = shape_unknown();
    if (in->ndim < 0) return REEL_OK;
    int axis;
    enum reel_err err = op_axis(node_attr_int(call->node, "axis", 0), in->ndim, &axis);
    if (err) return err;
    const bool keep = node_attr_int(call->node, "keepdims", 1) != 0;
    out->ndim = 0;
    for (int d = 0; d < in->ndim; d++)
        if (d != axis || keep) out->dim[out->ndim++] = d == axis ? 1 : in->dim[d];
    return REEL_OK;
}

static enum reel_err infer_arg(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = arg_shape(call, &shape);
    if (!err) infer_out(call, 0, REEL_I64, &shape);
    return err;
}

static enum reel_err arg_eval(const struct op_call *call, const arg_fn *fns)
{
    const struct reel_tensor *in = call->in[0];
    if (!fns[in->dtype]) return typed_refuse(call, 0);
    struct reel_shape shape;
    struct axis_view v;
    enum reel_err err = arg_shape(call, &shape);
    if (!err) err = axis_view(&in->shape, node_attr_int(call->node, "axis", 0), &v);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, REEL_I64, &shape);
    if (err || v.outer * v.inner == 0) return err;
    if (v.n == 0)
        return reel_fail(REEL_ERR_INPUT, "axis %d is empty, so it has no largest or smallest element", v.axis);
    void *best = work_alloc(v.inner, reel_dtype_bytes(in->dtype));
    if (!best) return REEL_ERR_NOMEM;
    fns[in->dtype](in->data, call->out[0]->data, &v, node_attr_int(call->node, "select_last_index", 0) != 0, best);
    free(best);
    return REEL_OK;
}

static enum reel_err eval_argmax(const struct op_call *call)
{
    HALVES_IN_F32(eval_argmax);
    return arg_eval(call, argmax_fns);
}

static enum reel_err eval_argmin(const struct op_call *call)
{
    HALVES_IN_F32(eval_argmin);
    return arg_eval(call, argmin_fns);
}

// ---- CumSum, CumProd ----------------------------------------------------------

// out[k] from out[k - 1] and in[k] (exclusive: in[k - 1]), along one column of
// `inner` elements at a time; integers wrap.
typedef void (*scan_fn)(const void *in, void *out, const struct axis_view *v, bool exclusive, bool reverse);

#define SCAN_FN(name, T, A, COMBINE, START)                                                                     \
    static void name(const void *pin, void *pout, const struct axis_view *v, bool exclusive, bool reverse)      \
    {                                                                                                           \
        for (int64_t o = 0; o < v->outer; o++) {                                                                \
            const T *in = (const T *)pin + o * v->n * v->inner;                                                 \
            T *out = (T *)pout + o * v->n * v->inner;                                                           \
            for (int64_t k = 0; k < v->n; k++) {                                                                \
                const int64_t at = (reverse ? v->n - 1 - k : k) * v->inner;                                     \
                const int64_t before = reverse ? at + v->inner : at - v->inner, from = exclusive ? before : at; \
                for (int64_t i = 0; i < v->inner; i++) {                                                        \
                    const A a = k ? (A)out[before + i] : (A)(START);                                            \
                    const A b = exclusive && !k ? (A)(START) : (A)in[from + i];                                 \
                    out[at + i] = (T)(COMBINE);                                                                 \
                }                                                                                               \
            }                                                                                                   \
        }                                                                                                       \
    }
#define CUMSUM_FN(D, s, T, U) SCAN_FN(cumsum_##s, T, U, a + b, 0)
#define CUMPROD_FN(D, s, T, U) SCAN_FN(cumprod_##s, T, U, a *b, 1)
#define CUMSUM_ENTRY(D, s, T, U) ENTRY(D, cumsum_##s)
#define CUMPROD_ENTRY(D, s, T, U) ENTRY(D, cumprod_##s)
EACH_REAL(CUMSUM_FN)
EACH_REAL(CUMPROD_FN)
static const scan_fn cumsum_fns[REEL_DTYPE_COUNT] = {EACH_REAL(CUMSUM_ENTRY)};
static const scan_fn cumprod_fns[REEL_DTYPE_COUNT] = {EACH_REAL(CUMPROD_ENTRY)};

static enum reel_err scan(const struct op_call *call, const scan_fn *fns)
{
    const struct reel_tensor *in = call->in[0];
    if (!fns[in->dtype]) return typed_refuse(call, 0);
    int64_t *axis, n;
    enum reel_err err = typed_ints(call, 1, 1, &axis, &n);
    if (!err && n != 1) err = reel_fail(REEL_ERR_INPUT, "the axis is not a scalar");
    struct axis_view v;
    if (!err) err = axis_view(&in->shape, axis[0], &v);
    free(axis);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &in->shape);
    if (err || reel_tensor_count(in) == 0) return err;
    fns[in->dtype](in->data, call->out[0]->data, &v, node_attr_int(call->node, "exclusive", 0) != 0,
                   node_attr_int(call->node, "reverse", 0) != 0);
    return REEL_OK;
}

static enum reel_err eval_cumsum(const struct op_call *call)
{
    HALVES_IN_F32(eval_cumsum);
    return scan(call, cumsum_fns);
}

static enum reel_err eval_cumprod(const struct op_call *call)
{
    HALVES_IN_F32(eval_cumprod);
    return scan(call, cumprod_fns);
}

// ---- Softmax, LogSoftmax, Hardmax ---------------------------------------------

enum softmax_kind { SOFTMAX, LOG_SOFTMAX, HARDMAX };

// Before opset 13 the input is a matrix: the dimensions from axis on are one.
static enum reel_err softmax_view(const struct op_call *call, struct axis_view *v)
{
    const struct reel_shape *shape = &call->in[0]->shape;
    if (shape->ndim == 0) {
        *v = (struct axis_view){.outer = 1, .n = 1, .inner = 1};
        return REEL_OK;
    }
    if (call->opset >= 13) return axis_view(shape, node_attr_int(call->node, "axis", -1), v);
    // axis may be the rank itself: rows of one element.
    const int64_t axis = node_attr_int(call->node, "axis", 1);
    if (axis < -shape->ndim || axis > shape->ndim)
        return reel_fail(REEL_ERR_INPUT, "axis %lld is out of range for rank %d", (long long)axis, shape->ndim);
    v->axis = (int)(axis < 0 ? axis + shape->ndim : axis);
    v->outer = shape_span(shape, 0, v->axis);
    v->n = shape_span(shape, v->axis, shape->ndim);
    v->inner = 1;
    return REEL_OK;
}

KERN_CLONES static void scale_f32(float *y, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i++) y[i] *= factor;
}

KERN_CLONES static void subtract_f32(const float *x, float *y, int64_t n, double offset)
{
    for (int64_t i = 0; i < n; i++) y[i] = (float)((double)x[i] - offset);
}

static void softmax_row_f32(const float *x, float *y, int64_t n, enum softmax_kind kind)
{
    const float max = kern_max_f32(x, (size_t)n);
    const double sum = kern_exp_sum_f32(x, y, (size_t)n, max);
    if (kind == SOFTMAX)
        scale_f32(y, n, (float)(1 / sum));
    else
        subtract_f32(x, y, n, (double)max + log(sum));
}

// Columns: n rows of `width` elements that lie `stride` apart. They are worked
// on in buf (n x SOFTMAX_WIDTH): rows of a picture lie at distances that are
// multiples of a page, where they would throw each other out of the cache.
#define SOFTMAX_WIDTH 128
KERN_CLONES static void softmax_columns_f32(const float *x, float *y, int64_t n, int64_t stride, int width,
                                            enum softmax_kind kind, float *buf)
{
    float max[SOFTMAX_WIDTH], last[SOFTMAX_WIDTH]; // last: of a row, then the factors
    double sum[SOFTMAX_WIDTH];
    for (int i = 0; i < width; i++) max[i] = -INFINITY, sum[i] = 0;
    for (int64_t k = 0; k < n; k++) {
        const float *from = x + k * stride;
        float *row = buf + k * SOFTMAX_WIDTH;
        for (int i = 0; i < width; i++) {
            row[i] = from[i];
            max[i] = from[i] > max[i] ? from[i] : max[i]; // NaN comes back in the sum
        }
    }
    for (int64_t k = 0; k < n; k++) {
        float *row = buf + k * SOFTMAX_WIDTH;
        for (int i = 0; i < width; i++) last[i] = kern_exp1_f32(row[i] - max[i]);
        for (int i = 0; i < width; i++) sum[i] += (double)last[i];
        if (kind == SOFTMAX) memcpy(row, last, (size_t)width * sizeof *row);
    }
    for (int i = 0; i < width; i++) last[i] = kind == SOFTMAX ? (float)(1 / sum[i]) : 0;
    for (int i = 0; kind != SOFTMAX && i < width; i++) sum[i] = (double)max[i] + log(sum[i]);
    for (int64_t k = 0; k < n; k++) {
        float *to = y + k * stride;
        const float *row = buf + k * SOFTMAX_WIDTH;
        if (kind == SOFTMAX)
            for (int i = 0; i < width; i++) to[i] = row[i] * last[i];
        else
            for (int i = 0; i < width; i++) to[i] = (float)((double)row[i] - sum[i]);
    }
}

static enum reel_err softmax_f32(const float *x, float *y, const struct axis_view *v, enum softmax_kind kind)
{
    float *buf = NULL;
    if (v->inner > 1) {
        buf = work_alloc(v->n * SOFTMAX_WIDTH, sizeof *buf);
        if (!buf) return REEL_ERR_NOMEM;
    }
    for (int64_t o = 0; o < v->outer; o++, x += v->n * v->inner, y += v->n * v->inner) {
        if (v->inner == 1) {
            softmax_row_f32(x, y, v->n, kind);
            continue;
        }
        for (int64_t i = 0; i < v->inner; i += SOFTMAX_WIDTH) {
            const int width = v->inner - i < SOFTMAX_WIDTH ? (int)(v->inner - i) : SOFTMAX_WIDTH;
            softmax_columns_f32(x + i, y + i, v->n, v->inner, width, kind, buf);
        }
    }
    free(buf);
    return REEL_OK;
}

static void softmax_f64(const double *x, double *y, const struct axis_view *v, enum softmax_kind kind)
{
    for (int64_t o = 0; o < v->outer; o++)
        for (int64_t i = 0; i < v->inner; i++) {
            const int64_t base = o * v->n * v->inner + i;
            double max = -INFINITY, sum = 0;
            for (int64_t k = 0; k < v->n; k++) {
                const double e = x[base + k * v->inner];
                if (e > max || e != e) max = e;
            }
            for (int64_t k = 0; k < v->n; k++) sum += exp(x[base + k * v->inner] - max);
            for (int64_t k = 0; k < v->n; k++) {
                const double e = x[base + k * v->inner] - max;
                y[base + k * v->inner] = kind == SOFTMAX ? exp(e) / sum : e - log(sum);
            }
        }
}

// 1 at the first largest element, 0 elsewhere.
static enum reel_err hardmax(const struct op_call *call, const struct axis_view *v)
{
    struct reel_tensor *out = call->out[0];
    int64_t *at = work_alloc(v->outer * v->inner, sizeof *at);
    void *best = work_alloc(v->inner, reel_dtype_bytes(out->dtype));
    if (!at || !best) {
        free(at);
        free(best);
        return REEL_ERR_NOMEM;
    }
    argmax_fns[out->dtype](call->in[0]->data, at, v, false, best);
    memset(out->data, 0, reel_tensor_bytes(out));
    for (int64_t o = 0; o < v->outer; o++)
        for (int64_t i = 0; i < v->inner; i++) {
            const int64_t to = (o * v->n + at[o * v->inner + i]) * v->inner + i;
            if (out->dtype == REEL_F32)
                ((float *)out->data)[to] = 1;
            else
                ((double *)out->data)[to] = 1;
        }
    free(at);
    free(best);
    return REEL_OK;
}

static enum reel_err softmax(const struct op_call *call, enum softmax_kind kind)
{
    const struct reel_tensor *in = call->in[0];
    if (in->dtype != REEL_F32 && in->dtype != REEL_F64) return typed_refuse(call, 0);
    struct axis_view v;
    enum reel_err err = softmax_view(call, &v);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &in->shape);
    if (err || reel_tensor_count(in) == 0) return err;
    if (kind == HARDMAX) return hardmax(call, &v);
    if (in->dtype == REEL_F32) return softmax_f32(in->data, call->out[0]->data, &v, kind);
    softmax_f64(in->data, call->out[0]->data, &v, kind);
    return REEL_OK;
}

static enum reel_err infer_softmax(const struct op_call *call)
{
    struct axis_view v;
    enum reel_err err = call->in[0]->shape.ndim < 0 ? REEL_OK : softmax_view(call, &v);
    return err ? err : op_infer_same(call);
}

static enum reel_err eval_softmax(const struct op_call *call)
{
    HALVES_IN_F32(eval_softmax);
    return softmax(call, SOFTMAX);
}

static enum reel_err eval_log_softmax(const struct op_call *call)
{
    HALVES_IN_F32(eval_log_softmax);
    return softmax(call, LOG_SOFTMAX);
}

static enum reel_err eval_hardmax(const struct op_call *call)
{
    HALVES_IN_F32(eval_hardmax);
    return softmax(call, HARDMAX);
}

// ---- TopK ---------------------------------------------------------------------

// The k best of n elements that lie `stride` apart, in order: a heap whose root
// is the worst kept element, emptied from the back. NaN is larger than every
// number; of equals the lower position is the better.
typedef void (*topk_fn)(const void *in, int64_t stride, int64_t n, bool largest, int64_t *heap, int64_t k);

#define TOPK_FN(D, s, T, U)                                                                                    \
    static inline bool topk_better_##s(const T *in, int64_t stride, bool largest, int64_t a, int64_t b)        \
    {                                                                                                          \
        const T x = in[a * stride], y = in[b * stride];                                                        \
        const bool above = x > y || (x != x && y == y), below = x < y || (x == x && y != y);                   \
        if (above || below) return above == largest;                                                           \
        return a < b;                                                                                          \
    }                                                                                                          \
    static void topk_sift_##s(const T *in, int64_t stride, bool largest, int64_t *heap, int64_t k, int64_t at) \
    {                                                                                                          \
        const int64_t moving = heap[at];                                                                       \
        for (int64_t child; (child = 2 * at + 1) < k; at = child) {                                            \
            if (child + 1 < k && topk_better_##s(in, stride, largest, heap[child], heap[child + 1])) child++;  \
            if (!topk_better_##s(in, stride, largest, moving, heap[child])) break;                             \
            heap[at] = heap[child];                                                                            \
        }                                                                                                      \
        heap[at] = moving;                                                                                     \
    }                                                                                                          \
    static void topk_##s(const void *pin, int64_t stride, int64_t n, bool largest, int64_t *heap, int64_t k)   \
    {                                                                                                          \
        const T *in = pin;                                                                                     \
        for (int64_t i = 0; i < k; i++) heap[i] = i;                                                           \
        for (int64_t i = k / 2 - 1; i >= 0; i--) topk_sift_##s(in, stride, largest, heap, k, i);               \
        for (int64_t i = k; i < n; i++) {                                                                      \
            if (!topk_better_##s(in, stride, largest, i, heap[0])) continue;                                   \
            heap[0] = i;                                                                                       \
            topk_sift_##s(in, stride, largest, heap, k, 0);                                                    \
        }                                                                                                      \
        for (int64_t left = k - 1; left > 0; left--) {                                                         \
            const int64_t worst = heap[0];                                                                     \
            heap[0] = heap[left];                                                                              \
            heap[left] = worst;                                                                                \
            topk_sift_##s(in, stride, largest, heap, left, 0);                                                 \
        }                                                                                                      \
    }
#define TOPK_ENTRY(D, s, T, U) ENTRY(D, topk_##s)
EACH_REAL(TOPK_FN)
static const topk_fn topk_fns[REEL_DTYPE_COUNT] = {EACH_REAL(TOPK_ENTRY)};

// k from attribute (opset 1) or input, -1 when it comes later.
static enum reel_err topk_shape(const struct op_call *call, struct axis_view *v, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    int64_t k = -1;
    *out = *in;
    if (in->ndim < 0) return REEL_OK;
    enum reel_err err = axis_view(in, node_attr_int(call->node, "axis", -1), v);
    if (err) return err;
    if (call->opset < 10) {
        if (!node_attr(call->node, "k")) return reel_fail(REEL_ERR_INPUT, "attribute k is missing");
        k = node_attr_int(call->node, "k", 0);
    } else {
        const struct reel_tensor *t = call_in(call, 1);
        if (!t || (t->dtype != REEL_I64 && t->dtype != REEL_DTYPE_NONE))
            return reel_fail(REEL_ERR_INPUT, "k is not an int64 number");
        const int64_t count = reel_tensor_count(t);
        if (count >= 0 && count != 1) return reel_fail(REEL_ERR_INPUT, "k has %lld elements", (long long)count);
        if (!has_data(t)) {
            out->dim[v->axis] = -1;
            return REEL_OK;
        }
        k = op_scalar_int(t, 0);
    }
    if (k < 0 || (v->n >= 0 && k > v->n))
        return reel_fail(REEL_ERR_INPUT, "k is %lld, but axis %d has %lld elements", (long long)k, v->axis,
                         (long long)v->n);
    out->dim[v->axis] = k;
    return REEL_OK;
}

static enum reel_err infer_topk(const struct op_call *call)
{
    struct axis_view v;
    struct reel_shape shape;
    enum reel_err err = topk_shape(call, &v, &shape);
    if (err) return err;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    infer_out(call, 1, REEL_I64, &shape);
    return REEL_OK;
}

static void topk_run(const struct op_call *call, const struct axis_view *v, int64_t k, int64_t *heap)
{
    const struct reel_tensor *in = call->in[0];
    struct reel_tensor *values = call_out(call, 0), *positions = call_out(call, 1);
    const size_t bytes = reel_dtype_bytes(in->dtype);
    const bool largest = node_attr_int(call->node, "largest", 1) != 0;
    for (int64_t o = 0; o < v->outer; o++)
        for (int64_t i = 0; i < v->inner; i++) {
            const char *column = (const char *)in->data + (size_t)(o * v->n * v->inner + i) * bytes;
            topk_fns[in->dtype](column, v->inner, v->n, largest, heap, k);
            for (int64_t j = 0; j < k; j++) {
                const int64_t to = (o * k + j) * v->inner + i;
                if (positions) ((int64_t *)positions->data)[to] = heap[j];
                if (values)
                    memcpy((char *)values->data + (size_t)to * bytes, column + (size_t)(heap[j] * v->inner) * bytes,
                           bytes);
            }
        }
}

static enum reel_err eval_topk(const struct op_call *call)
{
    HALVES_IN_F32(eval_topk);
    const struct reel_tensor *in = call->in[0];
    if (!topk_fns[in->dtype]) return typed_refuse(call, 0);
    struct axis_view v;
    struct reel_shape shape;
    enum reel_err err = topk_shape(call, &v, &shape);
    if (!err && call_out(call, 0)) err = op_alloc_out(call, 0, in->dtype, &shape);
    if (!err && call_out(call, 1)) err = op_alloc_out(call, 1, REEL_I64, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    const int64_t k = shape.dim[v.axis];
    int64_t *heap = work_alloc(k, sizeof *heap);
    if (!heap) return REEL_ERR_NOMEM;
    topk_run(call, &v, k, heap);
    free(heap);
    return REEL_OK;
}

// ---- the table ------------------------------------------------------------------

#define DEF(op, since, until, min_in, max_in, max_out, types, infer, eval)            \
    {                                                                                 \
        "", op, since, until, min_in, max_in, 1, max_out, types, 0, infer, eval, NULL \
    }

const struct op_def ops_along[] = {
    DEF("ArgMax", 1, OPSET_LAST, 1, 1, 1, TYPES_NUM, infer_arg, eval_argmax),
    DEF("ArgMin", 1, OPSET_LAST, 1, 1, 1, TYPES_NUM, infer_arg, eval_argmin),
    DEF("CumProd", 26, OPSET_LAST, 2, 2, 1, TYPES_NUM, op_infer_same, eval_cumprod),
    DEF("CumSum", 11, OPSET_LAST, 2, 2, 1, TYPES_NUM, op_infer_same, eval_cumsum),
    DEF("Hardmax", 1, OPSET_LAST, 1, 1, 1, TYPES_FLOAT, infer_softmax, eval_hardmax),
    DEF("LogSoftmax", 1, OPSET_LAST, 1, 1, 1, TYPES_FLOAT, infer_softmax, eval_log_softmax),
    DEF("Softmax", 1, OPSET_LAST, 1, 1, 1, TYPES_FLOAT, infer_softmax, eval_softmax),
    DEF("TopK", 1, 9, 1, 1, 2, TYPES_NUM, infer_topk, eval_topk),
    DEF("TopK", 10, OPSET_LAST, 2, 2, 2, TYPES_NUM, infer_topk, eval_topk),
};
const int ops_along_count = sizeof ops_along / sizeof *ops_along;
