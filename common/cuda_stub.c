// SPDX-License-Identifier: MIT
//
// cuda.h in a build without CUDA: every call that could fail answers
// UNSUPPORTED with the same clear line, every release does nothing.
#include "common/cuda.h"

#include <string.h>

static enum reel_err refuse(void)
{
    return reel_fail(REEL_ERR_UNSUPPORTED, "could not use a GPU: this build has no CUDA\n"
                                           "install the CUDA toolkit (./run.sh --setup) and build again");
}

bool reel_cuda_built(void)
{
    return false;
}

void reel_cuda_versions(int *out_runtime, int *out_driver)
{
    *out_runtime = *out_driver = 0;
}

enum reel_err reel_cuda_count(int *out_n)
{
    *out_n = 0;
    return refuse();
}

enum reel_err reel_cuda_device(int device, struct reel_cuda_device *out)
{
    memset(out, 0, sizeof *out);
    return refuse();
}

enum reel_err reel_cuda_peer(int device, int peer, bool *out_can)
{
    *out_can = false;
    return refuse();
}

enum reel_err reel_cuda_open(int device)
{
    return refuse();
}

enum reel_err reel_cuda_mem_info(size_t *out_free_bytes, size_t *out_total_bytes)
{
    *out_free_bytes = *out_total_bytes = 0;
    return refuse();
}

enum reel_err reel_cuda_context(void **out_context)
{
    *out_context = NULL;
    return refuse();
}

void *reel_cuda_driver_function(const char *name)
{
    return NULL;
}

enum reel_err reel_cuda_malloc(size_t bytes, void **out)
{
    *out = NULL;
    return refuse();
}

void reel_cuda_free(void *p)
{
}

enum reel_err reel_cuda_host_alloc(size_t bytes, void **out)
{
    *out = NULL;
    return refuse();
}

void reel_cuda_host_free(void *p)
{
}

enum reel_err reel_cuda_host_register(void *p, size_t bytes)
{
    return refuse();
}

void reel_cuda_host_unregister(void *p)
{
}

enum reel_err reel_cuda_upload(void *dst, const void *src, size_t bytes, void *stream)
{
    return refuse();
}

enum reel_err reel_cuda_download(void *dst, const void *src, size_t bytes, void *stream)
{
    return refuse();
}

enum reel_err reel_cuda_copy(void *dst, const void *src, size_t bytes, void *stream)
{
    return refuse();
}

enum reel_err reel_cuda_copy_2d(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t row_bytes,
                                size_t rows, void *stream)
{
    return refuse();
}

enum reel_err reel_cuda_memset(void *dst, int byte, size_t bytes, void *stream)
{
    return refuse();
}

enum reel_err reel_cuda_stream_create(void **out_stream)
{
    *out_stream = NULL;
    return refuse();
}

void reel_cuda_stream_destroy(void **stream)
{
}

enum reel_err reel_cuda_stream_sync(void *stream)
{
    return refuse();
}

enum reel_err reel_cuda_stream_wait(void *stream, void *event)
{
    return refuse();
}

enum reel_err reel_cuda_event_create(void **out_event)
{
    *out_event = NULL;
    return refuse();
}

void reel_cuda_event_destroy(void **event)
{
}

enum reel_err reel_cuda_event_record(void *event, void *stream)
{
    return refuse();
}

enum reel_err reel_cuda_event_query(void *event)
{
    return refuse();
}

enum reel_err reel_cuda_event_sync(void *event)
{
    return refuse();
}

enum reel_err reel_cuda_event_elapsed_us(void *from, void *to, double *out_us)
{
    *out_us = 0;
    return refuse();
}

enum reel_err reel_cuda_capture_begin(void *stream)
{
    return refuse();
}

enum reel_err reel_cuda_capture_end(void *stream, void **out_graph)
{
    *out_graph = NULL;
    return refuse();
}

enum reel_err reel_cuda_graph_launch(void *graph, void *stream)
{
    return refuse();
}

void reel_cuda_graph_destroy(void **graph)
{
}

enum reel_err reel_cuda_check(int cuda_error, const char *what)
{
    return cuda_error ? refuse() : REEL_OK;
}

void reel_cuda_look(void)
{
}

bool reel_cuda_lost(void)
{
    return false;
}
