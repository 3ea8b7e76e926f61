// SPDX-License-Identifier: MIT
//
// What the beginning and end of a graph tell about pictures, shared by model.c and
// output.c. All functions accept a NULL graph.
#ifndef REEL_WORKER_MODEL_GRAPH_H
#define REEL_WORKER_MODEL_GRAPH_H

#include "worker/graph/graph.h"

struct model_first_conv {
    int64_t channels; // the first convolution's input channels; -1 unknown
    bool transposed;  // the input is transposed from NHWC to NCHW before it
};

struct model_first_conv model_first_conv(const struct graph *graph, const char *input);
// The first operator that reads the input, not counting casts and identities; NULL if
// unknown.
const struct node *model_first_node(const struct graph *graph, const char *input);
// The type of the operator that computes an output, skipping operators that only move or
// convert values; "" if unknown.
const char *model_last_op(const struct graph *graph, const char *output);
const struct node *model_last_node(const struct graph *graph, const char *output);
bool model_has_op(const struct graph *graph, const char *op_type);
// A constant operand with one number, or one per channel; returns the count (0 if it is
// neither).
int model_constants(const struct value *value, double *out, int most);

// Whether an output is computed from another one.
bool model_made_from(const struct graph *graph, const char *output, const char *other);

// Whether the NULL-terminated list has the word (a name, or an operator).
bool model_is_one_of(const char *word, const char *const *list);

#endif
