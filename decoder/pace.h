// SPDX-License-Identifier: MIT
//
// The pace of a live input that would come faster than it is to be seen: a packet's
// turn is when as much time has passed as its timestamp says. Pure; time comes in.
// Called by reader.c for every packet.
#ifndef REEL_DECODER_PACE_H
#define REEL_DECODER_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    int64_t ahead_us; // packets may come so much sooner than their time
    bool begun;
    int64_t wall_us, ts_us; // a packet of time ts_us is due at wall_us
    int64_t last_us;        // timestamp of the packet before
};

// From now on another packet is the first.
void pace_begin(struct pace *pace, int64_t ahead_us);
// How long the packet of time ts_us is to be held. Who is late (the input, or
// whoever takes the packets) goes on from there: nothing is made up for by haste.
int64_t pace_wait_us(struct pace *pace, int64_t ts_us, int64_t now_us);

#endif
