// SPDX-License-Identifier: MIT
//
// Detection heads on made-up tensors: one object is planted where the family's
// formulas say, and must come out there; wrong shapes are refused. Cells that were
// picked by their score give the boxes that all of them give.
#include "worker/task/head.h"

#include <math.h>

#include "tests/check.h"

static struct reel_tensor tensor(int ndim, const int64_t *dim)
{
    struct reel_shape s = {.ndim = ndim};
    memcpy(s.dim, dim, (size_t)ndim * sizeof *dim);
    struct reel_tensor t = {0};
    if (reel_tensor_init(&t, REEL_F32, &s)) abort();
    return t;
}
#define TENSOR(n, ...) tensor(n, (const int64_t[]){__VA_ARGS__})

static float *at(struct reel_tensor *t, int64_t i)
{
    return (float *)t->data + i;
}

static int points, point_floats; // of the next decode()
static bool turned, centres, points_first;

static enum reel_err decode(enum model_head head, int classes, int w, int h, bool decoded, struct reel_tensor *t, int n,
                            struct head_list *list)
{
    const struct reel_tensor *out[12];
    for (int i = 0; i < n; i++) out[i] = &t[i];
    struct head_params p = {.head = head,
                            .classes = classes,
                            .decoded = decoded,
                            .net_w = w,
                            .net_h = h,
                            .score = 0.3f,
                            .points = points,
                            .point_floats = point_floats,
                            .points_first = points_first,
                            .turned = turned,
                            .centres = centres};
    points = point_floats = 0, turned = centres = points_first = false;
    *list = (struct head_list){0};
    return head_decode(&p, out, n, list);
}

#define CHECK_BOX(list, x1_, y1_, x2_, y2_, score_, class_) \
    do {                                                    \
        CHECK_INT((list).n, 1);                             \
        struct head_box b_ = (list).box[0];                 \
        CHECK_NEAR(b_.x1, x1_, 1e-3);                       \
        CHECK_NEAR(b_.y1, y1_, 1e-3);                       \
        CHECK_NEAR(b_.x2, x2_, 1e-3);                       \
        CHECK_NEAR(b_.y2, y2_, 1e-3);                       \
        CHECK_NEAR(b_.score, score_, 1e-5);                 \
        CHECK_INT(b_.class_id, class_);                     \
    } while (0)

static void yolov5(void)
{
    struct reel_tensor t = TENSOR(3, 1, 25200, 85);
    float *row = at(&t, 12345 * 85);
    row[0] = 100, row[1] = 200, row[2] = 40, row[3] = 60, row[4] = 0.8f, row[5 + 17] = 0.5f, row[5 + 16] = 0.4f;
    *at(&t, 77 * 85 + 4) = 1; // no class: score 0
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_YOLOV5, 80, 640, 640, false, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 80, 170, 120, 230, 0.4, 17);
    free(list.box);
    reel_tensor_fini(&t);
}

static void yolov8(void)
{
    struct reel_tensor t = TENSOR(3, 1, 84, 8400);
    int i = 4321;
    const float box[4] = {320, 100, 64, 32};
    for (int k = 0; k < 4; k++) *at(&t, k * 8400 + i) = box[k];
    *at(&t, (4 + 79) * 8400 + i) = 0.9f;
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_YOLOV8, 80, 640, 640, false, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 288, 84, 352, 116, 0.9, 79);
    free(list.box);
    reel_tensor_fini(&t);
    struct reel_tensor pose = TENSOR(3, 1, 56, 8400);
    for (int k = 0; k < 4; k++) *at(&pose, k * 8400 + 5) = box[k];
    *at(&pose, 4 * 8400 + 5) = 0.7f;
    for (int k = 0; k < 51; k++) *at(&pose, (5 + k) * 8400 + 5) = (float)k;
    points = 17, point_floats = 3;
    CHECK_INT(decode(MODEL_HEAD_YOLOV8, 1, 640, 640, false, &pose, 1, &list), REEL_OK);
    CHECK_INT(list.n, 1);
    CHECK_INT(list.box[0].n_points, 17);
    CHECK_NEAR(list.box[0].point[16].x, 48, 0);
    CHECK_NEAR(list.box[0].point[16].y, 49, 0);
    CHECK_NEAR(list.box[0].point[16].score, 50, 0);
    free(list.box);
    points = 18, point_floats = 3; // more than there are
    CHECK_INT(decode(MODEL_HEAD_YOLOV8, 1, 640, 640, false, &pose, 1, &list), REEL_ERR_UNSUPPORTED);
    reel_tensor_fini(&pose);
}

