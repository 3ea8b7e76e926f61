// SPDX-License-Identifier: MIT
//
// Matrix products, normalisations and attention against values worked out by
// hand.
#include "tests/unit/worker/op_case.h"

static void vectors_lose_their_axis(void)
{
    struct op_case c = op_case("MatMul", 13);
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, 10});
    op_input(&c, REEL_F32, SHAPE(2, 2, 1), (double[]){1, 2, 3, 4});
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 1), (double[]){21, 43}));
}

static void batches_broadcast_both_ways(void)
{
    struct op_case c = op_case("MatMul", 13);
    op_input(&c, REEL_I64, SHAPE(2, 1, 1, 1), (double[]){2, 3});
    op_input(&c, REEL_I64, SHAPE(2, 1, 1), (double[]){10, 100});
    CHECK(op_result(&c, REEL_I64, SHAPE(2, 2, 1, 1), (double[]){20, 200, 30, 300}));
}

// (rows, batches, columns), as attention's transposes are fused
static void rows_may_stand_before_batches(void)
{
    struct op_case c = op_case("FusedMatMul", 1);
    c.domain = "com.microsoft";
    op_input(&c, REEL_F32, SHAPE(3, 2, 1), (double[]){1, 2, 3, 4, 5, 6});
    op_input(&c, REEL_F32, SHAPE(2, 1, 1), (double[]){10, 100});
    op_attr_int(&c, "transBatchA", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 3, 1), (double[]){10, 30, 50, 200, 400, 600}));

    c = op_case("FusedMatMul", 1); // B: (inner 2, batches 1, columns 2), and turned
    c.domain = "com.microsoft";
    op_input(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){1, 10});
    op_input(&c, REEL_F32, SHAPE(2, 1, 2), (double[]){1, 2, 3, 4});
    op_attr_int(&c, "transBatchB", 1);
    op_attr_int(&c, "transB", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){21, 43}));
}

static void gemm_scales_and_broadcasts(void)
{
    struct op_case c = op_case("Gemm", 13);
    op_input(&c, REEL_F32, SHAPE(2, 1), (double[]){1, 2}); // transposed: (1,2)
    op_input(&c, REEL_F32, SHAPE(3, 2), (double[]){1, 1, 0, 1, 5, 0});
    op_input(&c, REEL_F32, SHAPE(3), (double[]){1, 2, 3});
    op_attr_int(&c, "transA", 1);
    op_attr_int(&c, "transB", 1);
    op_attr_float(&c, "alpha", 2);
    op_attr_float(&c, "beta", 10);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 3), (double[]){16, 24, 40}));
}

static void einsum_takes_diagonals_and_ellipses(void)
{
    struct op_case c = op_case("Einsum", 12);
    op_input(&c, REEL_I32, SHAPE(2, 2), (double[]){1, 2, 3, 4});
    op_attr_text(&c, "equation", "ii->i");
    CHECK(op_result(&c, REEL_I32, SHAPE(2), (double[]){1, 4}));

    c = op_case("Einsum", 12); // implicit result: labels seen once, in order
    op_input(&c, REEL_F32, SHAPE(1, 2), (double[]){1, 10});
    op_input(&c, REEL_F32, SHAPE(2, 2), (double[]){1, 2, 3, 4});
    op_attr_text(&c, "equation", "ba, ac");
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2), (double[]){31, 42}));

    c = op_case("Einsum", 12);
    op_input(&c, REEL_F32, SHAPE(2, 1, 2), (double[]){1, 2, 3, 4});
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, 10});
    op_attr_text(&c, "equation", "...i,i->...");
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 1), (double[]){21, 43}));

    c = op_case("Einsum", 12);
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, 2});
    op_attr_text(&c, "equation", "i->ii");
    CHECK(op_refused(&c, "appears twice"));
}

static void determinant_follows_pivots(void)
{
    struct op_case c = op_case("Det", 11);
    op_input(&c, REEL_F32, SHAPE(2, 2, 2), (double[]){0, 1, 2, 0, 1, 2, 2, 4});
    CHECK(op_result(&c, REEL_F32, SHAPE(2), (double[]){-2, 0}));
}

// A row that may attend nothing gives zeros, not NaN.
static void masked_rows_are_zero(void)
{
    struct op_case c = op_case("Attention", 23);
    op_input(&c, REEL_F32, SHAPE(1, 1, 2, 1), (double[]){0, 0});
    op_input(&c, REEL_F32, SHAPE(1, 1, 2, 1), (double[]){5, 6});
    op_input(&c, REEL_F32, SHAPE(1, 1, 2, 1), (double[]){1, 3});
    op_input(&c, REEL_BOOL, SHAPE(2, 2), (double[]){1, 1, 0, 0});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 2, 1), (double[]){2, 0}));
}

static void causal_rows_look_back_over_the_cache(void)
{
    struct op_case c = op_case("Attention", 23);
    c.n_out = 3;
    op_input(&c, REEL_F32, SHAPE(1, 1, 2, 1), (double[]){0, 0});
    op_input(&c, REEL_F32, SHAPE(1, 1, 2, 1), (double[]){0, 0});
    op_input(&c, REEL_F32, SHAPE(1, 1, 2, 1), (double[]){4, 8});
    op_absent(&c);
    op_input(&c, REEL_F32, SHAPE(1, 1, 1, 1), (double[]){0});
    op_input(&c, REEL_F32, SHAPE(1, 1, 1, 1), (double[]){2});
    op_attr_int(&c, "is_causal", 1);
    CHECK(op_case_run(&c) == REEL_OK);
    CHECK(op_output(&c, 0, REEL_F32, SHAPE(1, 1, 2, 1), (double[]){3, 14.0 / 3}));
    CHECK(op_output(&c, 2, REEL_F32, SHAPE(1, 1, 3, 1), (double[]){2, 4, 8}));
    op_case_fini(&c);
}

