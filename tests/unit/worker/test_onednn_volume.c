// SPDX-License-Identifier: MIT
//
// Convolutions over volumes on the CPU backend, which takes planes as pictures, against the
// interpreter: windows along one, two and three axes, ends with fewer planes than the
// window, several volumes, channels that fill no vectors, epilogues and the layouts between.
#include "tests/unit/worker/backend_case.h"

static unsigned state;

static int64_t pick(int64_t from, int64_t to)
{
    state = state * 1664525u + 1013904223u;
    return from + (int64_t)(state >> 8) % (to - from + 1);
}

// Conv with the kernel, stride and padding of each axis, and a bias.
static struct value *conv(struct maker *m, struct value *x, int64_t from, int64_t to, const int64_t k[3],
                          const int64_t s[3], const int64_t pad[3])
{
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(to, from, k[0], k[1], k[2]), -0.2, 0.2),
                                make_weights(m, DIMS(to), -1, 1));
    ATTR_LIST(m, y, "pads", pad[0], pad[1], pad[2], pad[0], pad[1], pad[2]);
    ATTR_LIST(m, y, "strides", s[0], s[1], s[2]);
    return y;
}

static struct value *same(struct maker *m, struct value *x, int64_t from, int64_t to, int64_t depth, int64_t side)
{
    return conv(m, x, from, to, (const int64_t[]){depth, side, side}, (const int64_t[]){1, 1, 1},
                (const int64_t[]){depth / 2, side / 2, side / 2});
}

static void windows_of_random_shapes(void)
{
    state = 7;
    for (int i = 0; i < 60; i++) {
        struct maker m = maker();
        int64_t k[3], s[3], pad[3], in[3];
        for (int a = 0; a < 3; a++) {
            k[a] = pick(0, 1) ? pick(1, 5) : 1;
            s[a] = pick(1, 2);
            pad[a] = pick(0, k[a] - 1);
            in[a] = pick(1, a ? 12 : 7);
            if (in[a] + 2 * pad[a] < k[a]) in[a] = k[a];
        }
        const int64_t from = pick(1, 40), to = pick(3, 40);
        struct value *x = make_input(&m, "x", DIMS(pick(1, 2), from, in[0], in[1], in[2]));
        make_output(&m, conv(&m, x, from, to, k, s, pad));
        CHECK_BACKEND(&m);
        graph_destroy(&m.graph);
    }
}

// Depthwise, in groups of whole vectors, and with planes skipped: tap by tap.
static void taps_in_turn(void)
{
    static const struct {
        int64_t from, to, groups, dilation[3];
        bool fast;
    } rows[] = {
        {20, 20, 20, {1, 1, 1}, true}, {16, 16, 16, {2, 1, 2}, true}, {64, 32, 2, {1, 1, 1}, true},
        {512, 32, 2, {1, 1, 1}, true},                                                             // a long sum
        {24, 20, 1, {2, 1, 1}, true},  {16, 48, 1, {3, 2, 2}, true},  {12, 8, 4, {1, 1, 1}, true}, // groups together
        {64, 64, 8, {1, 1, 1}, true},  {32, 64, 16, {2, 1, 1}, true}, {42, 28, 14, {1, 1, 1}, false},
    };
    state = 9;
    for (size_t i = 0; i < 5 * sizeof rows / sizeof *rows; i++) {
        const size_t r = i % (sizeof rows / sizeof *rows);
        const int64_t k = pick(1, 3), side = pick(1, 3), s = pick(1, 2), pad = pick(0, (k - 1) * rows[r].dilation[0]);
        const int64_t depth = (k - 1) * rows[r].dilation[0] + pick(1, 5), reach = 2 * rows[r].dilation[1] + 4;
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(pick(1, 2), rows[r].from, depth, reach + 3, reach));
        struct value *bias = pick(0, 1) ? make_weights(&m, DIMS(rows[r].to), -1, 1) : NULL;
        struct value *w = make_weights(&m, DIMS(rows[r].to, rows[r].from / rows[r].groups, k, side, side), -0.2, 0.2);
        struct value *y = make_node(&m, "Conv", x, w, bias);
        attr_int(&m, y, "group", rows[r].groups);
        ATTR_LIST(&m, y, "pads", pad, side / 2, side / 2, pad, side / 2, side / 2);
        ATTR_LIST(&m, y, "strides", s, 1, 1);
        ATTR_LIST(&m, y, "dilations", rows[r].dilation[0], rows[r].dilation[1], rows[r].dilation[2]);
        if (pick(0, 1)) y = make_node(&m, "Relu", y, NULL, NULL);
        make_output(&m, y);
        CHECK_BACKEND(&m);
        CHECK_MSG(!rows[r].fast || !strstr(steps, "reference"), "row %zu is left:\n%s", r, steps);
        graph_destroy(&m.graph);
    }
}

