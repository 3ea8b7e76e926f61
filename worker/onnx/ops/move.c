// SPDX-License-Identifier: MIT
//
// The family move: operators that move elements without looking at them.
//
// Elements are moved by their size, whatever their type; the inner loops are
// copies of contiguous runs wherever the shapes allow it. What the operators
// compute from indices of the file (starts, perm) is checked before anything is
// allocated.
#include "worker/onnx/ops/moving.h"

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

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
            return reel_fail(REEL_ERR_INPUT, "attribute perm is not a permutation of %d dimensions", ndim);
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
    return err ? err : move_infer(call, &shape);
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
    enum reel_err err = move_check(call, 0);
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
    return err ? err : move_infer(call, &shape);
}

static enum reel_err eval_concat(const struct op_call *call)
{
    int axis;
    struct reel_shape shape;
    enum reel_err err = move_check(call, 0);
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
    enum reel_err err = move_check(call, 0);
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
    enum reel_err err = ints_read(call, old ? "starts" : NULL, old ? -1 : 1, &starts);
    if (!err) err = ints_read(call, old ? "ends" : NULL, old ? -1 : 2, &ends);
    if (!err) err = ints_read(call, old ? "axes" : NULL, old ? -1 : 3, &axes);
    if (!err) err = ints_read(call, NULL, old ? -1 : 4, &steps);
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
    err = ints_axes(&axes, in->ndim);
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
    return err ? err : move_infer(call, &s.shape);
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
        move_strided(out, (const char *)in->data + at * (int64_t)bytes, run_stride, run, bytes);
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
    enum reel_err err = move_check(call, 0);
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
    return err ? err : move_infer(call, &s.shape);
}

static enum reel_err eval_crop(const struct op_call *call)
{
    struct slice s;
    enum reel_err err = move_check(call, 0);
    if (!err) err = crop_plan(call, &s);
    if (err || !call->out[0]) return err;
    err = op_alloc_out(call, 0, call->in[0]->dtype, &s.shape);
    if (!err && reel_shape_count(&s.shape) > 0) slice_run(call->out[0]->data, call->in[0], &s);
    return err;
}

// ---- ReverseSequence --------------------------------------------------------

static enum reel_err eval_reverse_sequence(const struct op_call *call)
{
    const struct reel_tensor *in = call->in[0];
    const int64_t batch_axis = node_attr_int(call->node, "batch_axis", 1);
    const int64_t time_axis = node_attr_int(call->node, "time_axis", 0);
    enum reel_err err = move_check(call, 0);
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

const struct op_def ops_move[] = {
    DEF("Concat", 1, OPSET_LAST, 1, -1, TYPES_ANY, 0, infer_concat, eval_concat),
    DEF("Crop", 1, 9, 1, 1, TYPES_ALL, 0, infer_crop, eval_crop),
    DEF("ReverseSequence", 10, OPSET_LAST, 2, 2, TYPES_ALL, 0, op_infer_same, eval_reverse_sequence),
    DEF("Slice", 1, 9, 1, 1, TYPES_ANY, 0, infer_slice, eval_slice),
    DEF("Slice", 10, OPSET_LAST, 3, 5, TYPES_ANY, 0, infer_slice, eval_slice),
    {"", "Split", 1, 12, 1, 2, 1, INT_MAX, TYPES_ANY, 0, infer_split, eval_split, NARROW},
    {"", "Split", 13, OPSET_LAST, 1, 2, 1, INT_MAX, TYPES_ANY, 0, infer_split, eval_split, NARROW},
    DEF("Transpose", 1, OPSET_LAST, 1, 1, TYPES_ANY, 0, infer_transpose, eval_transpose),
};
const int ops_move_count = sizeof ops_move / sizeof *ops_move;
