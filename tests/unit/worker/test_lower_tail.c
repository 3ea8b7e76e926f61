// SPDX-License-Identifier: MIT
//
// The tail of a network behind results whose size depends on data: all that does not depend
// on them goes first, and the host waits for the device once.
#include "tests/unit/worker/lower_case.h"

enum { H = 12, W = 20, C = 4 };

// The scores of a level of a detector: (N), and which of them are above a limit.
static struct value *level(struct maker *m, struct value *x, int64_t stride, struct value **out_chosen)
{
    struct value *y = make_node(m, "Conv", x, make_weights(m, DIMS(C, 3, 3, 3), -0.5, 0.5), NULL);
    ATTR_LIST(m, y, "pads", 1, 1, 1, 1);
    ATTR_LIST(m, y, "strides", stride, stride);
    y = make_node(m, "Reshape", make_node(m, "Sigmoid", y, NULL, NULL), INTS(m, -1), NULL);
    struct value *some = make_node(m, "NonZero", make_node(m, "Greater", y, make_scalar(m, 0.55), NULL), NULL, NULL);
    *out_chosen = make_node(m, "Squeeze", some, INTS(m, 0), NULL);
    return y;
}

// The best of them, at most 40: the number is found as torchvision's detectors find it.
static struct value *best(struct maker *m, struct value *scores, struct value *chosen)
{
    struct value *few = make_node(m, "Gather", scores, chosen, NULL);
    struct value *counts = make_node(m, "Concat", INTS(m, 40), make_node(m, "Shape", few, NULL, NULL), NULL);
    attr_int(m, counts, "axis", 0);
    struct value *k = make_node(m, "ReduceMin", counts, NULL, NULL), *top[2];
    node_of(m, NULL, "TopK", (struct value *[]){few, k}, 2, top, 2);
    return top[0];
}

static int occurrences(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++) n++;
    return n;
}

// The many small copies that a tail needs are one, whatever else reads what they bring.
static void one_copy(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, H, W)), *all = NULL, *pictures = NULL;
    for (int i = 0; i < 5; i++) {
        struct value *chosen, *scores = level(&m, x, 1 + i % 3, &chosen), *top = best(&m, scores, chosen);
        if (all) {
            all = make_node(&m, "Concat", all, top, NULL);
            attr_int(&m, all, "axis", 0);
        }
        all = all ? all : top;
        // a sum on the device, which reads some of the scores after they were to be copied
        struct value *sum = make_node(&m, "ReduceMax", make_node(&m, "Sqrt", scores, NULL, NULL), INTS(&m, 0), NULL);
        pictures = pictures ? make_node(&m, "Add", pictures, sum, NULL) : sum;
    }
    struct value *y = make_node(&m, "Concat", all, make_node(&m, "Reshape", pictures, INTS(&m, 1), NULL), NULL);
    attr_int(&m, y, "axis", 0);
    make_output(&m, y);
    struct reel_tensor want = run_graph(m.graph, 5);
    struct result r;
    CHECK(run_lowered(m.graph, PRECISION_FP32, &r));
    CHECK_MSG(reel_shape_equal(&r.out.shape, &want.shape) && tensor_difference(&r.out, &want) <= LOWER_LIMIT, "%s",
              r.dump);
    CHECK_HAS(r.dump, "which wait for the device 1 times");
    CHECK_INT(occurrences(r.dump, "download"), 1);
    result_fini(&r);
    reel_tensor_fini(&want);
    graph_destroy(&m.graph);
}

static void one_wait(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, H, W)), *level_best[2];
    for (int i = 0; i < 2; i++) {
        struct value *chosen, *scores = level(&m, x, 1 + i, &chosen);
        level_best[i] = best(&m, scores, chosen);
    }
    struct value *y = make_node(&m, "Concat", level_best[0], level_best[1], NULL);
    attr_int(&m, y, "axis", 0);
    make_output(&m, y);
    struct reel_tensor want = run_graph(m.graph, 5);
    CHECK_INT(want.shape.ndim, 1);
    CHECK(want.shape.dim[0] > 40 && want.shape.dim[0] <= 80);
    struct result r;
    CHECK(run_lowered(m.graph, PRECISION_FP32, &r));
    CHECK_MSG(tensor_difference(&r.out, &want) <= LOWER_LIMIT, "%s", r.dump);
    CHECK_HAS(r.dump, "which wait for the device 1 times");
    // every copy and every step of the device stands before the first of the host
    const char *first = strstr(r.dump, "on the host  ");
    CHECK(first && strstr(r.dump, "download"));
    CHECK_MSG(!strstr(first, "download") && !strstr(first, "upload") && !strstr(first, "plan  "), "%s", r.dump);
    result_fini(&r);
    reel_tensor_fini(&want);
    graph_destroy(&m.graph);
}

