// SPDX-License-Identifier: MIT
//
// Brings quantised networks into one form. Files have three: QDQ (DequantizeLinear -> operator in
// float32 -> QuantizeLinear), QOperator (QLinearConv, QLinearMatMul, com.microsoft's QLinear* and
// QGemm) and integer operators (ConvInteger, MatMulInteger). The second is turned into the first: the
// arithmetic is the same, and backends with 8-bit kernels fuse it again. For those backends,
// operators that only move elements between equal scales are done on the bytes; other backends
// (BACKEND_STEPS) compute in float.
//
// It quantises nothing that the file does not.
#include <string.h>

#include "worker/backend/backend.h"
#include "worker/graph/pass.h"
#include "worker/onnx/op.h"

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not rewrite quantised nodes: out of memory");
}

static bool is(const struct node *node, const char *op_type)
{
    return node && !*node->domain && !strcmp(node->op_type, op_type);
}

// ---- building --------------------------------------------------------------

static bool set_attributes(struct graph *graph, struct node *node, const struct node *from, int axis)
{
    const int n = (from ? from->n_attr : 0) + (axis >= 0);
    struct attr *attr = graph_alloc(graph, sizeof *attr * (size_t)(n + 1));
    if (!attr) return false;
    if (from && from->n_attr) memcpy(attr, from->attr, sizeof *attr * (size_t)from->n_attr);
    if (axis >= 0) attr[n - 1] = (struct attr){.name = "axis", .type = ATTR_INT, .u.i = axis};
    node->attr = attr;
    node->n_attr = n;
    return true;
}

// Inserts a DequantizeLinear of the node's inputs in[i], in[i + 1] (scale), in[i + 2] (zero point).
static struct value *dequantized(struct graph *graph, struct node *node, int i, int axis)
{
    struct value *in[3] = {node->in[i], node->in[i + 1], i + 2 < node->n_in ? node->in[i + 2] : NULL};
    struct value *out = pass_insert(graph, node, "DequantizeLinear", in, in[2] ? 3 : 2, REEL_F32, &in[0]->shape);
    return out && set_attributes(graph, out->producer, NULL, axis) ? out : NULL;
}

// Replaces the node by op_type(in) in float32 and a QuantizeLinear.
static enum reel_err replace(struct graph *graph, struct node *node, const char *op_type, struct value *const *in,
                             int n_in, struct value *scale, struct value *zero)
{
    struct value *old = node->out[0];
    struct value *y = pass_insert(graph, node, op_type, in, n_in, REEL_F32, &old->shape);
    if (!y || !set_attributes(graph, y->producer, node, -1)) return out_of_memory();
    struct value *q_in[3] = {y, scale, zero};
    struct value *q = pass_insert(graph, node, "QuantizeLinear", q_in, zero ? 3 : 2, old->dtype, &old->shape);
    if (!q) return out_of_memory();
    struct node *quantize = q->producer;
    graph_set_output(graph, node, 0, NULL);
    graph_remove_node(graph, node);
    graph_set_output(graph, quantize, 0, old);
    return REEL_OK;
}

// ---- QOperator -> QDQ -------------------------------------------------------------

static bool one(const struct value *v)
{
    return !v || (v->constant && reel_tensor_count(v->constant) == 1);
}

static bool fixed(const struct value *v)
{
    return v && v->constant;
}

// Whether weights have one scale and zero point, or one for each of `outputs`.
static bool fits_outputs(const struct value *scale, const struct value *zero, const struct value *bias, int64_t outputs)
{
    const int64_t scales = reel_tensor_count(scale->constant);
    if (outputs < 1 || (scales != 1 && scales != outputs)) return false;
    if (bias && (bias->constant->dtype != REEL_I32 || reel_tensor_count(bias->constant) != outputs)) return false;
    return !zero || reel_tensor_count(zero->constant) == scales;
}

