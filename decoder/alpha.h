// SPDX-License-Identifier: MIT
//
// The transparency of a picture: whether an AVFrame has an alpha channel, and its samples as
// the alpha plane of a slot.
#ifndef REEL_DECODER_ALPHA_H
#define REEL_DECODER_ALPHA_H

#include "common/frame.h"
#include "decoder/av.h"

// Scratch memory of one lane; all zero is the initial state.
struct alpha {
    struct SwsContext *sws;
    AVFrame *own_size; // alpha of a frame whose size is not the job's
};
void alpha_fini(struct alpha *alpha);

// Whether the frame has an alpha channel (with a palette: any colour that is not opaque).
bool alpha_has(const AVFrame *frame);
// *out_opaque: no sample of its alpha channel is transparent. Errors: NOMEM.
enum reel_err alpha_is_opaque(const AVFrame *frame, bool *out_opaque);
// Writes the alpha plane of a slot of geometry g (g->alpha_stride is not 0), resized where the
// frame has another size; opaque for a frame without alpha. Errors: NOMEM, FAULT.
enum reel_err alpha_write(struct alpha *alpha, const struct reel_geometry *g, uint8_t *slot, const AVFrame *frame);

#endif
