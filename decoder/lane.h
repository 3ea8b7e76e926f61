// SPDX-License-Identifier: MIT
//
// A lane on the side of the decoder: one epoch of one segment, whose frames are
// written into the input ring up to the end of the window. See common/proto.h
// for the protocol; the slot's state is the coordinator's.
#ifndef REEL_DECODER_LANE_H
#define REEL_DECODER_LANE_H

#include "decoder/decoder.h"

// Opens the segment of an OPEN_LANE record. Errors: as segment_open(), PROTO.
enum reel_err lane_open(struct decoder *d, const struct reel_rec_open *record, struct lane **out_lane);
// Drops everything of the epoch. Accepts &NULL.
void lane_close(struct decoder *d, struct lane **lane);
uint32_t lane_epoch(const struct lane *lane);
uint32_t lane_job(const struct lane *lane);
// Number of the frame that is worked on, for failures.
uint32_t lane_next(const struct lane *lane);
void lane_window(struct lane *lane, uint32_t end);
// Of a live input: it ends here.
void lane_stop(struct decoder *d, struct lane *lane);
// One bounded step; *out_worked is false when the lane waits for its window or
// for a copy, or has ended. Posts DECODED and LANE_END.
enum reel_err lane_step(struct decoder *d, struct lane *lane, bool *out_worked);
// The lane's oldest copy under way, UINT64_MAX without one: the least of all
// lanes is the next to be complete.
uint64_t lane_oldest_copy(const struct lane *lane);
// Whether the lane could continue if that copy were complete.
bool lane_is_held(const struct lane *lane);
// Sleeps until it is complete; lane_step() reports errors.
enum reel_err lane_wait_copy(struct lane *lane);

#endif
