// SPDX-License-Identifier: MIT
//
// Control flow: If, Loop, Scan.
//
// Called through the operator table. Bodies are run by call->run_body, which
// resolves names of the enclosing scope; a body's outputs belong to this file
// until they are handed on. What it is not: sequences and optionals never come
// here (ops/sequence.c).
#include "worker/onnx/ops/work.h"

// A body that never ends must not hang a worker: no real network loops more
// often than this.
#define LOOP_MAX (INT64_C(1) << 22)

// ---- bodies -------------------------------------------------------------

static enum reel_err body_attr(const struct op_call *call, const char *name, struct graph **out_body)
{
    const struct attr *a = node_attr(call->node, name);
    if (!a || a->type != ATTR_GRAPH || !a->u.g) return reel_fail(REEL_ERR_INPUT, "the attribute %s is missing", name);
    *out_body = a->u.g;
    return REEL_OK;
}

// What two possible results have in common: equal extents stay known.
static struct reel_shape shape_merge(const struct reel_shape *a, const struct reel_shape *b)
{
    if (a->ndim < 0 || a->ndim != b->ndim) return shape_unknown();
    struct reel_shape s = *a;
    for (int i = 0; i < s.ndim; i++)
        if (a->dim[i] != b->dim[i]) s.dim[i] = -1;
    return s;
}

// Hands a body's output on to out[i]; consumes *t.
static enum reel_err give_out(const struct op_call *call, int i, struct reel_tensor *t)
{
    struct reel_tensor *out = call_out(call, i);
    if (!out) {
        reel_tensor_fini(t);
        return REEL_OK;
    }
    if (!out->data && t->owned) {
        *out = *t;
        *t = (struct reel_tensor){0};
        return REEL_OK;
    }
    enum reel_err err = call_copy_out(call, i, t);
    reel_tensor_fini(t);
    return err;
}

static void free_tensors(struct reel_tensor *t, int n)
{
    for (int i = 0; t && i < n; i++) reel_tensor_fini(&t[i]);
    free(t);
}

static bool is_true(const struct reel_tensor *t)
{
    return op_scalar_int(t, 0) != 0;
}

static enum reel_err check_flag(const struct reel_tensor *t, const char *what)
{
    if (t->dtype != REEL_BOOL || reel_tensor_count(t) != 1)
        return reel_fail(REEL_ERR_INPUT, "%s must be one boolean", what);
    return REEL_OK;
}

// ---- If -----------------------------------------------------------------

static enum reel_err if_bodies(const struct op_call *call, struct graph *out_body[2])
{
    enum reel_err err = body_attr(call, "else_branch", &out_body[0]);
    if (!err) err = body_attr(call, "then_branch", &out_body[1]);
    if (err) return err;
    for (int i = 0; i < 2; i++)
        if (out_body[i]->n_outputs < call->n_out || out_body[i]->n_inputs != 0)
            return reel_fail(REEL_ERR_INPUT, "a branch has %d inputs and %d outputs where 0 and %d are needed",
                             out_body[i]->n_inputs, out_body[i]->n_outputs, call->n_out);
    return REEL_OK;
}

static enum reel_err if_infer(const struct op_call *call)
{
    struct graph *body[2] = {0};
    enum reel_err err = if_bodies(call, body);
    if (err) return err;
    const struct reel_tensor *cond = call->in[0];
    if (cond->data && (err = check_flag(cond, "the condition"))) return err;
    for (int i = 0; i < call->n_out; i++) {
        const struct value *no = body[0]->outputs[i], *yes = body[1]->outputs[i];
        struct reel_shape shape = shape_merge(&no->shape, &yes->shape);
        enum reel_dtype dtype = yes->dtype ? yes->dtype : no->dtype;
        if (cond->data) {
            const struct value *chosen = is_true(cond) ? yes : no;
            shape = chosen->shape;
            if (chosen->dtype) dtype = chosen->dtype;
        }
        infer_out(call, i, dtype, &shape);
    }
    return REEL_OK;
}

