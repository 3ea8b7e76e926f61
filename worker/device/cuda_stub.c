// SPDX-License-Identifier: MIT
//
// cuda.c in a build without CUDA: there is no such device.
#include "worker/device/ops.h"

const struct device_ops *device_ops_cuda(void)
{
    return NULL;
}
