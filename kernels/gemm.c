// SPDX-License-Identifier: MIT
//
// Matrix products in plain C. See gemm.h. The code is in gemm_body.inc, which is compiled once per element
// type.
#include "kernels/gemm.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define HOT
#endif

// A tile has 6 rows of 16 numbers: six 512-bit or twelve 256-bit accumulators, the most that leave
// registers for the operands. KC x NR of B fits in the first-level cache, KC x NC in the second.
#define GEMM_MR 6
#define GEMM_NR 16
#define GEMM_KC 256
#define GEMM_NC 512

typedef float vec_f32 __attribute__((vector_size(sizeof(float) * GEMM_NR)));
typedef double vec_f64 __attribute__((vector_size(sizeof(double) * GEMM_NR)));
typedef uint32_t vec_u32 __attribute__((vector_size(sizeof(uint32_t) * GEMM_NR)));
typedef uint64_t vec_u64 __attribute__((vector_size(sizeof(uint64_t) * GEMM_NR)));

#define REAL float
#define VEC vec_f32
#define FN(name) name##_f32
#include "kernels/gemm_body.inc"
#undef REAL
#undef VEC
#undef FN

#define REAL double
#define VEC vec_f64
#define FN(name) name##_f64
#include "kernels/gemm_body.inc"
#undef REAL
#undef VEC
#undef FN

#define REAL uint32_t
#define VEC vec_u32
#define FN(name) name##_u32
#include "kernels/gemm_body.inc"
#undef REAL
#undef VEC
#undef FN

#define REAL uint64_t
#define VEC vec_u64
#define FN(name) name##_u64
#include "kernels/gemm_body.inc"
