// SPDX-License-Identifier: MIT
//
// The walk over broadcast operands and the helpers of typed.h.
#include "worker/onnx/ops/typed.h"

// ---- 16-bit floats --------------------------------------------------------

struct shadow {
    struct reel_tensor *tensors; // n_in + n_out
    const struct reel_tensor **in;
    struct reel_tensor **out;
};

static void shadow_fini(struct shadow *s, int count)
{
    for (int i = 0; s->tensors && i < count; i++) reel_tensor_fini(&s->tensors[i]);
    free(s->tensors);
    free(s->in);
    free(s->out);
}

static enum reel_err shadow_inputs(struct shadow *s, const struct op_call *call)
{
    for (int i = 0; i < call->n_in; i++) {
        const struct reel_tensor *t = call->in[i];
        s->in[i] = t;
        if (!t || !is_half(t->dtype)) continue;
        enum reel_err err = reel_tensor_init(&s->tensors[i], REEL_F32, &t->shape);
        if (err) return err;
        reel_convert(s->tensors[i].data, REEL_F32, t->data, t->dtype, reel_tensor_count(t));
        s->in[i] = &s->tensors[i];
    }
    return REEL_OK;
}

static enum reel_err shadow_store(struct shadow *s, const struct op_call *call)
{
    for (int i = 0; i < call->n_out; i++) {
        if (!s->out[i] || s->out[i] == call->out[i] || !s->out[i]->data) continue;
        struct reel_tensor *t = call->out[i];
        enum reel_err err = op_alloc_out(call, i, t->dtype, &s->out[i]->shape);
        if (err) return err;
        reel_convert(t->data, t->dtype, s->out[i]->data, REEL_F32, reel_tensor_count(t));
    }
    return REEL_OK;
}

enum reel_err typed_eval_in_f32(const struct op_call *call, enum reel_err (*eval)(const struct op_call *))
{
    const size_t n = (size_t)(call->n_in + call->n_out);
    struct shadow s = {
        .tensors = calloc(n, sizeof *s.tensors),
        .in = calloc(n, sizeof *s.in),
        .out = calloc(n, sizeof *s.out),
    };
    enum reel_err err = REEL_OK;
    if (!s.tensors || !s.in || !s.out) err = reel_fail(REEL_ERR_NOMEM, "no memory for working copies");
    if (!err) err = shadow_inputs(&s, call);
    for (int i = 0; !err && i < call->n_out; i++) {
        s.out[i] = call->out[i];
        if (!call->out[i]) continue;
        if (call->out[i]->dtype == REEL_DTYPE_NONE) call->out[i]->dtype = call->in[0]->dtype;
        if (!is_half(call->out[i]->dtype)) continue;
        s.out[i] = &s.tensors[call->n_in + i];
        s.out[i]->dtype = REEL_F32;
        s.out[i]->shape = call->out[i]->shape;
    }
    if (!err) {
        struct op_call shadow = *call;
        shadow.in = s.in;
        shadow.out = s.out;
        err = eval(&shadow);
    }
    if (!err) err = shadow_store(&s, call);
    shadow_fini(&s, (int)n);
    return err;
}

// ---- checks and parameters ------------------------------------------------

enum reel_err typed_present(const struct op_call *call, int n)
{
    for (int i = 0; i < n; i++)
        if (!call_in(call, i)) return reel_fail(REEL_ERR_INPUT, "input %d is missing", i);
    return REEL_OK;
}

enum reel_err typed_refuse(const struct op_call *call, int input)
{
    const enum reel_dtype dtype = call->in[input]->dtype;
    if (dtype == REEL_DTYPE_NONE) return REEL_OK;
    return reel_fail(REEL_ERR_UNSUPPORTED, "input %d is of type %s, which this operator does not take", input,
                     reel_dtype_name(dtype));
}

enum reel_err typed_same(const struct op_call *call, int a, int b)
{
    if (!call_in(call, a) || !call_in(call, b))
        return reel_fail(REEL_ERR_INPUT, "input %d is missing", call_in(call, a) ? b : a);
    const enum reel_dtype x = call->in[a]->dtype, y = call->in[b]->dtype;
    if (x == y || x == REEL_DTYPE_NONE || y == REEL_DTYPE_NONE) return REEL_OK;
    return reel_fail(REEL_ERR_INPUT, "inputs %d and %d are of types %s and %s, but must be of one type", a, b,
                     reel_dtype_name(x), reel_dtype_name(y));
}

