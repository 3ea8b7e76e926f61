// SPDX-License-Identifier: MIT
//
// The pace of a live input that arrives faster than real time: a packet is due when
// as much time has passed as its timestamp says. Pure; the time is an argument.
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

// Starts over: the next packet is the first.
void pace_begin(struct pace *pace, int64_t ahead_us);
// How long to hold the packet of time ts_us. After a delay (of the input, or of
// whoever takes the packets) the clock continues from there: lost time is not
// caught up.
int64_t pace_wait_us(struct pace *pace, int64_t ts_us, int64_t now_us);

#endif
