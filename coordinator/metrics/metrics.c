// SPDX-License-Identifier: MIT
//
// Fills the board with the run's state and watches the server process. See metrics.h.
#include "coordinator/metrics/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/life.h"
#include "common/secret.h"
#include "coordinator/coordinator.h"
#include "coordinator/metrics/board.h"
#include "coordinator/metrics/http.h"
#include "coordinator/metrics/serve.h"

_Static_assert(METRICS_PROCESSES == SUPERVISE_MAX, "every process has its row");

#define PUBLISH_US INT64_C(1000000)
#define SAMPLES 5       // seconds over which current speeds are measured
#define READY_MS 15000  // time for the server to start, which may include a DNS lookup
#define SERVERS 2       // how often the server is started
#define MARGIN_BYTES 64 // the address may grow when its port is replaced

// Counters at one time.
struct sample {
    int64_t us;
    uint64_t busy_us[SUPERVISE_MAX], frames[SUPERVISE_MAX];
    int64_t cpu_us[REEL_STAGES];
};

struct metrics {
    struct metrics_board *board;
    int board_fd;
    char address[SET_TEXT + MARGIN_BYTES]; // with the actual port
    char where[SET_TEXT + MARGIN_BYTES];
    pid_t pid;
    int pidfd; // -1: it is dead
    uint32_t lives;
    char warning[256];
    int64_t published_us;
    double start_unix_s;
    struct sample sample[SAMPLES];
    uint64_t n_samples;
};

// ---- the server -----------------------------------------------------------------

enum reel_err metrics_check(const char *address)
{
    char host[METRICS_HOST_BYTES];
    unsigned port;
    bool all;
    if (metrics_parse_address(address, host, &port, &all)) return REEL_OK;
    return reel_fail(REEL_ERR_CONFIG,
                     "could not read --metrics \"%s\": use ADDR:PORT like 127.0.0.1:9400 or [::1]:9400, :PORT for all "
                     "addresses, or PORT for this machine only",
                     address);
}

// Reads the server's only answer. False: none in time.
static bool hear_ready(int fd, char *text, size_t bytes)
{
    size_t n = 0;
    int64_t until_us = reel_now_us() + READY_MS * INT64_C(1000);
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int64_t left = until_us - reel_now_us();
        if (left <= 0 || reel_life_stops()) return false;
        if (poll(&wait, 1, (int)(left / 1000) + 1) <= 0) continue;
        ssize_t got = read(fd, text + n, bytes - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t)got;
    }
    text[n] = 0;
    return n > 0;
}

static enum reel_err start(struct metrics *m, char *out_ready, size_t bytes)
{
    char self[4200], numbers[3][16];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return reel_fail(REEL_ERR_IO, "could not serve metrics: %s", strerror(errno));
    // The server gets a read-only descriptor, so that it cannot change the board even if somebody
    // takes control of it.
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", m->board_fd);
    int board = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(numbers[0], sizeof numbers[0], "%d", (int)getpid());
    snprintf(numbers[1], sizeof numbers[1], "%d", board);
    snprintf(numbers[2], sizeof numbers[2], "%d", ends[1]);
    char *argv[] = {"metrics", METRICS_MARK, numbers[0], numbers[1], numbers[2], m->address, NULL};
    int keep[] = {board, ends[1]};
    enum reel_err err = reel_life_spawn(self, argv, keep, 2, &m->pid, &m->pidfd);
    if (err) m->pidfd = -1;
    close(ends[1]);
    if (board >= 0) close(board);
    if (!err && !hear_ready(ends[0], out_ready, bytes)) snprintf(out_ready, bytes, "no answer from its process");
    close(ends[0]);
    m->lives++;
    return err;
}

static void stop(struct metrics *m)
{
    if (m->pidfd < 0) return;
    reel_life_kill(m->pidfd, SIGKILL); // it has nothing to lose
    reel_life_reap(m->pidfd);
    close(m->pidfd);
    m->pidfd = -1;
}

// Keeps the port that the server got, for a restart, and the address to show.
static void name_place(struct metrics *m, const char *address, unsigned port)
{
    char host[METRICS_HOST_BYTES];
    unsigned asked;
    bool all;
    metrics_parse_address(address, host, &asked, &all);
    bool six = strchr(host, ':') != NULL;
    bool here = !strncmp(host, "127.", 4) || !strcmp(host, "localhost") || !strcmp(host, "::1");
    snprintf(m->address, sizeof m->address, "%s%s%s:%u", six ? "[" : "", all ? "*" : host, six ? "]" : "", port);
    snprintf(m->where, sizeof m->where, "metrics: http://%s%s%s:%u/ (%s)", six ? "[" : "", all ? "0.0.0.0" : host,
             six ? "]" : "", port, here ? "this machine alone" : "for everyone who reaches this address");
}

