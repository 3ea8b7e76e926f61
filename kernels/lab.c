// SPDX-License-Identifier: MIT
//
// CIE Lab. See lab.h. Loops over a row that look up two tables, compiled for several instruction sets
// (kernels/simd.h).
#include "kernels/lab.h"

#include <math.h>

#include "kernels/math.h"
#include "kernels/simd.h"

// CIE 15: f(t) is the cube root for t above (6/29)^3, and a straight line below.
#define KNEE (6.0 / 29)

static double srgb_to_linear(double v)
{
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

static double linear_to_srgb(double c)
{
    return c <= 0.0031308 ? 12.92 * c : 1.055 * pow(c, 1 / 2.4) - 0.055;
}

static double lab_f(double t)
{
    return t > KNEE * KNEE * KNEE ? cbrt(t) : t / (3 * KNEE * KNEE) + 4.0 / 29;
}

// From X Y Z in units of the white point to linear R G B. Each row sums to 1, so that grays stay gray.
static const double to_linear[3][3] = {{3.08039909, -1.53738318, -0.54301591},
                                       {-0.92122336, 1.87596750, 0.04525586},
                                       {0.05287394, -0.20397696, 1.15110302}};

void lab_tables_init(struct lab_tables *t)
{
    for (int i = 0; i <= LAB_LIGHT_STEPS; i++) t->light[i] = (float)lab_f(srgb_to_linear((double)i / LAB_LIGHT_STEPS));
    for (int i = 0; i <= LAB_SRGB_STEPS; i++) t->srgb[i] = (float)linear_to_srgb((double)i / LAB_SRGB_STEPS);
    // The values behind the last piece, which are multiplied by zero.
    t->light[LAB_LIGHT_STEPS + 1] = t->light[LAB_LIGHT_STEPS];
    t->srgb[LAB_SRGB_STEPS + 1] = t->srgb[LAB_SRGB_STEPS];
}

// The place of x, 0..1, in a table of so many steps; NaN counts as 0.
static inline float look_up(const float *table, float x, float steps)
{
    float at = x * steps;
    at = at > 0.0f ? at : 0.0f;
    at = at < steps ? at : steps;
    const int i = (int)at;
    const float low = table[i];
    return low + (table[i + 1] - low) * (at - (float)i);
}

KERN_CLONES
void lab_lightness_row(const struct lab_tables *t, const float *restrict v, float *restrict out, int n, float gain,
                       float bias)
{
    for (int i = 0; i < n; i++) out[i] = (1.16f * look_up(t->light, v[i], LAB_LIGHT_STEPS) - 0.16f) * gain + bias;
}

// The inverse of f(t).
static inline float light_of(float f)
{
    const float cube = f * f * f, line = (f - (float)(4.0 / 29)) * (float)(3 * KNEE * KNEE);
    return f > (float)KNEE ? cube : line;
}

KERN_CLONES
void lab_to_rgb_row(const struct lab_tables *t, const float *restrict v, const float *restrict a,
                    const float *restrict b, float *restrict out_r, float *restrict out_g, float *restrict out_b, int n)
{
    const float xr = (float)to_linear[0][0], yr = (float)to_linear[0][1], zr = (float)to_linear[0][2];
    const float xg = (float)to_linear[1][0], yg = (float)to_linear[1][1], zg = (float)to_linear[1][2];
    const float xb = (float)to_linear[2][0], yb = (float)to_linear[2][1], zb = (float)to_linear[2][2];
    for (int i = 0; i < n; i++) {
        const float f = look_up(t->light, v[i], LAB_LIGHT_STEPS);
        const float x = light_of(f + a[i] * (1.0f / 500)), y = light_of(f), z = light_of(f - b[i] * (1.0f / 200));
        out_r[i] = look_up(t->srgb, xr * x + yr * y + zr * z, LAB_SRGB_STEPS);
        out_g[i] = look_up(t->srgb, xg * x + yg * y + zg * z, LAB_SRGB_STEPS);
        out_b[i] = look_up(t->srgb, xb * x + yb * y + zb * z, LAB_SRGB_STEPS);
    }
}

KERN_CLONES
void lab_move_luma_row(const float *restrict v, float *restrict r, float *restrict g, float *restrict b, int n,
                       float kr, float kb)
{
    const float kg = 1.0f - kr - kb;
    for (int i = 0; i < n; i++) {
        const float by = v[i] - (kr * r[i] + kg * g[i] + kb * b[i]);
        r[i] = kern_clip01_f32(r[i] + by);
        g[i] = kern_clip01_f32(g[i] + by);
        b[i] = kern_clip01_f32(b[i] + by);
    }
}

// ---- by the formulas ------------------------------------------------------

double lab_lightness_ref(double v)
{
    return 116 * lab_f(srgb_to_linear(fmin(fmax(v, 0), 1))) - 16;
}

void lab_to_rgb_ref(double v, double a, double b, double out_rgb[3])
{
    const double fy = (lab_lightness_ref(v) + 16) / 116, f[3] = {fy + a / 500, fy, fy - b / 200};
    double xyz[3];
    for (int i = 0; i < 3; i++) xyz[i] = f[i] > KNEE ? f[i] * f[i] * f[i] : 3 * KNEE * KNEE * (f[i] - 4.0 / 29);
    for (int i = 0; i < 3; i++) {
        double c = 0;
        for (int k = 0; k < 3; k++) c += to_linear[i][k] * xyz[k];
        out_rgb[i] = linear_to_srgb(fmin(fmax(c, 0), 1));
    }
}
