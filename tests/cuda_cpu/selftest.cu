// SPDX-License-Identifier: MIT
//
// Kernels that use every part of the CPU form (tests/unit/kernels/test_cuda_cpu.c).
#include "kernels/gpu/mma.cuh"
#include "tests/cuda_cpu/selftest.h"

template <typename T, int ADD> static __global__ void scale(const T *x, T *y, int n, float factor)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) gpu_store(&y[i], gpu_load(&x[i]) * factor + ADD);
}

extern "C" int selftest_scale_f16(const uint16_t *x, uint16_t *y, int n, float factor, void *stream)
{
    REEL_LAUNCH((scale<__half, 1>), gpu_blocks(n, 64), 64, 0, stream, (const __half *)x, (__half *)y, n, factor);
    return cudaGetLastError();
}

// Sums a row: threads in strides, warps by shuffles, the block by shared memory.
static __global__ void sum_rows(const float *x, float *sums, int columns, unsigned *rows_done)
{
    REEL_SHARED(float, partial);
    float sum = 0;
    for (int i = (int)threadIdx.x; i < columns; i += (int)blockDim.x) sum += x[(size_t)blockIdx.x * columns + i];
    for (int d = 16; d; d >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, d);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x >= 32) return;
    sum = threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : 0;
    for (int d = 16; d; d >>= 1) sum += __shfl_down_sync(0xffffffffu, sum, d);
    if (threadIdx.x) return;
    sums[blockIdx.x] = sum;
    atomicAdd(rows_done, 1u);
}

extern "C" int selftest_sum_rows(const float *x, float *sums, int rows, int columns, unsigned *rows_done, void *stream)
{
    REEL_LAUNCH(sum_rows, (unsigned)rows, 128, 4 * sizeof(float), stream, x, sums, columns, rows_done);
    return cudaGetLastError();
}

#define TILE 16

static __global__ void transpose(const float *x, float *y, int w, int h)
{
    __shared__ float tile[TILE][TILE + 1];
    int i = (int)(blockIdx.x * TILE + threadIdx.x), j = (int)(blockIdx.y * TILE + threadIdx.y);
    if (i < w && j < h) tile[threadIdx.y][threadIdx.x] = x[(size_t)j * w + i];
    __syncthreads();
    i = (int)(blockIdx.y * TILE + threadIdx.x), j = (int)(blockIdx.x * TILE + threadIdx.y);
    if (i < h && j < w) y[(size_t)j * h + i] = tile[threadIdx.x][threadIdx.y];
}

extern "C" int selftest_transpose(const float *x, float *y, int w, int h, void *stream)
{
    REEL_LAUNCH(transpose, dim3(gpu_blocks(w, TILE), gpu_blocks(h, TILE)), dim3(TILE, TILE), 0, stream, x, y, w, h);
    return cudaGetLastError();
}

static __global__ void divergent(void)
{
    if (threadIdx.x % 2)
        __syncthreads();
    else
        __syncwarp();
}

extern "C" int selftest_divergent(void *stream)
{
    REEL_LAUNCH(divergent, 1, 32, 0, stream);
    return cudaGetLastError();
}

extern "C" int selftest_too_large(void *stream)
{
    REEL_LAUNCH(divergent, 1, 2048, 0, stream);
    return cudaGetLastError();
}

template <typename T> static __global__ void mma(const uint16_t *a, const uint16_t *b, float *d)
{
    const int group = (int)threadIdx.x / 4, t = (int)threadIdx.x % 4;
    uint32_t wa[4], wb[2];
    for (int i = 0; i < 4; i++) {
        const int at = (group + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
        wa[i] = a[at] | (uint32_t)a[at + 1] << 16;
    }
    for (int i = 0; i < 2; i++) {
        const int at = (2 * t + 8 * i) * 8 + group;
        wb[i] = b[at] | (uint32_t)b[at + 8] << 16;
    }
    float *const low = d + group * 8 + 2 * t, *const high = low + 64;
    gpu_mma<T>(wa, wb[0], wb[1], low[0], low[1], high[0], high[1]);
    gpu_mma<T>(wa, wb[0], wb[1], low[0], low[1], high[0], high[1]); // once more: parts are not mixed up
}

extern "C" int selftest_mma(const uint16_t *a, const uint16_t *b, float *d, int bf16, void *stream)
{
    if (bf16)
        REEL_LAUNCH(mma<__nv_bfloat16>, 1, 32, 0, stream, a, b, d);
    else
        REEL_LAUNCH(mma<__half>, 1, 32, 0, stream, a, b, d);
    return cudaGetLastError();
}

static __global__ void mma_missing(void)
{
    uint32_t a[4] = {};
    float c[4] = {};
    if (threadIdx.x != 5) gpu_mma<__half>(a, 0, 0, c[0], c[1], c[2], c[3]);
}

extern "C" int selftest_mma_missing(void *stream)
{
    REEL_LAUNCH(mma_missing, 1, 32, 0, stream);
    return cudaGetLastError();
}

static __global__ void divide(const uint32_t *x, long long *y, int n, gpu_divisor by, int wide)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) y[i] = wide ? gpu_quotient(x[i] + (1ll << 32), by) : (long long)gpu_quotient((unsigned)x[i], by);
}

extern "C" int selftest_divide(const uint32_t *x, long long *y, int n, uint32_t by, int wide, void *stream)
{
    REEL_LAUNCH(divide, gpu_blocks(n, GPU_BLOCK), GPU_BLOCK, 0, stream, x, y, n, gpu_divisor_of(by), wide);
    return cudaGetLastError();
}
