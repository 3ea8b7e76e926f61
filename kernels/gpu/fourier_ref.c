// SPDX-License-Identifier: MIT
//
// The plain C twin of gpu_fourier().
#include "kernels/gpu/fourier_math.h"

void gpu_fourier_ref(const struct gpu_fourier *p, const void *x, const double *turn, const float *window, void *y)
{
    for (int64_t o = 0; o < p->outer; o++)
        for (int64_t row = 0; row < p->rows; row++)
            for (int j = 0; j < p->bins; j++) gpu_fourier_bin(p, x, turn, window, y, o, row, j);
}
