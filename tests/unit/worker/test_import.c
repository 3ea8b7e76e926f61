// SPDX-License-Identifier: MIT
//
// The importer on models made by hand, byte by byte: what it accepts becomes
// the right graph; what is hostile, odd or broken is refused with a clear text
// in bounded time and memory.
#include <time.h>

#include "tests/unit/worker/import_make.h"

// ---- what is accepted -------------------------------------------------------

static void unsorted_nodes_are_sorted(void)
{
    struct pb f = {0};
    put_message(&f, 1, node("Relu", "b", NULL, "y"));
    put_message(&f, 1, node("Add", "a", "x", "b"));
    put_message(&f, 1, node("Abs", "x", NULL, "a"));
    struct graph *g;
    CHECK_INT(import(model(graph_around(f)), &g), REEL_OK);
    CHECK(graph_is_sound(g));
    CHECK_INT(g->n_nodes, 3);
    CHECK_STR(g->first->op_type, "Abs");
    CHECK_STR(g->last->op_type, "Relu");
    CHECK_HAS(g->last->name, "Relu_");
    CHECK_INT(g->opset, 17);
    CHECK_INT(g->n_inputs, 1);
    CHECK_STR(g->inputs[0]->name, "x");
    graph_destroy(&g);
}

static void initializers_in_every_form(void)
{
    static const float raw[] = {1, 2};
    struct pb f = {0}, typed = {0}, half = {0}, doubles = {0};
    put_message(&f, 5, tensor("raw", FLOAT, 1, two, raw, sizeof raw));
    put_message(&f, 11, value_info("raw", FLOAT, 1, two)); // listed as an input too
    put_int(&typed, 1, 2);
    put_int(&typed, 2, FLOAT);
    put_bytes(&typed, 4, raw, sizeof raw); // packed float_data
    put_text(&typed, 8, "typed");
    put_message(&f, 5, typed);
    put_int(&half, 1, 2);
    put_int(&half, 2, FLOAT16);
    put_int(&half, 5, 0x3c00); // int32_data, not packed: 1.0 and 2.0 as bits
    put_int(&half, 5, 0x4000);
    put_text(&half, 8, "half");
    put_message(&f, 5, half);
    static const double d[] = {1, 2};
    put_int(&doubles, 1, 2);
    put_int(&doubles, 2, 11);
    put_bytes(&doubles, 10, d, sizeof d);
    put_text(&doubles, 8, "doubles");
    put_message(&f, 5, doubles);
    put_message(&f, 1, node("Add", "x", "raw", "y"));
    struct graph *g;
    CHECK_INT(import(model(graph_around(f)), &g), REEL_OK);
    CHECK_INT(g->n_inputs, 1);
    static const char *const names[] = {"raw", "typed", "half", "doubles"};
    for (int i = 0; i < 4; i++) {
        const struct value *v = graph_find_value(g, names[i]);
        CHECK(v && v->constant && v->constant->data);
        CHECK_NEAR(op_scalar(v->constant, 0), 1, 0);
        CHECK_NEAR(op_scalar(v->constant, 1), 2, 0);
    }
    graph_destroy(&g);
}

static void sparse_initializers_become_dense(void)
{
    static const int64_t dims[] = {2, 3}, two_by_two[] = {2, 2}, at[] = {0, 2, 1, 0};
    static const float values[] = {5, 7};
    struct pb f = {0}, s = {0};
    put_message(&s, 1, tensor("w", FLOAT, 1, two, values, sizeof values));
    put_message(&s, 2, tensor("", INT64, 2, two_by_two, at, sizeof at));
    for (int i = 0; i < 2; i++) put_int(&s, 3, dims[i]);
    put_message(&f, 15, s);
    put_message(&f, 1, node("Relu", "x", NULL, "y"));
    struct graph *g;
    CHECK_INT(import(model(graph_around(f)), &g), REEL_OK);
    const struct reel_tensor *w = graph_find_value(g, "w")->constant;
    static const double want[] = {0, 0, 5, 7, 0, 0};
    for (int i = 0; i < 6; i++) CHECK_NEAR(op_scalar(w, i), want[i], 0);
    graph_destroy(&g);
}

