// SPDX-License-Identifier: MIT
//
// What the tests of detection heads that are maps and points share: outputs that are made up
// number by number.
#ifndef REEL_TESTS_UNIT_WORKER_HEAD_CASE_H
#define REEL_TESTS_UNIT_WORKER_HEAD_CASE_H

#include "tests/check.h"
#include "worker/task/head.h"

static inline struct reel_tensor head_case_tensor(int ndim, const int64_t *dim)
{
    struct reel_shape s = {.ndim = ndim};
    memcpy(s.dim, dim, (size_t)ndim * sizeof *dim);
    struct reel_tensor t = {0};
    if (reel_tensor_init(&t, REEL_F32, &s)) abort();
    return t;
}
#define TENSOR(n, ...) head_case_tensor(n, (const int64_t[]){__VA_ARGS__})

static inline float *at(struct reel_tensor *t, int64_t i)
{
    return (float *)t->data + i;
}

static inline enum reel_err head_case_decode(struct head_params p, struct reel_tensor *t, int n, struct head_list *list)
{
    const struct reel_tensor *out[HEAD_OUTPUTS];
    for (int i = 0; i < n; i++) out[i] = &t[i];
    *list = (struct head_list){0};
    return head_decode(&p, out, n, list);
}

#define CHECK_SIDES(box_, x1_, y1_, x2_, y2_, near_) \
    do {                                             \
        CHECK_NEAR((box_).x1, x1_, near_);           \
        CHECK_NEAR((box_).y1, y1_, near_);           \
        CHECK_NEAR((box_).x2, x2_, near_);           \
        CHECK_NEAR((box_).y2, y2_, near_);           \
    } while (0)
#define CHECK_POINT(box_, i_, x_, y_, score_)          \
    do {                                               \
        CHECK_NEAR((box_).point[i_].x, x_, 1e-4);      \
        CHECK_NEAR((box_).point[i_].y, y_, 1e-4);      \
        CHECK_NEAR((box_).point[i_].score, score_, 0); \
    } while (0)

#endif