// What stands behind the scores: points of two numbers, an angle, the weights of masks.
static void yolov8_others(void)
{
    struct reel_tensor t = TENSOR(3, 1, 11, 50);
    const float cell[11] = {100, 80, 40, 20, 0.1f, 0.8f, 1.57079633f, 5, 6, 7, 8};
    for (int k = 0; k < 11; k++) *at(&t, k * 50 + 3) = cell[k];
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_YOLOV8, 2, 640, 640, false, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 80, 70, 120, 90, 0.8, 1);
    CHECK_INT(list.box[0].n_points, 0);
    free(list.box);
    turned = true; // by a right angle
    CHECK_INT(decode(MODEL_HEAD_YOLOV8, 2, 640, 640, false, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 90, 60, 110, 100, 0.8, 1);
    free(list.box);
    points = 2, point_floats = 2;
    CHECK_INT(decode(MODEL_HEAD_YOLOV8, 2, 640, 640, false, &t, 1, &list), REEL_OK);
    CHECK_INT(list.box[0].n_points, 2);
    CHECK_NEAR(list.box[0].point[1].x, 6, 0);
    CHECK_NEAR(list.box[0].point[1].y, 7, 0);
    CHECK_NEAR(list.box[0].point[1].score, 1, 0);
    free(list.box);
    reel_tensor_fini(&t);
}

// Points stand before the classes (YOLOv5-face) or behind them (YOLOv7-pose).
static void yolov5_with_points(void)
{
    struct reel_tensor t = TENSOR(3, 1, 9, 12);
    const float row[12] = {100, 80, 40, 20, 0.8f, 11, 12, 21, 22, 0.25f, 0.5f, 0};
    memcpy(at(&t, 4 * 12), row, sizeof row);
    struct head_list list;
    points = 2, point_floats = 2, points_first = true;
    CHECK_INT(decode(MODEL_HEAD_YOLOV5_FACE, 3, 640, 640, false, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 80, 70, 120, 90, 0.4, 1);
    CHECK_INT(list.box[0].n_points, 2);
    CHECK_NEAR(list.box[0].point[1].x, 21, 0);
    CHECK_NEAR(list.box[0].point[1].y, 22, 0);
    CHECK_NEAR(list.box[0].point[1].score, 1, 0);
    free(list.box);
    *at(&t, 4 * 12 + 5) = 0.75f; // the class
    points = 2, point_floats = 3;
    CHECK_INT(decode(MODEL_HEAD_YOLOV5_POSE, 1, 640, 640, false, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 80, 70, 120, 90, 0.6, 0);
    CHECK_NEAR(list.box[0].point[1].x, 0.25, 0);
    CHECK_NEAR(list.box[0].point[1].y, 0.5, 0);
    free(list.box);
    points = 3, point_floats = 3; // more than there are
    CHECK_INT(decode(MODEL_HEAD_YOLOV5_POSE, 1, 640, 640, false, &t, 1, &list), REEL_ERR_UNSUPPORTED);
    reel_tensor_fini(&t);
}

static void queries(void)
{
    struct reel_tensor t[2] = {TENSOR(3, 1, 100, 4), TENSOR(3, 1, 100, 4)};
    const float middle[4] = {0.5f, 0.25f, 0.2f, 0.1f};
    for (int i = 0; i < 100; i++) *at(&t[0], 4 * i + 3) = 9; // none
    for (int k = 0; k < 4; k++) *at(&t[1], 4 * 7 + k) = middle[k];
    float *logits = at(&t[0], 4 * 7);
    logits[0] = 1, logits[1] = 3, logits[2] = 2, logits[3] = 2;
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_DETR, 3, 640, 320, false, t, 2, &list), REEL_OK);
    CHECK_BOX(list, 256, 64, 384, 96, exp(3) / (exp(1) + exp(3) + 2 * exp(2)), 1);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_DETR, 4, 640, 320, false, t, 2, &list), REEL_ERR_UNSUPPORTED);
    for (int i = 0; i < 400; i++) *at(&t[0], i) = -9;
    *at(&t[0], 4 * 7 + 3) = 0.5f; // below the threshold as it stands with none of the others
    CHECK_INT(decode(MODEL_HEAD_RTDETR, 4, 640, 320, false, t, 2, &list), REEL_OK);
    CHECK_BOX(list, 256, 64, 384, 96, 1 / (1 + exp(-0.5)), 3);
    free(list.box);
    reel_tensor_fini(&t[0]);
    t[0] = TENSOR(3, 1, 300, 9); // rows of a box and its scores
    for (int k = 0; k < 4; k++) *at(&t[0], 9 * 299 + k) = middle[k];
    *at(&t[0], 9 * 299 + 4 + 4) = 0.75f;
    CHECK_INT(decode(MODEL_HEAD_RTDETR, 5, 640, 320, true, t, 1, &list), REEL_OK);
    CHECK_BOX(list, 256, 64, 384, 96, 0.75, 4);
    free(list.box);
    reel_tensor_fini(&t[0]), reel_tensor_fini(&t[1]);
}

