// SPDX-License-Identifier: MIT
//
// How a plain C loop is compiled for several instruction sets.
//
// KERN_CLONES before a function makes the compiler emit it for AVX-512, AVX2
// and the baseline, chosen once at load time. The results do not depend on the
// choice as long as the function sums in an order written down in the source:
// contraction is off for the whole project. It is empty under the sanitizers
// (they run before the loader's resolvers may) and off x86-64.
#ifndef REEL_KERNELS_SIMD_H
#define REEL_KERNELS_SIMD_H

#if defined(__x86_64__) && defined(__OPTIMIZE__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KERN_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define KERN_CLONES
#endif

// Before a loop whose iterations are independent even when its output is one
// of its inputs (in place, same element).
#if defined(__clang__)
#define KERN_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define KERN_INDEPENDENT _Pragma("GCC ivdep")
#endif

#endif
