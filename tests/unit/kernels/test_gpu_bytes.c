// SPDX-License-Identifier: MIT
//
// Products of bytes (kernels/gpu/bytes.h), executed on the CPU (tests/cuda_cpu), against
// their twins on random data, to the last bit. tests/gpu/test_bytes.c is this file once
// more, on a GPU.
#include "kernels/gpu/bytes.h"
#include "tests/unit/kernels/ops.h"

static struct mem bytes_of(int64_t n, bool is_signed)
{
    return make(is_signed ? GPU_ELEM_I8 : GPU_ELEM_U8, n, is_signed ? -128 : 0, is_signed ? 127.9f : 255.9f);
}

static void check_product(const struct gpu_bytes *p, int64_t w_bytes)
{
    struct mem x = bytes_of((int64_t)p->x_count * p->m * p->c, p->x_signed), w = bytes_of(w_bytes, p->w_signed);
    struct mem zx = bytes_of(p->x_zeros ? p->x_zeros : 1, p->x_signed);
    struct mem zw = bytes_of(p->w_zeros ? p->w_zeros : 1, p->w_signed);
    struct mem y = make(GPU_ELEM_I32, (int64_t)p->batches * p->m * p->k, 0, 1), want = copy_of(&y);
    gpu_bytes_ref(p, x.p, w.p, zx.p, zw.p, want.p);
    CHECK_INT(gpu_bytes(p, x.p, w.p, zx.p, zw.p, y.p, NULL), 0);
    OPS_SETTLE();
    CHECK_MSG(!memcmp(y.p, want.p, (size_t)y.n * sizeof(int32_t)), "%d x %d x %d%s, zeros %d %d, seed behind it %llu",
              p->m, p->c, p->k, p->windows ? ", windows" : "", p->x_zeros, p->w_zeros, (unsigned long long)seed);
    CHECK(intact(&y));
    drop(&x), drop(&w), drop(&zx), drop(&zw), drop(&y), drop(&want);
}

static void test_products(void)
{
    CASES(80)
    {
        struct gpu_bytes p = {.x_signed = pick(0, 1), .w_signed = pick(0, 1), .batches = pick(1, 7)};
        const bool long_one = pick(0, 5) == 0;
        p.m = pick(1, long_one ? pick(0, 3) ? 150 : 700 : 20), p.c = pick(1, long_one ? 100 : 40),
        p.k = pick(1, long_one ? 150 : 20);
        p.x_count = pick(0, 1) ? p.batches : 1, p.w_count = pick(0, 1) ? p.batches : 1;
        p.x_zeros = pick(0, 1) ? pick(0, 1) : p.x_count * p.m;
        p.w_zeros = pick(0, 1) ? pick(0, 1) : p.k;
        check_product(&p, (int64_t)p.w_count * p.c * p.k);
    }
}

static void test_windows(void)
{
    CASES(80)
    {
        struct gpu_bytes p = {.x_signed = pick(0, 1), .w_signed = pick(0, 1), .windows = true};
        struct gpu_byte_windows *a = &p.at;
        const int groups = pick(1, 3), channels = pick(1, 5);
        *a = (struct gpu_byte_windows){.h = pick(1, 12), .w = pick(1, 12), .r = pick(1, 3), .s = pick(1, 3)};
        a->stride_h = pick(1, 2), a->stride_w = pick(1, 3), a->dilation_h = pick(1, 2), a->dilation_w = pick(1, 2);
        a->pad_top = pick(0, 2), a->pad_left = pick(0, 2);
        a->p = pick(1, 9), a->q = pick(1, 9); // some windows lie beyond the picture altogether
        p.x_count = groups, p.batches = p.w_count = groups * pick(1, 3);
        p.m = pick(1, 9), p.c = channels * a->r * a->s, p.k = a->p * a->q;
        p.x_zeros = pick(0, 1) ? pick(0, 1) : groups * p.m, p.w_zeros = pick(0, 1);
        check_product(&p, (int64_t)p.batches * channels * a->h * a->w);
    }
}

static void test_scale(void)
{
    static const float ends[][2] = {{-1, 1}, {0, 0}, {0.5f, 3}, {-3, -0.5f}, {-1e-3f, 1e6f}, {-7, 0}, {0, 1e-30f}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct mem low = make(GPU_ELEM_F32, 1, ends[i][0], ends[i][0]);
        struct mem high = make(GPU_ELEM_F32, 1, ends[i][1], ends[i][1]);
        struct mem scale = make(GPU_ELEM_F32, 1, 0, 0), want = copy_of(&scale);
        struct mem zero = make(GPU_ELEM_U8, 1, 0, 0), want_zero = copy_of(&zero);
        gpu_byte_scale_ref(low.p, high.p, want.p, want_zero.p);
        CHECK_INT(gpu_byte_scale(low.p, high.p, scale.p, zero.p, NULL), 0);
        OPS_SETTLE();
        CHECK(!memcmp(scale.p, want.p, sizeof(float)));
        CHECK_INT(*(uint8_t *)zero.p, *(uint8_t *)want_zero.p);
        CHECK(intact(&scale) && intact(&zero));
        drop(&low), drop(&high), drop(&scale), drop(&want), drop(&zero), drop(&want_zero);
    }
}

OPS_MAIN({"products of bytes", test_products}, {"windows of bytes", test_windows}, {"scales of bytes", test_scale})
