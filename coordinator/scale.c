// SPDX-License-Identifier: MIT
//
// See scale.h.
#include "coordinator/scale.h"

#define MOST_STAGES 8
#define MOST_AUTO_LANES 16 // where frames are computed on the cores
// One NVDEC engine takes 700 to 900 frames of 1080p H.264 in a second (an H200),
// a decoder process between 200 and 400; four reach what a network of 2 ms takes.
#define MOST_DECODERS_EACH 4
#define DECODER_CORES 4 // a decoder on a GPU waits, mostly, but demuxes and parses

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

// One decoder keeps several CPU workers fed; on large machines a stage may be the bound.
static uint32_t stages_of(const struct scale_ask *a)
{
    uint32_t n = least(most(a->cores / 8, 1), MOST_STAGES);
    return a->on_gpus && a->cores >= 4 ? most(n, 2) : n;
}

// As many as the GPUs' NVDEC engines keep busy, where there are several.
static uint32_t decoders_on_gpus(const struct scale_ask *a)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->n_gpus; i++) n += least(a->gpu[a->gpus[i]].decode_engines, MOST_DECODERS_EACH);
    return least(n, a->cores / DECODER_CORES);
}

// The processor's encoders are the bound nearly always: all cores are theirs.
static uint32_t encoders_on_cores(const struct scale_ask *a)
{
    return least(a->cores / most(a->encoder_threads, 1), MOST_STAGES);
}

void scale_decide(const struct scale_ask *a, struct scale *out)
{
    uint32_t stages = stages_of(a);
    // Every GPU has a decoder and an aggregator beside it, and lanes for both.
    uint32_t decoders = most(stages, a->n_gpus), aggregators = decoders, most_lanes = MOST_AUTO_LANES;
    if (a->on_gpus) {
        decoders = most(decoders, decoders_on_gpus(a));
        if (a->encodes) aggregators = most(aggregators, encoders_on_cores(a));
        most_lanes = a->most_lanes;
    }
    out->decoders = a->decoders ? a->decoders : decoders;
    out->aggregators = a->aggregators ? a->aggregators : aggregators;
    // One lane more than stages: a segment begins while another one is flushed.
    uint32_t lanes = least(most(out->decoders, out->aggregators) + 1, most_lanes);
    out->lanes = least(a->lanes ? a->lanes : most(lanes, 2 * a->n_gpus), a->most_lanes);
}
