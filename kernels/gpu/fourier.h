// SPDX-License-Identifier: MIT
//
// Discrete Fourier transforms of many short signals on a GPU (ONNX DFT and STFT). Each bin is
// summed on its own, which suits lengths of some hundreds. The rules are those of ops.h,
// except that sums are in double precision, because those of a spectrum cancel.
#ifndef REEL_KERNELS_GPU_FOURIER_H
#define REEL_KERNELS_GPU_FOURIER_H

#include "kernels/gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

// y[o][r][j] = factor * sum over i < length of x[o][r][i] w[i] exp(-+ 2 pi sqrt(-1) i j /
// length); numbers of x from the n-th on count as zero. A number is `parts` neighbouring
// elements, 1 or 2; strides count elements.
struct gpu_fourier {
    int x_elem, y_elem;
    int length, n, bins;
    int parts, out_parts;
    bool inverse;  // with the factor 1 / length
    bool mirrored; // x is half the spectrum of a real signal
    int64_t outer, rows;
    int64_t x_outer, x_row, x_number, y_outer, y_row, y_number;
};
// turn: cos and sin of 2 pi k / length for k < length. window: `length` numbers; may be NULL.
int gpu_fourier(const struct gpu_fourier *p, const void *x, const double *turn, const float *window, void *y,
                void *stream);
void gpu_fourier_ref(const struct gpu_fourier *p, const void *x, const double *turn, const float *window, void *y);

#ifdef __cplusplus
}
#endif
#endif
