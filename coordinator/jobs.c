// SPDX-License-Identifier: MIT
//
// The life of a job: lock, scan, shape, prove, check, run, mux, done. Each
// state waits for one answer or one event; jobs_step() takes every begun job
// as far as it goes. If the process that was asked dies, the request is repeated, at most
// --poison_tries times.
#include "coordinator/coordinator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/life.h"
#include "common/log.h"
#include "common/secret.h"
#include "coordinator/resume.h"

#define LOCK_WAIT_US INT64_C(5000000)
#define MAX_ENTRIES 4000000u // of one input: 18 hours of intra-only video at 60 fps

// ---- begin and end --------------------------------------------------------------

enum reel_err jobs_init(struct run *run)
{
    run->n_jobs = run->inputs.n;
    run->jobs = calloc(run->n_jobs, sizeof *run->jobs);
    if (!run->jobs) return reel_fail(REEL_ERR_NOMEM, "could not set up %u jobs: out of memory", run->n_jobs);
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        run->jobs[i].spec = &run->inputs.jobs[i];
        run->jobs[i].done_path = run->inputs.done_paths[i];
        run->jobs[i].lock_fd = -1;
        run->jobs[i].asked_row = NO_ROW;
        run->jobs[i].live.last_pts = INT64_MIN;
    }
    // Enough to fill the lanes while the next ones are scanned.
    run->max_active = run->n_lanes + run->decoders + 1;
    if (run->max_active > sizeof run->active / sizeof *run->active)
        run->max_active = sizeof run->active / sizeof *run->active;
    return REEL_OK;
}

// Frees what only a running job needs; what the report needs is kept.
static void release(struct job *job)
{
    free(job->entries);
    job->entries = NULL;
    free(job->segments);
    job->segments = NULL;
    journal_close(&job->journal);
    journal_content_fini(&job->old);
    if (job->lock_fd >= 0) close(job->lock_fd);
    job->lock_fd = -1;
}

// Removes the parts folder if a later run could not resume from it.
static void drop_useless_parts(const struct job *job)
{
    bool resumable = job->n_committed && job->has_journal; // a live run has no journal
    if (!resumable && !job->old.n_segments && job->holder[0] == 0) reel_remove_tree(job->spec->parts_dir);
}

void jobs_fini(struct run *run)
{
    for (uint32_t i = 0; run->jobs && i < run->n_jobs; i++) {
        // The job had begun when the whole run ended, because of a refused model or Ctrl-C.
        if (run->jobs[i].lock_fd >= 0 && run->jobs[i].state != JOB_DONE) drop_useless_parts(&run->jobs[i]);
        release(&run->jobs[i]);
        poison_fini(&run->jobs[i].poison);
    }
    free(run->jobs);
    run->jobs = NULL;
}

static void finish(struct run *run, struct job *job, enum job_state state)
{
    job->state = state;
    job->ended_us = reel_now_us();
    run->n_finished++;
    for (uint32_t i = 0; i < run->n_active; i++) {
        if (run->active[i] != job->spec->id) continue;
        memmove(&run->active[i], &run->active[i + 1], (run->n_active - i - 1) * sizeof *run->active);
        run->n_active--;
        break;
    }
}

void jobs_fail(struct run *run, struct job *job, enum reel_err code, const char *text)
{
    if (job->state == JOB_DONE || job->state == JOB_FAILED) return;
    job->error_code = code;
    reel_shown(text, job->error, sizeof job->error);
    progress_pause(run->progress);
    if (run->n_jobs > 1) fprintf(stderr, "reelmill: %s: %s\n", job->spec->input, job->error);
    flow_close_job(run, job->spec->id);
    finish(run, job, JOB_FAILED);
    journal_close(&job->journal);
    if (job->lock_fd >= 0) close(job->lock_fd);
    job->lock_fd = -1;
    drop_useless_parts(job);
}

// ---- lock -----------------------------------------------------------------------

