// SPDX-License-Identifier: MIT
//
// Opens live inputs: pipes, addresses, cameras. See demux.h. An input may open further sources
// only of the kinds it needs: a playlist from the network may name network addresses, but never a
// file of this machine.
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#if REEL_AVDEVICE
#include <libavdevice/avdevice.h>
#endif

#include "decoder/demux.h"

#define PIPE_BUFFER_BYTES (64 * 1024) // small, because data waits in it
#define ANALYZE_US 2000000            // less than libav's limit of 5 s, which delays the start
#define PAUSE_MS 2

// ---- a pipe -----------------------------------------------------------------

// Reads from the head (head.h) what this process has not read yet.
static size_t read_kept(struct demux *d, uint8_t *buf, size_t bytes)
{
    const size_t n = d->keeps ? reel_head_get(d->live->head, d->head_at, buf, bytes) : 0;
    d->head_at += n;
    return n;
}

// Like read(2), but through the head until a frame was decoded.
static ssize_t read_and_keep(struct demux *d, uint8_t *buf, size_t bytes)
{
    if (d->keeps) {
        const ssize_t n = reel_head_take(d->live->head, d->live->fd);
        if (n > 0) return (ssize_t)read_kept(d, buf, bytes);
        if (n == 0 || errno != ENOSPC) return n;
        reel_head_drop(d->live->head);
        d->keeps = false;
    }
    return read(d->live->fd, buf, bytes);
}

// libav's read callback. Waits for data, the end of the writer, or the order to stop. Also waits
// until somebody opens a FIFO for writing.
static int pipe_read(void *opaque, uint8_t *buf, int bytes)
{
    struct demux *d = opaque;
    const size_t kept = read_kept(d, buf, (size_t)bytes);
    if (kept) return (int)kept;
    for (;;) {
        struct pollfd wait[2] = {{.fd = d->live->fd, .events = POLLIN}, {.fd = d->live->stop_fd, .events = POLLIN}};
        if (poll(wait, 2, -1) < 0 && errno != EINTR) return AVERROR(errno);
        if (wait[1].revents) return AVERROR_EXIT;
        if (!wait[0].revents) continue;
        ssize_t n = read_and_keep(d, buf, (size_t)bytes);
        if (n > 0) return (int)n;
        if (n == 0) return AVERROR_EOF;
        if (errno == EINTR || errno == EAGAIN) continue;
        d->io_errno = errno;
        return AVERROR(errno);
    }
}

static enum reel_err open_pipe(struct demux *d)
{
    if (d->live->fd < 0)
        return reel_fail(REEL_ERR_FAULT, "could not open video \"%s\": the pipe was not handed down", d->name);
    d->keeps = d->live->head && !reel_head_is_over(d->live->head);
    uint8_t *buffer = av_malloc(PIPE_BUFFER_BYTES);
    d->io = buffer ? avio_alloc_context(buffer, PIPE_BUFFER_BYTES, 0, d, pipe_read, NULL, NULL) : NULL;
    if (d->io) return REEL_OK;
    av_free(buffer);
    return reel_fail(REEL_ERR_NOMEM, "could not open video \"%s\": out of memory", d->name);
}

// ---- an address -------------------------------------------------------------

// The protocols that the protocol of an address may use. Never "file".
static const char *protocols_below(const char *url)
{
    static const struct {
        const char *scheme, *list;
    } below[] = {
        {"rtsp", "rtsp,rtp,srtp,udp,tcp,tls,http,https,httpproxy"},
        {"rtmp", "rtmp,rtmps,tcp,tls"},
        {"http", "http,https,tcp,tls,crypto,httpproxy"},
        {"srt", "srt"},
        {"udp", "udp"},
        {"rtp", "rtp,srtp,udp"},
        {"tcp", "tcp"},
    };
    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        if (!strncasecmp(url, below[i].scheme, strlen(below[i].scheme))) return below[i].list;
    return "none";
}

static const char *const network_formats[] = {"rtsp", "rtp", "hls", NULL};

