// SPDX-License-Identifier: MIT
//
// Collectives of processes on one machine, through shared memory that the
// coordinator made. Data goes in chunks; each rank counts its steps in a line of
// its own, and the others wait for the count.
//
// Rows go without a second wait: each rank has two pairs of pieces and writes them
// in turn. Who has seen a neighbour at step s has read what it wrote at s - 1, and
// says so with step s; so a piece is written again two steps later only when both
// neighbours are past it. The last step of a round nobody confirms: the next round
// has pieces of its own (the one after it again those of the first; to be there,
// the neighbours have met in the one between).
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/life.h"
#include "common/proto.h"
#include "common/rounds.h"
#include "common/shm.h"
#include "worker/team/collective_ops.h"

#define MOST_RANKS 384u
#define CHUNK ((size_t)1 << 20)
#define PIECES 8 // of a rank: up and down, two steps, two rounds
// Steps of a round: more than a network has layers times chunks of a row.
#define ROUND_SHIFT 24

// Field      writer     readers   order
// step       its rank   all       release; pairs with the acquire in wait_for()
// pid        its rank   all       before the first step
struct line {
    _Alignas(64) _Atomic uint64_t step;
    _Atomic int32_t pid;
};

struct shared {
    struct reel_rounds rounds;
    _Alignas(64) _Atomic uint32_t over; // anybody, 0 -> 1 only; not of rounds
    struct line line[MOST_RANKS];
    _Alignas(4096) uint8_t data[2 * CHUNK]; // of a broadcast
    uint8_t halo[];                         // pieces of each rank
};
#define HALO_BYTES (REEL_COLLECTIVE_BYTES - sizeof(struct shared))

_Static_assert(sizeof(struct line) == 64, "each writer has its own cache line");
_Static_assert(sizeof(struct shared) + CHUNK <= REEL_COLLECTIVE_BYTES, "the object holds two chunks and a halo");

struct process_group {
    struct collective base;
    struct shared *shared;
    uint64_t step; // that this rank has come to
};

static struct process_group *group_of(struct collective *c)
{
    return (struct process_group *)c;
}

// ---- waiting ---------------------------------------------------------------------------

static enum reel_err give_up(struct process_group *g, uint32_t rank, const char *why)
{
    if (g->base.round)
        reel_rounds_end(&g->shared->rounds, g->base.round);
    else
        atomic_store(&g->shared->over, 1);
    return reel_fail(REEL_GONE, "could not work together with worker %u: %s", rank, why);
}

static bool is_dead(struct process_group *g, uint32_t rank)
{
    int32_t pid = g->base.round ? 0 : atomic_load(&g->shared->line[rank].pid); // a round's ranks are anybody
    return pid > 0 && kill(pid, 0) && errno == ESRCH;
}

static bool shared_is_over(const struct collective *c, uint64_t round)
{
    const struct process_group *g = (const struct process_group *)c;
    return round ? reel_rounds_is_over(&g->shared->rounds, round) : atomic_load(&g->shared->over);
}

static bool is_over(const struct process_group *g)
{
    return shared_is_over(&g->base, g->base.round);
}

// Until `rank` has come to `step`.
static enum reel_err wait_for(struct process_group *g, uint32_t rank, uint64_t step)
{
    const struct timespec nap = {0, 50000};
    int64_t until_us = reel_now_us() + (int64_t)g->base.limit_ms * 1000;
    for (int i = 0;; i++) {
        if (is_over(g)) return give_up(g, rank, "the others gave up");
        if (atomic_load_explicit(&g->shared->line[rank].step, memory_order_acquire) >= step) return REEL_OK;
        if (i < 64) {
            sched_yield();
            continue;
        }
        if (is_dead(g, rank)) return give_up(g, rank, "it died");
        if (reel_now_us() > until_us) return give_up(g, rank, "it did not answer in time");
        nanosleep(&nap, NULL);
    }
}

static void come_to(struct process_group *g, uint64_t step)
{
    g->step = step;
    atomic_store_explicit(&g->shared->line[g->base.rank].step, step, memory_order_release);
}

// ---- the operations ------------------------------------------------------------------------

static enum reel_err wait_for_all(struct process_group *g, uint64_t step)
{
    enum reel_err err = REEL_OK;
    for (uint32_t r = 0; r < g->base.ranks && !err; r++)
        if (r != g->base.rank) err = wait_for(g, r, step);
    return err;
}

