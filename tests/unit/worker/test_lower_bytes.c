// SPDX-License-Identifier: MIT
//
// Networks whose numbers become bytes by steps that the data decide, and reductions of
// what another one leaves, by the GPU backend's host twin (lower_case.h).
#include "tests/unit/worker/lower_case.h"

static struct value *byte_constant(struct maker *m, enum reel_dtype dtype, struct reel_shape shape, int lo, int hi)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, dtype, &shape)) abort();
    for (int64_t i = 0; i < reel_tensor_count(&t); i++)
        ((uint8_t *)t.data)[i] = (uint8_t)(int)make_random(m, lo, hi + 0.99);
    return graph_add_constant(m->graph, NULL, &t);
}

// x in bytes, by its own range: [0] bytes, [1] scale, [2] zero point.
static void quantised(struct maker *m, struct value *x, struct value *out[3])
{
    node_of(m, NULL, "DynamicQuantizeLinear", &x, 1, out, 3);
}

// Sums as numbers again: times both scales.
static struct value *number_of(struct maker *m, struct value *sums, struct value *scale)
{
    struct value *y = make_node(m, "Cast", sums, NULL, NULL);
    attr_int(m, y, "to", 1);
    return make_node(m, "Mul", y, make_node(m, "Mul", scale, make_scalar(m, 0.01), NULL), NULL);
}

// In fp16 the input's range is fp16's, so that a byte may round the other way: 1/255 of it.
static bool nearly_right(const struct graph *graph)
{
    struct reel_tensor want = run_graph(graph, 5);
    bool ok = true;
    for (int k = 0; k < 2; k++) {
        struct result r;
        ok &= run_lowered(graph, k ? PRECISION_FP16 : PRECISION_FP32, &r);
        const double d = ok ? tensor_difference(&r.out, &want) : 1e9;
        ok &= strstr(r.dump, "(0 on the host)") && d <= (k ? 3e-2 : 1e-5);
        if (!ok) fprintf(stderr, "%s: apart by %g of the largest\n%s", k ? "fp16" : "fp32", d, r.dump);
        result_fini(&r);
    }
    reel_tensor_fini(&want);
    return ok;
}

#define CHECK_BYTES(m)                   \
    do {                                 \
        CHECK(nearly_right((m)->graph)); \
        graph_destroy(&(m)->graph);      \
    } while (0)

static void products_of_bytes(void)
{
    for (int i = 0; i < 12; i++) {
        struct maker m = maker();
        struct value *q[3], *out[1], *x = make_input(&m, "x", i % 3 == 1 ? DIMS(2, 3, 7, 12) : DIMS(2, 7, 12));
        const enum reel_dtype kind = i & 1 ? REEL_I8 : REEL_U8;
        quantised(&m, x, q);
        struct value *w = byte_constant(&m, kind, i % 3 == 2 ? DIMS(2, 12, 9) : DIMS(12, 9), -90, 90);
        struct value *zero = i & 2 ? byte_constant(&m, kind, i & 4 ? DIMS(9) : (struct reel_shape){0}, -5, 9) : NULL;
        struct value *y =
            node_of(&m, NULL, "MatMulInteger", (struct value *[]){q[0], w, q[2], zero}, zero ? 4 : 3, out, 1);
        make_output(&m, number_of(&m, y, q[1]));
        CHECK_BYTES(&m);
    }
}

// Leading extents that only one operand has.
static void repeated_products_of_bytes(void)
{
    for (int i = 0; i < 4; i++) {
        struct maker m = maker();
        struct value *q[3], *out[1];
        struct value *x = make_input(&m, "x",
                                     i == 0   ? DIMS(2, 1, 7, 12)
                                     : i == 1 ? DIMS(3, 7, 12)
                                     : i == 2 ? DIMS(7, 12)
                                              : DIMS(2, 1, 3, 7, 12));
        quantised(&m, x, q);
        struct value *w = byte_constant(&m, REEL_U8,
                                        i == 0   ? DIMS(3, 12, 9)
                                        : i == 1 ? DIMS(2, 1, 12, 9)
                                        : i == 2 ? DIMS(4, 12, 9)
                                                 : DIMS(4, 1, 12, 9),
                                        -90, 90);
        struct value *y = node_of(&m, NULL, "MatMulInteger", (struct value *[]){q[0], w, q[2]}, 3, out, 1);
        make_output(&m, number_of(&m, y, q[1]));
        CHECK_BYTES(&m);
    }
}

