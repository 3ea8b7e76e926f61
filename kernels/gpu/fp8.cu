// SPDX-License-Identifier: MIT
//
// Converts images to e4m3. See fp8.h; the plain C twin is in fp8_ref.c. Memory bounds it: three bytes move
// for each number of an fp16 source.
#include "kernels/gpu/fp8.h"

#include "kernels/gpu/chain.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#include <cuda_fp8.h>
#define HARDWARE_F8 1
#endif

#define LANES 16 // numbers of a thread: 16 bytes of the result

static __device__ __forceinline__ uint8_t f8_of(float v)
{
#ifdef HARDWARE_F8
    return (uint8_t)__nv_cvt_float_to_fp8(v, __NV_SATFINITE, __NV_E4M3);
#else
    return gpu_f8_of(v);
#endif
}

struct __align__(16) codes
{
    uint8_t v[LANES];
};

template <typename T>
static __global__ void quantise(const T *x, uint8_t *y, long long count, gpu_divisor per_pixel, int x_pitch,
                                float scale)
{
    const int V = 16 / (int)sizeof(T);
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const long long pixel = gpu_quotient(i, per_pixel);
    const T *from = x + pixel * x_pitch + (i - pixel * per_pixel.by) * LANES;
    codes out;
#pragma unroll
    for (int k = 0; k < LANES; k += V) {
        float v[V];
        gpu_load_vec<T, V>(from + k, v);
#pragma unroll
        for (int j = 0; j < V; j++) out.v[k + j] = f8_of(v[j] * scale);
    }
    *(codes *)(y + i * LANES) = out;
}

extern "C" int gpu_quantise(const struct gpu_quantise *p, const void *x, void *y, void *stream)
{
    const long long count = p->pixels * (p->channels / LANES);
    if (p->channels % LANES || p->x_pitch < p->channels) return cudaErrorInvalidValue;
    if (!count) return cudaSuccess;
    GPU_BY_ELEM(
        p->elem,
        if (!gpu_aligned(x, 16) || !gpu_aligned(y, 16) || p->x_pitch * sizeof(T) % 16) return cudaErrorInvalidValue;
        REEL_LAUNCH((quantise<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, (const T *)x, (uint8_t *)y,
                    count, gpu_divisor_of((unsigned)(p->channels / LANES)), p->x_pitch, p->scale));
    return cudaGetLastError();
}
