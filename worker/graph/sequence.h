// SPDX-License-Identifier: MIT
//
// Sequences of tensors and optionals, resolved while shapes are inferred: a
// sequence is a list of values, and the operators on it give way to Split,
// Squeeze, Unsqueeze, Concat and constants, so that neither passes nor backends
// ever see one. shape.c calls this node by node, since lengths and positions are
// known only when what is before them has been folded.
//
// What it is not: no sequences at run time. Where a length or a position depends
// on data, the model is refused.
#ifndef REEL_WORKER_GRAPH_SEQUENCE_H
#define REEL_WORKER_GRAPH_SEQUENCE_H

#include "worker/graph/graph.h"

// Whether the node is one of these operators, or an Identity of a sequence.
bool sequence_is_node(const struct node *node);
// Whether any node of the graph or of its bodies is on sequences.
bool sequence_is_used(const struct graph *graph);
// Replaces the node; what takes its place stands before node->next and is still
// to be inferred. Errors name the node: UNSUPPORTED (it depends on data), INPUT
// (a position out of range...), NOMEM.
enum reel_err sequence_resolve(struct graph *graph, struct node *node);
// UNSUPPORTED with the first node left that sequence_resolve() refuses, or with a
// sequence among the graph's outputs.
enum reel_err sequence_check(struct graph *graph);
// UNSUPPORTED when an operator on tensors is given a sequence.
enum reel_err sequence_refuse(const struct node *node);
// Gives the sequences and optionals among the graph's inputs and outputs their
// lengths, one for each input and output; what they hold stands in their place
// from then on, as tensors "name[i]". An output's length follows as an int64. Of
// the graph as imported.
#define SEQUENCE_TENSOR (-1) // it is a tensor, or an optional of one
#define SEQUENCE_NONE (-2)   // an optional without an element; inputs only
enum reel_err sequence_open_lists(struct graph *graph, const int *in_lengths, const int *out_lengths);
// Puts "could not resolve node ..." in front of the text; for unroll.c.
enum reel_err sequence_fail(enum reel_err err, const struct node *node);

#endif
