// SPDX-License-Identifier: MIT
//
// The 8-bit kernels for AVX-512 with VNNI; see conv8_body.inc.
#include "kernels/conv8.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,prefer-vector-width=512")
#include <immintrin.h>
#define VL 16
#define ISA_AVX512
#define DOT_VNNI
#define R1 14
#define R2 14
#define R3 9
#define TABLE8 conv8_kernels_vnni
#define TABLE8_TEXT "vnni"
extern const struct conv8_kernels TABLE8;
#include "kernels/conv8_body.inc"
#endif
