// SPDX-License-Identifier: MIT
//
// The list of sinks, and what several of them need. See sink.h.
#include "aggregator/sink/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregator/live/live.h"
#include "aggregator/sink/output.h"
#include "common/life.h"

#define MOST_FILES 1000 // that are looked at for a free name

const struct sink_ops *sink_of(enum reel_output_kind kind)
{
    switch (kind) {
    case REEL_OUTPUT_VIDEO:
        return &sink_video;
    case REEL_OUTPUT_STREAM:
        return &sink_stream;
    case REEL_OUTPUT_IMAGES:
        return &sink_images;
    case REEL_OUTPUT_FLO:
        return &sink_flo;
    case REEL_OUTPUT_JSONL:
        return &sink_jsonl;
    case REEL_OUTPUT_MD5:
        return &sink_md5;
    case REEL_OUTPUT_NULL:
        break;
    }
    return &sink_null;
}

enum reel_err sink_open(const struct sink_params *params, struct sink **out_sink)
{
    return sink_of(params->plan->job.kind)->open(params, out_sink);
}

bool sink_ready(struct sink *sink)
{
    return !sink->ops->ready || sink->ops->ready(sink);
}

enum reel_err sink_put(struct sink *sink, const struct sink_frame *frame)
{
    return sink->ops->put(sink, frame);
}

enum reel_err sink_finish(struct sink **sink, struct sink_done *out_done)
{
    struct sink *s = *sink;
    *sink = NULL;
    return s->ops->finish(s, out_done);
}

void sink_abandon(struct sink **sink)
{
    if (*sink) (*sink)->ops->abandon(*sink);
    *sink = NULL;
}

// ---- files --------------------------------------------------------------------

bool sink_hash_file(const struct sink_check *check, const char *path, struct reel_sha256 *sha, uint64_t *bytes)
{
    FILE *f = fopen(path, "re");
    if (!f) return false;
    uint8_t block[65536];
    size_t n;
    bool go_on = true;
    while (go_on && (n = fread(block, 1, sizeof block, f)) > 0) {
        reel_sha256_update(sha, block, n);
        *bytes += n;
        go_on = check->tick(check->ctx, 0);
    }
    bool ok = go_on && !ferror(f);
    fclose(f);
    return ok;
}

static bool file_matches(const struct sink_check *check, const char *path)
{
    struct stat st;
    if (stat(path, &st) || (uint64_t)st.st_size != check->want->bytes) return false;
    struct reel_sha256 sha;
    reel_sha256_init(&sha);
    uint64_t bytes = 0;
    uint8_t hash[32];
    if (!sink_hash_file(check, path, &sha, &bytes) || bytes != check->want->bytes) return false;
    reel_sha256_final(&sha, hash);
    return !memcmp(hash, check->want->sha256, sizeof hash);
}

bool sink_verify_file(const struct sink_check *check)
{
    char path[REEL_PATH_BYTES];
    return file_matches(check, reel_part_path(check->job, check->want->segment, path));
}

bool sink_verify_copy(const struct sink_check *check)
{
    char path[REEL_PATH_BYTES];
    return file_matches(check, reel_copy_part_path(check->job, path));
}

unsigned sink_output_mode(void)
{
    // The parent runs with the user's own umask.
    char path[64], line[256];
    unsigned mask = 022;
    snprintf(path, sizeof path, "/proc/%d/status", (int)getppid());
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Umask: %o", &mask) == 1) break;
    if (f) fclose(f);
    return 0666 & ~mask;
}

enum reel_err sink_write_failed(const char *path, int error)
{
    if (reel_is_stdout(path))
        return reel_fail(REEL_ERR_IO, "could not write to standard output: %s",
                         error == EPIPE ? "its reader has ended" : strerror(error));
    return reel_fail(REEL_ERR_IO, "could not write file \"%s\": %s%s", path, strerror(error),
                     error == ENOSPC || error == EDQUOT
                         ? "\nfree some space and run the same command again: finished parts of a file are kept"
                         : "");
}

