// SPDX-License-Identifier: MIT
//
// Attention as networks are exported with it becomes one step that reads queries, keys
// and values where their product has left them and writes the heads side by side; and
// the shift of windows around it one copy.
#include "tests/unit/worker/lower_case.h"

// The steps of the fp16 program, in *out_right whether its numbers are the graph's.
static void lower(struct maker *m, bool *out_right, char *out_dump)
{
    struct reel_tensor want = run_graph(m->graph, 5);
    struct result r;
    *out_right = run_lowered(m->graph, PRECISION_FP16, &r) && tensor_difference(&r.out, &want) <= 1e-2;
    strcpy(out_dump, r.dump);
    result_fini(&r);
    reel_tensor_fini(&want);
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) n++;
    return n;
}

// The network lowers to n_products products and one attention, and to nothing between.
#define CHECK_ONE(m, n_products)                                     \
    do {                                                             \
        char steps[16384];                                           \
        bool numbers;                                                \
        CHECK(right((m)->graph, 0, NULL));                           \
        lower(m, &numbers, steps);                                   \
        CHECK(numbers);                                              \
        if (count(steps, " attention  ") != 1) fputs(steps, stderr); \
        CHECK_INT(count(steps, " attention  "), 1);                  \
        CHECK_INT(count(steps, "MatMul           p"), n_products);   \
        CHECK(!strstr(steps, "Transpose"));                          \
        CHECK(!strstr(steps, "Softmax"));                            \
        CHECK(!strstr(steps, "Gather"));                             \
        CHECK(!strstr(steps, "Slice"));                              \
        CHECK(!strstr(steps, "Split"));                              \
        CHECK(!strstr(steps, "Add "));                               \
        CHECK(!strstr(steps, "Where"));                              \
        graph_destroy(&(m)->graph);                                  \
    } while (0)

static struct value *perm(struct maker *m, struct value *v, int n, const int64_t *to)
{
    struct value *t = make_node(m, "Transpose", v, NULL, NULL);
    make_attr_ints(m, t, "perm", n, to);
    return t;
}
#define PERM(m, v, ...) perm(m, v, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})
#define RESHAPE(m, v, ...) make_node(m, "Reshape", v, INTS(m, __VA_ARGS__), NULL)

static struct value *linear(struct maker *m, struct value *x, int64_t from, int64_t to)
{
    struct value *y = make_node(m, "MatMul", x, make_weights(m, DIMS(from, to), -0.3, 0.3), NULL);
    return make_node(m, "Add", y, make_weights(m, DIMS(to), -0.2, 0.2), NULL);
}

static struct value *at(struct maker *m, struct value *v, int64_t i)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_I64, &(struct reel_shape){0})) abort();
    *(int64_t *)t.data = i;
    struct value *y = make_node(m, "Gather", v, graph_add_constant(m->graph, NULL, &t), NULL);
    attr_int(m, y, "axis", 0);
    return y;
}

// SwinIR's block: windows of 64 pixels, heads of 30 channels, a bias a head, and where
// windows are shifted a mask a window, seen by all images.
static void windows(void)
{
    enum { WINDOWS = 4, IMAGES = 2, N = 64, HEADS = 2, D = 30, C = HEADS * D };
    for (int shifted = 0; shifted < 2; shifted++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(IMAGES * WINDOWS, N, C));
        struct value *qkv = RESHAPE(&m, linear(&m, x, C, 3 * C), -1, N, 3, HEADS, D);
        qkv = PERM(&m, qkv, 2, 0, 3, 1, 4);
        struct value *q = make_node(&m, "Mul", at(&m, qkv, 0), make_scalar(&m, 0.182574), NULL);
        struct value *s = make_node(&m, "MatMul", q, PERM(&m, at(&m, qkv, 1), 0, 1, 3, 2), NULL);
        s = make_node(&m, "Add", s, make_weights(&m, DIMS(1, HEADS, N, N), -1, 1), NULL);
        if (shifted) {
            s = RESHAPE(&m, s, IMAGES, WINDOWS, HEADS, N, N);
            s = make_node(&m, "Add", s, make_weights(&m, DIMS(1, WINDOWS, 1, N, N), -3, 0), NULL);
            s = RESHAPE(&m, s, -1, HEADS, N, N);
        }
        struct value *y = make_node(&m, "MatMul", make_node(&m, "Softmax", s, NULL, NULL), at(&m, qkv, 2), NULL);
        make_output(&m, linear(&m, RESHAPE(&m, PERM(&m, y, 0, 2, 1, 3), -1, N, C), C, C));
        CHECK_ONE(&m, 2);
    }
}

