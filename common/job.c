// SPDX-License-Identifier: MIT
//
// The job table and the names in a parts folder. See job.h.
#include "common/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/shm.h"

#define MAGIC 0x53424f4au // "JOBS"

// Layout of the table: head, rows, then the strings they point to.
struct head {
    uint32_t magic, count;
    uint64_t bytes;
};

struct row {
    uint32_t kind, reserved;
    uint64_t input, output, parts_dir; // offsets from the start of the table
};

struct reel_jobs {
    const struct head *head;
    const struct row *rows;
    size_t bytes;
};

static uint64_t put_string(char *table, uint64_t *end, const char *s)
{
    uint64_t at = *end;
    size_t n = strlen(s) + 1;
    memcpy(table + at, s, n);
    *end += n;
    return at;
}

enum reel_err reel_jobs_publish(const struct reel_job *jobs, uint32_t n, int *out_fd)
{
    uint64_t bytes = sizeof(struct head) + n * sizeof(struct row);
    for (uint32_t i = 0; i < n; i++)
        bytes += strlen(jobs[i].input) + strlen(jobs[i].output) + strlen(jobs[i].parts_dir) + 3;
    char *table = calloc(1, bytes);
    if (!table) return reel_fail(REEL_ERR_NOMEM, "could not make the list of %u jobs: out of memory", n);
    *(struct head *)table = (struct head){MAGIC, n, bytes};
    struct row *rows = (struct row *)(table + sizeof(struct head));
    uint64_t end = sizeof(struct head) + n * sizeof(struct row);
    for (uint32_t i = 0; i < n; i++) {
        rows[i].kind = jobs[i].kind;
        rows[i].input = put_string(table, &end, jobs[i].input);
        rows[i].output = put_string(table, &end, jobs[i].output);
        rows[i].parts_dir = put_string(table, &end, jobs[i].parts_dir);
    }
    enum reel_err err = reel_shm_publish("reelmill-jobs", table, bytes, out_fd);
    free(table);
    return err;
}

enum reel_err reel_jobs_attach(int fd, struct reel_jobs **out_jobs)
{
    const void *data;
    size_t bytes;
    enum reel_err err = reel_shm_attach(fd, &data, &bytes);
    if (err) return err;
    const struct head *head = data;
    if (bytes < sizeof *head || head->magic != MAGIC || head->bytes != bytes ||
        head->count > (bytes - sizeof *head) / sizeof(struct row) || ((const char *)data)[bytes - 1])
        return reel_fail(REEL_ERR_PROTO, "could not attach the list of jobs: not a table of this build");
    struct reel_jobs *jobs = malloc(sizeof *jobs);
    if (!jobs) return reel_fail(REEL_ERR_NOMEM, "could not attach the list of jobs: out of memory");
    *jobs = (struct reel_jobs){head, (const struct row *)(head + 1), bytes};
    *out_jobs = jobs;
    return REEL_OK;
}

void reel_jobs_detach(struct reel_jobs **jobs)
{
    if (!*jobs) return;
    munmap((void *)(*jobs)->head, (*jobs)->bytes);
    free(*jobs);
    *jobs = NULL;
}

uint32_t reel_jobs_count(const struct reel_jobs *jobs)
{
    return jobs->head->count;
}

enum reel_err reel_jobs_get(const struct reel_jobs *jobs, uint32_t id, struct reel_job *out_job)
{
    if (id >= jobs->head->count) return reel_fail(REEL_ERR_PROTO, "there is no job %u", id);
    const struct row *row = &jobs->rows[id];
    const char *base = (const char *)jobs->head;
    if (row->input >= jobs->bytes || row->output >= jobs->bytes || row->parts_dir >= jobs->bytes)
        return reel_fail(REEL_ERR_PROTO, "job %u is damaged", id);
    *out_job = (struct reel_job){.id = id,
                                 .kind = (enum reel_output_kind)row->kind,
                                 .input = base + row->input,
                                 .output = base + row->output,
                                 .parts_dir = base + row->parts_dir};
    return REEL_OK;
}

// Whether the file's name has one "%d" or "%0Nd" and no other conversion.
static bool is_pattern(const char *s)
{
    const char *slash = strrchr(s, '/'), *p = strchr(slash ? slash : s, '%');
    if (!p) return false;
    p++;
    while (*p >= '0' && *p <= '9') p++;
    return *p == 'd' && !strchr(p, '%');
}

bool reel_is_stdout(const char *output)
{
    return output[0] == '-' && output[1] == '.';
}

bool reel_is_url(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return n && !strncmp(name + n, "://", 3);
}

// Whether it is an address that live video is sent to.
static bool is_stream(const char *url)
{
    static const char *const scheme[] = {"rtmp", "rtmps", "rtsp", "srt", "udp", "tcp", "rtp", "http", "https"};
    size_t n = strcspn(url, ":");
    for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++)
        if (strlen(scheme[i]) == n && !strncasecmp(url, scheme[i], n)) return true;
    return false;
}

