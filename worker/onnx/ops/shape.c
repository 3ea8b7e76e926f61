// SPDX-License-Identifier: MIT
//
// The family shape: operators that move elements without looking at them, and
// those that talk about shapes.
//
// Elements are moved by their size, whatever their type; the inner loops are
// copies of contiguous runs wherever the shapes allow it. What the operators
// compute from indices of the file (starts, pads, repeats, perm) is checked
// before anything is allocated.
#include "worker/onnx/ops/typed.h"

// ---- moving elements by size ------------------------------------------------

// dst[i] = src[i * stride] for n elements; stride in elements, may be negative
// or 0.
static void copy_strided(char *dst, const char *src, int64_t stride, int64_t n, size_t bytes)
{
    if (stride == 1) {
        memcpy(dst, src, (size_t)n * bytes);
        return;
    }
#define COPY(T) \
    for (int64_t i = 0; i < n; i++) ((T *)dst)[i] = ((const T *)src)[i * stride]
    switch (bytes) {
    case 1:
        COPY(uint8_t);
        break;
    case 2:
        COPY(uint16_t);
        break;
    case 4:
        COPY(uint32_t);
        break;
    default:
        COPY(uint64_t);
    }
#undef COPY
}

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

// Refuses element types without a size (strings).
static enum reel_err check_sized(const struct op_call *call, int i)
{
    return reel_dtype_bytes(call->in[i]->dtype) ? REEL_OK : typed_refuse(call, i);
}

// Sets out[0] to in[0]'s type and this shape during inference.
static enum reel_err infer_shape(const struct op_call *call, const struct reel_shape *shape)
{
    infer_out(call, 0, call->in[0]->dtype, shape);
    return REEL_OK;
}

// Integers that are an attribute or an input, at most REEL_MAX_DIMS of them.
struct ints {
    bool known;   // false: comes from data not yet there
    bool present; // false: neither attribute nor input
    int n;        // also when not known, where the input's shape tells; else -1
    int64_t v[2 * REEL_MAX_DIMS];
};

// attr may be NULL, input may be -1. Of both the attribute counts.
static enum reel_err read_ints(const struct op_call *call, const char *attr, int input, struct ints *out)
{
    *out = (struct ints){.known = true};
    const int max = (int)(sizeof out->v / sizeof *out->v);
    if (attr && node_attr(call->node, attr)) {
        const int64_t *ints;
        out->present = true;
        out->n = node_attr_ints(call->node, attr, &ints);
        if (out->n > max) return reel_fail(REEL_ERR_INPUT, "attribute %s has %d values: too many", attr, out->n);
        for (int i = 0; i < out->n; i++) out->v[i] = ints[i];
        return REEL_OK;
    }
    const struct reel_tensor *t = input < 0 ? NULL : call_in(call, input);
    if (!t) return REEL_OK;
    out->present = true;
    if (t->dtype != REEL_I32 && t->dtype != REEL_I64 && t->dtype != REEL_DTYPE_NONE)
        return reel_fail(REEL_ERR_INPUT, "input %d is of type %s, but must be int32 or int64", input,
                         reel_dtype_name(t->dtype));
    const int64_t count = reel_tensor_count(t);
    if (t->shape.ndim > 1 || count > max)
        return reel_fail(REEL_ERR_INPUT, "input %d is no list of at most %d integers", input, max);
    out->n = (int)count;
    out->known = has_data(t) && count >= 0;
    for (int i = 0; out->known && i < out->n; i++) out->v[i] = op_scalar_int(t, i);
    return REEL_OK;
}

// The values become axes in [0, ndim), each at most once.
static enum reel_err normalize_axes(struct ints *axes, int ndim)
{
    bool seen[REEL_MAX_DIMS] = {false};
    for (int i = 0; i < axes->n; i++) {
        int axis;
        enum reel_err err = op_axis(axes->v[i], ndim, &axis);
        if (err) return err;
        if (seen[axis]) return reel_fail(REEL_ERR_INPUT, "axis %d is named twice", axis);
        seen[axis] = true;
        axes->v[i] = axis;
    }
    return REEL_OK;
}

static enum reel_err too_many_dims(int ndim)
{
    return reel_fail(REEL_ERR_UNSUPPORTED, "the result has %d dimensions, more than the %d supported", ndim,
                     REEL_MAX_DIMS);
}

// ---- Reshape ----------------------------------------------------------------

// The new shape; extents that cannot be known yet are -1, an unknown rank too.
static enum reel_err reshape_shape(const struct op_call *call, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    const bool allowzero = node_attr_int(call->node, "allowzero", 0) != 0;
    struct ints want;
    enum reel_err err = read_ints(call, call->opset < 5 ? "shape" : NULL, call->opset < 5 ? -1 : 1, &want);
    if (err) return err;
    if (!want.present) return reel_fail(REEL_ERR_INPUT, "no new shape is given");
    *out = shape_unknown();
    if (want.n > REEL_MAX_DIMS) return too_many_dims(want.n);
    if (!want.known && want.n < 0) return REEL_OK;
    out->ndim = want.n;
    for (int i = 0; i < want.n; i++) out->dim[i] = -1;
    if (!want.known) return REEL_OK;

    int wild = -1;
    bool zero = false, unknown = false;
    for (int i = 0; i < want.n; i++) {
        const int64_t d = want.v[i];
        if (d < -1) return reel_fail(REEL_ERR_INPUT, "extent %lld of the new shape is negative", (long long)d);
        if (d == -1) {
            if (wild >= 0) return reel_fail(REEL_ERR_INPUT, "more than one extent of the new shape is -1");
            wild = i;
            continue;
        }
        out->dim[i] = d;
        zero |= d == 0;
        if (d == 0 && !allowzero) {
            if (in->ndim < 0) {
                out->dim[i] = -1;
            } else {
                if (i >= in->ndim) return reel_fail(REEL_ERR_INPUT, "extent %d is copied from no dimension", i);
                out->dim[i] = in->dim[i];
            }
        }
        unknown |= out->dim[i] < 0;
    }
    if (allowzero && zero && wild >= 0) return reel_fail(REEL_ERR_INPUT, "-1 and 0 together leave the shape open");
    const int64_t count = reel_shape_count(in);
    if (wild < 0 || unknown || count < 0) return REEL_OK;
    out->dim[wild] = 1;
    const int64_t rest = reel_shape_count(out);
    if (rest < 0 || (rest == 0 && count != 0) || (rest > 0 && count % rest != 0))
        return reel_fail(REEL_ERR_INPUT, "%lld elements do not divide into the new shape", (long long)count);
    out->dim[wild] = rest ? count / rest : 0;
    return REEL_OK;
}

static enum reel_err infer_reshape(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = reshape_shape(call, &shape);
    if (err) return err;
    const int64_t count = reel_shape_count(&call->in[0]->shape), other = reel_shape_count(&shape);
    if (count >= 0 && other >= 0 && count != other)
        return reel_fail(REEL_ERR_INPUT, "the new shape has %lld elements, the input %lld", (long long)other,
                         (long long)count);
    return infer_shape(call, &shape);
}

static enum reel_err eval_reshape(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = reshape_shape(call, &shape);
    return err ? err : typed_copy_as(call, &shape);
}

// ---- Squeeze, Unsqueeze, Flatten --------------------------------------------

