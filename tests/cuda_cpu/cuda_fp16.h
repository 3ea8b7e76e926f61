// SPDX-License-Identifier: MIT
//
// Stands in for CUDA's header of this name on the CPU: the 16-bit type and its
// conversions (common/tensor.h's, rounding to nearest even). Arithmetic is
// done in float by the kernels of this project.
#ifndef REEL_TESTS_CUDA_CPU_CUDA_FP16_H
#define REEL_TESTS_CUDA_CPU_CUDA_FP16_H

#include "tests/cuda_cpu/cuda_runtime.h"

extern "C" float reel_f16_to_f32(uint16_t h);
extern "C" uint16_t reel_f32_to_f16(float f);

struct __half {
    uint16_t bits;
};
struct __align__(4) __half2
{
    __half x, y;
};
typedef __half half;
typedef __half2 half2;

static inline float __half2float(__half h)
{
    return reel_f16_to_f32(h.bits);
}
static inline __half __float2half_rn(float f)
{
    return __half{reel_f32_to_f16(f)};
}
static inline __half __float2half(float f)
{
    return __float2half_rn(f);
}
static inline unsigned short __half_as_ushort(__half h)
{
    return h.bits;
}
static inline __half __ushort_as_half(unsigned short u)
{
    return __half{u};
}
static inline float2 __half22float2(__half2 h)
{
    return make_float2(__half2float(h.x), __half2float(h.y));
}
static inline __half2 __floats2half2_rn(float x, float y)
{
    return __half2{__float2half_rn(x), __float2half_rn(y)};
}
static inline __half2 __halves2half2(__half x, __half y)
{
    return __half2{x, y};
}
static inline float __low2float(__half2 h)
{
    return __half2float(h.x);
}
static inline float __high2float(__half2 h)
{
    return __half2float(h.y);
}

#endif
