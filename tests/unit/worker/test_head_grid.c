// SPDX-License-Identifier: MIT
//
// Boxes from raw grids with anchors and from CenterNet's maps: one object is planted, its box
// computed by hand from the formulas of each generation. ln 3 has the sigmoid 3/4.
#include <math.h>

#include "tests/unit/worker/head_case.h"

#define CLASSES 2
#define NUMBERS (5 + CLASSES)
#define NET_W 64
#define NET_H 96

// How a grid's numbers lie.
enum order {
    PLANES,     // (1, 3 n, h, w)
    ROWS,       // (1, 3, h, w, n)
    CELLS,      // (1, h, w, 3, n)
    CELLS_FLAT, // (1, h, w, 3 n)
    APART,      // (1, 3, n, h, w)
    ORDERS,
};

static struct reel_tensor grid(enum order order, int w, int h)
{
    return order == PLANES  ? TENSOR(4, 1, 3 * NUMBERS, h, w)
           : order == ROWS  ? TENSOR(5, 1, 3, h, w, NUMBERS)
           : order == CELLS ? TENSOR(5, 1, h, w, 3, NUMBERS)
           : order == APART ? TENSOR(5, 1, 3, NUMBERS, h, w)
                            : TENSOR(4, 1, h, w, 3 * NUMBERS);
}

static float *number(struct reel_tensor *t, enum order order, int w, int h, int anchor, int x, int y, int n)
{
    const int channel = anchor * NUMBERS + n, cell = y * w + x;
    if (order == PLANES || order == APART) return at(t, (int64_t)channel * w * h + cell);
    if (order == ROWS) return at(t, ((int64_t)anchor * w * h + cell) * NUMBERS + n);
    return at(t, (int64_t)cell * 3 * NUMBERS + channel);
}

// An object of class 1 in cell (x, y) of grid g by anchor a: x at 3/4, y in the middle, w by ln 3, h by
// 0, and the class's score 1/2. made: sigmoids instead of logits.
static void check_grids(enum model_head head, int n, enum order order, bool made, int g, int a, const double box[4])
{
    struct reel_tensor t[4];
    const int first = n == 2 ? 16 : 8, x = 1, y = 2;
    const float values[NUMBERS] = {logf(3), 0, logf(3), 0, 30, -30, 0};
    for (int i = 0; i < n; i++) {
        const int w = NET_W / (first << i), h = NET_H / (first << i);
        t[i] = grid(order, w, h);
        for (int64_t k = 0; k < reel_tensor_count(&t[i]); k++) *at(&t[i], k) = made ? 0 : -30;
        for (int k = 0; k < NUMBERS && i == g; k++)
            *number(&t[i], order, w, h, a, x, y, k) = made ? 1 / (1 + expf(-values[k])) : values[k];
    }
    struct head_params p = {
        .head = head, .classes = CLASSES, .decoded = made, .net_w = NET_W, .net_h = NET_H, .score = 0.3f};
    struct head_list list;
    CHECK_INT(head_case_decode(p, t, n, &list), REEL_OK);
    CHECK_MSG(list.n == 1, "%s, %d grids, order %d: %d boxes", model_head_name(head), n, (int)order, list.n);
    CHECK_SIDES(list.box[0], box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2, 1e-3);
    CHECK_NEAR(list.box[0].score, 0.5, 1e-6);
    CHECK_INT(list.box[0].class_id, 1);
    free(list.box);
    p.classes++;
    CHECK_INT(head_case_decode(p, t, n, &list), REEL_ERR_UNSUPPORTED);
    for (int i = 0; i < n; i++) reel_tensor_fini(&t[i]);
}

#define BOX(...) ((const double[4]){__VA_ARGS__}) // middle and size

// Cell (1, 2) of stride 16, anchor 1.
static void generations(void)
{
    for (int order = 0; order < ORDERS; order++) {
        check_grids(MODEL_HEAD_YOLOV3, 3, (enum order)order, false, 1, 1, BOX(28, 40, 186, 45));
        // 0.75 * 1.1 - 0.05 = 0.775
        check_grids(MODEL_HEAD_YOLOV4, 3, (enum order)order, false, 1, 1, BOX(28.4, 40, 228, 55));
        // 2 * 0.75 - 0.5 = 1; (2 * 0.75)^2 = 2.25
        check_grids(MODEL_HEAD_YOLOV5, 3, (enum order)order, false, 1, 1, BOX(32, 40, 139.5, 45));
        check_grids(MODEL_HEAD_YOLOV7, 3, (enum order)order, false, 1, 1, BOX(32, 40, 171, 55));
    }
}

