// SPDX-License-Identifier: MIT
//
// The assignment problem: pairs of rows and columns of greatest weight in all.
#ifndef REEL_AGGREGATOR_POST_ASSIGN_H
#define REEL_AGGREGATOR_POST_ASSIGN_H

#include "common/err.h"

// weight (rows, cols), row-major, at least 0; pairs of weight 0 are none. out[row] is its
// column, or -1. Each column is taken once. O(n^2 m) for n <= m. Errors: NOMEM.
enum reel_err assign(const float *weight, int rows, int cols, int *out);

#endif
