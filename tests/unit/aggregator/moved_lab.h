// SPDX-License-Identifier: MIT
//
// A job of two parts that is joined by hand on a disk that is said to be full, for
// test_moved.c: its files and their list, what was called in which order, and which call
// fails.
#ifndef REEL_TESTS_MOVED_LAB_H
#define REEL_TESTS_MOVED_LAB_H

#include "aggregator/sink/moved.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/pack.h"
#include "tests/check.h"

#define PARTS 2
#define PACKETS 12    // of a part
#define PACKET 30000  // three make a step of the join
#define BLOCK 4096    // of a hole
#define HEADER 100    // of the output, in front of the packets
#define PACKET_HEAD 9 // of a packet in the output
#define MOST_LINES 16

// A line of the list; its recipe stands behind it.
struct line {
    uint64_t magic;
    uint32_t crc, segment;
    uint64_t part_inode, output_inode, from, to, output_from, output_to, bytes;
};

static char folder[CHECK_FOLDER_BYTES];
static bool has_holes;

static struct bench {
    char parts_dir[256], output[256], part[PARTS][REEL_PATH_BYTES], unfinished[REEL_PATH_BYTES], list[REEL_PATH_BYTES];
    struct reel_job job;
    struct sink_join join;
    uint8_t *whole[PARTS]; // as they were written
    size_t bytes[PARTS];
    uint64_t packet_at[PARTS * PACKETS]; // of its part
    int held;                            // packets that the muxer has not written yet
    void (*after_step)(void);
    uint64_t list_at[MOST_LINES];
    struct line lines[MOST_LINES];
    size_t n_lines;
    int ticks_left; // then: give up
    int lock_fd;    // somebody else's, who is done at the first tick
} b;

// ---- system calls, which are told, and fail where a test wants it -------------------------

static uint64_t room;   // of the disk
static char told[8192]; // "sync moved", a line each
static const char *failing;
static int failing_with;

static bool fails(const char *what, int fd)
{
    char name[64], link[REEL_PATH_BYTES], call[REEL_PATH_BYTES + 64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(name, link, sizeof link - 1);
    if (n <= 0) return false;
    link[n] = 0;
    const char *file = strrchr(link, '/');
    snprintf(call, sizeof call, "%s %s", what, file ? file + 1 : link);
    const size_t used = strlen(told);
    snprintf(told + used, sizeof told - used, "%s\n", call);
    if (!failing || strcmp(call, failing)) return false;
    errno = failing_with;
    return true;
}

#define REAL(name)                 \
    static __typeof__(name) *real; \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

int fdatasync(int fd)
{
    REAL(fdatasync);
    return fails("sync", fd) ? -1 : real(fd);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    REAL(fallocate);
    return fails("hole", fd) ? -1 : real(fd, mode, at, n);
}

int ftruncate(int fd, off_t n)
{
    REAL(ftruncate);
    return fails("cut", fd) ? -1 : real(fd, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    REAL(pwrite);
    return fails("write", fd) ? -1 : real(fd, data, n, at);
}

int statvfs(const char *path, struct statvfs *out)
{
    REAL(statvfs);
    const int rc = real(path, out);
    if (!rc) out->f_bavail = room / out->f_frsize;
    return rc;
}

// ---- a job -------------------------------------------------------------------------------

static bool on_tick(void *ctx, uint64_t bytes)
{
    if (b.lock_fd >= 0) {
        unlink(b.list);
        close(b.lock_fd);
        b.lock_fd = -1;
    }
    return b.ticks_left-- > 0;
}

static uint8_t *read_file(const char *path, size_t *out_n)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *data = NULL;
    *out_n = 0;
    if (fd >= 0 && !fstat(fd, &st) && (data = malloc((size_t)st.st_size + 1)))
        *out_n = read(fd, data, (size_t)st.st_size) == st.st_size ? (size_t)st.st_size : 0;
    if (fd >= 0) close(fd);
    return data;
}

// Over what is at `at`; a new file where there is none.
static bool write_file(const char *path, const void *data, size_t n, uint64_t at)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const bool done = fd >= 0 && lseek(fd, (off_t)at, SEEK_SET) >= 0 && write(fd, data, n) == (ssize_t)n;
    if (fd >= 0) close(fd);
    return done;
}

static bool is_there(const char *path)
{
    return !access(path, F_OK);
}

static bool make_part(int part, uint64_t *seed)
{
    static uint8_t data[PACKET];
    struct reel_pack_writer *w = NULL;
    const struct reel_pack_stream stream = {.time_base = {1, 25}};
    uint64_t bytes;
    uint8_t sha[32];
    if (reel_pack_create(b.part[part], &w) || reel_pack_put_stream(w, &stream)) return false;
    for (int i = 0; i < PACKETS; i++) {
        for (size_t k = 0; k < PACKET; k++) data[k] = (uint8_t)(check_rand(seed) >> 56);
        if (reel_pack_put_packet(w, &(struct reel_pack_packet){.pts = i, .dts = i, .bytes = PACKET, .data = data}))
            return false;
    }
    if (reel_pack_commit(&w, &bytes, sha)) return false;
    b.whole[part] = read_file(b.part[part], &b.bytes[part]);
    return b.bytes[part] == bytes;
}

static void forget(void)
{
    for (int i = 0; i < PARTS; i++) free(b.whole[i]);
    b = (struct bench){.lock_fd = -1};
}

