// SPDX-License-Identifier: MIT
//
// Plain C twins of the kernels of bytes.h.
#include "kernels/gpu/bytes.h"

#include <math.h>

static int byte_of(const void *p, int64_t i, bool is_signed)
{
    return is_signed ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i];
}

static int zero_of(const void *zero, int count, int64_t at, bool is_signed)
{
    return count ? byte_of(zero, count > 1 ? at : 0, is_signed) : 0;
}

// Element (c,j) of w in batch b, minus its zero point.
static int w_value(const struct gpu_bytes *p, const void *w, const void *w_zero, int64_t b, int64_t c, int64_t j)
{
    const int zero = zero_of(w_zero, p->w_zeros, j, p->w_signed);
    if (!p->windows) return byte_of(w, (b * p->c + c) * p->k + j, p->w_signed) - zero;
    const struct gpu_byte_windows *a = &p->at;
    const int64_t s = c % a->s, r = c / a->s % a->r, channel = b * (p->c / (a->r * a->s)) + c / a->s / a->r;
    const int64_t y = j / a->q * a->stride_h + r * a->dilation_h - a->pad_top;
    const int64_t x = j % a->q * a->stride_w + s * a->dilation_w - a->pad_left;
    if (y < 0 || x < 0 || y >= a->h || x >= a->w) return 0;
    return byte_of(w, (channel * a->h + y) * a->w + x, p->w_signed) - zero;
}

void gpu_bytes_ref(const struct gpu_bytes *p, const void *x, const void *w, const void *x_zero, const void *w_zero,
                   int32_t *y)
{
    for (int64_t b = 0; b < p->batches; b++)
        for (int64_t i = 0; i < p->m; i++)
            for (int64_t j = 0; j < p->k; j++) {
                const int64_t row = b % p->x_count * p->m + i;
                const int zero = zero_of(x_zero, p->x_zeros, row, p->x_signed);
                uint32_t sum = 0;
                for (int64_t c = 0; c < p->c; c++)
                    sum += (uint32_t)((byte_of(x, row * p->c + c, p->x_signed) - zero) *
                                      w_value(p, w, w_zero, b % p->w_count, c, j));
                y[(b * p->m + i) * p->k + j] = (int32_t)sum;
            }
}

void gpu_byte_scale_ref(const float *low, const float *high, float *scale, uint8_t *zero)
{
    const float lo = fminf(*low, 0), hi = fmaxf(*high, 0);
    *scale = lo == hi ? 1 : (hi - lo) / 255;
    *zero = (uint8_t)rintf(fminf(fmaxf(0 - lo / *scale, 0), 255));
}