static void boxes_beside_scores(void)
{
    struct reel_tensor t[3] = {TENSOR(3, 1, 525, 4), TENSOR(3, 1, 525, 80)};
    const float corners[4] = {10, 20, 30, 60};
    for (int k = 0; k < 4; k++) *at(&t[0], 4 * 400 + k) = corners[k];
    *at(&t[1], 80 * 400) = 0.625f; // class 0 is one like others
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_YOLO_NAS, 80, 160, 160, false, t, 2, &list), REEL_OK);
    CHECK_BOX(list, 10, 20, 30, 60, 0.625, 0);
    free(list.box);
    reel_tensor_fini(&t[0]), reel_tensor_fini(&t[1]);
    t[0] = TENSOR(2, 5, 4), t[1] = TENSOR(1, 5), t[2] = TENSOR(1, 5);
    for (int k = 0; k < 4; k++) *at(&t[0], 4 * 2 + k) = corners[k];
    *at(&t[1], 2) = 17, *at(&t[2], 2) = 0.5f;
    CHECK_INT(decode(MODEL_HEAD_LISTS, 1, 160, 160, true, t, 3, &list), REEL_OK);
    CHECK_BOX(list, 10, 20, 30, 60, 0.5, 17);
    free(list.box);
    for (int k = 0; k < 4; k++) *at(&t[0], 4 * 2 + k) /= 100;
    CHECK_INT(decode(MODEL_HEAD_LISTS, 1, 160, 80, false, t, 3, &list), REEL_OK);
    CHECK_BOX(list, 32, 8, 96, 24, 0.5, 17);
    free(list.box);
    reel_tensor_fini(&t[1]);
    t[1] = TENSOR(1, 4);
    CHECK_INT(decode(MODEL_HEAD_LISTS, 1, 160, 80, false, t, 3, &list), REEL_ERR_UNSUPPORTED);
    for (int i = 0; i < 3; i++) reel_tensor_fini(&t[i]);
}

