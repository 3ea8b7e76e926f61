// SPDX-License-Identifier: MIT
//
// Pack files: coded packets of one or more streams with exact timestamps. The
// aggregator writes one per video segment, the decoder's scan writes one with
// all streams that are copied; the final mux reads them all. They are our own
// format so that a mux never parses a stranger's container again, and so that
// no timestamp is rounded by a container.
//
// File: "REELPACK", version; then records {type, bytes, crc32c, payload}; the
// last record is END with the number of packets. A file without END is torn.
// Numbers are little endian. Written once, committed by rename.
//
// The other streams of a live job are in a pack file that grows while it is read
// (reel_pack_create_live, reel_pack_follow): under its own name from the start, each
// record whole when the next is begun. It has no END when its writer died. What was
// read is given back to the disk, so that it takes no more room in a week than in an
// hour.
//
// Stream parameters are plain numbers and bytes here: the codec ids, formats
// and side data types are those of the libavcodec both stages were built with.
#ifndef REEL_COMMON_PACK_H
#define REEL_COMMON_PACK_H

#include "common/hash.h"
#include "common/media.h"

struct reel_pack_text {
    const char *key, *value; // NUL-terminated
};

struct reel_pack_side {
    uint32_t type; // AVPacketSideDataType
    uint32_t bytes;
    const uint8_t *data;
};

#define REEL_PACK_MAX_SIDE 16
#define REEL_PACK_MAX_TEXT 256

struct reel_pack_stream {
    uint32_t id;        // number of the stream in this pack, from 0
    int32_t media_type; // AVMediaType
    uint32_t codec_id;  // AVCodecID
    uint32_t codec_tag;
    int32_t format, profile, level;
    int32_t width, height;
    int64_t bit_rate;
    int32_t bits_per_coded_sample, bits_per_raw_sample;
    int32_t sample_rate, channels, frame_size, block_align, initial_padding, trailing_padding, seek_preroll;
    uint64_t channel_mask; // native order; 0 = unspecified
    int32_t disposition;   // AV_DISPOSITION_*
    struct reel_rational time_base, sar, frame_rate;
    struct reel_colour colour;
    int32_t video_delay;
    int64_t duration; // in time_base, or INT64_MIN
    uint32_t extradata_bytes;
    const uint8_t *extradata;
    uint32_t n_side;
    struct reel_pack_side side[REEL_PACK_MAX_SIDE];
    uint32_t n_text; // metadata ("language", "title", ...)
    struct reel_pack_text text[REEL_PACK_MAX_TEXT];
};

struct reel_pack_packet {
    uint32_t stream;
    int64_t pts, dts; // in the stream's time base; INT64_MIN: none
    int64_t duration;
    uint32_t flags; // AV_PKT_FLAG_*
    uint32_t bytes;
    const uint8_t *data;
    uint32_t n_side;
    struct reel_pack_side side[REEL_PACK_MAX_SIDE];
};

struct reel_pack_chapter {
    int64_t id;
    struct reel_rational time_base;
    int64_t start, end;
    uint32_t n_text;
    struct reel_pack_text text[REEL_PACK_MAX_TEXT];
};

// ---- writing --------------------------------------------------------------

struct reel_pack_writer;

// Creates the temporary file of path. Errors: IO.
enum reel_err reel_pack_create(const char *path, struct reel_pack_writer **out_writer);
// Creates path itself, for a reader that follows: a record is in the file when its
// put returns. Errors: IO.
enum reel_err reel_pack_create_live(const char *path, struct reel_pack_writer **out_writer);
// Order: streams and globals, chapters, then packets.
enum reel_err reel_pack_put_stream(struct reel_pack_writer *w, const struct reel_pack_stream *stream);
enum reel_err reel_pack_put_globals(struct reel_pack_writer *w, const struct reel_pack_text *text, uint32_t n);
enum reel_err reel_pack_put_chapter(struct reel_pack_writer *w, const struct reel_pack_chapter *chapter);
enum reel_err reel_pack_put_packet(struct reel_pack_writer *w, const struct reel_pack_packet *packet);
// Writes END, syncs, renames; a live one is only ended. *w is gone afterwards in any
// case.
enum reel_err reel_pack_commit(struct reel_pack_writer **w, uint64_t *out_bytes, uint8_t out_sha256[32]);
// Removes the temporary file; a live one stays, without END. Accepts &NULL.
void reel_pack_abandon(struct reel_pack_writer **w);

// ---- reading --------------------------------------------------------------

enum reel_pack_type {
    REEL_PACK_STREAM = 1,
    REEL_PACK_GLOBALS,
    REEL_PACK_CHAPTER,
    REEL_PACK_PACKET,
    REEL_PACK_END,
};

// One record; pointers inside hold until the next read.
struct reel_pack_record {
    enum reel_pack_type type;
    union {
        struct reel_pack_stream stream;
        struct reel_pack_chapter chapter;
        struct reel_pack_packet packet;
        struct {
            uint32_t n;
            const struct reel_pack_text *text;
        } globals;
    } u;
};

struct reel_pack_reader;

// Errors: IO, INPUT (no pack file).
enum reel_err reel_pack_open(const char *path, struct reel_pack_reader **out_reader);
// For a file of reel_pack_create_live(). AGAIN: it is not there yet. Errors: IO,
// INPUT, NOMEM.
enum reel_err reel_pack_follow(const char *path, struct reel_pack_reader **out_reader);
// EOF after END; INPUT for a torn or damaged file (every size is checked). Of a file
// that is followed also AGAIN: there is no further record yet.
enum reel_err reel_pack_read(struct reel_pack_reader *r, struct reel_pack_record *out_record);
// Bytes of the file up to the end of the record that was read last. A packet's data are
// the last bytes of its record.
uint64_t reel_pack_at(const struct reel_pack_reader *r);
void reel_pack_close(struct reel_pack_reader **r);

#endif
