// SPDX-License-Identifier: MIT
//
// gpu_shrink() of cut.h. A thread has one pixel of the small picture and adds the
// few hundred samples that it stands for: neighbours read next to each other, and a
// frame's luma is read once. Sums of integers: the bytes of cut_shrink().
#include "kernels/cut.h"
#include "kernels/gpu/common.cuh"

#define BLOCK_X 32
#define BLOCK_Y 4

static __device__ __forceinline__ unsigned sample(const yuv_picture &p, int x, int y)
{
    const uint8_t *row = p.plane[0] + (size_t)y * p.stride[0];
    return p.depth > 8 ? ((const uint16_t *)row)[x] >> (p.shift + p.depth - 8) : row[x];
}

static __global__ void shrink(yuv_picture p, uint8_t *out, int w, int h)
{
    const int k = (int)(blockIdx.x * BLOCK_X + threadIdx.x), i = (int)(blockIdx.y * BLOCK_Y + threadIdx.y);
    if (k >= w || i >= h) return;
    const int x0 = k * p.width / w, x1 = (k + 1) * p.width / w;
    const int y0 = i * p.height / h, y1 = (i + 1) * p.height / h;
    unsigned long long sum = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) sum += sample(p, x, y);
    const unsigned n = (unsigned)(x1 - x0) * (unsigned)(y1 - y0);
    const unsigned long long mean = (sum + n / 2) / n;
    out[i * w + k] = mean > 255 ? 255 : (uint8_t)mean;
}

int gpu_shrink(const struct yuv_picture *p, uint8_t *out, void *stream)
{
    int w, h;
    cut_small_size(p, &w, &h);
    REEL_LAUNCH(shrink, dim3(gpu_blocks(w, BLOCK_X), gpu_blocks(h, BLOCK_Y)), dim3(BLOCK_X, BLOCK_Y), 0, stream, *p,
                out, w, h);
    return (int)cudaGetLastError();
}
