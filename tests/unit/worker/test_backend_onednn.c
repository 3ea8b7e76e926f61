// SPDX-License-Identifier: MIT
//
// The CPU backend against the interpreter on small graphs whose values share
// memory: parts of a Concat written at their place, steps behind steps, results
// in place. On 1 and on 2 threads, twice, so that what a run leaves in the
// arena is seen by the next.
#include "tests/unit/worker/backend_case.h"

#include "kernels/conv_cpu.h"

static struct value *conv(struct maker *m, struct value *x, int64_t from, int64_t to)
{
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(to, from, 3, 3), -0.3, 0.3), NULL);
    ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    return y;
}

static struct value *relu(struct maker *m, struct value *x)
{
    return make_node(m, "Relu", x, NULL, NULL);
}

static struct value *concat(struct maker *m, int64_t axis, struct value *a, struct value *b, struct value *c)
{
    struct value *y = make_node(m, "Concat", a, b, c);
    make_attr(m, y, (struct attr){.name = "axis", .type = ATTR_INT, .u.i = axis});
    return y;
}

static void concat_parts_are_written_at_their_place(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 9, 7));
    struct value *a = relu(&m, conv(&m, x, 3, 16)), *b = relu(&m, conv(&m, a, 16, 32)), *c = conv(&m, a, 16, 5);
    make_output(&m, conv(&m, concat(&m, 1, a, b, c), 53, 8));
    CHECK_BACKEND(&m);
    CHECK_MSG(!strstr(steps, "Concat"), "a concat is left:\n%s", steps);
    graph_destroy(&m.graph);
}

static void concat_of_parts_that_are_also_something_else(void)
{
    for (int kind = 0; kind < 8; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 16, 6, 5));
        struct value *a = conv(&m, x, 16, 16), *b = conv(&m, x, 16, 32), *y = NULL;
        switch (kind) {
        case 0: // a part that is a graph output
            make_output(&m, a);
            y = concat(&m, 1, a, b, NULL);
            break;
        case 1: // one value twice, and in two concats
            y = make_node(&m, "Add", concat(&m, 1, a, b, a), concat(&m, 1, b, a, a), NULL);
            break;
        case 2: // nested
            y = concat(&m, 1, concat(&m, 1, a, b, NULL), concat(&m, 1, b, conv(&m, a, 16, 7), NULL), NULL);
            break;
        case 3: // an inner part that ends inside a vector
            y = concat(&m, 1, conv(&m, x, 16, 10), a, b);
            break;
        case 4: // what follows may not write over a part
            y = make_node(&m, "Add", concat(&m, 1, a, b, NULL), concat(&m, 1, relu(&m, a), relu(&m, b), NULL), NULL);
            break;
        case 5: // a network input and a constant beside
            y = concat(&m, 1, x, a, make_weights(&m, DIMS(1, 16, 6, 5), -1, 1));
            break;
        case 6: // a plain part becomes blocked when the whole has been changed in place already
            a = make_node(&m, "Abs", x, NULL, NULL);
            y = concat(&m, 1, a, make_node(&m, "Tanh", x, NULL, NULL), NULL);
            y = make_node(&m, "Add", make_node(&m, "GlobalAveragePool", y, NULL, NULL), y, NULL);
            make_output(&m, conv(&m, a, 16, 16));
            break;
        default: // the whole is changed in place, the part is still read after that
            y = make_node(&m, "Add", make_node(&m, "Sigmoid", concat(&m, 1, a, b, NULL), NULL, NULL),
                          concat(&m, 1, make_node(&m, "Neg", b, NULL, NULL), a, NULL), NULL);
        }
        make_output(&m, relu(&m, y));
        CHECK_BACKEND(&m);
        graph_destroy(&m.graph);
    }
}

static void concat_along_other_axes_and_of_several_images(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", kind == 3 ? DIMS(2, 16, 6, 5) : DIMS(1, 16, 6, 5));
        struct value *y = concat(&m,
                                 kind == 3   ? 1
                                 : kind == 0 ? 2
                                 : kind == 1 ? -1
                                             : 0,
                                 conv(&m, x, 16, 16), relu(&m, conv(&m, x, 16, 16)), x);
        make_output(&m, relu(&m, y));
        CHECK_BACKEND(&m);
        graph_destroy(&m.graph);
    }
}