static void step_lock(struct run *run, struct job *job, int64_t now_us)
{
    enum reel_err err = resume_lock(run, job);
    if (err == REEL_AGAIN && now_us < job->lock_until_us) return;
    if (err == REEL_AGAIN) {
        char text[REEL_PATH_BYTES + 512];
        snprintf(text, sizeof text,
                 "could not use parts folder \"%s\": %s is using it\nwait until that ends, or choose another output",
                 job->spec->parts_dir, job->holder);
        jobs_fail(run, job, REEL_ERR_CONFIG, text);
        return;
    }
    bool live = run->settings.live || run->streams; // such a job cannot be resumed
    if (!err && (err = inputs_check_free(&run->settings, job->spec, job->done_path))) {
        jobs_fail(run, job, err, reel_fail_text());
        return;
    }
    if (!err && (run->settings.resume == SET_RESUME_NEVER || live)) resume_wipe(job);
    bool done = false;
    if (!err && !live) err = resume_read(job, &done);
    if (!err && !live && !done) err = resume_check_output(run, job);
    if (err) {
        snprintf(job->holder, sizeof job->holder, "-"); // keeps the folder, which may be another command's
        jobs_fail(run, job, err, reel_fail_text());
        return;
    }
    job->state = done ? JOB_DONE_BEFORE : JOB_SCAN;
}

// ---- requests -------------------------------------------------------------------

static struct proc *choose(struct run *run, enum reel_stage stage)
{
    if (stage != REEL_WORKER) return flow_choose(run, stage, false);
    for (uint32_t i = 0; i < run->workers; i++) {
        struct proc *p = supervise_at(&run->sup, REEL_WORKER, i);
        if (p->state == PROC_READY && p->pidfd >= 0 && !p->hung && !p->broken) return p;
    }
    return NULL;
}

static void ask(struct run *run, struct job *job, enum reel_stage stage, enum reel_msg_type type, const void *rec)
{
    if (job->asked_row != NO_ROW) return;
    struct proc *p = choose(run, stage);
    if (!p) return;
    job->asked_row = p->row;
    run_post(run, p, type, rec);
}

// The job a record of p answers for, when it is in `state` and p was asked.
static struct job *answered(struct run *run, const struct proc *p, uint32_t id, enum job_state state)
{
    if (id >= run->n_jobs) return NULL;
    struct job *job = &run->jobs[id];
    return job->state == state && job->asked_row == p->row ? job : NULL;
}

static void next_state(struct job *job, enum job_state state)
{
    job->state = state;
    job->asked_row = NO_ROW;
    job->tries = 0;
}

// ---- scan -----------------------------------------------------------------------

void jobs_on_entries(struct run *run, struct proc *p, const struct reel_rec_entry *rec)
{
    struct job *job = answered(run, p, rec->job, JOB_SCAN);
    if (!job) return;
    if (job->n_entries == job->room_entries) {
        uint32_t room = job->room_entries ? 2 * job->room_entries : 256;
        struct reel_entry *grown = room <= MAX_ENTRIES ? realloc(job->entries, room * sizeof *grown) : NULL;
        if (!grown) return; // with fewer entries there are only fewer cuts
        job->entries = grown;
        job->room_entries = room;
    }
    job->entries[job->n_entries++] = rec->entry;
}

void jobs_on_scanned(struct run *run, struct proc *p, const struct reel_rec_scanned *rec)
{
    struct job *job = answered(run, p, rec->job, JOB_SCAN);
    if (!job) return;
    job->scanned = *rec;
    job->kept = rec->kept;
    const struct reel_media *m = &rec->media;
    enum reel_err err = reel_media_geometry(m, &job->in);
    if (!err && job->n_entries != rec->n_entries && job->n_entries < MAX_ENTRIES / 2)
        err = reel_fail(REEL_ERR_PROTO, "could not plan \"%s\": %u of %u entries arrived", job->spec->input,
                        job->n_entries, rec->n_entries);
    if (err) {
        jobs_fail(run, job, err, reel_fail_text());
        return;
    }
    supervise_on_progress(p);
    next_state(job, JOB_SHAPE);
}

static void say_warm_up(struct run *run, const struct job *job, int frames)
{
    if (run->settings.progress == SET_PROGRESS_OFF || run->settings.progress == SET_PROGRESS_JSON) return;
    progress_pause(run->progress);
    fprintf(stderr,
            "%s%sthe network's state starts over in each of %u segments, with %d frame%s before it: at the joins the "
            "result differs from an uninterrupted run (--warmup_frames 0)\n",
            run->n_jobs > 1 ? job->spec->input : "", run->n_jobs > 1 ? ": " : "", job->n_segments, frames,
            frames == 1 ? "" : "s");
}

