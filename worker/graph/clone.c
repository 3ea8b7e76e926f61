// SPDX-License-Identifier: MIT
//
// Copies a whole graph, to be rewritten while the original stays as it was read (net.c), or a body
// into the graph around it, once for each iteration (unroll.c, sequence.c). Bodies are copied too;
// the data of constants is borrowed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/graph/graph.h"

static struct graph *clone_into(const struct graph *src, struct graph *parent, struct value ***maps,
                                const struct graph **owners, int depth);

#define MAX_CLONE_DEPTH 80 // more than the importer's limit on nested bodies

// The copy of a value if one of the copied graphs owns it, else the value itself.
static struct value *mapped(struct value ***maps, const struct graph **owners, int depth, struct value *v)
{
    for (int i = depth; i >= 0; i--)
        if (owners[i] == v->owner) return maps[i][v->id];
    return v;
}

// Appends the tag to a name, so that several copies have different names; tag may be NULL.
static const char *tagged(const char *name, const char *tag, char *buf, size_t bytes)
{
    if (!tag) return name;
    snprintf(buf, bytes, "%s/%s", tag, name);
    return buf;
}

// Copies the values that are not in the map yet.
static bool clone_values(const struct graph *src, struct graph *dst, const char *tag, struct value **map)
{
    char name[512];
    for (int i = 0; i < src->n_values; i++) {
        const struct value *v = src->values[i];
        if (map[i] || v->owner != src) continue; // another owner: it was moved to an outer graph
        struct value *copy = graph_add_value(dst, tagged(v->name, tag, name, sizeof name));
        if (!copy) return false;
        copy->dtype = v->dtype;
        copy->shape = v->shape;
        memcpy(copy->dim_param, v->dim_param, sizeof copy->dim_param);
        copy->is_input = v->is_input;
        copy->list = v->list;
        for (int d = 0; d < REEL_MAX_DIMS; d++)
            if (v->dim_param[d] && !(copy->dim_param[d] = graph_strdup(dst, v->dim_param[d]))) return false;
        map[i] = copy;
        if (!v->constant) continue;
        copy->constant = graph_alloc(dst, sizeof *copy->constant);
        if (!copy->constant) return false;
        *copy->constant = *v->constant;
        copy->constant->owned = false;
    }
    return true;
}

static bool clone_attrs(struct node *copy, const struct node *node, struct graph *dst, struct value ***maps,
                        const struct graph **owners, int depth)
{
    copy->n_attr = node->n_attr;
    copy->attr = graph_alloc(dst, (size_t)(node->n_attr ? node->n_attr : 1) * sizeof(*copy->attr));
    if (!copy->attr) return false;
    for (int i = 0; i < node->n_attr; i++) {
        // Names, numbers and tensors never change, so they are shared. Bodies are rewritten and
        // therefore copied.
        copy->attr[i] = node->attr[i];
        if (node->attr[i].type != ATTR_GRAPH) continue;
        copy->attr[i].u.g = clone_into(node->attr[i].u.g, dst, maps, owners, depth + 1);
        if (!copy->attr[i].u.g) return false;
    }
    return true;
}

static struct node *clone_node(const struct node *node, struct graph *dst, struct node *before, const char *tag,
                               struct value ***maps, const struct graph **owners, int depth)
{
    char name[512];
    int n = node->n_in + node->n_out;
    struct value **args = graph_alloc(dst, (size_t)(n ? n : 1) * sizeof(*args));
    if (!args) return NULL;
    for (int i = 0; i < node->n_in; i++) args[i] = node->in[i] ? mapped(maps, owners, depth, node->in[i]) : NULL;
    for (int i = 0; i < node->n_out; i++)
        args[node->n_in + i] = node->out[i] ? mapped(maps, owners, depth, node->out[i]) : NULL;
    struct node *copy = graph_add_node(dst, before, node->op_type, tagged(node->name, tag, name, sizeof name), args,
                                       node->n_in, args + node->n_in, node->n_out);
    if (!copy) return NULL;
    copy->domain = node->domain;
    copy->op = node->op;
    copy->opset = node->opset;
    for (int i = 0; i < node->n_epilogue; i++) {
        const struct epilogue *e = &node->epilogue[i];
        graph_add_epilogue(dst, copy, e->kind, e->alpha, e->beta,
                           e->other ? mapped(maps, owners, depth, e->other) : NULL);
    }
    return clone_attrs(copy, node, dst, maps, owners, depth) ? copy : NULL;
}

static struct graph *clone_into(const struct graph *src, struct graph *parent, struct value ***maps,
                                const struct graph **owners, int depth)
{
    if (depth >= MAX_CLONE_DEPTH) return NULL;
    struct graph *dst = graph_create(parent);
    struct value **map = calloc((size_t)src->n_values + 1, sizeof(*map));
    if (!dst || !map) goto fail;
    maps[depth] = map;
    owners[depth] = src;
    if (!clone_values(src, dst, NULL, map)) goto fail;
    for (const struct node *node = src->first; node; node = node->next)
        if (!clone_node(node, dst, NULL, NULL, maps, owners, depth)) goto fail;
    dst->name = src->name;
    dst->opset = src->opset;
    dst->n_inputs = src->n_inputs;
    dst->n_outputs = src->n_outputs;
    dst->inputs = graph_alloc(dst, (size_t)(src->n_inputs + 1) * sizeof(*dst->inputs));
    dst->outputs = graph_alloc(dst, (size_t)(src->n_outputs + 1) * sizeof(*dst->outputs));
    if (!dst->inputs || !dst->outputs) goto fail;
    for (int i = 0; i < src->n_inputs; i++) dst->inputs[i] = map[src->inputs[i]->id];
    for (int i = 0; i < src->n_outputs; i++) dst->outputs[i] = mapped(maps, owners, depth, src->outputs[i]);
    free(map);
    return dst;
fail:
    free(map);
    if (!parent) graph_destroy(&dst);
    return NULL;
}

struct graph *graph_clone(const struct graph *graph)
{
    struct value **maps[MAX_CLONE_DEPTH];
    const struct graph *owners[MAX_CLONE_DEPTH];
    struct graph *copy = clone_into(graph, NULL, maps, owners, 0);
    if (copy) graph_count_uses(copy);
    return copy;
}

bool graph_copy_body(struct graph *graph, struct node *before, const struct graph *body, const char *tag,
                     struct value *const *in, struct value **out)
{
    struct value **maps[MAX_CLONE_DEPTH], **map = calloc((size_t)body->n_values + 1, sizeof(*map));
    const struct graph *owners[MAX_CLONE_DEPTH];
    if (!map) return false;
    maps[0] = map;
    owners[0] = body;
    for (int i = 0; i < body->n_inputs; i++) map[body->inputs[i]->id] = in[i];
    bool ok = clone_values(body, graph, tag, map);
    for (const struct node *node = body->first; ok && node; node = node->next) {
        struct node *copy = clone_node(node, graph, before, tag, maps, owners, 0);
        ok = copy && graph_count_body_reads(graph, copy);
    }
    for (int i = 0; ok && i < body->n_outputs; i++) out[i] = mapped(maps, owners, 0, body->outputs[i]);
    free(map);
    return ok;
}
