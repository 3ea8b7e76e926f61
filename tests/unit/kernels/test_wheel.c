// SPDX-License-Identifier: MIT
//
// The colours of motion: the wheel's pure colours, where they begin and end, its
// white middle, what is too long and what is no number.
#include "kernels/wheel.h"

#include <math.h>

#include "tests/check.h"

static struct wheel wheel;

static void colour_of(float u, float v, float most, float out[3])
{
    wheel_row(&wheel, &u, &v, most, &out[0], &out[1], &out[2], 1);
}

static void check_colour(const char *what, const float got[3], double r, double g, double b)
{
    CHECK_MSG(fabs(got[0] - r) < 1e-4 && fabs(got[1] - g) < 1e-4 && fabs(got[2] - b) < 1e-4,
              "%s: %g %g %g, not %g %g %g", what, (double)got[0], (double)got[1], (double)got[2], r, g, b);
}

static void pure_colours_stand_where_they_should(void)
{
    static const struct {
        int at, r, g, b;
    } pure[] = {{0, 1, 0, 0}, {15, 1, 1, 0}, {21, 0, 1, 0}, {25, 0, 1, 1}, {36, 0, 0, 1}, {49, 1, 0, 1}};
    wheel_init(&wheel);
    for (size_t i = 0; i < sizeof pure / sizeof *pure; i++)
        check_colour("pure", wheel.rgb[pure[i].at], pure[i].r, pure[i].g, pure[i].b);
    check_colour("halfway to cyan", wheel.rgb[23], 0, 1, 0.5);
    check_colour("the last", wheel.rgb[54], 1, 0, 1 / 6.0);
}

static void directions_have_their_colours(void)
{
    float c[3];
    wheel_init(&wheel);
    // Middlebury's: to the right red, down yellow, to the left cyan, up blue and violet.
    colour_of(1, 0, 1, c);
    check_colour("right", c, 1, 0, 0);
    colour_of(0, 1, 1, c);
    check_colour("down", c, 1, 13.5 / 15, 0);
    colour_of(-1, 0, 1, c);
    check_colour("left", c, 0, 9 / 11.0, 1);
    colour_of(0, -1, 1, c);
    check_colour("up", c, 4.5 / 13, 0, 1);
}

static void length_is_how_full_they_are(void)
{
    float c[3];
    wheel_init(&wheel);
    colour_of(0, 0, 5, c);
    check_colour("none", c, 1, 1, 1);
    colour_of(0, 2.5f, 5, c);
    check_colour("half", c, 1, (1 + 13.5 / 15) / 2, 0.5);
    colour_of(0, 5.5f, 5, c);
    check_colour("too long", c, 0.75, 0.75 * 13.5 / 15, 0);
    colour_of(NAN, 0, 5, c);
    check_colour("no number", c, 0, 0, 0);
    colour_of(INFINITY, 0, 5, c);
    check_colour("endless", c, 0, 0, 0);
}

static void every_direction_is_a_colour(void)
{
    float c[3];
    wheel_init(&wheel);
    for (int i = 0; i <= 3600; i++) {
        const double a = i * 3.14159265358979 / 1800;
        colour_of((float)cos(a), (float)sin(a), 1.00001f, c);
        for (int k = 0; k < 3; k++) CHECK_MSG(c[k] >= -1e-4f && c[k] <= 1.0001f, "%d: %g", i, (double)c[k]);
    }
}

static void the_longest(void)
{
    const float u[4] = {3, NAN, 0, -1}, v[4] = {-4, 9, 2, 0};
    CHECK_NEAR(wheel_longest(u, v, 4, 0.001f), 5, 1e-6);
    CHECK_NEAR(wheel_longest(u + 2, v + 2, 2, 3), 3, 1e-6);
    CHECK_NEAR(wheel_longest(u, v, 0, 0.5f), 0.5, 1e-6);
}

CHECK_MAIN({"pure_colours_stand_where_they_should", pure_colours_stand_where_they_should},
           {"directions_have_their_colours", directions_have_their_colours},
           {"length_is_how_full_they_are", length_is_how_full_they_are},
           {"every_direction_is_a_colour", every_direction_is_a_colour}, {"the_longest", the_longest})
