// SPDX-License-Identifier: MIT
//
// The kernels of results.h. A mask has one thread a pixel, side by side
// along rows. Cells have one thread each to look at their scores; a warp then
// writes the rows of those it keeps together, lane beside lane, so that a row
// crosses the bus in whole lines. The formulas are in results_math.h.
#include "kernels/gpu/common.cuh"

#define GPU_FN static __device__ __forceinline__
#define GPU_MUL(a, b) __fmul_rn(a, b)
#define GPU_ADD(a, b) __fadd_rn(a, b)
// The C library's expf() is correctly rounded almost always, CUDA's is not.
#define GPU_EXP(v) ((float)exp((double)(v)))
#include "kernels/gpu/results.h"

GPU_FN float gpu_number(const void *data, enum gpu_elem elem, size_t i)
{
    switch (elem) {
    case GPU_ELEM_F16:
        return gpu_load((const __half *)data + i);
    case GPU_ELEM_BF16:
        return gpu_load((const __nv_bfloat16 *)data + i);
    case GPU_ELEM_U8:
        return (float)((const uint8_t *)data)[i];
    case GPU_ELEM_I8:
        return (float)((const int8_t *)data)[i];
    case GPU_ELEM_I32:
        return (float)((const int32_t *)data)[i];
    case GPU_ELEM_I64:
        return (float)((const int64_t *)data)[i];
    default:
        return ((const float *)data)[i];
    }
}

#include "kernels/gpu/results_math.h"

#define BLOCK_X 32
#define BLOCK_Y 8
#define WARP 32

static __device__ __forceinline__ bool element(int w, int h, int *x, int *y)
{
    *x = (int)(blockIdx.x * BLOCK_X + threadIdx.x);
    *y = (int)(blockIdx.y * BLOCK_Y + threadIdx.y);
    return *x < w && *y < h;
}

static __global__ void best(struct gpu_mask m)
{
    int x, y;
    if (element(m.scores.w, m.scores.h, &x, &y)) gpu_best_pixel(&m, x, y);
}

static __global__ void classes(struct gpu_mask m)
{
    int x, y;
    if (element(m.x.n_out, m.y.n_out, &x, &y)) gpu_class_pixel(&m, x, y);
}

static __global__ void numbers(struct gpu_mask m)
{
    int x, y;
    if (element(m.x.n_out, m.y.n_out, &x, &y)) gpu_number_pixel(&m, x, y);
}

static __global__ void weight_rows(struct gpu_mask m)
{
    int x, y;
    if (element(m.scores.w, m.y.n_out, &x, &y)) gpu_weight_row_element(&m, x, y);
}

static __global__ void weights(struct gpu_mask m)
{
    int x, y;
    if (element(m.x.n_out, m.y.n_out, &x, &y)) gpu_weight_pixel(&m, x, y);
}

// All lanes of the warp stay active, because they write together.
static __global__ void pick(struct gpu_pick p)
{
    int64_t cell = (int64_t)blockIdx.x * GPU_BLOCK + threadIdx.x;
    int lane = (int)(threadIdx.x % WARP);
    unsigned kept = __ballot_sync(0xffffffffu, cell < p.cells && gpu_pick_keeps(&p, cell));
    uint32_t at = 0;
    if (lane == 0 && kept) at = atomicAdd(p.count, (uint32_t)__popc(kept));
    at = __shfl_sync(0xffffffffu, at, 0);
    for (; kept; kept &= kept - 1, at++) {
        int64_t of = cell - lane + __ffs((int)kept) - 1;
        if (lane == 0) p.id[at] = p.first + (uint32_t)of;
        for (int i = lane; i < p.row_floats; i += WARP)
            p.row[(size_t)at * (size_t)p.row_floats + (size_t)i] = gpu_pick_row_number(&p, of, i);
    }
}

// ---- launchers ------------------------------------------------------------------------

static dim3 grid_of(int w, int h)
{
    return dim3(gpu_blocks(w, BLOCK_X), gpu_blocks(h, BLOCK_Y));
}

#define BLOCK dim3(BLOCK_X, BLOCK_Y)

int gpu_mask(const struct gpu_mask *m, void *stream)
{
    dim3 out = grid_of(m->x.n_out, m->y.n_out);
    switch (m->kind) {
    case GPU_MASK_CLASSES:
        REEL_LAUNCH(best, grid_of(m->scores.w, m->scores.h), BLOCK, 0, stream, *m);
        REEL_LAUNCH(classes, out, BLOCK, 0, stream, *m);
        break;
    case GPU_MASK_NUMBERS:
        REEL_LAUNCH(numbers, out, BLOCK, 0, stream, *m);
        break;
    default:
        REEL_LAUNCH(weight_rows, grid_of(m->scores.w, m->y.n_out), BLOCK, 0, stream, *m);
        REEL_LAUNCH(weights, out, BLOCK, 0, stream, *m);
    }
    return (int)cudaGetLastError();
}

int gpu_pick(const struct gpu_pick *p, void *stream)
{
    if (p->cells >= INT32_MAX) return (int)cudaErrorInvalidValue;
    if (p->cells <= 0) return (int)cudaSuccess;
    REEL_LAUNCH(pick, gpu_blocks(p->cells, GPU_BLOCK), GPU_BLOCK, 0, stream, *p);
    return (int)cudaGetLastError();
}
