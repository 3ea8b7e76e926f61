// SPDX-License-Identifier: MIT
//
// Elementwise operators where their semantics are easily got wrong, with
// results worked out by hand from the ONNX specification.
#include "tests/unit/worker/op_case.h"

#include "kernels/math.h"

static void broadcasting_merges_and_repeats(void)
{
    struct op_case c = op_case("Add", 14);
    op_input(&c, REEL_F32, SHAPE(2, 1, 2), (double[]){1, 2, 3, 4});
    op_input(&c, REEL_F32, SHAPE(3, 1), (double[]){10, 20, 30});
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 3, 2), (double[]){11, 12, 21, 22, 31, 32, 13, 14, 23, 24, 33, 34}));

    c = op_case("Mul", 14); // an empty extent stays empty
    op_input(&c, REEL_F32, SHAPE(0, 2), NULL);
    op_input(&c, REEL_F32, SHAPE(1), (double[]){2});
    CHECK(op_result(&c, REEL_F32, SHAPE(0, 2), NULL));

    c = op_case("Add", 14);
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, 2});
    op_input(&c, REEL_F32, SHAPE(3), (double[]){1, 2, 3});
    CHECK(op_refused(&c, "broadcast"));

    c = op_case("Add", 14);
    op_input(&c, REEL_F32, SHAPE(1), (double[]){1});
    op_input(&c, REEL_I32, SHAPE(1), (double[]){1});
    CHECK(op_refused(&c, "one type"));
}

// Opset 6: the second operand's first dimension lies at attribute axis.
static void old_broadcast_attribute(void)
{
    struct op_case c = op_case("Add", 6);
    op_input(&c, REEL_F32, SHAPE(1, 2, 2), (double[]){0, 0, 0, 0});
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, 2});
    op_attr_int(&c, "broadcast", 1);
    op_attr_int(&c, "axis", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2, 2), (double[]){1, 1, 2, 2}));
}

static void integers_wrap(void)
{
    struct op_case c = op_case("Mul", 14);
    op_input(&c, REEL_U16, SHAPE(1), (double[]){65535});
    op_input(&c, REEL_U16, SHAPE(1), (double[]){65535});
    CHECK(op_result(&c, REEL_U16, SHAPE(1), (double[]){1}));

    c = op_case("Div", 14); // truncates; the smallest over -1 wraps
    op_input(&c, REEL_I32, SHAPE(3), (double[]){-7, INT32_MIN, 7});
    op_input(&c, REEL_I32, SHAPE(3), (double[]){2, -1, -2});
    CHECK(op_result(&c, REEL_I32, SHAPE(3), (double[]){-3, INT32_MIN, -3}));

    c = op_case("Abs", 13);
    op_input(&c, REEL_I8, SHAPE(2), (double[]){-128, -5});
    CHECK(op_result(&c, REEL_I8, SHAPE(2), (double[]){-128, 5}));

    c = op_case("Cast", 13); // 200 does not fit int8: the high bits go
    op_input(&c, REEL_I16, SHAPE(1), (double[]){200});
    op_attr_int(&c, "to", 3);
    CHECK(op_result(&c, REEL_I8, SHAPE(1), (double[]){-56}));
}

static void mod_follows_divisor_or_dividend(void)
{
    const double a[] = {-4, 7, 5, 4, -7, 8}, b[] = {2, -3, 8, -2, 3, 5};
    struct op_case c = op_case("Mod", 13);
    op_input(&c, REEL_I64, SHAPE(6), a);
    op_input(&c, REEL_I64, SHAPE(6), b);
    CHECK(op_result(&c, REEL_I64, SHAPE(6), (double[]){0, -2, 5, 0, 2, 3}));

    c = op_case("Mod", 13);
    op_input(&c, REEL_I64, SHAPE(6), a);
    op_input(&c, REEL_I64, SHAPE(6), b);
    op_attr_int(&c, "fmod", 1);
    CHECK(op_result(&c, REEL_I64, SHAPE(6), (double[]){0, 1, 5, 0, -1, 3}));

    c = op_case("Mod", 28); // floor modulo of floats; x mod inf of other sign is inf
    op_input(&c, REEL_F32, SHAPE(3), (double[]){-5.5, 5.5, -1});
    op_input(&c, REEL_F32, SHAPE(3), (double[]){2, -2, INFINITY});
    CHECK(op_result(&c, REEL_F32, SHAPE(3), (double[]){0.5, -0.5, INFINITY}));
}

