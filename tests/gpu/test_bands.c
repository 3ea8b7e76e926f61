// SPDX-License-Identifier: MIT
//
// Bands that exchange rows, on a GPU: the random networks of
// tests/unit/worker/test_bands.c by cuDNN, each band in a thread with a stream of its
// own. Layers are far below the size from which one engine serves all, so that
// numbers may be summed in another order than over the whole picture.
#define BANDS_MAIN(...) CHECK_MAIN(__VA_ARGS__, {"on_a_gpu", on_a_gpu})

static void on_a_gpu(void);

#include "tests/unit/worker/test_bands.c"

static void on_a_gpu(void)
{
    if (backend_find("cudnn")->probe(&(struct backend_params){0})) SKIP("no GPU with cuDNN");
    // Few: cuDNN compiles each layer at each height for seconds.
    compare_some(&(struct how){"cudnn", 1, PRECISION_FP32, 1e-4}, 2, 3, 1);
    compare_some(&(struct how){"cudnn", 1, PRECISION_FP16, 3e-2}, 4, 6, 1);
}
