// SPDX-License-Identifier: MIT
//
// Reductions, softmax and top-k where opsets and empty sets differ, with
// results worked out by hand.
#include "tests/unit/worker/op_case.h"

static const double six[] = {1, 2, 3, 4, 5, 6};

static void axes_by_attribute_and_input(void)
{
    struct op_case c = op_case("ReduceMean", 13);
    op_input(&c, REEL_F32, SHAPE(2, 3), six);
    op_attr_ints(&c, "axes", 1, (int64_t[]){-1});
    op_attr_int(&c, "keepdims", 0);
    CHECK(op_result(&c, REEL_F32, SHAPE(2), (double[]){2, 5}));

    c = op_case("ReduceSum", 13);
    op_input(&c, REEL_I32, SHAPE(2, 3), six);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){0});
    CHECK(op_result(&c, REEL_I32, SHAPE(1, 3), (double[]){5, 7, 9}));

    c = op_case("ReduceSum", 13);
    op_input(&c, REEL_I32, SHAPE(2), six);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){2});
    CHECK(op_refused(&c, "axis"));
}

// No axes: all of them, or none; then what is not the sum still happens.
static void no_axes_is_all_or_nothing(void)
{
    struct op_case c = op_case("ReduceSum", 13);
    op_input(&c, REEL_F32, SHAPE(2, 3), six);
    op_input(&c, REEL_I64, SHAPE(0), NULL);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1), (double[]){21}));

    c = op_case("ReduceSumSquare", 18);
    op_input(&c, REEL_F32, SHAPE(3), six);
    op_input(&c, REEL_I64, SHAPE(0), NULL);
    op_attr_int(&c, "noop_with_empty_axes", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(3), (double[]){1, 4, 9}));
}

static void empty_sets(void)
{
    static const struct {
        const char *name;
        double result;
    } ops[] = {{"ReduceSum", 0}, {"ReduceProd", 1},           {"ReduceMax", -INFINITY},       {"ReduceMin", INFINITY},
               {"ReduceL2", 0},  {"ReduceLogSum", -INFINITY}, {"ReduceLogSumExp", -INFINITY}, {"ReduceSumSquare", 0}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct op_case c = op_case(ops[i].name, 20);
        op_input(&c, REEL_F32, SHAPE(2, 0), NULL);
        op_input(&c, REEL_I64, SHAPE(1), (double[]){1});
        CHECK(op_result(&c, REEL_F32, SHAPE(2, 1), (double[]){ops[i].result, ops[i].result}));
    }
    struct op_case c = op_case("ReduceMax", 20);
    op_input(&c, REEL_U8, SHAPE(0), NULL);
    CHECK(op_result(&c, REEL_U8, SHAPE(1), (double[]){0}));

    c = op_case("ArgMax", 13);
    op_input(&c, REEL_F32, SHAPE(0, 2), NULL);
    CHECK(op_refused(&c, "empty"));
}

// Two reduced groups around a kept one, longer than the lanes of the sum.
static void reduces_scattered_axes(void)
{
    enum { A = 3, B = 2, C = 21 };
    double in[A * B * C], out[B] = {0, 0};
    for (int a = 0, i = 0; a < A; a++)
        for (int b = 0; b < B; b++)
            for (int k = 0; k < C; k++, i++) out[b] += in[i] = (i * 7) % 13 - 5;
    struct op_case c = op_case("ReduceSum", 13);
    op_input(&c, REEL_F32, SHAPE(A, B, C), in);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){0, -1});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, B, 1), out));
}

static void log_sum_exp_does_not_overflow(void)
{
    struct op_case c = op_case("ReduceLogSumExp", 18);
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1000, 1000});
    CHECK(op_result(&c, REEL_F32, SHAPE(1), (double[]){1000 + log(2)}));
}

static void softmax_of_two_kinds(void)
{
    // Opset 13: along the axis. Opset 11: the dimensions from axis on as one.
    struct op_case c = op_case("Softmax", 13);
    op_input(&c, REEL_F64, SHAPE(1, 2, 2), (double[]){0, 0, 0, log(3)});
    op_attr_int(&c, "axis", 1);
    CHECK(op_result(&c, REEL_F64, SHAPE(1, 2, 2), (double[]){0.5, 0.25, 0.5, 0.75}));

    c = op_case("Softmax", 11);
    op_input(&c, REEL_F32, SHAPE(1, 2, 2), (double[]){0, 0, 0, log(3)});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2, 2), (double[]){1 / 6.0, 1 / 6.0, 1 / 6.0, 0.5}));

    c = op_case("Hardmax", 13); // the first of equals
    op_input(&c, REEL_F32, SHAPE(2, 3), (double[]){3, 1, 3, 0, 2, 1});
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 3), (double[]){1, 0, 0, 0, 1, 0}));
}

