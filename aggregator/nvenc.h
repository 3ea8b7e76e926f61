// SPDX-License-Identifier: MIT
//
// Encoding on this process's GPU: surfaces for FFmpeg's *_nvenc encoders, filled
// from slots of device rings or from pictures in main memory. nvenc.c needs
// CUDA; nvenc_stub.c knows no GPU. Called by encode_sw.c and the plan.
//
// A picture of a device ring travels as an AVFrame of format AV_PIX_FMT_CUDA
// whose data are the planes of its slot (picture_wrap): 4:2:0, 8 bits or more in
// the low bits of a word. It is copied into a surface, so that its slot is free
// when nvenc_surface() returns; what a frame brings along to be drawn on it
// (post/paint.h) is drawn on the surface, by the GPU.
#ifndef AGGREGATOR_NVENC_H
#define AGGREGATOR_NVENC_H

#include "aggregator/av.h"
#include "common/err.h"

// Names the GPU; it is opened when it is first needed.
void nvenc_use(int device);
void nvenc_end(void);
// Whether a codec is one of NVENC's, and whether surfaces of a GPU can be had.
bool nvenc_is(const AVCodec *codec);
bool nvenc_ready(void);
// Makes a context that is not open yet take surfaces of its pix_fmt's kind.
// Errors: UNSUPPORTED, NOMEM, FAULT.
enum reel_err nvenc_prepare(AVCodecContext *ctx);
// A surface with the picture; complete when this returns.
enum reel_err nvenc_surface(const AVCodecContext *ctx, const AVFrame *frame, AVFrame **out_surface);

#endif
