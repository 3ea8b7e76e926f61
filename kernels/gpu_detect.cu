// SPDX-License-Identifier: MIT
//
// The kernels of gpu_detect.h; the formulas are in gpu_detect_math.h.
#include "kernels/gpu_common.cuh"

#define GPU_FN static __device__ __forceinline__
#define GPU_MUL(a, b) __fmul_rn(a, b)
#define GPU_ADD(a, b) __fadd_rn(a, b)
#include "kernels/gpu_detect.h"

// Nothing here reads or writes tensors by elements.
GPU_FN float gpu_get(const struct gpu_image *m, int x, int y, int c)
{
    return ((const float *)m->data)[(size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane];
}
GPU_FN void gpu_put(const struct gpu_image *m, int x, int y, int c, float v)
{
    ((float *)m->data)[(size_t)y * m->row + (size_t)x * m->pixel + (size_t)c * m->plane] = v;
}

#include "kernels/gpu_detect_math.h"

// ---- boxes ------------------------------------------------------------------------

// Every box counts those in front of it: quadratic, but wide.
static __global__ void nms_order(struct gpu_nms p)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= p.n) return;
    int rank = gpu_box_rank(p.boxes, p.n, i);
    if (rank < 0) return;
    p.order[rank] = i;
    atomicAdd(p.out_count, 1);
}

// One block: the candidates in order, each against all kept ones at once.
static __global__ void nms_keep(struct gpu_nms p)
{
    __shared__ int hidden;
    int numbers = *p.out_count, kept = 0;
    for (int i = 0; i < numbers && kept < p.most; i++) {
        __syncthreads();
        if (threadIdx.x == 0) hidden = 0;
        __syncthreads();
        int candidate = p.order[i];
        for (int k = (int)threadIdx.x; k < kept; k += (int)blockDim.x)
            if (gpu_box_hides(&p.boxes[p.out_kept[k]], &p.boxes[candidate], p.iou)) hidden = 1;
        __syncthreads();
        if (!hidden) {
            if (threadIdx.x == 0) p.out_kept[kept] = candidate;
            kept++;
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) *p.out_count = kept;
}

int gpu_nms(const struct gpu_nms *p, void *stream)
{
    if (p->n < 0 || p->n > GPU_NMS_MAX) return (int)cudaErrorInvalidValue;
    int error = (int)cudaMemsetAsync(p->out_count, 0, sizeof *p->out_count, (cudaStream_t)stream);
    if (error || !p->n) return error;
    REEL_LAUNCH(nms_order, gpu_blocks(p->n, GPU_BLOCK), GPU_BLOCK, 0, stream, *p);
    REEL_LAUNCH(nms_keep, 1, GPU_BLOCK, 0, stream, *p);
    return (int)cudaGetLastError();
}

// ---- masks and painting: one thread a sample --------------------------------------------

#define BLOCK_X 32
#define BLOCK_Y 8

static __device__ __forceinline__ bool element(int w, int h, int *x, int *y)
{
    *x = (int)(blockIdx.x * BLOCK_X + threadIdx.x);
    *y = (int)(blockIdx.y * BLOCK_Y + threadIdx.y);
    return *x < w && *y < h;
}

static dim3 grid_of(int w, int h, int z)
{
    return dim3(gpu_blocks(w, BLOCK_X), gpu_blocks(h, BLOCK_Y), (unsigned)z);
}

#define BLOCK dim3(BLOCK_X, BLOCK_Y)

static __global__ void classes(struct gpu_classes p)
{
    int x, y;
    if (element(p.x.n_out, p.y.n_out, &x, &y)) p.out[(size_t)y * p.out_stride + (size_t)x] = gpu_class_at(&p, x, y);
}

int gpu_classes(const struct gpu_classes *p, void *stream)
{
    REEL_LAUNCH(classes, grid_of(p->x.n_out, p->y.n_out, 1), BLOCK, 0, stream, *p);
    return (int)cudaGetLastError();
}

static __global__ void weights(struct gpu_weights p)
{
    int x, y;
    if (element(p.columns.x.n_out, p.columns.height, &x, &y))
        p.out[(size_t)y * p.out_stride + (size_t)x] = gpu_weight_at(&p, x, y);
}

int gpu_weights(const struct gpu_weights *p, void *stream)
{
    REEL_LAUNCH(weights, grid_of(p->columns.x.n_out, p->columns.height, 1), BLOCK, 0, stream, *p);
    return (int)cudaGetLastError();
}

static __global__ void fill(struct gpu_fill p)
{
    int x, y, x0, y0, x1, y1, component = (int)blockIdx.z;
    if (!element(p.w, p.h, &x, &y) || !gpu_fill_range(&p, component, &x0, &y0, &x1, &y1)) return;
    if (x0 + x < x1 && y0 + y < y1) gpu_fill_sample(&p, component, x0 + x, y0 + y);
}

int gpu_fill(const struct gpu_fill *p, void *stream)
{
    if (p->w < 1 || p->h < 1) return (int)cudaSuccess;
    struct gpu_fill f = *p;
    // Nothing beyond the picture needs a thread.
    if (f.x < 0) f.w += f.x, f.x = 0;
    if (f.y < 0) f.h += f.y, f.y = 0;
    if (f.x >= f.dst.width || f.y >= f.dst.height || f.w < 1 || f.h < 1) return (int)cudaSuccess;
    if (f.w > f.dst.width - f.x) f.w = f.dst.width - f.x;
    if (f.h > f.dst.height - f.y) f.h = f.dst.height - f.y;
    REEL_LAUNCH(fill, grid_of(f.w, f.h, f.dst.layout == YUV_GRAY ? 1 : 3), BLOCK, 0, stream, f);
    return (int)cudaGetLastError();
}

// The tables are more than a launch may take as arguments: they are read from memory.
static __global__ void overlay(const struct gpu_overlay *p)
{
    int x, y, sx, sy, component = (int)blockIdx.z;
    if (!element(p->dst.width, p->dst.height, &x, &y)) return;
    gpu_shift_of(&p->dst, component, &sx, &sy);
    if (x << sx < p->dst.width && y << sy < p->dst.height)
        gpu_overlay_sample(p, p->alpha_of, p->ink_of, component, x, y);
}

int gpu_overlay(const struct gpu_overlay *p, const struct gpu_overlay *table, void *stream)
{
    REEL_LAUNCH(overlay, grid_of(p->dst.width, p->dst.height, p->dst.layout == YUV_GRAY ? 1 : 3), BLOCK, 0, stream,
                table);
    return (int)cudaGetLastError();
}
