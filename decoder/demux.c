// SPDX-License-Identifier: MIT
//
// Opening inputs safely, reading packets, going to an entry. See demux.h. Nothing is decoded
// here, except by libav's probe, within the same limits.
#include "decoder/demux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"

#define IO_BUFFER_BYTES (256 * 1024)
#define IDENTITY_BYTES (1 << 20)
// After a seek, the search for the entry stops at this many packets with later timestamps.
#define SEEK_PATIENCE 64

// Allowed demuxers. Playlists (hls, dash, concat, imf), devices, everything that opens further
// files, and formats without a header (rawvideo) are left out. Audio formats are included so that
// the message says that there is no video, and not that the file is unknown.
static const char *const formats[] = {
    "mov",      "matroska",  "mpegts",   "mpeg",      "mpegvideo",    "avi",      "flv",      "asf",
    "ogg",      "h264",      "hevc",     "m4v",       "mjpeg",        "ivf",      "obu",      "av1",
    "nut",      "mxf",       "gif",      "apng",      "yuv4mpegpipe", "rm",       "wtv",      "dv",
    "gxf",      "h263",      "h261",     "vc1",       "vc1test",      "dirac",    "dnxhd",    "vvc",
    "png_pipe", "jpeg_pipe", "bmp_pipe", "tiff_pipe", "webp_pipe",    "ppm_pipe", "pgm_pipe", "pam_pipe",
    "dpx_pipe", "exr_pipe",  "j2k_pipe", "qoi_pipe",  "jpegls_pipe",  "wav",      "mp3",      "flac",
    "aac",      "ac3",       "eac3",     "aiff",      "dts",          "w64",      NULL,
};

const char *const *demux_formats(void)
{
    return formats;
}

static const char *av_reason(int code, char buf[AV_ERROR_MAX_STRING_SIZE])
{
    av_strerror(code, buf, AV_ERROR_MAX_STRING_SIZE);
    return buf;
}

// ---- one descriptor -------------------------------------------------------

static int io_read(void *opaque, uint8_t *buf, int bytes)
{
    struct demux *d = opaque;
    for (;;) {
        ssize_t n = read(d->fd, buf, (size_t)bytes);
        if (n > 0) return (int)n;
        if (n == 0) return AVERROR_EOF;
        if (errno == EINTR) continue;
        d->io_errno = errno;
        return AVERROR(errno);
    }
}

static int64_t io_seek(void *opaque, int64_t offset, int whence)
{
    struct demux *d = opaque;
    if (whence & AVSEEK_SIZE) {
        struct stat st;
        return fstat(d->fd, &st) ? AVERROR(errno) : st.st_size;
    }
    off_t at = lseek(d->fd, offset, whence & ~AVSEEK_FORCE);
    return at < 0 ? AVERROR(errno) : at;
}

// libav's callback for opening further files (entries of playlists, references): refuses them all.
int demux_refuse_file(AVFormatContext *fmt, AVIOContext **pb, const char *url, int flags, AVDictionary **options)
{
    reel_warn("demux", "the input asked for another file (\"%.200s\"): refused", url);
    *pb = NULL;
    return AVERROR(EPERM);
}

