// SPDX-License-Identifier: MIT
//
// Shape inference, folding and receptive fields of whole small graphs.
#include "worker/graph/field.h"
#include "worker/graph/shape.h"

#include "tests/unit/worker/graph_make.h"

// Reshape(x, Concat(Shape(x)[0], -1)): the exporters' flatten.
static void shape_arithmetic_is_folded(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(-1, 3, 4, 5));
    struct value *n = make_node(&m, "Gather", make_node(&m, "Shape", x, NULL, NULL), INTS(&m, 0), NULL);
    struct value *shape = make_node(&m, "Concat", n, INTS(&m, -1), NULL);
    make_attr(&m, shape, (struct attr){.name = "axis", .type = ATTR_INT, .u.i = 0});
    struct value *y = make_node(&m, "Reshape", x, shape, NULL);
    make_output(&m, y);
    CHECK_INT(shape_infer(m.graph, &DIMS(7, 3, 4, 5)), REEL_OK);
    CHECK_INT(y->shape.ndim, 2);
    CHECK_INT(y->shape.dim[0], 7);
    CHECK_INT(y->shape.dim[1], 60);
    CHECK_INT(m.graph->n_nodes, 1);
    CHECK(graph_is_sound(m.graph));
    graph_destroy(&m.graph);
}

static void refusals_name_the_node(void)
{
    struct maker m = maker();
    struct value *a = make_input(&m, "a", DIMS(2, 3)), *b = make_input(&m, "b", DIMS(2, 4));
    struct value *y = make_node(&m, "Add", a, b, NULL);
    y->producer->name = "the_sum";
    make_output(&m, y);
    CHECK_INT(shape_infer(m.graph, NULL), REEL_ERR_INPUT);
    CHECK_HAS(reel_fail_text(), "the_sum");
    CHECK_HAS(reel_fail_text(), "2x3");
    graph_destroy(&m.graph);
}

// Constants that would be large are left to run time.
static void large_constants_are_not_made(void)
{
    struct maker m = maker();
    struct value *big = make_node(&m, "ConstantOfShape", INTS(&m, 100000, 100000, 50), NULL, NULL);
    make_output(&m, make_node(&m, "Size", make_node(&m, "Relu", big, NULL, NULL), NULL, NULL));
    struct graph *after = after_passes(m.graph, 0);
    CHECK(after != NULL);
    struct reel_tensor out = run_graph(after, 1);
    CHECK_INT(op_scalar_int(&out, 0), 500000000000);
    reel_tensor_fini(&out);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

static void data_dependent_extents_stay_open(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(4, 4)), *y = make_node(&m, "NonZero", x, NULL, NULL);
    struct value *t = make_node(&m, "Transpose", y, NULL, NULL);
    make_output(&m, t);
    CHECK_INT(shape_infer(m.graph, NULL), REEL_OK);
    CHECK_INT(t->shape.ndim, 2);
    CHECK_INT(t->shape.dim[0], -1);
    CHECK_INT(t->shape.dim[1], 2);
    graph_destroy(&m.graph);
}

// Weights that are computed from constants are computed once.
static void constant_weights_are_folded(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 200));
    struct value *w = make_node(&m, "Transpose", make_weights(&m, DIMS(300, 200), -1, 1), NULL, NULL);
    make_output(&m, make_node(&m, "MatMul", x, w, NULL));
    struct graph *after = after_passes(m.graph, 0);
    CHECK(after != NULL);
    CHECK_INT(after->n_nodes, 1);
    struct reel_tensor a = run_graph(m.graph, 2), b = run_graph(after, 2);
    CHECK_NEAR(tensor_difference(&a, &b), 0, 0);
    reel_tensor_fini(&a);
    reel_tensor_fini(&b);
    graph_destroy(&after);
    graph_destroy(&m.graph);
}

// ---- receptive fields -------------------------------------------------------

static struct value *conv(struct maker *m, struct value *x, int64_t from, int64_t to, int k, int stride, int pad)
{
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(to, from, k, k), -1, 1), NULL);
    ATTR_LIST(m, y, "pads", pad, pad, pad, pad);
    ATTR_LIST(m, y, "strides", stride, stride);
    return y;
}

static void check_radius(struct maker *m, struct value *y, int h, int w)
{
    make_output(m, y);
    CHECK_INT(shape_infer(m->graph, NULL), REEL_OK);
    struct field_reach got = field_reach_of(m->graph, 1);
    graph_destroy(&m->graph);
    CHECK_INT(got.h, h);
    CHECK_INT(got.w, w);
}

static void radius_of_convolutions(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, 64, 64));
    struct value *y = make_node(&m, "Relu", conv(&m, conv(&m, x, 3, 4, 3, 1, 1), 4, 4, 5, 1, 2), NULL, NULL);
    check_radius(&m, make_node(&m, "Add", y, conv(&m, x, 3, 4, 1, 1, 0), NULL), 3, 3);

    m = maker(); // x4 super-resolution: 2 convolutions, depth to space
    x = make_input(&m, "x", DIMS(1, 3, 64, 64));
    y = make_node(&m, "DepthToSpace", conv(&m, conv(&m, x, 3, 4, 3, 1, 1), 4, 16, 3, 1, 1), NULL, NULL);
    make_attr(&m, y, (struct attr){.name = "blocksize", .type = ATTR_INT, .u.i = 4});
    int h = 2 + 1; // the last pixel of a block lies 3/4 of an input pixel further
    check_radius(&m, y, h, h);

    m = maker(); // pooling over everything
    x = make_input(&m, "x", DIMS(1, 3, 64, 64));
    y = make_node(&m, "Mul", conv(&m, x, 3, 3, 3, 1, 1), make_node(&m, "GlobalAveragePool", x, NULL, NULL), NULL);
    check_radius(&m, y, -1, -1);
}

