// SPDX-License-Identifier: MIT
//
// The run: sets up memory, bus and processes, runs the main loop, and ends everything.
// Each turn of the loop takes all messages, handles deaths, steps jobs and lanes, sends, and waits.
#include "coordinator/coordinator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/life.h"
#include "common/log.h"
#include "common/secret.h"
#include "coordinator/limits.h"
#include "coordinator/resume.h"

#define TICK_US INT64_C(50000)         // how often deadlines and estimates are checked
#define END_US INT64_C(1500000)        // how long children have to exit by themselves
#define STOP_END_US INT64_C(1000000)   // the same after Ctrl-C
#define KILLED_WORDS_MS 5              // wait for the last messages of a killed process
#define LAST_WORDS_US INT64_C(1000000) // limit of the wait for those of one that exited by itself

void run_post(struct run *run, const struct proc *p, enum reel_msg_type type, const void *record)
{
    if (run->trace) trace_sent(run->trace, run, p, type, record);
    if (p->pidfd < 0) return;
    if (reel_bus_post(run->bus, p->peer, type, record)) run_fail(run, REEL_ERR_IO, reel_fail_text());
}

void run_fail(struct run *run, enum reel_err code, const char *text)
{
    if (run->failed) return;
    run->failed = true;
    run->failed_code = code;
    snprintf(run->failure, sizeof run->failure, "%s", text);
}

void run_leave_out(struct run *run, struct proc *p, const char *text)
{
    uint32_t others = 0;
    for (uint32_t i = 0; i < run->workers; i++) {
        const struct proc *q = supervise_at(&run->sup, REEL_WORKER, i);
        others += q != p && !q->left_out;
    }
    if (!others) {
        run_fail(run, REEL_ERR_NOMEM, text);
        return;
    }
    p->left_out = true;
    progress_pause(run->progress);
    reel_warn("run", "worker %u is left out, the others do its work: %s", p->index, text);
    supervise_kill(p);
}

uint32_t run_rate(const struct run *run)
{
    return run->model_known && run->model.rate ? run->model.rate : 1;
}

bool run_may_cut(const struct run *run)
{
    const struct reel_rec_model *m = &run->model;
    return !m->stateful || (run->settings.warmup_frames > 0 && !m->before && m->after <= 1);
}

// ---- messages -------------------------------------------------------------------

static void on_hello(struct run *run, struct proc *p, const struct reel_rec_hello *rec)
{
    p->hello = *rec;
    p->hello.version[sizeof p->hello.version - 1] = p->hello.build[sizeof p->hello.build - 1] = 0;
    p->hello.device[sizeof p->hello.device - 1] = p->hello.device_kind[sizeof p->hello.device_kind - 1] = 0;
    if (strcmp(p->hello.version, REEL_VERSION)) {
        char text[256];
        snprintf(text, sizeof text,
                 "could not use program \"%s\": it is version %s, this is %s\nbuild everything with: make",
                 supervise_stage_name(p->stage), p->hello.version, REEL_VERSION);
        run_fail(run, REEL_ERR_CONFIG, text);
        return;
    }
    if (p->state == PROC_STARTING) p->state = PROC_UP;
}

static void on_model(struct run *run, struct proc *p, const struct reel_rec_model *rec)
{
    if (rec->before > REEL_MAX_ASIDE || rec->after > REEL_MAX_ASIDE || rec->rate > REEL_MAX_RATE || rec->stateful > 1) {
        run_fail(run, REEL_ERR_PROTO, "could not use the model: it reads or makes too many frames at once");
        return;
    }
    if (run->model_known && memcmp(run->model.model_sha256, rec->model_sha256, 32)) {
        run_fail(run, REEL_ERR_INPUT, "could not continue: the model file was changed during the run");
        return;
    }
    if (!run->model_known) {
        run->model = *rec;
        run->model.text[sizeof run->model.text - 1] = 0;
        run->model_known = true;
        progress_pause(run->progress);
        if (run->model.text[0] && run->settings.progress != SET_PROGRESS_OFF &&
            run->settings.progress != SET_PROGRESS_JSON)
            fprintf(stderr, "%s%s", run->model.text, run->model.text[strlen(run->model.text) - 1] == '\n' ? "" : "\n");
    }
    p->state = PROC_READY;
    flow_on_worker_ready(run, p);
}

