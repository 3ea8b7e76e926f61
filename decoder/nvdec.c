// SPDX-License-Identifier: MIT
//
// NVDEC through FFmpeg. See nvdec.h.
#include "decoder/nvdec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_cuda.h>

#include "common/cuda.h"
#include "decoder/flight.h"
#include "kernels/gpu/planes.h"

// Surfaces beyond those that the codec needs, so that it can go on: one waits for its slot, the
// others are being copied.
#define EXTRA_SURFACES (FLIGHT_MAX + 1)

struct nvdec {
    void *stream;
    AVBufferRef *device;
    char name[96];
};

// ---- the device ---------------------------------------------------------------

static enum reel_err refused(int code, const char *what)
{
    char reason[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(code, reason, sizeof reason);
    reel_cuda_look();
    return reel_fail(code == AVERROR(ENOMEM) ? REEL_ERR_NOMEM : REEL_ERR_FAULT, "could not %s: %s", what, reason);
}

// Gives FFmpeg our context and stream. A context of its own would have to have the same flags as
// that of the other libraries in this process.
static enum reel_err open_device(struct nvdec *n, void *context)
{
    n->device = av_hwdevice_ctx_alloc(AV_HWDEVICE_TYPE_CUDA);
    if (!n->device)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not decode on a GPU: this FFmpeg is built without CUDA");
    AVCUDADeviceContext *cuda = ((AVHWDeviceContext *)(void *)n->device->data)->hwctx;
    cuda->cuda_ctx = context;
    cuda->stream = n->stream;
    int r = av_hwdevice_ctx_init(n->device);
    return r < 0 ? refused(r, "decode on a GPU") : REEL_OK;
}

enum reel_err nvdec_create(int device, struct nvdec **out_nvdec)
{
    *out_nvdec = NULL;
    struct nvdec *n = calloc(1, sizeof *n);
    if (!n) return reel_fail(REEL_ERR_NOMEM, "could not decode on a GPU: out of memory");
    void *context;
    enum reel_err err = reel_cuda_open(device);
    if (!err) err = reel_cuda_context(&context);
    if (!err) err = reel_cuda_stream_create(&n->stream);
    if (!err) err = open_device(n, context);
    struct reel_cuda_device gpu;
    bool known = !err && !reel_cuda_device(device, &gpu);
    snprintf(n->name, sizeof n->name, "%s #%d (NVDEC)", known ? gpu.name : "GPU", device);
    if (err)
        nvdec_destroy(&n);
    else
        *out_nvdec = n;
    return err;
}

const char *nvdec_name(const struct nvdec *n)
{
    return n->name;
}

void *nvdec_stream(const struct nvdec *n)
{
    return n->stream;
}

void nvdec_destroy(struct nvdec **nvdec)
{
    struct nvdec *n = *nvdec;
    if (!n) return;
    av_buffer_unref(&n->device);
    reel_cuda_stream_destroy(&n->stream);
    free(n);
    *nvdec = NULL;
}

// ---- the codec ----------------------------------------------------------------

// The first decoder for the codec that works on CUDA devices. It may not be FFmpeg's default (for
// AV1 that is libdav1d, which cannot).
static const AVCodec *find_codec(enum AVCodecID id)
{
    void *at = NULL;
    for (const AVCodec *c; (c = av_codec_iterate(&at));) {
        if (c->id != id || !av_codec_is_decoder(c)) continue;
        const AVCodecHWConfig *config;
        for (int i = 0; (config = avcodec_get_hw_config(c, i)); i++)
            if (config->device_type == AV_HWDEVICE_TYPE_CUDA && config->pix_fmt == AV_PIX_FMT_CUDA &&
                config->methods & AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX)
                return c;
    }
    return NULL;
}

bool nvdec_can(const AVCodecParameters *par)
{
    switch (par->format) {
    case AV_PIX_FMT_YUV420P:
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUV420P10:
        return find_codec(par->codec_id) != NULL;
    default:
        return false;
    }
}

// FFmpeg's get_format callback. If the GPU refuses the stream, it is called again without CUDA in
// the list.
static enum AVPixelFormat choose_format(AVCodecContext *ctx, const enum AVPixelFormat *formats)
{
    for (int i = 0; formats[i] != AV_PIX_FMT_NONE; i++)
        if (formats[i] == AV_PIX_FMT_CUDA) return AV_PIX_FMT_CUDA;
    for (int i = 0; formats[i] != AV_PIX_FMT_NONE; i++)
        if (!(av_pix_fmt_desc_get(formats[i])->flags & AV_PIX_FMT_FLAG_HWACCEL)) return formats[i];
    return AV_PIX_FMT_NONE;
}

static enum reel_err gpu_open(const struct decode_params *p, void **out_state)
{
    const AVCodec *codec = find_codec(p->par->codec_id);
    AVCodecContext *ctx = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!ctx) return reel_fail(REEL_ERR_UNSUPPORTED, "could not decode video \"%s\" on a GPU", p->name);
    int r = avcodec_parameters_to_context(ctx, p->par);
    if (r >= 0) {
        ctx->pkt_timebase = p->time_base;
        ctx->thread_count = p->threads;
        ctx->max_pixels = p->max_pixels;
        ctx->extra_hw_frames = EXTRA_SURFACES + (int)p->kept_frames;
        ctx->get_format = choose_format;
        ctx->hw_device_ctx = av_buffer_ref(p->nvdec->device);
        r = ctx->hw_device_ctx ? avcodec_open2(ctx, codec, NULL) : AVERROR(ENOMEM);
    }
    if (r < 0) {
        avcodec_free_context(&ctx);
        return refused(r, "open a decoder on a GPU");
    }
    *out_state = ctx;
    return REEL_OK;
}

