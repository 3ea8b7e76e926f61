// SPDX-License-Identifier: MIT
//
// Depth to space on a GPU against its twins: the cases of
// tests/unit/kernels/test_gpu_enlarge.c, where the same kernels run on the CPU.
#include "tests/gpu/on_gpu.h"

#include "tests/unit/kernels/test_gpu_enlarge.c"
