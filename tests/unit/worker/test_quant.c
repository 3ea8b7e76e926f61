// SPDX-License-Identifier: MIT
//
// Quantised networks on the CPU backend: the 8-bit kernels against the
// interpreter's float32 operators on the graph as it was, over QDQ, QOperator
// and integer forms. Results are multiples of a scale, so that they are equal or
// (where rounding has a tie) one step apart in a few places; the dump tells that
// no operator ran by another road.
#include "tests/unit/worker/graph_make.h"

struct qtype {
    enum reel_dtype dtype;
    int zero;
    float scale;
};

static struct value *make_bytes(struct maker *m, struct reel_shape shape, enum reel_dtype dtype, double lo, double hi)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, dtype, &shape)) abort();
    const size_t item = reel_dtype_bytes(dtype);
    for (int64_t i = 0; i < reel_tensor_count(&t); i++) {
        const double x = lo == hi ? lo : floor(make_random(m, lo, hi + 1));
        reel_convert((char *)t.data + (size_t)i * item, dtype, &x, REEL_F64, 1);
    }
    return graph_add_constant(m->graph, NULL, &t);
}

static struct value *scale_of(struct maker *m, struct qtype q)
{
    return make_scalar(m, (double)q.scale);
}

static struct value *zero_of(struct maker *m, struct qtype q)
{
    return make_bytes(m, (struct reel_shape){0}, q.dtype, q.zero, q.zero);
}

static struct value *quantize(struct maker *m, struct value *x, struct qtype q)
{
    return make_node(m, "QuantizeLinear", x, scale_of(m, q), zero_of(m, q));
}

static struct value *dequantize(struct maker *m, struct value *x, struct qtype q)
{
    return make_node(m, "DequantizeLinear", x, scale_of(m, q), zero_of(m, q));
}

static struct value *through(struct maker *m, struct value *x, struct qtype q)
{
    return dequantize(m, quantize(m, x, q), q);
}

// Weights dequantised along an axis; channels 0: one scale.
static struct value *weights8(struct maker *m, struct reel_shape shape, enum reel_dtype dtype, int axis, bool many)
{
    const bool sign = dtype == REEL_I8;
    const int64_t n = many ? shape.dim[axis] : 1;
    struct reel_shape row = {.ndim = many ? 1 : 0, .dim = {n}};
    struct value *w = make_bytes(m, shape, dtype, sign ? -128 : 0, sign ? 127 : 255);
    struct value *zero = make_bytes(m, row, dtype, sign ? 0 : 90, sign ? 0 : 150);
    struct value *y = make_node(m, "DequantizeLinear", w, make_weights(m, row, 0.002, 0.01), zero);
    make_attr(m, y, (struct attr){.name = "axis", .type = ATTR_INT, .u.i = axis});
    return y;
}

static char steps[16384];

// Runs both; the number of elements that are apart by more than `allowed`
// steps, or that are apart at all beyond one in a hundred; -1 on failure.
static int compare(struct maker *m, int threads, double step)
{
    const struct backend_ops *b = backend_find("onednn");
    struct graph *after = after_passes(m->graph, b->caps);
    struct program *program = NULL;
    const struct backend_params params = {.threads = threads};
    if (!after || b->compile(after, &params, &program)) {
        fprintf(stderr, "%s\n", reel_fail_text());
        graph_destroy(&after);
        return -1;
    }
    FILE *f = fmemopen(steps, sizeof steps, "w");
    b->dump(program, f);
    fclose(f);
    int bad = 0;
    struct maker random = {.seed = 7};
    for (int run = 0; run < 2 && bad >= 0; run++) {
        struct reel_tensor in[4], want[8] = {0}, got[8] = {0};
        const struct reel_tensor *in_p[4];
        for (int i = 0; i < m->graph->n_inputs; i++) {
            if (reel_tensor_init(&in[i], REEL_F32, &m->graph->inputs[i]->shape)) abort();
            for (int64_t k = 0; k < reel_tensor_count(&in[i]); k++)
                ((float *)in[i].data)[k] = (float)make_random(&random, -3, 3);
            in_p[i] = &in[i];
        }
        if (interp_run(m->graph, in_p, want) || b->run(program, in_p, got, false)) {
            fprintf(stderr, "%s\n", reel_fail_text());
            bad = -1;
        }
        for (int i = 0; i < m->graph->n_outputs && bad >= 0; i++) {
            int64_t apart = 0, n = reel_tensor_count(&want[i]);
            for (int64_t k = 0; k < n; k++) {
                const double d = fabs(op_scalar(&got[i], k) - op_scalar(&want[i], k));
                if (!(d <= 1.01 * step)) bad++;
                if (d > 0.01 * step) apart++;
            }
            if (apart > 1 + n / 100) bad++;
        }
        for (int i = 0; i < m->graph->n_outputs; i++) reel_tensor_fini(&want[i]), reel_tensor_fini(&got[i]);
        for (int i = 0; i < m->graph->n_inputs; i++) reel_tensor_fini(&in[i]);
    }
    b->destroy(&program);
    graph_destroy(&after);
    return bad;
}

