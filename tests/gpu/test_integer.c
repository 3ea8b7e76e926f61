// SPDX-License-Identifier: MIT
//
// Whole numbers on a GPU against the twin: the cases of
// tests/unit/kernels/test_gpu_integer.c, where the same kernel runs on the CPU.
#include "tests/gpu/on_gpu.h"

#include "tests/unit/kernels/test_gpu_integer.c"
