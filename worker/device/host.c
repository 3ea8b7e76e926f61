// SPDX-License-Identifier: MIT
//
// The host in a device's place: everything happens at once, in order, by the
// kernels' C twins. Used with a backend whose device pointers are the host's.
#include <stdlib.h>
#include <string.h>

#include "worker/device/ops.h"

static enum reel_err host_open(int n)
{
    return REEL_OK;
}

static enum reel_err host_alloc(size_t bytes, void **out)
{
    *out = aligned_alloc(256, (bytes + 255) / 256 * 256);
    return *out ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not allocate %zu bytes: out of memory", bytes);
}

static enum reel_err host_pin(void *p, size_t bytes)
{
    return REEL_OK;
}

static void host_unpin(void *p)
{
}

static enum reel_err host_copy(void *dst, const void *src, size_t bytes, void *stream)
{
    memcpy(dst, src, bytes);
    return REEL_OK;
}

static enum reel_err host_clear(void *dst, size_t bytes, void *stream)
{
    memset(dst, 0, bytes);
    return REEL_OK;
}

// Nothing is ever under way: streams and events only have to exist.
static enum reel_err host_handle(void **out)
{
    *out = malloc(1);
    return *out ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not make a stream: out of memory");
}

static void host_unhandle(void **handle)
{
    free(*handle);
    *handle = NULL;
}

static enum reel_err host_record(void *event, void *stream)
{
    return REEL_OK;
}

static enum reel_err host_sync(void *event)
{
    return REEL_OK;
}

static enum reel_err host_elapsed_us(void *from, void *to, double *out_us)
{
    *out_us = 0;
    return REEL_OK;
}

static bool host_lost(void)
{
    return false;
}

static enum reel_err host_feed(const struct gpu_picture *src, const struct gpu_image *dst, const struct gpu_coding *k,
                               void *stream)
{
    gpu_feed_ref(src, dst, k);
    return REEL_OK;
}

static enum reel_err host_rows(const struct gpu_rows *r, void *stream)
{
    gpu_rows_ref(r);
    return REEL_OK;
}

static enum reel_err host_columns(const struct gpu_columns *c, void *stream)
{
    gpu_columns_ref(c);
    return REEL_OK;
}

static enum reel_err host_columns_chroma(const struct gpu_columns *c, const struct gpu_picture *dst, void *stream)
{
    gpu_columns_chroma_ref(c, dst);
    return REEL_OK;
}

static enum reel_err host_borders(const struct gpu_image *dst, const struct gpu_coding *k, int x0, int y0, int w, int h,
                                  const float fill[3], void *stream)
{
    gpu_borders_ref(dst, k, x0, y0, w, h, fill);
    return REEL_OK;
}

static enum reel_err host_cut(const struct gpu_image *src, const struct gpu_image *dst, int x0, int y0, void *stream)
{
    gpu_cut_ref(src, dst, x0, y0);
    return REEL_OK;
}

static enum reel_err host_blend(const struct gpu_blend *b, void *stream)
{
    gpu_blend_ref(b);
    return REEL_OK;
}

static enum reel_err host_tail(const struct gpu_tail *t, void *stream)
{
    gpu_tail_ref(t);
    return REEL_OK;
}

static enum reel_err host_mask(const struct gpu_mask *m, void *stream)
{
    gpu_mask_ref(m);
    return REEL_OK;
}

static enum reel_err host_pick(const struct gpu_pick *p, void *stream)
{
    gpu_pick_ref(p);
    return REEL_OK;
}

static enum reel_err host_shrink(const struct yuv_picture *p, uint8_t *out, void *stream)
{
    cut_shrink(p, out);
    return REEL_OK;
}

static enum reel_err host_nms(const struct gpu_nms *n, void *stream)
{
    return gpu_nms_ref(n) ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not sort out detections: out of memory");
}

const struct device_ops device_ops_host = {
    .name = "host",
    .open = host_open,
    .alloc = host_alloc,
    .free = free,
    .host_alloc = host_alloc,
    .host_free = free,
    .pin = host_pin,
    .unpin = host_unpin,
    .upload = host_copy,
    .download = host_copy,
    .copy = host_copy,
    .clear = host_clear,
    .stream_create = host_handle,
    .stream_destroy = host_unhandle,
    .event_create = host_handle,
    .event_destroy = host_unhandle,
    .event_record = host_record,
    .event_sync = host_sync,
    .event_query = host_sync,
    .event_elapsed_us = host_elapsed_us,
    .stream_wait = host_record,
    .lost = host_lost,
    .feed = host_feed,
    .rows = host_rows,
    .columns = host_columns,
    .columns_chroma = host_columns_chroma,
    .borders = host_borders,
    .cut = host_cut,
    .blend = host_blend,
    .tail = host_tail,
    .mask = host_mask,
    .pick = host_pick,
    .shrink = host_shrink,
    .nms = host_nms,
};
