// SPDX-License-Identifier: MIT
//
// How much two pictures differ as scenes: little by motion, noise, fades and
// flashes, much by a cut to another place. Called by worker/task/between.c; of frames
// on a GPU the small pictures are made there by gpu_shrink(), whose twin is
// cut_shrink(), and looked at here.
//
// Over 4,700 neighbouring frames of 48 clips (phones, films, traffic, surveillance) what
// is no cut is at most 0.20, but for the first picture after a black one; true cuts
// begin at 0.34, and pictures of different clips at 0.32.
#ifndef REEL_KERNELS_CUT_H
#define REEL_KERNELS_CUT_H

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/yuv.h"

// The small picture, as wide as a film is; a smaller one has its own size.
#define CUT_SMALL_W 160
#define CUT_SMALL_H 90
#define CUT_SMALL_BYTES (CUT_SMALL_W * CUT_SMALL_H)

void cut_small_size(const struct yuv_picture *p, int *out_w, int *out_h);
// Means of luma (of green, of GBR) in 8 bits: [small h][small w] into out.
void cut_shrink(const struct yuv_picture *p, uint8_t *out);
// The same on a GPU, p's planes and out in its memory: asynchronous on `stream`,
// returns a cudaError_t.
int gpu_shrink(const struct yuv_picture *p, uint8_t *out, void *stream);

// Of two small pictures of w x h, 0: the same, 1: nothing in common. Sums of integers:
// the same on every machine.
double cut_between_small(const uint8_t *a, const uint8_t *b, int w, int h);
// Of two pictures of one size and format.
double cut_between(const struct yuv_picture *a, const struct yuv_picture *b);

#ifdef __cplusplus
}
#endif

#endif
