// SPDX-License-Identifier: MIT
//
// Operators of the GPU backend that read pictures and volumes at computed places, through windows or by
// regions. Each in a small network, by the kernels' twins (lower_case.h).
#include "tests/unit/worker/lower_nodes.h"

static void grids(void)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"}, *const beyond[] = {"zeros", "border",
                                                                                          "reflection"};
    for (int i = 0; i < 18; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, i & 1 ? 9 : 3, 6, 7));
        struct value *theta = make_weights(&m, DIMS(2, 2, 3), -1.2, 1.2);
        struct value *moved = make_node(&m, "Mul", theta, make_input(&m, "by", DIMS(2, 1, 1)), NULL);
        struct value *grid = make_node(&m, "AffineGrid", moved, INTS(&m, 2, 3, 5, 4), NULL);
        struct value *y = make_node(&m, "GridSample", make_node(&m, "Relu", x, NULL, NULL), grid, NULL);
        attr_int(&m, grid, "align_corners", i & 1);
        attr_int(&m, y, "align_corners", i & 1);
        attr_text(&m, y, "mode", modes[i / 6]);
        attr_text(&m, y, "padding_mode", beyond[i / 2 % 3]);
        make_output(&m, y);
        // 16-bit numbers of the picture alone differ; a place is float32's in all
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// A look-up table of three dimensions, read at the colours of a picture.
static void colours_through_a_table(void)
{
    static const char *const beyond[] = {"zeros", "border", "reflection"};
    for (int i = 0; i < 6; i++) {
        struct maker m = maker();
        char dump[16384];
        m.graph->opset = 20;
        struct value *x = make_input(&m, "x", DIMS(2, 3, 6, 7)), *t = make_node(&m, "Transpose", x, NULL, NULL);
        ATTR_LIST(&m, t, "perm", 0, 2, 3, 1);
        struct value *grid = make_node(&m, "Unsqueeze", make_node(&m, "Tanh", t, NULL, NULL), INTS(&m, 1), NULL);
        struct value *table = make_input(&m, "table", DIMS(2, 3, 5, 4, 3));
        struct value *y =
            make_node(&m, "GridSample", table, make_node(&m, "Mul", grid, make_scalar(&m, 1.2), NULL), NULL);
        attr_int(&m, y, "align_corners", i & 1);
        attr_text(&m, y, "padding_mode", beyond[i / 2]);
        make_output(&m, make_node(&m, "Squeeze", y, INTS(&m, 2), NULL));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "grid sample");
    }
}

static struct value *constant_floats(struct maker *m, struct reel_shape shape, const float *f)
{
    struct value *v = make_weights(m, shape, 0, 1);
    memcpy(v->constant->data, f, (size_t)reel_shape_count(&shape) * sizeof *f);
    return v;
}

static void regions(void)
{
    // inside, across the border, beyond it, of no size
    static const float boxes[] = {1, 1, 9, 7, -3, 2, 4, 30, 40, 40, 50, 60, 5, 5, 5, 5};
    for (int i = 0; i < 8; i++) {
        struct maker m = maker();
        struct value *out[1], *x = make_input(&m, "x", DIMS(2, i & 1 ? 8 : 5, 10, 12));
        struct value *at = make_node(
            &m, "Cast", make_node(&m, "Mul", make_input(&m, "in", DIMS(4)), make_scalar(&m, 0), NULL), NULL, NULL);
        attr_int(&m, at, "to", 7);
        struct value *y =
            NODE(&m, "RoiAlign", out, make_node(&m, "Relu", x, NULL, NULL), constant_floats(&m, DIMS(4, 4), boxes), at);
        attr_int(&m, y, "output_height", 3);
        attr_int(&m, y, "output_width", 2);
        attr_int(&m, y, "sampling_ratio", i & 4 ? 2 : 0);
        attr_text(&m, y, "mode", i & 2 ? "max" : "avg");
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void largest_of_regions(void)
{
    // inside, across the border, beyond it, of no size, of the other image
    static const float boxes[] = {0, 1, 1, 9, 7, 1, -3, 2, 4, 30, 0, 40, 40, 50, 60, 1, 5, 5, 5, 5, 1, 0, 0, 11, 9};
    for (int i = 0; i < 2; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *out[1], *x = make_input(&m, "x", DIMS(2, i ? 8 : 5, 10, 12));
        struct value *y =
            NODE(&m, "MaxRoiPool", out, make_node(&m, "Tanh", x, NULL, NULL), constant_floats(&m, DIMS(5, 5), boxes));
        ATTR_LIST(&m, y, "pooled_shape", 3, 2);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "roi pool");
    }
}

static void deformed(void)
{
    for (int i = 0; i < 4; i++) { // groups; with a mask
        struct maker m = maker();
        char dump[16384];
        const int64_t groups = 1 + (i & 1), offsets = 2;
        struct value *x = make_input(&m, "x", DIMS(2, 8, 7, 6)), *out[1];
        struct value *offset = make_input(&m, "offset", DIMS(2, 2 * 9 * offsets, 4, 3));
        struct value *mask = make_node(&m, "Sigmoid", make_input(&m, "mask", DIMS(2, 9 * offsets, 4, 3)), NULL, NULL);
        struct value *w = make_weights(&m, DIMS(i & 1 ? 10 : 16, 8 / groups, 3, 3), -0.3, 0.3);
        struct value *b = make_weights(&m, DIMS(i & 1 ? 10 : 16), -1, 1), *y;
        y = i & 2 ? NODE(&m, "DeformConv", out, x, w, offset, b, mask) : NODE(&m, "DeformConv", out, x, w, offset);
        ATTR_LIST(&m, y, "pads", 1, 1, 1, 1);
        ATTR_LIST(&m, y, "strides", 2, 2);
        attr_int(&m, y, "group", groups);
        attr_int(&m, y, "offset_group", offsets);
        make_output(&m, make_node(&m, "Relu", y, NULL, NULL));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, i & 1 ? "product" : "plan           matmul");
    }
}

