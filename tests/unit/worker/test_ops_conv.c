// SPDX-License-Identifier: MIT
//
// Convolutions and pools against values worked out by hand: where pads go, what
// ceil_mode adds, which index a maximum has, and what is refused.
#include "tests/unit/worker/op_case.h"

static void same_lower_pads_in_front(void)
{
    struct op_case c = op_case("Conv", 11);
    op_input(&c, REEL_F32, SHAPE(1, 1, 3), (double[]){1, 2, 3});
    op_input(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){1, 10});
    op_attr_text(&c, "auto_pad", "SAME_LOWER");
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 3), (double[]){10, 21, 32}));
}

static void dilated_taps_skip_elements(void)
{
    struct op_case c = op_case("Conv", 11);
    op_input(&c, REEL_F16, SHAPE(1, 1, 5), (double[]){1, 2, 3, 4, 5});
    op_input(&c, REEL_F16, SHAPE(1, 1, 2), (double[]){1, 10});
    op_input(&c, REEL_F16, SHAPE(1), (double[]){0.5});
    op_attr_ints(&c, "dilations", 1, (int64_t[]){2});
    CHECK(op_result(&c, REEL_F16, SHAPE(1, 1, 3), (double[]){31.5, 42.5, 53.5}));
}

static void groups_see_their_own_channels(void)
{
    struct op_case c = op_case("Conv", 11);
    op_input(&c, REEL_F64, SHAPE(1, 2, 1, 2), (double[]){1, 2, 3, 4});
    op_input(&c, REEL_F64, SHAPE(2, 1, 1, 1), (double[]){10, 100});
    op_attr_int(&c, "group", 2);
    CHECK(op_result(&c, REEL_F64, SHAPE(1, 2, 1, 2), (double[]){10, 20, 300, 400}));
}

// Large enough for the blocked product and several column blocks, against sums
// taken one by one.
static void blocked_path_equals_plain_sums(void)
{
    enum { C = 37, H = 40, W = 61, M = 9, K = 3 };
    static double x[C * H * W], w[M * C * K * K], y[M * (H / 2) * 31];
    uint64_t seed = 5;
    for (int i = 0; i < C * H * W; i++) x[i] = (double)(check_rand(&seed) % 9) - 4;
    for (int i = 0; i < M * C * K * K; i++) w[i] = (double)(check_rand(&seed) % 9) - 4;
    for (int m = 0, q = 0; m < M; m++)
        for (int oh = 0; oh < H / 2; oh++)
            for (int ow = 0; ow < 31; ow++, q++)
                for (int k = 0; k < C * K * K; k++) {
                    int ih = 2 * oh - 1 + k / K % K, iw = 2 * ow - 1 + k % K;
                    if (ih < 0 || ih >= H || iw < 0 || iw >= W) continue;
                    y[q] += x[(k / (K * K) * H + ih) * W + iw] * w[m * C * K * K + k];
                }
    struct op_case c = op_case("Conv", 11);
    op_input(&c, REEL_F32, SHAPE(1, C, H, W), x);
    op_input(&c, REEL_F32, SHAPE(M, C, K, K), w);
    op_attr_ints(&c, "strides", 2, (int64_t[]){2, 2});
    op_attr_ints(&c, "pads", 4, (int64_t[]){1, 1, 1, 1});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, M, H / 2, 31), y));
}

static void transpose_spreads_and_crops(void)
{
    struct op_case c = op_case("ConvTranspose", 11);
    op_input(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){1, 2});
    op_input(&c, REEL_F32, SHAPE(1, 1, 3), (double[]){1, 10, 100});
    op_attr_ints(&c, "strides", 1, (int64_t[]){2});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 5), (double[]){1, 10, 102, 20, 200}));

    c = op_case("ConvTranspose", 11); // the odd element goes at the start
    op_input(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){1, 2});
    op_input(&c, REEL_F32, SHAPE(1, 1, 3), (double[]){1, 10, 100});
    op_attr_ints(&c, "strides", 1, (int64_t[]){2});
    op_attr_ints(&c, "output_shape", 1, (int64_t[]){4});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 4), (double[]){10, 102, 20, 200}));

    c = op_case("ConvTranspose", 11); // larger than the sums reach: zeros at the end
    op_input(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){1, 2});
    op_input(&c, REEL_F32, SHAPE(1, 1, 3), (double[]){1, 10, 100});
    op_attr_ints(&c, "strides", 1, (int64_t[]){2});
    op_attr_ints(&c, "output_padding", 1, (int64_t[]){1});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 6), (double[]){1, 10, 102, 20, 200, 0}));
}

static void integers_subtract_zero_points(void)
{
    struct op_case c = op_case("ConvInteger", 10);
    op_input(&c, REEL_U8, SHAPE(1, 1, 2), (double[]){255, 3});
    op_input(&c, REEL_U8, SHAPE(1, 1, 1), (double[]){0});
    op_input(&c, REEL_U8, SCALAR, (double[]){5});
    op_input(&c, REEL_U8, SCALAR, (double[]){2});
    CHECK(op_result(&c, REEL_I32, SHAPE(1, 1, 2), (double[]){-500, 4}));
}

