// SPDX-License-Identifier: MIT
//
// Makes activations, additions and factors after Conv, ConvTranspose, MatMul and Gemm steps of
// their epilogue, as far as the backend supports it. A fused node moves to the position of the last
// node that it absorbed, since a residual operand may be computed in between.
//
// Operands of ADD and MUL have the result's shape, or one element per channel: (1,C,1,1) after a
// convolution, (N) (the last axis) after a matrix product. Slopes of PRELU keep ONNX's shape.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/backend/backend.h"
#include "worker/graph/pass.h"
#include "worker/onnx/op.h"

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not fuse nodes: out of memory");
}

static bool is(const struct node *node, const char *op_type)
{
    return node && !*node->domain && !strcmp(node->op_type, op_type);
}

static bool is_conv(const struct node *node)
{
    return is(node, "Conv") || is(node, "ConvTranspose");
}

static bool is_main(const struct node *node)
{
    if (!is_conv(node) && !is(node, "MatMul") && !is(node, "Gemm")) return false;
    return node->out[0] && node->out[0]->dtype == REEL_F32 && reel_shape_count(&node->out[0]->shape) > 0;
}

// ---- one step ---------------------------------------------------------------

static bool scalar(const struct value *v, float *out)
{
    if (!v || !v->constant || !v->constant->data || reel_tensor_count(v->constant) != 1) return false;
    *out = (float)op_scalar(v->constant, 0);
    return true;
}

// The step for an activation. False if the node is none, or its parameters are not constant.
static bool activation(const struct node *node, struct epilogue *e)
{
    static const struct {
        const char *op_type;
        enum epilogue_kind kind;
        const char *alpha, *beta;
        float alpha_absent, beta_absent;
    } table[] = {
        {"Relu", EPILOGUE_RELU, NULL, NULL, 0, 0},
        {"LeakyRelu", EPILOGUE_LEAKY, "alpha", NULL, 0.01f, 0},
        {"Sigmoid", EPILOGUE_SIGMOID, NULL, NULL, 0, 0},
        {"Tanh", EPILOGUE_TANH, NULL, NULL, 0, 0},
        {"HardSwish", EPILOGUE_HSWISH, NULL, NULL, 0, 0},
        {"HardSigmoid", EPILOGUE_HSIGMOID, "alpha", "beta", 0.2f, 0.5f},
        {"Elu", EPILOGUE_ELU, "alpha", NULL, 1, 0},
        {"Mish", EPILOGUE_MISH, NULL, NULL, 0, 0},
    };
    *e = (struct epilogue){0};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!is(node, table[i].op_type)) continue;
        e->kind = table[i].kind;
        e->alpha = table[i].alpha ? node_attr_float(node, table[i].alpha, table[i].alpha_absent) : 0;
        e->beta = table[i].beta ? node_attr_float(node, table[i].beta, table[i].beta_absent) : 0;
        return true;
    }
    if (is(node, "Gelu")) {
        bool tanh = !strcmp(node_attr_string(node, "approximate", "none"), "tanh");
        e->kind = tanh ? EPILOGUE_GELU_TANH : EPILOGUE_GELU_ERF;
        return true;
    }
    if (is(node, "Clip")) {
        e->kind = EPILOGUE_CLIP;
        e->alpha = node_attr_float(node, "min", -INFINITY);
        e->beta = node_attr_float(node, "max", INFINITY);
        if (node->n_in > 1 && node->in[1] && !scalar(node->in[1], &e->alpha)) return false;
        if (node->n_in > 2 && node->in[2] && !scalar(node->in[2], &e->beta)) return false;
        return e->alpha <= e->beta;
    }
    return false;
}

// Whether v has one element per channel of main's result. After a convolution channels are axis 1,
// after a matrix product the last axis.
static bool per_channel(const struct node *main, const struct value *v)
{
    const struct reel_shape *out = &main->out[0]->shape;
    if (!v->constant || v->constant->dtype != REEL_F32 || v->shape.ndim > out->ndim || out->ndim < 2) return false;
    int64_t count = reel_tensor_count(v->constant);
    int channel = is_conv(main) ? 1 : out->ndim - 1, axis = channel - (out->ndim - v->shape.ndim);
    if (count == 1) return true;
    return axis >= 0 && count == out->dim[channel] && v->shape.dim[axis] == count;
}

