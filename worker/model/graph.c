// SPDX-License-Identifier: MIT
//
// What the operators of a graph say about a model. See graph.h.
#include "worker/model/graph.h"

#include <stdlib.h>
#include <string.h>

bool model_is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(word, *list)) return true;
    return false;
}

static bool reads(const struct node *n, const struct value *v)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] == v) return true;
    return false;
}

static const struct node *reader_of(const struct graph *g, const struct value *v)
{
    for (const struct node *n = g->first; n; n = n->next)
        if (reads(n, v)) return n;
    return NULL;
}

const struct node *model_first_node(const struct graph *g, const char *input)
{
    static const char *const movers[] = {"Cast",  "Identity", "Transpose", "QuantizeLinear", "DequantizeLinear",
                                         "Split", "Pad",      NULL};
    if (!g) return NULL;
    const struct value *v = graph_find_value(g, input);
    const struct node *n = v ? reader_of(g, v) : NULL;
    while (n && model_is_one_of(n->op_type, movers) && n->n_out && n->out[0]) n = reader_of(g, n->out[0]);
    return n;
}

struct model_first_conv model_first_conv(const struct graph *g, const char *input)
{
    // What may stand between the picture and the first convolution.
    static const char *const before[] = {"Cast", "Identity", "Sub",   "Add",         "Mul",       "Div",
                                         "Pad",  "Clip",     "Slice", "ImageScaler", "Transpose", NULL};
    struct model_first_conv c = {.channels = -1};
    const struct value *v = g ? graph_find_value(g, input) : NULL;
    for (int steps = 0; v && steps < 16; steps++) {
        const struct node *n = reader_of(g, v);
        if (!n) break;
        const int64_t *perm;
        if (!strcmp(n->op_type, "Transpose") && node_attr_ints(n, "perm", &perm) == 4)
            c.transposed = perm[1] == 3 && perm[2] == 1 && perm[3] == 2;
        if (!strcmp(n->op_type, "Conv") && n->n_in > 1 && n->in[1] && n->in[1]->shape.ndim == 4) {
            c.channels = n->in[1]->shape.dim[1] * node_attr_int(n, "group", 1);
            break;
        }
        if (!model_is_one_of(n->op_type, before) || !n->n_out) break;
        v = n->out[0];
    }
    return c;
}

const struct node *model_last_node(const struct graph *g, const char *output)
{
    static const char *const movers[] = {"Cast",    "Identity",  "Transpose", "Reshape", "Squeeze",
                                         "Flatten", "Unsqueeze", "Gather",    NULL};
    const struct value *v = g ? graph_find_value(g, output) : NULL;
    const struct node *n = v ? v->producer : NULL;
    while (n && model_is_one_of(n->op_type, movers) && n->n_in && n->in[0] && n->in[0]->producer)
        n = n->in[0]->producer;
    return n;
}

const char *model_last_op(const struct graph *g, const char *output)
{
    const struct node *n = model_last_node(g, output);
    return n ? n->op_type : "";
}

bool model_has_op(const struct graph *g, const char *op_type)
{
    for (const struct node *n = g ? g->first : NULL; n; n = n->next)
        if (!strcmp(n->op_type, op_type)) return true;
    return false;
}

int model_constants(const struct value *v, double *out, int most)
{
    // A half-precision export casts its constants.
    while (v && !v->constant && v->producer && v->producer->n_in &&
           (!strcmp(v->producer->op_type, "Cast") || !strcmp(v->producer->op_type, "Identity")))
        v = v->producer->in[0];
    const struct reel_tensor *t = v ? v->constant : NULL;
    const struct node *made = v ? v->producer : NULL;
    if (!t && made && !strcmp(made->op_type, "Constant")) {
        const struct attr *a = node_attr(made, "value");
        t = a && a->type == ATTR_TENSOR ? a->u.t : NULL;
    }
    if (!t || !t->data || !reel_dtype_is_float(t->dtype)) return 0;
    int64_t n = reel_tensor_count(t);
    if (n < 1 || n > most) return 0;
    reel_convert(out, REEL_F64, t->data, t->dtype, n);
    return (int)n;
}

bool model_made_from(const struct graph *g, const char *output, const char *other)
{
    const struct value *from = g ? graph_find_value(g, other) : NULL, *to = g ? graph_find_value(g, output) : NULL;
    bool *made = from && to ? calloc((size_t)g->n_values + 1, sizeof *made) : NULL;
    if (!made) return false;
    made[from->id] = true;
    for (const struct node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i] && n->in[i]->owner == g && made[n->in[i]->id])
                for (int k = 0; k < n->n_out; k++)
                    if (n->out[k]) made[n->out[k]->id] = true;
    const bool is = from != to && made[to->id];
    free(made);
    return is;
}
