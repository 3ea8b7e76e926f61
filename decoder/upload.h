// SPDX-License-Identifier: MIT
//
// The one place where an AVFrame becomes a slot: the slot's pixel format for
// each of libav's, the copy (planes as they are), the exact unpacking of packed
// formats, and the fitting of frames that differ from the job's first one.
#ifndef REEL_DECODER_UPLOAD_H
#define REEL_DECODER_UPLOAD_H

#include "common/frame.h"
#include "common/media.h"
#include "decoder/alpha.h"
#include "decoder/av.h"

struct upload_choice {
    struct reel_pixel_format format; // of the slot
    bool resamples;                  // chroma or depth must be converted
};

// The slot's format for frames of a libav format. UNSUPPORTED for those that
// are no pictures in memory.
enum reel_err upload_choose(enum AVPixelFormat av_format, struct upload_choice *out_choice);
// libav's format that has the slot's layout.
enum AVPixelFormat upload_av_format(struct reel_pixel_format format);
// Colour of a frame as it stands in the slot.
struct reel_colour upload_colour(const AVFrame *frame, struct reel_pixel_format format);

// Scratch of one lane; all zero is ready.
struct upload {
    struct SwsContext *sws;
    AVFrame *scratch;
    struct alpha alpha;
};
void upload_fini(struct upload *upload);

// Writes the picture into a slot of geometry g, converting format and size where
// they differ (*out_fitted then). Errors: NOMEM, FAULT.
enum reel_err upload_frame(struct upload *upload, const struct reel_geometry *g, const struct reel_colour *colour,
                           uint8_t *slot, const AVFrame *frame, bool *out_fitted);
// Writes w samples of from_depth bits as samples of to_depth bits, scaled to their full range.
void upload_line(uint8_t *dst, const uint16_t *line, uint32_t w, int from_depth, int to_depth);
// Writes the frame's side data as aux items. Returns the bytes used; *out_lost
// counts items that found no room.
uint32_t upload_side(const AVFrame *frame, uint8_t *aux, uint32_t room, int *out_lost);

#endif
