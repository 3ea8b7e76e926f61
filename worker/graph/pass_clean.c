// SPDX-License-Identifier: MIT
//
// Removes nodes that change nothing, merges consecutive views and transposes, does equal
// computations only once, and removes unread nodes. Runs several times, because other passes leave
// such nodes behind.
#include <stdlib.h>
#include <string.h>

#include "worker/graph/pass.h"
#include "worker/onnx/op.h"

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not clean graph: out of memory");
}

static bool is(const struct node *node, const char *op_type)
{
    return !*node->domain && !strcmp(node->op_type, op_type);
}

// ---- nodes that change nothing ----------------------------------------------

static bool all_ints(const struct value *v, int64_t least, int64_t most)
{
    if (!v) return true;
    if (!v->constant || (v->constant->dtype != REEL_I64 && v->constant->dtype != REEL_I32)) return false;
    for (int64_t i = 0, n = reel_tensor_count(v->constant); i < n; i++) {
        int64_t x = op_scalar_int(v->constant, i);
        if (x < least || x > most) return false;
    }
    return true;
}

static bool perm_is_identity(const struct node *node)
{
    const int64_t *perm;
    int n = node_attr_ints(node, "perm", &perm);
    if (n == 0) return node->in[0]->shape.ndim >= 0 && node->in[0]->shape.ndim <= 1;
    for (int i = 0; i < n; i++)
        if (perm[i] != i) return false;
    return true;
}

static bool changes_nothing(const struct node *node)
{
    const struct value *in = node->in[0], *out = node->out[0];
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->n_uses) return false;
    if (in->dtype != out->dtype || in->dtype == REEL_DTYPE_NONE) return false;
    if (node->op->flags & OP_INFERENCE_NOP) {
        const struct value *training = node->n_in > 2 ? node->in[2] : NULL; // of Dropout-12
        return !training || (training->constant && !op_scalar_int(training->constant, 0));
    }
    if (is(node, "Concat") || is(node, "Sum") || is(node, "Mean") || is(node, "Max") || is(node, "Min"))
        return node->n_in == 1;
    if (reel_shape_count(&in->shape) < 0 || !reel_shape_equal(&in->shape, &out->shape)) return false;
    if (node->op->flags & OP_VIEW) return true;
    if (is(node, "Cast") || is(node, "Expand")) return true;
    if (is(node, "Transpose")) return perm_is_identity(node);
    if (is(node, "Slice"))
        return node->n_in < 5 ? node->n_in > 1 || node->opset < 10 : all_ints(node->in[4], 1, INT64_MAX);
    if (is(node, "Pad")) return node->n_in > 1 && all_ints(node->in[1], 0, 0);
    return false;
}

// ---- views and transposes in a row ------------------------------------------

static struct value *int_vector(struct graph *graph, const int64_t *ints, int n)
{
    struct reel_tensor t;
    struct reel_shape shape = {.ndim = 1, .dim = {n}};
    if (reel_tensor_init(&t, REEL_I64, &shape)) return NULL;
    memcpy(t.data, ints, (size_t)n * sizeof *ints);
    struct value *v = graph_add_constant(graph, NULL, &t);
    if (!v) reel_tensor_fini(&t);
    return v;
}

// A view of a view becomes one Reshape of the first one's input.
static enum reel_err join_views(struct graph *graph, struct node *node)
{
    struct node *before = node->in[0] ? node->in[0]->producer : NULL;
    int64_t count = reel_shape_count(&node->out[0]->shape);
    if (!before || !(before->op->flags & OP_VIEW) || !(node->op->flags & OP_VIEW) || count <= 0) return REEL_OK;
    if (before->n_epilogue || node->n_epilogue || !before->in[0] || before->in[0]->owner != graph) return REEL_OK;
    const struct op_def *reshape = op_find("", "Reshape", 14, NULL);
    if (!reshape) return REEL_OK;
    struct value *in[2] = {before->in[0], int_vector(graph, node->out[0]->shape.dim, node->out[0]->shape.ndim)};
    if (!in[1]) return out_of_memory();
    struct value *out = node->out[0];
    node->out[0] = NULL;
    struct node *joined = graph_add_node(graph, node, "Reshape", node->name, in, 2, &out, 1);
    if (!joined) return out_of_memory();
    joined->op = reshape;
    joined->opset = 14;
    graph_remove_node(graph, node);
    return REEL_OK;
}