static int gpu_send(void *state, const AVPacket *packet)
{
    return avcodec_send_packet(state, packet);
}

static int gpu_receive(void *state, AVFrame *frame)
{
    return avcodec_receive_frame(state, frame);
}

static void gpu_close(void **state)
{
    AVCodecContext *ctx = *state;
    avcodec_free_context(&ctx);
    *state = NULL;
}

const struct decode_ops decode_nvdec = {
    .name = "NVDEC",
    .open = gpu_open,
    .send = gpu_send,
    .receive = gpu_receive,
    .close = gpu_close,
};

// ---- pictures -----------------------------------------------------------------

// By how many bits a surface's samples are shifted compared with a slot's; -1: the formats differ.
static int shift_of(const AVFrame *frame, const struct reel_geometry *g)
{
    const AVHWFramesContext *frames = (const AVHWFramesContext *)(const void *)frame->hw_frames_ctx->data;
    const struct reel_pixel_format f = g->format;
    if (f.layout != REEL_PIX_YUV || f.log2_chroma_w != 1 || f.log2_chroma_h != 1) return -1;
    if (frames->sw_format == AV_PIX_FMT_NV12) return f.depth == 8 ? 0 : -1;
    if (frames->sw_format == AV_PIX_FMT_P010 || frames->sw_format == AV_PIX_FMT_P016)
        return f.depth > 8 ? 16 - f.depth : -1;
    return -1;
}

// Unshifted samples are copied without a kernel. A copy engine (if the driver uses one) need not
// wait for its turn as kernels of several processes on one GPU do.
static enum reel_err put_luma(struct nvdec *n, const AVFrame *frame, const struct reel_geometry *g, uint8_t *pixels,
                              int shift)
{
    int bytes = (int)reel_format_bytes(g->format);
    uint8_t *to = pixels + g->plane_offset[0];
    if (!shift)
        return reel_cuda_copy_2d(to, g->plane_stride[0], frame->data[0], (size_t)frame->linesize[0],
                                 (size_t)g->width * (size_t)bytes, g->height, n->stream);
    struct gpu_planes luma = {.interleaved = frame->data[0],
                              .interleaved_pitch = (size_t)frame->linesize[0],
                              .plane = {to},
                              .plane_pitch = {g->plane_stride[0]},
                              .n = 1,
                              .width = (int)g->width,
                              .height = (int)g->height,
                              .sample_bytes = bytes,
                              .shift = shift};
    return reel_cuda_check(gpu_planes_split(&luma, n->stream), "copy a decoded picture");
}

static enum reel_err put_chroma(struct nvdec *n, const AVFrame *frame, const struct reel_geometry *g, uint8_t *pixels,
                                int shift)
{
    uint32_t w, h;
    reel_plane_size(g, 1, &w, &h);
    struct gpu_planes chroma = {.interleaved = frame->data[1],
                                .interleaved_pitch = (size_t)frame->linesize[1],
                                .plane = {pixels + g->plane_offset[1], pixels + g->plane_offset[2]},
                                .plane_pitch = {g->plane_stride[1], g->plane_stride[2]},
                                .n = 2,
                                .width = (int)w,
                                .height = (int)h,
                                .sample_bytes = (int)reel_format_bytes(g->format),
                                .shift = shift};
    return reel_cuda_check(gpu_planes_split(&chroma, n->stream), "copy a decoded picture");
}

enum reel_err nvdec_to_slot(struct nvdec *n, const AVFrame *frame, const struct reel_geometry *g, uint8_t *pixels)
{
    int shift = shift_of(frame, g);
    if (shift < 0 || frame->width != (int)g->width || frame->height != (int)g->height)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not take a picture from the GPU: it is not of the job's format");
    enum reel_err err = put_luma(n, frame, g, pixels, shift);
    if (!err) err = put_chroma(n, frame, g, pixels, shift);
    if (err && reel_cuda_stream_sync(n->stream)) reel_cuda_look(); // the caller will release the surface
    return err;
}

enum reel_err nvdec_download(struct nvdec *n, const AVFrame *frame, AVFrame *out_frame)
{
    av_frame_unref(out_frame);
    int r = av_hwframe_transfer_data(out_frame, frame, 0);
    if (r >= 0) r = av_frame_copy_props(out_frame, frame);
    return r < 0 ? refused(r, "fetch a picture from the GPU") : REEL_OK;
}

enum reel_err nvdec_upload(struct nvdec *n, const struct reel_geometry *g, const uint8_t *slot, uint8_t *pixels)
{
    size_t from = g->plane_offset[0], bytes = g->aux_offset - from;
    void *stream = n ? n->stream : NULL;
    enum reel_err err = reel_cuda_upload(pixels + from, slot + from, bytes, stream);
    return err ? err : reel_cuda_stream_sync(stream);
}
