// SPDX-License-Identifier: MIT
//
// Motion as colours, by the colour wheel of the Middlebury flow benchmark (Baker et al.,
// "A Database and Evaluation Methodology for Optical Flow", ICCV 2007): the hue is the
// direction, white is no motion, full colour is motion of a given length. Knows no frame.
#ifndef REEL_KERNELS_WHEEL_H
#define REEL_KERNELS_WHEEL_H

#include <stddef.h>

// Steps from red to yellow 15, to green 6, to cyan 4, to blue 11, to magenta 13 and back to
// red 6: as many as the eye tells apart.
#define WHEEL_COLOURS 55

struct wheel {
    float rgb[WHEEL_COLOURS][3]; // 0..1
};

void wheel_init(struct wheel *wheel);
// Converts n motions (u to the right, v down, in pixels) to R, G, B in 0..1. most: the length
// that has full colour, above 0; longer motions are darker. NaN and infinity become black.
void wheel_row(const struct wheel *wheel, const float *u, const float *v, float most, float *r, float *g, float *b,
               int n);
// The length of the longest of n motions, at least `least`. Motions that are not finite are
// ignored.
float wheel_longest(const float *u, const float *v, size_t n, float least);

#endif
