// SPDX-License-Identifier: MIT
//
// Frames under suspicion: at which frame of which segment a stage crashed by
// itself, how often, and which are quarantined. A death from outside (SIGKILL,
// SIGTERM) never counts; before a frame is given up it is tried alone.
//
// Keys are (segment, n), which do not depend on lanes or epochs. One set per
// job. Pure. Called by flow.c and jobs.c.
#ifndef COORDINATOR_POISON_H
#define COORDINATOR_POISON_H

#include <stdbool.h>
#include <stdint.h>

struct poison_frame {
    uint32_t segment, n;
    uint32_t crashes;
    bool quarantined;
};

// Process-private; zero-initialised is empty.
struct poison {
    struct poison_frame *frame;
    uint32_t count, capacity;
};

void poison_fini(struct poison *p);
// NULL when nothing is known of it.
const struct poison_frame *poison_find(const struct poison *p, uint32_t segment, uint32_t n);
// A stage crashed while it had the frame. True when that is the crash that
// quarantines it: at least `tries`, and this one alone.
bool poison_on_crash(struct poison *p, uint32_t segment, uint32_t n, bool alone, uint32_t tries);
// The frame went through: the suspicion was wrong.
void poison_on_done(struct poison *p, uint32_t segment, uint32_t n);
// From the journal of an earlier run.
void poison_restore(struct poison *p, uint32_t segment, uint32_t n);
// How many of the segment's frames from number `from` on are quarantined.
uint32_t poison_quarantined(const struct poison *p, uint32_t segment, uint32_t from);

#endif
