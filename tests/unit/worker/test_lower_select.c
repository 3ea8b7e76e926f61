// SPDX-License-Identifier: MIT
//
// Operators of the GPU backend that pick, place and order elements: the largest, scattered updates,
// running sums, triangles. Each in a small network, by the kernels' twins (lower_case.h).
#include "tests/unit/worker/lower_nodes.h"

static void the_largest(void)
{
    for (int i = 0; i < 8; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(3, 40, 5)), *out[2];
        NODE(&m, "TopK", out, x, INTS(&m, i & 4 ? 5 : 7));
        attr_int(&m, out[0], "axis", i & 4 ? -1 : 1);
        attr_int(&m, out[0], "largest", (i & 2) != 0);
        make_output(&m, i & 1 ? as_floats(&m, out[1]) : out[0]);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "top k");
    }
}

// Of 64-bit numbers, in columns of several tiles.
static void the_largest_of_many(void)
{
    for (int i = 0; i < 3; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(2, 20000)), *out[2];
        x->dtype = i == 0 ? REEL_F32 : i == 1 ? REEL_I64 : REEL_F64;
        NODE(&m, "TopK", out, x, INTS(&m, 40));
        make_output(&m, as_floats(&m, out[1]));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "top k");
    }
}

// k as exporters write it: of a constant and an extent, known with the shapes.
static void as_many_as_there_are(void)
{
    for (int i = 0; i < 2; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(2, 30)), *out[2], *at[1];
        NODE(&m, "Gather", at, make_node(&m, "Shape", x, NULL, NULL), INTS(&m, 1));
        NODE(&m, "TopK", out, x, make_node(&m, "Min", at[0], INTS(&m, i ? 100 : 7), NULL));
        make_output(&m, make_node(&m, "Add", out[0], as_floats(&m, out[1]), NULL));
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "top k");
    }
}

// As a detector does it: the best boxes of all, by their scores.
static void boxes_of_the_best_scores(void)
{
    struct maker m = maker();
    char dump[16384];
    struct value *boxes = make_input(&m, "boxes", DIMS(2, 30, 4)), *scores = make_input(&m, "scores", DIMS(2, 30));
    struct value *at = positions(&m, scores, 6, false), *out[1];
    struct value *rows = NODE(&m, "GatherND", out, boxes, make_node(&m, "Unsqueeze", at, INTS(&m, 2), NULL));
    attr_int(&m, rows, "batch_dims", 1);
    struct value *same =
        make_node(&m, "Expand", make_node(&m, "Unsqueeze", at, INTS(&m, 2), NULL), INTS(&m, 2, 6, 4), NULL);
    struct value *elements = make_node(&m, "GatherElements", boxes, same, NULL);
    attr_int(&m, elements, "axis", 1);
    make_output(&m, make_node(&m, "Mul", rows, elements, NULL));
    CHECK_RIGHT(&m, 0, dump);
    CHECK_HAS(dump, "GatherND         gather");
    CHECK_HAS(dump, "GatherElements   gather");
}

static void scattered(void)
{
    static const char *const how[] = {"none", "add", "mul", "max", "min"};
    for (int i = 0; i < 10; i++) {
        struct maker m = maker();
        char dump[16384];
        struct value *x = make_input(&m, "x", DIMS(9, 6)), *by = make_input(&m, "by", DIMS(4, 6)), *y;
        struct value *at = positions(&m, by, 4, i & 1); // (4,4): columns, many of them twice
        struct value *out[1], *updates[1];
        NODE(&m, "Slice", updates, by, INTS(&m, 0), INTS(&m, i < 5 ? 4 : 2), INTS(&m, 1));
        if (i < 5) {
            y = NODE(&m, "ScatterElements", out, x, at, updates[0]);
            attr_int(&m, y, "axis", 0);
        } else if (i < 9) { // rows and columns
            struct value *pairs = make_node(&m, "Reshape", at, INTS(&m, 8, 2), NULL);
            y = NODE(&m, "ScatterND", out, x, pairs, make_node(&m, "Reshape", updates[0], INTS(&m, 8), NULL));
        } else { // whole rows
            struct value *rows = make_node(&m, "Reshape", at, INTS(&m, 16, 1), NULL);
            y = NODE(&m, "ScatterND", out, x, rows, make_node(&m, "Tile", by, INTS(&m, 4, 1), NULL));
        }
        attr_text(&m, y, "reduction", how[i % 5]);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, dump);
        CHECK_HAS(dump, "scatter");
    }
}

static void one_of_many(void)
{
    for (int i = 0; i < 3; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(4, 6)), *out[1], *y;
        if (i < 2) {
            struct value *depth = INTS(&m, 6);
            y = NODE(&m, "OneHot", out, positions(&m, x, 3, false), depth, make_weights(&m, DIMS(2), -1, 1));
            attr_int(&m, y, "axis", i ? 1 : -1);
        } else {
            y = make_node(&m, "Hardmax", x, NULL, NULL);
        }
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void prefixes(void)
{
    for (int i = 0; i < 16; i++) {
        struct maker m = maker();
        struct value *x = make_input(&m, "x", DIMS(2, 3, 11, 4)), *y;
        m.graph->opset = 26;
        y = make_node(&m, i & 8 ? "CumProd" : "CumSum", x, INTS(&m, i & 4 ? 2 : -1), NULL);
        attr_int(&m, y, "exclusive", i & 1);
        attr_int(&m, y, "reverse", i >> 1 & 1);
        make_output(&m, y);
        CHECK_RIGHT(&m, 0, NULL);
    }
}

static void triangles_and_reversals(void)
{
    struct maker m = maker();
    struct value *x = make_input(&m, "x", DIMS(5, 3, 4)), *out[1];
    struct value *low = make_node(&m, "Trilu", x, INTS(&m, -1), NULL), *up = make_node(&m, "Trilu", x, NULL, NULL);
    attr_int(&m, low, "upper", 0);
    struct value *turned = NODE(&m, "ReverseSequence", out, make_node(&m, "Sub", low, up, NULL), INTS(&m, 5, 0, 3));
    struct value *flat = make_node(&m, "Reshape", x, INTS(&m, 15, 4), NULL);
    struct value *eye = make_node(&m, "EyeLike", flat, NULL, NULL);
    attr_int(&m, eye, "k", -2);
    make_output(&m, make_node(&m, "Add", turned, make_node(&m, "Reshape", eye, INTS(&m, 5, 3, 4), NULL), NULL));
    CHECK_RIGHT(&m, 0, NULL);
}

CHECK_MAIN({"the largest", the_largest}, {"the largest of many", the_largest_of_many},
           {"boxes of the best scores", boxes_of_the_best_scores}, {"as many as there are", as_many_as_there_are},
           {"scattered", scattered}, {"one of many", one_of_many}, {"prefixes", prefixes},
           {"triangles and reversals", triangles_and_reversals})
