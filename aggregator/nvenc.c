// SPDX-License-Identifier: MIT
//
// NVENC's surfaces through FFmpeg: slots on a GPU become frames for the encoder. See nvenc.h.
#include "aggregator/nvenc.h"

#include <string.h>

#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_cuda.h>

#include "aggregator/picture.h"
#include "aggregator/post/paint.h"
#include "common/cuda.h"
#include "common/log.h"
#include "kernels/gpu/planes.h"

// Pictures that an encoder holds back for reordering and look-ahead.
#define SURFACES 32

static struct {
    int device; // -1: none
    bool tried;
    void *stream;
    AVBufferRef *context;
    void *list; // the list of what is drawn on a surface, in device memory
    size_t list_bytes;
} gpu = {.device = -1};

// ---- the device ---------------------------------------------------------------

static enum reel_err refused(int code, const char *what)
{
    char reason[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(code, reason, sizeof reason);
    reel_cuda_look();
    return reel_fail(code == AVERROR(ENOMEM) ? REEL_ERR_NOMEM : REEL_ERR_FAULT, "could not %s: %s", what, reason);
}

static enum reel_err open_context(void *context)
{
    gpu.context = av_hwdevice_ctx_alloc(AV_HWDEVICE_TYPE_CUDA);
    if (!gpu.context)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not encode on a GPU: this FFmpeg is built without CUDA");
    AVCUDADeviceContext *cuda = ((AVHWDeviceContext *)(void *)gpu.context->data)->hwctx;
    cuda->cuda_ctx = context;
    cuda->stream = gpu.stream;
    int r = av_hwdevice_ctx_init(gpu.context);
    return r < 0 ? refused(r, "encode on a GPU") : REEL_OK;
}

void nvenc_use(int device)
{
    gpu.device = device;
}

void nvenc_end(void)
{
    av_buffer_unref(&gpu.context);
    reel_cuda_free(gpu.list);
    reel_cuda_stream_destroy(&gpu.stream);
    gpu.list = NULL;
    gpu.list_bytes = 0;
    gpu.device = -1;
    gpu.tried = false;
}

bool nvenc_is(const AVCodec *codec)
{
    const char *end = codec ? strstr(codec->name, "_nvenc") : NULL;
    return end && !end[6];
}

bool nvenc_ready(void)
{
    if (gpu.device < 0 || gpu.tried) return gpu.context != NULL;
    gpu.tried = true;
    void *context;
    enum reel_err err = reel_cuda_open(gpu.device);
    if (!err) err = reel_cuda_context(&context);
    if (!err) err = reel_cuda_stream_create(&gpu.stream);
    if (!err) err = open_context(context);
    if (err) {
        reel_info("nvenc", "%s", reel_fail_text());
        av_buffer_unref(&gpu.context);
    }
    return !err;
}

enum reel_err nvenc_prepare(AVCodecContext *ctx)
{
    if (!nvenc_ready()) return reel_fail(REEL_ERR_UNSUPPORTED, "could not encode on a GPU: none is open");
    AVBufferRef *ref = av_hwframe_ctx_alloc(gpu.context);
    if (!ref) return reel_fail(REEL_ERR_NOMEM, "could not encode on a GPU: out of memory");
    AVHWFramesContext *frames = (AVHWFramesContext *)(void *)ref->data;
    frames->format = AV_PIX_FMT_CUDA;
    frames->sw_format = ctx->pix_fmt;
    frames->width = ctx->width;
    frames->height = ctx->height;
    frames->initial_pool_size = SURFACES;
    int r = av_hwframe_ctx_init(ref);
    if (r < 0) {
        av_buffer_unref(&ref);
        return refused(r, "make surfaces on a GPU");
    }
    ctx->sw_pix_fmt = ctx->pix_fmt;
    ctx->pix_fmt = AV_PIX_FMT_CUDA;
    ctx->hw_frames_ctx = ref; // the context owns it from now on
    return REEL_OK;
}

// ---- pictures -----------------------------------------------------------------

static enum reel_err copy_planes(const AVFrame *from, AVFrame *to, int width, int height)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < 3 && !err; i++) {
        int w = i ? (width + 1) / 2 : width, h = i ? (height + 1) / 2 : height;
        err = reel_cuda_copy_2d(to->data[i], (size_t)to->linesize[i], from->data[i], (size_t)from->linesize[i],
                                (size_t)w, (size_t)h, gpu.stream);
    }
    return err;
}

static enum reel_err join_planes(const AVFrame *from, AVFrame *to, int width, int height, int bits, int shift)
{
    int bytes = bits > 8 ? 2 : 1;
    struct gpu_planes luma = {.interleaved = to->data[0],
                              .interleaved_pitch = (size_t)to->linesize[0],
                              .plane = {from->data[0]},
                              .plane_pitch = {(size_t)from->linesize[0]},
                              .n = 1,
                              .width = width,
                              .height = height,
                              .sample_bytes = bytes,
                              .shift = shift};
    struct gpu_planes chroma = {.interleaved = to->data[1],
                                .interleaved_pitch = (size_t)to->linesize[1],
                                .plane = {from->data[1], from->data[2]},
                                .plane_pitch = {(size_t)from->linesize[1], (size_t)from->linesize[2]},
                                .n = 2,
                                .width = (width + 1) / 2,
                                .height = (height + 1) / 2,
                                .sample_bytes = bytes,
                                .shift = shift};
    enum reel_err err = reel_cuda_check(gpu_planes_join(&luma, gpu.stream), "copy a picture to the encoder");
    return err ? err : reel_cuda_check(gpu_planes_join(&chroma, gpu.stream), "copy a picture to the encoder");
}

