// SPDX-License-Identifier: MIT
//
// Networks of volumes (N,C,D,H,W) on the GPU backend: convolutions over three axes, grouped,
// depthwise and transposed, and what stands between them, against the interpreter (lower_case.h).
#include "tests/unit/worker/lower_case.h"

#define NODE(m, op_type, out, ...)                                                        \
    node_of(m, NULL, op_type, (struct value *[]){__VA_ARGS__},                            \
            (int)(sizeof((struct value *[]){__VA_ARGS__}) / sizeof(struct value *)), out, \
            (int)(sizeof(out) / sizeof *(out)))

static int pick(struct maker *m, int lo, int hi)
{
    return lo + (int)make_random(m, 0, (double)(hi - lo) + 0.999);
}

struct kernel {
    int64_t c, k, groups, size[3], stride[3], dilation[3], pad[6];
    bool transposed;
};

static struct value *convolve(struct maker *m, struct value *x, const struct kernel *g)
{
    struct value *out[1];
    const int64_t first = g->transposed ? g->c : g->k, second = (g->transposed ? g->k : g->c) / g->groups;
    struct value *w = make_weights(m, DIMS(first, second, g->size[0], g->size[1], g->size[2]), -0.3, 0.3);
    struct value *y =
        NODE(m, g->transposed ? "ConvTranspose" : "Conv", out, x, w, make_weights(m, DIMS(g->k), -0.1, 0.1));
    attr_int(m, y, "group", g->groups);
    ATTR_LIST(m, y, "strides", g->stride[0], g->stride[1], g->stride[2]);
    ATTR_LIST(m, y, "dilations", g->dilation[0], g->dilation[1], g->dilation[2]);
    ATTR_LIST(m, y, "pads", g->pad[0], g->pad[1], g->pad[2], g->pad[3], g->pad[4], g->pad[5]);
    return y;
}

// Any kernel that fits 5x6x7.
static struct kernel random_kernel(struct maker *m, int64_t c)
{
    struct kernel g = {.c = c, .transposed = pick(m, 0, 2) == 0};
    static const int64_t groups[] = {1, 1, 2, 4};
    g.groups = pick(m, 0, 3) == 0 ? c : groups[pick(m, 0, 3)];
    if (c % g.groups) g.groups = 1;
    g.k = g.groups == c ? c * pick(m, 1, 2) : g.groups * pick(m, 1, 5);
    const int shape = pick(m, 0, 3); // of all axes, within planes, across them, a point
    for (int d = 0; d < 3; d++) {
        const bool open = shape == 0 || (shape == 1 && d > 0) || (shape == 2 && d == 0);
        g.size[d] = open ? pick(m, 1, 3) : 1;
        g.stride[d] = open || pick(m, 0, 3) == 0 ? pick(m, 1, 2) : 1;
        g.dilation[d] = open ? pick(m, 1, 2) : 1;
        const int most = (int)((g.size[d] - 1) * g.dilation[d]) / (g.transposed ? 2 : 1);
        g.pad[d] = open ? pick(m, 0, most) : 0, g.pad[3 + d] = open ? pick(m, 0, most) : 0;
    }
    return g;
}

static void random_convolutions(void)
{
    for (int i = 0; i < 60; i++) {
        struct maker m = maker();
        m.seed = (uint64_t)i * 977 + 3;
        static const int64_t channels[] = {1, 3, 4, 8, 12, 16};
        struct value *x = make_input(&m, "x", DIMS(pick(&m, 1, 2), channels[i % 6], 5, 6, 7));
        struct kernel g = random_kernel(&m, channels[i % 6]);
        struct value *y = convolve(&m, x, &g);
        if (pick(&m, 0, 1)) y = make_node(&m, "Relu", y, NULL, NULL);
        if (pick(&m, 0, 1)) y = make_node(&m, "Mul", y, make_weights(&m, DIMS(g.k, 1, 1, 1), 0.5, 2), NULL);
        if (pick(&m, 0, 1))
            y = convolve(&m, y, &(struct kernel){g.k, 9, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0}, false});
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// Which steps a kernel becomes.
static void kinds_of_kernels(void)
{
    static const struct {
        struct kernel g;
        const char *has, *has_not;
    } cases[] = {
        {{16, 16, 1, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1, 0, 1, 1}, false},
         "plan           conv 5x16x6x8",
         "planes"},
        {{16, 16, 1, {3, 1, 1}, {2, 1, 1}, {1, 1, 1}, {1, 0, 0, 1, 0, 0}, false},
         "plan           conv 1x16x5x48",
         "planes"},
        {{16, 16, 1, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}, false},
         "plan           conv 5x48x6x8",
         "volumes"},
        {{32, 32, 2, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}, false},
         "plan           conv 5x96x6x8",
         "volumes"},
        {{16, 16, 16, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}, false}, "depthwise", "planes"},
        {{16, 16, 16, {5, 1, 1}, {1, 1, 1}, {1, 1, 1}, {2, 0, 0, 2, 0, 0}, false}, "depthwise", "planes"},
        {{16, 16, 1, {2, 2, 2}, {2, 2, 2}, {1, 1, 1}, {0}, true}, "plan           deconv 5x16x6x8", "planes"},
        {{16, 8, 1, {3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1, 0, 0, 0}, true}, "plan           deconv 5x32x6x8", NULL},
        {{16, 16, 1, {1, 4, 4}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1, 0, 1, 1}, true},
         "plan           deconv 5x16x6x8",
         "volumes"},
        {{16, 16, 16, {2, 2, 2}, {2, 2, 2}, {1, 1, 1}, {0}, true}, "direct", "planes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_node(&m, "Tanh", make_input(&m, "x", DIMS(1, cases[i].g.c, 5, 6, 8)), NULL, NULL);
        x = convolve(&m, x,
                     &(struct kernel){cases[i].g.c, cases[i].g.c, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0}, false});
        make_output(&m, convolve(&m, x, &cases[i].g));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, cases[i].has);
        if (cases[i].has_not) CHECK_MSG(!strstr(dump, cases[i].has_not), "case %zu:\n%s", i, dump);
    }
}