// Makes f(constant) an operand with one element per channel, in the shape given at the top.
static enum reel_err channel_operand(struct graph *graph, const struct node *main, const struct value *v,
                                     double (*f)(double), struct value **out_value)
{
    const struct reel_shape *out = &main->out[0]->shape;
    struct reel_shape shape = {.ndim = 1};
    if (is_conv(main)) {
        shape.ndim = out->ndim;
        for (int d = 0; d < shape.ndim; d++) shape.dim[d] = d == 1 ? out->dim[1] : 1;
    } else {
        shape.dim[0] = out->dim[out->ndim - 1];
    }
    struct reel_tensor t;
    enum reel_err err = reel_tensor_init(&t, REEL_F32, &shape);
    if (err) return err;
    int64_t n = reel_tensor_count(&t), have = reel_tensor_count(v->constant);
    for (int64_t i = 0; i < n; i++) ((float *)t.data)[i] = (float)f(op_scalar(v->constant, have == 1 ? 0 : i));
    *out_value = graph_add_constant(graph, NULL, &t);
    if (*out_value) return REEL_OK;
    reel_tensor_fini(&t);
    return out_of_memory();
}

static double same(double x)
{
    return x;
}

static double negated(double x)
{
    return -x;
}

static double inverted(double x)
{
    return 1 / x;
}

static bool all_finite_inverse(const struct value *v)
{
    for (int64_t i = 0, n = reel_tensor_count(v->constant); i < n; i++)
        if (!(fabs(1 / op_scalar(v->constant, i)) < 1e18)) return false;
    return true;
}

// The step for Add, Sub, Mul or Div with one constant per channel.
static enum reel_err channel_step(struct graph *graph, const struct node *main, const struct node *node,
                                  struct epilogue *e, bool *out_ok)
{
    *out_ok = false;
    if (node->n_in != 2 || node->opset < 7 || node->in[0] == node->in[1]) return REEL_OK;
    bool second = node->in[1] == main->out[0];
    const struct value *c = node->in[second ? 0 : 1];
    bool add = is(node, "Add"), mul = is(node, "Mul"), sub = is(node, "Sub") && !second,
         div = is(node, "Div") && !second;
    if (!(add || mul || sub || div) || !c || !per_channel(main, c)) return REEL_OK;
    if (div && !all_finite_inverse(c)) return REEL_OK;
    *e = (struct epilogue){.kind = add || sub ? EPILOGUE_ADD : EPILOGUE_MUL};
    *out_ok = true;
    return channel_operand(graph, main, c, sub ? negated : div ? inverted : same, &e->other);
}

static bool prelu_step(const struct node *main, const struct node *node, struct epilogue *e)
{
    if (!is(node, "PRelu") || node->n_in != 2 || node->in[0] != main->out[0] || !is_conv(main)) return false;
    if (!node->in[1] || node->in[1]->owner != main->out[0]->owner) return false;
    *e = (struct epilogue){.kind = EPILOGUE_PRELU, .other = node->in[1]};
    return per_channel(main, node->in[1]);
}

// The step for adding another computed value of the same shape. If that is the result of a later
// node which could absorb the addition itself, it is left to that node.
static bool residual_step(const struct graph *graph, const struct node *main, const struct node *node,
                          struct epilogue *e)
{
    if (!is(node, "Add") || node->n_in != 2 || !is_conv(main) || node->in[0] == node->in[1]) return false;
    struct value *other = node->in[node->in[0] == main->out[0] ? 1 : 0];
    if (!other || other->constant || other->owner != graph || other->dtype != REEL_F32) return false;
    if (!reel_shape_equal(&other->shape, &main->out[0]->shape)) return false;
    const struct node *rival = other->producer;
    if (rival && is_main(rival) && is_conv(rival) && rival->id > main->id && rival->n_epilogue < NODE_MAX_EPILOGUE &&
        graph_only_consumer(graph, other) == node)
        return false;
    *e = (struct epilogue){.kind = EPILOGUE_ADD, .other = other};
    return true;
}

// ---- fusing -----------------------------------------------------------------

