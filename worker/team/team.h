// SPDX-License-Identifier: MIT
//
// Workers that compute one frame together, a band each, at the same time: how this worker
// exchanges rows with its neighbours while the network runs. Each frame is a round
// (common/rounds.h) begun by batch.c; within it the executor calls team_exchange() where
// the layers need rows.
//
// Whoever fails ends the round, and all others in it get GONE at their next exchange. The
// coordinator decides what happens then.
#ifndef REEL_WORKER_TEAM_TEAM_H
#define REEL_WORKER_TEAM_TEAM_H

#include "worker/backend/backend.h"
#include "worker/team/collective.h"

struct team;

struct team_params {
    struct collective *together; // connects all workers (borrowed); from now on used for rounds only
    int limit_ms;                // for waiting for a neighbour: less than what counts as a hang
    // Called at each exchange, to show that this process makes progress.
    void (*on_step)(void *user);
    void *user;
};

// Errors: NOMEM.
enum reel_err team_create(const struct team_params *params, struct team **out_team);
void team_destroy(struct team **team);
// For the executor; valid for the life of the team.
const struct backend_exchange *team_exchange(const struct team *team);
// Called by all workers of the run at the same time, before their first round. On success
// rows may go directly between GPUs. Errors: as collective_open_nccl(); rows go through
// host memory then.
enum reel_err team_join(struct team *team);

struct team_round {
    uint64_t number;
    uint32_t part, parts;
    int up, down; // workers with the parts above and below, to exchange rows with; -1: none
    bool direct;  // rows go from GPU to GPU; else through host memory
};
// The next run of the network is this part of this round. Errors: GONE, PROTO.
enum reel_err team_begin(struct team *team, const struct team_round *round);
// For rounds with rows between GPUs: waits until is_done() says that the device has
// finished the round; if the round is ended, aborts what is in flight. Errors: GONE.
enum reel_err team_settle(struct team *team, uint64_t round, bool (*is_done)(void *user), void *user);
// This worker gives up the round.
void team_end_round(struct team *team, uint64_t round);

#endif
