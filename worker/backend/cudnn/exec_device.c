// SPDX-License-Identifier: MIT
//
// The executor on a GPU; see exec.h. Heavy patterns run by cuDNN plans
// (plan/plan.h), everything else by the kernels of kernels/gpu/*.cu, all on one
// stream. A network without host steps and exchanges of rows becomes one CUDA
// graph, others one for each stretch of steps between these: the first run is an
// ordinary one (libraries load their kernels then), the second is captured, every
// later one is a launch a graph.
//
// What cuDNN refuses is done by the own convolution or product, said at debug
// level and in the dump: slow, never wrong.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cuda.h"
#include "common/log.h"
#include "worker/backend/cudnn/exec.h"
#include "worker/backend/cudnn/launch.h"
#include "worker/backend/cudnn/plan/plan.h"
#include "worker/backend/cudnn/plan/tune.h"

struct exec {
    struct lowered *p;
    struct exec_memory memory; // device, device, pinned
    const struct backend_exchange *exchange;
    char *rows; // pinned, for a STEP_ROWS by way of the host: sent up, down, come from above, from below
    void *workspace;
    size_t workspace_bytes;
    void *stream;
    struct stretch *stretches; // of the middle part, in order
    int n_stretches;
    struct gpu_planner *planner;
    struct gpu_plan **plans; // by step, NULL for own kernels
    struct gpu_pins *pins;   // of --plans
    bool no_graph;
    bool busy; // the stream has been given something since the host waited for it
    int device;
    double *step_us; // REELMILL_PROFILE: the fastest run of each step so far
};

// Steps [begin,end): a graph, or too few for one, or one that takes the host's part.
struct stretch {
    int begin, end;
    bool one_by_one;
    bool ran;    // once, step by step: libraries load their kernels then
    void *graph; // once it is captured
};

// From so many steps on a stretch becomes a graph: its launch takes about as long as
// those of two or three kernels.
#define GRAPH_LEAST 4

static void *at(struct exec *e, struct ref r)
{
    return exec_place(e->p, &e->memory, r);
}

static void *host_at(void *exec, struct ref r)
{
    return at(exec, r);
}

// ---- making ----------------------------------------------------------------------------

static void destroy(struct exec **exec)
{
    struct exec *e = *exec;
    *exec = NULL;
    if (!e) return;
    if (e->stream) reel_cuda_stream_sync(e->stream); // an error was reported by the run
    for (int i = 0; i < e->n_stretches; i++) reel_cuda_graph_destroy(&e->stretches[i].graph);
    free(e->stretches);
    for (int i = 0; e->plans && i < e->p->n_steps; i++) gpu_plan_destroy(&e->plans[i]);
    gpu_planner_destroy(&e->planner);
    reel_cuda_free(e->memory.arena);
    reel_cuda_free(e->memory.constants);
    reel_cuda_free(e->workspace);
    reel_cuda_host_free(e->memory.host);
    reel_cuda_host_free(e->rows);
    reel_cuda_stream_destroy(&e->stream);
    gpu_pins_destroy(&e->pins);
    free(e->step_us);
    free(e->plans);
    free(e);
}

static enum reel_err upload_constants(struct exec *e)
{
    const struct lowered *p = e->p;
    enum reel_err err = REEL_OK;
    for (int i = 0; i < p->n_bufs && !err; i++)
        if (p->bufs[i].kind == BUF_CONST)
            err =
                reel_cuda_upload(e->memory.constants + p->bufs[i].offset, p->bufs[i].init, p->bufs[i].bytes, e->stream);
    return err ? err : reel_cuda_stream_sync(e->stream);
}

// Compiles what no earlier start has left in the cache, on all processors.
static void prepare_plans(const struct lowered *p, const struct gpu_planner_params *params, int device)
{
    int n = 0;
    const struct gpu_pattern **list = malloc((size_t)p->n_steps * sizeof *list + 1);
    for (int i = 0; list && i < p->n_steps; i++)
        if (p->steps[i].kind == STEP_PLAN) list[n++] = &p->steps[i].pattern;
    gpu_plan_prepare(params, device, list, n, (int)sysconf(_SC_NPROCESSORS_ONLN));
    free(list);
}