static void yolox(void)
{
    struct reel_tensor t = TENSOR(3, 1, 3549, 6);
    // The second row, third cell of stride 16: after 52 x 52 of stride 8.
    float *row = at(&t, (52 * 52 + 26 + 2) * 6);
    row[0] = 0.5f, row[1] = 0.25f, row[2] = logf(2), row[3] = logf(4), row[4] = 1, row[5] = 0.6f;
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_YOLOX, 1, 416, 416, false, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 40 - 16, 20 - 32, 40 + 16, 20 + 32, 0.6, 0);
    free(list.box);
    row[2] = 10, row[3] = 10;
    CHECK_INT(decode(MODEL_HEAD_YOLOX, 1, 416, 416, true, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 0.5 - 5, 0.25 - 5, 5.5, 5.25, 0.6, 0);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_YOLOX, 1, 640, 416, false, &t, 1, &list), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "1x3549x6");
    free(list.box);
    reel_tensor_fini(&t);
}

static void finished_boxes(void)
{
    struct reel_tensor t = TENSOR(3, 1, 300, 6), seven = TENSOR(2, 2, 7), none = TENSOR(2, 0, 7);
    const float six[6] = {10, 20, 30, 40, 0.5f, 3}, row[7] = {0, 10, 20, 30, 40, 3, 0.5f};
    memcpy(at(&t, 18), six, sizeof six);
    memcpy(at(&seven, 7), row, sizeof row);
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_NMS, 1, 640, 640, false, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 10, 20, 30, 40, 0.5, 3);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_NMS, 1, 640, 640, false, &seven, 1, &list), REEL_OK);
    CHECK_BOX(list, 10, 20, 30, 40, 0.5, 3);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_NMS, 1, 640, 640, false, &none, 1, &list), REEL_OK);
    CHECK_INT(list.n, 0);
    reel_tensor_fini(&t);
    reel_tensor_fini(&seven);
    reel_tensor_fini(&none);
}

// Ultralytics' of turned boxes, and of RT-DETR with the best queries picked in the graph.
static void finished_by_centre(void)
{
    struct reel_tensor by_angle = TENSOR(3, 1, 300, 7), t = TENSOR(3, 1, 300, 6);
    const float right[7] = {100, 50, 40, 20, 0.5f, 3, 1.5707963f}, unit[6] = {0.5f, 0.25f, 0.1f, 0.2f, 0.6f, 7};
    memcpy(at(&by_angle, 7), right, sizeof right);
    memcpy(at(&t, 6), unit, sizeof unit);
    struct head_list list;
    turned = true;
    CHECK_INT(decode(MODEL_HEAD_NMS, 1, 640, 640, false, &by_angle, 1, &list), REEL_OK);
    CHECK_BOX(list, 90, 30, 110, 70, 0.5, 3);
    free(list.box);
    centres = true;
    CHECK_INT(decode(MODEL_HEAD_NMS, 1, 640, 320, false, &t, 1, &list), REEL_OK);
    CHECK_BOX(list, 288, 48, 352, 112, 0.6, 7);
    free(list.box);
    reel_tensor_fini(&by_angle);
    reel_tensor_fini(&t);
}

static void ssd(void)
{
    struct reel_tensor t[2] = {TENSOR(3, 1, 10, 3), TENSOR(3, 1, 10, 4)};
    const float box[4] = {0.25f, 0.5f, 0.75f, 1};
    *at(&t[0], 4 * 3 + 2) = 0.9f;
    *at(&t[0], 5 * 3) = 1; // background
    memcpy(at(&t[1], 16), box, sizeof box);
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_SSD, 2, 320, 240, true, t, 2, &list), REEL_OK);
    CHECK_BOX(list, 80, 120, 240, 240, 0.9, 1);
    free(list.box);
    reel_tensor_fini(&t[0]);
    reel_tensor_fini(&t[1]);
}

