// SPDX-License-Identifier: MIT
//
// Encoders: which one and with what pixel format (encode_choose), and the
// encoders themselves behind one interface. encode.c: choice and the list of
// implementations; encode_sw.c: libavcodec with pictures in main memory.
//
// A segment has a fresh encoder with constant settings, so that its bytes
// follow from the segment alone. A frame whose pict_type is I becomes a keyframe.
#ifndef REEL_AGGREGATOR_ENCODE_H
#define REEL_AGGREGATOR_ENCODE_H

#include "aggregator/av.h"
#include "common/media.h"
#include "common/pack.h"

// What we know about an encoder beyond what libavcodec reports.
struct encode_traits {
    const char *name;     // libavcodec's
    const char *defaults; // options, "k=v:k=v"; the user's go on top
    const char *live;     // those for live video: each picture comes out as it went in
    bool copies;          // lets go of a picture inside the call
    bool counts;          // cannot have any time base: gets frame numbers
    bool even;            // refuses odd sizes where chroma is subsampled
    int memory_frames;    // pictures' worth of memory, about
};

struct encode_choice {
    const struct encode_traits *traits;
    const AVCodec *codec;
    enum AVPixelFormat format;
    // What the choice costs; all false: nothing is lost.
    bool loses_depth, loses_chroma, loses_colour;
    bool odd_made_444; // chroma was kept whole because the size is odd
};

// Whether a container's packets are pictures as they are in memory: y4m, and gif, whose
// colours are chosen when all are there (sink/gif.c).
bool encode_is_raw(const AVOutputFormat *container);
// Whether a container has a rate in place of times.
bool encode_has_fixed_rate(const AVOutputFormat *container);

// The encoder for a container (NULL: any) and the format for pictures of
// `want`, with an alpha plane or without. name "" takes the container's default.
// rank 0 is the best format, 1 the next...; EOF when there are no more. Errors:
// CONFIG with alternatives.
enum reel_err encode_choose(const char *name, const AVOutputFormat *container, struct reel_pixel_format want,
                            bool alpha, int width, int height, int rank, struct encode_choice *out_choice);

struct encode_params {
    const struct encode_choice *choice;
    const char *opts; // the user's
    int threads;
    int width, height;
    struct reel_colour colour;
    struct reel_rational sar, time_base, frame_rate;
    bool global_header; // parameter sets in extradata, not in the packets
    bool live;          // no picture waits for a later one
    bool in_order;      // no B frames unless the options ask for them: the container has no place for their times
    bool interlaced, top_first;
    const struct reel_media *media; // HDR data
};

struct encoder;

// Frames borrow: the encoder holds references as long as it needs. Not
// thread-safe; each encoder may have threads inside.
struct encode_ops {
    const char *name;
    bool (*can)(const AVCodec *codec);
    // CONFIG for options that it does not know, UNSUPPORTED when the codec
    // refuses (the text has its words).
    enum reel_err (*open)(const struct encode_params *p, struct encoder **out_encoder);
    enum reel_err (*send)(struct encoder *e, const AVFrame *frame); // NULL: no more
    enum reel_err (*receive)(struct encoder *e, AVPacket *packet);  // AGAIN, EOF
    void (*close)(struct encoder *e);
    // Stream parameters; pointers hold until close. After open.
    void (*describe)(const struct encoder *e, struct reel_pack_stream *out_stream);
};
extern const struct encode_ops encode_sw;

// The first member of every implementation's struct.
struct encoder {
    const struct encode_ops *ops;
};

enum reel_err encode_open(const struct encode_params *p, struct encoder **out_encoder);
// After each send receive until AGAIN. Errors: FAULT.
enum reel_err encode_send(struct encoder *e, const AVFrame *frame);
// The packet has pts in the job's time base. AGAIN, EOF after the flush; FAULT.
enum reel_err encode_receive(struct encoder *e, AVPacket *packet);
// Releases every frame. Accepts &NULL.
void encode_close(struct encoder **e);
void encode_describe(const struct encoder *e, struct reel_pack_stream *out_stream);

// How many pictures the encoder holds at once: what the table knows, else
// measured with small pictures (at most max).
int encode_measure_hold(const struct encode_params *p, int max);

// Names of encoders that this build has and the container holds, for messages.
const char *encode_alternatives(const AVOutputFormat *container, char *buf, size_t bytes);

// "libx264 core 164, ..." of the codec libraries, for the journal.
const char *encode_libraries(char *buf, size_t bytes);

// A process that will encode calls it first: memory reads the same in every run,
// libav's log lines go to ours, the last errors are kept for messages.
void encode_begin(void);
// What libav said (errors of this thread since the last clear), or fallback.
const char *encode_log_text(const char *fallback);
void encode_log_clear(void);

#endif
