// SPDX-License-Identifier: MIT
//
// The list of backends. "interp" is the reference interpreter behind the same
// face: slow, no choice of `--backend auto`, but a full citizen, so that every
// test of a backend can be run against it. "cudnn-host" is the GPU backend with
// its kernels' C twins, for tests too.
#include "worker/backend/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct backend_ops backend_onednn;
extern const struct backend_ops backend_cudnn;
extern const struct backend_ops backend_cudnn_host;
extern const struct backend_ops backend_sim;

struct program {
    const struct graph *graph;
};

static enum reel_err interp_probe(const struct backend_params *params)
{
    (void)params;
    return REEL_OK;
}

static enum reel_err interp_compile(const struct graph *graph, const struct backend_params *params,
                                    struct program **out_program)
{
    (void)params;
    struct program *program = malloc(sizeof *program);
    if (!program) return reel_fail(REEL_ERR_NOMEM, "could not compile graph \"%s\": out of memory", graph->name);
    program->graph = graph;
    *out_program = program;
    return REEL_OK;
}

// Always allocates; what the caller has allocated is filled by a copy.
static enum reel_err interp_run_program(struct program *program, const struct reel_tensor *const *in,
                                        struct reel_tensor *out, bool borrow)
{
    (void)borrow;
    int n = program->graph->n_outputs;
    struct reel_tensor *mine = calloc((size_t)n + 1, sizeof *mine);
    if (!mine) return reel_fail(REEL_ERR_NOMEM, "could not run graph \"%s\": out of memory", program->graph->name);
    enum reel_err err = interp_run(program->graph, in, mine);
    for (int i = 0; i < n && !err; i++) {
        if (!out[i].data) {
            out[i] = mine[i];
            mine[i].owned = false;
        } else if (reel_tensor_bytes(&out[i]) == reel_tensor_bytes(&mine[i]) && out[i].dtype == mine[i].dtype) {
            memcpy(out[i].data, mine[i].data, reel_tensor_bytes(&mine[i]));
        } else {
            err = reel_fail(REEL_ERR_INPUT, "could not run graph \"%s\": output %d has another size than prepared",
                            program->graph->name, i);
        }
    }
    for (int i = 0; i < n; i++) reel_tensor_fini(&mine[i]);
    free(mine);
    return err;
}

static size_t interp_memory(const struct program *program)
{
    size_t bytes = 0;
    for (int i = 0; i < program->graph->n_values; i++) {
        const struct value *v = program->graph->values[i];
        if (v->constant && v->n_uses) bytes += reel_tensor_bytes(v->constant);
    }
    return bytes;
}

static void interp_dump(const struct program *program, void *stdio_file)
{
    fprintf(stdio_file, "interp: %d nodes, one after another\n", program->graph->n_nodes);
}

static void interp_destroy(struct program **program)
{
    free(*program);
    *program = NULL;
}

static const struct backend_ops backend_interp = {
    .name = "interp",
    .caps = BACKEND_FUSES_ACT | BACKEND_FUSES_RESIDUAL | BACKEND_FUSES_PRELU | BACKEND_DYNAMIC_TAIL,
    .probe = interp_probe,
    .compile = interp_compile,
    .run = interp_run_program,
    .memory_bytes = interp_memory,
    .dump = interp_dump,
    .destroy = interp_destroy,
};

static const struct backend_ops *const backends[] = {&backend_onednn, &backend_cudnn, &backend_sim, &backend_interp,
                                                     &backend_cudnn_host};

// With REELMILL_GPU_TWIN set, "onednn" is the GPU backend's host twin: whole runs
// then go the way they go on a GPU, its worker's device path included.
const struct backend_ops *backend_find(const char *name)
{
    if (!strcmp(name, "onednn") && getenv("REELMILL_GPU_TWIN")) name = "cudnn-host";
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (!strcmp(backends[i]->name, name)) return backends[i];
    return NULL;
}
