// SPDX-License-Identifier: MIT
//
// Splits and joins interleaved picture planes on a GPU. See planes.h.
#include "kernels/gpu/common.cuh"
#include "kernels/gpu/planes.h"

// Each thread has a pixel; the accesses of a warp are contiguous in every plane.
template <typename sample> static __global__ void split(gpu_planes p)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= p.width || y >= p.height) return;
    const sample *from = (const sample *)((const uint8_t *)p.interleaved + (size_t)y * p.interleaved_pitch);
    for (int i = 0; i < p.n; i++)
        ((sample *)((uint8_t *)p.plane[i] + (size_t)y * p.plane_pitch[i]))[x] = (sample)(from[p.n * x + i] >> p.shift);
}

template <typename sample> static __global__ void join(gpu_planes p)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= p.width || y >= p.height) return;
    sample *to = (sample *)((uint8_t *)p.interleaved + (size_t)y * p.interleaved_pitch);
    for (int i = 0; i < p.n; i++)
        to[p.n * x + i] =
            (sample)(((const sample *)((const uint8_t *)p.plane[i] + (size_t)y * p.plane_pitch[i]))[x] << p.shift);
}

static bool is_valid(const gpu_planes *p)
{
    return p->n >= 1 && p->n <= GPU_PLANES_MAX && p->width > 0 && p->height > 0 &&
           (p->sample_bytes == 1 || p->sample_bytes == 2);
}

static dim3 grid_of(const gpu_planes *p, dim3 block)
{
    return dim3((p->width + block.x - 1) / block.x, (p->height + block.y - 1) / block.y);
}

int gpu_planes_split(const struct gpu_planes *p, void *stream)
{
    if (!is_valid(p)) return (int)cudaErrorInvalidValue;
    dim3 block(64, 4), grid = grid_of(p, block);
    if (p->sample_bytes == 1)
        REEL_LAUNCH(split<uint8_t>, grid, block, 0, stream, *p);
    else
        REEL_LAUNCH(split<uint16_t>, grid, block, 0, stream, *p);
    return (int)cudaGetLastError();
}

int gpu_planes_join(const struct gpu_planes *p, void *stream)
{
    if (!is_valid(p)) return (int)cudaErrorInvalidValue;
    dim3 block(64, 4), grid = grid_of(p, block);
    if (p->sample_bytes == 1)
        REEL_LAUNCH(join<uint8_t>, grid, block, 0, stream, *p);
    else
        REEL_LAUNCH(join<uint16_t>, grid, block, 0, stream, *p);
    return (int)cudaGetLastError();
}
