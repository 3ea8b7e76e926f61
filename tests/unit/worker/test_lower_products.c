// SPDX-License-Identifier: MIT
//
// Sums of products of the GPU backend: Einsum, fused products, attention, recurrent layers, weights that
// are data. Each in a small network, by the kernels' twins (lower_case.h).
#include "tests/unit/worker/lower_nodes.h"

static void equations(void)
{
    static const struct {
        const char *equation;
        struct reel_shape a, b;
        const char *label; // NULL: one operand
    } cases[] = {{"bij,bjk->bik", DIMS(2, 70, 16), DIMS(2, 16, 8), "plan           matmul"},
                 {"bhid,bhjd->bhij", DIMS(2, 3, 5, 8), DIMS(2, 3, 7, 8), "product"},
                 {"bchw,kc->bkhw", DIMS(2, 8, 5, 6), DIMS(16, 8), "plan           matmul"},
                 {"nhwc,hkc->nhwk", DIMS(2, 3, 4, 8), DIMS(3, 5, 8), "product"},
                 {"abc,cd->d", DIMS(2, 3, 4), DIMS(4, 5), "sum"},
                 {"i,j->ij", DIMS(5), DIMS(7), "product"},
                 {"...ij,...jk->...ik", DIMS(2, 3, 4, 5), DIMS(1, 3, 5, 6), "product"},
                 {"iij->ji", DIMS(4, 4, 5), {0}, NULL},
                 {"abc->b", DIMS(2, 3, 4), {0}, NULL},
                 {"ab->", DIMS(6, 3), {0}, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *a = make_input(&m, "a", cases[i].a), *b = NULL;
        if (cases[i].label) b = make_input(&m, "b", cases[i].b);
        struct value *y = make_node(&m, "Einsum", a, b, NULL);
        attr_text(&m, y, "equation", cases[i].equation);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        if (cases[i].label) CHECK_HAS(dump, cases[i].label);
    }
}

static void three_factors(void)
{
    struct maker m = maker();
    struct value *out[1], *x = make_input(&m, "x", DIMS(2, 6, 5)), *w = make_weights(&m, DIMS(5, 3), -1, 1);
    struct value *y = NODE(&m, "Einsum", out, x, w, make_input(&m, "z", DIMS(2, 3, 4)));
    attr_text(&m, y, "equation", "bij, jk, bkl -> ilb");
    make_output(&m, y);
    CHECK_RIGHT(&m, 0, NULL);
}

static void fused_products(void)
{
    for (int i = 0; i < 8; i++) { // transA, transB, constant
        struct maker m = maker();
        struct value *out[1], *a = make_input(&m, "a", i & 1 ? DIMS(2, 8, 6) : DIMS(2, 6, 8)), *b;
        const struct reel_shape s = i & 2 ? DIMS(16, 8) : DIMS(8, 16);
        b = i & 4 ? make_weights(&m, s, -1, 1) : make_input(&m, "b", s);
        struct value *y = node_of(&m, "com.microsoft", "FusedMatMul", (struct value *[]){a, b}, 2, out, 1);
        attr_int(&m, y, "transA", i & 1);
        attr_int(&m, y, "transB", i >> 1 & 1);
        make_attr(&m, y, (struct attr){.name = "alpha", .type = ATTR_FLOAT, .count = 1, .u.f = 0.25f});
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void whole_attention(void)
{
    for (int i = 0; i < 8; i++) { // packed; shared keys; mask, causal, window
        struct maker m = maker();
        char dump[16384];
        m.graph->opset = 24;
        const bool packed = i & 1;
        const int64_t kv = i & 2 ? 2 : 4, keys = i & 4 ? 9 : 8;
        struct value *out[1];
        struct value *q = make_input(&m, "q", packed ? DIMS(2, 6, 4 * 8) : DIMS(2, 4, 6, 8));
        struct value *k = make_input(&m, "k", packed ? DIMS(2, keys, kv * 8) : DIMS(2, kv, keys, 8));
        struct value *v = make_input(&m, "v", packed ? DIMS(2, keys, kv * 16) : DIMS(2, kv, keys, 16));
        struct value *mask = make_input(&m, "mask", DIMS(2, 1, 6, keys));
        struct value *y = i & 4 ? NODE(&m, "Attention", out, q, k, v, mask) : NODE(&m, "Attention", out, q, k, v);
        if (packed) attr_int(&m, y, "q_num_heads", 4);
        if (packed) attr_int(&m, y, "kv_num_heads", kv);
        if (i & 4) attr_int(&m, y, "is_causal", 1);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, i & 4 ? "product" : "plan           matmul");
    }
}

// The products, or the weights, as an output beside.
static void attention_with_its_scores(void)
{
    static const struct {
        int mode, on_host;
    } cases[] = {{0, 0}, {1, 0}, {2, 0}, {3, 0}};
    for (int i = 0; i < 4; i++) {
        struct maker m = maker();
        m.graph->opset = 24;
        struct value *out[4], *q = make_input(&m, "q", DIMS(2, 4, 6, 8)), *k = make_input(&m, "k", DIMS(2, 4, 9, 8));
        struct value *y = NODE(&m, "Attention", out, q, k, k, make_input(&m, "mask", DIMS(2, 1, 6, 9)));
        attr_int(&m, y, "qk_matmul_output_mode", cases[i].mode);
        make_attr(&m, y, (struct attr){.name = "softcap", .type = ATTR_FLOAT, .count = 1, .u.f = 2});
        make_output(&m, out[3]);
        make_output(&m, y);
        CHECK_RIGHT(&m, cases[i].on_host, NULL);
    }
}

static void heads_of_microsoft(void)
{
    for (int i = 0; i < 2; i++) {
        struct maker m = maker();
        struct value *out[1], *q = make_input(&m, "q", DIMS(2, 7, 24)), *kv = make_input(&m, "kv", DIMS(2, 9, 24));
        struct value *bias = make_weights(&m, DIMS(72), -1, 1), *add = make_input(&m, "add", DIMS(1, 3, 7, 9));
        struct value *in[] = {q, kv, kv, bias, NULL, i ? add : NULL};
        struct value *y = node_of(&m, "com.microsoft", "MultiHeadAttention", in, i ? 6 : 4, out, 1);
        attr_int(&m, y, "num_heads", 3);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void turned_by_position(void)
{
    for (int i = 0; i < 4; i++) {
        struct maker m = maker();
        m.graph->opset = 24;
        struct value *out[1], *x = make_input(&m, "x", i & 1 ? DIMS(2, 5, 24) : DIMS(2, 3, 5, 8));
        struct value *at = positions(&m, make_input(&m, "by", DIMS(2, 6)), 5, false);
        struct value *y = NODE(&m, "RotaryEmbedding", out, x, make_weights(&m, DIMS(6, 3), -1, 1),
                               make_weights(&m, DIMS(6, 3), -1, 1), at);
        if (i & 1) attr_int(&m, y, "num_heads", 3);
        attr_int(&m, y, "interleaved", i >> 1);
        attr_int(&m, y, "rotary_embedding_dim", 6);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static struct value *lengths(struct maker *m, int64_t a, int64_t b, int64_t c)
{
    struct value *v = make_node(m, "Cast", INTS(m, a, b, c), NULL, NULL);
    attr_int(m, v, "to", 6);
    return v;
}

// kind 0 RNN, 1 GRU, 2 LSTM; `with`: a bit each for what is optional.
static void recurrent(int kind, int with)
{
    static const char *const names[] = {"RNN", "GRU", "LSTM"};
    struct maker m = maker();
    char dump[16384];
    const int64_t n = 8, gates = kind ? kind + 2 : 1, two = with & 1 ? 2 : 1;
    struct value *x = make_input(&m, "x", DIMS(6, 3, 16)), *out[3];
    struct value *w = make_weights(&m, DIMS(two, gates * n, 16), -0.3, 0.3);
    struct value *r = make_weights(&m, DIMS(two, gates * n, n), -0.5, 0.5);
    struct value *b = with & 2 ? make_weights(&m, DIMS(two, 2 * gates * n), -0.5, 0.5) : NULL;
    struct value *h = with & 4 ? make_input(&m, "h", DIMS(two, 3, n)) : NULL;
    struct value *c = kind == 2 && with & 4 ? make_input(&m, "c", DIMS(two, 3, n)) : NULL;
    struct value *peep = kind == 2 && with & 2 ? make_weights(&m, DIMS(two, 3 * n), -0.5, 0.5) : NULL;
    struct value *in[] = {x, w, r, b, with & 8 ? lengths(&m, 6, 0, 4) : NULL, h, c, peep};
    node_of(&m, NULL, names[kind], in, kind == 2 ? 8 : 6, out, kind == 2 ? 3 : 2);
    attr_int(&m, out[0], "hidden_size", n);
    if (with & 1) attr_text(&m, out[0], "direction", "bidirectional");
    if (kind == 1 && with & 16) attr_int(&m, out[0], "linear_before_reset", 1);
    if (kind == 2 && with & 16) attr_int(&m, out[0], "input_forget", 1);
    if (!(with & 1) && with & 16) attr_text(&m, out[0], "direction", "reverse");
    // all results in one: the last states beside each step's
    struct value *last = make_node(&m, "Add", out[1], out[kind == 2 ? 2 : 1], NULL);
    make_output(&m, make_node(&m, "Add", out[0], last, NULL));
    CHECK_RIGHT(&m, 0, dump);
    CHECK_HAS(dump, "all steps");
}

static void recurrent_layers(void)
{
    for (int kind = 0; kind < 3; kind++)
        for (int with = 0; with < 32; with++) recurrent(kind, with);
}

// Weights that are data: templates, styles. Dense, of few channels, in groups, a channel
// each, transposed, of one dimension; scaled constants, and what another convolution made.
static void weights_that_are_data(void)
{
    static const struct {
        int c, k, groups;
        bool transposed, flat;
    } cases[] = {{8, 16, 1},
                 {5, 7, 1},
                 {3, 9, 1},
                 {16, 16, 2},
                 {12, 6, 3},
                 {8, 8, 8},
                 {7, 7, 7},
                 {9, 6, 1, true},
                 {16, 8, 2, true},
                 {8, 16, 1, false, true},
                 {5, 3, 1, true, true}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const int c = cases[i / 2].c, k = cases[i / 2].k, groups = cases[i / 2].groups;
        const bool transposed = cases[i / 2].transposed, flat = cases[i / 2].flat;
        const int first = transposed ? c : k, second = (transposed ? k : c) / groups;
        struct maker m = maker();
        struct value *x = make_input(&m, "x", flat ? DIMS(2, c, 20) : DIMS(2, c, 9, 10)), *w, *out[1];
        if (i & 1) {
            struct value *style = make_input(&m, "style", flat ? DIMS(1, second, 1) : DIMS(1, second, 1, 1));
            w = make_node(&m, "Mul",
                          make_weights(&m, flat ? DIMS(first, second, 3) : DIMS(first, second, 3, 3), -0.2, 0.2), style,
                          NULL);
        } else {
            w = make_node(&m, "Tanh", make_input(&m, "w", flat ? DIMS(first, second, 3) : DIMS(first, second, 3, 3)),
                          NULL, NULL);
            w = make_node(&m, "Mul", w, make_scalar(&m, 0.2), NULL);
        }
        struct value *y =
            NODE(&m, transposed ? "ConvTranspose" : "Conv", out, x, w, make_weights(&m, DIMS(k), -0.1, 0.1));
        attr_int(&m, y, "group", groups);
        if (flat)
            ATTR_LIST(&m, y, "pads", 1, 1);
        else
            ATTR_LIST(&m, y, "pads", 1, 1, 1, 1);
        make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// A constant in front, and sums with data of every shape; indices of 32 bits.
static void products_of_other_kinds(void)
{
    for (int i = 0; i < 8; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", i & 1 ? DIMS(16, 24) : DIMS(2, 3, 16, 24)), *out[1], *y;
        struct value *w = make_weights(&m, DIMS(i & 2 ? 7 : 8, 16), -0.4, 0.4);
        const int64_t rows = i & 2 ? 7 : 8;
        if (i & 1) {
            struct value *c =
                make_node(&m, "Tanh", make_input(&m, "c", i & 4 ? DIMS(rows, 1) : DIMS(rows, 24)), NULL, NULL);
            y = NODE(&m, "Gemm", out, w, x, c);
            make_attr(&m, y, (struct attr){.name = "beta", .type = ATTR_FLOAT, .count = 1, .u.f = i & 2 ? 1 : 0.5f});
        } else {
            y = make_node(&m, "MatMul", w, x, NULL);
        }
        make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
        CHECK_RIGHT(&m, 0, NULL);
    }
    struct maker m = maker();
    struct value *at = make_node(&m, "Cast", positions(&m, make_input(&m, "x", DIMS(2, 30)), 6, false), NULL, NULL);
    attr_int(&m, at, "to", 6);
    make_output(&m, make_node(&m, "Gather", make_input(&m, "table", DIMS(30, 5)), at, NULL));
    CHECK_RIGHT(&m, 0, NULL);
}

CHECK_MAIN({"equations", equations}, {"three factors", three_factors}, {"fused products", fused_products},
           {"whole attention", whole_attention}, {"attention with its scores", attention_with_its_scores},
           {"heads of com.microsoft", heads_of_microsoft}, {"turned by position", turned_by_position},
           {"recurrent layers", recurrent_layers}, {"weights that are data", weights_that_are_data},
           {"products of other kinds", products_of_other_kinds})
