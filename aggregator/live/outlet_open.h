// SPDX-License-Identifier: MIT
//
// Opening and closing the destination of an outlet, and the one call that writes:
// each in bounded time. Used by outlet.c alone.
#ifndef REEL_AGGREGATOR_LIVE_OUTLET_OPEN_H
#define REEL_AGGREGATOR_LIVE_OUTLET_OPEN_H

#include <stdatomic.h>

#include "aggregator/live/live.h"
#include "aggregator/sink/mux_head.h"

// All zero but the first group is closed.
struct channel {
    struct live *live;
    const struct mux_head *head;
    const _Atomic bool *stop; // give up at once

    AVFormatContext *oc;
    int64_t deadline_us;
    bool timed_out;
    int64_t next_tick;          // of a container that has a rate in place of times
    char path[REEL_PATH_BYTES]; // of a file
};

// Connects or creates, and writes the header; `again`: a stream that was begun before
// goes on. Closed after an error, whose reason is in why.
int channel_open(struct channel *c, bool again, char *why, size_t why_bytes);
// One packet, whose timestamps are the container's, out at once.
int channel_write(struct channel *c, AVPacket *packet, char *why, size_t why_bytes);
// With its trailer, unless it is broken. A file is on the disk afterwards.
int channel_close(struct channel *c, bool broken, char *why, size_t why_bytes);

#endif