static struct value *batch_norm(struct maker *m, struct value *x, int64_t channels)
{
    struct value *in[5] = {x, make_weights(m, DIMS(channels), 0.5, 2), make_weights(m, DIMS(channels), -1, 1),
                           make_weights(m, DIMS(channels), -1, 1), make_weights(m, DIMS(channels), 0.5, 2)},
                 *out = graph_add_value(m->graph, NULL);
    struct node *node = graph_add_node(m->graph, NULL, "BatchNormalization", NULL, in, 5, &out, 1);
    node->op = op_find("", "BatchNormalization", m->graph->opset, NULL);
    return out;
}

static void batch_norm_follows_the_step_before(void)
{
    for (int kind = 0; kind < 5; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", kind == 4 ? DIMS(5, 19) : DIMS(2, 19, 6, 5)), *y = NULL;
        if (kind == 4) {
            y = make_node(&m, "Gemm", x, make_weights(&m, DIMS(19, 19), -0.3, 0.3), make_weights(&m, DIMS(19), -1, 1));
            y = batch_norm(&m, relu(&m, y), 19);
        } else {
            y = batch_norm(&m, relu(&m, conv(&m, x, 19, 19)), 19);
        }
        if (kind == 1) y = make_node(&m, "Add", y, batch_norm(&m, relu(&m, y), 19), NULL);
        if (kind == 2)
            y = batch_norm(&m, make_node(&m, "Mul", x, make_weights(&m, DIMS(1, 19, 1, 1), -1, 1), NULL), 19);
        if (kind == 3) y = batch_norm(&m, make_node(&m, "Tanh", x, NULL, NULL), 19);
        make_output(&m, y);
        CHECK_BACKEND(&m);
        if (kind == 0 || kind == 4) CHECK_MSG(!strstr(steps, "BatchNorm"), "a pass of its own is left:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

static void slopes_and_sums_that_are_no_constants(void)
{
    static const struct reel_shape shapes[] = {{.ndim = 3, .dim = {19, 1, 1}},    {.ndim = 4, .dim = {1, 19, 1, 1}},
                                               {.ndim = 1, .dim = {1}},           {.ndim = 4, .dim = {1, 1, 1, 1}},
                                               {.ndim = 4, .dim = {2, 19, 1, 1}}, {.ndim = 1, .dim = {5}},
                                               {.ndim = 2, .dim = {6, 5}},        {.ndim = 3, .dim = {19, 6, 5}}};
    static const char *const ops[] = {"PRelu", "Add", "Mul", "Div"};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int kind = 0; kind < 8; kind++) {
            if (kind / 2 == 0 && s == 4) continue; // a slope for each image is not unidirectional in older texts
            struct maker m = maker();
            struct value *x = make_input(&m, "x", DIMS(2, 19, 6, 5)), *other = make_input(&m, "other", shapes[s]);
            if (kind % 2) other = make_node(&m, "Exp", other, NULL, NULL);
            make_output(&m, make_node(&m, ops[kind / 2], conv(&m, x, 19, 19), other, NULL));
            CHECK_BACKEND(&m);
            graph_destroy(&m.graph);
        }
}

static void transposes(void)
{
    uint64_t seed = 5;
    for (int trial = 0; trial < 120; trial++) {
        struct maker m = maker();
        const int nd = 1 + (int)(check_rand(&seed) % 5);
        struct reel_shape shape = {.ndim = nd};
        int64_t perm[5];
        for (int i = 0; i < nd; i++) {
            static const int64_t sizes[] = {1, 1, 2, 3, 70, 5};
            shape.dim[i] = sizes[check_rand(&seed) % 6];
            perm[i] = i;
        }
        for (int i = nd - 1; i > 0; i--) {
            const int k = (int)(check_rand(&seed) % (uint64_t)(i + 1));
            const int64_t t = perm[i];
            perm[i] = perm[k], perm[k] = t;
        }
        struct value *y = make_node(&m, "Transpose", relu(&m, make_input(&m, "x", shape)), NULL, NULL);
        if (trial % 8) make_attr_ints(&m, y, "perm", nd, perm);
        make_output(&m, y);
        CHECK_BACKEND(&m);
        graph_destroy(&m.graph);
    }
}

static void few_channels_are_pooled_and_normalised(void)
{
    for (int64_t c = 1; c <= 5; c += 2) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, c, 9, 8));
        struct value *y = make_node(&m, "MaxPool", x, NULL, NULL);
        ATTR_LIST(&m, y, "kernel_shape", 3, 3);
        ATTR_LIST(&m, y, "pads", 1, 1, 1, 1);
        y = make_node(&m, "Add", y, make_node(&m, "GlobalAveragePool", x, NULL, NULL), NULL);
        y = make_node(&m, "InstanceNormalization", y, make_weights(&m, DIMS(c), -1, 1),
                      make_weights(&m, DIMS(c), -1, 1));
        make_output(&m, y);
        CHECK_BACKEND(&m);
        graph_destroy(&m.graph);
    }
}

