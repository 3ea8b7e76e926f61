// SPDX-License-Identifier: MIT
//
// Frames whose parts exchange rows while they are worked on: all parts of one are
// given at the same time, to a team of as many workers, and all workers of a team
// have its frames in the same order. Each giving is a round (common/rounds.h) with
// a number of its own.
//
// When a member dies, gives up or must let go of its lane, all rounds given so far
// are over; nothing more is given until every part of them is answered for or its
// holder dead. So nobody who is still in an old round can meet somebody of a new
// one, and the team may then be other workers.
//
// Pure: events in, answers out. Called by flow.c, which tells the members.
#ifndef COORDINATOR_TEAM_H
#define COORDINATOR_TEAM_H

#include "coordinator/dispatch.h"

// So often in a row rounds may end with no frame done in between: then it is given
// up, and frames go whole. Deaths have budgets of their own (supervise.h), which
// are smaller.
#define TEAM_MOST_BREAKS 40

// Plain data.
struct team {
    uint64_t round;                  // the last one given
    bool broken;                     // the rounds given are over, and not all parts are back
    bool off;                        // given up for this run
    uint32_t breaks;                 // since a frame was done
    uint32_t n;                      // members
    uint16_t member[LANE_MAX_PARTS]; // of the rounds in work
};

struct team_give {
    uint64_t round;
    uint32_t lane, n, out_slot, parts;
    uint16_t worker[LANE_MAX_PARTS]; // by part
};

// Decides the next round and books it in lanes and d. False: nothing to give.
bool team_next(struct team *t, struct dispatch *d, struct lane *lanes, uint32_t n_lanes, int64_t now_us,
               struct team_give *out);
// A member is dead, has given up or is asked to let go, before that is booked in
// lanes. True: all rounds up to t->round are over now.
bool team_break(struct team *t, const struct lane *lanes, uint32_t n_lanes);
void team_on_done(struct team *t);

#endif