static struct pb int_attr(const char *name, int64_t x)
{
    struct pb a = {0};
    put_text(&a, 1, name);
    put_int(&a, 3, x);
    put_int(&a, 20, 2);
    return a;
}

// A function with an attribute that its node takes by reference, called twice.
static void functions_are_inlined(void)
{
    struct pb f = {0}, fn = {0}, inner = node("Softmax", "a", NULL, "b"), ref = {0};
    put_text(&ref, 1, "axis");
    put_text(&ref, 21, "along");
    put_int(&ref, 20, 2);
    put_message(&inner, 5, ref);
    put_text(&fn, 1, "Soft");
    put_text(&fn, 4, "a");
    put_text(&fn, 5, "c");
    put_text(&fn, 6, "along");
    put_message(&fn, 7, node("Add", "b", "a", "c"));
    put_message(&fn, 7, inner);
    put_message(&fn, 9, opset("", 13));
    put_text(&fn, 10, "mine");
    static const char *const args[][2] = {{"x", "m"}, {"m", "y"}};
    for (int i = 0; i < 2; i++) {
        struct pb call = node("Soft", args[i][0], NULL, args[i][1]);
        put_text(&call, 7, "mine");
        put_message(&call, 5, int_attr("along", -1 + i));
        put_message(&f, 1, call);
    }
    struct pb m = model(graph_around(f));
    put_message(&m, 25, fn);
    struct graph *g;
    CHECK_INT(import(m, &g), REEL_OK);
    CHECK(graph_is_sound(g));
    CHECK_INT(g->n_nodes, 4);
    CHECK_INT(node_attr_int(g->first, "axis", 9), -1);
    CHECK_INT(g->first->opset, 13);
    CHECK_INT(node_attr_int(g->last->prev, "axis", 9), 0);
    struct reel_tensor out = run_graph(g, 1);
    CHECK_INT(reel_tensor_count(&out), 2);
    reel_tensor_fini(&out);
    graph_destroy(&g);
}

static void the_first_format_is_opset_1(void)
{
    struct pb f = {0}, m = {0};
    put_message(&f, 1, node("Relu", "x", NULL, "y"));
    put_int(&m, 1, 1); // ir_version 1, no opset_import
    put_message(&m, 7, graph_around(f));
    struct graph *g;
    CHECK_INT(import(m, &g), REEL_OK);
    CHECK_INT(g->first->opset, 1);
    graph_destroy(&g);
}

// ---- what is refused --------------------------------------------------------

static void broken_graphs(void)
{
    struct pb f = {0};
    put_message(&f, 1, node("Relu", "b", NULL, "a"));
    put_message(&f, 1, node("Relu", "a", NULL, "b"));
    put_message(&f, 1, node("Relu", "x", NULL, "y"));
    CHECK_REFUSED(model(graph_around(f)), REEL_ERR_INPUT, "cycle");
    f = (struct pb){0};
    put_message(&f, 1, node("Add", "x", "nowhere", "y"));
    CHECK_REFUSED(model(graph_around(f)), REEL_ERR_INPUT, "\"nowhere\"");
    f = (struct pb){0};
    put_message(&f, 1, node("Relu", "x", NULL, "y"));
    put_message(&f, 1, node("Abs", "x", NULL, "y"));
    CHECK_REFUSED(model(graph_around(f)), REEL_ERR_INPUT, "\"y\"");
    f = (struct pb){0};
    put_message(&f, 1, node("Relu", "x", NULL, "z"));
    CHECK_REFUSED(model(graph_around(f)), REEL_ERR_INPUT, "output \"y\"");
    CHECK_REFUSED(model((struct pb){0}), REEL_ERR_INPUT, "no outputs");
}

static void unknown_operators_are_named(void)
{
    struct pb f = {0};
    put_message(&f, 1, node("Frobnicate", "x", NULL, "y"));
    CHECK_REFUSED(model(graph_around(f)), REEL_ERR_UNSUPPORTED, "Frobnicate (opset 17)");
    f = (struct pb){0};
    put_message(&f, 1, node("Gelu", "x", NULL, "y")); // of opset 20
    CHECK_REFUSED(model(graph_around(f)), REEL_ERR_UNSUPPORTED, "other opsets");
    struct pb n = node("Relu", "x", NULL, "y"), g = {0};
    put_text(&n, 7, "com.nobody");
    put_message(&g, 1, n);
    CHECK_REFUSED(model(graph_around(g)), REEL_ERR_INPUT, "com.nobody");
    f = (struct pb){0};
    put_message(&f, 1, node("Relu", "x", NULL, "y"));
    put_message(&f, 5, tensor("w", 14, 1, two, "abcdefghijklmnop", 16));
    CHECK_REFUSED(model(graph_around(f)), REEL_ERR_UNSUPPORTED, "complex64");
}

