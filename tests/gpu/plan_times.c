// SPDX-License-Identifier: MIT
//
// What each engine that cuDNN lists for a pattern takes on GPU 0, beside the one
// that the rule of plan.h chooses and beside the floor: whether the rule loses
// time, and where a kernel of our own would win some.
//
//   plan_times [--matrix TFLOPS] [--copy GBPS] [--most N] [NAME...]
//
// Names are those of tests/planning/patterns.h; none: all. Each engine is built
// with as many steps of the pattern as it takes, and timed alone as a captured
// graph; steps that it leaves are not counted. The two rates are those that
// bench_gpu.py measures. Exit codes: 0, 77 (no GPU or no cuDNN).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "common/cuda.h"
#include "tests/planning/patterns.h"
#include "worker/backend/cudnn/plan.h"
#include "worker/backend/cudnn/plan_engine.h"

#if REEL_CUDA

enum { RUNS = 20, ROUNDS = 5 };

static struct {
    double matrix_flops, copy_bytes;
    int most;
} options = {790e12, 4.3e12, 12};

struct buffers {
    void *x, *w, *y, *workspace, *operand[GPU_MAX_STEPS];
    size_t workspace_bytes;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

// Random halves between -1 and 1: matrix units are faster on zeros.
static void *filled(size_t bytes)
{
    void *p = NULL;
    uint16_t *host = malloc(bytes);
    uint32_t seed = 12345;
    for (size_t i = 0; host && i < bytes / 2; i++) {
        seed = seed * 1664525 + 1013904223;
        host[i] = (uint16_t)((seed >> 16 & 0x83ff) | 0x3400 | (seed >> 4 & 0x0400));
    }
    if (!host || reel_cuda_malloc(bytes + 256, &p) || reel_cuda_upload(p, host, bytes, NULL) ||
        reel_cuda_stream_sync(NULL))
        fprintf(stderr, "%s\n", reel_fail_text()), exit(1);
    free(host);
    return p;
}

static void make_buffers(const struct gpu_pattern *p, struct buffers *b)
{
    *b = (struct buffers){.x = filled(gpu_pattern_x_bytes(p)),
                          .w = filled(gpu_pattern_w_bytes(p)),
                          .y = filled(gpu_pattern_y_bytes(p)),
                          .workspace_bytes = (size_t)256 << 20};
    for (int i = 0; i < p->n_steps; i++) {
        enum gpu_operand o = p->step[i].operand;
        if (o == GPU_OPERAND_CHANNEL || o == GPU_OPERAND_TENSOR)
            b->operand[i] = filled(gpu_pattern_operand_bytes(p, i));
    }
    if (reel_cuda_malloc(b->workspace_bytes, &b->workspace)) exit(1);
}

static void free_buffers(struct buffers *b)
{
    reel_cuda_free(b->x), reel_cuda_free(b->w), reel_cuda_free(b->y), reel_cuda_free(b->workspace);
    for (int i = 0; i < GPU_MAX_STEPS; i++) reel_cuda_free(b->operand[i]);
}

// One engine built for the pattern.
struct built {
    struct plan_graph graph;
    cudnnBackendDescriptor_t plan;
    struct plan_choice choice;
    size_t workspace_bytes;
    int steps;
    double build_ms;
};

static enum reel_err run_once(const struct plan_target *target, const struct gpu_pattern *p, const struct buffers *b,
                              struct built *e)
{
    struct plan_bag bag = {.api = target->api};
    cudnnBackendDescriptor_t pack;
    int64_t uid[64] = {PLAN_UID_X, PLAN_UID_W, PLAN_UID_Y};
    void *pointer[64] = {b->x, b->w, b->y};
    int n = 3;
    for (int i = 0; i < e->steps; i++) {
        enum gpu_operand o = p->step[i].operand;
        if (o != GPU_OPERAND_CHANNEL && o != GPU_OPERAND_TENSOR) continue;
        uid[n] = PLAN_UID_OPERAND + i;
        pointer[n++] = b->operand[i];
    }
    for (int i = 0; i < e->graph.n_scalars; i++) {
        uid[n] = PLAN_UID_SCALAR + i;
        pointer[n++] = &e->graph.scalar[i];
    }
    enum reel_err err = plan_desc_new(&bag, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    if (!err) err = plan_desc_set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, uid);
    if (!err) err = plan_desc_set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointer);
    if (!err) err = plan_desc_set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &b->workspace);
    if (!err) err = plan_desc_finalize(&bag, pack, "bind a plan's tensors");
    if (!err) {
        cudnnStatus_t status = target->api->cudnnBackendExecute(target->handle, e->plan, pack);
        if (status != CUDNN_STATUS_SUCCESS) err = cudnn_api_fail(target->api, status, "run a cuDNN plan");
    }
    plan_bag_fini(&bag);
    return err;
}

// Microseconds of one run; negative: it does not run.
static double time_of(const struct plan_target *target, const struct gpu_pattern *p, const struct buffers *b,
                      struct built *e, void *stream)
{
    void *graph = NULL, *from, *to;
    double best = -1;
    if (e->workspace_bytes > b->workspace_bytes || run_once(target, p, b, e) || reel_cuda_stream_sync(stream))
        return -1;
    if (reel_cuda_capture_begin(stream)) return -1;
    enum reel_err err = REEL_OK;
    for (int i = 0; !err && i < RUNS; i++) err = run_once(target, p, b, e);
    if (reel_cuda_capture_end(stream, &graph) || err || reel_cuda_event_create(&from) || reel_cuda_event_create(&to))
        return -1;
    for (int round = 0; round < ROUNDS; round++) {
        double us = 0;
        reel_cuda_event_record(from, stream);
        if (reel_cuda_graph_launch(graph, stream) || reel_cuda_event_record(to, stream) || reel_cuda_event_sync(to) ||
            reel_cuda_event_elapsed_us(from, to, &us))
            break;
        if (round && (best < 0 || us / RUNS < best)) best = us / RUNS;
    }
    reel_cuda_event_destroy(&from), reel_cuda_event_destroy(&to), reel_cuda_graph_destroy(&graph);
    return best;
}

