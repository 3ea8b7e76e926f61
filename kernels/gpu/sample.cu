// SPDX-License-Identifier: MIT
//
// The kernels of sample.h; the twins are in sample_ref.c, the formulas in
// sample_math.h. Where pixels lie channel beside channel, neighbouring threads
// have neighbouring channels, else neighbouring pixels.
#include "kernels/gpu/chain.cuh"

#define GPU_LOAD(elem, p, i) gpu_any_load(elem, p, i)
#define GPU_STORE(elem, p, i, v) gpu_any_store(elem, p, i, v)
#include "kernels/gpu/sample_math.h"

static __device__ __forceinline__ long long thread_no()
{
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

// Pixel and channel (or group of channels) of a thread.
struct spot {
    int n, row, column, c;
};

static __device__ __forceinline__ spot spot_of(const struct gpu_plane_view &y, int channels, long long i)
{
    spot s;
    if (y.stride_c == 1) {
        s.c = (int)(i % channels);
        i /= channels;
    }
    s.column = (int)(i % y.w);
    i /= y.w;
    s.row = (int)(i % y.h);
    i /= y.h;
    if (y.stride_c != 1) {
        s.c = (int)(i % channels);
        i /= channels;
    }
    s.n = (int)i;
    return s;
}

static long long spots(const struct gpu_plane_view *y, int channels)
{
    return (long long)y->n * y->h * y->w * channels;
}

// A thread's channels: the places of a point are computed once for them.
#define GRID_CHANNELS 4

static __global__ void grid_sample(const struct gpu_grid_sample p, const void *x, const void *grid, void *y,
                                   int channels, long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const spot s = spot_of(p.y, channels, i);
    const int from = s.c * GRID_CHANNELS, to = from + GRID_CHANNELS < p.lanes ? from + GRID_CHANNELS : p.lanes;
    gpu_grid_pixel(&p, x, grid, y, s.n, s.row, s.column, from, to);
}

extern "C" int gpu_grid_sample(const struct gpu_grid_sample *p, const void *x, const void *grid, void *y, void *stream)
{
    const int channels = (p->lanes + GRID_CHANNELS - 1) / GRID_CHANNELS;
    const long long count = spots(&p->y, channels);
    if (!count) return cudaSuccess;
    REEL_LAUNCH(grid_sample, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, grid, y, channels, count);
    return cudaGetLastError();
}

static __global__ void affine_grid(const struct gpu_affine_grid p, const void *theta, float *y, long long count)
{
    const long long i = thread_no();
    if (i < count) gpu_affine_point(&p, theta, y, i);
}

extern "C" int gpu_affine_grid(const struct gpu_affine_grid *p, const void *theta, float *y, void *stream)
{
    long long count = p->n;
    for (int d = 0; d < p->dims; d++) count *= p->extent[d];
    if (!count) return cudaSuccess;
    REEL_LAUNCH(affine_grid, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, theta, y, count);
    return cudaGetLastError();
}

static __global__ void roi_align(const struct gpu_roi_align p, const void *x, const void *regions, const int64_t *image,
                                 void *y, long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const spot s = spot_of(p.y, p.lanes, i);
    if (p.keep && image[s.n] < 0) return;
    gpu_any_store(p.y.elem, y, gpu_pixel_at(&p.y, s.n, s.row, s.column) + s.c * p.y.stride_c,
                  gpu_roi_value(&p, x, regions, image, s.n, s.c, s.row, s.column));
}

extern "C" int gpu_roi_align(const struct gpu_roi_align *p, const void *x, const void *regions, const int64_t *image,
                             void *y, void *stream)
{
    const long long count = spots(&p->y, p->lanes);
    if (!count) return cudaSuccess;
    REEL_LAUNCH(roi_align, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, regions, image, y, count);
    return cudaGetLastError();
}

static __global__ void roi_pool(const struct gpu_roi_pool p, const void *x, const void *regions, void *y,
                                long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const spot s = spot_of(p.y, p.lanes, i);
    gpu_any_store(p.y.elem, y, gpu_pixel_at(&p.y, s.n, s.row, s.column) + s.c * p.y.stride_c,
                  gpu_roi_pool_value(&p, x, regions, s.n, s.c, s.row, s.column));
}

extern "C" int gpu_roi_pool(const struct gpu_roi_pool *p, const void *x, const void *regions, void *y, void *stream)
{
    const long long count = spots(&p->y, p->lanes);
    if (!count) return cudaSuccess;
    REEL_LAUNCH(roi_pool, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, regions, y, count);
    return cudaGetLastError();
}

static __global__ void lrn(const struct gpu_lrn p, const void *x, void *y, long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const spot s = spot_of(p.y, p.lanes, i);
    const float v = s.c < p.x.c ? gpu_lrn_value(&p, x, gpu_pixel_at(&p.x, s.n, s.row, s.column), s.c) : 0.0f;
    gpu_any_store(p.y.elem, y, gpu_pixel_at(&p.y, s.n, s.row, s.column) + s.c * p.y.stride_c, v);
}

extern "C" int gpu_lrn(const struct gpu_lrn *p, const void *x, void *y, void *stream)
{
    const long long count = spots(&p->y, p->lanes);
    if (!count) return cudaSuccess;
    REEL_LAUNCH(lrn, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, y, count);
    return cudaGetLastError();
}

static __global__ void deform(const struct gpu_deform p, const void *x, const void *offset, const void *mask, void *y,
                              long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const int taps = p.r * p.s, width = p.x.c / p.groups, c = (int)(i % width);
    const int tap = (int)(i / width % taps), g = (int)(i / width / taps % p.groups);
    const int pixel = p.first + (int)(i / width / taps / p.groups);
    gpu_any_store(p.y_elem, y, i, gpu_deform_value(&p, x, offset, mask, g * width + c, tap, pixel / p.q, pixel % p.q));
}

extern "C" int gpu_deform(const struct gpu_deform *p, const void *x, const void *offset, const void *mask, void *y,
                          void *stream)
{
    const long long count = (long long)p->pixels * p->r * p->s * p->x.c;
    if (!count) return cudaSuccess;
    REEL_LAUNCH(deform, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, offset, mask, y, count);
    return cudaGetLastError();
}

static __global__ void col2im(const struct gpu_col2im p, const void *x, void *y, long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const int column = (int)(i % p.w), row = (int)(i / p.w % p.h);
    gpu_any_store(p.elem, y, i, gpu_col2im_value(&p, x, i / p.w / p.h, row, column));
}

extern "C" int gpu_col2im(const struct gpu_col2im *p, const void *x, void *y, void *stream)
{
    const long long count = (long long)p->n * p->c * p->h * p->w;
    if (!count) return cudaSuccess;
    REEL_LAUNCH(col2im, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, y, count);
    return cudaGetLastError();
}

static __global__ void pool_places(const struct gpu_pool p, const void *x, int64_t *y, long long count)
{
    const long long i = thread_no();
    if (i >= count) return;
    const int column = (int)(i % p.q), row = (int)(i / p.q % p.p), c = (int)(i / p.q / p.p % p.c);
    y[i] = gpu_pool_place(&p, x, (int)(i / p.q / p.p / p.c), c, row, column);
}

extern "C" int gpu_pool_places(const struct gpu_pool *p, const void *x, int64_t *y, void *stream)
{
    const long long count = (long long)p->n * p->c * p->p * p->q;
    if (!count) return cudaSuccess;
    REEL_LAUNCH(pool_places, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, y, count);
    return cudaGetLastError();
}

static __global__ void pool3(const struct gpu_pool3 p, const void *x, void *y, long long count)
{
    const long long i = thread_no();
    if (i < count) gpu_any_store(p.elem, y, i, gpu_pool3_value(&p, x, i));
}

static long long pool3_count(const struct gpu_pool3 *p)
{
    return (long long)p->planes * p->out[0] * p->out[1] * p->out[2] * (p->channels ? p->y_pitch : 1);
}

extern "C" int gpu_pool3(const struct gpu_pool3 *p, const void *x, void *y, void *stream)
{
    const long long count = pool3_count(p);
    if (!count) return cudaSuccess;
    REEL_LAUNCH(pool3, gpu_blocks(count, GPU_BLOCK), GPU_BLOCK, 0, stream, *p, x, y, count);
    return cudaGetLastError();
}
