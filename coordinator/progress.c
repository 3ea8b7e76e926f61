// SPDX-License-Identifier: MIT
//
// What people see while it runs: a bar on a terminal, a line every few seconds
// elsewhere, or JSON lines. Reads the run; decides nothing.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "coordinator/coordinator.h"

#define BAR_US INT64_C(100000)
#define LINE_US INT64_C(5000000)
#define JSON_US INT64_C(1000000)
#define SPEED_US 3e6 // the speed shown is that of about the last three seconds

struct progress {
    enum set_progress kind;
    int64_t shown_us, speed_us;
    uint64_t speed_frames;
    double fps;
    bool bar_there;
};

enum reel_err progress_create(struct run *run, struct progress **out)
{
    struct progress *p = calloc(1, sizeof *p);
    if (!p) return reel_fail(REEL_ERR_NOMEM, "could not show progress: out of memory");
    p->kind = (enum set_progress)run->settings.progress;
    if (p->kind == SET_PROGRESS_AUTO) p->kind = isatty(STDERR_FILENO) ? SET_PROGRESS_BAR : SET_PROGRESS_PLAIN;
    p->shown_us = run->start_us;
    *out = p;
    return REEL_OK;
}

void progress_destroy(struct progress **progress)
{
    free(*progress);
    *progress = NULL;
}

void progress_pause(struct progress *p)
{
    if (!p || !p->bar_there) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    p->bar_there = false;
}

// Estimated number of output frames of the whole run; 0 if unknown.
static uint64_t expected(const struct run *run, uint64_t *out_taken)
{
    uint64_t total = 0, taken = 0;
    uint32_t known = 0;
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        const struct job *job = &run->jobs[i];
        taken += job->frames_committed;
        if (job->state == JOB_FAILED || job->state == JOB_DONE) {
            total += job->frames_committed, known++;
        } else if (job->state > JOB_SCAN && job->scanned.media.n_frames > 0) {
            total += (uint64_t)job->scanned.media.n_frames * run_rate(run), known++;
        }
    }
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN && !run->lanes[l].committed)
            taken += (uint64_t)run->lanes[l].taken * run_rate(run);
    *out_taken = taken;
    // Inputs that are not scanned yet are taken to be as long as the others.
    return known ? total * run->n_jobs / known : 0;
}

static void measure(struct progress *p, const struct run *run, int64_t now_us)
{
    if (!run->first_dispatch_us) return;
    if (!p->speed_us) p->speed_us = run->first_dispatch_us;
    double span = (double)(now_us - p->speed_us);
    if (span < 2e5) return;
    double now = (double)(run->frames_taken - p->speed_frames) / span * 1e6;
    double weight = span / SPEED_US < 1 ? span / SPEED_US : 1;
    p->fps = p->fps ? p->fps + weight * (now - p->fps) : now;
    p->speed_us = now_us;
    p->speed_frames = run->frames_taken;
}

static void eta_text(double seconds, char *out, size_t bytes)
{
    if (!(seconds >= 0) || seconds > 360000)
        snprintf(out, bytes, "--:--");
    else if (seconds >= 3600)
        snprintf(out, bytes, "%d:%02d:%02d", (int)seconds / 3600, (int)seconds / 60 % 60, (int)seconds % 60);
    else
        snprintf(out, bytes, "%d:%02d", (int)seconds / 60, (int)seconds % 60);
}

// "w0 12.5 w1 12.3": the speed of each worker, as many as fit.
static void speeds_text(const struct run *run, char *out, size_t bytes)
{
    size_t at = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < run->workers && at + 24 < bytes; i++) {
        const struct dispatch_worker *w = &run->dispatch.worker[i];
        if (w->up && w->frame_us > 0)
            at += (size_t)snprintf(out + at, bytes - at, "%sw%u %.*f", at ? " " : "", i, w->frame_us > 1e5 ? 1 : 0,
                                   1e6 / w->frame_us);
    }
}

static const char *phase(const struct run *run)
{
    if (run->first_dispatch_us) return "";
    if (!run->model_known) return "loading";
    return "reading";
}

// A live input has no known end, so this replaces the bar.
static int live_text(const struct progress *p, const struct run *run, uint64_t taken, char *out, size_t bytes)
{
    uint64_t dropped = live_dropped(run);
    return snprintf(out, bytes, "live: %llu frames, %.1f fps, %llu dropped, latency %.0f ms", (unsigned long long)taken,
                    p->fps, (unsigned long long)dropped, run->live_wait_us / 1e3);
}

