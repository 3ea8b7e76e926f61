// SPDX-License-Identifier: MIT
//
// Edge pixels around a picture, for networks whose convolutions do not pad. See graph.h.
#include "common/err.h"
#include "worker/graph/graph.h"
#include "worker/onnx/op.h"

#define OPSET 13 // of Pad

// The constant `pads` of a Pad of four axes: rows and columns before and after.
static struct value *pads_of(struct graph *g, int axis, const int border[2])
{
    const struct reel_shape shape = {.ndim = 1, .dim = {8}};
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &shape)) return NULL;
    int64_t *pads = t.data;
    for (int i = 0; i < 8; i++) pads[i] = 0;
    for (int d = 0; d < 2; d++) pads[axis + d] = border[d] / 2, pads[4 + axis + d] = border[d] - border[d] / 2;
    struct value *v = graph_add_constant(g, NULL, &t);
    if (!v) reel_tensor_fini(&t);
    return v;
}

enum reel_err graph_add_border(struct graph *g, int input, int axis, const int border[2])
{
    struct value *picture = g->inputs[input], *pads = pads_of(g, axis, border);
    struct value *wider = pads ? graph_add_value(g, NULL) : NULL, *in[] = {picture, pads};
    struct attr *mode = graph_alloc(g, sizeof *mode);
    if (!wider || !mode) goto no_memory;
    wider->dtype = picture->dtype;
    wider->shape.ndim = -1;
    graph_replace_value(g, picture, wider);
    struct node *n = graph_add_node(g, g->first, "Pad", GRAPH_BORDER, in, 2, &wider, 1);
    if (!n) goto no_memory;
    n->op = op_find("", n->op_type, OPSET, NULL);
    n->opset = OPSET;
    *mode = (struct attr){.name = "mode", .type = ATTR_STRING, .count = 4, .u.s = "edge"};
    n->attr = mode;
    n->n_attr = 1;
    for (int d = 0; d < 2; d++)
        if (picture->shape.dim[axis + d] > 0) picture->shape.dim[axis + d] -= border[d];
    graph_count_uses(g);
    graph_renumber(g);
    return REEL_OK;
no_memory:
    return reel_fail(REEL_ERR_NOMEM, "could not put a border around a model's pictures: out of memory");
}
