// SPDX-License-Identifier: MIT
//
// Host memory or a GPU's. See placement.h.
#include "coordinator/placement.h"

// All rings together may take this part of a GPU's free memory. The rest is for networks, which
// are loaded first but need more with larger batches.
#define RINGS_PART 4

bool placement_reaches(const struct reel_gpu_table *gpus, int worker_gpu, int gpu)
{
    if (worker_gpu < 0 || (uint32_t)worker_gpu >= gpus->n) return false;
    return worker_gpu == gpu || (gpus->gpu[worker_gpu].peers >> gpu & 1);
}

// Whether frames on `gpu` leave no worker without work.
static bool serves_all(const struct placement_ask *a, int gpu)
{
    uint32_t reach = 0, n_gpus = 0;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < a->n_workers; i++) {
        int g = a->worker_gpu[i];
        reach += placement_reaches(a->gpus, g, gpu);
        if (g >= 0 && g < REEL_MAX_GPUS && !(seen >> g & 1)) seen |= UINT64_C(1) << g, n_gpus++;
    }
    if (!reach) return false;
    return reach == a->n_workers || (a->segments_left >= n_gpus && a->lanes >= n_gpus);
}

static bool may_use(const struct placement_ask *a, int gpu)
{
    return gpu >= 0 && (uint32_t)gpu < a->gpus->n && !(a->rings_off >> gpu & 1) && serves_all(a, gpu);
}

// As many slots as the lane's part of the GPU's memory holds; 0: too few.
static uint32_t fit(uint64_t bytes, uint64_t slot_bytes, uint32_t want, uint32_t least)
{
    uint64_t n = slot_bytes ? bytes / slot_bytes : want;
    if (n >= want) return want;
    return n >= least ? (uint32_t)n : 0;
}

void placement_decide(const struct placement_ask *a, struct placement *out)
{
    *out = (struct placement){.gpu = -1, .in_slots = a->in_slots, .out_slots = a->out_slots};
    bool in = a->in && may_use(a, a->decoder_gpu), can_out = a->out && may_use(a, a->aggregator_gpu);
    // With rings on two GPUs only workers that reach both could serve the lane.
    if (in && can_out && a->aggregator_gpu != a->decoder_gpu) can_out = false;
    if (!in && !can_out) return;
    int gpu = in ? a->decoder_gpu : a->aggregator_gpu;
    const struct reel_gpu *g = &a->gpus->gpu[gpu];
    uint64_t memory = g->free_bytes ? g->free_bytes : g->total_bytes;
    uint64_t share = memory / RINGS_PART / (a->lanes ? a->lanes : 1);
    if (in && can_out) share /= 2;
    uint32_t in_slots = in ? fit(share, a->in_slot_bytes, a->in_slots, a->least_in_slots) : 0;
    uint32_t out_slots = can_out ? fit(share, a->out_slot_bytes, a->out_slots, a->least_out_slots) : 0;
    if (in_slots) out->in = true, out->in_slots = in_slots;
    if (out_slots) out->out = true, out->out_slots = out_slots;
    if (out->in || out->out) out->gpu = gpu;
}
