// SPDX-License-Identifier: MIT
//
// Rare operators (kernels/gpu/rare.h), executed on the CPU (tests/cuda_cpu), against their
// twins on random data. tests/gpu/test_rare.c is this file once more, on a GPU.
#include "kernels/gpu/rare.h"
#include "tests/unit/kernels/ops.h"

static void test_det(void)
{
    CASES(60)
    {
        struct gpu_det p = {.x_elem = any_float(), .y_elem = GPU_ELEM_F32, .n = pick(1, 7), .count = pick(1, 40)};
        struct mem x = make((enum gpu_elem)p.x_elem, p.count * p.n * p.n, -2, 2), y = make(GPU_ELEM_F32, p.count, 0, 1);
        struct mem work = make(GPU_ELEM_I64, (int64_t)(gpu_det_work_bytes(&p) / 8), 0, 0), want = copy_of(&y);
        if (pick(0, 1)) // a matrix without one of its rows
            for (int k = 0; k < p.n; k++) gpu_elem_store(x.e, x.p, k, 0);
        gpu_det_ref(&p, x.p, want.p, work.p);
        CHECK_INT(gpu_det(&p, x.p, y.p, work.p, NULL), 0);
        SAME(y, want, "determinants");
        CHECK(intact(&work));
        drop(&x), drop(&y), drop(&work), drop(&want);
    }
}

static void a_known_determinant(void)
{
    static const float m[] = {0, 2, 1, 1, 3, 0, 4, 0, 5}; // its first pivot is not the first row
    const struct gpu_det p = {.x_elem = GPU_ELEM_F32, .y_elem = GPU_ELEM_F32, .n = 3, .count = 1};
    struct mem x = make(GPU_ELEM_F32, 9, 0, 0), y = make(GPU_ELEM_F32, 1, 0, 0), work = make(GPU_ELEM_I64, 9, 0, 0);
    for (int i = 0; i < 9; i++) gpu_elem_store(x.e, x.p, i, m[i]);
    CHECK_INT(gpu_det(&p, x.p, y.p, work.p, NULL), 0);
    OPS_SETTLE();
    CHECK(fabs((double)*(float *)y.p + 22) < 1e-5);
    drop(&x), drop(&y), drop(&work);
}

static void test_cache_update(void)
{
    CASES(120)
    {
        static const enum gpu_elem elems[] = {GPU_ELEM_U8, GPU_ELEM_F16, GPU_ELEM_F32, GPU_ELEM_I64};
        const enum gpu_elem e = elems[pick(0, 3)];
        struct gpu_cache_update p = {.elem_bytes = (int)gpu_elem_bytes(e),
                                     .batches = pick(1, 3),
                                     .outer = pick(1, 3),
                                     .length = pick(1, 9),
                                     .inner = pick(1, 5),
                                     .circular = pick(0, 1)};
        p.n = pick(1, (int)p.length);
        struct mem cache = make(e, p.batches * p.outer * p.length * p.inner, 0, 100);
        struct mem update = make(e, p.batches * p.outer * p.n * p.inner, 0, 100);
        struct mem start = make(GPU_ELEM_I64, p.batches, -3.9f, (float)p.length + 3.9f); // some out of range
        struct mem y = make(e, cache.n, 0, 1), want = copy_of(&y);
        const int64_t *from = pick(0, 3) ? start.p : NULL;
        gpu_cache_update_ref(&p, cache.p, update.p, from, want.p);
        CHECK_INT(gpu_cache_update(&p, cache.p, update.p, from, y.p, NULL), 0);
        SAME(y, want, "rows put in");
        drop(&cache), drop(&update), drop(&start), drop(&y), drop(&want);
    }
}

OPS_MAIN({"determinants", test_det}, {"a known determinant", a_known_determinant}, {"rows put in", test_cache_update})
