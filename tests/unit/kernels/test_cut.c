// SPDX-License-Identifier: MIT
//
// What is a cut and what is not, in pictures that are drawn here.
#include "kernels/cut.h"

#include <stdlib.h>

#include "tests/check.h"

#define W 320
#define H 180
#define THRESHOLD 0.25 // --scene_cut as it is by default

enum kind { SKY, ROOM, BLACK, GRAY_CARD };

// A scene, moved by dx and brightened by `light`, of values 0..255.
static int value_at(enum kind kind, int x, int y, int dx, int light)
{
    x += dx;
    int v = 0;
    if (kind == SKY) v = y < H / 2 ? 220 - y / 4 : 60 + (x / 16 + y / 16) % 2 * 30;
    if (kind == ROOM) v = x % 200 < 80 ? 30 : 100 + (x * 7 + y * 3) % 40;
    if (kind == GRAY_CARD) v = 128;
    v += light;
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

static struct yuv_picture draw(enum yuv_layout layout, int depth, int shift, int w, int h, enum kind kind, int dx,
                               int light)
{
    const size_t bytes = depth > 8 ? 2 : 1;
    uint8_t *data = malloc((size_t)w * (size_t)h * bytes);
    if (!data) abort();
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const int v = value_at(kind, x, y, dx, light);
            const size_t at = (size_t)y * (size_t)w + (size_t)x;
            if (bytes == 2)
                ((uint16_t *)(void *)data)[at] = (uint16_t)(v << (depth - 8) << shift);
            else
                data[at] = (uint8_t)v;
        }
    return (struct yuv_picture){.layout = layout,
                                .depth = depth,
                                .shift = shift,
                                .width = w,
                                .height = h,
                                .plane = {data},
                                .stride = {(size_t)w * bytes}};
}

static double between(enum kind a, int dx_a, int light_a, enum kind b, int dx_b, int light_b)
{
    struct yuv_picture p = draw(YUV_PLANAR, 8, 0, W, H, a, dx_a, light_a);
    struct yuv_picture q = draw(YUV_PLANAR, 8, 0, W, H, b, dx_b, light_b);
    const double c = cut_between(&p, &q);
    free(p.plane[0]), free(q.plane[0]);
    return c;
}

static void the_same_differs_by_nothing(void)
{
    for (int k = SKY; k <= GRAY_CARD; k++) CHECK_NEAR(between((enum kind)k, 0, 0, (enum kind)k, 0, 0), 0, 0);
}

static void motion_and_light_are_no_cut(void)
{
    CHECK(between(SKY, 0, 0, SKY, 12, 0) < THRESHOLD);
    CHECK(between(ROOM, 0, 0, ROOM, 12, 0) < THRESHOLD);
    CHECK(between(SKY, 0, 0, SKY, 0, 40) < THRESHOLD);   // a flash
    CHECK(between(ROOM, 0, 0, ROOM, 4, 25) < THRESHOLD); // a fade, and a pan
}

static void another_place_is_a_cut(void)
{
    CHECK(between(SKY, 0, 0, ROOM, 0, 0) > THRESHOLD);
    CHECK_NEAR(between(ROOM, 0, 0, SKY, 0, 0), between(SKY, 0, 0, ROOM, 0, 0), 0);
    CHECK(between(ROOM, 30, 0, SKY, 5, 20) > THRESHOLD);
    CHECK(between(BLACK, 0, 0, SKY, 0, 0) > THRESHOLD);
    CHECK(between(ROOM, 0, 0, GRAY_CARD, 0, 60) > THRESHOLD);
}

// Layouts and depths of the same picture give the same number, to rounding of means.
static void formats_agree(void)
{
    static const struct {
        enum yuv_layout layout;
        int depth, shift;
    } formats[] = {{YUV_PLANAR, 8, 0},  {YUV_GRAY, 8, 0}, {YUV_GBR, 8, 0}, {YUV_PLANAR, 10, 0},
                   {YUV_PLANAR, 16, 0}, {YUV_NV, 8, 0},   {YUV_NV, 10, 6}, {YUV_GBR, 12, 0}};
    const double want = between(SKY, 0, 0, ROOM, 0, 0);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct yuv_picture p = draw(formats[i].layout, formats[i].depth, formats[i].shift, W, H, SKY, 0, 0);
        struct yuv_picture q = draw(formats[i].layout, formats[i].depth, formats[i].shift, W, H, ROOM, 0, 0);
        CHECK_NEAR(cut_between(&p, &q), want, 0);
        free(p.plane[0]), free(q.plane[0]);
    }
}

// Down to a single pixel, and sides that nothing divides.
static void any_size(void)
{
    static const int sizes[][2] = {{1, 1}, {1, 200}, {200, 1}, {9, 11}, {10, 10}, {15, 300}, {161, 91}, {333, 77}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct yuv_picture p = draw(YUV_PLANAR, 8, 0, sizes[i][0], sizes[i][1], SKY, 0, 0);
        struct yuv_picture q = draw(YUV_PLANAR, 8, 0, sizes[i][0], sizes[i][1], ROOM, 0, 0);
        const double c = cut_between(&p, &q);
        CHECK_MSG(c >= 0 && c <= 1, "%dx%d: %g", sizes[i][0], sizes[i][1], c);
        CHECK_NEAR(cut_between(&p, &p), 0, 0);
        free(p.plane[0]), free(q.plane[0]);
    }
}

// A GPU's small pictures are the processor's, of samples at random and of sides that nothing divides.
static void on_a_gpu(void)
{
    static const int sizes[][2] = {{320, 180}, {1, 1}, {161, 91}, {333, 77}, {159, 200}, {640, 7}};
    static const int formats[][2] = {{8, 0}, {10, 0}, {10, 6}, {12, 4}, {16, 0}};
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
            struct yuv_picture p = draw(YUV_NV, formats[f][0], formats[f][1], sizes[i][0], sizes[i][1], SKY, 0, 0);
            const size_t bytes = p.stride[0] * (size_t)p.height;
            for (size_t k = 0; k < bytes; k++) p.plane[0][k] = (uint8_t)(check_rand(&seed) >> 40);
            uint8_t want[CUT_SMALL_BYTES] = {0}, got[CUT_SMALL_BYTES] = {0};
            cut_shrink(&p, want);
            CHECK_INT(gpu_shrink(&p, got, NULL), 0);
            CHECK_MSG(!memcmp(want, got, sizeof want), "%dx%d of %d bits: another small picture", p.width, p.height,
                      p.depth);
            free(p.plane[0]);
        }
}

CHECK_MAIN({"the_same_differs_by_nothing", the_same_differs_by_nothing},
           {"motion_and_light_are_no_cut", motion_and_light_are_no_cut},
           {"another_place_is_a_cut", another_place_is_a_cut}, {"formats_agree", formats_agree}, {"any_size", any_size},
           {"on_a_gpu", on_a_gpu})