static enum reel_err open_descriptor(struct demux *d)
{
    d->fd = open(d->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (d->fd < 0) return reel_fail(REEL_ERR_INPUT, "could not open video \"%s\": %s", d->name, strerror(errno));
    struct stat st;
    if (fstat(d->fd, &st)) return reel_fail(REEL_ERR_IO, "could not open video \"%s\": %s", d->name, strerror(errno));
    if (S_ISDIR(st.st_mode)) return reel_fail(REEL_ERR_INPUT, "could not open video \"%s\": it is a folder", d->name);
    if (!S_ISREG(st.st_mode))
        return reel_fail(REEL_ERR_INPUT,
                         "could not open video \"%s\": it is not a regular file\nsave the stream to a file first",
                         d->name);
    if (!st.st_size) return reel_fail(REEL_ERR_INPUT, "could not open video \"%s\": the file is empty", d->name);
    uint8_t *buffer = av_malloc(IO_BUFFER_BYTES);
    d->io = buffer ? avio_alloc_context(buffer, IO_BUFFER_BYTES, 0, d, io_read, NULL, io_seek) : NULL;
    if (!d->io) {
        av_free(buffer);
        return reel_fail(REEL_ERR_NOMEM, "could not open video \"%s\": out of memory", d->name);
    }
    return REEL_OK;
}

static bool format_known(const char *names)
{
    for (size_t i = 0; formats[i]; i++) {
        size_t len = strlen(formats[i]);
        for (const char *p = names; (p = strstr(p, formats[i])); p += len)
            if ((p == names || p[-1] == ',') && (p[len] == 0 || p[len] == ',')) return true;
    }
    return false;
}

static enum reel_err open_format(struct demux *d)
{
    char reason[AV_ERROR_MAX_STRING_SIZE];
    const AVInputFormat *format = NULL;
    // By content only; the file's name may be misleading.
    int r = av_probe_input_buffer2(d->io, &format, "", NULL, 0, 0);
    if (r < 0 || !format)
        return reel_fail(
            REEL_ERR_INPUT,
            "could not read video \"%s\": FFmpeg does not recognise it as a media file, or its start is damaged",
            d->name);
    if (!format_known(format->name))
        return reel_fail(REEL_ERR_INPUT,
                         "could not read video \"%s\": format \"%s\" is not accepted (playlists and formats that open "
                         "other files are refused)\ngive the media file itself",
                         d->name, format->name);
    d->fmt = avformat_alloc_context();
    if (!d->fmt) return reel_fail(REEL_ERR_NOMEM, "could not read video \"%s\": out of memory", d->name);
    d->fmt->pb = d->io;
    d->fmt->flags |= AVFMT_FLAG_CUSTOM_IO;
    d->fmt->io_open = demux_refuse_file;
    AVDictionary *options = NULL;
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    r = avformat_open_input(&d->fmt, "", format, &options);
    av_dict_free(&options);
    if (r == AVERROR_EOF)
        return reel_fail(REEL_ERR_INPUT, "could not read video \"%s\": it ends after its header, without any pictures",
                         d->name);
    if (r < 0)
        return reel_fail(
            REEL_ERR_INPUT, "could not read video \"%s\": it looks like \"%s\", but cannot be opened: %s%s", d->name,
            format->name, av_reason(r, reason),
            strstr(format->name, "mp4") ? "\nits index is damaged or missing, as in a recording that was cut off"
                                        : "\nits start is damaged, or it is not a media file");
    return REEL_OK;
}

// Lets libav decode a few frames to find out what the headers do not say.
static void probe_streams(struct demux *d, const struct reel_settings *settings)
{
    unsigned n = d->fmt->nb_streams;
    AVDictionary **options = n ? calloc(n, sizeof *options) : NULL;
    for (unsigned i = 0; options && i < n; i++) {
        av_dict_set_int(&options[i], "max_pixels", (int64_t)(settings->max_pixels * 1e6), 0);
        av_dict_set(&options[i], "threads", "1", 0);
    }
    int r = avformat_find_stream_info(d->fmt, options);
    if (r < 0) reel_debug("demux", "streams of \"%s\" are not fully known", d->name);
    for (unsigned i = 0; options && i < n; i++) av_dict_free(&options[i]);
    free(options);
}

// ---- which stream ---------------------------------------------------------

// Chooses the video stream: one with a known codec before others, then the container's default,
// then the largest picture, then the first.
static int pick_video(const AVFormatContext *fmt)
{
    int best = -1;
    int64_t best_rank = -1;
    for (unsigned i = 0; i < fmt->nb_streams; i++) {
        const AVStream *st = fmt->streams[i];
        const AVCodecParameters *par = st->codecpar;
        if (par->codec_type != AVMEDIA_TYPE_VIDEO || st->disposition & AV_DISPOSITION_ATTACHED_PIC) continue;
        int64_t rank = (int64_t)par->width * par->height;
        if (st->disposition & AV_DISPOSITION_DEFAULT) rank += INT64_C(1) << 40;
        if (avcodec_find_decoder(par->codec_id)) rank += INT64_C(1) << 41;
        if (rank > best_rank) best = (int)i, best_rank = rank;
    }
    return best;
}

static enum reel_err refuse_no_video(const struct demux *d)
{
    bool audio = false, cover = false;
    for (unsigned i = 0; i < d->fmt->nb_streams; i++) {
        audio |= d->fmt->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
        cover |= d->fmt->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
    }
    return reel_fail(REEL_ERR_INPUT, "could not read video \"%s\": it has no video stream%s", d->name,
                     cover   ? " (only a cover picture)"
                     : audio ? " (only audio)"
                             : "");
}

static enum reel_err check_size(const struct demux *d, const AVCodecParameters *par)
{
    if ((double)par->width * par->height <= d->settings->max_pixels * 1e6) return REEL_OK;
    return reel_fail(
        REEL_ERR_LIMIT,
        "could not decode video \"%s\": %dx%d is more than %g million pixels\nif that is intended, raise --max_pixels",
        d->name, par->width, par->height, d->settings->max_pixels);
}

// Checks the headers before anything is decoded, because libav's probe resets sizes that are too
// large.
static enum reel_err check_headers(const struct demux *d)
{
    for (unsigned i = 0; i < d->fmt->nb_streams; i++) {
        enum reel_err err = check_size(d, d->fmt->streams[i]->codecpar);
        if (err) return err;
    }
    return REEL_OK;
}

static enum reel_err check_video(const struct demux *d)
{
    const AVCodecParameters *par = d->par;
    if (avcodec_find_decoder(par->codec_id)) return check_size(d, par);
    char tag[AV_FOURCC_MAX_STRING_SIZE];
    const char *name = avcodec_get_name(par->codec_id);
    // Well-known codecs that this libavcodec does not know.
    if (par->codec_id == AV_CODEC_ID_NONE) {
        bool vvc = par->codec_tag == MKTAG('v', 'v', 'c', '1') || par->codec_tag == MKTAG('v', 'v', 'i', '1');
        name = vvc ? "vvc (H.266)" : "unknown";
    }
    return reel_fail(REEL_ERR_UNSUPPORTED,
                     "could not decode video \"%s\": this libavcodec (%u.%u) has no decoder for \"%s\" (tag "
                     "%s)\nconvert the video to another codec first, or use a newer FFmpeg",
                     d->name, avcodec_version() >> 16, avcodec_version() >> 8 & 255, name,
                     av_fourcc_make_string(tag, par->codec_tag));
}

// The rate of a stream without timestamps: --frame_rate if it was given, else what the codec or the
// stream says, else the default.
static AVRational rate_of(const struct demux *d, const AVStream *st, const struct reel_settings *settings)
{
    AVRational set = av_d2q(settings->frame_rate, 1001000);
    bool changed = d->made_pts && set.num > 0 && av_cmp_q(set, (AVRational){25, 1});
    if (changed) return set;
    const AVRational coded = st && d->made_pts ? av_coded_rate(st->codecpar) : (AVRational){0, 1};
    if (coded.num > 0 && coded.den > 0) return coded;
    if (st && st->avg_frame_rate.num > 0 && st->avg_frame_rate.den > 0) return st->avg_frame_rate;
    if (st && st->r_frame_rate.num > 0 && st->r_frame_rate.den > 0) return st->r_frame_rate;
    return d->made_pts ? (AVRational){25, 1} : (AVRational){0, 1};
}

static enum reel_err open_clocks(struct demux *d)
{
    d->n_streams = d->fmt->nb_streams;
    d->clocks = calloc(d->n_streams, sizeof *d->clocks);
    if (!d->clocks) return reel_fail(REEL_ERR_NOMEM, "could not read video \"%s\": out of memory", d->name);
    int64_t start = d->fmt->start_time;
    if (start == AV_NOPTS_VALUE || d->made_pts) start = 0;
    for (unsigned i = 0; i < d->n_streams; i++) {
        int64_t own = demux_time(av_rescale_q(start, AV_TIME_BASE_Q, d->fmt->streams[i]->time_base));
        d->clocks[i].start = own == AV_NOPTS_VALUE ? 0 : own;
        d->clocks[i].last = AV_NOPTS_VALUE;
    }
    return REEL_OK;
}

static enum reel_err open_file(struct demux *d, const struct reel_settings *settings)
{
    bool beside = d->live && d->live->kind != REEL_INPUT_FILE;
    enum reel_err err = beside ? demux_live_connect(d) : open_descriptor(d);
    if (!err && !d->fmt) err = open_format(d);
    if (!err) err = check_headers(d);
    if (err) return err;
    probe_streams(d, settings);
    d->video = pick_video(d->fmt);
    if (d->video < 0) return refuse_no_video(d);
    const AVStream *st = d->fmt->streams[d->video];
    if (avcodec_parameters_copy(d->par, st->codecpar) < 0)
        return reel_fail(REEL_ERR_NOMEM, "could not read video \"%s\": out of memory", d->name);
    if ((err = check_video(d))) return err;
    // WebM's tag for pictures whose alpha plane is a second stream inside each packet.
    const AVDictionaryEntry *alpha = av_dict_get(st->metadata, "alpha_mode", NULL, 0);
    if (alpha && !strcmp(alpha->value, "1")) d->par->format = AV_PIX_FMT_YUVA420P;
    d->made_pts = d->fmt->iformat->flags & AVFMT_NOTIMESTAMPS;
    d->estimates_dts = strstr(d->fmt->iformat->name, "matroska");
    d->may_splice = !strcmp(d->fmt->iformat->name, "mpegts") || !strcmp(d->fmt->iformat->name, "mpeg") ||
                    (d->live && d->live->kind == REEL_INPUT_NETWORK);
    d->frame_rate = rate_of(d, st, settings);
    d->time_base = d->made_pts ? av_inv_q(d->frame_rate) : st->time_base;
    return open_clocks(d);
}

static enum reel_err open_images(struct demux *d, const struct reel_settings *settings)
{
    enum reel_err err = images_open(d->name, &d->images);
    if (err) return err;
    d->par->codec_type = AVMEDIA_TYPE_VIDEO;
    d->par->codec_id = images_codec(d->images);
    d->made_pts = d->still = true;
    d->frame_rate = rate_of(d, NULL, settings);
    d->time_base = av_inv_q(d->frame_rate);
    return check_video(d);
}

// Frees everything that belongs to the open file, so that it can be opened again.
static void release(struct demux *d)
{
    avformat_close_input(&d->fmt);
    if (d->io) av_freep(&d->io->buffer);
    avio_context_free(&d->io);
    if (d->fd >= 0) close(d->fd);
    d->fd = -1;
    free(d->clocks);
    d->clocks = NULL;
    images_close(&d->images);
    d->packet_no = 0;
    d->moved = false;
    d->io_errno = 0;
    d->splices = d->shift = d->shift_before = 0;
}

static enum reel_err open_input(struct demux *d, const struct reel_settings *settings)
{
    return !d->live && images_is_pattern(d->name) ? open_images(d, settings) : open_file(d, settings);
}

enum reel_err demux_open(const struct reel_job *job, const struct reel_settings *settings, struct demux **out_demux)
{
    return demux_open_live(job, settings, NULL, out_demux);
}

enum reel_err demux_open_live(const struct reel_job *job, const struct reel_settings *settings,
                              const struct demux_live *live, struct demux **out_demux)
{
    struct demux *d = calloc(1, sizeof *d);
    enum reel_err err = REEL_OK;
    *out_demux = NULL;
    if (!d) return reel_fail(REEL_ERR_NOMEM, "could not open video \"%s\": out of memory", job->input);
    d->fd = -1;
    d->video = -1;
    d->live = live;
    d->job = job->id;
    d->settings = settings;
    d->name = strdup(job->input);
    d->par = avcodec_parameters_alloc();
    if (!d->name || !d->par)
        err = reel_fail(REEL_ERR_NOMEM, "could not open video \"%s\": out of memory", job->input);
    else
        err = open_input(d, settings);
    if (err) demux_close(&d);
    *out_demux = d;
    return err;
}

void demux_close(struct demux **demux)
{
    struct demux *d = *demux;
    if (!d) return;
    release(d);
    avcodec_parameters_free(&d->par);
    free(d->name);
    free(d);
    *demux = NULL;
}

void demux_video_only(struct demux *d)
{
    for (unsigned i = 0; d->fmt && i < d->fmt->nb_streams; i++)
        if ((int)i != d->video) d->fmt->streams[i]->discard = AVDISCARD_ALL;
}

// ---- reading --------------------------------------------------------------

static enum reel_err read_failed(const struct demux *d, int code)
{
    char reason[AV_ERROR_MAX_STRING_SIZE];
    if (d->io_errno) return reel_fail(REEL_ERR_IO, "could not read video \"%s\": %s", d->name, strerror(d->io_errno));
    if (code == AVERROR(ENOMEM))
        return reel_fail(REEL_ERR_NOMEM, "could not read video \"%s\": out of memory", d->name);
    if (code != AVERROR_EOF && d->live && reel_input_reopens(d->live->kind))
        return reel_fail(REEL_ERR_IO, "%s", code == AVERROR_EXIT ? "no more data arrived" : av_reason(code, reason));
    if (code != AVERROR_EOF) reel_debug("demux", "\"%s\" ends early: %s", d->name, av_reason(code, reason));
    return REEL_EOF;
}

enum reel_err demux_read(struct demux *d, AVPacket *packet)
{
    d->moved = true;
    if (d->progress) reel_stat_add(d->progress, 1);
    if (d->images) {
        enum reel_err err = images_read(d->images, d->packet_no, packet);
        if (!err) d->packet_no++;
        return err;
    }
    for (;;) {
        int r = av_read_frame(d->fmt, packet);
        if (r == AVERROR(EAGAIN)) {
            if (d->live) demux_live_pause(d);
            continue;
        }
        if (r < 0) return read_failed(d, r);
        if ((unsigned)packet->stream_index < d->n_streams) break;
        av_packet_unref(packet); // of a stream that appeared after the file was opened
    }
    if (d->made_pts && packet->stream_index == d->video)
        packet->pts = packet->dts = AV_NOPTS_VALUE;
    else
        demux_place(d, packet);
    if (packet->stream_index == d->video) d->packet_no++;
    return REEL_OK;
}

// ---- going to an entry ----------------------------------------------------

// Compares size, PTS, content, and DTS if the file has it. Not the byte position, because parsers
// sometimes report that of a neighbouring packet.
static bool is_entry(const struct demux *d, const struct reel_entry *e, const AVPacket *packet)
{
    if ((uint32_t)packet->size != e->bytes || packet->pts != e->pts) return false;
    if (!d->estimates_dts && packet->dts != e->dts && packet->dts != AV_NOPTS_VALUE && e->dts != AV_NOPTS_VALUE)
        return false;
    return reel_crc32c(0, packet->data, (size_t)packet->size) == e->checksum;
}

// Reads until the entry's packet. EOF if it is not found.
static enum reel_err find_entry(struct demux *d, const struct reel_entry *e, bool from_start, AVPacket *packet)
{
    const bool numbered = from_start && e->packet_no < REEL_PACKET_FAR;
    for (int behind = 0; behind < SEEK_PATIENCE;) {
        enum reel_err err = demux_read(d, packet);
        if (err) return err;
        if (!d->images && packet->stream_index != d->video) {
            av_packet_unref(packet);
            continue;
        }
        if ((!numbered || d->packet_no - 1 == e->packet_no) && is_entry(d, e, packet)) {
            d->packet_no = e->packet_no + 1;
            return REEL_OK;
        }
        if (numbered ? d->packet_no > e->packet_no : packet->pts != AV_NOPTS_VALUE && packet->pts > e->pts) behind++;
        av_packet_unref(packet);
    }
    return REEL_EOF;
}

static enum reel_err seek_images(struct demux *d, const struct reel_entry *e, AVPacket *packet)
{
    d->packet_no = e->packet_no;
    enum reel_err err = demux_read(d, packet);
    if (err && err != REEL_EOF) return err;
    if (!err && is_entry(d, e, packet)) return REEL_OK;
    av_packet_unref(packet);
    return reel_fail(REEL_ERR_INPUT, "could not read images \"%s\": they changed during the run", d->name);
}

enum reel_err demux_seek(struct demux *d, const struct reel_entry *e, AVPacket *packet)
{
    if (d->images) return seek_images(d, e, packet);
    struct demux_clock *clock = &d->clocks[d->video];
    int64_t ts = (e->dts != AV_NOPTS_VALUE ? e->dts : e->pts) + clock->start;
    bool by_byte = d->fmt->iformat->flags & AVFMT_TS_DISCONT && !(d->fmt->iformat->flags & AVFMT_NO_BYTE_SEEK);
    int r;
    if (by_byte)
        r = e->pos < 0 ? -1 : av_seek_frame(d->fmt, -1, e->pos, AVSEEK_FLAG_BYTE);
    else
        r = av_seek_frame(d->fmt, d->video, ts, AVSEEK_FLAG_BACKWARD | AVSEEK_FLAG_ANY);
    enum reel_err err = REEL_EOF;
    if (r >= 0) {
        clock->last = ts;
        d->moved = true;
        err = find_entry(d, e, false, packet);
    }
    if (err != REEL_EOF) return err;
    reel_debug("demux", "\"%s\": entry at packet %lld is not where it was recorded, reading from the start", d->name,
               (long long)e->packet_no);
    release(d);
    err = open_input(d, d->settings);
    if (err) return err;
    demux_video_only(d);
    err = find_entry(d, e, true, packet);
    if (err == REEL_EOF)
        return reel_fail(REEL_ERR_INPUT,
                         "could not read video \"%s\": packet %lld differs from what the scan saw\nthe file was "
                         "changed during the run",
                         d->name, (long long)e->packet_no);
    return err;
}

bool demux_go_to(struct demux *d, int64_t pts)
{
    if (!d->fmt || d->made_pts) return false;
    struct demux_clock *clock = &d->clocks[d->video];
    if (av_seek_frame(d->fmt, d->video, pts + clock->start, AVSEEK_FLAG_BACKWARD) < 0) return false;
    for (unsigned i = 0; i < d->n_streams; i++) d->clocks[i].last = AV_NOPTS_VALUE;
    clock->last = pts + clock->start;
    d->moved = true;
    return true;
}

enum reel_err demux_rewind(struct demux *d)
{
    if (!d->moved) return REEL_OK;
    release(d);
    enum reel_err err = open_input(d, d->settings);
    if (!err) demux_video_only(d);
    return err;
}

// ---- facts ----------------------------------------------------------------

static enum reel_err hash_range(const char *path, struct reel_sha256 *sha, uint64_t *io_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    uint8_t *buf = malloc(IDENTITY_BYTES);
    enum reel_err err = REEL_OK;
    if (fd < 0 || !buf || fstat(fd, &st)) {
        err = reel_fail(REEL_ERR_IO, "could not read file \"%s\": %s", path, buf ? strerror(errno) : "no memory");
        goto out;
    }
    uint8_t size[8];
    for (int i = 0; i < 8; i++) size[i] = (uint8_t)((uint64_t)st.st_size >> 8 * i);
    reel_sha256_update(sha, size, sizeof size);
    for (int part = 0; part < 2; part++) {
        off_t at = part && st.st_size > IDENTITY_BYTES ? st.st_size - IDENTITY_BYTES : 0;
        for (size_t done = 0; done < IDENTITY_BYTES;) {
            ssize_t n = pread(fd, buf, IDENTITY_BYTES - done, at + (off_t)done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) err = reel_fail(REEL_ERR_IO, "could not read file \"%s\": %s", path, strerror(errno));
            if (n <= 0) break;
            reel_sha256_update(sha, buf, (size_t)n);
            done += (size_t)n;
        }
        if (err) break;
    }
    *io_bytes += (uint64_t)st.st_size;
out:
    if (fd >= 0) close(fd);
    free(buf);
    return err;
}

enum reel_err demux_identity(struct demux *d, uint8_t out_sha256[32], uint64_t *out_bytes)
{
    struct reel_sha256 sha;
    reel_sha256_init(&sha);
    *out_bytes = 0;
    enum reel_err err = REEL_OK;
    if (!d->images) {
        err = hash_range(d->name, &sha, out_bytes);
    } else {
        for (int64_t i = 0; !err && i < images_count(d->images); i++)
            err = hash_range(images_path(d->images, i), &sha, out_bytes);
    }
    reel_sha256_final(&sha, out_sha256);
    return err;
}

AVRational demux_sar(struct demux *d, AVFrame *frame)
{
    AVRational sar =
        d->fmt ? av_guess_sample_aspect_ratio(d->fmt, d->fmt->streams[d->video], frame) : frame->sample_aspect_ratio;
    return sar.num > 0 && sar.den > 0 ? sar : (AVRational){0, 1};
}

AVRational demux_made_rate(const struct demux *d)
{
    return d->frame_rate.num > 0 && d->frame_rate.den > 0 ? d->frame_rate : av_d2q(d->settings->frame_rate, 1001000);
}

const int32_t *demux_display_matrix(struct demux *d)
{
    if (!d->fmt) return NULL;
    size_t bytes;
    const uint8_t *data = av_stream_side_find(d->fmt->streams[d->video], AV_PKT_DATA_DISPLAYMATRIX, &bytes);
    return bytes >= 9 * sizeof(int32_t) ? (const int32_t *)data : NULL;
}
