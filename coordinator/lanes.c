// SPDX-License-Identifier: MIT
//
// The slot table in code. See lanes.h and the table in common/proto.h.
#include "coordinator/lanes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A failure is a bug of ours, and continuing could let two processes use one slot.
#define LANE_ASSERT(cond)                                                                \
    do {                                                                                 \
        if (!(cond)) {                                                                   \
            fprintf(stderr, "lanes: assertion failed: %s (line %d)\n", #cond, __LINE__); \
            abort();                                                                     \
        }                                                                                \
    } while (0)

#define TO(state) (1u << SLOT_##state)

// The states that may follow each state: the table in common/proto.h, row by row.
static const unsigned legal_next[SLOT_STATES] = {
    [SLOT_FREE] = TO(FILLING),
    [SLOT_FILLING] = TO(DECODED),
    [SLOT_DECODED] = TO(GIVEN) | TO(DONE) | TO(DROPPED), // DONE: no worker needs to see it (quarantined, context)
    [SLOT_GIVEN] = TO(DONE) | TO(DECODED),
    [SLOT_DONE] = TO(READY),
    [SLOT_READY] = TO(TAKEN),
    [SLOT_TAKEN] = TO(FREE),
    [SLOT_DROPPED] = TO(FREE),
};

static void move(struct lane_frame *f, enum slot_state to)
{
    LANE_ASSERT(legal_next[f->state] & (1u << to));
    f->state = (uint8_t)to;
}

static struct lane_frame *at(struct lane *lane, uint32_t n)
{
    return &lane->frame[n % lane->p.in_slots];
}

static bool in_flight(const struct lane *lane, uint32_t n)
{
    return n >= lane->low && n < lane->window_end;
}

struct lane_frame *lane_frame_of(struct lane *lane, uint32_t n)
{
    return lane->state != LANE_IDLE && in_flight(lane, n) ? at(lane, n) : NULL;
}

static bool in_parts(const struct lane *lane)
{
    return lane->p.parts > 1;
}

static const struct lane_frame no_frame = {.holder = {[0 ... LANE_MAX_PARTS - 1] = {LANE_NO_WORKER, 0}}};

static void hold(struct lane_frame *f, int i, uint32_t worker, uint32_t out_slot)
{
    LANE_ASSERT(f->holder[i].worker == LANE_NO_WORKER);
    f->holder[i] = (struct lane_holder){(uint16_t)worker, (uint16_t)out_slot};
    f->held++;
}

static void let_go(struct lane_frame *f, int i)
{
    LANE_ASSERT(f->holder[i].worker != LANE_NO_WORKER && f->held);
    f->holder[i].worker = LANE_NO_WORKER;
    f->held--;
}

bool lane_frame_is_with(const struct lane_frame *f, uint32_t worker)
{
    for (int i = 0; f->held && i < LANE_MAX_PARTS; i++)
        if (f->holder[i].worker == worker) return true;
    return false;
}

void lane_init(struct lane *lane)
{
    memset(lane, 0, sizeof *lane);
}

void lane_open(struct lane *lane, const struct lane_params *params)
{
    LANE_ASSERT(lane->state == LANE_IDLE && params->epoch > lane->p.epoch);
    LANE_ASSERT(params->in_slots >= 1 && params->in_slots <= LANE_MAX_SLOTS);
    LANE_ASSERT(params->out_slots >= 1 && params->out_slots <= LANE_MAX_SLOTS && params->out_spares <= LANE_MAX_SPARES);
    LANE_ASSERT(params->in_slots > params->before + params->after);
    LANE_ASSERT(!params->pairs || params->after == 1);
    LANE_ASSERT(!params->loose || params->parts < 2);
    LANE_ASSERT(params->parts <= LANE_MAX_PARTS && (!params->together || params->parts > 1));
    LANE_ASSERT(!params->stateful || params->parts < 2);
    lane_init(lane);
    lane->p = *params;
    lane->state = LANE_OPEN;
    lane->keeper = LANE_NO_WORKER;
    for (uint32_t i = 0; i < params->in_slots; i++) lane->frame[i] = no_frame;
}

void lane_join(struct lane *lane, uint32_t member)
{
    LANE_ASSERT(member < LANE_MAX_WORKERS + 2);
    lane->members[member / 64] |= UINT64_C(1) << member % 64;
}

bool lane_has_member(const struct lane *lane, uint32_t member)
{
    return lane->members[member / 64] >> member % 64 & 1;
}

void lane_limit(struct lane *lane)
{
    lane->limited = true;
}

void lane_allow(struct lane *lane, uint32_t worker)
{
    LANE_ASSERT(worker < LANE_MAX_WORKERS);
    lane->allowed[worker / 64] |= UINT64_C(1) << worker % 64;
}

void lane_disallow(struct lane *lane, uint32_t worker)
{
    LANE_ASSERT(worker < LANE_MAX_WORKERS);
    lane->allowed[worker / 64] &= ~(UINT64_C(1) << worker % 64);
}

void lane_bind(struct lane *lane, uint32_t worker)
{
    LANE_ASSERT(lane->p.stateful && lane->keeper == LANE_NO_WORKER && worker < LANE_MAX_WORKERS);
    lane->keeper = worker;
}

void lane_unbind(struct lane *lane)
{
    LANE_ASSERT(lane->p.stateful && !lane_held_by(lane, lane->keeper));
    lane->keeper = LANE_NO_WORKER;
}

bool lane_needs(const struct lane *lane, uint32_t worker)
{
    if (lane->state != LANE_OPEN || !lane->p.stateful || lane->keeper != worker) return false;
    if (!lane->ended) return true;
    for (uint32_t n = lane->low; n < lane->decoded; n++) {
        const struct lane_frame *f = &lane->frame[n % lane->p.in_slots];
        if (f->state == SLOT_DECODED || f->state == SLOT_GIVEN) return true;
    }
    return false;
}

bool lane_may_serve(const struct lane *lane, uint32_t worker)
{
    if (lane->p.stateful && lane->keeper != worker) return false;
    return !lane->limited || (lane->allowed[worker / 64] >> worker % 64 & 1);
}

// ---- output slots of a loose lane -------------------------------------------------

static uint32_t free_slot(const struct lane *lane)
{
    for (uint32_t i = 0; i < lane->p.out_slots; i++)
        if (!(lane->slots_used[i / 64] >> i % 64 & 1)) return i;
    return UINT32_MAX;
}

static uint32_t take_slot(struct lane *lane, struct lane_frame *f)
{
    uint32_t slot = free_slot(lane);
    LANE_ASSERT(slot != UINT32_MAX && !f->own);
    lane->slots_used[slot / 64] |= UINT64_C(1) << slot % 64;
    f->own = (uint16_t)(slot + 1);
    return slot;
}

static void return_slot(struct lane *lane, struct lane_frame *f)
{
    if (f->own) lane->slots_used[(f->own - 1) / 64] &= ~(UINT64_C(1) << (f->own - 1) % 64);
    f->own = 0;
}

// Whether frame n may have an output slot now.
static bool has_slot(const struct lane *lane, uint32_t n)
{
    return lane->p.loose ? free_slot(lane) != UINT32_MAX : n < lane->low + lane->p.out_slots;
}

// Frees the slot of a frame that is TAKEN or DROPPED once no worker holds it, and advances low.
static void settle(struct lane *lane, uint32_t n)
{
    struct lane_frame *f = at(lane, n);
    if ((f->state != SLOT_TAKEN && f->state != SLOT_DROPPED) || f->held) return;
    move(f, SLOT_FREE);
    if (f->spare) lane->spares_used &= ~(1u << (f->spare - 1));
    f->spare = 0;
    return_slot(lane, f);
    while (lane->low < lane->window_end && at(lane, lane->low)->state == SLOT_FREE) lane->low++;
}

// The next decoded frame after n that was not dropped; n if there is none. A FREE slot above n
// belongs to a dropped frame, because frames are taken in order.
static uint32_t next_of_pair(const struct lane *lane, uint32_t n)
{
    for (uint32_t k = n + 1; k < lane->decoded; k++)
        if (lane->frame[k % lane->p.in_slots].state != SLOT_FREE) return k;
    return n;
}

// How many frames of the window can be worked on now or once they are decoded.
static uint32_t work_ahead(const struct lane *lane)
{
    const uint32_t from = lane->work_from > lane->low ? lane->work_from : lane->low;
    // All later frames were dropped, so there is none that could form a pair with `from`.
    if (lane->p.pairs && from < lane->decoded && next_of_pair(lane, from) == from) return 0;
    const uint32_t ahead = lane->window_end - from;
    return ahead > lane->p.after ? ahead - lane->p.after : 0; // the last ones wait for frames after them
}

bool lane_next_window(struct lane *lane, uint32_t *out_end)
{
    if (lane->state != LANE_OPEN || lane->ended) return false;
    const uint32_t back = lane->p.before, from = lane->low > back ? lane->low - back : 0;
    uint32_t end = from + lane->p.in_slots;
    if (end < from) end = UINT32_MAX; // at the end of the number space
    if (end == lane->window_end) return false;
    // The window advances in steps, to save messages, as long as the workers have enough work.
    uint32_t step = lane->p.in_slots / 4 + 1;
    if (end - lane->window_end < step && work_ahead(lane) >= step) return false;
    for (uint32_t n = lane->window_end; n < end; n++) {
        struct lane_frame *f = at(lane, n);
        *f = no_frame;
        move(f, SLOT_FILLING);
    }
    lane->window_end = end;
    *out_end = end;
    return true;
}

// The frame's output is complete in out_slot, or it needs none.
static void answer(struct lane_frame *f, uint32_t out_slot)
{
    move(f, SLOT_DONE);
    f->flags |= f->fill_flags;
    f->out_slot = (uint16_t)out_slot;
    f->answered_slot = true;
}

// Passes over warm-up frames that are done: no aggregator takes them.
static void pass_warmup(struct lane *lane)
{
    while (lane->sent < lane->decoded) {
        struct lane_frame *f = at(lane, lane->sent);
        if (f->state != SLOT_DONE || !(f->flags & LANE_WARMUP)) return;
        move(f, SLOT_READY);
        move(f, SLOT_TAKEN);
        lane->skipped++;
        settle(lane, lane->sent++);
    }
}

enum lane_result lane_on_decoded(struct lane *lane, uint32_t epoch, uint32_t n, uint32_t flags, int64_t pts,
                                 int64_t duration)
{
    if (lane->state != LANE_OPEN || epoch != lane->p.epoch) return LANE_STALE;
    if (n < lane->decoded) return LANE_STALE; // a repetition
    const bool is_before = flags & LANE_WARMUP, is_behind = flags & LANE_CONTEXT && !is_before;
    if (n != lane->decoded || n >= lane->window_end || lane->ended) return LANE_BAD;
    if (is_behind ? lane->context == lane->p.after : lane->context > 0) return LANE_BAD;
    if (is_before && n != lane->warmup) return LANE_BAD;
    struct lane_frame *f = at(lane, n);
    move(f, SLOT_DECODED);
    lane->context += is_behind;
    lane->warmup += is_before;
    f->flags = (uint8_t)flags;
    f->pts = pts;
    f->duration = duration;
    lane->decoded = n + 1;
    if (is_before && flags & LANE_CONTEXT) { // no worker computes it; it is only looked at
        answer(f, n % lane->p.out_slots);
        pass_warmup(lane);
    }
    return LANE_OK;
}

enum lane_result lane_on_end(struct lane *lane, uint32_t epoch, uint32_t frames)
{
    if (lane->state != LANE_OPEN || epoch != lane->p.epoch) return LANE_STALE;
    if (lane->ended) return frames == lane->frames ? LANE_STALE : LANE_BAD;
    if (frames != lane->decoded - lane->context) return LANE_BAD;
    lane->ended = true;
    lane->frames = frames;
    return LANE_OK;
}

// The lowest part that is neither with a worker nor done; LANE_MAX_PARTS: none.
static uint32_t free_part(const struct lane *lane, const struct lane_frame *f)
{
    for (uint32_t i = 0; i < lane->p.parts; i++)
        if (f->holder[i].worker == LANE_NO_WORKER && !(f->parts_done >> i & 1)) return i;
    return LANE_MAX_PARTS;
}

static bool has_work(const struct lane *lane, const struct lane_frame *f)
{
    if (f->state == SLOT_DECODED) return true;
    return f->state == SLOT_GIVEN && in_parts(lane) && !lane->p.together && !f->fill_flags &&
           free_part(lane, f) < LANE_MAX_PARTS;
}

uint32_t lane_after(const struct lane *lane, uint32_t n)
{
    if (lane->p.pairs) return next_of_pair(lane, n) != n;
    const uint32_t there = n < lane->decoded ? lane->decoded - 1 - n : 0;
    return there < lane->p.after ? there : lane->p.after;
}

uint32_t lane_next_seen(const struct lane *lane, uint32_t n)
{
    return lane->p.pairs ? next_of_pair(lane, n) : lane_after(lane, n) ? n + 1 : n;
}

// Whether the frame that n forms a pair with is there (for n below seen_end()).
static bool is_seen(const struct lane *lane, uint32_t n)
{
    return !lane->p.pairs || lane->ended || next_of_pair(lane, n) != n;
}

static void keep_next(struct lane *lane, uint32_t n)
{
    const uint32_t next = lane->p.pairs ? next_of_pair(lane, n) : n;
    if (next != n) at(lane, next)->kept = true;
}

// All frames below this number have the later frames that the network looks at.
static uint32_t seen_end(const struct lane *lane)
{
    const uint32_t after = lane->p.after;
    return lane->ended ? lane->frames : lane->decoded > after ? lane->decoded - after : 0;
}

uint32_t lane_next_work(struct lane *lane, uint32_t from)
{
    if (lane->state != LANE_OPEN) return UINT32_MAX;
    uint32_t end = seen_end(lane);
    if (!lane->p.loose && end > lane->low + lane->p.out_slots) end = lane->low + lane->p.out_slots;
    while (lane->work_from < seen_end(lane) &&
           (lane->work_from < lane->low || !has_work(lane, at(lane, lane->work_from))))
        lane->work_from++;
    if (lane->p.loose && !has_slot(lane, 0)) return UINT32_MAX;
    for (uint32_t n = from > lane->work_from ? from : lane->work_from; n < end; n++)
        if (has_work(lane, at(lane, n)) && is_seen(lane, n)) return n;
    return UINT32_MAX;
}

uint32_t lane_next_part(const struct lane *lane, uint32_t n)
{
    return in_parts(lane) ? free_part(lane, &lane->frame[n % lane->p.in_slots]) : 0;
}

uint32_t lane_give(struct lane *lane, uint32_t n, uint32_t worker, int64_t now_us)
{
    LANE_ASSERT(lane->state == LANE_OPEN && in_flight(lane, n) && has_slot(lane, n));
    LANE_ASSERT(n < seen_end(lane) && is_seen(lane, n));
    struct lane_frame *f = at(lane, n);
    LANE_ASSERT(has_work(lane, f) && (in_parts(lane) || !f->held) && lane_may_serve(lane, worker));
    LANE_ASSERT(!lane->p.together);
    uint32_t slot = lane->p.loose ? take_slot(lane, f) : n % lane->p.out_slots;
    hold(f, (int)lane_next_part(lane, n), worker, slot);
    if (f->state != SLOT_GIVEN) move(f, SLOT_GIVEN);
    f->given_us = now_us;
    keep_next(lane, n);
    return slot;
}

uint32_t lane_give_together(struct lane *lane, uint32_t n, const uint16_t *workers, int64_t now_us)
{
    LANE_ASSERT(lane->state == LANE_OPEN && in_flight(lane, n) && n < lane->low + lane->p.out_slots);
    struct lane_frame *f = at(lane, n);
    LANE_ASSERT(lane->p.together && f->state == SLOT_DECODED && !f->held && !f->parts_done);
    uint32_t slot = n % lane->p.out_slots;
    for (uint32_t i = 0; i < lane->p.parts; i++) {
        LANE_ASSERT(lane_may_serve(lane, workers[i]));
        hold(f, (int)i, workers[i], slot);
    }
    move(f, SLOT_GIVEN);
    f->given_us = now_us;
    return slot;
}

static uint32_t free_spare(const struct lane *lane)
{
    for (uint32_t i = 0; i < lane->p.out_spares; i++)
        if (!(lane->spares_used >> i & 1)) return i;
    return UINT32_MAX;
}

uint32_t lane_late_head(const struct lane *lane, int64_t before_us)
{
    // No second try for parts, which share one output slot, so that it could not be told from the
    // first; nor for stateful networks, because the second worker does not have the state.
    if (lane->state != LANE_OPEN || in_parts(lane) || lane->p.stateful || lane->low >= lane->decoded ||
        free_spare(lane) == UINT32_MAX)
        return UINT32_MAX;
    // The head is the first frame that was not sent to the aggregator.
    uint32_t n = lane->sent;
    if (n >= lane->decoded) return UINT32_MAX;
    const struct lane_frame *f = &lane->frame[n % lane->p.in_slots];
    if (f->state != SLOT_GIVEN || f->given_us >= before_us || f->spare) return UINT32_MAX;
    return f->held == 1 ? n : UINT32_MAX;
}

uint32_t lane_give_second(struct lane *lane, uint32_t n, uint32_t worker)
{
    struct lane_frame *f = at(lane, n);
    uint32_t spare = free_spare(lane);
    LANE_ASSERT(lane->state == LANE_OPEN && in_flight(lane, n) && f->state == SLOT_GIVEN && !f->spare &&
                spare != UINT32_MAX && !in_parts(lane));
    int i = f->holder[0].worker == LANE_NO_WORKER ? 0 : 1;
    LANE_ASSERT(f->holder[!i].worker != worker);
    uint32_t slot = lane->p.out_slots + spare;
    hold(f, i, worker, slot);
    f->spare = (uint16_t)(spare + 1);
    lane->spares_used |= 1u << spare;
    return slot;
}

// Which holder of f an answer about `part` is from; -1: none, the answer is a repetition.
static int holder_of(const struct lane *lane, const struct lane_frame *f, uint32_t part, uint32_t worker)
{
    if (in_parts(lane)) return f->holder[part].worker == worker ? (int)part : -1;
    return f->holder[0].worker == worker ? 0 : f->holder[1].worker == worker ? 1 : -1;
}

// GIVEN frame n is not complete and no worker holds a part of it any more: it is DECODED again.
static void back_to_decoded(struct lane *lane, uint32_t n)
{
    struct lane_frame *f = at(lane, n);
    move(f, SLOT_DECODED);
    if (lane->p.together) { // the parts exchange rows, so all of them must be computed again
        f->parts_done = 0;
        if (n < lane->work_from) lane->work_from = n;
    }
    if (f->fill_flags) answer(f, n % lane->p.out_slots);
}

enum lane_result lane_on_done(struct lane *lane, uint32_t epoch, uint32_t n, uint32_t part, uint32_t worker,
                              uint32_t out_slot, bool *out_first)
{
    *out_first = false;
    if (lane->state == LANE_IDLE || epoch != lane->p.epoch) return LANE_STALE;
    if (!in_flight(lane, n)) return n < lane->low ? LANE_STALE : LANE_BAD;
    if (part && part >= lane->p.parts) return LANE_BAD;
    struct lane_frame *f = at(lane, n);
    int i = holder_of(lane, f, part, worker);
    if (i < 0) return LANE_STALE; // a repetition
    if (f->holder[i].out_slot != out_slot) return LANE_BAD;
    let_go(f, i);
    if (f->state != SLOT_GIVEN) {
        settle(lane, n);
        return LANE_OK;
    }
    f->parts_done |= (uint8_t)(1u << i);
    if (!in_parts(lane) || f->parts_done == (1u << lane->p.parts) - 1) {
        answer(f, out_slot);
        *out_first = true;
    } else if (!f->held) {
        back_to_decoded(lane, n);
    }
    return LANE_OK;
}

// Removes holder i of frame n, which will never answer.
static void lose_holder(struct lane *lane, uint32_t n, int i)
{
    struct lane_frame *f = at(lane, n);
    let_go(f, i);
    if (f->state == SLOT_GIVEN) {
        // Nobody writes into the spare slot any more, so it can be used again.
        if (f->holder[i].out_slot >= lane->p.out_slots) {
            lane->spares_used &= ~(1u << (f->spare - 1));
            f->spare = 0;
        } else {
            return_slot(lane, f);
        }
        if (!f->held) back_to_decoded(lane, n);
        if (n < lane->work_from) lane->work_from = n;
    }
    settle(lane, n);
}

enum lane_result lane_on_refused(struct lane *lane, uint32_t epoch, uint32_t n, uint32_t part, uint32_t worker)
{
    if (lane->state == LANE_IDLE || epoch != lane->p.epoch) return LANE_STALE;
    if (!in_flight(lane, n)) return n < lane->low ? LANE_STALE : LANE_BAD;
    if (part && part >= lane->p.parts) return LANE_BAD;
    int i = holder_of(lane, at(lane, n), part, worker);
    if (i < 0) return LANE_STALE;
    lose_holder(lane, n, i);
    return LANE_OK;
}

uint32_t lane_on_worker_gone(struct lane *lane, uint32_t worker)
{
    uint32_t held = 0;
    if (lane->state == LANE_IDLE) return 0;
    for (uint32_t n = lane->low; n < lane->window_end; n++)
        for (int i = 0; at(lane, n)->held && i < LANE_MAX_PARTS; i++) {
            if (at(lane, n)->holder[i].worker != worker) continue;
            held++;
            lose_holder(lane, n, i);
        }
    return held;
}

void lane_quarantine(struct lane *lane, uint32_t n, uint32_t flags)
{
    struct lane_frame *f = lane_frame_of(lane, n);
    bool others = f && f->state == SLOT_GIVEN && in_parts(lane);
    if (!f || (f->state != SLOT_DECODED && !others)) return;
    f->fill_flags = (uint8_t)flags;
    if (!others) answer(f, n % lane->p.out_slots);
}

// Passes over dropped frames, so that the next one can go to the aggregator. A slot below
// `decoded` is FREE only if its frame was taken or dropped.
static void skip_dropped(struct lane *lane)
{
    while (lane->sent < lane->decoded && (lane->sent < lane->low || at(lane, lane->sent)->state == SLOT_FREE)) {
        lane->sent++;
        lane->skipped++;
    }
}

void lane_drop(struct lane *lane, uint32_t n)
{
    LANE_ASSERT(lane->state == LANE_OPEN && in_flight(lane, n) && at(lane, n)->state == SLOT_DECODED);
    LANE_ASSERT(!at(lane, n)->kept);
    LANE_ASSERT(!lane->context); // frames are dropped in live runs only, which have no context frames
    move(at(lane, n), SLOT_DROPPED);
    lane->dropped++;
    settle(lane, n);
    skip_dropped(lane);
}

void lane_cut_short(struct lane *lane)
{
    if (lane->state != LANE_OPEN || lane->ended) return;
    lane->ended = true;
    lane->frames = lane->decoded - lane->context;
}

uint32_t lane_at_aggregator(const struct lane *lane)
{
    return lane->sent - lane->skipped - lane->taken;
}

const struct lane_frame *lane_next_frame(struct lane *lane, uint32_t *out_n)
{
    if (lane->state == LANE_OPEN) pass_warmup(lane);
    // The aggregator may need the next frame's time or picture, so the frame waits for that too.
    if (lane->state != LANE_OPEN || lane->sent >= seen_end(lane)) return NULL;
    struct lane_frame *f = at(lane, lane->sent);
    if (f->state != SLOT_DONE || !is_seen(lane, lane->sent)) return NULL;
    keep_next(lane, lane->sent); // not yet done for a frame that was filled in and never given
    LANE_ASSERT(f->answered_slot && lane->sent >= lane->low);
    move(f, SLOT_READY);
    *out_n = lane->sent++;
    skip_dropped(lane);
    return f;
}

enum lane_result lane_on_taken(struct lane *lane, uint32_t epoch, uint32_t n)
{
    if (lane->state != LANE_OPEN || epoch != lane->p.epoch) return LANE_STALE;
    if (n >= lane->sent) return LANE_BAD;
    if (n < lane->low) return LANE_STALE;
    struct lane_frame *f = at(lane, n);
    if (f->state != SLOT_READY) return LANE_STALE; // a repetition
    move(f, SLOT_TAKEN);
    lane->taken++;
    settle(lane, n);
    return LANE_OK;
}

bool lane_next_finish(struct lane *lane, uint32_t *out_frames)
{
    if (lane->state != LANE_OPEN || lane->finished || !lane->ended || lane->sent != lane->frames) return false;
    lane->finished = true;
    *out_frames = lane->frames - lane->dropped - lane->warmup;
    return true;
}

enum lane_result lane_on_committed(struct lane *lane, uint32_t epoch, uint32_t frames)
{
    if (lane->state != LANE_OPEN || epoch != lane->p.epoch) return LANE_STALE;
    if (lane->committed) return LANE_STALE;
    // All frames must have been taken, and the count must agree.
    const uint32_t all = lane->frames - lane->dropped - lane->warmup;
    if (!lane->finished || frames != all || lane->taken != all) return LANE_BAD;
    lane->committed = true;
    return LANE_OK;
}

void lane_close(struct lane *lane)
{
    if (lane->state == LANE_OPEN) lane->state = LANE_CLOSING;
}

enum lane_result lane_on_closed(struct lane *lane, uint32_t epoch, uint32_t member)
{
    if (lane->state != LANE_CLOSING || epoch != lane->p.epoch) return LANE_STALE;
    if (member >= LANE_MAX_WORKERS + 2) return LANE_BAD;
    lane->members[member / 64] &= ~(UINT64_C(1) << member % 64);
    return LANE_OK;
}

bool lane_next_idle(struct lane *lane)
{
    if (lane->state != LANE_CLOSING) return false;
    for (size_t i = 0; i < sizeof lane->members / sizeof *lane->members; i++)
        if (lane->members[i]) return false;
    lane->state = LANE_IDLE;
    return true;
}

uint32_t lane_held_by(const struct lane *lane, uint32_t worker)
{
    uint32_t held = 0;
    if (lane->state == LANE_IDLE) return 0;
    for (uint32_t n = lane->low; n < lane->window_end; n++) {
        const struct lane_frame *f = &lane->frame[n % lane->p.in_slots];
        if (worker == LANE_NO_WORKER) {
            held += f->held;
            continue;
        }
        for (int i = 0; f->held && i < LANE_MAX_PARTS; i++) held += f->holder[i].worker == worker;
    }
    return held;
}
