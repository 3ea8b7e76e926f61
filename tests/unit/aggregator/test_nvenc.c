// SPDX-License-Identifier: MIT
//
// Surfaces for NVENC, without a GPU: nvenc.c on the CPU, with kernels compiled for
// it (tests/cuda_cpu), host memory in a device's place and surfaces in libav's
// ordinary memory. What is drawn on a surface of each format is what the processor
// draws on the picture.
#include "tests/check.h"

#if REEL_CUDA

#include "aggregator/av.h"

static enum AVPixelFormat surface_format;
static int surfaces_left;

// In av_hwframe_get_buffer()'s place.
static int take_surface(AVFrame *f, int width, int height)
{
    if (surfaces_left-- <= 0) return AVERROR(ENOMEM);
    f->format = surface_format;
    f->width = width;
    f->height = height;
    int r = av_frame_get_buffer(f, 64);
    f->format = AV_PIX_FMT_CUDA;
    return r;
}
#define av_hwframe_get_buffer(frames, surface, flags) take_surface(surface, ctx->width, ctx->height)
#include "aggregator/nvenc.c"

#include "aggregator/post/masks.h"

// ---- common/cuda.h in host memory -------------------------------------------------

static bool device_full;

enum reel_err reel_cuda_malloc(size_t bytes, void **out)
{
    *out = device_full ? NULL : aligned_alloc(256, (bytes + 255) / 256 * 256);
    return *out ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not allocate device memory: the device is full");
}

void reel_cuda_free(void *p)
{
    free(p);
}

enum reel_err reel_cuda_upload(void *dst, const void *src, size_t bytes, void *stream)
{
    memcpy(dst, src, bytes);
    return REEL_OK;
}

enum reel_err reel_cuda_copy_2d(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t row_bytes,
                                size_t rows, void *stream)
{
    for (size_t y = 0; y < rows; y++)
        memcpy((uint8_t *)dst + y * dst_pitch, (const uint8_t *)src + y * src_pitch, row_bytes);
    return REEL_OK;
}

enum reel_err reel_cuda_check(int error, const char *what)
{
    return error ? reel_fail(REEL_ERR_FAULT, "could not %s: %d", what, error) : REEL_OK;
}

enum reel_err reel_cuda_stream_sync(void *stream)
{
    return REEL_OK;
}

void reel_cuda_stream_destroy(void **stream)
{
}

void reel_cuda_look(void)
{
}

// Not on the way to a surface.
enum reel_err reel_cuda_open(int device)
{
    abort();
}

enum reel_err reel_cuda_context(void **out_context)
{
    abort();
}

enum reel_err reel_cuda_stream_create(void **out_stream)
{
    abort();
}

// ---- pictures ---------------------------------------------------------------------

static const struct reel_colour bt709 = {1, 1, 1, 0, 1, 1};
static uint64_t seed = 5;

static AVFrame *random_picture(struct picture_pool *pool, int depth, int w, int h)
{
    AVFrame *f;
    if (picture_alloc(pool, depth > 8 ? AV_PIX_FMT_YUV420P10LE : AV_PIX_FMT_YUV420P, w, h, &f)) abort();
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? (h + 1) / 2 : h); y++) {
            uint8_t *row = f->data[p] + (ptrdiff_t)y * f->linesize[p];
            for (int x = 0; x < (p ? (w + 1) / 2 : w); x++) {
                unsigned v = (unsigned)(check_rand(&seed) >> 40);
                if (depth > 8)
                    ((uint16_t *)(void *)row)[x] = v & 1023;
                else
                    row[x] = (uint8_t)v;
            }
        }
    return f;
}

static int sample(const AVFrame *f, enum AVPixelFormat format, int plane, int x, int y)
{
    struct overlay_picture p;
    if (!picture_planes(f, format, &p)) abort();
    const uint8_t *row = (const uint8_t *)p.plane[plane].data + (size_t)y * p.plane[plane].stride;
    x *= p.plane[plane].step;
    return p.bytes == 2 ? ((const uint16_t *)(const void *)row)[x] >> p.plane[plane].shift : row[x];
}

static uint8_t mask[80 * 120];

