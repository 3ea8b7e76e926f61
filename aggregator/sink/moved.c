// SPDX-License-Identifier: MIT
//
// Parts that become holes while their output is written. See moved.h.
#include "aggregator/sink/moved.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "aggregator/sink/match.h"
#include "common/life.h"
#include "common/log.h"

#define MAGIC 0x4445564f4d4c4552u
#define LEAST_STEP (UINT64_C(64) << 10)
#define MOST_STEP (UINT64_C(16) << 20) // of a part at once: more is no faster, and held in memory
#define STEPS 64                       // of a job, within these bounds
#define AHEAD (UINT64_C(4) << 20)      // of the output, beyond a range's own size, that it is looked for in
#define MOST_TRIES 32                  // for a range whose data a muxer may still hold
#define LEAST_GAIN 4                   // a range must be so many times larger than its recipe
#define BLOCK UINT64_C(4096)
#define LOCK_WAIT_US 20000

// A line of the list; its recipe stands behind it.
struct line {
    uint64_t magic;
    uint32_t crc; // of the line with 0 here, and of the recipe
    uint32_t segment;
    uint64_t part_inode, output_inode; // files that were made anew are others
    uint64_t from, to;                 // of the part
    uint64_t output_from, output_to;   // where its data are
    uint64_t bytes;                    // of the recipe
};

struct moved {
    const struct sink_join *join;
    const char *output;
    uint64_t parts_bytes, step;
    uint64_t read, given, due; // of all parts: by the join, by moved ranges; when it is time again
    bool active, over;
    int list_fd, output_fd, part_fd;
    uint64_t lines, list_bytes;
    uint64_t cursor; // end of what was found in the output
    // The range that comes next; from == to: none.
    uint32_t segment;
    uint64_t from, to;
    bool last; // of its part
    int tries;
    struct reel_pack_reader *part;
    struct reel_pack_record *record;
    struct match_span *spans;
    size_t n_spans, room_spans;
    struct match_recipe recipe;
    uint8_t *range, *seen;
    size_t room_range, room_seen;
};

static enum reel_err no_memory(void)
{
    return reel_fail(REEL_ERR_NOMEM, "could not join parts on a full disk: out of memory");
}

static bool grow(uint8_t **buf, size_t *room, size_t n)
{
    if (n <= *room) return true;
    uint8_t *more = realloc(*buf, n);
    if (!more) return false;
    *buf = more;
    *room = n;
    return true;
}