static enum reel_err plan_job(struct run *run, struct job *job)
{
    job->ledger.rate = run_rate(run);
    if (run->settings.live) { // attempts are counted as they come
        job->segments = calloc(1, sizeof *job->segments);
        return job->segments ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not plan the attempts: out of memory");
    }
    const struct reel_media *m = &job->scanned.media;
    const int warm = run->model.stateful ? run->settings.warmup_frames : 0;
    const double seconds = run_may_cut(run) ? run->settings.segment_seconds : 0;
    struct segment *plan = plan_segments(m, job->entries, job->n_entries, seconds, &job->n_segments);
    if (plan && warm) plan_warm_up(m, job->entries, job->n_entries, warm, plan, job->n_segments);
    if (plan && warm && job->n_segments > 1) say_warm_up(run, job, warm);
    if (plan && run->model.stateful && !run_may_cut(run))
        plan[0].has_before = plan[job->n_segments - 1].has_next = false;
    if (plan && run->model.before) plan_lead(job->entries, job->n_entries, run->model.before, plan, job->n_segments);
    free(job->entries);
    job->entries = NULL;
    if (plan && run->only_seconds > 0) {
        job->n_segments = plan_limit(m, run->only_seconds, plan, job->n_segments);
        job->scanned.media.n_frames = -1; // unknown
    }
    if (plan) job->segments = calloc(job->n_segments, sizeof *job->segments);
    for (uint32_t i = 0; job->segments && i < job->n_segments; i++)
        job->segments[i] = (struct job_segment){.plan = plan[i], .row = NO_ROW};
    free(plan);
    return job->segments ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not plan the segments: out of memory");
}

// The output was finished by an earlier run: it is kept, or refused if the command was another one.
static void step_done_before(struct run *run, struct job *job)
{
    enum reel_err err = resume_take_over(run, job);
    if (err == REEL_AGAIN) return;
    resume_keep_done(job); // in either case
    if (!err) {
        finish(run, job, JOB_DONE);
        return;
    }
    snprintf(job->holder, sizeof job->holder, "-");
    jobs_fail(run, job, err, reel_fail_text());
}

// ---- shape and prove ------------------------------------------------------------

static void step_shape(struct run *run, struct job *job)
{
    bool split = run->settings.split == SET_SPLIT_SPATIAL;
    if (!job->segments && plan_job(run, job)) {
        jobs_fail(run, job, REEL_ERR_NOMEM, reel_fail_text());
        return;
    }
    struct reel_rec_shape rec = {.job = job->spec->id, .media = job->scanned.media, .in = job->in};
    rec.parts = !split ? 1 : run->workers < LANE_MAX_PARTS ? run->workers : LANE_MAX_PARTS;
    rec.exchange = flow_team_fits(run, rec.parts);
    // The tiles must be those of the earlier run, even if there is another amount of memory now.
    if (job->old.n_segments && !job->old.done) rec.tile_pixels = job->old.header.tile_pixels;
    ask(run, job, REEL_WORKER, REEL_MSG_SHAPE, &rec);
}

void jobs_on_shaped(struct run *run, struct proc *p, const struct reel_rec_shaped *rec)
{
    struct job *job = answered(run, p, rec->job, JOB_SHAPE);
    if (!job) return;
    job->shaped = *rec;
    if (rec->parts < 1 || rec->parts > LANE_MAX_PARTS || rec->parts > run->workers) job->shaped.parts = 1;
    if (job->shaped.parts < 2) job->shaped.exchange = 0;
    supervise_on_progress(p);
    next_state(job, JOB_PROVE);
}

static void step_prove(struct run *run, struct job *job)
{
    struct reel_rec_prove rec = {.job = job->spec->id,
                                 .in_slots = 8,
                                 .rate = run_rate(run),
                                 .media = job->scanned.media,
                                 .in = job->in,
                                 .shaped = job->shaped};
    ask(run, job, REEL_AGGREGATOR, REEL_MSG_PROVE, &rec);
}

