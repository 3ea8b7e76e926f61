// SPDX-License-Identifier: MIT
//
// The family pick: operators that choose elements by what they are (NonZero,
// Compress, Unique), and those that set some by a rule (OneHot, Trilu, EyeLike).
//
// Elements are moved by their size, whatever their type.
#include "worker/onnx/ops/moving.h"

// ---- OneHot -----------------------------------------------------------------

static enum reel_err one_hot_shape(const struct op_call *call, int *out_axis, struct reel_shape *out)
{
    enum reel_err err = typed_present(call, 3);
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape;
    const struct reel_tensor *depth = call->in[1], *values = call->in[2];
    *out = shape_unknown();
    if (!(TYPES_NUM & T_(depth->dtype))) return typed_refuse(call, 1);
    if (!reel_dtype_bytes(values->dtype)) return typed_refuse(call, 2);
    const int64_t n_depth = reel_tensor_count(depth), n_values = reel_tensor_count(values);
    if ((n_depth >= 0 && n_depth != 1) || (n_values >= 0 && n_values != 2))
        return reel_fail(REEL_ERR_INPUT, "depth has %lld elements, not 1, or values %lld, not 2", (long long)n_depth,
                         (long long)n_values);
    if (in->ndim < 0) return REEL_OK;
    if (in->ndim + 1 > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_UNSUPPORTED, "the result has more than %d dimensions", REEL_MAX_DIMS);
    err = op_axis(node_attr_int(call->node, "axis", -1), in->ndim + 1, out_axis);
    if (err) return err;
    out->ndim = in->ndim + 1;
    for (int d = 0, from = 0; d < out->ndim; d++) out->dim[d] = d == *out_axis ? -1 : in->dim[from++];
    if (!has_data(depth)) return REEL_OK;
    const double wide = op_scalar(depth, 0);
    if (!(wide >= 0 && wide <= 0x1p40)) return reel_fail(REEL_ERR_INPUT, "depth is %g", wide);
    out->dim[*out_axis] = op_scalar_int(depth, 0);
    return REEL_OK;
}

static enum reel_err infer_one_hot(const struct op_call *call)
{
    int axis;
    struct reel_shape shape;
    enum reel_err err = one_hot_shape(call, &axis, &shape);
    if (!err) infer_out(call, 0, call->in[2]->dtype, &shape);
    return err;
}

static enum reel_err eval_one_hot(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0], *values = call->in[2];
    int axis;
    struct reel_shape shape;
    if (!(TYPES_NUM & T_(in->dtype))) return typed_refuse(call, 0);
    enum reel_err err = one_hot_shape(call, &axis, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, values->dtype, &shape);
    const int64_t n = reel_shape_count(&shape);
    if (err || n == 0) return err;
    const size_t bytes = reel_dtype_bytes(values->dtype);
    const char *off = values->data, *on = off + bytes;
    char *out = call->out[0]->data;
    for (int64_t i = 0; i < n; i++) move_element(out + (size_t)i * bytes, off, bytes);
    const int64_t outer = shape_span(&in->shape, 0, axis), inner = shape_span(&in->shape, axis, in->shape.ndim);
    const int64_t depth = shape.dim[axis];
    for (int64_t i = 0; i < outer * inner; i++) {
        // An index out of range, NaN too, leaves its column off.
        const double wide = op_scalar(in, i);
        if (!(wide >= (double)-depth && wide < (double)depth)) continue;
        int64_t at = op_scalar_int(in, i);
        if (at < 0) at += depth;
        move_element(out + (size_t)((i / inner * depth + at) * inner + i % inner) * bytes, on, bytes);
    }
    return REEL_OK;
}

// ---- NonZero, Compress ------------------------------------------------------

// out[i] = element i of t is not 0 (NaN is not, -0 is).
static enum reel_err nonzero_mask(const struct reel_tensor *t, uint8_t **out_mask)
{
    const int64_t n = reel_tensor_count(t);
    uint8_t *mask = work_alloc(n, 1);
    *out_mask = mask;
    if (!mask) return REEL_ERR_NOMEM;
    reel_convert(mask, REEL_BOOL, t->data, t->dtype, n);
    for (int64_t i = 0; t->dtype == REEL_BOOL && i < n; i++) mask[i] = mask[i] != 0;
    return REEL_OK;
}