// Dequantises the int32 bias; its scale is that of the input times that of the weights.
static enum reel_err bias_value(struct graph *graph, const struct value *bias, const struct value *xs,
                                const struct value *ws, struct value **out_value)
{
    const int64_t n = reel_tensor_count(bias->constant), scales = reel_tensor_count(ws->constant);
    struct reel_tensor t;
    enum reel_err err = reel_tensor_init(&t, REEL_F32, &(struct reel_shape){.ndim = 1, .dim = {n}});
    if (err) return err;
    for (int64_t i = 0; i < n; i++) {
        const float step = (float)op_scalar(xs->constant, 0) * (float)op_scalar(ws->constant, scales > 1 ? i : 0);
        ((float *)t.data)[i] = (float)((double)op_scalar_int(bias->constant, i) * step);
    }
    *out_value = graph_add_constant(graph, NULL, &t);
    if (*out_value) return REEL_OK;
    reel_tensor_fini(&t);
    return out_of_memory();
}

// QLinearConv (x, xs, xz, w, ws, wz, ys, yz, bias).
static enum reel_err from_conv(struct graph *graph, struct node *node)
{
    struct value **in = node->in, *bias = node->n_in > 8 ? in[8] : NULL;
    if (node->n_in < 8 || !in[1] || !one(in[1]) || !one(in[2]) || !fixed(in[3]) || !fixed(in[4]) || !one(in[6]) ||
        !one(in[7]) || (in[5] && !fixed(in[5])) || (bias && !fixed(bias)) || !in[7])
        return REEL_OK;
    if (in[3]->shape.ndim < 3 || !fits_outputs(in[4], in[5], bias, in[3]->shape.dim[0])) return REEL_OK;
    // float32 does not represent larger numbers exactly
    for (int64_t i = 0; bias && i < reel_tensor_count(bias->constant); i++)
        if (op_scalar_int(bias->constant, i) > 1 << 24 || op_scalar_int(bias->constant, i) < -(1 << 24)) return REEL_OK;
    struct value *scale = in[6], *zero = in[7], *args[3] = {0};
    args[0] = dequantized(graph, node, 0, -1);
    args[1] = dequantized(graph, node, 3, 0);
    if (!args[0] || !args[1]) return out_of_memory();
    enum reel_err err = bias ? bias_value(graph, bias, node->in[1], node->in[4], &args[2]) : REEL_OK;
    return err ? err : replace(graph, node, "Conv", args, bias ? 3 : 2, scale, zero);
}

// QLinearMatMul (a, as, az, b, bs, bz, ys, yz).
static enum reel_err from_matmul(struct graph *graph, struct node *node)
{
    struct value **in = node->in;
    if (node->n_in < 8 || !one(in[1]) || !one(in[2]) || !one(in[6]) || !one(in[7]) || !fixed(in[3]) || !fixed(in[4]))
        return REEL_OK;
    if ((in[5] && !fixed(in[5])) || in[3]->shape.ndim != 2 || in[4]->shape.ndim > 1 || (in[5] && in[5]->shape.ndim > 1))
        return REEL_OK;
    if (!fits_outputs(in[4], in[5], NULL, in[3]->shape.dim[1])) return REEL_OK;
    struct value *scale = in[6], *zero = in[7];
    struct value *args[2] = {dequantized(graph, node, 0, -1), dequantized(graph, node, 3, 1)};
    return args[0] && args[1] ? replace(graph, node, "MatMul", args, 2, scale, zero) : out_of_memory();
}

// com.microsoft QGemm (a, as, az, b, bs, bz, c, ys, yz).
static enum reel_err from_gemm(struct graph *graph, struct node *node)
{
    struct value **in = node->in, *bias = node->n_in > 6 ? in[6] : NULL;
    if (node->n_in < 9 || !in[7] || !in[8] || !one(in[1]) || !one(in[2]) || !fixed(in[3]) || !fixed(in[4]) ||
        !one(in[7]) || !one(in[8]) || (bias && !fixed(bias)) || (in[5] && !fixed(in[5])))
        return REEL_OK;
    const int columns = node_attr_int(node, "transB", 0) ? 0 : 1;
    if (in[3]->shape.ndim != 2 || !fits_outputs(in[4], in[5], bias, in[3]->shape.dim[columns])) return REEL_OK;
    struct value *scale = in[7], *zero = in[8], *args[3] = {0};
    args[0] = dequantized(graph, node, 0, -1);
    args[1] = dequantized(graph, node, 3, columns);
    if (!args[0] || !args[1]) return out_of_memory();
    enum reel_err err = bias ? bias_value(graph, bias, node->in[1], node->in[4], &args[2]) : REEL_OK;
    return err ? err : replace(graph, node, "Gemm", args, bias ? 3 : 2, scale, zero);
}

