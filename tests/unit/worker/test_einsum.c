// SPDX-License-Identifier: MIT
//
// pass_einsum: which equations become MatMul, with how many moves around it, and that the
// results are those of the operator.
#include "tests/unit/worker/graph_make.h"

struct row {
    const char *equation;
    struct reel_shape a, b;
    bool product; // else it stays an Einsum
    int transposes, reshapes;
    bool bare; // also for backends that lay out operands themselves
};

static const struct row rows[] = {
    // Matrices, and attention of one and of several batch axes, by scores and by values.
    {"ij,jk->ik", {2, {4, 5}}, {2, {5, 6}}, true, 0, 0, true},
    {"bid,bjd->bij", {3, {2, 4, 5}}, {3, {2, 6, 5}}, true, 1, 0, true},
    {"bij,bjd->bid", {3, {2, 4, 6}}, {3, {2, 6, 5}}, true, 0, 0, true},
    {"B G H I D, B G H J D -> B G H I J", {5, {1, 3, 2, 4, 5}}, {5, {1, 3, 2, 6, 5}}, true, 1, 0, true},
    // Heads behind the rows: every operand is turned, and so is the result.
    {"bqhd,bkhd->bhqk", {4, {2, 4, 3, 5}}, {4, {2, 6, 3, 5}}, true, 2, 0, false},
    {"bhqk,bkhd->bqhd", {4, {2, 3, 4, 6}}, {4, {2, 6, 3, 5}}, true, 2, 0, false},
    // Axes of one element are no moves.
    {"bqhd,bkhd->bhqk", {4, {2, 4, 1, 5}}, {4, {2, 6, 1, 5}}, true, 1, 1, false},
    // The operands change places, or the result is turned.
    {"jk,ij->ik", {2, {5, 6}}, {2, {4, 5}}, true, 0, 0, true},
    {"ij,jk->ki", {2, {4, 5}}, {2, {5, 6}}, true, 1, 0, false},
    {"ij,kj->ki", {2, {4, 5}}, {2, {6, 5}}, true, 1, 0, true}, // both: less is moved
    {"ji,jk->ik", {2, {5, 4}}, {2, {5, 6}}, true, 1, 0, false},
    // Several labels a group: relative positions, weights of many axes.
    {"bhwc,hkc->bhwk", {4, {2, 4, 3, 5}}, {3, {4, 6, 5}}, true, 2, 2, false},
    {"bshd,hdm->bsm", {4, {2, 3, 4, 5}}, {3, {4, 5, 6}}, true, 0, 3, false},
    {"ihd,hdj->ij", {3, {4, 3, 5}}, {3, {3, 5, 6}}, true, 0, 2, false},
    {"abcdefgi,abcdefij->abcdefgj", {8, {1, 2, 1, 2, 1, 1, 3, 4}}, {8, {1, 2, 1, 2, 1, 1, 4, 5}}, true, 0, 0, true},
    // A row or a column alone.
    {"bd,bkd->bk", {2, {2, 5}}, {3, {2, 6, 5}}, true, 0, 2, false},
    {"i,ij->j", {1, {5}}, {2, {5, 6}}, true, 0, 2, false},
    {"...ij,...jk->...ik", {4, {2, 3, 4, 5}}, {4, {2, 3, 5, 6}}, true, 0, 0, true},
    {"ij,jk", {2, {4, 5}}, {2, {5, 6}}, true, 0, 0, true},
    // No products of matrices.
    {"ij,ij->ij", {2, {4, 5}}, {2, {4, 5}}, false, 0, 0, false},
    {"i,j->ij", {1, {4}}, {1, {5}}, false, 0, 0, false},
    {"ij,jk->i", {2, {4, 5}}, {2, {5, 6}}, false, 0, 0, false},
    {"ij,jk->k", {2, {4, 5}}, {2, {5, 6}}, false, 0, 0, false},
    {"ii,ij->j", {2, {4, 4}}, {2, {4, 5}}, false, 0, 0, false},
    {"ij,jj->i", {2, {4, 5}}, {2, {5, 5}}, false, 0, 0, false},
    {"ii,ij->ij", {2, {4, 4}}, {2, {4, 5}}, false, 0, 0, false},
    {"ij,ij->", {2, {4, 5}}, {2, {4, 5}}, false, 0, 0, false},
    {"bij,bjk->bik", {3, {2, 4, 5}}, {3, {1, 5, 6}}, false, 0, 0, false}, // one batch for all
};

