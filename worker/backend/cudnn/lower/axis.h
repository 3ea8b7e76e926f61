// SPDX-License-Identifier: MIT
//
// What a convolution's attributes say about one of its axes. Used by lower/conv.c, volume.c
// and bytes.c.
#ifndef REEL_WORKER_BACKEND_CUDNN_LOWER_AXIS_H
#define REEL_WORKER_BACKEND_CUDNN_LOWER_AXIS_H

#include "worker/backend/cudnn/program.h"

// For Conv and ConvTranspose; out_pad only for the latter.
struct conv_axis {
    int64_t kernel, stride, dilation, before, after, out_pad;
};
#define CONV_AXIS_NONE ((struct conv_axis){1, 1, 1, 0, 0, 0})
#define CONV_AXIS_MOST 65536 // largest kernel, stride, dilation or padding

// Spatial axis i of `axes`, of extents `in` and `out`.
struct conv_axis gpu_conv_axis(const struct node *node, int i, int axes, int64_t in, int64_t out, int64_t kernel);
struct conv_axis gpu_deconv_axis(const struct node *node, int i, int64_t in, int64_t out, int64_t kernel);
bool gpu_conv_axis_ok(const struct conv_axis *a);

// Whether a convolution over three axes can be computed as one over two, on images with
// channels innermost: *out_x and *out_y are these images, *rows and *columns their axes.
// Either each plane is an image; or, if the kernel extends only along the first axis, all
// rows of a plane count as one row.
bool gpu_flat_volume(const struct lowered *p, const struct node *node, struct info *out_x, struct info *out_y,
                     struct conv_axis *rows, struct conv_axis *columns);

#endif
