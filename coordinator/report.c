// SPDX-License-Identifier: MIT
//
// The JSON report of a run, and the line that says what bounded it. Reads the
// statistics page over the window from the first dispatch to the last commit.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/life.h"
#include "common/secret.h"
#include "coordinator/coordinator.h"

#define BUSY_ENOUGH 0.85 // a stage that is busy for this part of the time is the bottleneck

static double window_us(const struct run *run)
{
    int64_t us = run->last_commit_us - run->first_dispatch_us;
    return us > 0 ? (double)us : 0;
}

double report_fps(const struct run *run)
{
    uint64_t frames = 0;
    for (uint32_t i = 0; i < run->n_jobs; i++) frames += run->jobs[i].frames_committed - run->jobs[i].frames_resumed;
    double us = window_us(run);
    return us > 0 ? (double)frames / us * 1e6 : 0;
}

static double busy_fraction(const struct run *run, uint32_t row)
{
    double us = window_us(run);
    if (us <= 0) return 0;
    uint64_t busy = atomic_load(&run->stat->row[row].busy_us);
    double share = busy > run->busy_at_first[row] ? (double)(busy - run->busy_at_first[row]) / us : 0;
    return share > 1 ? 1 : share;
}

static double stage_busy(const struct run *run, enum reel_stage stage)
{
    double sum = 0;
    for (uint32_t i = 0; i < run->sup.count[stage]; i++) sum += busy_fraction(run, run->sup.first[stage] + i);
    return run->sup.count[stage] ? sum / run->sup.count[stage] : 0;
}

void report_read_cpu(const struct run *run, int64_t out_us[REEL_STAGES])
{
    memset(out_us, 0, REEL_STAGES * sizeof *out_us);
    out_us[REEL_COORDINATOR] = reel_cpu_us();
    for (uint32_t i = 0; i < run->sup.n; i++) {
        const struct proc *p = &run->sup.proc[i];
        int64_t us = p->pidfd >= 0 ? reel_cpu_us_of(p->pid) : 0;
        if (us > 0) out_us[p->stage] += us;
    }
}

// ---- what bounded it --------------------------------------------------------------

static const char *word_of(const struct shares *in, enum reel_stage stage)
{
    static const char *const words[REEL_STAGES] = {"coordination", "decoding", "the model", "encoding"};
    return stage == REEL_AGGREGATOR && in->uncoded ? "writing" : words[stage];
}

// Which option makes a stage faster if there are idle cores or devices. More processes help only
// if there are enough segments for them.
static const char *help_of(const struct shares *in, enum reel_stage stage)
{
    bool more = in->segments > in->processes[stage];
    if (stage == REEL_AGGREGATOR && in->uncoded)
        return more ? "more --aggregators" : "a smaller --segment_seconds with more --aggregators";
    if (in->no_cuts && !more && stage == REEL_DECODER) return "--decoder_threads";
    if (in->no_cuts && !more && stage == REEL_AGGREGATOR) return "a faster preset in --encoder_opts";
    if (stage == REEL_DECODER)
        return more ? "more --decoders" : "--decoder_threads, or a smaller --segment_seconds with more --decoders";
    if (stage == REEL_AGGREGATOR)
        return more ? "more --aggregators, or a faster preset in --encoder_opts,"
                    : "a faster preset in --encoder_opts, or a smaller --segment_seconds with more --aggregators,";
    if (in->keeps && !more)
        return "a faster device, or --warmup_frames, which lets several devices share one input (approximate at cuts),";
    return in->on_cpu ? "more workers (--gpu_num), or a GPU," : "more devices (--gpu_num)";
}

static const char *cpu_help_of(const struct shares *in, enum reel_stage stage)
{
    if (stage == REEL_AGGREGATOR && !in->uncoded) return "a faster preset in --encoder_opts, or more cores,";
    return stage == REEL_WORKER ? "a GPU, or more cores," : "more cores";
}

// The stage with the largest share; the worker if shares are equal.
static enum reel_stage largest(const double share[REEL_STAGES])
{
    enum reel_stage most = REEL_WORKER;
    for (int s = REEL_DECODER; s < REEL_STAGES; s++)
        if (share[s] > share[most]) most = (enum reel_stage)s;
    return most;
}