// An export that ends with the offsets: the priors of UltraFace at 320x240.
static void ssd_offsets(void)
{
    CHECK_INT(head_ultraface_priors(320, 240), 4420);
    struct reel_tensor t[2] = {TENSOR(3, 1, 4420, 2), TENSOR(3, 1, 4420, 4)};
    // Stride 16, row 1, column 2, the larger size (48 pixels).
    int64_t i = 3600 + (1 * 20 + 2) * 2 + 1;
    const float offsets[4] = {1, -1, 5 * logf(2), 0};
    *at(&t[0], 2 * i + 1) = 0.9f;
    memcpy(at(&t[1], 4 * i), offsets, sizeof offsets);
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_SSD, 1, 320, 240, false, t, 2, &list), REEL_OK);
    CHECK_BOX(list, 40 + 4.8 - 48, 24 - 4.8 - 24, 40 + 4.8 + 48, 24 - 4.8 + 24, 0.9, 0);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_SSD, 1, 640, 480, false, t, 2, &list), REEL_ERR_UNSUPPORTED);
    free(list.box);
    reel_tensor_fini(&t[0]);
    reel_tensor_fini(&t[1]);
}

// Two rows of each cell; what is planted stands in the second row of a cell of stride 16.
static void scrfd(void)
{
    struct reel_tensor t[9];
    static const int widths[3] = {1, 4, 10};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++) t[3 * k + i] = TENSOR(2, 2 * (320 >> (3 + i)) * (256 >> (3 + i)), widths[k]);
    const int64_t row = 2 * (5 * 20 + 7) + 1; // column 7, row 5
    const float sides[4] = {1, 2, 3, 0.5f};
    *at(&t[1], row) = 0.8f;
    memcpy(at(&t[4], 4 * row), sides, sizeof sides);
    for (int i = 0; i < 10; i++) *at(&t[7], 10 * row + i) = (float)i / 2;
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_SCRFD, 1, 320, 256, false, t, 9, &list), REEL_OK);
    CHECK_BOX(list, 112 - 16, 80 - 32, 112 + 48, 80 + 8, 0.8, 0);
    CHECK_INT(list.box[0].n_points, 5);
    CHECK_NEAR(list.box[0].point[4].x, 112 + 64, 1e-4);
    CHECK_NEAR(list.box[0].point[4].y, 80 + 72, 1e-4);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_SCRFD, 1, 320, 256, false, t, 6, &list), REEL_OK); // no points
    CHECK_BOX(list, 96, 48, 160, 88, 0.8, 0);
    CHECK_INT(list.box[0].n_points, 0);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_SCRFD, 1, 320, 224, false, t, 9, &list), REEL_ERR_UNSUPPORTED);
    for (int i = 0; i < 9; i++) reel_tensor_fini(&t[i]);
}

// Distributions that are all in one place: the distance is that many strides.
static void put_sides(float *d, int left, int top, int right, int bottom)
{
    const int sides[4] = {left, top, right, bottom};
    for (int i = 0; i < 32; i++) d[i] = i % 8 == sides[i / 8] ? 60 : 0;
}

static void distributions_of_distances(void)
{
    struct head_list list;
    struct reel_tensor plus = TENSOR(3, 1, 40 * 32 + 20 * 16 + 10 * 8 + 5 * 4, 3 + 32);
    float *row = at(&plus, (40 * 32 + 20 * 16 + 3 * 10 + 4) * 35); // stride 32, row 3, column 4
    row[2] = 0.7f, row[0] = 0.6f;
    put_sides(row + 3, 1, 2, 3, 0);
    CHECK_INT(decode(MODEL_HEAD_NANODET, 3, 320, 256, false, &plus, 1, &list), REEL_OK);
    CHECK_BOX(list, 128 - 32, 96 - 64, 128 + 96, 96, 0.7, 2);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_NANODET, 4, 320, 256, false, &plus, 1, &list), REEL_ERR_UNSUPPORTED);
    CHECK_INT(decode(MODEL_HEAD_NANODET, 3, 320, 320, false, &plus, 1, &list), REEL_ERR_UNSUPPORTED);
    reel_tensor_fini(&plus);
    struct reel_tensor first = TENSOR(3, 1, 40 * 32 + 20 * 16 + 10 * 8, 1 + 32);
    row = at(&first, (40 * 32 - 1) * 33); // stride 8, the last cell, of which the middle counts
    row[0] = 0.9f;
    put_sides(row + 1, 7, 7, 0, 0);
    CHECK_INT(decode(MODEL_HEAD_NANODET, 1, 320, 256, false, &first, 1, &list), REEL_OK);
    CHECK_BOX(list, 316 - 56, 252 - 56, 316, 252, 0.9, 0);
    free(list.box);
    reel_tensor_fini(&first);
    struct reel_tensor pico[8];
    for (int i = 0; i < 4; i++) {
        const int cells = (320 >> (3 + i)) * (256 >> (3 + i));
        pico[i] = TENSOR(3, 1, cells, 2), pico[4 + i] = TENSOR(3, 1, cells, 32);
    }
    *at(&pico[3], 2 * 6 + 1) = 0.5f; // stride 64, row 1, column 1
    put_sides(at(&pico[7], 32 * 6), 1, 1, 1, 1);
    CHECK_INT(decode(MODEL_HEAD_PICODET, 2, 320, 256, false, pico, 8, &list), REEL_OK);
    CHECK_BOX(list, 32, 32, 160, 160, 0.5, 1);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_PICODET, 2, 320, 320, false, pico, 8, &list), REEL_ERR_UNSUPPORTED);
    for (int i = 0; i < 8; i++) reel_tensor_fini(&pico[i]);
}

