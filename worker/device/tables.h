// SPDX-License-Identifier: MIT
//
// What a task holds on a device as long as its lane lives: tables that were
// uploaded once and buffers between kernels. They go together. Used by
// image.c, mask.c and pick.c.
#ifndef REEL_WORKER_DEVICE_TABLES_H
#define REEL_WORKER_DEVICE_TABLES_H

#include "common/tensor.h"
#include "kernels/gpu/ops.h"
#include "worker/device/ops.h"

#define DEVICE_TABLES_MOST 48

// Zeroed but for ops: holds nothing.
struct device_tables {
    const struct device_ops *ops;
    void *owned[DEVICE_TABLES_MOST];
    int n;
};

// Memory until device_tables_fini(). Errors: NOMEM, LIMIT.
enum reel_err device_tables_own(struct device_tables *t, size_t bytes, void **out);
// Likewise, filled; waits until `from` has been read.
enum reel_err device_tables_put(struct device_tables *t, const void *from, size_t bytes, void **out);
enum reel_err device_tables_put_axis(struct device_tables *t, const struct resize_axis *axis, struct gpu_axis *out);
void device_tables_fini(struct device_tables *t);

// The kernels' name of a tensor's type; false: they do not know it.
bool device_elem_of(enum reel_dtype dtype, enum gpu_elem *out);

#endif
