// SPDX-License-Identifier: MIT
//
// Resize and the tail of an upscaler in the GPU backend's lowering, run by its host twin (lower_case.h).
#include "tests/unit/worker/lower_nodes.h"

static void resize_modes(void)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const transforms[] = {"half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"};
    for (size_t i = 0; i < 3 * 4; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 10, 5, 6)), *y = conv(&m, x, 10, 10, 3, 1);
        struct value *in[] = {y, NULL, NULL, INTS(&m, 1, 10, 12, 7)}, *out = graph_add_value(m.graph, NULL);
        graph_add_node(m.graph, NULL, "Resize", NULL, in, 4, &out, 1)->op = op_find("", "Resize", 20, NULL);
        attr_text(&m, out, "mode", modes[i / 4]);
        attr_text(&m, out, "coordinate_transformation_mode", transforms[i % 4]);
        make_output(&m, out);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static struct value *given(struct maker *m, int64_t n, const float *f)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_F32, &DIMS(n))) abort();
    memcpy(t.data, f, (size_t)n * sizeof *f);
    return graph_add_constant(m->graph, NULL, &t);
}

// What only some exporters write: filters that widen when a picture shrinks, axes named,
// aspect kept, a part of the picture, rows of one dimension, the rounding of opset 10.
static void resize_of_other_kinds(void)
{
    static const float roi[] = {0, 0, 0.125f, 0.25f, 1, 1, 0.75f, 1}, scales[] = {1, 1, 0.6f, 1.7f};
    for (int kind = 0; kind < 9; kind++) {
        struct maker m = maker();
        m.graph->opset = kind == 8 ? 10 : 20;
        struct value *x = make_input(&m, "x", kind == 6 ? DIMS(2, 10, 11) : DIMS(1, 10, 9, 11));
        struct value *in[4] = {make_node(&m, "Tanh", x, NULL, NULL), NULL, NULL, INTS(&m, 1, 10, 4, 5)};
        if (kind == 2 || kind == 3) in[3] = INTS(&m, 6, 14);
        if (kind == 5) in[1] = given(&m, 8, roi);
        if (kind == 6) in[3] = INTS(&m, 2, 10, 16);
        if (kind == 8) in[1] = given(&m, 4, scales);
        struct value *out = graph_add_value(m.graph, NULL);
        struct node *node = graph_add_node(m.graph, NULL, "Resize", NULL, in, kind == 8 ? 2 : 4, &out, 1);
        node->op = op_find("", "Resize", m.graph->opset, NULL);
        attr_text(&m, out, "mode", kind == 8 ? "nearest" : kind == 1 || kind == 4 ? "cubic" : "linear");
        if (kind < 2) attr_int(&m, out, "antialias", 1);
        if (kind == 2 || kind == 3) ATTR_LIST(&m, out, "axes", 2, 3);
        if (kind == 3) attr_text(&m, out, "keep_aspect_ratio_policy", "not_larger");
        if (kind == 4) attr_int(&m, out, "exclude_outside", 1);
        if (kind == 5) attr_text(&m, out, "coordinate_transformation_mode", "tf_crop_and_resize");
        if (kind == 7) attr_text(&m, out, "coordinate_transformation_mode", "half_pixel_symmetric");
        make_output(&m, make_node(&m, "Relu", out, NULL, NULL));
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// Scales that give no whole number: places between pixels follow the scale, not the extents,
// also where those stay the same. What the node tests of ONNX expect, and not what every
// executor does.
static void resize_by_fractions(void)
{
    static const char *const transforms[] = {"half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"};
    static const float scales[][4] = {{1, 1, 1.25f, 1.25f}, {1, 1, 0.6f, 3.4f}, {1, 1, 2, 1.3f}};
    for (int i = 0; i < 2 * 4 * 3; i++) {
        struct maker m = maker();
        struct value *y = conv(&m, make_input(&m, "x", DIMS(1, 10, 3, 7)), 10, 10, 3, 1);
        struct value *in[] = {y, NULL, given(&m, 4, scales[i % 3])}, *out = graph_add_value(m.graph, NULL);
        graph_add_node(m.graph, NULL, "Resize", NULL, in, 3, &out, 1)->op = op_find("", "Resize", 20, NULL);
        attr_text(&m, out, "mode", i / 12 ? "nearest" : "linear");
        attr_text(&m, out, "coordinate_transformation_mode", transforms[i / 3 % 4]);
        make_output(&m, out);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

// Depth-to-space, the enlarged input and their sum: nothing is written in between.
static void tail_of_an_upscaler(void)
{
    for (int i = 0; i < 4; i++) {
        struct maker m = maker();
        char dump[16384];
        const int64_t f = 2 + i % 2;
        struct value *x = make_input(&m, "x", DIMS(2, 3, 5, 6));
        struct value *d = make_node(&m, "DepthToSpace", conv(&m, x, 3, 3 * f * f, 3, 1), NULL, NULL);
        attr_int(&m, d, "blocksize", f);
        attr_text(&m, d, "mode", i / 2 ? "CRD" : "DCR");
        struct value *in[] = {x, NULL, NULL, INTS(&m, 2, 3, 5 * f, 6 * f)}, *base = graph_add_value(m.graph, NULL);
        graph_add_node(m.graph, NULL, "Resize", NULL, in, 4, &base, 1)->op = op_find("", "Resize", 20, NULL);
        struct value *y = make_node(&m, i % 2 ? "Add" : "Sub", base, d, NULL);
        make_output(&m, conv(&m, y, 3, 3, 3, 1));
        CHECK_RIGHT(&m, 0, dump);
        CHECK(!strstr(dump, "depth to space") && !strstr(dump, "nearest"));
    }
}

CHECK_MAIN({"resize", resize_modes}, {"resize of other kinds", resize_of_other_kinds},
           {"resize by fractions", resize_by_fractions}, {"the tail of an upscaler is one step", tail_of_an_upscaler})
