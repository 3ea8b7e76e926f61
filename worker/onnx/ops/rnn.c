// SPDX-License-Identifier: MIT
//
// Recurrent layers: RNN, GRU, LSTM (opsets 7, 14, 22).
//
// Called through the operator table. All inputs' products with W are one matrix
// product in front of the loop over steps; each step is one product with R and
// element-wise work on rows. A sequence shorter than the longest stops being
// updated at its end, and a reverse direction starts there.
#include <strings.h>

#include "kernels/math.h"
#include "worker/onnx/ops/matmul.h"

enum cell_kind { CELL_RNN, CELL_GRU, CELL_LSTM };

enum activation_kind {
    ACT_RELU,
    ACT_TANH,
    ACT_SIGMOID,
    ACT_AFFINE,
    ACT_LEAKY_RELU,
    ACT_THRESHOLDED_RELU,
    ACT_SCALED_TANH,
    ACT_HARD_SIGMOID,
    ACT_ELU,
    ACT_SOFTSIGN,
    ACT_SOFTPLUS,
    ACT_COUNT,
};

struct activation {
    enum activation_kind kind;
    double alpha, beta;
};

#define CELL_ACTS 3 // per direction, at most

struct cell {
    enum cell_kind kind;
    enum reel_dtype dtype;
    int64_t gates, hidden, input, steps, batch, directions;
    bool batch_first, linear_before_reset, input_forget, reverse; // reverse: the only direction is
    double clip;
    int acts; // per direction
    struct activation act[2 * CELL_ACTS];
};

// One direction's operands and working memory, all in the cell's type.
struct direction {
    int64_t number;
    bool reverse;
    const void *x, *w, *r, *bias, *peep;
    const int64_t *length; // steps of each batch element
    void *xw, *hr, *gate, *reset, *h, *cell, *y;
};

// The row of X for a step of a batch element, and the row of Y.
static inline int64_t cell_row(const struct cell *c, int64_t step, int64_t b)
{
    return c->batch_first ? b * c->steps + step : step * c->batch + b;
}

static inline int64_t cell_out(const struct cell *c, int64_t step, int64_t direction, int64_t b)
{
    return c->batch_first ? (b * c->steps + step) * c->directions + direction
                          : (step * c->directions + direction) * c->batch + b;
}

// ---- activations --------------------------------------------------------

static const struct {
    const char *name;
    bool has_alpha, has_beta;
    double alpha, beta; // defaults: those of the operators of the same name
} activation_table[ACT_COUNT] = {
    [ACT_RELU] = {"Relu"},
    [ACT_TANH] = {"Tanh"},
    [ACT_SIGMOID] = {"Sigmoid"},
    [ACT_AFFINE] = {"Affine", true, true, 1.0, 0.0},
    [ACT_LEAKY_RELU] = {"LeakyRelu", true, false, 0.01, 0.0},
    [ACT_THRESHOLDED_RELU] = {"ThresholdedRelu", true, false, 1.0, 0.0},
    [ACT_SCALED_TANH] = {"ScaledTanh", true, true, 1.0, 1.0},
    [ACT_HARD_SIGMOID] = {"HardSigmoid", true, true, 0.2, 0.5},
    [ACT_ELU] = {"Elu", true, false, 1.0, 0.0},
    [ACT_SOFTSIGN] = {"Softsign"},
    [ACT_SOFTPLUS] = {"Softplus"},
};

static double activation_value(const struct activation *a, double x)
{
    switch (a->kind) {
    case ACT_RELU:
        return x > 0.0 ? x : 0.0;
    case ACT_TANH:
        return tanh(x);
    case ACT_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    case ACT_AFFINE:
        return a->alpha * x + a->beta;
    case ACT_LEAKY_RELU:
        return x >= 0.0 ? x : a->alpha * x;
    case ACT_THRESHOLDED_RELU:
        return x >= a->alpha ? x : 0.0;
    case ACT_SCALED_TANH:
        return a->alpha * tanh(a->beta * x);
    case ACT_HARD_SIGMOID:
        return fmin(fmax(a->alpha * x + a->beta, 0.0), 1.0);
    case ACT_ELU:
        return x >= 0.0 ? x : a->alpha * expm1(x);
    case ACT_SOFTSIGN:
        return x / (1.0 + fabs(x));
    case ACT_SOFTPLUS:
        return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case ACT_COUNT:
        break;
    }
    return x;
}

