// SPDX-License-Identifier: MIT
//
// Many short rows of plain float32: LayerNormalization and Softmax over the last axis. Called
// by the executor's CPU backend on groups of rows; a row's result does not depend on its
// group.
#ifndef REEL_KERNELS_ROWS_H
#define REEL_KERNELS_ROWS_H

#include <stddef.h>

// y = (x - mean) / sqrt(variance + epsilon) * scale[i] + shift[i] for each row of n elements.
// scale and shift may be NULL.
void rows_layer_norm(const float *x, float *y, size_t rows, size_t n, float epsilon, const float *scale,
                     const float *shift);
// y = exp(x - max) / sum for each row; y may be x.
void rows_softmax(const float *x, float *y, size_t rows, size_t n);

#endif