static enum reel_err squeeze_shape(const struct op_call *call, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    struct ints axes;
    enum reel_err err = read_ints(call, "axes", 1, &axes);
    if (err) return err;
    *out = shape_unknown();
    if (in->ndim < 0) return REEL_OK;
    if (!axes.known) {
        if (axes.n < 0 || axes.n > in->ndim) return REEL_OK;
        out->ndim = in->ndim - axes.n;
        for (int d = 0; d < out->ndim; d++) out->dim[d] = -1;
        return REEL_OK;
    }
    err = normalize_axes(&axes, in->ndim);
    if (err) return err;
    bool gone[REEL_MAX_DIMS] = {false};
    for (int i = 0; i < axes.n; i++) gone[axes.v[i]] = true;
    struct reel_shape shape = {.ndim = 0};
    for (int d = 0; d < in->ndim; d++) {
        // Without axes all extents of 1 go: an unknown one leaves the rank open.
        if (!axes.present && in->dim[d] < 0) return REEL_OK;
        if (gone[d] && in->dim[d] >= 0 && in->dim[d] != 1)
            return reel_fail(REEL_ERR_INPUT, "axis %d has extent %lld, not 1", d, (long long)in->dim[d]);
        if (!gone[d] && (axes.present || in->dim[d] != 1)) shape.dim[shape.ndim++] = in->dim[d];
    }
    *out = shape;
    return REEL_OK;
}

static enum reel_err unsqueeze_shape(const struct op_call *call, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    struct ints axes;
    enum reel_err err = read_ints(call, "axes", 1, &axes);
    if (err) return err;
    if (!axes.present) return reel_fail(REEL_ERR_INPUT, "no axes are given");
    *out = shape_unknown();
    if (in->ndim < 0 || axes.n < 0) return REEL_OK;
    const int ndim = in->ndim + axes.n;
    if (ndim > REEL_MAX_DIMS) return too_many_dims(ndim);
    out->ndim = ndim;
    for (int d = 0; d < ndim; d++) out->dim[d] = -1;
    if (!axes.known) return REEL_OK;
    err = normalize_axes(&axes, ndim);
    if (err) return err;
    bool fresh[REEL_MAX_DIMS] = {false};
    for (int i = 0; i < axes.n; i++) fresh[axes.v[i]] = true;
    for (int d = 0, from = 0; d < ndim; d++) out->dim[d] = fresh[d] ? 1 : in->dim[from++];
    return REEL_OK;
}

// (rows, columns) around axis, which may be the rank itself.
static enum reel_err flatten_shape(const struct op_call *call, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    *out = (struct reel_shape){.ndim = 2, .dim = {-1, -1}};
    if (in->ndim < 0) return REEL_OK;
    int64_t axis = node_attr_int(call->node, "axis", 1);
    if (axis < -in->ndim || axis > in->ndim)
        return reel_fail(REEL_ERR_INPUT, "axis %lld is out of range for rank %d", (long long)axis, in->ndim);
    if (axis < 0) axis += in->ndim;
    out->dim[0] = shape_span(in, 0, (int)axis);
    out->dim[1] = shape_span(in, (int)axis, in->ndim);
    return REEL_OK;
}

#define VIEW_OP(name)                                             \
    static enum reel_err infer_##name(const struct op_call *call) \
    {                                                             \
        struct reel_shape shape;                                  \
        enum reel_err err = name##_shape(call, &shape);           \
        return err ? err : infer_shape(call, &shape);             \
    }                                                             \
    static enum reel_err eval_##name(const struct op_call *call)  \
    {                                                             \
        struct reel_shape shape;                                  \
        enum reel_err err = check_sized(call, 0);                 \
        if (!err) err = name##_shape(call, &shape);               \
        return err ? err : typed_copy_as(call, &shape);           \
    }
VIEW_OP(squeeze)
VIEW_OP(unsqueeze)
VIEW_OP(flatten)

// ---- Transpose --------------------------------------------------------------

static enum reel_err transpose_perm(const struct op_call *call, int *perm)
{
    const int ndim = call->in[0]->shape.ndim;
    const int64_t *ints;
    const int n = node_attr_ints(call->node, "perm", &ints);
    if (!node_attr(call->node, "perm")) {
        for (int d = 0; d < ndim; d++) perm[d] = ndim - 1 - d;
        return REEL_OK;
    }
    bool seen[REEL_MAX_DIMS] = {false};
    if (n != ndim) return reel_fail(REEL_ERR_INPUT, "attribute perm has %d values for rank %d", n, ndim);
    for (int d = 0; d < ndim; d++) {
        if (ints[d] < 0 || ints[d] >= ndim || seen[ints[d]])
            return reel_fail(REEL_ERR_INPUT, "attribute perm is no permutation of %d dimensions", ndim);
        seen[ints[d]] = true;
        perm[d] = (int)ints[d];
    }
    return REEL_OK;
}

static enum reel_err transpose_shape(const struct op_call *call, int *perm, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    *out = shape_unknown();
    if (in->ndim < 0) return REEL_OK;
    enum reel_err err = transpose_perm(call, perm);
    if (err) return err;
    out->ndim = in->ndim;
    for (int d = 0; d < in->ndim; d++) out->dim[d] = in->dim[perm[d]];
    return REEL_OK;
}

static enum reel_err infer_transpose(const struct op_call *call)
{
    int perm[REEL_MAX_DIMS];
    struct reel_shape shape;
    enum reel_err err = transpose_shape(call, perm, &shape);
    return err ? err : infer_shape(call, &shape);
}

// rows x columns elements; out[c * out_stride + r] = in[r * in_stride + c], in
// tiles that stay in the first cache.
#define TILE 16
#define TRANSPOSE_2D(name, T)                                                                                         \
    static void name(void *out, int64_t out_stride, const void *in, int64_t in_stride, int64_t rows, int64_t columns) \
    {                                                                                                                 \
        T *o = out;                                                                                                   \
        const T *v = in;                                                                                              \
        for (int64_t r0 = 0; r0 < rows; r0 += TILE)                                                                   \
            for (int64_t c0 = 0; c0 < columns; c0 += TILE) {                                                          \
                const int64_t r1 = r0 + TILE < rows ? r0 + TILE : rows;                                               \
                const int64_t c1 = c0 + TILE < columns ? c0 + TILE : columns;                                         \
                for (int64_t c = c0; c < c1; c++)                                                                     \
                    for (int64_t r = r0; r < r1; r++) o[c * out_stride + r] = v[r * in_stride + c];                   \
            }                                                                                                         \
    }
TRANSPOSE_2D(transpose_1, uint8_t)
TRANSPOSE_2D(transpose_2, uint16_t)
TRANSPOSE_2D(transpose_4, uint32_t)
TRANSPOSE_2D(transpose_8, uint64_t)

// The output's dimensions after merging those that stay adjacent.
struct permuted {
    int ndim;
    int64_t dim[REEL_MAX_DIMS];
    int64_t in_stride[REEL_MAX_DIMS], out_stride[REEL_MAX_DIMS];
};

static void permuted_init(struct permuted *p, const struct reel_shape *in, const int *perm)
{
    int64_t stride[REEL_MAX_DIMS], s = 1;
    for (int d = in->ndim - 1; d >= 0; d--) {
        stride[d] = s;
        s *= in->dim[d];
    }
    p->ndim = 0;
    for (int d = 0; d < in->ndim; d++) {
        const int64_t extent = in->dim[perm[d]];
        if (extent == 1) continue;
        const int last = p->ndim - 1;
        if (last >= 0 && p->in_stride[last] == stride[perm[d]] * extent) {
            p->dim[last] *= extent;
            p->in_stride[last] = stride[perm[d]];
        } else {
            p->dim[p->ndim] = extent;
            p->in_stride[p->ndim++] = stride[perm[d]];
        }
    }
    if (!p->ndim) p->dim[0] = p->in_stride[0] = 1, p->ndim = 1;
    s = 1;
    for (int d = p->ndim - 1; d >= 0; d--) {
        p->out_stride[d] = s;
        s *= p->dim[d];
    }
}