// A node of com.microsoft with inputs x, w..., w and one more attribute.
static struct pb fused_node(const char *op, int n_in, struct pb attr)
{
    struct pb n = {0};
    for (int i = 0; i < n_in; i++) put_text(&n, 1, i ? "w" : "x");
    put_text(&n, 2, "y");
    put_text(&n, 3, "it");
    put_text(&n, 4, op);
    put_text(&n, 7, "com.microsoft");
    if (attr.count) put_message(&n, 5, attr);
    return n;
}

static struct pb text_attr(const char *name, const char *value)
{
    struct pb a = {0};
    put_text(&a, 1, name);
    put_text(&a, 4, value);
    put_int(&a, 20, 3);
    return a;
}

static struct pb fused_model(struct pb n)
{
    static const float w[] = {1, 2};
    struct pb f = {0};
    put_message(&f, 1, n);
    put_message(&f, 5, tensor("w", FLOAT, 1, two, w, sizeof w));
    struct pb m = model(graph_around(f));
    put_message(&m, 8, opset("com.microsoft", 1));
    return m;
}

// What ONNX Runtime fused is what it was before.
static void fused_operators_are_taken_apart(void)
{
    struct graph *g;
    CHECK_INT(import(fused_model(fused_node("FusedConv", 4, text_attr("activation", "Relu"))), &g), REEL_OK);
    CHECK(graph_is_sound(g));
    CHECK_INT(g->n_nodes, 3);
    const struct node *n = g->first;
    CHECK_STR(n->op_type, "Conv");
    CHECK_STR(n->name, "it");
    CHECK_STR(n->domain, "");
    CHECK_INT(n->n_in, 3);
    CHECK_INT(n->n_attr, 0); // the activation's name is gone
    CHECK_STR(n->next->op_type, "Add");
    CHECK_STR(n->next->name, "it/Add");
    CHECK_STR(n->next->in[1]->name, "w");
    CHECK_STR(g->last->op_type, "Relu");
    CHECK_STR(g->last->out[0]->name, "y");
    graph_destroy(&g);
    CHECK_INT(import(fused_model(fused_node("DynamicQuantizeMatMul", 3, (struct pb){0})), &g), REEL_OK);
    CHECK_INT(g->n_nodes, 5);
    CHECK_STR(g->first->op_type, "DynamicQuantizeLinear");
    CHECK_STR(g->last->op_type, "Mul");
    graph_destroy(&g);
    CHECK_REFUSED(fused_model(fused_node("FusedConv", 3, text_attr("activation", "Wobble"))), REEL_ERR_UNSUPPORTED,
                  "\"it\" (com.microsoft.FusedConv): its activation \"Wobble\"");
    CHECK_REFUSED(fused_model(fused_node("FusedConv", 3, (struct pb){0})), REEL_ERR_UNSUPPORTED, "activation \"\"");
    CHECK_REFUSED(fused_model(fused_node("FusedGemm", 1, (struct pb){0})), REEL_ERR_INPUT, "1 inputs");
    CHECK_REFUSED(fused_model(fused_node("NhwcMaxPool", 1, (struct pb){0})), REEL_ERR_UNSUPPORTED, "rank");
}

static void attention_is_taken_apart(void)
{
    struct graph *g;
    CHECK_INT(import(fused_model(fused_node("Attention", 3, (struct pb){0})), &g), REEL_OK);
    static const char *const types[] = {"MatMul", "Add", "Split", "MultiHeadAttention"};
    CHECK_INT(g->n_nodes, 4);
    const struct node *n = g->first;
    for (int i = 0; i < 4 && n; i++, n = n->next) CHECK_STR(n->op_type, types[i]);
    CHECK_STR(g->last->name, "it");
    CHECK_STR(g->last->domain, "com.microsoft");
    CHECK_INT(g->last->n_in, 3);
    graph_destroy(&g);
    CHECK_REFUSED(fused_model(fused_node("Attention", 4, (struct pb){0})), REEL_ERR_UNSUPPORTED, "mask_index");
}

