// SPDX-License-Identifier: MIT
//
// Passes that rewrite and fuse: what they leave computes the same numbers as
// the graph they were given, and the nodes that should be gone are.
#include "tests/unit/worker/graph_make.h"

#define ALL_CAPS (BACKEND_FUSES_ACT | BACKEND_FUSES_RESIDUAL | BACKEND_FUSES_PRELU)

// Destroys both graphs.
static double difference_after(struct maker *m, unsigned caps, struct graph **out_after)
{
    struct graph *after = after_passes(m->graph, caps);
    if (!after) return 1e9;
    struct reel_tensor a = run_graph(m->graph, 5), b = run_graph(after, 5);
    double difference = tensor_difference(&a, &b);
    reel_tensor_fini(&a);
    reel_tensor_fini(&b);
    *out_after = after;
    return difference;
}

#define CHECK_SAME(m, caps, after)                                        \
    do {                                                                  \
        double d_ = difference_after(m, caps, &(after));                  \
        CHECK_MSG(d_ <= 2e-6, "results differ by %g of the largest", d_); \
        CHECK_MSG(graph_is_sound(after), "the graph is not sound");       \
    } while (0)

static struct value *conv(struct maker *m, struct value *x, int64_t from, int64_t to, bool bias)
{
    struct value *w = make_weights(m, DIMS(to, from, 3, 3), -0.3, 0.3);
    struct value *y = make_node(m, "Conv", x, w, bias ? make_weights(m, DIMS(to), -1, 1) : NULL);
    ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    return y;
}

static void conv_and_each_activation(void)
{
    static const char *const ops[] = {"Relu",        "LeakyRelu", "Sigmoid", "Tanh", "HardSwish",
                                      "HardSigmoid", "Elu",       "Mish",    "Gelu"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 3, 6, 5));
        make_output(&m, make_node(&m, ops[i], conv(&m, x, 3, 4, true), NULL, NULL));
        struct graph *after;
        CHECK_SAME(&m, ALL_CAPS, after);
        CHECK_MSG(after->n_nodes == 1 && after->first->n_epilogue == 1, "%s: %d nodes", ops[i], after->n_nodes);
        graph_destroy(&after);
        // A backend that fuses nothing gets the nodes as they are.
        CHECK_SAME(&m, 0, after);
        CHECK_INT(after->n_nodes, 2);
        graph_destroy(&after);
        graph_destroy(&m.graph);
    }
}

// As exporters below opset 17 write it: with scale and bias, one of them, neither; not
// over another axis, and not where the deviations are others.
static void layer_normalisation_is_one_node(void)
{
    for (int i = 0; i < 7; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 5, 8)), *axes = INTS(&m, i == 4 ? 1 : -1);
        struct value *d = make_node(&m, "Sub", x, make_node(&m, "ReduceMean", x, axes, NULL), NULL);
        struct value *of = i == 5 ? x : d;
        struct value *square =
            i & 1 ? make_node(&m, "Mul", of, of, NULL) : make_node(&m, "Pow", of, make_scalar(&m, 2), NULL);
        struct value *v = make_node(&m, "ReduceMean", square, axes, NULL);
        v = make_node(&m, "Sqrt", make_node(&m, "Add", v, make_scalar(&m, 1e-3), NULL), NULL, NULL);
        struct value *y = make_node(&m, "Div", d, v, NULL);
        if (i != 1 && i != 2)
            y = make_node(&m, "Mul", i & 1 ? y : make_weights(&m, DIMS(8), 0.5, 2),
                          i & 1 ? make_weights(&m, DIMS(1, 1, 8), 0.5, 2) : y, NULL);
        if (i == 6) make_output(&m, y); // read twice
        if (i != 1 && i != 3) y = make_node(&m, "Add", y, make_weights(&m, DIMS(8), -1, 1), NULL);
        make_output(&m, y);
        struct graph *after;
        CHECK_SAME(&m, ALL_CAPS, after);
        CHECK_INT(count_nodes(after, "LayerNormalization"), i < 4 || i == 6);
        if (i < 4) CHECK_INT(after->n_nodes, 1);
        graph_destroy(&after);
        graph_destroy(&m.graph);
    }
}

