// SPDX-License-Identifier: MIT
//
// The kernels of pixels.h: each thread computes one element of the result, neighbouring threads along rows.
// The formulas are in pixels_math.h. Memory bounds all of them: a 1080p frame is 3 MB of samples and 12 MB
// of 16-bit colours.
#include "kernels/gpu/common.cuh"

#define GPU_FN static __device__ __forceinline__
#define GPU_MUL(a, b) __fmul_rn(a, b)
#define GPU_ADD(a, b) __fadd_rn(a, b)
#include "kernels/gpu/pixels.h"

GPU_FN float gpu_get(const struct gpu_image *m, int x, int y, int c)
{
    size_t at = (size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane;
    if (m->type == GPU_PIXEL_F16) return gpu_load((const __half *)m->data + at);
    if (m->type == GPU_PIXEL_BF16) return gpu_load((const __nv_bfloat16 *)m->data + at);
    return ((const float *)m->data)[at];
}

GPU_FN void gpu_put(const struct gpu_image *m, int x, int y, int c, float v)
{
    size_t at = (size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane;
    if (m->type == GPU_PIXEL_F16)
        gpu_store((__half *)m->data + at, v);
    else if (m->type == GPU_PIXEL_BF16)
        gpu_store((__nv_bfloat16 *)m->data + at, v);
    else
        ((float *)m->data)[at] = v;
}

#include "kernels/gpu/pixels_math.h"

#define BLOCK_X 32
#define BLOCK_Y 8

// The element of the calling thread; false if it is outside of w x h.
static __device__ __forceinline__ bool element(int w, int h, int *x, int *y)
{
    *x = (int)(blockIdx.x * BLOCK_X + threadIdx.x);
    *y = (int)(blockIdx.y * BLOCK_Y + threadIdx.y);
    return *x < w && *y < h;
}

static __global__ void feed(gpu_picture src, gpu_image dst, gpu_coding k)
{
    int x, y;
    if (element(dst.width, dst.height, &x, &y)) gpu_feed_pixel(&src, &dst, &k, x, y);
}

static __global__ void rows(struct gpu_rows r)
{
    int x, y;
    if (element(r.width, r.y.n_out, &x, &y)) gpu_rows_element(&r, x, y);
}

static __global__ void columns(struct gpu_columns c)
{
    int x, y;
    if (element(c.x.n_out, c.height, &x, &y)) gpu_columns_pixel(&c, x, y);
}

static __global__ void columns_chroma(struct gpu_columns c, gpu_picture dst)
{
    int x, y;
    if (!element(c.x.n_out, c.height, &x, &y)) return;
    for (int i = 0; i < 2; i++) gpu_store_chroma(&dst, i, x, y, gpu_column_sum(&c, i, x, y));
}

struct frame {
    int x0, y0, w, h;
    float fill[3];
};

static __global__ void borders(gpu_image dst, gpu_coding k, frame f)
{
    int x, y;
    if (!element(dst.width, dst.height, &x, &y)) return;
    if (x < f.x0 || x >= f.x0 + f.w || y < f.y0 || y >= f.y0 + f.h) gpu_border_pixel(&dst, &k, f.fill, x, y);
}

static __global__ void cut(gpu_image src, gpu_image dst, int x0, int y0)
{
    int x, y;
    if (element(dst.width, dst.height, &x, &y)) gpu_cut_pixel(&src, &dst, x0, y0, x, y);
}

static __global__ void blend(struct gpu_blend b)
{
    int x, y;
    if (element(b.tile.width, b.tile.height, &x, &y)) gpu_blend_pixel(&b, x, y);
}

static __global__ void tail(struct gpu_tail t, int w, int begin, int rows)
{
    int x, y;
    if (element(w, rows, &x, &y)) gpu_tail_group(&t, x, begin + y);
}

// ---- launchers --------------------------------------------------------------------------

static dim3 grid_of(int w, int h)
{
    return dim3(gpu_blocks(w, BLOCK_X), gpu_blocks(h, BLOCK_Y));
}

#define BLOCK dim3(BLOCK_X, BLOCK_Y)

int gpu_feed(const struct gpu_picture *src, const struct gpu_image *dst, const struct gpu_coding *coding, void *stream)
{
    REEL_LAUNCH(feed, grid_of(dst->width, dst->height), BLOCK, 0, stream, *src, *dst, *coding);
    return (int)cudaGetLastError();
}

int gpu_rows(const struct gpu_rows *r, void *stream)
{
    REEL_LAUNCH(rows, grid_of(r->width, r->y.n_out), BLOCK, 0, stream, *r);
    return (int)cudaGetLastError();
}

int gpu_columns(const struct gpu_columns *c, void *stream)
{
    REEL_LAUNCH(columns, grid_of(c->x.n_out, c->height), BLOCK, 0, stream, *c);
    return (int)cudaGetLastError();
}

int gpu_columns_chroma(const struct gpu_columns *c, const struct gpu_picture *dst, void *stream)
{
    REEL_LAUNCH(columns_chroma, grid_of(c->x.n_out, c->height), BLOCK, 0, stream, *c, *dst);
    return (int)cudaGetLastError();
}

int gpu_borders(const struct gpu_image *dst, const struct gpu_coding *coding, int x0, int y0, int w, int h,
                const float fill[3], void *stream)
{
    frame f = {x0, y0, w, h, {fill[0], fill[1], fill[2]}};
    REEL_LAUNCH(borders, grid_of(dst->width, dst->height), BLOCK, 0, stream, *dst, *coding, f);
    return (int)cudaGetLastError();
}

int gpu_cut(const struct gpu_image *src, const struct gpu_image *dst, int x0, int y0, void *stream)
{
    REEL_LAUNCH(cut, grid_of(dst->width, dst->height), BLOCK, 0, stream, *src, *dst, x0, y0);
    return (int)cudaGetLastError();
}

int gpu_blend(const struct gpu_blend *b, void *stream)
{
    REEL_LAUNCH(blend, grid_of(b->tile.width, b->tile.height), BLOCK, 0, stream, *b);
    return (int)cudaGetLastError();
}

int gpu_tail(const struct gpu_tail *t, void *stream)
{
    bool chroma = t->dst.p.layout == YUV_PLANAR || t->dst.p.layout == YUV_NV;
    int w = chroma ? t->dst.cw : t->dst.p.width, begin, end;
    gpu_tail_rows(t, &begin, &end);
    if (end <= begin) return (int)cudaSuccess;
    REEL_LAUNCH(tail, grid_of(w, end - begin), BLOCK, 0, stream, *t, w, begin, end - begin);
    return (int)cudaGetLastError();
}
