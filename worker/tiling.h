// SPDX-License-Identifier: MIT
//
// Whether frames of one size go through a network of any size whole, in tiles,
// or in bands for several workers, and how large these are. Pure; called by
// intake.c when a job's shape is settled.
//
// A choice here never changes a byte where the network's bits have a bounded
// field: tiles overlap by all of it, and begin where the uncut picture's steps
// and blocks begin.
#ifndef REEL_WORKER_TILING_H
#define REEL_WORKER_TILING_H

#include "worker/graph/field.h"
#include "worker/view.h"

// Frames of more pixels than this are tiled, and no tile has more: activations
// of 64 channels take 256 bytes a pixel, several times. Where that is too much for
// the memory there is, view_params.tile_pixels says less.
#define TILING_WHOLE_PIXELS (1920 * 1088)

// p: a picture task's, of a network of any size, with parts as wished. Leaves it
// as it is where frames go whole. may_tile: for size alone; parts are their own
// reason.
void tiling_choose(struct view_params *p, struct field_reach values, struct field_reach bits, bool may_tile);
// Bands that exchange rows, for frames that tiling_choose() leaves whole: at most
// `parts`, as many as are worth their workers. need: fit. False: p is as it was.
bool tiling_exchange(struct view_params *p, int parts, struct field_reach bits, const struct bands_need *need);
// Where the size of tiles is stated: the field they should cover.
void tiling_reach(struct view_params *p, struct field_reach values);

#endif
