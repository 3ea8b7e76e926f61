// SPDX-License-Identifier: MIT
//
// One bin of fourier.h, shared by kernel and twin. Needs GPU_LOAD(elem, p, i) and
// GPU_STORE(elem, p, i, v) before it is included; fourier.cu defines them.
#ifndef REEL_KERNELS_GPU_FOURIER_MATH_H
#define REEL_KERNELS_GPU_FOURIER_MATH_H

#include "kernels/gpu/fourier.h"
#include "kernels/gpu/math.h"

#ifndef GPU_LOAD // so that the header compiles on its own
#define GPU_LOAD(elem, p, i) gpu_elem_load((enum gpu_elem)(elem), p, i)
#define GPU_STORE(elem, p, i, v) gpu_elem_store((enum gpu_elem)(elem), p, i, v)
#endif

GPU_FN void gpu_fourier_bin(const struct gpu_fourier *p, const void *x, const double *turn, const float *window,
                            void *y, int64_t o, int64_t row, int j)
{
    const int64_t from = o * p->x_outer + row * p->x_row, to = o * p->y_outer + row * p->y_row + j * p->y_number;
    // the mirrored half of a real signal's spectrum is the conjugate of the given one
    const int used = p->mirrored ? p->length / 2 + 1 : p->length;
    double re = 0, im = 0;
    for (int i = 0, k = 0; i < p->length; i++, k = k + j < p->length ? k + j : k + j - p->length) {
        const int at = i < used ? i : p->length - i;
        if (at >= p->n) continue;
        double a = (double)GPU_LOAD(p->x_elem, x, from + at * p->x_number), b = 0;
        if (p->parts == 2 && !(p->mirrored && (at == 0 || 2 * at == p->length)))
            b = (double)GPU_LOAD(p->x_elem, x, from + at * p->x_number + 1);
        if (i >= used) b = -b;
        if (window) a *= (double)window[i], b *= (double)window[i];
        const double c = turn[2 * k], s = p->inverse ? turn[2 * k + 1] : -turn[2 * k + 1];
        re += a * c - b * s;
        im += a * s + b * c;
    }
    const double factor = p->inverse ? 1.0 / (double)p->length : 1.0;
    GPU_STORE(p->y_elem, y, to, (float)(re * factor));
    if (p->out_parts == 2) GPU_STORE(p->y_elem, y, to + 1, (float)(im * factor));
}

#endif
