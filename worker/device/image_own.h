// SPDX-License-Identifier: MIT
//
// The inside of device_image, for image.c (pictures), between.c (pictures between two
// frames) and given.c. Nobody else includes it.
#ifndef REEL_WORKER_DEVICE_IMAGE_OWN_H
#define REEL_WORKER_DEVICE_IMAGE_OWN_H

#include "worker/device/image.h"
#include "worker/device/tables.h"
#include "worker/task/image.h"

struct device_image {
    const struct device_ops *ops;
    struct device_tables tables;
    struct task *task;
    struct gpu_coding in, out, plain; // plain: no conversion of colours
    struct gpu_image net_in, net_out; // of the batch's first image; in: of the first frame seen
    size_t in_bytes, out_bytes;       // distance between two images of the batch
    struct gpu_axis feed_x, feed_y;   // picture to network
    struct gpu_axis back_x, back_y;   // network's picture to output
    struct gpu_axis residual_x, residual_y;
    struct gpu_axis chroma_x, chroma_y; // of luma-only networks
    struct gpu_image in_canvas, out_canvas, residual;
    struct gpu_image planes, net_planes; // channels after those of two frames: as float32, and in the network's input
    struct gpu_image net_time;           // the input that takes the time between them; data NULL: none
    struct gpu_image given[REEL_MAX_PICTURES], given_in[REEL_MAX_PICTURES]; // as float32, and in the network's inputs
    float *rows;                                                            // between the passes of a resize
    size_t rows_floats;                                                     // largest request so far
    float *wx, *wy;                                                         // weights of each tile column and row
    int made_w, made_h;                                                     // network's output
    int back_x0, back_y0;                                                   // picture's corner on it
    struct device_mask *mask; // of tasks that make no pictures, NULL without
    struct device_pick *pick;
};

// image.c: describes a program's tensor as a w x h picture; nhwc: as the model declares it.
// *out_bytes: size of one image of the batch. False: no kernel handles such a tensor.
bool device_tensor_as_image(const struct backend_device_tensor *tensor, int batch, bool nhwc, int w, int h,
                            int channels, struct gpu_image *out, size_t *out_bytes);
enum gpu_pixel_type device_pixel_type_of(enum reel_dtype dtype);
// The image reduced to n channels, from channel `first` on.
struct gpu_image device_channels_from(const struct gpu_image *image, int first, int n);

// image.c: enqueues feeding all frames that the network sees, uncut, one after the other
// along the channels.
enum reel_err device_image_feed_seen(struct device_image *image, const struct device_frame *frame,
                                     const struct gpu_image *first);
// Enqueues writing the band of the network's picture into frame->out.
enum reel_err device_image_write_picture(struct device_image *image, const struct device_frame *frame,
                                         const struct image_band *band);

// between.c: prepares what all runs on two frames have in common: the extra planes, and the
// input for the time. Errors: NOMEM, FAULT.
enum reel_err device_between_make(struct device_image *image, struct engine *engine);
// Enqueues all runs of a frame, and writing the pictures they make.
enum reel_err device_between_run(struct device_image *image, struct engine *engine, const struct device_frame *frame,
                                 const struct image_band *band);

#endif
