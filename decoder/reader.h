// SPDX-License-Identifier: MIT
//
// Reads a live input in a thread of its own, so that the input never has to wait
// for processing: packets go into a bounded queue, at the input's own pace. The
// thread opens the input, and reopens it whenever it breaks off (network, camera).
//
//   reader's thread:  connect -> demux -> pace -> queue      live.c: reader_next()
//
// Thread-safe: all functions here are for one other thread, the process's main one.
#ifndef REEL_DECODER_READER_H
#define REEL_DECODER_READER_H

#include "decoder/copy.h"
#include "decoder/demux.h"

// What is known of the input's video after it was opened.
struct reader_stream {
    AVCodecParameters *par;
    AVRational time_base, frame_rate; // of packets; rate 0/1 unknown
    AVRational sar;                   // the container's, 0/1 unknown
    int video;                        // index of the stream
    bool made_pts;                    // packets have no timestamps
    bool has_matrix;
    int32_t matrix[9];
    bool first;              // of this reader: the input was not opened before
    bool on_device;          // nvdec_can()
    struct reel_media media; // mastering and light level, as the container has them
};

enum reader_what {
    READER_STREAM, // the input is open: what follows is of this stream
    READER_COPY,   // packets of the other streams go there from now on
    READER_PACKET,
    READER_END, // nothing more comes
};

struct reader_item {
    struct reader_item *next;
    enum reader_what what;
    struct reader_stream *stream;
    struct copy *copy;     // NULL: nowhere
    struct reel_kept kept; // with copy
    AVPacket *packet;      // of any stream; time_base is set
    enum reel_err err;     // END: OK at the input's own end
    char text[REEL_TEXT_BYTES];
};

struct reader_params {
    struct reel_job job;                  // strings borrowed
    const struct reel_settings *settings; // borrowed
    enum reel_input_kind kind;
    int fd;                 // PIPE
    struct reel_head *head; // PIPE; borrowed
    uint32_t attempt;       // more than 0: it was open before, in another process
    int64_t resume_us;      // FILE: goes on at about this time of the input; INT64_MIN: at its begin
    int64_t latency_us;     // what comes in pieces may come so much ahead of its time
};

struct reader;

// Starts the thread; errors of the input arrive as items. Errors: NOMEM, IO.
enum reel_err reader_open(const struct reader_params *params, struct reader **out_reader);
// Ends the thread. Accepts &NULL.
void reader_close(struct reader **reader);
// Readable when there may be something new.
int reader_bell(const struct reader *reader);
// The next item, or AGAIN. Its content is the caller's to take (and set NULL).
enum reel_err reader_next(struct reader *reader, struct reader_item **out_item);
void reader_free(struct reader_item **item);
void reader_stream_free(struct reader_stream **stream);

// An input without a pace of its own waits until reading is allowed: for one packet, or
// permanently.
void reader_want_one(struct reader *reader);
void reader_go(struct reader *reader);
// A new attempt begins: the other streams go to its own part.
void reader_begin(struct reader *reader, uint32_t attempt);
// Video packets for which there was no room since reader_go(), so far.
uint64_t reader_dropped(struct reader *reader);
// A line for the user, if there is one.
bool reader_note(struct reader *reader, int *out_level, char text[REEL_TEXT_BYTES]);

#endif
