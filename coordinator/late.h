// SPDX-License-Identifier: MIT
//
// The policy of live inputs: which frames are given up because they have waited
// too long. Pure: time comes in as an argument. Called by flow.c at every step.
#ifndef COORDINATOR_LATE_H
#define COORDINATOR_LATE_H

#include "coordinator/lanes.h"

// Drops the frames of an open lane that were decoded more than latency_us ago and
// that no worker has begun, the oldest first. Frames that came back from a dead
// worker are judged like all others. Returns how many.
uint32_t late_drop(struct lane *lane, int64_t now_us, int64_t latency_us);
// Work that a worker may hold beside what it is at, in microseconds: it waits there,
// where nobody can take it back, and must not wait for long.
double late_ahead_us(int64_t latency_us);

#endif
