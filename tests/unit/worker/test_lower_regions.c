// SPDX-License-Identifier: MIT
//
// A detector's second stage: regions whose number is data, their features from the levels of
// a pyramid, and layers behind these, on the device in pieces.
#include "tests/unit/worker/lower_case.h"

enum { H = 12, W = 20, C = 16, TABLE = H * W };

static int64_t size; // of a region's features

// As many regions as scores are above the limit.
struct spotted {
    struct value *chosen; // (?): their numbers
    struct value *at;     // (?,4)
    struct value *level;  // (?): 0 or 1
};

static struct value *table_of_boxes(struct maker *m)
{
    struct reel_tensor t;
    if (reel_tensor_init(&t, REEL_F32, &DIMS(TABLE, 4))) abort();
    for (int i = 0; i < TABLE; i++) {
        float *at = (float *)t.data + i * 4;
        at[0] = (float)make_random(m, -2, 2 * W - 2), at[1] = (float)make_random(m, -2, 2 * H - 2);
        at[2] = at[0] + (float)make_random(m, 0, 15), at[3] = at[1] + (float)make_random(m, 0, 15);
    }
    return graph_add_constant(m->graph, NULL, &t);
}

static struct value *table_of_levels(struct maker *m)
{
    int64_t level[TABLE];
    for (int i = 0; i < TABLE; i++) level[i] = i % 3 == 1;
    return make_ints(m, TABLE, level);
}

static struct spotted find(struct maker *m, struct value *x, double limit)
{
    struct spotted f;
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(1, 3, 3, 3), -0.5, 0.5), NULL);
    ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    y = make_node(m, "Reshape", make_node(m, "Sigmoid", y, NULL, NULL), INTS(m, -1), NULL);
    y = make_node(m, "NonZero", make_node(m, "Greater", y, make_scalar(m, limit), NULL), NULL, NULL);
    f.chosen = make_node(m, "Squeeze", y, INTS(m, 0), NULL);
    f.at = make_node(m, "Gather", table_of_boxes(m), f.chosen, NULL);
    f.level = make_node(m, "Gather", table_of_levels(m), f.chosen, NULL);
    return f;
}

static struct value *features(struct maker *m, struct value *x, int64_t stride)
{
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(C, 3, 3, 3), -0.5, 0.5), NULL);
    ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    ATTR_LIST(m, y, "strides", stride, stride);
    return y;
}

static struct value *pictures_of(struct maker *m, struct value *rows)
{
    return make_node(m, "Mul", rows, INTS(m, 0), NULL);
}

static struct value *align(struct maker *m, struct value *x, struct value *at, struct value *picture, float scale)
{
    struct value *y = make_node(m, "RoiAlign", x, at, picture);
    attr_int(m, y, "output_height", size);
    attr_int(m, y, "output_width", size);
    attr_int(m, y, "sampling_ratio", 2);
    make_attr(m, y, (struct attr){.name = "spatial_scale", .type = ATTR_FLOAT, .count = 1, .u.f = scale});
    return y;
}

static struct value *joined(struct maker *m, struct value *a, struct value *b)
{
    struct value *y = make_node(m, "Concat", a, b, NULL);
    attr_int(m, y, "axis", 0);
    return y;
}

// As torchvision's MultiScaleRoIAlign is exported.
static struct value *of_levels(struct maker *m, struct value *x, const struct spotted *f)
{
    struct value *aligned[2], *rows[2];
    for (int i = 0; i < 2; i++) {
        struct value *here = make_node(m, "Equal", f->level, INTS(m, i), NULL);
        rows[i] = make_node(m, "Squeeze", make_node(m, "NonZero", here, NULL, NULL), INTS(m, 0), NULL);
        struct value *at = make_node(m, "Gather", f->at, rows[i], NULL);
        aligned[i] = align(m, features(m, x, 1 + i), at, pictures_of(m, rows[i]), 0.5F / (float)(1 + i));
        aligned[i] = make_node(m, "Cast", aligned[i], NULL, NULL);
        attr_int(m, aligned[i], "to", 1);
    }
    struct value *n = make_node(m, "Shape", f->level, NULL, NULL);
    struct value *y = make_node(m, "ConstantOfShape", joined(m, n, INTS(m, C, size, size)), NULL, NULL);
    for (int i = 0; i < 2; i++) {
        struct value *row = make_node(m, "Reshape", rows[i], INTS(m, -1, 1, 1, 1), NULL);
        struct value *index = make_node(m, "Expand", row, make_node(m, "Shape", aligned[i], NULL, NULL), NULL);
        y = make_node(m, "ScatterElements", y, index, aligned[i]);
    }
    return y;
}

static struct value *boxes_head(struct maker *m, struct value *y)
{
    y = make_node(m, "Flatten", y, NULL, NULL);
    y = make_node(m, "Gemm", y, make_weights(m, DIMS(C * size * size, 24), -0.2, 0.2),
                  make_weights(m, DIMS(24), -1, 1));
    y = make_node(m, "Gemm", make_node(m, "Relu", y, NULL, NULL), make_weights(m, DIMS(24, 11), -0.2, 0.2), NULL);
    y = make_node(m, "Softmax", y, NULL, NULL);
    attr_int(m, y, "axis", 1);
    return y;
}

