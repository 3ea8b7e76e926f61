// SPDX-License-Identifier: MIT
//
// Operations that all workers of a run do together: one sends bytes to all, and
// neighbours exchange rows (the halo of a frame that is split between them).
// Two ways behind one face: shared memory between processes of one machine
// (collective_shared.c), and NCCL between GPUs (collective_nccl.c).
//
// Nobody depends on it. Each step has a time limit and looks whether its peers
// live; when one fails, GONE comes back on every side, the collective (or its
// round) is over for good, and the caller goes on alone. Not thread-safe.
#ifndef REEL_WORKER_TEAM_COLLECTIVE_H
#define REEL_WORKER_TEAM_COLLECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define COLLECTIVE_LIMIT_MS 3000 // of one step; going on alone costs little

struct collective;

// fd: an object of REEL_COLLECTIVE_BYTES, zeroed, that all ranks have (borrowed).
// Does not wait for the others. Errors: IO, PROTO, NOMEM.
enum reel_err collective_open_shared(int fd, uint32_t rank, uint32_t ranks, int limit_ms, struct collective **out);
// Between GPUs, for rows alone, each rank with its own one open; `meet` (borrowed) is
// where they find each other, and whose round they watch. Errors: UNSUPPORTED (no
// NCCL), GONE (one GPU twice, a rank that does not come).
enum reel_err collective_open_nccl(struct collective *meet, int limit_ms, struct collective **out);
// Between GPUs: what is under way on streams there ends, whatever the others do.
void collective_close(struct collective **collective);

// Rounds, of shared memory alone: what follows is between the ranks of round
// `round` (common/rounds.h; the caller is `rank` of them), until the next one
// begins. A number is begun once by each rank, and none while a member of an earlier
// one that is over may still be in it. A worker's death is not looked for: who
// sees it ends the round. Errors: UNSUPPORTED, PROTO, GONE (it is over).
enum reel_err collective_begin(struct collective *c, uint64_t round, uint32_t rank, uint32_t ranks);
// This rank will not go on with it: the others need not wait.
void collective_end_round(struct collective *c, uint64_t round);
// Whether somebody has ended that round, begun here or not.
bool collective_is_over(const struct collective *c, uint64_t round);
// Of GPUs: rows go to and come from these ranks until the next call; -1: there is none.
void collective_between(struct collective *c, int up, int down);

uint32_t collective_rank(const struct collective *c);
uint32_t collective_ranks(const struct collective *c);
void collective_set_limit(struct collective *c, int limit_ms);

// data of rank `root` becomes that of all. The same bytes on all ranks. Errors:
// UNSUPPORTED (between GPUs), GONE.
enum reel_err collective_broadcast(struct collective *c, void *data, size_t bytes, uint32_t root);

// With the neighbours, at first rank - 1 (above) and rank + 1 (below): sends and
// receives `bytes` each way. Ends of the row leave theirs alone. The same bytes on all
// ranks. Between GPUs it is device memory, and the rows have come when the stream has
// come there; who waits for that watches the round, and closes when it is over. GONE.
struct collective_halo {
    const void *send_up, *send_down;
    void *from_up, *from_down;
    size_t bytes;
    void *stream; // between GPUs
};
enum reel_err collective_exchange(struct collective *c, const struct collective_halo *halo);

// A file, read by rank 0 alone; *out_data is the caller's to free. Errors: GONE
// (also when it is unreadable or above `most`): then read it alone.
enum reel_err collective_read_file(struct collective *c, const char *path, size_t most, void **out_data,
                                   size_t *out_bytes);

#endif