// The score is a box's fifth number.
static void boxes_with_scores_and_labels(void)
{
    struct reel_tensor t[2] = {TENSOR(3, 1, 100, 5), TENSOR(2, 1, 100)};
    const float box[5] = {10, 20, 30, 50, 0.6f};
    memcpy(at(&t[0], 7 * 5), box, sizeof box);
    *at(&t[1], 7) = 17;
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_LISTS, 1, 640, 640, true, t, 2, &list), REEL_OK);
    CHECK_BOX(list, 10, 20, 30, 50, 0.6, 17);
    free(list.box);
    CHECK_INT(decode(MODEL_HEAD_LISTS, 1, 640, 640, true, t, 1, &list), REEL_ERR_UNSUPPORTED);
    reel_tensor_fini(&t[0]), reel_tensor_fini(&t[1]);
}

static void hostile_numbers(void)
{
    struct reel_tensor t = TENSOR(3, 1, 5, 85);
    for (int i = 0; i < 5 * 85; i++) *at(&t, i) = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
    struct head_list list;
    CHECK_INT(decode(MODEL_HEAD_YOLOV5, 80, 640, 640, false, &t, 1, &list), REEL_OK);
    CHECK_INT(list.n, 0);
    free(list.box);
    for (int head = MODEL_HEAD_NONE; head < MODEL_HEADS; head++)
        if (head != MODEL_HEAD_YOLOV5 && head != MODEL_HEAD_YOLOV5_FACE && head != MODEL_HEAD_YOLOV5_POSE &&
            head != MODEL_HEAD_YOLOX && head != MODEL_HEAD_NMS) {
            CHECK_INT(decode((enum model_head)head, 80, 640, 640, false, &t, 1, &list), REEL_ERR_UNSUPPORTED);
            free(list.box);
        }
    reel_tensor_fini(&t);
}

// ---- some of the cells ----------------------------------------------------------

static uint64_t seed = 5;

static void fill(struct reel_tensor *t)
{
    for (int64_t i = 0; i < reel_tensor_count(t); i++) {
        uint64_t r = check_rand(&seed);
        *at(t, i) = r % 997 == 0 ? NAN : r % 997 == 1 ? INFINITY : (float)(r >> 40) / (float)(1 << 24) * 1.2f - 0.1f;
    }
}