static void transpose_run(char *out, const char *in, const struct permuted *p, size_t bytes)
{
    // The last output dimension is the inner one; where it is not contiguous in
    // the input, the dimension that is makes a matrix with it.
    const int inner = p->ndim - 1;
    int column = inner;
    if (p->in_stride[inner] != 1)
        for (int d = 0; d < p->ndim; d++)
            if (p->in_stride[d] == 1) column = d;
    int outer[REEL_MAX_DIMS], n_outer = 0;
    for (int d = 0; d < p->ndim; d++)
        if (d != inner && d != column) outer[n_outer++] = d;

    int64_t index[REEL_MAX_DIMS] = {0}, from = 0, to = 0;
    for (;;) {
        char *o = out + (size_t)to * bytes;
        const char *v = in + (size_t)from * bytes;
        const int64_t rows = p->dim[inner], columns = p->dim[column];
        const int64_t out_stride = p->out_stride[column], in_stride = p->in_stride[inner];
        if (column == inner)
            memcpy(o, v, (size_t)rows * bytes);
        else if (bytes == 1)
            transpose_1(o, out_stride, v, in_stride, rows, columns);
        else if (bytes == 2)
            transpose_2(o, out_stride, v, in_stride, rows, columns);
        else if (bytes == 4)
            transpose_4(o, out_stride, v, in_stride, rows, columns);
        else
            transpose_8(o, out_stride, v, in_stride, rows, columns);

        int i = n_outer - 1;
        for (; i >= 0; i--) {
            const int d = outer[i];
            from += p->in_stride[d];
            to += p->out_stride[d];
            if (++index[i] < p->dim[d]) break;
            from -= p->in_stride[d] * p->dim[d];
            to -= p->out_stride[d] * p->dim[d];
            index[i] = 0;
        }
        if (i < 0) return;
    }
}

static enum reel_err eval_transpose(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    int perm[REEL_MAX_DIMS];
    struct reel_shape shape;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = transpose_shape(call, perm, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err || reel_tensor_count(in) == 0) return err;
    struct permuted p;
    permuted_init(&p, &in->shape, perm);
    transpose_run(call->out[0]->data, in->data, &p, reel_dtype_bytes(in->dtype));
    return REEL_OK;
}

// ---- Concat -----------------------------------------------------------------

static enum reel_err concat_shape(const struct op_call *call, int *out_axis, struct reel_shape *out)
{
    *out = shape_unknown();
    *out_axis = 0;
    for (int i = 0; i < call->n_in; i++) {
        if (!call->in[i]) return reel_fail(REEL_ERR_INPUT, "input %d is missing", i);
        enum reel_err err = typed_same(call, 0, i);
        if (err) return err;
    }
    int ndim = -1;
    for (int i = 0; i < call->n_in; i++)
        if (call->in[i]->shape.ndim >= 0) ndim = call->in[i]->shape.ndim;
    if (ndim < 0) return REEL_OK;
    if (call->opset >= 4 && !node_attr(call->node, "axis"))
        return reel_fail(REEL_ERR_INPUT, "attribute axis is missing");
    enum reel_err err = op_axis(node_attr_int(call->node, "axis", 1), ndim, out_axis);
    if (err) return err;

    out->ndim = ndim;
    for (int d = 0; d < ndim; d++) out->dim[d] = d == *out_axis ? 0 : -1;
    for (int i = 0; i < call->n_in; i++) {
        const struct reel_shape *in = &call->in[i]->shape;
        if (in->ndim < 0) {
            out->dim[*out_axis] = -1;
            continue;
        }
        if (in->ndim != ndim) return reel_fail(REEL_ERR_INPUT, "inputs have ranks %d and %d", ndim, in->ndim);
        for (int d = 0; d < ndim; d++) {
            int64_t *extent = &out->dim[d];
            if (d == *out_axis) {
                if (*extent >= 0) *extent = in->dim[d] < 0 ? -1 : *extent + in->dim[d];
            } else if (*extent < 0) {
                *extent = in->dim[d];
            } else if (in->dim[d] >= 0 && in->dim[d] != *extent) {
                return reel_fail(REEL_ERR_INPUT, "dimension %d is %lld in input %d and %lld before", d,
                                 (long long)in->dim[d], i, (long long)*extent);
            }
        }
    }
    return REEL_OK;
}

static enum reel_err infer_concat(const struct op_call *call)
{
    int axis;
    struct reel_shape shape;
    enum reel_err err = concat_shape(call, &axis, &shape);
    return err ? err : infer_shape(call, &shape);
}

static enum reel_err eval_concat(const struct op_call *call)
{
    int axis;
    struct reel_shape shape;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = concat_shape(call, &axis, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    const size_t bytes = reel_dtype_bytes(call->in[0]->dtype);
    const int64_t outer = shape_span(&shape, 0, axis);
    const size_t out_row = (size_t)shape_span(&shape, axis, shape.ndim) * bytes;
    char *out = call->out[0]->data;
    for (int i = 0; i < call->n_in; i++) {
        const struct reel_tensor *in = call->in[i];
        const size_t row = (size_t)shape_span(&in->shape, axis, shape.ndim) * bytes;
        for (int64_t o = 0; row && o < outer; o++)
            memcpy(out + (size_t)o * out_row, (const char *)in->data + (size_t)o * row, row);
        out += row;
    }
    return REEL_OK;
}

// ---- Split ------------------------------------------------------------------

// The axis and the extents of all outputs (-1: not known yet), n_out of them,
// in memory the caller frees.
static enum reel_err split_sizes(const struct op_call *call, int *out_axis, int64_t **out_sizes)
{
    const struct reel_shape *in = &call->in[0]->shape;
    const int n = call->n_out;
    *out_sizes = NULL;
    enum reel_err err = op_axis(node_attr_int(call->node, "axis", 0), in->ndim, out_axis);
    if (err) return err;
    const int64_t extent = in->dim[*out_axis];
    int64_t *sizes = malloc((size_t)(n + 1) * sizeof *sizes);
    if (!sizes) return reel_fail(REEL_ERR_NOMEM, "no memory for %d outputs", n);
    *out_sizes = sizes;
    for (int i = 0; i < n; i++) sizes[i] = -1;

