// SPDX-License-Identifier: MIT
//
// The receptive field of a network, computed from its nodes: which input pixels an output
// pixel depends on. Needs a graph with all shapes inferred (net.c makes a trial copy).
// Anything not understood makes the answer "unbounded". Pure.
#ifndef REEL_WORKER_GRAPH_FIELD_H
#define REEL_WORKER_GRAPH_FIELD_H

#include "worker/graph/graph.h"

struct field_reach {
    // Receptive radius of output 0 in pixels of the first input: the output pixel at row y
    // (in input pixels) depends on rows y - h to y + h only, and likewise for columns. -1
    // if unbounded (global pooling, attention, dense layers) or unknown.
    int h, w;
    // A picture cut at multiples of this many pixels gives the same values beyond the
    // radius, because shifting it by that much moves all values by whole elements.
    int step;
};

// Pictures are NCHW, or NHWC if the last extent indicates it. block 1: the field of values.
// Larger: the field of exact bits, for convolutions that compute block x block elements at
// a time (Winograd). These round each element by everything that its block reads, so only
// blocks that begin at the same pixels are rounded alike.
struct field_reach field_reach_of(const struct graph *graph, int block);

#endif
