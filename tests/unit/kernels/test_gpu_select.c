// SPDX-License-Identifier: MIT
//
// The kernels that pick elements (kernels/gpu/select.h), executed on the CPU
// (tests/cuda_cpu), against their twins on random data: equal values, NaN, indices
// out of range and many for one place. tests/gpu/test_select.c is this file once
// more, on a GPU.
#include "kernels/gpu/found.h"
#include "kernels/gpu/select.h"
#include "tests/unit/kernels/ops.h"

static enum gpu_elem any_elem(void)
{
    return (enum gpu_elem)pick(GPU_ELEM_F32, GPU_ELEM_I64);
}

// Few different values, so that there are equal ones.
static void make_coarse(struct mem *m)
{
    for (int64_t i = 0; i < m->n; i++) gpu_elem_store(m->e, m->p, i, floorf(gpu_elem_load(m->e, m->p, i)));
}

// Integers that no float holds; or the bits of numbers, infinities, both zeros, NaNs.
static void wide_numbers(struct mem *x, bool is_f64)
{
    static const double rare[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0, -0.0};
    for (int64_t i = 0; i < x->n; i++) {
        const int64_t v = ((int64_t *)x->p)[i];
        if (is_f64)
            ((double *)x->p)[i] = pick(0, 30) ? 1 + (double)v * 1e-12 : rare[pick(0, 5)];
        else
            ((int64_t *)x->p)[i] = v * ((INT64_C(1) << 55) + 1);
    }
}

static bool same_bytes(const struct mem *have, const struct mem *want)
{
    OPS_SETTLE();
    return !memcmp(have->p, want->p, (size_t)want->n * gpu_elem_bytes(want->e)) && intact(have);
}

static void test_topk(void)
{
    CASES(80)
    {
        struct gpu_topk p = {.elem = pick(GPU_ELEM_F32, GPU_ELEM_I64), .outer = pick(1, 3), .inner = pick(1, 3)};
        const bool tiles = first_seed % 16 == 0;
        p.n = pick(0, 4) ? pick(1, 60) : pick(2000, 6000);
        p.k = pick(0, 3) ? pick(1, (int)p.n) : p.n;
        if (tiles) p.n = 2 * GPU_TOPK_TILE + pick(0, 9000), p.k = pick(0, 1) ? pick(1, 300) : pick(1500, 2600);
        p.is_f64 = p.elem == GPU_ELEM_I64 && pick(0, 1);
        p.smallest = pick(0, 1);
        struct mem x = make((enum gpu_elem)p.elem, p.outer * p.n * p.inner, p.elem == GPU_ELEM_U8 ? 0 : -20, 20);
        if (pick(0, 1)) make_coarse(&x);
        if (p.elem <= GPU_ELEM_BF16)
            for (int i = 0; i < 4; i++) gpu_elem_store(x.e, x.p, pick(0, (int)x.n - 1), i ? NAN : -0.0f);
        if (p.elem == GPU_ELEM_I64) wide_numbers(&x, p.is_f64);
        struct mem v = make(x.e, p.outer * p.k * p.inner, 0, 1), want_v = copy_of(&v);
        struct mem at = make(GPU_ELEM_I64, v.n, 0, 1), want_at = copy_of(&at);
        struct mem work = make(GPU_ELEM_U8, (int64_t)gpu_topk_work_bytes(&p), 0, 255);
        gpu_topk_ref(&p, x.p, want_v.p, want_at.p);
        CHECK_INT(gpu_topk(&p, x.p, v.p, at.p, work.p, NULL), 0);
        if (p.elem == GPU_ELEM_I64)
            CHECK_MSG(same_bytes(&v, &want_v), "seed %llu", (unsigned long long)first_seed);
        else
            SAME(v, want_v, "top k");
        CHECK_INT(gpu_topk_tile(&p) != 0, tiles && p.n >= 8 * p.k);
        SAME(at, want_at, "top k's positions");
        CHECK(intact(&work));
        drop(&x), drop(&v), drop(&want_v), drop(&at), drop(&want_at), drop(&work);
    }
}

// Elements (q == 1, whole grid) or tuples below a batch dimension; some places are
// out of range.
static void random_index(struct gpu_index *p, struct mem *index)
{
    p->n_dims = pick(1, 3);
    p->q = pick(1, 2);
    p->block = pick(0, 1) ? 1 : pick(1, 9);
    p->tuples = 1;
    int64_t stride = p->block;
    for (int j = p->q - 1; j >= 0; j--) {
        p->at_extent[j] = pick(1, 6);
        p->at_stride[j] = stride;
        stride *= p->at_extent[j];
    }
    for (int d = p->n_dims - 1; d >= 0; d--) {
        p->extent[d] = pick(1, 7);
        p->tuples *= p->extent[d];
        p->base[d] = pick(0, 1) ? stride : 0;
        if (p->base[d]) stride *= p->extent[d];
    }
    p->count = stride;
    *index = make((enum gpu_elem)p->index_elem, p->tuples * p->q, 0, 1);
    for (int64_t i = 0; i < index->n; i++) {
        const int most = (int)p->at_extent[i % p->q];
        gpu_elem_store(index->e, index->p, i, (float)pick(-most - 1, most));
    }
}

