// SPDX-License-Identifier: MIT
//
// The board as text. See metrics/text.h.
#include "coordinator/metrics/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

static const char *const stages[REEL_STAGES] = {"coordinator", "decoder", "worker", "aggregator"};
static const char *const states[METRICS_JOB_STATES] = {"waiting", "running", "done", "failed"};

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static const char *stage_of(const struct metrics_process *p)
{
    return stages[p->stage < REEL_STAGES ? p->stage : 0];
}

static double busy_seconds(const struct metrics_process *p)
{
    return p->busy_s;
}

// ---- Prometheus -----------------------------------------------------------------

// The two lines before a metric's samples.
static void head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP reelmill_%s %s\n# TYPE reelmill_%s %s\n", name, help, name, type);
}

static void single(FILE *f, const char *name, const char *type, const char *help, double value)
{
    head(f, name, type, help);
    fprintf(f, "reelmill_%s %.15g\n", name, value);
}

// Writes text as a label's value: backslash, quote and line feed escaped, invalid UTF-8 replaced,
// other control characters as '?'.
static void put_label(FILE *f, const char *text, size_t room)
{
    char copy[METRICS_NAME_BYTES], next[REEL_JSON_NEXT];
    snprintf(copy, sizeof copy, "%.*s", (int)room, text);
    const char *p = copy;
    for (size_t n; (n = reel_json_next(&p, next));) {
        bool plain = next[0] != '\\' || (n == 2 && strchr("\\\"n", next[1]));
        fwrite(plain ? next : "?", 1, plain ? n : 1, f);
    }
}

// Writes one sample for each process of the stage, or of all stages (REEL_STAGES).
static void each(FILE *f, const struct metrics_data *d, const char *name, const char *type, const char *help,
                 double (*value)(const struct metrics_process *p))
{
    head(f, name, type, help);
    for (uint32_t i = 0; i < least(d->n_processes, METRICS_PROCESSES); i++) {
        const struct metrics_process *p = &d->process[i];
        fprintf(f, "reelmill_%s{stage=\"%s\",index=\"%u\"} %.15g\n", name, stage_of(p), p->index, value(p));
    }
}

static double is_up(const struct metrics_process *p)
{
    return p->up;
}

static double frames_of(const struct metrics_process *p)
{
    return (double)p->frames;
}

static double busy_of(const struct metrics_process *p)
{
    return p->busy;
}

static double fps_of(const struct metrics_process *p)
{
    return p->fps;
}

static double restarts_of(const struct metrics_process *p)
{
    return p->restarts;
}

static double queue_of(const struct metrics_process *p)
{
    return p->queue;
}

static void put_processes(FILE *f, const struct metrics_data *d)
{
    head(f, "process_info", "gauge", "A process of this run, its device and process id.");
    for (uint32_t i = 0; i < least(d->n_processes, METRICS_PROCESSES); i++) {
        const struct metrics_process *p = &d->process[i];
        fprintf(f, "reelmill_process_info{stage=\"%s\",index=\"%u\",pid=\"%d\",device=\"", stage_of(p), p->index,
                p->pid);
        put_label(f, p->device, sizeof p->device);
        fputs("\"} 1\n", f);
    }
    each(f, d, "process_up", "gauge", "1 if the process runs and is ready for work.", is_up);
    each(f, d, "process_frames_total", "counter", "Frames finished, over all lives of the process.", frames_of);
    each(f, d, "process_busy_seconds_total", "counter",
         "Time spent working, not waiting, over all lives of the process.", busy_seconds);
    each(f, d, "process_busy_ratio", "gauge", "Share of the last few seconds spent working, 0 to 1.", busy_of);
    each(f, d, "process_frames_per_second", "gauge", "Frames finished per second, over the last few seconds.", fps_of);
    each(f, d, "process_restarts_total", "counter", "Times the process was restarted.", restarts_of);
    each(f, d, "process_queue_depth", "gauge",
         "Frames waiting at the process: those a decoder may still write, a worker holds, an aggregator was sent.",
         queue_of);
}