static void batch_norm_scale_and_shift_go_into_weights(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 7, 6)), *y = conv(&m, x, 3, 4, false);
    struct value *in[] = {y, make_weights(&m, DIMS(4), 0.5, 2), make_weights(&m, DIMS(4), -1, 1),
                          make_weights(&m, DIMS(4), -1, 1), make_weights(&m, DIMS(4), 0.1, 3)};
    struct value *bn = graph_add_value(m.graph, NULL);
    graph_add_node(m.graph, NULL, "BatchNormalization", NULL, in, 5, &bn, 1)->op =
        op_find("", "BatchNormalization", 20, NULL);
    y = make_node(&m, "Mul", make_weights(&m, DIMS(1, 4, 1, 1), 0.5, 2), bn, NULL);
    y = make_node(&m, "Sub", make_scalar(&m, 3), y, NULL);
    y = make_node(&m, "Div", y, make_weights(&m, DIMS(4, 1, 1), 1, 2), NULL);
    y = make_node(&m, "Add", y, make_weights(&m, DIMS(4, 1, 1), -1, 1), NULL);
    make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(after->n_nodes, 1);
    CHECK_INT(after->first->n_in, 3);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void batch_norm_behind_grouped_transposed_convolution(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 4, 5, 4));
    struct value *y = make_node(&m, "ConvTranspose", x, make_weights(&m, DIMS(4, 3, 2, 2), -1, 1), NULL);
    make_attr(&m, y, (struct attr){.name = "group", .type = ATTR_INT, .u.i = 2});
    ATTR_LIST(&m, y, "strides", 2, 2);
    y = make_node(&m, "Mul", y, make_weights(&m, DIMS(6, 1, 1), -2, 2), NULL);
    make_output(&m, make_node(&m, "Add", y, make_weights(&m, DIMS(1, 6, 1, 1), -2, 2), NULL));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(after->n_nodes, 1);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void shift_before_a_padded_convolution_stays(void)
{
    for (int padded = 0; padded < 2; padded++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 3, 6, 6));
        struct value *s = make_node(&m, "Sub", x, make_weights(&m, DIMS(1, 3, 1, 1), 0.2, 1), NULL);
        struct value *y = make_node(&m, "Conv", s, make_weights(&m, DIMS(2, 3, 3, 3), -1, 1), NULL);
        if (padded) ATTR_LIST(&m, y, "pads", 1, 1, 1, 1);
        make_output(&m, y);
        struct graph *after;
        CHECK_SAME(&m, ALL_CAPS, after);
        CHECK_INT(after->n_nodes, padded ? 2 : 1);
        graph_destroy(&after);
        graph_destroy(&m.graph);
    }
}

static void scale_before_a_convolution_goes_into_weights(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 4, 6, 6));
    struct value *s = make_node(&m, "Div", x, make_scalar(&m, 255), NULL);
    struct value *y =
        make_node(&m, "Conv", s, make_weights(&m, DIMS(6, 2, 3, 3), -1, 1), make_weights(&m, DIMS(6), -1, 1));
    make_attr(&m, y, (struct attr){.name = "group", .type = ATTR_INT, .u.i = 2});
    ATTR_LIST(&m, y, "pads", 1, 1, 1, 1);
    make_output(&m, y);
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(after->n_nodes, 1);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void zero_padding_goes_into_the_convolution(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 5, 6));
    struct value *p = make_node(&m, "Pad", x, INTS(&m, 0, 0, 2, 1, 0, 0, 0, 3), NULL);
    make_output(&m, conv(&m, p, 3, 2, true));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(count_nodes(after, "Pad"), 0);
    graph_destroy(&after);
    graph_destroy(&m.graph);

    m = maker();
    x = make_input(&m, "x", DIMS(1, 3, 5, 6));
    p = make_node(&m, "Pad", x, INTS(&m, 0, 0, 2, 1, 0, 0, 0, 3), make_scalar(&m, 1)); // not zeros
    make_output(&m, conv(&m, p, 3, 2, true));
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(count_nodes(after, "Pad"), 1);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