static enum reel_err join_transposes(struct graph *graph, struct node *node)
{
    struct node *before = node->in[0] ? node->in[0]->producer : NULL;
    if (!is(node, "Transpose") || !before || !is(before, "Transpose") || before->n_epilogue) return REEL_OK;
    const int64_t *first, *second;
    int n = node_attr_ints(node, "perm", &second), m = node_attr_ints(before, "perm", &first);
    if (n == 0 || n != m || before->in[0]->owner != graph) return REEL_OK;
    int64_t *both = graph_alloc(graph, (size_t)n * sizeof *both);
    struct attr *attr = graph_alloc(graph, sizeof *attr);
    if (!both || !attr) return out_of_memory();
    for (int i = 0; i < n; i++) {
        if (second[i] < 0 || second[i] >= n) return REEL_OK;
        both[i] = first[second[i]];
    }
    *attr = (struct attr){.name = "perm", .type = ATTR_INTS, .count = n, .u.ints = both};
    node->attr = attr;
    node->n_attr = 1;
    graph_set_input(graph, node, 0, before->in[0]);
    return REEL_OK;
}

static enum reel_err pass_over(struct graph *graph)
{
    for (struct node *node = graph->first, *next; node; node = next) {
        next = node->next;
        if (node->n_in < 1 || node->n_out < 1 || !node->in[0] || !node->out[0] || node->n_epilogue) continue;
        if (node->in[0]->owner != graph || node->op->flags & OP_CONTROL) continue;
        enum reel_err err = join_transposes(graph, node);
        if (err) return err;
        if (changes_nothing(node)) {
            graph_replace_value(graph, node->out[0], node->in[0]);
            continue;
        }
        if ((err = join_views(graph, node))) return err;
    }
    return REEL_OK;
}

// ---- equal computations -----------------------------------------------------

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

static bool attr_equal(const struct attr *a, const struct attr *b)
{
    if (strcmp(a->name, b->name) || a->type != b->type) return false;
    switch (a->type) {
    case ATTR_INT:
        return a->u.i == b->u.i;
    case ATTR_FLOAT:
        return !memcmp(&a->u.f, &b->u.f, sizeof a->u.f);
    case ATTR_STRING:
        return !strcmp(a->u.s, b->u.s);
    case ATTR_INTS:
        return a->count == b->count && !memcmp(a->u.ints, b->u.ints, (size_t)a->count * sizeof *a->u.ints);
    case ATTR_FLOATS:
        return a->count == b->count && !memcmp(a->u.floats, b->u.floats, (size_t)a->count * sizeof *a->u.floats);
    case ATTR_TENSOR:
        return a->u.t == b->u.t;
    default:
        return false;
    }
}

static bool node_equal(const struct node *a, const struct node *b)
{
    if (a->op != b->op || a->opset != b->opset || a->n_in != b->n_in || a->n_out != b->n_out || a->n_attr != b->n_attr)
        return false;
    for (int i = 0; i < a->n_in; i++)
        if (a->in[i] != b->in[i]) return false;
    for (int i = 0; i < a->n_attr; i++)
        if (!attr_equal(&a->attr[i], &b->attr[i])) return false;
    return true;
}

static uint64_t node_hash(const struct node *node)
{
    uint64_t h = mix((uint64_t)(uintptr_t)node->op, (uint64_t)node->n_out);
    for (int i = 0; i < node->n_in; i++) h = mix(h, (uint64_t)(uintptr_t)node->in[i]);
    for (int i = 0; i < node->n_attr; i++)
        if (node->attr[i].type == ATTR_INT) h = mix(h, (uint64_t)node->attr[i].u.i);
    return h;
}

static uint64_t tensor_hash(const struct reel_tensor *t)
{
    uint64_t h = mix((uint64_t)t->dtype, (uint64_t)t->shape.ndim);
    for (int i = 0; i < t->shape.ndim; i++) h = mix(h, (uint64_t)t->shape.dim[i]);
    const unsigned char *p = t->data;
    for (size_t i = 0, n = reel_tensor_bytes(t); i < n; i++) h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h;
}

// Only constants up to this size are compared (shapes, axes, scales).
#define SMALL_BYTES 1024

