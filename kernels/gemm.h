// SPDX-License-Identifier: MIT
//
// Matrix products C = A B (+ C) in plain C, register-blocked, for any strides: the
// reference and fallback of the executor's operators (MatMul, Gemm, Conv, recurrent cells).
// Slower than oneDNN, and single-threaded.
//
// A is (m,k) with element (i,p) at a[i*a_row + p*a_col]; B is (k,n) with (p,j) at b[p*b_row
// + j*b_col]; to transpose, exchange the strides. C is (m,n), with rows c_row apart and
// adjacent columns. Sums run over p in ascending order on every instruction set. The
// unsigned versions wrap, so they are also correct for signed operands.
#ifndef REEL_KERNELS_GEMM_H
#define REEL_KERNELS_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#define GEMM_DECLARE(NAME, REAL)                                                                           \
    bool NAME(int64_t m, int64_t n, int64_t k, const REAL *a, int64_t a_row, int64_t a_col, const REAL *b, \
              int64_t b_row, int64_t b_col, REAL *c, int64_t c_row, bool accumulate);

// Each returns false if there is no memory for the packed panels; C is undefined then.
// accumulate adds to C instead of overwriting it.
GEMM_DECLARE(gemm_f32, float)
GEMM_DECLARE(gemm_f64, double)
GEMM_DECLARE(gemm_u32, uint32_t)
GEMM_DECLARE(gemm_u64, uint64_t)

#undef GEMM_DECLARE
#endif
