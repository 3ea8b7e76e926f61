// SPDX-License-Identifier: MIT
//
// The graph's memory (one arena for a graph and all its bodies), operations that build and rewrite
// it, and its text form. Called by the importer, the passes and the backends. All operations here
// keep the lists of uses in struct value correct. After the import graph_count_uses() makes them,
// since bodies read values of the graphs around them.
#include "worker/graph/graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/onnx/op.h"

#define CHUNK_BYTES ((size_t)256 << 10)
// A hostile file must not use up the machine's memory. The structure of the largest real graphs takes
// some tens of MiB.
#define ARENA_MAX_BYTES ((size_t)1 << 30)

struct chunk {
    struct chunk *next;
    size_t used, bytes;
    _Alignas(16) unsigned char data[];
};

struct owned {
    struct reel_tensor tensor;
    struct owned *next;
};

struct arena {
    struct chunk *chunks; // the newest first
    struct owned *tensors;
    size_t total;
};

// ---- arena ------------------------------------------------------------------

static void *arena_alloc(struct arena *arena, size_t bytes)
{
    if (bytes > ARENA_MAX_BYTES) return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    struct chunk *chunk = arena->chunks;
    if (!chunk || chunk->bytes - chunk->used < bytes) {
        size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        if (arena->total + size > ARENA_MAX_BYTES) return NULL;
        chunk = calloc(1, sizeof *chunk + size);
        if (!chunk) return NULL;
        chunk->bytes = size;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->total += size;
    }
    void *p = chunk->data + chunk->used;
    chunk->used += bytes;
    return p;
}

static void arena_destroy(struct arena *arena)
{
    if (!arena) return;
    for (struct owned *o = arena->tensors; o; o = o->next) reel_tensor_fini(&o->tensor);
    for (struct chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

void *graph_alloc(struct graph *graph, size_t bytes)
{
    return arena_alloc(graph->arena, bytes);
}

char *graph_strdup(struct graph *graph, const char *s)
{
    size_t bytes = strlen(s) + 1;
    char *copy = graph_alloc(graph, bytes);
    if (copy) memcpy(copy, s, bytes);
    return copy;
}

struct graph *graph_create(struct graph *parent)
{
    struct arena *arena = parent ? parent->arena : calloc(1, sizeof *arena);
    if (!arena) return NULL;
    struct graph *graph = arena_alloc(arena, sizeof *graph);
    if (!graph) {
        if (!parent) arena_destroy(arena);
        return NULL;
    }
    graph->arena = arena;
    graph->parent = parent;
    graph->name = "";
    if (parent) graph->opset = parent->opset;
    return graph;
}

void graph_destroy(struct graph **graph)
{
    if (!*graph) return;
    if (!(*graph)->parent) arena_destroy((*graph)->arena); // the graph itself lives in it
    *graph = NULL;
}

struct reel_tensor *graph_own_tensor(struct graph *graph, struct reel_tensor *tensor)
{
    struct owned *o = graph_alloc(graph, sizeof *o);
    if (!o) return NULL;
    o->tensor = *tensor;
    o->next = graph->arena->tensors;
    graph->arena->tensors = o;
    *tensor = (struct reel_tensor){.shape.ndim = 0};
    return &o->tensor;
}

// ---- values and their uses --------------------------------------------------

struct value *graph_add_value(struct graph *graph, const char *name)
{
    if (graph->n_values == graph->cap_values) {
        int cap = graph->cap_values ? graph->cap_values * 2 : 64;
        struct value **values = graph_alloc(graph, (size_t)cap * sizeof(*values));
        if (!values) return NULL;
        if (graph->n_values) memcpy(values, graph->values, (size_t)graph->n_values * sizeof(*values));
        graph->values = values;
        graph->cap_values = cap;
    }
    struct value *v = graph_alloc(graph, sizeof *v);
    char made_up[32];
    if (!name) {
        snprintf(made_up, sizeof made_up, "$%d", graph->n_values);
        name = made_up;
    }
    if (!v || !(v->name = graph_strdup(graph, name))) return NULL;
    v->shape.ndim = -1;
    v->id = graph->n_values;
    v->owner = graph;
    graph->values[graph->n_values++] = v;
    return v;
}

struct value *graph_add_constant(struct graph *graph, const char *name, struct reel_tensor *tensor)
{
    struct value *v = graph_add_value(graph, name);
    return v && graph_make_constant(graph, v, tensor) ? v : NULL;
}

bool graph_make_constant(struct graph *graph, struct value *value, struct reel_tensor *tensor)
{
    struct reel_tensor *mine = graph_own_tensor(graph, tensor);
    if (!mine) return false;
    if (value->producer)
        for (int i = 0; i < value->producer->n_out; i++)
            if (value->producer->out[i] == value) value->producer->out[i] = NULL;
    value->producer = NULL;
    value->constant = mine;
    value->dtype = mine->dtype;
    value->shape = mine->shape;
    return true;
}

static bool add_use(struct graph *graph, struct value *v, struct node *node)
{
    if (v->n_use_nodes == v->cap_uses) {
        int cap = v->cap_uses ? v->cap_uses * 2 : 2;
        struct node **uses = graph_alloc(graph, (size_t)cap * sizeof(*uses));
        if (!uses) return false;
        if (v->n_use_nodes) memcpy(uses, v->uses, (size_t)v->n_use_nodes * sizeof(*uses));
        v->uses = uses;
        v->cap_uses = cap;
    }
    v->uses[v->n_use_nodes++] = node;
    v->n_uses++;
    return true;
}

static void drop_use(struct value *v, const struct node *node)
{
    for (int i = v->n_use_nodes - 1; i >= 0; i--) {
        if (v->uses[i] != node) continue;
        memmove(v->uses + i, v->uses + i + 1, (size_t)(v->n_use_nodes - 1 - i) * sizeof(*v->uses));
        v->n_use_nodes--;
        v->n_uses--;
        return;
    }
}

// Calls act for every place in the node and its bodies that reads a value owned by `graph`.
static bool each_read(struct graph *graph, struct node *node, bool (*act)(void *arg, struct value **place), void *arg)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && node->in[i]->owner == graph && !act(arg, &node->in[i])) return false;
    for (int i = 0; i < node->n_epilogue; i++)
        if (node->epilogue[i].other && node->epilogue[i].other->owner == graph && !act(arg, &node->epilogue[i].other))
            return false;
    for (int i = 0; i < node->n_attr; i++) {
        if (node->attr[i].type != ATTR_GRAPH) continue;
        struct graph *body = node->attr[i].u.g;
        for (struct node *n = body->first; n; n = n->next)
            if (!each_read(graph, n, act, arg)) return false;
        for (int k = 0; k < body->n_outputs; k++)
            if (body->outputs[k]->owner == graph && !act(arg, &body->outputs[k])) return false;
    }
    return true;
}