// Pictures that the tail reads are put into rows one after another, and copied together behind
// the last: each must still be there.
static void pictures_together(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, H, W)), *y = NULL, *chosen;
    level(&m, x, 1, &chosen);
    struct value *row = make_node(&m, "Mod", chosen, INTS(&m, H - 2), NULL);
    for (int i = 0; i < 4; i++) {
        struct value *z = make_node(&m, "Conv", x, make_weights(&m, DIMS(16, 3, 3, 3), -0.5, 0.5), NULL);
        z = make_node(&m, "Conv", z, make_weights(&m, DIMS(16, 16, 1, 1), -0.5, 0.5), NULL);
        z = make_node(&m, "Gather", z, row, NULL);
        attr_int(&m, z, "axis", 2);
        y = y ? make_node(&m, "Sub", z, y, NULL) : z;
    }
    make_output(&m, y);
    struct reel_tensor want = run_graph(m.graph, 5);
    struct result r;
    CHECK(run_lowered(m.graph, PRECISION_FP32, &r));
    CHECK_MSG(reel_shape_equal(&r.out.shape, &want.shape) && tensor_difference(&r.out, &want) <= LOWER_LIMIT, "%s",
              r.dump);
    CHECK_INT(occurrences(r.dump, "download"), 1);
    CHECK_MSG(occurrences(r.dump, "from nhwc") >= 4, "%s", r.dump);
    result_fini(&r);
    reel_tensor_fini(&want);
    graph_destroy(&m.graph);
}

// What the host found goes back to the device where pictures depend on it.
static void back_to_the_device(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(1, 3, H, W)), *chosen;
    level(&m, x, 1, &chosen);
    struct value *n = make_node(&m, "Cast", make_node(&m, "Shape", chosen, NULL, NULL), NULL, NULL);
    attr_int(&m, n, "to", 1);
    n = make_node(&m, "Div", n, make_scalar(&m, H * W * C), NULL);
    struct value *y = make_node(&m, "Conv", x, make_weights(&m, DIMS(16, 3, 3, 3), -0.5, 0.5), NULL);
    y = make_node(&m, "Conv", make_node(&m, "Mul", y, n, NULL), make_weights(&m, DIMS(3, 16, 1, 1), -1, 1), NULL);
    make_output(&m, y);
    struct reel_tensor want = run_graph(m.graph, 5);
    struct result r;
    CHECK(run_lowered(m.graph, PRECISION_FP32, &r));
    CHECK_MSG(tensor_difference(&r.out, &want) <= LOWER_LIMIT, "%s", r.dump);
    CHECK_HAS(r.dump, "which wait for the device 1 times");
    CHECK_HAS(r.dump, "upload");
    result_fini(&r);
    reel_tensor_fini(&want);
    graph_destroy(&m.graph);
}

// Of a large mask the device says what is set: the mask stays there, and so do the scores that
// are read at its places alone (RetinaNet); in two dimensions, or with nothing read there (kind 2).
static void large_masks(void)
{
    for (int kind = 0; kind < 3; kind++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(1, 3, 150, 150));
        struct value *y = make_node(&m, "Conv", x, make_weights(&m, DIMS(C, 3, 3, 3), -0.5, 0.5), NULL);
        y = make_node(&m, "Sigmoid", y, NULL, NULL);
        y = make_node(&m, "Reshape", y, kind ? INTS(&m, C, -1) : INTS(&m, -1), NULL);
        struct value *mask = make_node(&m, "Greater", y, make_scalar(&m, 0.8), NULL);
        struct value *places = make_node(&m, "Transpose", make_node(&m, "NonZero", mask, NULL, NULL), NULL, NULL);
        make_attr_ints(&m, places, "perm", 2, (const int64_t[]){1, 0});
        struct value *z = places;
        if (kind < 2) z = make_node(&m, "GatherND", y, places, NULL);
        if (kind == 2) z = make_node(&m, "Cast", z, NULL, NULL), attr_int(&m, z, "to", 1);
        make_output(&m, z);
        struct reel_tensor want = run_graph(m.graph, 5);
        CHECK(want.shape.dim[0] > 10 && want.shape.dim[0] < C * 148 * 148 / 2);
        struct result r;
        CHECK(run_lowered(m.graph, PRECISION_FP32, &r));
        CHECK_MSG(reel_shape_equal(&r.out.shape, &want.shape) && tensor_difference(&r.out, &want) <= LOWER_LIMIT, "%s",
                  r.dump);
        CHECK_HAS(r.dump, "NonZero          find");
        CHECK_HAS(r.dump, "which wait for the device 1 times");
        CHECK_MSG(!strstr(r.dump, "download"), "%s", r.dump);
        result_fini(&r);
        reel_tensor_fini(&want);
        graph_destroy(&m.graph);
    }
}

LOWER_MAIN({"large masks", large_masks}, {"one wait", one_wait}, {"one copy", one_copy},
           {"pictures together", pictures_together}, {"back to the device", back_to_the_device})
