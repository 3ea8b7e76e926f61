// SPDX-License-Identifier: MIT
//
// The family reduce: Reduce*.
//
// Floats are summed in double precision in an order that depends on the shape
// alone, integers in 64 bits (wrapping). 16-bit floats are computed in single
// precision and rounded once.
#include "kernels/math.h"
#include "worker/onnx/ops/typed.h"

// ---- which axes ------------------------------------------------------------

// Sets the result's shape and, where the axes are known, which dimensions are
// reduced. Attribute axes counts before opset 18 (ReduceSum: 13), input 1 after.
static enum reel_err reduce_axes(const struct op_call *call, int input_since, bool *reduced, bool *out_known,
                                 struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    *out = shape_unknown();
    *out_known = false;
    if (in->ndim < 0) return REEL_OK;
    int64_t values[REEL_MAX_DIMS];
    int n = 0;
    const int64_t *ints;
    const bool keep = node_attr_int(call->node, "keepdims", 1) != 0;
    if (call->opset < input_since) {
        n = node_attr_ints(call->node, "axes", &ints);
        if (n > in->ndim) return reel_fail(REEL_ERR_INPUT, "%d axes are given for rank %d", n, in->ndim);
        for (int i = 0; i < n; i++) values[i] = ints[i];
    } else if (call_in(call, 1)) {
        const struct reel_tensor *t = call->in[1];
        const int64_t count = reel_tensor_count(t);
        if (t->dtype != REEL_I64 && t->dtype != REEL_I32 && t->dtype != REEL_DTYPE_NONE)
            return reel_fail(REEL_ERR_INPUT, "the axes are of type %s", reel_dtype_name(t->dtype));
        if (count > in->ndim)
            return reel_fail(REEL_ERR_INPUT, "%lld axes are given for rank %d", (long long)count, in->ndim);
        if (count < 0 || !has_data(t)) {
            // The rank is known when the dimensions stay.
            if (keep) out->ndim = in->ndim;
            for (int d = 0; d < out->ndim; d++) out->dim[d] = -1;
            return REEL_OK;
        }
        n = (int)count;
        for (int i = 0; i < n; i++) values[i] = op_scalar_int(t, i);
    }
    const bool all = n == 0 && !(call->opset >= input_since && node_attr_int(call->node, "noop_with_empty_axes", 0));
    for (int d = 0; d < in->ndim; d++) reduced[d] = all;
    for (int i = 0; i < n; i++) {
        int axis;
        enum reel_err err = op_axis(values[i], in->ndim, &axis);
        if (err) return err;
        reduced[axis] = true;
    }
    out->ndim = 0;
    for (int d = 0; d < in->ndim; d++)
        if (!reduced[d] || keep) out->dim[out->ndim++] = reduced[d] ? 1 : in->dim[d];
    *out_known = true;
    return REEL_OK;
}

static enum reel_err infer_reduce_since(const struct op_call *call, int input_since)
{
    bool reduced[REEL_MAX_DIMS], known;
    struct reel_shape shape;
    enum reel_err err = reduce_axes(call, input_since, reduced, &known, &shape);
    if (!err) infer_out(call, 0, call->in[0]->dtype, &shape);
    return err;
}

static enum reel_err infer_reduce(const struct op_call *call)
{
    return infer_reduce_since(call, 18);
}

static enum reel_err infer_reduce_sum(const struct op_call *call)
{
    return infer_reduce_since(call, 13);
}

// The input as alternating groups of kept and reduced dimensions.
struct plan {
    int ndim;
    int64_t dim[REEL_MAX_DIMS];
    int64_t out_stride[REEL_MAX_DIMS]; // of the accumulators, 0 where reduced
    int64_t n_out, n_each;             // results, and elements behind each one
};

static void plan_init(struct plan *p, const struct reel_shape *in, const bool *reduced)
{
    bool kind[REEL_MAX_DIMS] = {false};
    *p = (struct plan){.n_out = 1, .n_each = 1};
    for (int d = 0; d < in->ndim; d++) {
        *(reduced[d] ? &p->n_each : &p->n_out) *= in->dim[d];
        if (in->dim[d] == 1) continue;
        if (p->ndim && kind[p->ndim - 1] == reduced[d]) {
            p->dim[p->ndim - 1] *= in->dim[d];
        } else {
            kind[p->ndim] = reduced[d];
            p->dim[p->ndim++] = in->dim[d];
        }
    }
    if (!p->ndim) p->dim[p->ndim++] = 1, kind[0] = false;
    int64_t stride = 1;
    for (int d = p->ndim - 1; d >= 0; d--) {
        p->out_stride[d] = kind[d] ? 0 : stride;
        if (!kind[d]) stride *= p->dim[d];
    }
}