// FAILED: a process reports that it, a job or a lane cannot continue.
static void on_failed(struct run *run, struct proc *p, const struct reel_rec_failed *in)
{
    struct reel_rec_failed rec = *in;
    rec.text[sizeof rec.text - 1] = 0;
    reel_debug("run", "%s %u failed (%u): %s", supervise_stage_name(p->stage), p->index, rec.scope, rec.text);
    if (rec.scope == REEL_SCOPE_JOB) {
        if (rec.job >= run->n_jobs) return;
        // Not if the epoch was given up: that may be the only reason of the failure, because the part
        // now belongs to another process.
        if (rec.epoch && !flow_is_present(run, rec.lane, rec.epoch)) return;
        supervise_on_progress(p);
        if (run->settings.live && p->stage == REEL_DECODER && live_cut_off(run, &run->jobs[rec.job], rec.text)) return;
        jobs_fail(run, &run->jobs[rec.job], (enum reel_err)rec.err, rec.text);
        return;
    }
    if (rec.scope == REEL_SCOPE_LANE) {
        flow_on_lane_failed(run, p, &rec);
        return;
    }
    snprintf(p->text, sizeof p->text, "%s", rec.text);
    if (rec.err == REEL_ERR_NOMEM && p->stage == REEL_WORKER && p->state != PROC_READY) {
        run_leave_out(run, p, rec.text);
        return;
    }
    // Trying again would not help. A model or setting that is refused at the start is the command's
    // fault: exit code 2.
    if (rec.err == REEL_ERR_CONFIG || rec.err == REEL_ERR_UNSUPPORTED || rec.err == REEL_ERR_INPUT)
        run_fail(run, run->first_dispatch_us ? (enum reel_err)rec.err : REEL_ERR_CONFIG, rec.text);
}

static void on_note(struct run *run, const struct reel_rec_note *in)
{
    struct reel_rec_note rec = *in;
    rec.text[sizeof rec.text - 1] = 0;
    reel_hide_secrets(rec.text);
    if (run->settings.progress == SET_PROGRESS_OFF && rec.level > REEL_LOG_WARN) return;
    if (rec.level > REEL_LOG_WARN && reel_log_level_get() < REEL_LOG_INFO && run->n_jobs > 1) return;
    progress_pause(run->progress);
    const char *name = rec.job < run->n_jobs && run->n_jobs > 1 ? run->jobs[rec.job].spec->input : NULL;
    fprintf(stderr, "%s%s%s%s\n", rec.level <= REEL_LOG_WARN ? "warning: " : "", name ? name : "", name ? ": " : "",
            rec.text);
}

static bool is_from(enum reel_msg_type type, enum reel_stage stage)
{
    switch (type) {
    case REEL_MSG_ENTRIES:
    case REEL_MSG_SCANNED:
    case REEL_MSG_DECODED:
    case REEL_MSG_LANE_END:
        return stage == REEL_DECODER;
    case REEL_MSG_MODEL:
    case REEL_MSG_SHAPED:
    case REEL_MSG_READY:
    case REEL_MSG_DONE:
    case REEL_MSG_JOINED:
        return stage == REEL_WORKER;
    case REEL_MSG_PROVEN:
    case REEL_MSG_TAKEN:
    case REEL_MSG_COMMITTED:
    case REEL_MSG_VERIFIED:
    case REEL_MSG_MUXED:
        return stage == REEL_AGGREGATOR;
    case REEL_MSG_RING_MADE:
        return stage == REEL_DECODER || stage == REEL_AGGREGATOR;
    case REEL_MSG_RING_OPEN:
        return stage == REEL_WORKER || stage == REEL_AGGREGATOR;
    case REEL_MSG_HELLO:
    case REEL_MSG_FAILED:
    case REEL_MSG_NOTE:
    case REEL_MSG_LANE_CLOSED:
        return true;
    default:
        return false;
    }
}