// (a, as, az, b, bs, bz, ys, yz) and (x, xs, xz, ys, yz).
static enum reel_err from_arithmetic(struct graph *graph, struct node *node, const char *op_type, int operands)
{
    struct value **in = node->in;
    if (node->n_in < 3 * operands + 1) return REEL_OK;
    for (int i = 0; i < node->n_in; i++)
        if (i % 3 != 0 || i == 3 * operands) {
            if (!one(in[i])) return REEL_OK;
        } else if (!in[i]) {
            return REEL_OK;
        }
    struct value *scale = in[3 * operands], *zero = node->n_in > 3 * operands + 1 ? in[3 * operands + 1] : NULL;
    if (!scale || (!zero && node->out[0]->dtype != REEL_U8)) return REEL_OK;
    struct value *args[2];
    for (int i = 0; i < operands; i++)
        if (!(args[i] = dequantized(graph, node, 3 * i, -1))) return out_of_memory();
    return replace(graph, node, op_type, args, operands, scale, zero);
}

// com.microsoft QLinearConcat (ys, yz, then triples).
static enum reel_err from_concat(struct graph *graph, struct node *node)
{
    const int n = (node->n_in - 2) / 3;
    if (n < 1 || !node->in[0] || !node->in[1] || !one(node->in[0]) || !one(node->in[1])) return REEL_OK;
    for (int i = 0; i < n; i++)
        if (!node->in[2 + 3 * i + 1] || !one(node->in[2 + 3 * i + 1]) || !one(node->in[2 + 3 * i + 2])) return REEL_OK;
    struct value *scale = node->in[0], *zero = node->in[1];
    struct value **args = graph_alloc(graph, sizeof(*args) * (size_t)n);
    if (!args) return out_of_memory();
    for (int i = 0; i < n; i++)
        if (!(args[i] = dequantized(graph, node, 2 + 3 * i, -1))) return out_of_memory();
    return replace(graph, node, "Concat", args, n, scale, zero);
}

// Whether a com.microsoft QLinearSoftmax works along one axis by the rules of every opset.
static bool along_one_axis(const struct node *node)
{
    const struct reel_shape *s = &node->in[0]->shape;
    int axis;
    if (node_attr_int(node, "opset", 13) >= 13) return true;
    if (op_axis(node_attr_int(node, "axis", -1), s->ndim, &axis)) return false;
    for (int d = axis + 1; d < s->ndim; d++)
        if (s->dim[d] != 1) return false;
    return true;
}

static enum reel_err from_operator(struct graph *graph, struct node *node)
{
    static const struct {
        const char *name, *op_type;
        int operands;
    } plain[] = {
        {"QLinearAdd", "Add", 2},
        {"QLinearMul", "Mul", 2},
        {"QLinearSigmoid", "Sigmoid", 1},
        {"QLinearLeakyRelu", "LeakyRelu", 1},
        {"QLinearAveragePool", "AveragePool", 1},
        {"QLinearGlobalAveragePool", "GlobalAveragePool", 1},
    };
    if (node->n_out < 1 || !node->out[0] || !node->in[0] || node->n_epilogue) return REEL_OK;
    if (is(node, "QLinearConv")) return from_conv(graph, node);
    if (is(node, "QLinearMatMul")) return from_matmul(graph, node);
    if (strcmp(node->domain, "com.microsoft") || node_attr_int(node, "channels_last", 0)) return REEL_OK;
    if (!strcmp(node->op_type, "QGemm")) return from_gemm(graph, node);
    if (!strcmp(node->op_type, "QLinearConcat")) return from_concat(graph, node);
    if (!strcmp(node->op_type, "QLinearSoftmax"))
        return along_one_axis(node) ? from_arithmetic(graph, node, "Softmax", 1) : REEL_OK;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (!strcmp(node->op_type, plain[i].name))
            return from_arithmetic(graph, node, plain[i].op_type, plain[i].operands);
    return REEL_OK;
}

// ---- moves ----------------------------------------------------------------------------

