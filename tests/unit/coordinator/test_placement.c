// SPDX-License-Identifier: MIT
//
// Where frames lie, over machines of several kinds: one GPU, peers, no peers,
// GPUs without a codec, too little memory.
#include "tests/check.h"

#include "coordinator/placement.h"

static struct reel_gpu_table table(uint32_t n, bool peers, uint64_t free_bytes)
{
    struct reel_gpu_table t = {.n = n};
    for (uint32_t i = 0; i < n; i++) {
        t.gpu[i].free_bytes = free_bytes;
        t.gpu[i].peers = peers ? ((UINT64_C(1) << n) - 1) & ~(UINT64_C(1) << i) : 0;
    }
    return t;
}

static const int workers[] = {0, 1, 0, 1};

static struct placement_ask ask(const struct reel_gpu_table *t)
{
    return (struct placement_ask){.gpus = t,
                                  .worker_gpu = workers,
                                  .n_workers = t->n == 1 ? 1 : 4,
                                  .decoder_gpu = 0,
                                  .aggregator_gpu = 0,
                                  .in = true,
                                  .out = true,
                                  .segments_left = 1,
                                  .lanes = 2,
                                  .in_slots = 20,
                                  .out_slots = 22,
                                  .least_in_slots = 4,
                                  .least_out_slots = 5,
                                  .in_slot_bytes = 1000,
                                  .out_slot_bytes = 4000};
}

#define DECIDE(want_gpu, want_in, want_out) \
    do {                                    \
        struct placement p_;                \
        placement_decide(&a, &p_);          \
        CHECK_INT(p_.gpu, want_gpu);        \
        CHECK_INT(p_.in, want_in);          \
        CHECK_INT(p_.out, want_out);        \
    } while (0)

static void one_gpu(void)
{
    struct reel_gpu_table t = table(1, false, 1 << 30);
    struct placement_ask a = ask(&t);
    DECIDE(0, true, true);
    a.out = false; // no NVENC
    DECIDE(0, true, false);
    a.out = true, a.in = false; // a codec that NVDEC has not
    DECIDE(0, false, true);
    a.in = a.out = false;
    DECIDE(-1, false, false);
    a.in = true, a.rings_off = 1;
    DECIDE(-1, false, false);
    a.rings_off = 0, a.decoder_gpu = -1;
    DECIDE(-1, false, false);
}

static void two_gpus(void)
{
    struct reel_gpu_table t = table(2, true, 1 << 30);
    struct placement_ask a = ask(&t);
    DECIDE(0, true, true);
    a.aggregator_gpu = 1; // the input's GPU goes first
    DECIDE(0, true, false);
    t = table(2, false, 1 << 30);
    a.aggregator_gpu = 0;
    DECIDE(-1, false, false); // GPU 1 would be idle through the only segment
    a.segments_left = 2;
    DECIDE(0, true, true);
    a.lanes = 1;
    DECIDE(-1, false, false);
    CHECK(placement_reaches(&t, 1, 1) && !placement_reaches(&t, 1, 0) && !placement_reaches(&t, -1, 0) &&
          !placement_reaches(&t, 7, 0));
}

// One way only: GPU 1 reads GPU 0's memory, not the other way round.
static void one_way(void)
{
    struct reel_gpu_table t = table(2, false, 1 << 30);
    t.gpu[1].peers = 1;
    struct placement_ask a = ask(&t);
    DECIDE(0, true, true);
    a.decoder_gpu = a.aggregator_gpu = 1;
    DECIDE(-1, false, false);
}

static void memory(void)
{
    struct reel_gpu_table t = table(1, false, 8 * 2 * 2 * 10000); // 20000 bytes for each ring of a lane
    struct placement_ask a = ask(&t);
    struct placement p;
    placement_decide(&a, &p);
    CHECK(p.in && p.out);
    CHECK_INT(p.in_slots, 20);
    CHECK_INT(p.out_slots, 5);
    a.least_out_slots = 6;
    placement_decide(&a, &p);
    CHECK(p.in && !p.out);
    CHECK_INT(p.out_slots, 22); // in host memory: as wanted
    t.gpu[0].free_bytes = 0;    // not known: of all it has
    t.gpu[0].total_bytes = 1 << 30;
    placement_decide(&a, &p);
    CHECK(p.out);
}

CHECK_MAIN({"placement on one GPU", one_gpu}, {"placement on two GPUs", two_gpus},
           {"placement with one-way peers", one_way}, {"placement by memory", memory})