// If each segment keeps one worker (stateful networks), further workers cannot be used: busy is
// then counted over the workers that have a segment.
static struct shares of_use(const struct shares *in)
{
    struct shares s = *in;
    const double n = s.processes[REEL_WORKER];
    if (!s.keeps || !s.segments || (double)s.segments >= n) return s;
    const double busy = s.busy[REEL_WORKER] * n / (double)s.segments;
    s.busy[REEL_WORKER] = busy < 1 ? busy : 1;
    return s;
}

void report_judge(const struct shares *all, struct bottleneck *out)
{
    const struct shares used = of_use(all), *in = &used;
    double cpu = 0;
    for (int s = REEL_COORDINATOR; s < REEL_STAGES; s++) cpu += in->cores_used[s];
    bool cpu_bound = cpu >= BUSY_ENOUGH * in->cores;
    enum reel_stage most = largest(cpu_bound ? in->cores_used : in->busy);
    snprintf(out->stage, sizeof out->stage, "%s", supervise_stage_name(most));
    char idle[128];
    size_t at = 0;
    for (int s = REEL_DECODER; s < REEL_STAGES; s++)
        if (s != (int)most)
            at += (size_t)snprintf(idle + at, sizeof idle - at, "%s%s %.0f%% idle", at ? ", " : "",
                                   word_of(in, (enum reel_stage)s), 100 * (1 - in->busy[s]));
    if (cpu_bound)
        snprintf(out->text, sizeof out->text,
                 "bound by the CPU: all %u cores were busy, mostly with %s (%.0f%% busy; %s): %s would help", in->cores,
                 word_of(in, most), 100 * in->busy[most], idle, cpu_help_of(in, most));
    else if (in->busy[most] >= BUSY_ENOUGH)
        snprintf(out->text, sizeof out->text, "bound by %s (%.0f%% busy; %s): %s would help", word_of(in, most),
                 100 * in->busy[most], idle, help_of(in, most));
    else if (in->live && !in->dropped)
        snprintf(out->text, sizeof out->text, "bound by the input, which all kept up with: %s was busiest (%.0f%%; %s)",
                 word_of(in, most), 100 * in->busy[most], idle);
    else if (in->live)
        snprintf(out->text, sizeof out->text,
                 "bound by no single stage: %s was busiest (%.0f%%; %s); frames were late now and then: a larger "
                 "--latency_ms may help",
                 word_of(in, most), 100 * in->busy[most], idle);
    else
        snprintf(out->text, sizeof out->text,
                 "bound by no single stage: %s was busiest (%.0f%%; %s); short inputs, or waits between stages: more "
                 "--lanes may help",
                 word_of(in, most), 100 * in->busy[most], idle);
}

static bool is_coded(enum reel_output_kind kind)
{
    return kind == REEL_OUTPUT_VIDEO || kind == REEL_OUTPUT_IMAGES || kind == REEL_OUTPUT_STREAM;
}

void report_bottleneck(const struct run *run, struct bottleneck *out)
{
    *out = (struct bottleneck){"none", "nothing was run"};
    if (!run->stat || window_us(run) <= 0) return;
    struct shares in = {.cores = run->cores,
                        .no_cuts = !run_may_cut(run),
                        .keeps = run->model.stateful,
                        .on_cpu = run->settings.backend == SET_BACKEND_ONEDNN,
                        .uncoded = true};
    double cpu_us = (double)(run->cpu_until_us - run->first_dispatch_us);
    for (int s = REEL_COORDINATOR; s < REEL_STAGES; s++) {
        in.processes[s] = run->sup.count[s];
        if (s != REEL_COORDINATOR) in.busy[s] = stage_busy(run, (enum reel_stage)s);
        if (cpu_us > 0) in.cores_used[s] = (double)run->cpu_us[s] / cpu_us;
    }
    bool none_cut = true;
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        in.segments += run->jobs[i].n_segments;
        in.uncoded &= !is_coded(run->jobs[i].spec->kind);
        none_cut &= (run->jobs[i].scanned.media.flags & REEL_MEDIA_NO_CUT) != 0;
    }
    in.live = run->settings.live;
    in.no_cuts |= in.live || none_cut;
    in.dropped = live_dropped(run) > 0;
    report_judge(&in, out);
}

