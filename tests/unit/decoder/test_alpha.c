// SPDX-License-Identifier: MIT
//
// The alpha channel of frames: which have one, whether it is opaque, and its samples in a slot,
// from planes, packed pixels, palettes and floating point, in the slot's depth and size.
#include "decoder/alpha.h"
#include "tests/check.h"

enum { W = 5, H = 3 };

static AVFrame *frame_of(enum AVPixelFormat format, int width, int height)
{
    AVFrame *f = av_frame_alloc();
    if (!f) abort();
    f->format = format, f->width = width, f->height = height;
    if (av_frame_get_buffer(f, 0) < 0) abort();
    for (int p = 0; p < 4 && f->buf[p]; p++) memset(f->buf[p]->data, 0, f->buf[p]->size);
    return f;
}

// A frame whose alpha samples are values[y * width + x], as they are stored; the colours are 0.
static AVFrame *frame_with(enum AVPixelFormat format, int width, int height, const uint16_t *values)
{
    AVFrame *f = frame_of(format, width, height);
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    for (int y = 0; y < height; y++)
        av_write_image_line2(values + y * width, f->data, f->linesize, d, 0, y, d->nb_components - 1, width,
                             sizeof *values);
    return f;
}

struct slot {
    struct reel_geometry g;
    uint8_t *bytes;
};

static struct slot slot_of(int depth, uint32_t width, uint32_t height)
{
    struct slot s = {0};
    const struct reel_pixel_format format = {REEL_PIX_GBR, (uint8_t)depth, 0, 0};
    if (reel_geometry_init(&s.g, format, width, height, 0) || reel_geometry_add_alpha(&s.g)) abort();
    s.bytes = malloc(s.g.slot_bytes);
    if (!s.bytes) abort();
    memset(s.bytes, 0xa5, s.g.slot_bytes);
    return s;
}

static int sample_of(const struct slot *s, uint32_t x, uint32_t y)
{
    const uint8_t *line = s->bytes + s->g.alpha_offset + (size_t)y * s->g.alpha_stride;
    return s->g.format.depth > 8 ? ((const uint16_t *)(const void *)line)[x] : line[x];
}

// Writes the frame's alpha and compares it with the H rows of W samples.
static void check_written(const char *name, const AVFrame *frame, int depth, const uint16_t *want)
{
    struct slot s = slot_of(depth, W, H);
    struct alpha a = {0};
    const enum reel_err err = alpha_write(&a, &s.g, s.bytes, frame);
    int wrong = -1;
    for (int i = 0; !err && i < W * H && wrong < 0; i++)
        if (sample_of(&s, (uint32_t)i % W, (uint32_t)i / W) != want[i]) wrong = i;
    const int got = wrong < 0 ? 0 : sample_of(&s, (uint32_t)wrong % W, (uint32_t)wrong / W);
    bool over = false; // what lies in front of the plane is the picture's
    for (size_t i = 0; i < s.g.alpha_offset; i++) over |= s.bytes[i] != 0xa5;
    free(s.bytes);
    alpha_fini(&a);
    CHECK_INT(err, REEL_OK);
    CHECK_MSG(wrong < 0, "%s in %d bits: sample %d is %d instead of %d", name, depth, wrong, got, want[wrong]);
    CHECK_MSG(!over, "%s in %d bits: the picture was written over", name, depth);
}

static void samples_of_integers(void)
{
    static const struct {
        enum AVPixelFormat format;
        int bits;
    } kinds[] = {{AV_PIX_FMT_YUVA420P, 8},     {AV_PIX_FMT_YUVA444P10LE, 10}, {AV_PIX_FMT_YUVA444P10BE, 10},
                 {AV_PIX_FMT_GBRAP, 8},        {AV_PIX_FMT_GBRAP16BE, 16},    {AV_PIX_FMT_YUVA422P16LE, 16},
                 {AV_PIX_FMT_RGBA, 8},         {AV_PIX_FMT_ARGB, 8},          {AV_PIX_FMT_RGBA64LE, 16},
                 {AV_PIX_FMT_RGBA64BE, 16},    {AV_PIX_FMT_YA8, 8},           {AV_PIX_FMT_YA16BE, 16},
                 {AV_PIX_FMT_YUVA444P12LE, 12}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const unsigned most = (1u << kinds[k].bits) - 1;
        uint16_t values[W * H];
        for (unsigned i = 0; i < W * H; i++) values[i] = (uint16_t)(i == W * H - 1 ? most : i * 7919u % most);
        AVFrame *f = frame_with(kinds[k].format, W, H, values);
        static const int depths[] = {8, 10, 16};
        CHECK(alpha_has(f));
        check_written(av_get_pix_fmt_name(kinds[k].format), f, kinds[k].bits, values);
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            const unsigned to = (1u << depths[d]) - 1;
            uint16_t want[W * H];
            for (int i = 0; i < W * H; i++)
                want[i] = (uint16_t)lrint(floor(values[i] * (double)to / (double)most + 0.5));
            check_written(av_get_pix_fmt_name(kinds[k].format), f, depths[d], want);
        }
        av_frame_free(&f);
    }
}