// ---- accumulation -----------------------------------------------------------

// Adds a run of n input elements to the accumulators: to *acc all of them when
// step is 0, else each to its own. shift: LogSumExp's maxima, or NULL.
typedef void (*accumulate_fn)(void *acc, int64_t step, const void *in, int64_t n, const double *shift);

// Eight lanes for the sums along a run: the order is fixed and vectorises.
#define LANES 8
#define ACCUMULATE(name, CLONES, T, A, COMBINE, TERM, START)                                           \
    CLONES static void name(void *pacc, int64_t step, const void *pin, int64_t n, const double *shift) \
    {                                                                                                  \
        A *acc = pacc;                                                                                 \
        const T *in = pin;                                                                             \
        (void)shift;                                                                                   \
        if (step) {                                                                                    \
            for (int64_t i = 0; i < n; i++) {                                                          \
                const T x = in[i];                                                                     \
                const A a = acc[i], b = (A)(TERM);                                                     \
                acc[i] = COMBINE;                                                                      \
            }                                                                                          \
            return;                                                                                    \
        }                                                                                              \
        A lane[LANES];                                                                                 \
        for (int l = 0; l < LANES; l++) lane[l] = (A)(START);                                          \
        int64_t k = 0;                                                                                 \
        for (; k + LANES <= n; k += LANES)                                                             \
            for (int l = 0; l < LANES; l++) {                                                          \
                const T x = in[k + l];                                                                 \
                const A a = lane[l], b = (A)(TERM);                                                    \
                lane[l] = COMBINE;                                                                     \
            }                                                                                          \
        for (int l = 0; k < n; k++, l++) {                                                             \
            const T x = in[k];                                                                         \
            const A a = lane[l], b = (A)(TERM);                                                        \
            lane[l] = COMBINE;                                                                         \
        }                                                                                              \
        for (int l = 0; l < LANES; l++) {                                                              \
            const A a = *acc, b = lane[l];                                                             \
            *acc = COMBINE;                                                                            \
        }                                                                                              \
    }
#define ENTRY(dtype, fn) [dtype] = fn,

// Sums of x, |x| and x^2, products: floats in double, integers in uint64.
#define SUM_FLOAT(D, s, T, U) ACCUMULATE(sum_##s, KERN_CLONES, T, double, a + b, x, 0)
#define SUM_INT(D, s, T, U) ACCUMULATE(sum_##s, , T, uint64_t, a + b, x, 0)
#define SUM_ENTRY(D, s, T, U) ENTRY(D, sum_##s)
EACH_FLOAT(SUM_FLOAT)
EACH_INT(SUM_INT)
static const accumulate_fn sum_fns[REEL_DTYPE_COUNT] = {EACH_REAL(SUM_ENTRY)};

#define L1_FLOAT(D, s, T, U) ACCUMULATE(l1_##s, KERN_CLONES, T, double, a + b, fabs((double)x), 0)
#define L1_SINT(D, s, T, U) ACCUMULATE(l1_##s, , T, uint64_t, a + b, x < 0 ? 0 - (uint64_t)x : (uint64_t)x, 0)
#define L1_ENTRY(D, s, T, U) ENTRY(D, l1_##s)
EACH_FLOAT(L1_FLOAT)
EACH_SINT(L1_SINT)
static const accumulate_fn l1_fns[REEL_DTYPE_COUNT] = {EACH_FLOAT(L1_ENTRY) EACH_SINT(L1_ENTRY) EACH_UINT(SUM_ENTRY)};

#define SQUARE_FLOAT(D, s, T, U) ACCUMULATE(square_##s, KERN_CLONES, T, double, a + b, (double)x * (double)x, 0)
#define SQUARE_INT(D, s, T, U) ACCUMULATE(square_##s, , T, uint64_t, a + b, (uint64_t)x * (uint64_t)x, 0)
#define SQUARE_ENTRY(D, s, T, U) ENTRY(D, square_##s)
EACH_FLOAT(SQUARE_FLOAT)
EACH_INT(SQUARE_INT)
static const accumulate_fn square_fns[REEL_DTYPE_COUNT] = {EACH_REAL(SQUARE_ENTRY)};

