// SPDX-License-Identifier: MIT
//
// Convolutions over three axes on a GPU against their twin: the cases of
// tests/unit/kernels/test_gpu_volume.c, where the same kernels run on the CPU.
#include "tests/gpu/on_gpu.h"

#include "tests/unit/kernels/test_gpu_volume.c"