// Whatever the radius says: changing pixels further away changes nothing.
static void radius_is_true(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 1, 96, 96));
    struct value *down = conv(&m, x, 1, 2, 3, 2, 1);
    struct value *deep = conv(&m, conv(&m, down, 2, 2, 3, 2, 1), 2, 2, 3, 1, 1);
    struct value *up = make_node(&m, "ConvTranspose", deep, make_weights(&m, DIMS(2, 2, 4, 4), -1, 1), NULL);
    ATTR_LIST(&m, up, "strides", 2, 2);
    ATTR_LIST(&m, up, "pads", 1, 1, 1, 1);
    struct value *sum = make_node(&m, "Add", up, down, NULL);
    struct value *y = make_node(&m, "DepthToSpace", conv(&m, sum, 2, 4, 3, 1, 1), NULL, NULL);
    make_attr(&m, y, (struct attr){.name = "blocksize", .type = ATTR_INT, .u.i = 2});
    make_output(&m, y);
    CHECK_INT(shape_infer(m.graph, NULL), REEL_OK);
    struct field_reach reach = field_reach_of(m.graph, 1);
    int h = reach.h;
    CHECK_MSG(h > 0 && h < 40 && reach.w == h, "radius %d x %d", h, reach.w);
    CHECK_INT(reach.step, 4); // two convolutions of stride 2
    struct reel_tensor in, a, b;
    CHECK_INT(reel_tensor_init(&in, REEL_F32, &x->shape), REEL_OK);
    for (int i = 0; i < 96 * 96; i++) ((float *)in.data)[i] = (float)make_random(&m, -1, 1);
    const struct reel_tensor *in_p = &in;
    CHECK_INT(interp_run(m.graph, &in_p, &a), REEL_OK);
    for (int i = 0; i < 96; i++) ((float *)in.data)[48 * 96 + i] += 1; // row 48
    CHECK_INT(interp_run(m.graph, &in_p, &b), REEL_OK);
    int farthest = 0;
    for (int row = 0; row < 96; row++)
        if (memcmp((float *)a.data + row * 96, (float *)b.data + row * 96, 96 * sizeof(float)))
            farthest = abs(row - 48) > farthest ? abs(row - 48) : farthest;
    CHECK_MSG(farthest <= h && farthest > 0 && h <= farthest + 6, "radius %d, but row 48 changes rows %d away", h,
              farthest);
    reel_tensor_fini(&in);
    reel_tensor_fini(&a);
    reel_tensor_fini(&b);
    graph_destroy(&m.graph);
}

// Where a picture may be cut: at whole elements of every value between.
static void steps_of_strides(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 1, 96, 96));
    struct value *y = conv(&m, conv(&m, x, 1, 4, 6, 2, 2), 4, 16, 3, 1, 1);
    y = make_node(&m, "DepthToSpace", y, NULL, NULL);
    make_attr(&m, y, (struct attr){.name = "blocksize", .type = ATTR_INT, .u.i = 4});
    make_output(&m, y);
    CHECK_INT(shape_infer(m.graph, NULL), REEL_OK);
    struct field_reach values = field_reach_of(m.graph, 1), bits = field_reach_of(m.graph, 4);
    CHECK_INT(values.step, 2);
    CHECK_INT(bits.step, 8); // blocks of four elements, each of two pixels
    CHECK_MSG(bits.h == values.h + 6 && bits.w == bits.h, "radius %d, of bits %d", values.h, bits.h);
    graph_destroy(&m.graph);
}

static void resize_to_corners_is_unbounded(void)
{
    for (int corners = 0; corners < 2; corners++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 1, 96, 96));
        struct value *scales = make_weights(&m, DIMS(4), 1, 1);
        ((float *)scales->constant->data)[2] = ((float *)scales->constant->data)[3] = 2;
        struct value *y = make_node(&m, "Resize", x, NULL, scales);
        make_attr(&m, y, (struct attr){.name = "mode", .type = ATTR_STRING, .u.s = "linear"});
        if (corners)
            make_attr(
                &m, y,
                (struct attr){.name = "coordinate_transformation_mode", .type = ATTR_STRING, .u.s = "align_corners"});
        check_radius(&m, y, corners ? -1 : 2, corners ? -1 : 2);
    }
}

CHECK_MAIN({"shape_arithmetic_is_folded", shape_arithmetic_is_folded},
           {"refusals_name_the_node", refusals_name_the_node},
           {"large_constants_are_not_made", large_constants_are_not_made},
           {"data_dependent_extents_stay_open", data_dependent_extents_stay_open},
           {"constant_weights_are_folded", constant_weights_are_folded},
           {"radius_of_convolutions", radius_of_convolutions}, {"radius_is_true", radius_is_true},
           {"steps_of_strides", steps_of_strides}, {"resize_to_corners_is_unbounded", resize_to_corners_is_unbounded})