static bool has_pitch(const struct gpu_pattern *p)
{
    bool any = p->x_pitch || p->y_pitch;
    for (int i = 0; i < p->n_steps; i++) any |= p->step[i].pitch != 0;
    return any;
}

// Whether a pattern of e4m3 numbers is one kernel on tensor cores: what is left of it
// could not be finished on what is no fp16.
static bool good_f8(const struct gpu_plan_info *i, const struct gpu_pattern *p)
{
    return i->tensor_core && !i->generic && i->fused_steps == p->n_steps;
}

// AGAIN: cuDNN has nothing good for convolutions of e4m3 numbers (they are marked in
// no_fp8), or for parts of joined tensors, here.
static enum reel_err make_plans(struct exec *e, int device)
{
    struct lowered *p = e->p;
    bool refused = false;
    char text[512];
    const struct gpu_planner_params params = {.pins = e->pins};
    prepare_plans(p, &params, device);
    enum reel_err err = gpu_planner_create(&params, &e->planner);
    for (int i = 0; i < p->n_steps && !err; i++) {
        if (p->steps[i].kind != STEP_PLAN) continue;
        err = gpu_plan_create(e->planner, &p->steps[i].pattern, &e->plans[i]);
        if (p->steps[i].pattern.x_type == GPU_F8E4M3) {
            if (err && err != REEL_ERR_UNSUPPORTED) return err;
            if (err || !good_f8(gpu_plan_info(e->plans[i]), &p->steps[i].pattern)) {
                reel_debug("backend", "fp16 for %s: %s", gpu_step_text(p, &p->steps[i], text, sizeof text),
                           err ? reel_fail_text() : "cuDNN takes only a part of it");
                p->no_fp8[p->steps[i].node->out[0]->id] = refused = true;
                err = REEL_OK;
                continue;
            }
        } else if (has_pitch(&p->steps[i].pattern) &&
                   (err == REEL_ERR_UNSUPPORTED || (!err && gpu_plan_info(e->plans[i])->engine == 0)))
            return REEL_AGAIN;
        if (err == REEL_ERR_UNSUPPORTED) {
            reel_debug("backend", "own kernel for %s: %s", gpu_step_text(p, &p->steps[i], text, sizeof text),
                       reel_fail_text());
            e->plans[i] = NULL;
            err = REEL_OK;
        } else if (!err) {
            const size_t bytes = gpu_plan_info(e->plans[i])->workspace_bytes;
            if (bytes > e->workspace_bytes) e->workspace_bytes = bytes;
        }
    }
    if (!err && refused) return REEL_AGAIN;
    if (!err && e->workspace_bytes) err = reel_cuda_malloc(e->workspace_bytes, &e->workspace);
    return err;
}

static enum reel_err make_memory(struct exec *e)
{
    const struct lowered *p = e->p;
    void *m[4] = {NULL, NULL, NULL, NULL};
    enum reel_err err = reel_cuda_malloc(p->arena_bytes + 256, &m[0]);
    if (!err) err = reel_cuda_malloc(p->const_bytes + 256, &m[1]);
    if (!err && p->host_bytes) err = reel_cuda_host_alloc(p->host_bytes, &m[2]);
    if (!err && p->most_rows_bytes) err = reel_cuda_host_alloc(4 * p->most_rows_bytes, &m[3]);
    e->memory.arena = m[0];
    e->memory.constants = m[1];
    e->memory.host = m[2];
    e->rows = m[3];
    // lanes nobody wrote must not be NaN for products with zero weights
    if (!err) err = reel_cuda_memset(e->memory.arena, 0, p->arena_bytes + 256, e->stream);
    return err;
}

static enum reel_err make_stretches(struct exec *e)
{
    const struct lowered *p = e->p;
    e->stretches = calloc((size_t)p->n_steps + 1, sizeof *e->stretches);
    if (!e->stretches) return gpu_no_memory(NULL);
    for (int at = p->main_begin, end, most = p->main_end; at < p->main_end; at = end) {
        struct stretch *s = &e->stretches[e->n_stretches++];
        if (at == most) most = p->main_end;
        if (p->steps[at].kind == STEP_REGIONS)
            most = gpu_regions_end(&p->steps[at]); // its pieces are run by themselves
        end = exec_stretch(p, at, most, &s->one_by_one);
        s->begin = at, s->end = end;
        const bool whole = at == p->main_begin && end == p->main_end;
        s->one_by_one |= end - at < GRAPH_LEAST && !whole;
    }
    return REEL_OK;
}

