// SPDX-License-Identifier: MIT
//
// A detector's second stage on a GPU: pieces of regions, each a launch of the same graphs.
// The cases are those of tests/unit/worker/test_lower_regions.c.
#include "tests/gpu/lower_on_gpu.h"

#include "tests/unit/worker/test_lower_regions.c"