// The list of formats that may be probed ("mov,matroska,..."), in playlists too.
static void join_formats(char *out, size_t bytes)
{
    static const char *const variants = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"; // other names in libav
    size_t at = (size_t)snprintf(out, bytes, "%s", variants);
    for (int k = 0; k < 2; k++)
        for (const char *const *f = k ? network_formats : demux_formats(); *f && at < bytes; f++)
            at += (size_t)snprintf(out + at, bytes - at, ",%s", *f);
}

// Whether the format contains further addresses (a playlist).
static bool leads_on(const char *format)
{
    for (const char *const *f = network_formats; *f; f++)
        if (!strcmp(format, *f)) return true;
    return false;
}

static enum reel_err connect_failed(const struct demux *d, int code)
{
    char reason[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(code, reason, sizeof reason);
    const char *text = code == AVERROR_EXIT                 ? "nobody answers"
                       : code == AVERROR_PROTOCOL_NOT_FOUND ? "this FFmpeg was built without its protocol"
                       : code == AVERROR_DEMUXER_NOT_FOUND  ? "this FFmpeg was built without its format"
                       : code == AVERROR_INVALIDDATA        ? "the data is not a supported video format"
                                                            : reason;
    return reel_fail(REEL_ERR_INPUT, "could not open video \"%s\": %s", d->name, text);
}

static enum reel_err connect_address(struct demux *d)
{
    char names[2048];
    AVDictionary *options = NULL;
    join_formats(names, sizeof names);
    av_dict_set(&options, "protocol_whitelist", protocols_below(d->name), 0);
    av_dict_set(&options, "format_whitelist", names, 0);
    // TCP first, because UDP packets get lost in most larger networks.
    if (!strncasecmp(d->name, "rtsp", 4)) av_dict_set(&options, "rtsp_flags", "prefer_tcp", 0);
    d->fmt = avformat_alloc_context();
    if (!d->fmt) {
        av_dict_free(&options);
        return reel_fail(REEL_ERR_NOMEM, "could not open video \"%s\": out of memory", d->name);
    }
    d->fmt->interrupt_callback = d->live->interrupt;
    d->fmt->max_analyze_duration = ANALYZE_US;
    int r = avformat_open_input(&d->fmt, d->name, NULL, &options);
    av_dict_free(&options);
    if (r < 0) return connect_failed(d, r);
    if (!leads_on(d->fmt->iformat->name)) d->fmt->io_open = demux_refuse_file;
    return REEL_OK;
}

// ---- a camera ---------------------------------------------------------------

static enum reel_err open_device(struct demux *d)
{
#if REEL_AVDEVICE
    avdevice_register_all();
    const AVInputFormat *format = av_find_input_format("video4linux2");
    d->fmt = format ? avformat_alloc_context() : NULL;
    if (!d->fmt)
        return reel_fail(REEL_ERR_UNSUPPORTED, "could not open camera \"%s\": this FFmpeg does not read V4L2 devices",
                         d->name);
    d->fmt->interrupt_callback = d->live->interrupt;
    d->fmt->flags |= AVFMT_FLAG_NONBLOCK; // so that reading can be interrupted
    AVDictionary *options = NULL;
    char rate[32];
    if (d->settings->frame_rate > 0 && d->settings->frame_rate != 25) {
        snprintf(rate, sizeof rate, "%g", d->settings->frame_rate);
        av_dict_set(&options, "framerate", rate, 0);
    }
    int r = avformat_open_input(&d->fmt, d->name, format, &options);
    av_dict_free(&options);
    return r < 0 ? connect_failed(d, r) : REEL_OK;
#else
    return reel_fail(REEL_ERR_UNSUPPORTED,
                     "could not open camera \"%s\": this build has no libavdevice\ninstall libavdevice-dev and build "
                     "again, or: ffmpeg -f v4l2 -i %s -c copy -f nut - | ./run.sh --live - ...",
                     d->name, d->name);
#endif
}

enum reel_err demux_live_connect(struct demux *d)
{
    switch (d->live->kind) {
    case REEL_INPUT_PIPE:
        return open_pipe(d);
    case REEL_INPUT_DEVICE:
        return open_device(d);
    default:
        return connect_address(d);
    }
}

void demux_live_pause(const struct demux *d)
{
    struct pollfd wait = {.fd = d->live->stop_fd, .events = POLLIN};
    poll(&wait, 1, PAUSE_MS);
}