static enum reel_err create(struct lowered *p, const struct backend_params *params, struct exec **out_exec)
{
    enum reel_err err = exec_check_exchange(p, params);
    if (err) return err;
    struct exec *e = calloc(1, sizeof *e);
    if (!e) return gpu_no_memory(NULL);
    e->p = p;
    e->device = params->device;
    e->exchange = params->exchange;
    e->plans = calloc((size_t)p->n_steps + 1, sizeof(*e->plans));
    if (getenv("REELMILL_PROFILE")) e->step_us = calloc((size_t)p->n_steps + 1, sizeof *e->step_us);
    err = e->plans ? make_stretches(e) : gpu_no_memory(NULL);
    if (!err) err = reel_cuda_open(params->device);
    if (!err && params->plans && *params->plans) err = gpu_pins_read(params->plans, &e->pins);
    if (!err) err = reel_cuda_stream_create(&e->stream);
    if (!err) err = make_memory(e);
    if (!err) err = upload_constants(e);
    if (!err) err = make_plans(e, params->device);
    if (err) {
        destroy(&e);
        return err;
    }
    *out_exec = e;
    return REEL_OK;
}

// ---- running ---------------------------------------------------------------------------

// What the plan did not fuse, in place.
static int finish(const struct step *s, int from, const void *const *operand, void *y, void *stream)
{
    struct gpu_finish f = {.from = from};
    if (s->pattern.kind == GPU_MATMUL) {
        const struct gpu_matmul *m = &s->u.matmul;
        f.elem = m->y_elem;
        f.pixels = (int64_t)m->batches * m->m;
        f.image_pixels = m->m;
        f.channels = f.pitch = m->k;
        f.chain = m->chain;
    } else {
        const struct gpu_conv *c = &s->u.conv;
        f.elem = c->elem;
        f.pixels = (int64_t)c->n * c->p * c->q;
        f.image_pixels = (int64_t)c->p * c->q;
        f.channels = c->k;
        f.pitch = c->y_pitch;
        f.chain = c->chain;
    }
    return gpu_finish(&f, operand, y, stream);
}

static enum reel_err run_plan(struct exec *e, const struct step *s, struct gpu_plan *plan, const void *const *operand)
{
    void *y = at(e, s->y);
    struct gpu_plan_io io = {.x = at(e, s->x), .w = at(e, s->w), .y = y};
    const struct gpu_chain *chain = s->pattern.kind == GPU_MATMUL ? &s->u.matmul.chain : &s->u.conv.chain;
    const int fused = gpu_plan_info(plan)->fused_steps;
    for (int i = 0; i < fused && i < chain->n; i++)
        if (chain->step[i].op < GPU_OP_WITH_OPERAND && chain->step[i].operand >= 0)
            io.operand[i] = operand[chain->step[i].operand];
    enum reel_err err = gpu_plan_run(plan, &io, e->workspace, e->stream);
    if (err) reel_cuda_look(); // cuDNN's status does not tell a refusal from a fault
    if (!err && fused < chain->n) err = reel_cuda_check(finish(s, fused, operand, y, e->stream), "run an epilogue");
    return err;
}

// By way of the host. Its memory is free again: what was put there last has been
// uploaded before the rows that are waited for came down.
static enum reel_err run_rows_staged(struct exec *e, const struct step_rows *r, const struct backend_rows *device)
{
    const size_t room = e->p->most_rows_bytes;
    const struct backend_rows host = {.send_up = e->rows,
                                      .send_down = e->rows + room,
                                      .from_up = e->rows + 2 * room,
                                      .from_down = e->rows + 3 * room,
                                      .bytes = r->bytes};
    enum reel_err err = REEL_OK;
    if (r->up) err = reel_cuda_download(e->rows, device->send_up, r->bytes, e->stream);
    if (!err && r->down) err = reel_cuda_download(e->rows + room, device->send_down, r->bytes, e->stream);
    if (!err) err = reel_cuda_stream_sync(e->stream);
    if (!err) err = e->exchange->rows(e->exchange->user, &host);
    if (!err && r->up) err = reel_cuda_upload(device->from_up, host.from_up, r->bytes, e->stream);
    if (!err && r->down) err = reel_cuda_upload(device->from_down, host.from_down, r->bytes, e->stream);
    return err;
}

