// SPDX-License-Identifier: MIT
//
// Small graphs for the executor's unit tests, and running them.
#ifndef REEL_TESTS_GRAPH_MAKE_H
#define REEL_TESTS_GRAPH_MAKE_H

#include "tests/check.h"
#include "worker/backend/backend.h"
#include "worker/graph/pass.h"
#include "worker/onnx/op.h"

struct maker {
    struct graph *graph;
    uint64_t seed;
};

static inline struct maker maker(void)
{
    struct maker m = {.graph = graph_create(NULL), .seed = 42};
    if (!m.graph) abort();
    m.graph->opset = 20;
    m.graph->inputs = graph_alloc(m.graph, 8 * sizeof(*m.graph->inputs));
    m.graph->outputs = graph_alloc(m.graph, 8 * sizeof(*m.graph->outputs));
    return m;
}

#define DIMS(...) \
    ((struct reel_shape){.ndim = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = {__VA_ARGS__}})

static inline struct value *make_input(struct maker *m, const char *name, struct reel_shape shape)
{
    struct value *v = graph_add_value(m->graph, name);
    v->is_input = true;
    v->dtype = REEL_F32;
    v->shape = shape;
    m->graph->inputs[m->graph->n_inputs++] = v;
    return v;
}

static inline double make_random(struct maker *m, double lo, double hi)
{
    return lo + (hi - lo) * (double)(check_rand(&m->seed) >> 11) / 9007199254740992.0;
}

static inline struct value *make_weights(struct maker *m, struct reel_shape shape, double lo, double hi)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_F32, &shape)) abort();
    for (int64_t i = 0; i < reel_tensor_count(&t); i++) ((float *)t.data)[i] = (float)make_random(m, lo, hi);
    return graph_add_constant(m->graph, NULL, &t);
}

static inline struct value *make_scalar(struct maker *m, double x)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_F32, &(struct reel_shape){0})) abort();
    *(float *)t.data = (float)x;
    return graph_add_constant(m->graph, NULL, &t);
}

static inline struct value *make_ints(struct maker *m, int n, const int64_t *ints)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &DIMS(n))) abort();
    memcpy(t.data, ints, (size_t)n * sizeof *ints);
    return graph_add_constant(m->graph, NULL, &t);
}
#define INTS(m, ...) make_ints(m, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

// Appends a node with one output; b and c may be NULL.
static inline struct value *make_node(struct maker *m, const char *op_type, struct value *a, struct value *b,
                                      struct value *c)
{
    struct value *in[] = {a, b, c}, *out = graph_add_value(m->graph, NULL);
    int n = c ? 3 : b ? 2 : a ? 1 : 0;
    struct node *node = graph_add_node(m->graph, NULL, op_type, NULL, in, n, &out, 1);
    node->op = op_find("", op_type, m->graph->opset, NULL);
    if (!node->op) {
        fprintf(stderr, "operator %s is not there\n", op_type);
        abort();
    }
    return out;
}

static inline void make_attr(struct maker *m, struct value *of, struct attr attr)
{
    struct node *node = of->producer;
    struct attr *list = graph_alloc(m->graph, (size_t)(node->n_attr + 1) * sizeof *list);
    if (node->n_attr) memcpy(list, node->attr, (size_t)node->n_attr * sizeof *list);
    list[node->n_attr++] = attr;
    node->attr = list;
}

static inline void attr_int(struct maker *m, struct value *v, const char *name, int64_t i)
{
    make_attr(m, v, (struct attr){.name = name, .type = ATTR_INT, .count = 1, .u.i = i});
}

