// SPDX-License-Identifier: MIT
//
// Resampling and the other image operators against values worked out by hand:
// coordinates, rounding, borders, block orders.
#include "tests/unit/worker/op_case.h"

static struct op_case resize_case(const char *mode, const char *coordinates, int64_t n, const double *x, double scale)
{
    struct op_case c = op_case("Resize", 19);
    op_input(&c, REEL_F32, SHAPE(1, n), x);
    op_absent(&c);
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, scale});
    op_attr_text(&c, "mode", mode);
    op_attr_text(&c, "coordinate_transformation_mode", coordinates);
    return c;
}

static void linear_follows_its_coordinates(void)
{
    const double x[] = {0, 4};
    struct op_case c = resize_case("linear", "half_pixel", 2, x, 2);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 4), (double[]){0, 1, 3, 4}));
    c = resize_case("linear", "asymmetric", 2, x, 2);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 4), (double[]){0, 2, 4, 4}));
    c = resize_case("linear", "align_corners", 2, x, 2.5);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 5), (double[]){0, 1, 2, 3, 4}));
    const double three[] = {1, 5, 7};
    c = resize_case("linear", "pytorch_half_pixel", 3, three, 0.34f); // one output: the first pixel
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 1), (double[]){1}));
}

static void nearest_rounds_as_told(void)
{
    static const struct {
        const char *mode;
        double want[4];
    } cases[] = {{"round_prefer_floor", {1, 1, 2, 2}},
                 {"round_prefer_ceil", {1, 2, 2, 2}},
                 {"floor", {1, 1, 2, 2}},
                 {"ceil", {1, 2, 2, 2}}};
    for (int i = 0; i < 4; i++) { // source places 0, 0.5, 1, 1.5
        struct op_case c = resize_case("nearest", "asymmetric", 2, (double[]){1, 2}, 2);
        op_attr_text(&c, "nearest_mode", cases[i].mode);
        CHECK_MSG(op_result(&c, REEL_F32, SHAPE(1, 4), cases[i].want), "nearest_mode %s", cases[i].mode);
    }
}

// With a = -0.5 the weights half-way are -1/16, 9/16, 9/16, -1/16.
static void cubic_may_leave_the_border_out(void)
{
    for (int excluded = 0; excluded < 2; excluded++) {
        struct op_case c = resize_case("cubic", "asymmetric", 2, (double[]){0, 16}, 2);
        op_attr_float(&c, "cubic_coeff_a", -0.5f);
        op_attr_int(&c, "exclude_outside", excluded);
        const double *want = excluded ? (double[]){0, 8, 16, 18} : (double[]){0, 8, 16, 17};
        CHECK(op_result(&c, REEL_F32, SHAPE(1, 4), want));
    }
}

static void antialias_widens_the_filter(void)
{
    // At scale 1/2 a triangle four wide: weights 1, 3, 3, 1 of 8.
    struct op_case c = resize_case("linear", "half_pixel", 4, (double[]){8, 0, 0, 16}, 0.5);
    op_attr_int(&c, "antialias", 1);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2), (double[]){32.0 / 8, 48.0 / 8 + 16.0 / 8}));
}

static void crop_and_resize_fills_outside(void)
{
    struct op_case c = op_case("Resize", 13);
    op_input(&c, REEL_F32, SHAPE(3), (double[]){1, 2, 3});
    op_input(&c, REEL_F32, SHAPE(2), (double[]){0, 2});
    op_absent(&c);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){3});
    op_attr_text(&c, "mode", "linear");
    op_attr_text(&c, "coordinate_transformation_mode", "tf_crop_and_resize");
    op_attr_float(&c, "extrapolation_value", -9);
    CHECK(op_result(&c, REEL_F32, SHAPE(3), (double[]){1, 3, -9}));
}

// Of a scale that leaves the extent as it is the places still move (ONNX Runtime copies), and
// tf_half_pixel_for_nn does not move axes that are not scaled.
static void resize_moves_scaled_axes_only(void)
{
    struct op_case c = resize_case("linear", "half_pixel", 2, (double[]){0, 10}, 1.25);
    CHECK(op_result(&c, REEL_F32, SHAPE(1, 2), (double[]){0, 7}));
    c = op_case("Resize", 11);
    op_input(&c, REEL_F32, SHAPE(2, 2), (double[]){0, 8, 100, 108});
    op_absent(&c);
    op_input(&c, REEL_F32, SHAPE(2), (double[]){1, 2});
    op_attr_text(&c, "mode", "linear");
    op_attr_text(&c, "coordinate_transformation_mode", "tf_half_pixel_for_nn");
    CHECK(op_result(&c, REEL_F32, SHAPE(2, 4), (double[]){2, 6, 8, 8, 102, 106, 108, 108}));
}

