// SPDX-License-Identifier: MIT
//
// Tasks on slots: geometry between source and network, the simulated task's
// stamp, tiles against whole frames on a network of the test data.
#include <unistd.h>

#include "tests/unit/worker/task_run.h"

// ---- geometry -------------------------------------------------------------------

static void letterbox_there_and_back(void)
{
    struct view v;
    struct view_params p = {.fit = MODEL_LETTERBOX, .src_w = 1920, .src_h = 1080, .net_w = 640, .net_h = 640};
    CHECK_INT(view_init(&v, &p), REEL_OK);
    CHECK_INT(v.pic_w, 640);
    CHECK_INT(v.pic_h, 360);
    CHECK_INT(v.pic_y, 140);
    float x, y;
    view_to_source(&v, 0, 140, &x, &y);
    CHECK_NEAR(x, 0, 1e-4);
    CHECK_NEAR(y, 0, 1e-4);
    view_to_source(&v, 640, 500, &x, &y);
    CHECK_NEAR(x, 1920, 1e-3);
    CHECK_NEAR(y, 1080, 1e-3);
}

static void tiles_cover(void)
{
    for (int src = 1; src < 700; src += 3)
        for (int radius = -1; radius < 30; radius += 7) {
            struct view_params p = {.fit = MODEL_TILES,
                                    .src_w = src,
                                    .src_h = 100,
                                    .net_w = 128,
                                    .net_h = 128,
                                    .radius = radius,
                                    .align = 1 + src % 5};
            struct view v;
            CHECK_INT(view_init(&v, &p), REEL_OK);
            int end = 0;
            for (int i = 0; i < v.n_x; i++) {
                int at = view_column_at(&v, i);
                CHECK_MSG(i == 0 ? at == 0 : at + v.overlap - (v.align - 1) <= end && at % v.align == 0,
                          "width %d, radius %d: tile %d begins at %d", src, radius, i, at);
                end = at + 128;
            }
            CHECK_MSG(end == v.pad_w && end >= src && (v.n_x == 1 || end < src + v.align), "width %d: tiles end at %d",
                      src, end);
            if (v.exact) CHECK(v.overlap - (v.align - 1) >= 2 * radius);
        }
}

static void too_many_tiles(void)
{
    struct view_params p = {.fit = MODEL_TILES, .src_w = 30000, .src_h = 30000, .net_w = 32, .net_h = 32};
    struct view v;
    CHECK_INT(view_init(&v, &p), REEL_ERR_LIMIT);
}

// ---- sim ----------------------------------------------------------------------

static uint32_t read_stamp(const struct yuv_picture *p, int top)
{
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++) {
        int x = i % 8 * 16 + 8, y = top + i / 8 * 16 + 8;
        const uint8_t *row = p->plane[0] + (size_t)y * p->stride[0];
        int v = p->depth > 8 ? ((const uint16_t *)row)[x] : row[x];
        if (v > 1 << (p->depth - 1)) bits |= UINT32_C(1) << i;
    }
    return bits;
}

