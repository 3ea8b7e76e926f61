// SPDX-License-Identifier: MIT
//
// A codec context: packets in, frames out, in display order. One is opened
// fresh for each epoch, so that what comes out depends on the packets alone.
//
// Implementations stand behind an ops struct (decode_sw.c: libavcodec in
// software); decode.c has what they share: counting damage and not looping on
// it.
#ifndef REEL_DECODER_DECODE_H
#define REEL_DECODER_DECODE_H

#include "common/err.h"
#include "decoder/av.h"

struct nvdec;

struct decode_params {
    const AVCodecParameters *par;
    AVRational time_base; // of the packets
    int threads;          // 0: libavcodec's choice
    int64_t max_pixels;
    const char *name;     // of the input, for messages
    struct nvdec *nvdec;  // the GPU to decode on, or NULL
    uint32_t kept_frames; // that are kept outside, beside those on their way into slots
};

// Results of send and receive: 0, AVERROR(EAGAIN), AVERROR_EOF or another
// AVERROR (a damaged packet, mostly).
struct decode_ops {
    const char *name;
    enum reel_err (*open)(const struct decode_params *params, void **out_state);
    int (*send)(void *state, const AVPacket *packet); // NULL: no more
    int (*receive)(void *state, AVFrame *frame);
    void (*close)(void **state);
};

extern const struct decode_ops decode_sw;

struct decode;

// Errors: UNSUPPORTED, NOMEM, FAULT.
enum reel_err decode_open(const struct decode_params *params, struct decode **out_decode);
// Accepts &NULL.
void decode_close(struct decode **decode);
// Gives a packet (borrowed), or NULL once at the end. AGAIN: receive first. A
// packet that the codec refuses is counted and taken. Errors: NOMEM.
enum reel_err decode_send(struct decode *decode, const AVPacket *packet);
// The next frame. AGAIN: send more. EOF after the last. Errors: NOMEM.
enum reel_err decode_receive(struct decode *decode, AVFrame *frame);
// Whether it was opened on a GPU (which may still have refused the stream).
bool decode_on_gpu(const struct decode *decode);
// Failures so far, and a word on the last one ("" when there was none).
int64_t decode_errors(const struct decode *decode);
const char *decode_last_error(const struct decode *decode);

#endif
