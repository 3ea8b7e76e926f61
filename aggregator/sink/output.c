// SPDX-License-Identifier: MIT
//
// Writing to standard output. See output.h.
#include "aggregator/sink/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "common/life.h"

#define BUFFER_BYTES 65536
#define WAIT_MS 20   // between two looks at a part that is not there yet
#define STALL_MS 200 // between two ticks while the reader takes nothing
// A part whose COMMITTED was lost with its process is made again, after it was written
// perhaps; it is looked for so far back.
#define LOOK_BACK 64

static int the_fd = -1;

void output_init(int fd)
{
    the_fd = fd;
}

int output_fd(void)
{
    return the_fd;
}

enum reel_err output_write(const struct sink_join *join, const void *data, size_t n)
{
    for (const char *at = data; n;) {
        struct pollfd p = {.fd = the_fd, .events = POLLOUT};
        if (!join->tick(join->ctx, 0)) return REEL_GONE;
        int ready = poll(&p, 1, STALL_MS);
        if (ready < 0 && errno != EINTR) return sink_write_failed(join->job->output, errno);
        if (ready <= 0) continue;
        // No more than a pipe takes at once: a blocking descriptor would wait in here.
        ssize_t done = write(the_fd, at, n < PIPE_BUF ? n : PIPE_BUF);
        if (done < 0 && errno != EINTR && errno != EAGAIN) return sink_write_failed(join->job->output, errno);
        if (done > 0) at += done, n -= (size_t)done;
    }
    return REEL_OK;
}

static int on_write(void *opaque, av_written_byte *data, int n)
{
    enum reel_err err = output_write(opaque, data, (size_t)n);
    return !err ? n : err == REEL_GONE ? AVERROR_EXIT : AVERROR(EPIPE);
}

enum reel_err output_open(const struct sink_join *join, AVIOContext **out_io)
{
    uint8_t *buffer = av_malloc(BUFFER_BYTES);
    *out_io = buffer ? avio_alloc_context(buffer, BUFFER_BYTES, 1, (void *)join, NULL, on_write, NULL) : NULL;
    if (*out_io) return REEL_OK;
    av_free(buffer);
    return reel_fail(REEL_ERR_NOMEM, "could not write to standard output: out of memory");
}

void output_close(AVIOContext **io)
{
    if (!*io) return;
    av_freep(&(*io)->buffer);
    avio_context_free(io);
}

// A pipe whose reader has ended says so without being written to.
static bool reader_is_gone(void)
{
    struct pollfd p = {.fd = the_fd};
    return poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLNVAL);
}

enum reel_err output_wait_part(const struct sink_join *join, uint32_t segment)
{
    char path[REEL_PATH_BYTES];
    reel_part_path(join->job, segment, path);
    while (access(path, F_OK)) {
        if (!join->tick(join->ctx, 0)) return REEL_GONE;
        if (reader_is_gone()) return sink_write_failed(join->job->output, EPIPE);
        poll(NULL, 0, WAIT_MS);
    }
    return REEL_OK;
}

void output_drop_part(const struct sink_join *join, uint32_t segment)
{
    char path[REEL_PATH_BYTES];
    for (uint32_t i = segment > LOOK_BACK ? segment - LOOK_BACK : 0; i <= segment; i++)
        unlink(reel_part_path(join->job, i, path));
}
