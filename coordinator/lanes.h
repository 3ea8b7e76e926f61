// SPDX-License-Identifier: MIT
//
// A lane: one segment in progress, as the coordinator sees it. The slot table
// of common/proto.h in code: which frame is in which state, who may touch its
// slots, how far the decoder may write, what goes to the aggregator next.
//
// Pure: events in, answers out; no socket, no shared memory, no clock. Called
// by coordinator/flow.c (which sends what is answered) and dispatch.c.
//
// Invariant: frames [low, window_end) are in flight, window_end <= low +
// in_slots, so that two frames in flight never share an input slot; a frame is
// given to a worker only below low + out_slots, so that none shares an output
// slot (of a loose lane: only with a slot that no other frame has). low moves only
// over frames that nobody can touch any more.
//
// A network may look at the frames around each: frame n is given, and sent on, when
// those to n + after are decoded, and the input slots of those from n - before on
// stay until it is free: the window ends so many frames sooner.
//
// A segment may have context before its range and behind its end: frames that are decoded
// to be seen, and neither given nor sent.
//
// A network may carry a state from frame to frame (stateful): all frames of the lane go
// to one worker (its keeper), in order, and when that is gone with frames to come, or has
// failed at one, the epoch is over. A frame that is filled in leaves the state as it was.
//
// The first frames of a lane may be there for that state alone (warm-up): they are done,
// and free, and the aggregator never hears of them.
//
// A frame may be worked on in parts: bands of its picture, given to workers one
// by one, all of them written into the one output slot. It is DONE when every
// part is; a worker's death gives back the parts that it held and no others. Or
// all parts are given at the same time (together): they need each other, and when
// one is lost all are done again, once everybody has let go of the others.
//
// A lane of a live input may drop a frame that nobody has begun: its output is
// given up, and the aggregator told nothing. Its picture stays for its neighbours
// as long as theirs do.
//
// A network may make what lies between two frames (pairs): each is seen with the next one
// that was not dropped, and once that has begun the next one is kept: pictures lead to it.
#ifndef COORDINATOR_LANES_H
#define COORDINATOR_LANES_H

#include <stdbool.h>
#include <stdint.h>

#define LANE_MAX_SLOTS 512
#define LANE_MAX_WORKERS 384
#define LANE_MAX_SPARES 8
#define LANE_MAX_PARTS 8
#define LANE_NO_WORKER UINT16_MAX

// See the table in common/proto.h.
enum slot_state {
    SLOT_FREE,    // nobody touches it
    SLOT_FILLING, // the decoder may write the input
    SLOT_DECODED, // the input is complete, nobody reads
    SLOT_GIVEN,   // its holders read the input and write outputs
    SLOT_DONE,    // the output is complete
    SLOT_READY,   // the aggregator may read input and output
    SLOT_TAKEN,   // the aggregator has let go; free when every holder has
    SLOT_DROPPED, // given up by live policy
    SLOT_STATES,
};

#define LANE_CONTEXT (1u << 0) // of a frame's flags: REEL_FRAME_CONTEXT
#define LANE_WARMUP (1u << 3)  // likewise: REEL_FRAME_WARMUP; of context before the range both

enum lane_state {
    LANE_IDLE,    // no segment
    LANE_OPEN,    // an epoch runs
    LANE_CLOSING, // CLOSE_LANE is out; waits for its members
};

enum lane_result {
    LANE_OK,
    LANE_STALE, // of another epoch, or a late answer: drop it
    LANE_BAD,   // the peer broke the protocol
};

struct lane_holder {
    uint16_t worker;   // or LANE_NO_WORKER
    uint16_t out_slot; // that it may write
};

struct lane_frame {
    uint8_t state;      // enum slot_state
    uint8_t flags;      // enum reel_frame_flag
    uint8_t suspicion;  // crashes of stages while they had it, see poison.h
    bool answered_slot; // out_slot is set
    uint16_t out_slot;  // of the first answer
    uint16_t spare;     // in use by it + 1, 0 none
    uint16_t own;       // loose: output slot that was taken for it + 1, 0 none
    uint8_t held;       // holders that are set
    bool kept;          // pictures of the frame before lead to it: not to be dropped
    uint8_t parts_done; // bit mask, of frames in parts
    uint8_t fill_flags; // quarantined while others still held parts: flags to come
    // Whole frames: the first worker and a second one. Frames in parts: of each part.
    struct lane_holder holder[LANE_MAX_PARTS];
    int64_t pts, duration;
    int64_t given_us;   // to the present first holder
    int64_t decoded_us; // set by the caller of lane_on_decoded() where it matters (live)
};

