// SPDX-License-Identifier: MIT
//
// Decides whether frames of one size go through a network that takes any size whole, in
// tiles, or in bands for several workers, and how large those are. Pure; called by intake.c
// when a job's shape is settled.
//
// The choice never changes a byte if the output depends on a bounded field of the input,
// bit for bit: tiles overlap by that whole field, and begin at multiples of the network's
// steps and blocks.
#ifndef REEL_WORKER_TILING_H
#define REEL_WORKER_TILING_H

#include "worker/graph/field.h"
#include "worker/view.h"

// Larger frames are tiled, and no tile is larger than this: activations of 64 channels take
// 256 bytes per pixel, several times over. view_params.tile_pixels is lower if memory does
// not suffice.
#define TILING_WHOLE_PIXELS (1920 * 1088)

// p: of a picture task whose network takes any size, with the wanted number of parts.
// Unchanged if frames go whole. may_tile: tiling is allowed because of the size alone; for
// parts it always is.
void tiling_choose(struct view_params *p, struct field_reach values, struct field_reach bits, bool may_tile);
// Chooses bands that exchange rows, for frames that tiling_choose() leaves whole: at most
// `parts`, and only as many as are worth a worker each. need: from graph/bands.h. False if
// there are none; p is unchanged then.
bool tiling_exchange(struct view_params *p, int parts, struct field_reach bits, const struct bands_need *need);
// For a given tile size: sets the field that the tiles should cover.
void tiling_reach(struct view_params *p, struct field_reach values);

#endif
