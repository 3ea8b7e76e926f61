// SPDX-License-Identifier: MIT
//
// Adds an output that shows a cut-out over a background colour. See graph.h.
#include <string.h>

#include "common/err.h"
#include "worker/graph/graph.h"
#include "worker/onnx/op.h"

#define OPSET 13 // of Mul, Sub, Add

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not put a background behind a model's cut-out: out of memory");
}

static struct value *constant(struct graph *g, enum reel_dtype dtype, int n, const double *numbers)
{
    const struct reel_shape shape = {.ndim = 4, .dim = {1, n, 1, 1}};
    struct reel_tensor t;
    if (reel_tensor_init(&t, dtype, &shape)) return NULL;
    reel_convert(t.data, dtype, numbers, REEL_F64, n);
    struct value *v = graph_add_constant(g, NULL, &t);
    if (!v) reel_tensor_fini(&t);
    return v;
}

static struct value *node(struct graph *g, const char *op, struct value *a, struct value *b, const char *name)
{
    struct value *in[] = {a, b}, *out = a && b ? graph_add_value(g, name) : NULL;
    struct node *n = out ? graph_add_node(g, NULL, op, "", in, 2, &out, 1) : NULL;
    if (!n) return NULL;
    n->op = op_find("", n->op_type, OPSET, NULL);
    n->opset = OPSET;
    out->dtype = a->dtype;
    out->shape.ndim = -1;
    return out;
}

enum reel_err graph_add_composite(struct graph *g, int foreground, int matte, const double background[3],
                                  const char *name)
{
    struct value *fgr = g->outputs[foreground], *pha = g->outputs[matte];
    const double one = 1;
    struct value *front = node(g, "Mul", fgr, pha, NULL);
    struct value *rest = node(g, "Sub", constant(g, fgr->dtype, 1, &one), pha, NULL);
    struct value *behind = node(g, "Mul", rest, constant(g, fgr->dtype, 3, background), NULL);
    struct value *made = node(g, "Add", front, behind, name);
    struct value **outputs = graph_alloc(g, ((size_t)g->n_outputs + 1) * sizeof(*outputs));
    if (!made || !outputs) return out_of_memory();
    memcpy(outputs, g->outputs, (size_t)g->n_outputs * sizeof(*outputs));
    made->is_output = true;
    made->shape = fgr->shape;
    outputs[g->n_outputs++] = made;
    g->outputs = outputs;
    graph_count_uses(g);
    graph_renumber(g);
    return REEL_OK;
}