static bool tensor_equal(const struct reel_tensor *a, const struct reel_tensor *b)
{
    return a->dtype == b->dtype && reel_shape_equal(&a->shape, &b->shape) &&
           !memcmp(a->data, b->data, reel_tensor_bytes(a));
}

struct table {
    void **slots; // nodes or values
    size_t size;  // a power of two
};

static bool table_init(struct table *table, int entries)
{
    table->size = 64;
    while (table->size < 2 * (size_t)entries) table->size *= 2;
    table->slots = calloc(table->size, sizeof(*table->slots));
    return table->slots != NULL;
}

static enum reel_err join_constants(struct graph *graph)
{
    struct table table;
    if (!table_init(&table, graph->n_values)) return out_of_memory();
    int n = graph->n_values;
    for (int i = 0; i < n; i++) {
        struct value *v = graph->values[i];
        if (!v->constant || !v->constant->data || v->n_uses == 0 || v->is_output) continue;
        if (reel_tensor_bytes(v->constant) > SMALL_BYTES) continue;
        size_t at = tensor_hash(v->constant) & (table.size - 1);
        while (table.slots[at] && !tensor_equal(((struct value *)table.slots[at])->constant, v->constant))
            at = (at + 1) & (table.size - 1);
        if (table.slots[at])
            graph_replace_value(graph, v, table.slots[at]);
        else
            table.slots[at] = v;
    }
    free(table.slots);
    return REEL_OK;
}

static enum reel_err join_equal_nodes(struct graph *graph)
{
    struct table table;
    if (!table_init(&table, graph->n_nodes)) return out_of_memory();
    for (struct node *node = graph->first; node; node = node->next) {
        if (node->op->flags & (OP_CONTROL | OP_RANDOM) || node->n_epilogue || node->n_in == 0) continue;
        size_t at = node_hash(node) & (table.size - 1);
        while (table.slots[at] && !node_equal(table.slots[at], node)) at = (at + 1) & (table.size - 1);
        struct node *same = table.slots[at];
        if (!same) {
            table.slots[at] = node;
            continue;
        }
        bool all = true; // the earlier node has all outputs that this one has
        for (int i = 0; i < node->n_out; i++)
            if (node->out[i] && node->out[i]->n_uses && !same->out[i]) all = false;
        for (int i = 0; all && i < node->n_out; i++)
            if (node->out[i] && node->out[i]->n_uses) graph_replace_value(graph, node->out[i], same->out[i]);
    }
    free(table.slots);
    return REEL_OK;
}

// ---- unread nodes -----------------------------------------------------------

static void drop_unread(struct graph *graph)
{
    for (struct node *node = graph->last, *prev; node; node = prev) {
        prev = node->prev;
        bool read = false;
        for (int i = 0; i < node->n_out; i++)
            if (node->out[i] && node->out[i]->n_uses > 0) read = true;
        if (!read) graph_remove_node(graph, node);
    }
}

enum reel_err pass_clean(struct graph *graph, const struct pass_params *params)
{
    (void)params;
    enum reel_err err = pass_over(graph);
    if (!err) err = join_constants(graph);
    if (!err) err = join_equal_nodes(graph);
    drop_unread(graph);
    graph_renumber(graph);
    return err;
}

enum reel_err pass_outputs(struct graph *graph, const struct pass_params *params)
{
    (void)params;
    for (int i = 0; i < graph->n_outputs; i++) {
        struct value *v = graph->outputs[i];
        bool computed = v->owner == graph && v->producer && !v->is_input && !v->constant;
        for (int k = 0; k < i; k++)
            if (graph->outputs[k] == v) computed = false;
        if (computed) continue;
        struct value *copy = graph_add_value(graph, NULL);
        struct node *node = copy ? graph_add_node(graph, NULL, "Identity", NULL, &v, 1, &copy, 1) : NULL;
        if (!node) return out_of_memory();
        node->op = op_find("", "Identity", 13, NULL);
        node->opset = 13;
        if (!node->op) return reel_fail(REEL_ERR_UNSUPPORTED, "operator Identity is not supported");
        copy->dtype = v->dtype;
        copy->shape = v->shape;
        graph->outputs[i] = copy;
    }
    graph_count_uses(graph);
    graph_renumber(graph);
    return REEL_OK;
}