// The worse of two statements about how well something was kept.
static uint8_t worse(uint8_t a, uint8_t b)
{
    if (a == REEL_KEPT_NONE) return b;
    if (b == REEL_KEPT_NONE) return a;
    return a > b ? a : b;
}

static void merge_kept(struct reel_kept *into, const struct reel_kept *more)
{
    uint8_t *a = (uint8_t *)into;
    const uint8_t *b = (const uint8_t *)more;
    for (size_t i = 0; i < sizeof *into; i++) a[i] = worse(a[i], b[i]);
}

// ---- check: what an earlier run left --------------------------------------------

void jobs_on_proven(struct run *run, struct proc *p, const struct reel_rec_proven *rec)
{
    struct job *job = answered(run, p, rec->job, JOB_PROVE);
    if (!job) return;
    job->proven = *rec;
    merge_kept(&job->kept, &rec->kept);
    supervise_on_progress(p);
    if (!reel_geometry_valid(&rec->out, 1, UINT64_C(1) << 40)) {
        jobs_fail(run, job, REEL_ERR_PROTO, "the aggregator answered with an impossible picture geometry");
        return;
    }
    // Without an output nothing can be resumed.
    if (run->settings.live || run->streams || job->spec->kind == REEL_OUTPUT_NULL) {
        next_state(job, JOB_RUN);
        return;
    }
    enum reel_err err = resume_begin_journal(run, job);
    if (err) {
        jobs_fail(run, job, err, reel_fail_text());
        return;
    }
    for (uint32_t i = 0; i < job->old.n_quarantined; i++)
        poison_restore(&job->poison, job->old.quarantined[i].segment, job->old.quarantined[i].n);
    for (uint32_t i = 0; i < job->old.n_segments; i++) {
        const struct journal_segment *old = &job->old.segments[i];
        if (old->segment >= job->n_segments) continue;
        struct job_segment *s = &job->segments[old->segment];
        s->state = SEGMENT_CHECKING;
        s->committed = *old;
    }
    next_state(job, JOB_CHECK);
}

static void step_check(struct run *run, struct job *job)
{
    bool waits = false;
    for (uint32_t i = 0; i < job->n_segments; i++) {
        struct job_segment *s = &job->segments[i];
        if (s->state != SEGMENT_CHECKING) continue;
        waits = true;
        if (s->row != NO_ROW) continue;
        struct proc *p = flow_choose(run, REEL_AGGREGATOR, false);
        if (!p) return;
        struct reel_rec_verify rec = {
            .job = job->spec->id, .segment = i, .frames = s->committed.frames, .bytes = s->committed.bytes};
        memcpy(rec.sha256, s->committed.sha256, 32);
        s->row = p->row;
        run_post(run, p, REEL_MSG_VERIFY, &rec);
    }
    if (waits) return;
    job->next_pending = 0;
    next_state(job, JOB_RUN);
}

static void count_committed(struct run *run, struct job *job, struct job_segment *s)
{
    char why[256];
    s->state = SEGMENT_COMMITTED;
    job->n_committed++;
    job->frames_committed += s->committed.frames;
    if (ledger_add(&job->ledger, &s->committed.ledger, why, sizeof why)) return;
    char text[512];
    snprintf(text, sizeof text, "the ledger of segment %u does not balance: %s", s->committed.segment, why);
    jobs_fail(run, job, REEL_ERR_FAULT, text);
}

void jobs_on_verified(struct run *run, struct proc *p, const struct reel_rec_verify *rec)
{
    if (rec->job >= run->n_jobs) return;
    struct job *job = &run->jobs[rec->job];
    if (job->state != JOB_CHECK || rec->segment >= job->n_segments) return;
    struct job_segment *s = &job->segments[rec->segment];
    if (s->state != SEGMENT_CHECKING || s->row != p->row) return;
    s->row = NO_ROW;
    if (rec->ok) {
        job->frames_resumed += s->committed.frames;
        count_committed(run, job, s);
        return;
    }
    reel_warn("jobs", "job %u: part %u of an earlier run is damaged and is done again", job->spec->id, rec->segment);
    s->state = SEGMENT_PENDING;
}

