// SPDX-License-Identifier: MIT
//
// --autotune: measures the engines that cuDNN lists for a network's patterns and
// names the fastest of each in a table for --plans (pins.h). Called once by
// exec_device.c for a program that is ready to run; never during a run.
#ifndef REEL_WORKER_BACKEND_CUDNN_PLAN_TUNE_H
#define REEL_WORKER_BACKEND_CUDNN_PLAN_TUNE_H

#include "worker/backend/cudnn/plan/plan.h"
#include "worker/backend/cudnn/program.h"

// Microseconds of step `step` with this plan in place of its own, what the plan
// does not fuse included. The step's buffers hold random numbers: matrix units are
// faster on zeros.
typedef enum reel_err tune_time_fn(void *ctx, int step, struct gpu_plan *plan, double *out_us);

// Fills pins with one entry for every distinct pattern of which an engine ran, and
// writes a line each to stdio_file (a FILE *): the time with the heuristics'
// choice and with the best. Compiles candidates on all processors. Errors: NOMEM;
// FAULT (a GPU that is lost).
enum reel_err gpu_tune(const struct lowered *program, int device, tune_time_fn *time, void *ctx, struct gpu_pins *pins,
                       void *stdio_file);

#endif
