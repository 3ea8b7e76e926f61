// SPDX-License-Identifier: MIT
//
// Products whose matrices repeat, and moves in a row (lower/moves.c), by the GPU
// backend's host twin (lower_case.h).
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

// ---- moves in a row --------------------------------------------------------------------

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) n++;
    return n;
}

// Right in all precisions, and as many copies in the 16-bit one.
#define CHECK_MOVES(m, copies)                                                                              \
    do {                                                                                                    \
        struct result r_;                                                                                   \
        CHECK(right((m)->graph, 0, NULL));                                                                  \
        CHECK(run_lowered((m)->graph, PRECISION_FP16, &r_));                                                \
        const char *after_ = strchr(strstr(r_.dump, "to nhwc"), '\n');                                      \
        const int n_ = count(after_, "transpose ") + count(after_, "moves ") + count(after_, " convert ") + \
                       count(after_, "nhwc");                                                               \
        CHECK_MSG(n_ == (copies) + 1, "%d copies\n%s", n_ - 1, r_.dump);                                    \
        result_fini(&r_);                                                                                   \
        graph_destroy(&(m)->graph);                                                                         \
    } while (0)

static struct value *shaped(struct maker *m, struct value *x, struct reel_shape s)
{
    return make_node(m, "Reshape", x, make_ints(m, s.ndim, s.dim), NULL);
}

#define PERM(m, x, ...) turned(m, x, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})
static struct value *turned(struct maker *m, struct value *x, int n, const int64_t *perm)
{
    struct value *y = make_node(m, "Transpose", x, NULL, NULL);
    make_attr_ints(m, y, "perm", n, perm);
    return y;
}

static struct value *conv(struct maker *m, struct value *x, int64_t from, int64_t to, int64_t k, int64_t stride)
{
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(to, from, k, k), -0.3, 0.3), NULL);
    ATTR_LIST(m, y, "strides", stride, stride);
    return y;
}

static struct value *linear(struct maker *m, struct value *x, int64_t from, int64_t to)
{
    return make_node(m, "MatMul", x, make_weights(m, DIMS(from, to), -0.3, 0.3), NULL);
}

// A vision transformer's patches, and its tokens as a picture again: no copy.
static void patches_and_tokens(void)
{
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(2, 3, 16, 24)), 3, 32, 4, 4);
    x = PERM(&m, shaped(&m, x, DIMS(2, 32, 24)), 0, 2, 1);
    x = make_node(&m, "Add", x, make_weights(&m, DIMS(1, 24, 32), -1, 1), NULL);
    x = make_node(&m, "Add", x, make_node(&m, "Gelu", linear(&m, x, 32, 32), NULL, NULL), NULL);
    x = shaped(&m, PERM(&m, x, 0, 2, 1), DIMS(2, 32, 4, 6));
    make_output(&m, conv(&m, x, 32, 8, 3, 1));
    CHECK_MOVES(&m, 0);
}

// A ConvNeXt's block.
static void channels_last_and_back(void)
{
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 12, 10)), 3, 16, 3, 1);
    struct value *y = PERM(&m, x, 0, 2, 3, 1);
    y = make_node(&m, "LayerNormalization", y, make_weights(&m, DIMS(16), 0.5, 1), make_weights(&m, DIMS(16), -1, 1));
    y = linear(&m, make_node(&m, "Relu", linear(&m, y, 16, 32), NULL, NULL), 32, 16);
    y = make_node(&m, "Add", x, PERM(&m, y, 0, 3, 1, 2), NULL);
    make_output(&m, conv(&m, y, 16, 8, 1, 1));
    CHECK_MOVES(&m, 0);
}

// Windows of a picture, and the picture of windows.
static void windows(void)
{
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(2, 3, 10, 14)), 3, 16, 3, 1), *y;
    y = PERM(&m, shaped(&m, x, DIMS(2, 16, 2, 4, 3, 4)), 0, 2, 4, 3, 5, 1);
    y = linear(&m, shaped(&m, y, DIMS(12, 16, 16)), 16, 16);
    y = PERM(&m, shaped(&m, y, DIMS(2, 2, 3, 4, 4, 16)), 0, 5, 1, 3, 2, 4);
    y = make_node(&m, "Add", x, shaped(&m, y, DIMS(2, 16, 8, 12)), NULL);
    make_output(&m, conv(&m, y, 16, 8, 3, 1));
    CHECK_MOVES(&m, 2);
}

// Channels in another order, and parts of the picture as channels.
static void shuffled(void)
{
    for (int64_t c = 8; c <= 12; c += 4) {
        struct maker m = maker();
        struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 10, 14)), 3, c, 3, 1);
        x = PERM(&m, shaped(&m, x, DIMS(1, c, 4, 2, 6, 2)), 0, 1, 3, 5, 2, 4);
        x = conv(&m, shaped(&m, x, DIMS(1, 4 * c, 4, 6)), 4 * c, c, 1, 1);
        x = PERM(&m, shaped(&m, x, DIMS(1, 2, c / 2, 4, 6)), 0, 2, 1, 3, 4);
        make_output(&m, conv(&m, shaped(&m, x, DIMS(1, c, 4, 6)), c, 8, 3, 1));
        CHECK_MOVES(&m, c % 8 ? 3 : 2); // lanes behind 12 channels are of no run of theirs
    }
}

