// SPDX-License-Identifier: MIT
//
// MatMul and Gemm on the CPU backend against the interpreter: which operands are turned, scaled,
// repeated, added, constant or data, in every combination that has a step of its own or none.
#include "tests/unit/worker/backend_case.h"

static struct value *product(struct maker *m, struct value *a, struct value *b)
{
    return make_node(m, "MatMul", a, b, NULL);
}

static void check(struct maker *m, struct value *y)
{
    make_output(m, y);
    CHECK_BACKEND(m);
    graph_destroy(&m->graph);
}

static void gemm(void)
{
    static const struct {
        int64_t m, k, n, ta, tb;
        float alpha, beta;
        struct reel_shape c; // ndim -1: there is none
    } rows[] = {{5, 7, 9, 0, 0, 1, 1, {1, {9}}},
                {5, 7, 9, 1, 0, 1, 1, {1, {9}}},
                {5, 7, 9, 0, 1, 1, 1, {1, {9}}},
                {5, 7, 9, 1, 1, 2, 0.5f, {2, {1, 9}}},
                {5, 7, 9, 0, 0, 2.5f, -3, {2, {5, 9}}},
                {5, 7, 9, 0, 1, 0.5f, 3, {2, {5, 1}}},
                {9, 7, 9, 0, 0, 1, 1, {2, {9, 1}}}, // as many numbers as columns, but one a row
                {5, 7, 9, 0, 0, 1, 4, {0}},
                {5, 7, 9, 0, 0, 3, 2, {1, {1}}},
                {5, 7, 1, 0, 1, 1, 1, {1, {1}}},
                {1, 7, 9, 0, 0, 1, 1, {.ndim = -1}},
                {130, 40, 70, 0, 0, -1, 1, {.ndim = -1}}};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        const size_t r = i / 2;
        struct maker m = maker();
        const struct reel_shape a = rows[r].ta ? DIMS(rows[r].k, rows[r].m) : DIMS(rows[r].m, rows[r].k);
        const struct reel_shape b = rows[r].tb ? DIMS(rows[r].n, rows[r].k) : DIMS(rows[r].k, rows[r].n);
        struct value *x = make_input(&m, "x", a);
        struct value *w = i % 2 ? make_input(&m, "w", b) : make_weights(&m, b, -1, 1);
        struct value *y = make_node(&m, "Gemm", x, w, rows[r].c.ndim < 0 ? NULL : make_weights(&m, rows[r].c, -1, 1));
        attr_int(&m, y, "transA", rows[r].ta);
        attr_int(&m, y, "transB", rows[r].tb);
        make_attr(&m, y, (struct attr){.name = "alpha", .type = ATTR_FLOAT, .count = 1, .u.f = rows[r].alpha});
        make_attr(&m, y, (struct attr){.name = "beta", .type = ATTR_FLOAT, .count = 1, .u.f = rows[r].beta});
        check(&m, y);
    }
}

static void matrices_and_batches(void)
{
    static const struct {
        struct reel_shape a, b;
    } rows[] = {{{1, {5}}, {2, {5, 6}}},
                {{2, {4, 5}}, {1, {5}}},
                {{2, {4, 5}}, {4, {1, 1, 5, 6}}},
                {{4, {2, 3, 4, 5}}, {2, {5, 6}}},
                {{4, {2, 3, 4, 5}}, {4, {1, 1, 5, 6}}},
                {{3, {3, 4, 5}}, {3, {3, 5, 6}}},
                {{4, {2, 3, 4, 5}}, {4, {2, 1, 5, 6}}}, // repeated along an axis
                {{4, {2, 1, 4, 5}}, {4, {2, 3, 5, 6}}},
                {{4, {3, 3, 4, 3}}, {3, {3, 3, 6}}}, // extents that seem to be the same ones
                {{3, {1, 4, 5}}, {3, {3, 5, 6}}},
                {{2, {200, 70}}, {2, {70, 33}}}};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct maker m = maker();
        struct value *a = make_input(&m, "a", rows[i / 2].a);
        struct value *b = i % 2 ? make_input(&m, "b", rows[i / 2].b) : make_weights(&m, rows[i / 2].b, -1, 1);
        check(&m, product(&m, a, b));
    }
}

// What is added, multiplied or applied behind: a row, a column, all, by batch, and what is no part of the step.
static void behind_products(void)
{
    const struct reel_shape others[] = {DIMS(9),          DIMS(4, 1),    DIMS(4, 9), DIMS(2, 3, 4, 9),
                                        DIMS(2, 1, 4, 9), DIMS(3, 1, 1), DIMS(1)};
    for (size_t i = 0; i < 2 * sizeof others / sizeof *others; i++)
        for (int batches = 0; batches < 2; batches++) {
            struct maker m = maker();
            struct value *a = make_input(&m, "a", DIMS(2, 3, 4, 5)), *b;
            b = batches ? make_input(&m, "b", DIMS(2, 3, 5, 9)) : make_weights(&m, DIMS(5, 9), -1, 1);
            struct value *y =
                make_node(&m, i % 2 ? "Mul" : "Add", product(&m, a, b), make_weights(&m, others[i / 2], -1, 1), NULL);
            check(&m, make_node(&m, "Relu", y, NULL, NULL));
        }
}

// Values of one size, each of which is read once more after others were made.
static void memory_of_operands(void)
{
    for (int data = 0; data < 2; data++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(40, 40)), *a = make_node(&m, "Sigmoid", x, NULL, NULL);
        struct value *b = data ? make_node(&m, "Tanh", x, NULL, NULL) : make_weights(&m, DIMS(40, 40), -0.2, 0.2);
        for (int i = 0; i < 3; i++) {
            struct value *y = make_node(&m, "Mul", product(&m, a, b), make_scalar(&m, 0.02), NULL);
            y = make_node(&m, "Add", y, make_node(&m, "Neg", a, NULL, NULL), NULL);
            b = data ? make_node(&m, "Sigmoid", b, NULL, NULL) : b;
            a = make_node(&m, "Tanh", y, NULL, NULL);
        }
        check(&m, product(&m, a, b));
    }
}

static struct value *cast(struct maker *m, struct value *x, int64_t to)
{
    struct value *y = make_node(m, "Cast", x, NULL, NULL);
    attr_int(m, y, "to", to);
    return y;
}

static void whole_numbers(void)
{
    struct maker m = maker();
    struct value *a = cast(&m, make_input(&m, "a", DIMS(4, 5)), 6), *b = cast(&m, make_input(&m, "b", DIMS(5, 6)), 6);
    check(&m, cast(&m, product(&m, a, b), 1));
}

CHECK_MAIN({"matmul: gemm", gemm}, {"matmul: matrices and batches", matrices_and_batches},
           {"matmul: behind products", behind_products}, {"matmul: memory of operands", memory_of_operands},
           {"matmul: whole numbers", whole_numbers})
