// SPDX-License-Identifier: MIT
//
// What the families gather and scatter share: indices that are data, read and
// checked before they are used (negative ones count from the end), and the two
// ways in which they name elements: along an axis, or as tuples.
//
// What it is not: no operator; elements are moved by moving.h.
#ifndef REEL_WORKER_ONNX_OPS_INDICES_H
#define REEL_WORKER_ONNX_OPS_INDICES_H

#include "worker/onnx/ops/typed.h"

// All elements of integer input i as int64, in memory the caller frees.
enum reel_err index_read(const struct op_call *call, int i, int64_t **out_values);
// index in [-extent, extent) -> [0, extent); an INPUT error names a wrong one.
enum reel_err index_place(int64_t *index, int64_t extent);
// All n indices at once; the first wrong one is named.
enum reel_err index_place_all(int64_t *values, int64_t n, int64_t extent);
// Input i and those before it are there, and it is int64 or int32.
enum reel_err index_check(const struct op_call *call, int i);

// ---- elements along an axis: GatherElements, ScatterElements ----------------

// Walks an indices tensor over a data tensor of the same rank: for each of its
// positions the offset in data with the coordinate along axis left out.
struct element_walk {
    int ndim, axis;
    int64_t index[REEL_MAX_DIMS], dim[REEL_MAX_DIMS], stride[REEL_MAX_DIMS];
    int64_t at; // in elements, without the axis' coordinate
};

// at must have data's rank, and be no longer but along axis: INPUT otherwise.
enum reel_err element_walk_init(struct element_walk *w, const struct reel_shape *data, const struct reel_shape *at,
                                int axis);
void element_walk_next(struct element_walk *w);
// Attribute axis, with the checks on inputs 0 (data) and 1 (indices).
enum reel_err index_axis(const struct op_call *call, int *out_axis);

// ---- tuples: GatherND, ScatterND --------------------------------------------

// Indices (..., q): each q-tuple names a block of data below batch dimensions.
struct nd {
    int batch, q;
    int64_t n_batch;    // product of the batch extents
    int64_t n_each;     // tuples a batch
    int64_t block;      // elements behind a tuple
    int64_t batch_size; // elements of data a batch
};

// *out_q is -1 when it is not known yet.
enum reel_err nd_check(const struct reel_shape *data, const struct reel_shape *at, int batch, int *out_q);
void nd_init(struct nd *nd, const struct reel_shape *data, const struct reel_shape *at, int batch, int q);
// Turns all tuples into offsets of data, in elements; out_offsets may not be
// the tuples themselves.
enum reel_err nd_offsets(const struct nd *nd, const struct reel_shape *data, int64_t *tuples, int64_t *out_offsets);

#endif