static void rotation_pairs_halves_or_neighbours(void)
{
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        struct op_case c = op_case("RotaryEmbedding", 23);
        op_input(&c, REEL_F32, SHAPE(1, 1, 1, 4), (double[]){1, 2, 3, 4});
        op_input(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){0, 1});
        op_input(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){1, 0});
        op_attr_int(&c, "interleaved", interleaved);
        const double *want = interleaved ? (double[]){-2, 1, 3, 4} : (double[]){-3, 2, 1, 4};
        CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 1, 4), want));
    }
}

static void layer_norm_scales_after_centring(void)
{
    struct op_case c = op_case("LayerNormalization", 17);
    c.n_out = 3;
    op_input(&c, REEL_F16, SHAPE(2, 2), (double[]){0, 4, 1, 3});
    op_input(&c, REEL_F16, SHAPE(2), (double[]){2, 3});
    op_input(&c, REEL_F16, SHAPE(2), (double[]){1, 0});
    op_attr_float(&c, "epsilon", 0);
    CHECK(op_case_run(&c) == REEL_OK);
    CHECK(op_output(&c, 0, REEL_F16, SHAPE(2, 2), (double[]){-1, 3, -1, 3}));
    CHECK(op_output(&c, 1, REEL_F32, SHAPE(2, 1), (double[]){2, 2}));
    CHECK(op_output(&c, 2, REEL_F32, SHAPE(2, 1), (double[]){0.5, 1}));
    op_case_fini(&c);
}

// Opset 18 has one scale per group, opset 21 one per channel.
static void group_norm_changed_its_scale(void)
{
    const double x[] = {0, 2, 0, 4};
    struct op_case c = op_case("GroupNormalization", 18);
    op_input(&c, REEL_F32, SHAPE(1, 4, 1), x);
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, 10});
    op_input(&c, REEL_F32, SHAPE(2), (double[]){0, 5});
    op_attr_int(&c, "num_groups", 2);
    op_attr_float(&c, "epsilon", 0);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 4, 1), (double[]){-1, 1, -5, 15}));

    c = op_case("GroupNormalization", 21);
    op_input(&c, REEL_F32, SHAPE(1, 4, 1), x);
    op_input(&c, REEL_F32, SHAPE(4), (double[]){1, 2, 3, 4});
    op_input(&c, REEL_F32, SHAPE(4), (double[]){0, 0, 0, 1});
    op_attr_int(&c, "num_groups", 2);
    op_attr_float(&c, "epsilon", 0);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 4, 1), (double[]){-1, 2, -3, 5}));
}

static void batch_norm_updates_running_values(void)
{
    struct op_case c = op_case("BatchNormalization", 15);
    c.n_out = 3;
    op_input(&c, REEL_F32, SHAPE(2, 1, 1), (double[]){0, 4});
    op_input(&c, REEL_F32, SHAPE(1), (double[]){3});
    op_input(&c, REEL_F32, SHAPE(1), (double[]){1});
    op_input(&c, REEL_F32, SHAPE(1), (double[]){10});
    op_input(&c, REEL_F32, SHAPE(1), (double[]){8});
    op_attr_int(&c, "training_mode", 1);
    op_attr_float(&c, "epsilon", 0);
    op_attr_float(&c, "momentum", 0.5);
    CHECK(op_case_run(&c) == REEL_OK);
    CHECK(op_output(&c, 0, REEL_F32, SHAPE(2, 1, 1), (double[]){-2, 4}));
    CHECK(op_output(&c, 1, REEL_F32, SHAPE(1), (double[]){6}));
    CHECK(op_output(&c, 2, REEL_F32, SHAPE(1), (double[]){6}));
    op_case_fini(&c);
}

static void lp_norm_of_nothing_is_zero(void)
{
    struct op_case c = op_case("LpNormalization", 1);
    op_input(&c, REEL_F32, SHAPE(2, 2), (double[]){0, 0, 3, -4});
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 2), (double[]){0, 0, 0.6f, -0.8f}));
}

CHECK_MAIN({"rows_may_stand_before_batches", rows_may_stand_before_batches},
           {"vectors_lose_their_axis", vectors_lose_their_axis},
           {"batches_broadcast_both_ways", batches_broadcast_both_ways},
           {"gemm_scales_and_broadcasts", gemm_scales_and_broadcasts},
           {"einsum_takes_diagonals_and_ellipses", einsum_takes_diagonals_and_ellipses},
           {"determinant_follows_pivots", determinant_follows_pivots}, {"masked_rows_are_zero", masked_rows_are_zero},
           {"causal_rows_look_back_over_the_cache", causal_rows_look_back_over_the_cache},
           {"rotation_pairs_halves_or_neighbours", rotation_pairs_halves_or_neighbours},
           {"layer_norm_scales_after_centring", layer_norm_scales_after_centring},
           {"group_norm_changed_its_scale", group_norm_changed_its_scale},
           {"batch_norm_updates_running_values", batch_norm_updates_running_values},
           {"lp_norm_of_nothing_is_zero", lp_norm_of_nothing_is_zero})