    const int64_t *ints = NULL;
    const struct reel_tensor *t = call_in(call, 1);
    int64_t given = -1;
    if (t) {
        given = reel_tensor_count(t);
        if (t->dtype != REEL_I64 && t->dtype != REEL_I32 && t->dtype != REEL_DTYPE_NONE)
            return reel_fail(REEL_ERR_INPUT, "input split is of type %s", reel_dtype_name(t->dtype));
    } else if (call->opset < 13 && node_attr(call->node, "split")) {
        given = node_attr_ints(call->node, "split", &ints);
    }
    if (t && (given < 0 || !has_data(t))) return REEL_OK; // sizes come later
    if (given >= 0) {
        if (given != n) return reel_fail(REEL_ERR_INPUT, "%lld sizes are given for %d outputs", (long long)given, n);
        int64_t sum = 0;
        for (int i = 0; i < n; i++) {
            sizes[i] = t ? op_scalar_int(t, i) : ints[i];
            if (sizes[i] < 0 || sizes[i] > INT64_C(1) << 40)
                return reel_fail(REEL_ERR_INPUT, "size %lld of output %d is out of range", (long long)sizes[i], i);
            sum += sizes[i];
        }
        if (extent >= 0 && sum != extent)
            return reel_fail(REEL_ERR_INPUT, "the sizes add up to %lld, not to %lld", (long long)sum,
                             (long long)extent);
        return REEL_OK;
    }
    const int64_t parts = node_attr_int(call->node, "num_outputs", n);
    if (parts != n)
        return reel_fail(REEL_ERR_INPUT, "attribute num_outputs is %lld for %d outputs", (long long)parts, n);
    if (extent < 0) return REEL_OK;
    if (call->opset < 18 && extent % n)
        return reel_fail(REEL_ERR_INPUT, "extent %lld does not divide by %d", (long long)extent, n);
    // The last part may be smaller.
    const int64_t part = extent / n + (extent % n != 0);
    if (part * (n - 1) > extent)
        return reel_fail(REEL_ERR_INPUT, "extent %lld leaves nothing for output %d", (long long)extent, n - 1);
    for (int i = 0; i < n; i++) sizes[i] = i < n - 1 ? part : extent - part * (n - 1);
    return REEL_OK;
}

static enum reel_err infer_split(const struct op_call *call)
{
    struct reel_shape shape = call->in[0]->shape;
    if (shape.ndim < 0) {
        for (int i = 0; i < call->n_out; i++) infer_out(call, i, call->in[0]->dtype, &shape);
        return REEL_OK;
    }
    int axis;
    int64_t *sizes;
    enum reel_err err = split_sizes(call, &axis, &sizes);
    for (int i = 0; !err && i < call->n_out; i++) {
        shape.dim[axis] = sizes[i];
        infer_out(call, i, call->in[0]->dtype, &shape);
    }
    free(sizes);
    return err;
}

static enum reel_err eval_split(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    int axis;
    int64_t *sizes = NULL;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = split_sizes(call, &axis, &sizes);
    const size_t bytes = reel_dtype_bytes(in->dtype);
    const int64_t outer = err ? 0 : shape_span(&in->shape, 0, axis);
    const int64_t inner = err ? 0 : shape_span(&in->shape, axis + 1, in->shape.ndim);
    const char *from = in->data;
    for (int i = 0; !err && i < call->n_out; i++) {
        const size_t row = (size_t)(sizes[i] * inner) * bytes, in_row = (size_t)(in->shape.dim[axis] * inner) * bytes;
        if (call->out[i]) {
            struct reel_shape shape = in->shape;
            shape.dim[axis] = sizes[i];
            err = op_alloc_out(call, i, in->dtype, &shape);
            char *to = err ? NULL : call->out[i]->data;
            for (int64_t o = 0; !err && row && o < outer; o++)
                memcpy(to + (size_t)o * row, from + (size_t)o * in_row, row);
        }
        if (row) from += row;
    }
    free(sizes);
    return err;
}

// ---- Slice ------------------------------------------------------------------

struct slice {
    int64_t start[REEL_MAX_DIMS], step[REEL_MAX_DIMS];
    struct reel_shape shape; // of the result
};

// One axis: clamps as the specification says; the number of elements taken.
static int64_t slice_axis(int64_t extent, int64_t start, int64_t end, int64_t *step, int64_t *out_start)
{
    // A step beyond the extent takes one element, whatever its size.
    *step = clamp(*step, -extent - 1, extent + 1);
    if (start < 0) start = clamp(start, -extent - 1, 0) + extent;
    if (end < 0) end = clamp(end, -extent - 1, 0) + extent;
    int64_t n;
    if (*step > 0) {
        start = clamp(start, 0, extent);
        end = clamp(end, 0, extent);
        n = end > start ? (end - start + *step - 1) / *step : 0;
    } else {
        // a start before the first element is the first (the text of opset 13 on)
        start = extent ? clamp(start, 0, extent - 1) : -1;
        end = clamp(end, -1, extent - 1);
        n = start > end ? (start - end - *step - 1) / -*step : 0;
    }
    *out_start = n ? start : 0;
    return n;
}

static enum reel_err slice_plan(const struct op_call *call, struct slice *s)
{
    const struct reel_shape *in = &call->in[0]->shape;
    const bool old = call->opset < 10;
    struct ints starts, ends, axes, steps;
    enum reel_err err = read_ints(call, old ? "starts" : NULL, old ? -1 : 1, &starts);
    if (!err) err = read_ints(call, old ? "ends" : NULL, old ? -1 : 2, &ends);
    if (!err) err = read_ints(call, old ? "axes" : NULL, old ? -1 : 3, &axes);
    if (!err) err = read_ints(call, NULL, old ? -1 : 4, &steps);
    if (err) return err;
    if (!starts.present || !ends.present) return reel_fail(REEL_ERR_INPUT, "starts or ends are missing");
    s->shape = *in;
    if (in->ndim < 0) return REEL_OK;
    for (int d = 0; d < in->ndim; d++) s->start[d] = 0, s->step[d] = 1;