static void take_record(struct run *run, struct proc *p, enum reel_msg_type type, const void *rec)
{
    switch (type) {
    case REEL_MSG_HELLO:
        on_hello(run, p, rec);
        break;
    case REEL_MSG_FAILED:
        on_failed(run, p, rec);
        break;
    case REEL_MSG_NOTE:
        on_note(run, rec);
        break;
    case REEL_MSG_LANE_CLOSED:
        flow_on_lane_closed(run, p, rec);
        break;
    case REEL_MSG_RING_MADE:
        flow_on_ring_made(run, p, rec);
        break;
    case REEL_MSG_RING_OPEN:
        flow_on_ring_open(run, p, rec);
        break;
    case REEL_MSG_ENTRIES:
        jobs_on_entries(run, p, rec);
        break;
    case REEL_MSG_SCANNED:
        jobs_on_scanned(run, p, rec);
        break;
    case REEL_MSG_DECODED:
        flow_on_decoded(run, p, rec);
        break;
    case REEL_MSG_LANE_END:
        flow_on_lane_end(run, p, rec);
        break;
    case REEL_MSG_MODEL:
        on_model(run, p, rec);
        break;
    case REEL_MSG_SHAPED:
        jobs_on_shaped(run, p, rec);
        break;
    case REEL_MSG_READY:
        dispatch_on_ready(&run->dispatch, p->index, ((const struct reel_rec_ready *)rec)->credits);
        break;
    case REEL_MSG_DONE:
        dispatch_on_ready(&run->dispatch, p->index, ((const struct reel_rec_done *)rec)->credits);
        flow_on_done(run, p, rec);
        break;
    case REEL_MSG_JOINED:
        flow_team_joined(run, rec);
        break;
    case REEL_MSG_PROVEN:
        jobs_on_proven(run, p, rec);
        break;
    case REEL_MSG_TAKEN:
        flow_on_taken(run, p, rec);
        break;
    case REEL_MSG_COMMITTED:
        flow_on_committed(run, p, rec);
        break;
    case REEL_MSG_VERIFIED:
        jobs_on_verified(run, p, rec);
        break;
    case REEL_MSG_MUXED:
        jobs_on_muxed(run, p, rec);
        break;
    default:
        break;
    }
}

static void break_with(struct proc *p, const char *why)
{
    reel_error("run", "%s %u: %s", supervise_stage_name(p->stage), p->index, why);
    p->broken = true;
    supervise_kill(p);
}

// Handles all messages that have arrived.
static void take_messages(struct run *run)
{
    struct reel_msg msg;
    for (;;) {
        enum reel_err err = reel_bus_recv(run->bus, &msg);
        if (err == REEL_AGAIN) return;
        if (err && err != REEL_GONE) {
            run_fail(run, err, reel_fail_text());
            return;
        }
        struct proc *p = supervise_find(&run->sup, msg.from);
        if (!p || p->broken) continue;
        if (err == REEL_GONE) {
            break_with(p, reel_fail_text());
            continue;
        }
        reel_trace("run", "%s %u: %s x %u", supervise_stage_name(p->stage), p->index, reel_msg_name(msg.type),
                   msg.count);
        if (!is_from(msg.type, p->stage) ||
            (p->state == PROC_STARTING && msg.type != REEL_MSG_HELLO && msg.type != REEL_MSG_FAILED)) {
            break_with(p, "sent a message that is not its to send");
            continue;
        }
        if (run->trace) trace_received(run->trace, run, p, &msg);
        size_t bytes = reel_msg_record_bytes(msg.type);
        for (uint32_t i = 0; i < msg.count && !run->failed; i++)
            take_record(run, p, msg.type, (const char *)msg.records + i * bytes);
    }
}

// ---- deaths ---------------------------------------------------------------------

// Takes the last messages of a dead process, which may still be on their way through the socket. A
// process that exited by itself has said how many there are; if it was killed some may be lost, and
// that work is done again.
static void hear_out(struct run *run, const struct proc *p)
{
    int64_t until_us = reel_now_us() + LAST_WORDS_US;
    reel_bus_wait(run->bus, NULL, NULL, 0, KILLED_WORDS_MS);
    take_messages(run);
    while (!run->failed && supervise_has_more_to_say(&run->sup, p) && reel_now_us() < until_us) {
        reel_bus_wait(run->bus, NULL, NULL, 0, 10);
        take_messages(run);
    }
}

