// SPDX-License-Identifier: MIT
//
// Unrolls loops whose number of iterations is known before the run, so that backends run
// the bodies with their own kernels, and sequences carried through them can be resolved.
// shape.c calls this during inference, because the condition of the next iteration is known
// only once the previous one has been folded.
//
// Loops whose number of iterations depends on data stay, and run in the interpreter.
#ifndef REEL_WORKER_GRAPH_UNROLL_H
#define REEL_WORKER_GRAPH_UNROLL_H

#include "worker/graph/graph.h"

// Moves one iteration of a Loop of the outermost graph in front of the node or, after the
// last, removes the node. *out_done is false if the loop stays. The new nodes still need
// inference; then call this again. Errors name the node: UNSUPPORTED, LIMIT, NOMEM.
enum reel_err unroll_loop(struct graph *graph, struct node *node, bool *out_done);

#endif
