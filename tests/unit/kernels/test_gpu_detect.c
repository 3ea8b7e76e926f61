// SPDX-License-Identifier: MIT
//
// Suppression, masks and painting on a GPU: kernel against twin, and the twin
// against kernels/nms.h and mask.h, on random data; painting against its rules.
#include "kernels/gpu_detect.h"

#include "tests/check.h"

static uint64_t seed = 5;

static float frand(void)
{
    return (float)(check_rand(&seed) >> 40) / 16777216.0f;
}

static void suppression(void)
{
    enum { MOST = 700 };
    static struct nms_box boxes[MOST], sorted[MOST];
    static int32_t order[2][MOST], kept[2][MOST];
    for (int round = 0; round < 40; round++) {
        int n = round == 0 ? 0 : 1 + (int)(check_rand(&seed) >> 40) % (MOST - 1), most = round % 5 ? 300 : 7;
        for (int i = 0; i < n; i++) {
            float x = frand() * 100, y = frand() * 100;
            boxes[i] = (struct nms_box){x, y, x + frand() * 30, y + frand() * 30, frand(), (int)(frand() * 3), i};
            if (i % 17 == 3) boxes[i].score = boxes[i ? i - 1 : 0].score; // ties
            if (i % 41 == 7) boxes[i].score = NAN;
            if (i % 29 == 5) boxes[i].x2 = boxes[i].x1; // empty
        }
        int32_t count[2] = {-1, -1};
        struct gpu_nms p = {boxes, n, 0.45f, most, order[0], kept[0], &count[0]};
        gpu_nms_ref(&p);
        p.order = order[1], p.out_kept = kept[1], p.out_count = &count[1];
        CHECK_INT(gpu_nms(&p, NULL), 0);
        memcpy(sorted, boxes, sizeof sorted);
        int want = nms_run(sorted, n, 0.45f, most);
        CHECK_INT(count[0], want);
        CHECK_INT(count[1], want);
        for (int i = 0; i < want; i++) {
            CHECK_MSG(boxes[kept[0][i]].index == sorted[i].index, "round %d, %d boxes: the twin's %d differs", round, n,
                      i);
            CHECK_INT(kept[1][i], kept[0][i]);
        }
    }
    struct gpu_nms too_many = {.n = GPU_NMS_MAX + 1};
    CHECK(gpu_nms(&too_many, NULL) != 0);
}

static void masks(void)
{
    static float scores[5 * 13 * 11];
    static uint8_t out[3][64 * 64];
    for (int round = 0; round < 6; round++) {
        int n = 1 + round % 5;
        for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) scores[i] = frand() - 0.5f;
        struct resize_axis x, y;
        CHECK(resize_axis_fit(&x, RESIZE_LINEAR, 13, 50) && resize_axis_fit(&y, RESIZE_LINEAR, 11, 41));
        struct gpu_classes p = {.scores = {scores, n, 13, 11, 13 * 11, 13, 1},
                                .x = {x.n_in, x.n_out, x.taps, x.first, x.weight},
                                .y = {y.n_in, y.n_out, y.taps, y.first, y.weight},
                                .out = out[0],
                                .out_stride = 64};
        gpu_classes_ref(&p);
        p.out = out[1];
        CHECK_INT(gpu_classes(&p, NULL), 0);
        mask_classes_ref(&p.scores, &x, &y, out[2], 64);
        CHECK(!memcmp(out[0], out[1], sizeof out[0]) && !memcmp(out[0], out[2], sizeof out[0]));
        static float rows[41 * 13];
        struct gpu_rows r = {.what = GPU_ROWS_IMAGE,
                             .image = gpu_image_planar(scores, GPU_PIXEL_F32, 13, 11, 1),
                             .coding = {{1}, {0}, {0}},
                             .planes = 1,
                             .width = 13,
                             .y = p.y,
                             .out = rows};
        gpu_rows_ref(&r);
        struct gpu_weights w = {.columns = {.rows = rows, .planes = 1, .height = 41, .x = p.x},
                                .matte = round % 2,
                                .threshold = 0.1f,
                                .out = out[0],
                                .out_stride = 64};
        memset(out, 0, sizeof out);
        gpu_weights_ref(&w);
        w.out = out[1];
        CHECK_INT(gpu_weights(&w, NULL), 0);
        CHECK(!memcmp(out[0], out[1], sizeof out[0]));
        static float plane[41 * 50];
        resize_plane_ref(&x, &y, scores, 13, plane, 50);
        int wrong = 0;
        for (int j = 0; j < 41; j++)
            for (int i = 0; i < 50; i++) {
                float v = plane[j * 50 + i] * 255, b = v > 0 ? v < 255 ? v : 255 : 0;
                int want = w.matte ? (int)(b + 0.5f) : plane[j * 50 + i] > 0.1f;
                wrong += abs(out[0][j * 64 + i] - want) > (w.matte ? 1 : 0);
            }
        CHECK_MSG(wrong <= 1, "%d samples of %s are wrong", wrong, w.matte ? "a matte" : "a mask");
        resize_axis_fini(&x), resize_axis_fini(&y);
    }
}

