// SPDX-License-Identifier: MIT
//
// Tests of the GPU executor's convolutions (part of test_gpu_ops.c), and what others
// share with them: random chains of steps behind an image.
#ifndef REEL_TESTS_UNIT_KERNELS_OPS_CONV_H
#define REEL_TESTS_UNIT_KERNELS_OPS_CONV_H

#include "kernels/gpu/conv_way.h"
#include "tests/unit/kernels/ops.h"

static inline void random_chain(struct gpu_chain *c, bool behind_image)
{
    static const int ops[] = {GPU_OP_ADD,      GPU_OP_MUL,      GPU_OP_SUB,      GPU_OP_PRELU,   GPU_OP_MAX,
                              GPU_OP_RELU,     GPU_OP_LEAKY,    GPU_OP_CLIP,     GPU_OP_SIGMOID, GPU_OP_TANH,
                              GPU_OP_SILU,     GPU_OP_HSWISH,   GPU_OP_GELU_ERF, GPU_OP_ELU,     GPU_OP_MISH,
                              GPU_OP_HSIGMOID, GPU_OP_ABS,      GPU_OP_AFFINE,   GPU_OP_NEG,     GPU_OP_SIN,
                              GPU_OP_SOFTPLUS, GPU_OP_SOFTSIGN, GPU_OP_GELU_TANH};
    c->n = pick(0, 4);
    for (int i = 0; i < c->n; i++) {
        const int op = ops[pick(0, (int)(sizeof ops / sizeof *ops) - 1)];
        c->step[i] = (struct gpu_chain_step){op, -1, op == GPU_OP_CLIP ? -0.5f : 0.25f, 0.75f};
        if (op >= GPU_OP_WITH_OPERAND || c->n_operands == GPU_OPERANDS || !pick(0, 3)) continue;
        c->operand[c->n_operands] =
            (struct gpu_chain_operand){.elem = any_float(), .per_channel = behind_image && pick(0, 1)};
        c->step[i].operand = c->n_operands++;
    }
}

// Operands of a chain behind an image of that many elements; some with a pitch of
// their own.
static inline void make_operands(struct gpu_chain *c, struct mem *m, const void **p, int64_t elements, int pitch)
{
    for (int i = 0; i < c->n_operands; i++) {
        struct gpu_chain_operand *o = &c->operand[i];
        if (!o->per_channel && pick(0, 1)) o->pitch = pitch + pick(0, 9);
        const int64_t image = o->pitch ? elements / pitch * o->pitch : elements;
        m[i] = make((enum gpu_elem)o->elem, o->per_channel ? pitch : image, -1, 1);
        p[i] = m[i].p;
    }
}

static inline void drop_operands(const struct gpu_chain *c, struct mem *m)
{
    for (int i = 0; i < c->n_operands; i++) drop(&m[i]);
}

static inline bool random_conv(struct gpu_conv *p, bool depthwise)
{
    *p = (struct gpu_conv){.elem = any_float(),
                           .n = pick(1, 2),
                           .h = pick(1, 9),
                           .w = pick(1, 9),
                           .r = pick(1, 4),
                           .s = pick(1, 4),
                           .stride_h = pick(1, 3),
                           .stride_w = pick(1, 3),
                           .dilation_h = pick(1, 2),
                           .dilation_w = pick(1, 2),
                           .pad_top = pick(0, 2),
                           .pad_left = pick(0, 2),
                           .groups = pick(1, 3)};
    p->transposed = !depthwise && pick(0, 1);
    p->c = p->groups * pick(1, 5);
    p->k = p->groups * pick(1, 5);
    p->c_used = pick(0, 1) ? p->c : 0;
    if (depthwise) p->c = p->k = p->groups = pick(2, 20);
    p->x_pitch = pick(0, 1) ? p->c : (p->c + 7) / 8 * 8;
    p->y_pitch = pick(0, 1) ? p->k : (p->k + 7) / 8 * 8;
    if (depthwise) p->y_pitch = p->x_pitch;
    p->y_lanes = p->y_pitch;
    if (!depthwise && pick(0, 1)) p->y_pitch += pick(0, 20); // beside the channels of others
    const int span_h = (p->r - 1) * p->dilation_h + 1, span_w = (p->s - 1) * p->dilation_w + 1;
    p->p = p->transposed ? p->stride_h * (p->h - 1) + span_h - p->pad_top
                         : (p->h + 2 * p->pad_top - span_h) / p->stride_h + 1;
    p->q = p->transposed ? p->stride_w * (p->w - 1) + span_w - p->pad_left
                         : (p->w + 2 * p->pad_left - span_w) / p->stride_w + 1;
    random_chain(&p->chain, true);
    return p->p > 0 && p->q > 0 && p->h + 2 * p->pad_top >= span_h && p->w + 2 * p->pad_left >= span_w;
}

