// SPDX-License-Identifier: MIT
//
// Resize as steps of the CPU backend, against the interpreter, by scales that give no whole
// number of pixels.
#include "tests/unit/worker/backend_case.h"

// Scales that give no whole number: places between pixels follow the scale, not the extents.
static void resize_by_fractions(void)
{
    static const char *const transforms[] = {"align_corners", "half_pixel", "half_pixel_symmetric"};
    static const float scales[][4] = {{1, 1, 1.25f, 1.25f}, {1, 1, 0.6f, 3.4f}, {1, 1, 2, 1.3f}};
    for (int i = 0; i < 18; i++) {
        struct maker m = maker();
        struct reel_tensor t;
        if (reel_tensor_init(&t, REEL_F32, &DIMS(4))) abort();
        memcpy(t.data, scales[i % 3], sizeof scales[0]);
        struct value *x = make_node(&m, "MaxPool", make_input(&m, "x", DIMS(1, 24, 3, 7)), NULL, NULL);
        ATTR_LIST(&m, x, "kernel_shape", 1, 1);
        struct value *in[] = {x, NULL, graph_add_constant(m.graph, NULL, &t)}, *out = graph_add_value(m.graph, NULL);
        graph_add_node(m.graph, NULL, "Resize", NULL, in, 3, &out, 1)->op = op_find("", "Resize", 20, NULL);
        const char *mode = i / 9 ? "nearest" : "linear", *transform = transforms[i / 3 % 3];
        make_attr(&m, out, (struct attr){.name = "mode", .type = ATTR_STRING, .u.s = mode});
        make_attr(&m, out,
                  (struct attr){.name = "coordinate_transformation_mode", .type = ATTR_STRING, .u.s = transform});
        make_output(&m, out);
        CHECK_BACKEND(&m);
        CHECK_MSG(strstr(steps, "resize "), "case %d:\n%s", i, steps);
        graph_destroy(&m.graph);
    }
}

CHECK_MAIN({"resize by fractions", resize_by_fractions})
