// SPDX-License-Identifier: MIT
//
// What an earlier run left of a job. See resume.h.
#include "coordinator/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/files.h"
#include "common/hash.h"
#include "common/life.h"
#include "common/log.h"

static bool is_file(const char *path)
{
    return !access(path, F_OK);
}

// ---- lock -----------------------------------------------------------------------

// Writes the holder and the path of its run's lock, which its children hold too, into the lock
// file: the parts are free when both locks are.
static void write_holder(const struct run *run, int fd)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%d %s\n", (int)getpid(), run->dir.lock_path);
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n) reel_warn("jobs", "could not write a lock file: %m");
}

void resume_hold_again(const struct run *run)
{
    for (uint32_t i = 0; i < run->n_jobs; i++)
        if (run->jobs[i].lock_fd >= 0 && !run->jobs[i].holder[0]) write_holder(run, run->jobs[i].lock_fd);
}

static void read_holder(int fd, int *out_pid, char *out_path, size_t bytes)
{
    char text[512] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    *out_pid = atoi(text);
    const char *space = strchr(text, ' ');
    snprintf(out_path, bytes, "%.*s", space ? (int)strcspn(space + 1, "\n") : 0, space ? space + 1 : "");
}

enum reel_err resume_lock(struct run *run, struct job *job)
{
    char path[REEL_PATH_BYTES];
    snprintf(path, sizeof path, "%s/lock", job->spec->parts_dir);
    if (job->lock_fd < 0) {
        enum reel_err err = inputs_make_folders(job->spec);
        if (err) return err;
        job->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (job->lock_fd < 0) return reel_fail(REEL_ERR_IO, "could not open lock \"%s\": %s", path, strerror(errno));
    }
    int pid;
    char run_lock[300];
    // Some network file systems have no locks (ENOSYS, ENOLCK); the run's own lock below still counts.
    bool held = flock(job->lock_fd, LOCK_EX | LOCK_NB) && (errno == EWOULDBLOCK || errno == EINTR);
    read_holder(job->lock_fd, &pid, run_lock, sizeof run_lock);
    // The lock itself is free; the children of its last holder may still be there. (On another
    // machine that path does not exist.)
    if (!held && run_lock[0] && strcmp(run_lock, run->dir.lock_path))
        held = rundir_wait_free(run_lock, 0) == REEL_AGAIN;
    if (held) {
        snprintf(job->holder, sizeof job->holder, "process %d", pid);
        return REEL_AGAIN;
    }
    // The holder may have finished and removed the folder while we waited.
    struct stat a, b;
    if (fstat(job->lock_fd, &a) || stat(path, &b) || a.st_ino != b.st_ino || a.st_dev != b.st_dev) {
        close(job->lock_fd);
        job->lock_fd = -1;
        return REEL_AGAIN;
    }
    job->holder[0] = 0;
    write_holder(run, job->lock_fd);
    return REEL_OK;
}

void resume_wipe(const struct job *job)
{
    char path[REEL_PATH_BYTES];
    journal_content_fini((struct journal_content *)&job->old);
    unlink(reel_journal_path(job->spec, path));
    unlink(reel_copy_part_path(job->spec, path));
    unlink(reel_moved_path(job->spec, path));
    unlink(reel_unfinished_path(job->spec, path));
    if (job->done_path) inputs_drop_done(job->done_path);
    for (uint32_t i = 0; i < 1u << 20; i++) {
        reel_part_path(job->spec, i, path);
        if (!is_file(path)) break;
        reel_remove_tree(path);
    }
}

// ---- what an output depends on -----------------------------------------------------

static char *build_text(struct run *run)
{
    const char *build[REEL_STAGES] = {0};
    for (uint32_t i = run->sup.n; i-- > 0;)
        if (run->sup.proc[i].incarnation && run->sup.proc[i].hello.build[0])
            build[run->sup.proc[i].stage] = run->sup.proc[i].hello.build;
    char *out = NULL;
    if (asprintf(&out, "reelmill %s\ndecoder: %s\nworker: %s\naggregator: %s", REEL_VERSION, build[REEL_DECODER],
                 build[REEL_WORKER], build[REEL_AGGREGATOR]) < 0)
        return NULL;
    return out;
}

static enum reel_err make_header(struct run *run, const struct job *job, struct journal_header *out)
{
    char hex[65];
    *out = (struct journal_header){.segments = job->n_segments, .tile_pixels = job->shaped.tile_pixels};
    out->input = strdup(reel_hex(job->scanned.input_sha256, 32, hex));
    out->model = strdup(reel_hex(run->model.model_sha256, 32, hex));
    out->config = strdup(run->config_text);
    out->build = build_text(run);
    const char *kind = "";
    for (uint32_t i = run->workers; i-- > 0;) {
        const struct proc *p = supervise_at(&run->sup, REEL_WORKER, i);
        if (p->hello.device_kind[0]) kind = p->hello.device_kind;
    }
    out->device = strdup(kind);
    if (out->input && out->model && out->config && out->build && out->device) return REEL_OK;
    journal_header_fini(out);
    return reel_fail(REEL_ERR_NOMEM, "could not write the journal: out of memory");
}

// ---- done before ---------------------------------------------------------------------