static enum reel_err infer_nonzero(const struct op_call *call)
{
    const int ndim = call->in[0]->shape.ndim;
    infer_out(call, 0, REEL_I64, &(struct reel_shape){.ndim = 2, .dim = {ndim, -1}});
    return REEL_OK;
}

// (rank, n): one row of coordinates per dimension, in row-major order.
static enum reel_err eval_nonzero(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    enum reel_err err = move_check(call, 0);
    if (err || !call->out[0]) return err;
    uint8_t *mask;
    err = nonzero_mask(in, &mask);
    if (err) return err;
    const int64_t count = reel_tensor_count(in);
    const int ndim = in->shape.ndim;
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) n += mask[i];
    err = op_alloc_out(call, 0, REEL_I64, &(struct reel_shape){.ndim = 2, .dim = {ndim, n}});
    if (!err) {
        int64_t *out = call->out[0]->data, index[REEL_MAX_DIMS] = {0}, k = 0;
        for (int64_t i = 0; i < count; i++) {
            if (mask[i]) {
                for (int d = 0; d < ndim; d++) out[d * n + k] = index[d];
                k++;
            }
            for (int d = ndim - 1; d >= 0; d--) {
                if (++index[d] < in->shape.dim[d]) break;
                index[d] = 0;
            }
        }
    }
    free(mask);
    return err;
}

static enum reel_err compress_shape(const struct op_call *call, int *out_axis, struct reel_shape *out)
{
    enum reel_err err = typed_present(call, 2);
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape, *condition = &call->in[1]->shape;
    *out_axis = -1;
    *out = shape_unknown();
    if (call->in[1]->dtype != REEL_BOOL) return typed_refuse(call, 1);
    if (condition->ndim >= 0 && condition->ndim != 1)
        return reel_fail(REEL_ERR_INPUT, "the condition has rank %d, not 1", condition->ndim);
    *out = (struct reel_shape){.ndim = 1, .dim = {-1}};
    if (!node_attr(call->node, "axis")) return REEL_OK;
    *out = *in;
    if (in->ndim < 0) return REEL_OK;
    err = op_axis(node_attr_int(call->node, "axis", 0), in->ndim, out_axis);
    if (!err) out->dim[*out_axis] = -1;
    return err;
}

static enum reel_err infer_compress(const struct op_call *call)
{
    int axis;
    struct reel_shape shape;
    enum reel_err err = compress_shape(call, &axis, &shape);
    const struct reel_tensor *condition = call->in[1];
    if (!err && shape.ndim >= 0 && condition->data) { // known before the run
        int64_t *const kept = &shape.dim[axis < 0 ? 0 : axis];
        *kept = 0;
        for (int64_t i = 0; i < reel_tensor_count(condition); i++) *kept += ((const uint8_t *)condition->data)[i] != 0;
    }
    if (!err) infer_out(call, 0, call->in[0]->dtype, &shape);
    return err;
}

static enum reel_err eval_compress(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0], *condition = call->in[1];
    int axis;
    struct reel_shape shape;
    enum reel_err err = move_check(call, 0);
    if (!err) err = compress_shape(call, &axis, &shape);
    if (err || !call->out[0]) return err;
    const bool flat = axis < 0;
    const int64_t outer = flat ? 1 : shape_span(&in->shape, 0, axis);
    const int64_t inner = flat ? 1 : shape_span(&in->shape, axis + 1, in->shape.ndim);
    const int64_t extent = flat ? reel_tensor_count(in) : in->shape.dim[axis];
    // A shorter condition leaves the rest out; what stands beyond must be false.
    const int64_t n_condition = reel_tensor_count(condition), n = n_condition < extent ? n_condition : extent;
    const uint8_t *take = condition->data;
    int64_t kept = 0;
    for (int64_t i = 0; i < n_condition; i++) {
        if (!take[i]) continue;
        if (i >= extent)
            return reel_fail(REEL_ERR_INPUT, "element %lld is chosen of %lld", (long long)i, (long long)extent);
        kept++;
    }
    shape.dim[flat ? 0 : axis] = kept;
    err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    const size_t row = (size_t)inner * reel_dtype_bytes(in->dtype);
    char *out = call->out[0]->data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++) {
            if (!take[i]) continue;
            move_element(out, (const char *)in->data + (size_t)(o * extent + i) * row, row);
            out += row;
        }
    return REEL_OK;
}

