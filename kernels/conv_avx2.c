// SPDX-License-Identifier: MIT
//
// The convolution kernels for AVX2 with FMA; see conv_body.inc.
#include "kernels/conv_cpu.h"

#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>
#define VL 8
#define ISA_AVX2
#define R1 12
#define R2 6
#define R3 4
#define TABLE_NAME conv_kernels_avx2
#define TABLE_ISA CPU_ISA_AVX2
#define TABLE_TEXT "avx2"
extern const struct conv_kernels TABLE_NAME;
#include "kernels/conv_body.inc"
#endif
