// SPDX-License-Identifier: MIT
//
// What every .cu file of this folder begins with: launching, shared memory and
// 16-bit loads and stores, in a form that nvcc and the CPU build of the tests
// (tests/cuda_cpu) both take. Included by .cu files only.
#ifndef REEL_KERNELS_GPU_COMMON_CUH
#define REEL_KERNELS_GPU_COMMON_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

// A launch whose error, if any, cudaGetLastError() returns. The kernel may be
// in parentheses (template arguments have commas).
#ifdef REEL_CUDA_CPU
#define REEL_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    cuda_cpu_launch_with((grid), (block), (shared_bytes), [=]() { (kernel)(__VA_ARGS__); })
#define REEL_SHARED(type, name) type *name = (type *)cuda_cpu_shared
#else
#define REEL_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    (kernel)<<<(grid), (block), (shared_bytes), (cudaStream_t)(stream)>>>(__VA_ARGS__)
#define REEL_SHARED(type, name)                                  \
    extern __shared__ __align__(16) unsigned char reel_shared[]; \
    type *name = (type *)reel_shared
#endif

#ifdef REEL_CUDA_CPU
#define GPU_NOINLINE
#else
#define GPU_NOINLINE __noinline__
#endif

// Threads in a block where nothing speaks for another number.
#define GPU_BLOCK 256

// Most blocks along the second and third side of a grid (CUDA programming guide,
// technical specifications): kernels with more to do go on in a loop. And most
// elements of a kernel that counts them in 32 bits, whose last block may reach
// beyond: more are done by several launches. Small on the CPU, so that the tests
// come there.
#ifdef REEL_CUDA_CPU
#define GPU_GRID_MOST 5
#define GPU_COUNT_MOST 600u
#else
#define GPU_GRID_MOST 65535
#define GPU_COUNT_MOST 0xffff0000u
#endif

static inline unsigned gpu_blocks(long long count, int per_block)
{
    return (unsigned)((count + per_block - 1) / per_block);
}

// Division by a number known at the launch, exact for every 32-bit dividend
// (Granlund and Montgomery 1994, figure 4.1): a GPU has no instruction for it.
struct gpu_divisor {
    unsigned by, factor, shift1, shift2;
};

static inline gpu_divisor gpu_divisor_of(unsigned by)
{
    unsigned bits = 0; // of by - 1
    while (bits < 32 && by > 1ull << bits) bits++;
    const unsigned long long factor = ((1ull << bits) - by) * (1ull << 32) / by + 1;
    return {by, (unsigned)factor, bits > 0, bits > 0 ? bits - 1 : 0};
}

static __device__ __forceinline__ unsigned gpu_quotient(unsigned n, const gpu_divisor &d)
{
    const unsigned t = __umulhi(n, d.factor);
    return (t + ((n - t) >> d.shift1)) >> d.shift2;
}

// Mostly by the above: the longer division is for tensors of 2^32 elements.
static __device__ __forceinline__ long long gpu_quotient(long long n, const gpu_divisor &d)
{
    return n >> 32 ? n / d.by : (long long)gpu_quotient((unsigned)n, d);
}

// Blocks for a kernel whose blocks go on in a loop over `count` pieces of work: all
// that the current device runs at a time, per_sm on a multiprocessor.
static inline unsigned gpu_resident_blocks(unsigned count, int per_sm)
{
    int device = 0, n = 0;
    if (cudaGetDevice(&device) || cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, device) || n < 1) n = 1;
    const unsigned most = (unsigned)(n * per_sm);
    return count < most ? count : most;
}

static __device__ __forceinline__ float gpu_load(const float *p)
{
    return *p;
}
static __device__ __forceinline__ float gpu_load(const __half *p)
{
    return __half2float(*p);
}
static __device__ __forceinline__ float gpu_load(const __nv_bfloat16 *p)
{
    return __bfloat162float(*p);
}
static __device__ __forceinline__ void gpu_store(float *p, float v)
{
    *p = v;
}
static __device__ __forceinline__ void gpu_store(__half *p, float v)
{
    *p = __float2half_rn(v);
}
static __device__ __forceinline__ void gpu_store(__nv_bfloat16 *p, float v)
{
    *p = __float2bfloat16_rn(v);
}

#endif
