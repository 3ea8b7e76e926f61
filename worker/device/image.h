// SPDX-License-Identifier: MIT
//
// A task's constants and buffers on a device, and the kernels of one frame before and after
// the network. On the CPU, task/task.c (feeding), task/image.c and the other tasks (here
// mask.c and pick.c) do the same.
#ifndef REEL_WORKER_DEVICE_IMAGE_H
#define REEL_WORKER_DEVICE_IMAGE_H

#include "worker/device/ops.h"
#include "worker/task/task.h"

struct device_image;
struct device_pick;

// What is done with the network's outputs.
enum device_rest {
    DEVICE_REST_PLANES,  // the device writes the output slot's planes: a picture or a mask
    DEVICE_REST_CELLS,   // the device picks a detector's cells with high scores
    DEVICE_REST_OUTPUTS, // all outputs are downloaded, and the task finishes on the host
};

// Whether the device can prepare this task's input pictures, with this engine's tensors.
bool device_image_can(const struct task *task, struct engine *engine);
// Whether the device also writes all of the task's output slots, which may then lie on it.
bool device_image_writes(const struct task *task, struct engine *engine);
// Uploads the tables and allocates the canvases. Errors: NOMEM, FAULT.
enum reel_err device_image_create(const struct device_ops *ops, struct task *task, struct engine *engine,
                                  struct device_image **out);
void device_image_destroy(struct device_image **image);

struct device_frame {
    const uint8_t *in;                    // base of the slot's planes in device memory
    const uint8_t *seen[MODEL_MOST_SEEN]; // likewise, for networks that see several frames
    bool made[2];                         // of two frames: it is a picture made earlier, laid out as in the output
    uint8_t *out;
    uint32_t part;
    int image; // the frame's index in the network's batch
    void *stream;
};

// Whether the network runs several times per frame; device_image_write() then enqueues the
// runs.
bool device_image_many(const struct device_image *image);
// Enqueues writing the frame into its image of the network's input. Does nothing if the
// network runs several times.
enum reel_err device_image_feed(struct device_image *image, const struct device_frame *frame);
enum device_rest device_image_rest(const struct device_image *image);
// For PLANES: enqueues what the task does after the network, into frame->out. out_y0,
// out_y1: the output rows that are written.
enum reel_err device_image_write(struct device_image *image, struct engine *engine, const struct device_frame *frame,
                                 int *out_y0, int *out_y1);
// For networks that make pictures between two frames: enqueues computing the small pictures
// of both frames that show cuts (kernels/cut.h) in device memory. `to` has room for two;
// out_bytes: size of each. device_image_is_cut() evaluates them once they are in host
// memory.
enum reel_err device_image_shrink(struct device_image *image, const struct device_frame *frame, uint8_t *to,
                                  size_t *out_bytes);
bool device_image_is_cut(const struct device_image *image, uint32_t n, const uint8_t *small);
// For CELLS: how they are picked (pick.h; valid for the life of the image), and picking
// them.
const struct device_pick *device_image_pick(const struct device_image *image);
enum reel_err device_image_pick_cells(struct device_image *image, struct engine *engine,
                                      const struct device_frame *frame, void *count, void *to);

#endif
