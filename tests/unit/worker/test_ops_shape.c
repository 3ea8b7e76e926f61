// SPDX-License-Identifier: MIT
//
// Operators that move elements: clamps, negative steps, pads of every mode,
// and hostile sizes, with results worked out by hand.
#include "tests/unit/worker/op_case.h"

static const double count_up[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static void reshape_zero_and_minus_one(void)
{
    struct op_case c = op_case("Reshape", 14);
    op_input(&c, REEL_U8, SHAPE(2, 3, 2), count_up);
    op_input(&c, REEL_I64, SHAPE(3), (double[]){0, -1, 1});
    CHECK(op_result(&c, REEL_U8, SHAPE(2, 6, 1), count_up));

    c = op_case("Reshape", 14); // allowzero: 0 is an extent
    op_input(&c, REEL_F32, SHAPE(0, 3), NULL);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){3, 0});
    op_attr_int(&c, "allowzero", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(3, 0), NULL));

    static const double bad[][2] = {{-1, -1}, {-2, 3}, {5, -1}, {4, 4}, {0x1p62, 0x1p62}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        c = op_case("Reshape", 14);
        op_input(&c, REEL_F32, SHAPE(2, 3), count_up);
        op_input(&c, REEL_I64, SHAPE(2), bad[i]);
        CHECK(op_refused(&c, "could not run node"));
    }
}

static void unsqueeze_counts_from_the_result(void)
{
    struct op_case c = op_case("Unsqueeze", 13);
    op_input(&c, REEL_F32, SHAPE(2), count_up);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){-1, 0});
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2, 1), count_up));

    c = op_case("Unsqueeze", 11);
    op_input(&c, REEL_F32, SHAPE(2), count_up);
    op_attr_ints(&c, "axes", 2, (int64_t[]){1, -2}); // the same one twice
    CHECK(op_refused(&c, "twice"));

    c = op_case("Squeeze", 13);
    op_input(&c, REEL_F32, SHAPE(1, 2, 1), count_up);
    CHECK(op_result(&c, REEL_F32, SHAPE(2), count_up));

    c = op_case("Squeeze", 11);
    op_input(&c, REEL_F32, SHAPE(1, 2), count_up);
    op_attr_ints(&c, "axes", 1, (int64_t[]){1});
    CHECK(op_refused(&c, "not 1"));
}

static void slice_clamps_and_steps(void)
{
    struct op_case c = op_case("Slice", 13); // backwards to before the first
    op_input(&c, REEL_I16, SHAPE(5), count_up);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){-1});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){-0x1p63});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){0});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){-2});
    CHECK(op_result(&c, REEL_I16, SHAPE(3), (double[]){4, 2, 0}));

    c = op_case("Slice", 13); // backwards from before the first: from the first
    op_input(&c, REEL_I16, SHAPE(3), count_up);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){-4});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){-0x1p31});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){0});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){-2});
    CHECK(op_result(&c, REEL_I16, SHAPE(1), (double[]){0}));

    c = op_case("Slice", 13); // two axes, one of them strided
    op_input(&c, REEL_F32, SHAPE(3, 4), count_up);
    op_input(&c, REEL_I32, SHAPE(2), (double[]){1, 0});
    op_input(&c, REEL_I32, SHAPE(2), (double[]){100, 4});
    op_absent(&c);
    op_input(&c, REEL_I32, SHAPE(2), (double[]){1, 3});
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 2), (double[]){4, 7, 8, 11}));

    c = op_case("Slice", 9); // nothing left
    op_input(&c, REEL_F32, SHAPE(3), count_up);
    op_attr_ints(&c, "starts", 1, (int64_t[]){2});
    op_attr_ints(&c, "ends", 1, (int64_t[]){-2});
    CHECK(op_result(&c, REEL_F32, SHAPE(0), NULL));

    c = op_case("Slice", 13);
    op_input(&c, REEL_F32, SHAPE(3), count_up);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){0});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){1});
    op_absent(&c);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){0});
    CHECK(op_refused(&c, "step"));
}

static void pad_in_every_mode(void)
{
    static const struct {
        const char *mode;
        double result[9];
    } modes[] = {{"constant", {9, 9, 9, 0, 1, 2, 9, 9, 9}},
                 {"edge", {0, 0, 0, 0, 1, 2, 2, 2, 2}},
                 {"reflect", {1, 2, 1, 0, 1, 2, 1, 0, 1}}, // more than once around
                 {"wrap", {0, 1, 2, 0, 1, 2, 0, 1, 2}}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct op_case c = op_case("Pad", 19);
        op_input(&c, REEL_I32, SHAPE(3), count_up);
        op_input(&c, REEL_I64, SHAPE(2), (double[]){3, 3});
        op_input(&c, REEL_I32, SCALAR, (double[]){9});
        op_attr_text(&c, "mode", modes[i].mode);
        CHECK(op_result(&c, REEL_I32, SHAPE(9), modes[i].result));
    }
    struct op_case c = op_case("Pad", 18); // cut before, add behind, the last axis only
    op_input(&c, REEL_F32, SHAPE(2, 3), count_up);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){-1, 1});
    op_absent(&c);
    op_input(&c, REEL_I32, SHAPE(1), (double[]){-1});
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 3), (double[]){1, 2, 0, 4, 5, 0}));

    c = op_case("Pad", 13);
    op_input(&c, REEL_F32, SHAPE(2), count_up);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){-2, -1});
    CHECK(op_refused(&c, "a negative extent"));

    c = op_case("Pad", 13);
    op_input(&c, REEL_F32, SHAPE(2), count_up);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){0x1p62, 0x1p62});
    CHECK(op_refused(&c, "out of range"));
}

