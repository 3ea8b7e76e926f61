// SPDX-License-Identifier: MIT
//
// Quantised networks in the GPU backend's lowering, run by its host twin (lower_case.h).
#include "tests/unit/worker/lower_nodes.h"

static struct value *bytes(struct maker *m, enum reel_dtype dtype, struct reel_shape shape, int lo, int hi)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, dtype, &shape)) abort();
    for (int64_t i = 0; i < reel_tensor_count(&t); i++)
        ((uint8_t *)t.data)[i] = (uint8_t)(int)make_random(m, lo, hi + 1);
    return graph_add_constant(m->graph, NULL, &t);
}

static struct value *byte(struct maker *m, enum reel_dtype dtype, int v)
{
    return bytes(m, dtype, (struct reel_shape){0}, v, v);
}

static struct value *quantized(struct maker *m, struct value *x, double scale, int zero)
{
    struct value *y = make_node(m, "QuantizeLinear", x, make_scalar(m, scale), byte(m, REEL_U8, zero));
    y->dtype = REEL_U8;
    return y;
}

static struct value *floats(struct maker *m, struct value *q, double scale, int zero)
{
    return make_node(m, "DequantizeLinear", q, make_scalar(m, scale), byte(m, REEL_U8, zero));
}

// Weights a channel of steps that are powers of two: all sums are exact, and no
// rounding is at a tie by chance.
static struct value *quantized_conv(struct maker *m, struct value *x, int64_t from, int64_t to)
{
    struct value *scales = make_weights(m, DIMS(to), 0.0625, 0.0625);
    struct value *w = bytes(m, REEL_I8, DIMS(to, from, 3, 3), -3, 3), *zeros = bytes(m, REEL_I8, DIMS(to), 0, 0);
    for (int64_t i = 0; i < to; i += 2) ((float *)scales->constant->data)[i] = 0.125f;
    w = make_node(m, "DequantizeLinear", w, scales, zeros);
    attr_int(m, w, "axis", 0);
    struct value *y = make_node(m, "Conv", x, w, NULL);
    ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    return y;
}

// In fp32 the numbers of the whole; in fp16 a number beside the middle of two steps may
// come to lie on the other one.
static bool steps_right(const struct graph *graph, char *out_dump)
{
    struct reel_tensor want = run_graph(graph, 5);
    struct result r;
    double d[2] = {1, 1};
    for (int k = 0; k < 2; k++)
        if (run_lowered(graph, k ? PRECISION_FP32 : PRECISION_FP16, &r)) {
            d[k] = tensor_difference(&r.out, &want);
            memcpy(out_dump, r.dump, sizeof r.dump);
            result_fini(&r);
        }
    const bool ok = d[1] <= 1e-5 && d[0] <= 0.15 && strstr(out_dump, "(0 on the host)");
    if (!ok) fprintf(stderr, "apart by %g in fp32, %g in fp16\n%s", d[1], d[0], out_dump);
    reel_tensor_fini(&want);
    return ok;
}

// Pairs of QuantizeLinear and DequantizeLinear are one kernel; moves of bytes between
// them become moves of floats; steps a channel, and a branch that wants the bytes.
static void quantised_networks(void)
{
    struct maker m = maker();
    char dump[16384];
    struct value *x = floats(&m, quantized(&m, make_input(&m, "x", DIMS(1, 3, 12, 10)), 0.03125, 128), 0.03125, 128);
    struct value *q = quantized(&m, make_node(&m, "Relu", quantized_conv(&m, x, 3, 8), NULL, NULL), 0.0625, 0);
    struct value *pooled = make_node(&m, "MaxPool", q, NULL, NULL);
    ATTR_LIST(&m, pooled, "kernel_shape", 2, 2);
    ATTR_LIST(&m, pooled, "strides", 2, 2);
    struct value *a = quantized_conv(&m, floats(&m, pooled, 0.0625, 0), 8, 4);
    // of a channel each, with a zero point
    struct value *scales = make_weights(&m, DIMS(4), 0.25, 0.25), *zeros = bytes(&m, REEL_I8, DIMS(4), -7, -7);
    ((float *)scales->constant->data)[2] = 0.5f;
    struct value *s = make_node(&m, "QuantizeLinear", a, scales, zeros);
    attr_int(&m, s, "axis", 1);
    struct value *b = make_node(&m, "DequantizeLinear", s, scales, zeros);
    attr_int(&m, b, "axis", 1);
    make_output(&m, make_node(&m, "Mul", b, make_node(&m, "Sigmoid", b, NULL, NULL), NULL));
    CHECK(steps_right(m.graph, dump));
    graph_destroy(&m.graph);
    CHECK_INT(count(dump, "to steps"), 3);
    CHECK_INT(count(dump, "dequantize"), 0);

    // The bytes are an output too.
    m = maker();
    q = quantized(&m, make_input(&m, "x", DIMS(1, 3, 12, 10)), 0.03125, 128);
    make_output(&m, quantized_conv(&m, floats(&m, q, 0.03125, 128), 3, 8));
    make_output(&m, q);
    CHECK(steps_right(m.graph, dump));
    graph_destroy(&m.graph);
    CHECK_INT(count(dump, "to steps"), 0);
    CHECK_INT(count(dump, "dequantize"), 1);

    // Two readers of their own: few channels lie with padding for the convolution, without for the other.
    m = maker();
    q = quantized(&m, make_node(&m, "Tanh", make_input(&m, "x", DIMS(1, 3, 12, 10)), NULL, NULL), 0.03125, 128);
    struct value *in[] = {q,
                          make_scalar(&m, 0.03125),
                          byte(&m, REEL_U8, 128),
                          bytes(&m, REEL_I8, DIMS(3, 3, 1, 1), -3, 3),
                          make_scalar(&m, 0.125),
                          byte(&m, REEL_I8, 0),
                          make_scalar(&m, 0.0625),
                          byte(&m, REEL_U8, 128)};
    struct value *out[1], *c = node_of(&m, NULL, "QLinearConv", in, 8, out, 1);
    make_output(&m, make_node(&m, "Sub", floats(&m, c, 0.0625, 128),
                              make_node(&m, "Neg", floats(&m, q, 0.03125, 128), NULL, NULL), NULL));
    CHECK(steps_right(m.graph, dump));
    graph_destroy(&m.graph);
    CHECK_INT(count(dump, "to steps"), 3);
}

CHECK_MAIN({"quantised networks", quantised_networks})