static inline void make_attr_ints(struct maker *m, struct value *of, const char *name, int n, const int64_t *ints)
{
    int64_t *copy = graph_alloc(m->graph, (size_t)n * sizeof *copy);
    memcpy(copy, ints, (size_t)n * sizeof *copy);
    make_attr(m, of, (struct attr){.name = name, .type = ATTR_INTS, .count = n, .u.ints = copy});
}
#define ATTR_LIST(m, of, name, ...) \
    make_attr_ints(m, of, name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

static inline void make_output(struct maker *m, struct value *v)
{
    m->graph->outputs[m->graph->n_outputs++] = v;
    graph_count_uses(m->graph);
}

static inline int count_nodes(const struct graph *graph, const char *op_type)
{
    int n = 0;
    for (const struct node *node = graph->first; node; node = node->next) n += !strcmp(node->op_type, op_type);
    return n;
}

// Every list of uses, producer link and position is what the nodes say.
static inline bool graph_is_sound(const struct graph *graph)
{
    int *seen = calloc((size_t)graph->n_values + 1, sizeof *seen),
        *reads = calloc((size_t)graph->n_values + 1, sizeof *reads);
    bool ok = seen && reads;
    const struct node *prev = NULL;
    int n_nodes = 0;
    for (const struct node *node = graph->first; node && ok; prev = node, node = node->next) {
        n_nodes++;
        if (node->prev != prev) ok = false;
        for (int i = 0; i < node->n_in + node->n_epilogue; i++) {
            const struct value *v = i < node->n_in ? node->in[i] : node->epilogue[i - node->n_in].other;
            if (!v || v->owner != graph) continue;
            reads[v->id]++;
            if (v->producer && !seen[v->id]) ok = false; // read before it is made
            if (!v->producer && !v->constant && !v->is_input) ok = false;
        }
        for (int i = 0; i < node->n_out; i++) {
            if (!node->out[i]) continue;
            if (node->out[i]->producer != node) ok = false;
            seen[node->out[i]->id] = 1;
        }
    }
    if (n_nodes != graph->n_nodes || graph->last != prev) ok = false;
    for (int i = 0; i < graph->n_outputs && ok; i++)
        if (graph->outputs[i]->owner == graph) reads[graph->outputs[i]->id]++;
    for (int i = 0; i < graph->n_values && ok; i++)
        if (graph->values[i]->n_uses != reads[i]) ok = false;
    free(seen);
    free(reads);
    return ok;
}

// Runs graph on inputs made from a seed; the first output is returned.
static inline struct reel_tensor run_graph(const struct graph *graph, uint64_t seed)
{
    struct reel_tensor in[8] = {0}, out[8] = {0};
    const struct reel_tensor *in_p[8];
    struct maker random = {.seed = seed};
    for (int i = 0; i < graph->n_inputs; i++) {
        if (reel_tensor_init(&in[i], graph->inputs[i]->dtype, &graph->inputs[i]->shape)) abort();
        for (int64_t k = 0; k < reel_tensor_count(&in[i]); k++) {
            double x = make_random(&random, -3, 3);
            reel_convert((char *)in[i].data + (size_t)k * reel_dtype_bytes(in[i].dtype), in[i].dtype, &x, REEL_F64, 1);
        }
        in_p[i] = &in[i];
    }
    if (interp_run(graph, in_p, out)) fprintf(stderr, "%s\n", reel_fail_text());
    for (int i = 0; i < graph->n_inputs; i++) reel_tensor_fini(&in[i]);
    for (int i = 1; i < graph->n_outputs; i++) reel_tensor_fini(&out[i]);
    return out[0];
}

// Largest difference relative to the largest magnitude; 1e9 for other shapes.
static inline double tensor_difference(const struct reel_tensor *a, const struct reel_tensor *b)
{
    if (!a->data || !b->data || a->dtype != b->dtype || !reel_shape_equal(&a->shape, &b->shape)) return 1e9;
    double most = 1e-30, worst = 0;
    for (int64_t i = 0; i < reel_tensor_count(a); i++) {
        double x = op_scalar(a, i), y = op_scalar(b, i);
        most = fmax(most, fabs(x));
        if (!(fabs(x - y) <= worst)) worst = fabs(x - y);
    }
    return worst / most;
}

// The graph after all passes (a copy), for a backend with these capabilities.
static inline struct graph *after_passes(const struct graph *graph, unsigned caps)
{
    struct reel_shape shapes[8];
    for (int i = 0; i < graph->n_inputs; i++) shapes[i] = graph->inputs[i]->shape;
    struct graph *copy = graph_clone(graph);
    struct pass_params params = {.caps = caps, .in_shapes = shapes};
    if (!copy || pass_run_all(copy, &params, NULL)) {
        fprintf(stderr, "%s\n", reel_fail_text());
        graph_destroy(&copy);
    }
    return copy;
}

#endif
