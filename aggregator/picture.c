// SPDX-License-Identifier: MIT
//
// Pictures between slots and libav. See picture.h.
#include "aggregator/picture.h"

#include "common/cuda.h"

#define SWS_HOW (SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT)
#define ROW_ALIGN 64

// ---- formats ----------------------------------------------------------------

static const struct {
    struct reel_pixel_format format;
    enum AVPixelFormat av;
} carried[] = {
    {{REEL_PIX_YUV, 8, 1, 1}, AV_PIX_FMT_YUV420P},      {{REEL_PIX_YUV, 8, 1, 0}, AV_PIX_FMT_YUV422P},
    {{REEL_PIX_YUV, 8, 0, 0}, AV_PIX_FMT_YUV444P},      {{REEL_PIX_YUV, 8, 0, 1}, AV_PIX_FMT_YUV440P},
    {{REEL_PIX_YUV, 8, 2, 0}, AV_PIX_FMT_YUV411P},      {{REEL_PIX_YUV, 8, 2, 2}, AV_PIX_FMT_YUV410P},
    {{REEL_PIX_YUV, 9, 1, 1}, AV_PIX_FMT_YUV420P9LE},   {{REEL_PIX_YUV, 9, 1, 0}, AV_PIX_FMT_YUV422P9LE},
    {{REEL_PIX_YUV, 9, 0, 0}, AV_PIX_FMT_YUV444P9LE},   {{REEL_PIX_YUV, 10, 1, 1}, AV_PIX_FMT_YUV420P10LE},
    {{REEL_PIX_YUV, 10, 1, 0}, AV_PIX_FMT_YUV422P10LE}, {{REEL_PIX_YUV, 10, 0, 0}, AV_PIX_FMT_YUV444P10LE},
    {{REEL_PIX_YUV, 12, 1, 1}, AV_PIX_FMT_YUV420P12LE}, {{REEL_PIX_YUV, 12, 1, 0}, AV_PIX_FMT_YUV422P12LE},
    {{REEL_PIX_YUV, 12, 0, 0}, AV_PIX_FMT_YUV444P12LE}, {{REEL_PIX_YUV, 14, 1, 1}, AV_PIX_FMT_YUV420P14LE},
    {{REEL_PIX_YUV, 14, 1, 0}, AV_PIX_FMT_YUV422P14LE}, {{REEL_PIX_YUV, 14, 0, 0}, AV_PIX_FMT_YUV444P14LE},
    {{REEL_PIX_YUV, 16, 1, 1}, AV_PIX_FMT_YUV420P16LE}, {{REEL_PIX_YUV, 16, 1, 0}, AV_PIX_FMT_YUV422P16LE},
    {{REEL_PIX_YUV, 16, 0, 0}, AV_PIX_FMT_YUV444P16LE}, {{REEL_PIX_GRAY, 8, 0, 0}, AV_PIX_FMT_GRAY8},
    {{REEL_PIX_GRAY, 9, 0, 0}, AV_PIX_FMT_GRAY9LE},     {{REEL_PIX_GRAY, 10, 0, 0}, AV_PIX_FMT_GRAY10LE},
    {{REEL_PIX_GRAY, 12, 0, 0}, AV_PIX_FMT_GRAY12LE},   {{REEL_PIX_GRAY, 14, 0, 0}, AV_PIX_FMT_GRAY14LE},
    {{REEL_PIX_GRAY, 16, 0, 0}, AV_PIX_FMT_GRAY16LE},   {{REEL_PIX_GBR, 8, 0, 0}, AV_PIX_FMT_GBRP},
    {{REEL_PIX_GBR, 9, 0, 0}, AV_PIX_FMT_GBRP9LE},      {{REEL_PIX_GBR, 10, 0, 0}, AV_PIX_FMT_GBRP10LE},
    {{REEL_PIX_GBR, 12, 0, 0}, AV_PIX_FMT_GBRP12LE},    {{REEL_PIX_GBR, 14, 0, 0}, AV_PIX_FMT_GBRP14LE},
    {{REEL_PIX_GBR, 16, 0, 0}, AV_PIX_FMT_GBRP16LE},    {{REEL_PIX_NV, 8, 1, 1}, AV_PIX_FMT_NV12},
    {{REEL_PIX_NV, 10, 1, 1}, AV_PIX_FMT_P010LE},       {{REEL_PIX_NV, 16, 1, 1}, AV_PIX_FMT_P016LE},
};
#define N_CARRIED (sizeof carried / sizeof carried[0])

