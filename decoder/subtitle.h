// SPDX-License-Identifier: MIT
//
// Text subtitles from one codec to another (SubRip, ASS, WebVTT, timed text),
// by libavcodec: whatever goes in becomes ASS events, these become what the
// container holds. Called by copy.c.
#ifndef REEL_DECODER_SUBTITLE_H
#define REEL_DECODER_SUBTITLE_H

#include "common/err.h"
#include "decoder/av.h"

struct subtitle;

bool subtitle_is_text(enum AVCodecID codec);
// UNSUPPORTED when this FFmpeg lacks one of the two codecs.
enum reel_err subtitle_open(const AVCodecParameters *par, AVRational time_base, enum AVCodecID target,
                            struct subtitle **out_subtitle);
// Accepts &NULL.
void subtitle_close(struct subtitle **subtitle);
// Header that the container wants; until subtitle_close().
const uint8_t *subtitle_extradata(const struct subtitle *subtitle, int *out_bytes);
// Text of one packet (until the next call) and its duration in the packet's time
// base. Returns its size, 0 when there is nothing to show.
int subtitle_convert(struct subtitle *subtitle, AVPacket *packet, const uint8_t **out_data, int64_t *out_duration);

#endif
