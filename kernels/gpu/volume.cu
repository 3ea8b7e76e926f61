// SPDX-License-Identifier: MIT
//
// The kernels of volume.h; the twin is in volume_ref.c. Depthwise: a thread computes V
// channels of one pixel, bound by memory; others: a thread a number.
#include "kernels/gpu/chain.cuh"
#include "kernels/gpu/volume.h"

// The position in x for tap t of y's position i; -1: there is none.
static __device__ __forceinline__ int source(const struct gpu_volume_axis &a, bool transposed, int i, int t)
{
    if (!transposed) {
        const int at = i * a.stride - a.before + t * a.dilation;
        return at < a.in ? at : -1; // a negative position means none as well
    }
    const int at = i + a.before - t * a.dilation, from = at / a.stride;
    return at >= 0 && from * a.stride == at && from < a.in ? from : -1;
}

struct volume_pixel {
    long long n;
    int z, r, s;
};

static __device__ __forceinline__ volume_pixel pixel_of(const struct gpu_volume &p, long long pixel)
{
    volume_pixel o;
    o.s = (int)(pixel % p.axis[2].out), pixel /= p.axis[2].out;
    o.r = (int)(pixel % p.axis[1].out), pixel /= p.axis[1].out;
    o.z = (int)(pixel % p.axis[0].out), o.n = pixel / p.axis[0].out;
    return o;
}

template <typename T, int V>
static __global__ void volume_depthwise(const struct gpu_volume p, const T *x, const T *w,
                                        const struct gpu_pointers operand, T *y, long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int per_pixel = p.y_pitch / V, c = (int)(i % per_pixel) * V;
    const long long pixel = i / per_pixel;
    const volume_pixel o = pixel_of(p, pixel);
    float acc[V];
#pragma unroll
    for (int k = 0; k < V; k++) acc[k] = 0;
    for (int d = 0; d < p.axis[0].size; d++) {
        const int z = source(p.axis[0], false, o.z, d);
        for (int r = 0; r < p.axis[1].size && z >= 0; r++) {
            const int row = source(p.axis[1], false, o.r, r);
            for (int s = 0; s < p.axis[2].size && row >= 0; s++) {
                const int column = source(p.axis[2], false, o.s, s);
                if (column < 0) continue;
                const long long at = ((o.n * p.axis[0].in + z) * p.axis[1].in + row) * p.axis[2].in + column;
                const long long tap = (long long)(d * p.axis[1].size + r) * p.axis[2].size + s;
                float a[V], b[V];
                gpu_load_vec<T, V>(x + at * p.x_pitch + c, a);
                gpu_load_vec<T, V>(w + tap * p.y_pitch + c, b);
#pragma unroll
                for (int k = 0; k < V; k++) acc[k] += a[k] * b[k];
            }
        }
    }
    gpu_chain_apply<T, V>(p.chain, 0, operand, acc, o.n, pixel, c, p.y_pitch);
#pragma unroll
    for (int k = 0; k < V; k++)
        if (c + k >= p.k) acc[k] = 0;
    gpu_store_vec<T, V>(y + pixel * p.y_pitch + c, acc);
}

template <typename T>
static __device__ float volume_sum(const struct gpu_volume &p, const T *x, const T *w, const volume_pixel &o, int k)
{
    const int cg = p.c / p.groups, kg = p.k / p.groups, g = k / kg;
    const long long taps = (long long)p.axis[0].size * p.axis[1].size * p.axis[2].size;
    float acc = 0;
    for (int d = 0; d < p.axis[0].size; d++) {
        const int z = source(p.axis[0], p.transposed, o.z, d);
        for (int r = 0; r < p.axis[1].size && z >= 0; r++) {
            const int row = source(p.axis[1], p.transposed, o.r, r);
            for (int s = 0; s < p.axis[2].size && row >= 0; s++) {
                const int column = source(p.axis[2], p.transposed, o.s, s);
                if (column < 0) continue;
                const long long at = ((o.n * p.axis[0].in + z) * p.axis[1].in + row) * p.axis[2].in + column;
                const long long tap = (long long)(d * p.axis[1].size + r) * p.axis[2].size + s;
                const T *in = x + at * p.x_pitch + g * cg;
                const T *wk =
                    p.transposed ? w + (((long long)g * cg) * taps + tap) * kg + k % kg : w + (k * taps + tap) * cg;
                const long long step = p.transposed ? taps * kg : 1;
                for (int c = 0; c < cg; c++) acc += gpu_load(in + c) * gpu_load(wk + c * step);
            }
        }
    }
    return acc;
}

template <typename T>
static __global__ void volume(const struct gpu_volume p, const T *x, const T *w, const struct gpu_pointers operand,
                              T *y, long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int k = (int)(i % p.y_pitch);
    const long long pixel = i / p.y_pitch;
    float v = 0;
    if (k < p.k) {
        const volume_pixel o = pixel_of(p, pixel);
        v = volume_sum(p, x, w, o, k);
        gpu_chain_apply<T, 1>(p.chain, 0, operand, &v, o.n, pixel, k, p.y_pitch);
    }
    gpu_store(&y[i], v);
}

template <typename T, int V>
static void launch_depthwise(const struct gpu_volume *p, long long pixels, const T *x, const T *w,
                             const struct gpu_pointers operand, T *y, void *stream)
{
    const long long count = pixels * (p->y_pitch / V);
    REEL_LAUNCH((volume_depthwise<T, V>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, w, operand, y,
                count);
}

extern "C" int gpu_volume(const struct gpu_volume *p, const void *x, const void *w, const void *const *operand, void *y,
                          void *stream)
{
    const struct gpu_pointers o = gpu_pointers_of(&p->chain, operand);
    const long long pixels = (long long)p->n * p->axis[0].out * p->axis[1].out * p->axis[2].out;
    const long long count = pixels * p->y_pitch;
    if (!count) return cudaSuccess;
    if (p->depthwise && (p->x_pitch != p->y_pitch || p->transposed)) return cudaErrorInvalidValue;
    GPU_BY_ELEM(p->elem, const int v = 16 / (int)sizeof(T);
                if (!p->depthwise) REEL_LAUNCH((volume<T>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p,
                                               (const T *)x, (const T *)w, o, (T *)y, count);
                else if (p->y_pitch % v == 0 && gpu_aligned(x, 16) && gpu_aligned(y, 16) && gpu_aligned(w, 16))
                    launch_depthwise<T, 16 / (int)sizeof(T)>(p, pixels, (const T *)x, (const T *)w, o, (T *)y, stream);
                else launch_depthwise<T, 1>(p, pixels, (const T *)x, (const T *)w, o, (T *)y, stream));
    return cudaGetLastError();
}
