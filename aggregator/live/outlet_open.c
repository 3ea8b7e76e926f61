// SPDX-License-Identifier: MIT
//
// Files and connections of an outlet. See outlet_open.h.
//
// libav asks before and while it waits for a peer whether it should go on
// (interrupt_callback): not beyond the deadline of the call that is being made.
// Resolving a name cannot be interrupted; the resolver has time-outs of its own.
#include "aggregator/live/outlet_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "aggregator/live/outlet.h"
#include "aggregator/sink/output.h"
#include "common/life.h"

#define OPEN_US 10000000 // TLS and RTMP handshakes over a slow connection take seconds
#define WRITE_US 5000000 // a peer that accepted nothing for so long is considered gone

static int on_wait(void *ctx)
{
    struct channel *c = ctx;
    if (atomic_load(c->stop)) return 1;
    if (reel_now_us() <= c->deadline_us) return 0;
    c->timed_out = true;
    return 1;
}

static void set_deadline(struct channel *c, int64_t us)
{
    c->deadline_us = reel_now_us() + us;
    c->timed_out = false;
    encode_log_clear();
}

// What happened, in words for a user.
static void tell(const struct channel *c, int rc, char *why, size_t bytes)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(rc, text, sizeof text);
    if (c->timed_out)
        snprintf(why, bytes, "no answer");
    else if (rc == AVERROR(EIO) || rc == AVERROR_EXTERNAL || rc == AVERROR_UNKNOWN || rc == AVERROR_INVALIDDATA)
        snprintf(why, bytes, "%s", encode_log_text(text)); // libav's own message says more
    else
        snprintf(why, bytes, "%s", text);
}

// ---- opening ------------------------------------------------------------------

// We open files ourselves, to set their mode and to see all their errors.
static int open_file(struct channel *c, AVDictionary **options)
{
    bool append;
    if (live_file(c->live, !strcmp(c->head->format->name, "mpegts"), c->path, &append)) return AVERROR(EIO);
    AVDictionary *io = NULL;
    const bool out = reel_is_stdout(c->path);
    if (append && !out) av_dict_set(&io, "truncate", "0", 0);
    char name[REEL_PATH_BYTES + 8];
    if (out)
        snprintf(name, sizeof name, "pipe:%d", output_fd());
    else
        snprintf(name, sizeof name, "file:%s", c->path);
    int rc = avio_open2(&c->oc->pb, name, AVIO_FLAG_WRITE, NULL, &io);
    av_dict_free(&io);
    if (rc < 0) return rc;
    struct stat st;
    if (!stat(c->path, &st) && S_ISREG(st.st_mode)) chmod(c->path, sink_output_mode());
    if (append) {
        int64_t size = avio_size(c->oc->pb);
        if (size > 0) avio_seek(c->oc->pb, size, SEEK_SET);
        av_dict_set(options, "mpegts_flags", "+initial_discontinuity", 0);
    }
    return 0;
}

// An address may use the protocol that it names and the protocols below that one, but no files.
static int open_address(struct channel *c, bool again, AVDictionary **options)
{
    const AVOutputFormat *format = c->head->format;
    if (again && !strcmp(format->name, "mpegts")) av_dict_set(options, "mpegts_flags", "+initial_discontinuity", 0);
    if (!strcmp(format->name, "rtsp")) av_dict_set(options, "rtsp_transport", "tcp", 0);
    if (format->flags & AVFMT_NOFILE) return 0; // its muxer connects, in avformat_write_header()
    AVDictionary *io = NULL;
    av_dict_set(&io, "protocol_whitelist", "rtmp,rtmps,ffrtmphttp,http,https,httpproxy,tls,tcp,udp,srt,rtp", 0);
    av_dict_set(&io, "linger", "2", 0); // SRT: seconds that closing waits for data on its way
    int rc = avio_open2(&c->oc->pb, live_job(c->live)->output, AVIO_FLAG_WRITE, &c->oc->interrupt_callback, &io);
    av_dict_free(&io);
    return rc;
}