// As a device picks them, in another order.
static struct head_picked pick(const struct head_layout *l, const struct reel_tensor *t, float score)
{
    uint32_t n = 0, *id = malloc(((size_t)l->cells + 1) * sizeof *id);
    float *row = malloc(((size_t)l->cells * (size_t)l->row + 1) * sizeof *row);
    for (int g = l->n_groups - 1; g >= 0; g--) {
        struct gpu_pick p = {.n_parts = l->group[g].n_parts,
                             .cells = l->group[g].cells,
                             .first = (uint32_t)l->group[g].first,
                             .score = l->score,
                             .a = l->a,
                             .b = l->b,
                             .least = score - 1e-4f,
                             .count = &n,
                             .id = id,
                             .row = row,
                             .row_floats = l->row};
        for (int k = 0; k < p.n_parts; k++) {
            const struct head_part *part = &l->group[g].part[k];
            p.part[k] = (struct gpu_pick_part){t[part->output].data, GPU_ELEM_F32, part->channels, part->cell_step,
                                               part->channel_step};
        }
        gpu_pick_ref(&p);
    }
    return (struct head_picked){n, id, row};
}

static void same_from_picked(struct head_params p, struct reel_tensor *t, int n)
{
    const struct reel_tensor *out[HEAD_OUTPUTS];
    const struct reel_shape *shape[HEAD_OUTPUTS];
    for (int i = 0; i < n; i++) {
        fill(&t[i]);
        out[i] = &t[i], shape[i] = &t[i].shape;
    }
    struct head_layout l;
    CHECK_INT(head_layout_init(&p, shape, n, &l), REEL_OK);
    for (p.score = 0.1f; p.score < 1; p.score += 0.4f) {
        struct head_list all = {0}, some = {0};
        struct head_picked picked = pick(&l, t, p.score);
        CHECK_INT(head_decode(&p, out, n, &all), REEL_OK);
        CHECK_MSG(all.n > 0 && (int64_t)picked.n >= all.n && (int64_t)picked.n < l.cells,
                  "head %d, score %g: %u of %lld cells for %d boxes", p.head, (double)p.score, picked.n,
                  (long long)l.cells, all.n);
        CHECK_INT(head_decode_picked(&p, &l, &picked, &some), REEL_OK);
        CHECK_INT(some.n, all.n);
        CHECK_MSG(some.n == all.n && !memcmp(some.box, all.box, (size_t)all.n * sizeof *all.box),
                  "head %d, score %g: other boxes", p.head, (double)p.score);
        ((uint32_t *)picked.id)[0] = (uint32_t)l.cells;
        CHECK_INT(head_decode_picked(&p, &l, &picked, &some), REEL_ERR_FAULT);
        free(all.box), free(some.box);
        free((void *)picked.id), free((void *)picked.row);
    }
    for (int i = 0; i < n; i++) reel_tensor_fini(&t[i]);
}

static void from_picked_cells(void)
{
    struct head_params p = {.head = MODEL_HEAD_YOLOV5, .classes = 80, .net_w = 160, .net_h = 128};
    struct reel_tensor t[HEAD_OUTPUTS] = {TENSOR(3, 1, 500, 85)};
    same_from_picked(p, t, 1);
    p.head = MODEL_HEAD_YOLOX;
    p.classes = 6;
    t[0] = TENSOR(3, 1, 20 * 16 + 10 * 8 + 5 * 4, 11);
    same_from_picked(p, t, 1);
    p.decoded = true;
    t[0] = TENSOR(3, 1, 77, 11);
    same_from_picked(p, t, 1);
    p.head = MODEL_HEAD_SSD;
    t[0] = TENSOR(3, 1, 600, 4), t[1] = TENSOR(3, 1, 600, 4);
    same_from_picked(p, t, 2);
    p.decoded = false;
    int64_t n = head_ultraface_priors(160, 128);
    t[0] = TENSOR(3, 1, n, 2), t[1] = TENSOR(3, 1, n, 4);
    same_from_picked(p, t, 2);
    p.head = MODEL_HEAD_YOLOV8, p.classes = 3;
    t[0] = TENSOR(3, 1, 4 + 3 + 51, 420);
    same_from_picked(p, t, 1);
    p.head = MODEL_HEAD_FASTESTDET;
    t[0] = TENSOR(4, 1, 5 + 6, 22, 31);
    same_from_picked(p, t, 1);
    p.head = MODEL_HEAD_YOLO_NAS, p.classes = 1;
    t[0] = TENSOR(3, 1, 420, 4), t[1] = TENSOR(3, 1, 420, 1);
    same_from_picked(p, t, 2);
    p.head = MODEL_HEAD_RTDETR, p.decoded = true;
    t[0] = TENSOR(3, 1, 300, 1), t[1] = TENSOR(3, 1, 300, 4);
    same_from_picked(p, t, 2);
    p.head = MODEL_HEAD_NMS;
    t[0] = TENSOR(3, 1, 300, 6);
    same_from_picked(p, t, 1);
    t[0] = TENSOR(2, 300, 7);
    same_from_picked(p, t, 1);
}