// Fills a surface from a slot on the device.
static enum reel_err from_slot(enum AVPixelFormat format, const AVFrame *from, AVFrame *to, int width, int height)
{
    enum reel_err err;
    if (format == AV_PIX_FMT_YUV420P)
        err = copy_planes(from, to, width, height);
    else if (format == AV_PIX_FMT_NV12)
        err = join_planes(from, to, width, height, 8, 0);
    else if (format == AV_PIX_FMT_P010)
        err = join_planes(from, to, width, height, 10, 6);
    else
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not encode on a GPU: no way from a slot to surfaces of %s",
                         av_get_pix_fmt_name(format));
    return err;
}

// ---- drawing ------------------------------------------------------------------

// Copies the parts of a list into the device's memory, one behind the other.
enum { ITEMS, GLYPHS, BLEND, MASK, PARTS };

static enum reel_err upload(const struct paint_canvas *c, struct overlay_list *list)
{
    const size_t bytes[PARTS] = {[ITEMS] = c->n * sizeof *c->item,
                                 [GLYPHS] = c->glyphs * sizeof *c->glyph,
                                 [BLEND] = c->mask ? sizeof c->blend : 0,
                                 [MASK] = c->mask ? (size_t)c->width * (size_t)c->height : 0};
    size_t at[PARTS + 1] = {0};
    for (int i = 0; i < PARTS; i++) at[i + 1] = at[i] + (bytes[i] + 255) / 256 * 256;
    enum reel_err err = REEL_OK;
    if (at[PARTS] > gpu.list_bytes) { // no surface is being drawn on, so nobody reads the old list
        reel_cuda_free(gpu.list);
        gpu.list = NULL;
        gpu.list_bytes = 0;
        err = reel_cuda_malloc(2 * at[PARTS], &gpu.list);
        if (err) return err;
        gpu.list_bytes = 2 * at[PARTS];
    }
    uint8_t *to = gpu.list;
    const void *from[MASK] = {c->item, c->glyph, &c->blend};
    for (int i = 0; i < MASK && !err; i++)
        if (bytes[i]) err = reel_cuda_upload(to + at[i], from[i], bytes[i], gpu.stream);
    if (!err && c->mask)
        err = reel_cuda_copy_2d(to + at[MASK], (size_t)c->width, c->mask, c->mask_stride, (size_t)c->width,
                                (size_t)c->height, gpu.stream);
    *list = (struct overlay_list){.item = (const struct overlay_item *)(const void *)(to + at[ITEMS]),
                                  .n = c->n,
                                  .glyph = (const uint64_t *)(const void *)(to + at[GLYPHS]),
                                  .mask = to + at[MASK],
                                  .mask_stride = (size_t)c->width,
                                  .blend = (const struct overlay_blend *)(const void *)(to + at[BLEND])};
    return err;
}

static enum reel_err draw_on(const AVCodecContext *ctx, const AVFrame *surface, const struct paint_canvas *c)
{
    struct overlay_picture picture;
    struct overlay_list list;
    if (!picture_planes(surface, ctx->sw_pix_fmt, &picture))
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not draw on surfaces of %s",
                         av_get_pix_fmt_name(ctx->sw_pix_fmt));
    enum reel_err err = upload(c, &list);
    return err ? err : reel_cuda_check(gpu_overlay(&list, &picture, gpu.stream), "draw on a picture");
}

enum reel_err nvenc_surface(const AVCodecContext *ctx, const AVFrame *frame, AVFrame **out_surface)
{
    AVFrame *surface = av_frame_alloc();
    if (!surface) return reel_fail(REEL_ERR_NOMEM, "could not encode: out of memory");
    int r = av_hwframe_get_buffer(ctx->hw_frames_ctx, surface, 0);
    enum reel_err err = r < 0 ? refused(r, "take a surface of a GPU") : REEL_OK;
    if (!err && frame->format == AV_PIX_FMT_CUDA)
        err = from_slot(ctx->sw_pix_fmt, frame, surface, ctx->width, ctx->height);
    else if (!err && (r = av_hwframe_transfer_data(surface, frame, 0)) < 0)
        err = refused(r, "upload a picture to a GPU");
    if (!err && paint_of(frame)) err = draw_on(ctx, surface, paint_of(frame));
    enum reel_err done = reel_cuda_stream_sync(gpu.stream); // after a failure, earlier work may still be running
    if (!err) err = done;
    if (!err && (r = av_frame_copy_props(surface, frame)) < 0) err = refused(r, "encode a picture");
    av_buffer_unref(&surface->opaque_ref); // its drawing is done
    if (err)
        av_frame_free(&surface);
    else
        *out_surface = surface;
    return err;
}