enum AVPixelFormat picture_av_format(struct reel_pixel_format format)
{
    for (size_t i = 0; i < N_CARRIED; i++)
        if (!memcmp(&carried[i].format, &format, sizeof format)) return carried[i].av;
    return AV_PIX_FMT_NONE;
}

enum AVPixelFormat picture_alpha_format(struct reel_pixel_format f)
{
    // By chroma (4:2:0, 4:2:2, none subsampled, RGB) and depth (8, 10, 12, 16).
    static const enum AVPixelFormat table[4][4] = {
        {AV_PIX_FMT_YUVA420P, AV_PIX_FMT_YUVA420P10LE, AV_PIX_FMT_YUVA420P16LE, AV_PIX_FMT_YUVA420P16LE},
        {AV_PIX_FMT_YUVA422P, AV_PIX_FMT_YUVA422P10LE, AV_PIX_FMT_YUVA422P12LE, AV_PIX_FMT_YUVA422P16LE},
        {AV_PIX_FMT_YUVA444P, AV_PIX_FMT_YUVA444P10LE, AV_PIX_FMT_YUVA444P12LE, AV_PIX_FMT_YUVA444P16LE},
        {AV_PIX_FMT_GBRAP, AV_PIX_FMT_GBRAP10LE, AV_PIX_FMT_GBRAP12LE, AV_PIX_FMT_GBRAP16LE},
    };
    bool halved = f.layout == REEL_PIX_GRAY || (f.log2_chroma_w && f.log2_chroma_h);
    int chroma = f.layout == REEL_PIX_GBR ? 3 : halved ? 0 : f.log2_chroma_w ? 1 : 2;
    int depth = f.depth <= 8 ? 0 : f.depth <= 10 ? 1 : f.depth <= 12 ? 2 : 3;
    return table[chroma][depth];
}

bool picture_slot_format(enum AVPixelFormat av, struct reel_pixel_format *out_format)
{
    static const enum AVPixelFormat full[][2] = {{AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV420P},
                                                 {AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV422P},
                                                 {AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUV444P}};
    for (size_t i = 0; i < 3; i++)
        if (av == full[i][0]) av = full[i][1]; // the frame's colour says that the range is full
    for (size_t i = 0; i < N_CARRIED; i++)
        if (carried[i].av == av) {
            *out_format = carried[i].format;
            return true;
        }
    return false;
}

bool picture_planes(const AVFrame *frame, enum AVPixelFormat format, struct overlay_picture *out)
{
    struct reel_pixel_format f;
    if (!picture_slot_format(format, &f)) return false;
    *out = (struct overlay_picture){.width = frame->width,
                                    .height = frame->height,
                                    .bytes = f.depth > 8 ? 2 : 1,
                                    .planes = f.layout == REEL_PIX_GRAY ? 1 : 3};
    bool pairs = f.layout == REEL_PIX_NV, chroma = pairs || f.layout == REEL_PIX_YUV;
    for (int i = 0; i < out->planes; i++) {
        bool second = pairs && i == 2; // of plane 1
        out->plane[i] = (struct overlay_plane){.data = frame->data[second ? 1 : i] + (second ? out->bytes : 0),
                                               .stride = (size_t)frame->linesize[second ? 1 : i],
                                               .step = pairs && i ? 2 : 1,
                                               .log2_w = chroma && i ? f.log2_chroma_w : 0,
                                               .log2_h = chroma && i ? f.log2_chroma_h : 0,
                                               .shift = pairs && out->bytes == 2 ? 16 - f.depth : 0};
    }
    return true;
}

void picture_tag(AVFrame *frame, const struct reel_colour *colour)
{
    frame->color_primaries = (enum AVColorPrimaries)colour->primaries;
    frame->color_trc = (enum AVColorTransferCharacteristic)colour->transfer;
    frame->colorspace = (enum AVColorSpace)colour->matrix;
    frame->color_range = !colour->range_known ? AVCOL_RANGE_UNSPECIFIED
                         : colour->full_range ? AVCOL_RANGE_JPEG
                                              : AVCOL_RANGE_MPEG;
    frame->chroma_location = (enum AVChromaLocation)colour->chroma_location;
}

// ---- frames over slots ------------------------------------------------------