struct use_arg {
    struct graph *graph;
    struct node *node;
    struct value *from, *to;
};

static bool count_one(void *arg, struct value **place)
{
    struct use_arg *use = arg;
    return add_use(use->graph, *place, use->node);
}

static bool drop_one(void *arg, struct value **place)
{
    struct use_arg *use = arg;
    drop_use(*place, use->node);
    return true;
}

static bool swap_one(void *arg, struct value **place)
{
    struct use_arg *use = arg;
    if (*place == use->from) {
        drop_use(use->from, use->node);
        *place = use->to;
        add_use(use->graph, use->to, use->node);
    }
    return true;
}

void graph_count_uses(struct graph *graph)
{
    for (int i = 0; i < graph->n_values; i++) {
        graph->values[i]->n_uses = graph->values[i]->n_use_nodes = 0;
        graph->values[i]->is_output = false;
    }
    for (struct node *node = graph->first; node; node = node->next) {
        struct use_arg arg = {.graph = graph, .node = node};
        each_read(graph, node, count_one, &arg);
        for (int i = 0; i < node->n_attr; i++)
            if (node->attr[i].type == ATTR_GRAPH) graph_count_uses(node->attr[i].u.g);
    }
    for (int i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i]->owner != graph) continue;
        graph->outputs[i]->n_uses++;
        graph->outputs[i]->is_output = true;
    }
}

void graph_set_input(struct graph *graph, struct node *node, int i, struct value *to)
{
    if (node->in[i] && node->in[i]->owner == graph) drop_use(node->in[i], node);
    node->in[i] = to;
    if (to && to->owner == graph) add_use(graph, to, node);
}