static inline void check_conv(bool depthwise)
{
    CASES(120)
    {
        struct gpu_conv p;
        if (!random_conv(&p, depthwise)) continue;
        const enum gpu_elem e = (enum gpu_elem)p.elem;
        const int64_t taps = (int64_t)p.r * p.s;
        struct mem x = make(e, (int64_t)p.n * p.h * p.w * p.x_pitch, -1, 1);
        struct mem w = make(e, depthwise ? taps * p.y_pitch : taps * p.c * p.k / p.groups, -0.3f, 0.3f);
        struct mem y = make(e, (int64_t)p.n * p.p * p.q * p.y_pitch, 0, 1), want = copy_of(&y), m[GPU_OPERANDS];
        const void *o[GPU_OPERANDS];
        make_operands(&p.chain, m, o, y.n, p.y_pitch);
        const struct mem before = copy_of(&y);
        (depthwise ? gpu_depthwise_ref : gpu_conv_ref)(&p, x.p, w.p, o, want.p);
        CHECK_INT((depthwise ? gpu_depthwise : gpu_conv)(&p, x.p, w.p, o, y.p, NULL), 0);
        for (int64_t i = 0; i < y.n; i++) // those stay as they are
            if (i % p.y_pitch >= p.y_lanes) CHECK(gpu_elem_load(e, y.p, i) == gpu_elem_load(e, before.p, i));
        drop((struct mem *)&before);
        SAME(y, want, depthwise ? "depthwise" : "conv");
        drop(&x), drop(&w), drop(&y), drop(&want), drop_operands(&p.chain, m);
    }
}

static inline void test_conv(void)
{
    check_conv(false);
}

// Pictures of few channels between padding: their own kernel, which must neither
// read padding of x nor leave any of y unwritten.
static inline void test_few_channels(void)
{
    CASES(120)
    {
        struct gpu_conv p;
        if (!random_conv(&p, false)) continue;
        const enum gpu_elem e = (enum gpu_elem)p.elem;
        p.transposed = false, p.groups = 1;
        p.c_used = pick(1, 4);
        p.x_pitch = pick(0, 1) ? p.c_used : 8;
        p.c = p.x_pitch;
        p.k = pick(4, 20);
        p.y_lanes = (p.k + 7) / 8 * 8;
        if (pick(0, 1)) p.k = p.y_lanes = p.k / 4 * 4;
        p.y_pitch = p.y_lanes + 8 * pick(0, 2);
        p.p = (p.h + 2 * p.pad_top - (p.r - 1) * p.dilation_h - 1) / p.stride_h + 1;
        p.q = (p.w + 2 * p.pad_left - (p.s - 1) * p.dilation_w - 1) / p.stride_w + 1;
        if (p.p < 1 || p.q < 1 || gpu_conv_way_of(&p) != GPU_CONV_FEW) continue;
        const int64_t taps = (int64_t)p.r * p.s;
        struct mem x = make(e, (int64_t)p.n * p.h * p.w * p.x_pitch, -1, 1);
        struct mem w = make(e, taps * p.c * p.k, -0.3f, 0.3f);
        struct mem y = make(e, (int64_t)p.n * p.p * p.q * p.y_pitch, 0, 1), m[GPU_OPERANDS];
        const void *o[GPU_OPERANDS];
        for (int64_t i = 0; i < w.n; i++)
            if (i % p.c >= p.c_used) gpu_elem_store(e, w.p, i, 0);
        make_operands(&p.chain, m, o, y.n, p.y_pitch);
        struct mem want = copy_of(&y);
        gpu_conv_ref(&p, x.p, w.p, o, want.p);
        for (int64_t i = 0; i < x.n; i++) // padding that is read shows
            if (i % p.x_pitch >= p.c_used) gpu_elem_store(e, x.p, i, NAN);
        CHECK_INT(gpu_conv(&p, x.p, w.p, o, y.p, NULL), 0);
        SAME(y, want, "few channels");
        drop(&x), drop(&w), drop(&y), drop(&want), drop_operands(&p.chain, m);
    }
}

