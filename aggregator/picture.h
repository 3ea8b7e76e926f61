// SPDX-License-Identifier: MIT
//
// Pictures between slots and libav: formats, frames over a slot's memory,
// copies, conversion. The one place of this process that maps reel_pixel_format
// to libav's formats.
#ifndef REEL_AGGREGATOR_PICTURE_H
#define REEL_AGGREGATOR_PICTURE_H

#include "aggregator/av.h"
#include "aggregator/release.h"
#include "common/media.h"
#include "common/ring.h"
#include "kernels/overlay.h"

// libav's format with the slot's layout; NONE when there is none.
enum AVPixelFormat picture_av_format(struct reel_pixel_format format);
// libav's format with at least the same chroma and depth, and an alpha plane. A gray
// picture's has chroma too.
enum AVPixelFormat picture_alpha_format(struct reel_pixel_format format);
// The slot's layout of a libav format; false when slots do not carry it.
bool picture_slot_format(enum AVPixelFormat av, struct reel_pixel_format *out_format);

// Planes of a frame whose data are of this format, for drawing; false when slots
// do not carry it.
bool picture_planes(const AVFrame *frame, enum AVPixelFormat format, struct overlay_picture *out_picture);

// Colour tags of a frame.
void picture_tag(AVFrame *frame, const struct reel_colour *colour);

// A frame over the planes of a slot; the loan ends when libav lets go. Errors:
// NOMEM.
enum reel_err picture_wrap(const struct reel_ring *ring, uint32_t slot_id, struct release *release,
                           struct reel_rec_taken rec, _Atomic int *held, AVFrame **out_frame);

// Makes frames of one format and size, with memory that is used again.
struct picture_pool {
    AVBufferPool *pool;
    enum AVPixelFormat format;
    int width, height;
};
// Errors: NOMEM.
enum reel_err picture_alloc(struct picture_pool *pool, enum AVPixelFormat format, int width, int height,
                            AVFrame **out_frame);
void picture_pool_fini(struct picture_pool *pool);
// A copy of one of a slot's pictures (of its whole memory: no loan).
enum reel_err picture_copy_slot(struct picture_pool *pool, const struct reel_ring *ring, uint32_t slot_id,
                                uint32_t picture, AVFrame **out_frame);
// A copy of a frame, for drawing on it.
enum reel_err picture_copy(struct picture_pool *pool, const AVFrame *frame, AVFrame **out_frame);

// Size, format and range conversion; all zero is ready. The result of the same
// input is the same on every CPU.
struct picture_convert {
    struct SwsContext *sws;
    struct picture_pool pool;
};
// *out_frame has format, width, height and colour; it is a new reference of
// frame when nothing differs.
enum reel_err picture_convert(struct picture_convert *c, const AVFrame *frame, const struct reel_colour *from,
                              enum AVPixelFormat format, int width, int height, const struct reel_colour *to,
                              AVFrame **out_frame);
void picture_convert_fini(struct picture_convert *c);

#endif