#define CHECK_QUANT(m, step, ...)                                                                 \
    do {                                                                                          \
        for (int threads_ = 1; threads_ <= 3; threads_ += 2) {                                    \
            int bad_ = compare(m, threads_, step);                                                \
            CHECK_MSG(bad_ == 0, "%d threads: %d elements are apart\n%s", threads_, bad_, steps); \
        }                                                                                         \
        static const char *const kernels_[] = {__VA_ARGS__};                                      \
        for (size_t k_ = 0; k_ < sizeof kernels_ / sizeof *kernels_; k_++)                        \
            CHECK_MSG(strstr(steps, kernels_[k_]), "no step %s:\n%s", kernels_[k_], steps);       \
        CHECK_MSG(!strstr(steps, "reference"), "a step by the reference:\n%s", steps);            \
    } while (0)

static const struct qtype u8 = {REEL_U8, 117, 0.0235f}, s8 = {REEL_I8, -11, 0.0241f}, out8 = {REEL_U8, 128, 0.11f},
                          outs8 = {REEL_I8, 3, 0.13f}, relu8 = {REEL_U8, 0, 0.06f};

static struct value *conv(struct maker *m, struct value *x, struct value *w, struct value *bias, int pad, int stride,
                          int group)
{
    struct value *y = make_node(m, "Conv", x, w, bias);
    if (pad) ATTR_LIST(m, y, "pads", pad, pad, pad, pad);
    if (stride > 1) ATTR_LIST(m, y, "strides", stride, stride);
    make_attr(m, y, (struct attr){.name = "group", .type = ATTR_INT, .u.i = group});
    return y;
}

