// SPDX-License-Identifier: MIT
//
// Products whose matrices repeat, by the GPU backend's host twin (lower_case.h).
#include "tests/unit/worker/lower_case.h"

// What stands in front of the matrices of either operand, vectors too: the products that
// a network computes for several heads, images and tokens at once.
static void products_that_repeat(void)
{
    static const struct {
        struct reel_shape x, w;
        const char *step; // one that must be there, and one that must not
        const char *no_step;
    } cases[] = {
        {{4, {2, 3, 6, 16}}, {4, {1, 3, 16, 8}}, "repeat", NULL},   // an image's matrices for all images
        {{4, {1, 3, 6, 16}}, {4, {2, 1, 16, 8}}, "repeat", NULL},   // either repeats
        {{4, {2, 3, 6, 16}}, {4, {2, 1, 16, 8}}, "plan", "repeat"}, // more rows of one matrix
        {{4, {2, 3, 6, 16}}, {3, {3, 16, 8}}, "repeat", NULL},      // fewer extents
        {{3, {3, 6, 16}}, {4, {2, 3, 16, 8}}, "repeat", NULL},      // the other way
        {{3, {1, 6, 16}}, {3, {4, 16, 8}}, "repeat", NULL},         // one for all, by cuDNN
        {{3, {1, 5, 7}}, {3, {4, 7, 3}}, "product", "repeat"},      // and by the own kernel, which reads it again
        {{4, {2, 3, 5, 7}}, {4, {1, 3, 7, 3}}, "repeat", NULL},
        {{4, {2, 1, 5, 7}}, {4, {1, 3, 7, 3}}, "repeat", NULL},
        {{5, {2, 1, 3, 5, 8}}, {5, {1, 4, 1, 8, 8}}, "repeat", NULL}, // three of them
        {{4, {2, 3, 6, 16}}, {2, {16, 8}}, "plan", "repeat"},         // one matrix of weights
        {{3, {2, 6, 16}}, {3, {1, 16, 8}}, "plan", "repeat"},
        {{1, {16}}, {3, {3, 16, 8}}, NULL, NULL}, // vectors
        {{3, {3, 6, 16}}, {1, {16}}, "product", "repeat"},
        {{1, {16}}, {2, {16, 8}}, "product", "repeat"},
        {{1, {16}}, {1, {16}}, "product", "repeat"},
    };
    for (size_t i = 0; i < 4 * sizeof cases / sizeof cases[0]; i++) {
        const size_t at = i / 4;
        struct maker m = maker();
        char dump[16384];
        const bool fixed_x = i % 4 == 1, fixed_w = i % 4 >= 2;
        struct value *x = fixed_x ? make_weights(&m, cases[at].x, -1, 1) : make_input(&m, "x", cases[at].x);
        struct value *w = fixed_w ? make_weights(&m, cases[at].w, -1, 1) : make_input(&m, "w", cases[at].w);
        struct value *y = make_node(&m, "MatMul", x, w, NULL);
        if (i % 4 == 3) // what the passes put behind the product
            y = make_node(&m, "Relu", make_node(&m, "Add", y, make_weights(&m, DIMS(1), -1, 1), NULL), NULL, NULL);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        if (cases[at].step) CHECK_HAS(dump, cases[at].step);
        if (cases[at].no_step) CHECK_MSG(!strstr(dump, cases[at].no_step), "case %zu:\n%s", at, dump);
    }
}

// A row of addends behind a product by a vector is one along its rows.
static void addends_behind_a_vector(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(3, 6, 16)), *w = make_weights(&m, DIMS(16), -1, 1);
    struct value *y = make_node(&m, "Add", make_node(&m, "MatMul", x, w, NULL), make_weights(&m, DIMS(6), -1, 1), NULL);
    make_output(&m, y);
    CHECK_RIGHT(&m, 0, NULL);
}

CHECK_MAIN({"products that repeat", products_that_repeat}, {"addends behind a vector", addends_behind_a_vector})