    const int n = starts.n >= 0 ? starts.n : ends.n;
    if (!axes.present) {
        axes.n = n;
        for (int i = 0; i < n && i < REEL_MAX_DIMS; i++) axes.v[i] = i;
    }
    if (n > in->ndim || (ends.n >= 0 && ends.n != n) || (axes.n >= 0 && n >= 0 && axes.n != n) ||
        (steps.present && steps.n >= 0 && n >= 0 && steps.n != n))
        return reel_fail(REEL_ERR_INPUT, "starts, ends, axes and steps have different lengths, or more than %d values",
                         in->ndim);
    if (n < 0 || !axes.known) {
        for (int d = 0; d < in->ndim; d++) s->shape.dim[d] = -1;
        return REEL_OK;
    }
    err = normalize_axes(&axes, in->ndim);
    if (err) return err;
    for (int i = 0; i < n; i++) {
        const int d = (int)axes.v[i];
        const int64_t extent = in->dim[d];
        int64_t step = steps.present && steps.known ? steps.v[i] : 1;
        if (step == 0) return reel_fail(REEL_ERR_INPUT, "the step along axis %d is 0", d);
        s->shape.dim[d] = -1;
        if (extent < 0 || !starts.known || !ends.known || !steps.known) continue;
        s->shape.dim[d] = slice_axis(extent, starts.v[i], ends.v[i], &step, &s->start[d]);
        s->step[d] = step;
    }
    return REEL_OK;
}

static enum reel_err infer_slice(const struct op_call *call)
{
    struct slice s;
    enum reel_err err = slice_plan(call, &s);
    return err ? err : infer_shape(call, &s.shape);
}

// Copies the elements start + i * step of every dimension, in runs.
static void slice_run(char *out, const struct reel_tensor *in, const struct slice *s)
{
    const size_t bytes = reel_dtype_bytes(in->dtype);
    int64_t stride[REEL_MAX_DIMS], at = 0, unit = 1;
    for (int d = in->shape.ndim - 1; d >= 0; d--) {
        stride[d] = unit * s->step[d];
        at += unit * s->start[d];
        unit *= in->shape.dim[d];
    }
    // Trailing dimensions that are taken whole join the run.
    int inner = in->shape.ndim - 1;
    int64_t run = 1, run_stride = 1;
    for (; inner >= 0 && s->step[inner] == 1 && s->shape.dim[inner] == in->shape.dim[inner]; inner--)
        run *= s->shape.dim[inner];
    if (inner >= 0 && (s->step[inner] == 1 || run == 1)) {
        run_stride = s->step[inner] == 1 ? 1 : stride[inner];
        run *= s->shape.dim[inner--];
    }
    int64_t index[REEL_MAX_DIMS] = {0};
    for (;;) {
        copy_strided(out, (const char *)in->data + at * (int64_t)bytes, run_stride, run, bytes);
        out += (size_t)run * bytes;
        int d = inner;
        for (; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < s->shape.dim[d]) break;
            at -= stride[d] * s->shape.dim[d];
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

static enum reel_err eval_slice(const struct op_call *call)
{
    struct slice s;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = slice_plan(call, &s);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &s.shape);
    if (!err && reel_shape_count(&s.shape) > 0) slice_run(call->out[0]->data, call->in[0], &s);
    return err;
}

// Crop (experimental, until opset 9): border = left, top, right, bottom; with
// scale = height, width the size is given and only left and top count.
static enum reel_err crop_plan(const struct op_call *call, struct slice *s)
{
    const struct reel_shape *in = &call->in[0]->shape;
    const int64_t *border, *scale;
    const int n_border = node_attr_ints(call->node, "border", &border);
    const int n_scale = node_attr_ints(call->node, "scale", &scale);
    s->shape = *in;
    if (in->ndim < 0) return REEL_OK;
    if (in->ndim != 4 || n_border != 4 || (n_scale && n_scale != 2))
        return reel_fail(REEL_ERR_INPUT, "rank %d with %d border and %d scale values", in->ndim, n_border, n_scale);
    for (int d = 0; d < 4; d++) s->start[d] = 0, s->step[d] = 1;
    for (int k = 0; k < 2; k++) {
        const int64_t extent = in->dim[2 + k], before = border[1 - k], after = border[3 - k];
        const int64_t limit = INT64_C(1) << 40;
        if (extent < 0) {
            if (n_scale) s->shape.dim[2 + k] = scale[k];
            continue;
        }
        if (before < 0 || before > limit || after < 0 || after > limit ||
            (n_scale && (scale[k] < 0 || scale[k] > limit)))
            return reel_fail(REEL_ERR_INPUT, "the border or scale of axis %d is out of range", 2 + k);
        const int64_t size = n_scale ? scale[k] : extent - before - after;
        if (size < 0 || before + size > extent)
            return reel_fail(REEL_ERR_INPUT, "cropping leaves nothing of axis %d", 2 + k);
        s->start[2 + k] = before;
        s->shape.dim[2 + k] = size;
    }
    return REEL_OK;
}

static enum reel_err infer_crop(const struct op_call *call)
{
    struct slice s;
    enum reel_err err = crop_plan(call, &s);
    return err ? err : infer_shape(call, &s.shape);
}

static enum reel_err eval_crop(const struct op_call *call)
{
    struct slice s;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = crop_plan(call, &s);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &s.shape);
    if (!err && reel_shape_count(&s.shape) > 0) slice_run(call->out[0]->data, call->in[0], &s);
    return err;
}

// ---- Pad --------------------------------------------------------------------

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

struct pad {
    enum pad_mode mode;
    int64_t before[REEL_MAX_DIMS], after[REEL_MAX_DIMS];
    struct reel_shape shape; // of the result
};

static enum reel_err pad_mode(const struct op_call *call, enum pad_mode *out_mode)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *mode = node_attr_string(call->node, "mode", "constant");
    for (int i = 0; i < 4; i++)
        if (!strcmp(mode, names[i])) {
            *out_mode = (enum pad_mode)i;
            return REEL_OK;
        }
    return reel_fail(REEL_ERR_INPUT, "attribute mode is \"%s\", which is no way of padding", mode);
}

static enum reel_err pad_plan(const struct op_call *call, struct pad *p)
{
    const struct reel_shape *in = &call->in[0]->shape;
    const char *attr = call->opset < 2 ? "paddings" : call->opset < 11 ? "pads" : NULL;
    struct ints pads, axes;
    enum reel_err err = pad_mode(call, &p->mode);
    if (!err) err = read_ints(call, attr, attr ? -1 : 1, &pads);
    if (!err) err = read_ints(call, NULL, attr ? -1 : 3, &axes);
    if (err) return err;
    if (!pads.present) return reel_fail(REEL_ERR_INPUT, "no pads are given");
    p->shape = *in;
    if (in->ndim < 0) return REEL_OK;
    for (int d = 0; d < in->ndim; d++) p->before[d] = p->after[d] = 0;
    if (!axes.present) {
        axes.n = in->ndim;
        for (int d = 0; d < in->ndim; d++) axes.v[d] = d;
    }
    if (axes.n >= 0 && pads.n >= 0 && pads.n != 2 * axes.n)
        return reel_fail(REEL_ERR_INPUT, "%d pads are given for %d axes", pads.n, axes.n);
    if (!axes.known || axes.n < 0) {
        for (int d = 0; d < in->ndim; d++) p->shape.dim[d] = -1;
        return REEL_OK;
    }
    err = normalize_axes(&axes, in->ndim);
    if (err) return err;
    for (int i = 0; i < axes.n; i++) {
        const int d = (int)axes.v[i];
        p->shape.dim[d] = -1;
        if (!pads.known) continue;
        const int64_t before = pads.v[i], after = pads.v[axes.n + i], limit = INT64_C(1) << 40;
        if (before > limit || before < -limit || after > limit || after < -limit)
            return reel_fail(REEL_ERR_INPUT, "the pads of axis %d are out of range", d);
        p->before[d] = before;
        p->after[d] = after;
        if (in->dim[d] < 0) continue;
        p->shape.dim[d] = in->dim[d] + before + after;
        if (p->shape.dim[d] < 0) return reel_fail(REEL_ERR_INPUT, "padding leaves less than nothing of axis %d", d);
    }
    return REEL_OK;
}

static enum reel_err infer_pad(const struct op_call *call)
{
    struct pad p;
    enum reel_err err = pad_plan(call, &p);
    if (!err && call->opset >= 11 && call_in(call, 2)) err = typed_same(call, 0, 2);
    return err ? err : infer_shape(call, &p.shape);
}

// For every position along axis d of the output the input's position, or -1 for
// the constant. Negative pads cut first; the modes see what is left.
static enum reel_err pad_table(const struct pad *p, int d, int64_t extent, int64_t *table)
{
    const int64_t cut_before = p->before[d] < 0 ? -p->before[d] : 0, cut_after = p->after[d] < 0 ? -p->after[d] : 0;
    const int64_t left = p->before[d] > 0 ? p->before[d] : 0, n = extent - cut_before - cut_after;
    const int64_t total = p->shape.dim[d];
    // Cut from both ends beyond what there is: positions of the constant.
    if (p->mode != PAD_CONSTANT && n <= 0 && total > 0)
        return reel_fail(REEL_ERR_INPUT, "axis %d has no elements to pad with", d);
    for (int64_t i = 0; i < total; i++) {
        int64_t at = i - left;
        if (at < 0 || at >= n) {
            const int64_t period = 2 * (n - 1);
            switch (p->mode) {
            case PAD_CONSTANT:
                table[i] = -1;
                continue;
            case PAD_EDGE:
                at = at < 0 ? 0 : n - 1;
                break;
            case PAD_WRAP:
                at = (at % n + n) % n;
                break;
            case PAD_REFLECT:
                at = period ? (at % period + period) % period : 0;
                if (at >= n) at = period - at;
                break;
            }
        }
        table[i] = at + cut_before;
        if (table[i] >= extent) table[i] = -1;
    }
    return REEL_OK;
}

