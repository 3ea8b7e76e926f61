// SPDX-License-Identifier: MIT
//
// Attention's kernels (kernels/gpu/attention.h), executed on the CPU (tests/cuda_cpu), against
// their twins on random data: masks that broadcast, windows, rows that attend nothing.
// tests/gpu/test_attention.c is this file once more, on a GPU.
#include "kernels/gpu/attention.h"
#include "kernels/gpu/flash.h"
#include "tests/unit/kernels/ops.h"

static struct gpu_attention_span any_span(int rows, int columns)
{
    struct gpu_attention_span s = {.rows = pick(1, rows), .columns = pick(1, columns), .causal = pick(0, 1)};
    s.left = pick(-1, 5), s.right = pick(-1, 5), s.past = pick(0, 9);
    s.width = s.columns;
    return s;
}

static void test_attention(void)
{
    CASES(150)
    {
        struct gpu_attention p = {.elem = any_float(),
                                  .batch = pick(1, 2),
                                  .heads = pick(1, 3),
                                  .span = any_span(9, 90),
                                  .softcap = pick(0, 2) ? 0 : 2,
                                  .masked = pick(0, 1),
                                  .scores = !pick(0, 4)};
        p.mask_elem = pick(0, 1) ? GPU_ELEM_U8 : (int)any_float();
        p.span.width = p.masked && pick(0, 1) ? pick(1, p.span.columns) : p.span.columns;
        int64_t step = p.span.width;
        p.mask_column = 1;
        if (pick(0, 1)) p.mask_row = step, step *= p.span.rows;
        if (pick(0, 1)) p.mask_head = step, step *= p.heads;
        if (pick(0, 1)) p.mask_batch = step, step *= p.batch;
        struct mem y = make((enum gpu_elem)p.elem, (int64_t)p.batch * p.heads * p.span.rows * p.span.columns, -3, 3);
        struct mem want = copy_of(&y),
                   mask = make((enum gpu_elem)p.mask_elem, step, p.mask_elem == GPU_ELEM_U8 ? 0 : -2, 2);
        struct mem valid = make(GPU_ELEM_I64, p.batch, 0, (float)p.span.columns + 0.9f);
        if (p.mask_elem != GPU_ELEM_U8 && pick(0, 1)) gpu_elem_store(mask.e, mask.p, pick(0, (int)step - 1), -INFINITY);
        const int64_t *some = pick(0, 1) ? valid.p : NULL;
        gpu_attention_ref(&p, want.p, mask.p, some);
        CHECK_INT(gpu_attention(&p, y.p, mask.p, some, NULL), 0);
        SAME(y, want, "attention");
        drop(&y), drop(&want), drop(&mask), drop(&valid);
    }
}

// ---- one kernel ------------------------------------------------------------------------

// Matrices (a,b,c) of rows of `length`, in an order of dimensions and with gaps by
// chance; in *out_n the elements they take.
static struct gpu_flash_place any_place(const int lead[3], int rows, int length, int64_t *out_n)
{
    struct gpu_flash_place m = {.extent = {lead[1], lead[2]}};
    const int extent[5] = {lead[0], lead[1], lead[2], rows, length};
    int64_t *const stride[5] = {&m.stride[0], &m.stride[1], &m.stride[2], &m.row, &m.column};
    int order[5] = {0, 1, 2, 3, 4};
    if (pick(0, 1)) order[1] = 3, order[2] = 1, order[3] = 2; // (batch,rows,heads,length)
    if (!pick(0, 4)) order[3] = order[4], order[4] = 3;       // turned
    int64_t step = 1;
    for (int d = 4; d >= 0; d--) {
        *stride[order[d]] = step;
        step *= extent[order[d]];
        const int gap = pick(0, 7);
        if (gap < 2) step += gap + 1; // rows that begin at any number
        if (gap > 5) step = (step + 7) / 8 * 8;
    }
    *out_n = step;
    return m;
}

static struct gpu_flash_term any_term(const struct gpu_flash *p, const int lead[3], struct mem *out_mem)
{
    struct gpu_flash_term t = {.op = pick(GPU_FLASH_ADD, GPU_FLASH_DROP), .fill = pick(0, 1) ? -INFINITY : -3};
    const bool mask = t.op >= GPU_FLASH_KEEP;
    int64_t n;
    t.elem = mask ? GPU_ELEM_U8 : pick(0, 2) ? p->elem : GPU_ELEM_F32;
    t.at = any_place(lead, p->span.rows, p->span.width, &n);
    for (int i = 0; i < 3; i++)
        if (pick(0, 1)) t.at.stride[i] = 0;
    if (!pick(0, 3)) t.at.row = 0;
    if (!pick(0, 5)) t.at.column = 0;
    *out_mem = make((enum gpu_elem)t.elem, n, mask ? 0 : -1, mask ? 2 : 1);
    if (t.op == GPU_FLASH_ADD && pick(0, 1)) gpu_elem_store(out_mem->e, out_mem->p, pick(0, (int)n - 1), -INFINITY);
    return t;
}

// Numbers that a product of halves may be wrong by: weights are rounded to the element
// type before they are summed.
static bool close_to(const struct mem *have, const struct mem *want)
{
    OPS_SETTLE();
    const double limit = have->e == GPU_ELEM_BF16 ? 2e-2 : 3e-3;
    for (int64_t i = 0; i < want->n; i++) {
        const double a = (double)gpu_elem_load(have->e, have->p, i), b = (double)gpu_elem_load(want->e, want->p, i);
        if (fabs(a - b) <= limit || (a != a && b != b)) continue;
        fprintf(stderr, "flash: element %lld of %lld is %.9g, the twin's %.9g\n", (long long)i, (long long)want->n, a,
                b);
        return false;
    }
    return intact(have);
}