// Plain and blocked, in place and beside a second reader, planes of several
// chunks and of few pixels, with what is fused behind.
static void instance_normalisation(void)
{
    static const struct reel_shape shapes[] = {
        {.ndim = 4, .dim = {1, 19, 60, 70}},  {.ndim = 4, .dim = {2, 16, 9, 8}}, {.ndim = 4, .dim = {1, 35, 3, 1}},
        {.ndim = 4, .dim = {1, 3, 200, 210}}, {.ndim = 3, .dim = {1, 20, 4097}}, {.ndim = 3, .dim = {2, 2, 40001}}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int kind = 0; kind < 8; kind++) {
            struct maker m = maker();
            const int64_t c = shapes[i].dim[1];
            struct value *x = make_input(&m, "x", shapes[i]), *y;
            const struct reel_shape one = {.ndim = shapes[i].ndim, .dim = {c, c, 1, 1}};
            if (kind & 1) x = make_node(&m, "Conv", x, make_weights(&m, one, -1, 1), NULL);
            y = make_node(&m, "InstanceNormalization", x, make_weights(&m, DIMS(c), -1, 1),
                          make_weights(&m, DIMS(c), -1, 1));
            if (kind & 2) y = make_node(&m, "Sigmoid", y, NULL, NULL);
            if (kind & 4) y = make_node(&m, "Add", y, x, NULL);
            make_output(&m, y);
            CHECK_BACKEND(&m);
            CHECK_MSG(strstr(steps, "instance norm"), "%s", steps);
            graph_destroy(&m.graph);
        }
}

// LayerNormalization and Softmax over the last axes, in place and not.
static void rows(void)
{
    static const struct reel_shape shapes[] = {{.ndim = 2, .dim = {300, 2}},
                                               {.ndim = 3, .dim = {2, 70, 60}},
                                               {.ndim = 4, .dim = {2, 16, 5, 40}},
                                               {.ndim = 1, .dim = {33}}};
    for (int64_t opset = 11; opset <= 20; opset += 9)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            for (int kind = 0; kind < 4; kind++) {
                struct maker m = maker();
                const int nd = shapes[i].ndim;
                const int64_t axis = kind & 1 && nd > 1 ? nd - 2 : -1;
                const struct reel_shape n = {.ndim = nd - (int)(axis < 0 ? nd - 1 : axis),
                                             .dim = {shapes[i].dim[axis < 0 ? nd - 1 : axis], shapes[i].dim[nd - 1]}};
                struct value *x = make_input(&m, "x", shapes[i]), *y = relu(&m, x);
                if (kind & 2)
                    y = make_node(&m, "LayerNormalization", y, make_weights(&m, n, -1, 1),
                                  opset == 20 ? make_weights(&m, n, -1, 1) : NULL),
                    attr_int(&m, y, "axis", axis);
                m.graph->opset = (int)opset;
                y = make_node(&m, "Softmax", kind & 2 ? y : relu(&m, x), NULL, NULL);
                y->producer->opset = (int)opset;
                attr_int(&m, y, "axis", axis);
                make_output(&m, make_node(&m, "Sigmoid", y, NULL, NULL));
                CHECK_BACKEND(&m);
                if (!(kind & 1)) CHECK_MSG(strstr(steps, " softmax "), "%s", steps);
                if (kind & 2) CHECK_MSG(strstr(steps, " layer norm "), "%s", steps);
                graph_destroy(&m.graph);
            }
}

