// SPDX-License-Identifier: MIT
//
// Drawing: rectangles, letters and boxes at any depth and chroma; masks; run
// lengths; labels.
#include "aggregator/post/boxes.h"
#include "aggregator/post/masks.h"
#include "aggregator/post/paint.h"
#include "tests/unit/aggregator/lab.h"

static const struct reel_colour bt709 = {1, 1, 1, 0, 1, 1};

static AVFrame *new_frame(struct picture_pool *pool, enum AVPixelFormat format, int w, int h, int value)
{
    AVFrame *f;
    if (picture_alloc(pool, format, w, h, &f)) abort();
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    for (int p = 0; p < 3 && f->data[p]; p++) {
        int rows = p ? AV_CEIL_RSHIFT(h, d->log2_chroma_h) : h, cols = p ? AV_CEIL_RSHIFT(w, d->log2_chroma_w) : w;
        if (p && !f->data[2]) cols *= 2; // Cb and Cr side by side
        for (int y = 0; y < rows; y++)
            for (int x = 0; x < cols; x++) {
                uint8_t *row = f->data[p] + (ptrdiff_t)y * f->linesize[p];
                if (d->comp[0].depth > 8)
                    ((uint16_t *)row)[x] = (uint16_t)(value << (d->comp[0].depth - 8));
                else
                    row[x] = (uint8_t)value;
            }
    }
    return f;
}

static int sample(const AVFrame *f, int plane, int x, int y)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
    const uint8_t *row = f->data[plane] + (ptrdiff_t)y * f->linesize[plane];
    return d->comp[0].depth > 8 ? ((const uint16_t *)row)[x] : row[x];
}

static struct paint_canvas canvas_of(const AVFrame *f)
{
    struct reel_pixel_format format;
    struct paint_canvas c;
    if (!picture_slot_format((enum AVPixelFormat)f->format, &format)) abort();
    paint_begin(&c, format, f->width, f->height, &bt709);
    return c;
}

// Draws what was noted, and begins anew.
static void play(struct paint_canvas *c, AVFrame *f)
{
    CHECK_INT(paint_play(c, f), REEL_OK);
    paint_end(c);
    *c = canvas_of(f);
}

static void inks(void)
{
    struct picture_pool pool = {0};
    AVFrame *f = new_frame(&pool, AV_PIX_FMT_YUV420P, 16, 16, 0);
    struct paint_canvas c = canvas_of(f);
    struct overlay_ink white = paint_ink(&c, 0xffffff), red = paint_ink(&c, 0xff0000);
    CHECK_INT(white.sample[0], 235);
    CHECK_INT(white.sample[1], 128);
    CHECK_INT(red.sample[0], 63); // BT.709: 16 + 219 * 0.2126
    CHECK_INT(red.sample[2], 240);
    av_frame_free(&f);
    f = new_frame(&pool, AV_PIX_FMT_GBRP10LE, 16, 16, 0);
    c = canvas_of(f);
    red = paint_ink(&c, 0xff0000);
    CHECK_INT(red.sample[0], 0);
    CHECK_INT(red.sample[2], 1023);
    av_frame_free(&f);
    picture_pool_fini(&pool);
}

static void rectangles(void)
{
    static const enum AVPixelFormat formats[] = {AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV422P10LE, AV_PIX_FMT_YUV444P16LE,
                                                 AV_PIX_FMT_GRAY8, AV_PIX_FMT_GBRP};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct picture_pool pool = {0};
        AVFrame *f = new_frame(&pool, formats[i], 33, 21, 50);
        struct paint_canvas c = canvas_of(f);
        int ground = sample(f, 0, 0, 0);
        struct overlay_ink ink = paint_ink(&c, 0xffffff);
        paint_fill(&c, 5, 4, 10, 6, ink);
        CHECK_INT(sample(f, 0, 5, 4), ground); // a list until it is played
        play(&c, f);
        for (int y = 0; y < 21; y++)
            for (int x = 0; x < 33; x++) {
                bool in = x >= 5 && x < 15 && y >= 4 && y < 10;
                CHECK_MSG(sample(f, 0, x, y) == (in ? ink.sample[0] : ground), "format %zu at %d,%d", i, x, y);
            }
        // Far outside, and huge: nothing is written where it must not be (ASan watches).
        paint_fill(&c, -1000000, -5, 2000000, 7, ink);
        paint_fill(&c, 30, 19, 2147483647, 2147483647, ink);
        paint_frame(&c, -3, -3, 40, 30, 2, ink);
        paint_text(&c, 25, 15, 2, "edge \xc3\xa4", ink);
        paint_text(&c, -2000000000, 3, 3, "far", ink);
        play(&c, f);
        paint_end(&c);
        av_frame_free(&f);
        picture_pool_fini(&pool);
    }
}