static void put_stage_totals(FILE *f, const struct metrics_data *d)
{
    uint64_t frames[REEL_STAGES] = {0};
    for (uint32_t i = 0; i < least(d->n_processes, METRICS_PROCESSES); i++)
        if (d->process[i].stage < REEL_STAGES) frames[d->process[i].stage] += d->process[i].frames;
    head(f, "frames_total", "counter", "Frames finished by a stage; frames done again count again.");
    for (int s = REEL_DECODER; s < REEL_STAGES; s++)
        fprintf(f, "reelmill_frames_total{stage=\"%s\"} %llu\n", stages[s], (unsigned long long)frames[s]);
    head(f, "bottleneck", "gauge", "1 for the stage that is the bottleneck now.");
    for (int s = REEL_DECODER; s < REEL_STAGES; s++)
        fprintf(f, "reelmill_bottleneck{stage=\"%s\"} %d\n", stages[s], !strcmp(d->bottleneck_stage, stages[s]));
}

static void put_run(FILE *f, const struct metrics_data *d)
{
    head(f, "build_info", "gauge", "Version of reelmill.");
    fprintf(f, "reelmill_build_info{version=\"%s\"} 1\n", REEL_VERSION);
    single(f, "start_time_seconds", "gauge", "When the run began, in seconds since 1970.", d->start_unix_s);
    single(f, "run_seconds", "gauge", "How long the run has lasted.", d->run_s);
    head(f, "jobs", "gauge", "Inputs by state.");
    for (int s = 0; s < METRICS_JOB_STATES; s++) fprintf(f, "reelmill_jobs{state=\"%s\"} %u\n", states[s], d->jobs[s]);
    single(f, "frames_done", "gauge", "Output frames encoded so far, including earlier runs.", (double)d->frames);
    head(f, "frames_expected", "gauge", "Estimated total of output frames; NaN: not known yet.");
    fprintf(f, d->frames_total ? "reelmill_frames_expected %llu\n" : "reelmill_frames_expected NaN\n",
            (unsigned long long)d->frames_total);
    single(f, "frames_per_second", "gauge", "Output frames per second, over the last few seconds.", d->fps);
    head(f, "eta_seconds", "gauge", "Estimated time until the end; NaN: not known.");
    fprintf(f, d->eta_s >= 0 ? "reelmill_eta_seconds %.1f\n" : "reelmill_eta_seconds NaN\n", d->eta_s);
    single(f, "segments", "gauge", "Segments of the inputs scanned so far.", (double)d->segments);
    single(f, "segments_committed", "gauge", "Segments whose part of the output is on disk.",
           (double)d->segments_committed);
    single(f, "quarantined_frames", "gauge", "Frames that repeatedly crashed a process and were replaced.",
           (double)d->quarantined);
    if (d->live) {
        single(f, "dropped_frames_total", "counter", "Output frames dropped because they were late.",
               (double)d->dropped);
        single(f, "latency_seconds", "gauge", "Recent delay of live frames from decoding to encoding.", d->wait_s);
    }
    single(f, "lanes", "gauge", "Segments that can be in progress at once.", d->lanes);
    single(f, "lanes_open", "gauge", "Segments in progress.", d->lanes_open);
    single(f, "frames_in_flight", "gauge", "Frames decoded and not yet encoded.", (double)d->in_flight);
    single(f, "output_bytes_total", "counter", "Bytes written by the aggregators.", (double)d->bytes_out);
}

// Returns the text that `body` writes.
static char *printed(void (*body)(FILE *f, const struct metrics_data *d), const struct metrics_data *d, size_t *out)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, out);
    if (!f) return NULL;
    body(f, d);
    bool bad = ferror(f) != 0;
    if (!fclose(f) && !bad) return text;
    free(text);
    return NULL;
}

