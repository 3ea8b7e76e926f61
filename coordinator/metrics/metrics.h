// SPDX-License-Identifier: MIT
//
// --metrics, the coordinator's side: starts the server process (the coordinator
// itself opens no socket), publishes the state of the run to it once a second
// through the board, and restarts it once. Called by run.c; nothing depends on
// it.
#ifndef COORDINATOR_METRICS_H
#define COORDINATOR_METRICS_H

#include <stdint.h>

#include "common/err.h"

struct run;
struct metrics;

// That address is one. Errors: CONFIG.
enum reel_err metrics_check(const char *address);
// Starts the server and waits until it listens. Errors: CONFIG (the port is taken,
// the address is not this machine's), IO, NOMEM.
enum reel_err metrics_create(const struct run *run, struct metrics **out);
// Ends the server.
void metrics_destroy(struct metrics **metrics);
// Where it is served, for a person.
const char *metrics_where(const struct metrics *metrics);
// Publishes, and sees to the server. Not NULL: a warning for the user.
const char *metrics_tick(struct metrics *metrics, const struct run *run, int64_t now_us);

#endif