static void pad_fill(char *out, const char *value, int64_t n, size_t bytes)
{
    copy_strided(out, value, 0, n, bytes);
}

// The last dimension's table as runs: n elements from the row's position `from`
// (-1: the constant), in output order.
struct pad_part {
    int64_t from, n;
};

static int64_t pad_parts(const int64_t *table, int64_t total, struct pad_part *parts)
{
    int64_t n_parts = 0;
    for (int64_t i = 0, run; i < total; i += run) {
        const int64_t step = table[i] < 0 ? 0 : 1;
        for (run = 1; i + run < total && table[i + run] == table[i] + run * step; run++) {
        }
        parts[n_parts++] = (struct pad_part){.from = table[i], .n = run};
    }
    return n_parts;
}

static void pad_row(char *out, const char *row, const struct pad_part *parts, int64_t n_parts, const char *value,
                    size_t bytes)
{
    for (int64_t i = 0; i < n_parts; i++) {
        if (parts[i].from < 0)
            pad_fill(out, value, parts[i].n, bytes);
        else
            memcpy(out, row + (size_t)parts[i].from * bytes, (size_t)parts[i].n * bytes);
        out += (size_t)parts[i].n * bytes;
    }
}

static void pad_run(char *out, const struct reel_tensor *in, const struct pad *p, int64_t *const *tables,
                    const struct pad_part *parts, int64_t n_parts, const char *value)
{
    const size_t bytes = reel_dtype_bytes(in->dtype);
    const int last = p->shape.ndim - 1;
    const int64_t n = p->shape.dim[last], rows = shape_span(&p->shape, 0, last);
    int64_t index[REEL_MAX_DIMS] = {0};
    for (int64_t r = 0; r < rows; r++, out += (size_t)n * bytes) {
        int64_t at = 0; // the row's number in the input, or -1
        for (int d = 0; d < last && at >= 0; d++)
            at = tables[d][index[d]] < 0 ? -1 : at * in->shape.dim[d] + tables[d][index[d]];
        if (at < 0)
            pad_fill(out, value, n, bytes);
        else
            pad_row(out, (const char *)in->data + (size_t)(at * in->shape.dim[last]) * bytes, parts, n_parts, value,
                    bytes);
        for (int d = last - 1; d >= 0; d--) {
            if (++index[d] < p->shape.dim[d]) break;
            index[d] = 0;
        }
    }
}

// The constant as one element of the input's type.
static enum reel_err pad_value(const struct op_call *call, char *out_value)
{
    const struct reel_tensor *in = call->in[0];
    memset(out_value, 0, 8);
    if (call->opset < 11) {
        const float v = node_attr_float(call->node, "value", 0.0f);
        reel_convert(out_value, in->dtype, &v, REEL_F32, 1);
        return REEL_OK;
    }
    const struct reel_tensor *t = call_in(call, 2);
    if (!t) return REEL_OK;
    enum reel_err err = typed_same(call, 0, 2);
    if (err) return err;
    if (reel_tensor_count(t) != 1) return reel_fail(REEL_ERR_INPUT, "the constant value is no scalar");
    memcpy(out_value, t->data, reel_dtype_bytes(t->dtype));
    return REEL_OK;
}

static enum reel_err eval_pad(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    struct pad p;
    _Alignas(8) char value[8];
    enum reel_err err = check_sized(call, 0);
    if (!err) err = pad_plan(call, &p);
    if (!err) err = pad_value(call, value);
    if (err || !call->out[0]) return err;
    if (in->shape.ndim == 0) return typed_copy_as(call, &p.shape);
    err = op_alloc_out(call, 0, in->dtype, &p.shape);
    if (err || reel_shape_count(&p.shape) == 0) return err;

    int64_t *tables[REEL_MAX_DIMS] = {NULL};
    for (int d = 0; !err && d < in->shape.ndim; d++) {
        tables[d] = work_alloc(p.shape.dim[d], sizeof *tables[d]);
        err = tables[d] ? pad_table(&p, d, in->shape.dim[d], tables[d]) : REEL_ERR_NOMEM;
    }
    const int last = in->shape.ndim - 1;
    struct pad_part *parts = err ? NULL : work_alloc(p.shape.dim[last], sizeof *parts);
    if (!err && !parts) err = REEL_ERR_NOMEM;
    if (!err)
        pad_run(call->out[0]->data, in, &p, tables, parts, pad_parts(tables[last], p.shape.dim[last], parts), value);
    free(parts);
    for (int d = 0; d < in->shape.ndim; d++) free(tables[d]);
    return err;
}

// ---- Tile, Expand -----------------------------------------------------------

// The repeats along each dimension; false in *out_known when they come later.
static enum reel_err tile_repeats(const struct op_call *call, int64_t *repeats, bool *out_known)
{
    const int ndim = call->in[0]->shape.ndim;
    struct ints r;
    *out_known = false;
    for (int d = 0; d < ndim; d++) repeats[d] = 1;
    if (call->opset < 6) {
        // Opset 1: one dimension, two scalars of any type of number.
        const struct reel_tensor *tiles = call_in(call, 1), *at = call_in(call, 2);
        const int64_t n_tiles = tiles ? reel_tensor_count(tiles) : 0, n_at = at ? reel_tensor_count(at) : 0;
        if ((n_tiles >= 0 && n_tiles != 1) || (n_at >= 0 && n_at != 1))
            return reel_fail(REEL_ERR_INPUT, "tiles and axis must be one number each");
        if (!has_data(tiles) || !has_data(at)) return REEL_OK;
        int d;
        enum reel_err err = op_axis(op_scalar_int(at, 0), ndim, &d);
        if (err) return err;
        repeats[d] = op_scalar_int(tiles, 0);
        *out_known = true;
        return repeats[d] < 0 ? reel_fail(REEL_ERR_INPUT, "the number of tiles is negative") : REEL_OK;
    }
    enum reel_err err = read_ints(call, NULL, 1, &r);
    if (!err && !r.present) err = reel_fail(REEL_ERR_INPUT, "no repeats are given");
    if (err) return err;
    if (r.n >= 0 && r.n != ndim) return reel_fail(REEL_ERR_INPUT, "%d repeats are given for rank %d", r.n, ndim);
    if (!r.known) return REEL_OK;
    for (int d = 0; d < ndim; d++) {
        if (r.v[d] < 0 || r.v[d] > INT64_C(1) << 40)
            return reel_fail(REEL_ERR_INPUT, "repeat %lld is out of range", (long long)r.v[d]);
        repeats[d] = r.v[d];
    }
    *out_known = true;
    return REEL_OK;
}

static enum reel_err tile_shape(const struct op_call *call, int64_t *repeats, struct reel_shape *out)
{
    const struct reel_shape *in = &call->in[0]->shape;
    *out = *in;
    if (in->ndim < 0) return REEL_OK;
    bool known;
    enum reel_err err = tile_repeats(call, repeats, &known);
    if (err) return err;
    for (int d = 0; d < in->ndim; d++) {
        out->dim[d] = -1;
        if (!known || in->dim[d] < 0) continue;
        if (__builtin_mul_overflow(in->dim[d], repeats[d], &out->dim[d]))
            return reel_fail(REEL_ERR_INPUT, "tiling makes axis %d too long", d);
    }
    return REEL_OK;
}

