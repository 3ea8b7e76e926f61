// SPDX-License-Identifier: MIT
//
// Floats of 8 bits for convolutions on a GPU: e4m3 (sign, 4 bits of exponent with bias 7, 3
// bits of mantissa; no infinity, one NaN for each sign) of "FP8 Formats for Deep Learning"
// (Micikevicius et al. 2022), which tensor cores multiply from compute capability 8.9 on. Used
// by the executor's kernels and their twins, and to convert weights; GPU_ELEM_F8 in ops.h.
//
// Conversions round to nearest even. Numbers beyond 448, the largest one, and infinities become
// 448; NaN stays NaN. This is what cvt.rn.satfinite.e4m3x2 does, with which cuDNN stores its
// results.
#ifndef REEL_KERNELS_GPU_FP8_H
#define REEL_KERNELS_GPU_FP8_H

#include <stdint.h>
#include <string.h>

#include "kernels/gpu/ops.h"

#if defined(__CUDACC__)
#define GPU_F8_FN static __device__ __forceinline__
#else
#define GPU_F8_FN static inline
#endif

#define GPU_F8_MAX 448.0f
#define GPU_F8_NAN 0x7f

GPU_F8_FN uint8_t gpu_f8_of(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    const uint32_t sign = bits >> 24 & 0x80;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return GPU_F8_NAN;
    if (bits >= 0x43e00000u) return (uint8_t)(sign | 0x7e); // 448 and more
    if (bits < 0x3c800000u) {
        // Below 2^-6 numbers are multiples of 2^-9, as are floats from 2^14 to 2^15:
        // the sum rounds.
        float sum;
        memcpy(&sum, &bits, sizeof sum);
        sum += 16384.0f;
        memcpy(&bits, &sum, sizeof bits);
        return (uint8_t)(sign | (bits - 0x46800000u));
    }
    bits += 0x7ffff + (bits >> 20 & 1); // a carry goes on into the exponent
    return (uint8_t)(sign | ((bits >> 20) - ((127 - 7) << 3)));
}

GPU_F8_FN float gpu_f8_value(uint8_t code)
{
    const uint32_t exponent = code >> 3 & 15, mantissa = code & 7;
    float v = (float)mantissa * 0x1p-9f;
    if ((code & 0x7f) == GPU_F8_NAN || exponent) {
        uint32_t bits = (exponent + 127 - 7) << 23 | mantissa << 20;
        if ((code & 0x7f) == GPU_F8_NAN) bits = 0x7fc00000u;
        memcpy(&v, &bits, sizeof v);
    }
    return code & 0x80 ? -v : v;
}

#ifdef __cplusplus
extern "C" {
#endif

// Converts an image to e4m3: y = x * scale, with pixels without gaps.
struct gpu_quantise {
    int elem; // of x: F32, F16, BF16
    int64_t pixels;
    int channels; // a multiple of 16
    int x_pitch;
    float scale;
};
// x, its pixels, and y must be 16-byte aligned.
int gpu_quantise(const struct gpu_quantise *p, const void *x, void *y, void *stream);
void gpu_quantise_ref(const struct gpu_quantise *p, const void *x, void *y);

#ifdef __cplusplus
}
#endif
#endif