enum reel_err picture_wrap(const struct reel_ring *ring, uint32_t slot_id, struct release *release,
                           struct reel_rec_taken rec, _Atomic int *held, AVFrame **out_frame)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame) return reel_fail(REEL_ERR_NOMEM, "could not take a picture: out of memory");
    const struct reel_geometry *g = &ring->geometry;
    frame->format = ring->on_gpu ? AV_PIX_FMT_CUDA : picture_av_format(g->format);
    frame->width = (int)g->width;
    frame->height = (int)g->height;
    frame->buf[0] = release_lend(release, reel_ring_pixels(ring, slot_id), g->slot_bytes, rec, held);
    if (!frame->buf[0]) {
        av_frame_free(&frame);
        return reel_fail(REEL_ERR_NOMEM, "could not take a picture: out of memory");
    }
    for (int i = 0; i < reel_format_planes(g->format); i++) {
        frame->data[i] = reel_ring_plane(ring, slot_id, i);
        frame->linesize[i] = (int)g->plane_stride[i];
    }
    *out_frame = frame;
    return REEL_OK;
}

// ---- frames of our own ------------------------------------------------------

enum reel_err picture_alloc(struct picture_pool *pool, enum AVPixelFormat format, int width, int height,
                            AVFrame **out_frame)
{
    if (!pool->pool || pool->format != format || pool->width != width || pool->height != height) {
        picture_pool_fini(pool);
        int bytes = av_image_get_buffer_size(format, width, height, ROW_ALIGN);
        if (bytes > 0) pool->pool = av_buffer_pool_init((size_t)bytes + 4 * ROW_ALIGN, NULL);
        pool->format = format;
        pool->width = width;
        pool->height = height;
    }
    AVFrame *frame = av_frame_alloc();
    if (frame && pool->pool) frame->buf[0] = av_buffer_pool_get(pool->pool);
    if (!frame || !frame->buf[0]) {
        av_frame_free(&frame);
        return reel_fail(REEL_ERR_NOMEM, "could not make a picture of %dx%d: out of memory", width, height);
    }
    uint8_t *begin = (uint8_t *)(((uintptr_t)frame->buf[0]->data + ROW_ALIGN - 1) & ~(uintptr_t)(ROW_ALIGN - 1));
    av_image_fill_arrays(frame->data, frame->linesize, begin, format, width, height, ROW_ALIGN);
    frame->format = format;
    frame->width = width;
    frame->height = height;
    *out_frame = frame;
    return REEL_OK;
}

void picture_pool_fini(struct picture_pool *pool)
{
    av_buffer_pool_uninit(&pool->pool);
}

// Copies a slot's planes from the GPU into a picture of the same format.
static enum reel_err fetch(const struct reel_ring *ring, uint32_t slot_id, uint32_t picture, AVFrame *frame)
{
    const struct reel_geometry *g = &ring->geometry;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < reel_format_planes(g->format) && !err; i++) {
        uint32_t w, h;
        reel_plane_size(g, i, &w, &h);
        err = reel_cuda_copy_2d(frame->data[i], (size_t)frame->linesize[i],
                                reel_ring_plane(ring, slot_id, i) + (size_t)picture * g->picture_bytes,
                                g->plane_stride[i], (size_t)w * reel_format_bytes(g->format), h, NULL);
    }
    return err ? err : reel_cuda_stream_sync(NULL);
}

enum reel_err picture_copy_slot(struct picture_pool *pool, const struct reel_ring *ring, uint32_t slot_id,
                                uint32_t picture, AVFrame **out_frame)
{
    const struct reel_geometry *g = &ring->geometry;
    AVFrame *frame;
    enum AVPixelFormat format = picture_av_format(g->format);
    enum reel_err err = picture_alloc(pool, format, (int)g->width, (int)g->height, &frame);
    if (err) return err;
    if (ring->on_gpu) {
        err = fetch(ring, slot_id, picture, frame);
        if (err)
            av_frame_free(&frame);
        else
            *out_frame = frame;
        return err;
    }
    const uint8_t *planes[4] = {0};
    int strides[4] = {0};
    for (int i = 0; i < reel_format_planes(g->format); i++) {
        planes[i] = reel_ring_plane(ring, slot_id, i) + (size_t)picture * g->picture_bytes;
        strides[i] = (int)g->plane_stride[i];
    }
    av_image_copy(frame->data, frame->linesize, planes, strides, format, (int)g->width, (int)g->height);
    *out_frame = frame;
    return REEL_OK;
}

