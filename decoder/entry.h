// SPDX-License-Identifier: MIT
//
// Classifies packets of the video stream: may decoding start here, and does the
// packet show a picture at all. Looks into the coded data, because containers'
// keyframe flags also mark packets from which a decoder does not recover at
// once (intra refresh) and miss some from which it does. Pure: packets in,
// verdicts out; called by the scan for every packet in order.
#ifndef REEL_DECODER_ENTRY_H
#define REEL_DECODER_ENTRY_H

#include <stdbool.h>

#include "decoder/av.h"

struct entry_inspector;

struct entry_verdict {
    bool entry;        // a fresh decoder may start here
    bool hidden;       // shows nothing by itself (VP8/VP9 alternate reference)
    bool sets_changed; // redefines the sequence's parameters: no cut in this stream
};

// NULL when there is no memory.
struct entry_inspector *entry_create(const AVCodecParameters *par);
void entry_destroy(struct entry_inspector **inspector);
void entry_inspect(struct entry_inspector *inspector, const AVPacket *packet, struct entry_verdict *out_verdict);
// Whether the packet shows nothing by itself; needs no history.
bool entry_hidden(enum AVCodecID codec, const AVPacket *packet);

#endif