static void activate(const struct activation *a, enum reel_dtype dtype, void *p, int64_t n)
{
    float *f = p;
    if (dtype == REEL_F64)
        for (int64_t i = 0; i < n; i++) ((double *)p)[i] = activation_value(a, ((double *)p)[i]);
    else if (a->kind == ACT_SIGMOID)
        kern_sigmoid_f32(f, f, (size_t)n);
    else if (a->kind == ACT_TANH)
        kern_tanh_f32(f, f, (size_t)n);
    else
        for (int64_t i = 0; i < n; i++) f[i] = (float)activation_value(a, f[i]);
}

// The attribute lists, or the defaults; alphas and betas go to the functions
// that have them, in order.
static enum reel_err read_activations(const struct op_call *call, struct cell *c)
{
    static const enum activation_kind standard[3][CELL_ACTS] = {
        [CELL_RNN] = {ACT_TANH}, [CELL_GRU] = {ACT_SIGMOID, ACT_TANH}, [CELL_LSTM] = {ACT_SIGMOID, ACT_TANH, ACT_TANH}};
    const struct attr *names = node_attr(call->node, "activations");
    const float *alpha = NULL, *beta = NULL;
    int n_alpha = node_attr_floats(call->node, "activation_alpha", &alpha);
    int n_beta = node_attr_floats(call->node, "activation_beta", &beta);
    int n = c->acts * (int)c->directions, at_alpha = 0, at_beta = 0;
    if (names && (names->type != ATTR_STRINGS || names->count != n))
        return reel_fail(REEL_ERR_INPUT, "activations has %d elements where %d are needed", names->count, n);
    for (int i = 0; i < n; i++) {
        int kind = standard[c->kind][i % c->acts];
        for (kind = names ? 0 : kind; names && kind < ACT_COUNT; kind++)
            if (!strcasecmp(names->u.strings[i], activation_table[kind].name)) break;
        if (kind == ACT_COUNT)
            return reel_fail(REEL_ERR_UNSUPPORTED, "the activation \"%s\" is not known", names->u.strings[i]);
        struct activation *a = &c->act[i];
        *a = (struct activation){(enum activation_kind)kind, activation_table[kind].alpha, activation_table[kind].beta};
        if (activation_table[kind].has_alpha && at_alpha < n_alpha) a->alpha = alpha[at_alpha++];
        if (activation_table[kind].has_beta && at_beta < n_beta) a->beta = beta[at_beta++];
    }
    return REEL_OK;
}

// ---- geometry -----------------------------------------------------------

static bool differs(int64_t got, int64_t want)
{
    return got >= 0 && want >= 0 && got != want;
}

static enum reel_err check_weights(const struct op_call *call, const struct cell *c)
{
    const struct reel_shape *w = &call->in[1]->shape, *r = &call->in[2]->shape;
    if ((w->ndim >= 0 && (w->ndim != 3 || differs(w->dim[0], c->directions) ||
                          differs(w->dim[1], c->gates * c->hidden) || differs(w->dim[2], c->input))) ||
        (r->ndim >= 0 && (r->ndim != 3 || differs(r->dim[0], c->directions) ||
                          differs(r->dim[1], c->gates * c->hidden) || differs(r->dim[2], c->hidden))))
        return reel_fail(REEL_ERR_INPUT, "the weights' shapes do not fit %lld inputs and %lld hidden",
                         (long long)c->input, (long long)c->hidden);
    return REEL_OK;
}

static enum reel_err cell_open(const struct op_call *call, struct cell *c)
{
    const struct node *node = call->node;
    const char *direction = node_attr_string(node, "direction", "forward");
    *c = (struct cell){.kind = CELL_RNN, .gates = 1, .acts = 1, .dtype = work_dtype(call->in[0]->dtype)};
    if (!strcmp(node->op_type, "GRU")) c->kind = CELL_GRU, c->gates = 3, c->acts = 2;
    if (!strcmp(node->op_type, "LSTM")) c->kind = CELL_LSTM, c->gates = 4, c->acts = 3;
    c->directions = !strcmp(direction, "bidirectional") ? 2 : 1;
    c->reverse = !strcmp(direction, "reverse");
    if (c->directions == 1 && !c->reverse && strcmp(direction, "forward"))
        return reel_fail(REEL_ERR_INPUT, "the direction \"%s\" is not known", direction);
    c->batch_first = node_attr_int(node, "layout", 0) != 0;
    c->linear_before_reset = node_attr_int(node, "linear_before_reset", 0) != 0;
    c->input_forget = node_attr_int(node, "input_forget", 0) != 0;
    c->clip = node_attr_float(node, "clip", 0.0f);
    enum reel_err err = read_activations(call, c);
    if (err) return err;

