// SPDX-License-Identifier: MIT
//
// What the parts of flow share: flow.c (messages, and what follows from them),
// flow_open.c (a lane begins), flow_gone.c (deaths and failures), flow_team.c
// (frames that several workers do together). What others call is in coordinator.h.
#ifndef COORDINATOR_FLOW_H
#define COORDINATOR_FLOW_H

#include "coordinator/coordinator.h"

// The lane a record of p names; NULL (p is killed) when there is none such.
struct lane *flow_lane_of(struct run *run, struct proc *p, uint32_t lane);
// Whether p is the decoder or aggregator that the lane is bound to.
bool flow_is_bound(const struct run *run, const struct proc *p, uint32_t lane);
// Kills p when what it said of frame n cannot be.
void flow_judge(struct proc *p, enum lane_result result, const char *what, uint32_t lane, uint32_t n);
struct job *flow_job_of(struct run *run, const struct lane *lane);
uint32_t flow_member_of(const struct proc *p);
// Lanes that p, a decoder or aggregator, is bound to; whether one of them wants it alone.
uint32_t flow_load_of(const struct run *run, const struct proc *p, bool *out_taken_alone);

// Binds an idle lane to a segment and opens it; false: nobody, or no memory, is there for it now.
bool flow_open_lane(struct run *run, uint32_t l, struct job *job, uint32_t segment, int64_t now_us);
// The lane's slots go back: its ring holds no memory any more.
void flow_release_ring(struct lane_io *io);

// The epoch is given up; its segment starts again later.
void flow_give_up(struct run *run, uint32_t l);
// A member has let go, or is dead.
void flow_drop_member(struct run *run, uint32_t l, uint32_t member);
// How a frame that is given up is filled in (enum reel_frame_flag).
uint32_t flow_fill_in_flag(const struct run *run);

#endif