// Whether all results of the operator are elements of its first input (other inputs only select
// them). MaxPool is such an operator, because a positive scale keeps the order.
static bool is_move(const struct node *node)
{
    static const char *const ops[] = {"Reshape", "Flatten",  "Squeeze", "Unsqueeze",    "Transpose",
                                      "Slice",   "Gather",   "Expand",  "DepthToSpace", "SpaceToDepth",
                                      "MaxPool", "Identity", "Pad"};
    if (is(node, "Resize") || is(node, "Upsample"))
        return !strcmp(node_attr_string(node, "mode", "nearest"), "nearest") &&
               strcmp(node_attr_string(node, "coordinate_transformation_mode", ""), "tf_crop_and_resize");
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (is(node, ops[i])) return true;
    return false;
}

static bool same_constant(const struct value *a, const struct value *b)
{
    if (a == b) return true;
    if (!a || !b || !a->constant || !b->constant || a->constant->dtype != b->constant->dtype) return false;
    const int64_t n = reel_tensor_count(a->constant);
    return n == 1 && reel_tensor_count(b->constant) == 1 &&
           !memcmp(a->constant->data, b->constant->data, reel_dtype_bytes(a->constant->dtype));
}

static bool same_scale(const struct node *d, const struct node *q)
{
    const struct value *dz = d->n_in > 2 ? d->in[2] : NULL, *qz = q->n_in > 2 ? q->in[2] : NULL;
    return d->in[1] && d->in[1]->constant && reel_tensor_count(d->in[1]->constant) == 1 &&
           op_scalar(d->in[1]->constant, 0) > 0 && same_constant(d->in[1], q->in[1]) && same_constant(dz, qz) &&
           !node_attr_int(d, "block_size", 0) && !node_attr_int(q, "block_size", 0);
}

// Makes a Pad with the constant 0 fill in the zero point instead. False if its constant is another.
static bool pad_of_bytes(struct graph *graph, struct node *pad, const struct node *q)
{
    if (pad->opset < 11 || pad->n_in < 2) return false;
    if (strcmp(node_attr_string(pad, "mode", "constant"), "constant")) {
        if (pad->n_in > 2) graph_set_input(graph, pad, 2, NULL); // a float, not used in this mode
        return true;
    }
    const struct value *fill = pad->n_in > 2 ? pad->in[2] : NULL;
    if (fill && (!fill->constant || reel_tensor_count(fill->constant) != 1 || op_scalar(fill->constant, 0) != 0))
        return false;
    struct value *zero = q->n_in > 2 ? q->in[2] : NULL;
    if (!zero) return !fill;
    if (pad->n_in < 3) return false;
    graph_set_input(graph, pad, 2, zero);
    return true;
}

// DequantizeLinear -> move -> QuantizeLinear of the same scale becomes the move alone.
static enum reel_err move_bytes(struct graph *graph, struct node *q)
{
    struct node *move = q->in[0] ? q->in[0]->producer : NULL;
    if (!move || !is_move(move) || move->n_epilogue || move->out[0] != q->in[0] || !move->in[0]) return REEL_OK;
    for (int i = 1; i < move->n_out; i++)
        if (move->out[i] && move->out[i]->n_uses) return REEL_OK;
    struct node *d = move->in[0]->producer;
    if (!is(d, "DequantizeLinear") || graph_only_consumer(graph, move->out[0]) != q || !same_scale(d, q))
        return REEL_OK;
    struct value *bytes = d->in[0], *out = q->out[0];
    if (!out || bytes->dtype != out->dtype || (bytes->dtype != REEL_I8 && bytes->dtype != REEL_U8)) return REEL_OK;
    if (!(move->op->types >> bytes->dtype & 1)) return REEL_OK;
    for (int i = 1; i < move->n_in; i++)
        if (move->in[i] == move->in[0]) return REEL_OK;
    if (is(move, "Pad") && !pad_of_bytes(graph, move, q)) return REEL_OK;
    graph_set_input(graph, move, 0, bytes);
    graph_set_output(graph, q, 0, NULL);
    graph_remove_node(graph, q);
    graph_set_output(graph, move, 0, out);
    return REEL_OK;
}

