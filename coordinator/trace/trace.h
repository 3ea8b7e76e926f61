// SPDX-License-Identifier: MIT
//
// --trace: what every stage did when, as events of the Trace Event Format (for
// ui.perfetto.dev, chrome://tracing). Made of what the coordinator learns anyway,
// the messages and the times in them: no process does anything more for it, and
// the times of others are those at which their messages came.
//
// One process row each for the coordinator, decoders, workers and aggregators, the
// same over all lives of a process; rows below it are lanes (decoder, aggregator),
// "network" (worker) and "jobs" (scans, proofs, muxing). Of each frame there are
//
//   decode   from the frame before it (or the room for it) to DECODED
//   infer    of one worker: total_us of DONE before it came; the wait is queued_us
//   encode   from the frame before it (or FRAME) to TAKEN; the wait is queued_us
//
// which follow one another on their rows, and are tied to each other as a flow.
// Parts of a frame and second tries are infer events of their own.
//
// Called by run.c with every message. Observes; nothing is decided here.
#ifndef COORDINATOR_TRACE_H
#define COORDINATOR_TRACE_H

#include "common/bus.h"

struct run;
struct proc;
struct trace;

// Opens --trace's file once run->sup is set up. When run.sh started the coordinator
// anew (REELMILL_LIFE) the trace of the life before goes on. Errors: CONFIG, NOMEM.
enum reel_err trace_create(const struct run *run, struct trace **out);
// Ends all that is open, and the file.
void trace_destroy(struct trace **trace, const struct run *run);

// A message of p, before its records are acted on.
void trace_received(struct trace *trace, const struct run *run, const struct proc *p, const struct reel_msg *msg);
// A record for p.
void trace_sent(struct trace *trace, const struct run *run, const struct proc *p, enum reel_msg_type type,
                const void *record);
// p, not started again yet, is dead.
void trace_death(struct trace *trace, const struct run *run, const struct proc *p, const char *why);
// Counters; writes out what there is once a second. Not NULL, once: why the trace
// ends here (a full disk).
const char *trace_tick(struct trace *trace, const struct run *run, int64_t now_us);

#endif
