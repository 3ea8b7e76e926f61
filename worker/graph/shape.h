// SPDX-License-Identifier: MIT
//
// Shape inference over a whole graph: calls every operator's infer in order, using
// constants where they are known. Small computations on constants (the Shape, Gather,
// Concat, Reshape chains of exporters) are folded along the way because shapes depend on
// them, and an If whose condition is known is replaced by its branch.
//
// pass_fold evaluates what is large. Nodes that nobody reads any more stay for pass_clean.
#ifndef REEL_WORKER_GRAPH_SHAPE_H
#define REEL_WORKER_GRAPH_SHAPE_H

#include "worker/graph/graph.h"

// Rewrites graph. in_shapes: one per graph input, or NULL to use the shapes that they have.
// Extents that depend on data stay -1. Errors: INPUT (the graph rejects a shape; names the
// node), UNSUPPORTED, NOMEM.
enum reel_err shape_infer(struct graph *graph, const struct reel_shape *in_shapes);

// Evaluates a node whose inputs are all constant, turns its outputs into constants and
// removes it. *out_done is false if it cannot be folded (control flow, randomness, strings,
// more than max_bytes of results). Its outputs must have been inferred. Also used by
// pass_fold.
enum reel_err shape_fold_node(struct graph *graph, struct node *node, uint64_t max_bytes, bool *out_done);

#endif
