// SPDX-License-Identifier: MIT
//
// How many decoders, aggregators and lanes a run gets. See scale.h.
#include "coordinator/scale.h"

#define MOST_STAGES 8
#define MOST_AUTO_LANES 16 // for CPU backends
// Per GPU. One NVDEC engine of an H200 decodes 700 to 900 frames of 1080p H.264 per second, one decoder
// process 200 to 400; four of them feed a network of 2 ms per frame.
#define MOST_DECODERS_EACH 4
#define DECODER_CORES 4 // cores per NVDEC decoder, which mostly waits, but also demuxes and parses

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

// The usual number of decoders and of aggregators. One decoder feeds several CPU workers, but on
// large machines it could become the bottleneck.
static uint32_t stages_of(const struct scale_ask *a)
{
    uint32_t n = least(most(a->cores / 8, 1), MOST_STAGES);
    return a->on_gpus && a->cores >= 4 ? most(n, 2) : n;
}

// As many decoders as keep the GPUs' NVDEC engines busy.
static uint32_t decoders_on_gpus(const struct scale_ask *a)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->n_gpus; i++) n += least(a->gpu[a->gpus[i]].decode_engines, MOST_DECODERS_EACH);
    return least(n, a->cores / DECODER_CORES);
}

// Encoding on the processor is nearly always the bottleneck, so it may use all cores.
static uint32_t encoders_on_cores(const struct scale_ask *a)
{
    return least(a->cores / most(a->encoder_threads, 1), MOST_STAGES);
}

void scale_decide(const struct scale_ask *a, struct scale *out)
{
    uint32_t stages = stages_of(a);
    // At least one decoder, one aggregator and two lanes for each GPU.
    uint32_t decoders = most(stages, a->n_gpus), aggregators = decoders, most_lanes = MOST_AUTO_LANES;
    if (a->on_gpus) {
        decoders = most(decoders, decoders_on_gpus(a));
        if (a->encodes) aggregators = most(aggregators, encoders_on_cores(a));
        most_lanes = a->most_lanes;
    }
    out->decoders = a->decoders ? a->decoders : decoders;
    out->aggregators = a->aggregators ? a->aggregators : aggregators;
    // One more lane than decoders or aggregators, so that a segment can begin while another is flushed.
    uint32_t lanes = least(most(out->decoders, out->aggregators) + 1, most_lanes);
    out->lanes = least(a->lanes ? a->lanes : most(lanes, 2 * a->n_gpus), a->most_lanes);
}
