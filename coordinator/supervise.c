// SPDX-License-Identifier: MIT
//
// Starts processes, notices their deaths, and restarts them. See supervise.h.
#include "coordinator/supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/life.h"
#include "common/log.h"

#define HELLO_US INT64_C(60000000)    // time from spawn to HELLO: libraries load slowly on a busy machine
#define FIRST_DELAY_US INT64_C(20000) // delay of a restart, doubled with each death without progress
#define MOST_DELAY_US INT64_C(1000000)
#define IDLE_CRASHES 5              // crashes in a row without progress until a process is given up, at least
#define IDLE_DEATHS 30              // the same, including kills from outside
#define STOPPED_US INT64_C(5000000) // a stopped process is reported after this time without progress
#define BLIND_US INT64_C(2000000)   // a longer time between ticks (usually 50 ms): the coordinator itself did not run
#define STARVED_FACTOR 10           // a process that wants the CPU but does not get it has this many times the limit

const char *supervise_stage_name(enum reel_stage stage)
{
    static const char *const names[REEL_STAGES] = {"coordinator", "decoder", "worker", "aggregator"};
    return names[stage];
}

static void find_bin_dir(char *out, size_t bytes)
{
    ssize_t n = readlink("/proc/self/exe", out, bytes - 1);
    out[n > 0 ? n : 0] = 0;
    char *slash = strrchr(out, '/');
    if (slash) *slash = 0;
}

enum reel_err supervise_init(struct supervise *s, const struct reel_child_params *params, const uint32_t *counts,
                             const int *const *devices, const int *extra_fds, int n_extra, struct reel_bus *bus,
                             struct reel_stat_page *stat, double hang_seconds, uint32_t tries)
{
    memset(s, 0, sizeof *s);
    s->params = *params;
    s->extra_fds = extra_fds;
    s->n_extra = n_extra;
    s->bus = bus;
    s->stat = stat;
    s->hang_us = (int64_t)(hang_seconds * 1e6);
    // Two bad frames in a row must be given up before their process is.
    s->most_crashes = 2 * tries + 1 > IDLE_CRASHES ? 2 * tries + 1 : IDLE_CRASHES;
    find_bin_dir(s->bin_dir, sizeof s->bin_dir);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0) return reel_fail(REEL_ERR_IO, "could not watch processes: %s", strerror(errno));
    for (int stage = REEL_DECODER; stage < REEL_STAGES; stage++) {
        s->first[stage] = s->n;
        s->count[stage] = counts[stage];
        for (uint32_t i = 0; i < counts[stage]; i++) {
            if (s->n == SUPERVISE_MAX)
                return reel_fail(REEL_ERR_LIMIT, "could not start more than %d processes", SUPERVISE_MAX);
            s->proc[s->n] = (struct proc){.stage = (enum reel_stage)stage,
                                          .index = i,
                                          .row = s->n,
                                          .device = devices[stage] ? devices[stage][i] : -1,
                                          .pidfd = -1,
                                          .wire = -1};
            s->n++;
        }
    }
    return REEL_OK;
}

void supervise_fini(struct supervise *s)
{
    if (s->epoll_fd > 0) close(s->epoll_fd);
    s->epoll_fd = -1;
}

static enum reel_err spawn(struct supervise *s, struct proc *p, int64_t now_us)
{
    struct reel_child_params params = s->params;
    params.stage = p->stage;
    params.index = p->index;
    params.incarnation = ++p->incarnation;
    params.parent = getpid();
    params.device = p->device;
    params.stat_row = p->row;
    int ends[2] = {-1, -1};
    if (params.mem_kind) {
        enum reel_err err = reel_wire_pair(ends);
        if (err) return err;
    }
    params.wire_fd = ends[1];
    p->peer = reel_peer_make(p->stage, p->index, p->incarnation);
    char *argv[REEL_CHILD_MAX_ARGS], buf[8192], path[4200];
    enum reel_err err = reel_bus_admit(s->bus, p->peer, &params.box);
    if (!err) err = reel_child_argv(&params, buf, sizeof buf, argv);
    int keep[9 + 2 * 64 + 9 + REEL_MAX_PICTURES], n = 0;
    keep[n++] = params.box.memory;
    keep[n++] = params.box.child_bell;
    keep[n++] = params.box.hub_bell;
    if (ends[1] >= 0) keep[n++] = ends[1];
    keep[n++] = params.settings_fd;
    keep[n++] = params.jobs_fd;
    keep[n++] = params.stat_fd;
    if (p->stage == REEL_WORKER && params.collective_fd >= 0) keep[n++] = params.collective_fd;
    if (p->stage == REEL_DECODER && params.input_fd >= 0) keep[n++] = params.input_fd;
    if (p->stage == REEL_DECODER && params.head_fd >= 0) keep[n++] = params.head_fd;
    if (p->stage == REEL_AGGREGATOR && params.output_fd >= 0) keep[n++] = params.output_fd;
    for (int i = 0; i < params.n_pictures && p->stage == REEL_WORKER; i++) keep[n++] = params.picture_fds[i];
    for (uint32_t i = 0; i < params.lanes; i++) {
        keep[n++] = params.in_ring_fds[i];
        keep[n++] = params.out_ring_fds[i];
    }
    for (int i = 0; i < s->n_extra; i++) keep[n++] = s->extra_fds[i];
    snprintf(path, sizeof path, "%s/%s", s->bin_dir, supervise_stage_name(p->stage));
    struct reel_stat_row *row = &s->stat->row[p->row];
    atomic_store(&row->state, REEL_STATE_START);
    atomic_store(&row->incarnation, p->incarnation);
    atomic_store(&row->said, 0);
    if (!err) err = reel_life_spawn(path, argv, keep, n, &p->pid, &p->pidfd);
    if (ends[1] >= 0) close(ends[1]);
    if (err) {
        if (ends[0] >= 0) close(ends[0]);
        reel_bus_expel(s->bus, p->peer);
        return err;
    }
    p->wire = ends[0];
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = p->row};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, p->pidfd, &event))
        return reel_fail(REEL_ERR_IO, "could not watch process %d: %s", (int)p->pid, strerror(errno));
    p->state = PROC_STARTING;
    p->started_us = p->seen_us = now_us;
    p->seen_cpu_us = 0;
    p->seen_progress = atomic_load(&row->progress);
    p->hung = p->stopped = p->broken = p->owes = false;
    p->text[0] = 0;
    reel_debug("supervise", "started %s %u (life %u) as process %d", supervise_stage_name(p->stage), p->index,
               p->incarnation, (int)p->pid);
    return REEL_OK;
}

