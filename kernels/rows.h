// SPDX-License-Identifier: MIT
//
// Rows of plain float32 that are short beside their number: LayerNormalization
// and Softmax over the last axis. Called by the executor's CPU backend, on runs
// of rows; a row's result does not depend on the run it is in.
#ifndef REEL_KERNELS_ROWS_H
#define REEL_KERNELS_ROWS_H

#include <stddef.h>

// (x - mean) / sqrt(variance + epsilon) * scale[i] + shift[i] of each row of n
// elements; scale, shift may be NULL.
void rows_layer_norm(const float *x, float *y, size_t rows, size_t n, float epsilon, const float *scale,
                     const float *shift);
// exp(x - max) / sum of each row; y may be x.
void rows_softmax(const float *x, float *y, size_t rows, size_t n);

#endif
