// SPDX-License-Identifier: MIT
//
// Stands in for CUDA's header of this name on the CPU; see cuda_fp16.h.
#ifndef REEL_TESTS_CUDA_CPU_CUDA_BF16_H
#define REEL_TESTS_CUDA_CPU_CUDA_BF16_H

#include "tests/cuda_cpu/cuda_runtime.h"

extern "C" float reel_bf16_to_f32(uint16_t h);
extern "C" uint16_t reel_f32_to_bf16(float f);

struct __nv_bfloat16 {
    uint16_t bits;
};

static inline float __bfloat162float(__nv_bfloat16 h)
{
    return reel_bf16_to_f32(h.bits);
}
static inline __nv_bfloat16 __float2bfloat16_rn(float f)
{
    return __nv_bfloat16{reel_f32_to_bf16(f)};
}
static inline __nv_bfloat16 __float2bfloat16(float f)
{
    return __float2bfloat16_rn(f);
}

#endif
