// SPDX-License-Identifier: MIT
//
// Operations on graphs: uses stay true through edits, replacements reach
// bodies, copies are independent, bodies are taken in.
#include "tests/unit/worker/graph_make.h"
#include "worker/graph/shape.h"

static void uses_are_kept(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2, 3));
    struct value *a = make_node(&m, "Relu", x, NULL, NULL), *b = make_node(&m, "Add", a, a, NULL);
    struct value *c = make_node(&m, "Mul", a, b, NULL);
    make_output(&m, c);
    CHECK_INT(a->n_uses, 3);
    CHECK(graph_only_consumer(m.graph, b) == c->producer);
    CHECK(graph_only_consumer(m.graph, a) == NULL);
    CHECK(graph_only_consumer(m.graph, c) == NULL);
    graph_replace_value(m.graph, a, x);
    CHECK_INT(a->n_uses, 0);
    CHECK_INT(x->n_uses, 4);
    graph_remove_node(m.graph, a->producer);
    CHECK_INT(x->n_uses, 3);
    graph_set_input(m.graph, c->producer, 0, b);
    CHECK_INT(x->n_uses, 2);
    CHECK_INT(b->n_uses, 2);
    graph_replace_value(m.graph, c, b); // an output too
    CHECK(m.graph->outputs[0] == b && b->is_output);
    graph_remove_node(m.graph, c->producer);
    CHECK_INT(b->n_uses, 1);
    CHECK(graph_is_sound(m.graph));
    graph_destroy(&m.graph);
    CHECK(m.graph == NULL);
    graph_destroy(&m.graph);
}

static void nodes_are_put_before_others(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2));
    struct value *last = make_node(&m, "Relu", x, NULL, NULL);
    struct value *v = graph_add_value(m.graph, NULL);
    struct node *first = graph_add_node(m.graph, last->producer, "Abs", NULL, &x, 1, &v, 1);
    CHECK(m.graph->first == first && first->next == last->producer && m.graph->last == last->producer);
    graph_set_input(m.graph, last->producer, 0, v);
    make_output(&m, last);
    CHECK(graph_is_sound(m.graph));
    CHECK_HAS(first->name, "Abs_");
    graph_destroy(&m.graph);
}

// An If whose branches read values of the graph around them.
static struct value *make_if(struct maker *m, struct value *cond, struct value *outer)
{
    static const char *const names[] = {"then_branch", "else_branch"};
    static const char *const ops[] = {"Neg", "Abs"};
    struct value *out = make_node(m, "If", cond, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        struct maker inner = {.graph = graph_create(m->graph)};
        inner.graph->outputs = graph_alloc(m->graph, sizeof(*inner.graph->outputs));
        inner.graph->outputs[inner.graph->n_outputs++] = make_node(&inner, ops[i], outer, NULL, NULL);
        make_attr(m, out, (struct attr){.name = names[i], .type = ATTR_GRAPH, .u.g = inner.graph});
    }
    return out;
}

static struct value *make_bool(struct maker *m, bool x)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_BOOL, &(struct reel_shape){0})) abort();
    *(uint8_t *)t.data = x;
    return graph_add_constant(m->graph, NULL, &t);
}

static void bodies_read_outer_values(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(4)), *c = make_input(&m, "c", (struct reel_shape){0});
    c->dtype = REEL_BOOL;
    struct value *y = make_node(&m, "Exp", x, NULL, NULL);
    struct value *r = make_if(&m, c, y);
    make_output(&m, make_node(&m, "Relu", r, NULL, NULL));
    CHECK_INT(y->n_uses, 2);
    CHECK(graph_only_consumer(m.graph, y) == NULL);
    struct graph *copy = graph_clone(m.graph);
    CHECK(copy != NULL);
    struct value *twin = graph_find_value(copy, y->name);
    CHECK_INT(twin->n_uses, 2);
    CHECK(twin != y);
    graph_replace_value(copy, twin, copy->inputs[0]);
    CHECK_INT(twin->n_uses, 0);
    CHECK_INT(y->n_uses, 2);
    struct reel_tensor a = run_graph(m.graph, 3), b = run_graph(copy, 3);
    CHECK(a.data && b.data);
    CHECK(tensor_difference(&a, &b) > 0.01); // exp(x) there, x here
    reel_tensor_fini(&a);
    reel_tensor_fini(&b);
    graph_destroy(&copy);
    graph_destroy(&m.graph);
}