bool graph_add_epilogue(struct graph *graph, struct node *node, enum epilogue_kind kind, float alpha, float beta,
                        struct value *other)
{
    if (node->n_epilogue == NODE_MAX_EPILOGUE) return false;
    node->epilogue[node->n_epilogue++] = (struct epilogue){.kind = kind, .alpha = alpha, .beta = beta, .other = other};
    if (other && other->owner == graph) add_use(graph, other, node);
    return true;
}

void graph_set_output(struct graph *graph, struct node *node, int i, struct value *to)
{
    if (node->out[i]) node->out[i]->producer = NULL;
    node->out[i] = to;
    if (to) to->producer = node;
}

void graph_replace_value(struct graph *graph, struct value *from, struct value *to)
{
    if (from == to) return;
    while (from->n_use_nodes) {
        int before = from->n_use_nodes;
        struct use_arg arg = {.graph = graph, .node = from->uses[from->n_use_nodes - 1], .from = from, .to = to};
        each_read(graph, arg.node, swap_one, &arg);
        if (from->n_use_nodes == before) break; // cannot happen: the entry would be out of date
    }
    for (int i = 0; i < graph->n_outputs; i++) {
        if (graph->outputs[i] != from) continue;
        graph->outputs[i] = to;
        from->n_uses--;
        to->n_uses++;
        from->is_output = false;
        to->is_output = true;
    }
}

struct value *graph_find_value(const struct graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_values; i++)
        if (!strcmp(graph->values[i]->name, name)) return graph->values[i];
    return NULL;
}

struct node *graph_only_consumer(const struct graph *graph, const struct value *v)
{
    if (v->n_uses != 1 || v->is_output || v->n_use_nodes != 1) return NULL;
    struct node *node = v->uses[0];
    for (int i = 0; i < node->n_attr; i++)
        if (node->attr[i].type == ATTR_GRAPH) return NULL; // a body may read it too
    return node;
}

// ---- nodes ------------------------------------------------------------------

struct node *graph_add_node(struct graph *graph, struct node *before, const char *op_type, const char *name,
                            struct value *const *in, int n_in, struct value *const *out, int n_out)
{
    struct node *node = graph_alloc(graph, sizeof *node);
    if (!node) return NULL;
    node->op_type = graph_strdup(graph, op_type);
    node->domain = "";
    node->opset = graph->opset;
    node->in = graph_alloc(graph, (size_t)(n_in ? n_in : 1) * sizeof(*node->in));
    node->out = graph_alloc(graph, (size_t)(n_out ? n_out : 1) * sizeof(*node->out));
    if (name && *name) {
        node->name = graph_strdup(graph, name);
    } else {
        size_t bytes = strlen(op_type) + 16;
        char *made_up = graph_alloc(graph, bytes);
        if (made_up) snprintf(made_up, bytes, "%s_%d", op_type, graph->n_nodes);
        node->name = made_up;
    }
    if (!node->op_type || !node->in || !node->out || !node->name) return NULL;
    node->n_in = n_in;
    node->n_out = n_out;
    for (int i = 0; i < n_in; i++) {
        node->in[i] = in[i];
        if (in[i] && in[i]->owner == graph && !add_use(graph, in[i], node)) return NULL;
    }
    for (int i = 0; i < n_out; i++) {
        node->out[i] = out[i];
        if (out[i]) out[i]->producer = node;
    }
    node->next = before;
    node->prev = before ? before->prev : graph->last;
    *(node->prev ? &node->prev->next : &graph->first) = node;
    *(before ? &before->prev : &graph->last) = node;
    node->id = graph->n_nodes++;
    return node;
}

void graph_remove_node(struct graph *graph, struct node *node)
{
    struct use_arg arg = {.graph = graph, .node = node};
    each_read(graph, node, drop_one, &arg);
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->producer == node) node->out[i]->producer = NULL;
    *(node->prev ? &node->prev->next : &graph->first) = node->next;
    *(node->next ? &node->next->prev : &graph->last) = node->prev;
    graph->n_nodes--;
}

void graph_renumber(struct graph *graph)
{
    int id = 0;
    for (struct node *node = graph->first; node; node = node->next) node->id = id++;
}

