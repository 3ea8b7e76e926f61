// SPDX-License-Identifier: MIT
//
// The transform (kernels/gpu/fourier.h), executed on the CPU (tests/cuda_cpu), against its twin
// on random data, and its inverse against what went in. tests/gpu/test_fourier.c is this
// file once more, on a GPU.
#include "kernels/gpu/fourier.h"
#include "tests/unit/kernels/ops.h"

static double *turns(int length)
{
    double *turn = table(0);
    for (int k = 0; k < length; k++) {
        turn[2 * k] = cos(2 * M_PI * k / length);
        turn[2 * k + 1] = sin(2 * M_PI * k / length);
    }
    return turn;
}

// Numbers of x and y side by side.
static void side_by_side(struct gpu_fourier *p)
{
    p->x_number = p->parts, p->x_row = (int64_t)p->n * p->parts, p->x_outer = p->rows * p->x_row;
    p->y_number = p->out_parts, p->y_row = (int64_t)p->bins * p->out_parts, p->y_outer = p->rows * p->y_row;
}

static void test_fourier(void)
{
    CASES(80)
    {
        struct gpu_fourier p = {.x_elem = any_float(),
                                .y_elem = any_float(),
                                .length = pick(1, 40),
                                .n = pick(1, 40),
                                .bins = pick(1, 40),
                                .parts = pick(1, 2),
                                .out_parts = pick(1, 2),
                                .inverse = pick(0, 1),
                                .mirrored = pick(0, 1),
                                .outer = pick(1, 3),
                                .rows = pick(1, 4)};
        if (p.bins > p.length) p.bins = p.length;
        side_by_side(&p);
        struct mem x = make((enum gpu_elem)p.x_elem, p.outer * p.x_outer, -1, 1);
        struct mem window = make(GPU_ELEM_F32, p.length, 0, 1);
        struct mem y = make((enum gpu_elem)p.y_elem, p.outer * p.y_outer, 0, 1), want = copy_of(&y);
        const double *turn = turns(p.length);
        const float *w = pick(0, 1) ? window.p : NULL;
        gpu_fourier_ref(&p, x.p, turn, w, want.p);
        CHECK_INT(gpu_fourier(&p, x.p, turn, w, y.p, NULL), 0);
        SAME(y, want, "transform");
        drop(&x), drop(&window), drop(&y), drop(&want);
    }
}

static void there_and_back(void)
{
    CASES(20)
    {
        const int n = pick(2, 50);
        const bool real = pick(0, 1);
        struct gpu_fourier p = {.length = n, .n = n, .outer = 1, .rows = pick(1, 3)};
        p.bins = real ? n / 2 + 1 : n, p.parts = real ? 1 : 2, p.out_parts = 2;
        side_by_side(&p);
        struct gpu_fourier back = {.length = n, .n = p.bins, .bins = n, .outer = 1, .rows = p.rows, .inverse = true};
        back.parts = 2, back.out_parts = p.parts, back.mirrored = real;
        side_by_side(&back);
        struct mem x = make(GPU_ELEM_F32, p.x_outer, -1, 1), y = make(GPU_ELEM_F32, p.y_outer, 0, 1);
        struct mem again = make(GPU_ELEM_F32, p.x_outer, 0, 1);
        const double *turn = turns(n);
        CHECK_INT(gpu_fourier(&p, x.p, turn, NULL, y.p, NULL), 0);
        CHECK_INT(gpu_fourier(&back, y.p, turn, NULL, again.p, NULL), 0);
        SAME(again, x, "there and back");
        drop(&x), drop(&y), drop(&again);
    }
}

OPS_MAIN({"transforms", test_fourier}, {"there and back", there_and_back})