// ---- Unique -----------------------------------------------------------------

// -1, 0, 1 for elements a and b of type T; NaN is above all and equals itself.
typedef int (*compare_fn)(const void *a, const void *b);
#define COMPARE_FN(D, s, T, U)                             \
    static int compare_##s(const void *pa, const void *pb) \
    {                                                      \
        const T a = *(const T *)pa, b = *(const T *)pb;    \
        if (a != a || b != b) return (a != a) - (b != b);  \
        return (a > b) - (a < b);                          \
    }
EACH_REAL(COMPARE_FN)

static int compare_f16(const void *a, const void *b)
{
    const float x = reel_f16_to_f32(*(const uint16_t *)a), y = reel_f16_to_f32(*(const uint16_t *)b);
    return compare_f32(&x, &y);
}

static int compare_bf16(const void *a, const void *b)
{
    const float x = reel_bf16_to_f32(*(const uint16_t *)a), y = reel_bf16_to_f32(*(const uint16_t *)b);
    return compare_f32(&x, &y);
}

#define COMPARE_ENTRY(D, s, T, U) [D] = compare_##s,
static const compare_fn compare_fns[REEL_DTYPE_COUNT] = {
    EACH_REAL(COMPARE_ENTRY)[REEL_F16] = compare_f16, [REEL_BF16] = compare_bf16, [REEL_BOOL] = compare_u8};

// The subtensors along an axis, each (outer, inner) elements.
struct subtensors {
    const char *data;
    int64_t outer, n, inner;
    size_t bytes;
    compare_fn compare;
};

static int compare_subtensors(const struct subtensors *s, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t i = 0; i < s->inner; i++) {
            const int c = s->compare(s->data + (size_t)((o * s->n + a) * s->inner + i) * s->bytes,
                                     s->data + (size_t)((o * s->n + b) * s->inner + i) * s->bytes);
            if (c) return c;
        }
    return 0;
}

// Equal subtensors are ordered by position.
static int by_value(const void *a, const void *b, void *subtensors)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    const int c = compare_subtensors(subtensors, x, y);
    return c ? c : (x > y) - (x < y);
}

static int by_first(const void *a, const void *b, void *first)
{
    const int64_t x = ((const int64_t *)first)[*(const int64_t *)a], y = ((const int64_t *)first)[*(const int64_t *)b];
    return (x > y) - (x < y);
}

// Groups of equal subtensors, in output order.
struct groups {
    int64_t n;        // groups
    int64_t *first;   // position of each group's first member
    int64_t *count;   // members
    int64_t *inverse; // group of each subtensor
};

static void groups_fini(struct groups *g)
{
    free(g->first);
    free(g->count);
    free(g->inverse);
}

static enum reel_err groups_find(struct groups *g, struct subtensors *s, bool sorted)
{
    *g = (struct groups){.first = work_alloc(s->n, 8), .count = work_alloc(s->n, 8), .inverse = work_alloc(s->n, 8)};
    int64_t *order = work_alloc(s->n, 2 * sizeof *order), *rank = order ? order + s->n : NULL;
    if (!g->first || !g->count || !g->inverse || !order) {
        free(order);
        return REEL_ERR_NOMEM;
    }
    for (int64_t i = 0; i < s->n; i++) order[i] = i;
    qsort_r(order, (size_t)s->n, sizeof *order, by_value, s);
    for (int64_t i = 0; i < s->n; i++) {
        if (i == 0 || compare_subtensors(s, order[i - 1], order[i]) != 0) {
            g->first[g->n] = order[i];
            g->count[g->n++] = 0;
        }
        g->count[g->n - 1]++;
        g->inverse[order[i]] = g->n - 1;
    }
    if (!sorted) {
        // Groups by first occurrence: order[new] = old, rank[old] = new.
        for (int64_t i = 0; i < g->n; i++) order[i] = i;
        qsort_r(order, (size_t)g->n, sizeof *order, by_first, g->first);
        for (int64_t i = 0; i < g->n; i++) rank[order[i]] = i;
        for (int64_t i = 0; i < s->n; i++) g->inverse[i] = rank[g->inverse[i]];
        for (int64_t i = 0; i < s->n; i++) g->count[g->inverse[i]] = 0;
        for (int64_t i = s->n - 1; i >= 0; i--) {
            g->first[g->inverse[i]] = i;
            g->count[g->inverse[i]]++;
        }
    }
    free(order);
    return REEL_OK;
}