static enum reel_err run_rows(struct exec *e, const struct step *s)
{
    const struct backend_rows rows = exec_rows(&s->u.rows, at(e, s->y));
    const struct backend_exchange *x = e->exchange;
    enum reel_err err = x->device_rows ? x->device_rows(x->user, &rows, e->stream) : REEL_AGAIN;
    return err == REEL_AGAIN ? run_rows_staged(e, &s->u.rows, &rows) : err;
}

static enum reel_err wait_if_busy(struct exec *e)
{
    enum reel_err err = e->busy ? reel_cuda_stream_sync(e->stream) : REEL_OK;
    e->busy = false;
    return err;
}

static enum reel_err run_step(struct exec *e, int i)
{
    const struct step *s = &e->p->steps[i];
    const void *operand[GPU_OPERANDS];
    enum reel_err err;
    char what[160];
    e->busy |= s->kind != STEP_HOST && s->kind != STEP_REGIONS;
    switch (s->kind) {
    case STEP_UPLOAD:
        return reel_cuda_upload(at(e, s->y), at(e, s->x), s->bytes, e->stream);
    case STEP_DOWNLOAD:
        return reel_cuda_download(at(e, s->y), at(e, s->x), s->bytes, e->stream);
    case STEP_HOST: // its arguments have come, and nothing reads its buffers any more
        err = wait_if_busy(e);
        return err ? err : gpu_run_host_call(e->p, s, host_at, e);
    case STEP_ROWS:
        return run_rows(e, s);
    default:
        break;
    }
    for (int k = 0; k < GPU_OPERANDS; k++) operand[k] = at(e, s->operand[k]);
    if (e->plans[i]) return run_plan(e, s, e->plans[i], operand);
    const int error = gpu_launch(e->p, &e->memory, s, operand, e->stream);
    if (!error) return REEL_OK;
    snprintf(what, sizeof what, "run node \"%s\"", s->node ? s->node->name : s->label);
    return reel_cuda_check(error, what);
}

// Runs steps [begin, end) in one of several ways.
typedef enum reel_err run_fn(struct exec *e, int begin, int end);

// A STEP_REGIONS and the steps of its pieces.
static enum reel_err run_regions(struct exec *e, int i, run_fn *run_piece)
{
    const struct step *s = &e->p->steps[i];
    int pieces = 0;
    enum reel_err err = wait_if_busy(e);
    if (!err) err = gpu_regions_begin(e->p, s, host_at, e, &pieces);
    for (int k = 0; k < pieces && !err; k++) {
        gpu_regions_fill(e->p, s, k, host_at, e);
        err = run_piece(e, i + 1, gpu_regions_end(s));
        if (!err) err = wait_if_busy(e);
        if (!err) gpu_regions_take(e->p, s, k, host_at, e);
    }
    return err;
}

static enum reel_err run_steps(struct exec *e, int begin, int end)
{
    enum reel_err err = REEL_OK;
    for (int i = begin; i < end && !err; i++) {
        const struct step *s = &e->p->steps[i];
        if (s->kind != STEP_REGIONS) {
            err = run_step(e, i);
            continue;
        }
        err = run_regions(e, i, run_steps);
        i = gpu_regions_end(s) - 1;
    }
    return err;
}

// ---- measuring ---------------------------------------------------------------------------

struct stopwatch {
    void *from, *to; // events
};

static enum reel_err stopwatch_init(struct stopwatch *w)
{
    *w = (struct stopwatch){0};
    enum reel_err err = reel_cuda_event_create(&w->from);
    return err ? err : reel_cuda_event_create(&w->to);
}

static void stopwatch_fini(struct stopwatch *w)
{
    if (w->from) reel_cuda_event_destroy(&w->from);
    if (w->to) reel_cuda_event_destroy(&w->to);
}

static enum reel_err stopwatch_stop(struct stopwatch *w, void *stream, double *out_us)
{
    enum reel_err err = reel_cuda_event_record(w->to, stream);
    if (!err) err = reel_cuda_event_sync(w->to);
    return err ? err : reel_cuda_event_elapsed_us(w->from, w->to, out_us);
}

