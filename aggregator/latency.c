// SPDX-License-Identifier: MIT
//
// A histogram of latencies with logarithmic buckets. See latency.h.
#include "aggregator/latency.h"

#define EXACT 16 // smaller values have a bucket each

static int bucket_of(int64_t us)
{
    if (us < 0) us = 0;
    if (us < EXACT) return (int)us;
    int octave = 63 - __builtin_clzll((uint64_t)us); // at least 4
    int part = (int)(us >> (octave - 3)) - LATENCY_PER_OCTAVE;
    int i = EXACT + (octave - 4) * LATENCY_PER_OCTAVE + part;
    return i < LATENCY_BUCKETS ? i : LATENCY_BUCKETS - 1;
}

static double middle_of(int i)
{
    if (i < EXACT) return i;
    int octave = (i - EXACT) / LATENCY_PER_OCTAVE + 4, part = (i - EXACT) % LATENCY_PER_OCTAVE;
    return (double)((int64_t)1 << (octave - 3)) * (LATENCY_PER_OCTAVE + part + 0.5);
}

void latency_add(struct latency *l, int64_t us)
{
    l->bucket[bucket_of(us)]++;
    l->frames++;
}

double latency_quantile(const struct latency *l, double share)
{
    uint64_t upto = (uint64_t)(share * (double)l->frames), seen = 0;
    for (int i = 0; i < LATENCY_BUCKETS; i++)
        if ((seen += l->bucket[i]) > upto) return middle_of(i);
    for (int i = LATENCY_BUCKETS - 1; i >= 0; i--)
        if (l->bucket[i]) return middle_of(i);
    return 0;
}