// ViT: one product for all three, split in the last dimension or in front.
static void one_product_for_all(void)
{
    for (int kind = 0; kind < 2; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 50, 48)), *part[3];
        struct value *qkv = linear(&m, x, 48, 144);
        for (int i = 0; i < 3; i++) {
            if (kind) {
                part[i] = make_node(&m, "Slice", qkv, INTS(&m, 48 * i), INTS(&m, 48 * i + 48));
                struct node *n = part[i]->producer;
                struct value *in[4] = {n->in[0], n->in[1], n->in[2], INTS(&m, 2)},
                             *out = graph_add_value(m.graph, NULL);
                struct node *slice = graph_add_node(m.graph, NULL, "Slice", NULL, in, 4, &out, 1);
                slice->op = n->op;
                part[i] = PERM(&m, RESHAPE(&m, out, 2, 50, 3, 16), 0, 2, 1, 3);
            } else {
                part[i] = at(&m, PERM(&m, RESHAPE(&m, qkv, 2, 50, 3, 3, 16), 2, 0, 3, 1, 4), i);
            }
        }
        struct value *s = make_node(&m, "MatMul", part[0], PERM(&m, part[1], 0, 1, 3, 2), NULL);
        s = make_node(&m, "Softmax", make_node(&m, "Div", s, make_scalar(&m, 4), NULL), NULL, NULL);
        struct value *y = PERM(&m, make_node(&m, "MatMul", s, part[2], NULL), 0, 2, 1, 3);
        make_output(&m, linear(&m, RESHAPE(&m, y, 2, 50, 48), 48, 48));
        CHECK_ONE(&m, 2);
    }
}

// (batch x heads) in one dimension, and a mask that chooses.
static void bare_products(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(30, 2, 32)), *part[3]; // (rows,batch,channels)
    for (int i = 0; i < 3; i++) part[i] = PERM(&m, RESHAPE(&m, linear(&m, x, 32, 32), 30, 8, 8), 1, 0, 2);
    struct value *s = make_node(&m, "MatMul", part[0], PERM(&m, part[1], 0, 2, 1), NULL);
    s = make_node(&m, "Mul", s, make_scalar(&m, 0.35), NULL);
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_BOOL, &DIMS(1, 30, 30))) abort();
    for (int i = 0; i < 900; i++) ((uint8_t *)t.data)[i] = i % 30 <= i / 30;
    s = make_node(&m, "Where", graph_add_constant(m.graph, NULL, &t), s, make_scalar(&m, -INFINITY));
    struct value *y = make_node(&m, "MatMul", make_node(&m, "Softmax", s, NULL, NULL), part[2], NULL);
    make_output(&m, linear(&m, RESHAPE(&m, PERM(&m, y, 1, 0, 2), 30, 2, 32), 32, 32));
    CHECK_ONE(&m, 4);
}

// alpha a b, either turned, as ONNX Runtime's optimiser writes it.
static struct value *fused(struct maker *m, struct value *a, bool a_turned, struct value *b, bool b_turned, float alpha)
{
    struct value *out[1], *y = node_of(m, "com.microsoft", "FusedMatMul", (struct value *[]){a, b}, 2, out, 1);
    attr_int(m, y, "transA", a_turned);
    attr_int(m, y, "transB", b_turned);
    make_attr(m, y, (struct attr){.name = "alpha", .type = ATTR_FLOAT, .count = 1, .u.f = alpha});
    return y;
}

static void fused_products(void)
{
    for (int kind = 0; kind < 8; kind++) { // queries, keys, values turned
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 24, 32)), *part[3];
        for (int i = 0; i < 3; i++) {
            part[i] = RESHAPE(&m, linear(&m, x, 32, 32), 2, 24, 4, 8);
            part[i] = kind >> i & 1 ? PERM(&m, part[i], 0, 2, 3, 1) : PERM(&m, part[i], 0, 2, 1, 3);
        }
        struct value *s = fused(&m, part[0], kind & 1, part[1], !(kind & 2), 0.35f);
        if (kind & 4) s = make_node(&m, "Add", s, make_weights(&m, DIMS(1, 4, 24, 24), -1, 1), NULL);
        s = make_node(&m, "Softmax", s, NULL, NULL);
        struct value *y = fused(&m, s, false, part[2], kind & 4, kind & 1 ? 0.5f : 1);
        make_output(&m, linear(&m, RESHAPE(&m, PERM(&m, y, 0, 2, 1, 3), 2, 24, 32), 32, 32));
        CHECK_ONE(&m, 4);
    }
}

