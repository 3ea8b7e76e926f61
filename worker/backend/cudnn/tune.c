// SPDX-License-Identifier: MIT
//
// See tune.h. In rounds: in round r every pattern's r-th candidate is compiled,
// side by side on all processors, then each is timed with the GPU to itself.
#include "worker/backend/cudnn/tune.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cuda.h"
#include "common/files.h"

// Of one number of fused steps; behind the first dozen none was seen to win.
#define MOST_ENGINES 12
#define MOST_CANDIDATES 40

struct subject {
    const struct gpu_pattern *pattern;
    int step; // the first of the program with that pattern
    struct gpu_pin candidate[MOST_CANDIDATES];
    int n;
    double first_us, best_us; // of the heuristics' choice; of the best
    int best;                 // -1: none has run
};

struct tuning {
    const struct lowered *program;
    int device;
    char cache[64]; // candidates are kept there until the end
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
    for (int i = 0; i < p->n_steps && !err; i++) {
        if (p->steps[i].kind != STEP_PLAN || !is_new(t, &p->steps[i].pattern)) continue;
        struct subject *s = &t->subject[t->n++];
        *s = (struct subject){.pattern = &p->steps[i].pattern, .step = i, .best = -1};
        // As many steps as possible first: that is the heuristics' choice.
        for (int steps = gpu_pattern_fusable(s->pattern); steps >= 0; steps--) {
            int room = MOST_CANDIDATES - s->n;
            s->n += gpu_plan_choices(planner, s->pattern, steps, &s->candidate[s->n],
                                     room < MOST_ENGINES ? room : MOST_ENGINES);
        }
    }
    gpu_planner_destroy(&planner);
    return err;
}

// The planner's parameters under which every pattern takes its candidate r.
static enum reel_err pins_of_round(const struct tuning *t, int sm, int r, struct gpu_pins **out)
{
    enum reel_err err = gpu_pins_create(out);
    for (int i = 0; i < t->n && !err; i++)
        if (r < t->subject[i].n) err = gpu_pins_set(*out, sm, t->subject[i].pattern, &t->subject[i].candidate[r]);
    return err;
}

static enum reel_err time_round(struct tuning *t, const struct gpu_planner_params *params, int r)
{
    struct gpu_planner *planner = NULL;
    enum reel_err err = gpu_planner_create(params, &planner);
    for (int i = 0; i < t->n && !err; i++) {
        struct subject *s = &t->subject[i];
        struct gpu_plan *plan = NULL;
        double us;
        if (r >= s->n || gpu_plan_create(planner, s->pattern, &plan)) continue;
        // An engine that cannot be built or run is none.
        if (gpu_plan_info(plan)->pinned && !t->time(t->ctx, s->step, plan, &us)) {
            if (s->best < 0) s->first_us = us;
            if (s->best < 0 || us < s->best_us) s->best = r, s->best_us = us;
        }
        gpu_plan_destroy(&plan);
        if (reel_cuda_lost()) err = REEL_ERR_FAULT;
    }
    gpu_planner_destroy(&planner);
    return err;
}

static enum reel_err run_round(struct tuning *t, int sm, int r)
{
    struct gpu_pins *pins = NULL;
    const struct gpu_pattern **list = malloc((size_t)t->n * sizeof *list + 1);
    enum reel_err err = list ? pins_of_round(t, sm, r, &pins) : reel_fail(REEL_ERR_NOMEM, "could not tune: no memory");
    const struct gpu_planner_params params = {.cache_dir = t->cache, .pins = pins, .no_builtin_pins = true};
    int n = 0;
    for (int i = 0; i < t->n && !err; i++)
        if (r < t->subject[i].n) list[n++] = t->subject[i].pattern;
    if (!err) gpu_plan_prepare(&params, t->device, list, n, (int)sysconf(_SC_NPROCESSORS_ONLN));
    if (!err) err = time_round(t, &params, r);
    gpu_pins_destroy(&pins);
    free(list);
    return err;
}

static enum reel_err keep(struct tuning *t, int sm, struct gpu_pins *pins)
{
    char text[GPU_PATTERN_TEXT_MAX], pin[GPU_PIN_TEXT_MAX];
    enum reel_err err = REEL_OK;
    for (int i = 0; i < t->n && !err; i++) {
        const struct subject *s = &t->subject[i];
        if (s->best < 0) continue;
        err = gpu_pins_set(pins, sm, s->pattern, &s->candidate[s->best]);
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
    snprintf(t.cache, sizeof t.cache, "/tmp/reelmill-tune-XXXXXX");
    if (!mkdtemp(t.cache)) return reel_fail(REEL_ERR_IO, "could not make folder \"%s\": %s", t.cache, strerror(errno));
    struct gpu_planner *planner = NULL;
    const struct gpu_planner_params params = GPU_PLANNER_DEFAULTS;
    enum reel_err err = gpu_planner_create(&params, &planner);
    const int sm = err ? 0 : gpu_planner_sm(planner);
    gpu_planner_destroy(&planner);
    if (!err) err = collect(&t);
    int rounds = 0;
    for (int i = 0; i < t.n; i++)
        if (t.subject[i].n > rounds) rounds = t.subject[i].n;
    for (int r = 0; r < rounds && !err; r++) err = run_round(&t, sm, r);
    if (!err) err = keep(&t, sm, pins);
    free(t.subject);
    reel_remove_tree(t.cache);
    return err;
}
