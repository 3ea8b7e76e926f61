// SPDX-License-Identifier: MIT
//
// The backend without arithmetic: a run takes the declared time and nothing
// else, so that schedules can be measured. It needs no network.
//
// Runs that follow one another closely are taken to be queued on the device:
// the next begins where the last ended, not where its caller woke up, so that
// late wake-ups do not add up.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "worker/backend/backend.h"

struct program {
    int64_t cost_ns;
    int64_t end_ns; // when the last run ends
};

// A sleeping process wakes up at most this late on an idle core (measured 60 us, plus a reserve). A longer
// gap means that the device was idle.
#define LATE_NS 200000

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static enum reel_err sim_probe(const struct backend_params *params)
{
    if (params->sim_ms >= 0 && params->sim_ms <= 3600e3) return REEL_OK;
    return reel_fail(REEL_ERR_CONFIG, "could not use sim_ms \"%g\": it must be from 0 to 3600000", params->sim_ms);
}

static enum reel_err sim_compile(const struct graph *graph, const struct backend_params *params,
                                 struct program **out_program)
{
    struct program *p = calloc(1, sizeof *p);
    if (!p) return reel_fail(REEL_ERR_NOMEM, "could not make a simulated program: out of memory");
    p->cost_ns = (int64_t)(params->sim_ms * 1e6);
    // Otherwise the kernel may add 50 us to each sleep.
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    *out_program = p;
    return REEL_OK;
}

static enum reel_err sim_run(struct program *p, const struct reel_tensor *const *in, struct reel_tensor *out,
                             bool borrow)
{
    if (p->cost_ns == 0) return REEL_OK;
    int64_t now = now_ns(), begin = now - p->end_ns < LATE_NS ? p->end_ns : now;
    p->end_ns = begin + p->cost_ns;
    struct timespec until = {.tv_sec = p->end_ns / 1000000000, .tv_nsec = p->end_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
    return REEL_OK;
}

static size_t sim_memory_bytes(const struct program *p)
{
    return sizeof *p;
}

static void sim_dump(const struct program *p, void *stdio_file)
{
    fprintf(stdio_file, "sim: %g ms a frame\n", (double)p->cost_ns / 1e6);
}

static void sim_destroy(struct program **p)
{
    free(*p);
    *p = NULL;
}

extern const struct backend_ops backend_sim;
const struct backend_ops backend_sim = {
    .name = "sim",
    .caps = BACKEND_NO_MODEL,
    .probe = sim_probe,
    .compile = sim_compile,
    .run = sim_run,
    .memory_bytes = sim_memory_bytes,
    .dump = sim_dump,
    .destroy = sim_destroy,
};