// A new job with its parts, on a full disk.
static void begin(void)
{
    static int jobs;
    char dir[200];
    uint64_t seed = 5;
    forget();
    snprintf(dir, sizeof dir, "%s/%d", folder, jobs++);
    snprintf(b.parts_dir, sizeof b.parts_dir, "%s/parts", dir);
    snprintf(b.output, sizeof b.output, "%s/o.mkv", dir);
    CHECK(!mkdir(dir, 0700) && !mkdir(b.parts_dir, 0700));
    b.job = (struct reel_job){.kind = REEL_OUTPUT_VIDEO, .input = "", .output = b.output, .parts_dir = b.parts_dir};
    b.join = (struct sink_join){.job = &b.job, .tick = on_tick};
    b.ticks_left = INT32_MAX;
    reel_unfinished_path(&b.job, b.unfinished);
    reel_moved_path(&b.job, b.list);
    for (int i = 0; i < PARTS; i++) {
        reel_part_path(&b.job, (uint32_t)i, b.part[i]);
        CHECK(make_part(i, &seed));
    }
    room = 0;
    failing = NULL;
    told[0] = 0;
}

static void read_list(void)
{
    size_t n, at = 0;
    uint8_t *data = read_file(b.list, &n);
    for (b.n_lines = 0; b.n_lines < MOST_LINES && at + sizeof(struct line) <= n; b.n_lines++) {
        struct line *line = &b.lines[b.n_lines];
        memcpy(line, data + at, sizeof *line);
        b.list_at[b.n_lines] = at;
        at += sizeof *line + line->bytes;
    }
    free(data);
    CHECK_INT(at, n);
}

static bool put_packet(int fd, int number)
{
    uint8_t head[PACKET_HEAD];
    if (number < 0) return true;
    memset(head, number, sizeof head);
    return write(fd, head, sizeof head) == (ssize_t)sizeof head &&
           write(fd, b.whole[number / PACKETS] + b.packet_at[number], PACKET) == PACKET;
}

static enum reel_err join_part(struct moved *moved, int fd, int part)
{
    static struct reel_pack_record record;
    struct reel_pack_reader *reader = NULL;
    int number = part * PACKETS;
    enum reel_err err = reel_pack_open(b.part[part], &reader);
    while (!err && !check_now.failed && !(err = reel_pack_read(reader, &record))) {
        if (record.type != REEL_PACK_PACKET) continue;
        b.packet_at[number] = reel_pack_at(reader) - PACKET;
        if (!put_packet(fd, number++ - b.held)) err = REEL_ERR_FAULT;
        if (err || !moved_is_due(moved, PACKET)) continue;
        err = moved_step(moved, (uint32_t)part, reel_pack_at(reader));
        if (!err && b.after_step) b.after_step();
    }
    reel_pack_close(&reader);
    return err == REEL_EOF ? REEL_OK : err;
}

// Writes the output until the process dies, all packets being there; or until something fails.
static enum reel_err join(void)
{
    static const uint8_t header[HEADER];
    struct moved *moved = NULL;
    const int fd = open(b.unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    enum reel_err err = fd >= 0 && write(fd, header, HEADER) == HEADER ? REEL_OK : REEL_ERR_FAULT;
    if (!err) err = moved_begin(&b.join, b.unfinished, HEADER, b.bytes[0] + b.bytes[1], &moved);
    for (int i = 0; i < PARTS && !err; i++) err = join_part(moved, fd, i);
    const bool any = moved_any(moved);
    moved_end(&moved);
    if (fd >= 0) close(fd);
    read_list();
    return any == is_there(b.list) ? err : REEL_ERR_FAULT;
}

static enum reel_err restore(void)
{
    told[0] = 0;
    return moved_restore(&b.job, on_tick, NULL);
}

#define DO(call)                      \
    do {                              \
        call;                         \
        if (check_now.failed) return; \
    } while (0)

// A join that has moved all of the first part and some of the second.
static void moved_some(void)
{
    DO(begin());
    CHECK_INT(join(), REEL_OK);
    CHECK(b.n_lines > 6);
    CHECK_INT(b.lines[b.n_lines - 1].segment, 1);
}

// Whether a part is as it was written from `from` to `to`, and zeros behind it.
static bool holds(int part, uint64_t from, uint64_t to)
{
    size_t n;
    uint8_t *data = read_file(b.part[part], &n);
    bool same = data && n == b.bytes[part] && !memcmp(data + from, b.whole[part] + from, (size_t)(to - from));
    for (size_t i = (size_t)to; same && i < n; i++) same = !data[i];
    free(data);
    return same;
}

static bool is_whole(int part)
{
    return holds(part, 0, b.bytes[part]);
}

// Each byte is the part's own, or none (in a hole).
static bool has_no_wrong_bytes(int part)
{
    size_t n;
    uint8_t *data = read_file(b.part[part], &n);
    bool same = data && n == b.bytes[part];
    for (size_t i = 0; same && i < n; i++) same = !data[i] || data[i] == b.whole[part][i];
    free(data);
    return same;
}

static void check_all_back(void)
{
    for (int i = 0; i < PARTS; i++) CHECK_MSG(is_whole(i), "part %d has other bytes", i);
    CHECK(!is_there(b.list));
    CHECK(!is_there(b.unfinished));
}

#endif
