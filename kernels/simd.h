// SPDX-License-Identifier: MIT
//
// Compiles plain C loops for several instruction sets.
//
// KERN_CLONES before a function makes the compiler emit it for AVX-512, AVX2 and the baseline;
// one of them is chosen when the program is loaded. Results do not depend on the choice if the
// source fixes the order of sums, because contraction is off for the whole project. It is
// empty with the address and thread sanitizers, which cannot run in the loader's resolvers,
// and on other processors than x86-64.
#ifndef REEL_KERNELS_SIMD_H
#define REEL_KERNELS_SIMD_H

#if defined(__x86_64__) && defined(__OPTIMIZE__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KERN_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define KERN_CLONES
#endif

// Before a loop whose iterations are independent, even if its output is one of its inputs (in
// place, element by element).
#if defined(__clang__)
#define KERN_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define KERN_INDEPENDENT _Pragma("GCC ivdep")
#endif

#endif
