// SPDX-License-Identifier: MIT
//
// The drop policy of live inputs: which frames are dropped because they have
// waited too long. Pure: time comes in as an argument. Called by flow.c at
// every step.
#ifndef COORDINATOR_LATE_H
#define COORDINATOR_LATE_H

#include "coordinator/lanes.h"

// Drops the frames of an open lane that were decoded more than latency_us ago and
// that no worker has begun, the oldest first. Frames that came back from a dead
// worker are judged like all others. Returns how many.
//
// hold: frames that the encoder may hold until more come. As many frames of the window as the
// encoder needs to release them are kept, however late: if all were dropped, the lane would never
// move again. A frame to which interpolated pictures lead is not dropped either. The lane must be
// loose, so that the frames find output slots.
uint32_t late_drop(struct lane *lane, uint32_t hold, int64_t now_us, int64_t latency_us);
// How much work a worker may hold beyond its current frame, in microseconds: it
// cannot be taken back from there, and must not wait long.
double late_ahead_us(int64_t latency_us);

#endif
