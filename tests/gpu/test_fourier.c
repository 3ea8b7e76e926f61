// SPDX-License-Identifier: MIT
//
// The transform on a GPU against its twin: the cases of
// tests/unit/kernels/test_gpu_fourier.c, where the same kernel runs on the CPU.
#include "tests/gpu/on_gpu.h"

#include "tests/unit/kernels/test_gpu_fourier.c"