static void sim_one(struct reel_pixel_format in_format, struct reel_pixel_format out_format)
{
    struct engine_params ep = {.backend = "sim"};
    struct engines *engines = NULL;
    CHECK_INT(engines_open(&ep, &engines), REEL_OK);
    struct engine *engine;
    CHECK_INT(engines_get(engines, NULL, 0, 0, 1, &engine), REEL_OK);
    struct task t = {.ops = &task_sim, .settings = &settings};
    t.media.colour.matrix = t.out_colour.matrix = 1;
    CHECK_INT(reel_geometry_init(&t.in, in_format, 200, 150, 64), REEL_OK);
    CHECK_INT(reel_geometry_init(&t.out, out_format, 200, 150, 64), REEL_OK);
    uint8_t *in = calloc(1, t.in.slot_bytes), *out = calloc(1, t.out.slot_bytes);
    uint64_t seed = 9;
    for (size_t i = REEL_STAMP_BYTES; i < t.in.slot_bytes; i++)
        in[i] = in_format.depth > 8 && i % 2 ? 1 : (uint8_t)(check_rand(&seed) >> 40);
    struct task_frame f = {.in = in, .out = out, .aux = out + t.out.aux_offset, .n = 0xdeadbeef, .pts = 0x123456789};
    CHECK_INT(task_sim.run(&t, engine, &f), REEL_OK);
    struct yuv_picture p = task_picture(&t.out, &t.out_colour, out), from = task_picture(&t.in, &t.media.colour, in);
    CHECK_INT(read_stamp(&p, 0), 0xdeadbeef);
    CHECK_INT(read_stamp(&p, 64), 0x23456789);
    if (in_format.depth == out_format.depth && in_format.layout == out_format.layout)
        for (int y = 128; y < 150; y++)
            CHECK(!memcmp(p.plane[0] + (size_t)y * p.stride[0], from.plane[0] + (size_t)y * from.stride[0], 200));
    // Behind the planes nothing is written.
    free(in), free(out);
    task_free_scratch(&t);
    engines_close(&engines);
}

static void sim_stamps(void)
{
    opt_defaults(reel_settings_table(), &settings);
    struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1}, deep = {REEL_PIX_YUV, 10, 1, 0},
                             gbr = {REEL_PIX_GBR, 8, 0, 0};
    sim_one(yuv, yuv);
    sim_one(deep, deep);
    sim_one(yuv, deep);
    sim_one(gbr, gbr);
    sim_one(gbr, yuv);
}

// ---- images -------------------------------------------------------------------

// Each part writes its own rows and no others, and all together the bytes of
// the whole frame.
static void parts_of_one(const char *path, struct reel_pixel_format format, int location, int parts, int w, int h,
                         int tile_w, int tile_h)
{
    struct run whole, split;
    opt_defaults(reel_settings_table(), &settings);
    CHECK_MSG(!open_run(&whole, path, w, h, format), "%s", reel_fail_text());
    whole.task.media.colour.chroma_location = whole.task.out_colour.chroma_location = (uint8_t)location;
    CHECK_MSG(!open_parts(&split, path, w, h, format, parts, tile_w, tile_h, location), "%s", reel_fail_text());
    CHECK_INT(split.task.view.parts, parts);
    size_t bytes = whole.task.out.slot_bytes;
    uint8_t *in = calloc(1, whole.task.in.slot_bytes), *a = calloc(1, bytes), *b = calloc(1, bytes);
    uint8_t *seen = calloc(1, bytes), *once = malloc(bytes);
    fill_picture(&whole, in);
    CHECK_INT(run_frame(&whole, in, a), REEL_OK);
    for (int part = parts - 1; part >= 0; part--) {
        // Over 0x55 and over 0xaa: what differs was not written.
        memset(once, 0x55, bytes);
        CHECK_INT(run_part(&split, in, once, (uint32_t)part), REEL_OK);
        memset(b, 0xaa, bytes);
        CHECK_INT(run_part(&split, in, b, (uint32_t)part), REEL_OK);
        for (size_t i = 0; i < bytes; i++) {
            bool written = once[i] == b[i];
            CHECK_MSG(!written || !seen[i], "byte %zu is written by part %d and another", i, part);
            if (written) seen[i] = 1;
            CHECK_MSG(!written || a[i] == b[i], "layout %d, location %d, part %d of %d: byte %zu is %d, not %d",
                      format.layout, location, part, parts, i, b[i], a[i]);
        }
    }
    for (int i = 0; i < reel_format_planes(whole.task.out.format); i++) {
        uint32_t pw, ph;
        reel_plane_size(&whole.task.out, i, &pw, &ph);
        for (uint32_t y = 0; y < ph; y++)
            for (uint32_t x = 0; x < pw * reel_format_bytes(whole.task.out.format); x++)
                CHECK_MSG(seen[whole.task.out.plane_offset[i] + y * whole.task.out.plane_stride[i] + x],
                          "plane %d, row %u, byte %u: nobody wrote it", i, y, x);
    }
    free(in), free(a), free(b), free(seen), free(once);
    close_run(&whole);
    close_run(&split);
}

