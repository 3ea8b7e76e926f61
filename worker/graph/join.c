// SPDX-License-Identifier: MIT
//
// Joins inputs of the same shape into one. See graph.h.
#include <assert.h>
#include <string.h>

#include "common/err.h"
#include "worker/graph/graph.h"
#include "worker/onnx/op.h"

#define OPSET 13 // of the Split; later ones need the number of parts

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not join a model's inputs: out of memory");
}

enum reel_err graph_join_inputs(struct graph *graph, const char *name, int axis, const int *which, int n)
{
    struct value *joined[GRAPH_JOIN_MOST];
    assert(n > 1 && n <= GRAPH_JOIN_MOST);
    for (int i = 0; i < n; i++) joined[i] = graph->inputs[which[i]];
    struct value *const first = joined[0];
    struct value *all = graph_add_value(graph, graph_find_value(graph, name) ? NULL : name);
    struct attr *attr = graph_alloc(graph, sizeof *attr);
    if (!all || !attr) return out_of_memory();
    all->dtype = first->dtype;
    all->shape = first->shape;
    for (int d = 0; d < first->shape.ndim; d++) all->dim_param[d] = first->dim_param[d];
    if (all->shape.dim[axis] > 0) all->shape.dim[axis] *= n;
    all->is_input = true;
    for (int i = 0; i < n; i++) joined[i]->is_input = false;
    struct node *split = graph_add_node(graph, graph->first, "Split", GRAPH_JOINT, &all, 1, joined, n);
    if (!split) return out_of_memory();
    split->op = op_find("", split->op_type, OPSET, NULL);
    split->opset = OPSET;
    *attr = (struct attr){.name = "axis", .type = ATTR_INT, .u.i = axis};
    split->attr = attr;
    split->n_attr = 1;
    // The new input comes first; the others keep their order.
    int left = 0;
    for (int i = 0; i < graph->n_inputs; i++)
        if (graph->inputs[i]->is_input) graph->inputs[left++] = graph->inputs[i];
    memmove(graph->inputs + 1, graph->inputs, (size_t)left * sizeof *graph->inputs);
    graph->inputs[0] = all;
    graph->n_inputs = left + 1;
    return REEL_OK;
}
