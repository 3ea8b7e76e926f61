// SPDX-License-Identifier: MIT
//
// Compute threads; see pool.h. A waiting thread spins for a moment, as steps
// follow each other within microseconds, and then sleeps.
#include "worker/backend/onednn/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// About 20 us on today's CPUs: longer than the gap between two steps, shorter
// than a scheduler's tick.
#define SPINS 2000

struct member {
    struct pool *pool;
    pthread_t thread;
    int index;
};

struct pool {
    int threads, started;
    struct member *members;

    // The job. Written by the caller before `round` is raised, read by members
    // after they saw it.
    void (*work)(void *job, int begin, int end, int thread);
    void *job;
    int units;
    atomic_uint round;     // pairs with member_main
    atomic_int unfinished; // members still at work; pairs with pool_run
    atomic_bool stopping;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    int sleeping; // under lock
};

static inline void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void do_share(struct pool *p, int index)
{
    int begin = (int)((long long)p->units * index / p->threads);
    int end = (int)((long long)p->units * (index + 1) / p->threads);
    if (end > begin) p->work(p->job, begin, end, index);
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
    for (unsigned seen = 0;; seen++) {
        wait_round(p, seen);
        if (atomic_load(&p->stopping)) return NULL;
        do_share(p, m->index);
        atomic_fetch_sub_explicit(&p->unfinished, 1, memory_order_release);
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
    p->members = calloc((size_t)threads, sizeof *p->members);
    if (!p->members) {
        pool_destroy(&p);
        return reel_fail(REEL_ERR_NOMEM, "could not create compute threads: no memory");
    }
    for (int i = 1; i < threads; i++) {
        p->members[i] = (struct member){.pool = p, .index = i};
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
    p->units = units;
    atomic_store_explicit(&p->unfinished, p->threads - 1, memory_order_relaxed);
    raise_round(p);
    do_share(p, 0);
    for (int i = 0; atomic_load_explicit(&p->unfinished, memory_order_acquire); i++) {
        if (i < SPINS)
            pause_cpu();
        else
            sched_yield();
    }
}
