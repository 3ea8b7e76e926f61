// SPDX-License-Identifier: MIT
//
// Inputs of a network that nobody feeds frame by frame: constants, and states,
// which are given what an output (or another input) was in the run before. Used
// by net.c; which inputs are such is decided by state.h of the worker.
#ifndef REEL_WORKER_GRAPH_STATE_H
#define REEL_WORKER_GRAPH_STATE_H

#include "worker/graph/graph.h"

#define GRAPH_MAX_STATES 32

struct graph_state {
    int in;  // index of the graph's input
    int out; // of its output, or of the input, of the run before
    bool of_input;
};

// Input i becomes a constant; the inputs behind it move up. Consumes tensor. The
// type must be the input's. Errors: NOMEM.
enum reel_err graph_bind_input(struct graph *graph, int i, struct reel_tensor *tensor);

// The shapes of states: those that come out when they are put in. shapes: of all
// inputs, complete but for the states', which are set here. Where several would
// do (a state of one number may be one for each pixel), it is that of all
// runs but the first. caps: of pass_params. Errors: INPUT (no shape comes out as
// it was put in), NOMEM, those of shape_infer().
enum reel_err graph_state_shapes(const struct graph *graph, unsigned caps, const struct graph_state *states, int n,
                                 struct reel_shape *shapes);

#endif
