// SPDX-License-Identifier: MIT
//
// Products with a softmax between become one step of the CPU backend, by blocks of rows:
// against the interpreter, and bit by bit against the same network whose scores are also
// an output, which are therefore made as a whole.
#include "tests/unit/worker/backend_case.h"

enum { HEADS = 3, ROWS = 130, COLUMNS = 77, D = 20, V = 33 };

// What stands between the first product and the softmax.
enum between {
    NOTHING,
    SCALE,        // in the product's tail
    FULL,         // so is a mask of the scores' shape
    COMPUTED,     // that is no constant
    SHARED,       // one for all heads
    SHARED_TWICE, // and one for all rows, with a view between
    BETWEENS
};

static struct value *product(struct maker *m, struct value *a, struct value *b)
{
    return make_node(m, "MatMul", a, b, NULL);
}

static struct value *add(struct maker *m, struct value *a, struct value *b)
{
    return make_node(m, "Add", a, b, NULL);
}

static struct value *softmax(struct maker *m, struct value *x)
{
    return make_node(m, "Softmax", x, NULL, NULL);
}

static struct value *scores(struct maker *m, enum between between)
{
    struct value *q = make_input(m, "q", DIMS(HEADS, ROWS, D)), *k = make_input(m, "k", DIMS(HEADS, COLUMNS, D));
    struct value *turned = make_node(m, "Transpose", k, NULL, NULL);
    make_attr_ints(m, turned, "perm", 3, (const int64_t[]){0, 2, 1});
    struct value *mask = NULL;
    if (between == COMPUTED) mask = make_node(m, "Neg", make_input(m, "mask", DIMS(HEADS, ROWS, COLUMNS)), NULL, NULL);
    struct value *s = product(m, q, turned);
    switch (between) {
    case SCALE:
        return make_node(m, "Mul", s, make_scalar(m, 0.22), NULL);
    case FULL:
        return add(m, s, make_weights(m, DIMS(HEADS, ROWS, COLUMNS), -3, 0));
    case COMPUTED:
        return add(m, s, mask);
    case SHARED:
        return make_node(m, "Mul", add(m, s, make_weights(m, DIMS(1, ROWS, COLUMNS), -3, 0)), make_scalar(m, 0.5),
                         NULL);
    case SHARED_TWICE:
        s = add(m, s, make_weights(m, DIMS(1, ROWS, COLUMNS), -3, 0));
        s = make_node(m, "Reshape", s, INTS(m, 1, HEADS, ROWS, COLUMNS), NULL);
        s = add(m, s, make_weights(m, DIMS(1, HEADS, 1, COLUMNS), -3, 0));
        return make_node(m, "Reshape", s, INTS(m, HEADS, ROWS, COLUMNS), NULL);
    default:
        return s;
    }
}

static struct graph *network(enum between between, bool weights_are_an_output)
{
    struct maker m = maker();
    struct value *s = scores(&m, between), *w = softmax(&m, s);
    struct value *y = product(&m, w, make_input(&m, "v", DIMS(HEADS, COLUMNS, V)));
    make_output(&m, make_node(&m, "Relu", add(&m, y, make_weights(&m, DIMS(V), -1, 1)), NULL, NULL));
    if (weights_are_an_output) make_output(&m, w);
    return m.graph;
}

// The first output, owned by the caller. The program's steps are in `steps` then.
static struct reel_tensor run(struct graph *graph, int threads)
{
    const struct backend_ops *b = backend_find("onednn");
    struct graph *after = after_passes(graph, b->caps);
    struct program *program = NULL;
    struct maker random = {.seed = 3};
    struct reel_tensor in[8], out[2] = {0};
    const struct reel_tensor *in_p[8];
    for (int i = 0; i < graph->n_inputs; i++) {
        in[i] = random_tensor(graph->inputs[i], &random);
        in_p[i] = &in[i];
    }
    if (!after || b->compile(after, &(struct backend_params){.threads = threads}, &program) ||
        b->run(program, in_p, out, false))
        abort();
    FILE *f = fmemopen(steps, sizeof steps, "w");
    b->dump(program, f);
    fclose(f);
    for (int i = 0; i < graph->n_inputs; i++) reel_tensor_fini(&in[i]);
    reel_tensor_fini(&out[1]);
    b->destroy(&program);
    graph_destroy(&after);
    return out[0];
}

