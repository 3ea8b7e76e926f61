// SPDX-License-Identifier: MIT
//
// The importer on models made by hand, byte by byte: what it accepts becomes
// the right graph; what is hostile, odd or broken is refused with a clear text
// in bounded time and memory.
#include "worker/onnx/import.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/worker/graph_make.h"

// ---- protobuf by hand -------------------------------------------------------

struct pb {
    uint8_t *bytes;
    size_t count, size;
};

static void put(struct pb *pb, const void *bytes, size_t count)
{
    if (pb->count + count > pb->size) {
        pb->size = 2 * (pb->count + count) + 64;
        pb->bytes = realloc(pb->bytes, pb->size);
        if (!pb->bytes) abort();
    }
    if (count) memcpy(pb->bytes + pb->count, bytes, count);
    pb->count += count;
}

static void put_varint(struct pb *pb, uint64_t x)
{
    do {
        uint8_t byte = (uint8_t)((x & 0x7f) | (x > 0x7f ? 0x80 : 0));
        put(pb, &byte, 1);
        x >>= 7;
    } while (x);
}

static void put_int(struct pb *pb, int field, int64_t x)
{
    put_varint(pb, (uint64_t)field << 3);
    put_varint(pb, (uint64_t)x);
}

static void put_bytes(struct pb *pb, int field, const void *bytes, size_t count)
{
    put_varint(pb, (uint64_t)field << 3 | 2);
    put_varint(pb, count);
    put(pb, bytes, count);
}

static void put_text(struct pb *pb, int field, const char *text)
{
    put_bytes(pb, field, text, strlen(text));
}

// Consumes inner.
static void put_message(struct pb *pb, int field, struct pb inner)
{
    put_bytes(pb, field, inner.bytes, inner.count);
    free(inner.bytes);
}

// ---- pieces of onnx.proto ---------------------------------------------------

enum { FLOAT = 1, INT64 = 7, FLOAT16 = 10 };

static struct pb tensor(const char *name, int type, int n_dims, const int64_t *dims, const void *raw, size_t raw_bytes)
{
    struct pb t = {0};
    for (int i = 0; i < n_dims; i++) put_int(&t, 1, dims[i]);
    put_int(&t, 2, type);
    put_text(&t, 8, name);
    if (raw) put_bytes(&t, 9, raw, raw_bytes);
    return t;
}

static struct pb value_info(const char *name, int type, int n_dims, const int64_t *dims)
{
    struct pb shape = {0}, t = {0}, ty = {0}, v = {0};
    for (int i = 0; i < n_dims; i++) {
        struct pb d = {0};
        if (dims[i] >= 0)
            put_int(&d, 1, dims[i]);
        else
            put_text(&d, 2, "height");
        put_message(&shape, 1, d);
    }
    put_int(&t, 1, type);
    put_message(&t, 2, shape);
    put_message(&ty, 1, t);
    put_text(&v, 1, name);
    put_message(&v, 2, ty);
    return v;
}

static struct pb node(const char *op, const char *in0, const char *in1, const char *out)
{
    struct pb n = {0};
    if (in0) put_text(&n, 1, in0);
    if (in1) put_text(&n, 1, in1);
    put_text(&n, 2, out);
    put_text(&n, 4, op);
    return n;
}

static const int64_t two[] = {2};

// Input "x" (2), output "y" (2) of a graph with the given further fields.
static struct pb graph_around(struct pb fields)
{
    struct pb g = {0};
    put(&g, fields.bytes, fields.count);
    free(fields.bytes);
    put_text(&g, 2, "g");
    put_message(&g, 11, value_info("x", FLOAT, 1, two));
    put_message(&g, 12, value_info("y", FLOAT, 1, two));
    return g;
}

static struct pb opset(const char *domain, int version)
{
    struct pb o = {0};
    if (*domain) put_text(&o, 1, domain);
    put_int(&o, 2, version);
    return o;
}

static struct pb model(struct pb graph)
{
    struct pb m = {0};
    put_int(&m, 1, 8);
    put_message(&m, 8, opset("", 17));
    put_message(&m, 7, graph);
    return m;
}

static enum reel_err import(struct pb m, struct graph **out_graph)
{
    enum reel_err err = import_memory(m.bytes, m.count, "made.onnx", -1, NULL, out_graph);
    free(m.bytes);
    return err;
}

#define CHECK_REFUSED(m, code, part)                  \
    do {                                              \
        struct graph *g_ = NULL;                      \
        CHECK_INT(import(m, &g_), code);              \
        CHECK(g_ == NULL);                            \
        CHECK_HAS(reel_fail_text(), part);            \
        CHECK_HAS(reel_fail_text(), "\"made.onnx\""); \
    } while (0)

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