// Moves main in the list, to the position right before place.
static void move_before(struct graph *graph, struct node *main, struct node *place)
{
    if (main->next == place) return;
    *(main->prev ? &main->prev->next : &graph->first) = main->next;
    *(main->next ? &main->next->prev : &graph->last) = main->prev;
    main->prev = place->prev;
    main->next = place;
    *(place->prev ? &place->prev->next : &graph->first) = main;
    place->prev = main;
}

static enum reel_err absorb(struct graph *graph, struct node *main, struct node *last, const struct epilogue *e)
{
    move_before(graph, main, last);
    main->id = last->id;
    struct value *out = last->out[0];
    graph_set_output(graph, last, 0, NULL);
    graph_remove_node(graph, last);
    graph_set_output(graph, main, 0, out);
    if (!graph_add_epilogue(graph, main, e->kind, e->alpha, e->beta, e->other)) return out_of_memory();
    return REEL_OK;
}

// If x has exactly two readers, which form x * sigmoid(x), returns the multiplication.
static struct node *silu_behind(const struct graph *graph, const struct value *x)
{
    if (x->n_uses != 2 || x->n_use_nodes != 2 || x->is_output) return NULL;
    for (int i = 0; i < 2; i++) {
        struct node *sigmoid = x->uses[i], *mul = x->uses[1 - i];
        if (!is(sigmoid, "Sigmoid") || !is(mul, "Mul") || mul->n_in != 2 || mul->n_epilogue || sigmoid->n_epilogue)
            continue;
        if (graph_only_consumer(graph, sigmoid->out[0]) != mul) continue;
        bool both =
            (mul->in[0] == x && mul->in[1] == sigmoid->out[0]) || (mul->in[1] == x && mul->in[0] == sigmoid->out[0]);
        if (both) return mul;
    }
    return NULL;
}

static enum reel_err absorb_silu(struct graph *graph, struct node *main, struct node *mul, bool *out_done)
{
    struct node *sigmoid = mul->in[0] == main->out[0] ? mul->in[1]->producer : mul->in[0]->producer;
    const struct epilogue e = {.kind = EPILOGUE_SILU};
    *out_done = true;
    enum reel_err err = absorb(graph, main, mul, &e);
    if (!err) graph_remove_node(graph, sigmoid);
    return err;
}

static enum reel_err fuse_next(struct graph *graph, struct node *main, unsigned caps, bool *out_done)
{
    *out_done = false;
    if (main->n_epilogue == NODE_MAX_EPILOGUE) return REEL_OK;
    struct value *y = main->out[0];
    bool acts = caps & BACKEND_FUSES_ACT;
    struct node *mul = acts ? silu_behind(graph, y) : NULL;
    if (mul) return absorb_silu(graph, main, mul, out_done);
    struct node *next = graph_only_consumer(graph, y);
    if (!next || next->n_out < 1 || !next->out[0] || next->n_epilogue || next->out[0]->dtype != REEL_F32)
        return REEL_OK;
    if (!reel_shape_equal(&next->out[0]->shape, &y->shape)) return REEL_OK;
    struct epilogue e;
    bool ok = acts && next->in[0] == y && activation(next, &e);
    if (!ok && caps & BACKEND_FUSES_PRELU) ok = prelu_step(main, next, &e);
    if (!ok && caps & BACKEND_FUSES_RESIDUAL) ok = residual_step(graph, main, next, &e);
    if (!ok && acts) {
        enum reel_err err = channel_step(graph, main, next, &e, &ok);
        if (err) return err;
    }
    if (!ok) return REEL_OK;
    *out_done = true;
    return absorb(graph, main, next, &e);
}

enum reel_err pass_fuse(struct graph *graph, const struct pass_params *params)
{
    graph_renumber(graph);
    for (struct node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (!is_main(node)) continue;
        struct node *before = node->prev;
        bool done = true;
        while (done) {
            enum reel_err err = fuse_next(graph, node, params->caps, &done);
            if (err) return err;
        }
        // The node may have moved down and next may have been absorbed, so continue after the node's
        // old position.
        next = before ? before->next : graph->first;
        if (next == node) next = node->next;
    }
    graph_renumber(graph);
    return REEL_OK;
}
