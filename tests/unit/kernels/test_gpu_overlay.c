// SPDX-License-Identifier: MIT
//
// Drawing: the GPU's kernel, which goes sample by sample, against the CPU's code,
// which goes item by item, on random lists and pictures of all layouts; and what
// is beside the picture stays as it was.
#include "tests/check.h"

#include "kernels/overlay.h"

#define W 150
#define H 90
#define PITCH 400 // bytes a row: pairs of words, and some to spare
#define ROOM (3 * H * PITCH)

static const struct {
    const char *name;
    int bytes, planes, step, log2_w, log2_h, shift, depth;
} formats[] = {
    {"NV12", 1, 3, 2, 1, 1, 0, 8},       {"P010", 2, 3, 2, 1, 1, 6, 10},      {"P016", 2, 3, 2, 1, 1, 0, 16},
    {"yuv420p", 1, 3, 1, 1, 1, 0, 8},    {"yuv420p10", 2, 3, 1, 1, 1, 0, 10}, {"yuv422p", 1, 3, 1, 1, 0, 0, 8},
    {"yuv440p", 1, 3, 1, 0, 1, 0, 8},    {"yuv410p", 1, 3, 1, 2, 2, 0, 8},    {"yuv411p", 1, 3, 1, 2, 0, 0, 8},
    {"yuv444p16", 2, 3, 1, 0, 0, 0, 16}, {"gray", 1, 1, 1, 0, 0, 0, 8},       {"gray12", 2, 1, 1, 0, 0, 0, 12}};
#define FORMATS ((int)(sizeof formats / sizeof *formats))

static uint64_t seed = 20;

static int below(int n)
{
    return (int)(check_rand(&seed) >> 33) % n;
}

static struct overlay_picture picture_of(int f, uint8_t *data, int w, int h)
{
    struct overlay_picture p = {.width = w, .height = h, .bytes = formats[f].bytes, .planes = formats[f].planes};
    bool pairs = formats[f].step == 2;
    for (int i = 0; i < p.planes; i++)
        p.plane[i] = (struct overlay_plane){.data = data + (size_t)(pairs && i ? 1 : i) * H * PITCH +
                                                    (pairs && i == 2 ? formats[f].bytes : 0),
                                            .stride = PITCH,
                                            .step = i ? formats[f].step : 1,
                                            .log2_w = i ? formats[f].log2_w : 0,
                                            .log2_h = i ? formats[f].log2_h : 0,
                                            .shift = formats[f].shift};
    return p;
}

// Words of the format's depth, with nothing below the shift.
static void random_picture(int f, uint8_t *data)
{
    for (size_t i = 0; i < ROOM / 2; i++) {
        unsigned v = (unsigned)(check_rand(&seed) >> 33);
        if (formats[f].bytes == 2) v = (v & ((1u << formats[f].depth) - 1)) << formats[f].shift;
        ((uint16_t *)(void *)data)[i] = (uint16_t)v;
    }
}

static struct overlay_ink random_ink(int f)
{
    struct overlay_ink ink;
    for (int i = 0; i < 3; i++) ink.sample[i] = (uint16_t)below(1 << formats[f].depth);
    return ink;
}

static struct overlay_item item[6000];
static uint64_t glyph[4096];
static uint8_t mask[W * H];
static struct overlay_blend blend;

// Cut to the picture, as the list's maker does; false: nothing is left.
static bool cut(struct overlay_item *t, int w, int h)
{
    t->x0 = t->x0 < 0 ? 0 : t->x0, t->y0 = t->y0 < 0 ? 0 : t->y0;
    t->x1 = t->x1 > w ? w : t->x1, t->y1 = t->y1 > h ? h : t->y1;
    return t->x0 < t->x1 && t->y0 < t->y1;
}

static struct overlay_item random_fill(int f, int w, int h)
{
    int x = below(w + 40) - 20, y = below(h + 40) - 20;
    bool thin = below(2);
    return (struct overlay_item){.kind = OVERLAY_FILL,
                                 .x0 = x,
                                 .y0 = y,
                                 .x1 = x + 1 + below(thin ? 2 : w),
                                 .y1 = y + 1 + below(thin ? h : 9),
                                 .ink = random_ink(f)};
}

static struct overlay_item random_text(int f, int w, int h)
{
    int scale = 1 + below(4), n = 1 + below(20), x = below(w + 60) - 60, y = below(h + 30) - 30;
    return (struct overlay_item){.kind = OVERLAY_TEXT,
                                 .x0 = x,
                                 .y0 = y,
                                 .x1 = x + (n * (OVERLAY_GLYPH_W + 1) - 1) * scale,
                                 .y1 = y + OVERLAY_GLYPH_H * scale,
                                 .left = x,
                                 .top = y,
                                 .scale = scale,
                                 .glyph = (uint32_t)below(4096 - 20),
                                 .glyphs = (uint32_t)n,
                                 .ink = random_ink(f)};
}