enum reel_err supervise_start(struct supervise *s, int64_t now_us)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct proc *p = &s->proc[i];
        if (p->state != PROC_DOWN || p->left_out || now_us < p->retry_us) continue;
        enum reel_err err = spawn(s, p, now_us);
        if (err) return err;
    }
    return REEL_OK;
}

static bool from_outside(const struct proc *p, int status)
{
    return (status == -SIGKILL || status == -SIGTERM || status == -SIGHUP) && (!p->hung || p->stopped) && !p->broken;
}

static void describe(const struct proc *p, int status, char *out, size_t bytes)
{
    if (p->hung && p->stopped)
        snprintf(out, bytes, "was stopped by a signal, made no progress and was killed");
    else if (p->hung)
        snprintf(out, bytes, "made no progress and was killed");
    else if (p->broken)
        snprintf(out, bytes, "broke the protocol and was killed");
    else if (status < 0)
        snprintf(out, bytes, "was killed by signal %d (%s)", -status, strsignal(-status));
    else if (status == 127)
        snprintf(out, bytes, "could not be started");
    else
        snprintf(out, bytes, "ended with exit code %d", status);
}

struct proc *supervise_dead(struct supervise *s)
{
    struct epoll_event event;
    return epoll_wait(s->epoll_fd, &event, 1, 0) == 1 ? &s->proc[event.data.u32] : NULL;
}

bool supervise_has_more_to_say(const struct supervise *s, const struct proc *p)
{
    return reel_bus_received(s->bus, p->peer) < atomic_load(&s->stat->row[p->row].said);
}

void supervise_bury(struct supervise *s, struct proc *p, int64_t now_us, struct supervise_death *out)
{
    epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, p->pidfd, NULL);
    int status = reel_life_reap(p->pidfd);
    close(p->pidfd);
    p->pidfd = -1;
    if (p->wire >= 0) close(p->wire);
    p->wire = -1;
    reel_bus_expel(s->bus, p->peer);
    *out = (struct supervise_death){.proc = p, .by_itself = !from_outside(p, status)};
    describe(p, status, out->why, sizeof out->why);
    p->state = PROC_DOWN;
    p->restarts++;
    p->idle_deaths++;
    if (out->by_itself) p->idle_crashes++;
    uint32_t doublings = p->idle_deaths - 1 < 6 ? p->idle_deaths - 1 : 6;
    int64_t delay = p->idle_deaths == 1 ? 0 : FIRST_DELAY_US << doublings;
    p->retry_us = now_us + (delay < MOST_DELAY_US ? delay : MOST_DELAY_US);
    reel_debug("supervise", "%s %u %s", supervise_stage_name(p->stage), p->index, out->why);
}

bool supervise_may_restart(const struct supervise *s, const struct proc *p, char *out_why, size_t bytes)
{
    if (p->idle_crashes < s->most_crashes && p->idle_deaths < IDLE_DEATHS + s->most_crashes) return true;
    snprintf(out_why, bytes, "could not keep %s %u running: it died %u times without making progress%s%s",
             supervise_stage_name(p->stage), p->index, p->idle_deaths, p->text[0] ? ": " : "", p->text);
    return false;
}

void supervise_on_progress(struct proc *p)
{
    p->idle_deaths = p->idle_crashes = 0;
}

void supervise_kill(struct proc *p)
{
    if (p->pidfd >= 0) reel_life_kill(p->pidfd, SIGKILL);
}

bool supervise_is_hang(const struct hang_look *look)
{
    if (look->waited_us < look->limit_us) return false;
    if (look->used_us >= look->limit_us * 9 / 10 || look->waited_us >= STARVED_FACTOR * look->limit_us) return true;
    return !look->would_run && look->used_lately_us * 100 < look->lately_us;
}