enum reel_err metrics_create(const struct run *run, struct metrics **out)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (!m) return reel_fail(REEL_ERR_NOMEM, "could not serve metrics: out of memory");
    m->pidfd = m->board_fd = -1;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    m->start_unix_s = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    const char *address = run->settings.metrics;
    snprintf(m->address, sizeof m->address, "%s", address);
    void *base = NULL;
    char ready[METRICS_ANSWER_BYTES] = "";
    unsigned port = 0;
    enum reel_err err = reel_shm_create(REEL_SHM_MEMFD, sizeof *m->board, &m->board_fd);
    if (!err) err = reel_shm_map(m->board_fd, sizeof *m->board, &base);
    if (!err) {
        m->board = base;
        m->board->magic = METRICS_MAGIC;
        m->board->bytes = sizeof *m->board;
        err = start(m, ready, sizeof ready);
    }
    if (!err && sscanf(ready, "ok %u", &port) != 1)
        err = reel_fail(REEL_ERR_CONFIG, "could not serve metrics on \"%s\": %s%s", address, ready,
                        strcmp(ready, strerror(EADDRINUSE))
                            ? ""
                            : "\nanother run or program uses that port: choose another, or 0 for any free one");
    if (err) {
        metrics_destroy(&m);
        return err;
    }
    name_place(m, address, port);
    *out = m;
    return REEL_OK;
}

void metrics_destroy(struct metrics **metrics)
{
    struct metrics *m = *metrics;
    if (!m) return;
    stop(m);
    if (m->board) reel_shm_unmap(m->board, sizeof *m->board);
    if (m->board_fd >= 0) close(m->board_fd);
    free(m);
    *metrics = NULL;
}

const char *metrics_where(const struct metrics *m)
{
    return m->where;
}

static const char *see_to_server(struct metrics *m)
{
    if (m->pidfd < 0) return NULL;
    struct pollfd dead = {.fd = m->pidfd, .events = POLLIN};
    if (poll(&dead, 1, 0) != 1) return NULL;
    int status = reel_life_reap(m->pidfd);
    close(m->pidfd);
    m->pidfd = -1;
    char ready[METRICS_ANSWER_BYTES], why[64];
    unsigned port;
    snprintf(why, sizeof why, status < 0 ? "was killed by signal %d" : "ended with exit code %d", abs(status));
    bool again = m->lives < SERVERS && !start(m, ready, sizeof ready) && sscanf(ready, "ok %u", &port) == 1;
    if (!again) stop(m);
    snprintf(m->warning, sizeof m->warning, "the process that serves metrics %s: %s", why,
             again ? "starting it again" : "no metrics from now on, the run continues");
    return m->warning;
}

// ---- the board ------------------------------------------------------------------

static void take_sample(struct metrics *m, const struct run *run, int64_t now_us)
{
    struct sample *s = &m->sample[m->n_samples++ % SAMPLES];
    s->us = now_us;
    for (uint32_t i = 0; i < run->sup.n; i++) {
        const struct reel_stat_row *row = &run->stat->row[i];
        s->busy_us[i] = atomic_load_explicit(&row->busy_us, memory_order_relaxed);
        s->frames[i] = atomic_load_explicit(&row->frames, memory_order_relaxed);
    }
    report_read_cpu(run, s->cpu_us);
}

static double share(double part, double whole)
{
    double s = whole > 0 ? part / whole : 0;
    return s < 0 ? 0 : s;
}

// The number of frames that wait for a process.
static uint32_t queue_of(const struct run *run, const struct proc *p)
{
    if (p->stage == REEL_WORKER) return run->dispatch.worker[p->index].held;
    uint32_t n = 0;
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        const struct lane *lane = &run->lanes[l];
        if (lane->state != LANE_OPEN) continue;
        if (p->stage == REEL_DECODER && run->io[l].decoder == p->index && !lane->ended)
            n += lane->window_end - lane->decoded;
        if (p->stage == REEL_AGGREGATOR && run->io[l].aggregator == p->index) n += lane_at_aggregator(lane);
    }
    return n;
}

