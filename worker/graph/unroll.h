// SPDX-License-Identifier: MIT
//
// Loops that turn a number of times known before the run become their bodies,
// one after the other, so that backends run them with their own kernels and
// sequences carried through them are resolved. shape.c calls this while it
// infers: the condition of the next turn is known when the turn before has been
// folded.
//
// What it is not: loops whose turns depend on data stay, and run in the
// interpreter.
#ifndef REEL_WORKER_GRAPH_UNROLL_H
#define REEL_WORKER_GRAPH_UNROLL_H

#include "worker/graph/graph.h"

// Takes one turn out of a Loop of the outermost graph and puts it before the
// node, or, after the last, takes the node away; *out_done is false where the
// loop stays. What was put before the node is still to be inferred, and the loop
// is to be given again after it. Errors name the node: UNSUPPORTED, LIMIT,
// NOMEM.
enum reel_err unroll_loop(struct graph *graph, struct node *node, bool *out_done);

#endif
