// SPDX-License-Identifier: MIT
//
// Edge pixels around a picture, for networks whose convolutions do not pad, and a channel of
// one number behind its own. See graph.h.
#include "common/err.h"
#include "worker/graph/graph.h"
#include "worker/onnx/op.h"

#define OPSET 13 // of Pad

static struct value *constant_of(struct graph *g, struct reel_tensor *t)
{
    struct value *v = graph_add_constant(g, NULL, t);
    if (!v) reel_tensor_fini(t);
    return v;
}

// What is added before and behind along four axes, as Pad wants it.
static struct value *pads_of(struct graph *g, const int before[4], const int behind[4])
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &(struct reel_shape){.ndim = 1, .dim = {8}})) return NULL;
    int64_t *pads = t.data;
    for (int d = 0; d < 4; d++) pads[d] = before[d], pads[4 + d] = behind[d];
    return constant_of(g, &t);
}

// Everything reads what a Pad makes of the input. with: the number that is added, or NULL for
// the edge's.
static enum reel_err add_pad(struct graph *g, int input, const int before[4], const int behind[4], struct value *with)
{
    struct value *picture = g->inputs[input], *pads = pads_of(g, before, behind);
    struct value *wider = pads ? graph_add_value(g, NULL) : NULL, *in[] = {picture, pads, with};
    struct attr *mode = graph_alloc(g, sizeof *mode);
    if (!wider || !mode) goto no_memory;
    wider->dtype = picture->dtype;
    wider->shape.ndim = -1;
    graph_replace_value(g, picture, wider);
    struct node *n =
        graph_add_node(g, g->first, "Pad", with ? GRAPH_CHANNEL : GRAPH_BORDER, in, with ? 3 : 2, &wider, 1);
    if (!n) goto no_memory;
    n->op = op_find("", n->op_type, OPSET, NULL);
    n->opset = OPSET;
    *mode = with ? (struct attr){.name = "mode", .type = ATTR_STRING, .count = 8, .u.s = "constant"}
                 : (struct attr){.name = "mode", .type = ATTR_STRING, .count = 4, .u.s = "edge"};
    n->attr = mode;
    n->n_attr = 1;
    for (int d = 0; d < 4; d++)
        if (picture->shape.dim[d] > 0) picture->shape.dim[d] -= before[d] + behind[d];
    graph_count_uses(g);
    graph_renumber(g);
    return REEL_OK;
no_memory:
    return reel_fail(REEL_ERR_NOMEM, "could not put something around a model's pictures: out of memory");
}

enum reel_err graph_add_border(struct graph *g, int input, int axis, const int border[2])
{
    int before[4] = {0}, behind[4] = {0};
    for (int d = 0; d < 2; d++) before[axis + d] = border[d] / 2, behind[axis + d] = border[d] - border[d] / 2;
    return add_pad(g, input, before, behind, NULL);
}

enum reel_err graph_add_channel(struct graph *g, int input, int axis, double number)
{
    int before[4] = {0}, behind[4] = {0};
    struct reel_tensor t;
    enum reel_err err = reel_tensor_init(&t, g->inputs[input]->dtype, &(struct reel_shape){0});
    if (err) return err;
    reel_convert(t.data, t.dtype, &number, REEL_F64, 1);
    struct value *with = constant_of(g, &t);
    if (!with) return reel_fail(REEL_ERR_NOMEM, "could not add a channel to a model's pictures: out of memory");
    behind[axis] = 1;
    return add_pad(g, input, before, behind, with);
}