// The steps one by one, each waited for.
static enum reel_err run_profiled(struct exec *e, int begin, int end)
{
    struct stopwatch w;
    enum reel_err err = stopwatch_init(&w);
    for (int i = begin; i < end && !err; i++) {
        const struct step *s = &e->p->steps[i];
        double us;
        if (s->kind == STEP_REGIONS) {
            err = run_regions(e, i, run_profiled);
            i = gpu_regions_end(s) - 1;
            continue;
        }
        err = reel_cuda_event_record(w.from, e->stream);
        if (!err) err = run_step(e, i);
        if (!err) err = stopwatch_stop(&w, e->stream, &us);
        if (!err && (e->step_us[i] == 0 || us < e->step_us[i])) e->step_us[i] = us;
    }
    stopwatch_fini(&w);
    return err;
}

enum { TUNE_RUNS = 10, TUNE_ROUNDS = 4 };

// A row of runs as a graph, so that launching costs nothing.
static enum reel_err capture_row(struct exec *e, int step, struct gpu_plan *plan, void **out_graph)
{
    const struct step *s = &e->p->steps[step];
    const void *operand[GPU_OPERANDS];
    for (int k = 0; k < GPU_OPERANDS; k++) operand[k] = at(e, s->operand[k]);
    enum reel_err err = run_plan(e, s, plan, operand); // libraries load their kernels
    if (!err) err = reel_cuda_stream_sync(e->stream);
    if (!err) err = reel_cuda_capture_begin(e->stream);
    if (err) return err;
    for (int i = 0; i < TUNE_RUNS && !err; i++) err = run_plan(e, s, plan, operand);
    const enum reel_err ended = reel_cuda_capture_end(e->stream, out_graph);
    return err ? err : ended;
}

static enum reel_err time_plan(void *ctx, int step, struct gpu_plan *plan, double *out_us)
{
    struct exec *e = ctx;
    struct stopwatch w;
    void *graph = NULL;
    const size_t bytes = gpu_plan_info(plan)->workspace_bytes;
    if (bytes > e->workspace_bytes) {
        reel_cuda_free(e->workspace);
        e->workspace = NULL, e->workspace_bytes = 0;
        if (reel_cuda_malloc(bytes, &e->workspace)) return REEL_ERR_NOMEM;
        e->workspace_bytes = bytes;
    }
    enum reel_err err = stopwatch_init(&w);
    if (!err) err = capture_row(e, step, plan, &graph);
    for (int round = 0; round < TUNE_ROUNDS && !err; round++) {
        double us = 0;
        err = reel_cuda_event_record(w.from, e->stream);
        if (!err) err = reel_cuda_graph_launch(graph, e->stream);
        if (!err) err = stopwatch_stop(&w, e->stream, &us);
        if (!err && (round == 0 || us / TUNE_RUNS < *out_us)) *out_us = us / TUNE_RUNS;
    }
    reel_cuda_graph_destroy(&graph);
    stopwatch_fini(&w);
    return err;
}

// Halves between -1 and 1 all over the arena.
static enum reel_err fill_arena(struct exec *e)
{
    const size_t piece = (size_t)16 << 20, all = e->p->arena_bytes;
    uint16_t *noise = malloc(piece);
    uint32_t seed = 1;
    if (!noise) return gpu_no_memory(NULL);
    for (size_t i = 0; i < piece / 2; i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (uint16_t)((seed >> 16 & 0x83ff) | 0x3400 | (seed >> 4 & 0x0400));
    }
    enum reel_err err = REEL_OK;
    for (size_t done = 0; done < all && !err; done += piece)
        err = reel_cuda_upload(e->memory.arena + done, noise, all - done < piece ? all - done : piece, e->stream);
    if (!err) err = reel_cuda_stream_sync(e->stream);
    free(noise);
    return err;
}

static enum reel_err autotune(struct exec *e, const char *file)
{
    struct gpu_pins *pins = NULL;
    enum reel_err err = gpu_pins_create(&pins);
    if (!err) err = fill_arena(e);
    if (!err) err = gpu_tune(e->p, e->device, time_plan, e, pins, stdout);
    if (!err) err = gpu_pins_write(pins, file);
    gpu_pins_destroy(&pins);
    return err;
}

// ---- the middle part ---------------------------------------------------------------------

