// SPDX-License-Identifier: MIT
//
// Convolutions for which cuDNN has no tensor-core engine (depthwise ones, and groups of few channels), a
// plain convolution for everything that cuDNN refuses, and matrix products in the same way. See ops.h;
// their plain C twins are in conv_ref.c.
#include "kernels/gpu/chain.cuh"
#include "kernels/gpu/conv_few.cuh"
#include "kernels/gpu/conv_way.h"

// ---- depthwise --------------------------------------------------------------------------
//
// A thread computes V channels of one output pixel. Neighbouring threads share
// rows of the input through the caches; it is bound by memory, not arithmetic.

template <typename T, int V>
static __global__ void depthwise(const struct gpu_conv p, const T *x, const T *w, const struct gpu_pointers operand,
                                 T *y, long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int per_pixel = p.y_pitch / V, c = (int)(i % per_pixel) * V;
    const long long pixel = i / per_pixel;
    const int px = (int)(pixel % p.q), py = (int)(pixel / p.q % p.p);
    const long long n = pixel / p.q / p.p;
    const int y0 = py * p.stride_h - p.pad_top, x0 = px * p.stride_w - p.pad_left;
    float acc[V];
#pragma unroll
    for (int k = 0; k < V; k++) acc[k] = 0;
    for (int r = 0; r < p.r; r++) {
        const int iy = y0 + r * p.dilation_h;
        if (iy < 0 || iy >= p.h) continue;
        for (int s = 0; s < p.s; s++) {
            const int ix = x0 + s * p.dilation_w;
            if (ix < 0 || ix >= p.w) continue;
            float a[V], b[V];
            gpu_load_vec<T, V>(x + ((n * p.h + iy) * p.w + ix) * p.x_pitch + c, a);
            gpu_load_vec<T, V>(w + (long long)(r * p.s + s) * p.y_pitch + c, b);
#pragma unroll
            for (int k = 0; k < V; k++) acc[k] += a[k] * b[k];
        }
    }
    gpu_chain_apply<T, V>(p.chain, 0, operand, acc, n, pixel, c, p.y_pitch);
#pragma unroll
    for (int k = 0; k < V; k++)
        if (c + k >= p.k) acc[k] = 0;
    gpu_store_vec<T, V>(y + pixel * p.y_pitch + c, acc);
}

