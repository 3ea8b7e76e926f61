// SPDX-License-Identifier: MIT
//
// The input's alpha plane beside the output's picture: any depth to any other, resized with the
// picture, and colours that stay as they are where only the alpha plane is added.
#include "aggregator/post/alpha.h"
#include "tests/unit/aggregator/lab.h"

enum { W = 71, H = 5, SLOTS = 3 };

static const struct reel_colour bt709 = {1, 1, 1, 0, 1, 1};

// Alpha sample of a slot: differs from its neighbours and from the other slots'.
static unsigned alpha_at(uint32_t slot, int x, int y, unsigned most)
{
    return x == W - 1 && y == H - 1 ? most : (slot * 1021u + (unsigned)y * 307u + (unsigned)x * 7919u) % most;
}

static struct reel_ring ring_of(struct reel_pixel_format format, uint32_t width, uint32_t height)
{
    struct reel_geometry g;
    struct reel_ring ring = {0};
    if (reel_geometry_init(&g, format, width, height, 0) || reel_geometry_add_alpha(&g)) abort();
    ring.bytes = g.slot_bytes * SLOTS;
    ring.base = aligned_alloc(REEL_SLOT_ALIGN, ring.bytes);
    if (!ring.base || reel_ring_configure(&ring, 1, SLOTS, &g)) abort();
    memset(ring.base, 0, ring.bytes);
    const unsigned most = (1u << format.depth) - 1;
    for (uint32_t s = 0; s < SLOTS; s++)
        for (int y = 0; y < (int)height; y++) {
            uint8_t *line = reel_ring_pixels(&ring, s) + g.alpha_offset + (size_t)y * g.alpha_stride;
            for (int x = 0; x < (int)width; x++) {
                const unsigned v = alpha_at(s, x % W, y % H, most);
                if (format.depth > 8)
                    ((uint16_t *)(void *)line)[x] = (uint16_t)v;
                else
                    line[x] = (uint8_t)v;
            }
        }
    return ring;
}

static int sample(const AVFrame *f, int plane, int x, int y)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
    const uint8_t *row = f->data[plane] + (ptrdiff_t)y * f->linesize[plane];
    return d->comp[0].depth > 8 ? ((const uint16_t *)(const void *)row)[x] : row[x];
}

// A picture whose samples all differ, with a timestamp.
static AVFrame *picture(struct picture_pool *pool, enum AVPixelFormat format, int w, int h)
{
    AVFrame *f;
    if (picture_alloc(pool, format, w, h, &f)) abort();
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    for (int p = 0; p < 3 && f->data[p]; p++) {
        const bool chroma = p && !(d->flags & AV_PIX_FMT_FLAG_RGB);
        const int rows = chroma ? AV_CEIL_RSHIFT(h, d->log2_chroma_h) : h;
        const int columns = chroma ? AV_CEIL_RSHIFT(w, d->log2_chroma_w) : w;
        for (int y = 0; y < rows; y++)
            for (int x = 0; x < columns; x++) {
                uint8_t *row = f->data[p] + (ptrdiff_t)y * f->linesize[p];
                const int v = 20 + 50 * p + 5 * y + x;
                if (d->comp[0].depth > 8)
                    ((uint16_t *)(void *)row)[x] = (uint16_t)(4 * v + 1);
                else
                    row[x] = (uint8_t)v;
            }
    }
    f->pts = 77;
    return f;
}

struct join {
    enum AVPixelFormat from, to;
    int depth; // of the slot
    bool same; // the planes of colour are the picture's
};

static void check_join(const struct join *j)
{
    struct alpha a = {0};
    struct picture_pool pool = {0};
    struct picture_convert convert = {0};
    struct reel_ring ring = ring_of((struct reel_pixel_format){REEL_PIX_GBR, (uint8_t)j->depth, 0, 0}, W, H);
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(j->to);
    const unsigned most = (1u << j->depth) - 1, to = (1u << d->comp[3].depth) - 1;
    AVFrame *f = picture(&pool, j->from, W, H), *want = NULL;
    CHECK_INT(picture_convert(&convert, f, &bt709, j->to, W, H, &bt709, &want), REEL_OK);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        AVFrame *out = NULL;
        CHECK_INT(alpha_join(&a, &convert, f, j->to, &bt709, &ring, &(struct alpha_place){slot}, &out), REEL_OK);
        CHECK_INT(out->format, j->to);
        CHECK_INT(out->pts, 77);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                const double scaled = floor((double)alpha_at(slot, x, y, most) * to / most + 0.5);
                CHECK_MSG(sample(out, 3, x, y) == (int)scaled, "%s of %d bits, alpha at %d,%d of slot %u: %d, not %g",
                          d->name, j->depth, x, y, slot, sample(out, 3, x, y), scaled);
                for (int p = 0; p < 3; p++) {
                    const bool chroma = p && !(d->flags & AV_PIX_FMT_FLAG_RGB);
                    const int cx = chroma ? x >> d->log2_chroma_w : x, cy = chroma ? y >> d->log2_chroma_h : y;
                    CHECK_INT(sample(out, p, cx, cy), sample(j->same ? f : want, p, cx, cy));
                }
            }
        av_frame_free(&out);
    }
    av_frame_free(&f);
    av_frame_free(&want);
    alpha_fini(&a);
    picture_pool_fini(&pool);
    picture_convert_fini(&convert);
    free(ring.base);
}