// Parts along the first axis that is not 1 are no copies; what changes one in
// place may not reach the others, the whole, or an output.
static void splits_are_views(void)
{
    for (int kind = 0; kind < 10; kind++) {
        struct maker m = maker();
        const struct reel_shape shape = kind % 2 ? DIMS(1, 1, 9, 5) : DIMS(9, 3, 5);
        struct value *x = make_input(&m, "x", shape), *whole = kind / 2 == 4 ? x : make_node(&m, "Exp", x, NULL, NULL);
        struct value *in[2] = {whole, INTS(&m, 2, 4, 3)}, *out[3];
        for (int i = 0; i < 3; i++) out[i] = graph_add_value(m.graph, NULL);
        struct node *node = graph_add_node(m.graph, NULL, "Split", NULL, in, 2, out, 3);
        node->op = op_find("", "Split", m.graph->opset, NULL);
        for (int i = 0; i < 3; i++) out[i]->producer = node;
        attr_int(&m, out[0], "axis", kind % 2 ? -2 : 0);
        struct value *first = relu(&m, make_node(&m, "Neg", out[0], NULL, NULL));
        if (kind / 2 == 1) make_output(&m, out[1]);
        if (kind / 2 == 2) make_output(&m, whole);
        make_output(&m, concat(&m, kind % 2 ? 2 : 0, make_node(&m, "Tanh", out[2], NULL, NULL), first, out[1]));
        if (kind / 2 == 3) make_output(&m, make_node(&m, "Sigmoid", out[0], NULL, NULL));
        CHECK_BACKEND(&m);
        CHECK_MSG(!strstr(steps, " Split "), "a copy is left:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

// The first channels of a result begin where it does, but the caller's memory
// for them has no room for all.
static void part_of_a_result_is_an_output(void)
{
    for (int64_t to = 1; to <= 5; to += 2) {
        struct maker m = maker();
        struct value *all = conv(&m, make_input(&m, "x", DIMS(1, 3, 9, 21)), 3, 24);
        make_output(&m, make_node(&m, "Slice", all, INTS(&m, 0, 0), INTS(&m, 1, to)));
        CHECK_BACKEND(&m);
        graph_destroy(&m.graph);
    }
}

// Operands that are repeated along any of the axes, on either side, with what
// follows; in place and not.
static void operands_that_are_repeated(void)
{
    static const char *const ops[] = {"Add", "Mul", "Sub", "Div", "Max"};
    uint64_t seed = 9;
    int fast = 0;
    for (int trial = 0; trial < 120; trial++) {
        struct maker m = maker();
        const int nd = 2 + (int)(check_rand(&seed) % 4), less = (int)(check_rand(&seed) % 2);
        struct reel_shape shape = {.ndim = nd}, other = {.ndim = nd - less};
        for (int i = 0; i < nd; i++) {
            static const int64_t sizes[] = {1, 2, 3, 5, 20, 33};
            shape.dim[i] = i == nd - 1 && trial % 2 ? 33 : sizes[check_rand(&seed) % 6];
            if (i >= less) other.dim[i - less] = check_rand(&seed) % 2 ? 1 : shape.dim[i];
        }
        if (trial == 0) shape = DIMS(1, 3, 6, 5000), other = DIMS(3, 1, 5000); // runs in pieces
        struct value *x = make_input(&m, "x", shape), *o = make_input(&m, "o", other);
        if (trial % 3) x = make_node(&m, "Tanh", x, NULL, NULL);
        if (trial % 3 == 2) o = make_node(&m, "Exp", o, NULL, NULL);
        struct value *y = make_node(&m, ops[trial % 5], trial % 4 < 2 ? x : o, trial % 4 < 2 ? o : x, NULL);
        if (trial % 7) y = make_node(&m, "Sub", relu(&m, y), x, NULL);
        make_output(&m, y);
        CHECK_BACKEND(&m);
        fast += strstr(steps, " broadcast ") != NULL;
        graph_destroy(&m.graph);
    }
    CHECK_MSG(fast > 40, "only %d of 120", fast);
}

static struct value *int_scalar(struct maker *m, int64_t i)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &(struct reel_shape){0})) abort();
    *(int64_t *)t.data = i;
    return graph_add_constant(m->graph, NULL, &t);
}

