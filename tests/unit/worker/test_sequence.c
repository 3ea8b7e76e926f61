// SPDX-License-Identifier: MIT
//
// Sequences vanish from graphs, loops of known length unroll, and what depends
// on data is refused by name. The numbers are compared in make_cases.py.
#include "worker/graph/sequence.h"
#include "worker/graph/shape.h"

#include "tests/unit/worker/graph_make.h"

static void axis(struct maker *m, struct value *of, int64_t x)
{
    make_attr(m, of, (struct attr){.name = "axis", .type = ATTR_INT, .u.i = x});
}

static struct value *int_scalar(struct maker *m, int64_t x)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &(struct reel_shape){0})) abort();
    *(int64_t *)t.data = x;
    return graph_add_constant(m->graph, NULL, &t);
}

// unbind, a change of order, stack: elements 1, 2, 0 of x, without any copy of x
static void lists_become_plain_operators(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(3, 4)), *s = make_node(&m, "SplitToSequence", x, NULL, NULL);
    make_attr(&m, s, (struct attr){.name = "keepdims", .type = ATTR_INT, .u.i = 0});
    struct value *first = make_node(&m, "SequenceAt", s, int_scalar(&m, 0), NULL);
    struct value *rest = make_node(&m, "SequenceErase", s, int_scalar(&m, -3), NULL);
    struct value *all = make_node(&m, "SequenceInsert", rest, first, NULL);
    struct value *y = make_node(&m, "ConcatFromSequence", all, NULL, NULL);
    axis(&m, y, 0);
    make_output(&m, y);
    make_output(&m, make_node(&m, "SequenceLength", all, NULL, NULL));
    CHECK_INT(shape_infer(m.graph, NULL), REEL_OK);
    CHECK(graph_is_sound(m.graph));
    CHECK(!sequence_is_used(m.graph));
    CHECK_INT(m.graph->n_nodes, 1 + 3 + 1); // Split, Squeeze, Concat
    CHECK_INT(m.graph->outputs[0]->shape.dim[0], 12);
    CHECK_INT(op_scalar_int(m.graph->outputs[1]->constant, 0), 3);
    struct reel_tensor out = run_graph(m.graph, 7);
    struct maker random = {.seed = 7};
    for (int i = 0; i < 12; i++) CHECK(((float *)out.data)[(i + 8) % 12] == (float)make_random(&random, -3, 3));
    reel_tensor_fini(&out);
    graph_destroy(&m.graph);
}

// A Loop node over body(i, c, v) -> (c, v + w), w a constant of the body.
static struct value *make_loop(struct maker *m, struct value *turns, struct value *start)
{
    struct graph *body = graph_create(m->graph);
    struct maker b = {.graph = body};
    body->inputs = graph_alloc(body, 3 * sizeof(*body->inputs));
    body->outputs = graph_alloc(body, 2 * sizeof(*body->outputs));
    make_input(&b, "i", (struct reel_shape){0});
    struct value *c = make_input(&b, "c", (struct reel_shape){0}), *v = make_input(&b, "v", start->shape);
    body->inputs[0]->dtype = REEL_I64;
    c->dtype = REEL_BOOL;
    body->outputs[body->n_outputs++] = make_node(&b, "Identity", c, NULL, NULL);
    body->outputs[body->n_outputs++] = make_node(&b, "Add", v, make_scalar(&b, 1), NULL);
    struct value *in[] = {turns, NULL, start}, *out = graph_add_value(m->graph, "out");
    struct node *loop = graph_add_node(m->graph, NULL, "Loop", "the_loop", in, 3, &out, 1);
    loop->op = op_find("", "Loop", 20, NULL);
    make_attr(m, out, (struct attr){.name = "body", .type = ATTR_GRAPH, .u.g = body});
    return out;
}

static void loops_of_known_length_unroll(void)
{
    for (int turns = 0; turns < 100; turns = 3 * turns + 1) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2));
        make_output(&m, make_loop(&m, int_scalar(&m, turns), x));
        CHECK_INT(shape_infer(m.graph, NULL), REEL_OK);
        CHECK(graph_is_sound(m.graph));
        CHECK_INT(count_nodes(m.graph, "Loop"), 0);
        CHECK_INT(count_nodes(m.graph, "Add"), turns);
        struct reel_tensor out = run_graph(m.graph, 3);
        struct maker random = {.seed = 3};
        CHECK_NEAR(((float *)out.data)[0], make_random(&random, -3, 3) + turns, 1e-4);
        reel_tensor_fini(&out);
        // One constant for all turns, and the turns' numbers and conditions.
        int constants = 0;
        for (int i = 0; i < m.graph->n_values; i++)
            constants += m.graph->values[i]->constant && m.graph->values[i]->dtype == REEL_F32;
        CHECK_INT(constants, 1);
        graph_destroy(&m.graph);
    }
}

static void long_loops_stay(void)
{
    struct maker m = maker();
    make_output(&m, make_loop(&m, int_scalar(&m, 100000), make_input(&m, "x", DIMS(2))));
    CHECK_INT(shape_infer(m.graph, NULL), REEL_OK);
    CHECK_INT(m.graph->n_nodes, 1);
    CHECK(graph_is_sound(m.graph));
    struct reel_tensor out = run_graph(m.graph, 3);
    CHECK(((float *)out.data)[0] > 99990);
    reel_tensor_fini(&out);
    graph_destroy(&m.graph);
}

