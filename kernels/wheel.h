// SPDX-License-Identifier: MIT
//
// Motion as colours, by the colour wheel of the Middlebury flow benchmark (Baker et al.,
// "A Database and Evaluation Methodology for Optical Flow", ICCV 2007): the hue is the
// direction, white is no motion, full colour is motion of a given length. Knows no frame.
#ifndef REEL_KERNELS_WHEEL_H
#define REEL_KERNELS_WHEEL_H

#include <stddef.h>

// From red to yellow 15, yellow to green 6, green to cyan 4, cyan to blue 11, blue to
// magenta 13, magenta to red 6: so many steps as the eye tells apart.
#define WHEEL_COLOURS 55

struct wheel {
    float rgb[WHEEL_COLOURS][3]; // 0..1
};

void wheel_init(struct wheel *wheel);
// n motions (u to the right, v down, in pixels) to R, G, B in 0..1. most: the length that
// has full colour, above 0; longer ones are darker. What is no number is black.
void wheel_row(const struct wheel *wheel, const float *u, const float *v, float most, float *r, float *g, float *b,
               int n);
// The largest length of n motions, of those that are numbers; at least `least`.
float wheel_longest(const float *u, const float *v, size_t n, float least);

#endif
