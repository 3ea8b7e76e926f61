// SPDX-License-Identifier: MIT
//
// Rounds: pieces of work that several workers do together (worker/team/collective.h),
// numbered in increasing order by the coordinator. The header of the shared object
// says which rounds are over: a member that waits for another one in such a round
// stops waiting.
//
// Field       writer                          readers     order
// over_below  coordinator, when a member is   members,    release; pairs with the acquire
//             dead or the work is given up;   in waiting  in reel_rounds_is_over()
//             a member that cannot go on
#ifndef REEL_COMMON_ROUNDS_H
#define REEL_COMMON_ROUNDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct reel_rounds {
    _Alignas(64) _Atomic uint64_t over_below; // only grows
};

// That round and all before it are over.
static inline void reel_rounds_end(struct reel_rounds *r, uint64_t round)
{
    uint64_t have = atomic_load_explicit(&r->over_below, memory_order_relaxed);
    while (have <= round && !atomic_compare_exchange_weak_explicit(&r->over_below, &have, round + 1,
                                                                   memory_order_release, memory_order_relaxed)) {
    }
}

static inline bool reel_rounds_is_over(const struct reel_rounds *r, uint64_t round)
{
    return atomic_load_explicit(&r->over_below, memory_order_acquire) > round;
}

#endif