// Q, K and V, taken out of one result by their numbers: no copies.
static void gathers_of_one_are_views(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct maker m = maker();
        const struct reel_shape shape = kind & 1 ? DIMS(1, 3, 4, 7) : DIMS(3, 2, 5, 7);
        struct value *x = make_node(&m, "Exp", make_input(&m, "x", shape), NULL, NULL), *part[3];
        for (int i = 0; i < 3; i++) {
            part[i] = make_node(&m, "Gather", x, kind & 2 ? INTS(&m, i - 3) : int_scalar(&m, i), NULL);
            attr_int(&m, part[i], "axis", kind & 1);
        }
        struct value *sum = make_node(&m, "Add", make_node(&m, "Neg", part[0], NULL, NULL), part[1], NULL);
        make_output(&m, make_node(&m, "Mul", sum, part[2], NULL));
        make_output(&m, part[1]);
        CHECK_BACKEND(&m);
        CHECK_MSG(!strstr(steps, "Gather "), "a copy is left:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

// Results below the smallest normal number are zeros on every thread, and only inside.
static void denormals_are_zeros(void)
{
    enum { N = 6 * 4096 };
    for (int threads = 1; threads <= 2; threads++) {
        struct maker m = maker();
        struct value *small = make_input(&m, "small", DIMS(N)), *large = make_input(&m, "large", DIMS(N));
        make_output(&m, make_node(&m, "Mul", make_node(&m, "Mul", small, small, NULL), large, NULL));
        const struct backend_ops *b = backend_find("onednn");
        struct graph *after = after_passes(m.graph, b->caps);
        struct program *program = NULL;
        CHECK(!b->compile(after, &(struct backend_params){.threads = threads}, &program));
        static float x[N], y[N];
        for (int i = 0; i < N; i++) x[i] = 1e-20f, y[i] = 1e30f;
        const struct reel_tensor in[2] = {{.dtype = REEL_F32, .shape = DIMS(N), .data = x},
                                          {.dtype = REEL_F32, .shape = DIMS(N), .data = y}};
        struct reel_tensor out = {0};
        CHECK(!b->run(program, (const struct reel_tensor *[]){&in[0], &in[1]}, &out, false));
        for (int i = 0; i < N; i++) CHECK(((const float *)out.data)[i] == 0);
        volatile float here = x[0];
        CHECK(here * here > 0);
        reel_tensor_fini(&out);
        b->destroy(&program);
        graph_destroy(&after);
        graph_destroy(&m.graph);
    }
}

// Groups that fill no vectors, alone and together; epilogues behind products.
static void groups_and_products(void)
{
    static const int64_t kinds[][3] = {{32, 32, 8}, {64, 128, 16}, {24, 12, 4}, {48, 48, 16}, {9, 6, 3}, {20, 40, 20}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int kind = 0; kind < 4; kind++) {
            const int64_t from = kinds[i][0], to = kinds[i][1], group = kinds[i][2];
            struct maker m = maker();
            struct value *x = make_input(&m, "x", DIMS(2, from, 7, 9));
            if (kind & 1) x = conv(&m, x, from, from);
            struct value *y = make_node(&m, "Conv", x, make_weights(&m, DIMS(to, from / group, 3, 3), -0.3, 0.3),
                                        make_weights(&m, DIMS(to), -1, 1));
            attr_int(&m, y, "group", group);
            make_output(&m, kind & 2 ? relu(&m, y) : y);
            CHECK_BACKEND(&m);
            if (group <= 4 || i < 2) CHECK_MSG(!strstr(steps, "reference"), "%s", steps);
            graph_destroy(&m.graph);
        }
    for (int64_t n = 1; n <= 60; n += 7)
        for (int kind = 0; kind < 3; kind++) {
            struct maker m = maker();
            struct value *x = make_input(&m, "x", DIMS(23, 19)), *other = make_input(&m, "other", DIMS(23, n));
            struct value *y = make_node(&m, "MatMul", x, make_weights(&m, DIMS(19, n), -0.3, 0.3), NULL);
            y = make_node(&m, "Add", y, make_weights(&m, DIMS(n), -1, 1), NULL);
            if (kind) y = make_node(&m, "Gelu", y, NULL, NULL);
            if (kind == 2) y = make_node(&m, "Add", y, other, NULL);
            make_output(&m, y);
            CHECK_BACKEND(&m);
            graph_destroy(&m.graph);
        }
}

static struct value *make_many(struct maker *m, const char *op, struct value *const *in, int n)
{
    struct value *out = graph_add_value(m->graph, NULL);
    struct node *node = graph_add_node(m->graph, NULL, op, NULL, in, n, &out, 1);
    node->op = op_find("", op, m->graph->opset, NULL);
    return out;
}

// Every b-th row and column of x from (top, left) on; in two nodes or in one.
static struct value *phase(struct maker *m, struct value *x, int64_t b, int64_t top, int64_t left, bool two)
{
    const int64_t end = INT32_MAX;
    struct value *both[] = {x, INTS(m, top, left), INTS(m, end, end), INTS(m, 2, 3), INTS(m, b, b)};
    if (!two) return make_many(m, "Slice", both, 5);
    struct value *rows[] = {x, INTS(m, top), INTS(m, end), INTS(m, -2), INTS(m, b)};
    struct value *columns[] = {make_many(m, "Slice", rows, 5), INTS(m, left), INTS(m, end), INTS(m, 3), INTS(m, b)};
    return make_many(m, "Slice", columns, 5);
}

// The convolution reads the picture itself, where there are as many phases as it
// has.
static void phases_of_a_picture(void)
{
    for (int kind = 0; kind < 6; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 3, 12, 16)), *y;
        if (kind < 2) { // the order that YOLOX writes
            struct value *in[] = {phase(&m, x, 2, 0, 0, kind), phase(&m, x, 2, 1, 0, kind), phase(&m, x, 2, 0, 1, kind),
                                  phase(&m, x, 2, 1, 1, kind)};
            y = make_many(&m, "Concat", in, 4);
            attr_int(&m, y, "axis", 1);
        } else if (kind < 4) {
            y = make_node(&m, "SpaceToDepth", x, NULL, NULL);
            attr_int(&m, y, "blocksize", kind == 2 ? 2 : 4);
        } else { // a phase twice, another not at all; and phases that leave rows out
            const int64_t b = kind == 4 ? 2 : 3;
            struct value *in[] = {phase(&m, x, b, 0, 0, true), phase(&m, x, b, 0, 0, false),
                                  phase(&m, x, b, 1, 0, true), phase(&m, x, b, 1, 1, true)};
            y = make_many(&m, "Concat", in, b == 2 ? 4 : 2);
            attr_int(&m, y, "axis", 1);
        }
        const int64_t channels = kind == 3 ? 48 : kind == 5 ? 6 : 12;
        y = make_node(&m, "Conv", y, make_weights(&m, DIMS(16, channels, 3, 2), -0.3, 0.3),
                      make_weights(&m, DIMS(16), -1, 1));
        ATTR_LIST(&m, y, "pads", 1, 0, 2, 1);
        if (kind & 1) ATTR_LIST(&m, y, "strides", 2, 1);
        make_output(&m, relu(&m, y));
        CHECK_BACKEND(&m);
        const bool apart = strstr(steps, "Concat") || strstr(steps, "Slice") || strstr(steps, "SpaceToDepth");
        CHECK_MSG(apart == (kind == 5), "kind %d:\n%s", kind, steps);
        graph_destroy(&m.graph);
    }
}