static void put_prometheus(FILE *f, const struct metrics_data *d)
{
    put_run(f, d);
    put_stage_totals(f, d);
    put_processes(f, d);
}

char *metrics_prometheus(const struct metrics_data *data, size_t *out_bytes)
{
    return printed(put_prometheus, data, out_bytes);
}

// ---- JSON -----------------------------------------------------------------------

static void put_json(FILE *f, const char *text, size_t room)
{
    char copy[1024], next[REEL_JSON_NEXT];
    snprintf(copy, sizeof copy, "%.*s", (int)room, text);
    const char *p = copy;
    fputc('"', f);
    for (size_t n; (n = reel_json_next(&p, next));) fwrite(next, 1, n, f);
    fputc('"', f);
}

static void put_status_job(FILE *f, const struct metrics_job *job)
{
    fputs("{\"name\":", f);
    put_json(f, job->name, sizeof job->name);
    fprintf(f, ",\"state\":\"%s\",\"doing\":", states[job->state < METRICS_JOB_STATES ? job->state : 0]);
    put_json(f, job->doing, sizeof job->doing);
    fprintf(f, ",\"frames\":%llu,\"total\":%lld,\"error\":", (unsigned long long)job->frames, (long long)job->total);
    put_json(f, job->error, sizeof job->error);
    fputs("}", f);
}

static void put_status(FILE *f, const struct metrics_data *d)
{
    fprintf(f, "{\"version\":\"%s\",\"phase\":", REEL_VERSION);
    put_json(f, d->phase, sizeof d->phase);
    fprintf(f,
            ",\"run_s\":%.1f,\"frames\":%llu,\"total\":%llu,\"fps\":%.2f,\"eta_s\":%.1f,\"in_flight\":%llu,"
            "\"segments\":%llu,\"segments_committed\":%llu,\"quarantined\":%llu",
            d->run_s, (unsigned long long)d->frames, (unsigned long long)d->frames_total, d->fps, d->eta_s,
            (unsigned long long)d->in_flight, (unsigned long long)d->segments,
            (unsigned long long)d->segments_committed, (unsigned long long)d->quarantined);
    if (d->live)
        fprintf(f, ",\"live\":{\"dropped\":%llu,\"latency_s\":%.4f}", (unsigned long long)d->dropped, d->wait_s);
    fputs(",\"jobs\":{", f);
    for (int s = 0; s < METRICS_JOB_STATES; s++) fprintf(f, "%s\"%s\":%u", s ? "," : "", states[s], d->jobs[s]);
    fputs("},\"bottleneck\":{\"stage\":", f);
    put_json(f, d->bottleneck_stage, sizeof d->bottleneck_stage);
    fputs(",\"text\":", f);
    put_json(f, d->bottleneck, sizeof d->bottleneck);
    fputs("},\"processes\":[", f);
    for (uint32_t i = 0; i < least(d->n_processes, METRICS_PROCESSES); i++) {
        const struct metrics_process *p = &d->process[i];
        fprintf(f,
                "%s\n{\"stage\":\"%s\",\"index\":%u,\"pid\":%d,\"up\":%s,\"restarts\":%u,\"frames\":%llu,\"fps\":%.2f,"
                "\"busy\":%.3f,\"queue\":%u,\"device\":",
                i ? "," : "", stage_of(p), p->index, p->pid, p->up ? "true" : "false", p->restarts,
                (unsigned long long)p->frames, p->fps, p->busy, p->queue);
        put_json(f, p->device, sizeof p->device);
        fputs("}", f);
    }
    fputs("],\"shown_jobs\":[", f);
    for (uint32_t i = 0; i < least(d->n_jobs, METRICS_JOBS); i++) {
        fputs(i ? ",\n" : "\n", f);
        put_status_job(f, &d->job[i]);
    }
    fputs("]}\n", f);
}

char *metrics_status(const struct metrics_data *data, size_t *out_bytes)
{
    return printed(put_status, data, out_bytes);
}