#define PROD_FLOAT(D, s, T, U) ACCUMULATE(prod_##s, KERN_CLONES, T, double, a *b, x, 1)
#define PROD_INT(D, s, T, U) ACCUMULATE(prod_##s, , T, uint64_t, a *b, x, 1)
#define PROD_ENTRY(D, s, T, U) ENTRY(D, prod_##s)
EACH_FLOAT(PROD_FLOAT)
EACH_INT(PROD_INT)
static const accumulate_fn prod_fns[REEL_DTYPE_COUNT] = {EACH_REAL(PROD_ENTRY)};

// Extremes stay in the type itself. NaN wins over every number.
#define MAX_FN(s, T, LEAST) ACCUMULATE(max_##s, KERN_CLONES, T, T, a > b || a != a ? a : b, x, LEAST)
#define MIN_FN(s, T, MOST) ACCUMULATE(min_##s, KERN_CLONES, T, T, a < b || a != a ? a : b, x, MOST)
#define EXTREMES(s, T, LEAST, MOST) \
    MAX_FN(s, T, LEAST)             \
    MIN_FN(s, T, MOST)              \
    static const T least_##s = LEAST, most_##s = MOST;
EXTREMES(f32, float, -INFINITY, INFINITY)
EXTREMES(f64, double, -INFINITY, INFINITY)
EXTREMES(i8, int8_t, INT8_MIN, INT8_MAX)
EXTREMES(i16, int16_t, INT16_MIN, INT16_MAX)
EXTREMES(i32, int32_t, INT32_MIN, INT32_MAX)
EXTREMES(i64, int64_t, INT64_MIN, INT64_MAX)
EXTREMES(u8, uint8_t, 0, UINT8_MAX)
EXTREMES(u16, uint16_t, 0, UINT16_MAX)
EXTREMES(u32, uint32_t, 0, UINT32_MAX)
EXTREMES(u64, uint64_t, 0, UINT64_MAX)
EXTREMES(b8, uint8_t, 0, 1)
#define MAX_ENTRY(D, s, T, U) ENTRY(D, max_##s)
#define MIN_ENTRY(D, s, T, U) ENTRY(D, min_##s)
#define LEAST_ENTRY(D, s, T, U) ENTRY(D, &least_##s)
#define MOST_ENTRY(D, s, T, U) ENTRY(D, &most_##s)
static const accumulate_fn max_fns[REEL_DTYPE_COUNT] = {EACH_REAL(MAX_ENTRY)[REEL_BOOL] = max_b8};
static const accumulate_fn min_fns[REEL_DTYPE_COUNT] = {EACH_REAL(MIN_ENTRY)[REEL_BOOL] = min_b8};
static const void *const least[REEL_DTYPE_COUNT] = {EACH_REAL(LEAST_ENTRY)[REEL_BOOL] = &least_b8};
static const void *const most[REEL_DTYPE_COUNT] = {EACH_REAL(MOST_ENTRY)[REEL_BOOL] = &most_b8};

// LogSumExp runs over doubles alone: maxima, then sums of exp(x - maximum).
static void exp_sum_f64(void *pacc, int64_t step, const void *pin, int64_t n, const double *shift)
{
    double *acc = pacc;
    const double *in = pin;
    for (int64_t i = 0; i < n; i++) acc[i * step] += exp(in[i] - shift[i * step]);
}

