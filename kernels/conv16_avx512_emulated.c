// SPDX-License-Identifier: MIT
//
// The bfloat16 kernels of conv16_avx512.c without its instructions, for tests; see conv16_body.inc.
#include "kernels/conv_cpu.h"

#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")
#include <immintrin.h>
#define VL 16
#define ISA_AVX512
#define R1 14
#define R2 14
#define R3 9
#define BF16_EMULATED
#define TABLE_NAME conv16_kernels_avx512_emulated
#define TABLE_TEXT "emulated avx512 bf16"
extern const struct conv_kernels TABLE_NAME, conv_kernels_avx512;
#include "kernels/conv16_body.inc"
#endif
