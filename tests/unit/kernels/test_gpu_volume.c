// SPDX-License-Identifier: MIT
//
// Convolutions over three axes (kernels/gpu/volume.h), executed on the CPU (tests/cuda_cpu),
// against their twin on random data. tests/gpu/test_volume.c is this file once more, on a GPU.
#include "kernels/gpu/volume.h"
#include "tests/unit/kernels/ops_conv.h"

static bool random_axis(struct gpu_volume_axis *a, bool transposed)
{
    *a = (struct gpu_volume_axis){.in = pick(1, 6), .size = pick(1, 3), .stride = pick(1, 3), .before = pick(0, 2)};
    a->dilation = pick(1, 2);
    const int span = (a->size - 1) * a->dilation + 1, after = pick(0, 2);
    a->out = transposed ? a->stride * (a->in - 1) + span - a->before - after + pick(0, 1)
                        : (a->in + a->before + after - span) / a->stride + 1;
    return a->out > 0 && (transposed || a->in + a->before + after >= span);
}

static bool random_volume(struct gpu_volume *p)
{
    *p = (struct gpu_volume){.elem = any_float(), .n = pick(1, 2), .groups = pick(1, 3), .transposed = pick(0, 1)};
    p->depthwise = !p->transposed && pick(0, 1);
    p->c = p->groups * pick(1, 4), p->k = p->groups * pick(1, 4);
    if (p->depthwise) p->c = p->k = p->groups = pick(1, 20);
    p->x_pitch = pick(0, 1) ? p->c : (p->c + 7) / 8 * 8;
    p->y_pitch = pick(0, 1) ? p->k : (p->k + 7) / 8 * 8;
    if (p->depthwise) p->y_pitch = p->x_pitch;
    random_chain(&p->chain, true);
    bool ok = true;
    for (int d = 0; d < 3; d++) ok &= random_axis(&p->axis[d], p->transposed);
    return ok;
}

static void test_volume(void)
{
    CASES(400)
    {
        struct gpu_volume p;
        struct mem m[GPU_OPERANDS];
        const void *operand[GPU_OPERANDS];
        if (!random_volume(&p)) continue;
        const struct gpu_volume_axis *a = p.axis;
        const enum gpu_elem e = (enum gpu_elem)p.elem;
        const int64_t in = (int64_t)p.n * a[0].in * a[1].in * a[2].in,
                      taps = (int64_t)a[0].size * a[1].size * a[2].size;
        const int64_t out = (int64_t)p.n * a[0].out * a[1].out * a[2].out * p.y_pitch;
        struct mem x = make(e, in * p.x_pitch, -1, 1);
        struct mem w = make(e, p.depthwise ? taps * p.y_pitch : taps * p.c * p.k / p.groups, -1, 1);
        struct mem y = make(e, out, 0, 1), want = copy_of(&y);
        make_operands(&p.chain, m, operand, out, p.y_pitch);
        gpu_volume_ref(&p, x.p, w.p, operand, want.p);
        CHECK_INT(gpu_volume(&p, x.p, w.p, operand, y.p, NULL), 0);
        SAME(y, want, "volumes");
        drop(&x), drop(&w), drop(&y), drop(&want);
        drop_operands(&p.chain, m);
    }
}

// One corner of one volume, by hand: what the twin and the kernel share.
static void a_known_volume(void)
{
    struct gpu_volume p = {.elem = GPU_ELEM_F32, .n = 1, .c = 1, .k = 1, .groups = 1, .x_pitch = 1, .y_pitch = 1};
    for (int d = 0; d < 3; d++) p.axis[d] = (struct gpu_volume_axis){2, 3, 2, 2, 0, 1}; // 2 -> 3, of a possible 4
    p.transposed = true;
    struct mem x = make(GPU_ELEM_F32, 8, 0, 0), w = make(GPU_ELEM_F32, 8, 0, 0), y = make(GPU_ELEM_F32, 27, 0, 0);
    for (int i = 0; i < 8; i++)
        gpu_elem_store(x.e, x.p, i, (float)(i + 1)), gpu_elem_store(w.e, w.p, i, (float)(10 + i));
    CHECK_INT(gpu_volume(&p, x.p, w.p, NULL, y.p, NULL), 0);
    OPS_SETTLE();
    CHECK(((float *)y.p)[0] == 10 && ((float *)y.p)[1] == 11);
    CHECK(((float *)y.p)[2] == 20);      // x's second column, by tap 0
    CHECK(((float *)y.p)[26] == 8 * 10); // the last of all
    CHECK(((float *)y.p)[13] == 17);     // the first by the last tap
    drop(&x), drop(&w), drop(&y);
}

OPS_MAIN({"convolutions over three axes", test_volume}, {"a known one", a_known_volume})
