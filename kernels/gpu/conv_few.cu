// SPDX-License-Identifier: MIT
//
// Convolutions of pictures: 1 to 4 input channels, few taps, without tensor cores: in
// float32, on GPUs before sm_80, and what conv_few_in.cu does not take. cuDNN wants
// channels in eights, so that half of its work there would be zeros and more, and takes
// a PReLU behind it only into slow kernels (measured on an H200, 3 -> 64 channels, 3x3
// at 540p in fp16: 161 us fused; the bare convolution 69 us, and 31 us for a PReLU of
// its own). Here the epilogue is in the kernel, and padding lanes are neither read nor
// multiplied. gpu_conv() comes here where gpu_conv_way_of() says so; the twin is
// gpu_conv_ref().
#include "kernels/gpu/chain.cuh"
#include "kernels/gpu/conv_few.cuh"
#include "kernels/gpu/conv_way.h"

// A thread computes KV channels of PIXELS pixels of a row, `apart` from each other.
// Threads beside each other have the other channels of a pixel, then those of the
// next: loads of x are one or lie side by side (with a thread's pixels side by side
// instead, an H200's L1 was the bound: 143 us for 5x5, 1 -> 4 channels at 1080p),
// stores too. Weights lie in shared memory as float, (tap, channel, k).
#define PIXELS 4

// How many pixels neighbouring threads have together.
static __host__ __device__ __forceinline__ int apart_of(int k_groups)
{
    return k_groups >= 4 ? 8 : 32 / k_groups;
}

template <typename T, int C> static __device__ __forceinline__ void load_pixel(const T *x, bool vector, float *out)
{
    if (C > 1 && vector) {
        float v[4];
        gpu_load_vec<T, 4>(x, v);
#pragma unroll
        for (int c = 0; c < C; c++) out[c] = v[c];
        return;
    }
#pragma unroll
    for (int c = 0; c < C; c++) out[c] = gpu_load(x + c);
}

// Adds one tap to PIXELS sums; w points at the tap's first channel and the thread's first k.
template <typename T, int C, int KV>
static __device__ __forceinline__ void add_tap(const struct gpu_conv &p, const T *row, int x0, int step, bool vector,
                                               const float *w, int k_lanes, float acc[PIXELS][KV])
{
    float a[PIXELS][C];
#pragma unroll
    for (int j = 0; j < PIXELS; j++) {
        const int ix = x0 + j * step;
#pragma unroll
        for (int c = 0; c < C; c++) a[j][c] = 0;
        if (ix >= 0 && ix < p.w) load_pixel<T, C>(row + ix * p.x_pitch, vector, a[j]);
    }
#pragma unroll
    for (int c = 0; c < C; c++) {
        float b[KV];
        gpu_load_vec<float, 4>(w + c * k_lanes, b);
        if (KV == 8) gpu_load_vec<float, 4>(w + c * k_lanes + 4, b + KV - 4);
#pragma unroll
        for (int j = 0; j < PIXELS; j++)
#pragma unroll
            for (int k = 0; k < KV; k++) acc[j][k] += a[j][c] * b[k];
    }
}

