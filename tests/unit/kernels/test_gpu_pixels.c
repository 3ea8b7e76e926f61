// SPDX-License-Identifier: MIT
//
// The pixel kernels against their C twins (bit by bit, as compiled for the CPU
// or on a device), and the twins against what the CPU path does (bit by bit in
// float32), on random pictures of every layout, depth, siting and range.
#include "kernels/gpu/pixels.h"

#include "tests/check.h"

#define MOST 80 // pixels of a side

struct format {
    enum yuv_layout layout;
    int depth, shift, cw, ch;
    enum yuv_site sx, sy;
    bool full;
    int matrix;
};

static const struct format formats[] = {
    {YUV_NV, 8, 0, 1, 1, YUV_SITE_FIRST, YUV_SITE_CENTER, false, 1},
    {YUV_NV, 10, 6, 1, 1, YUV_SITE_FIRST, YUV_SITE_FIRST, false, 9},
    {YUV_PLANAR, 8, 0, 1, 1, YUV_SITE_FIRST, YUV_SITE_CENTER, false, 6},
    {YUV_PLANAR, 8, 0, 1, 1, YUV_SITE_CENTER, YUV_SITE_LAST, true, 1},
    {YUV_PLANAR, 10, 0, 1, 0, YUV_SITE_FIRST, YUV_SITE_CENTER, false, 9},
    {YUV_PLANAR, 12, 0, 0, 0, YUV_SITE_CENTER, YUV_SITE_CENTER, true, 4},
    {YUV_PLANAR, 16, 0, 2, 2, YUV_SITE_FIRST, YUV_SITE_CENTER, false, 7},
    {YUV_PLANAR, 8, 0, 2, 0, YUV_SITE_LAST, YUV_SITE_CENTER, false, 1},
    {YUV_GRAY, 8, 0, 0, 0, YUV_SITE_FIRST, YUV_SITE_CENTER, false, 1},
    {YUV_GRAY, 10, 0, 0, 0, YUV_SITE_FIRST, YUV_SITE_CENTER, true, 1},
    {YUV_GBR, 8, 0, 0, 0, YUV_SITE_FIRST, YUV_SITE_CENTER, true, 1},
    {YUV_GBR, 12, 0, 0, 0, YUV_SITE_FIRST, YUV_SITE_CENTER, true, 1},
};
#define FORMATS (int)(sizeof formats / sizeof formats[0])

static uint64_t seed = 11;
static uint8_t samples[4][3][MOST * MOST * 4];
static float floats[8][4 * MOST * MOST * 3];

static struct yuv_picture picture(const struct format *f, int w, int h, int store)
{
    struct yuv_picture p = {.layout = f->layout,
                            .depth = f->depth,
                            .shift = f->shift,
                            .log2_cw = f->cw,
                            .log2_ch = f->ch,
                            .width = w,
                            .height = h,
                            .matrix = f->matrix,
                            .full = f->full,
                            .site_x = f->sx,
                            .site_y = f->sy};
    for (int i = 0; i < 3; i++) p.plane[i] = samples[store][i], p.stride[i] = MOST * 4;
    return p;
}

static void randomise(const struct yuv_picture *p)
{
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < MOST * MOST * 4 / 2; k++) {
            unsigned v = (unsigned)(check_rand(&seed) >> 40) & ((1u << p->depth) - 1);
            if (p->depth > 8)
                ((uint16_t *)p->plane[i])[k] = (uint16_t)(v << p->shift);
            else
                p->plane[i][2 * k] = (uint8_t)v, p->plane[i][2 * k + 1] = (uint8_t)(check_rand(&seed) >> 50);
        }
}

static void random_floats(float *d, size_t n)
{
    for (size_t i = 0; i < n; i++) d[i] = (float)(check_rand(&seed) >> 40) / 16777216.0f * 1.4f - 0.2f;
}

static const struct gpu_coding coding = {{2.0f, 1.7f, 1.9f}, {-1.0f, -0.8f, -0.9f}, {2, 1, 0}};

static int rand_side(void)
{
    return 1 + (int)(check_rand(&seed) >> 40) % (MOST - 1);
}

// ---- picture to tensor ---------------------------------------------------------------

