// SPDX-License-Identifier: MIT
//
// RNN, GRU, LSTM with constant weights: the products of all inputs with W are one
// product, then one kernel goes through the steps (kernels/gpu/rnn.h).
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/backend/cudnn/program.h"

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTH, IN_H, IN_C, IN_P };

struct layer {
    const struct node *node;
    struct gpu_rnn g;
    int input, gates, width; // width: of the gates of one direction
};

static const struct value *in_of(const struct node *node, int i)
{
    return i < node->n_in ? node->in[i] : NULL;
}

// ---- from the node ---------------------------------------------------------------------

// The activation functions that the kernel has, with their default parameters.
static const struct {
    const char *name;
    enum gpu_op op;
    bool has_alpha, has_beta;
    float alpha, beta;
} functions[] = {{"Relu", GPU_OP_RELU, false, false, 0, 0},
                 {"Tanh", GPU_OP_TANH, false, false, 0, 0},
                 {"Sigmoid", GPU_OP_SIGMOID, false, false, 0, 0},
                 {"Affine", GPU_OP_AFFINE, true, true, 1, 0},
                 {"LeakyRelu", GPU_OP_LEAKY, true, false, 0.01f, 0},
                 {"ThresholdedRelu", GPU_OP_THRESHOLDED, true, false, 1, 0},
                 {"HardSigmoid", GPU_OP_HSIGMOID, true, true, 0.2f, 0.5f},
                 {"Elu", GPU_OP_ELU, true, false, 1, 0},
                 {"Softsign", GPU_OP_SOFTSIGN, false, false, 0, 0},
                 {"Softplus", GPU_OP_SOFTPLUS, false, false, 0, 0}};

static bool read_functions(const struct node *node, struct gpu_rnn *g)
{
    static const char *const standard[3][3] = {
        [GPU_CELL_RNN] = {"Tanh"}, [GPU_CELL_GRU] = {"Sigmoid", "Tanh"}, [GPU_CELL_LSTM] = {"Sigmoid", "Tanh", "Tanh"}};
    const struct attr *names = node_attr(node, "activations");
    const float *alpha = NULL, *beta = NULL;
    const int n_alpha = node_attr_floats(node, "activation_alpha", &alpha);
    const int n_beta = node_attr_floats(node, "activation_beta", &beta), each = 1 + g->kind;
    int at_alpha = 0, at_beta = 0;
    if (names && (names->type != ATTR_STRINGS || names->count != each * g->directions)) return false;
    for (int i = 0; i < each * g->directions; i++) {
        const char *name = names ? names->u.strings[i] : standard[g->kind][i % each];
        size_t k = 0;
        while (k < sizeof functions / sizeof *functions && strcasecmp(name, functions[k].name) != 0) k++;
        if (k == sizeof functions / sizeof *functions) return false;
        struct gpu_activation *a = &g->act[i / each][i % each];
        *a = (struct gpu_activation){functions[k].op, functions[k].alpha, functions[k].beta};
        if (functions[k].has_alpha && at_alpha < n_alpha) a->alpha = alpha[at_alpha++];
        if (functions[k].has_beta && at_beta < n_beta) a->beta = beta[at_beta++];
    }
    return true;
}

static bool has_count(const struct lowered *p, const struct value *v, int64_t count)
{
    return !v || (info_of(p, v)->count == count && info_of(p, v)->dtype == REEL_F32);
}

