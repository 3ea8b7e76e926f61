// SPDX-License-Identifier: MIT
//
// Makes the network output only the middle one of several pictures. See graph.h.
#include "common/err.h"
#include "worker/graph/graph.h"
#include "worker/onnx/op.h"

#define OPSET 13 // of Gather

static struct value *scalar(struct graph *g, int64_t number)
{
    const struct reel_shape shape = {0};
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &shape)) return NULL;
    *(int64_t *)t.data = number;
    struct value *v = graph_add_constant(g, NULL, &t);
    if (!v) reel_tensor_fini(&t);
    return v;
}

enum reel_err graph_take_middle(struct graph *g, int output, int frames)
{
    struct value *all = g->outputs[output], *at = scalar(g, frames / 2);
    struct value *one = at ? graph_add_value(g, NULL) : NULL, *in[] = {all, at};
    struct node *n = one ? graph_add_node(g, NULL, "Gather", GRAPH_MIDDLE, in, 2, &one, 1) : NULL;
    struct attr *axis = n ? graph_alloc(g, sizeof *axis) : NULL;
    if (!axis) return reel_fail(REEL_ERR_NOMEM, "could not take the middle of %d frames: out of memory", frames);
    n->op = op_find("", n->op_type, OPSET, NULL);
    n->opset = OPSET;
    *axis = (struct attr){.name = "axis", .type = ATTR_INT, .u.i = 1};
    n->attr = axis;
    n->n_attr = 1;
    const char *name = one->name;
    one->name = all->name;
    all->name = name;
    one->dtype = all->dtype;
    one->shape = (struct reel_shape){.ndim = 4};
    for (int d = 0, i = 0; d < 5; d++)
        if (d != 1) one->shape.dim[i++] = all->shape.dim[d];
    all->is_output = false;
    one->is_output = true;
    g->outputs[output] = one;
    graph_count_uses(g);
    graph_renumber(g);
    return REEL_OK;
}