// ---- run ------------------------------------------------------------------------

struct job *jobs_next_segment(struct run *run, uint32_t *out_segment)
{
    for (uint32_t i = 0; i < run->n_active; i++) {
        struct job *job = &run->jobs[run->active[i]];
        if (job->state != JOB_RUN) continue;
        while (job->next_pending < job->n_segments && job->segments[job->next_pending].state != SEGMENT_PENDING)
            job->next_pending++;
        if (job->next_pending == job->n_segments || !stream_has_room(run, job)) continue;
        *out_segment = job->next_pending;
        return job;
    }
    return NULL;
}

void jobs_on_committed(struct run *run, struct job *job, uint32_t segment, const struct reel_rec_committed *rec,
                       const struct ledger_entry *ledger)
{
    struct job_segment *s = &job->segments[segment];
    if (job->state != JOB_RUN || s->state != SEGMENT_ACTIVE) return;
    s->committed =
        (struct journal_segment){.segment = segment, .frames = rec->frames, .bytes = rec->bytes, .ledger = *ledger};
    memcpy(s->committed.sha256, rec->sha256, 32);
    run->last_commit_us = reel_now_us();
    reel_crash_point("commit.before_journal");
    enum reel_err err = job->journal ? journal_put_segment(job->journal, &s->committed) : REEL_OK;
    if (err) {
        jobs_fail(run, job, err, reel_fail_text());
        return;
    }
    reel_crash_point("commit.after_journal");
    count_committed(run, job, s);
}

void jobs_quarantine(struct run *run, struct job *job, uint32_t segment, uint32_t n)
{
    progress_pause(run->progress);
    reel_warn("jobs", "job %u: frame %u of segment %u crashes a process and is replaced", job->spec->id, n, segment);
    enum reel_err err = job->journal ? journal_put_quarantine(job->journal, segment, n) : REEL_OK;
    if (err) jobs_fail(run, job, err, reel_fail_text());
}

uint64_t jobs_quarantined(const struct job *job)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < job->poison.count; i++) count += job->poison.frame[i].quarantined;
    return count;
}

// ---- mux and done ---------------------------------------------------------------

// Fails a job whose output has not a single frame.
static void fail_empty(struct run *run, struct job *job)
{
    char text[REEL_PATH_BYTES + 128];
    int64_t dropped = job->ledger.sum.dropped;
    if (dropped)
        snprintf(text, sizeof text,
                 "could not write \"%s\": all %lld frames were dropped, because the receiver did not take them or the "
                 "model is too slow for --latency_ms %d",
                 job->spec->output, (long long)dropped, run->settings.latency_ms);
    else
        snprintf(text, sizeof text, "could not decode video \"%s\": not one frame came out", job->spec->input);
    jobs_fail(run, job, dropped ? REEL_ERR_IO : REEL_ERR_INPUT, text);
}

static void say_unreadable(struct run *run, const struct job *job)
{
    long long n = job->ledger.sum.unreadable;
    if (!n) return;
    progress_pause(run->progress);
    fprintf(stderr, "warning: \"%s\" is damaged: %lld of its %lld packets gave no picture\n", job->spec->input, n,
            (long long)job->ledger.sum.packets);
}

// Somebody made a file of the output's name during the run: it is not replaced.
static void say_other_name(struct run *run, const struct job *job)
{
    char shown[REEL_PATH_BYTES];
    if (!job->file) return;
    progress_pause(run->progress);
    fprintf(stderr,
            "warning: \"%s\" was made by somebody else during the run and is left as it is: the result is \"%s\"\n",
            job->spec->output, reel_live_file_path(job->spec, job->file, shown));
}