static void see_deaths(struct run *run, int64_t now_us)
{
    struct supervise_death death;
    for (struct proc *p; (p = supervise_dead(&run->sup));) {
        hear_out(run, p);
        supervise_bury(&run->sup, p, now_us, &death);
        if (run->trace) trace_death(run->trace, run, p, death.why);
        progress_pause(run->progress);
        if (!run->interrupted && !run->failed && !p->left_out)
            reel_warn("supervise", "%s %u %s%s%s: restarting it", supervise_stage_name(p->stage), p->index, death.why,
                      p->text[0] ? ": " : "", p->text);
        flow_on_gone(run, &death);
        if (p->stage == REEL_AGGREGATOR) live_on_aggregator_gone(run);
        jobs_on_gone(run, &death);
        char why[REEL_TEXT_BYTES + 128];
        if (!p->left_out && !supervise_may_restart(&run->sup, p, why, sizeof why)) run_fail(run, REEL_ERR_FAULT, why);
    }
}

// ---- the loop -------------------------------------------------------------------

// Frames (or parts of frames) of begun jobs that no worker has had yet; -1 while unknown.
static int64_t remaining_frames(const struct run *run)
{
    int64_t left = 0;
    if (run->next_job < run->n_jobs) return -1;
    for (uint32_t i = 0; i < run->n_active; i++) {
        const struct job *job = &run->jobs[run->active[i]];
        if (job->state == JOB_MUX) continue;
        if (job->state != JOB_RUN || job->scanned.media.n_frames < 0) return -1;
        left += job->shaped.parts * (job->scanned.media.n_frames - (int64_t)(job->frames_committed / run_rate(run)));
    }
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN && !run->lanes[l].committed)
            left -= (int64_t)run->lanes[l].work_from * run->io[l].open.parts;
    return left > 0 ? left : 0;
}

// Makes the bus socket again if somebody has removed it; restarted processes could not connect.
static void keep_rundir(struct run *run)
{
    if (rundir_is_there(&run->dir)) return;
    progress_pause(run->progress);
    char before[sizeof run->dir.path];
    snprintf(before, sizeof before, "%s", run->dir.path);
    enum reel_err err = rundir_renew(&run->dir);
    if (!err) err = reel_bus_bind_again(run->bus, run->dir.bus_path);
    if (err) {
        run_fail(run, err, reel_fail_text());
        return;
    }
    resume_hold_again(run);
    const bool same = !strcmp(before, run->dir.path);
    reel_warn("run", "run directory \"%s\" was removed by somebody; %s%s", before, same ? "it was made" : "now it is ",
              same ? " again" : run->dir.path);
}

static void tick(struct run *run, int64_t now_us)
{
    if (now_us - run->tick_us < TICK_US) return;
    run->tick_us = now_us;
    keep_rundir(run);
    for (uint32_t i = 0; i < run->sup.n; i++) {
        struct proc *p = &run->sup.proc[i];
        p->owes = jobs_owes(run, p) || flow_owes(run, p);
    }
    supervise_tick(&run->sup, now_us);
    run->dispatch.remaining = remaining_frames(run);
    progress_tick(run->progress, run, now_us);
    disk_tick(run, now_us);
    const char *trouble = run->metrics ? metrics_tick(run->metrics, run, now_us) : NULL;
    if (trouble) {
        progress_pause(run->progress);
        reel_warn("metrics", "%s", trouble);
    }
    trouble = run->trace ? trace_tick(run->trace, run, now_us) : NULL;
    if (!trouble) return;
    progress_pause(run->progress);
    reel_warn("trace", "could not write trace \"%s\": %s: it ends here, the run continues", run->settings.trace,
              trouble);
}

