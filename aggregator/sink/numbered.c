// SPDX-License-Identifier: MIT
//
// Numbered files. See numbered.h. Each move of a join is repeatable: a file that is not in
// the part any more is in the output already. Of a live job each goes there at once,
// written in the parts folder and renamed, so that no half of one is ever seen.
#include "aggregator/sink/numbered.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregator/live/live.h"
#include "common/life.h"

#define ITEM_BYTES (REEL_PATH_BYTES + 64)

// ---- folders ----------------------------------------------------------------

static enum reel_err sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not open folder \"%s\": %s", path, strerror(errno));
    // One call for all files inside; its failure is final as fsync's is.
    int rc = syncfs(fd), error = errno;
    close(fd);
    return rc ? sink_write_failed(path, error) : REEL_OK;
}

static const char *item_path(const char *folder, uint32_t k, const char *ending, char *buf)
{
    snprintf(buf, ITEM_BYTES, "%s/%u%s", folder, k, ending);
    return buf;
}

static enum reel_err write_file(const char *path, const void *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return reel_fail(REEL_ERR_IO, "could not create file \"%s\": %s", path, strerror(errno));
    const char *at = data;
    int error = 0;
    while (n && !error) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno != EINTR) error = errno;
        if (done > 0) at += done, n -= (size_t)done;
    }
    if (close(fd) && !error) error = errno;
    return error ? sink_write_failed(path, error) : REEL_OK;
}

// ---- names in the output -----------------------------------------------------

// The output's name of frame n: one %d or %0Nd, read by hand. Without it there is frame 0 alone.
static enum reel_err expand(const char *pattern, uint64_t n, char *buf, size_t bytes)
{
    const char *name = strrchr(pattern, '/'), *at = strchr(name ? name : pattern, '%');
    const char *end = at;
    unsigned width = 0;
    if (at)
        for (end = at + 1; *end >= '0' && *end <= '9' && width < 100; end++)
            width = width * 10 + (unsigned)(*end - '0');
    if (!at && !n) return snprintf(buf, bytes, "%s", pattern), REEL_OK;
    if (!at || *end != 'd' || width > 20)
        return reel_fail(REEL_ERR_CONFIG, "could not name files after \"%s\": use one %%d, like frames/%%06d.png",
                         pattern);
    bool zeros = at[1] == '0';
    int len = snprintf(buf, bytes, zeros ? "%.*s%0*llu%s" : "%.*s%*llu%s", (int)(at - pattern), pattern, (int)width,
                       (unsigned long long)n, end + 1);
    return len < 0 || (size_t)len >= bytes ? reel_fail(REEL_ERR_LIMIT, "could not name files: the path is too long")
                                           : REEL_OK;
}

// Makes the output's folder and those above it.
static enum reel_err make_folders(const char *file, char *out_folder)
{
    snprintf(out_folder, REEL_PATH_BYTES, "%s", file);
    char *last = strrchr(out_folder, '/');
    if (!last) return snprintf(out_folder, REEL_PATH_BYTES, "."), REEL_OK;
    *last = 0;
    if (last == out_folder) return snprintf(out_folder, REEL_PATH_BYTES, "/"), REEL_OK;
    for (char *p = out_folder + 1;; p++) {
        if (*p && *p != '/') continue;
        char was = *p;
        *p = 0;
        unsigned mode = sink_output_mode();
        int rc = mkdir(out_folder, 0700), error = errno;
        if (!rc) chmod(out_folder, mode | (mode & 0444) >> 2);
        *p = was;
        if (rc && error != EEXIST)
            return reel_fail(REEL_ERR_IO, "could not create folder \"%s\": %s", out_folder, strerror(error));
        if (!was) return REEL_OK;
    }
}

// ---- a segment --------------------------------------------------------------

static void set_ending(const char *output, char *buf, size_t bytes)
{
    const char *dot = strrchr(output, '.');
    snprintf(buf, bytes, "%s", dot ? dot : "");
}

