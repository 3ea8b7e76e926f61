// SPDX-License-Identifier: MIT
//
// Convolutions over three axes that the GPU executor computes itself: depthwise ones, and those
// with few channels per group, for which cuDNN has no tensor-core engine. The rules are those
// of ops.h. Volumes are (n,depth,rows,columns,channels), with pixels a pitch apart.
#ifndef REEL_KERNELS_GPU_VOLUME_H
#define REEL_KERNELS_GPU_VOLUME_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// Along one axis: position i of y reads positions i * stride - before + t * dilation of x, for
// each t < size. Transposed: position i of x is added to those positions of y.
struct gpu_volume_axis {
    int in, out, size, stride, before, dilation;
};

struct gpu_volume {
    int elem; // of x, w and y
    int n, c, k, groups;
    struct gpu_volume_axis axis[3]; // planes, rows, columns
    int x_pitch, y_pitch;           // all of y's lanes are written; zeros from the k-th on
    bool transposed;                // w is (C,taps,K/g); else (K,taps,C/g)
    bool depthwise;         // groups == c == k, not transposed, equal pitches; w is (taps,pitch), padded with zeros
    struct gpu_chain chain; // its operands are laid out as for an image
};
int gpu_volume(const struct gpu_volume *p, const void *x, const void *w, const void *const *operand, void *y,
               void *stream);
void gpu_volume_ref(const struct gpu_volume *p, const void *x, const void *w, const void *const *operand, void *y);

#ifdef __cplusplus
}
#endif
#endif