// 0..1 in 16 bits; what is no number or below 0 is transparent, what is above 1 opaque.
static void samples_of_floats(void)
{
    static const struct {
        float single;
        uint16_t half, want;
    } rows[W] = {{0.5f, 0x3800, 32768},
                 {-1, 0xbc00, 0},
                 {NAN, 0x7e00, 0},
                 {INFINITY, 0x7c00, 65535},
                 {2, 0x4000, 65535}},
      small[W] = {{1, 0x3c00, 65535},
                  {512.0f / 16777216, 0x0200, 2}, // a half too small for its exponents
                  {1024.0f / 16777216, 0x0400, 4},
                  {0.25f, 0x3400, 16384},
                  {0.75f, 0x3a00, 49151}};
    static const char *const names[] = {"gbrapf32le", "gbrapf32be", "rgbaf16le", "rgbaf16be", "rgbaf32le", "rgbaf32be"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        const enum AVPixelFormat format = av_get_pix_fmt(names[n]);
        if (format == AV_PIX_FMT_NONE) continue; // an older FFmpeg
        const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
        const AVComponentDescriptor *k = &d->comp[d->nb_components - 1];
        AVFrame *f = frame_of(format, W, H);
        uint16_t want[W * H];
        for (int i = 0; i < W * H; i++) {
            const bool is_small = i / W == H - 1;
            const float single = is_small ? small[i % W].single : rows[i % W].single;
            const uint16_t half = is_small ? small[i % W].half : rows[i % W].half;
            uint8_t *at = f->data[k->plane] + i / W * f->linesize[k->plane] + i % W * k->step + k->offset;
            uint32_t bits;
            memcpy(&bits, &single, sizeof bits);
            const bool big = d->flags & AV_PIX_FMT_FLAG_BE;
            if (k->depth == 16) {
                if (big)
                    AV_WB16(at, half);
                else
                    AV_WL16(at, half);
            } else {
                if (big)
                    AV_WB32(at, bits);
                else
                    AV_WL32(at, bits);
            }
            want[i] = is_small ? small[i % W].want : rows[i % W].want;
        }
        check_written(names[n], f, 16, want);
        for (int i = 0; i < W * H; i++) want[i] = (uint16_t)((want[i] * 255u + 32767) / 65535);
        check_written(names[n], f, 8, want);
        av_frame_free(&f);
    }
}

static void palettes(void)
{
    AVFrame *f = frame_of(AV_PIX_FMT_PAL8, W, H);
    uint32_t *palette = (uint32_t *)(void *)f->data[1];
    uint16_t want[W * H];
    bool opaque;
    for (int i = 0; i < 256; i++) palette[i] = 0xff000000u | (uint32_t)i;
    CHECK(!alpha_has(f));
    palette[255] = 0x7f123456; // the last colour of all
    for (int i = 0; i < W * H; i++) f->data[0][i / W * f->linesize[0] + i % W] = (uint8_t)i, want[i] = 255;
    CHECK(alpha_has(f));
    CHECK_INT(alpha_is_opaque(f, &opaque), REEL_OK);
    CHECK(opaque); // no pixel has that colour
    f->data[0][(H - 1) * f->linesize[0] + W - 1] = 255;
    want[W * H - 1] = 0x7f;
    CHECK_INT(alpha_is_opaque(f, &opaque), REEL_OK);
    CHECK(!opaque);
    check_written("pal8", f, 8, want);
    av_frame_free(&f);
}

