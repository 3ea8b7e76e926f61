// SPDX-License-Identifier: MIT
//
// The convolution kernels for AVX-512; see conv_body.inc.
#include "kernels/conv_cpu.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")
#include <immintrin.h>
#define VL 16
#define ISA_AVX512
#define R1 14
#define R2 14
#define R3 9
#define TABLE_NAME conv_kernels_avx512
#define TABLE_ISA CPU_ISA_AVX512
#define TABLE_TEXT "avx512"
extern const struct conv_kernels TABLE_NAME;
#include "kernels/conv_body.inc"
#endif
