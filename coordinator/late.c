// SPDX-License-Identifier: MIT
//
// Which frames are too late. See late.h.
#include "coordinator/late.h"

#define AHEAD_SHARE 8 // of the latency: what may lie at a worker

uint32_t late_drop(struct lane *lane, int64_t now_us, int64_t latency_us)
{
    uint32_t dropped = 0;
    if (lane->state != LANE_OPEN) return 0;
    uint32_t n = lane->work_from > lane->low ? lane->work_from : lane->low; // no frame below waits
    for (; n < lane->decoded; n++) {
        const struct lane_frame *f = lane_frame_of(lane, n);
        if (!f || f->state != SLOT_DECODED) continue;
        if (now_us - f->decoded_us <= latency_us) break; // those behind it came later
        lane_drop(lane, n);
        dropped++;
    }
    return dropped;
}

double late_ahead_us(int64_t latency_us)
{
    return (double)latency_us / AHEAD_SHARE;
}
