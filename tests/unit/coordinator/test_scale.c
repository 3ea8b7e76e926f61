// SPDX-License-Identifier: MIT
//
// Decoders, aggregators and lanes by default, on machines of several kinds.
#include "tests/check.h"

#include "coordinator/scale.h"

static const int gpus[] = {0, 1, 2, 3, 4, 5, 6, 7};

// CPU workers need the cores themselves: one stage for every eight of them.
static void cpu(void)
{
    static const struct {
        uint32_t cores, stages, lanes;
    } cases[] = {{1, 1, 2}, {2, 1, 2}, {8, 1, 2}, {16, 2, 3}, {63, 7, 8}, {64, 8, 9}, {256, 8, 9}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scale_ask a = {.cores = cases[i].cores, .encodes = true, .encoder_threads = 4, .most_lanes = 64};
        struct scale s;
        scale_decide(&a, &s);
        CHECK_INT(s.decoders, cases[i].stages);
        CHECK_INT(s.aggregators, cases[i].stages);
        CHECK_INT(s.lanes, cases[i].lanes);
    }
}

static struct scale on_gpus(uint32_t n, uint32_t engines, uint32_t cores, bool encodes, uint32_t threads)
{
    struct reel_gpu gpu[8];
    for (int i = 0; i < 8; i++) gpu[i] = (struct reel_gpu){.decode_engines = engines};
    struct scale_ask a = {.cores = cores,
                          .on_gpus = true,
                          .gpus = gpus,
                          .n_gpus = n,
                          .gpu = gpu,
                          .encodes = encodes,
                          .encoder_threads = threads,
                          .most_lanes = 64};
    struct scale s;
    scale_decide(&a, &s);
    return s;
}

#define SCALE(ask, want_decoders, want_aggregators, want_lanes) \
    do {                                                        \
        struct scale s_ = ask;                                  \
        CHECK_INT(s_.decoders, want_decoders);                  \
        CHECK_INT(s_.aggregators, want_aggregators);            \
        CHECK_INT(s_.lanes, want_lanes);                        \
    } while (0)

static void one_gpu(void)
{
    SCALE(on_gpus(1, 7, 16, true, 4), 4, 4, 5);  // H200: at most four decoders
    SCALE(on_gpus(1, 7, 16, false, 4), 4, 2, 5); // nothing to encode
    SCALE(on_gpus(1, 3, 16, true, 4), 3, 4, 5);  // L40
    SCALE(on_gpus(1, 1, 16, true, 4), 2, 4, 5);  // GeForce
    SCALE(on_gpus(1, 0, 16, true, 4), 2, 4, 5);  // no library for it
    SCALE(on_gpus(1, 7, 8, true, 4), 2, 2, 3);   // decoders by cores
    SCALE(on_gpus(1, 7, 2, true, 4), 1, 1, 2);
    SCALE(on_gpus(1, 7, 16, true, 1), 4, 8, 9); // at most eight
    SCALE(on_gpus(1, 7, 16, true, 64), 4, 2, 5);
    SCALE(on_gpus(1, 7, 256, true, 4), 8, 8, 9);
}

static void several_gpus(void)
{
    SCALE(on_gpus(2, 7, 32, true, 4), 8, 8, 9);
    SCALE(on_gpus(8, 7, 128, true, 4), 32, 8, 33);
    SCALE(on_gpus(8, 7, 128, false, 4), 32, 8, 33);
    SCALE(on_gpus(8, 7, 8, true, 4), 8, 8, 16); // each has one, however few the cores
    SCALE(on_gpus(8, 1, 64, true, 4), 8, 8, 16);
}

static void asked(void)
{
    struct reel_gpu gpu = {.decode_engines = 7};
    struct scale_ask a = {.cores = 16,
                          .on_gpus = true,
                          .gpus = gpus,
                          .n_gpus = 1,
                          .gpu = &gpu,
                          .encodes = true,
                          .encoder_threads = 4,
                          .decoders = 1,
                          .aggregators = 12,
                          .most_lanes = 64};
    struct scale s;
    scale_decide(&a, &s);
    CHECK_INT(s.decoders, 1);
    CHECK_INT(s.aggregators, 12);
    CHECK_INT(s.lanes, 13);
    a.lanes = 70;
    scale_decide(&a, &s);
    CHECK_INT(s.lanes, 64);
    a.lanes = 1;
    scale_decide(&a, &s);
    CHECK_INT(s.lanes, 1);
}

CHECK_MAIN({"scale on CPUs", cpu}, {"scale on one GPU", one_gpu}, {"scale on several GPUs", several_gpus},
           {"scale as asked for", asked})