// ---- elements that share a byte -----------------------------------------------

// Element i of a tensor of `bits` bits an element: (i * 7 + 1) modulo what fits.
static uint8_t packed_byte(int64_t count, int bits, int64_t at)
{
    unsigned byte = 0;
    const int per = 8 / bits;
    for (int k = 0; k < per && at * per + k < count; k++)
        byte |= (unsigned)((at * per + k) * 7 + 1) % (1u << bits) << (k * bits);
    return (uint8_t)byte;
}

static void check_packed(int type, int bits, bool is_signed, int64_t count, bool in_fields)
{
    uint8_t raw[600];
    struct pb fields = {0};
    const size_t n = (size_t)((count * bits + 7) / 8);
    for (size_t i = 0; i < n; i++) {
        raw[i] = packed_byte(count, bits, (int64_t)i);
        put_varint(&fields, raw[i]);
    }
    struct pb t = tensor("t", type, 1, &count, in_fields ? NULL : raw, n);
    if (in_fields) put_bytes(&t, 5, fields.bytes, fields.count); // int32_data
    struct reel_tensor have;
    CHECK_INT(import_tensor_bytes(t.bytes, t.count, &have, NULL, 0), REEL_OK);
    CHECK_INT(reel_tensor_count(&have), count);
    for (int64_t i = 0; i < count; i++) {
        int64_t want = (i * 7 + 1) % (1 << bits);
        if (is_signed && want >= 1 << (bits - 1)) want -= 1 << bits;
        CHECK_INT(op_scalar_int(&have, i), want);
    }
    reel_tensor_fini(&have);
    free(t.bytes);
    // a byte too few
    t = tensor("t", type, 1, &count, in_fields ? NULL : raw, n - 1);
    if (in_fields) put_bytes(&t, 5, fields.bytes, fields.count - (n > 1 && raw[n - 1] > 127 ? 2 : 1));
    CHECK_INT(import_tensor_bytes(t.bytes, t.count, &have, NULL, 0), REEL_ERR_INPUT);
    free(t.bytes);
    free(fields.bytes);
}

static void packed_elements(void)
{
    static const struct {
        int type, bits;
        bool is_signed;
    } types[] = {{21, 4, false}, {22, 4, true}, {25, 2, false}, {26, 2, true}};
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++)
        for (int64_t count = 1; count < 1200; count += count < 10 ? 1 : 397)
            for (int in_fields = 0; in_fields < 2; in_fields++)
                check_packed(types[k].type, types[k].bits, types[k].is_signed, count, in_fields);
}

// ---- external data ----------------------------------------------------------

static char folder[CHECK_FOLDER_BYTES];

static void entry(struct pb *t, const char *key, const char *value)
{
    struct pb e = {0};
    put_text(&e, 1, key);
    put_text(&e, 2, value);
    put_message(t, 13, e);
}

static enum reel_err import_external_of(int type, const char *location, const char *offset, const char *length,
                                        double *out_first)
{
    struct pb f = {0}, t = {0};
    put_int(&t, 1, type == FLOAT ? 2 : 5);
    put_int(&t, 2, type);
    put_text(&t, 8, "w");
    entry(&t, "location", location);
    if (offset) entry(&t, "offset", offset);
    if (length) entry(&t, "length", length);
    put_int(&t, 14, 1);
    put_message(&f, 5, t);
    put_message(&f, 1, node("Add", "x", "w", "y"));
    struct pb m = model(graph_around(f));
    char path[256];
    snprintf(path, sizeof path, "%s/in/model.onnx", folder);
    FILE *file = fopen(path, "wb");
    fwrite(m.bytes, 1, m.count, file);
    fclose(file);
    free(m.bytes);
    struct graph *g = NULL;
    enum reel_err err = import_file(path, NULL, &g);
    if (!err && out_first) *out_first = op_scalar(graph_find_value(g, "w")->constant, 0);
    graph_destroy(&g);
    unlink(path);
    return err;
}

static enum reel_err import_external(const char *location, const char *offset, const char *length, double *out_first)
{
    return import_external_of(FLOAT, location, offset, length, out_first);
}

static void write_floats(const char *name, int n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < n; i++) fwrite(&(float){(float)i}, 4, 1, f);
    fclose(f);
}

