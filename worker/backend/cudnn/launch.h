// SPDX-License-Identifier: MIT
//
// Launches our own kernel for a step (exec_device.c).
#ifndef REEL_WORKER_BACKEND_CUDNN_LAUNCH_H
#define REEL_WORKER_BACKEND_CUDNN_LAUNCH_H

#include "worker/backend/cudnn/exec.h"

// A plan is done by the own convolution or product. operand: places of s->operand. Returns
// the CUDA runtime's error, 0 for steps in which the host takes part.
int gpu_launch(const struct lowered *p, const struct exec_memory *m, const struct step *s, const void *const *operand,
               void *stream);

#endif
