// SPDX-License-Identifier: MIT
//
// The tail behind data-sized results on a GPU: large masks read there, one wait.
// The cases are those of tests/unit/worker/test_lower_tail.c.
#include "tests/gpu/lower_on_gpu.h"

#include "tests/unit/worker/test_lower_tail.c"