#define W 45
#define H 31
#define STRIDE 192
static uint8_t planes[3][3][64 * STRIDE];

static struct yuv_picture picture(int which, enum yuv_layout layout, int depth, int shift, int cw, int ch)
{
    struct yuv_picture p = {
        .layout = layout, .depth = depth, .shift = shift, .log2_cw = cw, .log2_ch = ch, .width = W, .height = H};
    for (int i = 0; i < 3; i++) p.plane[i] = planes[which][i], p.stride[i] = STRIDE;
    return p;
}

static const struct {
    enum yuv_layout layout;
    int depth, shift, cw, ch;
} formats[] = {{YUV_PLANAR, 8, 0, 1, 1}, {YUV_PLANAR, 10, 0, 1, 0}, {YUV_NV, 8, 0, 1, 1},
               {YUV_NV, 10, 6, 1, 1},    {YUV_GBR, 8, 0, 0, 0},     {YUV_GRAY, 8, 0, 0, 0}};

static void rectangles(void)
{
    static const int rects[][4] = {{3, 5, 10, 8}, {-4, -3, 9, 9}, {40, 28, 20, 20}, {7, 7, 1, 1},
                                   {0, 0, W, H},  {60, 0, 4, 4},  {5, -9, 4, 9}};
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (size_t r = 0; r < sizeof rects / sizeof *rects; r++) {
            struct gpu_fill p = {
                .x = rects[r][0], .y = rects[r][1], .w = rects[r][2], .h = rects[r][3], .ink = {{200, 90, 30}}};
            memset(planes, 0x11, sizeof planes);
            p.dst = picture(0, formats[f].layout, formats[f].depth, formats[f].shift, formats[f].cw, formats[f].ch);
            gpu_fill_ref(&p);
            p.dst = picture(1, formats[f].layout, formats[f].depth, formats[f].shift, formats[f].cw, formats[f].ch);
            CHECK_INT(gpu_fill(&p, NULL), 0);
            CHECK_MSG(!memcmp(planes[0], planes[1], sizeof planes[0]), "format %zu, rectangle %zu", f, r);
            if (formats[f].layout != YUV_PLANAR || formats[f].depth > 8) continue;
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++) {
                    bool in = x >= p.x && x < p.x + p.w && y >= p.y && y < p.y + p.h;
                    CHECK_INT(planes[0][0][y * STRIDE + x], in ? 200 : 0x11);
                    if (in) CHECK_INT(planes[0][2][y / 2 * STRIDE + x / 2], 30);
                }
        }
}

static void overlays(void)
{
    static uint8_t mask[H * 64];
    static struct gpu_overlay p;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        p = (struct gpu_overlay){.mask = mask, .mask_stride = 64};
        for (int i = 0; i < 256; i++) {
            p.alpha_of[i] = i ? (uint8_t)(i * 3) : 0;
            for (int c = 0; c < 3; c++) p.ink_of[i].sample[c] = (uint16_t)((i * 37 + c * 50) % 256);
        }
        for (size_t i = 0; i < sizeof mask; i++) mask[i] = frand() < 0.5f ? 0 : (uint8_t)(frand() * 4);
        for (int k = 0; k < 3; k++)
            for (size_t i = 0; i < sizeof planes[0][0]; i++)
                planes[0][k][i] = planes[1][k][i] = (uint8_t)(i % 2 ? 1 : frand() * 255);
        p.dst = picture(0, formats[f].layout, formats[f].depth, formats[f].shift, formats[f].cw, formats[f].ch);
        uint8_t before = planes[0][0][5 * STRIDE + 7];
        gpu_overlay_ref(&p);
        p.dst = picture(1, formats[f].layout, formats[f].depth, formats[f].shift, formats[f].cw, formats[f].ch);
        CHECK_INT(gpu_overlay(&p, &p, NULL), 0);
        CHECK_MSG(!memcmp(planes[0], planes[1], sizeof planes[0]), "format %zu: kernel and twin differ", f);
        if (formats[f].depth > 8) continue;
        int at = mask[5 * 64 + 7], d = (p.ink_of[at].sample[0] - before) * p.alpha_of[at];
        CHECK_INT(planes[0][0][5 * STRIDE + 7], at ? before + (d + (d < 0 ? -127 : 127)) / 255 : before);
    }
}

CHECK_MAIN({"gpu detect: suppression", suppression}, {"gpu detect: masks", masks},
           {"gpu detect: rectangles", rectangles}, {"gpu detect: overlays", overlays})