static enum reel_err if_eval(const struct op_call *call)
{
    struct graph *body[2] = {0};
    enum reel_err err = if_bodies(call, body);
    if (!err) err = check_flag(call->in[0], "the condition");
    if (err) return err;
    struct graph *chosen = body[is_true(call->in[0])];
    int n = chosen->n_outputs;
    struct reel_tensor *out = calloc((size_t)n + 1, sizeof *out);
    if (!out) return reel_fail(REEL_ERR_NOMEM, "no memory for the branch's outputs");
    err = call->run_body(call->scope, chosen, NULL, 0, out, n);
    for (int i = 0; !err && i < call->n_out; i++) err = give_out(call, i, &out[i]);
    free_tensors(out, n);
    return err;
}

// ---- collecting scan outputs --------------------------------------------

// One scan output: elements of equal shape stacked along a new axis, which
// grows as they come (Loop) or has a known length (Scan).
struct stack {
    struct reel_tensor t;   // capacity along axis 0
    struct reel_shape elem; // ndim -1 before the first element
    int64_t count, capacity;
};

static enum reel_err stack_grow(struct stack *s, const struct reel_tensor *elem, int64_t capacity)
{
    if (elem->shape.ndim + 1 > REEL_MAX_DIMS)
        return reel_fail(REEL_ERR_LIMIT, "more than %d dimensions", REEL_MAX_DIMS);
    struct reel_shape shape = {.ndim = elem->shape.ndim + 1, .dim = {capacity}};
    for (int i = 0; i < elem->shape.ndim; i++) shape.dim[i + 1] = elem->shape.dim[i];
    struct reel_tensor t = {0};
    enum reel_err err = reel_tensor_init(&t, elem->dtype, &shape);
    if (err) return err;
    size_t bytes = s->count ? reel_tensor_bytes(elem) * (size_t)s->count : 0;
    if (bytes) memcpy(t.data, s->t.data, bytes);
    reel_tensor_fini(&s->t);
    s->t = t;
    s->elem = elem->shape;
    s->capacity = capacity;
    return REEL_OK;
}

static enum reel_err stack_push(struct stack *s, const struct reel_tensor *elem)
{
    if (s->count && (!reel_shape_equal(&s->elem, &elem->shape) || s->t.dtype != elem->dtype))
        return reel_fail(REEL_ERR_INPUT, "a scan output changes its shape or type between iterations");
    if (s->count == s->capacity || !s->count) {
        enum reel_err err = stack_grow(s, elem, s->count ? 2 * s->capacity : (s->capacity > 0 ? s->capacity : 1));
        if (err) return err;
    }
    size_t bytes = reel_tensor_bytes(elem);
    if (bytes) memcpy((char *)s->t.data + bytes * (size_t)s->count, elem->data, bytes);
    s->count++;
    return REEL_OK;
}

// The shape and type of an output that no iteration filled: as far as the body
// declares it, with 0 for what it leaves open.
static struct reel_tensor stack_empty(const struct value *v)
{
    struct reel_tensor t = {.dtype = v->dtype ? v->dtype : REEL_F32};
    int n = v->shape.ndim < 0 ? 0 : v->shape.ndim;
    if (n > REEL_MAX_DIMS - 1) n = REEL_MAX_DIMS - 1;
    t.shape.ndim = n + 1;
    for (int i = 0; i < n; i++) t.shape.dim[i + 1] = v->shape.dim[i] < 0 ? 0 : v->shape.dim[i];
    return t;
}

