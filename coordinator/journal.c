// SPDX-License-Identifier: MIT
//
// Writing and reading journals. See journal.h.
#include "coordinator/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/job.h"

#define FORMAT 2
#define MAX_JOURNAL (256u << 20) // bytes; a larger file is no journal of ours
#define CRC_CHARS 8

struct journal {
    int fd;
    char path[REEL_PATH_BYTES];
};

// ---- text of values ---------------------------------------------------------

// Replaces spaces, newlines and % by %XX. Returns malloc'ed text.
static char *escape(const char *s)
{
    char *out = malloc(3 * strlen(s) + 1), *p = out;
    if (!out) return NULL;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c <= ' ' || c == '%' || c == 127)
            p += sprintf(p, "%%%02X", c);
        else
            *p++ = (char)c;
    }
    *p = 0;
    return out;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// The value of `key` in a line, unescaped and malloc'ed; NULL when missing.
static char *value_of(const char *line, const char *key)
{
    size_t n = strlen(key);
    for (const char *p = strchr(line, ' '); p; p = strchr(p + 1, ' ')) {
        if (strncmp(p + 1, key, n) || p[1 + n] != '=') continue;
        const char *v = p + 2 + n;
        size_t len = strcspn(v, " ");
        char *out = malloc(len + 1), *o = out;
        if (!out) return NULL;
        for (size_t i = 0; i < len; i++) {
            int hi = v[i] == '%' && i + 2 < len ? hex_digit(v[i + 1]) : -1;
            int lo = hi >= 0 ? hex_digit(v[i + 2]) : -1;
            if (lo >= 0)
                *o++ = (char)(hi << 4 | lo), i += 2;
            else
                *o++ = v[i];
        }
        *o = 0;
        return out;
    }
    return NULL;
}

static bool number_of(const char *line, const char *key, uint64_t *out)
{
    char *v = value_of(line, key), *end = NULL;
    if (v) *out = strtoull(v, &end, 10);
    bool good = v && end != v && !*end;
    free(v);
    return good;
}

static bool hash_of(const char *line, const char *key, uint8_t out[32])
{
    char *v = value_of(line, key);
    bool good = v && strlen(v) == 64;
    for (int i = 0; good && i < 32; i++) {
        int hi = hex_digit(v[2 * i]), lo = hex_digit(v[2 * i + 1]);
        good = hi >= 0 && lo >= 0;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    free(v);
    return good;
}

// ---- reading ----------------------------------------------------------------

void journal_header_fini(struct journal_header *h)
{
    free(h->input);
    free(h->model);
    free(h->config);
    free(h->build);
    free(h->device);
    *h = (struct journal_header){0};
}

void journal_content_fini(struct journal_content *c)
{
    journal_header_fini(&c->header);
    free(c->segments);
    free(c->quarantined);
    *c = (struct journal_content){0};
}

static bool read_header(const char *line, struct journal_content *c)
{
    uint64_t version, segments, tiles;
    if (!number_of(line, "format", &version) || version != FORMAT || !number_of(line, "segments", &segments) ||
        !number_of(line, "tiles", &tiles))
        return false;
    journal_header_fini(&c->header);
    struct journal_header *h = &c->header;
    h->input = value_of(line, "input");
    h->model = value_of(line, "model");
    h->config = value_of(line, "config");
    h->build = value_of(line, "build");
    h->device = value_of(line, "device");
    h->segments = (uint32_t)segments;
    h->tile_pixels = (uint32_t)tiles;
    c->has_header = true;
    return h->input && h->model && h->config && h->build && h->device;
}

static bool read_segment(const char *line, struct journal_content *c)
{
    uint64_t n, frames, bytes, v[5], decoded;
    struct journal_segment s = {0};
    static const char *const keys[] = {"packets", "hidden", "unreadable", "filtered", "quarantined"};
    if (!number_of(line, "n", &n) || !number_of(line, "frames", &frames) || !number_of(line, "bytes", &bytes) ||
        !hash_of(line, "sha256", s.sha256))
        return false;
    for (int i = 0; i < 5; i++)
        if (!number_of(line, keys[i], &v[i])) return false;
    if (!number_of(line, "decoded", &decoded)) decoded = frames; // written by an older version
    s.segment = (uint32_t)n;
    s.frames = (uint32_t)frames;
    s.bytes = bytes;
    s.ledger = (struct ledger_entry){.packets = (int64_t)v[0],
                                     .hidden = (int64_t)v[1],
                                     .unreadable = (int64_t)v[2],
                                     .filtered = (int64_t)v[3],
                                     .quarantined = (int64_t)v[4],
                                     .decoded = (int64_t)decoded,
                                     .encoded = (int64_t)frames};
    // The last line about a segment counts.
    for (uint32_t i = 0; i < c->n_segments; i++)
        if (c->segments[i].segment == s.segment) return c->segments[i] = s, true;
    struct journal_segment *grown = realloc(c->segments, (c->n_segments + 1) * sizeof *grown);
    if (!grown) return false;
    c->segments = grown;
    c->segments[c->n_segments++] = s;
    return true;
}

static bool read_quarantine(const char *line, struct journal_content *c)
{
    uint64_t segment, n;
    if (!number_of(line, "segment", &segment) || !number_of(line, "n", &n)) return false;
    struct journal_quarantine *grown = realloc(c->quarantined, (c->n_quarantined + 1) * sizeof *grown);
    if (!grown) return false;
    c->quarantined = grown;
    c->quarantined[c->n_quarantined++] = (struct journal_quarantine){(uint32_t)segment, (uint32_t)n};
    return true;
}

// What follows the checksum of a line without its newline, NUL-terminated. NULL: damaged.
static const char *body_of(const char *line, size_t bytes)
{
    char *end;
    if (bytes < CRC_CHARS + 2 || line[CRC_CHARS] != ' ' || strlen(line) != bytes) return NULL;
    unsigned long crc = strtoul(line, &end, 16);
    bool good = end == line + CRC_CHARS && crc == reel_crc32c(0, line + CRC_CHARS + 1, bytes - CRC_CHARS - 1);
    return good ? line + CRC_CHARS + 1 : NULL;
}

static bool read_line(const char *line, size_t bytes, struct journal_content *c)
{
    const char *body = body_of(line, bytes);
    if (!body) return false;
    if (!strncmp(body, "HEADER ", 7)) return read_header(body, c);
    if (!strncmp(body, "SEGMENT ", 8)) return read_segment(body, c);
    if (!strncmp(body, "QUARANTINE ", 11)) return read_quarantine(body, c);
    if (!strncmp(body, "DONE ", 5))
        return c->done = number_of(body, "bytes", &c->done_bytes) && number_of(body, "kept", &c->done_kept);
    return false;
}

static enum reel_err load(const char *path, char **out_text, size_t *out_bytes)
{
    *out_text = NULL;
    *out_bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) return REEL_OK;
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not open journal \"%s\": %s", path, strerror(errno));
    struct stat st;
    enum reel_err err = REEL_OK;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > MAX_JOURNAL)
        err = reel_fail(REEL_ERR_INPUT, "could not read journal \"%s\": it is not a journal", path);
    char *text = err ? NULL : malloc((size_t)st.st_size + 1);
    size_t have = 0;
    while (text && have < (size_t)st.st_size) {
        ssize_t n = read(fd, text + have, (size_t)st.st_size - have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        have += (size_t)n;
    }
    close(fd);
    if (err) return err;
    if (!text) return reel_fail(REEL_ERR_NOMEM, "could not read journal \"%s\": out of memory", path);
    text[have] = 0;
    *out_text = text;
    *out_bytes = have;
    return REEL_OK;
}

