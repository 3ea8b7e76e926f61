// SPDX-License-Identifier: MIT
//
// Pictures that a network takes beside the frames, on a device. They are uploaded once per
// task and copied into the network's inputs before each run, because a program may reuse
// that memory. Used by image.c and between.c.
#ifndef REEL_WORKER_DEVICE_GIVEN_H
#define REEL_WORKER_DEVICE_GIVEN_H

#include "worker/device/image_own.h"

// Whether all picture inputs of the engine have a form that the device can write.
bool device_given_can(const struct task *task, struct engine *engine);
// Uploads the pictures. Errors: NOMEM, FAULT, LIMIT.
enum reel_err device_given_make(struct device_image *image, struct engine *engine);
// Enqueues the copies into the inputs. Of pictures that are cut, the part at (x0, y0) is
// copied.
enum reel_err device_given_feed(struct device_image *image, int x0, int y0, void *stream);

#endif
