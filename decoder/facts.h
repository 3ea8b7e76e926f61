// SPDX-License-Identifier: MIT
//
// Properties of a video from its first frame and its stream: size, slot format,
// colour, orientation, HDR. Called by the scan and by live inputs.
#ifndef REEL_DECODER_FACTS_H
#define REEL_DECODER_FACTS_H

#include "common/media.h"
#include "decoder/av.h"
#include "decoder/decoder.h"

struct facts_ask {
    const char *name; // of the input
    const struct notes *notes;
    enum AVPixelFormat source; // of the codec, before filters
    bool still;                // of an image file
    int rotation;              // done by the filters
};

// Fills in what the container knows: mastering display, light level.
void facts_of_stream(const AVStream *stream, struct reel_media *media);
// Fills in what the frame says; what the container says takes precedence.
// Errors: UNSUPPORTED, LIMIT: no slot can hold it.
enum reel_err facts_of_picture(const struct facts_ask *ask, const AVFrame *frame, struct reel_media *media);

#endif
