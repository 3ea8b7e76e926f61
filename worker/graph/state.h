// SPDX-License-Identifier: MIT
//
// Inputs of a network that are not fed frame by frame: constants, and states, which take
// the value that an output (or another input) had in the run before. Used by net.c;
// worker/model/state.h decides which inputs these are.
#ifndef REEL_WORKER_GRAPH_STATE_H
#define REEL_WORKER_GRAPH_STATE_H

#include "worker/graph/graph.h"

#define GRAPH_MAX_STATES 32

struct graph_state {
    int in;  // index of the graph's input
    int out; // index of the output, or input, whose value it takes
    bool of_input;
};

// Turns input i into a constant; the inputs after it move up. Consumes tensor, which must
// have the input's type. Errors: NOMEM.
enum reel_err graph_bind_input(struct graph *graph, int i, struct reel_tensor *tensor);

// Finds the shapes of states: those that come out again when they are put in. shapes: of
// all inputs, complete except for the states', which are set here. If several shapes work
// (a state may be one number, or one per pixel), the shape of all runs but the first is
// chosen. caps: as in pass_params. Errors: INPUT (no shape comes out as it was put in),
// NOMEM, those of shape_infer().
enum reel_err graph_state_shapes(const struct graph *graph, unsigned caps, const struct graph_state *states, int n,
                                 struct reel_shape *shapes);

#endif