static void tell_processes(const struct metrics *m, const struct run *run, struct metrics_data *d)
{
    const struct sample *now = &m->sample[(m->n_samples - 1) % SAMPLES];
    const struct sample *then = m->n_samples > SAMPLES ? &m->sample[m->n_samples % SAMPLES] : &m->sample[0];
    double us = (double)(now->us - then->us);
    d->n_processes = run->sup.n;
    d->bytes_out = 0;
    for (uint32_t i = 0; i < run->sup.n; i++) {
        const struct proc *p = &run->sup.proc[i];
        struct metrics_process *q = &d->process[i];
        double busy = share((double)(now->busy_us[i] - then->busy_us[i]), us);
        *q = (struct metrics_process){.stage = p->stage,
                                      .index = p->index,
                                      .up = p->pidfd >= 0 && p->state >= PROC_UP,
                                      .restarts = p->incarnation > 1 ? p->incarnation - 1 : 0,
                                      .pid = (int32_t)p->pid,
                                      .queue = queue_of(run, p),
                                      .frames = now->frames[i],
                                      .busy_s = (double)now->busy_us[i] / 1e6,
                                      .busy = busy > 1 ? 1 : busy,
                                      .fps = share((double)(now->frames[i] - then->frames[i]), us / 1e6)};
        memcpy(q->device, p->hello.device, sizeof q->device);
        d->bytes_out += atomic_load_explicit(&run->stat->row[i].bytes_out, memory_order_relaxed);
    }
}

// The bottleneck of the last seconds, by the same rules as in the report.
static void tell_bottleneck(const struct metrics *m, const struct run *run, struct metrics_data *d)
{
    const struct sample *now = &m->sample[(m->n_samples - 1) % SAMPLES];
    const struct sample *then = m->n_samples > SAMPLES ? &m->sample[m->n_samples % SAMPLES] : &m->sample[0];
    struct bottleneck b = {"none", "nothing has run yet"};
    struct shares in = {.cores = run->cores,
                        .segments = d->segments,
                        .keeps = run->model.stateful,
                        .live = run->settings.live,
                        .dropped = live_dropped(run) > 0};
    double us = (double)(now->us - then->us);
    for (int s = REEL_COORDINATOR; s < REEL_STAGES; s++) {
        in.processes[s] = run->sup.count[s];
        in.cores_used[s] = share((double)(now->cpu_us[s] - then->cpu_us[s]), us);
    }
    for (uint32_t i = 0; i < d->n_processes; i++)
        in.busy[d->process[i].stage] += d->process[i].busy / run->sup.count[d->process[i].stage];
    if (run->first_dispatch_us && us > 0) report_judge(&in, &b);
    snprintf(d->bottleneck_stage, sizeof d->bottleneck_stage, "%s", b.stage);
    snprintf(d->bottleneck, sizeof d->bottleneck, "%s", b.text);
}

static enum metrics_job_state state_of(const struct job *job)
{
    return job->state == JOB_DONE      ? METRICS_DONE
           : job->state == JOB_FAILED  ? METRICS_FAILED
           : job->state == JOB_WAITING ? METRICS_WAITING
                                       : METRICS_RUNNING;
}

static const char *doing(const struct job *job)
{
    static const char *const words[] = {
        [JOB_WAITING] = "waiting", [JOB_LOCK] = "locked",  [JOB_DONE_BEFORE] = "checking", [JOB_SCAN] = "reading",
        [JOB_SHAPE] = "asking",    [JOB_PROVE] = "asking", [JOB_CHECK] = "checking",       [JOB_RUN] = "running",
        [JOB_MUX] = "muxing",      [JOB_DONE] = "done",    [JOB_FAILED] = "failed"};
    return words[job->state];
}

static void tell_job(const struct run *run, const struct job *job, struct metrics_job *out)
{
    char input[REEL_PATH_BYTES];
    const char *slash = strrchr(reel_shown(job->spec->input, input, sizeof input), '/');
    uint64_t taken = 0;
    const int64_t in = job->scanned.media.n_frames, total = in < 0 ? in : in * run_rate(run);
    for (uint32_t l = 0; l < run->n_lanes; l++)
        if (run->lanes[l].state == LANE_OPEN && !run->lanes[l].committed && run->lanes[l].p.job == job->spec->id)
            taken += (uint64_t)run->lanes[l].taken * run_rate(run);
    *out = (struct metrics_job){.id = job->spec->id,
                                .state = state_of(job),
                                .frames = job->frames_committed + taken,
                                .total = job->state == JOB_DONE ? (int64_t)job->frames_out
                                         : job->n_segments      ? total
                                                                : -1};
    if (job->state == JOB_DONE) out->frames = job->frames_out;
    snprintf(out->doing, sizeof out->doing, "%s", doing(job));
    snprintf(out->name, sizeof out->name, "%s", slash ? slash + 1 : input);
    if (job->state == JOB_FAILED) snprintf(out->error, sizeof out->error, "%s", job->error);
}

