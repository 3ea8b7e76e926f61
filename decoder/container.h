// SPDX-License-Identifier: MIT
//
// Which streams the output's container can hold. Follows from the output's name alone; used
// by copy.c to decide about each stream before the first packet.
#ifndef REEL_DECODER_CONTAINER_H
#define REEL_DECODER_CONTAINER_H

#include "decoder/demux.h"

enum container_kind {
    CONTAINER_MP4,
    CONTAINER_MOV,
    CONTAINER_MKV,
    CONTAINER_WEBM,
    CONTAINER_TS,
    CONTAINER_PS,    // .mpg
    CONTAINER_OTHER, // the muxer states what it holds: .avi, .flv, .nut
    CONTAINER_RTSP,
};

struct container {
    const AVOutputFormat *format; // NULL: the output holds no streams, as files of pictures
    enum container_kind kind;
    const char *name; // for messages; borrowed from the output's name
};

// Fills out, which is zeroed, for an output file or address.
void container_find(const char *output, struct container *out);
bool container_holds(const struct container *container, enum AVCodecID codec);
// The codec that text subtitles of this codec are converted to, which may be the same. NONE
// if the container has no place for text.
enum AVCodecID container_text_codec(const struct container *container, enum AVCodecID codec);

#endif