// Reports a stopped process, once, and how to continue it.
static void see_if_stopped(const struct supervise *s, struct proc *p)
{
    bool before = p->stopped;
    p->stopped = reel_life_is_stopped(p->pid);
    if (!p->stopped || before) return;
    reel_warn("supervise",
              "%s %u is stopped by a signal; to continue it: kill -CONT %d (otherwise it is replaced after %.0f s)",
              supervise_stage_name(p->stage), p->index, (int)p->pid, (double)s->hang_us / 1e6);
}

static bool is_hung(struct supervise *s, struct proc *p, int64_t now_us)
{
    struct reel_stat_row *row = &s->stat->row[p->row];
    uint64_t progress = atomic_load_explicit(&row->progress, memory_order_relaxed);
    bool busy = p->owes || atomic_load_explicit(&row->state, memory_order_relaxed) != REEL_STATE_IDLE;
    if (progress != p->seen_progress || !busy) {
        p->seen_progress = progress;
        p->seen_us = now_us;
        p->seen_cpu_us = -1;
        p->stopped = false;
        return false;
    }
    int64_t cpu_us = reel_cpu_us_of(p->pid); // of all its threads
    if (p->seen_cpu_us < 0) p->seen_cpu_us = p->look_cpu_us = cpu_us, p->look_us = now_us;
    struct hang_look look = {.limit_us = s->hang_us,
                             .waited_us = now_us - p->seen_us,
                             .used_us = cpu_us - p->seen_cpu_us,
                             .lately_us = now_us - p->look_us,
                             .used_lately_us = cpu_us - p->look_cpu_us};
    p->look_us = now_us;
    p->look_cpu_us = cpu_us;
    if (look.waited_us >= STOPPED_US) see_if_stopped(s, p);
    if (look.waited_us < s->hang_us) return false;
    look.would_run = reel_life_would_run(p->pid);
    return supervise_is_hang(&look);
}

// Time in which the coordinator itself did not run does not count against the processes.
static void skip_blind_time(struct supervise *s, int64_t now_us)
{
    int64_t blind_us = s->tick_us ? now_us - s->tick_us : 0;
    s->tick_us = now_us;
    if (blind_us < BLIND_US) return;
    for (uint32_t i = 0; i < s->n; i++) {
        s->proc[i].started_us += blind_us;
        s->proc[i].seen_us += blind_us;
        s->proc[i].look_us += blind_us;
    }
}

void supervise_tick(struct supervise *s, int64_t now_us)
{
    skip_blind_time(s, now_us);
    for (uint32_t i = 0; i < s->n; i++) {
        struct proc *p = &s->proc[i];
        if (p->pidfd < 0 || p->hung || p->broken) continue;
        bool late = p->state == PROC_STARTING && now_us - p->started_us > HELLO_US;
        if (!late && (p->state == PROC_STARTING || !is_hung(s, p, now_us))) continue;
        p->stopped = reel_life_is_stopped(p->pid);
        reel_warn("supervise", "%s %u %smakes no progress: killed", supervise_stage_name(p->stage), p->index,
                  p->stopped ? "is stopped by a signal and " : "");
        p->hung = true;
        supervise_kill(p);
    }
}

struct proc *supervise_find(struct supervise *s, reel_peer peer)
{
    enum reel_stage stage = reel_peer_stage(peer);
    uint32_t index = reel_peer_index(peer);
    if ((unsigned)stage >= REEL_STAGES || index >= s->count[stage]) return NULL;
    struct proc *p = supervise_at(s, stage, index);
    return p->peer == peer && p->pidfd >= 0 ? p : NULL;
}

void supervise_end(struct supervise *s, int64_t wait_us)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct proc *p = &s->proc[i];
        if (p->state == PROC_STARTING)
            supervise_kill(p); // not yet on the bus, so QUIT would not reach it
        else if (p->pidfd >= 0)
            reel_bus_post(s->bus, p->peer, REEL_MSG_QUIT, NULL);
    }
    reel_bus_flush(s->bus);
    int64_t until = reel_now_us() + wait_us;
    bool killed = false;
    for (;;) {
        struct supervise_death death;
        for (struct proc *p; (p = supervise_dead(s));) supervise_bury(s, p, 0, &death);
        uint32_t alive = 0;
        for (uint32_t i = 0; i < s->n; i++) alive += s->proc[i].pidfd >= 0;
        if (!alive) return;
        int64_t left = until - reel_now_us();
        if (left <= 0 && !killed) {
            for (uint32_t i = 0; i < s->n; i++) supervise_kill(&s->proc[i]);
            killed = true;
        }
        struct reel_msg message; // ignored, but read: a full socket would keep children from exiting
        while (!reel_bus_recv(s->bus, &message)) {
        }
        struct pollfd wait = {.fd = s->epoll_fd, .events = POLLIN};
        poll(&wait, 1, killed ? 1000 : (int)(left / 1000) + 1 < 50 ? (int)(left / 1000) + 1 : 50);
    }
}