static enum reel_err bad_line(const char *path, int line_no, const char *line, size_t bytes)
{
    uint64_t format = FORMAT;
    const char *body = body_of(line, bytes);
    if (body && line_no == 1 && number_of(body, "format", &format) && format != FORMAT)
        return reel_fail(REEL_ERR_INPUT,
                         "could not read journal \"%s\": another version of reelmill wrote it (format %" PRIu64
                         ", this one knows %d)\nto begin anew use: --resume never",
                         path, format, FORMAT);
    return reel_fail(REEL_ERR_INPUT,
                     "could not read journal \"%s\": line %d is damaged\nto start over use: --resume never", path,
                     line_no);
}

enum reel_err journal_read(const char *path, struct journal_content *out_content)
{
    *out_content = (struct journal_content){0};
    char *text;
    size_t bytes;
    enum reel_err err = load(path, &text, &bytes);
    if (err || !text) return err;
    int line_no = 1;
    for (size_t at = 0; at < bytes; line_no++) {
        char *newline = memchr(text + at, '\n', bytes - at);
        size_t end = newline ? (size_t)(newline - text) : bytes;
        text[end] = 0;
        bool good = newline && read_line(text + at, end - at, out_content);
        if (good && line_no == 1 && !out_content->has_header) good = false;
        if (!good && end + 1 < bytes) {
            err = bad_line(path, line_no, text + at, end - at);
            break;
        }
        if (!good) break; // an incomplete line at the end
        at = end + 1;
        out_content->whole_bytes = at;
    }
    free(text);
    if (err) journal_content_fini(out_content);
    return err;
}

// ---- matching ---------------------------------------------------------------

// The first line that differs, for people.
static void first_difference(const char *a, const char *b, char *out, size_t bytes)
{
    while (*a || *b) {
        size_t na = strcspn(a, "\n"), nb = strcspn(b, "\n");
        if (na != nb || strncmp(a, b, na)) {
            snprintf(out, bytes, "then \"%.*s\", now \"%.*s\"", (int)(na > 200 ? 200 : na), a,
                     (int)(nb > 200 ? 200 : nb), b);
            return;
        }
        a += na + (a[na] == '\n');
        b += nb + (b[nb] == '\n');
    }
    snprintf(out, bytes, "nothing");
}

