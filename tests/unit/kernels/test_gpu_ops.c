// SPDX-License-Identifier: MIT
//
// The GPU executor's kernels, executed on the CPU (tests/cuda_cpu), against
// their twins on random data: odd sizes, channels that are no whole vectors,
// strides, edges, every float type. A failure prints the case's seed.
// tests/gpu/test_ops.c is this file once more, on a GPU.
#include "tests/unit/kernels/ops_conv.h"

// ---- moving ----------------------------------------------------------------------------

// A random permutation of a random shape, some dimensions with tables.
static void random_copy(struct gpu_copy *p, int32_t *tables, int64_t *out_src, int64_t *out_dst)
{
    int64_t size[GPU_DIMS], src = 1, dst = 1;
    int order[GPU_DIMS];
    p->n_dims = pick(1, 5);
    for (int d = 0; d < p->n_dims; d++) {
        order[d] = d;
        size[d] = p->extent[d] = pick(1, d == p->n_dims - 1 ? 40 : 7);
        p->table[d] = -1;
    }
    int at = 0;
    for (int d = 0; d < p->n_dims; d++) {
        if (pick(0, 4)) continue;
        p->table[d] = at;
        for (int i = 0; i < p->extent[d]; i++) tables[at++] = pick(-1, (int)size[d] - 1);
    }
    for (int d = p->n_dims - 1; d > 0 && pick(0, 2); d--) {
        const int k = pick(0, d), t = order[d];
        order[d] = order[k], order[k] = t;
    }
    for (int k = p->n_dims - 1; k >= 0; k--) {
        p->src_stride[order[k]] = src;
        src *= size[order[k]];
    }
    if (!pick(0, 2)) {
        p->pad_dim = p->n_dims - 1;
        p->pad_from = p->extent[p->pad_dim];
        p->extent[p->pad_dim] += 3;
        if (p->table[p->pad_dim] >= 0) // its table has no entries there
            for (int i = 0; i < 3; i++) tables[at++] = 0;
        for (int d = 0; d < p->n_dims; d++)
            if (d != p->pad_dim && p->table[d] > p->table[p->pad_dim] && p->table[p->pad_dim] >= 0) p->table[d] = -1;
    }
    for (int d = p->n_dims - 1; d >= 0; d--) {
        p->dst_stride[d] = dst;
        dst *= p->extent[d];
    }
    p->src_base = pick(0, 3);
    p->dst_base = pick(0, 3);
    *out_src = src + 4;
    *out_dst = dst + 4;
}

static void test_copy(void)
{
    int32_t *tables = table(0);
    CASES(300)
    {
        struct gpu_copy p = {.from = pick(0, GPU_ELEM_COUNT - 1), .pad_dim = -1};
        p.to = pick(0, 1) ? p.from : (int)any_float();
        if (p.from >= GPU_ELEM_U8 && pick(0, 1)) p.to = pick(GPU_ELEM_U8, GPU_ELEM_I64);
        p.fill = p.from < GPU_ELEM_U8 && p.to < GPU_ELEM_U8 ? 0.5f : 0;
        int64_t n_src, n_dst;
        random_copy(&p, tables, &n_src, &n_dst);
        struct mem src = make((enum gpu_elem)p.from, n_src, 0, 100), dst = make((enum gpu_elem)p.to, n_dst, 0, 1);
        struct mem want = copy_of(&dst);
        gpu_copy_ref(&p, src.p, want.p, tables);
        CHECK_INT(gpu_copy(&p, src.p, dst.p, tables, NULL), 0);
        SAME(dst, want, "copy");
        drop(&src), drop(&dst), drop(&want);
    }
}