enum reel_err typed_ints(const struct op_call *call, int i, int64_t max, int64_t **out_values, int64_t *out_n)
{
    const struct reel_tensor *t = call_in(call, i);
    *out_values = NULL;
    *out_n = 0;
    if (!has_data(t)) return reel_fail(REEL_ERR_INPUT, "input %d is missing", i);
    if (t->dtype != REEL_I32 && t->dtype != REEL_I64)
        return reel_fail(REEL_ERR_INPUT, "input %d is of type %s, but must be int32 or int64", i,
                         reel_dtype_name(t->dtype));
    const int64_t n = reel_tensor_count(t);
    if (n > max)
        return reel_fail(REEL_ERR_INPUT, "input %d has %lld elements, but at most %lld make sense", i, (long long)n,
                         (long long)max);
    int64_t *values = malloc((size_t)(n + 1) * sizeof *values);
    if (!values) return reel_fail(REEL_ERR_NOMEM, "no memory for %lld integers", (long long)n);
    reel_convert(values, REEL_I64, t->data, t->dtype, n);
    *out_values = values;
    *out_n = n;
    return REEL_OK;
}

enum reel_err typed_copy_as(const struct op_call *call, const struct reel_shape *shape)
{
    const struct reel_tensor *in = call->in[0];
    if (reel_shape_count(shape) != reel_tensor_count(in) || reel_tensor_count(in) < 0) {
        char from[96], to[96];
        return reel_fail(REEL_ERR_INPUT, "shape %s cannot become %s: other number of elements",
                         reel_shape_text(&in->shape, from, sizeof from), reel_shape_text(shape, to, sizeof to));
    }
    if (!call->out[0]) return REEL_OK;
    enum reel_err err = op_alloc_out(call, 0, in->dtype, shape);
    if (err) return err;
    const size_t bytes = reel_tensor_bytes(in);
    if (bytes) memmove(call->out[0]->data, in->data, bytes);
    return REEL_OK;
}

// ---- the walk -------------------------------------------------------------

// Element strides of an operand along the output's dimensions, 0 where it is
// broadcast.
static void operand_strides(const struct reel_shape *shape, const struct reel_shape *operand, int64_t *strides)
{
    const int lead = shape->ndim - operand->ndim;
    int64_t stride = 1;
    for (int d = shape->ndim - 1; d >= 0; d--) {
        strides[d] = 0;
        if (d < lead) continue;
        if (operand->dim[d - lead] != 1) strides[d] = stride;
        stride *= operand->dim[d - lead];
    }
}

void walk_start(struct walk *w, const struct reel_shape *shape, const struct reel_shape *const *shapes, int n)
{
    *w = (struct walk){.n = n, .run = 1, .done = reel_shape_count(shape) <= 0};
    if (w->done) return;
    int64_t strides[WALK_MAX][REEL_MAX_DIMS];
    for (int i = 0; i < n; i++) operand_strides(shape, shapes[i], strides[i]);

    int dims = 0; // merged ones, in w->dim and w->stride
    for (int d = 0; d < shape->ndim; d++) {
        if (shape->dim[d] == 1) continue;
        bool merge = dims > 0;
        for (int i = 0; i < n && merge; i++) merge = w->stride[i][dims - 1] == strides[i][d] * shape->dim[d];
        if (!merge) w->dim[dims++] = 1;
        w->dim[dims - 1] *= shape->dim[d];
        for (int i = 0; i < n; i++) w->stride[i][dims - 1] = strides[i][d];
    }
    if (!dims) return;
    w->outer = dims - 1;
    w->run = w->dim[w->outer];
    for (int i = 0; i < n; i++) w->step[i] = w->stride[i][w->outer];
}

void walk_next(struct walk *w)
{
    w->out += w->run;
    for (int d = w->outer - 1; d >= 0; d--) {
        for (int i = 0; i < w->n; i++) w->at[i] += w->stride[i][d];
        if (++w->index[d] < w->dim[d]) return;
        for (int i = 0; i < w->n; i++) w->at[i] -= w->stride[i][d] * w->dim[d];
        w->index[d] = 0;
    }
    w->done = true;
}
