// SPDX-License-Identifier: MIT
//
// Makes this thread treat numbers below the smallest normal one (1.2e-38 in float32) as
// zero. Processors need a hundred cycles or more for each such operand or result, and
// networks produce them where a mask of -100 goes through Softmax: the following product
// took six times as long.
#ifndef REEL_KERNELS_DENORMALS_H
#define REEL_KERNELS_DENORMALS_H

#if defined(__x86_64__)
#include <xmmintrin.h>

#define DENORMALS_ARE_ZERO 0x8040u // FTZ: results; DAZ: operands

// Returns the argument for denormals_restore().
static inline unsigned denormals_off(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | DENORMALS_ARE_ZERO);
    return before;
}

static inline void denormals_restore(unsigned before)
{
    _mm_setcsr(before);
}
#else
static inline unsigned denormals_off(void)
{
    return 0;
}

static inline void denormals_restore(unsigned before)
{
}
#endif

#endif
