// SPDX-License-Identifier: MIT
//
// --autotune: measures the engines that cuDNN lists for each of a network's patterns and
// writes the fastest ones to a table for --plans (pins.h). Called once by exec_device.c for a
// program that is ready to run; never during a run.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_TUNE_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_TUNE_H

#include "worker/backend/cudnn/plan/plan.h"
#include "worker/backend/cudnn/program.h"

// Measures the microseconds of a step with this plan instead of its own, including what the
// plan does not fuse. The step's buffers hold random numbers, because matrix units are faster
// on zeros.
typedef enum reel_err tune_time_fn(void *ctx, int step, struct gpu_plan *plan, double *out_us);

// Fills pins with one entry for every distinct pattern for which an engine ran, and writes a
// line for each to stdio_file (a FILE *): the time with the heuristics' choice and with the
// best engine. Compiles candidates on all processors. Errors: NOMEM; FAULT (the GPU is lost).
enum reel_err gpu_tune(const struct lowered *program, int device, tune_time_fn *time, void *ctx, struct gpu_pins *pins,
                       void *stdio_file);

#endif
