// SPDX-License-Identifier: MIT
//
// The kernel of fourier.h: each thread computes one bin. Neighbouring bins read the same numbers of the
// signal, and the factors that they read stay in the caches.
#include "kernels/gpu/chain.cuh"

#define GPU_LOAD(elem, p, i) gpu_any_load(elem, p, i)
#define GPU_STORE(elem, p, i, v) gpu_any_store(elem, p, i, v)
#include "kernels/gpu/fourier_math.h"

static __global__ void fourier(const struct gpu_fourier p, const void *x, const double *turn, const float *window,
                               void *y, long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    gpu_fourier_bin(&p, x, turn, window, y, i / p.bins / p.rows, i / p.bins % p.rows, (int)(i % p.bins));
}

extern "C" int gpu_fourier(const struct gpu_fourier *p, const void *x, const double *turn, const float *window, void *y,
                           void *stream)
{
    const long long count = p->outer * p->rows * p->bins;
    if (!count) return cudaSuccess;
    REEL_LAUNCH(fourier, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, turn, window, y, count);
    return cudaGetLastError();
}
