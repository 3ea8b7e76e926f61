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

#endif
