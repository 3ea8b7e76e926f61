// SPDX-License-Identifier: MIT
//
// The compute threads of one CPU program. A job is a number of units, shared
// out in equal contiguous runs, so that the same rows of one step after the other
// are the same processor's; the caller does its share too, and who has done its
// own takes from the others'. Units write disjoint memory and sum in their own order,
// so that the number of threads changes no bit. Threads of its own take denormals
// for zeros (kernels/denormals.h); the caller sees to that for itself.
#ifndef REEL_WORKER_BACKEND_ONEDNN_POOL_H
#define REEL_WORKER_BACKEND_ONEDNN_POOL_H

#include "common/err.h"

struct pool;

// threads >= 1, the caller's included. Errors: NOMEM, IO.
enum reel_err pool_create(int threads, struct pool **out_pool);
// Accepts &NULL, writes NULL.
void pool_destroy(struct pool **pool);
int pool_threads(const struct pool *pool);
// Calls work(job, begin, end, thread) until [0, units) is done, several times a
// thread. One caller at a
// time; work must not call it again.
void pool_run(struct pool *pool, void (*work)(void *job, int begin, int end, int thread), void *job, int units);

#endif
