// SPDX-License-Identifier: MIT
//
// Numbered files, one for each frame: what the sinks of images and of motion share. A
// segment's part is a folder of 0.png, 1.png, ... and a file "frames" with their number;
// the join moves them to their names in the output, counted over the whole job.
#ifndef REEL_AGGREGATOR_SINK_NUMBERED_H
#define REEL_AGGREGATOR_SINK_NUMBERED_H

#include "aggregator/sink/sink.h"

// One segment's files; embedded in a sink.
struct numbered {
    struct reel_sha256 sha;
    uint64_t bytes;
    uint32_t written;
    bool live;
    uint64_t first;      // live: number of the first file
    const char *pattern; // live: of the output, borrowed from the plan
    char ending[16];     // ".png"
    char path[REEL_PATH_BYTES], temporary[REEL_PATH_BYTES];
};

// Begins a segment's part, or goes on behind the files of a live job's output. Errors: IO.
enum reel_err numbered_begin(struct numbered *files, const struct sink_params *params);
// Writes the next file. Errors: IO (disk full says so), CONFIG, LIMIT (names).
enum reel_err numbered_put(struct numbered *files, const void *data, size_t bytes);
// Syncs and renames the part. Errors: IO.
enum reel_err numbered_commit(struct numbered *files, struct sink_done *out_done);
// Removes what is not committed; does nothing after a commit, or before a begin.
void numbered_abandon(struct numbered *files);

// As in sink_ops.
bool numbered_verify(const struct sink_check *check);
enum reel_err numbered_join(const struct sink_join *join, struct reel_rec_muxed *out_muxed);

#endif
