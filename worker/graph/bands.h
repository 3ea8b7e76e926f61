// SPDX-License-Identifier: MIT
//
// Prepares a network for one band of a picture, while the workers of the other bands run
// theirs at the same time and neighbours exchange rows of intermediate results. Called by
// net.c on a graph that has been through all passes.
//
// The graph is not changed. It runs over the band's own rows and a margin of rows beyond
// them, on each side where the picture continues. What it computes for the margin is
// useless, because the rows further out are missing. So wherever an operator reads across
// the edge of the band's own rows (a window), the rows that it reads there are first
// replaced by the neighbour's (value.halo). The margin begins at a multiple of all the
// network's strides, so every block of elements that a kernel computes at once is a block
// of the whole picture: the band's own rows are those of the uncut run, byte for byte.
//
// No rows are moved here; the backend does that, through backend_params.exchange.
#ifndef REEL_WORKER_GRAPH_BANDS_H
#define REEL_WORKER_GRAPH_BANDS_H

#include "worker/graph/graph.h"

// Rows of an output beyond the band's own that must be correct as well: chroma that is
// sited on a row is averaged from the rows beside it.
#define BANDS_OUT_ROWS 4

// Rows of the input above and below the band's own; 0 where the picture ends.
struct band {
    int above, below;
    int margin; // least value of above and below, except at the picture's edges
};

struct bands_need {
    bool fit;   // if false, `why` is the reason, a clause for people
    int margin; // least margin, in input rows
    int rows;   // least total of input rows: fewer would be computed by other kernels
    char why[256];
};

// What a network needs to be run in bands. graph: one picture (1,C,H,W) with all shapes
// known, after the passes.
void bands_need_of(const struct graph *graph, struct bands_need *out);

// Sets value.halo of all values. The graph's input has all rows of the band and its
// margins. Which values are exchanged, and in what order, is the same for every band of a
// picture. Errors: UNSUPPORTED (not fit, or too few rows), NOMEM.
enum reel_err bands_mark(struct graph *graph, const struct band *band);

#endif