static enum reel_err infer_tile(const struct op_call *call)
{
    int64_t repeats[REEL_MAX_DIMS];
    struct reel_shape shape;
    enum reel_err err = tile_shape(call, repeats, &shape);
    return err ? err : infer_shape(call, &shape);
}

// Writes the tiled dimensions from d on and returns the end of the output: the
// block is built once, then repeated.
static char *tile_fill(char *out, const char **in, const struct reel_tensor *t, const int64_t *repeats, int d)
{
    const size_t bytes = reel_dtype_bytes(t->dtype);
    char *const block = out;
    if (d >= t->shape.ndim - 1) {
        const size_t row = bytes * (size_t)(t->shape.ndim ? t->shape.dim[d] : 1);
        memcpy(out, *in, row);
        *in += row;
        out += row;
    } else {
        for (int64_t i = 0; i < t->shape.dim[d]; i++) out = tile_fill(out, in, t, repeats, d + 1);
    }
    const size_t size = (size_t)(out - block);
    for (int64_t r = 1; t->shape.ndim && r < repeats[d]; r++, out += size) memcpy(out, block, size);
    return out;
}

static enum reel_err eval_tile(const struct op_call *call)
{
    int64_t repeats[REEL_MAX_DIMS];
    struct reel_shape shape;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = tile_shape(call, repeats, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    const char *in = call->in[0]->data;
    tile_fill(call->out[0]->data, &in, call->in[0], repeats, 0);
    return REEL_OK;
}

static enum reel_err expand_shape(const struct op_call *call, struct reel_shape *out)
{
    struct ints want;
    enum reel_err err = read_ints(call, NULL, 1, &want);
    if (!err && !want.present) err = reel_fail(REEL_ERR_INPUT, "no new shape is given");
    if (err) return err;
    const struct reel_shape *in = &call->in[0]->shape;
    *out = shape_unknown();
    if (want.n > REEL_MAX_DIMS) return too_many_dims(want.n);
    if (in->ndim < 0 || want.n < 0) return REEL_OK;
    struct reel_shape target = {.ndim = want.n};
    for (int d = 0; d < want.n; d++) {
        target.dim[d] = want.known ? want.v[d] : -1;
        if (want.known && want.v[d] < 0)
            return reel_fail(REEL_ERR_INPUT, "extent %lld of the new shape is negative", (long long)want.v[d]);
    }
    return op_broadcast(in, &target, out);
}

static enum reel_err infer_expand(const struct op_call *call)
{
    struct reel_shape shape;
    enum reel_err err = expand_shape(call, &shape);
    return err ? err : infer_shape(call, &shape);
}

static enum reel_err eval_expand(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    struct reel_shape shape;
    enum reel_err err = check_sized(call, 0);
    if (!err) err = expand_shape(call, &shape);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, in->dtype, &shape);
    if (err) return err;
    const size_t bytes = reel_dtype_bytes(in->dtype);
    char *out = call->out[0]->data;
    struct walk w;
    for (walk_start(&w, &shape, (const struct reel_shape *const[]){&in->shape}, 1); !w.done; walk_next(&w))
        copy_strided(out + (size_t)w.out * bytes, (const char *)in->data + (size_t)w.at[0] * bytes, w.step[0], w.run,
                     bytes);
    return REEL_OK;
}

// ---- Shape, Size, Range -----------------------------------------------------

static void shape_bounds(const struct op_call *call, int *out_start, int *out_end)
{
    const int ndim = call->in[0]->shape.ndim;
    int64_t start = node_attr_int(call->node, "start", 0), end = node_attr_int(call->node, "end", ndim);
    start = clamp(start, -ndim, ndim);
    end = clamp(end, -ndim, ndim);
    *out_start = (int)(start < 0 ? start + ndim : start);
    *out_end = (int)(end < 0 ? end + ndim : end);
    if (*out_end < *out_start) *out_end = *out_start;
}

static enum reel_err infer_shape_op(const struct op_call *call)
{
    struct reel_shape shape = {.ndim = 1, .dim = {-1}};
    if (call->in[0]->shape.ndim >= 0) {
        int start, end;
        shape_bounds(call, &start, &end);
        shape.dim[0] = end - start;
    }
    infer_out(call, 0, REEL_I64, &shape);
    return REEL_OK;
}

static enum reel_err eval_shape_op(const struct op_call *call)
{
    if (!call->out[0]) return REEL_OK;
    int start, end;
    shape_bounds(call, &start, &end);
    const struct reel_shape shape = {.ndim = 1, .dim = {end - start}};
    enum reel_err err = op_alloc_out(call, 0, REEL_I64, &shape);
    if (err) return err;
    for (int d = start; d < end; d++) ((int64_t *)call->out[0]->data)[d - start] = call->in[0]->shape.dim[d];
    return REEL_OK;
}

static enum reel_err infer_size(const struct op_call *call)
{
    infer_out(call, 0, REEL_I64, &(struct reel_shape){.ndim = 0});
    return REEL_OK;
}

static enum reel_err eval_size(const struct op_call *call)
{
    if (!call->out[0]) return REEL_OK;
    enum reel_err err = op_alloc_out(call, 0, REEL_I64, &(struct reel_shape){.ndim = 0});
    if (!err) *(int64_t *)call->out[0]->data = reel_tensor_count(call->in[0]);
    return err;
}

// max(ceil((limit - start) / delta), 0)
static enum reel_err range_count(const struct op_call *call, int64_t *out_n)
{
    const enum reel_dtype dtype = call->in[0]->dtype;
    *out_n = 0;
    if (reel_dtype_is_float(dtype)) {
        const double start = op_scalar(call->in[0], 0), limit = op_scalar(call->in[1], 0);
        const double delta = op_scalar(call->in[2], 0), n = ceil((limit - start) / delta);
        if (delta == 0 || !(n < 0x1p40)) return reel_fail(REEL_ERR_INPUT, "the range has no end");
        if (n > 0) *out_n = (int64_t)n;
        return REEL_OK;
    }
    const __int128 start = op_scalar_int(call->in[0], 0), limit = op_scalar_int(call->in[1], 0);
    const __int128 delta = op_scalar_int(call->in[2], 0);
    if (delta == 0) return reel_fail(REEL_ERR_INPUT, "the range has no end");
    const __int128 n = delta > 0 ? (limit - start + delta - 1) / delta : (start - limit - delta - 1) / -delta;
    if (n >= INT64_C(1) << 40) return reel_fail(REEL_ERR_INPUT, "the range is too long");
    if (n > 0) *out_n = (int64_t)n;
    return REEL_OK;
}

static enum reel_err range_check(const struct op_call *call, bool *out_known)
{
    *out_known = true;
    for (int i = 0; i < 3; i++) {
        enum reel_err err = typed_same(call, 0, i);
        if (err) return err;
        const int64_t n = reel_tensor_count(call->in[i]);
        if (n >= 0 && n != 1) return reel_fail(REEL_ERR_INPUT, "input %d is no scalar", i);
        if (!has_data(call->in[i])) *out_known = false;
    }
    return REEL_OK;
}

static enum reel_err infer_range(const struct op_call *call)
{
    struct reel_shape shape = {.ndim = 1, .dim = {-1}};
    bool known;
    enum reel_err err = range_check(call, &known);
    if (!err && known) err = range_count(call, &shape.dim[0]);
    return err ? err : infer_shape(call, &shape);
}

