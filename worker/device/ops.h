// SPDX-License-Identifier: MIT
//
// What the device code needs of a device: memory, copies, ordering, and the kernels around
// a network. cuda.c is a GPU. host.c does the same synchronously in host memory, with the
// kernels' C twins, for the backend that stands in for a GPU's. Called from worker/device/
// only.
#ifndef REEL_WORKER_DEVICE_OPS_H
#define REEL_WORKER_DEVICE_OPS_H

#include "common/err.h"
#include "kernels/cut.h"
#include "kernels/gpu/pixels.h"
#include "kernels/gpu/results.h"
#include "kernels/nms.h"

// Streams and events are opaque; a stream runs its work in order.
struct device_ops {
    const char *name;
    // Makes device number n current for this thread.
    enum reel_err (*open)(int n);
    enum reel_err (*alloc)(size_t bytes, void **out);
    void (*free)(void *p);
    enum reel_err (*host_alloc)(size_t bytes, void **out); // pinned: fast to copy from, and accessible to kernels
    void (*host_free)(void *p);
    enum reel_err (*pin)(void *p, size_t bytes); // the same for an existing mapping
    void (*unpin)(void *p);
    enum reel_err (*upload)(void *dst, const void *src, size_t bytes, void *stream);
    enum reel_err (*download)(void *dst, const void *src, size_t bytes, void *stream);
    enum reel_err (*copy)(void *dst, const void *src, size_t bytes, void *stream); // on the device
    enum reel_err (*clear)(void *dst, size_t bytes, void *stream);
    enum reel_err (*stream_create)(void **out);
    void (*stream_destroy)(void **stream);
    enum reel_err (*event_create)(void **out);
    void (*event_destroy)(void **event);
    enum reel_err (*event_record)(void *event, void *stream);
    enum reel_err (*event_sync)(void *event);
    enum reel_err (*event_query)(void *event);                               // OK, AGAIN (not yet) or a fault
    enum reel_err (*event_elapsed_us)(void *from, void *to, double *out_us); // both must have happened
    enum reel_err (*stream_wait)(void *stream, void *event);
    // Whether this process can no longer use its device.
    bool (*lost)(void);
    // kernels/gpu/pixels.h
    enum reel_err (*feed)(const struct gpu_picture *src, const struct gpu_image *dst, const struct gpu_coding *coding,
                          void *stream);
    enum reel_err (*rows)(const struct gpu_rows *r, void *stream);
    enum reel_err (*columns)(const struct gpu_columns *c, void *stream);
    enum reel_err (*columns_chroma)(const struct gpu_columns *c, const struct gpu_picture *dst, void *stream);
    enum reel_err (*borders)(const struct gpu_image *dst, const struct gpu_coding *coding, int x0, int y0, int w, int h,
                             const float fill[3], void *stream);
    enum reel_err (*cut)(const struct gpu_image *src, const struct gpu_image *dst, int x0, int y0, void *stream);
    enum reel_err (*blend)(const struct gpu_blend *b, void *stream);
    enum reel_err (*tail)(const struct gpu_tail *t, void *stream);
    // kernels/gpu/results.h
    enum reel_err (*mask)(const struct gpu_mask *m, void *stream);
    enum reel_err (*pick)(const struct gpu_pick *p, void *stream);
    // kernels/cut.h
    enum reel_err (*shrink)(const struct yuv_picture *p, uint8_t *out, void *stream);
    // kernels/nms.h
    enum reel_err (*nms)(const struct gpu_nms *n, void *stream);
};

extern const struct device_ops device_ops_host;
// NULL in a build without CUDA.
const struct device_ops *device_ops_cuda(void);
// The operations for a backend with these capabilities; NULL if it has no device memory.
const struct device_ops *device_ops_of(unsigned backend_caps);

#endif