// Factors on either side, of values too; heads wider than 128.
static void factors_and_wide_heads(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2, 20, 64)), *part[3];
    for (int i = 0; i < 3; i++) {
        part[i] = make_node(&m, "Mul", linear(&m, x, 64, 400), make_scalar(&m, 0.3 + 0.2 * i), NULL);
        part[i] = PERM(&m, RESHAPE(&m, part[i], 2, 20, 2, 200), 0, 2, 1, 3);
    }
    struct value *s = fused(&m, part[0], false, part[1], true, 1);
    struct value *y = make_node(&m, "MatMul", make_node(&m, "Softmax", s, NULL, NULL), part[2], NULL);
    make_output(&m, linear(&m, RESHAPE(&m, PERM(&m, y, 0, 2, 1, 3), 2, 20, 400), 400, 32));
    CHECK_ONE(&m, 4);
}

// Swin of the second version: a factor a head.
static void factor_a_head(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(3, 16, 32)), *part[3];
    for (int i = 0; i < 3; i++) part[i] = PERM(&m, RESHAPE(&m, linear(&m, x, 32, 32), 3, 16, 2, 16), 0, 2, 1, 3);
    struct value *s = make_node(&m, "MatMul", part[0], PERM(&m, part[1], 0, 1, 3, 2), NULL);
    s = make_node(&m, "Mul", s, make_weights(&m, DIMS(2, 1, 1), 0.5, 2), NULL);
    s = make_node(&m, "Add", s, make_weights(&m, DIMS(2, 16, 16), -1, 1), NULL);
    struct value *y = make_node(&m, "MatMul", make_node(&m, "Softmax", s, NULL, NULL), part[2], NULL);
    make_output(&m, linear(&m, RESHAPE(&m, PERM(&m, y, 0, 2, 1, 3), 3, 16, 32), 32, 32));
    CHECK_ONE(&m, 4);
}

// Over a convolution's pixels, which lie as NHWC.
static void pixels(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 8, 6, 10)), *part[3];
    for (int i = 0; i < 3; i++) {
        struct value *y = make_node(&m, "Conv", x, make_weights(&m, DIMS(16, 8, 1, 1), -0.5, 0.5), NULL);
        part[i] = RESHAPE(&m, y, 1, 16, 60);
    }
    struct value *s = make_node(&m, "MatMul", PERM(&m, part[0], 0, 2, 1), part[1], NULL);
    struct value *y =
        make_node(&m, "MatMul", make_node(&m, "Softmax", s, NULL, NULL), PERM(&m, part[2], 0, 2, 1), NULL);
    make_output(&m, linear(&m, y, 16, 8));
    CHECK_ONE(&m, 1);
}

// Values by turned weights, as networks write it that have pixels innermost: heads side by side
// as a picture's channels (kind 0), with the weights turned by a node of their own or by the
// product (1), and without a picture behind (2).
static void turned_weights(void)
{
    for (int kind = 0; kind < 3; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 8, 6, 10)), *part[3];
        for (int i = 0; i < 3; i++) {
            struct value *y = make_node(&m, "Conv", x, make_weights(&m, DIMS(32, 8, 1, 1), -0.5, 0.5), NULL);
            part[i] = RESHAPE(&m, y, 2, 2, 16, 60);
        }
        struct value *s = make_node(&m, "MatMul", PERM(&m, part[0], 0, 1, 3, 2), part[1], NULL);
        s = make_node(&m, "Softmax", make_node(&m, "Mul", s, make_scalar(&m, 0.25), NULL), NULL, NULL);
        struct value *y;
        if (kind == 1) {
            y = fused(&m, part[2], false, s, true, 1);
        } else {
            y = make_node(&m, "MatMul", part[2], PERM(&m, s, 0, 1, 3, 2), NULL);
        }
        if (kind < 2)
            make_output(&m, make_node(&m, "Conv", RESHAPE(&m, y, 2, 32, 6, 10),
                                      make_weights(&m, DIMS(8, 32, 1, 1), -0.5, 0.5), NULL));
        else
            make_output(&m, linear(&m, RESHAPE(&m, y, 4, 16, 60), 60, 8));
        CHECK_ONE(&m, kind == 2);
    }
}