static void letters(void)
{
    // Every glyph but the space is seen, no two are alike.
    for (int i = 0; i < 95; i++) {
        int dots = 0;
        for (int y = 0; y < PAINT_GLYPH_H; y++) dots += __builtin_popcount(paint_font[i][y]);
        CHECK_MSG((dots > 0) == (i > 0), "glyph %d has %d dots", i + 32, dots);
        for (int k = 0; k < i; k++)
            CHECK_MSG(memcmp(paint_font[i], paint_font[k], PAINT_GLYPH_H), "glyphs %d and %d", i + 32, k + 32);
    }
    CHECK_INT(paint_text_width("ab", 2), 22);
}

static void boxes(void)
{
    struct picture_pool pool = {0};
    AVFrame *f = new_frame(&pool, AV_PIX_FMT_YUV420P, 128, 96, 16);
    struct paint_canvas c = canvas_of(f);
    struct {
        struct reel_results head;
        struct reel_object o[4];
    } aux = {.head = {.task = REEL_TASK_DETECT, .count = 4, .bytes = sizeof aux.o, .labels = REEL_LABELS_FACE}};
    aux.o[0] = (struct reel_object){.class_id = 0, .score = 0.9f, .x = 20, .y = 40, .w = 30, .h = 25, .n_points = 1};
    aux.o[0].point[0].x = 35, aux.o[0].point[0].y = 52;
    aux.o[1] = (struct reel_object){.class_id = 1, .score = 0.9f, .x = NAN, .y = 1, .w = 5, .h = 5};
    aux.o[2] = (struct reel_object){.class_id = -7, .score = 0.8f, .x = -1e30f, .y = 1, .w = 1e30f, .h = INFINITY};
    aux.o[3] = (struct reel_object){
        .class_id = 2, .score = 0.8f, .x = 1e9f, .y = 70, .w = 10, .h = 10, .n_points = 4000000000u};
    struct results r;
    CHECK_INT(results_read((const uint8_t *)&aux, sizeof aux, &r), REEL_OK);
    boxes_draw(&c, &r, &(struct boxes_params){.line_width = 2, .draw_labels = true});
    play(&c, f);
    int ink = paint_ink(&c, paint_palette(0)).sample[0];
    CHECK_INT(sample(f, 0, 20, 40), ink);
    CHECK_INT(sample(f, 0, 49, 64), ink);
    CHECK_INT(sample(f, 0, 30, 50), 16);  // inside stays
    CHECK_INT(sample(f, 0, 35, 52), 235); // the point
    CHECK_INT(sample(f, 0, 20, 39), ink); // the tag above
    // Sizes that do not fit are refused.
    aux.head.count = 5;
    CHECK_INT(results_read((const uint8_t *)&aux, sizeof aux, &r), REEL_ERR_PROTO);
    aux.head.bytes = 4000000000u;
    CHECK_INT(results_read((const uint8_t *)&aux, sizeof aux, &r), REEL_ERR_PROTO);
    CHECK_INT(results_read((const uint8_t *)&aux, 7, &r), REEL_ERR_PROTO);
    paint_end(&c);
    av_frame_free(&f);
    picture_pool_fini(&pool);
}

// A list goes with a frame and its clones, and draws the same there as here.
static void attached(void)
{
    struct picture_pool pool = {0};
    AVFrame *f = new_frame(&pool, AV_PIX_FMT_NV12, 31, 17, 60), *here = new_frame(&pool, AV_PIX_FMT_NV12, 31, 17, 60);
    struct paint_canvas c = canvas_of(f);
    CHECK(!paint_of(f));
    paint_text(&c, 1, 1, 1, "abc", paint_ink(&c, 0xff0000));
    paint_frame(&c, 3, 2, 25, 14, 1, paint_ink(&c, 0x00ff00));
    CHECK_INT(paint_play(&c, here), REEL_OK);
    CHECK_INT(paint_attach(&c, f), REEL_OK);
    CHECK(!c.n && !c.item && !c.glyph);
    AVFrame *clone = av_frame_clone(f), *drawn;
    av_frame_free(&f);
    CHECK_INT(sample(clone, 0, 3, 2), 60);
    CHECK_INT(picture_copy(&pool, clone, &drawn), REEL_OK);
    CHECK_INT(paint_play(paint_of(clone), drawn), REEL_OK);
    for (int y = 0; y < 17; y++)
        CHECK(!memcmp(here->data[0] + y * here->linesize[0], drawn->data[0] + y * drawn->linesize[0], 31));
    for (int y = 0; y < 9; y++)
        CHECK(!memcmp(here->data[1] + y * here->linesize[1], drawn->data[1] + y * drawn->linesize[1], 32));
    CHECK(sample(drawn, 0, 3, 2) != 60);
    av_frame_free(&clone);
    av_frame_free(&drawn);
    av_frame_free(&here);
    picture_pool_fini(&pool);
}

// ---- masks ------------------------------------------------------------------------

static uint8_t decoded[4096];
static size_t decoded_n;
static bool decoded_inside;

