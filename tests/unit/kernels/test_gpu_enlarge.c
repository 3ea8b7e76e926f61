// SPDX-License-Identifier: MIT
//
// Depth to space, alone and joined with a second image: the fast form
// (kernels/gpu/enlarge.h) against the twins of the steps it stands for, and that
// it is taken. Odd widths, both modes, misaligned bases, views in wider tensors.
// tests/gpu/test_enlarge.c is this file once more, on a GPU.
#include "kernels/gpu/enlarge.h"
#include "tests/unit/kernels/ops.h"

// A tensor of n images of h x w pixels of c channels: some with padding lanes,
// some a view in a wider one.
struct image {
    int64_t at, pixel, row, image, count; // at: of the first element
};

static struct image random_image(int n, int h, int w, int c, bool dense)
{
    static const int starts[] = {0, 0, 0, 8, 4, 2, 1};
    struct image i = {.at = starts[pick(0, 6)], .pixel = dense ? c : pick(0, 2) ? (c + 7) / 8 * 8 : c + pick(0, 9)};
    i.row = i.pixel * w + (pick(0, 2) ? 0 : dense && pick(0, 1) ? pick(1, 4) * 8 : pick(0, 20));
    i.image = i.row * h + (pick(0, 2) ? 0 : pick(0, 20));
    i.count = i.at + i.image * n;
    return i;
}

// Depth to space by r over (n, h, r, w, r, c), with an operand of one kind:
// 0 none, 1 the enlarged one, 2 one as large as y, 3 a number a channel.
static void random_enlargement(struct gpu_elementwise *p, int r, int c, int kind, struct image *x, struct image *o,
                               struct image *y, bool *out_swapped)
{
    const int n = pick(1, 3), h = pick(1, 7), w = pick(0, 9) ? pick(1, 40) : pick(100, 300);
    const bool crd = pick(0, 1);
    *x = random_image(n, h, w, r * r * c, false);
    *y = random_image(n, h * r, w * r, c, true);
    *o = kind == 2 ? random_image(n, h * r, w * r, c, pick(0, 1)) : random_image(n, h, w, c, pick(0, 1));
    if (kind == 3) *o = (struct image){.count = c};
    const int large = kind == 2 ? r : 1; // pixels of the operand's row under one of x
    const int64_t fine = kind == 2;
    const int32_t extent[6] = {n, h, r, w, r, c};
    const int64_t xs[6] = {x->image, x->row, crd ? r : r * c, x->pixel, crd ? 1 : c, crd ? r * r : 1};
    const int64_t ys[6] = {y->image, y->row * r, y->row, y->pixel * r, y->pixel, 1};
    const int64_t os[6] = {o->image, o->row * large, fine * o->row, o->pixel * large, fine * o->pixel, 1};
    *out_swapped = kind && pick(0, 1);
    for (int d = 0; d < 6; d++) { // as the lowering leaves them: no dimension of 1
        if (extent[d] == 1 && d != 3) continue;
        const int k = p->n_dims++;
        p->extent[k] = p->last = extent[d];
        p->x_stride[k] = *out_swapped ? os[d] : xs[d];
        p->operand_stride[0][k] = *out_swapped ? xs[d] : os[d];
        p->y_stride[k] = ys[d];
    }
}

static int enlarge_by_copy(const struct gpu_elementwise *p, const void *x, int64_t x_at, void *y, int64_t y_at)
{
    struct gpu_copy c = {
        .from = p->x_elem, .to = p->y_elem, .n_dims = p->n_dims, .src_base = x_at, .dst_base = y_at, .pad_dim = -1};
    for (int d = 0; d < p->n_dims; d++) {
        c.extent[d] = p->extent[d], c.table[d] = -1;
        c.src_stride[d] = p->x_stride[d], c.dst_stride[d] = p->y_stride[d];
    }
    return gpu_copy(&c, x, y, NULL, NULL);
}

static void test_enlarge(void)
{
    static const int ops[] = {GPU_OP_ADD, GPU_OP_SUB, GPU_OP_RSUB, GPU_OP_MUL};
    CASES(240)
    {
        const int r = pick(2, 4), c = pick(0, 5) ? 1 + 2 * pick(0, 1) : 5, kind = pick(0, 3);
        struct gpu_elementwise p = {.x_elem = any_float()};
        struct image x, o, y;
        bool swapped;
        random_enlargement(&p, r, r == 2 && c == 5 ? 4 : c, kind, &x, &o, &y, &swapped);
        p.y_elem = p.chain.operand[0].elem = p.x_elem;
        if (kind) p.chain.n = p.chain.n_operands = 1;
        p.chain.step[0] = (struct gpu_chain_step){ops[pick(0, 3)], 0, 0, 0};
        const enum gpu_elem e = (enum gpu_elem)p.x_elem;
        const size_t bytes = gpu_elem_bytes(e);
        struct mem mx = make(e, x.count, -1, 1), mo = make(e, o.count, -1, 1), my = make(e, y.count, 0, 1);
        struct mem want = copy_of(&my), by_copy = copy_of(&my);
        const void *xp = (char *)mx.p + (size_t)x.at * bytes, *op = (char *)mo.p + (size_t)o.at * bytes;
        const void *first = swapped ? op : xp, *second = swapped ? xp : op;
        gpu_elementwise_ref(&p, first, &second, (char *)want.p + (size_t)y.at * bytes);
        int error = -1;
        const bool taken = gpu_enlarge(&p, first, &second, (char *)my.p + (size_t)y.at * bytes, NULL, &error);
        if (c != 5) CHECK_MSG(taken, "not recognised, seed %llu", (unsigned long long)first_seed);
        if (taken) SAME(my, want, "enlarge");
        if (taken) CHECK_INT(error, 0);
        CHECK_INT(gpu_elementwise(&p, first, &second, (char *)my.p + (size_t)y.at * bytes, NULL), 0);
        SAME(my, want, "enlarge, elementwise");
        if (!kind) CHECK_INT(enlarge_by_copy(&p, mx.p, x.at, by_copy.p, y.at), 0);
        if (!kind) SAME(by_copy, want, "enlarge, copy");
        drop(&mx), drop(&mo), drop(&my), drop(&want), drop(&by_copy);
    }
}

OPS_MAIN({"depth to space, alone and joined", test_enlarge})
