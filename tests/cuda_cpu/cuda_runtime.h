// SPDX-License-Identifier: MIT
//
// Stands in for CUDA's header of this name when g++ compiles a .cu file for the
// CPU (tests only): the part of the language and of the runtime API that the
// files in kernels/ use. Launches go through REEL_LAUNCH (kernels/gpu/common.cuh).
#ifndef REEL_TESTS_CUDA_CPU_CUDA_RUNTIME_H
#define REEL_TESTS_CUDA_CPU_CUDA_RUNTIME_H

#define REEL_CUDA_CPU 1

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/cuda_cpu/fibers.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

#define threadIdx cuda_cpu_thread
#define blockIdx cuda_cpu_block
#define blockDim cuda_cpu_block_size
#define gridDim cuda_cpu_grid_size
#define warpSize 32

#define CUDA_CPU_VECTOR(type, name)                                      \
    struct __align__(2 * sizeof(type)) name##2                           \
    {                                                                    \
        type x, y;                                                       \
    };                                                                   \
    struct name##3                                                       \
    {                                                                    \
        type x, y, z;                                                    \
    };                                                                   \
    struct __align__(4 * sizeof(type)) name##4                           \
    {                                                                    \
        type x, y, z, w;                                                 \
    };                                                                   \
    static inline name##2 make_##name##2(type x, type y)                 \
    {                                                                    \
        return name##2 {x, y};                                           \
    }                                                                    \
    static inline name##3 make_##name##3(type x, type y, type z)         \
    {                                                                    \
        return name##3 {x, y, z};                                        \
    }                                                                    \
    static inline name##4 make_##name##4(type x, type y, type z, type w) \
    {                                                                    \
        return name##4 {x, y, z, w};                                     \
    }
typedef unsigned char cuda_cpu_uchar;
typedef unsigned short cuda_cpu_ushort;
typedef unsigned int cuda_cpu_uint;
#define uchar cuda_cpu_uchar
#define ushort cuda_cpu_ushort
#define uint cuda_cpu_uint
CUDA_CPU_VECTOR(float, float)
CUDA_CPU_VECTOR(int, int)
CUDA_CPU_VECTOR(short, short)
CUDA_CPU_VECTOR(unsigned char, uchar)
CUDA_CPU_VECTOR(unsigned short, ushort)
CUDA_CPU_VECTOR(unsigned int, uint)
#undef uchar
#undef ushort
#undef uint

// ---- the runtime API --------------------------------------------------------------

typedef int cudaError_t;
typedef void *cudaStream_t;
enum { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorInvalidConfiguration = 9 };
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
static int cuda_cpu_error;