// Shows up to `want` jobs of a state, from job `from` on in that direction.
static void show_jobs(const struct run *run, enum metrics_job_state state, uint32_t from, int step, uint32_t want,
                      struct metrics_data *d)
{
    for (uint32_t i = from; want && i < run->n_jobs && d->n_jobs < METRICS_JOBS; i += (uint32_t)step) {
        if (state_of(&run->jobs[i]) != state) continue;
        tell_job(run, &run->jobs[i], &d->job[d->n_jobs++]);
        want--;
    }
}

// Counts all jobs and lists some: first those in work, then failed ones, the last ones done, and
// waiting ones, until the list is full.
static void tell_jobs(const struct run *run, struct metrics_data *d)
{
    memset(d->jobs, 0, sizeof d->jobs);
    d->segments = d->segments_committed = d->quarantined = 0;
    for (uint32_t i = 0; i < run->n_jobs; i++) {
        const struct job *job = &run->jobs[i];
        d->jobs[state_of(job)]++;
        d->segments += job->n_segments;
        d->segments_committed += job->n_committed;
        d->quarantined += jobs_quarantined(job);
    }
    d->n_jobs = 0;
    for (uint32_t i = 0; i < run->n_active && d->n_jobs < METRICS_JOBS; i++) {
        const struct job *job = &run->jobs[run->active[i]];
        if (state_of(job) == METRICS_RUNNING) tell_job(run, job, &d->job[d->n_jobs++]);
    }
    show_jobs(run, METRICS_FAILED, 0, 1, d->jobs[METRICS_FAILED], d);
    show_jobs(run, METRICS_DONE, run->n_jobs - 1, -1, d->jobs[METRICS_DONE], d);
    show_jobs(run, METRICS_WAITING, 0, 1, d->jobs[METRICS_WAITING], d);
}

static void tell_run(const struct metrics *m, const struct run *run, struct metrics_data *d, int64_t now_us)
{
    d->start_unix_s = m->start_unix_s;
    d->run_s = (double)(now_us - run->start_us) / 1e6;
    d->fps = progress_view(run->progress, run, &d->frames, &d->frames_total);
    bool known = d->fps > 0 && d->frames_total;
    d->eta_s = !known ? -1 : d->frames_total > d->frames ? (double)(d->frames_total - d->frames) / d->fps : 0;
    snprintf(d->phase, sizeof d->phase, "%s",
             run->first_dispatch_us ? "running"
             : run->model_known     ? "reading"
                                    : "loading");
    d->lanes = run->n_lanes;
    d->lanes_open = 0;
    d->live = run->settings.live;
    d->dropped = live_dropped(run);
    d->wait_s = run->live_wait_us / 1e6;
    d->in_flight = 0;
    for (uint32_t l = 0; l < run->n_lanes; l++) {
        const struct lane *lane = &run->lanes[l];
        d->lanes_open += lane->state != LANE_IDLE;
        if (lane->state == LANE_OPEN) d->in_flight += lane->decoded - lane->dropped - lane->warmup - lane->taken;
    }
}

// Pairs with read_board() in metrics/serve.c.
static void publish(struct metrics *m, const struct run *run, int64_t now_us)
{
    struct metrics_data *d = &m->board->data;
    uint32_t turn = atomic_load_explicit(&m->board->turn, memory_order_relaxed);
    take_sample(m, run, now_us);
    atomic_store_explicit(&m->board->turn, turn + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    tell_run(m, run, d, now_us);
    tell_processes(m, run, d);
    tell_jobs(run, d);
    tell_bottleneck(m, run, d);
    atomic_store_explicit(&m->board->turn, turn + 2, memory_order_release);
}

const char *metrics_tick(struct metrics *m, const struct run *run, int64_t now_us)
{
    if (m->pidfd < 0) return NULL;
    if (!m->n_samples || now_us - m->published_us >= PUBLISH_US) {
        m->published_us = now_us;
        publish(m, run, now_us);
    }
    return see_to_server(m);
}
