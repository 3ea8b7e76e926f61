// SPDX-License-Identifier: MIT
//
// Compiles many patterns at once, so that the first start of a network with
// forty different layers takes seconds and not minutes: each thread has a
// planner of its own (cuDNN wants one handle a thread) and leaves its plans in
// the cache, where the caller's planner finds them. See gpu_plan_prepare().
#include "worker/backend/cudnn/plan/plan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/cuda.h"

// Written before the threads start, except `next`, from which they take their work.
struct crew {
    const struct gpu_planner_params *params;
    int device;
    const struct gpu_pattern *const *pattern;
    int n;
    atomic_int next;
};

static void *work(void *arg)
{
    struct crew *crew = arg;
    struct gpu_planner *planner = NULL;
    if (!crew->params->device_json && reel_cuda_open(crew->device)) return NULL;
    if (gpu_planner_create(crew->params, &planner)) return NULL;
    for (int i; (i = atomic_fetch_add(&crew->next, 1)) < crew->n;) {
        struct gpu_plan *plan = NULL;
        // What fails here fails again for the caller, who then gets the text.
        if (gpu_plan_create(planner, crew->pattern[i], &plan) == REEL_OK) gpu_plan_destroy(&plan);
    }
    gpu_planner_destroy(&planner);
    return NULL;
}

// The patterns that are not in the cache yet, without repetitions; returns how many.
static int missing(const struct gpu_planner *planner, const struct gpu_pattern *const *pattern, int n,
                   const struct gpu_pattern **out)
{
    int kept = 0;
    char(*text)[GPU_PATTERN_TEXT_MAX] = malloc((size_t)n * sizeof *text + 1);
    if (!text) return 0;
    for (int i = 0; i < n; i++) {
        gpu_pattern_text(pattern[i], text[kept], sizeof *text);
        int j = 0;
        while (j < kept && strcmp(text[j], text[kept])) j++;
        if (j == kept && gpu_planner_lacks(planner, pattern[i])) out[kept++] = pattern[i];
    }
    free(text);
    return kept;
}

int gpu_plan_prepare(const struct gpu_planner_params *params, int device, const struct gpu_pattern *const *patterns,
                     int n, int threads)
{
    enum { MAX_THREADS = 16 }; // each handle takes device memory
    pthread_t thread[MAX_THREADS];
    struct gpu_planner *planner = NULL;
    // The first planner also creates the process's first cuDNN handle, while no other thread does.
    if (n < 2 || gpu_planner_create(params, &planner)) return 0;
    const struct gpu_pattern **list = malloc((size_t)n * sizeof *list);
    int n_missing = list ? missing(planner, patterns, n, list) : 0;
    gpu_planner_destroy(&planner);
    if (n_missing < 2) {
        free(list);
        return 0;
    }
    struct crew crew = {params, device, list, n_missing};
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    if (threads > crew.n) threads = crew.n;
    int started = 0;
    while (started < threads && pthread_create(&thread[started], NULL, work, &crew) == 0) started++;
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    free(list);
    return crew.n;
}