// ---- JSON -----------------------------------------------------------------------

static void put_text(FILE *f, const char *text)
{
    char next[REEL_JSON_NEXT], shown[2 * REEL_PATH_BYTES];
    const char *s = reel_shown(text, shown, sizeof shown);
    fputc('"', f);
    for (size_t n; (n = reel_json_next(&s, next));) fwrite(next, 1, n, f);
    fputc('"', f);
}

static const char *status_of(const struct run *run, const struct job *job)
{
    if (job->state == JOB_DONE) return "done";
    if (job->state == JOB_FAILED || run->failed) return "failed";
    return "interrupted";
}

static void put_jobs(FILE *f, const struct run *run, int64_t now_us)
{
    fputs("  \"jobs\": [", f);
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        const struct job *job = &run->jobs[i];
        const char *error = job->state == JOB_FAILED                ? job->error
                            : job->state != JOB_DONE && run->failed ? run->failure
                                                                    : "";
        double seconds = job->began_us ? (double)((job->ended_us ? job->ended_us : now_us) - job->began_us) / 1e6 : 0;
        fprintf(f, "%s\n    {\"input\": ", i ? "," : "");
        put_text(f, job->spec->input);
        char path[REEL_PATH_BYTES];
        fputs(", \"output\": ", f);
        put_text(f, reel_live_file_path(job->spec, job->file, path));
        fprintf(f, ", \"status\": \"%s\", \"error\": ", status_of(run, job));
        if (error[0])
            put_text(f, error);
        else
            fputs("null", f);
        int64_t in =
            job->ledger.segments ? job->ledger.sum.decoded + job->ledger.sum.filtered : (int64_t)job->frames_out;
        fprintf(f, ", \"frames_in\": %lld, \"frames_out\": %llu, \"segments\": %u, \"seconds\": %.3f", (long long)in,
                (unsigned long long)(job->state == JOB_DONE ? job->frames_out : job->frames_committed), job->n_segments,
                seconds);
        // At the cuts the network's state is only approximately that of an uncut run.
        if (run->model.stateful && job->n_segments > 1)
            fprintf(f, ", \"warmup_frames\": %d", run->settings.warmup_frames);
        fputs("}", f);
    }
    fputs("\n  ],\n", f);
}

static void put_stages(FILE *f, const struct run *run)
{
    fputs("  \"stages\": {", f);
    for (int s = REEL_DECODER; s < REEL_STAGES; s++) {
        fprintf(f, "%s\n    \"%s\": [", s > REEL_DECODER ? "," : "", supervise_stage_name((enum reel_stage)s));
        for (uint32_t i = 0; i < run->sup.count[s]; i++) {
            const struct proc *p = &run->sup.proc[run->sup.first[s] + i];
            fprintf(f, "%s\n      {\"id\": %u, \"device\": ", i ? "," : "", i);
            put_text(f, p->hello.device);
            fprintf(f, ", \"pid\": %d, \"frames\": %llu, \"busy_fraction\": %.4f, \"restarts\": %u}", (int)p->pid,
                    (unsigned long long)atomic_load(&run->stat->row[p->row].frames), busy_fraction(run, p->row),
                    p->incarnation ? p->incarnation - 1 : 0);
        }
        fputs("\n    ]", f);
    }
    fputs("\n  },\n", f);
}

static const char *kept_text(const struct run *run, size_t offset)
{
    static const char *const words[] = {"none", "all", "part", "lost", "unasked"};
    uint8_t worst = REEL_KEPT_NONE;
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        uint8_t v = ((const uint8_t *)&run->jobs[i].kept)[offset];
        bool worse = v < sizeof words / sizeof *words &&
                     (worst == REEL_KEPT_NONE || (v != REEL_KEPT_NONE && v != REEL_KEPT_UNASKED && v > worst));
        if (worse) worst = v;
    }
    return words[worst];
}

