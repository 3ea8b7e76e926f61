// SPDX-License-Identifier: MIT
//
// Points of one body: made-up heatmaps, SimCC and MoveNet outputs, with places counted by hand.
#include <math.h>

#include "tests/unit/worker/head_case.h"

static struct head_params pose(enum model_head head, int points, int w, int h)
{
    return (struct head_params){
        .head = head, .classes = 1, .points = points, .point_floats = 3, .net_w = w, .net_h = h, .score = 0.3f};
}

// Three maps of 12 x 16 for 48 x 64. last: the points of a pixel stand together.
static void heatmaps(bool last)
{
    struct reel_tensor t = last ? TENSOR(4, 1, 16, 12, 3) : TENSOR(4, 1, 3, 16, 12);
    struct head_list list;
#define MAP(k, x, y) *(last ? at(&t, ((y)*12 + (x)) * 3 + (k)) : at(&t, (k)*192 + (y)*12 + (x)))
    // Point 0 at column 5, row 7: right of it is more than left of it, above more than below.
    MAP(0, 5, 7) = 0.9f, MAP(0, 6, 7) = 0.5f, MAP(0, 4, 7) = 0.25f, MAP(0, 5, 6) = 0.125f;
    // Point 1 in column 1: not moved, whatever is around it.
    MAP(1, 1, 8) = 0.5f, MAP(1, 2, 8) = 0.4f;
    // Point 2 is not seen, and says nothing of box and score.
    MAP(2, 11, 15) = 0.125f;
    CHECK_INT(head_case_decode(pose(MODEL_HEAD_HEATMAP, 3, 48, 64), &t, 1, &list), REEL_OK);
    CHECK_INT(list.n, 1);
    const struct head_box b = list.box[0];
    CHECK_INT(b.n_points, 3);
    CHECK_POINT(b, 0, 21, 27, 0.9f); // (5 + 1/4) * 4, (7 - 1/4) * 4
    CHECK_POINT(b, 1, 4, 32, 0.5f);
    CHECK_POINT(b, 2, 44, 60, 0.125f);
    CHECK_NEAR(b.score, 0.7, 1e-6); // the mean of 0.9 and 0.5
    CHECK_SIDES(b, 4, 27, 21, 32, 1e-4);
    free(list.box);
    struct head_params p = pose(MODEL_HEAD_HEATMAP, 3, 48, 64);
    p.udp = true;
    CHECK_INT(head_case_decode(p, &t, 1, &list), REEL_OK);
    CHECK_POINT(list.box[0], 2, 47, 63, 0.125f); // the last pixels
    CHECK_POINT(list.box[0], 1, 47 / 11.0, 8 * 63 / 15.0, 0.5f);
    free(list.box);
    p.udp = false;
    p.score = 0.71f; // nobody there
    CHECK_INT(head_case_decode(p, &t, 1, &list), REEL_OK);
    CHECK_INT(list.n, 0);
    free(list.box);
    p.points = 4;
    CHECK_INT(head_case_decode(p, &t, 1, &list), REEL_ERR_UNSUPPORTED);
#undef MAP
    reel_tensor_fini(&t);
}

static void maps_of_points(void)
{
    heatmaps(false);
    heatmaps(true);
}

// A single point has a box, too; nothing that is no number is a point.
static void one_point_and_none(void)
{
    struct reel_tensor t = TENSOR(4, 1, 2, 4, 4);
    struct head_list list;
    for (int i = 0; i < 16; i++) *at(&t, 16 + i) = NAN;
    *at(&t, 6) = 0.5f;
    CHECK_INT(head_case_decode(pose(MODEL_HEAD_HEATMAP, 2, 16, 16), &t, 1, &list), REEL_OK);
    CHECK_INT(list.n, 1);
    CHECK_SIDES(list.box[0], 8, 4, 9, 5, 0);
    CHECK_INT(list.box[0].n_points, 2);
    free(list.box);
    *at(&t, 6) = 0;
    CHECK_INT(head_case_decode(pose(MODEL_HEAD_HEATMAP, 2, 16, 16), &t, 1, &list), REEL_OK);
    CHECK_INT(list.n, 0);
    free(list.box);
    reel_tensor_fini(&t);
}

// Two places for each pixel; the smaller of both scores.
static void columns_and_rows(void)
{
    struct reel_tensor t[2] = {TENSOR(3, 1, 2, 96), TENSOR(3, 1, 2, 128)};
    struct head_list list;
    *at(&t[0], 31) = 0.75f, *at(&t[1], 100) = 0.5f;
    *at(&t[0], 96 + 40) = 0.25f, *at(&t[1], 128 + 7) = 2;
    CHECK_INT(head_case_decode(pose(MODEL_HEAD_SIMCC, 2, 48, 64), t, 2, &list), REEL_OK);
    CHECK_INT(list.n, 1);
    CHECK_POINT(list.box[0], 0, 15.5, 50, 0.5f);
    CHECK_POINT(list.box[0], 1, 20, 3.5, 0.25f);
    CHECK_SIDES(list.box[0], 15.5, 3.5, 20, 50, 0);
    CHECK_NEAR(list.box[0].score, 0.375, 0);
    free(list.box);
    CHECK_INT(head_case_decode(pose(MODEL_HEAD_SIMCC, 3, 48, 64), t, 2, &list), REEL_ERR_UNSUPPORTED);
    CHECK_INT(head_case_decode(pose(MODEL_HEAD_SIMCC, 2, 48, 64), t, 1, &list), REEL_ERR_UNSUPPORTED);
    reel_tensor_fini(&t[0]), reel_tensor_fini(&t[1]);
}

static void movenet(void)
{
    struct reel_tensor one = TENSOR(4, 1, 1, 2, 3), six = TENSOR(3, 1, 6, 11);
    struct head_list list;
    const float points[6] = {0.25f, 0.5f, 0.5f, 0.75f, 0.125f, 1}; // y x score
    memcpy(at(&one, 0), points, sizeof points);
    CHECK_INT(head_case_decode(pose(MODEL_HEAD_MOVENET, 2, 192, 96), &one, 1, &list), REEL_OK);
    CHECK_INT(list.n, 1);
    CHECK_POINT(list.box[0], 0, 96, 24, 0.5f);
    CHECK_POINT(list.box[0], 1, 24, 72, 1);
    CHECK_SIDES(list.box[0], 24, 24, 96, 72, 0);
    CHECK_NEAR(list.box[0].score, 0.75, 0);
    free(list.box);
    memcpy(at(&six, 22), points, sizeof points); // the third body
    const float body[5] = {0.125f, 0.25f, 0.5f, 1, 0.625f};
    memcpy(at(&six, 28), body, sizeof body);
    CHECK_INT(head_case_decode(pose(MODEL_HEAD_MOVENET, 2, 192, 96), &six, 1, &list), REEL_OK);
    CHECK_INT(list.n, 1);
    CHECK_SIDES(list.box[0], 48, 12, 192, 48, 0);
    CHECK_NEAR(list.box[0].score, 0.625, 0);
    CHECK_POINT(list.box[0], 1, 24, 72, 1);
    free(list.box);
    CHECK_INT(head_case_decode(pose(MODEL_HEAD_MOVENET, 5, 192, 96), &one, 1, &list), REEL_ERR_UNSUPPORTED);
    reel_tensor_fini(&one), reel_tensor_fini(&six);
}

CHECK_MAIN({"head maps of points", maps_of_points}, {"head one point and none", one_point_and_none},
           {"head columns and rows", columns_and_rows}, {"head movenet", movenet})