// Element 8 of 17 lies exactly on element 3 of 7; 17 / 7 in floating point puts it beside that.
static void sizes_decide_ties(void)
{
    struct op_case c = op_case("Resize", 13);
    op_input(&c, REEL_F32, SHAPE(7), (double[]){0, 1, 2, 3, 4, 5, 6});
    op_absent(&c);
    op_absent(&c);
    op_input(&c, REEL_I64, SHAPE(1), (double[]){17});
    op_attr_text(&c, "mode", "nearest");
    op_attr_text(&c, "nearest_mode", "ceil");
    CHECK(op_result(&c, REEL_F32, SHAPE(17), (double[]){0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6, 6, 6}));
}

static void sizes_keep_the_aspect_ratio(void)
{
    struct op_case c = op_case("Resize", 18);
    op_input(&c, REEL_U8, SHAPE(2, 4), (double[]){1, 2, 3, 4, 5, 6, 7, 8});
    op_absent(&c);
    op_absent(&c);
    op_input(&c, REEL_I64, SHAPE(2), (double[]){2, 2}); // of axes 1 and 0
    op_attr_ints(&c, "axes", 2, (int64_t[]){1, 0});
    op_attr_text(&c, "mode", "nearest");
    op_attr_text(&c, "nearest_mode", "floor");
    op_attr_text(&c, "coordinate_transformation_mode", "asymmetric");
    op_attr_text(&c, "keep_aspect_ratio_policy", "not_larger");
    CHECK(op_result(&c, REEL_U8, SHAPE(1, 2), (double[]){1, 3}));
}

// Before opset 11 nearest goes up when shrinking and down when growing.
static void old_resize_rounds_by_direction(void)
{
    struct op_case c = op_case("Resize", 10);
    op_input(&c, REEL_F32, SHAPE(4), (double[]){1, 2, 3, 4});
    op_input(&c, REEL_F32, SHAPE(1), (double[]){0.6f});
    CHECK(op_result(&c, REEL_F32, SHAPE(2), (double[]){1, 3}));
}

static void integers_saturate_when_cubic_overshoots(void)
{
    struct op_case c = op_case("Resize", 13);
    op_input(&c, REEL_U8, SHAPE(4), (double[]){0, 0, 255, 255});
    op_absent(&c);
    op_input(&c, REEL_F32, SHAPE(1), (double[]){2});
    op_attr_text(&c, "mode", "cubic");
    op_attr_text(&c, "coordinate_transformation_mode", "asymmetric");
    CHECK(op_result(&c, REEL_U8, SHAPE(8), (double[]){0, 0, 0, 127, 255, 255, 255, 255}));
}

static void resize_needs_a_size(void)
{
    struct op_case c = op_case("Resize", 13);
    op_input(&c, REEL_F32, SHAPE(4), (double[]){1, 2, 3, 4});
    CHECK(op_refused(&c, "neither scales nor sizes"));
    c = resize_case("linear", "half_pixel", 2, (double[]){0, 4}, -1);
    CHECK(op_refused(&c, "a scale is -1"));
    c = resize_case("linear", "half_pixel", 2, (double[]){0, 4}, 1e30);
    CHECK(op_refused(&c, "an output extent"));
    c = resize_case("linear", "sideways", 2, (double[]){0, 4}, 2);
    CHECK(op_refused(&c, "sideways"));
}

static struct op_case grid_case(const char *mode, const char *padding, double at)
{
    struct op_case c = op_case("GridSample", 20);
    op_input(&c, REEL_F32, SHAPE(1, 1, 1, 4), (double[]){1, 2, 3, 4});
    op_input(&c, REEL_F32, SHAPE(1, 1, 1, 2), (double[]){at, 0});
    op_attr_text(&c, "mode", mode);
    op_attr_text(&c, "padding_mode", padding);
    return c;
}

