// SPDX-License-Identifier: MIT
//
// Suppression of overlapping boxes on a device, for thousands of boxes. Keeps the same
// boxes as nms_keep(). Used by task/detect.c for frames whose cells were picked on a device
// (pick.h).
#ifndef REEL_WORKER_DEVICE_NMS_H
#define REEL_WORKER_DEVICE_NMS_H

#include "kernels/nms.h"
#include "worker/device/ops.h"

// The device is used from this number of boxes on. The CPU takes about 0.06 us per box of a
// crowd (240 kept boxes to compare with, 5 ns for 16 of them). The device needs three
// launches for 2048 boxes (about 10 us, and as long to run) plus an upload and a wait: 50
// us if it is idle, else as long as a kernel of the network. Below about 4000 boxes nothing
// is gained.
#define DEVICE_NMS_LEAST 4096

struct device_nms;

// Device memory is allocated on first use. Errors: NOMEM.
enum reel_err device_nms_create(const struct device_ops *ops, struct device_nms **out);
// Accepts &NULL.
void device_nms_destroy(struct device_nms **nms);
// As nms_keep() for sorted boxes. Done on the device, or on the CPU if there are few boxes
// or the device has no memory for them. Waits for the result. Errors: NOMEM, FAULT.
enum reel_err device_nms_keep(struct device_nms *nms, struct nms_box *boxes, int n, float iou, int most, int *out_n);

#endif