// Of blocked and of plain images, by blocks of all sizes, with steps behind it.
static void depth_to_space(void)
{
    int blocked = 0;
    for (int i = 0; i < 16; i++) {
        struct maker m = maker();
        const int64_t b = 2 + i % 4, c = b * b * (1 + i / 8 * 4);
        struct value *x = make_input(&m, "x", DIMS(2, i & 4 ? c : 3, 3, 5));
        struct value *y = make_node(&m, "DepthToSpace", i & 4 ? x : conv(&m, x, 3, c), NULL, NULL);
        attr_int(&m, y, "blocksize", b);
        if (i % 3) make_attr(&m, y, (struct attr){.name = "mode", .type = ATTR_STRING, .count = 3, .u.s = "CRD"});
        y = make_node(&m, "Add", y, make_weights(&m, DIMS(c / b / b, 1, 1), -1, 1), NULL);
        make_output(&m, make_node(&m, "Mul", y, make_input(&m, "z", DIMS(2, c / b / b, 3 * b, 5 * b)), NULL));
        CHECK_BACKEND(&m);
        CHECK_MSG(strstr(steps, "depth to space"), "another kernel:\n%s", steps);
        blocked += !strstr(steps, "depth to space plain");
        graph_destroy(&m.graph);
    }
    CHECK(blocked > 0 && blocked < 16);
}

