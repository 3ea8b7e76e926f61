// SPDX-License-Identifier: MIT
//
// See tune.h. All candidates are compiled first, side by side on all processors;
// then each is timed with the GPU to itself.
#include "worker/backend/cudnn/plan/tune.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cuda.h"
#include "common/files.h"

// Most candidates for one number of fused steps; none behind the first dozen was ever the fastest.
#define MOST_ENGINES 12
#define MOST_CANDIDATES 40

struct subject {
    const struct gpu_pattern *pattern;
    int step; // the first step of the program with that pattern
    struct gpu_pin candidate[MOST_CANDIDATES];
    int n;
    double first_us, best_us; // first_us: of the heuristics' choice; best_us: of the fastest
    int best;                 // -1: none has run yet
};

struct tuning {
    const struct lowered *program;
    int device, sm;
    char cache[512]; // candidates are kept there until the end
    tune_time_fn *time;
    void *ctx;
    FILE *out;
    struct subject *subject;
    int n;
};

static bool is_new(const struct tuning *t, const struct gpu_pattern *p)
{
    char text[GPU_PATTERN_TEXT_MAX], other[GPU_PATTERN_TEXT_MAX];
    gpu_pattern_text(p, text, sizeof text);
    for (int i = 0; i < t->n; i++)
        if (!strcmp(text, gpu_pattern_text(t->subject[i].pattern, other, sizeof other))) return false;
    return true;
}

static enum reel_err collect(struct tuning *t)
{
    const struct lowered *p = t->program;
    struct gpu_planner *planner = NULL;
    const struct gpu_planner_params params = {.no_builtin_pins = true};
    t->subject = calloc((size_t)p->n_steps + 1, sizeof *t->subject);
    if (!t->subject) return reel_fail(REEL_ERR_NOMEM, "could not tune: out of memory");
    enum reel_err err = gpu_planner_create(&params, &planner);
    if (!err) t->sm = gpu_planner_sm(planner);
    for (int i = 0; i < p->n_steps && !err; i++) {
        if (p->steps[i].kind != STEP_PLAN || !is_new(t, &p->steps[i].pattern)) continue;
        struct subject *s = &t->subject[t->n++];
        *s = (struct subject){.pattern = &p->steps[i].pattern, .step = i, .best = -1};
        // As many fused steps as possible come first: that is the heuristics' choice. With e4m3
        // numbers, no step can be left to another kernel.
        const int least = s->pattern->x_type == GPU_F8E4M3 ? s->pattern->n_steps : 0;
        for (int steps = gpu_pattern_fusable(s->pattern); steps >= least; steps--) {
            int room = MOST_CANDIDATES - s->n;
            s->n += gpu_plan_choices(planner, s->pattern, steps, &s->candidate[s->n],
                                     room < MOST_ENGINES ? room : MOST_ENGINES);
        }
    }
    gpu_planner_destroy(&planner);
    return err;
}

// ---- compiling --------------------------------------------------------------------

// Candidates are numbered pattern by pattern. Those that cuDNN refuses are left out, and refused again when
// they are to be timed.
struct crew {
    struct tuning *t;
    int all;
    atomic_int next;
};

static const struct gpu_pin *candidate_at(const struct tuning *t, int number, struct subject **out)
{
    int i = 0;
    for (; number >= t->subject[i].n; i++) number -= t->subject[i].n;
    *out = &t->subject[i];
    return &t->subject[i].candidate[number];
}

// A planner with a table that names one candidate after the other.
static void *compile_some(void *arg)
{
    struct crew *crew = arg;
    struct gpu_pins *pins = NULL;
    struct gpu_planner *planner = NULL;
    if (reel_cuda_open(crew->t->device) || gpu_pins_create(&pins)) return NULL;
    const struct gpu_planner_params params = {.cache_dir = crew->t->cache, .pins = pins, .no_builtin_pins = true};
    if (!gpu_planner_create(&params, &planner)) {
        for (int i; (i = atomic_fetch_add(&crew->next, 1)) < crew->all;) {
            struct subject *s;
            struct gpu_plan *plan = NULL;
            const struct gpu_pin *pin = candidate_at(crew->t, i, &s);
            if (!gpu_pins_set(pins, crew->t->sm, s->pattern, pin) && !gpu_plan_create(planner, s->pattern, &plan))
                gpu_plan_destroy(&plan);
        }
        gpu_planner_destroy(&planner);
    }
    gpu_pins_destroy(&pins);
    return NULL;
}