// NCHW <-> NHWC with padding lanes: the tiled kernel.
static void test_layouts(void)
{
    CASES(60)
    {
        const int n = pick(1, 2), c = pick(1, 70), h = pick(1, 9), w = pick(1, 40), pitch = (c + 7) / 8 * 8;
        struct gpu_copy p = {.from = any_float(), .to = any_float(), .n_dims = 3, .pad_dim = 2, .pad_from = c};
        for (int d = 0; d < 3; d++) p.table[d] = -1;
        p.extent[0] = n, p.extent[1] = h * w, p.extent[2] = pitch;
        p.src_stride[0] = c * h * w, p.src_stride[1] = 1, p.src_stride[2] = h * w;
        p.dst_stride[0] = h * w * pitch, p.dst_stride[1] = pitch, p.dst_stride[2] = 1;
        struct mem src = make((enum gpu_elem)p.from, n * c * h * w, -2, 2);
        struct mem dst = make((enum gpu_elem)p.to, n * h * w * pitch, 0, 1), want = copy_of(&dst);
        gpu_copy_ref(&p, src.p, want.p, NULL);
        CHECK_INT(gpu_copy(&p, src.p, dst.p, NULL, NULL), 0);
        SAME(dst, want, "to nhwc");
        drop(&src), drop(&dst), drop(&want);
    }
}

// All numbers of 16 bits transposed: integers of that size are moved as such.
static void test_bits(void)
{
    enum { ROWS = 256, COLUMNS = 256 };
    struct gpu_copy p = {.from = GPU_ELEM_F16, .to = GPU_ELEM_F16, .n_dims = 2, .pad_dim = -1, .table = {-1, -1}};
    p.extent[0] = COLUMNS, p.extent[1] = ROWS;
    p.src_stride[0] = 1, p.src_stride[1] = COLUMNS;
    p.dst_stride[0] = ROWS, p.dst_stride[1] = 1;
    struct mem src = make(GPU_ELEM_F16, ROWS * COLUMNS, 0, 1), dst = make(GPU_ELEM_F16, ROWS * COLUMNS, 0, 1);
    struct mem want = copy_of(&dst);
    for (int i = 0; i < ROWS * COLUMNS; i++) ((uint16_t *)src.p)[i] = (uint16_t)i;
    gpu_copy_ref(&p, src.p, want.p, NULL);
    CHECK_INT(gpu_copy(&p, src.p, dst.p, NULL, NULL), 0);
    OPS_SETTLE();
    CHECK(!memcmp(dst.p, want.p, ROWS * COLUMNS * sizeof(uint16_t)));
    drop(&src), drop(&dst), drop(&want);
}

// Edges repeated around a picture whose pixels are a vector of few channels and
// padding (Pad before a first convolution), and pictures that become such.
static void test_pixels(void)
{
    int32_t *tables = table(0);
    CASES(60)
    {
        const int c = pick(1, 4), h = pick(1, 9), w = pick(1, 20), add = pick(0, 3), wide = pick(0, 1);
        struct gpu_copy p = {.from = any_float(), .n_dims = 3, .pad_dim = 2, .pad_from = c};
        p.to = pick(0, 1) ? p.from : (int)any_float();
        const int pitch = p.to == GPU_ELEM_F32 ? 4 : 8, from_pitch = wide ? 8 : c;
        p.extent[0] = h + 2 * add, p.extent[1] = w + 2 * add, p.extent[2] = pitch;
        p.src_stride[0] = w * from_pitch, p.src_stride[1] = from_pitch, p.src_stride[2] = 1;
        p.dst_stride[0] = p.extent[1] * pitch, p.dst_stride[1] = pitch, p.dst_stride[2] = 1;
        p.table[0] = 0, p.table[1] = p.extent[0], p.table[2] = -1;
        for (int i = 0; i < p.extent[0]; i++) tables[i] = i < add ? 0 : i - add < h ? i - add : h - 1;
        for (int i = 0; i < p.extent[1]; i++) tables[p.extent[0] + i] = i < add ? -1 : i - add < w ? i - add : w - 1;
        struct mem src = make((enum gpu_elem)p.from, h * w * from_pitch, -2, 2);
        struct mem dst = make((enum gpu_elem)p.to, (int64_t)p.extent[0] * p.extent[1] * pitch, 0, 1);
        struct mem want = copy_of(&dst);
        gpu_copy_ref(&p, src.p, want.p, tables);
        CHECK_INT(gpu_copy(&p, src.p, dst.p, tables, NULL), 0);
        SAME(dst, want, "pixels");
        drop(&src), drop(&dst), drop(&want);
    }
}