static void parts_as_whole(void)
{
    static const char upscale[] = "tests/models/rgb2x.onnx";
    struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1}, deep = {REEL_PIX_YUV, 10, 0, 0},
                             wide = {REEL_PIX_YUV, 8, 1, 0}, gbr = {REEL_PIX_GBR, 8, 0, 0};
    parts_of_one(upscale, yuv, 0, 2, 90, 200, 0, 160);
    parts_of_one(upscale, yuv, 3, 3, 90, 301, 0, 170);
    parts_of_one(upscale, yuv, 6, 2, 61, 250, 0, 170);
    parts_of_one(upscale, wide, 1, 2, 62, 203, 0, 160);
    parts_of_one(upscale, deep, 0, 2, 40, 203, 0, 160);
    parts_of_one(upscale, gbr, 0, 2, 40, 203, 0, 160);
}

// The bundled network moves in steps of two pixels and wants even sizes; its
// blocks begin at multiples of eight.
static void parts_of_stepping_network(void)
{
    static const char upscale[] = "models/upscale2x-fast.onnx";
    struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1}, full = {REEL_PIX_YUV, 8, 0, 0},
                             deep = {REEL_PIX_YUV, 10, 1, 1};
    parts_of_one(upscale, yuv, 0, 2, 90, 260, 0, 180);
    parts_of_one(upscale, yuv, 3, 3, 61, 351, 0, 190);
    parts_of_one(upscale, full, 0, 2, 33, 253, 0, 180);
    parts_of_one(upscale, deep, 1, 1, 283, 255, 180, 172);
    parts_of_one(upscale, yuv, 0, 2, 280, 254, 170, 180);
}

// Tiles of a stated size keep no bits, but parts cut them where one worker does.
static void parts_of_stated_tiles(void)
{
    static const char upscale[] = "models/upscale2x-fast.onnx";
    struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1};
    struct run one, two;
    opt_defaults(reel_settings_table(), &settings);
    snprintf(settings.tile, sizeof settings.tile, "97x101");
    CHECK_MSG(!open_parts(&one, upscale, 131, 203, yuv, 0, 0, 0, 0), "%s", reel_fail_text());
    CHECK_MSG(!open_parts(&two, upscale, 131, 203, yuv, 2, 0, 0, 0), "%s", reel_fail_text());
    CHECK(one.task.view.exact && one.task.view.parts == 1);
    CHECK_INT(two.task.view.parts, 2);
    uint8_t *in = calloc(1, one.task.in.slot_bytes), *a = calloc(1, one.task.out.slot_bytes);
    uint8_t *b = calloc(1, one.task.out.slot_bytes);
    fill_picture(&one, in);
    CHECK_INT(run_frame(&one, in, a), REEL_OK);
    for (uint32_t part = 0; part < 2; part++) CHECK_INT(run_part(&two, in, b, part), REEL_OK);
    CHECK(!memcmp(a, b, one.task.out.aux_offset));
    free(in), free(a), free(b);
    close_run(&one);
    close_run(&two);
}

static void parts_as_whole_dilated(void)
{
    const char *root = getenv("REELMILL_TESTDATA");
    char path[1024];
    snprintf(path, sizeof path, "%s/models/denoise_ircnn_medium_fp16.onnx", root ? root : "../shared/testdata");
    if (access(path, R_OK)) SKIP("no test data");
    struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1};
    parts_of_one(path, yuv, 0, 2, 64, 460, 0, 320);
}