// A residual block behind a convolution: the sum is in the second one's chain.
static void residuals(void)
{
    struct maker m = maker();
    char dump[16384];
    const struct kernel three = {16, 16, 1, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}, false};
    struct value *x = convolve(&m, make_input(&m, "x", DIMS(2, 16, 3, 5, 6)), &three);
    struct value *y = make_node(&m, "Relu", convolve(&m, x, &three), NULL, NULL);
    make_output(&m, make_node(&m, "Relu", make_node(&m, "Add", convolve(&m, y, &three), x, NULL), NULL, NULL));
    CHECK_RIGHT(&m, 0, dump);
    CHECK_HAS(dump, "+add:tensor +add:channel +relu");
    CHECK(!strstr(dump, "volumes"));
}

// Pools, norms, means, joins and resizing between convolutions stay as volumes lie.
static void between_convolutions(void)
{
    const struct kernel point = {3, 12, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0}, false};
    for (int i = 0; i < 9; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = convolve(&m, make_input(&m, "x", DIMS(2, 3, 4, 6, 8)), &point), *y = x, *out[1];
        int64_t c = 12;
        if (i < 2) {
            y = make_node(&m, i ? "MaxPool" : "AveragePool", x, NULL, NULL);
            ATTR_LIST(&m, y, "kernel_shape", 2, 3, 2);
            ATTR_LIST(&m, y, "strides", 2, 2, 2);
            ATTR_LIST(&m, y, "pads", 0, 1, 0, 0, 1, 0);
        } else if (i == 2) {
            y = make_node(&m, "InstanceNormalization", x, make_weights(&m, DIMS(12), 0.5, 2),
                          make_weights(&m, DIMS(12), -1, 1));
        } else if (i == 3) { // squeeze and excite
            struct value *g = make_node(&m, "GlobalAveragePool", x, NULL, NULL);
            g = convolve(&m, g, &(struct kernel){12, 12, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0}, false});
            y = make_node(&m, "Mul", x, make_node(&m, "Sigmoid", g, NULL, NULL), NULL);
        } else if (i == 4) {
            y = NODE(&m, "Concat", out, x, make_node(&m, "Tanh", x, NULL, NULL));
            attr_int(&m, y, "axis", 1);
            c = 24;
        } else if (i < 8) {
            struct value *scales = make_weights(&m, DIMS(5), 1, 1); // of all axes, of planes, within them
            float *f = scales->constant->data;
            f[2] = i == 6 ? 1 : 2, f[3] = i == 7 ? 1 : 2, f[4] = i == 7 ? 1 : 1.5f;
            y = NODE(&m, "Resize", out, x, NULL, scales);
            attr_text(&m, y, "mode", i == 7 ? "nearest" : "linear");
        } else {
            y = make_node(&m, "Transpose", x, NULL, NULL);
            ATTR_LIST(&m, y, "perm", 0, 2, 1, 3, 4);
            c = 4;
        }
        y = convolve(&m, y, &(struct kernel){c, 9, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0}, false});
        make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
        CHECK_RIGHT(&m, 0, dump);
        if (i == 5) CHECK_HAS(dump, "linear");
    }
}

// Volumes that become tokens, rows, numbers and an output.
static void volumes_as_others(void)
{
    const struct kernel point = {3, 16, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0}, false};
    for (int i = 0; i < 7; i++) {
        struct maker m = maker();
        struct value *x = convolve(&m, make_input(&m, "x", DIMS(2, 3, 2, 4, 6)), &point), *y = x, *out[1];
        if (i == 0) { // tokens
            y = make_node(&m, "Transpose", make_node(&m, "Reshape", x, INTS(&m, 0, 16, -1), NULL), NULL, NULL);
            ATTR_LIST(&m, y, "perm", 0, 2, 1);
            y = make_node(&m, "MatMul", y, make_weights(&m, DIMS(16, 8), -0.3, 0.3), NULL);
        } else if (i == 1) {
            y = make_node(&m, "Flatten", make_node(&m, "GlobalAveragePool", x, NULL, NULL), NULL, NULL);
            y = make_node(&m, "MatMul", y, make_weights(&m, DIMS(16, 5), -0.3, 0.3), NULL);
        } else if (i == 2) {
            y = make_node(&m, "Softmax", x, NULL, NULL);
            attr_int(&m, y, "axis", 1);
        } else if (i == 3) {
            y = make_node(&m, "ReduceMean", x, INTS(&m, 2, 4), NULL);
        } else if (i == 4) { // a gather of several dimensions
            y = NODE(&m, "Gather", out, make_node(&m, "Reshape", x, INTS(&m, 2, 16, 8, 6), NULL), INTS(&m, 1, 0, 5));
            attr_int(&m, y, "axis", 2);
        } else if (i == 5) {
            y = make_node(&m, "Slice", x, INTS(&m, 0, 1, 0), INTS(&m, 9, 9, 3)); // planes and rows
        }
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

CHECK_MAIN({"random convolutions", random_convolutions}, {"kinds of kernels", kinds_of_kernels},
           {"residuals", residuals}, {"between convolutions", between_convolutions},
           {"volumes as others", volumes_as_others})