// Convolutions and products of bfloat16: every operand is off by 2^-9 of itself
// at most, so a sum of hundreds of them by far less than a hundredth of the
// largest, and by more than float32 ever is.
static void operands_of_bf16(void)
{
    static const char *const how[] = {"avx512", "amx"};
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        if (!conv_kernels_bf16(CONV_BF16_AVX512, true)) break; // no AVX-512: nothing to emulate it with
        setenv("REELMILL_EMULATE_BF16", how[i], 1);
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 16, 9, 7));
        struct value *y = make_node(&m, "Conv", x, make_weights(&m, DIMS(40, 16, 1, 1), -0.3, 0.3), NULL);
        y = make_node(&m, "Conv", relu(&m, y), make_weights(&m, DIMS(24, 40, 2, 3), -0.3, 0.3), NULL);
        y = make_node(&m, "ConvTranspose", y, make_weights(&m, DIMS(24, 16, 2, 2), -0.3, 0.3), NULL);
        ATTR_LIST(&m, y, "strides", 2, 2);
        struct value *a = make_input(&m, "a", DIMS(2, 3, 21, 35)), *b = make_input(&m, "b", DIMS(2, 3, 35, 50));
        struct value *p = make_node(&m, "MatMul", a, b, NULL);
        make_output(&m, y);
        make_output(&m, make_node(&m, "MatMul", p, make_weights(&m, DIMS(50, 33), -0.3, 0.3), NULL));
        for (int threads = 1; threads <= 2; threads++) {
            const double apart = backend_difference(&m, threads, PRECISION_BF16, steps);
            CHECK_MSG(apart > 1e-5 && apart < 1e-2, "%s: apart by %g of the largest\n%s", how[i], apart, steps);
        }
        static const char *const names[] = {"1x1 bf16", "direct bf16", "matmul bf16", "matmul packed bf16"};
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            CHECK_MSG(strstr(steps, names[k]), "no \"%s\" in\n%s", names[k], steps);
        unsetenv("REELMILL_EMULATE_BF16");
        graph_destroy(&m.graph);
    }
}

static void bf16_is_refused_where_the_cpu_has_none(void)
{
    const struct backend_params params = {.threads = 1, .precision = PRECISION_BF16};
    const enum reel_err err = backend_find("onednn")->probe(&params);
    if (conv_bf16_of_cpu() != CONV_BF16_NONE) {
        CHECK(!err);
        return;
    }
    CHECK(err == REEL_ERR_UNSUPPORTED);
    CHECK(strstr(reel_fail_text(), "no bf16 instructions") && strstr(reel_fail_text(), "--precision fp32"));
}

