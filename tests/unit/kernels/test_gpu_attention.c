// SPDX-License-Identifier: MIT
//
// Attention's kernels (kernels/gpu/attention.h), executed on the CPU (tests/cuda_cpu), against
// their twins on random data: masks that broadcast, windows, rows that attend nothing.
// tests/gpu/test_attention.c is this file once more, on a GPU.
#include "kernels/gpu/attention.h"
#include "tests/unit/kernels/ops.h"

static void test_attention(void)
{
    CASES(150)
    {
        struct gpu_attention p = {.elem = any_float(),
                                  .batch = pick(1, 2),
                                  .heads = pick(1, 3),
                                  .rows = pick(1, 9),
                                  .columns = pick(1, 90),
                                  .softcap = pick(0, 2) ? 0 : 2,
                                  .masked = pick(0, 1),
                                  .causal = pick(0, 1),
                                  .left = pick(-1, 5),
                                  .right = pick(-1, 5),
                                  .past = pick(0, 9)};
        p.mask_elem = pick(0, 1) ? GPU_ELEM_U8 : (int)any_float();
        p.mask_width = pick(0, 1) ? p.columns : pick(1, p.columns);
        int64_t step = p.mask_width;
        p.mask_column = 1;
        if (pick(0, 1)) p.mask_row = step, step *= p.rows;
        if (pick(0, 1)) p.mask_head = step, step *= p.heads;
        if (pick(0, 1)) p.mask_batch = step, step *= p.batch;
        struct mem y = make((enum gpu_elem)p.elem, (int64_t)p.batch * p.heads * p.rows * p.columns, -3, 3);
        struct mem want = copy_of(&y),
                   mask = make((enum gpu_elem)p.mask_elem, step, p.mask_elem == GPU_ELEM_U8 ? 0 : -2, 2);
        struct mem valid = make(GPU_ELEM_I64, p.batch, 0, (float)p.columns + 0.9f);
        if (p.mask_elem != GPU_ELEM_U8 && pick(0, 1)) gpu_elem_store(mask.e, mask.p, pick(0, (int)step - 1), -INFINITY);
        const int64_t *some = pick(0, 1) ? valid.p : NULL;
        gpu_attention_ref(&p, want.p, mask.p, some);
        CHECK_INT(gpu_attention(&p, y.p, mask.p, some, NULL), 0);
        SAME(y, want, "attention");
        drop(&y), drop(&want), drop(&mask), drop(&valid);
    }
}

static void test_rotary(void)
{
    CASES(60)
    {
        struct gpu_rotary p = {.elem = any_float(),
                               .cosine_elem = any_float(),
                               .sine_elem = any_float(),
                               .batch = pick(1, 2),
                               .heads = pick(1, 3),
                               .length = pick(1, 5),
                               .half = pick(1, 5),
                               .packed = pick(0, 1),
                               .interleaved = pick(0, 1)};
        p.dim = 2 * p.half + pick(0, 3);
        const bool by_position = pick(0, 1);
        p.positions = by_position ? pick(1, 9) : p.batch * p.length;
        struct mem x = make((enum gpu_elem)p.elem, (int64_t)p.batch * p.heads * p.length * p.dim, -1, 1);
        struct mem cosine = make((enum gpu_elem)p.cosine_elem, p.positions * p.half, -1, 1);
        struct mem sine = make((enum gpu_elem)p.sine_elem, p.positions * p.half, -1, 1);
        struct mem at = make(GPU_ELEM_I64, p.batch * p.length, -1.9f, (float)p.positions + 0.9f); // some nowhere
        struct mem y = make(x.e, x.n, 0, 1), want = copy_of(&y);
        const int64_t *position = by_position ? at.p : NULL;
        gpu_rotary_ref(&p, x.p, cosine.p, sine.p, position, want.p);
        CHECK_INT(gpu_rotary(&p, x.p, cosine.p, sine.p, position, y.p, NULL), 0);
        SAME(y, want, "rotary");
        drop(&x), drop(&cosine), drop(&sine), drop(&at), drop(&y), drop(&want);
    }
}

OPS_MAIN({"mask and softmax", test_attention}, {"rotary embeddings", test_rotary})