// A product with packed weights: 32 rows, 1 column, blocks of 16; inputs x, w, s and perhaps z.
static struct pb packed_model(const char *op, int bits, int64_t n_bytes, const void *bytes, bool zeros, int64_t k)
{
    static const float scales[] = {2, 0.5f};
    static const uint8_t zero[] = {0x31};
    struct pb n = {0}, f = {0};
    for (int i = 0; i < 3 + zeros; i++) put_text(&n, 1, ((const char *[]){"x", "w", "s", "z"})[i]);
    put_text(&n, 2, "y");
    put_text(&n, 3, "it");
    put_text(&n, 4, op);
    put_text(&n, 7, "com.microsoft");
    put_message(&n, 5, int_attr("K", k));
    put_message(&n, 5, int_attr("N", 1));
    put_message(&n, 5, int_attr("bits", bits));
    put_message(&n, 5, int_attr("block_size", 16));
    put_message(&n, 5, int_attr("quant_type", 1));
    put_message(&f, 1, n);
    put_message(&f, 5, tensor("w", 2, 1, &n_bytes, bytes, (size_t)n_bytes));
    put_message(&f, 5, tensor("s", FLOAT, 1, two, scales, sizeof scales));
    if (zeros) put_message(&f, 5, tensor("z", 2, 1, (const int64_t[]){1}, zero, 1));
    struct pb m = model(graph_around(f));
    put_message(&m, 8, opset("com.microsoft", 1));
    return m;
}

static void packed_weights_are_written_out(void)
{
    uint8_t bytes[32];
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)(i * 37 + 5);
    struct graph *g;
    for (int zeros = 0; zeros < 2; zeros++) {
        CHECK_INT(import(packed_model("MatMulNBits", 4, 16, bytes, zeros, 32), &g), REEL_OK);
        CHECK_STR(g->first->op_type, "MatMul");
        const struct reel_tensor *w = g->first->in[1]->constant;
        CHECK(w && w->shape.ndim == 2 && w->shape.dim[0] == 32 && w->shape.dim[1] == 1);
        for (int k = 0; w && k < 32; k++) {
            const int q = k % 2 ? bytes[k / 2] >> 4 : bytes[k / 2] & 15, zero = !zeros ? 8 : k < 16 ? 1 : 3;
            CHECK(((const float *)w->data)[k] == (float)(q - zero) * (k < 16 ? 2 : 0.5f));
        }
        graph_destroy(&g);
    }
    CHECK_INT(import(packed_model("MatMulBnb4", 4, 16, bytes, false, 32), &g), REEL_OK);
    const float *w = g->first->in[1]->constant->data;
    CHECK(w[0] == -1 * 2);                                                  // 0x05, the high half first
    CHECK(w[17] == 0.5f * (bytes[8] % 16 == 13 ? 0.5626170039176941f : 0)); // 0x2d
    graph_destroy(&g);
    CHECK_REFUSED(packed_model("MatMulNBits", 4, 15, bytes, false, 32), REEL_ERR_INPUT, "packed weights");
    CHECK_REFUSED(packed_model("MatMulNBits", 4, 16, bytes, false, 48), REEL_ERR_INPUT, "packed weights");
    CHECK_REFUSED(packed_model("MatMulNBits", 8, 32, bytes, true, 32), REEL_ERR_INPUT, "zero points");
    CHECK_REFUSED(packed_model("MatMulNBits", 3, 16, bytes, false, 32), REEL_ERR_UNSUPPORTED, "3 bits");
    CHECK_REFUSED(packed_model("MatMulNBits", 4, 16, bytes, false, -32), REEL_ERR_INPUT, "K, N");
    CHECK_REFUSED(packed_model("MatMulBnb4", 4, 20, bytes, false, 32), REEL_ERR_INPUT, "packed weights");
}