static void transpose_keeps_merged_dimensions_right(void)
{
    struct op_case c = op_case("Transpose", 13);
    op_input(&c, REEL_U16, SHAPE(2, 3, 2), count_up);
    op_attr_ints(&c, "perm", 3, (int64_t[]){2, 0, 1});
    CHECK(op_result(&c, REEL_U16, SHAPE(2, 2, 3), (double[]){0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}));

    // Larger than a tile, and not by a multiple of it.
    enum { ROWS = 37, COLUMNS = 21 };
    double in[ROWS * COLUMNS], out[ROWS * COLUMNS];
    for (int r = 0; r < ROWS; r++)
        for (int k = 0; k < COLUMNS; k++) in[r * COLUMNS + k] = out[k * ROWS + r] = r * COLUMNS + k;
    c = op_case("Transpose", 13);
    op_input(&c, REEL_F32, SHAPE(ROWS, COLUMNS), in);
    CHECK(op_result(&c, REEL_F32, SHAPE(COLUMNS, ROWS), out));

    c = op_case("Transpose", 13);
    op_input(&c, REEL_F32, SHAPE(2, 3), count_up);
    op_attr_ints(&c, "perm", 2, (int64_t[]){0, 0});
    CHECK(op_refused(&c, "permutation"));
}

static void split_in_uneven_parts(void)
{
    struct op_case c = op_case("Split", 18);
    op_input(&c, REEL_F32, SHAPE(7), count_up);
    op_attr_int(&c, "num_outputs", 3);
    c.n_out = 3;
    CHECK(!op_case_run(&c));
    CHECK(op_output(&c, 0, REEL_F32, SHAPE(3), count_up));
    CHECK(op_output(&c, 2, REEL_F32, SHAPE(1), count_up + 6));
    op_case_fini(&c);

    c = op_case("Split", 13);
    op_input(&c, REEL_F32, SHAPE(4), count_up);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){1, 2});
    c.n_out = 2;
    CHECK(op_refused(&c, "add up"));

    c = op_case("Split", 13); // uneven parts came with opset 18
    op_input(&c, REEL_F32, SHAPE(5), count_up);
    c.n_out = 2;
    CHECK(op_refused(&c, "divide"));
}

static void concat_skips_empty_parts(void)
{
    struct op_case c = op_case("Concat", 13);
    op_input(&c, REEL_F32, SHAPE(2, 1), (double[]){1, 2});
    op_input(&c, REEL_F32, SHAPE(2, 0), NULL);
    op_input(&c, REEL_F32, SHAPE(2, 2), (double[]){3, 4, 5, 6});
    op_attr_int(&c, "axis", -1);
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 3), (double[]){1, 3, 4, 2, 5, 6}));
}

static void tile_and_expand(void)
{
    struct op_case c = op_case("Tile", 13);
    op_input(&c, REEL_F64, SHAPE(2, 2), count_up);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){2, 2});
    CHECK(op_result(&c, REEL_F64, SHAPE(4, 4), (double[]){0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3}));

    c = op_case("Expand", 13); // the shape may be smaller than the input
    op_input(&c, REEL_F32, SHAPE(2, 1), count_up);
    op_input(&c, REEL_I64, SHAPE(3), (double[]){2, 1, 2});
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 2, 2), (double[]){0, 0, 1, 1, 0, 0, 1, 1}));

    c = op_case("Tile", 13);
    op_input(&c, REEL_F32, SHAPE(2), count_up);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){-1});
    CHECK(op_refused(&c, "out of range"));
}

static void shape_slices_and_range_counts(void)
{
    struct op_case c = op_case("Shape", 15);
    op_input(&c, REEL_F32, SHAPE(2, 1, 3), count_up);
    op_attr_int(&c, "start", -2);
    op_attr_int(&c, "end", 9);
    CHECK(op_result(&c, REEL_I64, SHAPE(2), (double[]){1, 3}));

    c = op_case("Range", 11);
    op_input(&c, REEL_I32, SCALAR, (double[]){10});
    op_input(&c, REEL_I32, SCALAR, (double[]){3});
    op_input(&c, REEL_I32, SCALAR, (double[]){-3});
    CHECK(op_result(&c, REEL_I32, SHAPE(3), (double[]){10, 7, 4}));

    c = op_case("Range", 11);
    op_input(&c, REEL_I64, SCALAR, (double[]){-0x1p63});
    op_input(&c, REEL_I64, SCALAR, (double[]){0x1p62});
    op_input(&c, REEL_I64, SCALAR, (double[]){1});
    CHECK(op_refused(&c, "too long"));
}

static void reverse_sequence_by_lengths(void)
{
    struct op_case c = op_case("ReverseSequence", 10);
    op_input(&c, REEL_F32, SHAPE(2, 3), count_up);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){2, 3});
    op_attr_int(&c, "batch_axis", 0);
    op_attr_int(&c, "time_axis", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 3), (double[]){1, 0, 2, 5, 4, 3}));
}

CHECK_MAIN({"reshape zero and minus one", reshape_zero_and_minus_one},
           {"unsqueeze counts from the result", unsqueeze_counts_from_the_result},
           {"slice clamps and steps", slice_clamps_and_steps}, {"pad in every mode", pad_in_every_mode},
           {"transpose keeps merged dimensions right", transpose_keeps_merged_dimensions_right},
           {"split in uneven parts", split_in_uneven_parts}, {"concat skips empty parts", concat_skips_empty_parts},
           {"tile and expand", tile_and_expand}, {"shape slices and range counts", shape_slices_and_range_counts},
           {"reverse sequence by lengths", reverse_sequence_by_lengths})
