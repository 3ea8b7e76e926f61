// SPDX-License-Identifier: MIT
//
// The file of an .mp4 or .mov, each byte of which is written once, to its final place. The
// header stands in front (faststart), and its size is known only when all packets are
// written; libavformat therefore moves all data up by it at the end. Here everything is
// written to nowhere first, which tells the size, and then to the file, with that much left
// out. Between the two nothing may differ. The bytes are those of libavformat's own way.
//
//   to nowhere     H: where the header begins, S: its size
//   to the file    what libavformat puts at H or behind goes S further on; when it begins
//                  to move data up, they are there already, and only the header is written
#ifndef REEL_AGGREGATOR_SINK_PLACED_H
#define REEL_AGGREGATOR_SINK_PLACED_H

#include "aggregator/av.h"
#include "common/err.h"

struct placed;

// Where a header goes. bytes 0: not known.
struct placed_header {
    uint64_t at, bytes;
};

// Gives oc, which has faststart among its options, a file: `path`, with room for *header,
// which is reserved on the disk; path NULL: to nowhere. Returns an error of libavformat's.
int placed_open(AVFormatContext *oc, const char *path, const struct placed_header *header, struct placed **out_placed);
// What a header took, after the trailer; bytes 0: libavformat wrote it in another way.
struct placed_header placed_found(const struct placed *placed);
// Flushes and closes; oc has no file then. Accepts &NULL. Returns an error of libavformat's.
int placed_close(AVFormatContext *oc, struct placed **placed);

#endif