// Moves a body's value into the graph around it.
static bool adopt_value(struct graph *graph, struct value *v)
{
    struct value *place = graph_add_value(graph, v->name); // only for its id and its place in the list
    if (!place) return false;
    v->id = place->id;
    v->owner = graph;
    v->n_uses = v->n_use_nodes = 0;
    v->is_output = false;
    graph->values[v->id] = v;
    return true;
}

bool graph_count_body_reads(struct graph *graph, struct node *node)
{
    struct use_arg arg = {.graph = graph, .node = node};
    for (int i = 0; i < node->n_attr; i++) {
        if (node->attr[i].type != ATTR_GRAPH) continue;
        struct graph *body = node->attr[i].u.g;
        for (struct node *n = body->first; n; n = n->next)
            if (!each_read(graph, n, count_one, &arg)) return false;
        for (int k = 0; k < body->n_outputs; k++)
            if (body->outputs[k]->owner == graph && !count_one(&arg, &body->outputs[k])) return false;
        graph_count_uses(body);
    }
    return true;
}

bool graph_hoist_constants(struct graph *graph, struct graph *body)
{
    for (int i = 0; i < body->n_values; i++) {
        struct value *v = body->values[i];
        if (v->owner == body && v->constant && !v->is_input && !adopt_value(graph, v)) return false;
    }
    return true;
}

bool graph_inline_body(struct graph *graph, struct node *node, struct graph *body)
{
    struct node *before = node->next;
    graph_remove_node(graph, node);
    for (int i = 0; i < body->n_values; i++)
        if (!adopt_value(graph, body->values[i])) return false;
    for (struct node *n = body->first, *next; n; n = next) {
        next = n->next;
        n->next = before;
        n->prev = before ? before->prev : graph->last;
        *(n->prev ? &n->prev->next : &graph->first) = n;
        *(before ? &before->prev : &graph->last) = n;
        graph->n_nodes++;
        struct use_arg arg = {.graph = graph, .node = n};
        if (!each_read(graph, n, count_one, &arg)) return false;
    }
    for (int i = 0; i < node->n_out && i < body->n_outputs; i++)
        if (node->out[i]) graph_replace_value(graph, node->out[i], body->outputs[i]);
    body->first = body->last = NULL;
    body->n_nodes = body->n_values = 0;
    return true;
}

// ---- attributes -------------------------------------------------------------

const struct attr *node_attr(const struct node *node, const char *name)
{
    for (int i = 0; i < node->n_attr; i++)
        if (!strcmp(node->attr[i].name, name)) return &node->attr[i];
    return NULL;
}

int64_t node_attr_int(const struct node *node, const char *name, int64_t absent)
{
    const struct attr *a = node_attr(node, name);
    return a && a->type == ATTR_INT ? a->u.i : absent;
}

float node_attr_float(const struct node *node, const char *name, float absent)
{
    const struct attr *a = node_attr(node, name);
    if (a && a->type == ATTR_INT) return (float)a->u.i;
    return a && a->type == ATTR_FLOAT ? a->u.f : absent;
}

const char *node_attr_string(const struct node *node, const char *name, const char *absent)
{
    const struct attr *a = node_attr(node, name);
    return a && a->type == ATTR_STRING ? a->u.s : absent;
}

int node_attr_ints(const struct node *node, const char *name, const int64_t **out_ints)
{
    const struct attr *a = node_attr(node, name);
    *out_ints = a && a->type == ATTR_INTS ? a->u.ints : NULL;
    return *out_ints ? a->count : 0;
}

int node_attr_floats(const struct node *node, const char *name, const float **out_floats)
{
    const struct attr *a = node_attr(node, name);
    *out_floats = a && a->type == ATTR_FLOATS ? a->u.floats : NULL;
    return *out_floats ? a->count : 0;
}

// ---- text form --------------------------------------------------------------

static const char *const epilogue_names[] = {
    [EPILOGUE_ADD] = "add",
    [EPILOGUE_MUL] = "mul",
    [EPILOGUE_RELU] = "relu",
    [EPILOGUE_LEAKY] = "leaky",
    [EPILOGUE_PRELU] = "prelu",
    [EPILOGUE_CLIP] = "clip",
    [EPILOGUE_SIGMOID] = "sigmoid",
    [EPILOGUE_TANH] = "tanh",
    [EPILOGUE_SILU] = "silu",
    [EPILOGUE_HSWISH] = "hswish",
    [EPILOGUE_HSIGMOID] = "hsigmoid",
    [EPILOGUE_GELU_ERF] = "gelu_erf",
    [EPILOGUE_GELU_TANH] = "gelu_tanh",
    [EPILOGUE_ELU] = "elu",
    [EPILOGUE_MISH] = "mish",
};