static void grid_reads_beyond_the_border_as_told(void)
{
    static const struct {
        const char *mode, *padding;
        double at, want;
    } cases[] = {
        {"linear", "zeros", 0, 2.5},         {"linear", "zeros", -1, 0.5}, // half of it outside
        {"linear", "border", -1, 1},         {"linear", "zeros", 9, 0},
        {"linear", "border", 9, 4},          {"linear", "reflection", 1.5, 3.5}, // x = 4.5, mirrored at 3.5
        {"nearest", "reflection", -1.25, 1}, {"nearest", "zeros", 0, 3},         // 1.5 rounds to even
        {"linear", "zeros", NAN, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct op_case c = grid_case(cases[i].mode, cases[i].padding, cases[i].at);
        CHECK_MSG(op_result(&c, REEL_F32, SHAPE(1, 1, 1, 1), &cases[i].want), "%s %s at %g", cases[i].mode,
                  cases[i].padding, cases[i].at);
    }
}

static void blocks_come_in_two_orders(void)
{
    const double x[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct op_case c = op_case("DepthToSpace", 13);
    op_input(&c, REEL_F16, SHAPE(1, 8, 1, 1), x);
    op_attr_int(&c, "blocksize", 2);
    CHECK(op_result(&c, REEL_F16, SHAPE(1, 2, 2, 2), (double[]){0, 2, 4, 6, 1, 3, 5, 7}));
    c = op_case("DepthToSpace", 13);
    op_input(&c, REEL_F16, SHAPE(1, 8, 1, 1), x);
    op_attr_int(&c, "blocksize", 2);
    op_attr_text(&c, "mode", "CRD");
    CHECK(op_result(&c, REEL_F16, SHAPE(1, 2, 2, 2), x));
    c = op_case("SpaceToDepth", 13);
    op_input(&c, REEL_U8, SHAPE(1, 1, 2, 4), x);
    op_attr_int(&c, "blocksize", 2);
    CHECK(op_result(&c, REEL_U8, SHAPE(1, 4, 1, 2), (double[]){0, 2, 1, 3, 4, 6, 5, 7}));
    c = op_case("DepthToSpace", 13);
    op_input(&c, REEL_U8, SHAPE(1, 6, 1, 1), x);
    op_attr_int(&c, "blocksize", 2);
    CHECK(op_refused(&c, "6 channels are not a multiple of 4"));
}

static void suppression_goes_by_score_and_class(void)
{
    struct op_case c = op_case("NonMaxSuppression", 11);
    op_input(&c, REEL_F32, SHAPE(1, 3, 4), (double[]){0, 0, 2, 2, 0, 0.1, 2, 2.1, 5, 5, 4, 4}); // the last flipped
    op_input(&c, REEL_F32, SHAPE(1, 2, 3), (double[]){0.5, 0.9, 0.6, 0.1, 0.2, 0.7});
    op_input(&c, REEL_I64, SHAPE(1), (double[]){10});
    op_input(&c, REEL_F32, SHAPE(1), (double[]){0.5});
    op_input(&c, REEL_F32, SHAPE(1), (double[]){0.15});
    CHECK(op_result(&c, REEL_I64, SHAPE(4, 3), (double[]){0, 0, 1, 0, 0, 2, 0, 1, 2, 0, 1, 1}));
    c = op_case("NonMaxSuppression", 11); // no limit given: nothing
    op_input(&c, REEL_F32, SHAPE(1, 1, 4), (double[]){0, 0, 1, 1});
    op_input(&c, REEL_F32, SHAPE(1, 1, 1), (double[]){0.5});
    CHECK(op_result(&c, REEL_I64, SHAPE(0, 3), NULL));
}

// Many boxes beside the plain rule: every candidate against all that are kept.
#define MANY 1200

static double shared(const double *a, const double *b)
{
    const double h = fmin(a[2], b[2]) - fmax(a[0], b[0]), w = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    const double both = h > 0 && w > 0 ? h * w : 0;
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both);
}

static int plain_suppression(double (*boxes)[4], const double *scores, double iou, double (*kept)[3])
{
    static bool taken[MANY];
    int n = 0;
    memset(taken, 0, sizeof taken);
    for (;;) {
        int best = -1; // of equals the first
        for (int i = 0; i < MANY; i++)
            if (!taken[i] && (best < 0 || scores[i] > scores[best])) best = i;
        if (best < 0) return n;
        taken[best] = true;
        bool keep = true;
        for (int k = 0; keep && k < n; k++) keep = shared(boxes[best], boxes[(int)kept[k][2]]) <= iou;
        if (keep) kept[n++][2] = best;
    }
}

static void many_boxes_follow_the_plain_rule(void)
{
    static double boxes[MANY][4], scores[MANY], kept[MANY][3];
    uint32_t state = 1;
    for (int spread = 10; spread <= 10000; spread *= 10) { // all over each other, to hardly any
        for (int i = 0; i < MANY; i++) {
            int r[5];
            for (int k = 0; k < 5; k++) r[k] = (int)((state = state * 1664525 + 1013904223) >> 16);
            const double y = r[0] % spread, x = r[1] % 10;
            // Quarters are exact, scores of eight values tie; some boxes are tall.
            memcpy(boxes[i], (double[]){y, x, y + (i % 50 ? r[2] % 30 + 1 : spread) / 4.0, x + (r[3] % 30 + 1) / 4.0},
                   sizeof boxes[i]);
            scores[i] = r[4] % 8 / 8.0;
        }
        memset(kept, 0, sizeof kept);
        const int n = plain_suppression(boxes, scores, 0.25, kept);
        struct op_case c = op_case("NonMaxSuppression", 11);
        op_input(&c, REEL_F32, SHAPE(1, MANY, 4), boxes[0]);
        op_input(&c, REEL_F32, SHAPE(1, 1, MANY), scores);
        op_input(&c, REEL_I64, SHAPE(1), (double[]){MANY});
        op_input(&c, REEL_F32, SHAPE(1), (double[]){0.25});
        CHECK(op_result(&c, REEL_I64, SHAPE(n, 3), kept[0]));
    }
}

static void centre_crop_leaves_the_odd_one_at_the_end(void)
{
    struct op_case c = op_case("CenterCropPad", 18);
    op_input(&c, REEL_I32, SHAPE(2, 4), (double[]){1, 2, 3, 4, 5, 6, 7, 8});
    op_input(&c, REEL_I64, SHAPE(2), (double[]){3, 1});
    CHECK(op_result(&c, REEL_I32, SHAPE(3, 1), (double[]){2, 6, 0}));
}

static void affine_grid_spans_the_corners(void)
{
    for (int align = 0; align < 2; align++) {
        struct op_case c = op_case("AffineGrid", 20);
        op_input(&c, REEL_F32, SHAPE(1, 2, 3), (double[]){2, 0, 0, 0, 1, 10});
        op_input(&c, REEL_I64, SHAPE(4), (double[]){1, 1, 1, 2});
        op_attr_int(&c, "align_corners", align);
        const double edge = align ? 2 : 1;
        CHECK(op_result(&c, REEL_F32, SHAPE(1, 1, 2, 2), (double[]){-edge, 10, edge, 10}));
    }
}

CHECK_MAIN({"linear_follows_its_coordinates", linear_follows_its_coordinates},
           {"nearest_rounds_as_told", nearest_rounds_as_told},
           {"cubic_may_leave_the_border_out", cubic_may_leave_the_border_out},
           {"antialias_widens_the_filter", antialias_widens_the_filter},
           {"crop_and_resize_fills_outside", crop_and_resize_fills_outside},
           {"sizes_keep_the_aspect_ratio", sizes_keep_the_aspect_ratio},
           {"resize_moves_scaled_axes_only", resize_moves_scaled_axes_only}, {"sizes_decide_ties", sizes_decide_ties},
           {"old_resize_rounds_by_direction", old_resize_rounds_by_direction},
           {"integers_saturate_when_cubic_overshoots", integers_saturate_when_cubic_overshoots},
           {"resize_needs_a_size", resize_needs_a_size},
           {"grid_reads_beyond_the_border_as_told", grid_reads_beyond_the_border_as_told},
           {"blocks_come_in_two_orders", blocks_come_in_two_orders},
           {"suppression_goes_by_score_and_class", suppression_goes_by_score_and_class},
           {"many_boxes_follow_the_plain_rule", many_boxes_follow_the_plain_rule},
           {"centre_crop_leaves_the_odd_one_at_the_end", centre_crop_leaves_the_odd_one_at_the_end},
           {"affine_grid_spans_the_corners", affine_grid_spans_the_corners})