// Columns wider than one block, against the same thing along rows.
static void softmax_over_channels(void)
{
    enum { N = 5, W = 300 };
    double in[N * W], turned[N * W], out[N * W];
    for (int k = 0; k < N; k++)
        for (int i = 0; i < W; i++) in[k * W + i] = turned[i * N + k] = (k * 31 + i * 17) % 23 * 0.25;
    struct op_case rows = op_case("Softmax", 13);
    op_input(&rows, REEL_F32, SHAPE(W, N), turned);
    CHECK(!op_case_run(&rows));
    for (int k = 0; k < N; k++)
        for (int i = 0; i < W; i++) out[k * W + i] = op_scalar(&rows.out[0], i * N + k);
    op_case_fini(&rows);
    struct op_case c = op_case("Softmax", 13);
    op_input(&c, REEL_F32, SHAPE(N, W), in);
    op_attr_int(&c, "axis", 0);
    CHECK(op_result(&c, REEL_F32, SHAPE(N, W), out));
}

static void arg_max_of_equals(void)
{
    for (int last = 0; last < 2; last++) {
        struct op_case c = op_case("ArgMax", 13);
        op_input(&c, REEL_I32, SHAPE(3, 2), (double[]){5, 1, 5, 2, 0, 2});
        op_attr_int(&c, "select_last_index", last);
        op_attr_int(&c, "keepdims", 0);
        CHECK(op_result(&c, REEL_I64, SHAPE(2), last ? (double[]){1, 2} : (double[]){0, 1}));
    }
}

static void cumulative_in_all_directions(void)
{
    static const struct {
        int exclusive, reverse;
        double result[3];
    } kinds[] = {{0, 0, {1, 3, 6}}, {1, 0, {0, 1, 3}}, {0, 1, {6, 5, 3}}, {1, 1, {5, 3, 0}}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct op_case c = op_case("CumSum", 14);
        op_input(&c, REEL_F32, SHAPE(3), six);
        op_input(&c, REEL_I32, SCALAR, (double[]){-1});
        op_attr_int(&c, "exclusive", kinds[i].exclusive);
        op_attr_int(&c, "reverse", kinds[i].reverse);
        CHECK(op_result(&c, REEL_F32, SHAPE(3), kinds[i].result));
    }
}

static void top_k_breaks_ties_by_position(void)
{
    struct op_case c = op_case("TopK", 11);
    op_input(&c, REEL_F32, SHAPE(6), (double[]){2, 7, 7, NAN, 2, 1});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){4});
    c.n_out = 2;
    CHECK(!op_case_run(&c));
    CHECK(op_output(&c, 0, REEL_F32, SHAPE(4), (double[]){NAN, 7, 7, 2}));
    CHECK(op_output(&c, 1, REEL_I64, SHAPE(4), (double[]){3, 1, 2, 0}));
    op_case_fini(&c);

    c = op_case("TopK", 11); // the smallest, along the first axis
    op_input(&c, REEL_I8, SHAPE(3, 2), (double[]){3, -1, 1, -1, 2, 5});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){2});
    op_attr_int(&c, "axis", 0);
    op_attr_int(&c, "largest", 0);
    c.n_out = 2;
    CHECK(!op_case_run(&c));
    CHECK(op_output(&c, 0, REEL_I8, SHAPE(2, 2), (double[]){1, -1, 2, -1}));
    CHECK(op_output(&c, 1, REEL_I64, SHAPE(2, 2), (double[]){1, 0, 2, 1}));
    op_case_fini(&c);

    c = op_case("TopK", 11);
    op_input(&c, REEL_F32, SHAPE(2), six);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){3});
    c.n_out = 2;
    CHECK(op_refused(&c, "k is 3"));
}

CHECK_MAIN({"axes by attribute and input", axes_by_attribute_and_input},
           {"no axes is all or nothing", no_axes_is_all_or_nothing}, {"empty sets", empty_sets},
           {"reduces scattered axes", reduces_scattered_axes},
           {"log-sum-exp does not overflow", log_sum_exp_does_not_overflow},
           {"softmax of two kinds", softmax_of_two_kinds}, {"softmax over channels", softmax_over_channels},
           {"arg max of equals", arg_max_of_equals}, {"cumulative in all directions", cumulative_in_all_directions},
           {"top-k breaks ties by position", top_k_breaks_ties_by_position})
