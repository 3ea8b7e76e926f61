// SPDX-License-Identifier: MIT
//
// Unrolls ONNX's Loop; see unroll.h. Meanwhile the node's inputs hold the state: the condition and the
// carried values of the next iteration, followed by the scan outputs of all iterations so far.
#include "worker/graph/unroll.h"

#include <stdio.h>
#include <string.h>

#include "worker/graph/sequence.h"
#include "worker/onnx/op.h"

// Loops without sequences can also run as they are. Unrolled they are faster, unless the graph becomes
// so large that compiling it takes long.
#define PLAIN_MAX_TURNS 64
#define PLAIN_MAX_NODES 2000
// Limit of nodes of the whole graph, so that nested loops do not multiply.
#define PLAIN_MAX_GRAPH 20000
// Limits for loops that carry sequences, which can only be unrolled.
#define MAX_NODES 50000
#define MAX_GRAPH 200000

struct peel {
    struct graph *body;
    int64_t turn, turns; // iterations done and in all; INT64_MAX if only the condition ends the loop
    int64_t nodes;       // added so far
    int carried, scans;
    int capacity; // of node->in
};

static enum reel_err out_of_memory(const struct node *node)
{
    return sequence_fail(reel_fail(REEL_ERR_NOMEM, "out of memory"), node);
}

static bool is_true(const struct value *v)
{
    return v->constant && v->constant->data && reel_tensor_count(v->constant) == 1 && op_scalar_int(v->constant, 0);
}

// ---- whether to unroll ------------------------------------------------------

// Whether the body passes on its condition unchanged, or always sets it to true.
static bool never_stops(const struct graph *body)
{
    const struct value *v = body->outputs[0];
    while (v->producer && v->owner == body && !*v->producer->domain &&
           (!strcmp(v->producer->op_type, "Identity") || !strcmp(v->producer->op_type, "Cast")))
        v = v->producer->in[0];
    return v == body->inputs[1] || is_true(v);
}

static int64_t count_nodes(const struct graph *graph)
{
    int64_t n = 0;
    for (const struct node *node = graph->first; node; node = node->next) {
        n++;
        for (int i = 0; i < node->n_attr; i++)
            if (node->attr[i].type == ATTR_GRAPH) n += count_nodes(node->attr[i].u.g);
    }
    return n;
}

static bool carries_sequences(const struct node *node)
{
    for (int i = 2; i < node->n_in; i++)
        if (node->in[i] && node->in[i]->sequence) return true;
    return false;
}

// Decides whether the loop is unrolled; *out_p is NULL if not.
static enum reel_err begin(struct graph *graph, struct node *node, struct peel **out_p)
{
    *out_p = NULL;
    const struct attr *a = node_attr(node, "body");
    const int carried = node->n_in > 2 ? node->n_in - 2 : 0;
    if (!a || a->type != ATTR_GRAPH) return REEL_OK;
    struct graph *body = a->u.g;
    if (body->n_inputs != carried + 2 || body->n_outputs < carried + 1 || node->n_out > body->n_outputs - 1)
        return REEL_OK;
    for (int i = 2; i < node->n_in; i++)
        if (!node->in[i]) return REEL_OK;
    const struct value *m = node->n_in > 0 ? node->in[0] : NULL, *cond = node->n_in > 1 ? node->in[1] : NULL;
    if ((m && (!m->constant || reel_tensor_count(m->constant) != 1)) || (cond && !cond->constant)) return REEL_OK;

    const int scans = body->n_outputs - 1 - carried;
    const int64_t turns = m ? op_scalar_int(m->constant, 0) : INT64_MAX, nodes = count_nodes(body) + 1;
    const bool needed = carries_sequences(node) || sequence_is_used(body);
    if (turns <= 0 && scans) return REEL_OK; // only the operator knows the shape of an empty result
    if (!carries_sequences(node)) {
        const int64_t most = needed ? MAX_NODES : PLAIN_MAX_NODES;
        if (!needed && graph->n_nodes > PLAIN_MAX_GRAPH) return REEL_OK;
        if (!m || !never_stops(body) || turns > most / nodes || (!needed && turns > PLAIN_MAX_TURNS)) return REEL_OK;
    }
    struct peel *p = graph_alloc(graph, sizeof *p);
    if (!p || !graph_hoist_constants(graph, body)) return out_of_memory(node);
    *p = (struct peel){.body = body, .turns = turns, .carried = carried, .scans = scans, .capacity = node->n_in};
    *out_p = node->peel = p;
    return REEL_OK;
}

// ---- one iteration ----------------------------------------------------------

static struct value *scalar(struct graph *graph, enum reel_dtype dtype, int64_t x)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, dtype, &(struct reel_shape){0})) return NULL;
    reel_convert(t.data, dtype, &x, REEL_I64, 1);
    struct value *v = graph_add_constant(graph, NULL, &t);
    if (!v) reel_tensor_fini(&t);
    return v;
}

