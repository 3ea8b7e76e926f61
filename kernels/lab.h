// SPDX-License-Identifier: MIT
//
// Converts between the grays of a video and CIE Lab, for networks that colour it: the
// lightness L of a gray, and R'G'B' from a lightness and the colours a and b.
//
// Formulas: CIE 1976 L*a*b* (CIE 15) with the white of sRGB (D65); sRGB's curve and
// primaries (IEC 61966-2-1). A gray of sRGB value v has a = b = 0 and the luminance of v,
// so L is a function of v, and v can be recovered from L.
//
// The curves are piecewise linear tables: over v for lightness, over linear light for the
// way back. Compared with the formulas in double precision, L is off by less than 1e-4 and
// R'G'B' by less than 5e-5 (a tenth of a step of 10 bits), as the tests measure. The bits
// are the same on every instruction set.
#ifndef REEL_KERNELS_LAB_H
#define REEL_KERNELS_LAB_H

#define LAB_LIGHT_STEPS 2048
#define LAB_SRGB_STEPS 4096

// Filled once by lab_tables_init(), read-only from then on.
struct lab_tables {
    float light[LAB_LIGHT_STEPS + 2]; // (L + 16) / 116 of the gray i / LAB_LIGHT_STEPS
    float srgb[LAB_SRGB_STEPS + 2];   // sRGB value of the linear light i / LAB_SRGB_STEPS
};

void lab_tables_init(struct lab_tables *out);

// out[i] = L(v[i]) / 100 * gain + bias. Grays are clipped to 0..1; NaN counts as black.
void lab_lightness_row(const struct lab_tables *tables, const float *v, float *out, int n, float gain, float bias);
// R'G'B', clipped to 0..1, of gray v[i] (as above) with colours a[i], b[i] in units of Lab.
void lab_to_rgb_row(const struct lab_tables *tables, const float *v, const float *a, const float *b, float *out_r,
                    float *out_g, float *out_b, int n);

// R'G'B' moved along gray to luma v[i] = kr R + kg G + kb B, in place; clipped to 0..1.
void lab_move_luma_row(const float *v, float *r, float *g, float *b, int n, float kr, float kb);

// The same for one value in double precision, for the tests.
double lab_lightness_ref(double v); // 0..100
void lab_to_rgb_ref(double v, double a, double b, double out_rgb[3]);

#endif
