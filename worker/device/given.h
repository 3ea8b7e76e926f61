// SPDX-License-Identifier: MIT
//
// Pictures that a network is given beside the frames, on a device: uploaded once for a
// task, and put into the network's inputs before each run, as a program may use their
// memory for something else. For image.c and between.c.
#ifndef REEL_WORKER_DEVICE_GIVEN_H
#define REEL_WORKER_DEVICE_GIVEN_H

#include "worker/device/image_own.h"

// Whether all such inputs of the engine are of a form that they can be put into.
bool device_given_can(const struct task *task, struct engine *engine);
// Uploads. Errors: NOMEM, FAULT, LIMIT.
enum reel_err device_given_make(struct device_image *image, struct engine *engine);
// Enqueues putting them there, of what is cut the part at (x0, y0).
enum reel_err device_given_feed(struct device_image *image, int x0, int y0, void *stream);

#endif