static void other_grids(void)
{
    check_grids(MODEL_HEAD_YOLOV3, 3, PLANES, false, 0, 2, BOX(14, 20, 99, 23));
    check_grids(MODEL_HEAD_YOLOV4, 3, PLANES, false, 2, 0, BOX(56.4, 80, 426, 110)); // 1.7625 * 32
    check_grids(MODEL_HEAD_YOLOV3, 2, ROWS, false, 1, 2, BOX(56, 80, 1032, 319));
    check_grids(MODEL_HEAD_YOLOV4, 2, CELLS, false, 0, 0, BOX(28.2, 40, 69, 27));
    check_grids(MODEL_HEAD_YOLOV5, 3, ROWS, true, 2, 2, BOX(64, 80, 839.25, 326)); // sigmoids in the graph
}

// A picture of other sides, and numbers of grids that no network of the kind has, are refused.
static void grids_that_do_not_fit(void)
{
    struct reel_tensor t[4] = {grid(PLANES, 8, 12), grid(PLANES, 4, 6), grid(PLANES, 2, 3), grid(PLANES, 1, 1)};
    struct head_params p = {
        .head = MODEL_HEAD_YOLOV3, .classes = CLASSES, .net_w = NET_W, .net_h = NET_H, .score = 0.3f};
    struct head_list list;
    CHECK_INT(head_case_decode(p, t, 3, &list), REEL_OK);
    free(list.box);
    CHECK_INT(head_case_decode(p, t, 4, &list), REEL_ERR_UNSUPPORTED);
    CHECK_INT(head_case_decode(p, t, 1, &list), REEL_ERR_UNSUPPORTED);
    CHECK_INT(head_case_decode(p, t + 1, 3, &list), REEL_ERR_UNSUPPORTED);
    p.net_w = 96;
    CHECK_INT(head_case_decode(p, t, 3, &list), REEL_ERR_UNSUPPORTED);
    for (int i = 0; i < 4; i++) reel_tensor_fini(&t[i]);
}

// Maps of 8 x 6 for 32 x 24, two classes.
static void centernet(void)
{
    struct reel_tensor t[3] = {TENSOR(4, 1, 2, 6, 8), TENSOR(4, 1, 2, 6, 8), TENSOR(4, 1, 2, 6, 8)};
    struct head_params p = {
        .head = MODEL_HEAD_CENTERNET, .classes = 2, .decoded = true, .net_w = 32, .net_h = 24, .score = 0.3f};
    struct head_list list;
    *at(&t[0], 2 * 8 + 3) = 0.75f, *at(&t[0], 2 * 8 + 4) = 0.7f, *at(&t[0], 1 * 8 + 2) = 0.6f; // one peak
    *at(&t[0], 48 + 47) = 0.5f;                                                                // in the corner
    *at(&t[1], 2 * 8 + 3) = 2, *at(&t[1], 48 + 2 * 8 + 3) = 3;
    *at(&t[2], 2 * 8 + 3) = 0.5f, *at(&t[2], 48 + 2 * 8 + 3) = 0.25f;
    *at(&t[1], 47) = 1, *at(&t[1], 48 + 47) = 1;
    for (int logits = 0; logits < 2; logits++) {
        CHECK_INT(head_case_decode(p, t, 3, &list), REEL_OK);
        CHECK_INT(list.n, 2);
        CHECK_SIDES(list.box[0], 10, 3, 18, 15, 1e-4); // middle (3.5, 2.25) * 4, size (2, 3) * 4
        CHECK_NEAR(list.box[0].score, 0.75, 1e-6);
        CHECK_INT(list.box[0].class_id, 0);
        CHECK_SIDES(list.box[1], 26, 18, 30, 22, 1e-4);
        CHECK_INT(list.box[1].class_id, 1);
        free(list.box);
        p.decoded = false;
        for (int i = 0; i < 2 * 48; i++)
            *at(&t[0], i) = *at(&t[0], i) > 0 ? logf(*at(&t[0], i) / (1 - *at(&t[0], i))) : -30;
    }
    p.net_w = 64;
    CHECK_INT(head_case_decode(p, t, 3, &list), REEL_ERR_UNSUPPORTED);
    for (int i = 0; i < 3; i++) reel_tensor_fini(&t[i]);
}

CHECK_MAIN({"head generations of grids", generations}, {"head other grids", other_grids},
           {"head grids that do not fit", grids_that_do_not_fit}, {"head centernet", centernet})
