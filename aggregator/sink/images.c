// SPDX-License-Identifier: MIT
//
// Image files. A segment's part is a folder of 0.png, 1.png, ... and a file
// "frames" with their number; the join moves them to their names in the
// output, counted over the whole job. Each move is repeatable: a file that is
// not in the part any more is in the output already. Of a live job each goes there at
// once, written in the parts folder and renamed, so that no half of one is ever seen.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregator/live/live.h"
#include "aggregator/sink/sink.h"
#include "common/life.h"

#define ITEM_BYTES (REEL_PATH_BYTES + 64)

struct images {
    struct sink base;
    struct encoder *encoder;
    AVPacket *packet;
    struct reel_sha256 sha;
    uint64_t bytes;
    uint32_t sent, written;
    bool live;
    uint64_t first;      // live: number of the first image
    const char *pattern; // of the output
    char ending[16];     // ".png"
    char path[REEL_PATH_BYTES], temporary[REEL_PATH_BYTES];
};

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

// The output's name of frame n: one %d or %0Nd, read by hand.
static enum reel_err expand(const char *pattern, uint64_t n, char *buf, size_t bytes)
{
    const char *name = strrchr(pattern, '/'), *at = strchr(name ? name : pattern, '%');
    const char *end = at;
    unsigned width = 0;
    if (at)
        for (end = at + 1; *end >= '0' && *end <= '9' && width < 100; end++)
            width = width * 10 + (unsigned)(*end - '0');
    if (!at || *end != 'd' || width > 20)
        return reel_fail(REEL_ERR_CONFIG, "could not name images after \"%s\": use one %%d, like frames/%%06d.png",
                         pattern);
    bool zeros = at[1] == '0';
    int len = snprintf(buf, bytes, zeros ? "%.*s%0*llu%s" : "%.*s%*llu%s", (int)(at - pattern), pattern, (int)width,
                       (unsigned long long)n, end + 1);
    return len < 0 || (size_t)len >= bytes ? reel_fail(REEL_ERR_LIMIT, "could not name images: the path is too long")
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

static void images_close(struct images *s)
{
    encode_close(&s->encoder);
    av_packet_free(&s->packet);
    free(s);
}

static void images_abandon(struct sink *sink)
{
    struct images *s = (struct images *)sink;
    if (*s->temporary) reel_remove_tree(s->temporary);
    images_close(s);
}

static void set_ending(const char *output, char *buf, size_t bytes)
{
    const char *dot = strrchr(output, '.');
    snprintf(buf, bytes, "%s", dot ? dot : "");
}

static enum reel_err begin_part(struct images *s, const struct sink_params *params)
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

// Behind the images that are there.
static enum reel_err begin_live(struct images *s, const struct sink_params *params)
{
    bool append;
    char path[REEL_PATH_BYTES];
    s->live = true;
    s->first = live_frames(params->live);
    s->pattern = params->plan->job.output;
    enum reel_err err = live_file(params->live, true, path, &append); // that a life has begun
    if (!err) err = make_folders(s->pattern, path);
    snprintf(s->temporary, sizeof s->temporary, "%s/image.tmp", params->plan->job.parts_dir);
    return err;
}

static enum reel_err images_open(const struct sink_params *params, struct sink **out_sink)
{
    struct images *s = calloc(1, sizeof *s);
    struct encoder *encoder = params->encoder;
    if (!s) {
        encode_close(&encoder);
        return reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    }
    *s = (struct images){.base = {&sink_images}, .encoder = encoder, .packet = av_packet_alloc()};
    reel_sha256_init(&s->sha);
    set_ending(params->plan->job.output, s->ending, sizeof s->ending);
    enum reel_err err = s->packet ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not open a part: out of memory");
    if (!err) err = params->live ? begin_live(s, params) : begin_part(s, params);
    if (err)
        images_close(s);
    else
        *out_sink = &s->base;
    return err;
}

static enum reel_err publish(struct images *s)
{
    char path[REEL_PATH_BYTES];
    enum reel_err err = expand(s->pattern, s->first + s->written, path, sizeof path);
    if (!err) err = write_file(s->temporary, s->packet->data, (size_t)s->packet->size);
    if (err) return err;
    chmod(s->temporary, sink_output_mode());
    return rename(s->temporary, path)
               ? reel_fail(REEL_ERR_IO, "could not create image \"%s\": %s", path, strerror(errno))
               : REEL_OK;
}

static enum reel_err drive(struct images *s, const AVFrame *picture)
{
    enum reel_err err = encode_send(s->encoder, picture);
    while (!err && !(err = encode_receive(s->encoder, s->packet))) {
        char path[ITEM_BYTES];
        err = s->live ? publish(s)
                      : write_file(item_path(s->temporary, s->written, s->ending, path), s->packet->data,
                                   (size_t)s->packet->size);
        reel_sha256_update(&s->sha, s->packet->data, (size_t)s->packet->size);
        s->bytes += (uint64_t)s->packet->size;
        s->written++;
        av_packet_unref(s->packet);
    }
    return err == REEL_AGAIN || err == REEL_EOF ? REEL_OK : err;
}

static enum reel_err images_put(struct sink *sink, const struct sink_frame *frame)
{
    struct images *s = (struct images *)sink;
    s->sent++;
    return drive(s, frame->picture);
}

static enum reel_err commit_folder(struct images *s)
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

static enum reel_err images_finish(struct sink *sink, struct sink_done *out)
{
    struct images *s = (struct images *)sink;
    enum reel_err err = drive(s, NULL);
    if (!err && s->written != s->sent)
        err =
            reel_fail(REEL_ERR_FAULT, "could not encode: %u pictures went in, %u images came out", s->sent, s->written);
    encode_close(&s->encoder);
    reel_crash_point("aggregator.before_commit");
    if (!err && !s->live) err = commit_folder(s);
    if (!err) {
        *out = (struct sink_done){.frames = s->written, .bytes = s->bytes};
        reel_sha256_final(&s->sha, out->sha256);
    }
    images_abandon(sink);
    return err;
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

static bool images_verify(const struct sink_check *check)
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
            return reel_fail(REEL_ERR_IO, "could not move image \"%s\" to \"%s\": %s", from, to, strerror(error));
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

static enum reel_err images_join(const struct sink_join *join, struct reel_rec_muxed *out)
{
    *out = (struct reel_rec_muxed){.job = join->job->id, .kept = join->mux->kept};
    char folder[REEL_PATH_BYTES];
    enum reel_err err = check_counts(join);
    if (!err) err = make_folders(join->job->output, folder);
    for (uint32_t i = 0; !err && i < join->mux->segments; i++) err = move_segment(join, i, out);
    return err ? err : sync_folder(folder);
}

const struct sink_ops sink_images = {
    .name = "images",
    .open = images_open,
    .put = images_put,
    .finish = images_finish,
    .abandon = images_abandon,
    .verify = images_verify,
    .join = images_join,
};