    const struct reel_shape *x = &call->in[0]->shape, *r = &call->in[2]->shape;
    if (x->ndim >= 0 && x->ndim != 3) return reel_fail(REEL_ERR_INPUT, "the input has rank %d, not 3", x->ndim);
    c->steps = x->ndim == 3 ? x->dim[c->batch_first ? 1 : 0] : -1;
    c->batch = x->ndim == 3 ? x->dim[c->batch_first ? 0 : 1] : -1;
    c->input = x->ndim == 3 ? x->dim[2] : -1;
    c->hidden = node_attr_int(node, "hidden_size", r->ndim == 3 ? r->dim[2] : -1);
    if ((c->hidden < 1 && node_attr(node, "hidden_size")) || c->hidden > 1 << 20)
        return reel_fail(REEL_ERR_INPUT, "hidden_size is %lld", (long long)c->hidden);
    return check_weights(call, c);
}

static void cell_shapes(const struct cell *c, struct reel_shape *out_y, struct reel_shape *out_state)
{
    *out_y = (struct reel_shape){4, {c->steps, c->directions, c->batch, c->hidden}};
    *out_state = (struct reel_shape){3, {c->directions, c->batch, c->hidden}};
    if (!c->batch_first) return;
    *out_y = (struct reel_shape){4, {c->batch, c->steps, c->directions, c->hidden}};
    *out_state = (struct reel_shape){3, {c->batch, c->directions, c->hidden}};
}

static enum reel_err cell_infer(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct cell c;
    struct reel_shape y, state;
    enum reel_err err = cell_open(call, &c);
    if (err) return err;
    cell_shapes(&c, &y, &state);
    infer_out(call, 0, call->in[0]->dtype, &y);
    infer_out(call, 1, call->in[0]->dtype, &state);
    infer_out(call, 2, call->in[0]->dtype, &state);
    return REEL_OK;
}

// ---- running ------------------------------------------------------------

#define REAL float
#define FN(name) name##_f32
#include "worker/onnx/ops/rnn_body.inc"
#undef REAL
#undef FN
#define REAL double
#define FN(name) name##_f64
#include "worker/onnx/ops/rnn_body.inc"
#undef REAL
#undef FN

static void *at_element(const void *p, int64_t i, enum reel_dtype dtype)
{
    return p ? (char *)p + (size_t)i * reel_dtype_bytes(dtype) : NULL;
}

// A state (initial or last) of one direction against an array of all.
static void move_state(const struct cell *c, int64_t direction, char *all, char *one, bool to_all)
{
    size_t row = (size_t)c->hidden * reel_dtype_bytes(c->dtype);
    for (int64_t b = 0; b < c->batch; b++) {
        int64_t i = c->batch_first ? b * c->directions + direction : direction * c->batch + b;
        char *x = all + (size_t)i * row, *y = one + (size_t)b * row;
        memcpy(to_all ? x : y, to_all ? y : x, row);
    }
}

// The tensors of a call: in X, W, R, B, (lens), h, c, P; out Y, Y_h, Y_c.
struct cell_data {
    struct work in[8], out[3];
    int64_t *length;
    char *scratch; // xw, hr, gate, reset, h, cell one after the other
};

static enum reel_err read_lengths(const struct op_call *call, const struct cell *c, struct cell_data *d)
{
    const struct reel_tensor *lens = call_in(call, 4);
    if (lens && reel_tensor_count(lens) != c->batch)
        return reel_fail(REEL_ERR_INPUT, "sequence_lens must have one element per batch element");
    d->length = work_alloc(c->batch, sizeof *d->length);
    if (!d->length) return REEL_ERR_NOMEM;
    for (int64_t b = 0; b < c->batch; b++) {
        d->length[b] = lens ? op_scalar_int(lens, b) : c->steps;
        if (d->length[b] < 0 || d->length[b] > c->steps)
            return reel_fail(REEL_ERR_INPUT, "a sequence length is %lld of %lld", (long long)d->length[b],
                             (long long)c->steps);
    }
    return REEL_OK;
}

