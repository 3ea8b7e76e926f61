// SPDX-License-Identifier: MIT
//
// Compute threads; see pool.h. A waiting thread spins for a moment, as steps
// follow each other within microseconds, and then sleeps.
#include "worker/backend/onednn/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/denormals.h"

// About 20 us on today's CPUs: longer than the gap between two steps, shorter
// than a scheduler's tick.
#define SPINS 2000

// Units [begin, end) that a thread has not begun yet, in one word.
typedef _Atomic uint64_t share;

struct member {
    _Alignas(64) share share; // the others take from its end when they have nothing left
    struct pool *pool;
    pthread_t thread;
    int index;
};

struct pool {
    int threads, started;
    struct member *members;

    // The job. Written by the caller before the shares are; whoever took units
    // from a share reads what belongs to them, as the caller waits for all.
    void (*work)(void *job, int begin, int end, int thread);
    void *job;
    atomic_uint round; // pairs with member_main
    atomic_int left;   // units not yet done; pairs with pool_run
    atomic_bool stopping;

    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    int sleeping;        // members; under lock
    atomic_bool waiting; // the caller sleeps until nothing is left
};

static inline void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static inline uint64_t range(uint32_t begin, uint32_t end)
{
    return (uint64_t)begin << 32 | end;
}

// A part of what is left of a share: the owner's from the front, in pieces that
// grow smaller, so that what is taken from it at the back is enough to help.
static bool take(share *s, bool own, int *out_begin, int *out_end)
{
    uint64_t seen = atomic_load_explicit(s, memory_order_relaxed);
    for (;;) {
        const uint32_t begin = (uint32_t)(seen >> 32), end = (uint32_t)seen;
        if (begin >= end) return false;
        const uint32_t n = own ? (end - begin + 3) / 4 : (end - begin + 1) / 2;
        const uint64_t rest = own ? range(begin + n, end) : range(begin, end - n);
        if (!atomic_compare_exchange_weak_explicit(s, &seen, rest, memory_order_acquire, memory_order_relaxed))
            continue;
        *out_begin = (int)(own ? begin : end - n);
        *out_end = (int)(own ? begin + n : end);
        return true;
    }
}

// The lock closes the window between the caller's last look and its sleep.
static void last_is_done(struct pool *p)
{
    if (!atomic_load(&p->waiting)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
}

// Spins as members do, then gives its processor up: one that was taken away from
// a member may go on there.
static void wait_done(struct pool *p)
{
    for (int i = 0; i < SPINS; i++) {
        if (!atomic_load_explicit(&p->left, memory_order_acquire)) return;
        pause_cpu();
    }
    atomic_store(&p->waiting, true);
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->left)) pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
    atomic_store(&p->waiting, false);
}

// Own units first, then the others': a thread whose processor is taken away for
// a while holds up no more than the piece it is at.
static void do_shares(struct pool *p, int index)
{
    for (int k = 0, begin, end; k < p->threads; k++) {
        share *s = &p->members[(index + k) % p->threads].share;
        while (take(s, k == 0, &begin, &end)) {
            p->work(p->job, begin, end, index);
            if (atomic_fetch_sub(&p->left, end - begin) == end - begin) last_is_done(p);
        }
    }
}

static void wait_round(struct pool *p, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&p->round, memory_order_acquire) != seen) return;
        pause_cpu();
    }
    pthread_mutex_lock(&p->lock);
    p->sleeping++;
    while (atomic_load(&p->round) == seen) pthread_cond_wait(&p->wake, &p->lock);
    p->sleeping--;
    pthread_mutex_unlock(&p->lock);
}

static void *member_main(void *arg)
{
    struct member *m = arg;
    struct pool *p = m->pool;
    denormals_off();
    for (unsigned seen = 0;; seen++) {
        wait_round(p, seen);
        if (atomic_load(&p->stopping)) return NULL;
        do_shares(p, m->index);
    }
}

// The lock closes the window between a member's last look and its sleep.
static void raise_round(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->round, 1);
    if (p->sleeping) pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

enum reel_err pool_create(int threads, struct pool **out_pool)
{
    struct pool *p = calloc(1, sizeof *p);
    if (!p) return reel_fail(REEL_ERR_NOMEM, "could not create compute threads: no memory");
    p->threads = threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->members = aligned_alloc(64, (size_t)threads * sizeof *p->members);
    if (!p->members) {
        pool_destroy(&p);
        return reel_fail(REEL_ERR_NOMEM, "could not create compute threads: no memory");
    }
    for (int i = 0; i < threads; i++) p->members[i] = (struct member){.pool = p, .index = i};
    for (int i = 1; i < threads; i++) {
        int rc = pthread_create(&p->members[i].thread, NULL, member_main, &p->members[i]);
        if (rc) {
            pool_destroy(&p);
            return reel_fail(REEL_ERR_IO, "could not create compute thread %d of %d: %s", i + 1, threads, strerror(rc));
        }
        p->started = i;
    }
    *out_pool = p;
    return REEL_OK;
}

void pool_destroy(struct pool **pool)
{
    struct pool *p = *pool;
    *pool = NULL;
    if (!p) return;
    atomic_store(&p->stopping, true);
    raise_round(p);
    for (int i = 1; i <= p->started; i++) pthread_join(p->members[i].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p->members);
    free(p);
}

int pool_threads(const struct pool *pool)
{
    return pool->threads;
}

void pool_run(struct pool *p, void (*work)(void *job, int begin, int end, int thread), void *job, int units)
{
    if (p->threads == 1 || units < 2) {
        if (units > 0) work(job, 0, units, 0);
        return;
    }
    p->work = work;
    p->job = job;
    atomic_store_explicit(&p->left, units, memory_order_relaxed);
    for (int i = 0; i < p->threads; i++) {
        const int begin = (int)((long long)units * i / p->threads),
                  end = (int)((long long)units * (i + 1) / p->threads);
        atomic_store_explicit(&p->members[i].share, range((uint32_t)begin, (uint32_t)end), memory_order_release);
    }
    raise_round(p);
    do_shares(p, 0);
    wait_done(p);
}
