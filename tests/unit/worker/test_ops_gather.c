// SPDX-License-Identifier: MIT
//
// Operators whose positions are data: negative and wrong indices, duplicates,
// orders, with results worked out by hand.
#include "tests/unit/worker/op_case.h"

static const double six[] = {1, 2, 3, 4, 5, 6};

static void gather_counts_from_the_end(void)
{
    struct op_case c = op_case("Gather", 13);
    op_input(&c, REEL_F32, SHAPE(2, 3), six);
    op_input(&c, REEL_I32, SHAPE(1, 2), (double[]){-1, 0});
    op_attr_int(&c, "axis", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 1, 2), (double[]){3, 1, 6, 4}));

    c = op_case("Gather", 13); // a scalar index takes the axis away
    op_input(&c, REEL_I64, SHAPE(2, 3), six);
    op_input(&c, REEL_I64, SCALAR, (double[]){1});
    CHECK(op_result(&c, REEL_I64, SHAPE(3), (double[]){4, 5, 6}));

    static const double wrong[] = {2, -3, 0x1p40};
    for (int i = 0; i < 3; i++) {
        c = op_case("Gather", 13);
        op_input(&c, REEL_F32, SHAPE(2, 3), six);
        op_input(&c, REEL_I64, SHAPE(1), &wrong[i]);
        CHECK(op_refused(&c, "out of range"));
    }
}

static void elements_may_be_fewer_than_data(void)
{
    struct op_case c = op_case("GatherElements", 13);
    op_input(&c, REEL_F32, SHAPE(2, 3), six);
    op_input(&c, REEL_I64, SHAPE(1, 2), (double[]){1, -2});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2), (double[]){4, 2}));

    c = op_case("ScatterElements", 18);
    op_input(&c, REEL_F16, SHAPE(3), six);
    op_input(&c, REEL_I64, SHAPE(3), (double[]){0, 0, -1});
    op_input(&c, REEL_F16, SHAPE(3), (double[]){10, 20, 30});
    op_attr_text(&c, "reduction", "add");
    CHECK(op_result(&c, REEL_F16, SHAPE(3), (double[]){31, 2, 33}));

    c = op_case("ScatterElements", 18); // longer than the data off the axis
    op_input(&c, REEL_F32, SHAPE(1, 2), six);
    op_input(&c, REEL_I64, SHAPE(2, 1), (double[]){0, 0});
    op_input(&c, REEL_F32, SHAPE(2, 1), six);
    op_attr_int(&c, "axis", 1);
    CHECK(op_refused(&c, "longer"));
}

static void nd_indices_name_blocks(void)
{
    struct op_case c = op_case("GatherND", 12);
    op_input(&c, REEL_F32, SHAPE(2, 3), six);
    op_input(&c, REEL_I64, SHAPE(2, 1), (double[]){2, -3});
    op_attr_int(&c, "batch_dims", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(2), (double[]){3, 4}));

    c = op_case("ScatterND", 18);
    op_input(&c, REEL_I32, SHAPE(2, 3), six);
    op_input(&c, REEL_I64, SHAPE(2, 1), (double[]){-1, 1});
    op_input(&c, REEL_I32, SHAPE(2, 3), (double[]){9, 0, 9, 0, 7, 0});
    op_attr_text(&c, "reduction", "max");
    CHECK(op_result(&c, REEL_I32, SHAPE(2, 3), (double[]){1, 2, 3, 9, 7, 9}));

    c = op_case("GatherND", 12);
    op_input(&c, REEL_F32, SHAPE(2, 3), six);
    op_input(&c, REEL_I64, SHAPE(1, 3), (double[]){0, 0, 0});
    CHECK(op_refused(&c, "point into rank"));
}

static void one_hot_leaves_strangers_off(void)
{
    struct op_case c = op_case("OneHot", 11);
    op_input(&c, REEL_F32, SHAPE(4), (double[]){0, -1, 3, -4});
    op_input(&c, REEL_F32, SCALAR, (double[]){3});
    op_input(&c, REEL_I32, SHAPE(2), (double[]){-1, 7});
    op_attr_int(&c, "axis", 0);
    CHECK(op_result(&c, REEL_I32, SHAPE(3, 4), (double[]){7, -1, -1, -1, -1, -1, -1, -1, -1, 7, -1, -1}));
}

static void nonzero_lists_coordinates(void)
{
    struct op_case c = op_case("NonZero", 13);
    op_input(&c, REEL_F32, SHAPE(2, 2), (double[]){0, NAN, -0.0, 3});
    CHECK(op_result(&c, REEL_I64, SHAPE(2, 2), (double[]){0, 1, 1, 1}));

    c = op_case("NonZero", 13); // ONNX keeps the rank of a scalar: no row
    op_input(&c, REEL_F32, SCALAR, (double[]){5});
    CHECK(op_result(&c, REEL_I64, SHAPE(0, 1), NULL));
}

