// SPDX-License-Identifier: MIT
//
// Colours of motion. See wheel.h.
#include "kernels/wheel.h"

#include <math.h>

#define PI 3.14159265358979f
#define DARKER 0.75f // brightness of motion that is longer than the scale

void wheel_init(struct wheel *wheel)
{
    // From each of the six pure colours to the next one, a single channel rises or falls.
    static const struct {
        int steps, channel;
        float from, to;
        float rgb[3]; // values of the other channels
    } part[6] = {{15, 1, 0, 1, {1, 0, 0}}, {6, 0, 1, 0, {0, 1, 0}},  {4, 2, 0, 1, {0, 1, 0}},
                 {11, 1, 1, 0, {0, 0, 1}}, {13, 0, 0, 1, {0, 0, 1}}, {6, 2, 1, 0, {1, 0, 0}}};
    int at = 0;
    for (int p = 0; p < 6; p++)
        for (int i = 0; i < part[p].steps; i++, at++) {
            for (int c = 0; c < 3; c++) wheel->rgb[at][c] = part[p].rgb[c];
            const float way = (float)i / (float)part[p].steps;
            wheel->rgb[at][part[p].channel] = part[p].from + (part[p].to - part[p].from) * way;
        }
}

void wheel_row(const struct wheel *wheel, const float *u, const float *v, float most, float *r, float *g, float *b,
               int n)
{
    float *const to[3] = {r, g, b};
    for (int i = 0; i < n; i++) {
        const float length = hypotf(u[i], v[i]) / most;
        if (!isfinite(length)) {
            r[i] = g[i] = b[i] = 0;
            continue;
        }
        // angle 0 is to the left, as in the paper
        const float place = (atan2f(-v[i], -u[i]) / PI + 1) / 2 * (WHEEL_COLOURS - 1);
        const int low = place > 0 ? place < WHEEL_COLOURS - 1 ? (int)place : WHEEL_COLOURS - 1 : 0;
        const int high = (low + 1) % WHEEL_COLOURS;
        const float way = place - (float)low;
        for (int c = 0; c < 3; c++) {
            const float full = wheel->rgb[low][c] + (wheel->rgb[high][c] - wheel->rgb[low][c]) * way;
            to[c][i] = length <= 1 ? 1 - length * (1 - full) : full * DARKER;
        }
    }
}

float wheel_longest(const float *u, const float *v, size_t n, float least)
{
    float longest = least;
    for (size_t i = 0; i < n; i++) {
        const float length = hypotf(u[i], v[i]);
        if (isfinite(length) && length > longest) longest = length;
    }
    return longest;
}
