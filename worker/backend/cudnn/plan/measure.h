// SPDX-License-Identifier: MIT
//
// Implements backend_ops.measure for the GPU backend and its host twin.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_MEASURE_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_MEASURE_H

#include "worker/backend/backend.h"

// Errors: NOMEM, UNSUPPORTED, FAULT.
enum reel_err gpu_measure(const struct graph *graph, const struct reel_tensor *const *in, struct ranges *ranges);

#endif
