// SPDX-License-Identifier: MIT
#include "kernels/nms.h"

#include "tests/check.h"

static void keeps_best_of_class(void)
{
    struct nms_box b[] = {{0, 0, 10, 10, 0.5f, 0, 0},
                          {1, 1, 11, 11, 0.9f, 0, 1},
                          {0, 0, 10, 10, 0.8f, 1, 2},
                          {30, 30, 40, 40, 0.1f, 0, 3},
                          {0, 0, 0, 0, NAN, 0, 4}};
    int n = nms_run(b, 5, 0.45f, 10);
    CHECK_INT(n, 3);
    CHECK_INT(b[0].index, 1);
    CHECK_INT(b[1].index, 2);
    CHECK_INT(b[2].index, 3);
}

static void ties_and_limit(void)
{
    struct nms_box b[20];
    for (int i = 0; i < 20; i++) b[i] = (struct nms_box){(float)i * 20, 0, (float)i * 20 + 10, 10, 0.5f, 0, 19 - i};
    CHECK_INT(nms_run(b, 20, 0.5f, 7), 7);
    for (int i = 0; i < 7; i++) CHECK_INT(b[i].index, i);
    CHECK_INT(nms_run(b, 0, 0.5f, 7), 0);
}

static void overlap(void)
{
    struct nms_box a = {0, 0, 2, 2, 1, 0, 0}, b = {1, 0, 3, 2, 1, 0, 0}, c = {5, 5, 5, 9, 1, 0, 0};
    CHECK_NEAR(nms_iou(&a, &b), 1.0 / 3, 1e-6);
    CHECK_NEAR(nms_iou(&a, &c), 0, 0);
    CHECK_NEAR(nms_iou(&a, &a), 1, 1e-6);
}

CHECK_MAIN({"nms keeps the best of a class", keeps_best_of_class}, {"nms ties and limit", ties_and_limit},
           {"nms overlap", overlap})