static enum reel_err unique_axis(const struct op_call *call, int *out_axis)
{
    *out_axis = -1;
    if (!node_attr(call->node, "axis") || call->in[0]->shape.ndim < 0) return REEL_OK;
    return op_axis(node_attr_int(call->node, "axis", 0), call->in[0]->shape.ndim, out_axis);
}

static enum reel_err infer_unique(const struct op_call *call)
{
    const struct reel_shape vector = {.ndim = 1, .dim = {-1}};
    int axis;
    enum reel_err err = unique_axis(call, &axis);
    if (err) return err;
    struct reel_shape shape = vector;
    if (node_attr(call->node, "axis")) shape = call->in[0]->shape;
    if (axis >= 0) shape.dim[axis] = -1;
    infer_out(call, 0, call->in[0]->dtype, &shape);
    for (int i = 1; i < 4; i++) infer_out(call, i, REEL_I64, &vector);
    return REEL_OK;
}

static enum reel_err unique_store(const struct op_call *call, int i, const int64_t *values, int64_t n)
{
    if (!call_out(call, i)) return REEL_OK;
    enum reel_err err = op_alloc_out(call, i, REEL_I64, &(struct reel_shape){.ndim = 1, .dim = {n}});
    if (!err && n) memcpy(call->out[i]->data, values, (size_t)n * sizeof *values);
    return err;
}

static enum reel_err unique_values(const struct op_call *call, const struct subtensors *s, const struct groups *g,
                                   int axis)
{
    const struct reel_tensor *in = call->in[0];
    if (!call->out[0]) return REEL_OK;
    struct reel_shape shape = {.ndim = 1, .dim = {g->n}};
    if (axis >= 0) shape = in->shape, shape.dim[axis] = g->n;
    enum reel_err err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    const size_t row = (size_t)s->inner * s->bytes;
    char *out = call->out[0]->data;
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t k = 0; k < g->n; k++, out += row)
            move_element(out, s->data + (size_t)(o * s->n + g->first[k]) * row, row);
    return REEL_OK;
}

static enum reel_err eval_unique(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    if (!compare_fns[in->dtype]) return typed_refuse(call, 0);
    int axis;
    enum reel_err err = unique_axis(call, &axis);
    if (err) return err;
    struct subtensors s = {.data = in->data, .outer = 1, .n = reel_tensor_count(in), .inner = 1};
    s.bytes = reel_dtype_bytes(in->dtype);
    s.compare = compare_fns[in->dtype];
    if (axis >= 0) {
        s.outer = shape_span(&in->shape, 0, axis);
        s.n = in->shape.dim[axis];
        s.inner = shape_span(&in->shape, axis + 1, in->shape.ndim);
    }
    struct groups g;
    err = groups_find(&g, &s, node_attr_int(call->node, "sorted", 1) != 0);
    if (!err) err = unique_values(call, &s, &g, axis);
    if (!err) err = unique_store(call, 1, g.first, g.n);
    if (!err) err = unique_store(call, 2, g.inverse, s.n);
    if (!err) err = unique_store(call, 3, g.count, g.n);
    groups_fini(&g);
    return err;
}

// ---- Trilu, EyeLike ---------------------------------------------------------

static enum reel_err infer_trilu(const struct op_call *call)
{
    if (call->in[0]->shape.ndim >= 0 && call->in[0]->shape.ndim < 2)
        return reel_fail(REEL_ERR_INPUT, "the input has rank %d, but must hold matrices", call->in[0]->shape.ndim);
    return op_infer_same(call);
}