static void feeds(void)
{
    for (int i = 0; i < 4 * FORMATS; i++) {
        const struct format *f = &formats[i % FORMATS];
        int w = rand_side(), h = rand_side(), dw = w + (i % 3 ? 0 : 5), dh = h + (i % 3 ? 0 : 3);
        if (dw > MOST) dw = MOST;
        if (dh > MOST) dh = MOST;
        struct yuv_picture p = picture(f, w, h, 0);
        randomise(&p);
        struct gpu_picture g = gpu_picture_of(&p);
        int channels = i % 2 ? 3 : 1;
        struct gpu_image want = i % 4 < 2 ? gpu_image_planar(floats[0], GPU_PIXEL_F32, dw, dh, channels)
                                          : gpu_image_nhwc(floats[0], GPU_PIXEL_F32, dw, dh, channels, 4);
        struct gpu_coding k = coding;
        if (channels == 1) k.order[0] = 0;
        memset(floats[0], 0x77, sizeof floats[0]);
        memset(floats[1], 0x77, sizeof floats[1]);
        gpu_feed_ref(&g, &want, &k);
        struct gpu_image got = want;
        got.data = floats[1];
        CHECK_INT(gpu_feed(&g, &got, &k, NULL), 0);
        CHECK_MSG(!memcmp(floats[0], floats[1], sizeof floats[0]), "format %d, %dx%d: kernel and twin differ",
                  i % FORMATS, w, h);
        static float scratch[16 * (MOST + 64)];
        if (channels == 1) {
            struct luma_view v = {floats[2], (size_t)dw, dw, dh, k.gain[0], k.bias[0]};
            yuv_to_luma(&p, &v, scratch);
        } else {
            size_t plane = (size_t)dw * (size_t)dh;
            struct rgb_view v = {.c = {floats[2] + 2 * plane, floats[2] + plane, floats[2]},
                                 .row = (size_t)dw,
                                 .px = 1,
                                 .width = dw,
                                 .height = dh};
            memcpy(v.gain, k.gain, sizeof v.gain);
            memcpy(v.bias, k.bias, sizeof v.bias);
            yuv_to_rgb(&p, &v, scratch);
        }
        for (int y = 0; y < dh; y++)
            for (int x = 0; x < dw; x++)
                for (int c = 0; c < channels; c++) {
                    float a = floats[0][(size_t)y * want.row + (size_t)x * want.pixel + (size_t)c * want.plane];
                    float b = floats[2][((size_t)c * (size_t)dh + (size_t)y) * (size_t)dw + (size_t)x];
                    CHECK_MSG(a == b, "format %d, %dx%d: channel %d at %d,%d is %.9g, the CPU makes %.9g", i % FORMATS,
                              w, h, c, x, y, a, b);
                }
        if (want.padded > channels) CHECK(floats[0][(size_t)(dh - 1) * want.row + (size_t)channels] == 0.0f);
    }
}

// 16-bit tensors: kernel and twin round alike.
static void feeds_16_bits(void)
{
    for (int i = 0; i < 2 * FORMATS; i++) {
        struct yuv_picture p = picture(&formats[i % FORMATS], 33, 21, 0);
        randomise(&p);
        struct gpu_picture g = gpu_picture_of(&p);
        struct gpu_image a = gpu_image_nhwc(floats[0], i % 2 ? GPU_PIXEL_F16 : GPU_PIXEL_BF16, 33, 21, 3, 8), b = a;
        b.data = floats[1];
        memset(floats[0], 0, sizeof floats[0]);
        memset(floats[1], 0, sizeof floats[1]);
        gpu_feed_ref(&g, &a, &coding);
        CHECK_INT(gpu_feed(&g, &b, &coding, NULL), 0);
        CHECK(!memcmp(floats[0], floats[1], sizeof floats[0]));
    }
}

// ---- resizing -----------------------------------------------------------------------------

struct rows_of {
    const struct yuv_picture *p;
    int planes;
    struct gpu_image dst;
    struct gpu_coding k;
    int x0, y0, width;
    float *scratch;
};

static void read_row(void *user, int y, float *const *rows)
{
    struct rows_of *r = user;
    if (r->planes == 1)
        yuv_read_luma_row(r->p, y, rows[0], r->scratch);
    else
        yuv_read_row(r->p, y, rows[0], rows[1], rows[2], r->scratch);
}

static void write_row(void *user, int y, float *const *rows)
{
    struct rows_of *r = user;
    for (int c = 0; c < r->planes; c++)
        for (int x = 0; x < r->width; x++) {
            int i = r->k.order[c];
            ((float *)r->dst.data)[(size_t)(r->y0 + y) * r->dst.row + (size_t)(r->x0 + x) * r->dst.pixel +
                                   (size_t)c * r->dst.plane] = rows[i][x] * r->k.gain[i] + r->k.bias[i];
        }
}