static void dump_value(const struct value *v, FILE *f)
{
    char text[128];
    if (!v) {
        fputs("-", f);
        return;
    }
    fprintf(f, "%s%s:%s[%s]", v->constant ? "#" : "%", v->name, reel_dtype_name(v->dtype),
            reel_shape_text(&v->shape, text, sizeof text));
}

static void dump_attr(const struct attr *a, FILE *f)
{
    char text[128];
    fprintf(f, " %s=", a->name);
    switch (a->type) {
    case ATTR_INT:
        fprintf(f, "%" PRId64, a->u.i);
        break;
    case ATTR_FLOAT:
        fprintf(f, "%g", (double)a->u.f);
        break;
    case ATTR_STRING:
        fprintf(f, "\"%.40s\"", a->u.s);
        break;
    case ATTR_TENSOR:
        fprintf(f, "%s[%s]", reel_dtype_name(a->u.t->dtype), reel_shape_text(&a->u.t->shape, text, sizeof text));
        break;
    case ATTR_GRAPH:
        fprintf(f, "{%d nodes}", a->u.g->n_nodes);
        break;
    case ATTR_INTS:
    case ATTR_FLOATS:
    case ATTR_STRINGS:
        fputc('[', f);
        for (int i = 0; i < a->count && i < 16; i++) {
            if (i) fputc(',', f);
            if (a->type == ATTR_INTS) fprintf(f, "%" PRId64, a->u.ints[i]);
            if (a->type == ATTR_FLOATS) fprintf(f, "%g", (double)a->u.floats[i]);
            if (a->type == ATTR_STRINGS) fprintf(f, "\"%.20s\"", a->u.strings[i]);
        }
        fputs(a->count > 16 ? ",...]" : "]", f);
        break;
    }
}

static void dump_node(const struct node *node, FILE *f, int depth);

static void dump_nodes(const struct graph *graph, FILE *f, int depth)
{
    for (const struct node *node = graph->first; node; node = node->next) dump_node(node, f, depth);
}

static void dump_node(const struct node *node, FILE *f, int depth)
{
    fprintf(f, "%*s", 2 * depth, "");
    for (int i = 0; i < node->n_out; i++) {
        if (i) fputs(", ", f);
        dump_value(node->out[i], f);
    }
    fprintf(f, " = %s%s%s(", node->domain, *node->domain ? "." : "", node->op_type);
    for (int i = 0; i < node->n_in; i++) {
        if (i) fputs(", ", f);
        dump_value(node->in[i], f);
    }
    fputc(')', f);
    for (int i = 0; i < node->n_attr; i++) dump_attr(&node->attr[i], f);
    for (int i = 0; i < node->n_epilogue; i++) {
        const struct epilogue *e = &node->epilogue[i];
        fprintf(f, " +%s", epilogue_names[e->kind]);
        if (e->other) {
            fputc('(', f);
            dump_value(e->other, f);
            fputc(')', f);
        } else if (e->alpha != 0 || e->beta != 0) {
            fprintf(f, "(%g,%g)", (double)e->alpha, (double)e->beta);
        }
    }
    fprintf(f, "  ; %s\n", node->name);
    for (int i = 0; i < node->n_attr; i++) {
        if (node->attr[i].type != ATTR_GRAPH) continue;
        fprintf(f, "%*s%s:\n", 2 * depth + 2, "", node->attr[i].name);
        dump_nodes(node->attr[i].u.g, f, depth + 2);
    }
}

void graph_dump(const struct graph *graph, void *stdio_file)
{
    FILE *f = stdio_file;
    fprintf(f, "graph \"%s\", opset %d, %d nodes\n", graph->name, graph->opset, graph->n_nodes);
    for (int i = 0; i < graph->n_inputs; i++) {
        fputs("  input ", f);
        dump_value(graph->inputs[i], f);
        fputc('\n', f);
    }
    dump_nodes(graph, f, 1);
    for (int i = 0; i < graph->n_outputs; i++) {
        fputs("  output ", f);
        dump_value(graph->outputs[i], f);
        fputc('\n', f);
    }
}