template <typename T, int C, int KV>
static __global__ void conv_few(const struct gpu_conv p, const T *x, const T *w, const struct gpu_pointers operand,
                                T *y, unsigned count, bool vector)
{
    REEL_SHARED(float, ws);
    const int taps = p.r * p.s;
    for (int i = (int)threadIdx.x; i < taps * C * p.y_lanes; i += (int)blockDim.x) {
        const int k = i % p.y_lanes, c = i / p.y_lanes % C, tap = i / p.y_lanes / C;
        ws[i] = k < p.k ? gpu_load(w + ((long long)k * taps + tap) * p.c + c) : 0.0f;
    }
    __syncthreads();
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const unsigned k_groups = (unsigned)p.y_lanes / KV, apart = (unsigned)apart_of((int)k_groups);
    const unsigned x_groups = ((unsigned)p.q + PIXELS * apart - 1) / (PIXELS * apart);
    const int k0 = (int)(i % k_groups) * KV;
    i /= k_groups;
    const unsigned beside = i % apart;
    i /= apart;
    const int px = (int)(i % x_groups * PIXELS * apart + beside);
    i /= x_groups;
    const int py = (int)(i % (unsigned)p.p);
    const long long n = i / (unsigned)p.p;
    float acc[PIXELS][KV];
#pragma unroll
    for (int j = 0; j < PIXELS; j++)
#pragma unroll
        for (int k = 0; k < KV; k++) acc[j][k] = 0;
    for (int r = 0; r < p.r; r++) {
        const int iy = py * p.stride_h - p.pad_top + r * p.dilation_h;
        if (iy < 0 || iy >= p.h) continue;
        const T *row = x + (n * p.h + iy) * p.w * p.x_pitch;
        for (int s = 0; s < p.s; s++)
            add_tap<T, C, KV>(p, row, px * p.stride_w - p.pad_left + s * p.dilation_w, (int)apart * p.stride_w, vector,
                              ws + (r * p.s + s) * C * p.y_lanes + k0, p.y_lanes, acc);
    }
    const long long pixel = (n * p.p + py) * p.q + px;
#pragma unroll
    for (int j = 0; j < PIXELS; j++) {
        const int beyond = j * (int)apart;
        if (px + beyond >= p.q) break;
        gpu_chain_apply<T, KV>(p.chain, 0, operand, acc[j], n, pixel + beyond, k0, p.y_pitch);
#pragma unroll
        for (int k = 0; k < KV; k++)
            if (k0 + k >= p.k) acc[j][k] = 0;
        gpu_store_vec<T, KV>(y + (pixel + beyond) * p.y_pitch + k0, acc[j]);
    }
}

static long long threads_of(const struct gpu_conv *p, int kv)
{
    const int k_groups = p->y_lanes / kv, apart = apart_of(k_groups);
    return (long long)p->n * p->p * gpu_blocks(p->q, PIXELS * apart) * apart * k_groups;
}

template <typename T, int C, int KV>
static int launch(const struct gpu_conv *p, const T *x, const T *w, const struct gpu_pointers operand, T *y,
                  void *stream)
{
    const long long count = threads_of(p, KV);
    const size_t shared = sizeof(float) * (size_t)(p->r * p->s * C * p->y_lanes);
    const bool vector = p->x_pitch % 4 == 0 && gpu_aligned(x, 4 * sizeof(T));
    REEL_LAUNCH((conv_few<T, C, KV>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, shared, stream, *p, x, w, operand, y,
                (unsigned)count, vector);
    return cudaGetLastError();
}

template <typename T, int KV>
static int by_channels(const struct gpu_conv *p, const T *x, const T *w, const struct gpu_pointers operand, T *y,
                       void *stream)
{
    switch (p->c_used) {
    case 1:
        return launch<T, 1, KV>(p, x, w, operand, y, stream);
    case 2:
        return launch<T, 2, KV>(p, x, w, operand, y, stream);
    case 3:
        return launch<T, 3, KV>(p, x, w, operand, y, stream);
    default:
        return launch<T, 4, KV>(p, x, w, operand, y, stream);
    }
}

bool gpu_conv_few_fits(const struct gpu_conv *p, const void *y)
{
    const size_t bytes = gpu_elem_bytes((enum gpu_elem)p->elem);
    return gpu_conv_is_picture(p) && p->y_lanes <= GPU_FEW_RESULTS && gpu_aligned(y, 4 * bytes) &&
           threads_of(p, 4) < 0xffff0000ll && (long long)p->w * p->x_pitch < 0x7fffffff;
}

int gpu_conv_few(const struct gpu_conv *p, const void *x, const void *w, const struct gpu_pointers &operand, void *y,
                 void *stream)
{
    GPU_BY_ELEM(p->elem, if (p->y_lanes % 8 == 0 && p->y_pitch % 8 == 0 &&
                             gpu_aligned(y, 8 * sizeof(T))) return by_channels<T, 8>(p, (const T *)x, (const T *)w,
                                                                                     operand, (T *)y, stream);
                return by_channels<T, 4>(p, (const T *)x, (const T *)w, operand, (T *)y, stream));
    return cudaErrorInvalidValue;
}
