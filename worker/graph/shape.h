// SPDX-License-Identifier: MIT
//
// Shape inference over a whole graph: every operator's infer in order, with
// what is constant known. Small computations on constants (the Shape, Gather,
// Concat, Reshape chains of exporters) are folded on the way, since shapes
// depend on them, and an If whose condition is known gives way to its branch.
//
// What it is not: pass_fold (that evaluates what is large) and no dead code
// removal: nodes that nobody reads any more stay for pass_clean.
#ifndef REEL_WORKER_GRAPH_SHAPE_H
#define REEL_WORKER_GRAPH_SHAPE_H

#include "worker/graph/graph.h"

// Rewrites graph. in_shapes: one for each graph input, or NULL to take those
// the inputs have. Extents that depend on data stay -1. Errors: INPUT (a shape
// that the graph refuses; the text names the node), UNSUPPORTED, NOMEM.
enum reel_err shape_infer(struct graph *graph, const struct reel_shape *in_shapes);

// Evaluates a node whose inputs are all constant, makes its outputs constants
// and removes it. *out_done is false when it cannot be folded (control flow,
// randomness, strings, more than max_bytes of results). The node's inference
// must have been done. Used by pass_fold too.
enum reel_err shape_fold_node(struct graph *graph, struct node *node, uint64_t max_bytes, bool *out_done);

#endif