static enum reel_err begin_part(struct numbered *s, const struct sink_params *params)
{
    char temporary[REEL_PATH_BYTES];
    reel_part_path(&params->plan->job, params->segment, s->path);
    reel_part_begin(s->path, temporary);
    reel_remove_tree(temporary); // of a dead process of this number
    if (mkdir(temporary, 0700))
        return reel_fail(REEL_ERR_IO, "could not create folder \"%s\": %s", temporary, strerror(errno));
    snprintf(s->temporary, sizeof s->temporary, "%s", temporary);
    return REEL_OK;
}

// Behind the files that are there.
static enum reel_err begin_live(struct numbered *s, const struct sink_params *params)
{
    bool append;
    char path[REEL_PATH_BYTES];
    s->live = true;
    s->first = live_frames(params->live);
    s->pattern = params->plan->job.output;
    enum reel_err err = live_file(params->live, true, path, &append); // that a life has begun
    if (!err) err = make_folders(s->pattern, path);
    snprintf(s->temporary, sizeof s->temporary, "%s/item.tmp", params->plan->job.parts_dir);
    return err;
}

enum reel_err numbered_begin(struct numbered *s, const struct sink_params *params)
{
    *s = (struct numbered){0};
    reel_sha256_init(&s->sha);
    set_ending(params->plan->job.output, s->ending, sizeof s->ending);
    return params->live ? begin_live(s, params) : begin_part(s, params);
}

static enum reel_err publish(const struct numbered *s, const void *data, size_t n)
{
    char path[REEL_PATH_BYTES];
    enum reel_err err = expand(s->pattern, s->first + s->written, path, sizeof path);
    if (!err) err = write_file(s->temporary, data, n);
    if (err) return err;
    chmod(s->temporary, sink_output_mode());
    return rename(s->temporary, path)
               ? reel_fail(REEL_ERR_IO, "could not create file \"%s\": %s", path, strerror(errno))
               : REEL_OK;
}

enum reel_err numbered_put(struct numbered *s, const void *data, size_t n)
{
    char path[ITEM_BYTES];
    const enum reel_err err =
        s->live ? publish(s, data, n) : write_file(item_path(s->temporary, s->written, s->ending, path), data, n);
    reel_sha256_update(&s->sha, data, n);
    s->bytes += n;
    s->written++;
    return err;
}

static enum reel_err commit_folder(struct numbered *s)
{
    char count[32], path[ITEM_BYTES], parent[REEL_PATH_BYTES];
    int n = snprintf(count, sizeof count, "%u\n", s->written);
    snprintf(path, sizeof path, "%s/frames", s->temporary);
    enum reel_err err = write_file(path, count, (size_t)n);
    if (!err) err = sync_folder(s->temporary);
    if (err) return err;
    reel_remove_tree(s->path); // an earlier commit whose journal line was lost
    if (rename(s->temporary, s->path))
        return reel_fail(REEL_ERR_IO, "could not rename folder \"%s\": %s", s->temporary, strerror(errno));
    *s->temporary = 0;
    snprintf(parent, sizeof parent, "%s", s->path);
    return sync_folder(dirname(parent));
}

enum reel_err numbered_commit(struct numbered *s, struct sink_done *out)
{
    reel_crash_point("aggregator.before_commit");
    enum reel_err err = s->live ? REEL_OK : commit_folder(s);
    if (err) return err;
    *out = (struct sink_done){.frames = s->written, .bytes = s->bytes};
    reel_sha256_final(&s->sha, out->sha256);
    return REEL_OK;
}

void numbered_abandon(struct numbered *s)
{
    if (*s->temporary) reel_remove_tree(s->temporary);
    *s->temporary = 0;
}

// ---- parts of earlier runs ----------------------------------------------------