static void depths_and_formats(void)
{
    static const struct join rows[] = {{AV_PIX_FMT_GBRP, AV_PIX_FMT_GBRAP, 8, true},
                                       {AV_PIX_FMT_GBRP, AV_PIX_FMT_GBRAP, 16, true},
                                       {AV_PIX_FMT_YUV444P10LE, AV_PIX_FMT_YUVA444P10LE, 10, true},
                                       {AV_PIX_FMT_YUV444P10LE, AV_PIX_FMT_YUVA444P10LE, 8, true},
                                       {AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVA420P, 12, true},
                                       {AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUVA422P, 8, true},
                                       {AV_PIX_FMT_GBRP16LE, AV_PIX_FMT_GBRAP16LE, 16, true},
                                       // What differs in more than the alpha plane is converted.
                                       {AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVA444P, 8, false},
                                       {AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUVA420P, 8, false},
                                       {AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUVA422P, 8, false},
                                       {AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUVA444P10LE, 8, false},
                                       {AV_PIX_FMT_YUV444P, AV_PIX_FMT_GBRAP, 8, false},
                                       {AV_PIX_FMT_NV12, AV_PIX_FMT_YUVA420P, 8, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_join(&rows[i]);
}

// Samples above the largest of their depth are opaque.
static void too_large_samples(void)
{
    struct alpha a = {0};
    struct picture_pool pool = {0};
    struct reel_ring ring = ring_of((struct reel_pixel_format){REEL_PIX_GBR, 10, 0, 0}, W, H);
    uint16_t *line = (uint16_t *)(void *)(reel_ring_pixels(&ring, 0) + ring.geometry.alpha_offset);
    AVFrame *f = picture(&pool, AV_PIX_FMT_GBRP, W, H), *out;
    line[0] = 1024, line[1] = 65535;
    CHECK_INT(alpha_join(&a, NULL, f, AV_PIX_FMT_GBRAP, &bt709, &ring, &(struct alpha_place){0}, &out), REEL_OK);
    CHECK_INT(sample(out, 3, 0, 0), 255);
    CHECK_INT(sample(out, 3, 1, 0), 255);
    av_frame_free(&f);
    av_frame_free(&out);
    alpha_fini(&a);
    picture_pool_fini(&pool);
    free(ring.base);
}

// Between two frames: the mixture of both, by their distance.
static void between_two_slots(void)
{
    for (int depth = 8; depth <= 16; depth += 8) {
        struct alpha a = {0};
        struct picture_pool pool = {0};
        struct reel_ring ring = ring_of((struct reel_pixel_format){REEL_PIX_GBR, (uint8_t)depth, 0, 0}, W, H);
        const unsigned most = (1u << depth) - 1;
        AVFrame *f = picture(&pool, depth == 8 ? AV_PIX_FMT_GBRP : AV_PIX_FMT_GBRP16LE, W, H), *out;
        for (uint32_t k = 0; k < 3; k++) {
            const struct alpha_place place = {0, 1, k, 3};
            CHECK_INT(alpha_join(&a, NULL, f, depth == 8 ? AV_PIX_FMT_GBRAP : AV_PIX_FMT_GBRAP16LE, &bt709, &ring,
                                 &place, &out),
                      REEL_OK);
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++) {
                    const unsigned want = ((3 - k) * alpha_at(0, x, y, most) + k * alpha_at(1, x, y, most) + 1) / 3;
                    CHECK_INT(sample(out, 3, x, y), want);
                }
            av_frame_free(&out);
        }
        av_frame_free(&f);
        alpha_fini(&a);
        picture_pool_fini(&pool);
        free(ring.base);
    }
}

// A picture of another size than the input's: alpha is resized as swscale resizes gray, each time.
static void resized_with_the_picture(void)
{
    static const int sizes[][2] = {{2 * W, 2 * H}, {W, 3 * H}, {3 * W, H}, {W / 2, H / 2}};
    for (int depth = 8; depth <= 10; depth += 2) {
        struct alpha a = {0};
        struct picture_pool pool = {0}, grays = {0};
        struct picture_convert convert = {0}, beside = {0};
        struct reel_ring ring = ring_of((struct reel_pixel_format){REEL_PIX_GBR, (uint8_t)depth, 0, 0}, W, H);
        const enum AVPixelFormat gray = depth == 8 ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_GRAY10LE;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const int w = sizes[i][0], h = sizes[i][1];
            AVFrame *f = picture(&pool, depth == 8 ? AV_PIX_FMT_YUV444P : AV_PIX_FMT_YUV444P10LE, w, h), *out, *plane,
                    *want;
            CHECK_INT(picture_alloc(&grays, gray, W, H, &plane), REEL_OK);
            for (int y = 0; y < H; y++)
                memcpy(plane->data[0] + y * plane->linesize[0],
                       reel_ring_pixels(&ring, 1) + ring.geometry.alpha_offset + (size_t)y * ring.geometry.alpha_stride,
                       (size_t)W * (depth > 8 ? 2 : 1));
            CHECK_INT(picture_convert(&beside, plane, &bt709, gray, w, h, &bt709, &want), REEL_OK);
            CHECK_INT(alpha_join(&a, &convert, f, depth == 8 ? AV_PIX_FMT_YUVA444P : AV_PIX_FMT_YUVA444P10LE, &bt709,
                                 &ring, &(struct alpha_place){1}, &out),
                      REEL_OK);
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) CHECK_INT(sample(out, 3, x, y), sample(want, 0, x, y));
            av_frame_free(&f);
            av_frame_free(&out);
            av_frame_free(&plane);
            av_frame_free(&want);
        }
        alpha_fini(&a);
        CHECK(!a.sws && !a.resized.pool && !a.joined.pool);
        picture_pool_fini(&pool);
        picture_pool_fini(&grays);
        picture_convert_fini(&convert);
        picture_convert_fini(&beside);
        free(ring.base);
    }
}

CHECK_MAIN({"alpha: depths and formats", depths_and_formats}, {"alpha: too large samples", too_large_samples},
           {"alpha: between two slots", between_two_slots},
           {"alpha: resized with the picture", resized_with_the_picture})
