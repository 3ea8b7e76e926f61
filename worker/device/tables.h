// SPDX-License-Identifier: MIT
//
// What a task holds on a device while its lane lives: tables uploaded once, and buffers
// between kernels. All are freed together. Used by image.c, mask.c and pick.c.
#ifndef REEL_WORKER_DEVICE_TABLES_H
#define REEL_WORKER_DEVICE_TABLES_H

#include "common/tensor.h"
#include "kernels/gpu/ops.h"
#include "worker/device/ops.h"

#define DEVICE_TABLES_MOST 48

// Empty when zeroed except for ops.
struct device_tables {
    const struct device_ops *ops;
    void *owned[DEVICE_TABLES_MOST];
    int n;
};

// Allocates memory that lives until device_tables_fini(). Errors: NOMEM, LIMIT.
enum reel_err device_tables_own(struct device_tables *t, size_t bytes, void **out);
// The same, filled from `from`; waits until that has been read.
enum reel_err device_tables_put(struct device_tables *t, const void *from, size_t bytes, void **out);
enum reel_err device_tables_put_axis(struct device_tables *t, const struct resize_axis *axis, struct gpu_axis *out);
void device_tables_fini(struct device_tables *t);

// The kernels' enum value for a tensor's type; false if they do not support it.
bool device_elem_of(enum reel_dtype dtype, enum gpu_elem *out);

#endif