static void known_conditions_take_the_branch_in(void)
{
    for (int which = 0; which < 2; which++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(4)), *y = make_node(&m, "Sin", x, NULL, NULL);
        make_output(&m, make_node(&m, "Sqrt", make_node(&m, "Abs", make_if(&m, make_bool(&m, which), y), NULL, NULL),
                                  NULL, NULL));
        struct graph *after = after_passes(m.graph, 0);
        CHECK(after != NULL);
        CHECK(graph_is_sound(after));
        CHECK_INT(count_nodes(after, "If"), 0);
        CHECK_INT(count_nodes(after, "Neg"), which);
        struct reel_tensor a = run_graph(m.graph, 3), b = run_graph(after, 3);
        CHECK_NEAR(tensor_difference(&a, &b), 0, 1e-6);
        reel_tensor_fini(&a);
        reel_tensor_fini(&b);
        graph_destroy(&after);
        graph_destroy(&m.graph);
    }
}

static void arena_has_a_limit(void)
{
    struct graph *g = graph_create(NULL);
    CHECK(graph_alloc(g, (size_t)2 << 30) == NULL);
    CHECK(graph_alloc(g, SIZE_MAX) == NULL);
    char *p = graph_alloc(g, 1000);
    CHECK(p != NULL);
    for (int i = 0; i < 1000; i++) CHECK_INT(p[i], 0);
    graph_destroy(&g);
}

static void inputs_become_one(void)
{
    struct maker m = maker();
    struct value *a = make_input(&m, "a", DIMS(1, 3, -1, 5)), *b = make_input(&m, "b", DIMS(1, 3, -1, 5));
    struct value *c = make_input(&m, "c", DIMS(1, 3, -1, 5));
    make_output(&m, make_node(&m, "Add", make_node(&m, "Mul", a, c, NULL), b, NULL));
    CHECK_INT(graph_join_inputs(m.graph, "frames", 1, (const int[]){0, 1, 2}, 3), REEL_OK);
    CHECK_INT(m.graph->n_inputs, 1);
    struct value *all = m.graph->inputs[0];
    CHECK(!strcmp(all->name, "frames") && all->is_input && !a->is_input && !b->is_input && !c->is_input);
    CHECK(a->producer == m.graph->first && c->producer == a->producer);
    CHECK(graph_is_sound(m.graph));
    struct reel_shape in = {4, {1, 9, 7, 5}};
    CHECK_INT(all->shape.dim[1], 9);
    CHECK_INT(all->shape.dim[2], -1);
    CHECK_INT(shape_infer(m.graph, &in), REEL_OK);
    CHECK_INT(b->shape.dim[1], 3);
    CHECK_INT(b->shape.dim[2], 7);
    graph_destroy(&m.graph);
}

// Of several inputs two: what is joined comes first, the others keep their order.
static void some_inputs_become_one(void)
{
    struct maker m = maker();
    struct value *t = make_input(&m, "t", DIMS(1)), *a = make_input(&m, "a", DIMS(1, 3, 4, 5));
    struct value *u = make_input(&m, "u", DIMS(1)), *b = make_input(&m, "b", DIMS(1, 3, 4, 5));
    make_output(&m, make_node(&m, "Add", make_node(&m, "Mul", a, t, NULL), make_node(&m, "Mul", b, u, NULL), NULL));
    CHECK_INT(graph_join_inputs(m.graph, "frames", 1, (const int[]){1, 3}, 2), REEL_OK);
    CHECK_INT(m.graph->n_inputs, 3);
    CHECK(!strcmp(m.graph->inputs[0]->name, "frames") && m.graph->inputs[1] == t && m.graph->inputs[2] == u);
    CHECK_INT(m.graph->inputs[0]->shape.dim[1], 6);
    CHECK(!strcmp(m.graph->first->name, GRAPH_JOINT) && graph_is_sound(m.graph));
    graph_destroy(&m.graph);
}

CHECK_MAIN({"uses_are_kept", uses_are_kept}, {"nodes_are_put_before_others", nodes_are_put_before_others},
           {"bodies_read_outer_values", bodies_read_outer_values},
           {"known_conditions_take_the_branch_in", known_conditions_take_the_branch_in},
           {"inputs_become_one", inputs_become_one}, {"some_inputs_become_one", some_inputs_become_one},
           {"arena_has_a_limit", arena_has_a_limit})
