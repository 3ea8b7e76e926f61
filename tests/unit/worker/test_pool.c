// SPDX-License-Identifier: MIT
//
// Compute threads: every unit is done once, by one that is free, and is seen when
// pool_run returns. TSan finds nothing in it (make VARIANT=tsan).
#include "worker/backend/onednn/pool.h"

#include <stdatomic.h>
#include <time.h>

#include "tests/check.h"

#define MOST 97

struct job {
    int done[MOST], by[MOST]; // plain memory: TSan tells of a missing order
    int out_of_range;
};

static void work(void *arg, int begin, int end, int thread)
{
    struct job *job = arg;
    for (int i = begin; i < end; i++) {
        if (i < 0 || i >= MOST) {
            job->out_of_range++;
            continue;
        }
        job->done[i]++;
        job->by[i] = thread;
    }
}

static void every_unit_is_done_once(void)
{
    uint64_t seed = 3;
    for (int threads = 1; threads <= 4; threads++) {
        struct pool *pool;
        CHECK_INT(pool_create(threads, &pool), REEL_OK);
        CHECK_INT(pool_threads(pool), threads);
        for (int round = 0; round < 600; round++) {
            struct job job = {0};
            const int units = (int)(check_rand(&seed) % (MOST + 1));
            pool_run(pool, work, &job, units);
            int wrong = job.out_of_range;
            for (int i = 0; i < MOST; i++) wrong += job.done[i] != (i < units);
            CHECK_MSG(!wrong, "%d threads, %d units: %d are wrong", threads, units, wrong);
            for (int i = 0; i < units; i++)
                CHECK_MSG(job.by[i] >= 0 && job.by[i] < threads, "%d threads: unit %d by %d", threads, i, job.by[i]);
            // long enough now and then for the members to fall asleep
            if (round % 100 == 99) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        }
        pool_destroy(&pool);
        CHECK(!pool);
    }
}

// One thread is kept at its first unit until all others are done.
struct held {
    atomic_int done;
    int units;
    bool late;
};

static void hold(void *arg, int begin, int end, int thread)
{
    struct held *h = arg;
    if (begin == 0) { // the caller's first piece
        for (int i = 0; atomic_load(&h->done) < h->units - end; i++) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            if (i == 5000) {
                h->late = true;
                break;
            }
        }
    }
    atomic_fetch_add(&h->done, end - begin);
}

static void others_do_what_a_thread_is_late_with(void)
{
    struct pool *pool;
    CHECK_INT(pool_create(2, &pool), REEL_OK);
    struct held h = {.units = 64};
    pool_run(pool, hold, &h, h.units);
    CHECK_INT(atomic_load(&h.done), h.units);
    CHECK(!h.late);
    pool_destroy(&pool);
}

static void comes_and_goes_without_work(void)
{
    for (int i = 0; i < 30; i++) {
        struct pool *pool;
        CHECK_INT(pool_create(1 + i % 4, &pool), REEL_OK);
        pool_destroy(&pool);
    }
    struct pool *none = NULL;
    pool_destroy(&none);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"every_unit_is_done_once", every_unit_is_done_once},
        {"others_do_what_a_thread_is_late_with", others_do_what_a_thread_is_late_with},
        {"comes_and_goes_without_work", comes_and_goes_without_work}};
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}
