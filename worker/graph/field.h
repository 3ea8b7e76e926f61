// SPDX-License-Identifier: MIT
//
// How far an output pixel sees: the receptive field of a network, from its
// nodes. Needs a graph with all shapes inferred (net.c makes a trial copy);
// anything not understood makes the answer "unbounded". Pure.
#ifndef REEL_WORKER_GRAPH_FIELD_H
#define REEL_WORKER_GRAPH_FIELD_H

#include "worker/graph/graph.h"

struct field_reach {
    // Receptive radius of output 0 in pixels of the first input: the output pixel
    // at position y (in input pixels) depends on rows y - h .. y + h only. -1 when
    // it is unbounded (global pooling, attention, a dense layer...) or unknown.
    int h, w;
    // A picture cut at multiples of this many pixels gives the same values beyond
    // the radius: a shift by it moves all values by whole elements.
    int step;
};

// Pictures are NCHW, or NHWC when the last extent says so. block 1: of values.
// Else of bits: convolutions that make block x block elements at a time
// (Winograd) round each element by all that its block reads, and only blocks that
// begin at the same pixels are rounded alike.
struct field_reach field_reach_of(const struct graph *graph, int block);

#endif