// Runs fn over the whole input; acc_bytes is the size of an accumulator.
static void accumulate(const struct plan *p, accumulate_fn fn, void *acc, size_t acc_bytes, const void *in,
                       size_t in_bytes, const double *shift)
{
    const int last = p->ndim - 1;
    const int64_t n = p->dim[last];
    int64_t index[REEL_MAX_DIMS] = {0}, at = 0;
    const char *v = in;
    for (;;) {
        fn((char *)acc + (size_t)at * acc_bytes, p->out_stride[last], v, n, shift ? shift + at : NULL);
        v += (size_t)n * in_bytes;
        int d = last - 1;
        for (; d >= 0; d--) {
            at += p->out_stride[d];
            if (++index[d] < p->dim[d]) break;
            at -= p->out_stride[d] * p->dim[d];
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

// What happens to a finished accumulator.
enum finish { FINISH_NONE, FINISH_MEAN, FINISH_SQRT, FINISH_LOG };

// Stores accumulated doubles (floats' sums) or uint64s (integers').
static void finish_sums(struct reel_tensor *out, const void *acc, const struct plan *p, enum finish finish)
{
    const bool is_float = reel_dtype_is_float(out->dtype);
    const bool is_unsigned = T_(out->dtype) & TYPES_UINT;
    const size_t bytes = reel_dtype_bytes(out->dtype);
    for (int64_t i = 0; i < p->n_out; i++) {
        char *to = (char *)out->data + (size_t)i * bytes;
        if (!is_float && (finish == FINISH_NONE || finish == FINISH_MEAN)) {
            uint64_t u = ((const uint64_t *)acc)[i];
            const uint64_t n = (uint64_t)p->n_each;
            if (finish == FINISH_MEAN && n && is_unsigned) u /= n;
            if (finish == FINISH_MEAN && n && !is_unsigned) u = (uint64_t)((int64_t)u / (int64_t)n);
            if (finish == FINISH_MEAN && !n) u = 0;
            reel_convert(to, out->dtype, &u, REEL_U64, 1);
            continue;
        }
        double v = is_float      ? ((const double *)acc)[i]
                   : is_unsigned ? (double)((const uint64_t *)acc)[i]
                                 : (double)((const int64_t *)acc)[i];
        if (finish == FINISH_MEAN) v /= (double)p->n_each;
        if (finish == FINISH_SQRT) v = sqrt(v);
        if (finish == FINISH_LOG) v = log(v);
        reel_convert(to, out->dtype, &v, REEL_F64, 1);
    }
}

static enum reel_err reduce_start(const struct op_call *call, int input_since, struct plan *p)
{
    const struct reel_tensor *in = call->in[0];
    bool reduced[REEL_MAX_DIMS], known;
    struct reel_shape shape;
    enum reel_err err = reduce_axes(call, input_since, reduced, &known, &shape);
    if (!err && !known) err = reel_fail(REEL_ERR_INPUT, "the axes are missing");
    if (err) return err;
    plan_init(p, &in->shape, reduced);
    return call->out[0] ? op_alloc_out(call, 0, in->dtype, &shape) : REEL_OK;
}

static enum reel_err reduce_sums(const struct op_call *call, int input_since, const accumulate_fn *fns,
                                 enum finish finish)
{
    const struct reel_tensor *in = call->in[0];
    if (!fns[in->dtype]) return typed_refuse(call, 0);
    struct plan p;
    enum reel_err err = reduce_start(call, input_since, &p);
    if (err || !call->out[0] || p.n_out == 0) return err;
    void *acc = work_alloc(p.n_out, 8);
    if (!acc) return REEL_ERR_NOMEM;
    const bool product = fns == prod_fns;
    for (int64_t i = 0; i < p.n_out; i++) {
        if (reel_dtype_is_float(in->dtype))
            ((double *)acc)[i] = product;
        else
            ((uint64_t *)acc)[i] = product;
    }
    if (p.n_each > 0) accumulate(&p, fns[in->dtype], acc, 8, in->data, reel_dtype_bytes(in->dtype), NULL);
    finish_sums(call->out[0], acc, &p, finish);
    free(acc);
    return REEL_OK;
}

// start[dtype]: the result of reducing nothing.
static enum reel_err reduce_extreme(const struct op_call *call, const accumulate_fn *fns, const void *const *start)
{
    const struct reel_tensor *in = call->in[0];
    if (!fns[in->dtype]) return typed_refuse(call, 0);
    struct plan p;
    enum reel_err err = reduce_start(call, 18, &p);
    if (err || !call->out[0]) return err;
    const size_t bytes = reel_dtype_bytes(in->dtype);
    char *out = call->out[0]->data;
    for (int64_t i = 0; i < p.n_out; i++) memcpy(out + (size_t)i * bytes, start[in->dtype], bytes);
    if (p.n_out > 0 && p.n_each > 0) accumulate(&p, fns[in->dtype], out, bytes, in->data, bytes, NULL);
    return REEL_OK;
}

#define REDUCE_EVAL(name, since, fns, finish)                    \
    static enum reel_err eval_##name(const struct op_call *call) \
    {                                                            \
        HALVES_IN_F32(eval_##name);                              \
        return reduce_sums(call, since, fns, finish);            \
    }
REDUCE_EVAL(reduce_sum, 13, sum_fns, FINISH_NONE)
REDUCE_EVAL(reduce_mean, 18, sum_fns, FINISH_MEAN)
REDUCE_EVAL(reduce_prod, 18, prod_fns, FINISH_NONE)
REDUCE_EVAL(reduce_l1, 18, l1_fns, FINISH_NONE)
REDUCE_EVAL(reduce_l2, 18, square_fns, FINISH_SQRT)
REDUCE_EVAL(reduce_sum_square, 18, square_fns, FINISH_NONE)
REDUCE_EVAL(reduce_log_sum, 18, sum_fns, FINISH_LOG)

static enum reel_err eval_reduce_max(const struct op_call *call)
{
    HALVES_IN_F32(eval_reduce_max);
    return reduce_extreme(call, max_fns, least);
}

static enum reel_err eval_reduce_min(const struct op_call *call)
{
    HALVES_IN_F32(eval_reduce_min);
    return reduce_extreme(call, min_fns, most);
}

// log(sum(exp(x))) about the largest x of each sum.
static enum reel_err eval_reduce_log_sum_exp(const struct op_call *call)
{
    HALVES_IN_F32(eval_reduce_log_sum_exp);
    const struct reel_tensor *in = call->in[0];
    if (!(TYPES_NUM & T_(in->dtype))) return typed_refuse(call, 0);
    struct plan p;
    enum reel_err err = reduce_start(call, 18, &p);
    if (err || !call->out[0] || p.n_out == 0) return err;
    struct work x = {0};
    double *max = work_alloc(p.n_out, 2 * sizeof *max), *sum = max ? max + p.n_out : NULL;
    err = max ? work_in(&x, in, REEL_F64) : REEL_ERR_NOMEM;
    if (!err) {
        for (int64_t i = 0; i < p.n_out; i++) max[i] = -INFINITY, sum[i] = 0;
        if (p.n_each > 0) accumulate(&p, max_f64, max, sizeof *max, x.p, sizeof(double), NULL);
        for (int64_t i = 0; i < p.n_out; i++)
            if (isinf(max[i])) max[i] = 0; // nothing to scale: the sum is 0 or infinite
        if (p.n_each > 0) accumulate(&p, exp_sum_f64, sum, sizeof *sum, x.p, sizeof(double), max);
        for (int64_t i = 0; i < p.n_out; i++) sum[i] = log(sum[i]) + max[i];
        reel_convert(call->out[0]->data, in->dtype, sum, REEL_F64, p.n_out);
    }
    work_fini(&x);
    free(max);
    return err;
}

// ---- the table ------------------------------------------------------------------

#define REDUCE_DEF(op, infer, eval, types)                             \
    {                                                                  \
        "", op, 1, OPSET_LAST, 1, 2, 1, 1, types, 0, infer, eval, NULL \
    }

const struct op_def ops_reduce[] = {
    REDUCE_DEF("ReduceL1", infer_reduce, eval_reduce_l1, TYPES_NUM),
    REDUCE_DEF("ReduceL2", infer_reduce, eval_reduce_l2, TYPES_NUM),
    REDUCE_DEF("ReduceLogSum", infer_reduce, eval_reduce_log_sum, TYPES_NUM),
    REDUCE_DEF("ReduceLogSumExp", infer_reduce, eval_reduce_log_sum_exp, TYPES_NUM),
    REDUCE_DEF("ReduceMax", infer_reduce, eval_reduce_max, TYPES_ALL),
    REDUCE_DEF("ReduceMean", infer_reduce, eval_reduce_mean, TYPES_NUM),
    REDUCE_DEF("ReduceMin", infer_reduce, eval_reduce_min, TYPES_ALL),
    REDUCE_DEF("ReduceProd", infer_reduce, eval_reduce_prod, TYPES_NUM),
    REDUCE_DEF("ReduceSum", infer_reduce_sum, eval_reduce_sum, TYPES_NUM),
    REDUCE_DEF("ReduceSumSquare", infer_reduce, eval_reduce_sum_square, TYPES_NUM),
};
const int ops_reduce_count = sizeof ops_reduce / sizeof *ops_reduce;