static void test_gather(void)
{
    CASES(80)
    {
        struct gpu_index p = {.elem = any_elem(), .index_elem = pick(GPU_ELEM_I32, GPU_ELEM_I64)};
        struct mem index;
        random_index(&p, &index);
        p.elem_bytes = (int)gpu_elem_bytes((enum gpu_elem)p.elem);
        struct mem data = make((enum gpu_elem)p.elem, p.count, 0, 100);
        struct mem y = make(data.e, p.tuples * p.block, 0, 1), want = copy_of(&y);
        gpu_gather_at_ref(&p, data.p, index.p, want.p);
        CHECK_INT(gpu_gather_at(&p, data.p, index.p, y.p, NULL), 0);
        SAME(y, want, "gather");
        drop(&index), drop(&data), drop(&y), drop(&want);
    }
}

static void test_scatter(void)
{
    CASES(300)
    {
        struct gpu_index p = {.elem = any_elem(), .index_elem = pick(GPU_ELEM_I32, GPU_ELEM_I64)};
        struct mem index;
        random_index(&p, &index);
        p.combine = pick(GPU_COMBINE_NONE, GPU_COMBINE_MIN);
        p.elem_bytes = (int)gpu_elem_bytes((enum gpu_elem)p.elem);
        // products of many stay small; small whole numbers are exact in every order and type
        const float most = p.combine == GPU_COMBINE_MUL ? 1.05f : 3;
        struct mem data = make((enum gpu_elem)p.elem, p.count, 0, most);
        struct mem updates = make(data.e, p.tuples * p.block, p.elem == GPU_ELEM_U8 ? 0 : -most, most);
        if (p.elem == GPU_ELEM_F16 || p.elem == GPU_ELEM_BF16) make_coarse(&data), make_coarse(&updates);
        struct mem y = make(data.e, p.count, 0, 1), want = copy_of(&y);
        struct mem work = make(GPU_ELEM_U8, (int64_t)gpu_scatter_work_bytes(&p), 0, 255);
        gpu_scatter_ref(&p, data.p, index.p, updates.p, want.p);
        CHECK_INT(gpu_scatter(&p, data.p, index.p, updates.p, y.p, work.p, NULL), 0);
        SAME(y, want, "scatter");
        CHECK(intact(&work));
        drop(&index), drop(&data), drop(&updates), drop(&y), drop(&want), drop(&work);
    }
}

// Sums in float32 whose value tells the order in which they were taken: the bytes are
// those of the tuples' order, whatever order threads come in.
static void order_of_a_sum(void)
{
    CASES(20)
    {
        struct gpu_index p = {.elem = GPU_ELEM_F32, .elem_bytes = 4, .index_elem = GPU_ELEM_I64, .n_dims = 1, .q = 1};
        p.tuples = p.extent[0] = pick(1, 900);
        p.at_extent[0] = p.count = pick(1, 5);
        p.at_stride[0] = p.block = 1;
        p.combine = GPU_COMBINE_ADD;
        struct mem index = make(GPU_ELEM_I64, p.tuples, 0, (float)p.count - 0.01f);
        struct mem data = make(GPU_ELEM_F32, p.count, -1, 1), updates = make(GPU_ELEM_F32, p.tuples, -1e4f, 1e4f);
        struct mem y = make(GPU_ELEM_F32, p.count, 0, 1), want = copy_of(&y);
        struct mem work = make(GPU_ELEM_U8, (int64_t)gpu_scatter_work_bytes(&p), 0, 255);
        gpu_scatter_ref(&p, data.p, index.p, updates.p, want.p);
        CHECK_INT(gpu_scatter(&p, data.p, index.p, updates.p, y.p, work.p, NULL), 0);
        OPS_SETTLE();
        CHECK(!memcmp(y.p, want.p, (size_t)p.count * 4));
        drop(&index), drop(&data), drop(&updates), drop(&y), drop(&want), drop(&work);
    }
}

static void test_one_hot(void)
{
    CASES(40)
    {
        struct gpu_one_hot p = {
            .index_elem = any_elem(), .outer = pick(1, 5), .depth = pick(1, 20), .inner = pick(1, 9)};
        const enum gpu_elem e = any_elem();
        p.elem_bytes = (int)gpu_elem_bytes(e);
        const float least = p.index_elem == GPU_ELEM_U8 ? 0 : (float)-p.depth - 2;
        struct mem index = make((enum gpu_elem)p.index_elem, p.outer * p.inner, least, (float)p.depth + 2);
        make_coarse(&index);
        struct mem values = make(e, 2, 3, 90), y = make(e, p.outer * p.depth * p.inner, 0, 1), want = copy_of(&y);
        gpu_one_hot_ref(&p, index.p, values.p, want.p);
        CHECK_INT(gpu_one_hot(&p, index.p, values.p, y.p, NULL), 0);
        SAME(y, want, "one hot");
        drop(&index), drop(&values), drop(&y), drop(&want);
    }
}

