// SPDX-License-Identifier: MIT
//
// A network over one band of a picture, where the workers of the other bands
// run theirs at the same time and neighbours give each other rows of
// intermediate results. Called by net.c on a graph that has been through all
// passes.
//
// The graph stays what it is: it is run over the band's own rows and a margin of
// rows beyond them, on each side where the picture goes on. What it makes of the
// margin is of no use, since there the rows beyond are missing; so wherever an
// operator reads across the edge of the band's own rows (a window), the rows that
// it reads there are first replaced by the neighbour's own (value.halo). The
// margin begins at a multiple of all that the network steps in, so that every
// block of elements that a kernel makes at once is the one of the whole picture:
// the band's own rows are those of the uncut run, byte for byte.
//
// What it is not: it moves no rows; the backend does, through
// backend_params.exchange.
#ifndef REEL_WORKER_GRAPH_BANDS_H
#define REEL_WORKER_GRAPH_BANDS_H

#include "worker/graph/graph.h"

// Rows of an output beyond the band's own that are the picture's as well: chroma
// sited on a row is averaged from those beside it.
#define BANDS_OUT_ROWS 4

// Rows of the input's height that stand above and below the band's own; 0: there
// the picture ends.
struct band {
    int above, below;
    int margin; // above and below are no less, nor 0 but at the picture's edges
};

struct bands_need {
    bool fit;   // else `why` names what stands in the way
    int margin; // of input rows, at least
    int rows;   // of the input, in all, at least: fewer would be computed by other kernels
    char why[128];
};

// What a network needs to be run in bands. graph: one picture (1,C,H,W) with all
// shapes known, after the passes.
void bands_need_of(const struct graph *graph, struct bands_need *out);

// Sets value.halo throughout. The graph's input has all rows of the band and its
// margins. Which values are exchanged, and in what order, is the same for every
// band of a picture. Errors: UNSUPPORTED (not fit, or too few rows), NOMEM.
enum reel_err bands_mark(struct graph *graph, const struct band *band);

#endif
