// SPDX-License-Identifier: MIT
//
// Resolves sequences of tensors and optionals during shape inference: a sequence is a list
// of values, and the operators on it are replaced by Split, Squeeze, Unsqueeze, Concat and
// constants, so passes and backends never see a sequence. shape.c calls this node by node,
// because lengths and positions are known only once everything before them has been folded.
//
// There are no sequences at run time: if a length or position depends on data, the model is
// refused.
#ifndef REEL_WORKER_GRAPH_SEQUENCE_H
#define REEL_WORKER_GRAPH_SEQUENCE_H

#include "worker/graph/graph.h"

// Whether the node is one of these operators, or an Identity of a sequence.
bool sequence_is_node(const struct node *node);
// Whether any node of the graph or of its bodies works on sequences.
bool sequence_is_used(const struct graph *graph);
// Replaces the node by others, which stand before node->next and still need inference.
// Errors name the node: UNSUPPORTED (depends on data), INPUT (a position out of range...),
// NOMEM.
enum reel_err sequence_resolve(struct graph *graph, struct node *node);
// UNSUPPORTED if a node remains that sequence_resolve() refused (names the first), or an
// output is a sequence.
enum reel_err sequence_check(struct graph *graph);
// UNSUPPORTED if an operator on tensors is given a sequence.
enum reel_err sequence_refuse(const struct node *node);
// Sets the lengths of sequences and optionals among the graph's inputs and outputs, one
// value per input and output. Each is replaced by its contents, tensors named "name[i]"; an
// output's are followed by its length, an int64. For graphs as imported.
#define SEQUENCE_TENSOR (-1) // a tensor, or an optional that contains one
#define SEQUENCE_NONE (-2)   // an optional without an element; inputs only
enum reel_err sequence_open_lists(struct graph *graph, const int *in_lengths, const int *out_lengths);
// Prefixes the error text with "could not resolve node ..."; for unroll.c.
enum reel_err sequence_fail(enum reel_err err, const struct node *node);

#endif
