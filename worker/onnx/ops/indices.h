// SPDX-License-Identifier: MIT
//
// What the families gather and scatter share: reading and checking indices that come as
// data (negative ones count from the end), and the two ways in which they address elements:
// along an axis, or as tuples.
//
// moving.h moves the elements. No operator is defined here.
#ifndef REEL_WORKER_ONNX_OPS_INDICES_H
#define REEL_WORKER_ONNX_OPS_INDICES_H

#include "worker/onnx/ops/typed.h"

// All elements of integer input i as int64, in memory the caller frees.
enum reel_err index_read(const struct op_call *call, int i, int64_t **out_values);
// Converts an index from [-extent, extent) to [0, extent). INPUT, naming the index, if it
// is out of range.
enum reel_err index_place(int64_t *index, int64_t extent);
// The same for n indices; names the first one that is out of range.
enum reel_err index_place_all(int64_t *values, int64_t n, int64_t extent);
// Checks that inputs 0 to i are present and that input i is int64 or int32.
enum reel_err index_check(const struct op_call *call, int i);

// ---- elements along an axis: GatherElements, ScatterElements ----------------

// Walks an indices tensor over a data tensor of the same rank: for each position, the
// offset in data without the coordinate along axis.
struct element_walk {
    int ndim, axis;
    int64_t index[REEL_MAX_DIMS], dim[REEL_MAX_DIMS], stride[REEL_MAX_DIMS];
    int64_t at; // in elements, without the coordinate along axis
};

// at must have data's rank, and may exceed its extents along axis only. Errors: INPUT.
enum reel_err element_walk_init(struct element_walk *w, const struct reel_shape *data, const struct reel_shape *at,
                                int axis);
void element_walk_next(struct element_walk *w);
// Reads attribute axis, and checks inputs 0 (data) and 1 (indices).
enum reel_err index_axis(const struct op_call *call, int *out_axis);

// ---- tuples: GatherND, ScatterND --------------------------------------------

// Indices (..., q): each q-tuple addresses a block of data within its batch.
struct nd {
    int batch, q;
    int64_t n_batch;    // product of the batch extents
    int64_t n_each;     // tuples per batch
    int64_t block;      // elements addressed by a tuple
    int64_t batch_size; // elements of data per batch
};

// *out_q is -1 if it is not known yet.
enum reel_err nd_check(const struct reel_shape *data, const struct reel_shape *at, int batch, int *out_q);
void nd_init(struct nd *nd, const struct reel_shape *data, const struct reel_shape *at, int batch, int q);
// Converts all tuples to offsets in data, in elements; out_offsets must not overlap tuples.
enum reel_err nd_offsets(const struct nd *nd, const struct reel_shape *data, int64_t *tuples, int64_t *out_offsets);

#endif
