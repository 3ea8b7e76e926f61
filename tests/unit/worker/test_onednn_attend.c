// SPDX-License-Identifier: MIT
//
// ONNX's Attention and com.microsoft's MultiHeadAttention as steps of the CPU backend,
// against the interpreter: heads packed or apart, shared keys, masks of every shape, windows;
// and what stays with the reference implementation.
#include "tests/unit/worker/backend_case.h"

enum { BATCH = 2, HEADS = 4, QUERIES = 131, KEYS = 70, D = 24, V = 17 };

struct kind {
    const char *what;
    bool packed, causal, boolean, reference;
    int kv_heads, left; // left: window bound, -1 none
    int mask_dims;
    int64_t mask[4];
};

static struct value *attend(struct maker *m, const char *domain, const char *op, struct value *const *in, int n_in)
{
    struct value *list[8] = {NULL}, *out = graph_add_value(m->graph, NULL);
    for (int i = 0; i < n_in; i++) list[i] = in[i];
    struct node *node = graph_add_node(m->graph, NULL, op, NULL, list, n_in, &out, 1);
    if (*domain) node->domain = domain, node->opset = 1;
    node->op = op_find(domain, op, *domain ? 1 : m->graph->opset, NULL);
    if (!node->op) abort();
    return out;
}

static void attr_real(struct maker *m, struct value *v, const char *name, float f)
{
    make_attr(m, v, (struct attr){.name = name, .type = ATTR_FLOAT, .u.f = f});
}

// A mask of that shape, of a product's kind, or booleans of which every row keeps some but
// the first, in which nothing may be attended.
static struct value *mask_of(struct maker *m, const struct kind *k)
{
    struct reel_shape s = {.ndim = k->mask_dims};
    memcpy(s.dim, k->mask, sizeof k->mask);
    struct value *x = make_input(m, "mask", s);
    return k->boolean ? make_node(m, "Greater", x, make_scalar(m, 0.3), NULL) : make_node(m, "Neg", x, NULL, NULL);
}

static void run_kind(const struct kind *k)
{
    struct maker m = maker();
    m.graph->opset = 24;
    struct reel_shape q = {4, {BATCH, HEADS, QUERIES, D}}, key = {4, {BATCH, k->kv_heads, KEYS, D}},
                      v = {4, {BATCH, k->kv_heads, KEYS, V}};
    if (k->packed) {
        q = DIMS(BATCH, QUERIES, HEADS * D);
        key = DIMS(BATCH, KEYS, k->kv_heads * D);
        v = DIMS(BATCH, KEYS, k->kv_heads * V);
    }
    struct value *in[4] = {make_input(&m, "q", q), make_input(&m, "k", key), make_input(&m, "v", v)};
    if (k->mask_dims) in[3] = mask_of(&m, k);
    struct value *y = attend(&m, "", "Attention", in, k->mask_dims ? 4 : 3);
    if (k->packed) attr_int(&m, y, "q_num_heads", HEADS), attr_int(&m, y, "kv_num_heads", k->kv_heads);
    if (k->causal) attr_int(&m, y, "is_causal", 1);
    if (k->left >= 0) attr_real(&m, y, "softcap", k->reference ? 2 : 0), attr_int(&m, y, "left_window_size", k->left);
    make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
    CHECK_BACKEND(&m);
    CHECK_MSG(!!strstr(steps, " attention ") != k->reference, "%s:\n%s", k->what, steps);
    graph_destroy(&m.graph);
}

static void attention(void)
{
    static const struct kind kinds[] = {
        {"plain", false, false, false, false, HEADS, -1, 0, {0}},
        {"packed", true, false, false, false, HEADS, -1, 0, {0}},
        {"packed, shared keys", true, false, false, false, 2, -1, 0, {0}},
        {"causal", true, true, false, false, HEADS, -1, 0, {0}},
        {"window", false, true, false, false, 1, 9, 0, {0}},
        {"mask of all", false, false, false, false, HEADS, -1, 4, {BATCH, HEADS, QUERIES, KEYS}},
        {"mask of a batch", true, false, false, false, HEADS, -1, 4, {BATCH, 1, 1, KEYS}},
        {"mask of queries", true, false, false, false, HEADS, -1, 2, {QUERIES, 1}},
        {"booleans", false, false, true, false, HEADS, -1, 2, {QUERIES, KEYS}},
        {"booleans of heads, causal", true, true, true, false, HEADS, -1, 3, {HEADS, 1, KEYS}},
        {"capped", false, false, false, true, HEADS, 5, 0, {0}},
        {"short mask", false, false, false, true, HEADS, -1, 2, {QUERIES, KEYS - 3}},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) run_kind(&kinds[i]);
}

// Queries of which none may attend to anything are zero, not NaN.
static void nothing_to_attend(void)
{
    struct maker m = maker();
    m.graph->opset = 24;
    struct value *in[4] = {make_input(&m, "q", DIMS(1, 2, 30, D)), make_input(&m, "k", DIMS(1, 2, 40, D)),
                           make_input(&m, "v", DIMS(1, 2, 40, V))};
    in[3] = make_node(&m, "Greater", make_input(&m, "mask", DIMS(30, 1)), make_scalar(&m, 0.5), NULL);
    make_output(&m, attend(&m, "", "Attention", in, 4));
    CHECK_BACKEND(&m);
    CHECK_MSG(strstr(steps, " attention "), "%s", steps);
    graph_destroy(&m.graph);
}

static void multi_head(void)
{
    for (int kind = 0; kind < 6; kind++) {
        struct maker m = maker();
        struct value *in[6] = {make_input(&m, "q", DIMS(BATCH, QUERIES, HEADS * D)),
                               make_input(&m, "k", DIMS(BATCH, KEYS, HEADS * D)),
                               make_input(&m, "v", DIMS(BATCH, KEYS, HEADS * V))};
        if (kind & 1) in[3] = make_weights(&m, DIMS(HEADS * (2 * D + V)), -1, 1);
        if (kind & 2) in[5] = make_node(&m, "Neg", make_input(&m, "mask", DIMS(1, HEADS, QUERIES, KEYS)), NULL, NULL);
        struct value *y = attend(&m, "com.microsoft", "MultiHeadAttention", in, kind & 2 ? 6 : kind & 1 ? 4 : 3);
        attr_int(&m, y, "num_heads", HEADS);
        if (kind > 3) attr_int(&m, y, "unidirectional", 1), attr_real(&m, y, "scale", 0.1f);
        make_output(&m, y);
        CHECK_BACKEND(&m);
        CHECK_MSG(strstr(steps, " attention "), "case %d:\n%s", kind, steps);
        graph_destroy(&m.graph);
    }
}

CHECK_MAIN({"attention", attention}, {"nothing_to_attend", nothing_to_attend}, {"multi_head", multi_head})
