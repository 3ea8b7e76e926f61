// SPDX-License-Identifier: MIT
//
// Quantisation: rounding, saturation, the shapes of scales.
#include "tests/unit/worker/op_case.h"

static void quantising_rounds_to_even_and_saturates(void)
{
    struct op_case c = op_case("QuantizeLinear", 13);
    op_input(&c, REEL_F32, SHAPE(6), (double[]){1, 3, 5, -1, 1e30, NAN});
    op_input(&c, REEL_F32, SCALAR, (double[]){2});
    op_input(&c, REEL_I8, SCALAR, (double[]){10});
    CHECK(op_result(&c, REEL_I8, SHAPE(6), (double[]){10, 12, 12, 10, 127, -128}));
}

static void scales_go_by_axis_or_block(void)
{
    struct op_case c = op_case("DequantizeLinear", 13);
    op_input(&c, REEL_U8, SHAPE(1, 2, 2), (double[]){1, 2, 3, 4});
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, 10});
    op_input(&c, REEL_U8, SHAPE(2), (double[]){1, 0});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2, 2), (double[]){0, 1, 30, 40}));

    c = op_case("DequantizeLinear", 21); // blocks of 2 along 3: the last one short
    op_input(&c, REEL_I16, SHAPE(2, 3), (double[]){1, 2, 3, 4, 5, 6});
    op_input(&c, REEL_F16, SHAPE(2, 2), (double[]){1, 10, 100, 2});
    op_attr_int(&c, "axis", 1);
    op_attr_int(&c, "block_size", 2);
    CHECK(op_result(&c, REEL_F16, SHAPE(2, 3), (double[]){1, 2, 30, 400, 500, 12}));

    c = op_case("QuantizeLinear", 21); // along the first axis
    op_input(&c, REEL_F32, SHAPE(2, 2), (double[]){2, 3, 4, 9});
    op_input(&c, REEL_F32, SHAPE(1, 2), (double[]){1, 3});
    op_attr_int(&c, "axis", 0);
    op_attr_int(&c, "block_size", 2);
    op_attr_int(&c, "output_dtype", 4); // uint16
    CHECK(op_result(&c, REEL_U16, SHAPE(2, 2), (double[]){2, 1, 4, 3}));

    c = op_case("QuantizeLinear", 13);
    op_input(&c, REEL_F32, SHAPE(2, 2), (double[]){2, 3, 4, 9});
    op_input(&c, REEL_F32, SHAPE(3), (double[]){1, 3, 5});
    CHECK(op_refused(&c, "does not fit axis 1"));
}

static void dynamic_range_always_holds_zero(void)
{
    struct op_case c = op_case("DynamicQuantizeLinear", 11);
    c.n_out = 3;
    op_input(&c, REEL_F32, SHAPE(2), (double[]){2.55f, 1.0f});
    CHECK(op_case_run(&c) == REEL_OK);
    CHECK(op_output(&c, 0, REEL_U8, SHAPE(2), (double[]){255, 100}));
    CHECK(op_output(&c, 2, REEL_U8, SCALAR, (double[]){0}));
    op_case_fini(&c);
}

static void quantised_product_rounds_once(void)
{
    struct op_case c = op_case("QLinearMatMul", 10);
    op_input(&c, REEL_U8, SHAPE(1, 2), (double[]){3, 5});
    op_input(&c, REEL_F32, SCALAR, (double[]){0.5});
    op_input(&c, REEL_U8, SCALAR, (double[]){1});
    op_input(&c, REEL_U8, SHAPE(2, 1), (double[]){4, 2});
    op_input(&c, REEL_F32, SCALAR, (double[]){1});
    op_input(&c, REEL_U8, SCALAR, (double[]){1});
    op_input(&c, REEL_F32, SCALAR, (double[]){2});
    op_input(&c, REEL_U8, SCALAR, (double[]){7});
    CHECK(op_result(&c, REEL_U8, SHAPE(1, 1), (double[]){9})); // (2*3 + 4*1) / 4 = 2.5 -> 2, + 7
}

CHECK_MAIN({"quantising_rounds_to_even_and_saturates", quantising_rounds_to_even_and_saturates},
           {"scales_go_by_axis_or_block", scales_go_by_axis_or_block},
           {"dynamic_range_always_holds_zero", dynamic_range_always_holds_zero},
           {"quantised_product_rounds_once", quantised_product_rounds_once})
