// SPDX-License-Identifier: MIT
//
// exec_device.c on a device that is played, so that what it does beside its kernels is tested
// without a GPU: stretches as graphs, pieces of regions, waits. The device does nothing until
// somebody waits for it, and copies then what lies at a copy's source; kernels are their twins,
// in the memory of an exec_host. Between the beginning and the end of a capture only what a
// stream takes may be called. Included before a test of the lowering, in place of lower_case.h.
#ifndef REEL_TESTS_UNIT_WORKER_PLAYED_DEVICE_H
#define REEL_TESTS_UNIT_WORKER_PLAYED_DEVICE_H

#define run_lowered run_by_the_twin
#define LOWER_BACKEND backend_cudnn_host
#define LOWER_RUNS 2
#define LOWER_LIMIT 1e-5
#define LOWER_MAIN(...) CHECK_MAIN(__VA_ARGS__)
#include "tests/unit/worker/lower_case.h"
#undef run_lowered

#define exec_device exec_played
#define reel_cuda_capture_begin played_capture_begin
#define reel_cuda_capture_end played_capture_end
#define reel_cuda_check played_check
#define reel_cuda_download played_copy
#define reel_cuda_free played_free
#define reel_cuda_graph_destroy played_graph_destroy
#define reel_cuda_graph_launch played_graph_launch
#define reel_cuda_host_alloc played_host_alloc
#define reel_cuda_host_free played_free
#define reel_cuda_look played_nothing
#define reel_cuda_lost played_lost
#define reel_cuda_malloc played_malloc
#define reel_cuda_memset played_memset
#define reel_cuda_open played_open
#define reel_cuda_stream_create played_stream_create
#define reel_cuda_stream_destroy played_stream_destroy
#define reel_cuda_stream_sync played_stream_sync
#define reel_cuda_upload played_copy
#define gpu_launch played_launch
#define gpu_finish(f, operand, y, stream) played_finish(f, operand, y, stream)
#define gpu_plan_create played_plan_create
#define gpu_plan_prepare played_plan_prepare
#define gpu_planner_create played_planner_create
#define gpu_planner_destroy played_planner_destroy
#define gpu_plan_destroy played_plan_destroy
#define gpu_tune played_tune

int played_finish(const struct gpu_finish *f, const void *const *operand, void *y, void *stream);

#include "worker/backend/cudnn/exec_device.c"

// What a stream is given: a copy, or a step.
struct played_work {
    void *to;
    const void *from; // NULL: the step
    size_t bytes;
    int step;
};

struct played_list {
    struct played_work *work;
    int n;
};

static struct {
    struct lowered *lowered;
    struct exec *twin;
    struct played_list stream, graph;
    bool capturing;
    const char *wrong; // what was done that must not be done
    int graphs, launches, mallocs;
} played;

static void played_must(bool right, const char *text)
{
    if (!right) played.wrong = text;
}

static enum reel_err played_give(struct played_work w)
{
    struct played_list *l = played.capturing ? &played.graph : &played.stream;
    l->work = realloc(l->work, (size_t)(l->n + 1) * sizeof *l->work);
    if (!l->work) abort();
    l->work[l->n++] = w;
    return REEL_OK;
}

// ---- in place of common/cuda.h -----------------------------------------------------------

enum reel_err played_copy(void *to, const void *from, size_t bytes, void *stream)
{
    (void)stream;
    return played_give((struct played_work){to, from, bytes, -1});
}

enum reel_err played_stream_sync(void *stream)
{
    (void)stream;
    played_must(!played.capturing, "called during a capture");
    enum reel_err err = REEL_OK;
    for (int i = 0; i < played.stream.n && !err; i++) {
        const struct played_work *w = &played.stream.work[i];
        if (w->from)
            memcpy(w->to, w->from, w->bytes);
        else
            err = exec_host.run(played.twin, w->step, w->step + 1);
    }
    played.stream.n = 0;
    return err;
}