static void convolutions_of_bytes(void)
{
    for (int i = 0; i < 12; i++) {
        struct maker m = maker();
        const bool line = i % 4 == 3;
        const int64_t groups = i & 1 ? 2 : 1;
        struct value *q[3], *out[1], *x = make_input(&m, "x", line ? DIMS(2, 4, 17) : DIMS(2, 4, 9, 8));
        quantised(&m, x, q);
        const enum reel_dtype kind = i & 2 ? REEL_I8 : REEL_U8;
        struct value *w = byte_constant(&m, kind, line ? DIMS(6, 4 / groups, 3) : DIMS(6, 4 / groups, 3, 2), -90, 90);
        struct value *zero = i & 4 ? byte_constant(&m, kind, i & 8 ? DIMS(6) : (struct reel_shape){0}, -5, 9) : NULL;
        struct value *y =
            node_of(&m, NULL, "ConvInteger", (struct value *[]){q[0], w, q[2], zero}, zero ? 4 : 3, out, 1);
        attr_int(&m, y, "group", groups);
        if (line)
            ATTR_LIST(&m, y, "pads", 1, 2);
        else if (i & 8)
            attr_text(&m, y, "auto_pad", i & 1 ? "SAME_LOWER" : "SAME_UPPER");
        else
            ATTR_LIST(&m, y, "pads", 1, 0, 1, 2);
        if (!line) ATTR_LIST(&m, y, "strides", 2, 1);
        if (i == 4) ATTR_LIST(&m, y, "dilations", 2, 1);
        make_output(&m, number_of(&m, y, q[1]));
        CHECK_BYTES(&m);
    }
}

static void means_and_variances(void)
{
    for (int i = 0; i < 10; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", i == 5 ? DIMS(2, 24, 16, 20) : DIMS(2, 6, 5, 4)), *y;
        if (i & 1) // an image
            x = make_node(&m, "Conv", x, make_weights(&m, DIMS(12, i == 5 ? 24 : 6, 1, 1), -1, 1), NULL);
        y = make_node(&m, "MeanVarianceNormalization", x, NULL, NULL);
        if (i / 2 == 1) ATTR_LIST(&m, y, "axes", 2, 3);
        if (i / 2 == 2) ATTR_LIST(&m, y, "axes", 1);
        if (i / 2 == 3) ATTR_LIST(&m, y, "axes", 0, 1, 2, 3);
        if (i / 2 == 4) ATTR_LIST(&m, y, "axes", 0, -2);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void logarithms_of_exponents(void)
{
    for (int i = 0; i < 8; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 6, 5, 4)), *out[1], *y;
        if (i & 1) x = make_node(&m, "Conv", x, make_weights(&m, DIMS(12, 6, 1, 1), -1, 1), NULL);
        x = make_node(&m, "Mul", x, make_scalar(&m, i & 1 ? 3 : 60), NULL); // exp of it is no float
        struct value *axes = i / 2 == 1   ? INTS(&m, 2, 3)
                             : i / 2 == 2 ? INTS(&m, 1)
                             : i / 2 == 3 ? INTS(&m, 0, 2)
                                          : NULL;
        y = node_of(&m, NULL, "ReduceLogSumExp", (struct value *[]){x, axes}, axes ? 2 : 1, out, 1);
        attr_int(&m, y, "keepdims", i & 1);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// Of infinities there is no difference.
static void logarithm_of_nothing(void)
{
    struct maker m = maker();
    struct value *out[1], *x = make_input(&m, "x", DIMS(2, 5));
    x = make_node(&m, "Log", make_node(&m, "Mul", x, make_scalar(&m, 0), NULL), NULL, NULL);
    node_of(&m, NULL, "ReduceLogSumExp", (struct value *[]){x, INTS(&m, 1)}, 2, out, 1);
    make_output(&m, make_node(&m, "Exp", out[0], NULL, NULL));
    CHECK_RIGHT(&m, 0, NULL);
}

CHECK_MAIN({"products of bytes", products_of_bytes}, {"repeated products of bytes", repeated_products_of_bytes},
           {"convolutions of bytes", convolutions_of_bytes}, {"means and variances", means_and_variances},
           {"logarithms of exponents", logarithms_of_exponents}, {"logarithm of nothing", logarithm_of_nothing})