// Closes it without waiting for the peer.
static void drop(struct channel *c)
{
    if (!c->oc) return;
    c->deadline_us = 0;
    if (c->oc->pb) {
        c->oc->pb->error = AVERROR(EPIPE); // otherwise closing would send data that nobody accepts
        avio_closep(&c->oc->pb);
    }
    avformat_free_context(c->oc);
    c->oc = NULL;
}

int channel_open(struct channel *c, bool again, char *why, size_t why_bytes)
{
    const char *output = live_job(c->live)->output;
    AVDictionary *options = NULL;
    set_deadline(c, OPEN_US);
    int rc = mux_make_context(c->head, output, &c->oc) ? AVERROR(ENOMEM) : 0;
    if (rc >= 0) {
        c->oc->interrupt_callback = (AVIOInterruptCB){on_wait, c};
        c->oc->flags |= AVFMT_FLAG_FLUSH_PACKETS;
        c->oc->max_delay = 0;
        c->next_tick = 0;
        mux_container_options(c->head, &options);
        rc = reel_is_url(output) ? open_address(c, again, &options) : open_file(c, &options);
    }
    if (rc >= 0) rc = avformat_write_header(c->oc, &options);
    if (rc >= 0 && c->oc->pb) avio_flush(c->oc->pb);
    av_dict_free(&options);
    if (rc >= 0) return 0;
    tell(c, rc, why, why_bytes);
    drop(c);
    return rc;
}

// ---- writing --------------------------------------------------------------------

// For containers that store a frame rate instead of times: a picture also stands for those before it that
// were dropped.
static int write_raw(struct channel *c, AVPacket *packet)
{
    const int64_t end = packet->pts + 1 > c->next_tick + 1 ? packet->pts + 1 : c->next_tick + 1;
    if (y4m_wrap(c->head->video, packet)) return AVERROR(ENOMEM);
    int rc = 0;
    while (rc >= 0 && c->next_tick < end) {
        packet->pts = packet->dts = c->next_tick++;
        rc = av_write_frame(c->oc, packet);
    }
    y4m_unwrap(packet);
    return rc;
}

int channel_write(struct channel *c, AVPacket *packet, char *why, size_t why_bytes)
{
    set_deadline(c, WRITE_US);
    bool video = packet->stream_index == 0, fragments = mux_is_format(c->head, "mp4") || mux_is_format(c->head, "mov");
    // Otherwise a fragment would begin where the durations before it end, and each gap would shift what
    // follows.
    if (fragments) av_opt_set(c->oc->priv_data, "movflags", "+frag_discont", 0);
    const bool raw = encode_is_raw(c->head->format);
    int rc = raw ? write_raw(c, packet) : av_write_frame(c->oc, packet);
    // Otherwise Matroska clusters and a transport stream's audio are held back; the end of a fragment
    // is decided by its muxer.
    if (rc >= 0 && video && !fragments && !raw) rc = av_write_frame(c->oc, NULL);
    if (c->oc->pb) {
        avio_flush(c->oc->pb);
        if (c->oc->pb->error < 0) rc = c->oc->pb->error;
    }
    if (c->timed_out) rc = AVERROR(ETIMEDOUT); // RTSP's muxer ignores the result
    if (rc < 0) tell(c, rc, why, why_bytes);
    return rc < 0 ? rc : 0;
}

static int sync_file(const struct channel *c)
{
    struct stat st;
    if (stat(c->path, &st) || !S_ISREG(st.st_mode)) return 0; // a pipe has no disk
    int fd = open(c->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return AVERROR(errno);
    int rc = fsync(fd) ? AVERROR(errno) : 0;
    close(fd);
    return rc;
}

int channel_close(struct channel *c, bool broken, char *why, size_t why_bytes)
{
    if (!c->oc) return 0;
    int rc = 0;
    bool own = c->head->format->flags & AVFMT_NOFILE; // its connection ends only with the trailer
    if (!broken || own) {
        set_deadline(c, broken ? 0 : WRITE_US);
        rc = av_write_trailer(c->oc);
        int closed = avio_closep(&c->oc->pb);
        if (rc >= 0) rc = closed;
        if (rc >= 0 && *c->path) rc = sync_file(c);
        if (rc < 0) tell(c, rc, why, why_bytes);
    }
    drop(c);
    return rc < 0 && !broken ? rc : 0;
}
