// SPDX-License-Identifier: MIT
//
// Turns a test of the executor's kernels (tests/unit/kernels/ops.h) into one on
// a GPU: included before it. All memory is pinned host memory, which a GPU reads
// and writes by the same addresses: slow, and these tensors are small.
#ifndef REEL_TESTS_GPU_ON_GPU_H
#define REEL_TESTS_GPU_ON_GPU_H

#include "common/cuda.h"
#include "tests/check.h"

#define OPS_ON_GPU
#define OPS_ALLOC(bytes) pinned(bytes)
#define OPS_FREE(p) reel_cuda_host_free(p)
#define OPS_SETTLE() settle()
#define OPS_MAIN(...)                                                                                   \
    int main(int argc, char **argv)                                                                     \
    {                                                                                                   \
        static const struct check_case on_gpu[] = {__VA_ARGS__}, none[] = {{"gpu: operators", no_gpu}}; \
        int n;                                                                                          \
        if (reel_cuda_count(&n) || reel_cuda_open(0)) return check_main(none, 1, argc, argv);           \
        return check_main(on_gpu, (int)(sizeof on_gpu / sizeof on_gpu[0]), argc, argv);                 \
    }

static void *pinned(size_t bytes)
{
    void *p;
    return reel_cuda_host_alloc(bytes, &p) ? NULL : p;
}

static void settle(void)
{
    CHECK_MSG(!reel_cuda_stream_sync(NULL), "%s", reel_fail_text());
}

static void no_gpu(void)
{
    SKIP("no GPU");
}

#endif
