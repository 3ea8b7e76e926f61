// SPDX-License-Identifier: MIT
//
// The parts of the mux and what they share: mux_scan.c reads what the parts of a
// job hold, mux_head.h makes a header of it, mux.c writes the packets and reads the
// file again. Private to these files; the public entry is mux_join() (sink.h).
#ifndef REEL_AGGREGATOR_SINK_MUX_H
#define REEL_AGGREGATOR_SINK_MUX_H

#include "aggregator/sink/moved.h"
#include "aggregator/sink/mux_head.h"
#include "aggregator/sink/placed.h"
#include "aggregator/sink/timeline.h"

struct mux {
    const struct sink_join *join;
    struct mux_head head;
    struct timeline timeline;
    // writing
    AVFormatContext *oc;
    struct placed *placed;       // oc's file, of an .mp4 or .mov
    struct placed_header header; // its room in that file
    bool measures;               // to nowhere, to know the header
    bool any_copied;
    AVPacket *packet;
    int64_t last_video_dts;
    uint64_t frames;  // of the job
    uint64_t written; // pictures in the file: more where they are repeated
    struct reel_pack_reader *copy, *part;
    struct reel_pack_record *copy_record, *part_record;
    bool copy_there;           // copy_record holds a packet that was not written
    uint32_t segment, scanned; // the next to be written; how many were scanned
    bool streams;              // to standard output, while parts are still made
    int64_t next_tick;         // of a container with a rate: the first that is free
    char temporary[REEL_PATH_BYTES];
    uint64_t parts_bytes; // of all parts
    uint32_t file;        // as in reel_rec_muxed
    bool whole;           // none of a part's bytes are in an unfinished output only, as the join begins
    struct moved *moved;  // NULL: parts stay whole
};

// ---- mux_scan.c ---------------------------------------------------------------

// Timestamps and stream of the video's parts, which must be alike: of the first n.
// Those of standard output are waited for. Errors: INPUT, IO, NOMEM, GONE.
enum reel_err mux_scan_video(struct mux *m, uint32_t n);
// Streams, texts and chapters of the copy part; *out_any: there is one. Errors: IO (it
// is not as it was written), INPUT, NOMEM, GONE.
enum reel_err mux_scan_copied(struct mux *m, bool *out_any);

// ---- mux.c --------------------------------------------------------------------

// The next video packet into part_record; EOF behind the last. From the first one on
// when `segment` was set to 0.
enum reel_err mux_next_video(struct mux *m);
// m->oc's file, or standard output. IO, NOMEM.
enum reel_err mux_open_output(struct mux *m);

// ---- gif.c --------------------------------------------------------------------

// All of a GIF file but its end. Errors: FAULT, IO, NOMEM, GONE, UNSUPPORTED.
enum reel_err gif_write(struct mux *m);

#endif
