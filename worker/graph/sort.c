// SPDX-License-Identifier: MIT
//
// Sorts a graph's nodes topologically. Called by the importer, because the nodes of a file may be in
// any order.
#include <stdlib.h>

#include "common/err.h"
#include "worker/graph/graph.h"

static enum reel_err out_of_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "out of memory");
}

// The nodes of the same graph whose results a node, or one of its bodies, reads.
struct edges {
    struct node **list;
    size_t count, size;
};

static bool add_edge(struct edges *edges, struct node *from)
{
    if (edges->count == edges->size) {
        size_t size = edges->size ? edges->size * 2 : 256;
        struct node **list = realloc(edges->list, size * sizeof(*list));
        if (!list) return false;
        edges->list = list;
        edges->size = size;
    }
    edges->list[edges->count++] = from;
    return true;
}

static bool add_edges(struct edges *edges, const struct graph *graph, const struct node *node)
{
    for (int i = 0; i < node->n_in; i++) {
        const struct value *v = node->in[i];
        if (v && v->owner == graph && v->producer && !add_edge(edges, v->producer)) return false;
    }
    for (int i = 0; i < node->n_attr; i++) {
        if (node->attr[i].type != ATTR_GRAPH) continue;
        const struct graph *body = node->attr[i].u.g;
        for (const struct node *n = body->first; n; n = n->next)
            if (!add_edges(edges, graph, n)) return false;
        for (int k = 0; k < body->n_outputs; k++) {
            const struct value *v = body->outputs[k];
            if (v->owner == graph && v->producer && !add_edge(edges, v->producer)) return false;
        }
    }
    return true;
}

struct visit {
    struct node **order, **stack;
    size_t *next_edge, *first_edge; // by node id; first_edge has one entry more
    unsigned char *state;           // 0 not visited, 1 on the stack, 2 sorted
    size_t n_order;
};

// Depth-first search with its own stack. Nodes that are already in order keep their order.
static enum reel_err visit_from(struct visit *visit, const struct edges *edges, struct node *root)
{
    size_t top = 0;
    visit->stack[top++] = root;
    visit->state[root->id] = 1;
    while (top) {
        struct node *node = visit->stack[top - 1];
        if (visit->next_edge[node->id] < visit->first_edge[node->id + 1]) {
            struct node *before = edges->list[visit->next_edge[node->id]++];
            if (visit->state[before->id] == 1)
                return reel_fail(REEL_ERR_INPUT, "node \"%.200s\" (%s) waits for its own result: the graph has a cycle",
                                 before->name, before->op_type);
            if (visit->state[before->id] == 2) continue;
            visit->state[before->id] = 1;
            visit->stack[top++] = before;
            continue;
        }
        visit->state[node->id] = 2;
        visit->order[visit->n_order++] = node;
        top--;
    }
    return REEL_OK;
}

enum reel_err graph_sort(struct graph *graph)
{
    graph_renumber(graph);
    size_t n = (size_t)graph->n_nodes;
    struct edges edges = {0};
    struct visit visit = {.order = calloc(n + 1, sizeof(*visit.order)),
                          .stack = calloc(n + 1, sizeof(*visit.stack)),
                          .next_edge = calloc(n + 2, sizeof *visit.next_edge),
                          .first_edge = calloc(n + 2, sizeof *visit.first_edge),
                          .state = calloc(n + 1, 1)};
    enum reel_err err = REEL_OK;
    if (!visit.order || !visit.stack || !visit.next_edge || !visit.first_edge || !visit.state) err = out_of_memory();
    for (struct node *node = graph->first; node && !err; node = node->next) {
        visit.first_edge[node->id] = visit.next_edge[node->id] = edges.count;
        if (!add_edges(&edges, graph, node)) err = out_of_memory();
        visit.first_edge[node->id + 1] = edges.count;
    }
    for (struct node *node = graph->first; node && !err; node = node->next)
        if (visit.state[node->id] == 0) err = visit_from(&visit, &edges, node);
    struct node *prev = NULL;
    for (size_t i = 0; i < n && !err; i++) {
        struct node *node = visit.order[i];
        node->prev = prev;
        node->next = NULL;
        *(prev ? &prev->next : &graph->first) = node;
        graph->last = prev = node;
    }
    graph_renumber(graph);
    free(edges.list);
    free(visit.order);
    free(visit.stack);
    free(visit.next_edge);
    free(visit.first_edge);
    free(visit.state);
    return err;
}