static void maximum_knows_its_place(void)
{
    struct op_case c = op_case("MaxPool", 12);
    c.n_out = 2;
    op_input(&c, REEL_I8, SHAPE(1, 2, 3), (double[]){-5, -7, -1, 4, 4, 2});
    op_attr_ints(&c, "kernel_shape", 1, (int64_t[]){2});
    op_attr_ints(&c, "strides", 1, (int64_t[]){2});
    op_attr_int(&c, "ceil_mode", 1);
    CHECK(op_case_run(&c) == REEL_OK);
    CHECK(op_output(&c, 0, REEL_I8, SHAPE(1, 2, 2), (double[]){-5, -1, 4, 2}));
    CHECK(op_output(&c, 1, REEL_I64, SHAPE(1, 2, 2), (double[]){0, 2, 3, 5}));
    op_case_fini(&c);

    c = op_case("MaxPool", 12);
    c.n_out = 2;
    op_input(&c, REEL_F32, SHAPE(1, 1, 2, 2), (double[]){1, 9, 3, 4});
    op_attr_ints(&c, "kernel_shape", 2, (int64_t[]){2, 2});
    op_attr_int(&c, "storage_order", 1); // the first axis is the fastest
    CHECK(op_case_run(&c) == REEL_OK);
    CHECK(op_output(&c, 1, REEL_I64, SHAPE(1, 1, 1, 1), (double[]){2}));
    op_case_fini(&c);
}

static void average_counts_pads_when_asked(void)
{
    for (int counted = 0; counted < 2; counted++) {
        struct op_case c = op_case("AveragePool", 19);
        op_input(&c, REEL_F32, SHAPE(1, 1, 3), (double[]){1, 2, 3});
        op_attr_ints(&c, "kernel_shape", 1, (int64_t[]){2});
        op_attr_ints(&c, "strides", 1, (int64_t[]){2});
        op_attr_ints(&c, "pads", 2, (int64_t[]){1, 1});
        op_attr_int(&c, "count_include_pad", counted);
        CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){counted ? 0.5 : 1, 2.5}));
    }
    // What ceil_mode overhangs beyond the pads is counted by neither.
    struct op_case c = op_case("AveragePool", 19);
    op_input(&c, REEL_F32, SHAPE(1, 1, 4), (double[]){1, 2, 3, 8});
    op_attr_ints(&c, "kernel_shape", 1, (int64_t[]){3});
    op_attr_ints(&c, "strides", 1, (int64_t[]){3});
    op_attr_int(&c, "ceil_mode", 1);
    op_attr_int(&c, "count_include_pad", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 2), (double[]){2, 8}));
}

static void unpool_places_in_the_pooled_extent(void)
{
    struct op_case c = op_case("MaxUnpool", 11);
    op_input(&c, REEL_F32, SHAPE(1, 1, 1, 2), (double[]){7, 8});
    op_input(&c, REEL_I64, SHAPE(1, 1, 1, 2), (double[]){1, 6}); // of 2x4
    op_input(&c, REEL_I64, SHAPE(4), (double[]){1, 1, 2, 5});
    op_attr_ints(&c, "kernel_shape", 2, (int64_t[]){2, 2});
    op_attr_ints(&c, "strides", 2, (int64_t[]){2, 2});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 2, 5), (double[]){0, 7, 0, 0, 0, 0, 0, 8, 0, 0}));
}

static struct op_case conv_of(int64_t channels, int64_t group, int64_t stride)
{
    static const double ones[64] = {1, 1, 1, 1};
    static int64_t strides[1];
    struct op_case c = op_case("Conv", 11);
    strides[0] = stride;
    op_input(&c, REEL_F32, SHAPE(1, channels, 4), ones);
    op_input(&c, REEL_F32, SHAPE(2, 2, 3), ones);
    op_attr_int(&c, "group", group);
    op_attr_ints(&c, "strides", 1, strides);
    return c;
}

static void bad_geometry_is_refused(void)
{
    struct op_case c = conv_of(6, 3, 1);
    CHECK(op_refused(&c, "group 3 does not divide 2"));
    c = conv_of(3, 1, 1);
    CHECK(op_refused(&c, "3 channels"));
    c = conv_of(2, 1, 0);
    CHECK(op_refused(&c, "strides has the element 0"));
    c = conv_of(2, 1, INT64_MAX);
    CHECK(op_refused(&c, "strides has the element"));
    c = op_case("MaxPool", 12);
    op_input(&c, REEL_F32, SHAPE(1, 1, 4), (double[]){1, 2, 3, 4});
    op_attr_ints(&c, "kernel_shape", 1, (int64_t[]){9});
    CHECK(op_refused(&c, "does not fit an extent of 4"));
    c = op_case("MaxPool", 12);
    op_input(&c, REEL_F32, SHAPE(1, 1, 4), (double[]){1, 2, 3, 4});
    CHECK(op_refused(&c, "kernel_shape is missing"));
    c = op_case("Conv", 11);
    op_input(&c, REEL_F32, SHAPE(1, 1, 4), (double[]){1, 2, 3, 4});
    op_absent(&c);
    CHECK(op_refused(&c, "input 1 is missing"));
}

CHECK_MAIN({"same_lower_pads_in_front", same_lower_pads_in_front},
           {"dilated_taps_skip_elements", dilated_taps_skip_elements},
           {"groups_see_their_own_channels", groups_see_their_own_channels},
           {"blocked_path_equals_plain_sums", blocked_path_equals_plain_sums},
           {"transpose_spreads_and_crops", transpose_spreads_and_crops},
           {"integers_subtract_zero_points", integers_subtract_zero_points},
           {"maximum_knows_its_place", maximum_knows_its_place},
           {"average_counts_pads_when_asked", average_counts_pads_when_asked},
           {"unpool_places_in_the_pooled_extent", unpool_places_in_the_pooled_extent},
           {"bad_geometry_is_refused", bad_geometry_is_refused})
