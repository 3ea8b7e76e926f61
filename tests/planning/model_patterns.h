// SPDX-License-Identifier: MIT
//
// The fused patterns of a model file, as the GPU backend lowers it: what
// cuDNN will be asked for. Included by one .c file of a program.
#ifndef REEL_TESTS_PLANNING_MODEL_PATTERNS_H
#define REEL_TESTS_PLANNING_MODEL_PATTERNS_H

#include <stdlib.h>
#include <string.h>

#include "worker/backend/cudnn/program.h"
#include "worker/engine/net.h"
#include "worker/graph/pass.h"

struct model_patterns {
    struct gpu_pattern *pattern; // distinct ones, in the network's order
    int n;
    int n_plan, n_own; // steps for cuDNN, repetitions included; convolutions by own kernels
};

static inline void model_patterns_add(struct model_patterns *m, const struct gpu_pattern *p)
{
    char a[GPU_PATTERN_TEXT_MAX], b[GPU_PATTERN_TEXT_MAX];
    gpu_pattern_text(p, a, sizeof a);
    for (int i = 0; i < m->n; i++)
        if (!strcmp(a, gpu_pattern_text(&m->pattern[i], b, sizeof b))) return;
    struct gpu_pattern *grown = realloc(m->pattern, (size_t)(m->n + 1) * sizeof *grown);
    if (!grown) abort();
    m->pattern = grown;
    m->pattern[m->n++] = *p;
}

static inline enum reel_err model_patterns_lower(const struct net *net, const struct reel_shape *shapes, int sm,
                                                 struct model_patterns *out)
{
    struct lowered *lowered = NULL;
    struct graph *graph = graph_clone(net_graph(net));
    if (!graph) return reel_fail(REEL_ERR_NOMEM, "out of memory");
    struct pass_params params = {.caps = backend_find("cudnn-host")->caps, .in_shapes = shapes};
    enum reel_err err = pass_run_all(graph, &params, NULL);
    const struct lower_params lower = {.precision = PRECISION_FP16, .sm = sm, .join = true};
    if (!err) err = gpu_lowered_create(graph, &lower, &lowered);
    for (int i = 0; !err && i < lowered->n_steps; i++) {
        const struct step *s = &lowered->steps[i];
        if (s->kind == STEP_PLAN) {
            model_patterns_add(out, &s->pattern);
            out->n_plan++;
        }
        out->n_own += s->kind == STEP_CONV || s->kind == STEP_DEPTHWISE || s->kind == STEP_MATMUL;
    }
    gpu_lowered_destroy(&lowered);
    graph_destroy(&graph);
    return err;
}

// Open extents become h x w; sm: of the device that is lowered for. The caller frees out->pattern. Errors: those of the
// import and of the lowering.
static inline enum reel_err model_patterns_read(const char *path, int h, int w, int sm, struct model_patterns *out)
{
    *out = (struct model_patterns){0};
    struct net *net = NULL;
    struct net_params params = {.backend = "cudnn-host"};
    enum reel_err err = net_open(path, &params, &net);
    if (err) return err;
    struct reel_shape shapes[16];
    int n = net_input_count(net);
    for (int i = 0; i < n && i < 16; i++) {
        shapes[i] = net_default_shape(net, i, h, w);
        if (shapes[i].ndim < 0) err = reel_fail(REEL_ERR_INPUT, "an input of unknown rank");
    }
    if (!err && n > 16) err = reel_fail(REEL_ERR_LIMIT, "more than 16 inputs");
    if (!err) err = model_patterns_lower(net, shapes, sm, out);
    net_close(&net);
    return err;
}

#endif
