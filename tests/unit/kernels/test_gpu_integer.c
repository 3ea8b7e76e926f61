// SPDX-License-Identifier: MIT
//
// Whole numbers (kernels/gpu/integer.h), executed on the CPU (tests/cuda_cpu), against the
// twin on random bits, and both against numbers worked out by hand.
// tests/gpu/test_integer.c is this file once more, on a GPU.
#include "kernels/gpu/integer.h"
#include "tests/unit/kernels/ops.h"

static int bytes_of(int kind)
{
    static const int bytes[] = {1, 2, 4, 8, 1, 2, 4, 8, 1, 4, 2, 2};
    return bytes[kind];
}

// Any bits; whole small numbers by chance; of floats some that no integer holds.
static struct mem random_numbers(int kind, int64_t n)
{
    struct mem m = make(GPU_ELEM_U8, n * bytes_of(kind), 0, 255.9f);
    const bool small = pick(0, 1);
    for (int64_t i = 0; i < n; i++) {
        static const float odd[] = {1e20f, -1e20f, NAN, INFINITY, 0.5f, -0.5f, 1.5e19f, -0.0f};
        const float v = pick(0, 3) ? (float)pick(-300, 300) * 0.75f : odd[pick(0, 7)];
        if (kind == GPU_INT_BOOL) ((uint8_t *)m.p)[i] = (uint8_t)pick(0, 1);
        if (kind >= GPU_INT_F32) gpu_elem_store((enum gpu_elem)(GPU_ELEM_F32 + kind - GPU_INT_F32), m.p, i, v);
        if (kind >= GPU_INT_BOOL || !small) continue;
        const int64_t k = pick(kind <= GPU_INT_I64 ? -9 : 0, 9);
        memcpy((char *)m.p + i * bytes_of(kind), &k, (size_t)bytes_of(kind));
    }
    return m;
}

static void any_types(struct gpu_integer *p)
{
    p->in[0] = p->in[1] = p->in[2] = pick(GPU_INT_I8, GPU_INT_U64);
    p->out = p->op >= GPU_INT_EQ && p->op <= GPU_INT_LE ? GPU_INT_BOOL : p->in[0];
    if (p->op == GPU_INT_SELECT) p->in[0] = GPU_INT_BOOL;
    if (p->op == GPU_INT_POW) p->in[1] = pick(GPU_INT_I8, GPU_INT_U32);
    if (p->op != GPU_INT_CAST) return;
    p->in[0] = pick(GPU_INT_I8, GPU_INT_BF16);
    p->out = pick(GPU_INT_I8, p->in[0] < GPU_INT_F32 ? GPU_INT_F32 : GPU_INT_BOOL);
}

static void test_integer(void)
{
    CASES(600)
    {
        struct gpu_integer p = {.op = pick(0, GPU_INT_OPS - 1), .n_dims = pick(0, 4), .count = 1};
        p.n_in = p.op < GPU_INT_ADD ? 1 : p.op < GPU_INT_CLIP ? 2 : 3;
        any_types(&p);
        int64_t n[3] = {1, 1, 1};
        for (int d = p.n_dims - 1; d >= 0; d--) {
            p.extent[d] = pick(1, 7);
            p.count *= p.extent[d];
            for (int i = 0; i < p.n_in; i++) {
                if (!pick(0, 2)) continue;
                p.stride[i][d] = n[i];
                n[i] *= p.extent[d];
            }
        }
        struct mem in[3], y = make(GPU_ELEM_U8, p.count * bytes_of(p.out), 0, 255), want = copy_of(&y);
        const void *at[3];
        for (int i = 0; i < 3; i++) in[i] = random_numbers(p.in[i], n[i]), at[i] = in[i].p;
        gpu_integer_ref(&p, at, want.p);
        CHECK_INT(gpu_integer(&p, at, y.p, NULL), 0);
        SAME(y, want, gpu_integer_op_name((enum gpu_integer_op)p.op));
        for (int i = 0; i < 3; i++) drop(&in[i]);
        drop(&y), drop(&want);
    }
}

// Whether kernel and twin give `want` of one element each.
static void one(int op, int kind, int64_t a, int64_t b, int64_t c, int64_t want)
{
    struct gpu_integer p = {.op = op, .in = {kind, kind, kind}, .out = kind, .n_in = 3, .count = 1};
    if (op >= GPU_INT_EQ && op <= GPU_INT_LE) p.out = GPU_INT_BOOL;
    if (op == GPU_INT_SELECT) p.in[0] = GPU_INT_BOOL;
    struct mem m = make(GPU_ELEM_I64, 5, 0, 0);
    int64_t *v = m.p;
    const void *in[3] = {v, v + 1, v + 2};
    v[0] = a, v[1] = b, v[2] = c;
    CHECK_INT(gpu_integer(&p, in, v + 3, NULL), 0);
    OPS_SETTLE();
    gpu_integer_ref(&p, in, v + 4);
    CHECK_INT(v[3], want);
    CHECK_INT(v[4], want);
    drop(&m);
}

static void by_hand(void)
{
    one(GPU_INT_ADD, GPU_INT_I64, (INT64_C(1) << 53) + 1, 1, 0, (INT64_C(1) << 53) + 2); // no float has it
    one(GPU_INT_DIV, GPU_INT_I64, -7, 2, 0, -3);
    one(GPU_INT_DIV, GPU_INT_I64, 7, 0, 0, 0);
    one(GPU_INT_DIV, GPU_INT_I64, INT64_MIN, -1, 0, INT64_MIN);
    one(GPU_INT_DIV, GPU_INT_U8, 0xf0, 0x10, 0, 0x0f);
    one(GPU_INT_MOD, GPU_INT_I64, -7, 3, 0, 2);
    one(GPU_INT_REM, GPU_INT_I64, -7, 3, 0, -1);
    one(GPU_INT_POW, GPU_INT_I64, -3, 3, 0, -27);
    one(GPU_INT_POW, GPU_INT_I64, 2, -1, 0, 0);
    one(GPU_INT_LEFT, GPU_INT_U8, 0x81, 1, 0, 0x02);
    one(GPU_INT_LEFT, GPU_INT_U8, 1, 8, 0, 0);
    one(GPU_INT_RIGHT, GPU_INT_I8, 0x80, 9, 0, 0xff);
    one(GPU_INT_RIGHT, GPU_INT_U8, 0x80, 3, 0, 0x10);
    one(GPU_INT_NOT, GPU_INT_U8, 0x0f, 0, 0, 0xf0);
    one(GPU_INT_SIGN, GPU_INT_I64, -5, 0, 0, -1);
    one(GPU_INT_GT, GPU_INT_U8, 0xff, 1, 0, 1);
    one(GPU_INT_GT, GPU_INT_I8, 0xff, 1, 0, 0);
    one(GPU_INT_CLIP, GPU_INT_I64, 9, 2, 5, 5);
    one(GPU_INT_CLIP, GPU_INT_I64, -9, 2, 5, 2);
    one(GPU_INT_SELECT, GPU_INT_I64, 1, 2, 5, 2);
    one(GPU_INT_SELECT, GPU_INT_I64, 0, 2, 5, 5);
}

OPS_MAIN({"all operators and types", test_integer}, {"numbers by hand", by_hand})
