// SPDX-License-Identifier: MIT
//
// A GPU behind ops.h: common/cuda.h and the launchers of
// kernels/gpu/pixels.h and kernels/gpu/results.h. Builds without CUDA have cuda_stub.c.
#include "common/cuda.h"
#include "worker/device/ops.h"

static enum reel_err clear(void *dst, size_t bytes, void *stream)
{
    return reel_cuda_memset(dst, 0, bytes, stream);
}

static enum reel_err feed(const struct gpu_picture *src, const struct gpu_image *dst, const struct gpu_coding *k,
                          void *stream)
{
    return reel_cuda_check(gpu_feed(src, dst, k, stream), "feed the network");
}

static enum reel_err rows(const struct gpu_rows *r, void *stream)
{
    return reel_cuda_check(gpu_rows(r, stream), "resize rows");
}

static enum reel_err columns(const struct gpu_columns *c, void *stream)
{
    return reel_cuda_check(gpu_columns(c, stream), "resize columns");
}

static enum reel_err columns_chroma(const struct gpu_columns *c, const struct gpu_picture *dst, void *stream)
{
    return reel_cuda_check(gpu_columns_chroma(c, dst, stream), "resize chroma");
}

static enum reel_err borders(const struct gpu_image *dst, const struct gpu_coding *k, int x0, int y0, int w, int h,
                             const float fill[3], void *stream)
{
    return reel_cuda_check(gpu_borders(dst, k, x0, y0, w, h, fill, stream), "fill borders");
}

static enum reel_err cut(const struct gpu_image *src, const struct gpu_image *dst, int x0, int y0, void *stream)
{
    return reel_cuda_check(gpu_cut(src, dst, x0, y0, stream), "cut a tile");
}

static enum reel_err blend(const struct gpu_blend *b, void *stream)
{
    return reel_cuda_check(gpu_blend(b, stream), "join tiles");
}

static enum reel_err tail(const struct gpu_tail *t, void *stream)
{
    return reel_cuda_check(gpu_tail(t, stream), "write the picture");
}

static enum reel_err mask(const struct gpu_mask *m, void *stream)
{
    return reel_cuda_check(gpu_mask(m, stream), "make a mask");
}

static enum reel_err pick(const struct gpu_pick *p, void *stream)
{
    return reel_cuda_check(gpu_pick(p, stream), "pick detections");
}

static enum reel_err shrink(const struct yuv_picture *p, uint8_t *out, void *stream)
{
    return reel_cuda_check(gpu_shrink(p, out, stream), "shrink a picture");
}

static enum reel_err nms(const struct gpu_nms *n, void *stream)
{
    return reel_cuda_check(gpu_nms(n, stream), "sort out detections");
}

static const struct device_ops ops = {
    .name = "cuda",
    .open = reel_cuda_open,
    .alloc = reel_cuda_malloc,
    .free = reel_cuda_free,
    .host_alloc = reel_cuda_host_alloc,
    .host_free = reel_cuda_host_free,
    .pin = reel_cuda_host_register,
    .unpin = reel_cuda_host_unregister,
    .upload = reel_cuda_upload,
    .download = reel_cuda_download,
    .copy = reel_cuda_copy,
    .clear = clear,
    .stream_create = reel_cuda_stream_create,
    .stream_destroy = reel_cuda_stream_destroy,
    .event_create = reel_cuda_event_create,
    .event_destroy = reel_cuda_event_destroy,
    .event_record = reel_cuda_event_record,
    .event_sync = reel_cuda_event_sync,
    .event_query = reel_cuda_event_query,
    .event_elapsed_us = reel_cuda_event_elapsed_us,
    .stream_wait = reel_cuda_stream_wait,
    .lost = reel_cuda_lost,
    .feed = feed,
    .rows = rows,
    .columns = columns,
    .columns_chroma = columns_chroma,
    .borders = borders,
    .cut = cut,
    .blend = blend,
    .tail = tail,
    .mask = mask,
    .pick = pick,
    .shrink = shrink,
    .nms = nms,
};

const struct device_ops *device_ops_cuda(void)
{
    return &ops;
}
