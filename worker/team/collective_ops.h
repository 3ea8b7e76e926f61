// SPDX-License-Identifier: MIT
//
// What an implementation of collective.h provides. Included by collective*.c and their
// tests.
#ifndef REEL_WORKER_TEAM_COLLECTIVE_OPS_H
#define REEL_WORKER_TEAM_COLLECTIVE_OPS_H

#include "worker/team/collective.h"

// First member of every implementation's struct.
struct collective {
    const struct collective_ops *ops;
    uint32_t rank, ranks;
    int up, down; // ranks to exchange rows with; -1: none
    uint64_t round;
    int limit_ms;
    bool over; // a step failed
};

struct collective_ops {
    // May be NULL: not supported.
    enum reel_err (*broadcast)(struct collective *c, void *data, size_t bytes, uint32_t root);
    enum reel_err (*exchange)(struct collective *c, const struct collective_halo *halo);
    // The next three are NULL without rounds.
    enum reel_err (*begin)(struct collective *c, uint64_t round);
    void (*end_round)(struct collective *c, uint64_t round);
    bool (*is_over)(const struct collective *c, uint64_t round); // round 0: outside of rounds
    void (*close)(struct collective *c);
};

// The NCCL functions that are used; results and arguments as in nccl.h, with plain types in
// place of its own. NCCL_ID_BYTES is the size of ncclUniqueId.
#define NCCL_ID_BYTES 128
struct nccl_id {
    char bytes[NCCL_ID_BYTES];
};
// ncclConfig_t as of 2.18; the library goes by `size`.
struct nccl_config {
    size_t size;
    unsigned magic, version;
    int blocking, cga_cluster, min_ctas, max_ctas;
    const char *net_name;
    int split_share;
};
#define NCCL_FUNCTIONS(X)                                                                                       \
    X(int, GetVersion, (int *out))                                                                              \
    X(int, GetUniqueId, (struct nccl_id * out))                                                                 \
    X(int, CommInitRankConfig, (void **out_comm, int ranks, struct nccl_id id, int rank, struct nccl_config *)) \
    X(int, CommGetAsyncError, (void *comm, int *out_error))                                                     \
    X(int, CommAbort, (void *comm))                                                                             \
    X(int, Send, (const void *from, size_t n, int type, int peer, void *comm, void *stream))                    \
    X(int, Recv, (void *to, size_t n, int type, int peer, void *comm, void *stream))                            \
    X(int, GroupStart, (void))                                                                                  \
    X(int, GroupEnd, (void))                                                                                    \
    X(const char *, GetErrorString, (int error))

struct nccl_table {
#define NCCL_MEMBER(type, name, args) type(*name) args;
    NCCL_FUNCTIONS(NCCL_MEMBER)
#undef NCCL_MEMBER
};

// collective_open_nccl() with functions supplied by the caller.
enum reel_err collective_open_nccl_with(const struct nccl_table *table, struct collective *meet, int limit_ms,
                                        struct collective **out);

#endif