static enum reel_err read_count(const char *folder, uint32_t *out_n)
{
    char path[ITEM_BYTES];
    snprintf(path, sizeof path, "%s/frames", folder);
    FILE *f = fopen(path, "re");
    if (!f) return reel_fail(REEL_ERR_IO, "could not open part \"%s\": %s", path, strerror(errno));
    bool ok = fscanf(f, "%u", out_n) == 1;
    fclose(f);
    return ok ? REEL_OK : reel_fail(REEL_ERR_INPUT, "could not read part \"%s\": it holds no number", path);
}

bool numbered_verify(const struct sink_check *check)
{
    const struct reel_job *job = check->job;
    const struct reel_rec_verify *want = check->want;
    char folder[REEL_PATH_BYTES], path[ITEM_BYTES], ending[16];
    uint32_t n;
    if (read_count(reel_part_path(job, want->segment, folder), &n) || n != want->frames) return false;
    set_ending(job->output, ending, sizeof ending);
    struct reel_sha256 sha;
    reel_sha256_init(&sha);
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < n; k++)
        if (!sink_hash_file(check, item_path(folder, k, ending, path), &sha, &bytes)) return false;
    uint8_t hash[32];
    reel_sha256_final(&sha, hash);
    return bytes == want->bytes && !memcmp(hash, want->sha256, sizeof hash);
}

// ---- join -------------------------------------------------------------------

static enum reel_err move_item(const char *from, const char *to, unsigned mode, uint64_t *bytes)
{
    if (rename(from, to)) {
        int error = errno;
        if (error != ENOENT || access(to, F_OK)) // else an interrupted join has moved it
            return reel_fail(REEL_ERR_IO, "could not move file \"%s\" to \"%s\": %s", from, to, strerror(error));
    }
    chmod(to, mode);
    struct stat st;
    if (!stat(to, &st)) *bytes += (uint64_t)st.st_size;
    return REEL_OK;
}

static enum reel_err move_segment(const struct sink_join *join, uint32_t segment, struct reel_rec_muxed *out)
{
    char folder[REEL_PATH_BYTES], from[ITEM_BYTES], to[REEL_PATH_BYTES], ending[16];
    uint32_t n;
    enum reel_err err = read_count(reel_part_path(join->job, segment, folder), &n);
    set_ending(join->job->output, ending, sizeof ending);
    unsigned mode = sink_output_mode();
    for (uint32_t k = 0; !err && k < n; k++) {
        err = expand(join->job->output, out->frames, to, sizeof to);
        if (!err) err = move_item(item_path(folder, k, ending, from), to, mode, &out->bytes);
        out->frames++;
        reel_crash_point("aggregator.mid_mux");
        if (!err && !join->tick(join->ctx, 0)) err = REEL_GONE;
    }
    return err;
}

// How many there will be is known before anything is moved.
static enum reel_err check_counts(const struct sink_join *join)
{
    uint64_t frames = 0;
    for (uint32_t i = 0; i < join->mux->segments; i++) {
        char folder[REEL_PATH_BYTES];
        uint32_t n;
        enum reel_err err = read_count(reel_part_path(join->job, i, folder), &n);
        if (err) return err;
        frames += n;
    }
    if (frames == join->mux->frames) return REEL_OK;
    return reel_fail(REEL_ERR_INPUT, "could not join \"%s\": the parts have %llu frames of %llu", join->job->output,
                     (unsigned long long)frames, (unsigned long long)join->mux->frames);
}

enum reel_err numbered_join(const struct sink_join *join, struct reel_rec_muxed *out)
{
    *out = (struct reel_rec_muxed){.job = join->job->id, .kept = join->mux->kept};
    char folder[REEL_PATH_BYTES];
    enum reel_err err = check_counts(join);
    if (!err) err = make_folders(join->job->output, folder);
    for (uint32_t i = 0; !err && i < join->mux->segments; i++) err = move_segment(join, i, out);
    return err ? err : sync_folder(folder);
}