static bool is_older(struct timespec a, struct timespec b)
{
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

// The total size of an output's numbered files, and when the oldest was written. False: one is missing.
static bool look_at_numbered(const struct job *job, uint64_t *out_bytes, struct timespec *out_time)
{
    const char *output = job->spec->output, *name = strrchr(output, '/') + 1;
    char path[REEL_PATH_BYTES];
    int folder = snprintf(path, sizeof path, "%.*s", (int)(name - output), output);
    uint64_t frames = 0;
    for (uint32_t i = 0; i < job->old.n_segments; i++) frames += job->old.segments[i].frames;
    *out_bytes = 0;
    for (uint64_t k = 0; k < frames; k++) {
        struct stat st;
        snprintf(path + folder, sizeof path - (size_t)folder, name, (int)k); // has one %d, checked by inputs.c
        if (stat(path, &st)) return false;
        *out_bytes += (uint64_t)st.st_size;
        if (!k || is_older(st.st_mtim, *out_time)) *out_time = st.st_mtim;
    }
    return frames > 0;
}

static bool is_done(const struct job *job)
{
    struct stat in, out;
    if (!job->old.done || !job->old.has_header) return false;
    uint64_t bytes;
    struct timespec time;
    if (reel_is_numbered(job->spec->kind)) {
        if (!look_at_numbered(job, &bytes, &time)) return false;
    } else {
        if (stat(job->spec->output, &out)) return false;
        bytes = (uint64_t)out.st_size;
        time = out.st_mtim;
    }
    bool newer = !stat(job->spec->input, &in) && is_older(time, in.st_mtim);
    return !newer && bytes == job->old.done_bytes;
}

enum reel_err resume_read(struct job *job, bool *out_done)
{
    char path[REEL_PATH_BYTES];
    enum reel_err err = journal_read(reel_journal_path(job->spec, path), &job->old);
    if (!err && !job->old.has_header && job->done_path && is_file(job->done_path)) {
        journal_content_fini(&job->old);
        err = journal_read(job->done_path, &job->old);
    }
    *out_done = !err && is_done(job);
    job->replaces = !err && job->old.done && !*out_done; // the job runs again
    if (job->replaces) journal_content_fini(&job->old);
    return err;
}

enum reel_err resume_check_output(const struct run *run, struct job *job)
{
    char path[REEL_PATH_BYTES];
    const char *output = job->spec->output;
    job->replaces |= run->settings.overwrite;
    if (job->replaces || job->spec->kind == REEL_OUTPUT_NULL || reel_is_numbered(job->spec->kind)) return REEL_OK;
    if (!is_file(output) || reel_is_same_file(reel_unfinished_path(job->spec, path), output)) return REEL_OK;
    return reel_fail(
        REEL_ERR_CONFIG,
        "could not write output \"%s\": it exists, and the interrupted run did not write it\nto replace it "
        "use: -y",
        output);
}

void resume_keep_done(struct job *job)
{
    char path[REEL_PATH_BYTES];
    journal_close(&job->journal);
    reel_journal_path(job->spec, path);
    if (!is_file(path)) { // moved already
        reel_remove_tree(job->spec->parts_dir);
        return;
    }
    reel_crash_point("done.before_move");
    // If the journal cannot be moved it stays in the parts folder, where it is found too.
    if (!job->done_path || inputs_make_done_folder(job->done_path) || rename(path, job->done_path)) return;
    reel_remove_tree(job->spec->parts_dir);
}

static bool stages_are_known(const struct run *run)
{
    bool known[REEL_STAGES] = {[REEL_COORDINATOR] = true};
    for (uint32_t i = 0; i < run->sup.n; i++) known[run->sup.proc[i].stage] |= run->sup.proc[i].hello.build[0] != 0;
    return run->model_known && known[REEL_DECODER] && known[REEL_WORKER] && known[REEL_AGGREGATOR];
}

// Takes the finished job's counts from its journal.
static void take_account(const struct run *run, struct job *job)
{
    const struct journal_content *old = &job->old;
    char why[256];
    job->ledger.rate = run_rate(run);
    for (uint32_t i = 0; i < old->n_segments; i++) {
        job->frames_out += old->segments[i].frames;
        ledger_add(&job->ledger, &old->segments[i].ledger, why, sizeof why);
    }
    for (uint32_t i = 0; i < old->n_quarantined; i++)
        poison_restore(&job->poison, old->quarantined[i].segment, old->quarantined[i].n);
    job->frames_committed = job->frames_resumed = job->frames_out;
    job->n_segments = old->n_segments;
    memcpy(&job->kept, &old->done_kept, sizeof job->kept);
}

enum reel_err resume_take_over(struct run *run, struct job *job)
{
    if (!stages_are_known(run)) return REEL_AGAIN;
    struct journal_header now;
    enum reel_err err = make_header(run, job, &now);
    if (err) return err;
    // The input is not scanned again; resume_read() has compared its age.
    free(now.input);
    now.input = strdup(job->old.header.input);
    now.segments = job->old.header.segments;
    now.tile_pixels = job->old.header.tile_pixels;
    err = now.input ? journal_match(&job->old.header, &now)
                    : reel_fail(REEL_ERR_NOMEM, "could not read the journal: out of memory");
    journal_header_fini(&now);
    if (!err) take_account(run, job);
    return err;
}

// ---- the journal -----------------------------------------------------------------------

enum reel_err resume_begin_journal(struct run *run, struct job *job)
{
    struct journal_header header;
    enum reel_err err = make_header(run, job, &header);
    if (err) return err;
    bool resume = job->old.has_header && !job->old.done;
    if (resume && job->old.n_segments) err = journal_match(&job->old.header, &header);
    if (err) {
        snprintf(job->holder, sizeof job->holder, "-"); // the parts of the other command are kept
    } else {
        // Without a committed segment there is nothing to resume: start again.
        resume = resume && job->old.n_segments;
        if (!resume) journal_content_fini(&job->old);
        char path[REEL_PATH_BYTES];
        err = journal_open(reel_journal_path(job->spec, path), resume ? job->old.whole_bytes : 0, &job->journal);
        job->has_journal = !err;
        if (!err && !resume) err = journal_put_header(job->journal, &header);
    }
    journal_header_fini(&header);
    return err;
}
