// SPDX-License-Identifier: MIT
//
// The transparency of the input's pictures, for outputs that hold it: the alpha plane of an
// input slot, resized to the output's picture.
#ifndef REEL_AGGREGATOR_POST_ALPHA_H
#define REEL_AGGREGATOR_POST_ALPHA_H

#include "aggregator/picture.h"

// Scratch; all zero is ready.
struct alpha {
    struct SwsContext *sws;
    struct picture_pool mixed, resized, joined;
};
void alpha_fini(struct alpha *alpha);

// Where a picture's transparency comes from: an input slot or, of pictures between two frames, the
// mixture of two slots, `part` / `parts` of which is the later one's.
struct alpha_place {
    uint32_t slot_id, later_id;
    uint32_t part, parts; // part 0: slot_id alone
};

// *out_frame: the colour of frame (of width x height, its planes as they are where `format`
// has them, else converted by `convert`) in `format`, which has an alpha plane, and as that
// what `place` says, resized. colour: frame's. Errors: NOMEM, FAULT, UNSUPPORTED.
enum reel_err alpha_join(struct alpha *alpha, struct picture_convert *convert, const AVFrame *frame,
                         enum AVPixelFormat format, const struct reel_colour *colour, const struct reel_ring *in,
                         const struct alpha_place *place, AVFrame **out_frame);

#endif
