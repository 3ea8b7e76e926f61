// SPDX-License-Identifier: MIT
//
// The kernel that brings images into e4m3 on a GPU against its twin: the cases of
// tests/unit/kernels/test_gpu_fp8.c. From compute capability 8.9 on it converts
// by the GPU's own instruction.
#include "tests/gpu/on_gpu.h"

#include "tests/unit/kernels/test_gpu_fp8.c"