// Writes the stack to out[i], elements 0..count-1 (backwards when reversed)
// standing along `axis` of the result.
static enum reel_err stack_give(const struct op_call *call, int i, struct stack *s, const struct value *declared,
                                int64_t axis, bool reversed)
{
    if (!call_out(call, i)) return REEL_OK;
    struct reel_tensor src = s->count ? s->t : stack_empty(declared);
    src.shape.dim[0] = s->count;
    int at;
    enum reel_err err = op_axis(axis, src.shape.ndim, &at);
    if (err) return err;
    struct reel_shape shape = src.shape;
    for (int d = 0; d < at; d++) shape.dim[d] = src.shape.dim[d + 1];
    shape.dim[at] = s->count;
    err = op_alloc_out(call, i, src.dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    int64_t outer = shape_span(&shape, 0, at);
    size_t inner = (size_t)shape_span(&shape, at + 1, shape.ndim) * reel_dtype_bytes(src.dtype);
    for (int64_t k = 0; k < s->count; k++) {
        const char *from = (const char *)src.data + (size_t)k * (size_t)outer * inner;
        int64_t to = reversed ? s->count - 1 - k : k;
        for (int64_t o = 0; o < outer; o++)
            memcpy((char *)call->out[i]->data + ((size_t)o * (size_t)s->count + (size_t)to) * inner,
                   from + (size_t)o * inner, inner);
    }
    return REEL_OK;
}

// ---- Loop ---------------------------------------------------------------

static enum reel_err loop_body(const struct op_call *call, struct graph **out_body, int *out_carried)
{
    enum reel_err err = body_attr(call, "body", out_body);
    if (err) return err;
    int carried = call->n_in > 2 ? call->n_in - 2 : 0;
    const struct graph *body = *out_body;
    if (body->n_inputs != carried + 2 || body->n_outputs < carried + 1 || call->n_out > body->n_outputs - 1)
        return reel_fail(REEL_ERR_INPUT, "the body has %d inputs and %d outputs, which do not fit %d carried values",
                         body->n_inputs, body->n_outputs, carried);
    *out_carried = carried;
    return REEL_OK;
}

static enum reel_err loop_infer(const struct op_call *call)
{
    struct graph *body = NULL;
    int carried = 0;
    enum reel_err err = loop_body(call, &body, &carried);
    if (err) return err;
    for (int i = 0; i < call->n_out; i++) {
        const struct value *v = body->outputs[i + 1];
        if (i < carried) {
            const struct reel_tensor *init = call_in(call, i + 2);
            if (!init) return reel_fail(REEL_ERR_INPUT, "the initial value %d is missing", i);
            struct reel_shape shape = shape_merge(&init->shape, &v->shape);
            infer_out(call, i, init->dtype, &shape);
            continue;
        }
        struct reel_shape shape = shape_unknown();
        if (v->shape.ndim >= 0 && v->shape.ndim < REEL_MAX_DIMS) {
            shape = (struct reel_shape){.ndim = v->shape.ndim + 1, .dim = {-1}};
            for (int d = 0; d < v->shape.ndim; d++) shape.dim[d + 1] = v->shape.dim[d];
        }
        infer_out(call, i, v->dtype, &shape);
    }
    return REEL_OK;
}

// The state of a running Loop or Scan.
struct looping {
    struct graph *body;
    int carried, scans;              // outputs of each kind
    struct reel_tensor *state;       // owned copies or borrowed initial values
    struct stack *stacks;            // one per scan output
    struct reel_tensor *fresh;       // outputs of the last iteration
    const struct reel_tensor **args; // inputs of the body
};

static void looping_fini(struct looping *l)
{
    free_tensors(l->state, l->carried);
    for (int i = 0; l->stacks && i < l->scans; i++) reel_tensor_fini(&l->stacks[i].t);
    free(l->stacks);
    free_tensors(l->fresh, l->body->n_outputs);
    free(l->args);
}

static enum reel_err looping_init(struct looping *l, struct graph *body, int carried, int scans)
{
    *l = (struct looping){.body = body, .carried = carried, .scans = scans};
    l->state = calloc((size_t)carried + 1, sizeof *l->state);
    l->stacks = calloc((size_t)scans + 1, sizeof *l->stacks);
    l->fresh = calloc((size_t)body->n_outputs + 1, sizeof *l->fresh);
    l->args = calloc((size_t)body->n_inputs + 1, sizeof *l->args);
    if (l->state && l->stacks && l->fresh && l->args) return REEL_OK;
    looping_fini(l);
    return reel_fail(REEL_ERR_NOMEM, "no memory for the loop's state");
}

static void borrow(struct reel_tensor *t, const struct reel_tensor *src)
{
    *t = *src;
    t->owned = false;
}

// After an iteration: `first` leading outputs are skipped (Loop's condition),
// then the carried values and the scan outputs.
static enum reel_err looping_take(struct looping *l, int first)
{
    for (int i = 0; i < l->carried; i++) {
        struct reel_tensor *from = &l->fresh[first + i];
        if (l->state[i].dtype != from->dtype)
            return reel_fail(REEL_ERR_INPUT, "carried value %d changes its type from %s to %s", i,
                             reel_dtype_name(l->state[i].dtype), reel_dtype_name(from->dtype));
    }
    // A body may hand an old state through under another name without owning
    // it; such a value is copied before the state is released.
    for (int i = 0; i < l->body->n_outputs; i++) {
        struct reel_tensor *t = &l->fresh[i], copy = {0};
        if (t->owned || !t->data) continue;
        enum reel_err err = reel_tensor_copy(&copy, t);
        if (err) return err;
        *t = copy;
    }
    for (int i = 0; i < l->carried; i++) {
        reel_tensor_fini(&l->state[i]);
        l->state[i] = l->fresh[first + i];
        l->fresh[first + i] = (struct reel_tensor){0};
    }
    for (int i = 0; i < l->scans; i++) {
        enum reel_err err = stack_push(&l->stacks[i], &l->fresh[first + l->carried + i]);
        if (err) return err;
    }
    for (int i = 0; i < l->body->n_outputs; i++) reel_tensor_fini(&l->fresh[i]);
    return REEL_OK;
}

static enum reel_err loop_run(const struct op_call *call, struct looping *l, int64_t trips, bool go)
{
    int64_t iter = 0;
    bool cond = go;
    struct reel_tensor iter_t = {.dtype = REEL_I64, .data = &iter};
    struct reel_tensor cond_t = {.dtype = REEL_BOOL, .data = &cond};
    l->args[0] = &iter_t;
    l->args[1] = &cond_t;
    for (; cond && iter < trips; iter++) {
        if (iter == LOOP_MAX) return reel_fail(REEL_ERR_LIMIT, "more than %lld iterations", (long long)LOOP_MAX);
        for (int i = 0; i < l->carried; i++) l->args[i + 2] = &l->state[i];
        enum reel_err err = call->run_body(call->scope, l->body, l->args, l->carried + 2, l->fresh, l->body->n_outputs);
        if (!err) err = check_flag(&l->fresh[0], "the body's condition");
        if (err) return err;
        bool again = is_true(&l->fresh[0]);
        err = looping_take(l, 1);
        if (err) return err;
        cond = again;
    }
    return REEL_OK;
}

static enum reel_err loop_eval(const struct op_call *call)
{
    struct graph *body = NULL;
    int carried = 0;
    enum reel_err err = loop_body(call, &body, &carried);
    if (err) return err;
    const struct reel_tensor *m = call_in(call, 0), *cond = call_in(call, 1);
    if (m && reel_tensor_count(m) != 1) return reel_fail(REEL_ERR_INPUT, "the trip count must be one integer");
    if (cond && (err = check_flag(cond, "the condition"))) return err;
    for (int i = 0; i < carried; i++)
        if (!call->in[i + 2]) return reel_fail(REEL_ERR_INPUT, "the initial value %d is missing", i);

    struct looping l;
    err = looping_init(&l, body, carried, body->n_outputs - 1 - carried);
    if (err) return err;
    for (int i = 0; i < carried; i++) borrow(&l.state[i], call->in[i + 2]);
    err = loop_run(call, &l, m ? op_scalar_int(m, 0) : INT64_MAX, cond ? is_true(cond) : true);
    for (int i = 0; !err && i < carried; i++) err = give_out(call, i, &l.state[i]);
    for (int i = 0; !err && i < l.scans; i++)
        err = stack_give(call, carried + i, &l.stacks[i], body->outputs[1 + carried + i], 0, false);
    looping_fini(&l);
    return err;
}

// ---- Scan ---------------------------------------------------------------

// What the attributes say. first: index of the first state among the inputs (1
// in opset 8, after sequence_lens). batch: leading batch axis (opset 8).
struct scan {
    struct graph *body;
    int first, states, inputs, outputs;
    bool batch;
    const int64_t *in_axes, *in_dirs, *out_axes, *out_dirs; // NULL: all 0
};

static enum reel_err scan_ints(const struct op_call *call, const char *name, int want, const int64_t **out_ints)
{
    int n = node_attr_ints(call->node, name, out_ints);
    if (n == 0) *out_ints = NULL;
    if (n != 0 && n != want) return reel_fail(REEL_ERR_INPUT, "%s has %d elements where %d are needed", name, n, want);
    return REEL_OK;
}

static enum reel_err scan_open(const struct op_call *call, struct scan *s)
{
    *s = (struct scan){.batch = call->opset < 9, .first = call->opset < 9};
    enum reel_err err = body_attr(call, "body", &s->body);
    if (err) return err;
    int64_t inputs = node_attr_int(call->node, "num_scan_inputs", 0);
    if (inputs < 1 || inputs > call->n_in - s->first)
        return reel_fail(REEL_ERR_INPUT, "num_scan_inputs is %lld with %d inputs", (long long)inputs, call->n_in);
    s->inputs = (int)inputs;
    s->states = call->n_in - s->first - s->inputs;
    s->outputs = s->body->n_outputs - s->states;
    if (s->body->n_inputs != s->states + s->inputs || s->outputs < 0 || call->n_out > s->body->n_outputs)
        return reel_fail(REEL_ERR_INPUT, "the body's %d inputs and %d outputs do not fit the call", s->body->n_inputs,
                         s->body->n_outputs);
    for (int i = s->first; i < call->n_in; i++)
        if (!call->in[i]) return reel_fail(REEL_ERR_INPUT, "input %d is missing", i);
    if (s->batch) return scan_ints(call, "directions", s->inputs, &s->in_dirs);
    err = scan_ints(call, "scan_input_axes", s->inputs, &s->in_axes);
    if (!err) err = scan_ints(call, "scan_input_directions", s->inputs, &s->in_dirs);
    if (!err) err = scan_ints(call, "scan_output_axes", s->outputs, &s->out_axes);
    if (!err) err = scan_ints(call, "scan_output_directions", s->outputs, &s->out_dirs);
    return err;
}

// The axis of scan input i which is walked, in the input's own dimensions.
static enum reel_err scan_axis(const struct op_call *call, const struct scan *s, int i, int *out_axis)
{
    const struct reel_shape *shape = &call->in[s->first + s->states + i]->shape;
    if (!s->batch) return op_axis(s->in_axes ? s->in_axes[i] : 0, shape->ndim, out_axis);
    if (shape->ndim < 2) return reel_fail(REEL_ERR_INPUT, "scan input %d has no batch and sequence axis", i);
    *out_axis = 1;
    return REEL_OK;
}

static enum reel_err scan_length(const struct op_call *call, const struct scan *s, int64_t *out_length)
{
    *out_length = -1;
    for (int i = 0; i < s->inputs; i++) {
        const struct reel_shape *shape = &call->in[s->first + s->states + i]->shape;
        int axis;
        if (shape->ndim < 0) continue;
        enum reel_err err = scan_axis(call, s, i, &axis);
        if (err) return err;
        int64_t n = shape->dim[axis];
        if (n >= 0 && *out_length >= 0 && n != *out_length)
            return reel_fail(REEL_ERR_INPUT, "scan inputs have %lld and %lld steps", (long long)*out_length,
                             (long long)n);
        if (n >= 0) *out_length = n;
    }
    return REEL_OK;
}

static enum reel_err scan_infer(const struct op_call *call)
{
    struct scan s;
    int64_t length = -1;
    enum reel_err err = scan_open(call, &s);
    if (!err) err = scan_length(call, &s, &length);
    if (err) return err;
    for (int i = 0; i < call->n_out; i++) {
        const struct value *v = s.body->outputs[i];
        if (i < s.states) {
            const struct reel_tensor *init = call->in[s.first + i];
            infer_out(call, i, init->dtype, &init->shape);
            continue;
        }
        struct reel_shape shape = shape_unknown();
        int extra = s.batch ? 2 : 1, axis;
        if (v->shape.ndim >= 0 && v->shape.ndim + extra <= REEL_MAX_DIMS) {
            shape.ndim = v->shape.ndim + extra;
            err = op_axis(s.out_axes ? s.out_axes[i - s.states] : (s.batch ? 1 : 0), shape.ndim, &axis);
            if (err) return err;
            int from = 0;
            for (int d = 0; d < shape.ndim; d++) {
                if (d == axis)
                    shape.dim[d] = length;
                else if (s.batch && d == 0)
                    shape.dim[d] =
                        call->in[s.first + s.states]->shape.ndim > 0 ? call->in[s.first + s.states]->shape.dim[0] : -1;
                else
                    shape.dim[d] = v->shape.dim[from++];
            }
        }
        infer_out(call, i, v->dtype, &shape);
    }
    return REEL_OK;
}

// Element `at` of src along `axis` (with the axis gone) into *out_t.
static enum reel_err take_slice(const struct reel_tensor *src, int axis, int64_t at, struct reel_tensor *out_t)
{
    struct reel_shape shape = {.ndim = src->shape.ndim - 1};
    for (int d = 0, to = 0; d < src->shape.ndim; d++)
        if (d != axis) shape.dim[to++] = src->shape.dim[d];
    enum reel_err err = reel_tensor_init(out_t, src->dtype, &shape);
    if (err || reel_shape_count(&shape) == 0) return err;
    int64_t outer = shape_span(&src->shape, 0, axis), steps = src->shape.dim[axis];
    size_t inner = (size_t)shape_span(&src->shape, axis + 1, src->shape.ndim) * reel_dtype_bytes(src->dtype);
    for (int64_t o = 0; o < outer; o++)
        memcpy((char *)out_t->data + (size_t)o * inner,
               (const char *)src->data + ((size_t)o * (size_t)steps + (size_t)at) * inner, inner);
    return REEL_OK;
}

// Runs the body over `steps` elements of the scan inputs `in`, whose axes are
// given, carrying l->state along.
static enum reel_err scan_run(const struct op_call *call, const struct scan *s, struct looping *l,
                              const struct reel_tensor *in, const int *axes, int64_t steps)
{
    struct reel_tensor *slice = calloc((size_t)s->inputs + 1, sizeof *slice);
    if (!slice) return reel_fail(REEL_ERR_NOMEM, "no memory for the scan's slices");
    enum reel_err err = REEL_OK;
    for (int64_t t = 0; !err && t < steps; t++) {
        for (int i = 0; i < s->states; i++) l->args[i] = &l->state[i];
        for (int i = 0; !err && i < s->inputs; i++) {
            bool backwards = s->in_dirs && s->in_dirs[i];
            err = take_slice(&in[i], axes[i], backwards ? steps - 1 - t : t, &slice[i]);
            l->args[s->states + i] = &slice[i];
        }
        if (!err) err = call->run_body(call->scope, l->body, l->args, l->body->n_inputs, l->fresh, l->body->n_outputs);
        if (!err) err = looping_take(l, 0);
        for (int i = 0; i < s->inputs; i++) reel_tensor_fini(&slice[i]);
    }
    free_tensors(slice, s->inputs);
    return err;
}

static enum reel_err scan9_eval(const struct op_call *call, const struct scan *s)
{
    int64_t steps = 0;
    enum reel_err err = scan_length(call, s, &steps);
    if (err) return err;
    struct looping l;
    struct reel_tensor *in = calloc((size_t)s->inputs + 1, sizeof *in);
    int *axes = calloc((size_t)s->inputs + 1, sizeof *axes);
    err = in && axes ? looping_init(&l, s->body, s->states, s->outputs)
                     : reel_fail(REEL_ERR_NOMEM, "no memory for the scan's inputs");
    if (err) goto freed;
    for (int i = 0; !err && i < s->inputs; i++) {
        borrow(&in[i], call->in[s->states + i]);
        err = scan_axis(call, s, i, &axes[i]);
    }
    for (int i = 0; i < s->states; i++) borrow(&l.state[i], call->in[i]);
    for (int i = 0; i < s->outputs; i++) l.stacks[i].capacity = steps;
    if (!err) err = scan_run(call, s, &l, in, axes, steps);
    for (int i = 0; !err && i < s->states; i++) err = give_out(call, i, &l.state[i]);
    for (int i = 0; !err && i < s->outputs; i++)
        err = stack_give(call, s->states + i, &l.stacks[i], s->body->outputs[s->states + i],
                         s->out_axes ? s->out_axes[i] : 0, s->out_dirs && s->out_dirs[i]);
    looping_fini(&l);
freed:
    free(in);
    free(axes);
    return err;
}

// One batch element of Scan 8; results are pushed onto the batch's stacks.
// Steps beyond this element's sequence length leave zeros.
static enum reel_err scan8_element(const struct op_call *call, const struct scan *s, int64_t b, int64_t steps,
                                   int64_t longest, struct stack *out)
{
    struct looping l;
    struct reel_tensor *in = calloc((size_t)s->inputs + 1, sizeof *in);
    int *axes = calloc((size_t)s->inputs + 1, sizeof *axes); // all 0: the batch axis is gone
    enum reel_err err = in && axes ? looping_init(&l, s->body, s->states, s->outputs)
                                   : reel_fail(REEL_ERR_NOMEM, "no memory for the scan's inputs");
    if (err) goto freed;
    for (int i = 0; !err && i < s->inputs; i++) err = take_slice(call->in[1 + s->states + i], 0, b, &in[i]);
    for (int i = 0; !err && i < s->states; i++) err = take_slice(call->in[1 + i], 0, b, &l.state[i]);
    // Backward inputs start at the end of this element's own sequence.
    for (int i = 0; !err && i < s->inputs; i++) in[i].shape.dim[0] = steps;
    if (!err) err = scan_run(call, s, &l, in, axes, steps);
    for (int i = 0; !err && i < s->states; i++) err = stack_push(&out[i], &l.state[i]);
    for (int i = 0; !err && i < s->outputs; i++) {
        struct reel_tensor whole = stack_empty(s->body->outputs[s->states + i]), padded = {0};
        if (l.stacks[i].count) whole.dtype = l.stacks[i].t.dtype, whole.shape = l.stacks[i].t.shape;
        whole.shape.dim[0] = longest;
        err = reel_tensor_init(&padded, whole.dtype, &whole.shape);
        if (err) break;
        if (l.stacks[i].count) {
            struct reel_tensor elem = {.dtype = whole.dtype, .shape = l.stacks[i].elem};
            size_t bytes = reel_tensor_bytes(&elem) * (size_t)l.stacks[i].count;
            if (bytes) memcpy(padded.data, l.stacks[i].t.data, bytes);
        }
        err = stack_push(&out[s->states + i], &padded);
        reel_tensor_fini(&padded);
    }
    looping_fini(&l);
freed:
    free_tensors(in, in ? s->inputs : 0);
    free(axes);
    return err;
}

static enum reel_err scan8_eval(const struct op_call *call, const struct scan *s)
{
    int64_t longest = 0, batch = -1;
    enum reel_err err = scan_length(call, s, &longest);
    if (err) return err;
    for (int i = 1; i < call->n_in; i++) {
        const struct reel_shape *shape = &call->in[i]->shape;
        if (shape->ndim < 1 || (batch >= 0 && shape->dim[0] != batch))
            return reel_fail(REEL_ERR_INPUT, "the inputs' batch axes differ");
        batch = shape->dim[0];
    }
    const struct reel_tensor *lens = call->in[0];
    if (lens && reel_tensor_count(lens) != batch)
        return reel_fail(REEL_ERR_INPUT, "sequence_lens must have one element per batch element");
    int n = s->body->n_outputs;
    struct stack *out = calloc((size_t)n + 1, sizeof *out);
    if (!out) return reel_fail(REEL_ERR_NOMEM, "no memory for the scan's outputs");
    for (int64_t b = 0; !err && b < batch; b++) {
        int64_t steps = lens ? op_scalar_int(lens, b) : longest;
        if (steps < 0 || steps > longest)
            err = reel_fail(REEL_ERR_INPUT, "a sequence length is %lld of %lld", (long long)steps, (long long)longest);
        else
            err = scan8_element(call, s, b, steps, longest, out);
    }
    for (int i = 0; !err && i < n; i++) err = stack_give(call, i, &out[i], s->body->outputs[i], 0, false);
    for (int i = 0; i < n; i++) reel_tensor_fini(&out[i].t);
    free(out);
    return err;
}

static enum reel_err scan_eval(const struct op_call *call)
{
    struct scan s;
    enum reel_err err = scan_open(call, &s);
    if (err) return err;
    return s.batch ? scan8_eval(call, &s) : scan9_eval(call, &s);
}

// ---- table --------------------------------------------------------------

const struct op_def ops_control[] = {
    {"", "If", 1, OPSET_LAST, 1, 1, 1, -1, T_(REEL_BOOL), OP_CONTROL, if_infer, if_eval,
     "sequences where the condition is known before the run"},
    {"", "Loop", 1, OPSET_LAST, 0, -1, 1, -1, TYPES_ANY, OP_CONTROL | OP_DATA_SHAPE, loop_infer, loop_eval,
     "sequences where its turns are known before the run"},
    {"", "Scan", 8, 8, 0, -1, 1, -1, TYPES_ANY, OP_CONTROL, scan_infer, scan_eval, "tensors only"},
    {"", "Scan", 9, OPSET_LAST, 0, -1, 1, -1, TYPES_ANY, OP_CONTROL, scan_infer, scan_eval, "tensors only"},
};
const int ops_control_count = sizeof ops_control / sizeof ops_control[0];
