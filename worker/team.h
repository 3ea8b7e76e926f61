// SPDX-License-Identifier: MIT
//
// The workers that have one frame in bands between them, at the same time: how
// this one gives its neighbours rows while the network runs. Each frame is a
// round of its own (common/rounds.h), begun by batch.c; between, the executor
// calls team_exchange() by the network's layers.
//
// Whoever fails ends the round, and all others of it come back with GONE at their
// next exchange. What happens then is the coordinator's to say.
#ifndef REEL_WORKER_TEAM_H
#define REEL_WORKER_TEAM_H

#include "worker/backend/backend.h"
#include "worker/collective.h"

struct team;

struct team_params {
    int fd; // of the object that all workers have (borrowed)
    uint32_t worker, workers;
    int limit_ms; // to wait for a neighbour: less than what counts as a hang
    // Called at each exchange: this process gets on.
    void (*on_step)(void *user);
    void *user;
};

// Errors: as collective_open_shared().
enum reel_err team_create(const struct team_params *params, struct team **out_team);
void team_destroy(struct team **team);
// For the executor; holds as long as the team.
const struct backend_exchange *team_exchange(const struct team *team);

// The next run of the network is band `part` of `parts` of that round. Errors: GONE.
enum reel_err team_begin(struct team *team, uint64_t round, uint32_t part, uint32_t parts);
// This worker does not go on with it.
void team_end_round(struct team *team, uint64_t round);

#endif
