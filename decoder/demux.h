// SPDX-License-Identifier: MIT
//
// An open input: a media file read through one descriptor, or a sequence of
// numbered images. Gives packets with timestamps on the job's timeline (start
// subtracted, wraps undone, splices joined), in each stream's own time base.
//
// Hostile input is expected: the demuxer gets one descriptor and can open
// nothing else (no protocols, no playlists, no references to other files), and
// only the formats of a list are tried.
#ifndef REEL_DECODER_DEMUX_H
#define REEL_DECODER_DEMUX_H

#include "common/head.h"
#include "common/input.h"
#include "common/job.h"
#include "common/media.h"
#include "common/settings.h"
#include "common/stat.h"
#include "decoder/av.h"
#include "decoder/decoder.h"

struct demux_clock {
    int64_t start;    // subtracted from every timestamp, in the stream's time base
    int64_t last;     // DTS (or PTS) of the packet before, unwrapped and shifted, start not subtracted
    int64_t duration; // of the packet before
    bool ahead;       // behind a splice that the video has not reached,
    int64_t own;      // where this is added to its timestamps
};

// A live input: what it is, and what ends waiting for it.
struct demux_live {
    enum reel_input_kind kind;
    int fd;                    // PIPE: is read, and not closed
    struct reel_head *head;    // PIPE: what was read from it before its first frame
    int stop_fd;               // PIPE: readable when reading is to end
    AVIOInterruptCB interrupt; // of what libav waits for
};

// Plain data for the other parts; written by demux.c, demux_live.c and images.c alone.
struct demux {
    // the video stream
    AVCodecParameters *par;
    AVRational time_base;
    AVRational frame_rate; // as the container or the settings say; 0/1 unknown
    bool made_pts;         // no timestamps in the file: packets have none
    bool still;            // image sequence
    bool estimates_dts;    // DTS is libav's guess (Matroska): says nothing about the file
    int64_t packet_no;     // of the next video packet

    // a file
    AVFormatContext *fmt; // NULL for an image sequence
    AVIOContext *io;
    int fd, io_errno;
    bool keeps;                 // PIPE: what is read goes into the head
    uint64_t head_at;           // PIPE: how much of the head was read
    int video;                  // index of the video stream
    unsigned n_streams;         // known at the start; streams that appear later are ignored
    struct demux_clock *clocks; // [n_streams]
    bool moved;                 // something was read: no longer at the start

    // Splices: places where the clock begins anew (recordings put together).
    bool may_splice;
    int64_t splices;             // so far
    int64_t shift, shift_before; // of timestamps behind the last one, and before it

    // an image sequence
    struct images *images;

    const struct demux_live *live; // borrowed; NULL: a file that was scanned, or is
    uint32_t job;
    _Atomic uint64_t *progress; // one up per packet, so that a long way to an entry is no hang; may be NULL
    char *name;
    const struct reel_settings *settings; // borrowed
};

// Opens job's input and picks its video stream. Errors: INPUT, IO, UNSUPPORTED,
// LIMIT, NOMEM; the text names the file, the reason and what to do.
enum reel_err demux_open(const struct reel_job *job, const struct reel_settings *settings, struct demux **out_demux);
// The same for an input that is read as it comes: no lane ever seeks in it. live is
// borrowed until demux_close().
enum reel_err demux_open_live(const struct reel_job *job, const struct reel_settings *settings,
                              const struct demux_live *live, struct demux **out_demux);
// Accepts &NULL.
void demux_close(struct demux **demux);
// For lanes: only packets of the video stream are wanted.
void demux_video_only(struct demux *demux);

// The next packet (of any stream; images: video). EOF at the end or where
// the file is damaged beyond reading on; IO when the disk failed, or a network or
// device input broke off.
enum reel_err demux_read(struct demux *demux, AVPacket *packet);
// timeline.c: a file's timestamp, or AV_NOPTS_VALUE for one that no clock reaches, as damaged
// files state: sums and differences of the others never overflow.
int64_t demux_time(int64_t ts);
// timeline.c, for demux_read(): converts a packet's timestamps to the job's timeline.
void demux_place(struct demux *demux, AVPacket *packet);
// Goes to an entry so that its packet is read next: by position or index, and
// from the start when that does not lead to it. INPUT when the file does not
// hold the entry (it was changed).
enum reel_err demux_seek(struct demux *demux, const struct reel_entry *entry, AVPacket *out_packet);
// Back to the first packet. Errors: as demux_open().
enum reel_err demux_rewind(struct demux *demux);

// Identity for the journal: SHA-256 over the size (8 bytes, little endian),
// the first and the last MiB; of image sequences over those of every file.
enum reel_err demux_identity(struct demux *demux, uint8_t out_sha256[32], uint64_t *out_bytes);

// Sample aspect ratio of a frame, the container's before the codec's; 0/1.
AVRational demux_sar(struct demux *demux, AVFrame *frame);
// The frame rate that a stream without timestamps is given: its own, else --frame_rate.
AVRational demux_made_rate(const struct demux *demux);
// 3x3 display matrix of the video stream, or NULL.
const int32_t *demux_display_matrix(struct demux *demux);

// Idle inputs, so that a job's next segment need not open and probe again.
// progress: given to every input that a segment opens (demux.progress); may be NULL.
struct demux_pool *demux_pool_create(_Atomic uint64_t *progress);
void demux_pool_destroy(struct demux_pool **pool);
// NULL when there is none; a borrowed demux goes back by put or is closed.
struct demux *demux_pool_take(struct demux_pool *pool, uint32_t job);
_Atomic uint64_t *demux_pool_progress(const struct demux_pool *pool);
void demux_pool_put(struct demux_pool *pool, struct demux **demux);

// Goes to where decoding of a file can start for the frame at pts (in the video's time
// base), by the container's index; false: it is where it was.
bool demux_go_to(struct demux *demux, int64_t pts);

// ---- demux_live.c, for demux.c ---------------------------------------------

// Sets d->io (a pipe) or d->fmt (network, device) up. Errors: as demux_open().
enum reel_err demux_live_connect(struct demux *demux);
// libav has nothing yet and did not wait: waits a little.
void demux_live_pause(const struct demux *demux);
// Formats that are read from anywhere, NULL behind the last.
const char *const *demux_formats(void);
int demux_refuse_file(AVFormatContext *fmt, AVIOContext **pb, const char *url, int flags, AVDictionary **options);

// ---- images.c: numbered images ---------------------------------------------

// Whether path is a pattern with one %d or %0Nd, and no file of that name.
bool images_is_pattern(const char *path);
enum reel_err images_open(const char *pattern, struct images **out_images);
void images_close(struct images **images);
enum AVCodecID images_codec(const struct images *images);
int64_t images_count(const struct images *images);
// The name of image no, 0 <= no < count; holds until the next call.
const char *images_path(struct images *images, int64_t no);
// Numbers missing between the first and the last image.
int64_t images_missing(const struct images *images);
enum reel_err images_read(struct images *images, int64_t no, AVPacket *packet);

#endif
