// SPDX-License-Identifier: MIT
//
// The recurrent kernel (kernels/gpu/rnn.h), executed on the CPU (tests/cuda_cpu), against its
// twin on random data: every cell, both directions, short sequences, absent operands.
// tests/gpu/test_rnn.c is this file once more, on a GPU.
#include "kernels/gpu/rnn.h"
#include "tests/unit/kernels/ops.h"

static struct gpu_rnn any_layer(void)
{
    static const int ops[] = {GPU_OP_SIGMOID, GPU_OP_TANH, GPU_OP_HSIGMOID, GPU_OP_SOFTSIGN};
    struct gpu_rnn p = {.kind = pick(GPU_CELL_RNN, GPU_CELL_LSTM),
                        .xw_elem = any_float(),
                        .r_elem = any_float(),
                        .y_elem = any_float(),
                        .h_elem = any_float(),
                        .c_elem = any_float(),
                        .steps = pick(1, 5),
                        .batch = pick(1, 3),
                        .hidden = pick(1, 40),
                        .directions = pick(1, 2),
                        .batch_first = pick(0, 1),
                        .linear_before_reset = pick(0, 1),
                        .input_forget = pick(0, 1),
                        .clip = pick(0, 1) ? 0 : 0.5f};
    p.reverse = p.directions == 1 && pick(0, 1);
    for (int i = 0; i < 6; i++) p.act[i / 3][i % 3] = (struct gpu_activation){ops[pick(0, 3)], 0.2f, 0.5f};
    return p;
}

static struct mem states(const struct gpu_rnn *p, int elem, int steps)
{
    return make((enum gpu_elem)elem, (int64_t)steps * p->batch * p->directions * p->hidden, -1, 1);
}

static void test_rnn(void)
{
    CASES(120)
    {
        const struct gpu_rnn p = any_layer();
        const int64_t width = (int64_t)GPU_RNN_GATES(p.kind) * p.hidden, all = p.directions * width;
        struct mem xw = make((enum gpu_elem)p.xw_elem, p.batch * p.steps * all, -1, 1);
        struct mem r = make((enum gpu_elem)p.r_elem, p.hidden * all, -0.2f, 0.2f);
        struct mem bias = make(GPU_ELEM_F32, all + (int64_t)p.directions * p.hidden, -1, 1);
        struct mem peep = make(GPU_ELEM_F32, (int64_t)p.directions * 3 * p.hidden, -1, 1);
        struct mem length = make(GPU_ELEM_I32, p.batch, -1.9f, (float)p.steps + 2); // some are cut
        struct mem h = states(&p, p.h_elem, 1), c = states(&p, p.c_elem, 1);
        struct mem y[3] = {states(&p, p.y_elem, p.steps), states(&p, p.y_elem, 1), states(&p, p.y_elem, 1)}, want[3];
        for (int i = 0; i < 3; i++) want[i] = copy_of(&y[i]);
        struct gpu_rnn_data d = {.xw = xw.p, .r = r.p, .bias = bias.p};
        if (pick(0, 1)) d.peep = peep.p;
        if (pick(0, 1)) d.length = length.p;
        if (pick(0, 1)) d.h = h.p;
        if (pick(0, 1)) d.c = c.p;
        struct gpu_rnn_data to = d;
        const int given = pick(1, 7);
        if (given & 1) d.y = y[0].p, to.y = want[0].p;
        if (given & 2) d.last_h = y[1].p, to.last_h = want[1].p;
        if (given & 4) d.last_c = y[2].p, to.last_c = want[2].p;
        gpu_rnn_ref(&p, &to);
        CHECK_INT(gpu_rnn(&p, &d, NULL), 0);
        for (int i = 0; i < 3; i++) SAME(y[i], want[i], "recurrent layer");
        for (int i = 0; i < 3; i++) drop(&y[i]), drop(&want[i]);
        drop(&xw), drop(&r), drop(&bias), drop(&peep), drop(&length), drop(&h), drop(&c);
    }
}

OPS_MAIN({"recurrent layers", test_rnn})