static void test_gather(void)
{
    CASES(40)
    {
        struct gpu_gather p = {.elem_bytes = 1 << pick(0, 3),
                               .outer = pick(1, 4),
                               .axis = pick(1, 9),
                               .inner = pick(1, 20),
                               .n_index = pick(1, 30)};
        struct mem src = make(GPU_ELEM_U8, p.outer * p.axis * p.inner * p.elem_bytes, 0, 255);
        struct mem dst = make(GPU_ELEM_U8, p.outer * p.n_index * p.inner * p.elem_bytes, 0, 1), want = copy_of(&dst);
        int64_t *index = table(0);
        for (int i = 0; i < 30; i++) index[i] = pick(-(int)p.axis - 1, (int)p.axis);
        gpu_gather_ref(&p, src.p, index, want.p);
        CHECK_INT(gpu_gather(&p, src.p, index, dst.p, NULL), 0);
        SAME(dst, want, "gather");
        drop(&src), drop(&dst), drop(&want);
    }
}

// ---- chains ----------------------------------------------------------------------------

// Steps whose values stay small; operands are added to `operand`.
static void test_elementwise(void)
{
    CASES(200)
    {
        struct gpu_elementwise p = {.x_elem = pick(0, 3) ? (int)any_float() : GPU_ELEM_U8, .n_dims = pick(1, 4)};
        p.y_elem = pick(0, 1) && p.x_elem != GPU_ELEM_U8 ? p.x_elem : (int)any_float();
        random_chain(&p.chain, false);
        if (!pick(0, 4) && p.chain.n_operands < GPU_OPERANDS - 1 && p.chain.n < 5) { // a choice at the end
            const int k = p.chain.n_operands;
            p.chain.operand[k].elem = GPU_ELEM_U8, p.chain.operand[k + 1].elem = any_float();
            p.chain.step[p.chain.n++] = (struct gpu_chain_step){GPU_OP_SELECT, k, 0, 0};
            p.chain.step[p.chain.n++] = (struct gpu_chain_step){GPU_OP_ELSE, k + 1, 0, 0};
            p.chain.n_operands += 2;
        }
        int64_t x = 1, y = 1, n[GPU_OPERANDS] = {1, 1, 1, 1};
        for (int d = p.n_dims - 1; d >= 0; d--) {
            const bool last = d == p.n_dims - 1;
            p.extent[d] = pick(1, last ? 40 : 6);
            if (last) p.last = p.extent[d];
            if (last && pick(0, 1)) p.extent[d] = (p.last + 7) / 8 * 8;
            p.y_stride[d] = y, p.x_stride[d] = pick(0, 5) ? x : 0;
            y *= p.extent[d], x *= p.extent[d];
            for (int k = 0; k < GPU_OPERANDS; k++) {
                p.operand_stride[k][d] = pick(0, 2) ? n[k] : 0;
                n[k] *= p.extent[d];
            }
        }
        struct mem mx = make((enum gpu_elem)p.x_elem, x, p.x_elem == GPU_ELEM_U8 ? 0 : -1, 1.99f);
        struct mem my = make((enum gpu_elem)p.y_elem, y, 0, 1), want = copy_of(&my), mo[GPU_OPERANDS];
        const void *o[GPU_OPERANDS];
        for (int k = 0; k < p.chain.n_operands; k++) {
            const enum gpu_elem e = (enum gpu_elem)p.chain.operand[k].elem;
            mo[k] = make(e, n[k], e == GPU_ELEM_U8 ? 0 : -1, 1.99f);
            o[k] = mo[k].p;
        }
        gpu_elementwise_ref(&p, mx.p, o, want.p);
        CHECK_INT(gpu_elementwise(&p, mx.p, o, my.p, NULL), 0);
        SAME(my, want, "elementwise");
        drop(&mx), drop(&my), drop(&want), drop_operands(&p.chain, mo);
    }
}