static inline void test_depthwise(void)
{
    check_conv(true);
}

// ---- few channels on tensor cores ----------------------------------------------------------
//
// A sum's order is the instruction's there, so results are not the twin's to the bit:
// float sums of exact products of 16-bit numbers are apart by some 2^-24 of the
// largest partial sum a step, which is far below the half of 2^-11 (2^-8) by which
// a result is rounded; tolerance() has room for one rounding the other way.

// Extents of the result for paddings of that many below and right too.
static inline bool conv_extents(struct gpu_conv *p)
{
    const int span_h = (p->r - 1) * p->dilation_h + 1, span_w = (p->s - 1) * p->dilation_w + 1;
    p->p = (p->h + 2 * p->pad_top - span_h) / p->stride_h + 1;
    p->q = (p->w + 2 * p->pad_left - span_w) / p->stride_w + 1;
    return p->h + 2 * p->pad_top >= span_h && p->w + 2 * p->pad_left >= span_w;
}

static inline struct gpu_conv random_16_bit(int most_h, int most_w)
{
    struct gpu_conv p = {.elem = pick(GPU_ELEM_F16, GPU_ELEM_BF16),
                         .sm = 90,
                         .n = pick(1, 2),
                         .h = pick(1, most_h),
                         .w = pick(1, most_w),
                         .r = pick(1, 5),
                         .s = pick(1, 5),
                         .stride_h = 1,
                         .stride_w = 1,
                         .dilation_h = 1,
                         .dilation_w = 1,
                         .pad_top = pick(0, 3),
                         .pad_left = pick(0, 3),
                         .groups = 1};
    random_chain(&p.chain, true);
    return p;
}

static inline bool random_few_in(struct gpu_conv *p)
{
    *p = random_16_bit(24, 80);
    p->r = pick(0, 3) ? p->r : pick(6, 8), p->s = pick(0, 3) ? p->s : pick(6, 8);
    if (pick(0, 1)) p->stride_h = pick(1, 3), p->stride_w = pick(1, 3);
    if (pick(0, 1)) p->dilation_h = pick(1, 3), p->dilation_w = pick(1, 3);
    p->c_used = pick(1, 4);
    p->c = p->x_pitch = pick(0, 1) ? p->c_used : 8;
    p->k = pick(0, 2) ? pick(4, 40) : pick(4, 72);
    p->y_lanes = (p->k + 7) / 8 * 8;
    if (!pick(0, 3)) p->k = p->y_lanes = 4 * pick(1, 4);
    p->y_pitch = p->y_lanes + 8 * pick(0, 2);
    return conv_extents(p) && gpu_conv_way_of(p) == GPU_CONV_FEW_IN;
}

static inline bool random_few_out(struct gpu_conv *p)
{
    *p = random_16_bit(24, 140);
    p->r = pick(0, 5) ? p->r : 7;
    p->c = 16 * pick(1, 5);
    if (!pick(0, 4)) p->c = 128;
    p->c_used = p->c - pick(0, 7);
    p->x_pitch = p->c + 8 * pick(0, 2);
    p->k = pick(1, 8);
    p->y_lanes = pick(0, 1) ? p->k : 8;
    p->y_pitch = p->y_lanes + pick(0, 9);
    if (p->r * p->s * p->c * p->k > 4000) p->n = 1, p->h = 1 + p->h / 2; // the emulation takes its time
    return conv_extents(p) && gpu_conv_way_of(p) == GPU_CONV_FEW_OUT;
}

struct conv_mem {
    struct mem x, w, y, operand[GPU_OPERANDS];
    const void *o[GPU_OPERANDS];
};

static inline struct conv_mem make_conv(struct gpu_conv *p)
{
    const enum gpu_elem e = (enum gpu_elem)p->elem;
    struct conv_mem m;
    m.x = make(e, (int64_t)p->n * p->h * p->w * p->x_pitch, -1, 1);
    m.w = make(e, (int64_t)p->r * p->s * p->c * p->k, -0.3f, 0.3f);
    for (int64_t i = 0; i < m.w.n; i++)
        if (i % p->c >= p->c_used) gpu_elem_store(e, m.w.p, i, 0);
    m.y = make(e, (int64_t)p->n * p->p * p->q * p->y_pitch, 0, 1);
    make_operands(&p->chain, m.operand, m.o, m.y.n, p->y_pitch);
    return m;
}

