// SPDX-License-Identifier: MIT
//
// Masks of objects from prototypes, against one number at a time.
#include "worker/task/instances.h"

#include <math.h>

#include "tests/check.h"

enum { SRC_W = 90, SRC_H = 50, NET = 64, SIDE = 16, PROTOTYPES = 3 };

static struct reel_settings settings;

struct lab {
    struct model model;
    struct task task;
    struct reel_tensor prototypes;
    uint8_t *slot;
    uint64_t seed;
};

static struct lab lab(enum model_fit fit)
{
    struct lab l = {.model.mask_weights = PROTOTYPES, .seed = 7};
    l.task = (struct task){.settings = &settings};
    settings.segment.threshold = 0.5;
    const struct view_params v = {.fit = fit, .src_w = SRC_W, .src_h = SRC_H, .net_w = NET, .net_h = NET};
    const struct reel_pixel_format gray = {.layout = REEL_PIX_GRAY, .depth = 8};
    if (view_init(&l.task.view, &v) || reel_geometry_init(&l.task.out, gray, SRC_W, SRC_H, 0)) abort();
    const struct reel_shape shape = {.ndim = 4, .dim = {1, PROTOTYPES, SIDE, SIDE}};
    if (reel_tensor_init(&l.prototypes, REEL_F32, &shape)) abort();
    float *p = l.prototypes.data;
    for (int i = 0; i < PROTOTYPES * SIDE * SIDE; i++) p[i] = (float)(check_rand(&l.seed) >> 40) / (1 << 23) - 1;
    l.slot = malloc(l.task.out.aux_offset);
    memset(l.slot, 99, l.task.out.aux_offset);
    return l;
}

static void fini(struct lab *l)
{
    task_free_scratch(&l->task);
    reel_tensor_fini(&l->prototypes);
    free(l->slot);
}

static enum reel_err put(struct lab *l, const struct instance *objects, int n)
{
    const struct task_frame f = {.out = l->slot};
    l->task.model = &l->model;
    return instances_put(&l->task, &f, &l->prototypes, objects, n);
}

static int at(const struct lab *l, int x, int y)
{
    return l->slot[l->task.out.plane_offset[0] + (size_t)y * l->task.out.plane_stride[0] + (size_t)x];
}

// The object's sum of prototypes at a position of theirs, between its neighbours.
static double sum_at(const struct lab *l, const struct instance *o, double x, double y)
{
    x = fmin(fmax(x, 0), SIDE - 1), y = fmin(fmax(y, 0), SIDE - 1);
    const int x0 = (int)x, y0 = (int)y;
    double sum = 0;
    for (int c = 0; c < PROTOTYPES; c++)
        for (int k = 0; k < 4; k++) {
            const int px = x0 + (k & 1), py = y0 + (k >> 1);
            const double part = (k & 1 ? x - x0 : 1 - (x - x0)) * (k >> 1 ? y - y0 : 1 - (y - y0));
            if (part > 0)
                sum += part * o->weights[(size_t)c * o->step] *
                       ((const float *)l->prototypes.data)[(c * SIDE + py) * SIDE + px];
        }
    return sum;
}

// The number that a pixel must have; -1 where rounding decides.
static int wanted(const struct lab *l, const struct instance *objects, int n, int x, int y, double least)
{
    const struct view *v = &l->task.view;
    const double net_x = (x + 0.5 - v->shift_x) / v->scale_x, net_y = (y + 0.5 - v->shift_y) / v->scale_y;
    for (int i = 0; i < n; i++) {
        const struct head_box *b = objects[i].box;
        if (net_x < b->x1 || net_x >= b->x2 || net_y < b->y1 || net_y >= b->y2) continue;
        const double sum = sum_at(l, &objects[i], net_x * SIDE / NET - 0.5, net_y * SIDE / NET - 0.5);
        if (fabs(sum - least) < 1e-5) return -1;
        if (sum > least) return i + 1;
    }
    return 0;
}

static void against_one_at_a_time(void)
{
    static const float weights[6] = {1, -0.5f, 0.25f, 2, 1, -1};
    // Side by side, one over the other, over the letterbox's edge, outside of it all, and without any width.
    static const struct head_box boxes[] = {{.x1 = 3, .y1 = 18, .x2 = 30, .y2 = 40},
                                            {.x1 = 20, .y1 = 5, .x2 = 50, .y2 = 60},
                                            {.x1 = -9, .y1 = 30, .x2 = 80, .y2 = 70},
                                            {.x1 = 70, .y1 = 70, .x2 = 90, .y2 = 90},
                                            {.x1 = 30, .y1 = 30, .x2 = 30, .y2 = 40}};
    enum { N = sizeof boxes / sizeof *boxes };
    static const enum model_fit fits[] = {MODEL_LETTERBOX, MODEL_STRETCH, MODEL_CROP};
    for (int k = 0; k < 6; k++) {
        struct lab l = lab(fits[k % 3]);
        settings.segment.threshold = k < 3 ? 0.5 : 0.6;
        const double least = k < 3 ? 0 : log(0.6 / 0.4);
        struct instance objects[N];
        for (int i = 0; i < N; i++) objects[i] = (struct instance){&boxes[i], weights + i % 2, 2};
        CHECK_INT(put(&l, objects, N), REEL_OK);
        int of[N + 1] = {0};
        for (int y = 0; y < SRC_H; y++)
            for (int x = 0; x < SRC_W; x++) {
                const int want = wanted(&l, objects, N, x, y, least);
                of[at(&l, x, y)]++;
                CHECK_MSG(want < 0 || at(&l, x, y) == want, "fit %d, (%d, %d): %d, wanted %d", k, x, y, at(&l, x, y),
                          want);
            }
        CHECK(of[0] && of[1] && of[2] && of[3] && !of[4] && !of[5]);
        fini(&l);
    }
}

// Bytes hold no more numbers.
static void the_256th_has_none(void)
{
    enum { N = 300 };
    struct lab l = lab(MODEL_STRETCH);
    static struct head_box boxes[N];
    static struct instance objects[N];
    static const float one = 1;
    for (int i = 0; i < PROTOTYPES * SIDE * SIDE; i++) ((float *)l.prototypes.data)[i] = 1;
    for (int i = 0; i < N; i++) { // a pixel of the source each
        const float x = (float)(i % SRC_W), y = (float)(i / SRC_W), w = (float)NET / SRC_W, h = (float)NET / SRC_H;
        boxes[i] = (struct head_box){.x1 = x * w, .y1 = y * h, .x2 = (x + 1) * w, .y2 = (y + 1) * h};
        objects[i] = (struct instance){&boxes[i], &one, 0};
    }
    CHECK_INT(put(&l, objects, N), REEL_OK);
    for (int i = 0; i < SRC_W * SRC_H; i++)
        CHECK_MSG(at(&l, i % SRC_W, i / SRC_W) == (i < 255 ? i + 1 : 0), "pixel %d: %d", i,
                  at(&l, i % SRC_W, i / SRC_W));
    fini(&l);
}

static void refused(void)
{
    struct lab l = lab(MODEL_STRETCH);
    l.prototypes.shape.dim[1] = PROTOTYPES + 1;
    CHECK_INT(put(&l, NULL, 0), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "1x4x16x16");
    l.prototypes.shape.dim[1] = PROTOTYPES;
    l.task.out.width--;
    CHECK_INT(put(&l, NULL, 0), REEL_ERR_PROTO);
    fini(&l);
}

CHECK_MAIN({"instances: against_one_at_a_time", against_one_at_a_time},
           {"instances: the_256th_has_none", the_256th_has_none}, {"instances: refused", refused})