// Every step once, over values where it is defined.
static void test_every_op(void)
{
    const uint64_t first_seed = 1;
    seed = 1;
    for (int op = 0; op < GPU_OP_COUNT; op++) {
        if (op == GPU_OP_SELECT || op == GPU_OP_ELSE) continue;
        CHECK(strcmp(gpu_op_name((enum gpu_op)op), "?"));
        struct gpu_elementwise p = {.n_dims = 1, .last = 60, .extent = {60}, .x_stride = {1}, .y_stride = {1}};
        p.operand_stride[0][0] = 1;
        p.chain = (struct gpu_chain){.n = 1, .n_operands = 1};
        p.chain.step[0] = (struct gpu_chain_step){op, op < GPU_OP_WITH_OPERAND ? 0 : -1, 0.3f, 0.8f};
        struct mem x = make(GPU_ELEM_F32, 60, op == GPU_OP_LOG || op == GPU_OP_SQRT || op == GPU_OP_POW ? 0.1f : -3, 3);
        struct mem b = make(GPU_ELEM_F32, 60, 0.5f, 2), y = make(GPU_ELEM_F32, 60, 0, 1), want = copy_of(&y);
        const void *o[] = {b.p};
        gpu_elementwise_ref(&p, x.p, o, want.p);
        CHECK_INT(gpu_elementwise(&p, x.p, o, y.p, NULL), 0);
        SAME(y, want, gpu_op_name((enum gpu_op)op));
        drop(&x), drop(&b), drop(&y), drop(&want);
    }
}

static void test_finish(void)
{
    CASES(60)
    {
        struct gpu_finish p = {.elem = any_float(), .image_pixels = pick(1, 30), .channels = pick(1, 40)};
        p.pixels = p.image_pixels * pick(1, 3);
        p.pitch = pick(0, 1) ? p.channels : (p.channels + 7) / 8 * 8;
        random_chain(&p.chain, true);
        p.from = p.chain.n ? pick(0, p.chain.n - 1) : 0;
        struct mem y = make((enum gpu_elem)p.elem, p.pixels * p.pitch, -1, 1), want = copy_of(&y), m[GPU_OPERANDS];
        const void *o[GPU_OPERANDS];
        make_operands(&p.chain, m, o, y.n, p.pitch);
        gpu_finish_ref(&p, o, want.p);
        CHECK_INT(gpu_finish(&p, o, y.p, NULL), 0);
        SAME(y, want, "finish");
        drop(&y), drop(&want), drop_operands(&p.chain, m);
    }
}

// ---- products ------------------------------------------------------------------------------

static void test_matmul(void)
{
    CASES(60)
    {
        struct gpu_matmul p = {.x_elem = any_float(),
                               .w_elem = any_float(),
                               .y_elem = any_float(),
                               .batches = pick(1, 8), // more than a grid of the CPU has
                               .m = pick(1, 37),
                               .c = pick(1, 40),
                               .k = pick(1, pick(0, 9) ? 37 : 230), // wide ones: likewise
                               .alpha = 0.5f};
        const bool tx = pick(0, 1), tw = pick(0, 1);
        p.x_row = tx ? 1 : p.c, p.x_col = tx ? p.m : 1;
        p.w_row = tw ? 1 : p.k, p.w_col = tw ? p.c : 1;
        p.x_batch = pick(0, 1) ? p.m * p.c : 0, p.w_batch = pick(0, 1) ? p.c * p.k : 0, p.y_batch = p.m * p.k;
        random_chain(&p.chain, true);
        struct mem x = make((enum gpu_elem)p.x_elem, (int64_t)p.batches * p.m * p.c, -1, 1);
        struct mem w = make((enum gpu_elem)p.w_elem, (int64_t)p.batches * p.c * p.k, -0.3f, 0.3f);
        struct mem y = make((enum gpu_elem)p.y_elem, (int64_t)p.batches * p.m * p.k, 0, 1), want = copy_of(&y);
        struct mem m[GPU_OPERANDS];
        const void *o[GPU_OPERANDS];
        make_operands(&p.chain, m, o, y.n, p.k);
        gpu_matmul_ref(&p, x.p, w.p, o, want.p);
        CHECK_INT(gpu_matmul(&p, x.p, w.p, o, y.p, NULL), 0);
        SAME(y, want, "matmul");
        drop(&x), drop(&w), drop(&y), drop(&want), drop_operands(&p.chain, m);
    }
}