static bool read_all(int fd, void *data, size_t n, uint64_t at)
{
    for (char *to = data; n;) {
        const ssize_t done = pread(fd, to, n, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        to += done, at += (uint64_t)done, n -= (size_t)done;
    }
    return true;
}

static bool write_all(int fd, const void *data, size_t n, uint64_t at)
{
    for (const char *from = data; n;) {
        const ssize_t done = pwrite(fd, from, n, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        from += done, at += (uint64_t)done, n -= (size_t)done;
    }
    return true;
}

static uint32_t crc_of(struct line line, const uint8_t *recipe)
{
    line.crc = 0;
    return reel_crc32c(reel_crc32c(0, &line, sizeof line), recipe, line.bytes);
}

static bool inode_of(int fd, uint64_t *out)
{
    struct stat st;
    if (fstat(fd, &st)) return false;
    *out = (uint64_t)st.st_ino;
    return true;
}

// ---- putting back -------------------------------------------------------------------

struct restore {
    const struct reel_job *job;
    int list_fd, output_fd, part_fd;
    uint32_t segment; // of part_fd
    uint64_t output_inode;
    uint8_t *recipe, *range, *seen;
    size_t room_recipe, room_range, room_seen;
};

// The line that begins at `at`, its recipe in r->recipe; false at the end, or where a
// process died while it wrote (its range is still in the part then).
static bool read_line(struct restore *r, uint64_t at, struct line *line)
{
    if (!read_all(r->list_fd, line, sizeof *line, at) || line->magic != MAGIC || line->bytes > UINT32_MAX ||
        line->to < line->from || line->output_to < line->output_from)
        return false;
    return grow(&r->recipe, &r->room_recipe, line->bytes) &&
           read_all(r->list_fd, r->recipe, line->bytes, at + sizeof *line) && crc_of(*line, r->recipe) == line->crc;
}

// Where the lines begin. free()
static enum reel_err find_lines(struct restore *r, uint64_t **out_at, size_t *out_n)
{
    uint64_t at = 0;
    struct line line;
    *out_at = NULL;
    *out_n = 0;
    while (read_line(r, at, &line)) {
        uint64_t *more = realloc(*out_at, (*out_n + 1) * sizeof *more);
        if (!more) return no_memory();
        *out_at = more;
        more[(*out_n)++] = at;
        at += sizeof line + line.bytes;
    }
    return REEL_OK;
}

static enum reel_err open_part(struct restore *r, uint32_t segment)
{
    char path[REEL_PATH_BYTES];
    if (r->part_fd >= 0 && r->segment == segment) return REEL_OK;
    if (r->part_fd >= 0) close(r->part_fd);
    r->segment = segment;
    r->part_fd = open(reel_part_path(r->job, segment, path), O_RDWR | O_CLOEXEC);
    if (r->part_fd >= 0 || errno == ENOENT) return REEL_OK; // gone: it is done again
    return reel_fail(REEL_ERR_IO, "could not open part \"%s\": %s", path, strerror(errno));
}

// A range goes back into its part; not into one that was made anew.
static enum reel_err put_back(struct restore *r, const struct line *line)
{
    uint64_t inode;
    char path[REEL_PATH_BYTES];
    enum reel_err err = open_part(r, line->segment);
    if (err) return err;
    if (r->part_fd < 0 || !inode_of(r->part_fd, &inode) || inode != line->part_inode ||
        line->output_inode != r->output_inode)
        return REEL_OK;
    const size_t n = (size_t)(line->to - line->from), seen = (size_t)(line->output_to - line->output_from);
    if (!grow(&r->range, &r->room_range, n + 1) || !grow(&r->seen, &r->room_seen, seen + 1)) return no_memory();
    reel_part_path(r->job, line->segment, path);
    if (!read_all(r->output_fd, r->seen, seen, line->output_from) ||
        !match_rebuild(r->recipe, line->bytes, r->seen, seen, r->range, n)) {
        reel_warn("join", "part %u cannot be put together again from the unfinished output", line->segment);
        return REEL_OK; // its hash will not match
    }
    if (!write_all(r->part_fd, r->range, n, line->from) || fdatasync(r->part_fd)) return sink_write_failed(path, errno);
    return REEL_OK;
}

// The file that the list speaks of: unfinished, or published by a process that died before
// it could say so; then it is unfinished again. A shorter file of that number is not it, but
// one that somebody made since.
static enum reel_err open_output(struct restore *r, const struct line *last)
{
    char path[REEL_PATH_BYTES];
    struct stat st;
    sink_unpublish(r->job);
    reel_unfinished_path(r->job, path);
    if (stat(path, &st) && !stat(r->job->output, &st) && (uint64_t)st.st_ino == last->output_inode &&
        (uint64_t)st.st_size >= last->output_to && rename(r->job->output, path))
        return reel_fail(REEL_ERR_IO, "could not rename file \"%s\": %s", r->job->output, strerror(errno));
    r->output_fd = open(path, O_RDWR | O_CLOEXEC);
    if (r->output_fd >= 0 && !inode_of(r->output_fd, &r->output_inode)) r->output_inode = 0;
    if (r->output_fd >= 0 || errno == ENOENT) return REEL_OK;
    return reel_fail(REEL_ERR_IO, "could not open file \"%s\": %s", path, strerror(errno));
}

static bool cut(int fd, uint64_t at)
{
    return !ftruncate(fd, (off_t)at) && !fdatasync(fd);
}

static enum reel_err restore_lines(struct restore *r, bool (*tick)(void *ctx, uint64_t bytes), void *ctx)
{
    char path[REEL_PATH_BYTES];
    uint64_t *at = NULL;
    size_t n;
    struct line line;
    enum reel_err err = find_lines(r, &at, &n);
    if (!err && n && read_line(r, at[n - 1], &line)) err = open_output(r, &line);
    if (!err && n) reel_info("join", "%zu ranges of parts are put back from the unfinished output", n);
    // What lies behind the last range is of no use; its room is.
    if (!err && n && r->output_fd >= 0 && r->output_inode == line.output_inode && !cut(r->output_fd, line.output_to))
        err = sink_write_failed(reel_unfinished_path(r->job, path), errno);
    while (!err && n && read_line(r, at[--n], &line)) {
        err = put_back(r, &line);
        reel_crash_point("aggregator.put_back");
        if (!err && !cut(r->list_fd, at[n])) err = sink_write_failed(reel_moved_path(r->job, path), errno);
        if (!err && r->output_inode == line.output_inode && !cut(r->output_fd, line.output_from))
            err = sink_write_failed(reel_unfinished_path(r->job, path), errno);
        if (!err && !tick(ctx, 0)) err = REEL_GONE;
    }
    free(at);
    return err;
}

// False: somebody else has put all back meanwhile.
static enum reel_err lock_list(int fd, bool (*tick)(void *ctx, uint64_t bytes), void *ctx, bool *out_there)
{
    struct stat st;
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return reel_fail(REEL_ERR_IO, "could not lock the list of moved parts: %s", strerror(errno));
        if (!tick(ctx, 0)) return REEL_GONE;
        usleep(LOCK_WAIT_US);
    }
    *out_there = !fstat(fd, &st) && st.st_nlink > 0;
    return REEL_OK;
}

enum reel_err moved_restore(const struct reel_job *job, bool (*tick)(void *ctx, uint64_t bytes), void *ctx)
{
    char list[REEL_PATH_BYTES], output[REEL_PATH_BYTES];
    struct restore r = {.job = job, .output_fd = -1, .part_fd = -1};
    r.list_fd = open(reel_moved_path(job, list), O_RDWR | O_CLOEXEC);
    if (r.list_fd < 0 && errno == ENOENT) return REEL_OK;
    if (r.list_fd < 0) return reel_fail(REEL_ERR_IO, "could not open file \"%s\": %s", list, strerror(errno));
    bool there = false;
    enum reel_err err = lock_list(r.list_fd, tick, ctx, &there);
    if (!err && there) {
        err = restore_lines(&r, tick, ctx);
        if (!err) unlink(reel_unfinished_path(job, output));
        if (!err) unlink(list);
    }
    close(r.list_fd);
    if (r.output_fd >= 0) close(r.output_fd);
    if (r.part_fd >= 0) close(r.part_fd);
    free(r.recipe);
    free(r.range);
    free(r.seen);
    return err;
}

// ---- moving -------------------------------------------------------------------------

enum reel_err moved_begin(const struct sink_join *join, const char *output, uint64_t from, uint64_t bytes,
                          struct moved **out_moved)
{
    struct moved *m = calloc(1, sizeof *m);
    if (m) *m = (struct moved){.join = join, .output = output, .list_fd = -1, .output_fd = -1, .part_fd = -1};
    if (!m || !(m->record = malloc(sizeof *m->record))) {
        moved_end(&m);
        return no_memory();
    }
    m->cursor = from;
    m->parts_bytes = bytes;
    m->step = bytes / STEPS < LEAST_STEP ? LEAST_STEP : bytes / STEPS > MOST_STEP ? MOST_STEP : bytes / STEPS;
    *out_moved = m;
    return REEL_OK;
}

static void close_part(struct moved *m)
{
    reel_pack_close(&m->part);
    if (m->part_fd >= 0) close(m->part_fd);
    m->part_fd = -1;
}

void moved_end(struct moved **moved)
{
    struct moved *m = *moved;
    if (!m) return;
    close_part(m);
    if (m->list_fd >= 0) {
        char list[REEL_PATH_BYTES];
        if (!m->lines) unlink(reel_moved_path(m->join->job, list));
        close(m->list_fd);
    }
    if (m->output_fd >= 0) close(m->output_fd);
    free(m->record);
    free(m->spans);
    free(m->recipe.data);
    free(m->range);
    free(m->seen);
    free(m);
    *moved = NULL;
}

bool moved_any(const struct moved *m)
{
    return m && m->lines > 0;
}

bool moved_is_due(struct moved *m, uint64_t bytes)
{
    if (!m || m->over) return false;
    m->read += bytes;
    if (m->read < m->due) return false;
    m->due = m->read + m->step;
    return true;
}

// Whether the rest may not have room beside the parts.
static bool is_short(const struct moved *m)
{
    struct statvfs fs;
    if (reel_fault_point("aggregator.no_room")) return true;
    if (statvfs(m->output, &fs)) return false;
    const uint64_t left = m->parts_bytes > m->read ? m->parts_bytes - m->read : 0;
    return (uint64_t)fs.f_bavail * fs.f_frsize < left + m->parts_bytes / STEPS + 2 * m->step;
}

static enum reel_err activate(struct moved *m)
{
    char list[REEL_PATH_BYTES], folder[REEL_PATH_BYTES];
    m->list_fd = open(reel_moved_path(m->join->job, list), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    m->output_fd = open(m->output, O_RDONLY | O_CLOEXEC);
    if (m->list_fd < 0 || m->output_fd < 0) {
        m->over = true; // as much as there is room for
        return REEL_OK;
    }
    snprintf(folder, sizeof folder, "%s", list);
    const int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) && errno != EINVAL)) m->over = true;
    if (fd >= 0) close(fd);
    m->active = !m->over;
    reel_info("join", "there is no room for \"%s\" beside its parts: these are given back to the disk meanwhile",
              m->join->job->output);
    return REEL_OK;
}

