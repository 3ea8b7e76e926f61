// SPDX-License-Identifier: MIT
//
// Keeps idle inputs open for reuse. See demux_pool_create() in demux.h.
#include <stdlib.h>
#include <string.h>

#include "decoder/demux.h"

#define POOL_SIZE 4

struct demux_pool {
    struct demux *idle[POOL_SIZE]; // newest first
    _Atomic uint64_t *progress;
};

struct demux_pool *demux_pool_create(_Atomic uint64_t *progress)
{
    struct demux_pool *pool = calloc(1, sizeof *pool);
    if (pool) pool->progress = progress;
    return pool;
}

_Atomic uint64_t *demux_pool_progress(const struct demux_pool *pool)
{
    return pool->progress;
}

void demux_pool_destroy(struct demux_pool **pool)
{
    if (!*pool) return;
    for (int i = 0; i < POOL_SIZE; i++) demux_close(&(*pool)->idle[i]);
    free(*pool);
    *pool = NULL;
}

struct demux *demux_pool_take(struct demux_pool *pool, uint32_t job)
{
    for (int i = 0; i < POOL_SIZE; i++) {
        struct demux *d = pool->idle[i];
        if (!d || d->job != job) continue;
        pool->idle[i] = NULL;
        return d;
    }
    return NULL;
}

void demux_pool_put(struct demux_pool *pool, struct demux **demux)
{
    demux_close(&pool->idle[POOL_SIZE - 1]);
    memmove(pool->idle + 1, pool->idle, (POOL_SIZE - 1) * sizeof *pool->idle);
    pool->idle[0] = *demux;
    *demux = NULL;
}
