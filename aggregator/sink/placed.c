// SPDX-License-Identifier: MIT
//
// Files whose header has its room before their data are written. See placed.h.
#include "aggregator/sink/placed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define BUFFER_BYTES 65536

// Offsets are libavformat's, in which data are not moved yet, unless they say otherwise.
struct placed {
    int fd;                      // -1: to nowhere
    struct placed_header header; // to nowhere: none
    int64_t at, end;
    bool moving;       // libavformat has begun to move data up
    int64_t low, high; // what was written since
};

static int write_at(int fd, const uint8_t *data, size_t n, int64_t at)
{
    while (n) {
        const ssize_t done = pwrite(fd, data, n, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return done ? AVERROR(errno) : AVERROR(EIO);
        data += done, at += done, n -= (size_t)done;
    }
    return 0;
}

// Data of n bytes to where they will be in the end.
static int place(const struct placed *p, const uint8_t *data, size_t n)
{
    const int64_t header = (int64_t)p->header.at, room = (int64_t)p->header.bytes;
    if (p->moving) {
        const bool fits = p->at >= header && p->at + (int64_t)n <= header + room;
        return fits ? write_at(p->fd, data, n, p->at) : AVERROR_BUG; // it is not what it was a moment ago
    }
    size_t before = p->at < header ? (size_t)(header - p->at) : 0;
    if (before > n) before = n;
    const int rc = write_at(p->fd, data, before, p->at);
    return rc < 0 ? rc : write_at(p->fd, data + before, n - before, p->at + (int64_t)before + room);
}

static int on_write(void *opaque, av_written_byte *data, int n)
{
    struct placed *p = opaque;
    const int rc = p->fd >= 0 ? place(p, data, (size_t)n) : 0;
    if (rc < 0) return rc;
    if (p->moving && p->at < p->low) p->low = p->at;
    p->at += n;
    if (p->moving && p->at > p->high) p->high = p->at;
    if (p->at > p->end) p->end = p->at;
    return n;
}

static int64_t on_seek(void *opaque, int64_t offset, int whence)
{
    struct placed *p = opaque;
    if (whence & AVSEEK_SIZE) return p->end;
    if (whence == SEEK_CUR) offset += p->at;
    if (whence == SEEK_END) offset += p->end;
    if (offset < 0) return AVERROR(EINVAL);
    return p->at = offset;
}

// libavformat wants to read what it wrote, to move it up: there is nothing to be moved.
static int on_open(AVFormatContext *oc, AVIOContext **pb, const char *url, int flags, AVDictionary **options)
{
    (void)url;
    (void)options;
    struct placed *p = oc->opaque;
    if (flags & AVIO_FLAG_WRITE) return AVERROR(EINVAL);
    p->moving = true;
    return avio_open(pb, "/dev/null", AVIO_FLAG_READ);
}

// posix_fallocate() writes where a file system cannot reserve.
static int open_file(struct placed *p, const char *path)
{
    p->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (p->fd < 0) return AVERROR(errno);
    const int rc = posix_fallocate(p->fd, (off_t)p->header.at, (off_t)p->header.bytes);
    return AVERROR(rc);
}

int placed_open(AVFormatContext *oc, const char *path, const struct placed_header *header, struct placed **out_placed)
{
    struct placed *p = calloc(1, sizeof *p);
    uint8_t *buffer = p ? av_malloc(BUFFER_BYTES) : NULL;
    if (p) *p = (struct placed){.fd = -1, .low = INT64_MAX};
    if (p && path) p->header = *header;
    oc->pb = buffer ? avio_alloc_context(buffer, BUFFER_BYTES, 1, p, NULL, on_write, on_seek) : NULL;
    if (!oc->pb) {
        av_free(buffer);
        free(p);
        return AVERROR(ENOMEM);
    }
    oc->opaque = p;
    oc->io_open = on_open;
    *out_placed = p;
    const int rc = path ? open_file(p, path) : 0;
    if (rc < 0) placed_close(oc, out_placed);
    return rc;
}

struct placed_header placed_found(const struct placed *p)
{
    if (!p->moving || p->low >= p->high) return (struct placed_header){0, 0};
    return (struct placed_header){(uint64_t)p->low, (uint64_t)(p->high - p->low)};
}

int placed_close(AVFormatContext *oc, struct placed **placed)
{
    struct placed *p = *placed;
    if (!p) return 0;
    avio_flush(oc->pb);
    int rc = oc->pb->error < 0 ? oc->pb->error : 0;
    av_freep(&oc->pb->buffer);
    avio_context_free(&oc->pb);
    if (p->fd >= 0 && close(p->fd) && rc >= 0) rc = AVERROR(errno);
    free(p);
    *placed = NULL;
    return rc;
}
