// SPDX-License-Identifier: MIT
//
// A segment's frames and the surrounding ones that a network sees: the last ones
// before its range and the first ones after it. Each is exactly the frame of the
// neighbouring segment, so that nothing depends on where the cuts are.
//
//   before: decoded from an entry in front | the range: segment.c | behind: from the next segment's entry
//
// The three are decoded one after the other, each as a segment of its own; only the
// range is in the ledger. Called by lane.c.
#ifndef REEL_DECODER_AROUND_H
#define REEL_DECODER_AROUND_H

#include "common/proto.h"
#include "decoder/segment.h"

struct around_params {
    struct segment_params own;
    uint32_t before, after; // frames that are wished, REEL_MAX_ASIDE at most; fewer come at the input's ends
    struct reel_lead lead;  // where those before are decoded from
    struct reel_entry next; // of the segment behind, where after > 0
};

struct around;

// Errors: as segment_open().
enum reel_err around_open(const struct around_params *params, struct demux_pool *pool, struct around **out_around);
// Returns the open input to pool. Accepts &NULL.
void around_close(struct around **around, struct demux_pool *pool);
// As segment_next(). *out_flags: REEL_FRAME_WARMUP of frames before the range,
// REEL_FRAME_CONTEXT of those that are only looked at. Errors: also those of segment_open().
enum reel_err around_next(struct around *around, AVFrame *frame, int64_t *out_pts, int64_t *out_duration,
                          uint32_t *out_flags);
// The ledger of the range; final once EOF was returned.
void around_ledger(const struct around *around, struct segment_ledger *out_ledger);
// Microseconds inside codecs and demuxer so far.
int64_t around_run_us(const struct around *around);
// How often the frames before the range were decoded: more than once if the first
// entry did not give them intact.
uint32_t around_tries(const struct around *around);

#endif