static void loop(struct run *run)
{
    while (!run->failed && run->n_finished < run->n_jobs) {
        if (reel_life_stops() && !live_stop(run, reel_now_us())) {
            run->interrupted = true;
            return;
        }
        take_messages(run);
        int64_t now_us = reel_now_us();
        // Frames first; everything that is rare comes after them.
        flow_step(run, now_us);
        enum reel_err err = reel_bus_flush(run->bus);
        if (err) run_fail(run, err, reel_fail_text());
        see_deaths(run, now_us);
        err = supervise_start(&run->sup, now_us);
        if (err) run_fail(run, err, reel_fail_text());
        if (run->failed) return;
        jobs_step(run, now_us);
        flow_step(run, now_us);
        tick(run, now_us);
        if (run->n_finished == run->n_jobs) return;
        bool dead;
        err = reel_bus_wait(run->bus, &run->sup.epoll_fd, &dead, 1, (int)(TICK_US / 1000));
        if (err && err != REEL_AGAIN) run_fail(run, err, reel_fail_text());
    }
}

// ---- setup and end --------------------------------------------------------------

static enum reel_err publish_settings(struct run *run)
{
    const struct opt_table *table = reel_settings_table();
    char *text = opt_dump(table, &run->settings, false);
    run->config_text = pictures_add_text(&run->pictures, opt_dump(table, &run->settings, true));
    if (!text || !run->config_text) {
        free(text);
        return reel_fail(REEL_ERR_NOMEM, "could not hand down the configuration: out of memory");
    }
    enum reel_err err = reel_shm_publish("reelmill-settings", text, strlen(text), &run->settings_fd);
    free(text);
    return err;
}

// Makes the object through which several workers share one reading of the model. If that fails,
// each worker reads it by itself.
static void make_collective(struct run *run)
{
    run->collective_fd = -1;
    if (run->workers < 2 || !run->settings.model[0]) return;
    enum reel_err err =
        reel_shm_create(reel_shm_choose(REEL_COLLECTIVE_BYTES), REEL_COLLECTIVE_BYTES, &run->collective_fd);
    if (!err && (err = reel_shm_reserve(run->collective_fd, REEL_COLLECTIVE_BYTES))) {
        close(run->collective_fd);
        run->collective_fd = -1;
    }
    if (err) reel_debug("run", "each worker reads the model by itself: %s", reel_fail_text());
}

static enum reel_err serve_metrics(struct run *run)
{
    enum reel_err err = metrics_create(run, &run->metrics);
    if (!err && run->settings.progress != SET_PROGRESS_OFF) fprintf(stderr, "%s\n", metrics_where(run->metrics));
    return err;
}

static enum reel_err setup(struct run *run)
{
    enum reel_err err = memory_limits(run->settings.memory, &run->memory);
    if (!err) err = pictures_open(&run->settings, &run->pictures);
    if (!err) err = limits_raise_files(run);
    if (!err) err = publish_settings(run);
    if (!err) err = reel_jobs_publish(run->inputs.jobs, run->inputs.n, &run->jobs_fd);
    if (!err) err = reel_stat_create(&run->stat_fd, &run->stat);
    if (!err) make_collective(run);
    if (!err) flow_team_init(run);
    if (!err) err = reel_bus_open_hub(run->dir.bus_path, &run->bus);
    if (!err) err = flow_init(run);
    if (!err) err = live_init(run);
    if (!err) err = stream_init(run);
    if (!err) err = jobs_init(run);
    if (!err) err = progress_create(run, &run->progress);
    if (err) return err;
    struct reel_child_params params = {.bus_path = run->dir.bus_path,
                                       .settings_fd = run->settings_fd,
                                       .jobs_fd = run->jobs_fd,
                                       .stat_fd = run->stat_fd,
                                       .mem_kind = run->mem_kind,
                                       .lanes = run->n_lanes,
                                       .input_fd = run->input_fd,
                                       .head_fd = run->head_fd,
                                       .output_fd = run->output_fd,
                                       .collective_fd = run->collective_fd,
                                       .workers = run->workers,
                                       .n_pictures = run->pictures.n,
                                       .picture_fds = run->pictures.fd,
                                       .in_ring_bytes = run->ring_bytes,
                                       .out_ring_bytes = run->ring_bytes,
                                       .in_ring_fds = run->in_fds,
                                       .out_ring_fds = run->out_fds};
    uint32_t counts[REEL_STAGES] = {
        [REEL_DECODER] = run->decoders, [REEL_WORKER] = run->workers, [REEL_AGGREGATOR] = run->aggregators};
    const int *devices[REEL_STAGES] = {[REEL_DECODER] = run->decoder_devices,
                                       [REEL_WORKER] = run->worker_devices,
                                       [REEL_AGGREGATOR] = run->aggregator_devices};
    err = supervise_init(&run->sup, &params, counts, devices, &run->dir.lock_fd, 1, run->bus, run->stat,
                         run->settings.hang_seconds, (uint32_t)run->settings.poison_tries);
    if (!err && run->settings.trace[0]) err = trace_create(run, &run->trace);
    if (!err && run->settings.metrics[0]) err = serve_metrics(run);
    return err;
}

