// SPDX-License-Identifier: MIT
//
// Products of bytes on a GPU against their twins: the cases of
// tests/unit/kernels/test_gpu_bytes.c, where the same kernels run on the CPU.
#include "tests/gpu/on_gpu.h"

#include "tests/unit/kernels/test_gpu_bytes.c"