static void draw_something(struct paint_canvas *c, int depth, int w, int h, int tags)
{
    for (size_t i = 0; i < sizeof mask; i++) mask[i] = (uint8_t)(i / 37 % 5);
    paint_begin(c, (struct reel_pixel_format){REEL_PIX_YUV, (uint8_t)depth, 1, 1}, w, h, &bt709);
    masks_overlay_classes(c, mask, 120, 0.6);
    paint_frame(c, 3, 5, w - 9, h - 20, 3, paint_ink(c, paint_palette(2)));
    for (int i = 0; i < tags; i++) paint_text(c, i * 7 - 5, i * 3 % h, 2, "car 0.97", paint_ink(c, paint_palette(i)));
}

static const struct {
    enum AVPixelFormat format;
    int depth;
} surfaces[] = {{AV_PIX_FMT_YUV420P, 8}, {AV_PIX_FMT_NV12, 8}, {AV_PIX_FMT_P010LE, 10}};

static void check_surface(size_t k, int w, int h, int tags, bool drawn)
{
    struct picture_pool pool = {0};
    AVFrame *slot = random_picture(&pool, surfaces[k].depth, w, h), *want, *surface;
    enum AVPixelFormat have = (enum AVPixelFormat)slot->format;
    CHECK_INT(picture_copy(&pool, slot, &want), REEL_OK);
    struct paint_canvas canvas;
    draw_something(&canvas, surfaces[k].depth, w, h, tags);
    if (drawn) CHECK_INT(paint_play(&canvas, want), REEL_OK);
    slot->format = AV_PIX_FMT_CUDA; // as a slot of a device ring is wrapped
    slot->pts = 77;
    if (drawn) CHECK_INT(paint_attach(&canvas, slot), REEL_OK);
    paint_end(&canvas);
    surface_format = surfaces[k].format;
    surfaces_left = 1;
    const AVCodecContext ctx = {.width = w, .height = h, .sw_pix_fmt = surface_format};
    CHECK_MSG(!nvenc_surface(&ctx, slot, &surface), "%s", reel_fail_text());
    CHECK_INT(surface->pts, 77);
    CHECK(!surface->opaque_ref);
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? (h + 1) / 2 : h); y++)
            for (int x = 0; x < (p ? (w + 1) / 2 : w); x++) {
                int a = sample(surface, surface_format, p, x, y), b = sample(want, have, p, x, y);
                CHECK_MSG(a == b, "%s of %dx%d, plane %d at %d,%d: %d, not %d", av_get_pix_fmt_name(surface_format), w,
                          h, p, x, y, a, b);
            }
    av_frame_free(&surface);
    av_frame_free(&slot);
    av_frame_free(&want);
    picture_pool_fini(&pool);
}

static void drawn_on_surfaces(void)
{
    for (size_t k = 0; k < sizeof surfaces / sizeof *surfaces; k++) {
        check_surface(k, 94, 62, 3, false);
        check_surface(k, 94, 62, 3, true);
        check_surface(k, 120, 80, 900, true); // more than the memory of the list before
        check_surface(k, 96, 64, 0, true);
    }
    nvenc_end();
}

static void refused_surfaces(void)
{
    struct picture_pool pool = {0};
    AVFrame *slot = random_picture(&pool, 8, 32, 32), *surface = NULL;
    struct paint_canvas canvas;
    draw_something(&canvas, 8, 32, 32, 1);
    CHECK_INT(paint_attach(&canvas, slot), REEL_OK);
    slot->format = AV_PIX_FMT_CUDA;
    surface_format = AV_PIX_FMT_YUV444P;
    AVCodecContext ctx = {.width = 32, .height = 32, .sw_pix_fmt = AV_PIX_FMT_YUV444P};
    surfaces_left = 1;
    CHECK_INT(nvenc_surface(&ctx, slot, &surface), REEL_ERR_UNSUPPORTED);
    CHECK_INT(nvenc_surface(&ctx, slot, &surface), REEL_ERR_NOMEM); // there is none
    surface_format = ctx.sw_pix_fmt = AV_PIX_FMT_NV12;
    device_full = true;
    surfaces_left = 1;
    CHECK_INT(nvenc_surface(&ctx, slot, &surface), REEL_ERR_NOMEM);
    CHECK_HAS(reel_fail_text(), "the device is full");
    device_full = false;
    CHECK(!surface);
    av_frame_free(&slot);
    picture_pool_fini(&pool);
    nvenc_end();
}

CHECK_MAIN({"drawn on surfaces", drawn_on_surfaces}, {"refused surfaces", refused_surfaces})

#else

static void no_cuda(void)
{
    SKIP("a build without CUDA");
}

CHECK_MAIN({"surfaces", no_cuda})

#endif
