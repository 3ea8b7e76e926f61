// SPDX-License-Identifier: MIT
//
// The 8-bit kernels for AVX2; see conv8_body.inc.
#include "kernels/conv8.h"

#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>
#define VL 8
#define ISA_AVX2
#define DOT_PAIRS
#define R1 5
#define R2 3
#define R3 2
#define TABLE8 conv8_kernels_avx2
#define TABLE8_TEXT "avx2"
extern const struct conv8_kernels TABLE8;
#include "kernels/conv8_body.inc"
#endif
