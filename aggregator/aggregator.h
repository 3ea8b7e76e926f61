// SPDX-License-Identifier: MIT
//
// The aggregator process: takes results in order, makes pictures of them,
// encodes, writes parts, puts the final file together.
//
// One thread serves the bus and all lanes, a frame of each in turn; encoders
// have threads of their own; one more thread does what concerns whole files
// (chores.h).
#ifndef REEL_AGGREGATOR_AGGREGATOR_H
#define REEL_AGGREGATOR_AGGREGATOR_H

#include "aggregator/chores.h"
#include "aggregator/lane.h"
#include "aggregator/latency.h"
#include "aggregator/release.h"
#include "common/child.h"

struct aggregator {
    struct reel_child child;
    int bell_fd; // rung by encoders' threads and by the chores
    struct release *release;
    struct chores *chores;
    struct lane **lanes; // [child.lanes]; NULL: closed
    struct live *live;   // the live job's output; NULL: none is open
    struct latency latency;
    bool quit;
};

// Everything but the child's own attachments.
enum reel_err aggregator_init(struct aggregator *a);
void aggregator_fini(struct aggregator *a);
// Serves until QUIT (OK) or until the link breaks (GONE or a fault).
enum reel_err aggregator_collect(struct aggregator *a);

#endif
