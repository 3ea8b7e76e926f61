// SPDX-License-Identifier: MIT
//
// Pooling and separable resampling of NHWC images: each thread computes V channels of one output pixel. See
// ops.h; their plain C twins are in conv_ref.c.
#include "kernels/gpu/chain.cuh"

// Divisors for a thread's number: vectors a pixel, pixels a row, rows an image.
struct places {
    gpu_divisor vectors, columns, rows;
};

// Where thread i's vector lies: the number of its pixel, and its column, row and image.
static __device__ __forceinline__ long long place(const struct places &by, long long i, int *out_vector,
                                                  int *out_column, int *out_row, long long *out_image)
{
    const long long pixel = gpu_quotient(i, by.vectors), row = gpu_quotient(pixel, by.columns);
    *out_image = gpu_quotient(row, by.rows);
    *out_vector = (int)(i - pixel * by.vectors.by);
    *out_column = (int)(pixel - row * by.columns.by);
    *out_row = (int)(row - *out_image * by.rows.by);
    return pixel;
}

static struct places places_of(int vectors, int columns, int rows)
{
    return {gpu_divisor_of((unsigned)vectors), gpu_divisor_of((unsigned)columns), gpu_divisor_of((unsigned)rows)};
}

template <typename T, int V>
static __global__ void pool(const struct gpu_pool p, const struct places by, const T *x, T *y, long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int vector, column, line;
    long long n;
    const long long pixel = place(by, i, &vector, &column, &line, &n);
    const int c = vector * V, y0 = line * p.stride_h - p.pad_top, x0 = column * p.stride_w - p.pad_left;
    float acc[V];
    int counted = 0;
#pragma unroll
    for (int k = 0; k < V; k++) acc[k] = p.average ? 0 : -INFINITY;
    for (int r = 0; r < p.r; r++) {
        const int iy = y0 + r * p.dilation_h;
        for (int s = 0; s < p.s; s++) {
            const int ix = x0 + s * p.dilation_w;
            const bool inside = iy >= 0 && iy < p.h && ix >= 0 && ix < p.w;
            if (inside || (p.count_pad && iy < p.h + p.pad_bottom && ix < p.w + p.pad_right)) counted++;
            if (!inside || c >= p.c) continue;
            float v[V];
            gpu_load_vec<T, V>(x + ((n * p.h + iy) * p.w + ix) * p.x_pitch + c, v);
#pragma unroll
            for (int k = 0; k < V; k++)
                acc[k] = p.average ? acc[k] + v[k] : v[k] > acc[k] || v[k] != v[k] ? v[k] : acc[k];
        }
    }
#pragma unroll
    for (int k = 0; k < V; k++) {
        if (p.average) acc[k] = counted ? acc[k] / (float)counted : 0;
        if (c + k >= p.c) acc[k] = 0;
    }
    gpu_store_vec<T, V>(y + pixel * p.y_pitch + c, acc);
}

template <typename T, int V> static void launch_pool(const struct gpu_pool *p, const T *x, T *y, void *stream)
{
    const long long count = (long long)p->n * p->p * p->q * (p->y_pitch / V);
    REEL_LAUNCH((pool<T, V>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p,
                places_of(p->y_pitch / V, p->q, p->p), x, y, count);
}

// Vectors of 16 bytes, if both pitches are whole numbers of them.
template <typename T> static bool vectors(int x_pitch, int y_pitch, const void *x, const void *y)
{
    const int v = 16 / (int)sizeof(T);
    return x_pitch % v == 0 && y_pitch % v == 0 && x_pitch == y_pitch && gpu_aligned(x, 16) && gpu_aligned(y, 16);
}

extern "C" int gpu_pool(const struct gpu_pool *p, const void *x, void *y, void *stream)
{
    GPU_BY_ELEM(p->elem, if (vectors<T>(p->x_pitch, p->y_pitch, x, y))
                             launch_pool<T, 16 / (int)sizeof(T)>(p, (const T *)x, (T *)y, stream);
                else launch_pool<T, 1>(p, (const T *)x, (T *)y, stream));
    return cudaGetLastError();
}

template <typename T, int V>
static __global__ void resize(const struct gpu_resize p, const struct places by, const T *x, const int32_t *index,
                              const float *weight, T *y, long long count)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int vector, column, row_at;
    long long n;
    const long long pixel = place(by, i, &vector, &column, &row_at, &n);
    const int c = vector * V, rows = row_at * p.taps_h, cols = p.p * p.taps_h + column * p.taps_w;
    float acc[V];
#pragma unroll
    for (int k = 0; k < V; k++) acc[k] = 0;
    for (int a = 0; a < p.taps_h && c < p.c; a++) {
        float row[V];
#pragma unroll
        for (int k = 0; k < V; k++) row[k] = 0;
        const T *line = x + (n * p.h + index[rows + a]) * p.w * (long long)p.x_pitch + c;
        for (int b = 0; b < p.taps_w; b++) {
            float v[V];
            const float f = weight[cols + b];
            gpu_load_vec<T, V>(line + (long long)index[cols + b] * p.x_pitch, v);
#pragma unroll
            for (int k = 0; k < V; k++) row[k] += f * v[k];
        }
        const float f = weight[rows + a];
#pragma unroll
        for (int k = 0; k < V; k++) acc[k] += f * row[k];
    }
#pragma unroll
    for (int k = 0; k < V; k++)
        if (c + k >= p.c) acc[k] = 0;
    gpu_store_vec<T, V>(y + pixel * p.y_pitch + c, acc);
}

template <typename T, int V>
static void launch_resize(const struct gpu_resize *p, const T *x, const int32_t *index, const float *weight, T *y,
                          void *stream)
{
    const long long count = (long long)p->n * p->p * p->q * (p->y_pitch / V);
    REEL_LAUNCH((resize<T, V>), gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p,
                places_of(p->y_pitch / V, p->q, p->p), x, index, weight, y, count);
}

extern "C" int gpu_resize(const struct gpu_resize *p, const void *x, const int32_t *index, const float *weight, void *y,
                          void *stream)
{
    GPU_BY_ELEM(p->elem, if (vectors<T>(p->x_pitch, p->y_pitch, x, y))
                             launch_resize<T, 16 / (int)sizeof(T)>(p, (const T *)x, index, weight, (T *)y, stream);
                else launch_resize<T, 1>(p, (const T *)x, index, weight, (T *)y, stream));
    return cudaGetLastError();
}