static void pools_of_volumes(void)
{
    for (int i = 0; i < 4; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(2, 3, 5, 7, 6));
        struct value *y = make_node(&m, i & 1 ? "MaxPool" : "AveragePool", x, NULL, NULL);
        ATTR_LIST(&m, y, "kernel_shape", 2, 3, 3);
        ATTR_LIST(&m, y, "strides", 1, 2, 1);
        ATTR_LIST(&m, y, "pads", 0, 1, 2, 1, 1, 0);
        attr_int(&m, y, "ceil_mode", i >> 1);
        if (i == 2) attr_int(&m, y, "count_include_pad", 1);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, i & 1 ? "max pool" : "average pool");
    }
}

// Windows smaller than their stride, centred.
static void centred_pools(void)
{
    static const char *const ops[] = {"AveragePool", "MaxPool", "LpPool"};
    for (int i = 0; i < 6; i++) {
        struct maker m = maker();
        struct value *x = make_node(&m, "Tanh", make_input(&m, "x", DIMS(1, 5, 6, 9)), NULL, NULL);
        struct value *y = make_node(&m, ops[i / 2], x, NULL, NULL);
        ATTR_LIST(&m, y, "kernel_shape", 1, 2);
        ATTR_LIST(&m, y, "strides", 3, 4);
        attr_text(&m, y, "auto_pad", i & 1 ? "SAME_LOWER" : "SAME_UPPER");
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void pooled_and_back(void)
{
    for (int c = 3; c <= 8; c += 5) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, c, 8, 6)), *pooled[2], *out[1];
        NODE(&m, "MaxPool", pooled, make_node(&m, "Sign", x, NULL, NULL)); // the same ties in every type
        ATTR_LIST(&m, pooled[0], "kernel_shape", 2, 2);
        ATTR_LIST(&m, pooled[0], "strides", 2, 2);
        struct value *y = NODE(&m, "MaxUnpool", out, pooled[0], pooled[1]);
        ATTR_LIST(&m, y, "kernel_shape", 2, 2);
        ATTR_LIST(&m, y, "strides", 2, 2);
        y = make_node(&m, "LRN", y, NULL, NULL);
        attr_int(&m, y, "size", 3);
        make_attr(&m, y, (struct attr){.name = "alpha", .type = ATTR_FLOAT, .count = 1, .u.f = 0.5f});
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void framed_columns(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(2, 3 * 2 * 3, 5 * 4)), *out[1];
    struct value *y = NODE(&m, "Col2Im", out, x, INTS(&m, 5, 9), INTS(&m, 2, 3));
    ATTR_LIST(&m, y, "pads", 0, 1, 1, 0);
    ATTR_LIST(&m, y, "strides", 1, 2);
    y = make_node(&m, "CenterCropPad", y, INTS(&m, 8, 4), NULL);
    ATTR_LIST(&m, y, "axes", 2, 3);
    make_output(&m, y);
    CHECK_RIGHT(&m, 0, NULL);
}

// Convolutions over three axes: strides, dilations and padding along each, activations behind.
static void convolved_volumes(void)
{
    for (int i = 0; i < 6; i++) {
        struct maker m = maker();
        char dump[16384];
        const int64_t c = i & 1 ? 3 : 8, k = i & 2 ? 5 : 16, planes = i < 4 ? 3 : 1;
        struct value *x = make_input(&m, "x", DIMS(2, c, 5, 9, 8)), *out[1];
        struct value *w = make_weights(&m, DIMS(k, c, planes, 3, 3), -0.2, 0.2);
        struct value *y = NODE(&m, "Conv", out, x, w, make_weights(&m, DIMS(k), -0.1, 0.1));
        if (i < 2) ATTR_LIST(&m, y, "pads", 1, 1, 1, 1, 1, 1);
        if (i == 2) ATTR_LIST(&m, y, "strides", 2, 1, 2);
        if (i == 2) ATTR_LIST(&m, y, "pads", 2, 0, 1, 0, 1, 0);
        if (i == 3) ATTR_LIST(&m, y, "dilations", 2, 1, 2);
        if (i == 4) attr_text(&m, y, "auto_pad", "SAME_UPPER");
        y = make_node(&m, "Relu", y, NULL, NULL);
        if (i & 1) y = make_node(&m, "Mul", y, make_weights(&m, DIMS(k, 1, 1, 1), 0.5, 2), NULL);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK(!strstr(dump, "planes") == (planes == 1));
    }
}

CHECK_MAIN({"colours through a table", colours_through_a_table}, {"grids", grids}, {"regions", regions},
           {"the largest of regions", largest_of_regions}, {"deformable convolutions", deformed},
           {"pooled and back", pooled_and_back}, {"pools of volumes", pools_of_volumes},
           {"centred pools", centred_pools}, {"framed columns", framed_columns},
           {"convolved volumes", convolved_volumes})
