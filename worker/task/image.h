// SPDX-License-Identifier: MIT
//
// The geometry of picture tasks, for whoever makes the pictures: task/image.c
// on the host, device/image.c on a device. Pure.
#ifndef REEL_WORKER_TASK_IMAGE_H
#define REEL_WORKER_TASK_IMAGE_H

#include "worker/task/task.h"

// What one run of a frame (or of a part of it) makes: all tile rows, or those
// of the part, and the output rows y0 <= y < y1.
struct image_band {
    int tile_first, tile_end;
    int y0, y1;
};

// The network's output size for its input size. Errors: UNSUPPORTED.
enum reel_err image_output_size(const struct task *task, int *out_w, int *out_h);
struct image_band image_band_of(const struct task *task, uint32_t part);
// Weights of tile columns ([n_x][output width of a tile]) and of the band's
// tile rows ([n_y][output height]; others are left alone).
void image_tile_weights(const struct task *task, const struct image_band *band, float *wx, float *wy);
// The picture's part of a network's output of w x h.
void image_back_region(const struct task *task, int w, int h, int *out_x0, int *out_y0, int *out_w, int *out_h);
// From src's chroma samples (of GBR: its pixels) to dst's. False: out of memory.
bool image_chroma_axes(const struct yuv_picture *src, const struct yuv_picture *dst, struct resize_axis *x,
                       struct resize_axis *y);

#endif
