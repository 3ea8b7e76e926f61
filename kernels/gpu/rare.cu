// SPDX-License-Identifier: MIT
//
// The kernels of rare.h, for operators that few networks use.
#include "kernels/gpu/chain.cuh"

#define GPU_LOAD(elem, p, i) gpu_any_load_call(elem, p, i)
#define GPU_STORE(elem, p, i, v) gpu_any_store_call(elem, p, i, v)
#include "kernels/gpu/rare_math.h"

static __global__ void det(const struct gpu_det p, const void *x, double *work, void *y)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < p.count) gpu_det_matrix(&p, x, work + i * p.n * p.n, y, i);
}

extern "C" int gpu_det(const struct gpu_det *p, const void *x, void *y, void *work, void *stream)
{
    if (!p->count) return cudaSuccess;
    REEL_LAUNCH(det, gpu_blocks(p->count, 32), 32, 0, stream, *p, x, (double *)work, y);
    return cudaGetLastError();
}

template <typename T>
static __global__ void cache_update(const struct gpu_cache_update p, const T *cache, const T *update,
                                    const int64_t *start, T *y, long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const long long at = i % p.inner, rows = i / p.inner, row = rows % p.length, o = rows / p.length;
    const long long from = gpu_cache_row(&p, start, o / p.outer, row);
    y[i] = from < 0 ? cache[i] : update[(o * p.n + from) * p.inner + at];
}

template <typename T>
static int launch_update(const struct gpu_cache_update *p, const void *cache, const void *update, const int64_t *start,
                         void *y, void *stream)
{
    const long long count = p->batches * p->outer * p->length * p->inner;
    if (!count) return cudaSuccess;
    REEL_LAUNCH((cache_update<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, (const T *)cache,
                (const T *)update, start, (T *)y, count);
    return cudaGetLastError();
}

extern "C" int gpu_cache_update(const struct gpu_cache_update *p, const void *cache, const void *update,
                                const int64_t *start, void *y, void *stream)
{
    switch (p->elem_bytes) {
    case 1:
        return launch_update<uint8_t>(p, cache, update, start, y, stream);
    case 2:
        return launch_update<uint16_t>(p, cache, update, start, y, stream);
    case 4:
        return launch_update<uint32_t>(p, cache, update, start, y, stream);
    default:
        return launch_update<uint64_t>(p, cache, update, start, y, stream);
    }
}
