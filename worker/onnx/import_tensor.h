// SPDX-License-Identifier: MIT
//
// TensorProto -> tensor, for the importer only (this header knows protobuf's
// generated types; import.h does not).
#ifndef REEL_WORKER_ONNX_IMPORT_TENSOR_H
#define REEL_WORKER_ONNX_IMPORT_TENSOR_H

#include "common/tensor.h"
#include "onnx.pb-c.h"

// Where external data may come from, and how much of it.
struct tensor_source {
    int folder_fd;       // of the model; < 0: external data is refused
    uint64_t bytes_left; // budget, counted down
    bool keep;           // the message will be read again: copy, take nothing over
};

// Memory for protobuf-c: blocks of size and alignment that tensors can take
// over, and a budget, since a short file can ask for a lot.
#define PB_STEAL_BYTES 256 // from here on blocks are 64-byte aligned
struct pb_memory {
    ProtobufCAllocator allocator;
    uint64_t bytes_left;
};
void pb_memory_init(struct pb_memory *memory, uint64_t budget);

// ONNX's element type as ours; NONE for those not carried.
enum reel_dtype tensor_dtype(int onnx_type);
// "float8e4m3fn", ... for messages.
const char *tensor_type_name(int onnx_type);

// Moves proto's data into *out_t where it can (proto must come from a
// pb_memory), else converts. Errors: INPUT, UNSUPPORTED, IO, NOMEM, LIMIT,
// without the tensor's name: the caller puts it in front.
enum reel_err tensor_from_proto(Onnx__TensorProto *proto, struct tensor_source *source, struct reel_tensor *out_t);
// A sparse tensor, made dense.
enum reel_err tensor_from_sparse(Onnx__SparseTensorProto *proto, struct tensor_source *source,
                                 struct reel_tensor *out_t);

#endif