static void put_kept(FILE *f, const struct run *run)
{
#define KEPT(field) kept_text(run, offsetof(struct reel_kept, field))
    fprintf(f,
            "  \"kept\": {\"audio\": \"%s\", \"subtitles\": \"%s\", \"chapters\": \"%s\", \"attachments\": \"%s\", "
            "\"metadata\": \"%s\", \"timestamps\": \"%s\", \"colour\": \"%s\", \"other\": \"%s\"}\n",
            KEPT(audio), KEPT(subtitles), KEPT(chapters), KEPT(attachments), KEPT(metadata), KEPT(timestamps),
            KEPT(colour), KEPT(other));
#undef KEPT
}

static void put_live(FILE *f, const struct run *run)
{
    if (!run->settings.live) return;
    const struct job *job = run->jobs;
    const uint32_t *us = job->live.latency_us;
    fprintf(f, "  \"latency_ms\": {\"median\": %.2f, \"p99\": %.2f, \"max\": %.2f},\n", us[REEL_LATENCY_MEDIAN] / 1e3,
            us[REEL_LATENCY_P99] / 1e3, us[REEL_LATENCY_MAX] / 1e3);
    fprintf(f, "  \"live\": {\"attempts\": %u, \"cut_off\": %s, \"files\": [", job->n_segments,
            job->live.cut_off ? "true" : "false");
    for (uint32_t i = 1; i <= job->live.file || i == 1; i++) {
        char path[REEL_PATH_BYTES];
        if (i > 1) fputs(", ", f);
        put_text(f, reel_live_file_path(job->spec, i, path));
    }
    fputs("]},\n", f);
}

enum reel_err report_write(const struct run *run, const char *path, int64_t now_us)
{
    FILE *f = fopen(path, "we");
    if (!f) return reel_fail(REEL_ERR_IO, "could not write report \"%s\": %s", path, strerror(errno));
    struct ledger_entry sum = {0};
    uint64_t out = 0, quarantined = 0;
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        const struct job *job = &run->jobs[i];
        const struct ledger_entry *e = &job->ledger.sum;
        sum.decoded += e->decoded;
        sum.hidden += e->hidden;
        sum.unreadable += e->unreadable;
        sum.filtered += e->filtered;
        sum.dropped += e->dropped;
        out += job->frames_committed;
        quarantined += jobs_quarantined(job);
    }
    struct bottleneck bottleneck;
    report_bottleneck(run, &bottleneck);
    fputs("{\n  \"version\": ", f);
    put_text(f, REEL_VERSION);
    fprintf(f, ",\n  \"wall_s\": %.3f,\n  \"fps\": %.3f,\n", (double)(now_us - run->start_us) / 1e6, report_fps(run));
    fprintf(f,
            "  \"frames\": {\"in\": %lld, \"out\": %llu, \"quarantined\": %llu, \"dropped\": %lld, \"unreadable\": "
            "%lld, \"hidden\": %lld},\n",
            (long long)(sum.decoded + sum.filtered), (unsigned long long)out, (unsigned long long)quarantined,
            (long long)sum.dropped, (long long)sum.unreadable, (long long)sum.hidden);
    put_live(f, run);
    if (run->disk.warned)
        fprintf(f, "  \"disk\": {\"free_mb\": %llu, \"needed_mb\": %llu},\n",
                (unsigned long long)(run->disk.free_bytes >> 20), (unsigned long long)(run->disk.needed_bytes >> 20));
    put_jobs(f, run, now_us);
    put_stages(f, run);
    fprintf(f, "  \"bottleneck\": {\"stage\": \"%s\", \"text\": ", bottleneck.stage);
    put_text(f, bottleneck.text);
    fputs("},\n", f);
    put_kept(f, run);
    fputs("}\n", f);
    bool bad = ferror(f) != 0;
    if (fclose(f) || bad) return reel_fail(REEL_ERR_IO, "could not write report \"%s\": %s", path, strerror(errno));
    return REEL_OK;
}