static inline cudaError_t cudaPeekAtLastError(void)
{
    return cuda_cpu_error;
}
static inline cudaError_t cudaGetLastError(void)
{
    const int error = cuda_cpu_error;
    cuda_cpu_error = cudaSuccess;
    return error;
}
static inline cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, cudaMemcpyKind, cudaStream_t)
{
    memmove(dst, src, bytes);
    return cudaSuccess;
}
static inline cudaError_t cudaMemcpy2DAsync(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                                            size_t row_bytes, size_t rows, cudaMemcpyKind, cudaStream_t)
{
    for (size_t y = 0; y < rows; y++)
        memmove((char *)dst + y * dst_pitch, (const char *)src + y * src_pitch, row_bytes);
    return cudaSuccess;
}
static inline cudaError_t cudaMemsetAsync(void *p, int byte, size_t bytes, cudaStream_t)
{
    memset(p, byte, bytes);
    return cudaSuccess;
}
enum { cudaDevAttrMultiProcessorCount = 16 };
// One multiprocessor, so that kernels come to their loops.
static inline cudaError_t cudaGetDevice(int *out)
{
    *out = 0;
    return cudaSuccess;
}
static inline cudaError_t cudaDeviceGetAttribute(int *out, int, int)
{
    *out = 1;
    return cudaSuccess;
}
template <typename F> static inline cudaError_t cudaFuncSetAttribute(F, int, int)
{
    return cudaSuccess;
}
enum { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

// A launch: the call's arguments are bound once, as a GPU copies them.
template <typename F> static inline void cuda_cpu_launch_with(dim3 grid, dim3 block, size_t shared, F f)
{
    const int error = cuda_cpu_launch(
        cuda_cpu_dim{grid.x, grid.y, grid.z}, cuda_cpu_dim{block.x, block.y, block.z}, shared,
        [](void *arg) { (*(F *)arg)(); }, &f);
    if (error) cuda_cpu_error = cudaErrorInvalidConfiguration;
}

// ---- barriers, warps, atomics -------------------------------------------------------

#define __syncthreads() cuda_cpu_sync_block()
#define __syncwarp(...) cuda_cpu_sync_warp()
#define __threadfence()
#define __threadfence_block()

template <typename T> static inline T cuda_cpu_exchange_as(T value, int lane)
{
    static_assert(sizeof(T) <= 8, "a shuffled value has at most 8 bytes");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = cuda_cpu_exchange(bits, lane);
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline int cuda_cpu_lane(void)
{
    return (int)((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32);
}
template <typename T> static inline T __shfl_sync(unsigned, T v, int lane, int width = 32)
{
    return cuda_cpu_exchange_as(v, cuda_cpu_lane() / width * width + lane % width);
}
template <typename T> static inline T __shfl_xor_sync(unsigned, T v, int mask, int width = 32)
{
    (void)width;
    return cuda_cpu_exchange_as(v, cuda_cpu_lane() ^ mask);
}
template <typename T> static inline T __shfl_down_sync(unsigned, T v, int delta, int width = 32)
{
    const int me = cuda_cpu_lane();
    return cuda_cpu_exchange_as(v, me % width + delta < width ? me + delta : me);
}
template <typename T> static inline T __shfl_up_sync(unsigned, T v, int delta, int width = 32)
{
    const int me = cuda_cpu_lane();
    return cuda_cpu_exchange_as(v, me % width >= delta ? me - delta : me);
}
static inline unsigned __ballot_sync(unsigned, int v)
{
    return cuda_cpu_ballot(v);
}
static inline int __any_sync(unsigned, int v)
{
    return cuda_cpu_ballot(v) != 0;
}
static inline int __all_sync(unsigned, int v)
{
    return cuda_cpu_ballot(!v) == 0;
}

template <typename T, typename U> static inline T atomicAdd(T *p, U v)
{
    const T old = *p;
    *p = (T)(old + (T)v);
    return old;
}
template <typename T, typename U> static inline T atomicMax(T *p, U v)
{
    const T old = *p;
    if ((T)v > old) *p = (T)v;
    return old;
}
template <typename T, typename U> static inline T atomicMin(T *p, U v)
{
    const T old = *p;
    if ((T)v < old) *p = (T)v;
    return old;
}
template <typename T, typename U> static inline T atomicOr(T *p, U v)
{
    const T old = *p;
    *p = old | (T)v;
    return old;
}
template <typename T, typename U> static inline T atomicAnd(T *p, U v)
{
    const T old = *p;
    *p = old & (T)v;
    return old;
}
template <typename T, typename U> static inline T atomicExch(T *p, U v)
{
    const T old = *p;
    *p = (T)v;
    return old;
}
template <typename T, typename U, typename V> static inline T atomicCAS(T *p, U compare, V v)
{
    const T old = *p;
    if (old == (T)compare) *p = (T)v;
    return old;
}

// ---- arithmetic -----------------------------------------------------------------------

template <typename T> static inline T __ldg(const T *p)
{
    return *p;
}
static inline int min(int a, int b)
{
    return a < b ? a : b;
}
static inline int max(int a, int b)
{
    return a > b ? a : b;
}
static inline unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}
static inline unsigned max(unsigned a, unsigned b)
{
    return a > b ? a : b;
}
static inline long long min(long long a, long long b)
{
    return a < b ? a : b;
}
static inline long long max(long long a, long long b)
{
    return a > b ? a : b;
}
static inline float min(float a, float b)
{
    return fminf(a, b);
}
static inline float max(float a, float b)
{
    return fmaxf(a, b);
}
static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}
static inline float __saturatef(float x)
{
    return x > 0 ? (x < 1 ? x : 1) : 0;
}
// glibc has functions of these names
#define __expf(x) expf(x)
#define __logf(x) logf(x)
static inline float __fdividef(float x, float y)
{
    return x / y;
}
static inline float __fadd_rn(float x, float y)
{
    return x + y;
}
static inline float __fsub_rn(float x, float y)
{
    return x - y;
}
static inline float __fmul_rn(float x, float y)
{
    return x * y;
}
static inline float __fdiv_rn(float x, float y)
{
    return x / y;
}
static inline float __fsqrt_rn(float x)
{
    return sqrtf(x);
}
static inline float __fmaf_rn(float x, float y, float z)
{
    return fmaf(x, y, z);
}
static inline double __dadd_rn(double x, double y)
{
    return x + y;
}
static inline double __dmul_rn(double x, double y)
{
    return x * y;
}
static inline int __float2int_rn(float x)
{
    return (int)rintf(x);
}
static inline int __float2int_rd(float x)
{
    return (int)floorf(x);
}
static inline int __float2int_rz(float x)
{
    return (int)x;
}
static inline unsigned __float_as_uint(float x)
{
    unsigned u;
    memcpy(&u, &x, sizeof u);
    return u;
}
static inline float __uint_as_float(unsigned u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}
static inline int __float_as_int(float x)
{
    return (int)__float_as_uint(x);
}
static inline float __int_as_float(int i)
{
    return __uint_as_float((unsigned)i);
}
static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
static inline int __clz(int x)
{
    return x ? __builtin_clz((unsigned)x) : 32;
}
static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)((unsigned long long)a * b >> 32);
}

#endif
