// SPDX-License-Identifier: MIT
//
// The geometry of picture tasks. Used by task/image.c on the host and device/image.c on a
// device. Pure.
#ifndef REEL_WORKER_TASK_IMAGE_H
#define REEL_WORKER_TASK_IMAGE_H

#include "worker/task/task.h"

// What is made at a time of a frame, or of one of its parts: the tile rows and the output
// rows y0 <= y < y1.
struct image_band {
    int tile_first, tile_end;
    int y0, y1;
};

// The network's output size for its input size. Errors: UNSUPPORTED.
enum reel_err image_output_size(const struct task *task, int *out_w, int *out_h);
struct image_band image_band_of(const struct task *task, uint32_t part);
// Writes the weights of the tile columns ([n_x][output width of a tile]) and of the band's
// tile rows ([n_y][output height]; other rows are not written).
void image_tile_weights(const struct task *task, const struct image_band *band, float *wx, float *wy);
// The part of a network's output of w x h that shows the picture.
void image_back_region(const struct task *task, int w, int h, int *out_x0, int *out_y0, int *out_w, int *out_h);
// The axes of a resize from src's chroma samples (GBR: its pixels) to dst's; the caller
// frees them. False: out of memory.
bool image_chroma_axes(const struct yuv_picture *src, const struct yuv_picture *dst, struct resize_axis *x,
                       struct resize_axis *y);

#endif