static void layouts_of_one_processor_are_refused(void)
{
    static const float w[] = {1, 2};
    struct pb f = {0}, n = node("Conv", "x", "w", "y");
    put_text(&n, 7, "com.microsoft.nchwc");
    put_message(&f, 1, n);
    put_message(&f, 5, tensor("w", FLOAT, 1, two, w, sizeof w));
    struct pb m = model(graph_around(f));
    put_message(&m, 8, opset("com.microsoft.nchwc", 1));
    CHECK_REFUSED(m, REEL_ERR_UNSUPPORTED, "optimisation level \"extended\"");
}

static void tensors_that_lie(void)
{
    static const int64_t huge[] = {INT64_C(1) << 40, INT64_C(1) << 40}, negative[] = {-2}, million[] = {1000000};
    static const int64_t many[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const struct {
        int n;
        const int64_t *dims;
        enum reel_err code;
        const char *part;
    } cases[] = {{2, huge, REEL_ERR_LIMIT, "too many"},
                 {1, negative, REEL_ERR_INPUT, "negative"},
                 {1, million, REEL_ERR_INPUT, "4000000"},
                 {9, many, REEL_ERR_UNSUPPORTED, "dimensions"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pb f = {0};
        put_message(&f, 5, tensor("liar", FLOAT, cases[i].n, cases[i].dims, "abcdefgh", 8));
        put_message(&f, 1, node("Relu", "x", NULL, "y"));
        CHECK_REFUSED(model(graph_around(f)), cases[i].code, cases[i].part);
        CHECK_HAS(reel_fail_text(), "liar");
    }
}

static void no_models_at_all(void)
{
    struct pb m = {0};
    CHECK_REFUSED(m, REEL_ERR_INPUT, "empty");
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    m = (struct pb){0};
    put(&m, lfs, sizeof lfs - 1);
    CHECK_REFUSED(m, REEL_ERR_INPUT, "Git LFS pointer");
    CHECK_HAS(reel_fail_text(), "git lfs pull");
    uint64_t state = 9;
    for (int round = 0; round < 200; round++) {
        m = (struct pb){0};
        for (int i = 0; i < 300; i++) {
            uint64_t r = check_rand(&state);
            put(&m, &r, 1);
        }
        struct graph *g = NULL;
        CHECK(import(m, &g) != REEL_OK);
        CHECK(g == NULL);
    }
}

// A good model cut at every byte, and with every byte changed.
static void cut_and_damaged(void)
{
    static const float raw[] = {1, 2};
    struct pb f = {0};
    put_message(&f, 5, tensor("w", FLOAT, 1, two, raw, sizeof raw));
    put_message(&f, 1, node("Add", "x", "w", "y"));
    struct pb whole = model(graph_around(f));
    for (size_t n = 0; n < whole.count; n++) {
        struct graph *g = NULL;
        uint8_t *cut = malloc(n + 1); // so that reading beyond is seen
        memcpy(cut, whole.bytes, n);
        enum reel_err err = import_memory(cut, n, "cut", -1, NULL, &g);
        CHECK_MSG(err != REEL_OK, "a model cut at byte %zu of %zu was accepted", n, whole.count);
        free(cut);
        for (int bit = 0; bit < 8; bit++) {
            whole.bytes[n] ^= (uint8_t)(1 << bit);
            if (import_memory(whole.bytes, whole.count, "damaged", -1, NULL, &g) == REEL_OK) graph_destroy(&g);
            whole.bytes[n] ^= (uint8_t)(1 << bit);
        }
    }
    free(whole.bytes);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Bodies in bodies, a thousand deep: refused before protobuf's own recursion.
static void deep_nesting(void)
{
    struct pb g = {0};
    for (int i = 0; i < 1000; i++) {
        struct pb a = {0}, n = {0}, outer = {0};
        put_text(&a, 1, "body");
        put_message(&a, 6, g);
        put_message(&n, 5, a);
        put_message(&outer, 1, n);
        g = outer;
    }
    CHECK_REFUSED(model(g), REEL_ERR_LIMIT, "deeper than 64");
    struct pb t = {0};
    for (int i = 0; i < 5000; i++) { // a sequence of sequences of ...
        struct pb s = {0}, o = {0};
        put_message(&s, 1, t);
        put_message(&o, 4, s);
        t = o;
    }
    struct pb v = {0}, g2 = {0};
    put_text(&v, 1, "x");
    put_message(&v, 2, t);
    put_message(&g2, 11, v);
    CHECK_REFUSED(model(g2), REEL_ERR_LIMIT, "deeper");
}

// Each function calls the next one twice: 2^40 nodes when inlined.
static void exploding_functions(void)
{
    struct pb f = {0}, call = node("F0", "x", NULL, "y");
    put_text(&call, 7, "mine");
    put_message(&f, 1, call);
    struct pb m = model(graph_around(f));
    put_message(&m, 8, opset("mine", 1));
    for (int i = 0; i < 40; i++) {
        char name[16], next[16];
        snprintf(name, sizeof name, "F%d", i);
        snprintf(next, sizeof next, "F%d", i + 1);
        struct pb fn = {0};
        put_text(&fn, 1, name);
        put_text(&fn, 4, "a");
        put_text(&fn, 5, "c");
        for (int k = 0; k < 2; k++) {
            struct pb n = i < 39 ? node(next, k ? "b" : "a", NULL, k ? "c" : "b")
                                 : node("Abs", k ? "b" : "a", NULL, k ? "c" : "b");
            if (i < 39) put_text(&n, 7, "mine");
            put_message(&fn, 7, n);
        }
        put_message(&fn, 9, opset("", 17));
        put_text(&fn, 10, "mine");
        put_message(&m, 25, fn);
    }
    double start = seconds();
    CHECK_REFUSED(m, REEL_ERR_LIMIT, "200000");
    CHECK_MSG(seconds() - start < 30, "it took %.1f s", seconds() - start);
}

static void recursive_functions(void)
{
    struct pb f = {0}, call = node("F", "x", NULL, "y"), fn = {0}, again = node("F", "a", NULL, "c");
    put_text(&call, 7, "mine");
    put_text(&again, 7, "mine");
    put_message(&f, 1, call);
    struct pb m = model(graph_around(f));
    put_text(&fn, 1, "F");
    put_text(&fn, 4, "a");
    put_text(&fn, 5, "c");
    put_message(&fn, 7, again);
    put_text(&fn, 10, "mine");
    put_message(&m, 25, fn);
    CHECK_REFUSED(m, REEL_ERR_LIMIT, "deeper than 64");
}

// A hundred thousand nodes in the worst order are sorted in moderate time.
static void long_chains(void)
{
    enum { N = 100000 };
    struct pb f = {0};
    for (int i = N; i > 0; i--) {
        char a[16], b[16];
        snprintf(a, sizeof a, "v%d", i - 1);
        snprintf(b, sizeof b, "v%d", i);
        put_message(&f, 1, node("Identity", i == 1 ? "x" : a, NULL, i == N ? "y" : b));
    }
    double start = seconds();
    struct graph *g;
    CHECK_INT(import(model(graph_around(f)), &g), REEL_OK);
    struct graph *after = after_passes(g, 0);
    CHECK(after != NULL);
    CHECK_INT(after->n_nodes, 1);
    CHECK_MSG(seconds() - start < 30, "it took %.1f s", seconds() - start);
    graph_destroy(&after);
    graph_destroy(&g);
}

CHECK_MAIN({"unsorted_nodes_are_sorted", unsorted_nodes_are_sorted},
           {"initializers_in_every_form", initializers_in_every_form},
           {"sparse_initializers_become_dense", sparse_initializers_become_dense},
           {"functions_are_inlined", functions_are_inlined},
           {"the_first_format_is_opset_1", the_first_format_is_opset_1}, {"broken_graphs", broken_graphs},
           {"unknown_operators_are_named", unknown_operators_are_named},
           {"fused_operators_are_taken_apart", fused_operators_are_taken_apart},
           {"attention_is_taken_apart", attention_is_taken_apart},
           {"packed_weights_are_written_out", packed_weights_are_written_out},
           {"layouts_of_one_processor_are_refused", layouts_of_one_processor_are_refused},
           {"tensors_that_lie", tensors_that_lie}, {"no_models_at_all", no_models_at_all},
           {"cut_and_damaged", cut_and_damaged}, {"deep_nesting", deep_nesting},
           {"exploding_functions", exploding_functions}, {"recursive_functions", recursive_functions},
           {"long_chains", long_chains})