// Appends an input to the node, so that the value counts as read.
static bool append_input(struct graph *graph, struct node *node, struct value *v)
{
    struct peel *p = node->peel;
    if (node->n_in == p->capacity) {
        const int capacity = 2 * p->capacity + 8;
        struct value **in = graph_alloc(graph, (size_t)capacity * sizeof(*in));
        if (!in) return false;
        if (node->n_in) memcpy(in, node->in, (size_t)node->n_in * sizeof(*in));
        node->in = in;
        p->capacity = capacity;
    }
    node->in[node->n_in++] = NULL;
    graph_set_input(graph, node, node->n_in - 1, v);
    return true;
}

static enum reel_err take_turn(struct graph *graph, struct node *node)
{
    struct peel *p = node->peel;
    const int n_in = p->carried + 2, n_out = p->body->n_outputs;
    p->nodes += p->body->n_nodes + 1;
    if (p->nodes > MAX_NODES || graph->n_nodes > MAX_GRAPH)
        return sequence_fail(reel_fail(REEL_ERR_LIMIT, "unrolled it has more than %d nodes", MAX_NODES), node);
    struct value **in = graph_alloc(graph, (size_t)(n_in + n_out) * sizeof(*in)), **out = in ? in + n_in : NULL;
    if (!in || !(in[0] = scalar(graph, REEL_I64, p->turn)) || !(in[1] = scalar(graph, REEL_BOOL, 1)))
        return out_of_memory(node);
    for (int i = 0; i < p->carried; i++) in[i + 2] = node->in[i + 2];
    char tag[160];
    snprintf(tag, sizeof tag, "%.140s#%lld", node->name, (long long)p->turn++);
    if (!graph_copy_body(graph, node, p->body, tag, in, out)) return out_of_memory(node);
    while (node->n_in < 2)
        if (!append_input(graph, node, NULL)) return out_of_memory(node);
    for (int i = 0; i <= p->carried; i++) graph_set_input(graph, node, i + 1, out[i]);
    for (int i = 0; i < p->scans; i++)
        if (!append_input(graph, node, out[1 + p->carried + i])) return out_of_memory(node);
    return REEL_OK;
}

// ---- the end ----------------------------------------------------------------

static struct node *add_op(struct graph *graph, struct node *before, const char *op_type, struct value *const *in,
                           int n_in, struct value *out)
{
    struct node *node = graph_add_node(graph, before, op_type, NULL, in, n_in, &out, 1);
    if (!node) return NULL;
    node->op = op_find("", op_type, 13, NULL);
    node->opset = 13;
    return node->op ? node : NULL;
}

// Stacks the results of all iterations along a new first axis.
static bool stack(struct graph *graph, struct node *before, const struct peel *p, struct value *const *items,
                  struct value *out)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &(struct reel_shape){.ndim = 1, .dim = {1}})) return false; // axis 0
    struct value *axes = graph_add_constant(graph, NULL, &t);
    struct value **parts = graph_alloc(graph, (size_t)p->turn * sizeof(*parts));
    struct attr *axis = graph_alloc(graph, sizeof *axis);
    if (!axes) reel_tensor_fini(&t);
    if (!axes || !parts || !axis) return false;
    for (int64_t i = 0; i < p->turn; i++) {
        parts[i] = graph_add_value(graph, NULL);
        struct value *in[] = {items[i * p->scans], axes};
        if (!parts[i] || !add_op(graph, before, "Unsqueeze", in, 2, parts[i])) return false;
    }
    struct node *concat = add_op(graph, before, "Concat", parts, (int)p->turn, out);
    if (!concat) return false;
    *axis = (struct attr){.name = "axis", .type = ATTR_INT, .u.i = 0};
    concat->attr = axis;
    concat->n_attr = 1;
    return true;
}

static enum reel_err finish(struct graph *graph, struct node *node)
{
    const struct peel *p = node->peel;
    struct node *next = node->next;
    graph_remove_node(graph, node);
    for (int i = 0; i < node->n_out; i++) {
        if (!node->out[i]) continue;
        if (i < p->carried)
            graph_replace_value(graph, node->out[i], node->in[i + 2]);
        else if (!stack(graph, next, p, node->in + 2 + p->carried + (i - p->carried), node->out[i]))
            return out_of_memory(node);
    }
    return REEL_OK;
}

enum reel_err unroll_loop(struct graph *graph, struct node *node, bool *out_done)
{
    *out_done = false;
    struct peel *p = node->peel;
    enum reel_err err = p ? REEL_OK : begin(graph, node, &p);
    if (err || !p) return err;
    const struct value *cond = node->n_in > 1 ? node->in[1] : NULL;
    if (cond && !cond->constant)
        return sequence_fail(reel_fail(REEL_ERR_UNSUPPORTED,
                                       "it carries a sequence, and whether it goes on after turn "
                                       "%lld depends on data",
                                       (long long)p->turn),
                             node);
    *out_done = true;
    const bool more = p->turn < p->turns && (!cond || is_true(cond));
    if (!more && p->turn == 0 && p->scans)
        return sequence_fail(reel_fail(REEL_ERR_UNSUPPORTED, "it carries a sequence and never turns"), node);
    return more ? take_turn(graph, node) : finish(graph, node);
}
