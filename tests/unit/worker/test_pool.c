// SPDX-License-Identifier: MIT
//
// Compute threads: every unit is done once, by the thread it belongs to, and is
// seen when pool_run returns. TSan finds nothing in it (make VARIANT=tsan).
#include "worker/backend/onednn/pool.h"

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
            for (int i = 0; i + 1 < units; i++)
                CHECK_MSG(job.by[i] <= job.by[i + 1] && job.by[i + 1] < threads, "%d threads: unit %d by %d", threads,
                          i + 1, job.by[i + 1]);
            // long enough now and then for the members to fall asleep
            if (round % 100 == 99) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        }
        pool_destroy(&pool);
        CHECK(!pool);
    }
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
    static const struct check_case cases[] = {{"every_unit_is_done_once", every_unit_is_done_once},
                                              {"comes_and_goes_without_work", comes_and_goes_without_work}};
    return check_main(cases, (int)(sizeof cases / sizeof cases[0]), argc, argv);
}