// Two convolutions meet in an addition: one takes it over, in an order that has
// the other's result ready.
static void residual_additions(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 4, 6, 6));
    struct value *a = conv(&m, x, 4, 4, true), *b = make_node(&m, "Relu", conv(&m, a, 4, 4, true), NULL, NULL);
    struct value *c = conv(&m, b, 4, 4, false);
    struct value *sum = make_node(&m, "Relu", make_node(&m, "Add", a, c, NULL), NULL, NULL);
    struct value *left = conv(&m, sum, 4, 4, true), *right = conv(&m, sum, 4, 4, true);
    make_output(&m, make_node(&m, "Add", left, right, NULL));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(after->n_nodes, 5);
    CHECK_INT(count_nodes(after, "Add"), 0);
    graph_destroy(&after);
    CHECK_SAME(&m, BACKEND_FUSES_ACT, after);
    CHECK_INT(count_nodes(after, "Add"), 2);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

// y = x * sigmoid(x), x * tanh(softplus x), and the spelled-out hard swish and
// GELU forms become one step of the convolution.
static struct value *spelled(struct maker *m, int form, struct value *x)
{
    struct value *t;
    switch (form) {
    case 0:
        return make_node(m, "Mul", x, make_node(m, "Sigmoid", x, NULL, NULL), NULL);
    case 1:
        t = make_node(m, "Softplus", x, NULL, NULL);
        return make_node(m, "Mul", x, make_node(m, "Tanh", t, NULL, NULL), NULL);
    case 2: // x * clip(x + 3, 0, 6) / 6
        t = make_node(m, "Clip", make_node(m, "Add", x, make_scalar(m, 3), NULL), make_scalar(m, 0), make_scalar(m, 6));
        return make_node(m, "Div", make_node(m, "Mul", x, t, NULL), make_scalar(m, 6), NULL);
    case 3: // x * (clip(x + 3, 0, 6) / 6)
        t = make_node(m, "Clip", make_node(m, "Add", x, make_scalar(m, 3), NULL), make_scalar(m, 0), make_scalar(m, 6));
        return make_node(m, "Mul", make_node(m, "Mul", t, make_scalar(m, 1.0 / 6), NULL), x, NULL);
    case 4: // 0.5 * (x * (1 + erf(x / sqrt 2)))
        t = make_node(m, "Erf", make_node(m, "Div", x, make_scalar(m, sqrt(2)), NULL), NULL, NULL);
        t = make_node(m, "Mul", x, make_node(m, "Add", t, make_scalar(m, 1), NULL), NULL);
        return make_node(m, "Mul", t, make_scalar(m, 0.5), NULL);
    case 5: // (0.5 x) * (1 + erf(x / sqrt 2))
        t = make_node(m, "Erf", make_node(m, "Mul", x, make_scalar(m, sqrt(0.5)), NULL), NULL, NULL);
        t = make_node(m, "Add", t, make_scalar(m, 1), NULL);
        return make_node(m, "Mul", make_node(m, "Mul", x, make_scalar(m, 0.5), NULL), t, NULL);
    case 7: // as GPTs write it: ((0.044715 x) x) x
        t = make_node(m, "Mul", make_node(m, "Mul", x, make_scalar(m, 0.044715), NULL), x, NULL);
        t = make_node(m, "Add", x, make_node(m, "Mul", t, x, NULL), NULL);
        t = make_node(m, "Tanh", make_node(m, "Mul", t, make_scalar(m, sqrt(2 / M_PI)), NULL), NULL, NULL);
        t = make_node(m, "Add", t, make_scalar(m, 1), NULL);
        return make_node(m, "Mul", make_node(m, "Mul", x, make_scalar(m, 0.5), NULL), t, NULL);
    default: // the tanh approximation
        t = make_node(m, "Mul", make_node(m, "Pow", x, make_scalar(m, 3), NULL), make_scalar(m, 0.044715), NULL);
        t = make_node(m, "Mul", make_node(m, "Add", x, t, NULL), make_scalar(m, sqrt(2 / M_PI)), NULL);
        t = make_node(m, "Add", make_node(m, "Tanh", t, NULL, NULL), make_scalar(m, 1), NULL);
        t = make_node(m, "Mul", x, t, NULL);
        return make_node(m, "Mul", t, make_scalar(m, 0.5), NULL);
    }
}

