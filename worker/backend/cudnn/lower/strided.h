// SPDX-License-Identifier: MIT
//
// Where the elements of a value lie in the memory of another value from which it comes by
// moves and views only: transpositions, reshapes, slices along an axis. A kernel that takes
// strides can read that memory, so that the moves need not be computed.
#ifndef REEL_WORKER_BACKEND_CUDNN_LOWER_STRIDED_H
#define REEL_WORKER_BACKEND_CUDNN_LOWER_STRIDED_H

#include "worker/backend/cudnn/program.h"

#define STRIDED_MOST 16

// Dimension d of the value consists of count[d] entries of `extent` and `stride`, outermost
// first; a dimension of extent 1 has none.
struct strided {
    const struct value *base; // the value whose memory it is
    int dims;
    int count[REEL_MAX_DIMS];
    int n;
    int64_t extent[STRIDED_MOST], stride[STRIDED_MOST];
    int64_t offset; // of the first element
    float scale;    // the value's elements are those in memory times this
};

// v in the memory of the value from which it comes by at most `depth` nodes. rows: the base is
// taken as row-major; otherwise as in its best form, which must exist.
void strided_trace(struct lowered *p, const struct value *v, int depth, bool rows, struct strided *out);
// The next value on the way from v back to the base; NULL: there is no further one.
const struct value *strided_before(struct lowered *p, const struct value *v);
// Turns *s, which describes the node's output, into the node's input in the same memory. The
// node is a Transpose or a view. False: it cannot be described by strides.
bool strided_back(const struct lowered *p, const struct node *node, struct strided *s);
// The other way: from the node's input to its result v. False: likewise.
bool strided_forward(struct lowered *p, const struct node *node, const struct value *v, struct strided *s);
// A value in its own memory: in its best form, which must exist; as an image, if it has pixels;
// and as row-major.
void strided_as_it_lies(struct lowered *p, const struct value *v, struct strided *out);
void strided_image(const struct lowered *p, const struct value *v, struct strided *out);
void strided_rows(const struct lowered *p, const struct value *v, struct strided *out);
// Writes its dimensions [from, to) as exactly `most` extents, outermost first, preceded by
// extents of 1 where fewer suffice. False: more are needed.
bool strided_merge(const struct strided *s, int from, int to, int most, int64_t *extent, int64_t *stride);

#endif
