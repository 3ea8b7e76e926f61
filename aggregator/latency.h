// SPDX-License-Identifier: MIT
//
// How long frames take from the writing of the input slot to TAKEN: a
// histogram, logged when the process ends. Called by collect.c; `make bench`
// reads the line.
#ifndef REEL_AGGREGATOR_LATENCY_H
#define REEL_AGGREGATOR_LATENCY_H

#include <stdint.h>

// Eight buckets an octave: quantiles are good to 9%, above 16 us.
#define LATENCY_PER_OCTAVE 8
#define LATENCY_BUCKETS (16 + LATENCY_PER_OCTAVE * 36)

// Plain data; zeroed it is empty.
struct latency {
    uint64_t frames;
    uint64_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, int64_t us);
// The time that `share` (0..1) of the frames did not exceed, in us; 0 when empty.
double latency_quantile(const struct latency *latency, double share);

#endif