static void complete(struct run *run, struct job *job, const struct reel_rec_muxed *rec)
{
    char why[256], text[512];
    int64_t packets = run->only_seconds > 0 ? -1 : job->scanned.media.n_packets;
    if (run->settings.live) live_settle(run, job);
    int64_t frames = (int64_t)(rec->frames + job->live.earlier);
    if (!ledger_check(&job->ledger, job->n_segments, packets, frames, why, sizeof why)) {
        snprintf(text, sizeof text, "the ledger of the job does not balance: %s", why);
        jobs_fail(run, job, REEL_ERR_FAULT, text);
        return;
    }
    job->kept = rec->kept;
    job->frames_out = (uint64_t)frames;
    job->output_bytes = rec->bytes;
    if (rec->latency_us[REEL_LATENCY_MAX]) memcpy(job->live.latency_us, rec->latency_us, sizeof rec->latency_us);
    if (run->settings.live) job->live.file = rec->file ? rec->file : job->live.file;
    if (!run->settings.live) job->file = rec->file;
    if (rec->kept.audio == 0 && job->scanned.kept.audio) merge_kept(&job->kept, &job->scanned.kept);
    say_unreadable(run, job);
    say_other_name(run, job);
    if (job->has_journal && !job->file) {
        // If the run is killed later, during other jobs or the report, this one need not be repeated.
        uint64_t packed;
        _Static_assert(sizeof packed == sizeof job->kept, "kept fits into a number");
        memcpy(&packed, &job->kept, sizeof packed);
        enum reel_err err = journal_put_done(job->journal, rec->bytes, packed);
        if (err) reel_warn("jobs", "%s", reel_fail_text());
        char path[REEL_PATH_BYTES];
        for (uint32_t i = 0; i < job->n_segments; i++) reel_remove_tree(reel_part_path(job->spec, i, path));
        unlink(reel_copy_part_path(job->spec, path));
        unlink(reel_moved_path(job->spec, path));
        unlink(reel_unfinished_path(job->spec, path));
        resume_keep_done(job);
    } else {
        reel_remove_tree(job->spec->parts_dir);
    }
    uint32_t n = job->n_segments;
    int lock_fd = job->lock_fd;
    finish(run, job, JOB_DONE);
    if (!job->done_path) job->lock_fd = -1;
    release(job);
    job->n_segments = n;
    if (!job->done_path) job->lock_fd = lock_fd; // its folder, with the lock, stays until the end of the run
}

void jobs_on_muxed(struct run *run, struct proc *p, const struct reel_rec_muxed *rec)
{
    // A stream's MUXED may arrive before the last COMMITTED, while the job is still in JOB_RUN.
    enum job_state state = run->streams && rec->job < run->n_jobs ? run->jobs[rec->job].state : JOB_MUX;
    struct job *job = state == JOB_RUN || state == JOB_MUX ? answered(run, p, rec->job, state) : NULL;
    if (!job) return;
    supervise_on_progress(p);
    if (!run->streams) {
        complete(run, job, rec);
        return;
    }
    job->muxed = *rec;
    job->streamed = true;
    job->asked_row = NO_ROW;
}

// Tells the stream's writer of the job, as soon as the writer is up: parts are written from the
// first one on.
static void step_stream(struct run *run, struct job *job)
{
    struct proc *p = stream_writer(run);
    if (job->asked_row != NO_ROW || job->streamed || p->state < PROC_UP || p->pidfd < 0) return;
    struct reel_rec_mux rec = {.job = job->spec->id,
                               .segments = job->n_segments,
                               .media = reel_media_at_rate(&job->scanned.media, run_rate(run)),
                               .kept = job->kept,
                               .copy_bytes = job->scanned.copy_bytes};
    job->asked_row = p->row;
    run_post(run, p, REEL_MSG_MUX, &rec);
}

static void step_mux(struct run *run, struct job *job)
{
    if (!job->frames_committed) {
        fail_empty(run, job);
        return;
    }
    if (run->streams) {
        if (job->streamed) complete(run, job, &job->muxed);
        return;
    }
    struct reel_rec_mux rec = {.job = job->spec->id,
                               .segments = job->n_segments,
                               .media = reel_media_at_rate(&job->scanned.media, run_rate(run)),
                               .kept = job->kept,
                               .frames = job->frames_committed - job->live.earlier,
                               .copy_bytes = job->scanned.copy_bytes,
                               .replace = job->replaces};
    ask(run, job, REEL_AGGREGATOR, REEL_MSG_MUX, &rec);
}

// ---- the step -------------------------------------------------------------------