// Whether something of the input is not in the output as it was.
static bool is_lossy(const struct job *job)
{
    const uint8_t *kept = (const uint8_t *)&job->kept;
    bool lossy = jobs_quarantined(job) > 0 || job->ledger.sum.unreadable > 0 || job->live.cut_off;
    for (size_t k = 0; k < sizeof job->kept; k++) lossy |= kept[k] == REEL_KEPT_PART || kept[k] == REEL_KEPT_LOST;
    return lossy;
}

static int exit_code_of(const struct run *run)
{
    if (run->interrupted) return EXIT_INTERRUPTED;
    if (run->failed) return run->failed_code == REEL_ERR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    int code = EXIT_DONE;
    uint32_t wrong = 0; // jobs that the command or configuration is to blame for
    for (uint32_t i = 0; i < run->n_jobs; i++)
        wrong += run->jobs[i].state != JOB_DONE && run->jobs[i].error_code == REEL_ERR_CONFIG;
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        const struct job *job = &run->jobs[i];
        if (job->state != JOB_DONE) return wrong == run->n_jobs ? EXIT_USAGE : EXIT_FAILED;
        if (is_lossy(job) || job->file) code = EXIT_LOSSY;
    }
    return code;
}

static uint32_t done_jobs(const struct run *run)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < run->n_jobs; i++) done += run->jobs[i].state == JOB_DONE;
    return done;
}

// Journals of finished jobs are kept until all jobs are done and reported. If the run dies before,
// the same command continues with the other jobs, or finds that all is done, without needing -y.
static void drop_done_parts(struct run *run)
{
    if (done_jobs(run) < run->n_jobs) return;
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        reel_remove_tree(run->jobs[i].spec->parts_dir);
        if (run->jobs[i].done_path) inputs_drop_done(run->jobs[i].done_path);
    }
}

static void say_live(const struct run *run)
{
    const struct job *job = run->jobs;
    const uint32_t *us = job->live.latency_us;
    long long due = job->ledger.sum.decoded * run_rate(run), dropped = job->ledger.sum.dropped;
    fprintf(stderr,
            "live: %lld of %lld frames were dropped%s; latency %.0f ms (median), %.0f ms (99%%), %.0f ms (most)\n",
            dropped, due, dropped ? " because they would have been late" : "", us[REEL_LATENCY_MEDIAN] / 1e3,
            us[REEL_LATENCY_P99] / 1e3, us[REEL_LATENCY_MAX] / 1e3);
    char path[REEL_PATH_BYTES];
    for (uint32_t i = 2; i <= job->live.file; i++)
        fprintf(stderr, "live: the output continues in %s\n", reel_live_file_path(job->spec, i, path));
}