enum reel_err journal_match(const struct journal_header *old, const struct journal_header *now)
{
    const struct {
        const char *what, *old, *now;
        bool text;
    } part[] = {
        {"input", old->input, now->input, false},           {"model", old->model, now->model, false},
        {"configuration", old->config, now->config, true},  {"build", old->build, now->build, true},
        {"kind of device", old->device, now->device, true},
    };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (!strcmp(part[i].old, part[i].now)) continue;
        char difference[512] = "it has changed since";
        if (part[i].text) first_difference(part[i].old, part[i].now, difference, sizeof difference);
        return reel_fail(
            REEL_ERR_CONFIG,
            "could not resume: the parts were made with another %s (%s)\nto start over use: --resume never",
            part[i].what, difference);
    }
    if (old->segments != now->segments)
        return reel_fail(
            REEL_ERR_CONFIG,
            "could not resume: the earlier run had %u segments, now there are %u\nto start over use: --resume never",
            old->segments, now->segments);
    if (old->tile_pixels != now->tile_pixels)
        return reel_fail(REEL_ERR_CONFIG,
                         "could not resume: the parts were made with tiles of at most %u pixels (0: whole frames), and "
                         "there is not enough memory for that now\nfree memory, or to start over use: --resume never",
                         old->tile_pixels);
    return REEL_OK;
}

// ---- writing ----------------------------------------------------------------

static enum reel_err sync_folder(const char *path)
{
    char folder[REEL_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    int dir = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) fsync(dir); // not checked, because some file systems cannot; the file's own sync is
    if (dir >= 0) close(dir);
    return REEL_OK;
}

enum reel_err journal_open(const char *path, uint64_t whole_bytes, struct journal **out_journal)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j) return reel_fail(REEL_ERR_NOMEM, "could not open journal \"%s\": out of memory", path);
    snprintf(j->path, sizeof j->path, "%s", path);
    j->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (j->fd < 0 || ftruncate(j->fd, (off_t)whole_bytes) || fsync(j->fd)) {
        enum reel_err err = reel_fail(REEL_ERR_IO, "could not open journal \"%s\": %s", path, strerror(errno));
        journal_close(&j);
        return err;
    }
    sync_folder(path);
    *out_journal = j;
    return REEL_OK;
}

void journal_close(struct journal **journal)
{
    if (!*journal) return;
    if ((*journal)->fd >= 0) close((*journal)->fd);
    free(*journal);
    *journal = NULL;
}

static enum reel_err put(struct journal *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static enum reel_err put(struct journal *j, const char *fmt, ...)
{
    char *body = NULL, *line = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&body, fmt, args);
    va_end(args);
    if (n < 0) return reel_fail(REEL_ERR_NOMEM, "could not write journal \"%s\": out of memory", j->path);
    int bytes = asprintf(&line, "%08x %s\n", reel_crc32c(0, body, (size_t)n), body);
    free(body);
    if (bytes < 0) return reel_fail(REEL_ERR_NOMEM, "could not write journal \"%s\": out of memory", j->path);
    enum reel_err err = REEL_OK;
    for (int done = 0; !err && done < bytes;) {
        ssize_t w = write(j->fd, line + done, (size_t)(bytes - done));
        if (w < 0 && errno == EINTR) continue;
        if (w < 0)
            err = reel_fail(REEL_ERR_IO, "could not write journal \"%s\": %s", j->path, strerror(errno));
        else
            done += (int)w;
    }
    free(line);
    if (!err && fdatasync(j->fd))
        err = reel_fail(REEL_ERR_IO, "could not write journal \"%s\" to disk: %s", j->path, strerror(errno));
    return err;
}

enum reel_err journal_put_header(struct journal *j, const struct journal_header *h)
{
    char *config = escape(h->config), *build = escape(h->build), *device = escape(h->device);
    enum reel_err err = REEL_ERR_NOMEM;
    if (config && build && device)
        err = put(j, "HEADER format=%d segments=%u tiles=%u input=%s model=%s config=%s build=%s device=%s", FORMAT,
                  h->segments, h->tile_pixels, h->input, h->model, config, build, device);
    free(config);
    free(build);
    free(device);
    return err;
}

enum reel_err journal_put_segment(struct journal *j, const struct journal_segment *s)
{
    char hex[65];
    return put(j,
               "SEGMENT n=%u frames=%u bytes=%" PRIu64 " sha256=%s packets=%" PRId64 " hidden=%" PRId64
               " unreadable=%" PRId64 " filtered=%" PRId64 " quarantined=%" PRId64 " decoded=%" PRId64,
               s->segment, s->frames, s->bytes, reel_hex(s->sha256, 32, hex), s->ledger.packets, s->ledger.hidden,
               s->ledger.unreadable, s->ledger.filtered, s->ledger.quarantined, s->ledger.decoded);
}

enum reel_err journal_put_quarantine(struct journal *j, uint32_t segment, uint32_t n)
{
    return put(j, "QUARANTINE segment=%u n=%u", segment, n);
}

enum reel_err journal_put_done(struct journal *j, uint64_t output_bytes, uint64_t kept)
{
    return put(j, "DONE bytes=%" PRIu64 " kept=%" PRIu64, output_bytes, kept);
}
