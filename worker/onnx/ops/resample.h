// SPDX-License-Identifier: MIT
//
// What the three files of the image family share: resize.c (Resize, Upsample), sample.c
// (GridSample, AffineGrid, RoiAlign) and image.c (the others and the table).
#ifndef REEL_WORKER_ONNX_OPS_RESAMPLE_H
#define REEL_WORKER_ONNX_OPS_RESAMPLE_H

#include "worker/onnx/ops/work.h"

enum reel_err resize_infer(const struct op_call *call);
enum reel_err resize_eval(const struct op_call *call);
// What a Resize or Upsample does along an axis: output o is the sum over taps k of weight[o
// * taps + k] times input index[o * taps + k]. taps 0: the axis is not resized. outside:
// some outputs are the extrapolation value instead.
struct resize_axis {
    int64_t out, taps;
    int32_t *index;
    float *weight;
    bool outside;
};
// Computes them for all axes of a Resize or Upsample whose picture has that type and shape, from
// what is constant of its other inputs. axes must be zeroed, and closed in any case. AGAIN: the
// constants do not suffice. Other errors: as resize_eval().
enum reel_err resize_axes_open(const struct node *node, enum reel_dtype dtype, const struct reel_shape *shape,
                               struct resize_axis axes[REEL_MAX_DIMS]);
void resize_axes_close(struct resize_axis axes[REEL_MAX_DIMS]);
enum reel_err grid_sample_infer(const struct op_call *call);
enum reel_err grid_sample_eval(const struct op_call *call);
enum reel_err affine_grid_infer(const struct op_call *call);
enum reel_err affine_grid_eval(const struct op_call *call);
enum reel_err roi_align_infer(const struct op_call *call);
enum reel_err roi_align_eval(const struct op_call *call);

// The four weights of cubic convolution (Keys 1981, equation 4) for a point at `t` in [0,1)
// after the second sample.
static inline void cubic_weights(double t, double a, double w[4])
{
    double u = 1.0 - t;
    w[0] = ((a * (t + 1.0) - 5.0 * a) * (t + 1.0) + 8.0 * a) * (t + 1.0) - 4.0 * a;
    w[1] = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
    w[2] = ((a + 2.0) * u - (a + 3.0)) * u * u + 1.0;
    w[3] = ((a * (u + 1.0) - 5.0 * a) * (u + 1.0) + 8.0 * a) * (u + 1.0) - 4.0 * a;
}

#endif