static void say_verdict(const struct run *run, int code)
{
    bool quiet = run->settings.progress == SET_PROGRESS_OFF || run->settings.progress == SET_PROGRESS_JSON;
    if (run->interrupted) {
        fprintf(stderr, "reelmill: interrupted%s\n",
                run->settings.live || run->streams ? ""
                                                   : "; finished work is kept. To resume, run the same command again");
        return;
    }
    if (run->failed) {
        fprintf(stderr, "reelmill: %s\n", run->failure);
        return;
    }
    uint32_t done = done_jobs(run);
    uint64_t frames = 0, quarantined = 0;
    bool lossy = false;
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        lossy |= is_lossy(&run->jobs[i]);
        frames += run->jobs[i].frames_out;
        quarantined += jobs_quarantined(&run->jobs[i]);
    }
    if (run->n_jobs == 1 && !done) {
        fprintf(stderr, "reelmill: %s\n", run->jobs[0].error);
        return;
    }
    if (done < run->n_jobs)
        fprintf(stderr, "reelmill: %u of %u inputs failed%s\n", run->n_jobs - done, run->n_jobs,
                done ? "; the same command retries them and skips what is done" : "");
    if (quarantined)
        fprintf(stderr, "reelmill: %llu frame%s replaced\n", (unsigned long long)quarantined,
                quarantined == 1 ? " was" : "s were");
    if (quiet) return;
    if (run->settings.live && done) say_live(run);
    struct bottleneck bottleneck;
    report_bottleneck(run, &bottleneck);
    char path[REEL_PATH_BYTES], where[REEL_PATH_BYTES];
    reel_live_file_path(run->jobs[0].spec, run->jobs[0].file, path);
    reel_shown(run->n_jobs > 1 ? run->settings.output : path, where, sizeof where);
    if (reel_is_stdout(where)) snprintf(where, sizeof where, "standard output");
    bool nowhere = run->jobs[0].spec->kind == REEL_OUTPUT_NULL;
    const char *but = code != EXIT_LOSSY ? "" : lossy ? ", not all could be kept" : ", under another name";
    fprintf(stderr, "done%s%s%s: %llu frame%s, %.1f fps; %s\n", but, nowhere ? "" : ", ", nowhere ? "" : where,
            (unsigned long long)frames, frames == 1 ? "" : "s", report_fps(run), bottleneck.text);
}

int run_all(struct run *run)
{
    run->start_us = reel_now_us();
    run->settings_fd = run->jobs_fd = run->stat_fd = run->input_fd = run->head_fd = run->output_fd = -1;
    reel_crash_init("coordinator", 0, 1);
    enum reel_err err = setup(run);
    if (err && reel_life_stops())
        run->interrupted = true; // the error may only be a consequence: a child got the same signal
    else if (err)
        run_fail(run, err, reel_fail_text());
    else
        loop(run);
    int64_t end_us = reel_now_us();
    reel_debug("run", "%.3f s of CPU for %llu frames", (double)reel_cpu_us() / 1e6,
               (unsigned long long)run->frames_taken);
    int64_t cpu_us[REEL_STAGES] = {0};
    if (run->sup.n) report_read_cpu(run, cpu_us);
    for (int s = 0; s < REEL_STAGES; s++) run->cpu_us[s] = cpu_us[s] - run->cpu_at_first[s];
    run->cpu_until_us = end_us;
    if (run->progress) progress_end(run->progress, run, end_us);
    flow_team_end(run);
    if (run->sup.n) supervise_end(&run->sup, run->interrupted ? STOP_END_US : END_US);
    trace_destroy(&run->trace, run);
    metrics_destroy(&run->metrics);
    int code = exit_code_of(run);
    say_verdict(run, code);
    if (run->settings.report[0] && run->jobs && report_write(run, run->settings.report, reel_now_us())) {
        fprintf(stderr, "reelmill: %s\n", reel_fail_text());
        if (code == EXIT_DONE) code = EXIT_FAILED;
    }
    reel_crash_point("done.before_drop");
    if (!run->interrupted && !run->failed) drop_done_parts(run);
    progress_destroy(&run->progress);
    supervise_fini(&run->sup);
    jobs_fini(run);
    flow_team_fini(run);
    flow_fini(run);
    if (run->input_fd >= 0) close(run->input_fd);
    if (run->head_fd >= 0) close(run->head_fd);
    reel_head_close(&run->head);
    if (run->output_fd >= 0) close(run->output_fd);
    reel_bus_close(&run->bus);
    pictures_close(&run->pictures);
    free(run->config_text);
    return code;
}
