// SPDX-License-Identifier: MIT
//
// An ONNX file becomes a graph. The only module that reads protobuf.
//
// Everything in the file is checked before it is believed: sizes, nesting,
// names, cycles, counts; memory and time are bounded by the file's size and the
// limits below. Every node's operator is looked up, so that a model that cannot
// run is refused here with the node's name. Model-local functions are inlined,
// Constant nodes become constants, nodes are sorted.
//
// What it is not: it infers no shape and runs nothing.
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

// Reads a model file; external data only from beneath the file's folder, never
// through a symbolic link. params may be NULL (defaults). Errors: INPUT,
// UNSUPPORTED, IO, NOMEM, LIMIT; the graph is destroyed with graph_destroy().
enum reel_err import_file(const char *path, const struct import_params *params, struct graph **out_graph);

// The same of a file whose bytes are here already (borrowed during the call);
// path tells where its external data is.
enum reel_err import_read(const char *path, const void *bytes, size_t count, const struct import_params *params,
                          struct graph **out_graph);

// The same from memory; name is for messages. folder_fd < 0: external data is
// refused. Borrows bytes during the call only.
enum reel_err import_memory(const void *bytes, size_t count, const char *name, int folder_fd,
                            const struct import_params *params, struct graph **out_graph);

// A lone TensorProto (the data files of ONNX's backend tests) as a tensor of its
// own. Errors: INPUT, UNSUPPORTED, NOMEM. out_name, when not NULL, takes its
// name (at most name_bytes with the NUL).
enum reel_err import_tensor_bytes(const void *bytes, size_t count, struct reel_tensor *out_t, char *out_name,
                                  size_t name_bytes);

// Names of the operators that are taken apart when a model is read (import_fused.c),
// for docs/operators.md; NULL behind the last.
const char *import_fused_name(int i, const char **out_domain);

// Version of the protobuf library.
const char *import_library(void);

#endif