// A list in, a list out: their elements stand in their place.
static void lists_at_the_edges_become_tensors(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", (struct reel_shape){.ndim = -1}), *a = make_input(&m, "a", DIMS(2));
    x->list = LIST_SEQUENCE;
    struct value *y = make_node(&m, "SequenceInsert", x, a, int_scalar(&m, 0));
    make_output(&m, y);
    CHECK_INT(sequence_open_lists(m.graph, (int[]){2, SEQUENCE_TENSOR}, (int[]){3}), REEL_OK);
    CHECK_INT(m.graph->n_inputs, 3);
    CHECK_STR(m.graph->inputs[1]->name, "x[1]");
    CHECK(m.graph->inputs[2] == a);
    CHECK_INT(m.graph->n_outputs, 3 + 1);
    CHECK_INT(shape_infer(m.graph, (struct reel_shape[]){DIMS(3), DIMS(4), DIMS(2)}), REEL_OK);
    CHECK(graph_is_sound(m.graph));
    CHECK(m.graph->outputs[0] == a && m.graph->outputs[2] == m.graph->inputs[1]);
    CHECK_INT(op_scalar_int(m.graph->outputs[3]->constant, 0), 3);
    graph_destroy(&m.graph);
}

// Constants that a list holds outlive the folding of what they come from.
static void lists_of_constants(void)
{
    struct maker m = maker();
    struct value *s = make_node(&m, "SplitToSequence", INTS(&m, 5, 6, 7), NULL, NULL);
    struct value *y = make_node(&m, "SequenceAt", s, int_scalar(&m, 1), NULL);
    make_output(&m, y);
    CHECK_INT(shape_infer(m.graph, NULL), REEL_OK);
    CHECK_INT(m.graph->n_nodes, 0);
    CHECK(m.graph->outputs[0]->constant && op_scalar_int(m.graph->outputs[0]->constant, 0) == 6);
    CHECK(graph_is_sound(m.graph));
    graph_destroy(&m.graph);
}

// Loops in loops do not multiply without end.
static void nested_loops_are_bounded(void)
{
    struct maker m = maker();
    struct value *v = make_input(&m, "x", DIMS(2));
    for (int i = 0; i < 600; i++) v = make_loop(&m, int_scalar(&m, 60), v);
    make_output(&m, v);
    CHECK_INT(shape_infer(m.graph, NULL), REEL_OK);
    CHECK(graph_is_sound(m.graph));
    CHECK(m.graph->n_nodes > 10000 && m.graph->n_nodes < 25000);
    CHECK(count_nodes(m.graph, "Loop") > 0);
    graph_destroy(&m.graph);
}

static void refused(struct maker *m, enum reel_err want, const char *node, const char *why)
{
    CHECK_INT(shape_infer(m->graph, NULL), want);
    CHECK_HAS(reel_fail_text(), node);
    CHECK_HAS(reel_fail_text(), why);
    graph_destroy(&m->graph);
}

static void what_depends_on_data_is_refused(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(3)), *i = make_input(&m, "i", (struct reel_shape){0});
    i->dtype = REEL_I64;
    struct value *s = make_node(&m, "SplitToSequence", x, NULL, NULL), *y = make_node(&m, "SequenceAt", s, i, NULL);
    y->producer->name = "the_pick";
    make_output(&m, y);
    refused(&m, REEL_ERR_UNSUPPORTED, "\"the_pick\" (SequenceAt, opset 20)", "the position \"i\" depends on data");

    m = maker();
    x = make_input(&m, "x", DIMS(3));
    s = make_node(&m, "SplitToSequence", x, NULL, NULL);
    make_output(&m, make_node(&m, "SequenceAt", s, int_scalar(&m, 3), NULL));
    refused(&m, REEL_ERR_INPUT, "SequenceAt", "position 3 in a sequence of 3");

    m = maker();
    x = make_input(&m, "x", DIMS(3));
    i = make_input(&m, "i", (struct reel_shape){0});
    i->dtype = REEL_I64;
    make_output(&m, make_loop(&m, i, make_node(&m, "SequenceConstruct", x, NULL, NULL)));
    refused(&m, REEL_ERR_UNSUPPORTED, "\"the_loop\" (Loop", "how often it turns depends on data");

    m = maker();
    x = make_input(&m, "x", DIMS(3));
    make_output(&m, make_node(&m, "Relu", make_node(&m, "SequenceConstruct", x, NULL, NULL), NULL, NULL));
    refused(&m, REEL_ERR_UNSUPPORTED, "(Relu, opset 20)", "is a sequence");

    m = maker();
    x = make_input(&m, "x", DIMS(3));
    make_output(&m, make_node(&m, "SequenceConstruct", x, NULL, NULL));
    refused(&m, REEL_ERR_UNSUPPORTED, "output", "it is a sequence");

    m = maker();
    s = make_node(&m, "SequenceEmpty", NULL, NULL, NULL);
    make_output(&m, make_node(&m, "ConcatFromSequence", s, NULL, NULL));
    axis(&m, m.graph->outputs[0], 0);
    refused(&m, REEL_ERR_INPUT, "ConcatFromSequence", "the sequence is empty");
}

CHECK_MAIN({"lists_become_plain_operators", lists_become_plain_operators},
           {"loops_of_known_length_unroll", loops_of_known_length_unroll}, {"long_loops_stay", long_loops_stay},
           {"lists_at_the_edges_become_tensors", lists_at_the_edges_become_tensors},
           {"lists_of_constants", lists_of_constants}, {"nested_loops_are_bounded", nested_loops_are_bounded},
           {"what_depends_on_data_is_refused", what_depends_on_data_is_refused})