static void shifts_beyond_the_type(void)
{
    struct op_case c = op_case("BitShift", 28);
    op_input(&c, REEL_I8, SHAPE(4), (double[]){-8, -8, 8, -8});
    op_input(&c, REEL_I8, SHAPE(4), (double[]){1, 9, 9, -1});
    op_attr_text(&c, "direction", "RIGHT");
    CHECK(op_result(&c, REEL_I8, SHAPE(4), (double[]){-4, -1, 0, -1}));

    c = op_case("BitShift", 11);
    op_input(&c, REEL_U8, SHAPE(3), (double[]){255, 3, 1});
    op_input(&c, REEL_U8, SHAPE(3), (double[]){4, 8, 7});
    op_attr_text(&c, "direction", "LEFT");
    CHECK(op_result(&c, REEL_U8, SHAPE(3), (double[]){240, 0, 128}));
}

static void nan_passes_through_choices(void)
{
    static const char *const names[] = {"Relu", "LeakyRelu", "Elu", "Selu", "Sign", "ThresholdedRelu"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct op_case c = op_case(names[i], 16);
        op_input(&c, REEL_F32, SHAPE(1), (double[]){NAN});
        CHECK(op_result(&c, REEL_F32, SHAPE(1), (double[]){NAN}));
    }
    struct op_case c = op_case("Max", 13);
    op_input(&c, REEL_F32, SHAPE(3), (double[]){NAN, 1, 2});
    op_input(&c, REEL_F32, SHAPE(3), (double[]){1, NAN, 1});
    CHECK(op_result(&c, REEL_F32, SHAPE(3), (double[]){NAN, NAN, 2}));
}

static void clip_with_crossed_or_absent_bounds(void)
{
    struct op_case c = op_case("Clip", 13);
    op_input(&c, REEL_F32, SHAPE(3), (double[]){-2, 0, 6});
    op_input(&c, REEL_F32, SCALAR, (double[]){2});
    op_input(&c, REEL_F32, SCALAR, (double[]){1});
    CHECK(op_result(&c, REEL_F32, SHAPE(3), (double[]){1, 1, 1})); // the upper bound wins

    c = op_case("Clip", 12);
    op_input(&c, REEL_I8, SHAPE(3), (double[]){-2, 0, 6});
    op_absent(&c);
    op_input(&c, REEL_I8, SCALAR, (double[]){3});
    CHECK(op_result(&c, REEL_I8, SHAPE(3), (double[]){-2, 0, 3}));

    c = op_case("Clip", 6);
    op_input(&c, REEL_F16, SHAPE(3), (double[]){-2, 0.25, 6});
    op_attr_float(&c, "min", 0);
    op_attr_float(&c, "max", 1);
    CHECK(op_result(&c, REEL_F16, SHAPE(3), (double[]){0, 0.25, 1}));
}

static void pow_takes_mixed_types(void)
{
    struct op_case c = op_case("Pow", 15);
    op_input(&c, REEL_I32, SHAPE(3), (double[]){2, -3, 5});
    op_input(&c, REEL_F32, SHAPE(3), (double[]){10, 3, 0});
    CHECK(op_result(&c, REEL_I32, SHAPE(3), (double[]){1024, -27, 1}));

    c = op_case("Pow", 15); // as sqrt, but for -infinity and -0
    op_input(&c, REEL_F32, SHAPE(3), (double[]){4, -INFINITY, -1});
    op_input(&c, REEL_F32, SCALAR, (double[]){0.5});
    CHECK(op_result(&c, REEL_F32, SHAPE(3), (double[]){2, INFINITY, NAN}));
}

// 1 + 2^-11 + 2^-11 in binary16: rounded after each sum it stays 1.
static void halves_round_once(void)
{
    struct op_case c = op_case("Sum", 13);
    op_input(&c, REEL_F16, SHAPE(1), (double[]){1});
    op_input(&c, REEL_F16, SHAPE(1), (double[]){0x1p-11});
    op_input(&c, REEL_F16, SHAPE(1), (double[]){0x1p-11});
    CHECK(op_result(&c, REEL_F16, SHAPE(1), (double[]){1 + 0x1p-10}));

    c = op_case("Sigmoid", 13); // more elements than one piece of the conversion
    double x[2500], y[2500];
    for (int i = 0; i < 2500; i++) {
        x[i] = i % 7 - 3;
        y[i] = (double)reel_bf16_to_f32(reel_f32_to_bf16((float)(1 / (1 + exp(-x[i])))));
    }
    op_input(&c, REEL_BF16, SHAPE(2500), x);
    CHECK(op_result(&c, REEL_BF16, SHAPE(2500), y));
}

