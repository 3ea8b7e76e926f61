// SPDX-License-Identifier: MIT
//
// Default numbers of decoders, aggregators and lanes. Pure; called by command.c.
// The output of a run does not depend on them.
#ifndef COORDINATOR_SCALE_H
#define COORDINATOR_SCALE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/device.h"

struct scale_ask {
    uint32_t cores;                        // that this run may use
    bool on_gpus;                          // workers compute on GPUs, and leave the cores to the others
    const int *gpus;                       // that have workers, each once; [n_gpus]
    uint32_t n_gpus;                       // told devices in host memory as well
    const struct reel_gpu *gpu;            // the table that gpus are numbers of
    bool encodes;                          // pictures are encoded, and by the processor
    uint32_t encoder_threads;              // of one aggregator's encoder
    uint32_t decoders, aggregators, lanes; // asked for; 0: not
    uint32_t most_lanes;
};

struct scale {
    uint32_t decoders, aggregators, lanes;
};

void scale_decide(const struct scale_ask *ask, struct scale *out);

#endif