// YOLO12: of the three parts the values alone are copied, because another node reads them.
static void a_part_is_read(void)
{
    struct maker m = maker();
    char dump[16384];
    bool numbers;
    struct value *x = make_input(&m, "x", DIMS(1, 8, 6, 10)), *part[3];
    struct value *y = make_node(&m, "Conv", x, make_weights(&m, DIMS(96, 8, 1, 1), -0.5, 0.5), NULL);
    node_of(&m, "", "Split", (struct value *[]){RESHAPE(&m, y, 1, 2, 48, 60), INTS(&m, 16, 16, 16)}, 2, part, 3);
    attr_int(&m, part[0], "axis", 2);
    struct value *s = make_node(&m, "MatMul", PERM(&m, part[0], 0, 1, 3, 2), part[1], NULL);
    s = make_node(&m, "Softmax", s, NULL, NULL);
    y = make_node(&m, "MatMul", part[2], PERM(&m, s, 0, 1, 3, 2), NULL);
    make_output(&m, make_node(&m, "Add", y, make_node(&m, "Exp", part[2], NULL, NULL), NULL));
    CHECK(right(m.graph, 0, NULL));
    lower(&m, &numbers, dump);
    CHECK(numbers);
    CHECK_INT(count(dump, " attention  "), 1);
    CHECK_INT(count(dump, "Split            "), 1);
    graph_destroy(&m.graph);
}

// Queries that are the network's own (DETR's, DDColor's).
static void queries_of_the_network(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 60, 32)), *part[2];
    for (int i = 0; i < 2; i++) part[i] = PERM(&m, RESHAPE(&m, linear(&m, x, 32, 32), 1, 60, 4, 8), 0, 2, 1, 3);
    struct value *s =
        make_node(&m, "MatMul", make_weights(&m, DIMS(1, 4, 10, 8), -1, 1), PERM(&m, part[0], 0, 1, 3, 2), NULL);
    struct value *y = make_node(&m, "MatMul", make_node(&m, "Softmax", s, NULL, NULL), part[1], NULL);
    make_output(&m, linear(&m, RESHAPE(&m, PERM(&m, y, 0, 2, 1, 3), 1, 10, 32), 32, 8));
    CHECK_ONE(&m, 3);
}

static struct value *part_of(struct maker *m, struct value *x, int64_t axis, int64_t from, int64_t to)
{
    struct value *in[4] = {x, INTS(m, from), INTS(m, to), INTS(m, axis)}, *out = graph_add_value(m->graph, NULL);
    struct node *slice = graph_add_node(m->graph, NULL, "Slice", NULL, in, 4, &out, 1);
    slice->op = op_find("", "Slice", m->graph->opset, NULL);
    return out;
}

static struct value *rolled(struct maker *m, struct value *x, int64_t axis, int64_t by)
{
    struct value *y = make_node(m, "Concat", part_of(m, x, axis, by, 1000), part_of(m, x, axis, 0, by), NULL);
    attr_int(m, y, "axis", axis);
    return y;
}

// Slices joined again are one copy for all axes: of rows, and of a convolution's padded
// pixels along any of them; not where a slice has another reader.
static void rolls(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct maker m = maker();
        char dump[16384];
        bool numbers;
        struct value *x = make_input(&m, "x", kind ? DIMS(2, 8, 6, 10) : DIMS(2, 6, 10, 5)), *y = x;
        if (kind) y = make_node(&m, "Conv", x, make_weights(&m, DIMS(13, 8, 1, 1), -0.5, 0.5), NULL);
        y = make_node(&m, "Tanh", y, NULL, NULL);
        struct value *seen = kind == 3 ? rolled(&m, y, 2, 4) : NULL;
        y = rolled(&m, rolled(&m, y, kind == 2 ? 1 : 3, 3), 2, 4);
        make_output(&m, seen ? make_node(&m, "Add", y, seen, NULL) : make_node(&m, "Relu", y, NULL, NULL));
        if (kind == 3) make_output(&m, seen->producer->in[0]); // a slice
        CHECK(right(m.graph, 0, NULL));
        lower(&m, &numbers, dump);
        CHECK(numbers);
        CHECK_INT(count(dump, " roll "), 1);
        CHECK_INT(count(dump, "Slice            s"), kind == 3 ? 2 : 0);
        graph_destroy(&m.graph);
    }
}