static inline void drop_conv(const struct gpu_conv *p, struct conv_mem *m)
{
    drop(&m->x), drop(&m->w), drop(&m->y), drop_operands(&p->chain, m->operand);
}

// Lanes of x behind the channels (few_in: not read; few_out: other channels' of a
// joined tensor) are NaN, and sometimes a pixel is infinite, which must show in the
// results that read it and in no others.
static inline void check_mma(bool (*random_shape)(struct gpu_conv *), int cases, const char *what)
{
    int taken = 0;
    CASES((uint64_t)cases)
    {
        struct gpu_conv p;
        if (!random_shape(&p)) continue;
        taken++;
        const enum gpu_elem e = (enum gpu_elem)p.elem;
        struct conv_mem m = make_conv(&p);
        const int not_read = gpu_conv_way_of(&p) == GPU_CONV_FEW_IN ? p.c_used : p.c;
        if (!pick(0, 3)) gpu_elem_store(e, m.x.p, pick(0, p.h * p.w - 1) * p.x_pitch + pick(0, p.c_used - 1), INFINITY);
        struct mem want = copy_of(&m.y), before = copy_of(&m.y);
        gpu_conv_ref(&p, m.x.p, m.w.p, m.o, want.p);
        for (int64_t i = 0; i < m.x.n; i++)
            if (i % p.x_pitch >= not_read) gpu_elem_store(e, m.x.p, i, NAN);
        CHECK_INT(gpu_conv(&p, m.x.p, m.w.p, m.o, m.y.p, NULL), 0);
        SAME(m.y, want, what);
        for (int64_t i = 0; i < m.y.n; i++) // those stay as they are
            if (i % p.y_pitch >= p.y_lanes) CHECK(gpu_elem_load(e, m.y.p, i) == gpu_elem_load(e, before.p, i));
        drop(&want), drop(&before), drop_conv(&p, &m);
    }
    CHECK_MSG(taken >= cases / 4, "%d of %d", taken, cases);
}

static inline void test_few_in(void)
{
    check_mma(random_few_in, 100, "few input channels, tensor cores");
}

static inline void test_few_out(void)
{
    check_mma(random_few_out, 70, "few output channels, tensor cores");
}

// A picture's bytes are the same alone and as the third of three, and those of what
// it shows are the same 5 rows and 11 columns further on, in other tiles and strips.
static inline void check_company(bool (*random_shape)(struct gpu_conv *), int cases)
{
    CASES((uint64_t)cases)
    {
        struct gpu_conv p;
        bool large = false;
        for (int i = 0; i < 1000 && !large; i++) large = random_shape(&p) && p.h > 12 && p.w > 24;
        CHECK(large);
        p.chain.n = p.chain.n_operands = 0;
        p.n = 3;
        struct conv_mem m = make_conv(&p);
        const size_t bytes = gpu_elem_bytes((enum gpu_elem)p.elem), row = (size_t)p.w * (size_t)p.x_pitch * bytes;
        const size_t image = row * (size_t)p.h, out = (size_t)p.p * (size_t)p.q * (size_t)p.y_pitch;
        char *x = m.x.p;
        for (int y = 5; y < p.h; y++) // the second is the third, moved
            memcpy(x + image + (size_t)y * row + 11 * (size_t)p.x_pitch * bytes, x + 2 * image + (size_t)(y - 5) * row,
                   row - 11 * (size_t)p.x_pitch * bytes);
        struct mem alone = make((enum gpu_elem)p.elem, (int64_t)out, 0, 1);
        memset(m.y.p, 0, 3 * out * bytes), memset(alone.p, 0, out * bytes);
        CHECK_INT(gpu_conv(&p, m.x.p, m.w.p, m.o, m.y.p, NULL), 0);
        p.n = 1;
        CHECK_INT(gpu_conv(&p, x + 2 * image, m.w.p, m.o, alone.p, NULL), 0);
        OPS_SETTLE();
        CHECK_MSG(!memcmp((char *)m.y.p + 2 * out * bytes, alone.p, out * bytes), "seed %llu",
                  (unsigned long long)first_seed);
        // results whose window lies inside both, for moves by whole strides
        const int up = p.stride_h == 1 ? 5 : 0, left = p.stride_w == 1 ? 11 : 0;
        const int from_y = (p.pad_top + p.stride_h - 1) / p.stride_h,
                  from_x = (p.pad_left + p.stride_w - 1) / p.stride_w;
        for (int y = from_y; up > 0 && left > 0 && y + up < p.p - p.pad_top; y++)
            for (int i = from_x; i + left < p.q - p.pad_left; i++)
                CHECK_MSG(!memcmp((char *)alone.p + (size_t)((y * p.q + i) * p.y_pitch) * bytes,
                                  (char *)m.y.p + (out + (size_t)(((y + up) * p.q + i + left) * p.y_pitch)) * bytes,
                                  (size_t)p.y_lanes * bytes),
                          "seed %llu, %d,%d", (unsigned long long)first_seed, y, i);
        drop(&alone), drop_conv(&p, &m);
    }
}

