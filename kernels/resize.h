// SPDX-License-Identifier: MIT
//
// Separable resampling of rows of floats: a table of taps per axis, and a streaming resize in
// two passes that asks its caller for one source row after the other, so that a large source
// is never held as floats.
//
// Positions are those of pixel centres: output i is at input origin + i * step. Outside the
// input, the edge is repeated.
#ifndef REEL_KERNELS_RESIZE_H
#define REEL_KERNELS_RESIZE_H

#include <stdbool.h>
#include <stddef.h>

enum resize_filter {
    RESIZE_NEAREST,
    RESIZE_LINEAR,       // triangle, widened by the step when shrinking
    RESIZE_BICUBIC,      // Keys, a = -0.5, widened likewise
    RESIZE_POINT_LINEAR, // triangle that is never widened (INTER_LINEAR of cv::resize)
};

struct resize_axis {
    int n_in, n_out, taps;
    int *first;    // [n_out] first input, first + taps <= n_in (or taps == n_in)
    float *weight; // [n_out][taps]
};

// Free with resize_axis_fini(). False: out of memory. 1 <= n_in, n_out <= 2^20.
bool resize_axis_init(struct resize_axis *axis, enum resize_filter filter, int n_in, int n_out, double origin,
                      double step);
// The usual case: maps the whole input to the whole output.
bool resize_axis_fit(struct resize_axis *axis, enum resize_filter filter, int n_in, int n_out);
void resize_axis_fini(struct resize_axis *axis);

// Must fill n_planes rows (of x->n_in floats) with source row y.
typedef void (*resize_read_fn)(void *user, int y, float *const *rows);
// Receives result row y: n_planes rows of x->n_out floats. Called in the order of y.
typedef void (*resize_write_fn)(void *user, int y, float *const *rows);

#define RESIZE_MAX_PLANES 4
size_t resize_scratch_floats(const struct resize_axis *x, const struct resize_axis *y, int n_planes);
void resize_rows(const struct resize_axis *x, const struct resize_axis *y, int n_planes, resize_read_fn read,
                 resize_write_fn write, void *user, float *scratch);

// Resizes one plane of floats in memory as the definition says; for tests.
void resize_plane_ref(const struct resize_axis *x, const struct resize_axis *y, const float *src, size_t src_row,
                      float *dst, size_t dst_row);

// Resizes one row: d[i] is the weighted sum of its taps.
void resize_row(const struct resize_axis *x, const float *s, float *d);

#endif
