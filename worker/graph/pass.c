// SPDX-License-Identifier: MIT
//
// The ordered list of passes; see pass.h.
#include "worker/graph/pass.h"

#include <stdio.h>

#include "worker/backend/backend.h"
#include "worker/graph/shape.h"
#include "worker/onnx/op.h"

static enum reel_err pass_shapes(struct graph *graph, const struct pass_params *params)
{
    graph->keep_quantized = params->caps & BACKEND_INT8;
    return shape_infer(graph, params->in_shapes);
}

static const struct pass passes[] = {
    {"float", "16-bit floats in float32", pass_float},
    {"shapes", "types and shapes of all values; shape arithmetic folded", pass_shapes},
    {"clean", "identities, repeated and unread nodes removed", pass_clean},
    {"einsum", "Einsum of two operands as MatMul", pass_einsum},
    {"parts", "com.microsoft's fused operators taken apart", pass_parts},
    {"quant", "operators on 8-bit tensors in one form", pass_quant},
    {"fold", "constants evaluated", pass_fold},
    {"rewrite", "decompositions become the operators they stand for", pass_rewrite},
    {"clean", "identities, repeated and unread nodes removed", pass_clean},
    {"stem", "convolutions over a picture's phases read the picture", pass_stem},
    {"weights", "arithmetic a channel and padding moved into convolutions", pass_weights},
    {"clean", "identities, repeated and unread nodes removed", pass_clean},
    {"fuse", "activations and additions moved into epilogues", pass_fuse},
    {"clean", "identities, repeated and unread nodes removed", pass_clean},
    {"outputs", "every output computed by a node of its own", pass_outputs},
};

const struct pass *pass_list(int *out_count)
{
    *out_count = sizeof passes / sizeof passes[0];
    return passes;
}

struct value *pass_insert(struct graph *graph, struct node *before, const char *op_type, struct value *const *in,
                          int n_in, enum reel_dtype dtype, const struct reel_shape *shape)
{
    enum { OPSET = 13 }; // the first with scales per axis
    struct value *out = graph_add_value(graph, NULL);
    struct node *node = out ? graph_add_node(graph, before, op_type, NULL, in, n_in, &out, 1) : NULL;
    if (!node) return NULL;
    node->op = op_find("", op_type, OPSET, NULL);
    node->opset = OPSET;
    out->dtype = dtype;
    out->shape = *shape;
    return node->op ? out : NULL;
}

enum reel_err pass_run_all(struct graph *graph, const struct pass_params *params, void *stdio_file)
{
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        int before = graph->n_nodes;
        enum reel_err err = passes[i].run(graph, params);
        if (err) return err;
        if (stdio_file)
            fprintf(stdio_file, "pass %-8s %5d -> %5d nodes  (%s)\n", passes[i].name, before, graph->n_nodes,
                    passes[i].what);
    }
    return REEL_OK;
}
