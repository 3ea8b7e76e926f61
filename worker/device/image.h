// SPDX-License-Identifier: MIT
//
// A task's constants and buffers on a device, and the kernels of one frame
// around the network: what task/task.c (feeding), task/image.c, and with
// mask.c and pick.c the other tasks do on the CPU.
#ifndef REEL_WORKER_DEVICE_IMAGE_H
#define REEL_WORKER_DEVICE_IMAGE_H

#include "worker/device/ops.h"
#include "worker/task/task.h"

struct device_image;
struct device_pick;

// What follows the network.
enum device_rest {
    DEVICE_REST_PLANES,  // the output slot's planes are written: a picture or a mask
    DEVICE_REST_CELLS,   // a detector's cells of high scores are picked
    DEVICE_REST_OUTPUTS, // all outputs are downloaded, the task finishes on the host
};

// Whether this task's pictures can be made on the device, with this engine's tensors.
bool device_image_can(const struct task *task, struct engine *engine);
// Whether the device then writes all of the task's output slots, which may lie on it.
bool device_image_writes(const struct task *task, struct engine *engine);
// Tables and canvases. Errors: NOMEM, FAULT.
enum reel_err device_image_create(const struct device_ops *ops, struct task *task, struct engine *engine,
                                  struct device_image **out);
void device_image_destroy(struct device_image **image);

struct device_frame {
    const uint8_t *in;                    // slots' planes in device memory, at their offsets
    const uint8_t *seen[MODEL_MOST_SEEN]; // likewise, of networks that see several frames
    bool made[2];                         // of two: it was made before, and lies as in the output
    uint8_t *out;
    uint32_t part;
    int image; // of the network's batch that the frame is
    void *stream;
};

// Whether the network runs several times a frame: device_image_write() enqueues it.
bool device_image_many(const struct device_image *image);
// Enqueues feeding the frame's image of the network's input; where the network runs
// several times nothing.
enum reel_err device_image_feed(struct device_image *image, const struct device_frame *frame);
enum device_rest device_image_rest(const struct device_image *image);
// Of PLANES: enqueues what the task does behind the network, into frame->out.
// out_y0, out_y1: the rows of the output that are written.
enum reel_err device_image_write(struct device_image *image, struct engine *engine, const struct device_frame *frame,
                                 int *out_y0, int *out_y1);
// Of networks that make pictures between two frames: enqueues making the small pictures
// of both by which cuts are seen (kernels/cut.h) in device memory, `to` has room for
// two; out_bytes: of each. And what they say, once they are in host memory.
enum reel_err device_image_shrink(struct device_image *image, const struct device_frame *frame, uint8_t *to,
                                  size_t *out_bytes);
bool device_image_is_cut(const struct device_image *image, uint32_t n, const uint8_t *small);
// Of CELLS: how they are picked (pick.h; as long as the image), and doing it.
const struct device_pick *device_image_pick(const struct device_image *image);
enum reel_err device_image_pick_cells(struct device_image *image, struct engine *engine,
                                      const struct device_frame *frame, void *count, void *to);

#endif