static void one_pixel_makes_it_transparent(void)
{
    static const enum AVPixelFormat formats[] = {AV_PIX_FMT_YUVA444P10LE, AV_PIX_FMT_RGBA, AV_PIX_FMT_RGBA64BE};
    for (size_t n = 0; n < sizeof formats / sizeof *formats; n++) {
        const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(formats[n]);
        const uint16_t most = (uint16_t)((1u << d->comp[3].depth) - 1);
        for (int at = -1; at < W * H; at++) {
            uint16_t values[W * H];
            bool opaque;
            for (int i = 0; i < W * H; i++) values[i] = i == at ? (uint16_t)(most - 1) : most;
            AVFrame *f = frame_with(formats[n], W, H, values);
            CHECK_INT(alpha_is_opaque(f, &opaque), REEL_OK);
            CHECK_INT(opaque, at < 0);
            av_frame_free(&f);
        }
    }
}

static void frames_without_alpha_are_opaque(void)
{
    static const enum AVPixelFormat formats[] = {AV_PIX_FMT_RGB24, AV_PIX_FMT_GRAY16BE, AV_PIX_FMT_YUV420P};
    for (size_t n = 0; n < sizeof formats / sizeof *formats; n++) {
        AVFrame *f = frame_of(formats[n], W, H);
        bool opaque = false;
        CHECK(!alpha_has(f));
        CHECK_INT(alpha_is_opaque(f, &opaque), REEL_OK);
        CHECK(opaque);
        for (int depth = 8; depth <= 16; depth += 2) {
            uint16_t want[W * H];
            for (int i = 0; i < W * H; i++) want[i] = (uint16_t)((1u << depth) - 1);
            check_written("no alpha", f, depth, want);
        }
        av_frame_free(&f);
    }
    AVFrame unknown = {.format = AV_PIX_FMT_NONE}, on_device = {.format = AV_PIX_FMT_CUDA};
    CHECK(!alpha_has(&unknown));
    CHECK(!alpha_has(&on_device));
}

// Samples in front of and behind an edge keep their values, in every size and depth, with one
// scratch for all.
static void other_sizes(void)
{
    static const struct {
        enum AVPixelFormat format;
        int w, h, depth;
    } rows[] = {{AV_PIX_FMT_YUVA420P, 40, 30, 8},      {AV_PIX_FMT_RGBA, 40, 30, 8},
                {AV_PIX_FMT_YUVA420P, 80, 30, 8},      {AV_PIX_FMT_YUVA420P, 80, 60, 8},
                {AV_PIX_FMT_YUVA444P10LE, 80, 60, 10}, {AV_PIX_FMT_YUVA444P10LE, 64, 30, 10},
                {AV_PIX_FMT_YUVA444P10LE, 40, 48, 10}, {AV_PIX_FMT_RGBA64BE, 40, 30, 16},
                {AV_PIX_FMT_YUVA420P, 80, 30, 8}};
    struct alpha a = {0};
    for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
        const uint16_t most = (uint16_t)((1u << rows[n].depth) - 1);
        uint16_t *values = calloc((size_t)(rows[n].w * rows[n].h), sizeof *values);
        for (int i = 0; i < rows[n].w * rows[n].h; i++)
            values[i] = (i % rows[n].w < rows[n].w / 2) == (i / rows[n].w < rows[n].h / 2) ? most : most / 5;
        AVFrame *f = frame_with(rows[n].format, rows[n].w, rows[n].h, values);
        struct slot s = slot_of(rows[n].depth, 64, 48);
        CHECK_INT(alpha_write(&a, &s.g, s.bytes, f), REEL_OK);
        for (uint32_t y = 0; y < 48; y += 47)
            for (uint32_t x = 0; x < 64; x += 63)
                CHECK_NEAR(sample_of(&s, x, y), !x == !y ? most : most / 5, most / 255.0);
        for (uint32_t y = 12; y < 48; y += 24)
            for (uint32_t x = 16; x < 64; x += 32)
                CHECK_NEAR(sample_of(&s, x, y), (x < 32) == (y < 24) ? most : most / 5, most / 255.0);
        free(s.bytes);
        free(values);
        av_frame_free(&f);
    }
    alpha_fini(&a);
    CHECK(!a.sws && !a.own_size);
}

CHECK_MAIN({"alpha: samples of integers", samples_of_integers}, {"alpha: samples of floats", samples_of_floats},
           {"alpha: palettes", palettes}, {"alpha: one pixel makes it transparent", one_pixel_makes_it_transparent},
           {"alpha: frames without alpha are opaque", frames_without_alpha_are_opaque},
           {"alpha: other sizes", other_sizes})
