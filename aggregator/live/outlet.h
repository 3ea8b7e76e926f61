// SPDX-License-Identifier: MIT
//
// The destination of a live video's packets: a file or an address, open from the
// first packet to the end of the job, over all lanes. A separate thread writes, so
// that an unresponsive server does not hold up the main loop; every call that may
// wait for one has a time-out.
//
//   main loop                          the outlet's thread
//   ---------                          -------------------
//   outlet_attempt, outlet_put ------> connects, writes the header
//                                      merges with the attempt's other streams (follow.h)
//   outlet_ready: has it room?  <----- writes, counts (live_wrote), rings
//   outlet_drain, outlet_finish -----> writes the rest, the trailer
//
// A connection that breaks is made again, after 0.5 s and ever longer up to 5 s, for
// as long as the job runs. Frames of that time are dropped (live_gave_up) and
// reported; afterwards the stream resumes with a keyframe. A file that cannot be
// written fails the job.
#ifndef REEL_AGGREGATOR_LIVE_OUTLET_H
#define REEL_AGGREGATOR_LIVE_OUTLET_H

#include "aggregator/av.h"
#include "aggregator/live/live.h"
#include "common/pack.h"

struct outlet;

// live is borrowed. Errors: NOMEM, UNSUPPORTED (no container of that name).
enum reel_err outlet_create(struct live *live, const struct reel_media *media, struct outlet **out_outlet);
// Abandons what was not written. False: its thread is stuck in a library and was left
// running, with everything that it uses. Accepts &NULL (true).
bool outlet_destroy(struct outlet **outlet);

// An attempt's packets follow; `video` must be as in the attempt before. Errors:
// FAULT (it is not), NOMEM.
enum reel_err outlet_attempt(struct outlet *outlet, uint32_t attempt, const struct reel_pack_stream *video);
// Whether another frame may be put; if not, the bell rings as soon as it may.
bool outlet_ready(struct outlet *outlet);
// Number of connections so far that broke or could not be made; *out_down: there is
// none now, and frames are to be given up before they are encoded.
uint32_t outlet_breaks(struct outlet *outlet, bool *out_down);
// A frame is given up because there is no connection.
void outlet_give_up(struct outlet *outlet);
// Takes a reference. Errors: what the thread failed with (IO, FAULT), NOMEM.
enum reel_err outlet_put(struct outlet *outlet, const AVPacket *packet);
// Waits until what was put is written or given up, and the attempt's other streams
// as far as they are there. Bounded by the time-outs.
void outlet_drain(struct outlet *outlet);
// What the thread failed with, as outlet_put() says it; OK.
enum reel_err outlet_error(struct outlet *outlet);
// The trailer, for good. *out_lost: what of the input is not in the output.
enum reel_err outlet_finish(struct outlet *outlet, struct reel_kept *out_lost, uint64_t *out_bytes);

// ---- for tests ----------------------------------------------------------------

enum outlet_choice {
    OUTLET_WAIT,
    OUTLET_VIDEO,
    OUTLET_OTHER,
};

// What could be written next, and since when. Times in us; INT64_MAX: there is none.
struct outlet_heads {
    int64_t video_us, other_us;       // decoding timestamps
    int64_t video_since, other_since; // when they came
    bool others_in_time;              // audio has come before its video so far
    bool ending;                      // nothing more will come
};
// Which head goes first. Where one is missing that may yet come, the other waits, but
// not beyond hold_us after it came. *out_wait_us: with WAIT, how long at most.
enum outlet_choice outlet_choose(const struct outlet_heads *heads, int64_t now, int64_t video_hold_us,
                                 int64_t other_hold_us, int64_t *out_wait_us);

#endif