static struct overlay_list random_list(int f, int w, int h, int n, bool blends)
{
    for (size_t i = 0; i < sizeof glyph / sizeof *glyph; i++) glyph[i] = check_rand(&seed) >> (64 - 35);
    for (size_t i = 0; i < sizeof mask; i++) mask[i] = (uint8_t)(below(3) ? 0 : below(256));
    for (int i = 0; i < 256; i++) {
        blend.alpha_of[i] = (uint8_t)(below(3) ? below(256) : below(2) * 255);
        blend.ink_of[i] = random_ink(f);
    }
    blend.alpha_of[0] = (uint8_t)(below(4) ? 0 : 255);
    struct overlay_list l = {.item = item,
                             .glyph = glyph,
                             .mask = mask,
                             .mask_stride = (size_t)w + (size_t)below(W - w + 1),
                             .blend = &blend};
    for (int i = 0; i < n; i++) {
        struct overlay_item t = below(3) ? random_fill(f, w, h) : random_text(f, w, h);
        if (blends && i == n / 2) t = (struct overlay_item){.kind = OVERLAY_BLEND, .x1 = w, .y1 = h};
        if (cut(&t, w, h)) item[l.n++] = t;
    }
    return l;
}

static uint8_t before[ROOM], host[ROOM], device[ROOM];

static void compare(int f, int w, int h, int n, bool blends)
{
    random_picture(f, before);
    struct overlay_list l = random_list(f, w, h, n, blends);
    memcpy(host, before, ROOM);
    memcpy(device, before, ROOM);
    struct overlay_picture a = picture_of(f, host, w, h), b = picture_of(f, device, w, h);
    overlay_draw(&l, &a);
    CHECK_INT(gpu_overlay(&l, &b, NULL), 0);
    CHECK_MSG(!memcmp(host, device, ROOM), "%s %dx%d, %u items%s", formats[f].name, w, h, l.n,
              blends ? " with a mask" : "");
    CHECK_MSG(n < 20 || memcmp(host, before, ROOM), "%s %dx%d: nothing was drawn", formats[f].name, w, h);
}

static void twins(void)
{
    for (int f = 0; f < FORMATS; f++)
        for (int k = 0; k < 12; k++) compare(f, 1 + below(W), 1 + below(H), 1 + below(k < 6 ? 4 : 60), k % 3 == 0);
}

// More than a block looks at in one go, by far.
static void thousands(void)
{
    compare(0, W - 1, H - 1, 5000, true);
    compare(1, W, H, 256, false);
    compare(4, W, H, 257, true);
}

static void nothing(void)
{
    for (int f = 0; f < FORMATS; f++) {
        random_picture(f, before);
        memcpy(host, before, ROOM);
        struct overlay_picture p = picture_of(f, host, W, H);
        CHECK_INT(gpu_overlay(&(struct overlay_list){0}, &p, NULL), 0);
        overlay_draw(&(struct overlay_list){0}, &p);
        CHECK(!memcmp(host, before, ROOM));
    }
    struct overlay_picture none = {.width = 0, .height = 4, .bytes = 1, .planes = 1};
    CHECK(gpu_overlay(&(struct overlay_list){.item = item, .n = 1}, &none, NULL) != 0);
}

// Bytes beyond the width, and those between P010's words and the next rows, are nobody's.
static void stays_inside(void)
{
    for (int f = 0; f < FORMATS; f++) {
        int w = 37, h = 23;
        memset(host, 0x5a, ROOM);
        struct overlay_picture p = picture_of(f, host, w, h);
        struct overlay_item all = {.kind = OVERLAY_FILL, .x1 = w, .y1 = h};
        overlay_draw(&(struct overlay_list){.item = &all, .n = 1}, &p);
        bool pairs = formats[f].step == 2;
        for (int i = 0; i < (pairs ? 2 : p.planes); i++) {
            int pw = i ? (w + (1 << formats[f].log2_w) - 1) >> formats[f].log2_w : w;
            int ph = i ? (h + (1 << formats[f].log2_h) - 1) >> formats[f].log2_h : h;
            for (int y = 0; y < H; y++)
                for (int x = 0; x < PITCH; x++) {
                    bool in = y < ph && x < pw * formats[f].bytes * (pairs && i ? 2 : 1);
                    CHECK_MSG(host[(size_t)(i * H + y) * PITCH + (size_t)x] == (in ? 0 : 0x5a),
                              "%s plane %d, row %d, byte %d", formats[f].name, i, y, x);
                }
        }
    }
}

// P010 keeps its ten bits in the high part of a word; 255 is the ink itself, 0 the picture.
static void blends(void)
{
    uint16_t luma[2] = {100 << 6, 100 << 6}, chroma[2] = {512 << 6, 512 << 6};
    uint8_t two[2] = {1, 2};
    struct overlay_blend b = {.alpha_of = {[1] = 255}, .ink_of = {[1] = {{940, 64, 960}}}};
    struct overlay_item all = {.kind = OVERLAY_BLEND, .x1 = 2, .y1 = 1};
    struct overlay_list l = {.item = &all, .n = 1, .mask = two, .mask_stride = 2, .blend = &b};
    struct overlay_picture p = {.width = 2,
                                .height = 1,
                                .bytes = 2,
                                .planes = 3,
                                .plane = {{luma, 4, 1, 0, 0, 6}, {chroma, 4, 2, 1, 1, 6}, {chroma + 1, 4, 2, 1, 1, 6}}};
    overlay_draw(&l, &p);
    CHECK_INT(luma[0], 940 << 6);
    CHECK_INT(luma[1], 100 << 6);
    CHECK_INT(chroma[0] >> 6, 512 - (448 * 128 + 127) / 255); // half of it: the mean of 255 and 0
    CHECK_INT(chroma[1] >> 6, 512 + (448 * 128 + 127) / 255);
    CHECK_INT(chroma[0] & 63, 0);
}

CHECK_MAIN({"drawing on a GPU and its twin", twins}, {"thousands of items", thousands}, {"empty lists", nothing},
           {"nothing beside the picture", stays_inside}, {"blending", blends})