static enum reel_err eval_range(const struct op_call *call)
{
    HALVES_IN_F32(eval_range);
    struct reel_shape shape = {.ndim = 1};
    const enum reel_dtype dtype = call->in[0]->dtype;
    if (!(TYPES_NUM & T_(dtype))) return typed_refuse(call, 0);
    bool known;
    enum reel_err err = range_check(call, &known);
    if (!err) err = range_count(call, &shape.dim[0]);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, dtype, &shape);
    if (err) return err;
    void *out = call->out[0]->data;
    if (dtype == REEL_F32) {
        const float start = *(const float *)call->in[0]->data, delta = *(const float *)call->in[2]->data;
        for (int64_t i = 0; i < shape.dim[0]; i++) ((float *)out)[i] = start + (float)i * delta;
    } else if (dtype == REEL_F64) {
        const double start = op_scalar(call->in[0], 0), delta = op_scalar(call->in[2], 0);
        for (int64_t i = 0; i < shape.dim[0]; i++) ((double *)out)[i] = start + (double)i * delta;
    } else {
        const uint64_t start = (uint64_t)op_scalar_int(call->in[0], 0), delta = (uint64_t)op_scalar_int(call->in[2], 0);
        const size_t bytes = reel_dtype_bytes(dtype);
        for (int64_t i = 0; i < shape.dim[0]; i++) {
            const int64_t v = (int64_t)(start + (uint64_t)i * delta);
            reel_convert((char *)out + (size_t)i * bytes, dtype, &v, REEL_I64, 1);
        }
    }
    return REEL_OK;
}

// ---- ReverseSequence --------------------------------------------------------

static enum reel_err eval_reverse_sequence(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    const int64_t batch_axis = node_attr_int(call->node, "batch_axis", 1);
    const int64_t time_axis = node_attr_int(call->node, "time_axis", 0);
    enum reel_err err = check_sized(call, 0);
    if (err) return err;
    if (in->shape.ndim < 2 || batch_axis < 0 || batch_axis > 1 || time_axis != 1 - batch_axis)
        return reel_fail(REEL_ERR_INPUT, "batch axis %lld and time axis %lld do not fit rank %d", (long long)batch_axis,
                         (long long)time_axis, in->shape.ndim);
    const int64_t batches = in->shape.dim[batch_axis], times = in->shape.dim[time_axis];
    int64_t *lengths, n;
    err = typed_ints(call, 1, batches, &lengths, &n);
    if (!err && n != batches)
        err = reel_fail(REEL_ERR_INPUT, "%lld lengths are given for %lld sequences", (long long)n, (long long)batches);
    for (int64_t b = 0; !err && b < batches; b++)
        if (lengths[b] < 0 || lengths[b] > times)
            err = reel_fail(REEL_ERR_INPUT, "sequence %lld has length %lld of at most %lld", (long long)b,
                            (long long)lengths[b], (long long)times);
    if (!err && call->out[0]) err = op_alloc_out(call, 0, in->dtype, &in->shape);
    if (!err && call->out[0] && reel_tensor_count(in) > 0) {
        const size_t row = (size_t)shape_span(&in->shape, 2, in->shape.ndim) * reel_dtype_bytes(in->dtype);
        const int64_t step_b = batch_axis == 0 ? times : 1, step_t = batch_axis == 0 ? 1 : batches;
        for (int64_t b = 0; b < batches; b++)
            for (int64_t t = 0; t < times; t++) {
                const int64_t from = t < lengths[b] ? lengths[b] - 1 - t : t;
                memcpy((char *)call->out[0]->data + (size_t)(b * step_b + t * step_t) * row,
                       (const char *)in->data + (size_t)(b * step_b + from * step_t) * row, row);
            }
    }
    free(lengths);
    return err;
}

// ---- the table --------------------------------------------------------------

#define NARROW "no strings, no float8, no types of 4 bits and less"
#define DEF(op, since, until, min_in, max_in, types, flags, infer, eval)              \
    {                                                                                 \
        "", op, since, until, min_in, max_in, 1, 1, types, flags, infer, eval, NARROW \
    }

const struct op_def ops_shape[] = {
    DEF("Concat", 1, OPSET_LAST, 1, -1, TYPES_ANY, 0, infer_concat, eval_concat),
    DEF("Crop", 1, 9, 1, 1, TYPES_ALL, 0, infer_crop, eval_crop),
    DEF("Expand", 8, OPSET_LAST, 2, 2, TYPES_ANY, 0, infer_expand, eval_expand),
    DEF("Flatten", 1, OPSET_LAST, 1, 1, TYPES_ANY, OP_VIEW, infer_flatten, eval_flatten),
    DEF("Pad", 1, 10, 1, 1, TYPES_ANY, 0, infer_pad, eval_pad),
    DEF("Pad", 11, OPSET_LAST, 2, 4, TYPES_ANY, 0, infer_pad, eval_pad),
    DEF("Range", 11, OPSET_LAST, 3, 3, TYPES_NUM, 0, infer_range, eval_range),
    DEF("Reshape", 1, 4, 1, 1, TYPES_ANY, OP_VIEW, infer_reshape, eval_reshape),
    DEF("Reshape", 5, OPSET_LAST, 2, 2, TYPES_ANY, OP_VIEW, infer_reshape, eval_reshape),
    DEF("ReverseSequence", 10, OPSET_LAST, 2, 2, TYPES_ALL, 0, op_infer_same, eval_reverse_sequence),
    DEF("Shape", 1, OPSET_LAST, 1, 1, TYPES_ANY, 0, infer_shape_op, eval_shape_op),
    DEF("Size", 1, OPSET_LAST, 1, 1, TYPES_ANY, 0, infer_size, eval_size),
    DEF("Slice", 1, 9, 1, 1, TYPES_ANY, 0, infer_slice, eval_slice),
    DEF("Slice", 10, OPSET_LAST, 3, 5, TYPES_ANY, 0, infer_slice, eval_slice),
    {"", "Split", 1, 12, 1, 2, 1, INT_MAX, TYPES_ANY, 0, infer_split, eval_split, NARROW},
    {"", "Split", 13, OPSET_LAST, 1, 2, 1, INT_MAX, TYPES_ANY, 0, infer_split, eval_split, NARROW},
    DEF("Squeeze", 1, 12, 1, 1, TYPES_ANY, OP_VIEW, infer_squeeze, eval_squeeze),
    DEF("Squeeze", 13, OPSET_LAST, 1, 2, TYPES_ANY, OP_VIEW, infer_squeeze, eval_squeeze),
    DEF("Tile", 1, 5, 3, 3, TYPES_ANY, 0, infer_tile, eval_tile),
    DEF("Tile", 6, OPSET_LAST, 2, 2, TYPES_ANY, 0, infer_tile, eval_tile),
    DEF("Transpose", 1, OPSET_LAST, 1, 1, TYPES_ANY, 0, infer_transpose, eval_transpose),
    DEF("Unsqueeze", 1, 12, 1, 1, TYPES_ANY, OP_VIEW, infer_unsqueeze, eval_unsqueeze),
    DEF("Unsqueeze", 13, OPSET_LAST, 2, 2, TYPES_ANY, OP_VIEW, infer_unsqueeze, eval_unsqueeze),
};
const int ops_shape_count = sizeof ops_shape / sizeof *ops_shape;
