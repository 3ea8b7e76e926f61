// SPDX-License-Identifier: MIT
//
// Which frames are too late. See late.h.
#include "coordinator/late.h"

#define AHEAD_SHARE 8 // of the latency: what may lie at a worker

static bool is_dropped(const struct lane *lane, uint32_t n)
{
    uint8_t state = lane->frame[n % lane->p.in_slots].state;
    return n < lane->decoded && (state == SLOT_FREE || state == SLOT_DROPPED);
}

// Frames of the window that are to be encoded, or may be, without n: those at its end
// lack what is looked at behind them.
static uint32_t others(const struct lane *lane, uint32_t n)
{
    uint32_t count = 0;
    for (uint32_t i = lane->low; i + lane->p.after < lane->window_end; i++) count += i != n && !is_dropped(lane, i);
    return count;
}

static bool may_drop(const struct lane *lane, uint32_t n, uint32_t hold)
{
    if (lane->frame[n % lane->p.in_slots].kept) return false;
    hold += lane->p.pairs;                           // one that stays needs a next one
    return n == lane->low || others(lane, n) > hold; // the lowest one makes room by being dropped
}

uint32_t late_drop(struct lane *lane, uint32_t hold, int64_t now_us, int64_t latency_us)
{
    uint32_t dropped = 0;
    if (lane->state != LANE_OPEN) return 0;
    uint32_t n = lane->work_from > lane->low ? lane->work_from : lane->low; // no frame below waits
    for (; n < lane->decoded; n++) {
        const struct lane_frame *f = lane_frame_of(lane, n);
        if (!f || f->state != SLOT_DECODED) continue;
        if (now_us - f->decoded_us <= latency_us) break; // those behind it came later
        if (!may_drop(lane, n, hold)) continue;
        lane_drop(lane, n);
        dropped++;
    }
    if (dropped) lane_next_work(lane, 0); // its window looks at where work begins
    return dropped;
}

double late_ahead_us(int64_t latency_us)
{
    return (double)latency_us / AHEAD_SHARE;
}