// One step does it all.
static bool in_one(void)
{
    return strstr(steps, " attention ") && !strstr(steps, " softmax ") && !strstr(steps, " matmul ");
}

static void as_the_interpreter(void)
{
    for (int between = 0; between < BETWEENS; between++) {
        struct maker m = {.graph = network((enum between)between, false)};
        CHECK_BACKEND(&m);
        graph_destroy(&m.graph);
    }
}

static void same_bytes_as_in_pieces(void)
{
    for (int between = 0; between < BETWEENS; between++) {
        struct graph *g = network((enum between)between, false), *whole = network((enum between)between, true);
        struct reel_tensor a = run(g, 1);
        CHECK_MSG(in_one(), "case %d:\n%s", between, steps);
        struct reel_tensor b = run(g, 3), c = run(whole, 1);
        CHECK_MSG(!strstr(steps, " attention "), "case %d:\n%s", between, steps);
        const size_t bytes = (size_t)reel_tensor_count(&a) * sizeof(float);
        CHECK_MSG(!memcmp(a.data, c.data, bytes), "case %d: not the bytes of the three steps", between);
        CHECK_MSG(!memcmp(a.data, b.data, bytes), "case %d: not the bytes of one thread", between);
        reel_tensor_fini(&a), reel_tensor_fini(&b), reel_tensor_fini(&c);
        graph_destroy(&g), graph_destroy(&whole);
    }
}

// Scores that something else reads as well, before or behind the softmax; a softmax down the
// columns; weights that are read twice; what is between is no arithmetic that is known.
static void left_in_pieces(void)
{
    for (int kind = 0; kind < 6; kind++) {
        struct maker m = maker();
        struct value *s = scores(&m, kind == 5 ? SHARED : NOTHING), *v = make_input(&m, "v", DIMS(HEADS, COLUMNS, V));
        if (kind == 0) make_output(&m, make_node(&m, "GlobalMaxPool", s, NULL, NULL));
        if (kind == 1) make_output(&m, s);
        if (kind == 2) s = make_node(&m, "Softsign", s, NULL, NULL);
        struct value *w = softmax(&m, s);
        if (kind == 3) attr_int(&m, w, "axis", 1);
        struct value *y = product(&m, w, v);
        if (kind == 4) y = make_node(&m, "Concat", y, w, NULL), attr_int(&m, y, "axis", 2);
        if (kind == 5) make_output(&m, make_node(&m, "Neg", s, NULL, NULL));
        make_output(&m, y);
        CHECK_BACKEND(&m);
        CHECK_MSG(!strstr(steps, " attention "), "case %d:\n%s", kind, steps);
        graph_destroy(&m.graph);
    }
}

// One head of a picture, as non-local blocks have it; keys and values made of one product,
// of which values are changed in place between the two.
static void parts_of_one_product(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 50, 48));
    struct value *all = product(&m, x, make_weights(&m, DIMS(48, 48), -0.3, 0.3));
    struct value *part =
        make_node(&m, "Reshape", make_node(&m, "Transpose", all, NULL, NULL), INTS(&m, 3, 16, 50), NULL);
    make_attr_ints(&m, part->producer->in[0], "perm", 3, (const int64_t[]){0, 2, 1});
    struct value *side[3];
    for (int i = 0; i < 3; i++) {
        side[i] = make_node(&m, "Slice", part, INTS(&m, i), INTS(&m, i + 1));
        side[i] = make_node(&m, "Reshape", side[i], INTS(&m, 1, 16, 50), NULL);
    }
    struct value *q = make_node(&m, "Transpose", side[0], NULL, NULL);
    make_attr_ints(&m, q, "perm", 3, (const int64_t[]){0, 2, 1});
    struct value *w = softmax(&m, product(&m, q, side[1]));
    struct value *v = make_node(&m, "Transpose", make_node(&m, "Tanh", side[2], NULL, NULL), NULL, NULL);
    make_attr_ints(&m, v, "perm", 3, (const int64_t[]){0, 2, 1});
    make_output(&m, product(&m, w, v));
    CHECK_BACKEND(&m);
    CHECK_MSG(strstr(steps, " attention "), "%s", steps);
    graph_destroy(&m.graph);
}

CHECK_MAIN({"as_the_interpreter", as_the_interpreter}, {"same_bytes_as_in_pieces", same_bytes_as_in_pieces},
           {"left_in_pieces", left_in_pieces}, {"parts_of_one_product", parts_of_one_product})