static void list_built(const struct plan_target *target, const struct gpu_pattern *p, int steps, struct built **e,
                       int *n)
{
    struct plan_candidates *list = malloc(sizeof *list);
    const struct plan_limits limits = {(size_t)256 << 20, false, true, false};
    struct plan_graph graph;
    if (list && !plan_graph_init(&graph, target, p, steps) && !plan_engine_list(target, &graph, &limits, false, list)) {
        for (int i = 0; i < list->n && i < options.most && *n < 128; i++) {
            struct built *one = calloc(1, sizeof *one);
            double start = now_ms();
            if (!one) break;
            one->choice = list->choice[i], one->steps = steps;
            if (plan_graph_init(&one->graph, target, p, steps) ||
                plan_engine_build(target, &one->graph, &one->choice, false, &one->plan, &one->workspace_bytes)) {
                printf("  %d/%d steps: engine %d %s: %s\n", steps, p->n_steps, list->choice[i].engine,
                       list->choice[i].runtime_compiled ? "R" : "P", reel_fail_text());
                plan_graph_fini(&one->graph);
                free(one);
                continue;
            }
            one->build_ms = now_ms() - start;
            e[(*n)++] = one;
        }
    }
    plan_graph_fini(&graph);
    free(list);
}

static void time_pattern(const struct plan_target *target, const struct named_pattern *named, void *stream)
{
    struct gpu_pattern p = named_pattern_make(named);
    struct built *e[128];
    struct buffers b;
    int n = 0;
    list_built(target, &p, gpu_pattern_fusable(&p), e, &n);
    if (p.n_steps > 1) list_built(target, &p, 1, e, &n); // the bare bias, for what an own pass behind it would cost
    make_buffers(&p, &b);
    double flop_us = gpu_pattern_flop(&p) / options.matrix_flops * 1e6;
    double copy_us = (double)(gpu_pattern_x_bytes(&p) + gpu_pattern_y_bytes(&p)) / options.copy_bytes * 1e6;
    // Compiling in parallel with other processes is fine, timing is not.
    FILE *lock = fopen("/tmp/reelmill-plan-times.lock", "w");
    if (lock) flock(fileno(lock), LOCK_EX);
    printf("%s %dx%dx%d -> %d, %dx%d: floor %.1f us (%.1f arithmetic, %.1f memory)\n", named->name, p.c, p.h, p.w, p.k,
           p.r, p.s, flop_us > copy_us ? flop_us : copy_us, flop_us, copy_us);
    for (int i = 0; i < n; i++) {
        char knobs[256];
        double us = time_of(target, &p, &b, e[i], stream);
        printf("  %d/%d steps: engine %d %c%s%s rank %d, %s: ", e[i]->steps, p.n_steps, e[i]->choice.engine,
               e[i]->choice.generic            ? 'G'
               : e[i]->choice.runtime_compiled ? 'R'
                                               : 'P',
               e[i]->choice.tensor_core ? " tc" : "", e[i]->choice.winograd ? " winograd" : "", e[i]->choice.rank,
               plan_choice_knobs(&e[i]->choice, knobs, sizeof knobs));
        if (us < 0)
            printf("does not run: %s\n", reel_fail_text());
        else
            printf("%.1f us, %.0f TFLOP/s, workspace %.1f MB, built in %.0f ms\n", us, gpu_pattern_flop(&p) / us / 1e6,
                   (double)e[i]->workspace_bytes / 1e6, e[i]->build_ms);
        plan_graph_fini(&e[i]->graph);
        free(e[i]);
    }
    fflush(stdout);
    if (lock) fclose(lock);
    free_buffers(&b);
}

static bool asked_for(char **names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], name)) return true;
    return n == 0;
}

int main(int argc, char **argv)
{
    int at = 1, n;
    for (; at + 1 < argc && !strncmp(argv[at], "--", 2); at += 2) {
        double value = atof(argv[at + 1]);
        if (!strcmp(argv[at], "--matrix")) options.matrix_flops = value * 1e12;
        if (!strcmp(argv[at], "--copy")) options.copy_bytes = value * 1e9;
        if (!strcmp(argv[at], "--most")) options.most = (int)value;
    }
    void *stream = NULL;
    struct plan_target target = {.api = NULL};
    if (reel_cuda_count(&n) || reel_cuda_open(0) || !(target.api = cudnn_api_load()) ||
        reel_cuda_stream_create(&stream)) {
        printf("skipped: %s\n", reel_fail_text());
        return 77;
    }
    if (target.api->cudnnCreate(&target.handle) || target.api->cudnnSetStream(target.handle, stream)) return 1;
    for (int i = 0; i < N_NAMED_PATTERNS; i++)
        if (asked_for(argv + at, argc - at, named_patterns[i].name)) time_pattern(&target, &named_patterns[i], stream);
    return 0;
}

#else

int main(void)
{
    printf("skipped: this build has no CUDA\n");
    return 77;
}

#endif