enum reel_err played_capture_begin(void *stream)
{
    (void)stream;
    played_must(!played.capturing, "called during a capture");
    played.capturing = true;
    return REEL_OK;
}

enum reel_err played_capture_end(void *stream, void **out_graph)
{
    (void)stream;
    struct played_list *graph = malloc(sizeof *graph);
    if (!graph) abort();
    *graph = played.graph;
    *out_graph = graph;
    played.graph = (struct played_list){0};
    played.capturing = false;
    played.graphs++;
    return REEL_OK;
}

enum reel_err played_graph_launch(void *graph, void *stream)
{
    const struct played_list *g = graph;
    (void)stream;
    played_must(!played.capturing, "called during a capture");
    played.launches++;
    for (int i = 0; i < g->n; i++) played_give(g->work[i]);
    return REEL_OK;
}

void played_graph_destroy(void **graph)
{
    if (*graph) free(((struct played_list *)*graph)->work);
    free(*graph);
    *graph = NULL;
}

// Where the twin has memory of that kind.
static void *played_base(enum buf_kind kind)
{
    const struct lowered *p = played.lowered;
    for (int i = 0; i < p->n_bufs; i++)
        if (p->bufs[i].kind == kind && !(kind == BUF_HOST && p->bufs[i].init))
            return (char *)exec_host.at(played.twin, (struct ref){.buf = i}) - p->bufs[i].offset;
    return &played;
}

// The arena first, then constants.
enum reel_err played_malloc(size_t bytes, void **out)
{
    (void)bytes;
    played_must(!played.capturing, "called during a capture");
    *out = played_base(played.mallocs++ ? BUF_CONST : BUF_ARENA);
    return REEL_OK;
}

enum reel_err played_host_alloc(size_t bytes, void **out)
{
    (void)bytes;
    *out = played_base(BUF_HOST);
    return REEL_OK;
}

void played_free(void *p)
{
    (void)p;
}

enum reel_err played_memset(void *dst, int byte, size_t bytes, void *stream)
{
    (void)dst, (void)byte, (void)bytes, (void)stream;
    return REEL_OK;
}

enum reel_err played_open(int device)
{
    (void)device;
    return REEL_OK;
}

enum reel_err played_stream_create(void **out_stream)
{
    *out_stream = &played;
    return REEL_OK;
}

void played_stream_destroy(void **stream)
{
    *stream = NULL;
}

enum reel_err played_check(int cuda_error, const char *what)
{
    return cuda_error ? reel_fail(REEL_ERR_FAULT, "could not %s", what) : REEL_OK;
}

void played_nothing(void)
{
}

bool played_lost(void)
{
    return false;
}

// ---- in place of kernels and plans -------------------------------------------------------

int played_launch(const struct lowered *p, const struct exec_memory *m, const struct step *s,
                  const void *const *operand, void *stream)
{
    (void)m, (void)operand, (void)stream;
    return (int)played_give((struct played_work){.step = (int)(s - p->steps)});
}

int played_finish(const struct gpu_finish *f, const void *const *operand, void *y, void *stream)
{
    (void)f, (void)operand, (void)y, (void)stream;
    return 1; // there are no plans
}

enum reel_err played_planner_create(const struct gpu_planner_params *params, struct gpu_planner **out_planner)
{
    (void)params;
    *out_planner = NULL;
    return REEL_OK;
}

void played_planner_destroy(struct gpu_planner **planner)
{
    *planner = NULL;
}

enum reel_err played_plan_create(struct gpu_planner *planner, const struct gpu_pattern *pattern,
                                 struct gpu_plan **out_plan)
{
    (void)planner, (void)pattern, (void)out_plan;
    return reel_fail(REEL_ERR_UNSUPPORTED, "there is no library");
}

void played_plan_destroy(struct gpu_plan **plan)
{
    *plan = NULL;
}

int played_plan_prepare(const struct gpu_planner_params *params, int device, const struct gpu_pattern *const *patterns,
                        int n, int threads)
{
    (void)params, (void)device, (void)patterns, (void)n, (void)threads;
    return 0;
}