static struct gpu_axis axis_of(const struct resize_axis *a)
{
    return (struct gpu_axis){a->n_in, a->n_out, a->taps, a->first, a->weight};
}

static void resizes(void)
{
    static float scratch[2][200 * MOST * 4];
    for (int i = 0; i < 3 * FORMATS; i++) {
        int w = rand_side(), h = rand_side(), pw = rand_side(), ph = rand_side(), planes = i % 2 ? 3 : 1;
        struct yuv_picture p = picture(&formats[i % FORMATS], w, h, 0);
        randomise(&p);
        struct resize_axis ax, ay;
        CHECK(resize_axis_fit(&ax, i % 3 ? RESIZE_LINEAR : RESIZE_BICUBIC, w, pw));
        CHECK(resize_axis_fit(&ay, i % 3 ? RESIZE_LINEAR : RESIZE_BICUBIC, h, ph));
        struct gpu_rows r = {.what = GPU_ROWS_PICTURE,
                             .picture = gpu_picture_of(&p),
                             .planes = planes,
                             .width = w,
                             .y = axis_of(&ay),
                             .out = floats[0]};
        gpu_rows_ref(&r);
        r.out = floats[1];
        CHECK_INT(gpu_rows(&r, NULL), 0);
        size_t n = (size_t)planes * (size_t)ph * (size_t)w;
        CHECK(!memcmp(floats[0], floats[1], n * sizeof(float)));
        int x0 = MOST - pw, y0 = (MOST - ph) / 2;
        struct gpu_coding k = coding;
        if (planes == 1) k.order[0] = 0;
        struct gpu_columns c = {.rows = floats[0],
                                .planes = planes,
                                .height = ph,
                                .x = axis_of(&ax),
                                .coding = k,
                                .dst = gpu_image_nhwc(floats[2], GPU_PIXEL_F32, MOST, MOST, planes, (size_t)planes),
                                .x0 = x0,
                                .y0 = y0};
        const float fill[3] = {0.1f, 0.2f, 0.3f};
        gpu_columns_ref(&c);
        gpu_borders_ref(&c.dst, &k, x0, y0, pw, ph, fill);
        c.dst.data = floats[3];
        CHECK_INT(gpu_columns(&c, NULL), 0);
        CHECK_INT(gpu_borders(&c.dst, &k, x0, y0, pw, ph, fill, NULL), 0);
        CHECK(!memcmp(floats[2], floats[3], MOST * MOST * (size_t)planes * sizeof(float)));
        // As worker/task feeds a network.
        struct rows_of to = {&p, planes, c.dst, k, x0, y0, pw, scratch[0]};
        to.dst.data = floats[4];
        for (size_t e = 0; e < MOST * MOST * (size_t)planes; e++) floats[4][e] = fill[k.order[e % (size_t)planes]];
        CHECK(resize_scratch_floats(&ax, &ay, planes) < sizeof scratch[1] / sizeof(float));
        resize_rows(&ax, &ay, planes, read_row, write_row, &to, scratch[1]);
        for (size_t e = 0; e < MOST * MOST * (size_t)planes; e++)
            CHECK_MSG(floats[4][e] == floats[2][e],
                      "format %d, %dx%d to %dx%d: element %zu is %.9g, the CPU makes %.9g", i % FORMATS, w, h, pw, ph,
                      e, floats[2][e], floats[4][e]);
        resize_axis_fini(&ax), resize_axis_fini(&ay);
    }
}

static void read_chroma(void *user, int y, float *const *rows)
{
    struct rows_of *r = user;
    yuv_read_chroma_row(r->p, 0, y, rows[0]);
    yuv_read_chroma_row(r->p, 1, y, rows[1]);
}

static const struct yuv_picture *chroma_to;

static void write_chroma(void *user, int y, float *const *rows)
{
    for (int i = 0; i < 2; i++) yuv_write_chroma_row(chroma_to, i, y, rows[i]);
}

