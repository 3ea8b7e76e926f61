// SPDX-License-Identifier: MIT
//
// One segment decoded: from its entry to the first frame at or past its end,
// each frame upright and filtered, with its PTS on the job's timeline. A lane
// puts the frames into slots; tests compare them with a linear decode.
//
// The frames and their timestamps depend on the segment's range alone, never
// on where decoding began or on what was decoded before.
#ifndef REEL_DECODER_SEGMENT_H
#define REEL_DECODER_SEGMENT_H

#include "decoder/decoder.h"
#include "decoder/demux.h"

struct segment_params {
    const struct reel_settings *settings; // borrowed
    struct reel_job job;                  // strings borrowed
    struct reel_media media;              // of the scan
    bool has_entry;                       // false: from the file's start
    struct reel_entry entry;
    int64_t start_pts, end_pts; // start_pts <= pts < end_pts; INT64_MAX: to the end
    int64_t warmup_pts;         // frames from here to start_pts come as well, and count nowhere
    struct nvdec *nvdec;        // the GPU to decode on, or NULL; frames may be AV_PIX_FMT_CUDA then
    uint32_t kept_frames;       // that the caller keeps, beside those on their way into slots
};

// The ledger of the segment's own packets: pictures with a PTS in its range (of
// the first segment also all before, and those without a PTS), and packets that
// show nothing from its entry to the next segment's:
// Packets and frames of the warm-up and behind the range are other segments'.
//   packets    = shown + hidden + unreadable
//   hidden     marked as discarded by the container, alternate references, or
//              taken by the codec without a picture and without an error
//              (leading pictures whose reference is before the file's start)
//   unreadable the codec reported damage and gave no picture for them
//   filtered   frames that came out of the codec and not out of --pre_filter
// The second field of a picture counts as shown with the first. Of a part of an input that
// cannot be cut (REEL_MEDIA_NO_CUT) packets are not told apart: they are as many as frames.
struct segment_ledger {
    int64_t packets, hidden, unreadable, filtered;
    int64_t errors; // failures that the codec reported
    int64_t moved;  // timestamps moved by a tick because they repeated or went back
};

struct segment;

// Opens the input (or takes an idle one from pool), goes to the entry, opens a
// codec. Errors: as demux_open(), demux_seek(), decode_open().
enum reel_err segment_open(const struct segment_params *params, struct demux_pool *pool, struct segment **out_segment);
// Gives the open input back to pool. Accepts &NULL.
void segment_close(struct segment **segment, struct demux_pool *pool);
// Does a bounded step. OK: frame holds the next frame. AGAIN: call again. EOF:
// that was the last one, the ledger is final.
enum reel_err segment_next(struct segment *segment, AVFrame *frame, int64_t *out_pts, int64_t *out_duration);
void segment_ledger(const struct segment *segment, struct segment_ledger *out_ledger);
// At EOF: nothing of the range is damaged or missing, or was filled in, as far as the codec says.
bool segment_is_whole(const struct segment *segment);
// Microseconds inside the codec and the demuxer so far.
int64_t segment_run_us(const struct segment *segment);

#endif
