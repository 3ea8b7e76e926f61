// SPDX-License-Identifier: MIT
//
// Tensors that a step in which the host takes part reads or makes (host.c).
#ifndef REEL_WORKER_BACKEND_CUDNN_LOWER_HOST_H
#define REEL_WORKER_BACKEND_CUDNN_LOWER_HOST_H

#include "worker/backend/cudnn/program.h"

struct argument {
    const struct value *v; // NULL when absent
    struct ref r;          // in host memory; nowhere for dynamic ones
    struct reel_tensor t;
    bool dynamic;
};

// Brings v to the host, unless its size depends on data: it is there then. Errors: those of
// gpu_need_form().
enum reel_err gpu_open_argument(struct lowered *p, const struct value *v, struct argument *out);
// At run time: finds its bytes. node: whose step it is. Errors: FAULT.
enum reel_err gpu_bind_argument(struct lowered *p, const struct node *node, struct argument *a, gpu_host_fn *host_at,
                                void *exec);

#endif
