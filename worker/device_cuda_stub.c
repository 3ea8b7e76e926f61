// SPDX-License-Identifier: MIT
//
// device_cuda.c in a build without CUDA: there is no such device.
#include "worker/device_ops.h"

const struct device_ops *device_ops_cuda(void)
{
    return NULL;
}
