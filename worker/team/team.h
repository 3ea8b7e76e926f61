// SPDX-License-Identifier: MIT
//
// The workers that have one frame in bands between them, at the same time: how
// this one gives its neighbours rows while the network runs. Each frame is a
// round of its own (common/rounds.h), begun by batch.c; between, the executor
// calls team_exchange() by the network's layers.
//
// Whoever fails ends the round, and all others of it come back with GONE at their
// next exchange. What happens then is the coordinator's to say.
#ifndef REEL_WORKER_TEAM_TEAM_H
#define REEL_WORKER_TEAM_TEAM_H

#include "worker/backend/backend.h"
#include "worker/team/collective.h"

struct team;

struct team_params {
    struct collective *together; // of all workers (borrowed): for rounds from now on
    int limit_ms;                // to wait for a neighbour: less than what counts as a hang
    // Called at each exchange: this process gets on.
    void (*on_step)(void *user);
    void *user;
};

// Errors: NOMEM.
enum reel_err team_create(const struct team_params *params, struct team **out_team);
void team_destroy(struct team **team);
// For the executor; holds as long as the team.
const struct backend_exchange *team_exchange(const struct team *team);
// All workers of the run, at the same time and before their first round: rows may go
// from GPU to GPU then. Errors: as collective_open_nccl(); rows go through host memory.
enum reel_err team_join(struct team *team);

struct team_round {
    uint64_t number;
    uint32_t part, parts;
    int up, down; // workers with the parts above and below, whose GPUs rows go to and come from; -1: there is none
    bool direct;  // so; else they go through host memory
};
// The next run of the network is that part of that round. Errors: GONE, PROTO.
enum reel_err team_begin(struct team *team, const struct team_round *round);
// Until is_done() says that the device is through with that round, begun before, whose
// rows go from GPU to GPU; ends what is under way when the round is over. Errors: GONE.
enum reel_err team_settle(struct team *team, uint64_t round, bool (*is_done)(void *user), void *user);
// This worker does not go on with it.
void team_end_round(struct team *team, uint64_t round);

#endif