// ---- windows -----------------------------------------------------------------------------

static void test_pool(void)
{
    CASES(100)
    {
        struct gpu_pool p = {.elem = any_float(),
                             .n = pick(1, 2),
                             .c = pick(1, 20),
                             .h = pick(2, 9),
                             .w = pick(2, 9),
                             .r = pick(1, 3),
                             .s = pick(1, 3),
                             .stride_h = pick(1, 2),
                             .stride_w = pick(1, 2),
                             .dilation_h = 1,
                             .dilation_w = 1,
                             .average = pick(0, 1),
                             .count_pad = pick(0, 1)};
        p.pad_top = p.pad_bottom = pick(0, p.r - 1), p.pad_left = p.pad_right = pick(0, p.s - 1);
        p.p = (p.h + 2 * p.pad_top - p.r) / p.stride_h + 1 + pick(0, 1),
        p.q = (p.w + 2 * p.pad_left - p.s) / p.stride_w + 1;
        p.x_pitch = pick(0, 1) ? p.c : (p.c + 7) / 8 * 8, p.y_pitch = pick(0, 3) ? p.x_pitch : p.c;
        if (p.h + 2 * p.pad_top < p.r || p.w + 2 * p.pad_left < p.s) continue;
        if (!p.average) p.count_pad = false;
        const enum gpu_elem e = (enum gpu_elem)p.elem;
        struct mem x = make(e, (int64_t)p.n * p.h * p.w * p.x_pitch, -1, 1);
        struct mem y = make(e, (int64_t)p.n * p.p * p.q * p.y_pitch, 0, 1), want = copy_of(&y);
        gpu_pool_ref(&p, x.p, want.p);
        CHECK_INT(gpu_pool(&p, x.p, y.p, NULL), 0);
        SAME(y, want, "pool");
        drop(&x), drop(&y), drop(&want);
    }
}

static void test_resize(void)
{
    CASES(60)
    {
        struct gpu_resize p = {.elem = any_float(),
                               .n = pick(1, 2),
                               .c = pick(1, 20),
                               .h = pick(1, 6),
                               .w = pick(1, 6),
                               .p = pick(1, 9),
                               .q = pick(1, 9),
                               .taps_h = pick(1, 4),
                               .taps_w = pick(1, 4)};
        p.x_pitch = pick(0, 1) ? p.c : (p.c + 7) / 8 * 8, p.y_pitch = pick(0, 3) ? p.x_pitch : p.c;
        int32_t *index = table(0);
        float *weight = table(1);
        for (int i = 0; i < p.p * p.taps_h; i++) index[i] = pick(0, p.h - 1), weight[i] = 0.25f * (float)pick(-2, 4);
        for (int i = p.p * p.taps_h; i < p.p * p.taps_h + p.q * p.taps_w; i++)
            index[i] = pick(0, p.w - 1), weight[i] = 0.25f * (float)pick(-2, 4);
        const enum gpu_elem e = (enum gpu_elem)p.elem;
        struct mem x = make(e, (int64_t)p.n * p.h * p.w * p.x_pitch, -1, 1);
        struct mem y = make(e, (int64_t)p.n * p.p * p.q * p.y_pitch, 0, 1), want = copy_of(&y);
        gpu_resize_ref(&p, x.p, index, weight, want.p);
        CHECK_INT(gpu_resize(&p, x.p, index, weight, y.p, NULL), 0);
        SAME(y, want, "resize");
        drop(&x), drop(&y), drop(&want);
    }
}

