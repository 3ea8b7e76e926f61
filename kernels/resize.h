// SPDX-License-Identifier: MIT
//
// Separable resampling of float rows: a table of taps per axis, and a streaming
// two-pass resize that asks its caller for one source row after the other, so
// that a large source is never held as floats.
//
// Positions are pixel centres: output i looks at input origin + i * step. The
// edge is repeated outside the input.
#ifndef REEL_KERNELS_RESIZE_H
#define REEL_KERNELS_RESIZE_H

#include <stdbool.h>
#include <stddef.h>

enum resize_filter {
    RESIZE_NEAREST,
    RESIZE_LINEAR,       // triangle; widened by the step when it shrinks
    RESIZE_BICUBIC,      // Keys, a = -0.5; widened likewise
    RESIZE_POINT_LINEAR, // triangle of width 1 whatever the step (what cv::resize calls INTER_LINEAR)
};

struct resize_axis {
    int n_in, n_out, taps;
    int *first;    // [n_out] first input, first + taps <= n_in (or taps == n_in)
    float *weight; // [n_out][taps]
};

// Returns false on out of memory. 1 <= n_in, n_out <= 2^20.
bool resize_axis_init(struct resize_axis *axis, enum resize_filter filter, int n_in, int n_out, double origin,
                      double step);
// The usual case: the whole input onto the whole output.
bool resize_axis_fit(struct resize_axis *axis, enum resize_filter filter, int n_in, int n_out);
void resize_axis_fini(struct resize_axis *axis);

// Fills n_planes rows (of x->n_in floats) with source row y.
typedef void (*resize_read_fn)(void *user, int y, float *const *rows);
// Takes n_planes rows (of x->n_out floats), result row y, in order.
typedef void (*resize_write_fn)(void *user, int y, float *const *rows);

#define RESIZE_MAX_PLANES 4
size_t resize_scratch_floats(const struct resize_axis *x, const struct resize_axis *y, int n_planes);
void resize_rows(const struct resize_axis *x, const struct resize_axis *y, int n_planes, resize_read_fn read,
                 resize_write_fn write, void *user, float *scratch);

// One plane of floats in memory, by the definition.
void resize_plane_ref(const struct resize_axis *x, const struct resize_axis *y, const float *src, size_t src_row,
                      float *dst, size_t dst_row);

// One row: d[i] = sum of taps.
void resize_row(const struct resize_axis *x, const float *s, float *d);

#endif
