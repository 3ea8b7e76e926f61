// SPDX-License-Identifier: MIT
//
// The kernels that read pictures at computed places on a GPU against their twins: the
// cases of tests/unit/kernels/test_gpu_sample.c, where the same kernels run on the CPU.
#include "tests/gpu/on_gpu.h"

#include "tests/unit/kernels/test_gpu_sample.c"