static void decode_run(void *ctx, uint32_t run)
{
    for (uint32_t i = 0; i < run && decoded_n < sizeof decoded; i++) decoded[decoded_n++] = decoded_inside;
    decoded_inside = !decoded_inside;
}

static void run_lengths(void)
{
    uint64_t seed = 3;
    for (int round = 0; round < 500; round++) {
        int w = 1 + (int)(check_rand(&seed) % 40), h = 1 + (int)(check_rand(&seed) % 40), stride = w + 5;
        uint8_t mask[40 * 45];
        for (size_t i = 0; i < sizeof mask; i++) mask[i] = check_rand(&seed) % 8 < 6;
        decoded_n = 0;
        decoded_inside = false;
        masks_rle(mask, (size_t)stride, w, h, 1, decode_run, NULL);
        CHECK_INT(decoded_n, w * h);
        for (int x = 0; x < w; x++)
            for (int y = 0; y < h; y++) CHECK_INT(decoded[x * h + y], mask[y * stride + x] == 1);
    }
}

static void overlays(void)
{
    struct picture_pool pool = {0};
    AVFrame *f = new_frame(&pool, AV_PIX_FMT_YUV420P10LE, 7, 5, 100); // odd: chroma at the edge
    struct paint_canvas c = canvas_of(f);
    uint8_t mask[5 * 16] = {0};
    mask[16 + 2] = 3;
    mask[4 * 16 + 6] = 1;
    masks_overlay_classes(&c, mask, 16, 0.5);
    play(&c, f);
    CHECK_INT(sample(f, 0, 0, 0), 400);
    int want = 400 + (paint_ink(&c, paint_palette(2)).sample[0] - 400) * 128 / 255;
    CHECK_NEAR(sample(f, 0, 2, 1), want, 1);
    int chroma = paint_ink(&c, paint_palette(2)).sample[1];
    CHECK_NEAR(sample(f, 1, 1, 0), 400 + (chroma - 400) * 32 / 255, 1); // a quarter of its samples
    CHECK(sample(f, 1, 3, 2) != 400);
    masks_paint_classes(&c, mask, 16);
    play(&c, f);
    CHECK_INT(sample(f, 0, 0, 0), 64);
    CHECK_INT(sample(f, 0, 2, 1), paint_ink(&c, paint_palette(2)).sample[0]);
    uint8_t matte[5 * 16];
    memset(matte, 0, sizeof matte);
    matte[0] = 255;
    int before = sample(f, 0, 3, 3);
    masks_overlay_matte(&c, matte, 16, 1);
    play(&c, f);
    CHECK_INT(sample(f, 0, 3, 3), before);
    CHECK_INT(sample(f, 0, 0, 0), paint_ink(&c, 0x00b140).sample[0]);
    paint_end(&c);
    av_frame_free(&f);
    picture_pool_fini(&pool);
}

static void labels(void)
{
    struct lab l;
    lab_init(&l, REEL_OUTPUT_NULL, "");
    char path[128], buf[16];
    snprintf(path, sizeof path, "%s/names.txt", l.folder);
    FILE *f = fopen(path, "wb");
    fputs("cat\r\ndog\n\nbird", f);
    fclose(f);
    struct labels *names;
    CHECK_INT(labels_load(path, "", &names), REEL_OK);
    CHECK_STR(labels_name(names, REEL_LABELS_COCO, 0, buf, sizeof buf), "cat");
    CHECK_STR(labels_name(names, 0, 1, buf, sizeof buf), "dog");
    CHECK_STR(labels_name(names, 0, 2, buf, sizeof buf), "2");
    CHECK_STR(labels_name(names, 0, 3, buf, sizeof buf), "bird");
    CHECK_STR(labels_name(names, REEL_LABELS_COCO, 4, buf, sizeof buf), "4");
    CHECK_STR(labels_name(names, 0, -1, buf, sizeof buf), "-1");
    labels_free(&names);
    CHECK_STR(labels_name(NULL, REEL_LABELS_COCO, 79, buf, sizeof buf), "toothbrush");
    CHECK_STR(labels_name(NULL, REEL_LABELS_VOC, 15, buf, sizeof buf), "person");
    CHECK_STR(labels_name(NULL, REEL_LABELS_FACE, 3, buf, sizeof buf), "face");
    CHECK_STR(labels_name(NULL, REEL_LABELS_COCO, 80, buf, sizeof buf), "80");
    f = fopen(path, "wb");
    fwrite("a\0b", 1, 3, f);
    fclose(f);
    CHECK_INT(labels_load(path, "", &names), REEL_ERR_CONFIG);
    CHECK_INT(labels_load("/no/such/file", "", &names), REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "/no/such/file");
    lab_fini(&l);
}

CHECK_MAIN({"inks", inks}, {"rectangles", rectangles}, {"letters", letters}, {"boxes", boxes}, {"attached", attached},
           {"run_lengths", run_lengths}, {"overlays", overlays}, {"labels", labels})