// Rows with lanes between them are copied once.
static void padded_tokens(void)
{
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 8, 12)), 3, 12, 4, 4);
    x = linear(&m, PERM(&m, shaped(&m, x, DIMS(1, 12, 6)), 0, 2, 1), 12, 12);
    make_output(&m, conv(&m, shaped(&m, PERM(&m, x, 0, 2, 1), DIMS(1, 12, 2, 3)), 12, 8, 1, 1));
    CHECK_MOVES(&m, 2);
}

// What becomes boxes has float32's digits, in one copy.
static void numbers_of_boxes(void)
{
    struct maker m = maker();
    struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 10, 10)), 3, 16, 3, 1);
    x = shaped(&m, PERM(&m, x, 0, 2, 3, 1), DIMS(1, 256, 4));
    make_output(&m, make_node(&m, "Mul", x, make_scalar(&m, 640), NULL));
    struct result r;
    CHECK(right(m.graph, 0, NULL));
    CHECK(run_lowered(m.graph, PRECISION_FP16, &r));
    CHECK_HAS(r.dump, "-> 1x256x4 f16->f32");
    CHECK_INT(count(r.dump, "nhwc"), 1);
    result_fini(&r);
    graph_destroy(&m.graph);
}

// What is between two moves is also read by others: it is made.
static void read_between(void)
{
    for (int i = 0; i < 4; i++) {
        struct maker m = maker();
        struct value *x = conv(&m, make_input(&m, "x", DIMS(1, 3, 8, 12)), 3, 16, 4, 4), *y;
        if (i == 3) x = make_input(&m, "z", DIMS(1, 2, 3, 16)), x = PERM(&m, x, 0, 3, 1, 2); // channels last
        struct value *t = shaped(&m, x, DIMS(1, 16, 6));
        y = linear(&m, PERM(&m, t, 0, 2, 1), 16, 16);
        if (i == 0) y = make_node(&m, "Add", y, shaped(&m, PERM(&m, t, 2, 0, 1), DIMS(1, 6, 16)), NULL);
        if (i == 1) y = make_node(&m, "Add", y, make_node(&m, "ReduceMean", t, NULL, NULL), NULL);
        make_output(&m, y);
        if (i == 2) make_output(&m, t);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// Chains drawn at random between convolutions, products and outputs.
static void any_moves(void)
{
    for (int i = 0; i < 120; i++) {
        struct maker m = maker();
        m.seed = 100 + (uint64_t)i;
#define DRAW(n) ((int)(make_random(&m, 0, n - 1e-9)))
        const int64_t n = 1 + DRAW(2), c = 4 * (1 + DRAW(4)), side = 4 * (1 + DRAW(2));
        const bool picture = DRAW(3) > 0;
        struct value *x = make_input(&m, "x", picture ? DIMS(n, 3, side + 2, 6) : DIMS(n, side * 4, c));
        x = picture ? conv(&m, x, 3, c, 3, 1) : linear(&m, x, c, c);
        struct reel_shape at = picture ? DIMS(n, c, side, 4) : DIMS(n, side * 4, c);
        for (int k = DRAW(4); k >= 0; k--) {
            if (DRAW(2)) { // an extent in two, or two that become one
                struct reel_shape to = {0};
                const int d = 1 + DRAW(at.ndim - 1);
                const bool split = at.dim[d] % 2 == 0 && at.ndim < 6 && DRAW(3) > 0;
                for (int e = 0; e < at.ndim; e++) {
                    if (split && e == d)
                        to.dim[to.ndim++] = 2, to.dim[to.ndim++] = at.dim[e] / 2;
                    else if (!split && e == d && e > 1)
                        to.dim[to.ndim - 1] *= at.dim[e];
                    else
                        to.dim[to.ndim++] = at.dim[e];
                }
                x = shaped(&m, x, to), at = to;
                continue;
            }
            int64_t perm[8];
            struct reel_shape to = at;
            for (int e = 0; e < at.ndim; e++) perm[e] = e;
            for (int e = at.ndim - 1; e > 1; e--) {
                const int o = 1 + DRAW(e);
                const int64_t t = perm[e];
                perm[e] = perm[o], perm[o] = t;
            }
            for (int e = 0; e < at.ndim; e++) to.dim[e] = at.dim[perm[e]];
            x = turned(&m, x, at.ndim, perm), at = to;
        }
        const int end = DRAW(3);
        if (end == 1) x = linear(&m, x, at.dim[at.ndim - 1], 8);
        if (end == 2 && at.ndim == 4) x = conv(&m, x, at.dim[1], 8, 1, 1);
        make_output(&m, x);
        CHECK_MSG(right(m.graph, 0, NULL), "draw %d", i);
        graph_destroy(&m.graph);
    }
}

CHECK_MAIN({"products that repeat", products_that_repeat}, {"addends behind a vector", addends_behind_a_vector},
           {"patches and tokens", patches_and_tokens}, {"channels last and back", channels_last_and_back},
           {"windows", windows}, {"shuffled", shuffled}, {"padded tokens", padded_tokens},
           {"numbers of boxes", numbers_of_boxes}, {"read between", read_between}, {"any moves", any_moves})
