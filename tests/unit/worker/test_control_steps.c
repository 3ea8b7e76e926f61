// SPDX-License-Identifier: MIT
//
// Networks in which one node is control flow that depends on data (If, Loop): it alone is the
// interpreter's, on both backends, and what its bodies read around them is brought to it.
#include "tests/unit/worker/backend_case.h"
#include "tests/unit/worker/lower_case.h"

static struct value *convolve(struct maker *m, struct value *x, int64_t c)
{
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(16, c, 3, 3), -0.3, 0.3), NULL);
    ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    return make_node(m, "Relu", y, NULL, NULL);
}

// Whether the largest of x is above `limit`: it is 3 at the most.
static struct value *above(struct maker *m, struct value *x, double limit)
{
    struct value *most = make_node(m, "ReduceMax", x, NULL, NULL);
    attr_int(m, most, "keepdims", 0);
    return make_node(m, "Greater", most, make_scalar(m, limit), NULL);
}

// cond ? op(a) : b, which the branches read around them.
static struct value *choose(struct maker *m, struct value *cond, const char *op, struct value *a, struct value *b)
{
    static const char *const names[] = {"then_branch", "else_branch"};
    struct value *out = make_node(m, "If", cond, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        struct maker inner = {.graph = graph_create(m->graph)};
        inner.graph->outputs = graph_alloc(m->graph, sizeof(*inner.graph->outputs));
        struct value *y = make_node(&inner, i ? "Identity" : op, i ? b : a, NULL, NULL);
        y->dtype = REEL_F32;
        inner.graph->outputs[inner.graph->n_outputs++] = y;
        make_attr(m, out, (struct attr){.name = names[i], .type = ATTR_GRAPH, .u.g = inner.graph});
    }
    return out;
}

static void a_branch_in_the_middle(void)
{
    for (int i = 0; i < 4; i++) { // either branch; of one extent, and of two
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(1, 3, 9, 10)), *y = convolve(&m, x, 3), *z = convolve(&m, y, 16);
        struct value *b = i & 2 ? make_node(&m, "GlobalMaxPool", y, NULL, NULL) : y;
        struct value *chosen = choose(&m, above(&m, x, i & 1 ? 100 : -100), "Neg", z, b);
        make_output(&m, make_node(&m, "Mul", make_node(&m, "Abs", chosen, NULL, NULL), make_scalar(&m, 0.5), NULL));
        CHECK_BACKEND(&m);
        CHECK_HAS(steps, "direct plain");
        struct result r;
        CHECK(run_lowered(m.graph, PRECISION_FP32, &r));
        snprintf(dump, sizeof dump, "%s", r.dump);
        struct reel_tensor want = run_graph(m.graph, 5);
        CHECK_MSG(tensor_difference(&r.out, &want) <= 1e-5, "%s", dump);
        CHECK_HAS(dump, "plan           conv 1x16x9x10");
        CHECK(count_nodes(m.graph, "If") == 1);
        reel_tensor_fini(&want);
        result_fini(&r);
        graph_destroy(&m.graph);
    }
}

// x + y, y read around the body, as often as there are steps in the data.
static struct value *repeat(struct maker *m, struct value *turns, struct value *start, struct value *outer)
{
    struct graph *body = graph_create(m->graph);
    struct maker b = {.graph = body};
    body->inputs = graph_alloc(body, 3 * sizeof(*body->inputs));
    body->outputs = graph_alloc(body, 2 * sizeof(*body->outputs));
    make_input(&b, "i", (struct reel_shape){0})->dtype = REEL_I64;
    struct value *c = make_input(&b, "c", (struct reel_shape){0}), *v = make_input(&b, "v", start->shape);
    c->dtype = REEL_BOOL;
    body->outputs[body->n_outputs++] = make_node(&b, "Identity", c, NULL, NULL);
    body->outputs[body->n_outputs++] = make_node(&b, "Add", v, outer, NULL);
    struct value *in[] = {turns, NULL, start}, *out = graph_add_value(m->graph, "out");
    struct node *loop = graph_add_node(m->graph, NULL, "Loop", "the_loop", in, 3, &out, 1);
    loop->op = op_find("", "Loop", 20, NULL);
    make_attr(m, out, (struct attr){.name = "body", .type = ATTR_GRAPH, .u.g = body});
    return out;
}

static void a_loop_in_the_middle(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 6, 5)), *y = convolve(&m, x, 3);
    struct value *turns = make_node(&m, "Cast", above(&m, x, 0), NULL, NULL);
    attr_int(&m, turns, "to", 7);
    turns = make_node(&m, "Add", turns, INTS(&m, 2), NULL); // three
    turns = make_node(&m, "Squeeze", turns, NULL, NULL);
    y->shape = DIMS(1, 16, 6, 5);
    make_output(&m, make_node(&m, "Neg", repeat(&m, turns, y, y), NULL, NULL));
    CHECK_BACKEND(&m);
    struct result r;
    CHECK(run_lowered(m.graph, PRECISION_FP32, &r));
    struct reel_tensor want = run_graph(m.graph, 5);
    CHECK_MSG(tensor_difference(&r.out, &want) <= 1e-5, "%s", r.dump);
    CHECK_HAS(r.dump, "Loop             on the host");
    reel_tensor_fini(&want);
    result_fini(&r);
    graph_destroy(&m.graph);
}

CHECK_MAIN({"a branch in the middle", a_branch_in_the_middle}, {"a loop in the middle", a_loop_in_the_middle})
