// SPDX-License-Identifier: MIT
//
// The CUDA module where there is no GPU: every call answers UNSUPPORTED (or
// FAULT where only a missing device can be the reason) with one clear line,
// and releases take nothing. With a GPU the same calls work.
#include "tests/check.h"

#include "common/cuda.h"

static bool has_gpu(void)
{
    int n;
    return !reel_cuda_count(&n);
}

static void no_gpu(void)
{
    int n = -1;
    if (has_gpu()) SKIP("there is a GPU");
    CHECK_INT(reel_cuda_count(&n), REEL_ERR_UNSUPPORTED);
    CHECK_INT(n, 0);
    CHECK_HAS(reel_fail_text(), "could not use a GPU: ");
    if (!reel_cuda_built()) CHECK_HAS(reel_fail_text(), "--setup");
    struct reel_cuda_device device;
    CHECK_INT(reel_cuda_device(0, &device), REEL_ERR_UNSUPPORTED);
    CHECK_HAS(reel_fail_text(), "could not ");
    CHECK_INT(reel_cuda_open(0), REEL_ERR_UNSUPPORTED);
    CHECK(!reel_cuda_lost());
}

// What a call gave stays empty, and giving it back does nothing.
static void nothing_held(void)
{
    if (has_gpu()) SKIP("there is a GPU");
    void *p = &p, *stream = &p, *event = &p, *graph = &p;
    CHECK_INT(reel_cuda_malloc(16, &p), REEL_ERR_UNSUPPORTED);
    CHECK(!p);
    CHECK_INT(reel_cuda_stream_create(&stream), REEL_ERR_UNSUPPORTED);
    CHECK(!stream);
    CHECK_INT(reel_cuda_event_create(&event), REEL_ERR_UNSUPPORTED);
    CHECK(!event);
    CHECK(reel_cuda_event_query(event) != REEL_OK && reel_cuda_event_query(event) != REEL_AGAIN);
    CHECK(reel_cuda_capture_end(NULL, &graph) != REEL_OK);
    CHECK(!graph);
    size_t free_bytes = 1, total_bytes = 1;
    CHECK_INT(reel_cuda_mem_info(&free_bytes, &total_bytes), REEL_ERR_UNSUPPORTED);
    CHECK_INT(free_bytes + total_bytes, 0);
    char byte = 0;
    CHECK_INT(reel_cuda_upload(&byte, &byte, 1, NULL), REEL_ERR_UNSUPPORTED);
    CHECK_INT(reel_cuda_host_register(&byte, 1), REEL_ERR_UNSUPPORTED);
    CHECK(reel_cuda_context(&p) != REEL_OK && !p);
    reel_cuda_free(NULL);
    reel_cuda_host_free(NULL);
    reel_cuda_stream_destroy(&stream);
    reel_cuda_event_destroy(&event);
    reel_cuda_graph_destroy(&graph);
}

// Numbers of enum cudaError that a launcher may return.
static void classes(void)
{
    CHECK_INT(reel_cuda_check(0, "run"), REEL_OK);
    if (!reel_cuda_built()) SKIP("a build without CUDA");
    CHECK_INT(reel_cuda_check(2, "run kernel \"a\""), REEL_ERR_NOMEM);
    CHECK_HAS(reel_fail_text(), "could not run kernel \"a\": ");
    CHECK_INT(reel_cuda_check(1, "run"), REEL_ERR_FAULT);
    CHECK_INT(reel_cuda_check(209, "run"), REEL_ERR_UNSUPPORTED); // no kernel image for this device
    CHECK(!reel_cuda_lost());                                     // none of these hurts the process
    CHECK_INT(reel_cuda_check(700, "run"), REEL_ERR_FAULT);       // illegal address
    CHECK(reel_cuda_lost());
    CHECK_INT(reel_cuda_check(0, "run"), REEL_OK);
    CHECK(reel_cuda_lost()); // for good
}

static void with_gpu(void)
{
    if (!has_gpu()) SKIP("no GPU");
    struct reel_cuda_device device;
    CHECK_INT(reel_cuda_device(0, &device), REEL_OK);
    CHECK(device.name[0] && device.sm_count > 0 && device.total_bytes > 0);
    CHECK_INT(reel_cuda_open(0), REEL_OK);
    void *p, *stream;
    CHECK_INT(reel_cuda_malloc(4096, &p), REEL_OK);
    CHECK_INT(reel_cuda_stream_create(&stream), REEL_OK);
    CHECK_INT(reel_cuda_memset(p, 7, 4096, stream), REEL_OK);
    unsigned char back[4096] = {0};
    CHECK_INT(reel_cuda_download(back, p, sizeof back, stream), REEL_OK);
    CHECK_INT(reel_cuda_stream_sync(stream), REEL_OK);
    CHECK_INT(back[0] + back[4095], 14);
    reel_cuda_stream_destroy(&stream);
    reel_cuda_free(p);
}

CHECK_MAIN({"cuda without a GPU", no_gpu}, {"cuda gives nothing without a GPU", nothing_held},
           {"cuda on a GPU", with_gpu}, {"cuda error classes", classes})