static struct gpu_flash any_flash(const int lead[3])
{
    struct gpu_flash p = {.elem = pick(GPU_ELEM_F16, GPU_ELEM_BF16),
                          .count = (int64_t)lead[0] * lead[1] * lead[2],
                          .heads = lead[2],
                          .dim = pick(0, 2) ? 8 * pick(1, 32) : pick(1, GPU_FLASH_DIM),
                          .scale = 0.4f,
                          .y_scale = pick(0, 1) ? 1 : 0.75f,
                          .softcap = pick(0, 5) ? 0 : 2,
                          .span = any_span(150, 150)};
    if (pick(0, 1)) p.dim = pick(0, 1) ? 30 : 32; // windows of 64
    if (p.dim <= 32 && pick(0, 1)) p.span.rows = p.span.columns = 64;
    if (pick(0, 1)) p.span.causal = false, p.span.left = p.span.right = -1;
    p.v_dim = pick(0, 2) ? p.dim : pick(1, GPU_FLASH_DIM);
    p.n_terms = pick(0, GPU_FLASH_TERMS);
    p.span.width = p.n_terms && !pick(0, 3) ? pick(1, p.span.columns) : p.span.columns;
    return p;
}

static void test_flash(void)
{
    CASES(60)
    {
        const int lead[3] = {pick(1, 2), pick(1, 2), pick(1, 2)};
        struct gpu_flash p = any_flash(lead);
        int64_t n;
        struct mem q, k, v, y, want, term[GPU_FLASH_TERMS] = {0};
        p.q = any_place(lead, p.span.rows, p.dim, &n), q = make((enum gpu_elem)p.elem, n, -1, 1);
        p.k = any_place(lead, p.span.columns, p.dim, &n), k = make((enum gpu_elem)p.elem, n, -1, 1);
        if (pick(0, 1)) p.k.stride[2] = 0; // heads that share keys
        p.v = any_place(lead, p.span.columns, p.v_dim, &n), v = make((enum gpu_elem)p.elem, n, -1, 1);
        p.y = any_place(lead, p.span.rows, p.v_dim, &n), y = make((enum gpu_elem)p.elem, n, -1, 1);
        const void *terms[GPU_FLASH_TERMS] = {NULL};
        for (int i = 0; i < p.n_terms; i++) p.term[i] = any_term(&p, lead, &term[i]), terms[i] = term[i].p;
        want = copy_of(&y);
        struct mem valid = make(GPU_ELEM_I64, lead[0] * lead[1], -2, (float)p.span.columns + 0.9f);
        const int64_t *some = pick(0, 2) ? NULL : valid.p;
        gpu_flash_ref(&p, q.p, k.p, v.p, terms, some, want.p);
        CHECK_INT(gpu_flash(&p, q.p, k.p, v.p, terms, some, y.p, NULL), 0);
        CHECK_MSG(close_to(&y, &want), "seed %llu", (unsigned long long)first_seed);
        drop(&q), drop(&k), drop(&v), drop(&y), drop(&want), drop(&valid);
        for (int i = 0; i < GPU_FLASH_TERMS; i++) drop(&term[i]);
    }
}

// A row's bytes are the same beside any others: alone, and as one of many.
static void test_flash_alone(void)
{
    enum { ROWS = 70, COLUMNS = 130, DIM = 40, COUNT = 3 };
    seed = 11;
    struct mem x = make(GPU_ELEM_F16, (int64_t)COUNT * 3 * COLUMNS * DIM, -2, 2);
    struct mem y = make(GPU_ELEM_F16, COUNT * ROWS * DIM, 0, 0), alone = make(GPU_ELEM_F16, DIM, 0, 0);
    struct gpu_flash p = {
        .elem = GPU_ELEM_F16, .count = COUNT, .heads = 1, .dim = DIM, .v_dim = DIM, .scale = 0.3f, .y_scale = 1};
    p.span = (struct gpu_attention_span){.rows = ROWS, .columns = COLUMNS, .width = COLUMNS, .left = -1, .right = -1};
    p.q = (struct gpu_flash_place){{1, 1}, {COLUMNS * DIM}, DIM, 1};
    p.k = p.v = p.q;
    p.y = (struct gpu_flash_place){{1, 1}, {ROWS * DIM}, DIM, 1};
    const uint16_t *q = x.p, *k = q + COUNT * COLUMNS * DIM, *v = k + COUNT * COLUMNS * DIM;
    CHECK_INT(gpu_flash(&p, q, k, v, NULL, NULL, y.p, NULL), 0);
    for (int m = 0; m < COUNT; m++)
        for (int i = 0; i < ROWS; i += 23) {
            struct gpu_flash one = p;
            const int64_t at = (int64_t)m * COLUMNS * DIM;
            one.count = one.span.rows = 1;
            CHECK_INT(gpu_flash(&one, q + at + i * DIM, k + at, v + at, NULL, NULL, alone.p, NULL), 0);
            OPS_SETTLE();
            CHECK_INT(memcmp(alone.p, (const uint16_t *)y.p + (m * ROWS + i) * DIM, DIM * 2), 0);
        }
    drop(&x), drop(&y), drop(&alone);
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

OPS_MAIN({"mask and softmax", test_attention}, {"one kernel", test_flash}, {"a row alone", test_flash_alone},
         {"rotary embeddings", test_rotary})
