// SPDX-License-Identifier: MIT
//
// Checks a model's bytes before protobuf-c unpacks them. protobuf-c recurses as deep as the
// file says and allocates as much as it repeats, so nesting and counts must be bounded
// first. Pure.
#ifndef REEL_WORKER_ONNX_WIRE_H
#define REEL_WORKER_ONNX_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct wire_limits {
    int max_depth;      // bodies within bodies, types within types
    int64_t max_nodes;  // in all graphs and functions, before inlining
    int64_t max_fields; // in the messages that are examined
};

// Walks the messages of a ModelProto that can nest (graph, node, attribute, type,
// function). *out_nodes counts the nodes. Errors: INPUT (not protobuf, or truncated),
// LIMIT.
enum reel_err wire_check_model(const uint8_t *bytes, size_t count, const struct wire_limits *limits,
                               int64_t *out_nodes);

#endif
