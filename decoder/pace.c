// SPDX-License-Identifier: MIT
//
// Waiting for a packet's time. See pace.h.
#include "decoder/pace.h"

#define BACK_US INT64_C(1000000)   // if timestamps go back by more than this, the clock is set again,
#define AHEAD_US INT64_C(10000000) // and also if they leap ahead by more than this,
#define LATE_US INT64_C(200000)    // or if the reader is later than this; smaller delays are caught up

void pace_begin(struct pace *p, int64_t ahead_us)
{
    *p = (struct pace){.ahead_us = ahead_us};
}

static int64_t settle(struct pace *p, int64_t ts_us, int64_t now_us)
{
    p->begun = true;
    p->wall_us = now_us;
    p->ts_us = p->last_us = ts_us;
    return 0;
}

int64_t pace_wait_us(struct pace *p, int64_t ts_us, int64_t now_us)
{
    if (!p->begun || ts_us < p->last_us - BACK_US || ts_us > p->last_us + AHEAD_US) return settle(p, ts_us, now_us);
    int64_t due_us = p->wall_us + (ts_us - p->ts_us);
    if (now_us > due_us + LATE_US) return settle(p, ts_us, now_us);
    if (ts_us > p->last_us) p->last_us = ts_us;
    int64_t wait_us = due_us - p->ahead_us - now_us;
    return wait_us > 0 ? wait_us : 0;
}