static void external_data(void)
{
    char path[256], target[256];
    snprintf(path, sizeof path, "%s/in", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/in/sub", folder);
    mkdir(path, 0700);
    write_floats("outside.bin", 100);
    write_floats("in/w.bin", 100);
    write_floats("in/sub/w.bin", 4);
    snprintf(target, sizeof target, "%s/outside.bin", folder);
    snprintf(path, sizeof path, "%s/in/link.bin", folder);
    CHECK_INT(symlink(target, path), 0);
    snprintf(path, sizeof path, "%s/in/linkdir", folder);
    CHECK_INT(symlink(folder, path), 0);
    double first = -1;
    CHECK_INT(import_external("w.bin", NULL, NULL, &first), REEL_OK);
    CHECK_NEAR(first, 0, 0);
    CHECK_INT(import_external("w.bin", "40", "8", &first), REEL_OK);
    CHECK_NEAR(first, 10, 0);
    CHECK_INT(import_external("sub/w.bin", "8", NULL, &first), REEL_OK);
    CHECK_NEAR(first, 2, 0);
    enum { INT4 = 22 }; // five of them are three bytes; those of 1.0f are 00 00 80 3f
    CHECK_INT(import_external_of(INT4, "w.bin", "6", "3", &first), REEL_OK);
    CHECK(first == 0);
    CHECK_INT(import_external_of(INT4, "w.bin", "7", NULL, &first), REEL_OK);
    CHECK(first == -1);
    CHECK_INT(import_external_of(INT4, "w.bin", "6", "5", &first), REEL_ERR_INPUT);
    static const char *const outside[] = {"../outside.bin",
                                          "sub/../../outside.bin",
                                          "link.bin",
                                          "linkdir/outside.bin",
                                          "/etc/passwd",
                                          "",
                                          "sub",
                                          "none.bin",
                                          "sub//w.bin",
                                          ".."};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        CHECK_MSG(import_external(outside[i], NULL, NULL, NULL) == REEL_ERR_INPUT, "\"%s\" was not refused: %s",
                  outside[i], reel_fail_text());
    CHECK_INT(import_external("sub/w.bin", "12", NULL, NULL), REEL_ERR_INPUT);
    CHECK_INT(import_external("w.bin", "18446744073709551615", NULL, NULL), REEL_ERR_INPUT);
    CHECK_INT(import_external("w.bin", "-1", NULL, NULL), REEL_ERR_INPUT);
    CHECK_INT(import_external("w.bin", "0", "12", NULL), REEL_ERR_INPUT);
}

static void odd_files(void)
{
    struct graph *g;
    CHECK_INT(import_file(folder, NULL, &g), REEL_ERR_INPUT);
    CHECK_INT(import_file("/nowhere/model.onnx", NULL, &g), REEL_ERR_IO);
    CHECK_HAS(reel_fail_text(), "/nowhere/model.onnx");
    char path[256];
    snprintf(path, sizeof path, "%s/fifo", folder);
    CHECK_INT(mkfifo(path, 0600), 0);
    CHECK_INT(import_file(path, NULL, &g), REEL_ERR_INPUT);
    write_floats("big.onnx", 1000);
    snprintf(path, sizeof path, "%s/big.onnx", folder);
    struct import_params small = IMPORT_DEFAULTS;
    small.max_file_bytes = 1000;
    CHECK_INT(import_file(path, &small, &g), REEL_ERR_LIMIT);
}

// -----------------------------------------------------------------------------

static const struct check_case cases[] = {
    {"unsorted_nodes_are_sorted", unsorted_nodes_are_sorted},
    {"initializers_in_every_form", initializers_in_every_form},
    {"sparse_initializers_become_dense", sparse_initializers_become_dense},
    {"functions_are_inlined", functions_are_inlined},
    {"the_first_format_is_opset_1", the_first_format_is_opset_1},
    {"broken_graphs", broken_graphs},
    {"unknown_operators_are_named", unknown_operators_are_named},
    {"fused_operators_are_taken_apart", fused_operators_are_taken_apart},
    {"layouts_of_one_processor_are_refused", layouts_of_one_processor_are_refused},
    {"tensors_that_lie", tensors_that_lie},
    {"no_models_at_all", no_models_at_all},
    {"cut_and_damaged", cut_and_damaged},
    {"deep_nesting", deep_nesting},
    {"exploding_functions", exploding_functions},
    {"recursive_functions", recursive_functions},
    {"long_chains", long_chains},
    {"external_data", external_data},
    {"packed_elements", packed_elements},
    {"odd_files", odd_files},
};

int main(int argc, char **argv)
{
    check_folder(folder);
    int code = check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
    static const char *const made[] = {"in/link.bin", "in/linkdir",  "in/w.bin", "in/sub/w.bin", "in/sub",
                                       "in",          "outside.bin", "fifo",     "big.onnx",     ""};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, made[i]);
        remove(path);
    }
    return code;
}