static void check(const struct row *r, unsigned caps, bool product)
{
    struct maker m = maker();
    struct value *a = make_input(&m, "a", r->a), *b = make_input(&m, "b", r->b);
    struct value *y = make_node(&m, "Einsum", a, b, NULL);
    make_attr(
        &m, y,
        (struct attr){.name = "equation", .type = ATTR_STRING, .count = (int)strlen(r->equation), .u.s = r->equation});
    make_output(&m, y);
    struct graph *after = after_passes(m.graph, caps);
    CHECK_MSG(after && graph_is_sound(after), "%s: the graph is broken", r->equation);
    if (!after) return;
    CHECK_MSG(count_nodes(after, "Einsum") == !product && count_nodes(after, "MatMul") == product, "%s: %s",
              r->equation, product ? "stays" : "is rewritten");
    CHECK_MSG(
        !product || (count_nodes(after, "Transpose") == r->transposes && count_nodes(after, "Reshape") == r->reshapes),
        "%s: %d transposes, %d reshapes", r->equation, count_nodes(after, "Transpose"), count_nodes(after, "Reshape"));
    struct reel_tensor want = run_graph(m.graph, 5), got = run_graph(after, 5);
    const double d = tensor_difference(&want, &got);
    CHECK_MSG(d < 1e-6, "%s: apart by %g", r->equation, d);
    reel_tensor_fini(&want);
    reel_tensor_fini(&got);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void equations(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check(&rows[i], 0, rows[i].product);
}

static void backends_that_lay_out(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check(&rows[i], BACKEND_STEPS, rows[i].bare);
}

static struct value *product(struct maker *m, struct value *a, struct value *b)
{
    struct value *y = make_node(m, "Einsum", a, b, NULL);
    make_attr(m, y, (struct attr){.name = "equation", .type = ATTR_STRING, .count = 8, .u.s = "ij,kj->ik"});
    return y;
}

static struct value *cast(struct maker *m, struct value *x, int64_t to)
{
    struct value *y = make_node(m, "Cast", x, NULL, NULL);
    attr_int(m, y, "to", to);
    return y;
}

// Whole numbers, sizes that depend on data, and somebody else's operator of that name.
static void left_alone(void)
{
    for (int kind = 0; kind < 3; kind++) {
        struct maker m = maker();
        struct value *a = make_input(&m, "a", DIMS(4, 5)), *b = make_input(&m, "b", DIMS(6, 5)), *y;
        if (kind == 0) a = cast(&m, a, 6), b = cast(&m, b, 6); // INT32
        if (kind == 1) a = b = cast(&m, make_node(&m, "NonZero", make_node(&m, "Relu", a, NULL, NULL), NULL, NULL), 1);
        y = product(&m, a, b);
        if (kind == 2) y->producer->domain = "com.example";
        make_output(&m, kind ? y : cast(&m, y, 1));
        struct graph *after = after_passes(m.graph, 0);
        CHECK(after && graph_is_sound(after));
        CHECK_INT(count_nodes(after, "Einsum"), 1);
        CHECK_INT(count_nodes(after, "MatMul"), 0);
        if (kind < 2) {
            struct reel_tensor want = run_graph(m.graph, 5), got = run_graph(after, 5);
            CHECK(tensor_difference(&want, &got) < 1e-6);
            reel_tensor_fini(&want);
            reel_tensor_fini(&got);
        }
        graph_destroy(&after);
        graph_destroy(&m.graph);
    }
}

// Weights are turned once, when the network is prepared.
static void weights(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2, 3, 20)), *w = make_weights(&m, DIMS(30, 20), -1, 1);
    struct value *y = make_node(&m, "Einsum", x, w, NULL);
    make_attr(&m, y, (struct attr){.name = "equation", .type = ATTR_STRING, .count = 11, .u.s = "bsd,ed->bse"});
    make_output(&m, y);
    struct graph *after = after_passes(m.graph, 0);
    CHECK_INT(count_nodes(after, "Transpose"), 0);
    CHECK_INT(count_nodes(after, "MatMul"), 1);
    struct reel_tensor want = run_graph(m.graph, 5), got = run_graph(after, 5);
    CHECK(tensor_difference(&want, &got) < 1e-6);
    reel_tensor_fini(&want);
    reel_tensor_fini(&got);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

CHECK_MAIN({"einsum: equations", equations}, {"einsum: backends that lay out", backends_that_lay_out},
           {"einsum: left alone", left_alone}, {"einsum: weights", weights})