// Records a stretch.
static enum reel_err capture(struct exec *e, struct stretch *s)
{
    enum reel_err err = reel_cuda_capture_begin(e->stream);
    if (err) return err;
    err = run_steps(e, s->begin, s->end);
    const enum reel_err ended = reel_cuda_capture_end(e->stream, &s->graph);
    return err ? err : ended;
}

// As a graph; a driver that cannot leaves the steps one by one.
static enum reel_err run_stretch(struct exec *e, struct stretch *s)
{
    if (s->one_by_one || e->no_graph || !s->ran) {
        s->ran = true;
        return run_steps(e, s->begin, s->end);
    }
    if (!s->graph && capture(e, s)) {
        if (reel_cuda_lost()) return REEL_ERR_FAULT;
        reel_debug("backend", "no CUDA graph: %s", reel_fail_text());
        e->no_graph = true;
        return run_steps(e, s->begin, s->end);
    }
    e->busy = true;
    return reel_cuda_graph_launch(s->graph, e->stream);
}

// Steps of the middle part, from the beginning of a stretch to the end of one.
static enum reel_err run_stretches(struct exec *e, int begin, int end)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < e->n_stretches && !err; i++) {
        struct stretch *s = &e->stretches[i];
        const struct step *first = &e->p->steps[s->begin];
        if (s->begin < begin || s->begin >= end) continue;
        if (first->kind != STEP_REGIONS) {
            err = run_stretch(e, s);
            continue;
        }
        err = run_regions(e, s->begin, run_stretches);
        begin = gpu_regions_end(first); // its pieces have been run
    }
    return err;
}

static enum reel_err run(struct exec *e, int begin, int end)
{
    const bool whole = begin == e->p->main_begin && end == e->p->main_end && begin < end;
    e->busy = true; // the caller's own work
    if (e->step_us) return run_profiled(e, begin, end);
    return !whole || e->no_graph ? run_steps(e, begin, end) : run_stretches(e, begin, end);
}

static enum reel_err wait_stream(struct exec *e)
{
    return reel_cuda_stream_sync(e->stream);
}

static enum reel_err write_buffer(struct exec *e, struct ref to, const void *src, size_t bytes)
{
    return bytes ? reel_cuda_upload(at(e, to), src, bytes, e->stream) : REEL_OK;
}

static enum reel_err read_buffer(struct exec *e, struct ref from, void *dst, size_t bytes)
{
    if (!bytes) return REEL_OK;
    if (e->p->bufs[from.buf].kind != BUF_HOST) return reel_cuda_download(dst, at(e, from), bytes, e->stream);
    enum reel_err err = reel_cuda_stream_sync(e->stream);
    if (!err) memcpy(dst, at(e, from), bytes);
    return err;
}

// ---- inspection ------------------------------------------------------------------------

static void *stream_of(struct exec *e)
{
    return e->stream;
}

static size_t memory_bytes(const struct exec *e)
{
    return e->p->arena_bytes + e->p->const_bytes + e->workspace_bytes;
}

static const char *note(const struct exec *e, int step, char *buf, size_t buf_bytes)
{
    const struct step *s = &e->p->steps[step];
    int n = 0;
    *buf = '\0';
    if (e->step_us) n = snprintf(buf, buf_bytes, " %.1f us", e->step_us[step]);
    if (s->kind != STEP_PLAN) return buf;
    if (!e->plans[step]) {
        snprintf(buf + n, buf_bytes - (size_t)n, " [own kernel]");
        return buf;
    }
    const struct gpu_plan_info *i = gpu_plan_info(e->plans[step]);
    snprintf(buf + n, buf_bytes - (size_t)n, " [engine %d%s%s%s%s, fused %d, workspace %zu KB, %d of %d]", i->engine,
             i->tensor_core ? " tensor cores" : "", i->runtime_compiled ? " rtc" : "", i->from_cache ? " cached" : "",
             i->pinned ? " measured" : "", i->fused_steps, i->workspace_bytes >> 10, i->rank + 1, i->listed);
    return buf;
}

const struct exec_ops exec_device = {
    .create = create,
    .destroy = destroy,
    .write = write_buffer,
    .read = read_buffer,
    .run = run,
    .wait = wait_stream,
    .autotune = autotune,
    .at = at,
    .stream = stream_of,
    .memory_bytes = memory_bytes,
    .note = note,
};