static enum reel_err open_data(const struct op_call *call, const struct cell *c, struct cell_data *d)
{
    int64_t want[8] = {[3] = c->directions * 2 * c->gates * c->hidden,
                       [5] = c->directions * c->batch * c->hidden,
                       [6] = c->directions * c->batch * c->hidden,
                       [7] = c->directions * 3 * c->hidden};
    enum reel_err err = read_lengths(call, c, d);
    for (int i = 0; !err && i < 8; i++) {
        const struct reel_tensor *t = i == 4 ? NULL : call_in(call, i);
        if (t && want[i] && reel_tensor_count(t) != want[i])
            return reel_fail(REEL_ERR_INPUT, "input %d has %lld elements where %lld are needed", i,
                             (long long)reel_tensor_count(t), (long long)want[i]);
        err = work_in(&d->in[i], t, c->dtype);
    }
    struct reel_shape shape[3];
    cell_shapes(c, &shape[0], &shape[1]);
    shape[2] = shape[1];
    for (int i = 0; !err && i < 3; i++) {
        if (!call_out(call, i)) continue;
        err = op_alloc_out(call, i, call->in[0]->dtype, &shape[i]);
        if (!err) err = work_out(&d->out[i], call->out[i], c->dtype);
    }
    if (err) return err;
    int64_t rows = c->batch * (2 * c->gates + 3) * c->hidden;
    d->scratch = work_alloc(c->steps * c->batch * c->gates * c->hidden + rows, reel_dtype_bytes(c->dtype));
    if (!d->scratch) return REEL_ERR_NOMEM;
    // Y stays 0 behind the end of a short sequence.
    if (d->out[0].p) memset(d->out[0].p, 0, (size_t)reel_shape_count(&shape[0]) * reel_dtype_bytes(c->dtype));
    return REEL_OK;
}

static enum reel_err run_direction(const struct cell *c, struct cell_data *data, int64_t number)
{
    enum reel_dtype t = c->dtype;
    int64_t width = c->gates * c->hidden, state = c->batch * c->hidden;
    struct direction d = {.number = number, .reverse = c->reverse || number == 1, .x = data->in[0].p};
    d.w = at_element(data->in[1].p, number * width * c->input, t);
    d.r = at_element(data->in[2].p, number * width * c->hidden, t);
    d.bias = at_element(data->in[3].p, number * 2 * width, t);
    d.peep = at_element(data->in[7].p, number * 3 * c->hidden, t);
    d.length = data->length;
    d.xw = data->scratch;
    d.hr = at_element(d.xw, c->steps * c->batch * width, t);
    d.gate = at_element(d.hr, c->batch * width, t);
    d.reset = at_element(d.gate, c->batch * width, t);
    d.h = at_element(d.reset, state, t);
    d.cell = at_element(d.h, state, t);
    d.y = data->out[0].p;
    memset(d.h, 0, 2 * (size_t)state * reel_dtype_bytes(t));
    if (data->in[5].p) move_state(c, number, data->in[5].p, d.h, false);
    if (data->in[6].p) move_state(c, number, data->in[6].p, d.cell, false);
    const struct activation *act = c->act + number * c->acts;
    enum reel_err err = t == REEL_F64 ? run_f64(c, act, &d) : run_f32(c, act, &d);
    if (!err && data->out[1].p) move_state(c, number, data->out[1].p, d.h, true);
    if (!err && data->out[2].p) move_state(c, number, data->out[2].p, d.cell, true);
    return err;
}

static enum reel_err cell_eval(const struct op_call *call)
{
    if (!inputs_given(call, 3)) return REEL_ERR_INPUT;
    struct cell c;
    struct cell_data d = {0};
    enum reel_err err = cell_open(call, &c);
    if (!err) err = open_data(call, &c, &d);
    for (int64_t i = 0; !err && i < c.directions; i++) err = run_direction(&c, &d, i);
    for (int i = 0; i < 3; i++) {
        if (!err && d.out[i].p) work_commit(&d.out[i]);
        work_fini(&d.out[i]);
    }
    for (int i = 0; i < 8; i++) work_fini(&d.in[i]);
    free(d.length);
    free(d.scratch);
    return err;
}

// ---- table --------------------------------------------------------------

const struct op_def ops_rnn[] = {
    {"", "RNN", 7, OPSET_LAST, 3, 6, 0, 2, TYPES_FLOAT, 0, cell_infer, cell_eval, NULL},
    {"", "GRU", 7, OPSET_LAST, 3, 6, 0, 2, TYPES_FLOAT, 0, cell_infer, cell_eval, NULL},
    {"", "LSTM", 7, OPSET_LAST, 3, 8, 0, 3, TYPES_FLOAT, 0, cell_infer, cell_eval, NULL},
};
const int ops_rnn_count = sizeof ops_rnn / sizeof ops_rnn[0];
