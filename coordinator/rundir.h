// SPDX-License-Identifier: MIT
//
// The run directory: private (0700), holds the bus socket and the parts of
// jobs without output folder; named reelmill-PID-RANDOM under
// ${XDG_RUNTIME_DIR:-/tmp}. A small guard process removes it when the
// coordinator is gone without having done so itself, kill -9 included.
//
// The lock file in it is held by the coordinator and inherited by every child,
// so that it is free only when the last process of a run is gone: it
// distinguishes a leftover directory from a live one, and a job's next run
// waits for it.
#ifndef COORDINATOR_RUNDIR_H
#define COORDINATOR_RUNDIR_H

#include <stdbool.h>

#include "common/err.h"

#define VERIFY_PREFIX "reelmill-verify-" // of the folders of --verify, which are swept as well

struct rundir {
    char path[256];
    char lock_path[272];
    char bus_path[272];
    int lock_fd;  // inherited by every child
    int guard_fd; // its closing wakes the guard
    int guard_pid;
};

// Forks the guard first: call before any thread or child exists. `parts`: large files will
// lie in it (in TMPDIR then). Errors: IO.
enum reel_err rundir_create(bool parts, struct rundir *out);
// Whether the bus socket lies in it. Systems clean up: a login's XDG_RUNTIME_DIR goes when
// the user logs out, and old files in /tmp.
bool rundir_is_there(const struct rundir *rundir);
// Makes the directory again after somebody removed it, at the same place if possible, else in /tmp.
// In /tmp it is not removed by the guard but by the next run's sweep. Errors: IO.
enum reel_err rundir_renew(struct rundir *rundir);
// Removes the directory and ends the guard.
void rundir_destroy(struct rundir *rundir);
// Removes directories of dead runs; returns how many.
int rundir_sweep(void);
// Waits at most wait_ms for the lock file at path to be free, or gone. AGAIN
// when it is still held.
enum reel_err rundir_wait_free(const char *lock_path, int wait_ms);

#endif
