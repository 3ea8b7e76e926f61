// SPDX-License-Identifier: MIT
//
// The kernels of found.h: tiles are counted, one block adds the counts up, and each tile then writes its
// positions behind those of the tiles before it, so that they are in order.
#include "kernels/gpu/found.h"

#include "kernels/gpu/chain.cuh"

#ifdef REEL_CUDA_CPU
#define FOUND_BLOCK 64
#else
#define FOUND_BLOCK 256
#endif
#define WARPS (FOUND_BLOCK / 32)

static __device__ __forceinline__ bool is_set(const struct gpu_found &p, const void *x, long long i, long long end)
{
    return i < end && gpu_any_load(p.elem, x, i) != 0;
}

static __device__ __forceinline__ long long tile_end(const struct gpu_found &p)
{
    const long long end = ((long long)blockIdx.x + 1) * GPU_FOUND_TILE;
    return end < p.n ? end : p.n;
}

// How many threads before this one say yes; *out_all: in the whole block. All threads must call it.
static __device__ int rank_of(bool yes, int *counts, int *out_all)
{
    const int warp = (int)threadIdx.x / 32;
    const unsigned votes = __ballot_sync(0xffffffffu, yes);
    if (threadIdx.x % 32 == 0) counts[warp] = __popc(votes);
    __syncthreads();
    int before = __popc(votes & ((1u << threadIdx.x % 32) - 1));
    *out_all = 0;
    for (int w = 0; w < WARPS; w++) {
        if (w < warp) before += counts[w];
        *out_all += counts[w];
    }
    __syncthreads();
    return before;
}

static __global__ void count_tiles(const struct gpu_found p, const void *x, int32_t *work)
{
    __shared__ int counts[WARPS];
    const long long end = tile_end(p);
    int mine = 0, all;
    for (long long i = (long long)blockIdx.x * GPU_FOUND_TILE; i < end; i += FOUND_BLOCK) {
        rank_of(is_set(p, x, i + threadIdx.x, end), counts, &all);
        mine += all;
    }
    if (threadIdx.x == 0) work[blockIdx.x] = mine;
}

// Replaces each tile's count by the number of positions before the tile.
static __global__ void add_up(int32_t *work, int tiles, int32_t *found)
{
    __shared__ int32_t sums[FOUND_BLOCK];
    const int t = (int)threadIdx.x;
    int32_t before = 0;
    for (int from = 0; from < tiles; from += FOUND_BLOCK) {
        const int32_t mine = from + t < tiles ? work[from + t] : 0;
        sums[t] = mine;
        __syncthreads();
        for (int d = 1; d < FOUND_BLOCK; d *= 2) {
            const int32_t left = t >= d ? sums[t - d] : 0;
            __syncthreads();
            sums[t] += left;
            __syncthreads();
        }
        if (from + t < tiles) work[from + t] = before + sums[t] - mine;
        before += sums[FOUND_BLOCK - 1];
        __syncthreads();
    }
    if (t == 0) found[0] = before;
}

template <typename T>
static __global__ void write_tiles(const struct gpu_found p, const void *x, const T *data, const int32_t *work,
                                   int32_t *found, T *values)
{
    __shared__ int counts[WARPS];
    const long long end = tile_end(p);
    long long to = work[blockIdx.x];
    for (long long i = (long long)blockIdx.x * GPU_FOUND_TILE; i < end; i += FOUND_BLOCK) {
        const long long at = i + threadIdx.x;
        const bool yes = is_set(p, x, at, end);
        int all;
        const long long rank = to + rank_of(yes, counts, &all);
        if (yes) found[1 + rank] = (int32_t)at;
        if (yes && p.data_bytes) values[rank] = data[at];
        to += all;
    }
}

template <typename T>
static int launch(const struct gpu_found *p, const void *x, const void *data, int32_t *found, void *values, void *work,
                  void *stream)
{
    const unsigned tiles = gpu_blocks(p->n, GPU_FOUND_TILE);
    if (tiles) REEL_LAUNCH(count_tiles, tiles, FOUND_BLOCK, 0, stream, *p, x, (int32_t *)work);
    REEL_LAUNCH(add_up, 1, FOUND_BLOCK, 0, stream, (int32_t *)work, (int)tiles, found);
    if (tiles)
        REEL_LAUNCH((write_tiles<T>), tiles, FOUND_BLOCK, 0, stream, *p, x, (const T *)data, (const int32_t *)work,
                    found, (T *)values);
    return cudaGetLastError();
}

extern "C" int gpu_found(const struct gpu_found *p, const void *x, const void *data, int32_t *found, void *values,
                         void *work, void *stream)
{
    if (p->n < 0 || p->n > GPU_FOUND_MOST) return cudaErrorInvalidValue;
    switch (p->data_bytes) {
    case 0:
    case 1:
        return launch<uint8_t>(p, x, data, found, values, work, stream);
    case 2:
        return launch<uint16_t>(p, x, data, found, values, work, stream);
    case 4:
        return launch<uint32_t>(p, x, data, found, values, work, stream);
    case 8:
        return launch<uint64_t>(p, x, data, found, values, work, stream);
    default:
        return cudaErrorInvalidValue;
    }
}