// What has other readers is made; what the kernel cannot do is done as before.
static void others_read_it(void)
{
    struct maker m = maker();
    char dump[16384];
    bool numbers;
    struct value *x = make_input(&m, "x", DIMS(2, 24, 32)), *part[3];
    for (int i = 0; i < 3; i++) part[i] = PERM(&m, RESHAPE(&m, linear(&m, x, 32, 32), 2, 24, 4, 8), 0, 2, 1, 3);
    struct value *s = make_node(&m, "MatMul", part[0], PERM(&m, part[1], 0, 1, 3, 2), NULL);
    struct value *y = make_node(&m, "MatMul", make_node(&m, "Softmax", s, NULL, NULL), part[2], NULL);
    make_output(&m, make_node(&m, "Add", y, part[0], NULL));
    make_output(&m, part[1]);
    CHECK(right(m.graph, 0, NULL));
    lower(&m, &numbers, dump);
    CHECK(numbers);
    CHECK_INT(count(dump, " attention  "), 1);
    CHECK_INT(count(dump, "Transpose        t"), 2); // of queries and keys
    graph_destroy(&m.graph);
    // weights are an output; heads of 264; a softmax down the columns; a factor behind the mask
    for (int kind = 0; kind < 4; kind++) {
        m = maker();
        const int64_t wide = kind == 1 ? 264 : 160;
        x = make_input(&m, "x", DIMS(2, 24, wide));
        struct value *a = kind == 1 ? x : linear(&m, x, wide, 8), *v = kind == 1 ? x : linear(&m, x, wide, 8);
        s = make_node(&m, "MatMul", a, PERM(&m, a, 0, 2, 1), NULL);
        if (kind == 3) s = make_node(&m, "Add", s, make_weights(&m, DIMS(24, 24), -1, 1), NULL);
        if (kind == 3) s = make_node(&m, "Mul", s, make_scalar(&m, 0.5), NULL);
        s = make_node(&m, "Softmax", s, NULL, NULL);
        if (kind == 2) attr_int(&m, s, "axis", 1);
        make_output(&m, make_node(&m, "MatMul", s, v, NULL));
        if (!kind) make_output(&m, s);
        CHECK(right(m.graph, 0, NULL));
        lower(&m, &numbers, dump);
        CHECK(numbers);
        CHECK_INT(count(dump, " attention  "), 0);
        CHECK(strstr(dump, "Softmax"));
        graph_destroy(&m.graph);
    }
}

static void the_device_decides(void)
{
    for (int sm = 75; sm <= 80; sm += 5)
        for (int precision = 0; precision < 2; precision++) {
            struct maker m = maker();
            struct value *x = make_input(&m, "x", DIMS(2, 24, 36)); // rows of pairs, not of whole vectors
            struct value *s =
                make_node(&m, "MatMul", linear(&m, x, 36, 6), PERM(&m, linear(&m, x, 36, 6), 0, 2, 1), NULL);
            make_output(&m, make_node(&m, "MatMul", make_node(&m, "Softmax", s, NULL, NULL), x, NULL));
            struct lowered *lowered = NULL;
            struct graph *after = after_passes(m.graph, backend_cudnn_host.caps);
            const struct lower_params params = {.precision = precision ? PRECISION_FP32 : PRECISION_FP16, .sm = sm};
            CHECK(after && !gpu_lowered_create(after, &params, &lowered));
            int n = 0, plans = 0;
            for (int k = 0; k < lowered->n_steps; k++) {
                n += lowered->steps[k].kind == STEP_FLASH;
                plans += lowered->steps[k].kind == STEP_PLAN;
            }
            CHECK_INT(n, sm >= 80 && !precision);
            if (!precision) CHECK_INT(plans, sm >= 80 ? 2 : 0);
            gpu_lowered_destroy(&lowered);
            graph_destroy(&after);
            graph_destroy(&m.graph);
        }
}

CHECK_MAIN({"windows", windows}, {"one product for all", one_product_for_all}, {"bare products", bare_products},
           {"fused products", fused_products}, {"factors and wide heads", factors_and_wide_heads},
           {"a factor a head", factor_a_head}, {"pixels", pixels}, {"turned weights", turned_weights},
           {"a part is read", a_part_is_read}, {"queries of the network", queries_of_the_network}, {"rolls", rolls},
           {"others read it", others_read_it}, {"the device decides", the_device_decides})
