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
//
// hold: frames that the encoder may keep until more come. Of the window so many stay
// as it needs to let go, however late: with all of them dropped the lane would stand
// still for ever. A frame that pictures lead to is not dropped, however late. The lane must be loose, so that they find
// output slots.
uint32_t late_drop(struct lane *lane, uint32_t hold, int64_t now_us, int64_t latency_us);
// Work that a worker may hold beside what it is at, in microseconds: it waits there,
// where nobody can take it back, and must not wait for long.
double late_ahead_us(int64_t latency_us);

#endif
