// SPDX-License-Identifier: MIT
//
// Slots on loan to libav. A frame that wraps a slot's memory carries a buffer
// whose free callback lands here; encoders may call it from their own threads,
// so it only records (lane, epoch, n) under a lock and rings a bell. The main
// loop takes the records and sends TAKEN.
#ifndef REEL_AGGREGATOR_RELEASE_H
#define REEL_AGGREGATOR_RELEASE_H

#include <stdatomic.h>

#include "aggregator/av.h"
#include "common/proto.h"

struct release;

// bell_fd: an eventfd, written at the first return after release_arm(); borrowed.
enum reel_err release_create(int bell_fd, struct release **out_release);
// Every loan must have come back. Accepts &NULL.
void release_destroy(struct release **release);

// A buffer over data[0, bytes) for frame rec; *held counts loans of its lane
// and must outlive them. NULL: no memory.
AVBufferRef *release_lend(struct release *release, uint8_t *data, size_t bytes, struct reel_rec_taken rec,
                          _Atomic int *held);
// Records immediately that the frame is no longer used.
void release_return(struct release *release, struct reel_rec_taken rec);
// Before the main loop sleeps: false when a frame has returned that was not
// taken yet, else the next return rings the bell.
bool release_arm(struct release *release);
// The next returned frame; false when there is none.
bool release_next(struct release *release, struct reel_rec_taken *out_rec);

#endif