// Compiles all candidates into the cache, on all processors.
static void compile_all(struct tuning *t)
{
    enum { MOST_THREADS = 16 }; // each handle takes device memory
    pthread_t thread[MOST_THREADS];
    struct crew crew = {.t = t};
    for (int i = 0; i < t->n; i++) crew.all += t->subject[i].n;
    long threads = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    int started = 0;
    while (started < threads && !pthread_create(&thread[started], NULL, compile_some, &crew)) started++;
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
}

// ---- timing -----------------------------------------------------------------------

static enum reel_err time_subject(struct tuning *t, struct gpu_planner *planner, struct gpu_pins *pins,
                                  struct subject *s)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < s->n && !err; i++) {
        struct gpu_plan *plan = NULL;
        double us;
        err = gpu_pins_set(pins, t->sm, s->pattern, &s->candidate[i]);
        if (err || gpu_plan_create(planner, s->pattern, &plan)) continue;
        // An engine that cannot be built or run does not count.
        if (gpu_plan_info(plan)->pinned && !t->time(t->ctx, s->step, plan, &us)) {
            if (s->best < 0) s->first_us = us;
            if (s->best < 0 || us < s->best_us) s->best = i, s->best_us = us;
        }
        gpu_plan_destroy(&plan);
        if (reel_cuda_lost()) err = REEL_ERR_FAULT;
    }
    return err;
}

static enum reel_err time_all(struct tuning *t)
{
    struct gpu_pins *pins = NULL;
    struct gpu_planner *planner = NULL;
    enum reel_err err = gpu_pins_create(&pins);
    const struct gpu_planner_params params = {.cache_dir = t->cache, .pins = pins, .no_builtin_pins = true};
    if (!err) err = gpu_planner_create(&params, &planner);
    for (int i = 0; i < t->n && !err; i++) err = time_subject(t, planner, pins, &t->subject[i]);
    gpu_planner_destroy(&planner);
    gpu_pins_destroy(&pins);
    return err;
}

static enum reel_err keep(struct tuning *t, struct gpu_pins *pins)
{
    char text[GPU_PATTERN_TEXT_MAX], pin[GPU_PIN_TEXT_MAX];
    enum reel_err err = REEL_OK;
    for (int i = 0; i < t->n && !err; i++) {
        const struct subject *s = &t->subject[i];
        if (s->best < 0) continue;
        err = gpu_pins_set(pins, t->sm, s->pattern, &s->candidate[s->best]);
        fprintf(t->out, "%8.1f us -> %8.1f us, %4.0f TFLOP/s  candidate %d of %d: %s for %s\n", s->first_us, s->best_us,
                gpu_pattern_flop(s->pattern) / s->best_us / 1e6, s->best + 1, s->n,
                gpu_pin_text(&s->candidate[s->best], pin, sizeof pin), gpu_pattern_text(s->pattern, text, sizeof text));
    }
    return err;
}

enum reel_err gpu_tune(const struct lowered *program, int device, tune_time_fn *time, void *ctx, struct gpu_pins *pins,
                       void *stdio_file)
{
    struct tuning t = {.program = program, .device = device, .time = time, .ctx = ctx, .out = stdio_file};
    const char *base = getenv("TMPDIR");
    snprintf(t.cache, sizeof t.cache, "%s/reelmill-tune-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(t.cache)) return reel_fail(REEL_ERR_IO, "could not make folder \"%s\": %s", t.cache, strerror(errno));
    enum reel_err err = collect(&t);
    if (!err) compile_all(&t);
    if (!err) err = time_all(&t);
    if (!err) err = keep(&t, pins);
    free(t.subject);
    reel_remove_tree(t.cache);
    return err;
}
