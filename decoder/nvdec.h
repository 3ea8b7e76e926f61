// SPDX-License-Identifier: MIT
//
// This process's GPU for decoding: FFmpeg's device context over our own CUDA
// context and stream, and copies of pictures between its surfaces, device rings
// and main memory. nvdec.c needs CUDA; nvdec_stub.c reports that it is missing.
//
// There are few surfaces: a picture is copied out, and its frame is released
// when the copy is complete.
#ifndef REEL_DECODER_NVDEC_H
#define REEL_DECODER_NVDEC_H

#include "common/frame.h"
#include "decoder/av.h"
#include "decoder/decode.h"

struct nvdec;

// Opens GPU `device`. Errors: UNSUPPORTED (no GPU, FFmpeg without CUDA), NOMEM,
// FAULT.
enum reel_err nvdec_create(int device, struct nvdec **out_nvdec);
void nvdec_destroy(struct nvdec **nvdec);
// "NVIDIA H200 #0 (NVDEC)", for reports; lives as long as nvdec.
const char *nvdec_name(const struct nvdec *nvdec);
// Whether FFmpeg has a decoder for the stream that gives pictures on a GPU, in
// a format that slots carry. What the GPU itself supports shows when it is
// opened.
bool nvdec_can(const AVCodecParameters *par);
// Opens a codec context on the GPU; where the GPU refuses the stream it decodes
// in software. Its frames say which: AV_PIX_FMT_CUDA or not.
extern const struct decode_ops decode_nvdec;

// The stream that all of a process's copies are on.
void *nvdec_stream(const struct nvdec *nvdec);

// Enqueues the copy of a surface into the planes of a slot on the device; the
// frame must stay until the stream has done it. UNSUPPORTED when size or format
// are not the slot's: nothing is under way then.
enum reel_err nvdec_to_slot(struct nvdec *nvdec, const AVFrame *frame, const struct reel_geometry *g, uint8_t *pixels);
// A surface into a new frame in main memory; complete on return, as below.
enum reel_err nvdec_download(struct nvdec *nvdec, const AVFrame *frame, AVFrame *out_frame);
// A whole slot's planes from main memory to the device; nvdec may be NULL.
enum reel_err nvdec_upload(struct nvdec *nvdec, const struct reel_geometry *g, const uint8_t *slot, uint8_t *pixels);

#endif
