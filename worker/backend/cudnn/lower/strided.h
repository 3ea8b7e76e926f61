// SPDX-License-Identifier: MIT
//
// How the elements of a value lie in the memory of another one from which only moves
// and views lead to it: transpositions, reshapes, parts along an axis. So that a kernel
// which takes strides reads there, and the moves are not made.
#ifndef REEL_WORKER_BACKEND_CUDNN_LOWER_STRIDED_H
#define REEL_WORKER_BACKEND_CUDNN_LOWER_STRIDED_H

#include "worker/backend/cudnn/program.h"

#define STRIDED_MOST 16

// Dimension d of the value is count[d] extents of `extent` and `stride`, the outermost
// first; an extent of 1 has none.
struct strided {
    const struct value *base; // whose memory it is
    int dims;
    int count[REEL_MAX_DIMS];
    int n;
    int64_t extent[STRIDED_MOST], stride[STRIDED_MOST];
    int64_t offset; // of the first element
    float scale;    // elements are those of the memory times it
};

// v in the memory of what `depth` nodes or less lead back to; rows: the base is taken
// to be row-major, else it lies as in its best form, which must be there.
void strided_trace(struct lowered *p, const struct value *v, int depth, bool rows, struct strided *out);
// The values between, not the base: next on the way from v, NULL behind the last.
const struct value *strided_before(struct lowered *p, const struct value *v);
// What `to` row-major is to the value that becomes it by a Transpose or a view: the
// node's input in the memory of its output. False: not by strides.
bool strided_back(const struct lowered *p, const struct node *node, struct strided *s);
// From the node's input to its result v, in the same memory. False: not by strides.
bool strided_forward(struct lowered *p, const struct node *node, const struct value *v, struct strided *s);
// A value in its own memory: in its best form, which must be there; and row-major.
void strided_as_it_lies(struct lowered *p, const struct value *v, struct strided *out);
void strided_rows(const struct lowered *p, const struct value *v, struct strided *out);
// Its dimensions from..to (excluded) as at most `most` extents, outermost first, in
// front filled up with extents of 1. False when it takes more.
bool strided_merge(const struct strided *s, int from, int to, int most, int64_t *extent, int64_t *stride);

#endif
