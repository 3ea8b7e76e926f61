// SPDX-License-Identifier: MIT
//
// The picture of one frame: the model's picture as it stands in its slot, the
// input's with results drawn on it, a mask; or, for a quarantined frame, the
// one before again or the input's. Pictures are copied only where they are
// drawn on here or converted, or when the encoder holds more slots than it said.
// If there are several pictures per frame (frame interpolation), the first is
// the input's; the others are the network's, or repeat a neighbouring frame.
// Where the encoder copies each picture into a surface of its GPU, what is to be
// drawn goes along with it (paint.h) and is drawn there.
#ifndef REEL_AGGREGATOR_POST_IMAGE_H
#define REEL_AGGREGATOR_POST_IMAGE_H

#include "aggregator/plan.h"
#include "aggregator/post/filter.h"
#include "aggregator/post/labels.h"
#include "aggregator/post/results.h"
#include "aggregator/release.h"
#include "common/ring.h"

struct image;

struct image_params {
    const struct plan *plan;          // borrowed
    const struct reel_ring *in, *out; // configured for the epoch; borrowed
    struct release *release;
    uint32_t lane, epoch, segment;
    int max_loans; // slots that may be on loan at once; then copies are made
};

enum reel_err image_create(const struct image_params *params, struct image **out_image);
// Gives all pictures back. Accepts &NULL.
void image_destroy(struct image **image);

// Results of a frame whose stamps were checked, in order: objects are tracked from one to
// the next. Borrows the slot, and of the tracks what holds until the next frame's.
enum reel_err image_results(struct image *image, const struct reel_rec_frame *rec, struct results *out_results);

// Takes a frame: out_stamps are checked, TAKEN is said when its slots are no
// longer in use. Pictures that are ready follow by image_next(). k: which of
// the plan's rate for each frame, in order; 0 is the frame itself, the last one
// gives the slots back. Errors: PROTO, NOMEM, FAULT, CONFIG.
enum reel_err image_send(struct image *image, const struct reel_rec_frame *rec, uint32_t k);
// No more frames.
enum reel_err image_end(struct image *image);
// The next picture in the plan's final format. AGAIN, EOF.
enum reel_err image_next(struct image *image, AVFrame **out_frame);

// Checks both slots' stamps and counts side data. PROTO.
enum reel_err image_check(const struct image *image, const struct reel_rec_frame *rec, struct reel_stamp *out_in);

#endif