void sink_put_hdr(const struct reel_media *m, struct sink_hdr *hdr, struct reel_pack_stream *s)
{
    hdr->light = (AVContentLightMetadata){.MaxCLL = m->max_cll, .MaxFALL = m->max_fall};
    if (m->flags & REEL_MEDIA_HAS_MASTERING && m->mastering_bytes <= sizeof m->mastering)
        s->side[s->n_side++] =
            (struct reel_pack_side){AV_PKT_DATA_MASTERING_DISPLAY_METADATA, m->mastering_bytes, m->mastering};
    if (m->flags & REEL_MEDIA_HAS_LIGHT_LEVEL)
        s->side[s->n_side++] =
            (struct reel_pack_side){AV_PKT_DATA_CONTENT_LIGHT_LEVEL, sizeof hdr->light, (const uint8_t *)&hdr->light};
}

enum reel_err sink_publish(const struct sink_join *join, const char *temporary, uint32_t *out_file)
{
    char path[REEL_PATH_BYTES];
    int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not open file \"%s\": %s", temporary, strerror(errno));
    fchmod(fd, sink_output_mode()); // a file system without modes has none to set
    uint32_t file = 1;
    enum reel_err err = join->mux->replace ? reel_commit_file(fd, temporary, join->job->output)
                                           : reel_commit_new_file(fd, temporary, join->job->output);
    while (err == REEL_AGAIN && ++file < MOST_FILES)
        err = reel_commit_new_file(fd, temporary, reel_live_file_path(join->job, file, path));
    close(fd);
    if (err == REEL_AGAIN)
        return reel_fail(REEL_ERR_IO, "could not write file \"%s\": it exists, as do those numbered up to %u",
                         join->job->output, file);
    *out_file = file > 1 ? file : 0;
    reel_crash_point("aggregator.published");
    return err;
}

void sink_unpublish(const struct reel_job *job)
{
    char path[REEL_PATH_BYTES];
    if (reel_is_same_file(reel_unfinished_path(job, path), job->output)) unlink(job->output);
}

// ---- text ---------------------------------------------------------------------

static enum reel_err open_text(struct sink_text *t)
{
    reel_sha256_init(&t->sha);
    t->file = fopen(t->temporary, "we");
    if (!t->file) return reel_fail(REEL_ERR_IO, "could not create file \"%s\": %s", t->temporary, strerror(errno));
    return REEL_OK;
}

// Where the last whole line of a file ends; a process that died may have left a part
// of one behind it.
static off_t end_of_lines(FILE *f, off_t size)
{
    char block[4096];
    while (size > 0) {
        off_t from = size > (off_t)sizeof block ? size - (off_t)sizeof block : 0;
        ssize_t n = pread(fileno(f), block, (size_t)(size - from), from);
        const char *end = n > 0 ? memrchr(block, '\n', (size_t)n) : NULL;
        if (n <= 0 || end) return end ? from + (end + 1 - block) : size;
        size = from;
    }
    return 0;
}