static void compress_with_a_short_condition(void)
{
    struct op_case c = op_case("Compress", 11);
    op_input(&c, REEL_F32, SHAPE(2, 3), six);
    op_input(&c, REEL_BOOL, SHAPE(2), (double[]){0, 1});
    op_attr_int(&c, "axis", -1);
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 1), (double[]){2, 5}));

    c = op_case("Compress", 11);
    op_input(&c, REEL_F32, SHAPE(2), six);
    op_input(&c, REEL_BOOL, SHAPE(3), (double[]){0, 0, 1});
    CHECK(op_refused(&c, "chosen"));
}

static void unique_in_both_orders(void)
{
    for (int sorted = 0; sorted < 2; sorted++) {
        struct op_case c = op_case("Unique", 11);
        op_input(&c, REEL_I16, SHAPE(6), (double[]){2, 1, 1, 3, 4, 3});
        op_attr_int(&c, "sorted", sorted);
        c.n_out = 4;
        CHECK(!op_case_run(&c));
        const double values[2][4] = {{2, 1, 3, 4}, {1, 2, 3, 4}}, first[2][4] = {{0, 1, 3, 4}, {1, 0, 3, 4}};
        const double inverse[2][6] = {{0, 1, 1, 2, 3, 2}, {1, 0, 0, 2, 3, 2}},
                     count[2][4] = {{1, 2, 2, 1}, {2, 1, 2, 1}};
        CHECK(op_output(&c, 0, REEL_I16, SHAPE(4), values[sorted]));
        CHECK(op_output(&c, 1, REEL_I64, SHAPE(4), first[sorted]));
        CHECK(op_output(&c, 2, REEL_I64, SHAPE(6), inverse[sorted]));
        CHECK(op_output(&c, 3, REEL_I64, SHAPE(4), count[sorted]));
        op_case_fini(&c);
    }
    struct op_case c = op_case("Unique", 11); // columns as wholes
    op_input(&c, REEL_F32, SHAPE(2, 3), (double[]){1, 0, 1, 2, 5, 2});
    op_attr_int(&c, "axis", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 2), (double[]){0, 1, 5, 2}));
}

static void triangles_and_diagonals(void)
{
    const double nine[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct op_case c = op_case("Trilu", 14);
    op_input(&c, REEL_I64, SHAPE(3, 3), nine);
    op_input(&c, REEL_I64, SCALAR, (double[]){-1});
    CHECK(op_result(&c, REEL_I64, SHAPE(3, 3), (double[]){1, 2, 3, 4, 5, 6, 0, 8, 9}));

    c = op_case("Trilu", 14);
    op_input(&c, REEL_F32, SHAPE(3, 3), nine);
    op_input(&c, REEL_I64, SCALAR, (double[]){-0x1p63});
    op_attr_int(&c, "upper", 0);
    CHECK(op_result(&c, REEL_F32, SHAPE(3, 3), (double[9]){0}));

    c = op_case("EyeLike", 9);
    op_input(&c, REEL_I32, SHAPE(2, 3), six);
    op_attr_int(&c, "dtype", 10);
    op_attr_int(&c, "k", 1);
    CHECK(op_result(&c, REEL_F16, SHAPE(2, 3), (double[]){0, 1, 0, 0, 0, 1}));
}

static void tensor_scatter_wraps_around(void)
{
    struct op_case c = op_case("TensorScatter", 24);
    op_input(&c, REEL_F32, SHAPE(1, 3, 1), (double[]){1, 2, 3});
    op_input(&c, REEL_F32, SHAPE(1, 2, 1), (double[]){8, 9});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){2});
    op_attr_text(&c, "mode", "circular");
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 3, 1), (double[]){9, 2, 8}));

    c = op_case("TensorScatter", 24);
    op_input(&c, REEL_F32, SHAPE(1, 3, 1), (double[]){1, 2, 3});
    op_input(&c, REEL_F32, SHAPE(1, 2, 1), (double[]){8, 9});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){2});
    CHECK(op_refused(&c, "out of range"));
}

CHECK_MAIN({"gather counts from the end", gather_counts_from_the_end},
           {"elements may be fewer than data", elements_may_be_fewer_than_data},
           {"n-d indices name blocks", nd_indices_name_blocks},
           {"one-hot leaves strangers off", one_hot_leaves_strangers_off},
           {"nonzero lists coordinates", nonzero_lists_coordinates},
           {"compress with a short condition", compress_with_a_short_condition},
           {"unique in both orders", unique_in_both_orders}, {"triangles and diagonals", triangles_and_diagonals},
           {"tensor scatter wraps around", tensor_scatter_wraps_around})
