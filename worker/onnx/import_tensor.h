// SPDX-License-Identifier: MIT
//
// TensorProto -> tensor, for the importer only (this header knows protobuf's
// generated types; import.h does not).
#ifndef REEL_WORKER_ONNX_IMPORT_TENSOR_H
#define REEL_WORKER_ONNX_IMPORT_TENSOR_H

#include "common/tensor.h"
#include "onnx.pb-c.h"

// Where external data may come from, and how much.
struct tensor_source {
    int folder_fd;       // the model's; < 0: external data is refused
    uint64_t bytes_left; // budget, counted down
    bool keep;           // the message will be read again: copy its data, do not take it over
};

// Memory for protobuf-c: blocks whose size and alignment allow tensors to take them over,
// and a budget, because a short file can ask for a lot.
#define PB_STEAL_BYTES 256 // blocks of at least this size are 64-byte aligned
struct pb_memory {
    ProtobufCAllocator allocator;
    uint64_t bytes_left;
};
void pb_memory_init(struct pb_memory *memory, uint64_t budget);

// Converts ONNX's element type; NONE if it is not supported.
enum reel_dtype tensor_dtype(int onnx_type);
// "float8e4m3fn", ... for messages.
const char *tensor_type_name(int onnx_type);

// Moves proto's data into *out_t if possible (proto must come from a pb_memory), else
// converts it. Errors: INPUT, UNSUPPORTED, IO, NOMEM, LIMIT; the caller prefixes them with
// the tensor's name.
enum reel_err tensor_from_proto(Onnx__TensorProto *proto, struct tensor_source *source, struct reel_tensor *out_t);
// Converts a sparse tensor to a dense one.
enum reel_err tensor_from_sparse(Onnx__SparseTensorProto *proto, struct tensor_source *source,
                                 struct reel_tensor *out_t);

#endif
