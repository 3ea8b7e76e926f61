// SPDX-License-Identifier: MIT
//
// Matrix products C = A B (+ C) in plain C, register-blocked, on any strides:
// the reference and fall-back path of the executor's operators (MatMul, Gemm,
// Conv, the recurrent cells). It is no rival of oneDNN's, and uses one thread.
//
// A is (m,k) with element (i,p) at a[i*a_row + p*a_col]; B is (k,n) with (p,j)
// at b[p*b_row + j*b_col]; so a transpose is an exchange of strides. C is
// (m,n), rows c_row apart, columns adjacent. Sums run over p in ascending order
// on every instruction set. The unsigned versions wrap, which makes them right
// for signed operands too.
#ifndef REEL_KERNELS_GEMM_H
#define REEL_KERNELS_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#define GEMM_DECLARE(NAME, REAL)                                                                           \
    bool NAME(int64_t m, int64_t n, int64_t k, const REAL *a, int64_t a_row, int64_t a_col, const REAL *b, \
              int64_t b_row, int64_t b_col, REAL *c, int64_t c_row, bool accumulate);

// Each returns false when there is no memory for the packed panels; C is then
// undefined. accumulate adds to C instead of overwriting it.
GEMM_DECLARE(gemm_f32, float)
GEMM_DECLARE(gemm_f64, double)
GEMM_DECLARE(gemm_u32, uint32_t)
GEMM_DECLARE(gemm_u64, uint64_t)

#undef GEMM_DECLARE
#endif
