// SPDX-License-Identifier: MIT
//
// Suppression of overlapping boxes on a device, where there are thousands: the
// boxes that nms_keep() keeps. Used by task/detect.c for frames whose cells a
// device has picked (pick.h).
#ifndef REEL_WORKER_DEVICE_NMS_H
#define REEL_WORKER_DEVICE_NMS_H

#include "kernels/nms.h"
#include "worker/device/ops.h"

// So many boxes at least go to the device. The processor takes some 0.06 us for a
// box of a crowd (240 kept ones to compare it with, 5 ns for 16 of them), the
// device three launches for 2048 boxes (about 10 us, and as long to run) behind an
// upload and before a wait for the answer: 50 us where it is idle, and as long as
// a kernel of the network where it is not. Below some 4000 boxes nothing is won.
#define DEVICE_NMS_LEAST 4096

struct device_nms;

// Memory is taken when it is first needed. Errors: NOMEM.
enum reel_err device_nms_create(const struct device_ops *ops, struct device_nms **out);
// Accepts &NULL.
void device_nms_destroy(struct device_nms **nms);
// As nms_keep() of sorted boxes, by the device or, where there are few or it has
// no memory for them, by the processor. Waits. Errors: NOMEM, FAULT.
enum reel_err device_nms_keep(struct device_nms *nms, struct nms_box *boxes, int n, float iou, int most, int *out_n);

#endif