static enum reel_err open_live_text(struct sink_text *t, struct live *live)
{
    bool append;
    enum reel_err err = live_file(live, true, t->path, &append);
    if (err) return err;
    if (reel_is_stdout(t->path)) {
        int fd = fcntl(output_fd(), F_DUPFD_CLOEXEC, 3);
        t->file = fd < 0 ? NULL : fdopen(fd, "w");
        return t->file ? REEL_OK : reel_fail(REEL_ERR_IO, "could not use standard output: %s", strerror(errno));
    }
    t->file = fopen(t->path, append ? "r+e" : "we");
    if (!t->file && append && errno == ENOENT) t->file = fopen(t->path, "we");
    struct stat st;
    if (!t->file || fstat(fileno(t->file), &st))
        return reel_fail(REEL_ERR_IO, "could not create file \"%s\": %s", t->path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return REEL_OK;
    fchmod(fileno(t->file), sink_output_mode());
    t->bytes = (uint64_t)end_of_lines(t->file, st.st_size);
    if (ftruncate(fileno(t->file), (off_t)t->bytes) || fseeko(t->file, (off_t)t->bytes, SEEK_SET))
        return sink_write_failed(t->path, errno);
    return REEL_OK;
}

enum reel_err sink_text_begin(struct sink_text *t, const struct sink_params *params)
{
    *t = (struct sink_text){.live = params->live != NULL};
    if (t->live) return open_live_text(t, params->live);
    reel_part_path(&params->plan->job, params->segment, t->path);
    reel_part_begin(t->path, t->temporary);
    return open_text(t);
}

bool sink_text_is_new(const struct sink_text *t)
{
    return t->bytes == 0;
}

enum reel_err sink_text_write(struct sink_text *t, const char *data, size_t n)
{
    if (t->to) {
        enum reel_err err = output_write(t->to, data, n);
        if (!err) t->bytes += n;
        return err;
    }
    if (n && fwrite(data, 1, n, t->file) != n) return sink_write_failed(t->path, errno);
    if (t->live && fflush(t->file)) return sink_write_failed(t->path, errno);
    if (!t->live) reel_sha256_update(&t->sha, data, n);
    t->bytes += n;
    return REEL_OK;
}

enum reel_err sink_text_commit(struct sink_text *t, struct sink_done *out_done)
{
    enum reel_err err = fflush(t->file) ? sink_write_failed(t->path, errno) : REEL_OK;
    if (!err && t->live && fsync(fileno(t->file)) && errno != EINVAL) // a pipe has no disk
        err = sink_write_failed(t->path, errno);
    if (!err && !t->live) err = reel_commit_file(fileno(t->file), t->temporary, t->path);
    if (!err) {
        out_done->bytes = t->bytes;
        if (!t->live) reel_sha256_final(&t->sha, out_done->sha256);
    }
    sink_text_abandon(t);
    return err;
}

void sink_text_abandon(struct sink_text *t)
{
    if (!t->file) return;
    fclose(t->file);
    if (!t->live) unlink(t->temporary); // after a commit there is none
    t->file = NULL;
}

static enum reel_err append_part(const struct sink_join *join, uint32_t segment, sink_append_line *append,
                                 struct sink_text *out, uint64_t *frames)
{
    char path[REEL_PATH_BYTES], *line = NULL;
    enum reel_err waited = out->to ? output_wait_part(join, segment) : REEL_OK;
    if (waited) return waited;
    FILE *f = fopen(reel_part_path(join->job, segment, path), "re");
    if (!f) return reel_fail(REEL_ERR_IO, "could not open part \"%s\": %s", path, strerror(errno));
    size_t room = 0;
    ssize_t n;
    enum reel_err err = REEL_OK;
    while (!err && (n = getline(&line, &room, f)) > 0) err = append(out, segment, line, (size_t)n, frames);
    if (err == REEL_ERR_INPUT) err = reel_fail(err, "could not read part \"%s\": %s", path, reel_fail_text());
    free(line);
    fclose(f);
    if (!err && out->to) output_drop_part(join, segment);
    if (!err && !join->tick(join->ctx, 0)) err = REEL_GONE;
    return err;
}

enum reel_err sink_text_join(const struct sink_join *join, sink_append_line *append, struct reel_rec_muxed *out)
{
    const bool streams = reel_is_stdout(join->job->output);
    struct sink_text text = {.to = streams ? join : NULL};
    snprintf(text.path, sizeof text.path, "%s", join->job->output);
    reel_unfinished_path(join->job, text.temporary);
    if (!streams) sink_unpublish(join->job);
    enum reel_err err = streams ? REEL_OK : open_text(&text);
    *out = (struct reel_rec_muxed){.job = join->job->id, .kept = join->mux->kept};
    for (uint32_t i = 0; !err && i < join->mux->segments; i++) err = append_part(join, i, append, &text, &out->frames);
    if (streams) {
        out->bytes = text.bytes;
        return err;
    }
    if (!err && out->frames != join->mux->frames)
        err = reel_fail(REEL_ERR_INPUT, "could not join \"%s\": the parts have %llu frames of %llu", join->job->output,
                        (unsigned long long)out->frames, (unsigned long long)join->mux->frames);
    if (!err && fflush(text.file)) err = sink_write_failed(join->job->output, errno);
    if (!err) err = sink_publish(join, text.temporary, &out->file);
    out->bytes = text.bytes;
    if (err)
        sink_text_abandon(&text);
    else
        fclose(text.file);
    return err;
}