enum reel_err played_tune(const struct lowered *p, int device, tune_time_fn *time, void *ctx, struct gpu_pins *pins,
                          void *stdio_file)
{
    (void)p, (void)device, (void)time, (void)ctx, (void)pins, (void)stdio_file;
    return REEL_ERR_UNSUPPORTED;
}

// ---- a network on it ---------------------------------------------------------------------

static void played_dump(char *to, size_t bytes)
{
    const struct lowered *p = played.lowered;
    FILE *f = fmemopen(to, bytes, "w");
    fprintf(f, "# which wait for the device %d times\n", p->n_waits);
    for (int i = 0; i < p->n_steps; i++) {
        char text[512];
        fprintf(f, "%3d     %s\n", i, gpu_step_text(p, &p->steps[i], text, sizeof text));
    }
    fclose(f);
}

static enum reel_err played_run(struct exec *e, const struct reel_tensor *in, struct reel_tensor *out)
{
    struct lowered *p = played.lowered;
    struct info *i = info_of(p, p->graph->outputs[0]);
    enum reel_err err = REEL_OK;
    for (int k = 0; k < p->n_info; k++) reel_tensor_fini(&p->info[k].dynamic);
    for (int k = 0; k < p->graph->n_inputs && !err; k++)
        err = exec_played.write(e, p->in_staging[k], in[k].data, reel_tensor_bytes(&in[k]));
    if (!err) err = exec_played.run(e, 0, p->main_begin);
    if (!err) err = exec_played.run(e, p->main_begin, p->main_end);
    if (!err) err = exec_played.run(e, p->main_end, p->n_steps);
    if (!err) err = i->count < 0 ? reel_tensor_copy(out, &i->dynamic) : reel_tensor_init(out, i->dtype, &i->shape);
    if (!err && i->count >= 0) err = exec_played.read(e, p->out_staging[0], out->data, reel_tensor_bytes(out));
    return err ? err : exec_played.wait(e);
}

// As lower_case.h has it. Runs that follow the first, which goes step by step, give its bytes.
static bool run_lowered(const struct graph *graph, enum precision precision, struct result *r)
{
    struct reel_tensor in[8] = {0}, first = {0};
    const struct backend_params params = {.precision = precision};
    struct graph *after = after_passes(graph, backend_cudnn_host.caps);
    struct exec *e = NULL;
    *r = (struct result){0};
    memset(&played, 0, sizeof played);
    fill_inputs(graph, in, 5);
    enum reel_err err =
        after ? gpu_lowered_create(after, &(struct lower_params){.precision = precision, .sm = 90}, &played.lowered)
              : REEL_ERR_FAULT;
    if (!err) err = exec_host.create(played.lowered, &params, &played.twin);
    if (!err) err = exec_played.create(played.lowered, &params, &e);
    for (int k = 0; k < 4 && !err; k++) {
        reel_tensor_fini(&r->out);
        err = played_run(e, in, &r->out);
        if (!err && !k) err = reel_tensor_copy(&first, &r->out);
        if (err) break;
        played_must(reel_shape_equal(&first.shape, &r->out.shape) &&
                        !memcmp(first.data, r->out.data, reel_tensor_bytes(&first)),
                    "other bytes than the first run's");
    }
    if (err) fprintf(stderr, "%s\n", reel_fail_text());
    if (!err) played_dump(r->dump, sizeof r->dump - 1);
    if (e) exec_played.destroy(&e);
    if (played.twin) exec_host.destroy(&played.twin);
    free(played.stream.work);
    if (played.lowered) gpu_lowered_destroy(&played.lowered);
    for (int i = 0; i < graph->n_inputs; i++) reel_tensor_fini(&in[i]);
    reel_tensor_fini(&first);
    graph_destroy(&after);
    played_must(played.graphs > 0 && played.launches >= 3 * played.graphs, "no graph");
    if (played.wrong) fprintf(stderr, "%s\n", played.wrong);
    return !err && !played.wrong;
}

#endif
