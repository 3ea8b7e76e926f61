// SPDX-License-Identifier: MIT
//
// The parts of the mux and what they share: mux_scan.c reads what the parts of a
// job hold, mux_header.c decides what the container takes of it and writes the
// header, mux.c writes the packets and reads the file again. Nobody else
// includes this; the way in is mux_join() (sink.h).
#ifndef REEL_AGGREGATOR_SINK_MUX_H
#define REEL_AGGREGATOR_SINK_MUX_H

#include "aggregator/sink/sink.h"
#include "aggregator/sink/timeline.h"

// A stream of the copy part.
struct copied {
    AVCodecParameters *par;
    AVRational time_base;
    int disposition;
    AVDictionary *text;
    struct reel_pack_side *side; // copies
    uint32_t n_side;
    uint8_t *cover; // of an attached picture that becomes an attachment
    size_t cover_bytes;
    int to; // stream of the output, -1: it cannot be kept
    int64_t last_dts;
    int64_t refused; // packets
};

struct mux {
    const struct sink_join *join;
    const AVOutputFormat *format;
    struct timeline timeline;
    struct reel_pack_stream *video; // of the first part; its pointers are copies
    struct copied *copied;
    int n_copied;
    struct reel_pack_chapter *chapters; // texts are copies
    int n_chapters;
    AVDictionary *globals;
    // writing
    AVFormatContext *oc;
    AVPacket *packet;
    int64_t last_video_dts;
    uint64_t frames;
    struct reel_pack_reader *copy, *part;
    struct reel_pack_record *copy_record, *part_record;
    bool copy_there; // copy_record holds a packet that was not written
    uint32_t segment;
    struct reel_kept kept;
    char temporary[REEL_PATH_BYTES];
};

enum reel_err mux_no_memory(void);
// FAULT with libav's words, or IO when the disk is at fault.
enum reel_err mux_failed(const struct mux *m, const char *what, int rc);
void mux_note(const struct mux *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool mux_is_format(const struct mux *m, const char *name);

// ---- mux_scan.c ---------------------------------------------------------------

// Timestamps and stream of the video's parts, which must be alike. Errors:
// INPUT, IO, NOMEM, GONE.
enum reel_err mux_scan_video(struct mux *m);
// Streams, texts and chapters of the copy part; *out_any: there is one.
enum reel_err mux_scan_copied(struct mux *m, bool *out_any);
void mux_scan_fini(struct mux *m);
// Padded as libav wants it; NULL: out of memory.
uint8_t *mux_copy_bytes(const uint8_t *data, size_t n);
// Returns parameters that the caller frees; NULL: out of memory.
AVCodecParameters *mux_make_par(const struct reel_pack_stream *s);
void mux_put_texts(AVDictionary **dict, const struct reel_pack_text *text, uint32_t n);
bool mux_is_cover(const struct copied *c);

// ---- mux_header.c ---------------------------------------------------------------

// Gives each copied stream its place, or says that it cannot be kept.
void mux_choose_streams(struct mux *m);
// Creates the file.
enum reel_err mux_write_header(struct mux *m);
// What a lost stream means for the report.
void mux_count_lost(struct mux *m, const struct copied *c, bool others_kept);

#endif