static inline void test_company(void)
{
    check_company(random_few_in, 8);
    check_company(random_few_out, 5);
}

// The rule by shape, type and device.
static inline void test_ways(void)
{
    static const struct {
        int c, c_used, k, r, stride, dilation, elem, sm;
        enum gpu_conv_way way;
    } t[] = {
        {8, 3, 64, 3, 1, 1, GPU_ELEM_F16, 80, GPU_CONV_FEW_IN},
        {8, 3, 64, 3, 1, 1, GPU_ELEM_BF16, 120, GPU_CONV_FEW_IN},
        {8, 3, 64, 3, 1, 1, GPU_ELEM_F16, 75, GPU_CONV_FEW},
        {8, 3, 64, 3, 1, 1, GPU_ELEM_F32, 90, GPU_CONV_FEW},
        {8, 1, 8, 5, 1, 1, GPU_ELEM_F16, 90, GPU_CONV_FEW_IN},
        {8, 1, 32, 6, 2, 1, GPU_ELEM_F16, 90, GPU_CONV_FEW_IN},
        {8, 3, 128, 3, 2, 2, GPU_ELEM_F16, 90, GPU_CONV_FEW_IN},
        {8, 3, 128, 3, 2, 2, GPU_ELEM_F16, 0, GPU_CONV_DIRECT},
        {8, 4, 64, 5, 1, 1, GPU_ELEM_F16, 90, GPU_CONV_DIRECT},
        {8, 3, 32, 3, 1, 40, GPU_ELEM_F16, 90, GPU_CONV_FEW},
        {64, 64, 3, 3, 1, 1, GPU_ELEM_F16, 80, GPU_CONV_FEW_OUT},
        {64, 64, 3, 3, 1, 1, GPU_ELEM_F16, 75, GPU_CONV_DIRECT},
        {64, 64, 1, 3, 1, 1, GPU_ELEM_BF16, 90, GPU_CONV_FEW_OUT},
        {64, 64, 3, 3, 1, 1, GPU_ELEM_F32, 90, GPU_CONV_DIRECT},
        {64, 64, 3, 3, 2, 1, GPU_ELEM_F16, 90, GPU_CONV_DIRECT},
        {64, 64, 3, 3, 1, 2, GPU_ELEM_F16, 90, GPU_CONV_DIRECT},
        {24, 24, 3, 3, 1, 1, GPU_ELEM_F16, 90, GPU_CONV_DIRECT},
        {64, 64, 9, 3, 1, 1, GPU_ELEM_F16, 90, GPU_CONV_DIRECT},
        {64, 64, 3, 1, 1, 1, GPU_ELEM_F16, 90, GPU_CONV_DIRECT},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct gpu_conv p = {.c = t[i].c, .c_used = t[i].c_used, .k = t[i].k, .r = t[i].r, .s = t[i].r};
        p.stride_h = p.stride_w = t[i].stride, p.dilation_h = p.dilation_w = t[i].dilation, p.groups = 1;
        p.elem = t[i].elem, p.sm = t[i].sm, p.x_pitch = p.c, p.y_lanes = p.y_pitch = p.k;
        CHECK_MSG(gpu_conv_way_of(&p) == t[i].way, "row %zu: way %d", i, (int)gpu_conv_way_of(&p));
        p.groups = 2;
        CHECK(gpu_conv_way_of(&p) == GPU_CONV_DIRECT);
    }
}

#endif