static enum reel_err open_next(struct moved *m)
{
    char path[REEL_PATH_BYTES];
    reel_part_path(m->join->job, m->segment, path);
    m->from = m->to = 0;
    m->part_fd = open(path, O_RDWR | O_CLOEXEC);
    if (m->part_fd < 0) return reel_fail(REEL_ERR_IO, "could not open part \"%s\": %s", path, strerror(errno));
    return reel_pack_open(path, &m->part);
}

static bool add_span(struct moved *m, uint64_t at, uint32_t bytes)
{
    if (m->n_spans == m->room_spans) {
        const size_t room = m->room_spans ? 2 * m->room_spans : 64;
        struct match_span *more = realloc(m->spans, room * sizeof *more);
        if (!more) return false;
        m->spans = more;
        m->room_spans = room;
    }
    m->spans[m->n_spans++] = (struct match_span){(size_t)(at - m->from), bytes};
    return true;
}

// Whole records, a step of them or to the part's end.
static enum reel_err next_range(struct moved *m)
{
    enum reel_err err = m->part ? REEL_OK : open_next(m);
    m->from = m->to;
    m->n_spans = 0;
    m->tries = 0;
    while (!err && m->to - m->from < m->step && !(err = reel_pack_read(m->part, m->record))) {
        m->to = reel_pack_at(m->part);
        const struct reel_pack_packet *p = &m->record->u.packet;
        if (m->record->type == REEL_PACK_PACKET && !add_span(m, m->to - p->bytes, p->bytes)) err = no_memory();
    }
    m->last = err == REEL_EOF;
    if (m->last) {
        m->to = reel_pack_at(m->part);
        err = REEL_OK;
    }
    if (!err && !grow(&m->range, &m->room_range, (size_t)(m->to - m->from) + 1)) err = no_memory();
    if (!err && !read_all(m->part_fd, m->range, (size_t)(m->to - m->from), m->from))
        err = reel_fail(REEL_ERR_IO, "could not read part %u: %s", m->segment, strerror(errno));
    return err;
}