static void prelu_slope_must_fit_the_input(void)
{
    struct op_case c = op_case("PRelu", 9);
    op_input(&c, REEL_F32, SHAPE(1, 2, 2), (double[]){-1, 2, -3, 4});
    op_input(&c, REEL_F32, SHAPE(2, 1), (double[]){0.5, 0.25});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2, 2), (double[]){-0.5, 2, -0.75, 4}));

    c = op_case("PRelu", 6); // one slope per channel, whatever the rank
    op_input(&c, REEL_F32, SHAPE(1, 2, 1, 2), (double[]){-1, 2, -3, 4});
    op_input(&c, REEL_F32, SHAPE(2), (double[]){0.5, 0.25});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2, 1, 2), (double[]){-0.5, 2, -0.75, 4}));

    c = op_case("PRelu", 9);
    op_input(&c, REEL_F32, SHAPE(2), (double[]){-1, 2});
    op_input(&c, REEL_F32, SHAPE(2, 2), (double[]){1, 1, 1, 1});
    CHECK(op_refused(&c, "slope"));
}

static void casts_of_special_types(void)
{
    struct op_case c = op_case("Cast", 13);
    op_input(&c, REEL_F32, SHAPE(4), (double[]){0, -0.0, 0.25, NAN});
    op_attr_int(&c, "to", 9);
    CHECK(op_result(&c, REEL_BOOL, SHAPE(4), (double[]){0, 0, 1, 1}));

    c = op_case("Cast", 1); // the type by name
    op_input(&c, REEL_F32, SHAPE(2), (double[]){-1.9, 1.9});
    op_attr_text(&c, "to", "INT32");
    CHECK(op_result(&c, REEL_I32, SHAPE(2), (double[]){-1, 1}));

    c = op_case("Cast", 19); // complex64
    op_input(&c, REEL_F32, SHAPE(1), (double[]){1});
    op_attr_int(&c, "to", 14);
    CHECK(op_refused(&c, "element type 14"));

    c = op_case("Cast", 19); // float8e4m3fn: 9.7 is between 9 and 10, 448 is the largest
    op_input(&c, REEL_F32, SHAPE(3), (double[]){9.7, -470, 1e30});
    op_attr_int(&c, "to", 17);
    CHECK(op_result(&c, REEL_F8E4M3FN, SHAPE(3), (double[]){10, -448, 448}));
}

static void where_broadcasts_three(void)
{
    struct op_case c = op_case("Where", 16);
    op_input(&c, REEL_BOOL, SHAPE(2, 1), (double[]){1, 0});
    op_input(&c, REEL_I64, SHAPE(3), (double[]){1, 2, 3});
    op_input(&c, REEL_I64, SCALAR, (double[]){-1});
    CHECK(op_result(&c, REEL_I64, SHAPE(2, 3), (double[]){1, 2, 3, -1, -1, -1}));

    c = op_case("Where", 16);
    op_input(&c, REEL_BOOL, SHAPE(1), (double[]){1});
    op_absent(&c);
    op_input(&c, REEL_I64, SCALAR, (double[]){-1});
    CHECK(op_refused(&c, "missing"));
}

static void round_is_half_to_even(void)
{
    struct op_case c = op_case("Round", 11);
    op_input(&c, REEL_F32, SHAPE(6), (double[]){0.5, 1.5, 2.5, -0.5, -1.5, 2.4});
    CHECK(op_result(&c, REEL_F32, SHAPE(6), (double[]){0, 2, 2, 0, -2, 2}));
}

static void bias_gelu_adds_first(void)
{
    struct op_case c = op_case("BiasGelu", 1);
    c.domain = "com.microsoft";
    op_input(&c, REEL_F32, SHAPE(1, 2), (double[]){1, -2});
    op_input(&c, REEL_F32, SHAPE(2), (double[]){0.5, 1});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2), (double[]){(double)kern_gelu1_f32(1.5f), (double)kern_gelu1_f32(-1)}));
}

CHECK_MAIN({"broadcasting merges and repeats", broadcasting_merges_and_repeats},
           {"old broadcast attribute", old_broadcast_attribute}, {"integers wrap", integers_wrap},
           {"mod follows divisor or dividend", mod_follows_divisor_or_dividend},
           {"shifts beyond the type", shifts_beyond_the_type},
           {"NaN passes through choices", nan_passes_through_choices},
           {"clip with crossed or absent bounds", clip_with_crossed_or_absent_bounds},
           {"pow takes mixed types", pow_takes_mixed_types}, {"halves round once", halves_round_once},
           {"prelu slope must fit the input", prelu_slope_must_fit_the_input},
           {"casts of special types", casts_of_special_types}, {"where broadcasts three", where_broadcasts_three},
           {"round is half to even", round_is_half_to_even}, {"bias gelu adds first", bias_gelu_adds_first})
