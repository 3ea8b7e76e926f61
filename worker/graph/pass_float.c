// SPDX-License-Identifier: MIT
//
// Converts networks in 16-bit floats to float32: expands constants, turns casts to 16 bits into
// casts to float32, and adds Cast nodes so that the graph's inputs and outputs keep their types.
// So backends see one float type and choose their precision themselves. Runs before shape inference.
#include <string.h>

#include "worker/graph/pass.h"
#include "worker/onnx/op.h"

// onnx.proto, TensorProto.DataType
enum { ONNX_FLOAT = 1, ONNX_FLOAT16 = 10, ONNX_BFLOAT16 = 16 };

static bool is_half(enum reel_dtype dtype)
{
    return dtype == REEL_F16 || dtype == REEL_BF16;
}

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not expand 16-bit floats: out of memory");
}

static enum reel_err expand(struct graph *graph, const struct reel_tensor *half, struct reel_tensor **out_full)
{
    struct reel_tensor full;
    enum reel_err err = reel_tensor_init(&full, REEL_F32, &half->shape);
    if (err) return err;
    reel_convert(full.data, REEL_F32, half->data, half->dtype, reel_tensor_count(half));
    *out_full = graph_own_tensor(graph, &full);
    if (*out_full) return REEL_OK;
    reel_tensor_fini(&full);
    return out_of_memory();
}

static enum reel_err widen_attrs(struct graph *graph, struct node *node)
{
    for (int i = 0; i < node->n_attr; i++) {
        struct attr *a = &node->attr[i];
        bool type_name = !strcmp(a->name, "to") || !strcmp(a->name, "dtype") || !strcmp(a->name, "output_datatype") ||
                         !strcmp(a->name, "output_dtype"); // of DequantizeLinear
        if (a->type == ATTR_INT && type_name && (a->u.i == ONNX_FLOAT16 || a->u.i == ONNX_BFLOAT16))
            a->u.i = ONNX_FLOAT;
        if (a->type == ATTR_TENSOR && is_half(a->u.t->dtype)) {
            enum reel_err err = expand(graph, a->u.t, &a->u.t);
            if (err) return err;
        }
    }
    return REEL_OK;
}

static enum reel_err widen_graph(struct graph *graph)
{
    for (int i = 0; i < graph->n_values; i++) {
        struct value *v = graph->values[i];
        if (!is_half(v->dtype)) continue;
        v->dtype = REEL_F32;
        if (!v->constant) continue;
        enum reel_err err = expand(graph, v->constant, &v->constant);
        if (err) return err;
    }
    for (struct node *node = graph->first; node; node = node->next) {
        enum reel_err err = widen_attrs(graph, node);
        for (int i = 0; !err && i < node->n_attr; i++)
            if (node->attr[i].type == ATTR_GRAPH) err = widen_graph(node->attr[i].u.g);
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err add_cast(struct graph *graph, struct node *before, const char *edge, struct value *from,
                              struct value *to, int64_t type)
{
    struct node *cast = graph_add_node(graph, before, "Cast", NULL, &from, 1, &to, 1);
    struct attr *a = graph_alloc(graph, sizeof *a);
    if (!cast || !a || !(cast->name = graph_strdup(graph, edge))) return out_of_memory();
    *a = (struct attr){.name = "to", .type = ATTR_INT, .u.i = type};
    cast->attr = a;
    cast->n_attr = 1;
    cast->opset = 13;
    cast->op = op_find("", "Cast", 13, NULL);
    return cast->op ? REEL_OK : reel_fail(REEL_ERR_UNSUPPORTED, "operator Cast is not supported");
}

static bool any_half(const struct graph *graph)
{
    for (int i = 0; i < graph->n_values; i++)
        if (is_half(graph->values[i]->dtype)) return true;
    for (const struct node *node = graph->first; node; node = node->next)
        for (int i = 0; i < node->n_attr; i++) {
            const struct attr *a = &node->attr[i];
            if (a->type == ATTR_GRAPH && any_half(a->u.g)) return true;
            if (a->type == ATTR_TENSOR && is_half(a->u.t->dtype)) return true;
            if (a->type == ATTR_INT && (a->u.i == ONNX_FLOAT16 || a->u.i == ONNX_BFLOAT16) && !strcmp(a->name, "to"))
                return true;
        }
    return false;
}

enum reel_err pass_float(struct graph *graph, const struct pass_params *params)
{
    (void)params;
    if (!any_half(graph)) return REEL_OK;
    enum reel_dtype *in_types = graph_alloc(graph, (size_t)(graph->n_inputs + graph->n_outputs + 1) * sizeof *in_types);
    if (!in_types) return out_of_memory();
    enum reel_dtype *out_types = in_types + graph->n_inputs;
    for (int i = 0; i < graph->n_inputs; i++) in_types[i] = graph->inputs[i]->dtype;
    for (int i = 0; i < graph->n_outputs; i++) out_types[i] = graph->outputs[i]->dtype;
    enum reel_err err = widen_graph(graph);

    struct node *first = graph->first;
    for (int i = 0; !err && i < graph->n_inputs; i++) {
        struct value *in = graph->inputs[i];
        if (!is_half(in_types[i])) continue;
        in->dtype = in_types[i];
        struct value *wide = graph_add_value(graph, NULL);
        if (!wide) return out_of_memory();
        graph_replace_value(graph, in, wide);
        err = add_cast(graph, first, "input_to_float32", in, wide, ONNX_FLOAT);
    }
    for (int i = 0; !err && i < graph->n_outputs; i++) {
        if (!is_half(out_types[i])) continue;
        struct value *from = graph->outputs[i], *narrow = graph_add_value(graph, NULL);
        if (!narrow) return out_of_memory();
        err = add_cast(graph, NULL, "output_from_float32", from, narrow,
                       out_types[i] == REEL_F16 ? ONNX_FLOAT16 : ONNX_BFLOAT16);
        graph->outputs[i] = narrow;
    }
    if (!err) graph_count_uses(graph);
    return err;
}
