// SPDX-License-Identifier: MIT
//
// The launchers of selftest.cu.
#ifndef REEL_TESTS_CUDA_CPU_SELFTEST_H
#define REEL_TESTS_CUDA_CPU_SELFTEST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int selftest_scale_f16(const uint16_t *x, uint16_t *y, int n, float factor, void *stream); // x * factor + 1
int selftest_sum_rows(const float *x, float *sums, int rows, int columns, unsigned *rows_done, void *stream);
int selftest_transpose(const float *x, float *y, int w, int h, void *stream);
int selftest_divergent(void *stream); // half of a warp waits where the other half does not
int selftest_too_large(void *stream);
// d (16,8) += a (16,16) times b (16,8), row-major, by one matrix instruction; bf16: of
// bfloat16 and not of float16 bits.
int selftest_mma(const uint16_t *a, const uint16_t *b, float *d, int bf16, void *stream);
int selftest_mma_missing(void *stream); // by 31 threads
// y[i] = x[i] / by, by multiplication; wide: as 64-bit numbers x[i] + 2^32.
int selftest_divide(const uint32_t *x, long long *y, int n, uint32_t by, int wide, void *stream);

#ifdef __cplusplus
}
#endif
#endif