struct lane_params {
    uint32_t epoch; // higher than every one before
    uint32_t job, segment;
    uint32_t shape; // frames of lanes with equal shape may share a batch
    uint32_t in_slots, out_slots, out_spares;
    uint32_t before, after; // frames that are seen with each; in_slots are more than both
    uint32_t parts;         // of each frame; 0 or 1: whole frames
    bool pairs;             // after is 1, of the frames that are not dropped
    bool loose;             // output slots are taken as they are free and not by number (whole frames only)
    bool together;          // parts are given and done all at once, by team.c
    bool stateful;          // frames go to one worker, in order: each begins with what the one before left
    uint64_t order;         // oldest first: smaller is older
};

// Process-private; plain data.
struct lane {
    enum lane_state state;
    struct lane_params p;
    bool limited; // only the allowed may be given frames (rings on a device)
    uint64_t allowed[(LANE_MAX_WORKERS + 63) / 64];
    uint32_t keeper;     // of a stateful lane: the worker that has its state, or LANE_NO_WORKER
    uint32_t low;        // lowest frame that is not free again
    uint32_t window_end; // the decoder may write below
    uint32_t decoded;    // frames 0..decoded-1 have been announced
    uint32_t context;    // of these the last ones, which are context
    uint32_t warmup;     // and the first ones, before the segment's range: context, or there for the state alone
    uint32_t work_from;  // no frame below is DECODED
    uint32_t sent;       // FRAMEs below went to the aggregator, or were dropped; it was not dropped itself
    uint32_t taken;      // count of TAKEN frames
    uint32_t dropped;    // count of dropped frames,
    uint32_t skipped;    // frames below sent that the aggregator was told nothing of
    uint32_t frames;     // total, when ended
    bool ended, finished, committed;
    uint64_t slots_used[LANE_MAX_SLOTS / 64];           // loose: output slots, bit masks
    uint32_t spares_used;                               // bit mask
    uint64_t members[(LANE_MAX_WORKERS + 2 + 63) / 64]; // have this epoch, and owe LANE_CLOSED
    struct lane_frame frame[LANE_MAX_SLOTS];            // n mod in_slots
};

// Members of an epoch.
enum { LANE_MEMBER_DECODER, LANE_MEMBER_AGGREGATOR, LANE_MEMBER_WORKER0 };

void lane_init(struct lane *lane);
// IDLE -> OPEN. Slots within 1..LANE_MAX_SLOTS, spares within LANE_MAX_SPARES.
void lane_open(struct lane *lane, const struct lane_params *params);
void lane_join(struct lane *lane, uint32_t member);
bool lane_has_member(const struct lane *lane, uint32_t member);

// ---- events from peers ----------------------------------------------------
enum lane_result lane_on_decoded(struct lane *lane, uint32_t epoch, uint32_t n, uint32_t flags, int64_t pts,
                                 int64_t duration);
enum lane_result lane_on_end(struct lane *lane, uint32_t epoch, uint32_t frames);
// *out_first: this answer is the one that made the frame DONE.
enum lane_result lane_on_done(struct lane *lane, uint32_t epoch, uint32_t n, uint32_t part, uint32_t worker,
                              uint32_t out_slot, bool *out_first);
// A worker could not do a part (0: of whole frames) of frame n and let it go: it may be given again.
enum lane_result lane_on_refused(struct lane *lane, uint32_t epoch, uint32_t n, uint32_t part, uint32_t worker);
enum lane_result lane_on_taken(struct lane *lane, uint32_t epoch, uint32_t n);
enum lane_result lane_on_committed(struct lane *lane, uint32_t epoch, uint32_t frames);
// A member answered LANE_CLOSED, or is dead (by its pidfd).
enum lane_result lane_on_closed(struct lane *lane, uint32_t epoch, uint32_t member);
// Its frames and parts can be given to others again; returns how many it held.
uint32_t lane_on_worker_gone(struct lane *lane, uint32_t worker);

