// SPDX-License-Identifier: MIT
//
// Which GPUs there are and which are used. Asked of a short-lived child
// (`worker --list_devices`): no GPU driver is loaded here.
#ifndef COORDINATOR_DEVICES_H
#define COORDINATOR_DEVICES_H

#include <stdio.h>

#include "common/device.h"
#include "common/settings.h"

// Whether this machine has an NVIDIA driver (or a told table stands for one).
bool devices_driver(void);
// Asks the child; a table without GPUs has the reason in `trouble`. Errors: IO
// (the child is missing, hung or died).
enum reel_err devices_ask(struct reel_gpu_table *out);
// The GPUs that --gpu_num and --gpu_ids choose, as numbers of the table. Errors:
// CONFIG, with what else could be done.
enum reel_err devices_choose(const struct reel_settings *s, const struct reel_gpu_table *table,
                             uint32_t out_ids[REEL_MAX_GPUS], uint32_t *out_n);
// Whether this build's kernels run on it.
bool devices_usable(const struct reel_gpu *gpu);
// --list_gpus
void devices_print(const struct reel_gpu_table *table, FILE *out);

#endif
