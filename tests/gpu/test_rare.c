// SPDX-License-Identifier: MIT
//
// Rare operators on a GPU against their twins: the cases of
// tests/unit/kernels/test_gpu_rare.c, where the same kernels run on the CPU.
#include "tests/gpu/on_gpu.h"

#include "tests/unit/kernels/test_gpu_rare.c"
