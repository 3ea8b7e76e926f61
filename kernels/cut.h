// SPDX-License-Identifier: MIT
//
// How much two pictures differ as scenes: little for motion, noise, fades and flashes, much
// for a cut. Called by worker/task/between.c. For frames on a GPU, gpu_shrink() (twin:
// cut_shrink()) makes the small pictures there, and they are compared here.
//
// Over 4,700 pairs of neighbouring frames of 48 clips (phones, films, traffic,
// surveillance), pairs without a cut are at most 0.20 (except the first picture after a
// black one), true cuts at least 0.34, and pictures of different clips at least 0.32.
#ifndef REEL_KERNELS_CUT_H
#define REEL_KERNELS_CUT_H

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/yuv.h"

// The small picture has this size; a picture that is smaller keeps its own.
#define CUT_SMALL_W 160
#define CUT_SMALL_H 90
#define CUT_SMALL_BYTES (CUT_SMALL_W * CUT_SMALL_H)

void cut_small_size(const struct yuv_picture *p, int *out_w, int *out_h);
// Writes means of luma (for GBR: of green) in 8 bits, [small h][small w], to out.
void cut_shrink(const struct yuv_picture *p, uint8_t *out);
// The same on a GPU, with p's planes and out in device memory. Asynchronous on `stream`;
// returns a cudaError_t.
int gpu_shrink(const struct yuv_picture *p, uint8_t *out, void *stream);

// Difference of two small pictures of w x h, from 0 (equal) to 1 (nothing in common).
// Computed from sums of integers, so it is the same on every machine.
double cut_between_small(const uint8_t *a, const uint8_t *b, int w, int h);
// The same for two pictures of one size and format.
double cut_between(const struct yuv_picture *a, const struct yuv_picture *b);

#ifdef __cplusplus
}
#endif

#endif