static void step_job(struct run *run, struct job *job, int64_t now_us)
{
    struct reel_rec_job rec = {job->spec->id};
    if (job->state == JOB_LOCK) step_lock(run, job, now_us);
    if (job->state == JOB_DONE_BEFORE) step_done_before(run, job);
    if (job->state == JOB_SCAN) ask(run, job, REEL_DECODER, REEL_MSG_SCAN, &rec);
    if (job->state == JOB_SHAPE && run->model_known) step_shape(run, job);
    if (job->state == JOB_PROVE) step_prove(run, job);
    if (job->state == JOB_CHECK) step_check(run, job);
    bool live = run->settings.live;
    if ((job->state == JOB_RUN || job->state == JOB_MUX) && run->streams) step_stream(run, job);
    if (job->state == JOB_RUN && live && live_step(run, job, now_us)) next_state(job, JOB_MUX);
    if (job->state == JOB_RUN && !live && job->n_committed == job->n_segments && !flow_open_lanes(run, job->spec->id)) {
        if (run->streams)
            job->state = JOB_MUX; // no new request: step_stream() asks the writer
        else
            next_state(job, JOB_MUX);
    }
    if (job->state == JOB_MUX) step_mux(run, job);
}

void jobs_step(struct run *run, int64_t now_us)
{
    while (!run->interrupted && run->n_active < run->max_active && run->next_job < run->n_jobs) {
        struct job *job = &run->jobs[run->next_job];
        run->active[run->n_active++] = run->next_job++;
        job->state = JOB_LOCK;
        job->began_us = now_us;
        job->lock_until_us = now_us + LOCK_WAIT_US;
    }
    for (uint32_t i = 0; i < run->n_active;) {
        uint32_t id = run->active[i];
        step_job(run, &run->jobs[id], now_us);
        if (i < run->n_active && run->active[i] == id) i++; // a job that ended has left the list
    }
}

static void asked_died(struct run *run, struct job *job, const struct supervise_death *death)
{
    static const char *const doing[] = {[JOB_SCAN] = "reading the input",
                                        [JOB_SHAPE] = "trying the model at this size",
                                        [JOB_PROVE] = "opening the encoder",
                                        [JOB_MUX] = "putting the parts together"};
    job->asked_row = NO_ROW;
    job->n_entries = 0; // a scan starts again from the beginning
    if (!death->by_itself || ++job->tries < (uint32_t)run->settings.poison_tries) return;
    const struct proc *p = death->proc;
    char text[REEL_TEXT_BYTES + 512];
    snprintf(text, sizeof text, "%s %u %s while %s, %u times%s%s", supervise_stage_name(p->stage), p->index, death->why,
             job->state <= JOB_MUX && doing[job->state] ? doing[job->state] : "working", job->tries,
             p->text[0] ? ": " : "", p->text);
    jobs_fail(run, job, REEL_ERR_FAULT, text);
}

void jobs_on_gone(struct run *run, const struct supervise_death *death)
{
    for (uint32_t i = 0; i < run->n_active;) {
        uint32_t id = run->active[i];
        struct job *job = &run->jobs[id];
        for (uint32_t k = 0; job->state == JOB_CHECK && k < job->n_segments; k++)
            if (job->segments[k].state == SEGMENT_CHECKING && job->segments[k].row == death->proc->row)
                job->segments[k].row = NO_ROW;
        if (job->asked_row == death->proc->row && death->proc == stream_writer(run))
            jobs_fail(
                run, job, REEL_ERR_FAULT,
                "could not go on: the process that wrote to standard output died, and what it had written cannot be "
                "taken back");
        else if (job->asked_row == death->proc->row)
            asked_died(run, job, death);
        if (i < run->n_active && run->active[i] == id) i++;
    }
}

bool jobs_owes(const struct run *run, const struct proc *p)
{
    for (uint32_t i = 0; i < run->n_active; i++) {
        const struct job *job = &run->jobs[run->active[i]];
        if (job->asked_row == p->row) return true;
        for (uint32_t k = 0; job->state == JOB_CHECK && k < job->n_segments; k++)
            if (job->segments[k].state == SEGMENT_CHECKING && job->segments[k].row == p->row) return true;
    }
    return false;
}