// A move of bytes -> DequantizeLinear becomes a move of floats, for backends without 8-bit types.
// (Not Pad, whose constant would change.)
static enum reel_err move_floats(struct graph *graph, struct node *d, bool *out_any)
{
    struct node *move = d->in[0] ? d->in[0]->producer : NULL;
    if (!move || !is_move(move) || is(move, "Pad") || move->n_epilogue || move->out[0] != d->in[0] || !move->in[0])
        return REEL_OK;
    const enum reel_dtype dtype = move->in[0]->dtype;
    if ((dtype != REEL_U8 && dtype != REEL_I8) || graph_only_consumer(graph, move->out[0]) != d) return REEL_OK;
    if (!d->in[1] || !d->in[1]->constant || reel_tensor_count(d->in[1]->constant) != 1 ||
        op_scalar(d->in[1]->constant, 0) <= 0 || d->out[0]->dtype != REEL_F32)
        return REEL_OK;
    for (int i = 1; i < move->n_in; i++)
        if (move->in[i] == move->in[0]) return REEL_OK;
    struct value *in[3] = {move->in[0], d->in[1], d->n_in > 2 ? d->in[2] : NULL}, *out = d->out[0];
    struct value *floats = pass_insert(graph, move, "DequantizeLinear", in, in[2] ? 3 : 2, REEL_F32, &in[0]->shape);
    if (!floats) return out_of_memory();
    graph_set_input(graph, move, 0, floats);
    graph_set_output(graph, d, 0, NULL);
    graph_remove_node(graph, d);
    graph_set_output(graph, move, 0, out);
    *out_any = true;
    return REEL_OK;
}

static enum reel_err move_all_floats(struct graph *graph)
{
    bool any = true;
    enum reel_err err = REEL_OK;
    while (any && !err) {
        any = false;
        for (struct node *node = graph->first, *next; node && !err; node = next) {
            next = node->next;
            if (is(node, "DequantizeLinear")) err = move_floats(graph, node, &any);
        }
    }
    graph_renumber(graph);
    return err;
}

// DequantizeLinear -> Split -> a QuantizeLinear of the same scale after each part becomes the Split.
static enum reel_err split_bytes(struct graph *graph, struct node *split)
{
    struct node *d = split->in[0] ? split->in[0]->producer : NULL;
    if (!is(d, "DequantizeLinear") || split->n_epilogue || split->n_out < 1) return REEL_OK;
    struct value *bytes = d->in[0];
    if ((bytes->dtype != REEL_I8 && bytes->dtype != REEL_U8) || !(split->op->types >> bytes->dtype & 1)) return REEL_OK;
    for (int i = 0; i < split->n_out; i++) {
        const struct node *q = split->out[i] ? graph_only_consumer(graph, split->out[i]) : NULL;
        if (!is(q, "QuantizeLinear") || q->in[0] != split->out[i] || !q->out[0] || !same_scale(d, q) ||
            q->out[0]->dtype != bytes->dtype)
            return REEL_OK;
    }
    graph_set_input(graph, split, 0, bytes);
    for (int i = 0; i < split->n_out; i++) {
        struct node *q = graph_only_consumer(graph, split->out[i]);
        struct value *out = q->out[0];
        graph_set_output(graph, q, 0, NULL);
        graph_remove_node(graph, q);
        graph_set_output(graph, split, i, out);
    }
    return REEL_OK;
}

enum reel_err pass_quant(struct graph *graph, const struct pass_params *params)
{
    if (!(params->caps & (BACKEND_INT8 | BACKEND_STEPS))) return REEL_OK;
    for (struct node *node = graph->first, *next; node; node = next) {
        next = node->next;
        enum reel_err err = from_operator(graph, node);
        if (err) return err;
    }
    if (!(params->caps & BACKEND_INT8)) return move_all_floats(graph);
    for (struct node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (!is(node, "QuantizeLinear")) continue;
        enum reel_err err = move_bytes(graph, node);
        if (err) return err;
    }
    for (struct node *node = graph->first; node; node = node->next) {
        enum reel_err err = is(node, "Split") ? split_bytes(graph, node) : REEL_OK;
        if (err) return err;
    }
    graph_renumber(graph);
    return REEL_OK;
}