static void show_bar(struct progress *p, const struct run *run, uint64_t taken, uint64_t total)
{
    struct winsize size;
    int columns = !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col > 20 ? size.ws_col : 80;
    char eta[32], speeds[256], line[640], bar[32];
    double share = total ? (double)taken / (double)total : 0;
    if (share > 1) share = 1;
    eta_text(p->fps > 0 && total > taken ? (double)(total - taken) / p->fps : -1, eta, sizeof eta);
    speeds_text(run, speeds, sizeof speeds);
    int full = (int)(share * 24);
    for (int i = 0; i < 24; i++) bar[i] = i < full ? '#' : '.';
    bar[24] = 0;
    int n = run->settings.live ? live_text(p, run, taken, line, sizeof line) : 0;
    if (!n || !run->first_dispatch_us)
        n = snprintf(line, sizeof line, "[%s] %5.1f%%  %llu/%llu  %.1f fps  ETA %s  %s%s", bar, 100 * share,
                     (unsigned long long)taken, (unsigned long long)total, p->fps, eta, speeds, phase(run));
    if (n >= columns) line[columns - 1] = 0;
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    p->bar_there = true;
}

static void show_plain(struct progress *p, const struct run *run, uint64_t taken, uint64_t total)
{
    if (!run->first_dispatch_us) return;
    char eta[32], line[256];
    if (run->settings.live) {
        live_text(p, run, taken, line, sizeof line);
        fprintf(stderr, "%s\n", line);
        return;
    }
    eta_text(p->fps > 0 && total > taken ? (double)(total - taken) / p->fps : 0, eta, sizeof eta);
    fprintf(stderr, "%llu of %llu frames (%.0f%%), %.1f fps, ETA %s\n", (unsigned long long)taken,
            (unsigned long long)total, total ? 100.0 * (double)taken / (double)total : 0, p->fps, eta);
}

static void show_json(struct progress *p, const struct run *run, uint64_t taken, uint64_t total, int64_t now_us)
{
    uint32_t done = 0, failed = 0;
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        done += run->jobs[i].state == JOB_DONE;
        failed += run->jobs[i].state == JOB_FAILED;
    }
    fprintf(stdout,
            "{\"time_s\":%.2f,\"frames\":%llu,\"total\":%llu,\"fps\":%.2f,\"jobs\":%u,\"done\":%u,\"failed\":%u,"
            "\"workers\":[",
            (double)(now_us - run->start_us) / 1e6, (unsigned long long)taken, (unsigned long long)total, p->fps,
            run->n_jobs, done, failed);
    for (uint32_t i = 0; i < run->workers; i++) {
        double us = run->dispatch.worker[i].frame_us;
        fprintf(stdout, "%s%.2f", i ? "," : "", us > 0 ? 1e6 / us : 0);
    }
    fputs("]", stdout);
    if (run->settings.live)
        fprintf(stdout, ",\"dropped\":%llu,\"latency_ms\":%.2f", (unsigned long long)live_dropped(run),
                run->live_wait_us / 1e3);
    fputs("}\n", stdout);
    fflush(stdout);
}

static void show(struct progress *p, struct run *run, int64_t now_us)
{
    uint64_t taken, total = expected(run, &taken);
    p->shown_us = now_us;
    if (p->kind == SET_PROGRESS_BAR) show_bar(p, run, taken, total);
    if (p->kind == SET_PROGRESS_PLAIN) show_plain(p, run, taken, total);
    if (p->kind == SET_PROGRESS_JSON) show_json(p, run, taken, total, now_us);
}

double progress_view(const struct progress *p, const struct run *run, uint64_t *out_done, uint64_t *out_total)
{
    *out_total = expected(run, out_done);
    return p->fps;
}

void progress_tick(struct progress *p, struct run *run, int64_t now_us)
{
    int64_t every = p->kind == SET_PROGRESS_BAR ? BAR_US : p->kind == SET_PROGRESS_JSON ? JSON_US : LINE_US;
    measure(p, run, now_us);
    if (p->kind != SET_PROGRESS_OFF && now_us - p->shown_us >= every) show(p, run, now_us);
}

void progress_end(struct progress *p, struct run *run, int64_t now_us)
{
    measure(p, run, now_us);
    progress_pause(p);
    if (p->kind == SET_PROGRESS_JSON && run->jobs) show(p, run, now_us);
}
