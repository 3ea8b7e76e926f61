// SPDX-License-Identifier: MIT
//
// What the tests of the GPU executor's kernels share: random numbers from one
// seed a case, guarded memory, and the comparison with a twin's result. On the
// CPU or, with tests/gpu/on_gpu.h before it, on a GPU.
#ifndef REEL_TESTS_UNIT_KERNELS_OPS_H
#define REEL_TESTS_UNIT_KERNELS_OPS_H

#include <math.h>
#include <stdlib.h>

#include "kernels/gpu/ops.h"
#include "tests/check.h"

#ifndef OPS_ON_GPU
#define OPS_ALLOC(bytes) aligned_alloc(64, bytes)
#define OPS_FREE(p) free(p)
#define OPS_SETTLE() (void)0 // until the kernels are through
#endif

static uint64_t seed;

static inline int pick(int lo, int hi)
{
    return lo + (int)(check_rand(&seed) % (uint64_t)(hi - lo + 1));
}

static inline enum gpu_elem any_float(void)
{
    return (enum gpu_elem)pick(GPU_ELEM_F32, GPU_ELEM_BF16);
}

// Guarded memory: a write beyond the end is seen.
struct mem {
    enum gpu_elem e;
    int64_t n;
    void *p;
};
#define GUARD 64

static inline struct mem make(enum gpu_elem e, int64_t n, float lo, float hi)
{
    struct mem m = {e, n, OPS_ALLOC((size_t)(n + 2 * GUARD) * 8 / 64 * 64 + 64)};
    if (!m.p) abort();
    memset((char *)m.p + (size_t)n * gpu_elem_bytes(e), 0x5a, GUARD);
    for (int64_t i = 0; i < n; i++)
        gpu_elem_store(e, m.p, i, lo + (hi - lo) * (float)(check_rand(&seed) >> 40) / (float)(1 << 24));
    return m;
}

static inline struct mem copy_of(const struct mem *m)
{
    struct mem c = *m;
    c.p = OPS_ALLOC((size_t)(m->n + 2 * GUARD) * 8 / 64 * 64 + 64);
    if (!c.p) abort();
    memcpy(c.p, m->p, (size_t)m->n * gpu_elem_bytes(m->e) + GUARD);
    return c;
}

static inline bool intact(const struct mem *m)
{
    for (int i = 0; i < GUARD; i++)
        if (((unsigned char *)m->p)[(size_t)m->n * gpu_elem_bytes(m->e) + (size_t)i] != 0x5a) return false;
    return true;
}

// Relative to the larger of 1 and the value: sums of a few hundred products in
// another order, then one rounding.
static inline double tolerance(enum gpu_elem e)
{
    return e == GPU_ELEM_BF16 ? 1.0 / 100 : e == GPU_ELEM_F16 ? 1.0 / 800 : 2e-5;
}

#define SAME(have, want, what) CHECK_MSG(same(&(have), &(want), what), "seed %llu", (unsigned long long)first_seed)

static inline bool same(const struct mem *have, const struct mem *want, const char *what)
{
    OPS_SETTLE();
    for (int64_t i = 0; i < want->n; i++) {
        const double a = (double)gpu_elem_load(have->e, have->p, i), b = (double)gpu_elem_load(want->e, want->p, i);
        if (a == b || (a != a && b != b) || fabs(a - b) <= tolerance(want->e) * fmax(1, fabs(b))) continue;
        fprintf(stderr, "%s, %s: element %lld of %lld is %.9g, the twin's %.9g\n", what, gpu_elem_name(want->e),
                (long long)i, (long long)want->n, a, b);
        return false;
    }
    if (!intact(have)) fprintf(stderr, "%s: written beyond the end\n", what);
    return intact(have);
}

static inline void drop(struct mem *m)
{
    OPS_FREE(m->p);
    m->p = NULL;
}

// Numbers beside the elements that a kernel reads: 8 KB each, made once.
static inline void *table(int i)
{
    static void *tables[2];
    if (!tables[i] && !(tables[i] = OPS_ALLOC(8192))) abort();
    return tables[i];
}

#define CASES(count) \
    for (uint64_t first_seed = 1; first_seed <= (count) && (seed = first_seed * 0x9e3779b97f4a7c15u, 1); first_seed++)

#ifndef OPS_MAIN
#define OPS_MAIN CHECK_MAIN
#endif

#endif
