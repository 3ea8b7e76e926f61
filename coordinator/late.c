// SPDX-License-Identifier: MIT
//
// Which frames are too late. See late.h.
#include "coordinator/late.h"

#define AHEAD_SHARE 8 // a worker may hold an eighth of the latency in frames

static bool is_dropped(const struct lane *lane, uint32_t n)
{
    uint8_t state = lane->frame[n % lane->p.in_slots].state;
    return n < lane->decoded && (state == SLOT_FREE || state == SLOT_DROPPED);
}

// How many frames of the window, apart from n, can still be encoded. Those at the window's end
// do not count, because the frames after them are missing.
static uint32_t others(const struct lane *lane, uint32_t n)
{
    uint32_t count = 0;
    for (uint32_t i = lane->low; i + lane->p.after < lane->window_end; i++) count += i != n && !is_dropped(lane, i);
    return count;
}

static bool may_drop(const struct lane *lane, uint32_t n, uint32_t hold)
{
    if (lane->frame[n % lane->p.in_slots].kept) return false;
    hold += lane->p.pairs;                           // the last one kept needs a frame to pair with
    return n == lane->low || others(lane, n) > hold; // dropping the lowest frame moves the window
}

uint32_t late_drop(struct lane *lane, uint32_t hold, int64_t now_us, int64_t latency_us)
{
    uint32_t dropped = 0;
    if (lane->state != LANE_OPEN) return 0;
    uint32_t n = lane->work_from > lane->low ? lane->work_from : lane->low; // no frame below this one is waiting
    for (; n < lane->decoded; n++) {
        const struct lane_frame *f = lane_frame_of(lane, n);
        if (!f || f->state != SLOT_DECODED) continue;
        if (now_us - f->decoded_us <= latency_us) break; // all later frames are younger
        if (!may_drop(lane, n, hold)) continue;
        lane_drop(lane, n);
        dropped++;
    }
    if (dropped) lane_next_work(lane, 0); // updates work_from, on which the window depends
    return dropped;
}

double late_ahead_us(int64_t latency_us)
{
    return (double)latency_us / AHEAD_SHARE;
}