// The largest and the mean under a window; means of all of it, or of what lies inside the volume.
static void pools(void)
{
    state = 21;
    for (int i = 0; i < 90; i++) {
        struct maker m = maker();
        int64_t k[3], s[3], d[3], pad[3], in[3];
        const bool mean = i % 3 > 0, all = i % 3 == 2;
        for (int a = 0; a < 3; a++) {
            k[a] = pick(1, 3);
            s[a] = pick(1, 2);
            d[a] = pick(1, 2);
            pad[a] = k[a] > 1 ? pick(0, 1) : 0;
            in[a] = (k[a] - 1) * d[a] + pick(1, a ? 9 : 5);
        }
        struct value *x = make_input(&m, "x", DIMS(pick(1, 2), pick(16, 40), in[0], in[1], in[2]));
        struct value *y =
            make_node(&m, mean ? "AveragePool" : "MaxPool", make_node(&m, "Neg", x, NULL, NULL), NULL, NULL);
        const bool ceil_mode = pick(0, 1);
        make_attr_ints(&m, y, "kernel_shape", 3, k);
        make_attr_ints(&m, y, "strides", 3, s);
        make_attr_ints(&m, y, "dilations", 3, d);
        ATTR_LIST(&m, y, "pads", pad[0], pad[1], pad[2], pad[0], pad[1], pad[2]);
        attr_int(&m, y, "ceil_mode", ceil_mode);
        if (mean) attr_int(&m, y, "count_include_pad", all);
        make_output(&m, y);
        CHECK_BACKEND(&m);
        CHECK_MSG((all && ceil_mode) || !strstr(steps, "reference"), "the pool is left:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

static void a_chain_stays_in_planes(void)
{
    for (int images = 1; images < 3; images++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(images, 3, 5, 16, 14));
        struct value *a = make_node(&m, "Relu", same(&m, x, 3, 45, 1, 7), NULL, NULL);
        struct value *b = make_node(&m, "Sigmoid", same(&m, a, 45, 16, 3, 1), NULL, NULL);
        struct value *c = make_node(&m, "Add", same(&m, b, 16, 16, 3, 3), b, NULL);
        c = make_node(&m, "Relu", c, NULL, NULL);
        make_output(&m, same(&m, c, 16, 21, 3, 3));
        CHECK_BACKEND(&m);
        CHECK_MSG(strstr(steps, "planes first"), "the first reads no plain planes:\n%s", steps);
        CHECK_MSG(!strstr(steps, "Conv                 reference"), "a convolution is left:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

static void what_else_reads_the_volume(void)
{
    for (int kind = 0; kind < 5; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 16, 4, 6, 5));
        struct value *a = same(&m, x, 16, 16, 3, 3), *y = NULL;
        if (kind == 0) y = make_node(&m, "Mul", a, make_weights(&m, DIMS(1, 16, 1, 1, 1), -1, 1), NULL);
        if (kind == 1) y = make_node(&m, "GlobalAveragePool", a, NULL, NULL);
        if (kind == 2) y = make_node(&m, "Div", x, make_node(&m, "Exp", a, NULL, NULL), NULL);
        if (kind == 3) y = make_node(&m, "Identity", make_node(&m, "Neg", a, NULL, NULL), NULL, NULL);
        if (kind == 4) y = make_node(&m, "Add", a, make_weights(&m, DIMS(2, 16, 4, 6, 5), -1, 1), NULL);
        if (kind != 1) y = same(&m, y, 16, 16, 1, 1);
        make_output(&m, y);
        make_output(&m, make_node(&m, "Abs", a, NULL, NULL));
        CHECK_BACKEND(&m);
        graph_destroy(&m.graph);
    }
}

// A volume of one pixel a plane: its layouts are not the same bytes.
static void planes_of_one_pixel(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 32, 4, 1, 1));
    make_output(&m, make_node(&m, "Neg", same(&m, same(&m, x, 32, 32, 3, 1), 32, 32, 1, 1), NULL, NULL));
    CHECK_BACKEND(&m);
    graph_destroy(&m.graph);
}

// What these kernels do not do is left to others: padding by the size, positions of the largest, windows of
// more than eight planes, and operands behind that are no whole volume of the same shape.
static void left_to_others(void)
{
    for (int kind = 0; kind < 9; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 16, 12, 6, 5)), *y = NULL, *out[2];
        if (kind == 0 || kind == 1) {
            y = make_node(&m, kind ? "MaxPool" : "Conv", x,
                          kind ? NULL : make_weights(&m, DIMS(16, 16, 3, 3, 3), -0.2, 0.2), NULL);
            ATTR_LIST(&m, y, "kernel_shape", 3, 3, 3);
            make_attr(&m, y, (struct attr){.name = "auto_pad", .type = ATTR_STRING, .count = 10, .u.s = "SAME_UPPER"});
        } else if (kind == 2) {
            struct value *one = make_node(&m, "MaxPool", x, NULL, NULL);
            ATTR_LIST(&m, one, "kernel_shape", 2, 2, 2);
            for (int i = 0; i < 2; i++) out[i] = graph_add_value(m.graph, NULL);
            struct node *node = graph_add_node(m.graph, NULL, "MaxPool", NULL, &x, 1, out, 2);
            node->op = one->producer->op, node->attr = one->producer->attr, node->n_attr = one->producer->n_attr;
            struct value *places = make_node(&m, "Cast", out[1], NULL, NULL);
            attr_int(&m, places, "to", 1);
            y = make_node(&m, "Add", out[0], places, NULL);
        } else if (kind < 5) { // eight planes, and nine
            y = conv(&m, x, 16, 16, (const int64_t[]){kind + 5, 1, 1}, (const int64_t[]){1, 1, 1},
                     (const int64_t[]){0, 0, 0});
        } else {
            const struct reel_shape others[] = {DIMS(1, 16, 12, 1, 1), DIMS(1, 1, 12, 6, 5), DIMS(1, 16, 1, 6, 5),
                                                DIMS(16, 1, 1, 1)};
            y = make_node(&m, kind % 2 ? "Add" : "Mul", same(&m, x, 16, 16, 3, 3),
                          make_node(&m, "Exp", make_input(&m, "o", others[kind - 5]), NULL, NULL), NULL);
        }
        make_output(&m, y);
        CHECK_BACKEND(&m);
        CHECK_MSG(kind != 3 || !strstr(steps, "reference"), "eight planes are left:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

static void bytes_are_the_same_on_any_threads(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 5, 20, 18));
    struct value *a = same(&m, same(&m, same(&m, x, 3, 45, 3, 3), 45, 32, 3, 1), 32, 40, 1, 3);
    struct value *b = make_node(&m, "Conv", a, make_weights(&m, DIMS(40, 1, 3, 3, 3), -0.2, 0.2), NULL);
    attr_int(&m, b, "group", 40);
    ATTR_LIST(&m, b, "pads", 1, 1, 1, 1, 1, 1);
    struct value *c = make_node(&m, "MaxPool", b, NULL, NULL);
    ATTR_LIST(&m, c, "kernel_shape", 3, 2, 2);
    make_output(&m, c);
    CHECK_THREADS(&m);
    graph_destroy(&m.graph);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"windows_of_random_shapes", windows_of_random_shapes},
        {"volumes: taps in turn", taps_in_turn},
        {"volumes: pools", pools},
        {"a_chain_stays_in_planes", a_chain_stays_in_planes},
        {"what_else_reads_the_volume", what_else_reads_the_volume},
        {"planes_of_one_pixel", planes_of_one_pixel},
        {"volumes: left to others", left_to_others},
        {"bytes_are_the_same_on_any_threads", bytes_are_the_same_on_any_threads},
    };
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}
