// SPDX-License-Identifier: MIT
//
// Transposed convolutions on the CPU backend against the interpreter: every
// kind of geometry, groups, few channels, epilogues, one and two axes.
#include "tests/unit/worker/backend_case.h"

static uint64_t seed = 77;

static int rand_int(int lo, int hi)
{
    return lo + (int)(check_rand(&seed) % (uint64_t)(hi - lo + 1));
}

static void attr_text(struct maker *m, struct value *v, const char *name, const char *s)
{
    make_attr(m, v, (struct attr){.name = name, .type = ATTR_STRING, .count = (int)strlen(s), .u.s = s});
}

// Of each axis: kernel, stride, dilation, pads, output_padding, extent.
struct axis {
    int64_t k, s, d, before, after, extra, size;
};

static struct axis random_axis(void)
{
    struct axis a;
    do {
        a = (struct axis){rand_int(1, 6), rand_int(1, 4), rand_int(1, 3), rand_int(0, 3), rand_int(0, 3), 0,
                          rand_int(1, 12)};
        const int64_t most = a.s > a.d ? a.s : a.d;
        a.extra = rand_int(0, 2) ? 0 : rand_int(0, (int)most - 1);
    } while (a.s * (a.size - 1) + a.extra + (a.k - 1) * a.d + 1 - a.before - a.after < 1);
    return a;
}

static struct value *transposed(struct maker *m, struct value *x, int from, int to, int groups, int axes,
                                const struct axis *a)
{
    struct reel_shape w = {.ndim = 2 + axes, .dim = {from, to / groups}};
    int64_t k[2], s[2], d[2], pads[4], extra[2];
    for (int i = 0; i < axes; i++) {
        w.dim[2 + i] = k[i] = a[i].k;
        s[i] = a[i].s, d[i] = a[i].d, extra[i] = a[i].extra;
        pads[i] = a[i].before, pads[axes + i] = a[i].after;
    }
    struct value *bias = rand_int(0, 2) ? make_weights(m, DIMS(to), -1, 1) : NULL;
    struct value *y = make_node(m, "ConvTranspose", x, make_weights(m, w, -0.3, 0.3), bias);
    make_attr(m, y, (struct attr){.name = "group", .type = ATTR_INT, .u.i = groups});
    make_attr_ints(m, y, "strides", axes, s);
    make_attr_ints(m, y, "dilations", axes, d);
    make_attr_ints(m, y, "output_padding", axes, extra);
    switch (rand_int(0, 5)) {
    case 0: // the size is given, and the padding follows; at times more than the sums reach
        for (int i = 0; i < axes; i++) {
            const int64_t natural = a[i].s * (a[i].size - 1) + a[i].extra + (a[i].k - 1) * a[i].d + 1;
            k[i] = natural + rand_int(-2, 1);
            if (k[i] < 1) k[i] = 1;
        }
        make_attr_ints(m, y, "output_shape", axes, k);
        if (rand_int(0, 1)) attr_text(m, y, "auto_pad", rand_int(0, 1) ? "VALID" : "SAME_UPPER");
        break;
    case 1:
        attr_text(m, y, "auto_pad", rand_int(0, 1) ? "SAME_UPPER" : "SAME_LOWER");
        break;
    default:
        make_attr_ints(m, y, "pads", 2 * axes, pads);
    }
    return y;
}

// Makes the image blocked.
static struct value *mixed(struct maker *m, struct value *x, int channels, int axes)
{
    struct reel_shape w = {.ndim = 2 + axes, .dim = {channels, channels, 1, 1}};
    return make_node(m, "Conv", x, make_weights(m, w, -0.3, 0.3), NULL);
}

static struct value *behind(struct maker *m, struct value *y, int to, int axes)
{
    const struct reel_shape chan = {.ndim = 1 + axes, .dim = {to, 1, 1}};
    switch (rand_int(0, 4)) {
    case 0:
        return make_node(m, "Relu", y, NULL, NULL);
    case 1:
        return make_node(m, "PRelu", y, make_weights(m, chan, 0, 1), NULL);
    case 2:
        return make_node(m, "Tanh", make_node(m, "Mul", y, make_weights(m, chan, 0, 1), NULL), NULL, NULL);
    case 3:
        return make_node(m, "Add", make_node(m, "Sigmoid", y, NULL, NULL), y, NULL);
    default:
        return y;
    }
}

static void any_geometry(void)
{
    static const int channels[][3] = {{16, 16, 1}, {3, 5, 1},    {24, 40, 1},  {20, 3, 1},  {33, 1, 1},
                                      {16, 4, 1},  {19, 19, 19}, {32, 32, 32}, {32, 32, 2}, {64, 32, 4},
                                      {12, 6, 3},  {32, 64, 8},  {16, 16, 4},  {48, 80, 1}, {5, 5, 5}};
    for (int trial = 0; trial < 400; trial++) {
        const int *c = channels[trial % (int)(sizeof channels / sizeof channels[0])];
        const int axes = trial % 7 == 6 ? 1 : 2, n = trial % 5 == 4 ? 2 : 1;
        const struct axis a[2] = {random_axis(), random_axis()};
        struct maker m = maker();
        struct reel_shape shape = {.ndim = 2 + axes, .dim = {n, c[0], a[0].size, a[1].size}};
        struct value *x = make_input(&m, "x", shape);
        if (trial % 4) x = mixed(&m, x, c[0], axes);
        make_output(&m, behind(&m, transposed(&m, x, c[0], c[1], c[2], axes, a), c[1], axes));
        CHECK_BACKEND(&m);
        const bool refers = strstr(steps, "ConvTranspose        reference");
        // only groups too small for vectors, or an image of few channels
        if (c[2] == 1 || c[2] >= 19) CHECK_MSG(!refers, "%d -> %d of %d groups\n%s", c[0], c[1], c[2], steps);
        graph_destroy(&m.graph);
    }
}

// Many phases, phases without taps, rows cut into several units, weights larger
// than a cache.
static void large_ones(void)
{
    static const struct {
        int from, to, groups;
        struct axis a;
        const char *kernel;
    } kinds[] = {
        {21, 21, 21, {64, 32, 1, 16, 16, 0, 3}, "depthwise phases"},
        {17, 18, 1, {3, 5, 1, 0, 0, 1, 9}, "direct phases"},
        {16, 16, 1, {4, 2, 1, 1, 1, 0, 40}, "direct phases"},
        {144, 400, 1, {4, 2, 1, 1, 1, 0, 5}, "direct phases"},
        {64, 3, 1, {9, 4, 1, 3, 3, 1, 17}, "dot phases"},
        {512, 256, 2, {4, 2, 1, 1, 1, 0, 4}, "direct phases"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int kind = 0; kind < 2; kind++) {
            struct maker m = maker();
            struct value *x = make_input(&m, "x", DIMS(1, kinds[i].from, kinds[i].a.size, kinds[i].a.size));
            x = mixed(&m, x, kinds[i].from, 2);
            const struct axis a[2] = {kinds[i].a, kinds[i].a};
            struct value *y = transposed(&m, x, kinds[i].from, kinds[i].to, kinds[i].groups, 2, a);
            make_output(&m, kind ? make_node(&m, "LeakyRelu", y, NULL, NULL) : y);
            CHECK_BACKEND(&m);
            CHECK_MSG(strstr(steps, kinds[i].kernel), "no %s:\n%s", kinds[i].kernel, steps);
            graph_destroy(&m.graph);
        }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"any_geometry", any_geometry},
        {"large_ones", large_ones},
    };
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}