static bool open_layer(const struct lowered *p, const struct node *node, struct layer *l)
{
    const char *direction = node_attr_string(node, "direction", "forward");
    *l = (struct layer){.node = node};
    struct gpu_rnn *g = &l->g;
    g->kind = node_is(node, "RNN") ? GPU_CELL_RNN : node_is(node, "GRU") ? GPU_CELL_GRU : GPU_CELL_LSTM;
    g->directions = !strcmp(direction, "bidirectional") ? 2 : 1;
    g->reverse = !strcmp(direction, "reverse");
    g->batch_first = node_attr_int(node, "layout", 0) != 0;
    g->linear_before_reset = node_attr_int(node, "linear_before_reset", 0) != 0;
    g->input_forget = node_attr_int(node, "input_forget", 0) != 0;
    g->clip = node_attr_float(node, "clip", 0);
    for (int i = 0; i < 3; i++)
        if (!in_of(node, i) || info_of(p, node->in[i])->dtype != REEL_F32 || info_of(p, node->in[i])->shape.ndim != 3)
            return false;
    const int64_t *x = info_of(p, node->in[IN_X])->shape.dim, *r = info_of(p, node->in[IN_R])->shape.dim;
    const int constants[] = {IN_W, IN_R, IN_B, IN_P};
    for (int i = 0; i < 4; i++)
        if (in_of(node, constants[i]) && !node->in[constants[i]]->constant) return false;
    if (node->in[IN_X]->constant || x[0] * x[1] > INT32_MAX / 4 || x[2] > INT32_MAX / 4 || r[2] > GPU_RNN_MOST_HIDDEN)
        return false;
    g->steps = (int)x[g->batch_first], g->batch = (int)x[!g->batch_first], g->hidden = (int)r[2];
    l->input = (int)x[2], l->gates = GPU_RNN_GATES(g->kind), l->width = l->gates * g->hidden;
    const int64_t states = (int64_t)g->directions * g->batch * g->hidden, n = (int64_t)g->directions * l->width;
    const struct value *length = in_of(node, IN_LENGTH);
    if (length && (info_of(p, length)->dtype != REEL_I32 || info_of(p, length)->count != g->batch)) return false;
    return has_count(p, node->in[IN_W], n * l->input) && has_count(p, node->in[IN_R], n * g->hidden) &&
           has_count(p, in_of(node, IN_B), 2 * n) && has_count(p, in_of(node, IN_H), states) &&
           has_count(p, in_of(node, IN_C), states) &&
           has_count(p, in_of(node, IN_P), (int64_t)g->directions * 3 * g->hidden) && g->batch <= 65535 &&
           read_functions(node, g);
}

// ---- weights ---------------------------------------------------------------------------

// (directions,width,input) -> (input,directions,width)
static enum reel_err turned_w(struct lowered *p, const struct layer *l, struct ref *out)
{
    const float *f = gpu_const_floats(p, l->node->in[IN_W]);
    const int64_t rows = (int64_t)l->g.directions * l->width;
    float *m = malloc((size_t)(rows * l->input) * sizeof *m + 1);
    enum reel_err err = f && m ? REEL_OK : gpu_no_memory(l->node);
    for (int64_t j = 0; j < rows && !err; j++)
        for (int64_t i = 0; i < l->input; i++) m[i * rows + j] = f[j * l->input + i];
    if (!err) err = gpu_make_constant_floats(p, m, rows * l->input, rows * l->input, p->low, out);
    free(m);
    return err;
}

// (directions,width,hidden) -> (directions,hidden,width)
static enum reel_err turned_r(struct lowered *p, const struct layer *l, struct ref *out)
{
    const float *f = gpu_const_floats(p, l->node->in[IN_R]);
    const int64_t n = l->g.hidden, one = n * l->width, all = one * l->g.directions;
    float *m = malloc((size_t)all * sizeof *m + 1);
    enum reel_err err = f && m ? REEL_OK : gpu_no_memory(l->node);
    for (int64_t d = 0; d < l->g.directions && !err; d++)
        for (int64_t j = 0; j < l->width; j++)
            for (int64_t k = 0; k < n; k++) m[d * one + k * l->width + j] = f[d * one + j * n + k];
    if (!err) err = gpu_make_constant_floats(p, m, all, all, p->low, out);
    free(m);
    return err;
}

// Adds both biases of a gate, except those of GRU's candidate with linear_before_reset.
static enum reel_err joined_bias(struct lowered *p, const struct layer *l, struct ref *out)
{
    const struct value *v = in_of(l->node, IN_B);
    const float *f = v ? gpu_const_floats(p, v) : NULL;
    const int64_t n = l->g.hidden, width = l->width, d_n = l->g.directions;
    float *m = calloc((size_t)(d_n * (width + n)), sizeof *m);
    if (!m || (v && !f)) {
        free(m);
        return gpu_no_memory(l->node);
    }
    const bool apart = l->g.kind == GPU_CELL_GRU && l->g.linear_before_reset;
    for (int64_t d = 0; d < d_n && f; d++)
        for (int64_t j = 0; j < width; j++) {
            const float of_w = f[d * 2 * width + j], of_r = f[d * 2 * width + width + j];
            const bool beside = apart && j >= 2 * n;
            m[d * width + j] = beside ? of_w : of_w + of_r;
            if (beside) m[d_n * width + d * n + j - 2 * n] = of_r;
        }
    enum reel_err err = gpu_make_constant(p, m, (size_t)(d_n * (width + n)) * sizeof *m, out);
    free(m);
    return err;
}