static void test_scan(void)
{
    CASES(120)
    {
        struct gpu_scan p = {.x_elem = any_elem(), .outer = pick(1, 4), .inner = pick(1, 5)};
        p.y_elem = p.x_elem <= GPU_ELEM_BF16 ? (int)any_float() : p.x_elem;
        p.n = pick(0, 1) ? pick(1, 40) : pick(64, 300);
        p.exclusive = pick(0, 1), p.reverse = pick(0, 1), p.product = pick(0, 1);
        const float lo = p.product && p.x_elem <= GPU_ELEM_BF16 ? 0.98f : 0, hi = p.product ? 1.02f : 1;
        struct mem x = make((enum gpu_elem)p.x_elem, p.outer * p.n * p.inner, lo, p.x_elem < GPU_ELEM_U8 ? hi : 4);
        struct mem y = make((enum gpu_elem)p.y_elem, x.n, 0, 1), want = copy_of(&y);
        gpu_scan_ref(&p, x.p, want.p);
        CHECK_INT(gpu_scan(&p, x.p, y.p, NULL), 0);
        SAME(y, want, "prefixes");
        drop(&x), drop(&y), drop(&want);
    }
}

static void test_triangle(void)
{
    CASES(40)
    {
        const enum gpu_elem e = any_elem();
        struct gpu_triangle p = {.elem_bytes = (int)gpu_elem_bytes(e),
                                 .matrices = pick(1, 3),
                                 .rows = pick(1, 9),
                                 .columns = pick(1, 9),
                                 .k = pick(-9, 9),
                                 .upper = pick(0, 1)};
        struct mem x = make(e, p.matrices * p.rows * p.columns, 1, 100), y = make(e, x.n, 0, 1), want = copy_of(&y);
        gpu_triangle_ref(&p, x.p, want.p);
        CHECK_INT(gpu_triangle(&p, x.p, y.p, NULL), 0);
        SAME(y, want, "triangle");
        drop(&x), drop(&y), drop(&want);
    }
}

static void test_reverse(void)
{
    CASES(40)
    {
        const enum gpu_elem e = any_elem();
        struct gpu_reverse p = {.elem_bytes = (int)gpu_elem_bytes(e),
                                .times = pick(1, 9),
                                .batches = pick(1, 5),
                                .inner = pick(1, 9),
                                .batch_first = pick(0, 1)};
        struct mem x = make(e, p.times * p.batches * p.inner, 1, 100), y = make(e, x.n, 0, 1), want = copy_of(&y);
        struct mem length = make(GPU_ELEM_I64, p.batches, -1.9f, (float)p.times + 2);
        gpu_reverse_ref(&p, x.p, length.p, want.p);
        CHECK_INT(gpu_reverse(&p, x.p, length.p, y.p, NULL), 0);
        SAME(y, want, "reverse");
        drop(&x), drop(&y), drop(&want), drop(&length);
    }
}

// From none to all, over tiles; NaN counts.
static void test_found(void)
{
    CASES(40)
    {
        const int often = pick(0, 3); // never, seldom, every other, always
        struct gpu_found p = {.elem = any_elem(), .n = pick(0, 2) ? pick(1, 3000) : pick(4000, 14000)};
        p.data_bytes = pick(0, 4) ? 1 << pick(0, 3) : 0;
        struct mem x = make((enum gpu_elem)p.elem, p.n, 0, 1), data = make(GPU_ELEM_U8, p.n * 8, 0, 255);
        for (int64_t i = 0; i < p.n; i++)
            gpu_elem_store(x.e, x.p, i, often == 3 || (often == 2 && i % 2) || (often == 1 && !pick(0, 200)) ? 2 : 0);
        if (p.elem <= GPU_ELEM_BF16) gpu_elem_store(x.e, x.p, p.n / 2, pick(0, 1) ? NAN : -0.0f);
        struct mem found = make(GPU_ELEM_I32, 1 + p.n, -9, -8), want = copy_of(&found);
        struct mem values = make(GPU_ELEM_U8, p.n * 8, 0, 255), want_values = copy_of(&values);
        struct mem work = make(GPU_ELEM_U8, (int64_t)gpu_found_work_bytes(&p), 0, 255);
        gpu_found_ref(&p, x.p, data.p, want.p, want_values.p);
        CHECK_INT(gpu_found(&p, x.p, data.p, found.p, values.p, work.p, NULL), 0);
        CHECK_MSG(same_bytes(&found, &want) && same_bytes(&values, &want_values) && intact(&work), "seed %llu",
                  (unsigned long long)first_seed);
        drop(&x), drop(&data), drop(&found), drop(&want), drop(&values), drop(&want_values), drop(&work);
    }
}

OPS_MAIN({"the k largest", test_topk}, {"gathering at indices", test_gather}, {"scattering", test_scatter},
         {"the order of a scattered sum", order_of_a_sum}, {"one hot", test_one_hot}, {"prefixes", test_scan},
         {"triangles", test_triangle}, {"reversed sequences", test_reverse}, {"what is not zero", test_found})
