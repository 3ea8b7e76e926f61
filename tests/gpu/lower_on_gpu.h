// SPDX-License-Identifier: MIT
//
// Turns a test of the lowering (tests/unit/worker/lower_case.h) into one of whole small
// networks on a GPU: included before it.
#ifndef REEL_TESTS_GPU_LOWER_ON_GPU_H
#define REEL_TESTS_GPU_LOWER_ON_GPU_H

#include "common/cuda.h"

#define LOWER_BACKEND backend_cudnn
#define LOWER_RUNS 4
#define LOWER_LIMIT 1e-4
#define LOWER_MAIN(...)                                                                               \
    int main(int argc, char **argv)                                                                   \
    {                                                                                                 \
        static const struct check_case cases[] = {__VA_ARGS__}, none[] = {{"gpu: networks", no_gpu}}; \
        if (backend_cudnn.probe(&(struct backend_params){.precision = PRECISION_FP32}))               \
            return check_main(none, 1, argc, argv);                                                   \
        return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);                  \
    }

#include "tests/unit/worker/lower_case.h"

static void no_gpu(void)
{
    SKIP("no GPU");
}

#endif
