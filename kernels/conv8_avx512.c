// SPDX-License-Identifier: MIT
//
// The 8-bit kernels for AVX-512 without VNNI; see conv8_body.inc.
#include "kernels/conv8.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")
#include <immintrin.h>
#define VL 16
#define ISA_AVX512
#define DOT_PAIRS
#define R1 12
#define R2 6
#define R3 4
#define TABLE8 conv8_kernels_avx512
#define TABLE8_TEXT "avx512"
extern const struct conv8_kernels TABLE8;
#include "kernels/conv8_body.inc"
#endif