enum reel_err picture_copy(struct picture_pool *pool, const AVFrame *frame, AVFrame **out_frame)
{
    AVFrame *copy;
    enum reel_err err = picture_alloc(pool, (enum AVPixelFormat)frame->format, frame->width, frame->height, &copy);
    if (err) return err;
    av_frame_copy(copy, frame);
    if (av_frame_copy_props(copy, frame) < 0) {
        av_frame_free(&copy);
        return reel_fail(REEL_ERR_NOMEM, "could not copy a picture: out of memory");
    }
    *out_frame = copy;
    return REEL_OK;
}

// ---- conversion -------------------------------------------------------------

static bool is_rgb(enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);
    return d && d->flags & AV_PIX_FMT_FLAG_RGB;
}

static enum reel_err scale(struct picture_convert *c, const AVFrame *src, const struct reel_colour *from, AVFrame *dst,
                           const struct reel_colour *to)
{
    c->sws = sws_getCachedContext(c->sws, src->width, src->height, (enum AVPixelFormat)src->format, dst->width,
                                  dst->height, (enum AVPixelFormat)dst->format, SWS_HOW, NULL, NULL, NULL);
    if (!c->sws)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not convert pictures from %s to %s",
                         av_get_pix_fmt_name((enum AVPixelFormat)src->format),
                         av_get_pix_fmt_name((enum AVPixelFormat)dst->format));
    bool from_rgb = is_rgb((enum AVPixelFormat)src->format), to_rgb = is_rgb((enum AVPixelFormat)dst->format);
    // Between YUV and RGB, the matrix of the YUV side is used.
    int from_matrix = reel_colour_matrix(from_rgb && !to_rgb ? to : from, src->height);
    int to_matrix = reel_colour_matrix(to_rgb ? from : to, dst->height);
    if (from_rgb && to_rgb) from_matrix = to_matrix = 1;
    sws_setColorspaceDetails(c->sws, sws_getCoefficients(from_matrix), from->full_range || from_rgb,
                             sws_getCoefficients(to_matrix), to->full_range || to_rgb, 0, 1 << 16, 1 << 16);
    if (sws_scale(c->sws, (const uint8_t *const *)src->data, src->linesize, 0, src->height, dst->data, dst->linesize) <
        0)
        return reel_fail(REEL_ERR_FAULT, "could not convert a picture of %dx%d", src->width, src->height);
    return REEL_OK;
}

enum reel_err picture_convert(struct picture_convert *c, const AVFrame *frame, const struct reel_colour *from,
                              enum AVPixelFormat format, int width, int height, const struct reel_colour *to,
                              AVFrame **out_frame)
{
    AVFrame *out;
    struct reel_pixel_format have, want;
    // A picture on a GPU stays as it is for the encoder's surfaces (nvenc.h).
    if (frame->format == AV_PIX_FMT_CUDA) {
        out = av_frame_clone(frame);
        if (!out) return reel_fail(REEL_ERR_NOMEM, "could not take a picture: out of memory");
        picture_tag(out, to);
        *out_frame = out;
        return REEL_OK;
    }
    bool same_layout =
        frame->format == format || (picture_slot_format((enum AVPixelFormat)frame->format, &have) &&
                                    picture_slot_format(format, &want) && !memcmp(&have, &want, sizeof have));
    bool same_values = is_rgb(format) || (from->full_range == to->full_range &&
                                          reel_colour_matrix(from, height) == reel_colour_matrix(to, height));
    if (same_layout && frame->width == width && frame->height == height && same_values) {
        out = av_frame_clone(frame);
        if (!out) return reel_fail(REEL_ERR_NOMEM, "could not take a picture: out of memory");
        out->format = format;
    } else {
        enum reel_err err = picture_alloc(&c->pool, format, width, height, &out);
        if (!err) err = scale(c, frame, from, out, to);
        if (!err && av_frame_copy_props(out, frame) < 0)
            err = reel_fail(REEL_ERR_NOMEM, "could not convert a picture: out of memory");
        if (err) {
            av_frame_free(&out);
            return err;
        }
    }
    picture_tag(out, to);
    *out_frame = out;
    return REEL_OK;
}

void picture_convert_fini(struct picture_convert *c)
{
    sws_freeContext(c->sws);
    picture_pool_fini(&c->pool);
    *c = (struct picture_convert){0};
}