// What only moves pixels stays blocked and takes what follows with it.
static void crops(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct maker m = maker();
        m.graph->opset = 9;
        struct value *a = conv(&m, make_input(&m, "x", DIMS(1, 16, 9, 12)), 16, 19);
        struct value *y = make_node(&m, "Crop", a, NULL, NULL);
        ATTR_LIST(&m, y, "border", 1, 2, 3, 0);
        if (kind & 1) ATTR_LIST(&m, y, "scale", 3, 4);
        if (kind & 2) y = make_node(&m, "Add", relu(&m, y), y, NULL);
        make_output(&m, y);
        CHECK_BACKEND(&m);
        CHECK_MSG(!strstr(steps, "reference"), "%s", steps);
        graph_destroy(&m.graph);
    }
}

// Curves of a few channels each, as networks for dark pictures apply them one
// after the other: views of the plain result, and no blocked form of them.
static void few_channels_are_views(void)
{
    for (int64_t images = 1; images <= 2; images++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(images, 3, 9, 21)), *y = x, *all = conv(&m, x, 3, 24);
        for (int64_t from = 0; from < 24; from += 3) {
            struct value *part =
                make_node(&m, "Slice", all, INTS(&m, 0, from, 0, 0), INTS(&m, images, from + 3, 9, 21));
            struct value *rise = make_node(&m, "Sub", make_node(&m, "Pow", y, make_scalar(&m, 2), NULL), y, NULL);
            y = make_node(&m, "Add", y, make_node(&m, "Mul", make_node(&m, "Tanh", part, NULL, NULL), rise, NULL),
                          NULL);
        }
        make_output(&m, y);
        CHECK_BACKEND(&m);
        CHECK_MSG(!strstr(steps, "elementwise blocked"), "%s", steps);
        if (images == 1) CHECK_MSG(!strstr(steps, "cut channels"), "%s", steps);
        graph_destroy(&m.graph);
    }
}

// However many rows each thread gets.
static void rows_on_threads(void)
{
    static const int64_t rows[] = {1, 3, 13, 56, 57, 197, 400};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(rows[i], 300));
        struct value *y = make_node(&m, "MatMul", x, make_weights(&m, DIMS(300, 45), -1, 1), NULL);
        make_output(&m, make_node(&m, "Add", y, make_weights(&m, DIMS(45), -1, 1), NULL));
        CHECK_THREADS(&m);
        CHECK_BACKEND(&m);
        graph_destroy(&m.graph);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"concat_parts_are_written_at_their_place", concat_parts_are_written_at_their_place},
        {"concat_of_parts_that_are_also_something_else", concat_of_parts_that_are_also_something_else},
        {"concat_along_other_axes_and_of_several_images", concat_along_other_axes_and_of_several_images},
        {"batch_norm_follows_the_step_before", batch_norm_follows_the_step_before},
        {"slopes_and_sums_that_are_no_constants", slopes_and_sums_that_are_no_constants},
        {"transposes", transposes},
        {"few_channels_are_pooled_and_normalised", few_channels_are_pooled_and_normalised},
        {"instance_normalisation", instance_normalisation},
        {"rows", rows},
        {"part_of_a_result_is_an_output", part_of_a_result_is_an_output},
        {"splits_are_views", splits_are_views},
        {"operands_that_are_repeated", operands_that_are_repeated},
        {"gathers_of_one_are_views", gathers_of_one_are_views},
        {"denormals_are_zeros", denormals_are_zeros},
        {"groups_and_products", groups_and_products},
        {"phases_of_a_picture", phases_of_a_picture},
        {"depth_to_space", depth_to_space},
        {"operands_of_bf16", operands_of_bf16},
        {"bf16_is_refused_where_the_cpu_has_none", bf16_is_refused_where_the_cpu_has_none},
        {"crops", crops},
        {"few_channels_are_views", few_channels_are_views},
        {"rows_on_threads", rows_on_threads},
    };
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}
