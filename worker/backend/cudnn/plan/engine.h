// SPDX-License-Identifier: MIT
//
// Which engine runs a graph: puts the heuristics' list into our order, and makes a plan from
// an engine with its knobs. The rule is in plan.h.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_ENGINE_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_ENGINE_H

#include "worker/backend/cudnn/plan/graph.h"

#if REEL_CUDA

#define PLAN_MAX_KNOBS 24
#define PLAN_MAX_CANDIDATES 128

// An engine and everything that steers it.
struct plan_choice {
    int engine; // global index
    int rank;   // place in the heuristics' list; fallbacks come last
    bool runtime_compiled, tensor_core, winograd, generic;
    int n_knobs;
    struct {
        cudnnBackendKnobType_t type;
        int64_t value;
    } knob[PLAN_MAX_KNOBS];
    size_t workspace_bytes; // as the engine reported for the graph it was listed for
};

struct plan_candidates {
    int n, listed;
    struct plan_choice choice[PLAN_MAX_CANDIDATES];
};

struct plan_limits {
    size_t workspace_bytes;
    bool strict_f32;       // no tensor cores
    bool want_tensor_core; // engines with tensor cores go first
    bool no_runtime_compile;
};

// Lists the engines that keep to the limits, best first: those of heuristics mode A, or with
// `fallback` those of mode FALLBACK (which takes half a second in cuDNN 9.19, so it is used
// only if A offers nothing). Errors: FAULT. If there are none it returns REEL_OK with n = 0.
enum reel_err plan_engine_list(const struct plan_target *target, struct plan_graph *graph,
                               const struct plan_limits *limits, bool fallback, struct plan_candidates *out_list);

// Builds the choice for a graph of the same pattern, perhaps with more images. *out_plan is
// owned by the graph's bag. config_only: stops when cuDNN has accepted the engine for the
// graph; *out_plan is NULL. Errors: UNSUPPORTED, FAULT.
enum reel_err plan_engine_build(const struct plan_target *target, struct plan_graph *graph,
                                const struct plan_choice *choice, bool config_only, cudnnBackendDescriptor_t *out_plan,
                                size_t *out_workspace_bytes);

// Writes "tile_size=3 stages=2" into buf and returns it.
const char *plan_choice_knobs(const struct plan_choice *choice, char *buf, size_t buf_bytes);

#endif
#endif
