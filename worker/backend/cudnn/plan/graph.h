// SPDX-License-Identifier: MIT
//
// A fused pattern as a cuDNN operation graph: descriptors, unique ids, scalars. Used by
// plan.c and engine.c, which together with graph.c and api.c are all that calls cuDNN.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_GRAPH_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_GRAPH_H

#include "worker/backend/cudnn/api.h"
#include "worker/backend/cudnn/plan/pattern.h"

#if REEL_CUDA

// Descriptors that are destroyed together.
#define PLAN_BAG_MAX 256 // the longest chain makes about 150
struct plan_bag {
    const struct cudnn_api *api;
    int n;
    cudnnBackendDescriptor_t d[PLAN_BAG_MAX];
};

// What plans are made for: a handle on a real device, or device properties.
struct plan_target {
    const struct cudnn_api *api;
    cudnnHandle_t handle; // NULL when device_prop is set
    cudnnBackendDescriptor_t device_prop;
};

// Unique ids of the tensors that a run binds.
enum {
    PLAN_UID_X = 1,
    PLAN_UID_W,
    PLAN_UID_Y,
    PLAN_UID_OPERAND, // + step
    PLAN_UID_SCALAR = PLAN_UID_OPERAND + GPU_MAX_STEPS,
    PLAN_UID_VIRTUAL = PLAN_UID_SCALAR + 4 * GPU_MAX_STEPS,
};

struct plan_graph {
    struct plan_bag bag;
    cudnnBackendDescriptor_t ops; // OPERATIONGRAPH
    int n_scalars;                // bound by address at each run
    float scalar[4 * GPU_MAX_STEPS];
};

// Make a descriptor, set its attributes, then finalize it. All store the failure's text and
// return its code. plan_desc_new(): the bag owns *out_d.
enum reel_err plan_desc_new(struct plan_bag *bag, cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out_d);
enum reel_err plan_desc_set(struct plan_bag *bag, cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                            cudnnBackendAttributeType_t type, int64_t count, const void *values);
enum reel_err plan_desc_finalize(struct plan_bag *bag, cudnnBackendDescriptor_t d, const char *what);
void plan_bag_fini(struct plan_bag *bag);
// Destroys all descriptors except the first n.
void plan_bag_cut(struct plan_bag *bag, int n);

// Makes the graph of the pattern with its first n_steps steps. Errors: UNSUPPORTED, NOMEM,
// FAULT. *out_graph must be freed with plan_graph_fini() even after an error.
enum reel_err plan_graph_init(struct plan_graph *out_graph, const struct plan_target *target,
                              const struct gpu_pattern *pattern, int n_steps);
void plan_graph_fini(struct plan_graph *graph);

#endif
#endif