static void resizes_chroma(void)
{
    static float scratch[200 * MOST * 4];
    for (int i = 0; i < 8; i++) {
        struct yuv_picture from = picture(&formats[i], 30, 26, 0), to = picture(&formats[i], 60, 52, 1);
        randomise(&from);
        memset(samples[1], 0, sizeof samples[1]);
        struct resize_axis ax, ay;
        CHECK(resize_axis_fit(&ax, RESIZE_BICUBIC, yuv_chroma_width(&from), yuv_chroma_width(&to)));
        CHECK(resize_axis_fit(&ay, RESIZE_BICUBIC, yuv_chroma_height(&from), yuv_chroma_height(&to)));
        struct gpu_rows r = {.what = GPU_ROWS_CHROMA,
                             .picture = gpu_picture_of(&from),
                             .planes = 2,
                             .width = ax.n_in,
                             .y = axis_of(&ay),
                             .out = floats[0]};
        gpu_rows_ref(&r);
        r.out = floats[1];
        CHECK_INT(gpu_rows(&r, NULL), 0);
        CHECK(!memcmp(floats[0], floats[1], 2u * (size_t)ay.n_out * (size_t)ax.n_in * sizeof(float)));
        struct gpu_columns c = {.rows = floats[0], .planes = 2, .height = ay.n_out, .x = axis_of(&ax)};
        struct gpu_picture g = gpu_picture_of(&to);
        gpu_columns_chroma_ref(&c, &g);
        memcpy(samples[2], samples[1], sizeof samples[2]);
        memset(samples[1], 0, sizeof samples[1]);
        CHECK_INT(gpu_columns_chroma(&c, &g, NULL), 0);
        CHECK(!memcmp(samples[2], samples[1], sizeof samples[1]));
        memset(samples[1], 0, sizeof samples[1]);
        struct rows_of user = {.p = &from};
        chroma_to = &to;
        resize_rows(&ax, &ay, 2, read_chroma, write_chroma, &user, scratch);
        CHECK_MSG(!memcmp(samples[2], samples[1], sizeof samples[1]), "format %d: the CPU makes other chroma", i);
        resize_axis_fini(&ax), resize_axis_fini(&ay);
    }
}

// ---- tensor to picture ------------------------------------------------------------------------

static void tails(void)
{
    for (int i = 0; i < 4 * FORMATS; i++) {
        const struct format *f = &formats[i % FORMATS];
        int w = rand_side(), h = rand_side(), channels = i % 4 == 3 && f->layout != YUV_GBR ? 1 : 3;
        struct yuv_picture p = picture(f, w, h, 1);
        struct gpu_coding k = {{0.5f, 0.6f, 0.55f}, {0.3f, 0.2f, 0.25f}, {2, 1, 0}};
        if (channels == 1) k.order[0] = 0;
        struct gpu_tail t = {.dst = gpu_picture_of(&p), .coding = k, .neutral = true};
        t.made = i % 2 ? gpu_image_planar(floats[0], GPU_PIXEL_F32, w, h, channels)
                       : gpu_image_nhwc(floats[0], GPU_PIXEL_F32, w, h, channels, 4);
        random_floats(floats[0], (size_t)w * (size_t)h * 4);
        memset(samples[1], 0x33, sizeof samples[1]);
        gpu_tail_ref(&t);
        memcpy(samples[2], samples[1], sizeof samples[2]);
        memset(samples[1], 0x33, sizeof samples[1]);
        CHECK_INT(gpu_tail(&t, NULL), 0);
        CHECK_MSG(!memcmp(samples[1], samples[2], sizeof samples[1]), "format %d: kernel and twin differ", i % FORMATS);
        static float scratch[16 * (MOST + 64)];
        memset(samples[1], 0x33, sizeof samples[1]);
        float *made = floats[0];
        if (channels == 1) {
            for (int e = 0; e < w * h; e++) floats[1][e] = made[(size_t)e * t.made.pixel];
            struct luma_view v = {floats[1], (size_t)w, w, h, k.gain[0], k.bias[0]};
            yuv_from_luma(&p, &v, scratch);
            memset(scratch, 0, sizeof scratch);
            for (int y = 0; f->layout != YUV_GRAY && y < yuv_chroma_height(&p); y++)
                for (int c = 0; c < 2; c++) yuv_write_chroma_row(&p, c, y, scratch);
        } else {
            size_t plane = (size_t)w * (size_t)h;
            for (size_t e = 0; e < plane; e++)
                for (size_t c = 0; c < 3; c++)
                    floats[1][c * plane + e] =
                        made[e % (size_t)w * t.made.pixel + e / (size_t)w * t.made.row + c * t.made.plane];
            struct rgb_view v = {.c = {floats[1] + 2 * plane, floats[1] + plane, floats[1]},
                                 .row = (size_t)w,
                                 .px = 1,
                                 .width = w,
                                 .height = h};
            memcpy(v.gain, k.gain, sizeof v.gain);
            memcpy(v.bias, k.bias, sizeof v.bias);
            yuv_from_rgb(&p, &v, scratch);
        }
        for (int plane = 0; plane < 3; plane++)
            for (size_t e = 0; e < sizeof samples[1][0]; e++)
                CHECK_MSG(samples[1][plane][e] == samples[2][plane][e],
                          "format %d, %dx%d, %d channels: plane %d byte %zu is %d, the CPU makes %d", i % FORMATS, w, h,
                          channels, plane, e, samples[2][plane][e], samples[1][plane][e]);
    }
}

