// SPDX-License-Identifier: MIT
//
// What the header of a video file (or of a live stream) is made from: the video,
// the streams that are copied beside it, chapters and texts; which of them a
// container takes, as what, under which tags and options. Used by the mux of
// finished parts (mux.h) and by live outputs (live/outlet.h). mux_head.c has the
// contents, mux_header.c the decisions. Not packets.
#ifndef REEL_AGGREGATOR_SINK_MUX_HEAD_H
#define REEL_AGGREGATOR_SINK_MUX_HEAD_H

#include "aggregator/sink/sink.h"

// A stream that is copied.
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

// Plain data; all zero but the first group is empty.
struct mux_head {
    const AVOutputFormat *format;
    const char *output; // for messages
    bool live;          // readable at any moment: fragments, no index at the front
    bool streams;       // to standard output: nothing of it can be changed later
    AVRational rate;    // of a container that has one in place of times; 0/0: it has times
    const struct reel_media *media;
    void (*note)(void *ctx, const char *text);
    void *ctx;

    struct reel_pack_stream *video; // its pointers are copies
    int reorder;                    // depth of the video's timestamps
    struct copied *copied;
    int n_copied;
    struct reel_pack_chapter *chapters; // texts are copies
    int n_chapters;
    AVDictionary *globals;
    struct reel_kept kept;
};

enum reel_err mux_no_memory(void);
void mux_note(const struct mux_head *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool mux_is_format(const struct mux_head *h, const char *name);

// ---- mux_head.c: contents -------------------------------------------------------

// Each keeps a copy. Errors: NOMEM, LIMIT (too many streams).
enum reel_err mux_keep_video(struct mux_head *h, const struct reel_pack_stream *s);
enum reel_err mux_keep_copied(struct mux_head *h, const struct reel_pack_stream *s);
enum reel_err mux_keep_chapter(struct mux_head *h, const struct reel_pack_chapter *c);
void mux_put_texts(AVDictionary **dict, const struct reel_pack_text *text, uint32_t n);
// What differs from the video that is kept; NULL: nothing.
const char *mux_differs(const struct mux_head *h, const struct reel_pack_stream *s);
// Padded as libav wants it; NULL: out of memory.
uint8_t *mux_copy_bytes(const uint8_t *data, size_t n);
// Returns parameters that the caller frees; NULL: out of memory.
AVCodecParameters *mux_make_par(const struct reel_pack_stream *s);
bool mux_is_cover(const struct copied *c);
// By how much a packet of the stream has to be made later before libavformat writes it, in
// time_base (mux_delay.c).
int64_t mux_codec_delay(const struct mux_head *h, const struct copied *c, AVRational time_base);
// Borrows the record's memory until the next read. NOMEM.
enum reel_err mux_fill_packet(AVPacket *pkt, const struct reel_pack_packet *p);

// ---- y4m.c ------------------------------------------------------------------------

// The packet that the muxer takes for a picture as it is in memory; it borrows the
// picture's bytes. y4m_unwrap() gives the packet back empty. NOMEM, INPUT.
enum reel_err y4m_wrap(const struct reel_pack_stream *video, AVPacket *packet);
void y4m_unwrap(AVPacket *packet);
void mux_head_fini(struct mux_head *h);

// ---- mux_header.c: decisions ----------------------------------------------------

// Frames a second of a container that has a rate in place of times: the video's own; where
// that varies, what most of its distances are, of which `median` (in its time base; 0: not
// known) is the middle one.
AVRational mux_rate(const struct reel_media *media, int64_t median);
// Gives each copied stream its place, or says that it cannot be kept.
void mux_choose_streams(struct mux_head *h);
// A context for `name` with all streams, chapters and texts; nothing is opened. It
// is the caller's also after an error. NOMEM.
enum reel_err mux_make_context(const struct mux_head *h, const char *name, AVFormatContext **out_oc);
// Options for avformat_write_header().
void mux_container_options(const struct mux_head *h, AVDictionary **options);
// What a lost stream means for the report.
void mux_count_lost(struct mux_head *h, const struct copied *c, bool others_kept);

#endif