static void tiles_as_whole(void)
{
    const char *root = getenv("REELMILL_TESTDATA");
    char path[1024];
    snprintf(path, sizeof path, "%s/models/denoise_ircnn_medium_fp16.onnx", root ? root : "../shared/testdata");
    if (access(path, R_OK)) SKIP("no test data");
    struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1};
    struct run whole, tiled;
    opt_defaults(reel_settings_table(), &settings);
    CHECK_MSG(!open_run(&whole, path, 200, 130, yuv), "%s", reel_fail_text());
    snprintf(settings.tile, sizeof settings.tile, "96x96");
    CHECK_MSG(!open_run(&tiled, path, 200, 130, yuv), "%s", reel_fail_text());
    CHECK(tiled.task.view.exact);
    CHECK(tiled.task.view.n_x > 1 && tiled.task.view.n_y > 1);
    uint8_t *in = calloc(1, whole.task.in.slot_bytes), *a = calloc(1, whole.task.out.slot_bytes);
    uint8_t *b = calloc(1, tiled.task.out.slot_bytes);
    fill_picture(&whole, in);
    CHECK_INT(run_frame(&whole, in, a), REEL_OK);
    CHECK_INT(run_frame(&tiled, in, b), REEL_OK);
    int worst = 0, differ = 0;
    for (size_t i = 0; i < whole.task.out.slot_bytes; i++) {
        int d = abs(a[i] - b[i]);
        worst = d > worst ? d : worst, differ += d != 0;
    }
    free(in), free(a), free(b);
    close_run(&whole);
    close_run(&tiled);
    // Sums of another order may round a byte the other way, rarely.
    CHECK_MSG(worst <= 1 && differ < 40, "off by %d, %d bytes differ", worst, differ);
}

// What AVChromaLocation's values mean (H.264 annex E), and which matrix stands
// for one that is not told.
static void colours_of_a_picture(void)
{
    static const struct {
        int location;
        enum yuv_site x, y;
    } known[] = {{0, YUV_SITE_FIRST, YUV_SITE_CENTER},  {1, YUV_SITE_FIRST, YUV_SITE_CENTER},
                 {2, YUV_SITE_CENTER, YUV_SITE_CENTER}, {3, YUV_SITE_FIRST, YUV_SITE_FIRST},
                 {4, YUV_SITE_CENTER, YUV_SITE_FIRST},  {5, YUV_SITE_FIRST, YUV_SITE_LAST},
                 {6, YUV_SITE_CENTER, YUV_SITE_LAST}};
    struct reel_pixel_format yuv = {REEL_PIX_YUV, 8, 1, 1};
    struct reel_geometry g;
    uint8_t slot[1] = {0};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct reel_colour c = {.matrix = 2, .chroma_location = (uint8_t)known[i].location};
        CHECK_INT(reel_geometry_init(&g, yuv, 1280, 720, 0), REEL_OK);
        struct yuv_picture p = task_picture(&g, &c, slot);
        CHECK_MSG(p.site_x == known[i].x && p.site_y == known[i].y, "location %d: %d, %d", known[i].location, p.site_x,
                  p.site_y);
        CHECK_INT(p.matrix, 1);
        CHECK_INT(reel_geometry_init(&g, yuv, 720, 576, 0), REEL_OK);
        CHECK_INT(task_picture(&g, &c, slot).matrix, 6);
        c.matrix = 9;
        CHECK_INT(task_picture(&g, &c, slot).matrix, 9);
    }
}

CHECK_MAIN({"task colours of a picture", colours_of_a_picture},
           {"task letterbox there and back", letterbox_there_and_back}, {"task tiles cover", tiles_cover},
           {"task too many tiles", too_many_tiles}, {"task sim stamps", sim_stamps},
           {"task parts as the whole frame", parts_as_whole},
           {"task parts of a network that steps", parts_of_stepping_network},
           {"task parts of stated tiles", parts_of_stated_tiles},
           {"task parts of a dilated network", parts_as_whole_dilated},
           {"task tiles as the whole frame", tiles_as_whole})