static void decompositions_are_recognised(void)
{
    for (int form = 0; form < 8; form++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 3, 6, 5));
        make_output(&m, spelled(&m, form, conv(&m, x, 3, 4, true)));
        struct graph *after;
        CHECK_SAME(&m, ALL_CAPS, after);
        CHECK_MSG(after->n_nodes == 1, "form %d: %d nodes are left", form, after->n_nodes);
        graph_destroy(&after);
        graph_destroy(&m.graph);
    }
}

// The same forms with another number in them are left alone.
static void near_misses_are_left(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 6, 5)), *y = conv(&m, x, 3, 4, true);
    struct value *t = make_node(&m, "Clip", make_node(&m, "Add", y, make_scalar(&m, 2.5), NULL), make_scalar(&m, 0),
                                make_scalar(&m, 6));
    make_output(&m, make_node(&m, "Div", make_node(&m, "Mul", y, t, NULL), make_scalar(&m, 6), NULL));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(count_nodes(after, "HardSwish"), 0);
    CHECK_INT(count_nodes(after, "Clip"), 1);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void squares_are_products(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 6, 5));
    struct value *y = make_node(&m, "Pow", x, make_scalar(&m, 2), NULL);
    make_output(&m, make_node(&m, "Pow", y, make_scalar(&m, 3), NULL));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(count_nodes(after, "Mul"), 1);
    CHECK_INT(count_nodes(after, "Pow"), 1);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void pixel_shuffle_becomes_depth_to_space(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2, 12, 3, 5));
    struct value *y = make_node(&m, "Reshape", x, INTS(&m, -1, 3, 2, 2, 3, 5), NULL);
    y = make_node(&m, "Transpose", y, NULL, NULL);
    ATTR_LIST(&m, y, "perm", 0, 1, 4, 2, 5, 3);
    make_output(&m, make_node(&m, "Reshape", y, INTS(&m, 2, 3, 6, 10), NULL));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(after->n_nodes, 1);
    CHECK_STR(after->first->op_type, "DepthToSpace");
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void transposes_cancel_and_views_join(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 4, 5));
    struct value *y = make_node(&m, "Transpose", x, NULL, NULL);
    ATTR_LIST(&m, y, "perm", 0, 2, 3, 1);
    y = make_node(&m, "Relu", make_node(&m, "Identity", y, NULL, NULL), NULL, NULL);
    struct value *z = make_node(&m, "Transpose", y, NULL, NULL);
    ATTR_LIST(&m, z, "perm", 0, 3, 1, 2);
    struct value *back = make_node(&m, "Transpose", z, NULL, NULL);
    ATTR_LIST(&m, back, "perm", 0, 2, 3, 1);
    back = make_node(&m, "Reshape", back, INTS(&m, 4, 15), NULL);
    back = make_node(&m, "Flatten", back, NULL, NULL);
    make_output(&m, make_node(&m, "Reshape", back, INTS(&m, -1), NULL));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(count_nodes(after, "Transpose"), 1);
    CHECK_INT(count_nodes(after, "Identity"), 0);
    CHECK_INT(after->n_nodes, 3);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void equal_nodes_are_done_once(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 4));
    struct value *a = make_node(&m, "Add", make_node(&m, "Exp", x, NULL, NULL), make_scalar(&m, 2), NULL);
    struct value *b = make_node(&m, "Add", make_node(&m, "Exp", x, NULL, NULL), make_scalar(&m, 2), NULL);
    make_output(&m, make_node(&m, "Mul", a, b, NULL));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    CHECK_INT(after->n_nodes, 3);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