const char *reel_container_of(const char *name, size_t n)
{
    static const char *const known[][2] = {
        {".mp4", "mp4"},   {".m4v", "mp4"},     {".mkv", "matroska"}, {".mov", "mov"}, {".webm", "webm"},
        {".ts", "mpegts"}, {".m2ts", "mpegts"}, {".mts", "mpegts"},   {".nut", "nut"}, {".avi", "avi"},
        {".flv", "flv"},   {".mpg", "vob"},     {".mpeg", "vob"},     {".gif", "gif"}, {".y4m", "yuv4mpegpipe"}};
    size_t dot = n;
    while (dot && name[dot - 1] != '.' && name[dot - 1] != '/') dot--;
    if (!dot || name[dot - 1] == '/') return NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i][0]) == n - dot + 1 && !strncasecmp(name + dot - 1, known[i][0], n - dot + 1))
            return known[i][1];
    return NULL;
}

bool reel_output_kind_of(const char *output, enum reel_output_kind *out_kind, const char **out_why)
{
    static const char *const image[] = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp",
                                        ".exr", ".dpx", ".ppm",  ".pgm", ".webp"};
    *out_why =
        "supported are .mp4 .mkv .mov .webm .ts .m2ts .avi .mpg .flv .nut .gif .y4m, an image pattern like "
        "frames/%06d.png (also .jpg .tif .exr .dpx .ppm .webp .bmp, and .flo for motion), .jsonl, .md5 and null:";
    if (!strcmp(output, "null:") || !strcmp(output, "null")) return *out_kind = REEL_OUTPUT_NULL, true;
    if (reel_is_url(output)) {
        *out_why = "live video can be sent to rtmp:// rtmps:// rtsp:// srt:// udp:// tcp:// rtp:// http:// https://";
        return *out_kind = REEL_OUTPUT_STREAM, is_stream(output);
    }
    const char *dot = strrchr(output, '.');
    if (!dot || strchr(dot, '/')) return false;
    if (reel_container_of(output, strlen(output))) return *out_kind = REEL_OUTPUT_VIDEO, true;
    if (!strcasecmp(dot, ".jsonl")) return *out_kind = REEL_OUTPUT_JSONL, true;
    if (!strcasecmp(dot, ".md5")) return *out_kind = REEL_OUTPUT_MD5, true;
    if (!strcasecmp(dot, ".flo")) {
        *out_why = "motion is written in a file for each frame: name a pattern with its number, like motion/%06d.flo";
        return *out_kind = REEL_OUTPUT_FLO, is_pattern(output);
    }
    for (size_t i = 0; i < sizeof image / sizeof *image; i++) {
        if (strcasecmp(dot, image[i])) continue;
        *out_why = "the name of images takes one %d, for the frame's number, like frames/%06d.png";
        const char *slash = strrchr(output, '/'); // without a number: of a single picture
        return *out_kind = REEL_OUTPUT_IMAGES, is_pattern(output) || !strchr(slash ? slash : output, '%');
    }
    return false;
}

bool reel_is_numbered(enum reel_output_kind kind)
{
    return kind == REEL_OUTPUT_IMAGES || kind == REEL_OUTPUT_FLO;
}

const char *reel_part_path(const struct reel_job *job, uint32_t segment, char *buf)
{
    snprintf(buf, REEL_PATH_BYTES, "%s/segment-%06u.part", job->parts_dir, segment);
    return buf;
}

const char *reel_copy_part_path(const struct reel_job *job, char *buf)
{
    snprintf(buf, REEL_PATH_BYTES, "%s/copy.part", job->parts_dir);
    return buf;
}

const char *reel_live_copy_path(const struct reel_job *job, uint32_t attempt, char *buf)
{
    snprintf(buf, REEL_PATH_BYTES, "%s/copy.part.%u", job->parts_dir, attempt);
    return buf;
}

const char *reel_live_state_path(const struct reel_job *job, char *buf)
{
    snprintf(buf, REEL_PATH_BYTES, "%s/live", job->parts_dir);
    return buf;
}

const char *reel_live_file_path(const struct reel_job *job, uint32_t file, char *buf)
{
    const char *name = strrchr(job->output, '/'), *dot = strrchr(name ? name : job->output, '.');
    if (file < 2 || !dot)
        snprintf(buf, REEL_PATH_BYTES, "%s", job->output);
    else
        snprintf(buf, REEL_PATH_BYTES, "%.*s.%u%s", (int)(dot - job->output), job->output, file, dot);
    return buf;
}

const char *reel_journal_path(const struct reel_job *job, char *buf)
{
    snprintf(buf, REEL_PATH_BYTES, "%s/journal", job->parts_dir);
    return buf;
}

const char *reel_unfinished_path(const struct reel_job *job, char *buf)
{
    snprintf(buf, REEL_PATH_BYTES, "%s/output.tmp", job->parts_dir);
    return buf;
}

const char *reel_moved_path(const struct reel_job *job, char *buf)
{
    snprintf(buf, REEL_PATH_BYTES, "%s/moved", job->parts_dir);
    return buf;
}