// Looks for the range in the output. False: not all of it is there yet, or there is no memory.
static bool describe(struct moved *m, size_t *out_used)
{
    struct stat st;
    const size_t n = (size_t)(m->to - m->from);
    uint64_t most = n + n / 2 + AHEAD;
    if (fstat(m->output_fd, &st) || (uint64_t)st.st_size < m->cursor) return false;
    if (most > (uint64_t)st.st_size - m->cursor) most = (uint64_t)st.st_size - m->cursor;
    if (!grow(&m->seen, &m->room_seen, (size_t)most + 1) || !read_all(m->output_fd, m->seen, (size_t)most, m->cursor))
        return false;
    return match_describe(m->range, n, m->spans, m->n_spans, m->seen, (size_t)most, &m->recipe, out_used) &&
           (m->recipe.bytes < n / LEAST_GAIN || m->last);
}

static bool punch(const struct moved *m)
{
    const uint64_t from = m->from & ~(BLOCK - 1), to = m->last ? m->to + BLOCK : m->to & ~(BLOCK - 1);
    return to <= from ||
           !fallocate(m->part_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
}

// Both files on the disk before the part loses anything.
static enum reel_err give_back(struct moved *m, size_t used)
{
    char path[REEL_PATH_BYTES];
    struct line line = {.magic = MAGIC,
                        .segment = m->segment,
                        .from = m->from,
                        .to = m->to,
                        .output_from = m->cursor,
                        .output_to = m->cursor + used,
                        .bytes = m->recipe.bytes};
    if (!inode_of(m->part_fd, &line.part_inode) || !inode_of(m->output_fd, &line.output_inode) ||
        fdatasync(m->output_fd))
        return sink_write_failed(m->output, errno);
    line.crc = crc_of(line, m->recipe.data);
    if (!write_all(m->list_fd, &line, sizeof line, m->list_bytes) ||
        !write_all(m->list_fd, m->recipe.data, m->recipe.bytes, m->list_bytes + sizeof line) || fdatasync(m->list_fd))
        return sink_write_failed(reel_moved_path(m->join->job, path), errno);
    m->list_bytes += sizeof line + m->recipe.bytes;
    m->lines++;
    reel_crash_point("aggregator.listed");
    if (!punch(m)) m->over = true; // a file system without holes
    reel_crash_point("aggregator.moved");
    m->given += m->to - m->from;
    m->cursor += used;
    return REEL_OK;
}

enum reel_err moved_step(struct moved *m, uint32_t segment, uint64_t at)
{
    enum reel_err err = m->active || !is_short(m) ? REEL_OK : activate(m);
    while (!err && m->active && !m->over && m->segment <= segment && m->read - m->given >= 2 * m->step) {
        size_t used = 0;
        if (m->from == m->to) err = next_range(m);
        if (err) return err;
        if (m->segment > segment || (m->segment == segment && m->to > at)) return REEL_OK; // still to be read
        if (!describe(m, &used)) {
            m->over = ++m->tries > MOST_TRIES;
            return REEL_OK;
        }
        err = give_back(m, used);
        m->from = m->to;
        if (m->last) {
            close_part(m);
            m->segment++;
            m->from = m->to = 0;
        }
        if (!err && !m->join->tick(m->join->ctx, 0)) err = REEL_GONE;
    }
    return err;
}
