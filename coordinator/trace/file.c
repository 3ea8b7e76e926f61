// SPDX-License-Identifier: MIT
//
// Writes trace events to a file. See trace/file.h.
#include "coordinator/trace/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (64u << 10) // some hundred events per write

struct trace_file {
    int fd;
    bool regular;    // can be cut to length
    off_t written;   // bytes of whole events in a regular file
    const char *bad; // why writing has stopped; NULL: it has not
    bool told;
    size_t used;
    char buffer[BUFFER_BYTES];
};

// ---- opening --------------------------------------------------------------------

// Reads the file's last bytes; returns how many, or -1.
static ssize_t read_tail(int fd, off_t size, char *tail, size_t bytes)
{
    size_t want = size < (off_t)bytes ? (size_t)size : bytes;
    return pread(fd, tail, want, size - (off_t)want);
}

// Cuts the file of an earlier process after its last whole event. False: there is none.
static bool find_end(struct trace_file *f, off_t size)
{
    char tail[2 * TRACE_EVENT_BYTES];
    ssize_t n = read_tail(f->fd, size, tail, sizeof tail);
    bool closed = n >= 3 && !memcmp(tail + n - 3, "\n]\n", 3); // the end of the array was written
    if (closed) n -= 3, size -= 3;
    while (!closed && n > 0 && tail[n - 1] != '\n') n--, size--;
    if (n < 2 || ftruncate(f->fd, size)) return false;
    lseek(f->fd, size, SEEK_SET);
    f->written = size;
    if (closed) f->used = (size_t)sprintf(f->buffer, ",\n");
    return true;
}

enum reel_err trace_file_create(const char *path, bool goes_on, struct trace_file **out)
{
    struct trace_file *f = calloc(1, sizeof *f);
    if (!f) return reel_fail(REEL_ERR_NOMEM, "could not write trace \"%s\": out of memory", path);
    // O_NONBLOCK: opening a named pipe without a reader fails instead of waiting.
    f->fd = open(path, (goes_on ? O_RDWR : O_WRONLY | O_TRUNC) | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (f->fd < 0 && goes_on) f->fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (f->fd < 0 || fstat(f->fd, &st)) {
        enum reel_err err = reel_fail(REEL_ERR_CONFIG, "could not write trace \"%s\": %s", path, strerror(errno));
        if (f->fd >= 0) close(f->fd);
        free(f);
        return err;
    }
    fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) & ~O_NONBLOCK);
    f->regular = S_ISREG(st.st_mode);
    bool begun = goes_on && (!f->regular || find_end(f, st.st_size));
    if (!begun) {
        if (f->regular && !ftruncate(f->fd, 0)) lseek(f->fd, 0, SEEK_SET);
        f->used = (size_t)sprintf(f->buffer, "[\n");
    }
    *out = f;
    return REEL_OK;
}

// ---- writing --------------------------------------------------------------------

static bool write_all(int fd, const char *p, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(fd, p, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n;
        bytes -= (size_t)n;
    }
    return true;
}

void trace_file_flush(struct trace_file *f)
{
    if (!f->bad && f->used && !write_all(f->fd, f->buffer, f->used)) {
        f->bad = strerror(errno);
        // Removes what this buffer has written, up to half an event.
        if (f->regular && ftruncate(f->fd, f->written)) f->regular = false;
    }
    if (!f->bad) f->written += (off_t)f->used;
    f->used = 0;
}

void trace_file_event(struct trace_file *f, const char *fmt, ...)
{
    if (f->bad) return;
    if (BUFFER_BYTES - f->used < TRACE_EVENT_BYTES + 8) trace_file_flush(f);
    va_list args;
    va_start(args, fmt);
    f->buffer[f->used] = '{';
    int n = vsnprintf(f->buffer + f->used + 1, TRACE_EVENT_BYTES, fmt, args);
    va_end(args);
    if (n < 0 || n >= TRACE_EVENT_BYTES) return; // too long: left out rather than cut
    f->used += 1 + (size_t)n;
    memcpy(f->buffer + f->used, "},\n", 3);
    f->used += 3;
}

const char *trace_file_trouble(struct trace_file *f)
{
    if (!f->bad || f->told) return NULL;
    f->told = true;
    return f->bad;
}

void trace_file_destroy(struct trace_file **file)
{
    struct trace_file *f = *file;
    if (!f) return;
    // The last event must not be followed by a comma.
    if (f->used < 3) trace_file_event(f, "\"ph\":\"M\",\"name\":\"trace_end\",\"pid\":1,\"args\":{}");
    if (f->used >= 3 && !memcmp(f->buffer + f->used - 3, "},\n", 3)) {
        f->used -= 2;
        f->used += (size_t)sprintf(f->buffer + f->used, "\n]\n");
    }
    trace_file_flush(f);
    close(f->fd);
    free(f);
    *file = NULL;
}