template <typename T, int V>
static void launch_depthwise(const struct gpu_conv *p, const T *x, const T *w, const struct gpu_pointers operand, T *y,
                             void *stream)
{
    const long long count = (long long)p->n * p->p * p->q * (p->y_pitch / V);
    REEL_LAUNCH((depthwise<T, V>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, w, operand, y, count);
}

extern "C" int gpu_depthwise(const struct gpu_conv *p, const void *x, const void *w, const void *const *operand,
                             void *y, void *stream)
{
    const struct gpu_pointers o = gpu_pointers_of(&p->chain, operand);
    if (p->x_pitch != p->y_pitch) return cudaErrorInvalidValue;
    GPU_BY_ELEM(p->elem, const int v = 16 / (int)sizeof(T);
                if (p->y_pitch % v == 0 && gpu_aligned(x, 16) && gpu_aligned(y, 16) && gpu_aligned(w, 16))
                    launch_depthwise<T, 16 / (int)sizeof(T)>(p, (const T *)x, (const T *)w, o, (T *)y, stream);
                else launch_depthwise<T, 1>(p, (const T *)x, (const T *)w, o, (T *)y, stream));
    return cudaGetLastError();
}

// ---- any convolution ---------------------------------------------------------------------

template <typename T>
static __device__ float conv_sum(const struct gpu_conv &p, const T *x, const T *w, long long n, int py, int px, int k)
{
    const int cg = p.c / p.groups, kg = p.k / p.groups, g = k / kg;
    float acc = 0;
    for (int r = 0; r < p.r; r++) {
        const int iy = py * p.stride_h - p.pad_top + r * p.dilation_h;
        if (iy < 0 || iy >= p.h) continue;
        for (int s = 0; s < p.s; s++) {
            const int ix = px * p.stride_w - p.pad_left + s * p.dilation_w;
            if (ix < 0 || ix >= p.w) continue;
            const T *in = x + ((n * p.h + iy) * p.w + ix) * p.x_pitch + g * cg;
            const T *wk = w + (((long long)k * p.r + r) * p.s + s) * cg;
            for (int c = 0; c < cg; c++) acc += gpu_load(in + c) * gpu_load(wk + c);
        }
    }
    return acc;
}

// Output (py,px) of a transposed convolution sums all inputs that reach it.
template <typename T>
static __device__ float deconv_sum(const struct gpu_conv &p, const T *x, const T *w, long long n, int py, int px, int k)
{
    const int cg = p.c / p.groups, kg = p.k / p.groups, g = k / kg;
    float acc = 0;
    for (int r = 0; r < p.r; r++) {
        const int ty = py + p.pad_top - r * p.dilation_h, iy = ty / p.stride_h;
        if (ty < 0 || ty % p.stride_h || iy >= p.h) continue;
        for (int s = 0; s < p.s; s++) {
            const int tx = px + p.pad_left - s * p.dilation_w, ix = tx / p.stride_w;
            if (tx < 0 || tx % p.stride_w || ix >= p.w) continue;
            const T *in = x + ((n * p.h + iy) * p.w + ix) * p.x_pitch + g * cg;
            for (int c = 0; c < cg; c++)
                acc += gpu_load(in + c) * gpu_load(w + (((long long)(g * cg + c) * p.r + r) * p.s + s) * kg + k % kg);
        }
    }
    return acc;
}

template <typename T>
static __global__ void conv(const struct gpu_conv p, const T *x, const T *w, const struct gpu_pointers operand, T *y,
                            long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int k = (int)(i % p.y_lanes);
    const long long pixel = i / p.y_lanes, n = pixel / p.q / p.p;
    float v = 0;
    if (k < p.k) {
        const int py = (int)(pixel / p.q % p.p), px = (int)(pixel % p.q);
        v = p.transposed ? deconv_sum(p, x, w, n, py, px, k) : conv_sum(p, x, w, n, py, px, k);
        gpu_chain_apply<T, 1>(p.chain, 0, operand, &v, n, pixel, k, p.y_pitch);
    }
    gpu_store(&y[pixel * p.y_pitch + k], v);
}

extern "C" int gpu_conv(const struct gpu_conv *p, const void *x, const void *w, const void *const *operand, void *y,
                        void *stream)
{
    const struct gpu_pointers o = gpu_pointers_of(&p->chain, operand);
    const long long count = (long long)p->n * p->p * p->q * p->y_lanes;
    if (!count) return cudaSuccess;
    if (p->x_f8) return cudaErrorInvalidValue;
    const enum gpu_conv_way way = gpu_conv_way_of(p);
    if (way == GPU_CONV_FEW_IN && gpu_conv_few_in_fits(p, y)) return gpu_conv_few_in(p, x, w, o, y, stream);
    if (way == GPU_CONV_FEW_OUT && gpu_conv_few_out_fits(p, x, w)) return gpu_conv_few_out(p, x, w, o, y, stream);
    if (gpu_conv_few_fits(p, y)) return gpu_conv_few(p, x, w, o, y, stream);
    GPU_BY_ELEM(p->elem, REEL_LAUNCH((conv<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, (const T *)x,
                                     (const T *)w, o, (T *)y, count));
    return cudaGetLastError();
}

// ---- matrix product ------------------------------------------------------------------------

#define TILE 16

// Rows lie along the grid's first axis, which may have 2^31 blocks.
static __global__ void matmul(const struct gpu_matmul p, const void *x, const void *w,
                              const struct gpu_pointers operand, void *y, unsigned tiles_k)
{
    __shared__ float xs[TILE][TILE + 1], ws[TILE][TILE + 1];
    const int m = (int)(blockIdx.x * TILE + threadIdx.y);
    for (long long b = blockIdx.z; b < p.batches; b += gridDim.z)
        for (unsigned tile = blockIdx.y; tile < tiles_k; tile += gridDim.y) {
            const long long k = (long long)tile * TILE + threadIdx.x;
            float acc = 0;
            for (int c0 = 0; c0 < p.c; c0 += TILE) {
                const int xc = c0 + (int)threadIdx.x, wc = c0 + (int)threadIdx.y;
                xs[threadIdx.y][threadIdx.x] =
                    m < p.m && xc < p.c ? gpu_any_load(p.x_elem, x, b * p.x_batch + m * p.x_row + xc * p.x_col) : 0;
                ws[threadIdx.y][threadIdx.x] =
                    k < p.k && wc < p.c ? gpu_any_load(p.w_elem, w, b * p.w_batch + wc * p.w_row + k * p.w_col) : 0;
                __syncthreads();
#pragma unroll
                for (int c = 0; c < TILE; c++) acc += xs[threadIdx.y][c] * ws[c][threadIdx.x];
                __syncthreads();
            }
            if (m >= p.m || k >= p.k) continue;
            acc *= p.alpha;
            gpu_chain_apply<float, 1>(p.chain, 0, operand, &acc, b, b * p.m + m, (int)k, p.k);
            gpu_any_store(p.y_elem, y, b * p.y_batch + (long long)m * p.k + k, acc);
        }
}

extern "C" int gpu_matmul(const struct gpu_matmul *p, const void *x, const void *w, const void *const *operand, void *y,
                          void *stream)
{
    const struct gpu_pointers o = gpu_pointers_of(&p->chain, operand);
    const unsigned tiles_k = gpu_blocks(p->k, TILE);
    const dim3 grid(gpu_blocks(p->m, TILE), tiles_k < GPU_GRID_MOST ? tiles_k : GPU_GRID_MOST,
                    (unsigned)(p->batches < GPU_GRID_MOST ? p->batches : GPU_GRID_MOST));
    REEL_LAUNCH(matmul, grid, dim3(TILE, TILE), 0, stream, *p, x, w, o, y, tiles_k);
    return cudaGetLastError();
}