// Keeps j - i >= k (upper) or <= k (lower) of every matrix, 0 elsewhere.
static enum reel_err eval_trilu(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    enum reel_err err = move_check(call, 0);
    if (err) return err;
    if (in->shape.ndim < 2) return infer_trilu(call);
    int64_t k = 0;
    if (call_in(call, 1)) {
        int64_t *values, n;
        err = typed_ints(call, 1, 1, &values, &n);
        if (!err && n != 1) err = reel_fail(REEL_ERR_INPUT, "k is not a scalar");
        if (!err) k = values[0];
        free(values);
        if (err) return err;
    }
    if (!call->out[0]) return REEL_OK;
    err = op_alloc_out(call, 0, in->dtype, &in->shape);
    if (err || reel_tensor_count(in) == 0) return err;
    const int64_t rows = in->shape.dim[in->shape.ndim - 2], columns = in->shape.dim[in->shape.ndim - 1];
    const int64_t total = shape_span(&in->shape, 0, in->shape.ndim - 1);
    const bool upper = node_attr_int(call->node, "upper", 1) != 0;
    const size_t bytes = reel_dtype_bytes(in->dtype), row = (size_t)columns * bytes;
    k = k < -rows ? -rows : k > columns ? columns : k;
    for (int64_t r = 0; r < total; r++) {
        // The first column beyond the lower part, or the first of the upper.
        int64_t cut = r % rows + k + (upper ? 0 : 1);
        cut = cut < 0 ? 0 : cut > columns ? columns : cut;
        const size_t head = (size_t)cut * bytes;
        char *out = (char *)call->out[0]->data + (size_t)r * row;
        const char *from = (const char *)in->data + (size_t)r * row;
        if (upper) {
            memset(out, 0, head);
            memcpy(out + head, from + head, row - head);
        } else {
            memcpy(out, from, head);
            memset(out + head, 0, row - head);
        }
    }
    return REEL_OK;
}

static enum reel_err eye_dtype(const struct op_call *call, enum reel_dtype *out_dtype)
{
    *out_dtype = call->in[0]->dtype;
    const struct attr *dtype = node_attr(call->node, "dtype");
    if (dtype) *out_dtype = dtype_of_onnx(node_attr_int(call->node, "dtype", 0));
    if (!reel_dtype_bytes(*out_dtype))
        return reel_fail(REEL_ERR_UNSUPPORTED, "attribute dtype is not a supported type");
    if (call->in[0]->shape.ndim >= 0 && call->in[0]->shape.ndim != 2)
        return reel_fail(REEL_ERR_INPUT, "the input has rank %d, not 2", call->in[0]->shape.ndim);
    return REEL_OK;
}

static enum reel_err infer_eye_like(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = eye_dtype(call, &dtype);
    if (!err) infer_out(call, 0, dtype, &call->in[0]->shape);
    return err;
}

static enum reel_err eval_eye_like(const struct op_call *call)
{
    enum reel_dtype dtype;
    enum reel_err err = eye_dtype(call, &dtype);
    if (err || !call->out[0]) return err;
    const struct reel_shape *shape = &call->in[0]->shape;
    err = op_alloc_out(call, 0, dtype, shape);
    if (err || reel_shape_count(shape) == 0) return err;
    struct reel_tensor *out = call->out[0];
    memset(out->data, 0, reel_tensor_bytes(out));
    const int64_t k = node_attr_int(call->node, "k", 0), rows = shape->dim[0], columns = shape->dim[1];
    if (k <= -rows || k >= columns) return REEL_OK;
    const int64_t one = 1;
    for (int64_t r = k < 0 ? -k : 0; r < rows && r + k < columns; r++)
        reel_convert((char *)out->data + (size_t)(r * columns + r + k) * reel_dtype_bytes(dtype), dtype, &one, REEL_I64,
                     1);
    return REEL_OK;
}

// ---- the table --------------------------------------------------------------

const struct op_def ops_pick[] = {
    DEF_SINCE("Compress", 9, 2, 2, 1, TYPES_ALL, OP_DATA_SHAPE, infer_compress, eval_compress),
    DEF_SINCE("EyeLike", 9, 1, 1, 1, TYPES_ALL, 0, infer_eye_like, eval_eye_like),
    DEF_SINCE("NonZero", 9, 1, 1, 1, TYPES_ALL, OP_DATA_SHAPE, infer_nonzero, eval_nonzero),
    DEF_SINCE("OneHot", 9, 3, 3, 1, TYPES_NUM, 0, infer_one_hot, eval_one_hot),
    DEF_SINCE("Trilu", 14, 1, 2, 1, TYPES_ALL, 0, infer_trilu, eval_trilu),
    DEF_SINCE("Unique", 11, 1, 1, 4, TYPES_ALL, OP_DATA_SHAPE, infer_unique, eval_unique),
};
const int ops_pick_count = sizeof ops_pick / sizeof *ops_pick;