// ---- steps -----------------------------------------------------------------------------

// The inputs as (batch,steps,input) in the program's float type.
static enum reel_err input_rows(struct lowered *p, const struct layer *l, struct ref *out)
{
    const struct value *x = l->node->in[IN_X];
    if (l->g.batch_first || l->g.batch == 1) return gpu_need_form(p, x, FORM_LOW, out);
    struct view v;
    struct move m = MOVE_NONE;
    enum reel_err err = gpu_need_view(p, x, &v);
    m.n = 3;
    m.extent[0] = l->g.batch, m.extent[1] = l->g.steps, m.extent[2] = l->input;
    m.src[0] = v.stride[1], m.src[1] = v.stride[0], m.src[2] = v.stride[2];
    m.dst[0] = (int64_t)l->g.steps * l->input, m.dst[1] = l->input, m.dst[2] = 1;
    const size_t count = (size_t)l->g.batch * (size_t)l->g.steps * (size_t)l->input;
    if (!err) err = gpu_make_temporary(p, count * gpu_elem_bytes(p->low), out);
    return err ? err : gpu_emit_move(p, l->node, "inputs", &m, v.at, v.elem, *out, p->low);
}

static enum reel_err input_products(struct lowered *p, const struct layer *l, struct ref *out)
{
    struct gpu_product g = {.node = l->node, .batches = l->g.batch, .m = l->g.steps, .c = l->input};
    g.k = l->g.directions * l->width;
    g.w_row = g.k, g.w_col = 1; // the same matrix for all
    const size_t count = (size_t)l->g.batch * (size_t)l->g.steps * (size_t)g.k;
    enum reel_err err = input_rows(p, l, &g.x);
    if (!err) err = turned_w(p, l, &g.w);
    if (!err) err = gpu_make_temporary(p, count * gpu_elem_bytes(p->low), out);
    g.y = *out;
    return err ? err : gpu_emit_product(p, &g);
}

static enum reel_err initial(struct lowered *p, const struct value *v, struct ref *out, int *out_elem)
{
    enum form_kind kind;
    if (!v) return REEL_OK;
    enum reel_err err = gpu_need_rows(p, v, &kind, out);
    *out_elem = gpu_form_elem(p, info_of(p, v), kind);
    return err;
}

static enum reel_err result(struct lowered *p, const struct node *node, int i, struct ref *out)
{
    const bool wanted = i < node->n_out && node->out[i] && info_of(p, node->out[i])->uses;
    return wanted ? gpu_make_form(p, node->out[i], FORM_LOW, out) : REEL_OK;
}

enum reel_err gpu_lower_rnn(struct lowered *p, const struct node *node, bool *out_done)
{
    struct layer l;
    if ((!node_is(node, "RNN") && !node_is(node, "GRU") && !node_is(node, "LSTM")) || node->n_epilogue) return REEL_OK;
    if (!open_layer(p, node, &l) || gpu_only_on_host(p, node->in[IN_X])) return REEL_OK;
    struct step s = gpu_step_of(STEP_RNN, "all steps");
    *out_done = true;
    enum reel_err err = input_products(p, &l, &s.x);
    if (!err) err = turned_r(p, &l, &s.w);
    if (!err) err = joined_bias(p, &l, &s.extra[0]);
    if (!err && in_of(node, IN_P)) err = gpu_need_form(p, node->in[IN_P], FORM_PLAIN, &s.extra[1]);
    if (!err && in_of(node, IN_LENGTH)) err = gpu_need_form(p, node->in[IN_LENGTH], FORM_PLAIN, &s.extra[2]);
    if (!err) err = initial(p, in_of(node, IN_H), &s.operand[0], &l.g.h_elem);
    if (!err) err = initial(p, in_of(node, IN_C), &s.operand[1], &l.g.c_elem);
    if (!err) err = result(p, node, 0, &s.y);
    if (!err) err = result(p, node, 1, &s.operand[2]);
    if (!err) err = result(p, node, 2, &s.operand[3]);
    l.g.xw_elem = l.g.r_elem = l.g.y_elem = p->low;
    s.u.rnn = l.g;
    return err ? err : gpu_put_step(p, &s, node);
}
