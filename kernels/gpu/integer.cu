// SPDX-License-Identifier: MIT
//
// The kernel of integer.h. Each thread computes one element; the operator and the types are the same for a
// whole grid.
#include "kernels/gpu/chain.cuh"

#define GPU_LOAD(elem, p, i) gpu_any_load_call(elem, p, i)
#define GPU_STORE(elem, p, i, v) gpu_any_store_call(elem, p, i, v)
#include "kernels/gpu/integer_math.h"

static __global__ void integer(const struct gpu_integer p, const void *a, const void *b, const void *c, void *y)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < p.count) gpu_integer_element(&p, a, b, c, y, i);
}

extern "C" int gpu_integer(const struct gpu_integer *p, const void *const *in, void *y, void *stream)
{
    if (!p->count) return cudaSuccess;
    if (p->count > 0x7fffffff) return cudaErrorInvalidValue;
    REEL_LAUNCH(integer, gpu_blocks(p->count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, in[0], in[1], in[2], y);
    return cudaGetLastError();
}