static enum reel_err shared_broadcast(struct collective *c, void *data, size_t bytes, uint32_t root)
{
    struct process_group *g = group_of(c);
    uint64_t begin = g->step, chunks = (bytes + CHUNK - 1) / CHUNK;
    for (uint64_t k = 0; k < chunks; k++) {
        size_t at = (size_t)k * CHUNK, n = bytes - at < CHUNK ? bytes - at : CHUNK;
        uint8_t *slot = g->shared->data + (k % 2) * CHUNK;
        enum reel_err err = REEL_OK;
        if (c->rank == root) {
            if (k >= 2) err = wait_for_all(g, begin + k - 1); // the chunk before last is read
            if (!err) memcpy(slot, (const uint8_t *)data + at, n);
        } else {
            if (!(err = wait_for(g, root, begin + k + 1))) memcpy((uint8_t *)data + at, slot, n);
        }
        if (err) return err;
        come_to(g, begin + k + 1);
    }
    // Until all have all: what comes next uses the same memory.
    return wait_for_all(g, begin + chunks);
}

static enum reel_err wait_for_neighbours(struct process_group *g, uint64_t step)
{
    enum reel_err err = g->base.up >= 0 ? wait_for(g, (uint32_t)g->base.up, step) : REEL_OK;
    return !err && g->base.down >= 0 ? wait_for(g, (uint32_t)g->base.down, step) : err;
}

static uint8_t *piece(const struct process_group *g, uint32_t rank, size_t room)
{
    uint64_t turn = 2 * (g->base.round % 2) + g->step % 2;
    return g->shared->halo + (PIECES * (size_t)rank + 2 * turn) * room;
}

static enum reel_err shared_exchange(struct collective *c, const struct collective_halo *h)
{
    struct process_group *g = group_of(c);
    const bool up = c->up >= 0, down = c->down >= 0;
    const size_t room = HALO_BYTES / (PIECES * (size_t)c->ranks) / 64 * 64;
    for (size_t at = 0; at < h->bytes; at += room) {
        const size_t n = h->bytes - at < room ? h->bytes - at : room;
        g->step++;
        uint8_t *mine = piece(g, c->rank, room);
        if (up) memcpy(mine, (const uint8_t *)h->send_up + at, n);
        if (down) memcpy(mine + room, (const uint8_t *)h->send_down + at, n);
        come_to(g, g->step);
        enum reel_err err = wait_for_neighbours(g, g->step);
        if (err) return err;
        if (up) memcpy((uint8_t *)h->from_up + at, piece(g, (uint32_t)c->up, room) + room, n);
        if (down) memcpy((uint8_t *)h->from_down + at, piece(g, (uint32_t)c->down, room), n);
    }
    // A neighbour that is past a round that is over may write to its pieces again.
    return is_over(g) ? give_up(g, c->rank, "the others gave up") : REEL_OK;
}

// ---- rounds ------------------------------------------------------------------------------------

static enum reel_err shared_begin(struct collective *c, uint64_t round)
{
    struct process_group *g = group_of(c);
    if (!round || c->ranks > MOST_RANKS) return reel_fail(REEL_ERR_PROTO, "could not begin round 0");
    g->base.round = round;
    g->step = round << ROUND_SHIFT;
    return is_over(g) ? give_up(g, c->rank, "the others gave up") : REEL_OK;
}

static void shared_end_round(struct collective *c, uint64_t round)
{
    reel_rounds_end(&group_of(c)->shared->rounds, round);
}

// ---- making ------------------------------------------------------------------------------------

static void shared_close(struct collective *c)
{
    struct process_group *g = group_of(c);
    reel_shm_unmap(g->shared, REEL_COLLECTIVE_BYTES);
    free(g);
}

static const struct collective_ops shared_ops = {.broadcast = shared_broadcast,
                                                 .exchange = shared_exchange,
                                                 .begin = shared_begin,
                                                 .end_round = shared_end_round,
                                                 .is_over = shared_is_over,
                                                 .close = shared_close};

enum reel_err collective_open_shared(int fd, uint32_t rank, uint32_t ranks, int limit_ms, struct collective **out)
{
    if (!ranks || ranks > MOST_RANKS || rank >= ranks)
        return reel_fail(REEL_ERR_PROTO, "could not join rank %u of %u", rank, ranks);
    struct process_group *g = calloc(1, sizeof *g);
    if (!g) return reel_fail(REEL_ERR_NOMEM, "could not join the other workers: out of memory");
    void *base;
    enum reel_err err = reel_shm_map(fd, REEL_COLLECTIVE_BYTES, &base);
    if (err) {
        free(g);
        return err;
    }
    g->shared = base;
    g->base = (struct collective){.ops = &shared_ops, .rank = rank, .ranks = ranks, .limit_ms = limit_ms};
    collective_between(&g->base, (int)rank - 1, rank + 1 < ranks ? (int)rank + 1 : -1);
    atomic_store(&g->shared->line[rank].pid, getpid());
    *out = &g->base;
    return REEL_OK;
}