static void from_picked_faces(void)
{
    struct head_params p = {.head = MODEL_HEAD_YUNET, .classes = 1, .net_w = 160, .net_h = 128};
    struct reel_tensor t[HEAD_OUTPUTS];
    static const int widths[4] = {1, 1, 4, 10};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 3; i++) t[3 * k + i] = TENSOR(3, 1, (160 >> (3 + i)) * (128 >> (3 + i)), widths[k]);
    same_from_picked(p, t, 12);
    p.head = MODEL_HEAD_RETINAFACE;
    int64_t n = 2 * (20 * 16 + 10 * 8 + 5 * 4);
    t[0] = TENSOR(3, 1, n, 4), t[1] = TENSOR(3, 1, n, 2), t[2] = TENSOR(3, 1, n, 10);
    same_from_picked(p, t, 3);
    p.head = MODEL_HEAD_YUNET_2021;
    n = 20 * 16 * 3 + 10 * 8 * 2 + 5 * 4 * 2 + 2 * 2 * 3;
    t[0] = TENSOR(3, 1, n, 14), t[1] = TENSOR(3, 1, n, 2), t[2] = TENSOR(3, 1, n, 1);
    same_from_picked(p, t, 3);
}

static void from_picked_distances(void)
{
    struct head_params p = {.head = MODEL_HEAD_SCRFD, .classes = 1, .net_w = 160, .net_h = 128};
    struct reel_tensor t[HEAD_OUTPUTS];
    static const int widths[3] = {1, 4, 10};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++) t[3 * k + i] = TENSOR(3, 1, 2 * (160 >> (3 + i)) * (128 >> (3 + i)), widths[k]);
    same_from_picked(p, t, 9);
    p.head = MODEL_HEAD_NANODET, p.classes = 1;
    t[0] = TENSOR(3, 1, 20 * 16 + 10 * 8 + 5 * 4, 33);
    same_from_picked(p, t, 1);
    p.head = MODEL_HEAD_PICODET;
    for (int i = 0; i < 4; i++) {
        const int cells = ((160 + (8 << i) - 1) >> (3 + i)) * (128 >> (3 + i));
        t[i] = TENSOR(3, 1, cells, 1), t[4 + i] = TENSOR(3, 1, cells, 32);
    }
    same_from_picked(p, t, 8);
    p.head = MODEL_HEAD_LISTS, p.decoded = true;
    t[0] = TENSOR(3, 1, 100, 5), t[1] = TENSOR(2, 1, 100);
    same_from_picked(p, t, 2);
}

CHECK_MAIN({"head yolov5", yolov5}, {"head scrfd", scrfd}, {"head distributions", distributions_of_distances},
           {"head boxes with scores and labels", boxes_with_scores_and_labels}, {"head yolov8 and pose", yolov8},
           {"head yolov5 with points", yolov5_with_points}, {"head yolov8 and others", yolov8_others},
           {"head queries", queries}, {"head boxes beside scores", boxes_beside_scores}, {"head yolox", yolox},
           {"head finished boxes", finished_boxes}, {"head finished by centre", finished_by_centre}, {"head ssd", ssd},
           {"head ssd offsets", ssd_offsets}, {"head hostile numbers", hostile_numbers},
           {"head from picked cells", from_picked_cells}, {"head from picked cells of faces", from_picked_faces},
           {"head from picked distances", from_picked_distances})
