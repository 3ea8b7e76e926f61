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
// Before the first round all workers of the run are asked once to join their devices,
// so that rows need not go through host memory. A worker's death or a round that ends
// early stops this for the rest of the run.
//
// Pure: events in, answers out. Called by flow.c, which tells the members.
#ifndef COORDINATOR_TEAM_H
#define COORDINATOR_TEAM_H

#include "coordinator/dispatch.h"

// After this many rounds in a row without a finished frame, splitting is given up
// and frames go whole. Deaths have their own budgets (supervise.h), which are
// smaller.
#define TEAM_MOST_BREAKS 40

enum team_join {
    TEAM_UNASKED,
    TEAM_ASKED,
    TEAM_JOINED,
    TEAM_APART, // for good
};

// Plain data.
struct team {
    uint64_t round;  // the last one given
    bool broken;     // the rounds given are over, and not all parts are back
    bool off;        // given up for this run
    uint32_t breaks; // since a frame was done
    enum team_join join;
    uint32_t unjoined;               // ASKED: answers that are to come
    uint32_t n;                      // members
    uint16_t member[LANE_MAX_PARTS]; // of the rounds in work
};

struct team_give {
    uint64_t round;
    uint32_t lane, n, out_slot, parts;
    uint16_t worker[LANE_MAX_PARTS]; // by part
    bool direct;                     // rows go from device to device
};

// Whether the time to join has come, that is all workers of d are up: each is asked
// then, and answers. No round begins before it is settled.
bool team_asks(struct team *t, const struct dispatch *d, const struct lane *lanes, uint32_t n_lanes);
void team_on_joined(struct team *t, bool ok);
// A worker is gone, or they are not to be asked.
void team_part(struct team *t);
// Decides the next round and books it in lanes and d. False: nothing to give.
bool team_next(struct team *t, struct dispatch *d, struct lane *lanes, uint32_t n_lanes, int64_t now_us,
               struct team_give *out);
// A member is dead, has given up or is asked to let go, before that is booked in
// lanes. True: all rounds up to t->round are over now.
bool team_break(struct team *t, const struct lane *lanes, uint32_t n_lanes);
void team_on_done(struct team *t);

#endif
