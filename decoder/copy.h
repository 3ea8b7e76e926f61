// SPDX-License-Identifier: MIT
//
// The streams that are not processed, written by the scan into the job's copy
// part: audio, subtitles, further video, cover pictures, attachments, data,
// chapters and metadata, as far as the output's container holds them. What the
// container cannot hold is reported in a note and in `kept`.
#ifndef REEL_DECODER_COPY_H
#define REEL_DECODER_COPY_H

#include "common/proto.h"
#include "decoder/cut.h"
#include "decoder/decoder.h"
#include "decoder/demux.h"

struct copy;

// Looks at all streams of demux and writes their records. Outputs that hold
// only pictures or results make no part. cut: a part of the input; NULL: all of it. Errors:
// IO, NOMEM.
enum reel_err copy_open(const struct reel_job *job, struct demux *demux, const struct cut *cut,
                        const struct notes *notes, struct copy **out_copy);
// Whether packets are wanted.
bool copy_is_open(const struct copy *copy);
// The copy part of a live input's attempt (reel_live_copy_path), which the aggregator
// reads while it grows; demux is not touched after this. Packets get their final
// timestamps from the caller. copy_finish() says that no more come.
enum reel_err copy_open_live(const struct reel_job *job, struct demux *demux, const struct notes *notes,
                             uint32_t attempt, struct reel_kept *out_kept, struct copy **out_copy);
// Removes an unfinished part (a live one stays). Accepts &NULL.
void copy_close(struct copy **copy);
// A packet of any stream but the processed one. Errors: IO (damage is no error).
enum reel_err copy_packet(struct copy *copy, AVPacket *packet);
// Commits the part (nothing to keep: no part, 0 bytes) and says what was kept.
enum reel_err copy_finish(struct copy *copy, struct reel_kept *out_kept, uint64_t *out_bytes, uint8_t out_sha256[32]);

#endif
