// SPDX-License-Identifier: MIT
//
// Operations that all workers of a run do together: one broadcasts bytes to all, and
// neighbours exchange rows (the halo of a frame that is split between them). There are two
// implementations: shared memory between processes of one machine (collective_shared.c),
// and NCCL between GPUs (collective_nccl.c).
//
// Every worker can do without it. Each step has a time limit and checks that the peers are
// alive. If one fails, all sides get GONE, the collective (or its round) is over for good,
// and the caller continues alone. Not thread-safe.
#ifndef REEL_WORKER_TEAM_COLLECTIVE_H
#define REEL_WORKER_TEAM_COLLECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define COLLECTIVE_LIMIT_MS 3000 // per step; short, because continuing alone costs little

struct collective;

// fd: a zeroed object of REEL_COLLECTIVE_BYTES that all ranks share (borrowed). Does not
// wait for the others. Errors: IO, PROTO, NOMEM.
enum reel_err collective_open_shared(int fd, uint32_t rank, uint32_t ranks, int limit_ms, struct collective **out);
// Between GPUs, for rows only; each rank has its own GPU current. `meet` (borrowed) is
// where the ranks find each other, and whose round they watch. Errors: UNSUPPORTED (no
// NCCL), GONE (two ranks on one GPU, or a rank does not come).
enum reel_err collective_open_nccl(struct collective *meet, int limit_ms, struct collective **out);
// Between GPUs this also aborts operations in flight, whatever the others do.
void collective_close(struct collective **collective);

// Rounds (shared memory only). What follows is between the ranks of round `round`
// (common/rounds.h), in which the caller is `rank`, until the next one begins. Each rank
// begins a number once, and only when no member of an earlier finished round can still be
// in it. A worker's death is not detected here: whoever sees it ends the round. Errors:
// UNSUPPORTED, PROTO, GONE (the round is over).
enum reel_err collective_begin(struct collective *c, uint64_t round, uint32_t rank, uint32_t ranks);
// This rank gives up the round, so the others need not wait for it.
void collective_end_round(struct collective *c, uint64_t round);
// Whether anybody has ended that round, begun here or not.
bool collective_is_over(const struct collective *c, uint64_t round);
// Between GPUs: sets the ranks to exchange rows with until the next call; -1: none.
void collective_between(struct collective *c, int up, int down);

uint32_t collective_rank(const struct collective *c);
uint32_t collective_ranks(const struct collective *c);
void collective_set_limit(struct collective *c, int limit_ms);

// Copies data from rank `root` to all others. The same size on all ranks. Errors:
// UNSUPPORTED (between GPUs), GONE.
enum reel_err collective_broadcast(struct collective *c, void *data, size_t bytes, uint32_t root);

// Exchanges rows with the neighbours, initially rank - 1 (above) and rank + 1 (below):
// sends and receives `bytes` in each direction. The outermost ranks leave the pointers on
// their open side unused. The same size on all ranks. Between GPUs the pointers are device
// memory, and the rows have arrived when the stream gets there; whoever waits for that
// watches the round, and closes if it is over. Errors: GONE.
struct collective_halo {
    const void *send_up, *send_down;
    void *from_up, *from_down;
    size_t bytes;
    void *stream; // between GPUs
};
enum reel_err collective_exchange(struct collective *c, const struct collective_halo *halo);

// Reads a file through rank 0 alone; the caller frees *out_data. Errors: GONE (also if it
// is unreadable or larger than `most`); the caller then reads it itself.
enum reel_err collective_read_file(struct collective *c, const char *path, size_t most, void **out_data,
                                   size_t *out_bytes);

#endif
