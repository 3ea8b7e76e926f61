// SPDX-License-Identifier: MIT
//
// What the graph's two ends tell about pictures: small looks that model.c and
// output.c share. All accept a NULL graph.
#ifndef REEL_WORKER_MODEL_GRAPH_H
#define REEL_WORKER_MODEL_GRAPH_H

#include "worker/graph/graph.h"

struct model_first_conv {
    int64_t channels; // the first convolution's input channels; -1 unknown
    bool transposed;  // the input is brought from NHWC to NCHW before it
};

struct model_first_conv model_first_conv(const struct graph *graph, const char *input);
// The operator that reads the input first, casts and identities aside; NULL.
const struct node *model_first_node(const struct graph *graph, const char *input);
// The operator type that makes an output, operators that only move or convert
// values aside; "" when unknown.
const char *model_last_op(const struct graph *graph, const char *output);
const struct node *model_last_node(const struct graph *graph, const char *output);
bool model_has_op(const struct graph *graph, const char *op_type);
// One number, or one a channel, of a constant operand; returns the count (0:
// none).
int model_constants(const struct value *value, double *out, int most);

#endif