// A residual added to the network's picture: as to the tensor before.
static void residual(void)
{
    enum { W = 37, H = 29 };
    struct yuv_picture p = picture(&formats[2], W, H, 1);
    struct gpu_coding k = {{1, 1, 1}, {0, 0, 0}, {0, 1, 2}};
    random_floats(floats[0], W * H * 4);
    random_floats(floats[3], W * H * 3);
    struct gpu_tail t = {.dst = gpu_picture_of(&p),
                         .coding = k,
                         .made = gpu_image_nhwc(floats[0], GPU_PIXEL_F32, W, H, 3, 4),
                         .residual = gpu_image_planar(floats[3], GPU_PIXEL_F32, W, H, 3)};
    memset(samples[1], 0, sizeof samples[1]);
    CHECK_INT(gpu_tail(&t, NULL), 0);
    memcpy(samples[2], samples[1], sizeof samples[2]);
    for (int i = 0; i < W * H; i++)
        for (int c = 0; c < 3; c++) floats[2][c * W * H + i] = floats[0][i * 4 + c] + floats[3][c * W * H + i];
    t.made = gpu_image_planar(floats[2], GPU_PIXEL_F32, W, H, 3);
    t.residual.data = NULL;
    memset(samples[1], 0, sizeof samples[1]);
    gpu_tail_ref(&t);
    CHECK(!memcmp(samples[1], samples[2], sizeof samples[1]));
}

// ---- tiles -----------------------------------------------------------------------------------------

static void tiles(void)
{
    struct gpu_image canvas = gpu_image_planar(floats[0], GPU_PIXEL_F32, 60, 50, 3);
    random_floats(floats[0], 60 * 50 * 3);
    struct gpu_image a = gpu_image_nhwc(floats[1], GPU_PIXEL_F16, 24, 20, 3, 8), b = a;
    b.data = floats[2];
    gpu_cut_ref(&canvas, &a, 30, 25);
    CHECK_INT(gpu_cut(&canvas, &b, 30, 25, NULL), 0);
    CHECK(!memcmp(floats[1], floats[2], 24 * 20 * 8 * 2));
    struct gpu_blend blend = {.tile = gpu_image_nhwc(floats[3], GPU_PIXEL_F32, 24, 20, 3, 3),
                              .canvas = canvas,
                              .coding = coding,
                              .x0 = 40,
                              .y0 = 25};
    float wx[24], wy[20];
    random_floats(floats[3], 24 * 20 * 3);
    random_floats(wx, 24), random_floats(wy, 20);
    wx[0] = wy[0] = 0;
    blend.wx = wx, blend.wy = wy;
    memcpy(floats[4], floats[0], sizeof floats[4]);
    gpu_blend_ref(&blend);
    blend.canvas.data = floats[4];
    CHECK_INT(gpu_blend(&blend, NULL), 0);
    CHECK(!memcmp(floats[0], floats[4], 60 * 50 * 3 * sizeof(float)));
    // By hand: colour 2 of pixel (41, 26) is stored in channel 0.
    float before = floats[4][(2 * 50 + 26) * 60 + 41];
    gpu_blend_ref(&blend);
    CHECK_NEAR(floats[4][(2 * 50 + 26) * 60 + 41],
               before + (floats[3][(1 * 24 + 1) * 3] * coding.gain[2] + coding.bias[2]) * (wx[1] * wy[1]), 1e-5);
}

CHECK_MAIN({"gpu pixels: feeds", feeds}, {"gpu pixels: 16-bit feeds", feeds_16_bits}, {"gpu pixels: resizes", resizes},
           {"gpu pixels: chroma", resizes_chroma}, {"gpu pixels: tails", tails}, {"gpu pixels: a residual", residual},
           {"gpu pixels: tiles", tiles})