static struct value *masks_head(struct maker *m, struct value *y)
{
    y = make_node(m, "Conv", y, make_weights(m, DIMS(24, C, 3, 3), -0.2, 0.2), make_weights(m, DIMS(24), -1, 1));
    ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    y = make_node(m, "Relu", y, NULL, NULL);
    y = make_node(m, "ConvTranspose", y, make_weights(m, DIMS(24, 5, 2, 2), -0.2, 0.2), NULL);
    ATTR_LIST(m, y, "strides", 2, 2);
    return make_node(m, "Sigmoid", y, NULL, NULL);
}

// The result of the graph whose output is y, and what was lowered. rows: at least, at most.
static void check_regions(struct maker *m, struct value *y, int64_t least, int64_t most, struct result *r)
{
    make_output(m, y);
    struct reel_tensor want = run_graph(m->graph, 5);
    CHECK_MSG(want.shape.dim[0] >= least && want.shape.dim[0] <= most, "%d rows", (int)want.shape.dim[0]);
    CHECK(run_lowered(m->graph, PRECISION_FP32, r));
    CHECK_MSG(reel_shape_equal(&r->out.shape, &want.shape) && tensor_difference(&r->out, &want) <= LOWER_LIMIT, "%s",
              r->dump);
    reel_tensor_fini(&want);
    graph_destroy(&m->graph);
}

static void several_pieces(void)
{
    for (int masks = 0; masks < 2; masks++) {
        size = masks ? 11 : 3;
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 3, H, W));
        const struct spotted f = find(&m, x, 0.3);
        struct value *y = of_levels(&m, x, &f);
        y = masks ? masks_head(&m, y) : boxes_head(&m, y);
        struct result r;
        check_regions(&m, y, 129, TABLE, &r);
        CHECK_HAS(r.dump, "regions");
        CHECK_HAS(r.dump, "extents");
        CHECK_MSG(!strstr(r.dump, masks ? "Conv             on" : "Gemm             on"), "%s", r.dump);
        CHECK_MSG(!strstr(r.dump, "ScatterElements  on") && !strstr(r.dump, "RoiAlign         on"), "%s", r.dump);
        CHECK_HAS(r.dump, "which wait for the device 2 times");
        result_fini(&r);
    }
}

static void no_regions(void)
{
    size = 3;
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, H, W));
    const struct spotted f = find(&m, x, 2);
    struct result r;
    check_regions(&m, boxes_head(&m, of_levels(&m, x, &f)), 0, 0, &r);
    CHECK_HAS(r.dump, "regions");
    result_fini(&r);
}

// The device's own work behind the regions is done once, also where there are none.
static void work_behind(void)
{
    size = 3;
    for (int none = 0; none < 2; none++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 3, H, W));
        const struct spotted f = find(&m, x, none ? 2 : 0.3);
        struct value *n = make_node(&m, "Cast", make_node(&m, "Shape", f.chosen, NULL, NULL), NULL, NULL);
        attr_int(&m, n, "to", 1);
        n = make_node(&m, "Add", n, make_scalar(&m, 1), NULL);
        struct value *boxes = boxes_head(&m, of_levels(&m, x, &f));
        struct value *y = make_node(&m, "Mul", features(&m, x, 1), n, NULL);
        for (int i = 0; i < 3; i++) y = make_node(&m, "Conv", y, make_weights(&m, DIMS(16, 16, 1, 1), -0.2, 0.2), NULL);
        make_output(&m, y);
        struct result r;
        check_regions(&m, boxes, 1, 1, &r);
        CHECK_HAS(r.dump, "regions");
        result_fini(&r);
    }
}

// One level, as in networks without a pyramid; what reads the features across rows gets them.
static void one_level(void)
{
    size = 3;
    for (int across = 0; across < 2; across++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 3, H, W));
        const struct spotted f = find(&m, x, 0.3);
        struct value *y = align(&m, features(&m, x, 1), f.at, pictures_of(&m, f.chosen), 0.5F);
        if (across) {
            y = make_node(&m, "ReduceMax", make_node(&m, "Neg", y, NULL, NULL), INTS(&m, 0), NULL);
        } else {
            y = make_node(&m, "GlobalAveragePool", make_node(&m, "Abs", y, NULL, NULL), NULL, NULL);
            y = make_node(&m, "Reshape", y, INTS(&m, -1, C), NULL);
            y = make_node(&m, "MatMul", y, make_weights(&m, DIMS(C, 5), -1, 1), NULL);
        }
        struct result r;
        check_regions(&m, y, 1, TABLE, &r);
        CHECK_HAS(r.dump, "regions");
        CHECK_MSG(across == (strstr(r.dump, "ReduceMax        on") != NULL), "%s", r.dump);
        CHECK_MSG(!strstr(r.dump, across ? "Neg              on" : "MatMul           on"), "%s", r.dump);
        result_fini(&r);
    }
}

// Of two levels that name the same region the last one is scattered last.
static void named_twice(void)
{
    size = 3;
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, H, W));
    struct spotted f = find(&m, x, 0.3);
    f.level = make_node(&m, "Mul", f.level, INTS(&m, 0), NULL); // all are of level 0
    struct value *y = of_levels(&m, x, &f);
    struct node *scatter = y->producer, *expand = scatter->in[1]->producer;
    // the second level's rows are the first one's as well
    struct value *rows = expand->in[0]->producer->in[0];
    struct node *here = rows->producer->in[0]->producer->in[0]->producer;
    graph_set_input(m.graph, here, 1, INTS(&m, 0));
    struct result r;
    check_regions(&m, boxes_head(&m, y), 129, TABLE, &r);
    result_fini(&r);
}

LOWER_MAIN({"several pieces", several_pieces}, {"no regions", no_regions}, {"work behind", work_behind},
           {"one level", one_level}, {"named twice", named_twice})
