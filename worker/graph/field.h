// SPDX-License-Identifier: MIT
//
// How far an output pixel sees: the receptive field of a network, from its
// nodes. Needs a graph with all shapes inferred (net.c makes a trial copy);
// anything not understood makes the answer "unbounded". Pure.
#ifndef REEL_WORKER_GRAPH_FIELD_H
#define REEL_WORKER_GRAPH_FIELD_H

#include "worker/graph/graph.h"

// Receptive radius of output 0 in pixels of the first input along H and W: the
// output pixel at position y (in input pixels) depends on rows y - radius ..
// y + radius only. -1 when it is unbounded (global pooling, attention, a dense
// layer...) or unknown. Pictures are NCHW, or NHWC when the last extent says so.
void field_radius(const struct graph *graph, int *out_radius_h, int *out_radius_w);
// The same for bits: convolutions that make block x block elements at a time
// (Winograd) round each element by all that its block reads. Within this radius
// of other pixels an element has the same bits only where the cut is at a
// multiple of *out_step input pixels (blocks of dilated convolutions lie apart).
void field_radius_of_bits(const struct graph *graph, int block, int *out_radius_h, int *out_radius_w, int *out_step);

#endif
