// SPDX-License-Identifier: MIT
//
// The kernels of attention.h; their plain C twins are in attention_ref.c. One block works on each row of
// scores; maxima and sums are computed as trees, in a fixed order.
#include "kernels/gpu/chain.cuh"

#define GPU_LOAD(elem, p, i) gpu_any_load(elem, p, i)
#include "kernels/gpu/attention_math.h"

#ifdef REEL_CUDA_CPU
#define ROW_BLOCK 32
#else
#define ROW_BLOCK 128
#endif

static __device__ float join(float v, bool largest, float *scratch)
{
    const int t = (int)threadIdx.x;
    scratch[t] = v;
    __syncthreads();
    for (int d = ROW_BLOCK / 2; d; d >>= 1) {
        if (t < d) scratch[t] = largest ? fmaxf(scratch[t], scratch[t + d]) : scratch[t] + scratch[t + d];
        __syncthreads();
    }
    v = scratch[0];
    __syncthreads();
    return v;
}

static __global__ void attention(const struct gpu_attention p, void *scores, const void *mask, const int64_t *valid)
{
    __shared__ float scratch[ROW_BLOCK];
    const struct gpu_attention_row r = gpu_attention_row_of(&p, valid, blockIdx.x);
    float top = -INFINITY, sum = 0;
    for (int j = (int)threadIdx.x; p.scores && j < p.span.columns; j += ROW_BLOCK)
        gpu_any_store(p.elem, scores, r.at + j, gpu_attention_score(&p, &r, scores, mask, j));
    if (p.scores) return;
    for (int j = (int)threadIdx.x; j < p.span.columns; j += ROW_BLOCK)
        top = fmaxf(top, gpu_attention_score(&p, &r, scores, mask, j));
    top = join(top, true, scratch);
    for (int j = (int)threadIdx.x; j < p.span.columns && top != -INFINITY; j += ROW_BLOCK)
        sum += expf(gpu_attention_score(&p, &r, scores, mask, j) - top);
    sum = join(sum, false, scratch);
    for (int j = (int)threadIdx.x; j < p.span.columns; j += ROW_BLOCK) {
        const float v = gpu_attention_score(&p, &r, scores, mask, j);
        gpu_any_store(p.elem, scores, r.at + j, top == -INFINITY ? 0.0f : expf(v - top) / sum);
    }
}

extern "C" int gpu_attention(const struct gpu_attention *p, void *scores, const void *mask, const int64_t *valid,
                             void *stream)
{
    const long long rows = (long long)p->batch * p->heads * p->span.rows;
    if (!rows || !p->span.columns) return cudaSuccess;
    if (rows > 0x7fffffff) return cudaErrorInvalidValue;
    REEL_LAUNCH(attention, (unsigned)rows, ROW_BLOCK, 0, stream, *p, scores, mask, valid);
    return cudaGetLastError();
}

static __global__ void rotary(const struct gpu_rotary p, const void *x, const void *cosine, const void *sine,
                              const int64_t *position, void *y, long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) gpu_any_store(p.elem, y, i, gpu_rotary_value(&p, x, cosine, sine, position, i));
}

extern "C" int gpu_rotary(const struct gpu_rotary *p, const void *x, const void *cosine, const void *sine,
                          const int64_t *position, void *y, void *stream)
{
    const long long count = (long long)p->batch * p->heads * p->length * p->dim;
    if (!count) return cudaSuccess;
    REEL_LAUNCH(rotary, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, cosine, sine, position, y, count);
    return cudaGetLastError();
}
