// SPDX-License-Identifier: MIT
//
// Turns an ONNX file into a graph. With its parts (importer.h) the only module that reads
// protobuf.
//
// Everything in the file is checked before it is used: sizes, nesting, names, cycles,
// counts. Memory and time are bounded by the file's size and the limits below. Every node's
// operator is looked up, so a model that cannot run is refused here, with the node's name.
// Model-local functions are inlined, Constant nodes become constants, and nodes are sorted.
//
// No shapes are inferred and nothing is run here.
#ifndef REEL_WORKER_ONNX_IMPORT_H
#define REEL_WORKER_ONNX_IMPORT_H

#include "worker/graph/graph.h"

struct import_params {
    uint64_t max_file_bytes; // the model and all its external data together
    int max_nodes;           // after functions are inlined, bodies included
    int max_depth;           // of bodies and function calls
};
#define IMPORT_DEFAULTS                                                           \
    {                                                                             \
        .max_file_bytes = UINT64_C(4) << 30, .max_nodes = 200000, .max_depth = 64 \
    }

// Reads a model file. External data is only read from below the file's folder, never
// through a symbolic link. params may be NULL (defaults). Destroy the graph with
// graph_destroy(). Errors: INPUT, UNSUPPORTED, IO, NOMEM, LIMIT.
enum reel_err import_file(const char *path, const struct import_params *params, struct graph **out_graph);

// The same for a file whose bytes are in memory already (borrowed during the call); path
// tells where its external data is.
enum reel_err import_read(const char *path, const void *bytes, size_t count, const struct import_params *params,
                          struct graph **out_graph);

// The same for bytes in memory (borrowed during the call); name is for messages. folder_fd
// < 0: external data is refused.
enum reel_err import_memory(const void *bytes, size_t count, const char *name, int folder_fd,
                            const struct import_params *params, struct graph **out_graph);

// Reads a single TensorProto (the data files of ONNX's backend tests). out_name, if not
// NULL, receives its name (at most name_bytes including the NUL). The caller owns *out_t.
// Errors: INPUT, UNSUPPORTED, NOMEM.
enum reel_err import_tensor_bytes(const void *bytes, size_t count, struct reel_tensor *out_t, char *out_name,
                                  size_t name_bytes);

// Name i of the operators that are expanded into others when a model is read
// (import_fused.c), for docs/operators.md; NULL after the last.
const char *import_fused_name(int i, const char **out_domain);

// Version of the protobuf library.
const char *import_library(void);

#endif
