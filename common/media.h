// SPDX-License-Identifier: MIT
//
// What the stages agree on about an input's video stream and about cutting it
// into segments. Plain data that travels in messages; written by the decoder's
// scan, read by the coordinator (plan) and the aggregator (encoder settings).
#ifndef REEL_COMMON_MEDIA_H
#define REEL_COMMON_MEDIA_H

#include "common/frame.h"

struct reel_rational {
    int32_t num, den;
};

enum reel_media_flag {
    REEL_MEDIA_VFR = 1 << 0,        // distances between timestamps differ
    REEL_MEDIA_NO_CUT = 1 << 1,     // timestamps or parameter sets forbid segments
    REEL_MEDIA_MADE_PTS = 1 << 2,   // the file has no timestamps: made from the frame rate
    REEL_MEDIA_INTERLACED = 1 << 3, // woven fields; top_first tells which is first
    REEL_MEDIA_TOP_FIRST = 1 << 4,
    REEL_MEDIA_HAS_MASTERING = 1 << 5,
    REEL_MEDIA_HAS_LIGHT_LEVEL = 1 << 6,
    REEL_MEDIA_STILL = 1 << 7,   // image sequence: no container timestamps
    REEL_MEDIA_FROM = 1 << 8,    // a part of the input: from start_pts on
    REEL_MEDIA_TO = 1 << 9,      // and to before end_pts
    REEL_MEDIA_ALPHA = 1 << 10,  // slots hold an alpha plane
    REEL_MEDIA_OPAQUE = 1 << 11, // with nothing transparent in the first frame
};

// The video stream as frames leave the decoder: upright (rotation applied),
// after --pre_filter, in the slot's pixel format.
struct reel_media {
    uint32_t width, height;
    struct reel_pixel_format format; // of the slot
    uint32_t source_depth;           // bits of the coded video, for choosing the output's
    struct reel_colour colour;
    struct reel_rational sar;        // 0/1 = unspecified
    struct reel_rational time_base;  // of every PTS of the job
    struct reel_rational frame_rate; // average, for rate control and display; 0/1 = unknown
    int64_t first_pts;               // smallest PTS of a shown frame
    int64_t last_pts;
    int64_t last_duration;  // of the last frame, in time_base
    int64_t n_frames;       // shown frames as the packets promise, for the ETA; -1 unknown
    int64_t n_packets;      // of the video stream, scanned; of a part, its own; -1 unknown
    uint32_t flags;         // enum reel_media_flag
    int32_t rotation;       // degrees that were applied, for the log
    int32_t hidden_packets; // packets that the container marks as discarded
    uint8_t mastering[96];  // AVMasteringDisplayMetadata bytes of this build of libavutil
    uint32_t mastering_bytes;
    uint32_t max_cll, max_fall;
    // A part of the input (--start, --end): PTS of its first frame and of the first one behind
    // it, in the stream's own time base (which is time_base, where the input can be cut).
    int64_t start_pts, end_pts;
    int64_t zero_pts; // in time_base: what is 0 in the output
    char codec[16];   // "h264", for people
};

// Geometry of the slots of an input ring. Errors of reel_geometry_init().
enum reel_err reel_media_geometry(const struct reel_media *media, struct reel_geometry *out_geometry);

// The same stream with `rate` frames for each one (1 to REEL_MAX_RATE): time base,
// frame rate, count and times. The time base is so fine that frames which lie evenly
// between two have times of their own.
struct reel_media reel_media_at_rate(const struct reel_media *media, uint32_t rate);
// When frame k (0 <= k <= rate) of those for a frame at pts is shown, which lasts
// `gap`, both in media's time base: in that of reel_media_at_rate().
int64_t reel_media_time(const struct reel_media *media, uint32_t rate, int64_t pts, int64_t gap, uint32_t k);

#define REEL_PACKET_FAR (INT64_C(1) << 40)

// A place where decoding may start (DESIGN: entry). Checked when it is used:
// pos, dts, size and checksum of the packet found there must match, else the
// decoder demuxes from the start.
struct reel_entry {
    int64_t packet_no; // of the video stream, from 0; from REEL_PACKET_FAR where the scan did not begin there
    int64_t pts;       // of the packet; frames with a smaller PTS belong to the segment before
    int64_t dts;
    int64_t pos;       // byte position in the file, -1 unknown
    uint32_t bytes;    // packet size
    uint32_t checksum; // CRC-32C of the packet's data
};

#define REEL_MAX_LEADS 2

// Where the frames before a segment can be decoded from: tried in turn until one gives as
// many as are needed, and then from the beginning of the file. inner: the first one lies
// in the middle of a segment, and gives the same frames as that segment only where
// nothing is damaged.
struct reel_lead {
    uint32_t n, inner;
    struct reel_entry from[REEL_MAX_LEADS];
};

#endif
