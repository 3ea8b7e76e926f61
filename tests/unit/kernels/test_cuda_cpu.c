// SPDX-License-Identifier: MIT
//
// The CPU form of CUDA that the tests of kernels stand on (tests/cuda_cpu).
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/tensor.h"
#include "tests/check.h"
#include "tests/cuda_cpu/selftest.h"

#define MANY 1000

static void test_scale(void)
{
    uint16_t x[MANY], y[MANY + 1];
    for (int i = 0; i < MANY; i++) x[i] = reel_f32_to_f16((float)i / 7);
    y[MANY] = 42;
    CHECK_INT(selftest_scale_f16(x, y, MANY, 2, NULL), 0);
    for (int i = 0; i < MANY; i++) CHECK_INT(y[i], reel_f32_to_f16(reel_f16_to_f32(x[i]) * 2 + 1));
    CHECK_INT(y[MANY], 42);
}

static void test_sums(void)
{
    static float x[7 * MANY], sums[7];
    for (int i = 0; i < 7 * MANY; i++) x[i] = (float)(i % 97);
    unsigned done = 0;
    CHECK_INT(selftest_sum_rows(x, sums, 7, MANY, &done, NULL), 0);
    CHECK_INT(done, 7);
    for (int r = 0; r < 7; r++) {
        float want = 0;
        for (int i = 0; i < MANY; i++) want += x[r * MANY + i];
        CHECK_NEAR(sums[r], want, 0);
    }
}

static void test_transpose(void)
{
    static float x[37 * 21], y[37 * 21];
    for (int i = 0; i < 37 * 21; i++) x[i] = (float)i;
    CHECK_INT(selftest_transpose(x, y, 37, 21, NULL), 0);
    for (int j = 0; j < 21; j++)
        for (int i = 0; i < 37; i++) CHECK_NEAR(y[i * 21 + j], x[j * 37 + i], 0);
}

static void check_aborts(int (*launch)(void *stream))
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        close(2);
        launch(NULL);
        _exit(0);
    }
    int status = 0;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_divergent_aborts(void)
{
    check_aborts(selftest_divergent);
}

// Small integers: every sum is exact.
static void test_mma(void)
{
    for (int bf16 = 0; bf16 < 2; bf16++) {
        int a[16][16], b[16][8];
        uint16_t wa[16][16], wb[16][8];
        float d[16][8];
        for (int i = 0; i < 16; i++)
            for (int k = 0; k < 16; k++) {
                a[i][k] = (i * 7 + k * 5) % 13 - 6;
                wa[i][k] = bf16 ? reel_f32_to_bf16((float)a[i][k]) : reel_f32_to_f16((float)a[i][k]);
            }
        for (int k = 0; k < 16; k++)
            for (int j = 0; j < 8; j++) {
                b[k][j] = (k * 3 + j * 11) % 17 - 8;
                wb[k][j] = bf16 ? reel_f32_to_bf16((float)b[k][j]) : reel_f32_to_f16((float)b[k][j]);
            }
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 8; j++) d[i][j] = (float)(100 * i + j);
        CHECK_INT(selftest_mma(wa[0], wb[0], d[0], bf16, NULL), 0);
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 8; j++) {
                int want = 0;
                for (int k = 0; k < 16; k++) want += a[i][k] * b[k][j];
                CHECK_NEAR(d[i][j], 2 * want + 100 * i + j, 0);
            }
    }
}

static void test_mma_wants_a_whole_warp(void)
{
    check_aborts(selftest_mma_missing);
}

static void test_too_large_is_refused(void)
{
    CHECK(selftest_too_large(NULL) != 0);
}

// Where a multiplication could go wrong first: beside multiples of the divisor,
// and most at the largest ones.
static void test_division(void)
{
    uint64_t seed = 1;
    static uint32_t x[4096];
    static long long y[4096];
    for (uint32_t c = 0; c < 300; c++) {
        const uint32_t power = 1u << (c % 32), random = (uint32_t)(check_rand(&seed) >> (32 + c % 32));
        const uint32_t by = c < 100 ? c + 1 : c < 200 ? power - 1 + c % 3 : random;
        if (!by) continue;
        const uint32_t most = UINT32_MAX / by; // the largest quotient
        for (uint32_t i = 0; i < 4096; i++) {
            const uint32_t far = (uint32_t)(check_rand(&seed) >> 32);
            const uint32_t q = i < 1024             ? most - (i / 2 <= most ? i / 2 : 0)
                               : most == UINT32_MAX ? far
                                                    : far % (most + 1);
            x[i] = q * by - (i & 1 && q);
        }
        for (int wide = 0; wide < 2; wide++) {
            CHECK_INT(selftest_divide(x, y, 4096, by, wide, NULL), 0);
            int wrong = 0;
            for (int i = 0; i < 4096; i++) wrong += y[i] != (long long)((x[i] + ((uint64_t)wide << 32)) / by);
            CHECK_MSG(!wrong, "%d quotients by %u, wide %d", wrong, by, wide);
        }
    }
}

CHECK_MAIN({"division by multiplication", test_division}, {"threads of blocks, 16-bit floats", test_scale}, //
           {"shuffles, shared memory, barriers, atomics, threads that end", test_sums},                     //
           {"two-dimensional blocks and static shared memory", test_transpose},                             //
           {"the matrix instruction", test_mma}, {"it wants a whole warp", test_mma_wants_a_whole_warp},    //
           {"a divergent barrier aborts", test_divergent_aborts},                                           //
           {"a block of 2048 threads is refused", test_too_large_is_refused})