// Outputs that are inputs, constants or given twice are computed by nodes.
static void outputs_have_nodes(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2, 2)), *y = make_node(&m, "Relu", x, NULL, NULL);
    make_output(&m, make_node(&m, "Identity", x, NULL, NULL));
    make_output(&m, y);
    make_output(&m, y);
    make_output(&m, make_node(&m, "Add", make_scalar(&m, 1), make_scalar(&m, 2), NULL));
    struct graph *after;
    CHECK_SAME(&m, ALL_CAPS, after);
    for (int i = 0; i < after->n_outputs; i++) {
        CHECK(after->outputs[i]->producer != NULL);
        for (int k = 0; k < i; k++) CHECK(after->outputs[i] != after->outputs[k]);
    }
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

// 16-bit constants are widened, the graph's edges keep their types.
static void half_networks_run_in_float32(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 8));
    x->dtype = REEL_F16;
    struct reel_tensor t;
    CHECK_INT(reel_tensor_init(&t, REEL_F16, &DIMS(8, 4)), REEL_OK);
    for (int i = 0; i < 32; i++) ((uint16_t *)t.data)[i] = reel_f32_to_f16((float)make_random(&m, -1, 1));
    struct value *y = make_node(&m, "MatMul", x, graph_add_constant(m.graph, "w", &t), NULL);
    y->dtype = REEL_F16;
    make_output(&m, y);
    struct graph *after = after_passes(m.graph, ALL_CAPS);
    CHECK(after != NULL);
    CHECK_INT(after->inputs[0]->dtype, REEL_F16);
    CHECK_INT(after->outputs[0]->dtype, REEL_F16);
    CHECK_INT(count_nodes(after, "Cast"), 2);
    struct reel_tensor a = run_graph(m.graph, 5), b = run_graph(after, 5);
    CHECK_NEAR(tensor_difference(&a, &b), 0, 1e-3);
    reel_tensor_fini(&a);
    reel_tensor_fini(&b);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

CHECK_MAIN({"layer normalisation is one node", layer_normalisation_is_one_node},
           {"conv_and_each_activation", conv_and_each_activation},
           {"batch_norm_scale_and_shift_go_into_weights", batch_norm_scale_and_shift_go_into_weights},
           {"batch_norm_behind_grouped_transposed_convolution", batch_norm_behind_grouped_transposed_convolution},
           {"shift_before_a_padded_convolution_stays", shift_before_a_padded_convolution_stays},
           {"scale_before_a_convolution_goes_into_weights", scale_before_a_convolution_goes_into_weights},
           {"zero_padding_goes_into_the_convolution", zero_padding_goes_into_the_convolution},
           {"residual_additions", residual_additions}, {"decompositions_are_recognised", decompositions_are_recognised},
           {"near_misses_are_left", near_misses_are_left}, {"squares_are_products", squares_are_products},
           {"pixel_shuffle_becomes_depth_to_space", pixel_shuffle_becomes_depth_to_space},
           {"transposes_cancel_and_views_join", transposes_cancel_and_views_join},
           {"equal_nodes_are_done_once", equal_nodes_are_done_once}, {"outputs_have_nodes", outputs_have_nodes},
           {"half_networks_run_in_float32", half_networks_run_in_float32})
