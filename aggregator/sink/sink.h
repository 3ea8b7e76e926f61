// SPDX-License-Identifier: MIT
//
// Where frames end: one implementation per kind of output. A sink writes one
// segment's part; join puts the parts of a job together. sink.c: the list, and
// what several of them need; part.c + mux*.c: video; images.c and flo.c, in numbered
// files (numbered.h); jsonl.c, md5.c, null.c. In a live job (live/live.h) a segment is an attempt, and the sink writes
// the output itself, behind what is there: stream.c for video, the others as they are.
#ifndef REEL_AGGREGATOR_SINK_SINK_H
#define REEL_AGGREGATOR_SINK_SINK_H

#include <stdio.h>
#include <sys/stat.h>

#include "aggregator/plan.h"
#include "aggregator/post/labels.h"
#include "aggregator/post/results.h"

struct sink;

struct sink_params {
    const struct plan *plan; // borrowed until finish or abandon
    uint32_t segment;
    struct encoder *encoder;   // VIDEO, STREAM, IMAGES: consumed in any case
    struct live *live;         // of a live job, borrowed; else NULL
    struct reel_stat_row *row; // where packets of a flush count as progress, borrowed
};

// One frame. Pictures may come later than their FRAME (filters); each has its
// own pts.
struct sink_frame {
    int64_t pts, duration;
    const AVFrame *picture;        // PLAN_PICTURE
    const struct results *results; // PLAN_RESULTS
    bool filled_in;                // PLAN_RESULTS: quarantined, there are none
    const uint8_t *mask;           // PLAN_RESULTS: SEGMENT, MATTE
    size_t mask_stride;
    uint32_t mask_width, mask_height;
};

struct sink_done {
    uint32_t frames;
    uint64_t bytes;
    uint8_t sha256[32];
};

// Callbacks of a join while it runs; called from its thread.
struct sink_join {
    const struct reel_job *job;
    const struct reel_rec_mux *mux;
    bool (*tick)(void *ctx, uint64_t bytes); // after each bounded step; false: give up (GONE)
    void (*note)(void *ctx, const char *text);
    void *ctx;
};

// A part of an earlier run that is looked at; called from the same thread.
struct sink_check {
    const struct reel_job *job;
    const struct reel_rec_verify *want;
    bool (*tick)(void *ctx, uint64_t bytes); // as of a join
    void *ctx;
};

struct sink_ops {
    const char *name;
    bool later; // live: tells by itself what was written (live_wrote), when it was
    // Errors of all: IO (disk full says so), FAULT, NOMEM, CONFIG.
    enum reel_err (*open)(const struct sink_params *params, struct sink **out_sink);
    // Whether another frame may be put; NULL: always. When not, the bell of the live
    // job rings as soon as it may.
    bool (*ready)(struct sink *sink);
    enum reel_err (*put)(struct sink *sink, const struct sink_frame *frame);
    // Flushes and commits. The sink is gone afterwards in any case.
    enum reel_err (*finish)(struct sink *sink, struct sink_done *out_done);
    void (*abandon)(struct sink *sink);
    // Whether a part of an earlier run is whole; false also when given up. STREAM has
    // no parts, and none of these two.
    bool (*verify)(const struct sink_check *check);
    // Errors also: INPUT (a part is damaged), GONE (given up).
    enum reel_err (*join)(const struct sink_join *join, struct reel_rec_muxed *out_muxed);
};

// The first member of every implementation's struct.
struct sink {
    const struct sink_ops *ops;
};

extern const struct sink_ops sink_video, sink_stream, sink_images, sink_flo, sink_jsonl, sink_md5, sink_null;
const struct sink_ops *sink_of(enum reel_output_kind kind);

enum reel_err sink_open(const struct sink_params *params, struct sink **out_sink);
bool sink_ready(struct sink *sink);
enum reel_err sink_put(struct sink *sink, const struct sink_frame *frame);
// *sink is NULL afterwards.
enum reel_err sink_finish(struct sink **sink, struct sink_done *out_done);
// Accepts &NULL.
void sink_abandon(struct sink **sink);

// ---- for the implementations ------------------------------------------------

// A part of one file is whole when size and hash match.
bool sink_verify_file(const struct sink_check *check);
// The part of a job's other streams.
bool sink_verify_copy(const struct sink_check *check);
// Adds a file to a hash and its size to *bytes, block by block, each with a tick.
// False: unreadable or given up.
bool sink_hash_file(const struct sink_check *check, const char *path, struct reel_sha256 *sha, uint64_t *bytes);
// Permissions for a finished output: as the user's umask wants it (ours is 077).
unsigned sink_output_mode(void);
// Syncs a finished output file that lies at `temporary`, and gives it the output's name, or
// the first number's that is free (reel_live_file_path()) where somebody else's file has that
// name by now: *out_file is as in reel_rec_muxed. Errors: IO.
enum reel_err sink_publish(const struct sink_join *join, const char *temporary, uint32_t *out_file);
// An output that was published by a process that died before it could say so is unfinished
// again: it lies at `temporary` alone.
void sink_unpublish(const struct reel_job *job);
enum reel_err sink_write_failed(const char *path, int error);

// HDR data of a video stream, for its parts and its live output.
struct sink_hdr {
    AVContentLightMetadata light;
};
// Adds what media has to a stream; *hdr holds it as long as the stream is used.
void sink_put_hdr(const struct reel_media *media, struct sink_hdr *hdr, struct reel_pack_stream *stream);

// mux.c
enum reel_err mux_join(const struct sink_join *join, struct reel_rec_muxed *out_muxed);

// A text file, a part or an output: lines under a temporary name, hashed. Of a live
// job the output itself, each line in the file when it is written.
struct sink_text {
    FILE *file;
    bool live;
    const struct sink_join *to; // standard output, of a join; then there is no file
    struct reel_sha256 sha;
    uint64_t bytes;
    char path[REEL_PATH_BYTES], temporary[REEL_PATH_BYTES];
};
// Begins a segment's part, or goes on at the end of a live job's output. Errors: IO.
enum reel_err sink_text_begin(struct sink_text *text, const struct sink_params *params);
// Whether a head is to be written: there is nothing yet.
bool sink_text_is_new(const struct sink_text *text);
enum reel_err sink_text_write(struct sink_text *text, const char *data, size_t n);
enum reel_err sink_text_commit(struct sink_text *text, struct sink_done *out_done);
void sink_text_abandon(struct sink_text *text);

// Puts one line of a segment's part (n bytes, with its end) behind what out has,
// and counts the frames.
typedef enum reel_err sink_append_line(struct sink_text *out, uint32_t segment, const char *line, size_t n,
                                       uint64_t *frames);
// Joins the parts of a text output, line by line. Errors: INPUT (a part that is
// none), IO, GONE.
enum reel_err sink_text_join(const struct sink_join *join, sink_append_line *append, struct reel_rec_muxed *out_muxed);

#endif