static void convolutions_between_scales(void)
{
    for (int kind = 0; kind < 16; kind++) {
        struct maker m = maker();
        const struct qtype in = kind & 1 ? s8 : u8, out = kind & 2 ? outs8 : out8;
        const enum reel_dtype wt = kind & 4 ? REEL_U8 : REEL_I8;
        struct value *x = through(&m, make_input(&m, "x", DIMS(2, 19, 11, 9)), in);
        struct value *bias = kind & 8 ? make_weights(&m, DIMS(37), -1, 1) : NULL;
        x = conv(&m, x, weights8(&m, DIMS(37, 19, 3, 3), wt, 0, kind & 1), bias, 1, 1 + (kind & 1), 1);
        x = through(&m, x, out);
        x = conv(&m, x, weights8(&m, DIMS(37, 1, 3, 3), wt, 0, true), bias, 1, 1, 37);
        x = through(&m, x, in);
        x = conv(&m, x, weights8(&m, DIMS(21, 37, 1, 1), wt, 0, false), NULL, 0, 1, 1);
        make_output(&m, through(&m, x, out));
        CHECK_QUANT(&m, (double)out.scale, "direct8", "depthwise8", "1x1 8");
        CHECK_MSG(!strstr(steps, "QuantizeLinear quantize blocked"), "a rounding of its own is left:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

static void clamps_and_sums_are_part_of_the_step(void)
{
    for (int kind = 0; kind < 6; kind++) {
        struct maker m = maker();
        struct value *x = through(&m, make_input(&m, "x", DIMS(1, 32, 7, 8)), u8);
        struct value *y = conv(&m, x, weights8(&m, DIMS(32, 32, 3, 3), REEL_I8, 0, true), NULL, 1, 1, 1);
        struct qtype out = kind == 0 ? relu8 : out8;
        if (kind <= 1) y = make_node(&m, "Relu", y, NULL, NULL);
        if (kind == 2) y = make_node(&m, "Clip", y, make_scalar(&m, -0.73), make_scalar(&m, 2.1));
        if (kind == 3) y = make_node(&m, "Relu", make_node(&m, "Add", y, x, NULL), NULL, NULL);
        if (kind == 4) y = make_node(&m, "HardSwish", y, NULL, NULL);
        if (kind == 5) y = make_node(&m, "Clip", y, make_scalar(&m, -900), make_scalar(&m, -800));
        make_output(&m, through(&m, y, out));
        CHECK_QUANT(&m, (double)out.scale, "direct8");
        CHECK_MSG(!strstr(steps, "quantize blocked"), "a rounding of its own is left:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

static void products_of_matrices(void)
{
    for (int kind = 0; kind < 8; kind++) {
        struct maker m = maker();
        const struct qtype in = kind & 1 ? s8 : u8, out = kind & 2 ? outs8 : out8;
        struct value *x = through(&m, make_input(&m, "x", kind & 4 ? DIMS(7, 45) : DIMS(2, 5, 45)), in), *y;
        if (kind & 4) {
            y = make_node(&m, "Gemm", x, weights8(&m, DIMS(51, 45), REEL_I8, 0, true),
                          make_weights(&m, DIMS(51), -1, 1));
            make_attr(&m, y, (struct attr){.name = "transB", .type = ATTR_INT, .u.i = 1});
        } else {
            y = make_node(&m, "MatMul", x, weights8(&m, DIMS(45, 51), REEL_U8, 1, kind & 1), NULL);
            y = make_node(&m, "Add", y, make_weights(&m, DIMS(51), -1, 1), NULL);
            if (kind == 2) y = make_node(&m, "Gelu", y, NULL, NULL);
        }
        make_output(&m, through(&m, y, out));
        CHECK_QUANT(&m, (double)out.scale, "matmul8");
        graph_destroy(&m.graph);
    }
}

static void bytes_stay_bytes(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct maker m = maker();
        const struct qtype in = kind & 1 ? s8 : u8, out = kind & 2 ? outs8 : out8;
        struct value *x = through(&m, make_input(&m, "x", DIMS(2, 32, 8, 6)), in);
        x = through(&m, conv(&m, x, weights8(&m, DIMS(32, 32, 1, 1), REEL_I8, 0, true), NULL, 0, 1, 1), out);
        struct value *s = through(&m, make_node(&m, "Sigmoid", x, NULL, NULL), (struct qtype){REEL_U8, 0, 1 / 255.0f});
        struct value *p = through(&m, make_node(&m, "Mul", x, s, NULL), in);
        struct value *a = through(&m, make_node(&m, "Add", x, p, NULL), out);
        struct value *pool = make_node(&m, "MaxPool", a, NULL, NULL);
        ATTR_LIST(&m, pool, "kernel_shape", 3, 3);
        ATTR_LIST(&m, pool, "pads", 1, 1, 1, 1);
        pool = through(&m, pool, out);
        struct value *both = make_node(&m, "Concat", pool, x, p);
        make_attr(&m, both, (struct attr){.name = "axis", .type = ATTR_INT, .u.i = 1});
        both = through(&m, both, out);
        make_output(&m, through(&m, make_node(&m, "GlobalAveragePool", both, NULL, NULL), out));
        CHECK_QUANT(&m, (double)out.scale, "table of a gate", "sum of bytes", "max pool of bytes", "concat of bytes",
                    "mean of bytes");
        const char *last = strstr(steps, " dequantize ");
        CHECK_MSG(last && !strstr(last + 1, " dequantize "), "bytes were made floats on the way:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

static struct value *operator_of(struct maker *m, const char *domain, const char *op_type, int n,
                                 struct value *const *in)
{
    struct value *out = graph_add_value(m->graph, NULL);
    struct node *node = graph_add_node(m->graph, NULL, op_type, NULL, in, n, &out, 1);
    node->domain = domain;
    node->op = op_find(domain, op_type, *domain ? 1 : m->graph->opset, NULL);
    if (!node->op) abort();
    return out;
}

// The operators of the QOperator form become the same steps.
static void operators_on_bytes(void)
{
    struct maker m = maker();
    struct value *x = quantize(&m, make_input(&m, "x", DIMS(1, 16, 9, 10)), s8);
    struct value *w = make_bytes(&m, DIMS(16, 16, 3, 3), REEL_I8, -128, 127),
                 *bias = make_bytes(&m, DIMS(16), REEL_I32, -5000, 5000);
    struct value *ws = make_weights(&m, DIMS(16), 0.002, 0.01), *wz = make_bytes(&m, DIMS(16), REEL_I8, 0, 0);
    struct value *c = operator_of(&m, "", "QLinearConv", 9,
                                  (struct value *[]){x, scale_of(&m, s8), zero_of(&m, s8), w, ws, wz,
                                                     scale_of(&m, outs8), zero_of(&m, outs8), bias});
    const char *ms = "com.microsoft";
    // padding is missing: the sum's operands are both the convolution's
    struct value *sum =
        operator_of(&m, ms, "QLinearAdd", 8,
                    (struct value *[]){c, scale_of(&m, outs8), zero_of(&m, outs8), c, scale_of(&m, outs8),
                                       zero_of(&m, outs8), scale_of(&m, s8), zero_of(&m, s8)});
    struct value *mean =
        operator_of(&m, ms, "QLinearGlobalAveragePool", 5,
                    (struct value *[]){sum, scale_of(&m, s8), zero_of(&m, s8), scale_of(&m, s8), zero_of(&m, s8)});
    struct value *flat = make_node(&m, "Flatten", mean, NULL, NULL);
    struct value *b = make_bytes(&m, DIMS(16, 9), REEL_I8, -128, 127);
    struct value *bs = make_scalar(&m, 0.01), *bz = make_bytes(&m, (struct reel_shape){0}, REEL_I8, 0, 0);
    struct value *y = operator_of(&m, ms, "QGemm", 9,
                                  (struct value *[]){flat, scale_of(&m, s8), zero_of(&m, s8), b, bs, bz,
                                                     make_bytes(&m, DIMS(9), REEL_I32, -900, 900), scale_of(&m, outs8),
                                                     zero_of(&m, outs8)});
    y = operator_of(&m, "", "QLinearMatMul", 8,
                    (struct value *[]){y, scale_of(&m, outs8), zero_of(&m, outs8),
                                       make_bytes(&m, DIMS(9, 5), REEL_I8, -128, 127), bs, bz, scale_of(&m, s8),
                                       zero_of(&m, s8)});
    make_output(&m, dequantize(&m, y, s8));
    CHECK_QUANT(&m, (double)s8.scale, "direct8", "sum of bytes", "mean of bytes", "matmul8");
    graph_destroy(&m.graph);
}

// Scales, zero points and biases of other lengths than the weights: an error of
// the run, not a look beyond their ends.
static void scales_that_do_not_fit(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct maker m = maker();
        const struct reel_shape none = {.ndim = 1}, three = {.ndim = 1, .dim = {3}}, all = {.ndim = 1, .dim = {16}};
        struct value *x = quantize(&m, make_input(&m, "x", DIMS(1, 16, 5, 4)), s8);
        struct value *w = make_bytes(&m, kind == 3 ? DIMS(0, 16, 3, 3) : DIMS(16, 16, 3, 3), REEL_I8, -128, 127);
        const struct reel_shape scales = kind == 0 ? three : kind == 1 ? none : all;
        struct value *y = operator_of(
            &m, "", "QLinearConv", 9,
            (struct value *[]){x, scale_of(&m, s8), zero_of(&m, s8), w, make_weights(&m, scales, 0.01, 0.02),
                               make_bytes(&m, scales, REEL_I8, 0, 0), scale_of(&m, outs8), zero_of(&m, outs8),
                               make_bytes(&m, kind == 2 ? three : all, REEL_I32, -5, 5)});
        make_output(&m, dequantize(&m, y, outs8));
        const int bad = compare(&m, 1, 1);
        CHECK_MSG(bad == -1, "kind %d: %d", kind, bad);
        graph_destroy(&m.graph);
    }
}

// What quantize_dynamic writes: scales known at run time only.
static void scales_of_the_run(void)
{
    for (int kind = 0; kind < 2; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", kind ? DIMS(3, 4, 21) : DIMS(1, 21, 6, 7));
        struct value *q[3] = {graph_add_value(m.graph, NULL), graph_add_value(m.graph, NULL),
                              graph_add_value(m.graph, NULL)};
        struct node *node = graph_add_node(m.graph, NULL, "DynamicQuantizeLinear", NULL, &x, 1, q, 3);
        node->op = op_find("", "DynamicQuantizeLinear", m.graph->opset, NULL);
        struct value *w = make_bytes(&m, kind ? DIMS(21, 18) : DIMS(18, 21, 3, 3), REEL_I8, -128, 127);
        struct value *in[4] = {q[0], w, q[2], make_bytes(&m, (struct reel_shape){0}, REEL_I8, 5, 5)};
        struct value *y = operator_of(&m, "", kind ? "MatMulInteger" : "ConvInteger", 4, in);
        if (!kind) ATTR_LIST(&m, y, "pads", 1, 1, 1, 1);
        y = make_node(&m, "Cast", y, NULL, NULL);
        make_attr(&m, y, (struct attr){.name = "to", .type = ATTR_INT, .u.i = 1});
        y = make_node(&m, "Mul", y, make_node(&m, "Mul", q[1], make_scalar(&m, 0.003), NULL), NULL);
        make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
        CHECK_QUANT(&m, 1e-4, "quantize by range");
        CHECK(strstr(steps, kind ? "matmul8" : "direct8"));
        graph_destroy(&m.graph);
    }
}

// Squeeze and excite: one byte a channel times a picture, on either side.
static void gates_by_channel(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct maker m = maker();
        const struct qtype in = kind & 1 ? s8 : u8, gate = {REEL_U8, 0, 1 / 255.0f};
        struct value *x = through(&m, make_input(&m, "x", DIMS(2, 21, 9, 13)), in);
        x = through(&m, conv(&m, x, weights8(&m, DIMS(21, 21, 1, 1), REEL_I8, 0, true), NULL, 0, 1, 1), out8);
        struct value *g = through(&m, make_node(&m, "GlobalAveragePool", x, NULL, NULL), in);
        g = through(&m, make_node(&m, "HardSigmoid", g, NULL, NULL), gate);
        x = kind & 2 ? make_node(&m, "Mul", g, x, NULL) : make_node(&m, "Mul", x, g, NULL);
        make_output(&m, through(&m, x, outs8));
        CHECK_QUANT(&m, (double)outs8.scale, "product of bytes", "mean of bytes", "table");
        graph_destroy(&m.graph);
    }
}

static void transposed_convolutions(void)
{
    static const int kinds[][3] = {{2, 2, 0}, {4, 2, 1}, {3, 2, 1}, {3, 1, 1}, {5, 3, 2}};
    for (int kind = 0; kind < 20; kind++) {
        const int *k = kinds[kind % 5];
        struct maker m = maker();
        const struct qtype in = kind & 1 ? s8 : u8, out = kind & 2 ? outs8 : out8;
        struct value *x = through(&m, make_input(&m, "x", DIMS(2, 19, 6, 9)), in);
        struct value *w = weights8(&m, DIMS(19, 21, k[0], k[0]), kind & 4 ? REEL_U8 : REEL_I8, 1, kind & 8);
        struct value *y = make_node(&m, "ConvTranspose", x, w, kind % 3 ? make_weights(&m, DIMS(21), -1, 1) : NULL);
        ATTR_LIST(&m, y, "strides", k[1], k[1]);
        ATTR_LIST(&m, y, "pads", k[2], k[2], k[2], k[2]);
        if (kind & 2) y = make_node(&m, "Relu", y, NULL, NULL);
        make_output(&m, through(&m, y, out));
        CHECK_QUANT(&m, (double)out.scale, "direct8 phases");
        CHECK_MSG(!strstr(steps, "quantize blocked"), "a rounding of its own is left:\n%s", steps);
        graph_destroy(&m.graph);
    }
}

// An output of one pixel that lies where it was made, and others that are made
// plain behind the last operator.
static void outputs_stay_apart(void)
{
    struct maker m = maker();
    struct value *x = through(&m, make_input(&m, "x", DIMS(1, 4, 4, 16)), u8);
    struct value *y = through(&m, make_node(&m, "GlobalAveragePool", x, NULL, NULL), s8);
    make_output(&m, y);
    make_output(&m, through(&m, conv(&m, y, weights8(&m, DIMS(8, 4, 1, 1), REEL_I8, 0, true), NULL, 0, 1, 1), out8));
    make_output(&m, through(&m, conv(&m, y, weights8(&m, DIMS(16, 4, 1, 1), REEL_I8, 0, true), NULL, 0, 1, 1), outs8));
    make_output(&m, through(&m, conv(&m, x, weights8(&m, DIMS(20, 4, 3, 3), REEL_I8, 0, true), NULL, 1, 2, 1), out8));
    make_output(&m, through(&m, make_node(&m, "Max", y, y, NULL), u8));
    const int bad = compare(&m, 1, 0.2);
    CHECK_MSG(!bad, "%d elements are apart\n%s", bad, steps);
    graph_destroy(&m.graph);
}

#define STRING(attribute, text) ((struct attr){.name = attribute, .type = ATTR_STRING, .u.s = text})

// Elements that only move do so as bytes, in either layout.
static void moves_of_bytes(void)
{
    for (int kind = 0; kind < 20; kind++) {
        struct maker m = maker();
        const struct qtype t = kind & 1 ? s8 : u8;
        const bool blocked = kind & 2;
        static const char *const names[] = {"resize nearest", "cut channels", "crop", "depth to space", "pad"};
        struct value *x = through(&m, make_input(&m, "x", DIMS(2, 36, 6, 5)), t), *y = NULL;
        if (blocked) {
            x = make_node(&m, "MaxPool", x, NULL, NULL);
            ATTR_LIST(&m, x, "kernel_shape", 3, 3);
            ATTR_LIST(&m, x, "pads", 1, 1, 1, 1);
            x = through(&m, x, t);
        }
        switch (kind / 4) {
        case 0: {
            struct value *scales = make_weights(&m, DIMS(4), 1, 1), *in[3] = {x, NULL, scales};
            ((float *)scales->constant->data)[2] = 2, ((float *)scales->constant->data)[3] = 3;
            y = operator_of(&m, "", "Resize", 3, in);
            make_attr(&m, y, STRING("coordinate_transformation_mode", "asymmetric"));
            make_attr(&m, y, STRING("nearest_mode", "floor"));
            break;
        }
        case 1: {
            struct value *out[2] = {graph_add_value(m.graph, NULL), graph_add_value(m.graph, NULL)};
            struct value *in[2] = {x, INTS(&m, 15, 21)};
            struct node *split = graph_add_node(m.graph, NULL, "Split", NULL, in, 2, out, 2);
            split->op = op_find("", "Split", m.graph->opset, NULL);
            make_attr(&m, out[0], (struct attr){.name = "axis", .type = ATTR_INT, .u.i = 1});
            make_output(&m, through(&m, out[0], t));
            y = out[1];
            break;
        }
        case 2:
            y = operator_of(&m, "", "Slice", 4, (struct value *[]){x, INTS(&m, 1, 0), INTS(&m, 6, 4), INTS(&m, 2, 3)});
            break;
        case 3:
            y = make_node(&m, "DepthToSpace", x, NULL, NULL);
            make_attr(&m, y, (struct attr){.name = "blocksize", .type = ATTR_INT, .u.i = kind & 1 ? 2 : 3});
            if (kind & 1) make_attr(&m, y, STRING("mode", "CRD"));
            break;
        default:
            y = operator_of(&m, "", "Pad", 3,
                            (struct value *[]){x, INTS(&m, 0, 0, 1, 2, 0, 0, 3, 1), make_scalar(&m, 0)});
            if (kind & 1) make_attr(&m, y, STRING("mode", "reflect"));
        }
        make_output(&m, through(&m, y, t));
        const int bad = compare(&m, 2, 1e-9);
        CHECK_MSG(!bad, "kind %d: %d elements are apart\n%s", kind, bad, steps);
        CHECK_MSG(!blocked || strstr(steps, names[kind / 4]), "kind %d:\n%s", kind, steps);
        const char *last = strstr(steps, " dequantize ");
        CHECK_MSG(last && (kind / 4 == 1 || !strstr(last + 1, " dequantize ")), "kind %d: by floats:\n%s", kind, steps);
        graph_destroy(&m.graph);
    }
}

// Functions of a byte and a channel: slopes, normalisation, arithmetic with
// constants, alone and in a row, on images and on rows; exact where one line a
// channel would not be.
static void functions_of_a_channel(void)
{
    for (int kind = 0; kind < 14; kind++) {
        struct maker m = maker();
        const struct qtype in = kind & 1 ? s8 : u8, out = kind & 2 ? outs8 : out8;
        const bool rows = kind == 10 || kind == 11;
        const struct reel_shape channel = rows ? DIMS(37) : DIMS(37, 1, 1);
        struct value *x = through(&m, make_input(&m, "x", rows ? DIMS(67, 37) : DIMS(2, 37, 9, 7)), in), *y;
        struct value *a = make_weights(&m, channel, kind == 5 ? -1.5 : 0.3, 1.7), *b = make_weights(&m, channel, -2, 2);
        struct value *one = make_weights(&m, DIMS(37), -1, 1), *var = make_weights(&m, DIMS(37), 0.2, 3);
        switch (kind) {
        case 0:
        case 1: // on the blocked form
            x = make_node(&m, "MaxPool", x, NULL, NULL);
            ATTR_LIST(&m, x, "kernel_shape", 3, 3);
            x = through(&m, x, in);
            y = make_node(&m, "PRelu", x, b, NULL);
            break;
        case 2:
        case 3:
        case 10:
            y = operator_of(&m, "", "BatchNormalization", 5, (struct value *[]){x, one, one, one, var});
            break;
        case 4:
        case 5:
        case 11:
            y = make_node(&m, "Add", b, make_node(&m, "Mul", x, a, NULL), NULL);
            break;
        case 6: // a slope behind a shift: more than two lines
            y = make_node(&m, "PRelu", make_node(&m, "Add", x, b, NULL), b, NULL);
            break;
        case 7:
            y = make_node(&m, "Relu", make_node(&m, "Sub", b, x, NULL), NULL, NULL);
            break;
        case 8: // no line at all
            y = make_node(&m, "Mul", make_node(&m, "Tanh", make_node(&m, "Mul", x, a, NULL), NULL, NULL), b, NULL);
            break;
        case 9: // the same for all channels
            y = make_node(&m, "Clip", make_node(&m, "Div", x, make_scalar(&m, 0.7), NULL), make_scalar(&m, -0.4),
                          make_scalar(&m, 1.3));
            break;
        case 12: // ties everywhere
            y = make_node(&m, "Mul", x, make_scalar(&m, 0.5), NULL);
            break;
        default: // clamped on both sides
            y = make_node(&m, "Clip", make_node(&m, "Mul", x, make_node(&m, "Mul", a, make_scalar(&m, 40), NULL), NULL),
                          make_scalar(&m, -3), make_scalar(&m, 2.7));
        }
        make_output(&m, through(&m, y, kind == 12 ? in : out));
        CHECK_QUANT(&m, 1e-9, "dequantize");
        CHECK_MSG(strstr(steps, kind == 9 || kind == 12  ? " table "
                                : kind == 6 || kind == 8 ? "lines and tables"
                                                         : "lines of bytes"),
                  "kind %d:\n%s", kind, steps);
        graph_destroy(&m.graph);
    }
}

// Windows, strides and padding of all kinds on bytes.
static void pools_of_bytes(void)
{
    static const int kinds[][8] = {{3, 3, 1, 1, 1, 1, 1, 1}, {5, 5, 1, 1, 2, 2, 2, 2}, {2, 2, 2, 2, 0, 0, 0, 0},
                                   {3, 3, 2, 2, 1, 1, 1, 1}, {1, 4, 1, 3, 0, 3, 0, 0}, {4, 2, 3, 1, 0, 0, 2, 1}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const int *k = kinds[i];
        struct maker m = maker();
        struct value *x = through(&m, make_input(&m, "x", DIMS(1, 35, 10, 11)), s8);
        x = make_node(&m, "MaxPool", x, NULL, NULL);
        ATTR_LIST(&m, x, "kernel_shape", k[0], k[1]);
        ATTR_LIST(&m, x, "strides", k[2], k[3]);
        ATTR_LIST(&m, x, "pads", k[4], k[5], k[6], k[7]);
        make_output(&m, through(&m, x, s8));
        CHECK_QUANT(&m, (double)s8.scale, "max pool of bytes");
        graph_destroy(&m.graph);
    }
}

// What has no 8-bit kernel reads the dequantised form.
static void floats_between(void)
{
    for (int kind = 0; kind < 4; kind++) {
        struct maker m = maker();
        struct value *x = through(&m, make_input(&m, "x", DIMS(1, 24, 6, 5)), u8);
        x = through(&m, conv(&m, x, weights8(&m, DIMS(24, 24, 3, 3), REEL_I8, 0, true), NULL, 1, 1, 1), out8);
        switch (kind) {
        case 0: // grouped, not in whole vectors
            x = conv(&m, x, weights8(&m, DIMS(24, 8, 3, 3), REEL_I8, 0, true), NULL, 1, 1, 3);
            break;
        case 1: // two readers of one value, one of them of floats
            x = make_node(&m, "Add", make_node(&m, "Tanh", x, NULL, NULL), x, NULL);
            break;
        case 2:
            x = make_node(&m, "Mul", make_node(&m, "GlobalAveragePool", x, NULL, NULL), x, NULL);
            break;
        default:
            make_output(&m, x); // a graph output in the middle
            x = make_node(&m, "Transpose", x, NULL, NULL);
        }
        make_output(&m, through(&m, x, out8));
        int bad = compare(&m, 2, (double)out8.scale);
        CHECK_MSG(bad == 0, "kind %d: %d elements are apart\n%s", kind, bad, steps);
        CHECK(strstr(steps, "direct8"));
        graph_destroy(&m.graph);
    }
}

CHECK_MAIN({"convolutions_between_scales", convolutions_between_scales},
           {"clamps_and_sums_are_part_of_the_step", clamps_and_sums_are_part_of_the_step},
           {"products_of_matrices", products_of_matrices}, {"bytes_stay_bytes", bytes_stay_bytes},
           {"operators_on_bytes", operators_on_bytes}, {"scales_that_do_not_fit", scales_that_do_not_fit},
           {"scales_of_the_run", scales_of_the_run}, {"gates_by_channel", gates_by_channel},
           {"transposed_convolutions", transposed_convolutions}, {"outputs_stay_apart", outputs_stay_apart},
           {"moves_of_bytes", moves_of_bytes}, {"functions_of_a_channel", functions_of_a_channel},
           {"pools_of_bytes", pools_of_bytes}, {"floats_between", floats_between})