// ---- who may serve it -----------------------------------------------------
// A stateful lane belongs to one worker, from its first frame to the end of its epoch.
// Until it is bound, none of its frames can be given out.
void lane_bind(struct lane *lane, uint32_t worker);
// Its keeper is gone but the epoch continues: another worker starts without state.
void lane_unbind(struct lane *lane);
// Whether it is OPEN, and worker has a state that frames to come need.
bool lane_needs(const struct lane *lane, uint32_t worker);
// From now on only allowed workers are given frames; none is at first.
void lane_limit(struct lane *lane);
void lane_allow(struct lane *lane, uint32_t worker);
void lane_disallow(struct lane *lane, uint32_t worker);
bool lane_may_serve(const struct lane *lane, uint32_t worker);

// ---- what may be done now -------------------------------------------------
// True and *out_end for a new end of the window that is worth a message.
bool lane_next_window(struct lane *lane, uint32_t *out_end);
// Number of frames after n that are available, at most `after` of lane_params.
uint32_t lane_after(const struct lane *lane, uint32_t n);
// The first of these; n: there is none.
uint32_t lane_next_seen(const struct lane *lane, uint32_t n);
// Lowest frame >= from of which a worker may be given a part (or all); UINT32_MAX: none.
uint32_t lane_next_work(struct lane *lane, uint32_t from);
// The part of frame n (from lane_next_work) that is given next; 0 of whole frames.
uint32_t lane_next_part(const struct lane *lane, uint32_t n);
// Gives frame n (from lane_next_work), or its lane_next_part(), to worker; returns the output slot.
uint32_t lane_give(struct lane *lane, uint32_t n, uint32_t worker, int64_t now_us);
// Gives all parts of frame n (from lane_next_work, of a lane whose parts go
// together), part i to workers[i]; returns the output slot.
uint32_t lane_give_together(struct lane *lane, uint32_t n, const uint16_t *workers, int64_t now_us);
// The frame everybody waits for, if one worker has had it since before
// `before_us`, the window is used up behind it and a spare slot is free;
// UINT32_MAX: none.
uint32_t lane_late_head(const struct lane *lane, int64_t before_us);
// Gives a GIVEN frame to a second worker; returns the spare slot.
uint32_t lane_give_second(struct lane *lane, uint32_t n, uint32_t worker);
// The next frame for the aggregator, now READY; NULL: none. *out_n its number.
const struct lane_frame *lane_next_frame(struct lane *lane, uint32_t *out_n);
// Frames that are with the aggregator now.
uint32_t lane_at_aggregator(const struct lane *lane);
// True once: all frames (that were not dropped: *out_frames) are with the aggregator and the end is known.
bool lane_next_finish(struct lane *lane, uint32_t *out_frames);

// ---- control --------------------------------------------------------------
// Frame n is not processed: flags say how the aggregator replaces it. If others
// still hold parts of it, this waits for them.
void lane_quarantine(struct lane *lane, uint32_t n, uint32_t flags);
// Frame n, in flight, DECODED and not kept, is given up: nobody is told of it.
void lane_drop(struct lane *lane, uint32_t n);
// Its decoder is gone but the lane continues: what was announced is all there
// is.
void lane_cut_short(struct lane *lane);
// OPEN -> CLOSING. Workers' holdings stay until they answer or die.
void lane_close(struct lane *lane);
// CLOSING and nobody owes an answer: -> IDLE, true.
bool lane_next_idle(struct lane *lane);
struct lane_frame *lane_frame_of(struct lane *lane, uint32_t n); // NULL when not in flight
// Whether worker holds frame f or a part of it.
bool lane_frame_is_with(const struct lane_frame *f, uint32_t worker);
// Frames and parts that worker holds; LANE_NO_WORKER: that anybody does.
uint32_t lane_held_by(const struct lane *lane, uint32_t worker);

#endif