// ---- reductions ---------------------------------------------------------------------------

static void test_reduce(void)
{
    CASES(120)
    {
        struct gpu_reduce p = {.kind = pick(0, GPU_REDUCE_PROD),
                               .src_elem = any_float(),
                               .dst_elem = any_float(),
                               .outer = pick(1, 4),
                               .reduce = pick(1, 600),
                               .inner = pick(0, 1) ? pick(1, 4) : pick(16, 70),
                               .mean_outer_div = pick(1, 2),
                               .mean_inner_div = pick(1, 3)};
        if (p.kind == GPU_REDUCE_PROD) p.reduce = pick(1, 8);
        p.scale =
            p.kind == GPU_REDUCE_MAX || p.kind == GPU_REDUCE_MIN || p.kind == GPU_REDUCE_PROD ? 1 : 1 / (float)p.reduce;
        p.root = p.kind == GPU_REDUCE_SUM_SQUARES;
        p.mean_outer = p.inner;
        const int64_t pitch = pick(0, 1) ? p.inner + pick(0, 3) : (p.inner + 7) / 8 * 8;
        p.src_outer = p.reduce * pitch, p.src_reduce = pitch, p.src_inner = 1;
        if (pick(0, 1)) p.src_outer = p.reduce * p.inner, p.src_reduce = 1, p.src_inner = p.reduce;
        p.dst_outer = p.inner, p.dst_inner = 1;
        struct mem x = make((enum gpu_elem)p.src_elem, p.outer * p.reduce * pitch, -1, 1);
        struct mem mean = make(GPU_ELEM_F32, p.outer * p.inner, -0.5f, 0.5f);
        struct mem y = make((enum gpu_elem)p.dst_elem, p.outer * p.inner, 0, 1), want = copy_of(&y);
        gpu_reduce_ref(&p, x.p, mean.p, want.p);
        CHECK_INT(gpu_reduce(&p, x.p, mean.p, y.p, NULL), 0);
        SAME(y, want, "reduce");
        drop(&x), drop(&mean), drop(&y), drop(&want);
    }
}

static void test_argmax(void)
{
    CASES(40)
    {
        struct gpu_argmax p = {.src_elem = any_float(),
                               .outer = pick(1, 4),
                               .reduce = pick(1, 30),
                               .inner = pick(1, 20),
                               .smallest = pick(0, 1),
                               .last = pick(0, 1)};
        p.src_outer = p.reduce * p.inner, p.src_reduce = p.inner, p.src_inner = 1;
        struct mem x = make((enum gpu_elem)p.src_elem, p.outer * p.reduce * p.inner, 0, 1);
        for (int64_t i = 0; i < x.n; i++) gpu_elem_store(x.e, x.p, i, floorf(8 * gpu_elem_load(x.e, x.p, i))); // equals
        struct mem y = make(GPU_ELEM_I64, p.outer * p.inner, 0, 1), want = copy_of(&y);
        gpu_argmax_ref(&p, x.p, want.p);
        CHECK_INT(gpu_argmax(&p, x.p, y.p, NULL), 0);
        SAME(y, want, "argmax");
        drop(&x), drop(&y), drop(&want);
    }
}

static void test_softmax(void)
{
    CASES(60)
    {
        struct gpu_softmax p = {.src_elem = any_float(),
                                .dst_elem = any_float(),
                                .outer = pick(1, 5),
                                .axis = pick(1, 300),
                                .inner = pick(0, 1) ? 1 : pick(1, 9),
                                .logarithm = pick(0, 1)};
        p.src_outer = p.dst_outer = p.axis * p.inner, p.src_axis = p.dst_axis = p.inner, p.src_inner = p.dst_inner = 1;
        struct mem x = make((enum gpu_elem)p.src_elem, p.outer * p.axis * p.inner, -4, 4);
        struct mem y = make((enum gpu_elem)p.dst_elem, p.outer * p.axis * p.inner, 0, 1), want = copy_of(&y);
        gpu_softmax_ref(&p, x.p, want.p);
        CHECK_INT(gpu_softmax(&p, x.p, y.p, NULL), 0);
        SAME(y, want, "softmax");
        drop(&x), drop(&y), drop(&want);
    }
}

static void test_norm(void)
{
    CASES(40)
    {
        struct gpu_norm p = {
            .elem = any_float(), .images = pick(1, 3), .pixels = pick(1, 30), .groups = pick(1, 4), .epsilon = 1e-5f};
        p.c = p.groups * pick(1, 6);
        p.x_pitch = pick(0, 1) ? p.c : (p.c + 7) / 8 * 8, p.y_pitch = pick(0, 1) ? p.c : (p.c + 7) / 8 * 8;
        struct mem x = make((enum gpu_elem)p.elem, p.images * p.pixels * p.x_pitch, -1, 1);
        struct mem mean = make(GPU_ELEM_F32, p.images * p.groups, -1, 1),
                   var = make(GPU_ELEM_F32, p.images * p.groups, 0.1f, 2);
        struct mem scale = make(GPU_ELEM_F32, p.c, -1, 1), shift = make(GPU_ELEM_F32, p.c, -1, 1);
        struct mem y = make((enum gpu_elem)p.elem, p.images * p.pixels * p.y_pitch, 0, 1), want = copy_of(&y);
        gpu_norm_ref(&p, x.p, mean.p, var.p, scale.p, shift.p, want.p);
        CHECK_INT(gpu_norm(&p, x.p, mean.p, var.p, scale.p, shift.p, y.p, NULL), 0);
        SAME(y, want, "norm");
        drop(&x), drop(&mean), drop(&var), drop(&scale), drop(&shift), drop(&y), drop(&want);
    }
}

static void test_layer_norm(void)
{
    CASES(40)
    {
        struct gpu_layer_norm p = {
            .elem = any_float(), .rows = pick(1, 6), .columns = pick(2, 300), .epsilon = 1e-5f, .rms = pick(0, 1)};
        struct mem x = make((enum gpu_elem)p.elem, p.rows * p.columns, -1, 3);
        struct mem scale = make(GPU_ELEM_F32, p.columns, -1, 1), shift = make(GPU_ELEM_F32, p.columns, -1, 1);
        struct mem y = make((enum gpu_elem)p.elem, p.rows * p.columns, 0, 1), want = copy_of(&y);
        const float *a = pick(0, 2) ? scale.p : NULL, *b = pick(0, 2) ? shift.p : NULL;
        gpu_layer_norm_ref(&p, x.p, a, b, want.p);
        CHECK_INT(gpu_layer_norm(&p, x.p, a, b, y.p, NULL), 0);
        SAME(y, want, "layer norm");
        drop(&x), drop(&scale), drop(&shift), drop(&y), drop(&want);
    }
}

OPS_MAIN({"copy: any strides, tables, types", test_copy}, {"copy: layouts by tiles", test_layouts},
         {"copy: pixels of few channels", test_pixels}, {"copy: integers of 16 bits", test_bits}, //
         {"gather", test_gather}, {"elementwise", test_elementwise}, {"every pointwise step", test_every_op},
         {"rest of an epilogue", test_finish}, {"convolution, plain and transposed", test_conv},
         {"convolution of few channels", test_few_channels}, {"few input channels on tensor cores", test_few_in},
         {"few output channels on tensor cores", test_few_out}, {"the same bytes in any company", test_company},
         {"which kernel convolves", test_ways}, {"depthwise convolution", test_depthwise},
         {"matrix product", test_matmul}, {"pooling", test_pool}, {"resize", test_resize}, {"reduce", test_reduce},
         {"argmax", test_argmax}, {"softmax", test_softmax}, {"instance and group normalisation", test_norm},
         {"layer normalisation", test_layer_norm})
