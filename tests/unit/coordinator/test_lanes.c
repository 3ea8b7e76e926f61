// SPDX-License-Identifier: MIT
//
// Lanes and dispatch under random schedules: a small world of decoders,
// workers and aggregators that work, die, repeat and delay messages in an order
// drawn from a seed. Checked at every access: nobody writes a slot that another
// may read or write; at every commit: each frame exactly once, in order, made
// from the right input; and that the world never stands still.
#include "coordinator/dispatch.h"

#include "tests/check.h"

#define LANES 3
#define WORKERS 4
#define FRAMES 40 // of a segment
#define MAX_SLOTS 16
#define QUEUE 4096

enum kind { K_DECODED, K_END, K_DONE, K_READY, K_TAKEN, K_COMMITTED, K_CLOSED };

// A message on its way to the coordinator. from: worker, or the lane whose
// decoder or aggregator sent it; life: of the sender.
struct message {
    enum kind kind;
    uint32_t from, life, lane, epoch, n, slot, member, part;
};

struct work {
    uint32_t lane, epoch, n, in_slot, out_slot, part, parts;
    uint32_t slots, back, after; // of frames around it that are read too
    uint32_t next;               // the first of those behind it
};

struct sim_worker {
    bool alive, busy;
    uint32_t life, known[LANES]; // epoch of each lane that it was told, 0 none
    bool closing[LANES];
    uint32_t state_epoch[LANES], state_next[LANES]; // of a stateful lane: what the last frame left
    struct work queue[64];
    uint32_t first, count;
};

struct sim_slot {
    int writers, readers;
    uint32_t epoch, n;       // content, or what is being written
    uint32_t writing, whole; // parts, as bit masks
};

struct sim_lane {
    struct sim_slot in[MAX_SLOTS], out[MAX_SLOTS + LANE_MAX_SPARES];
    // decoder
    bool decoder_open, filling, ended_sent, decoder_closing;
    uint32_t decoder_life, next, window;
    // aggregator
    bool aggregator_open, aggregator_closing, finish;
    uint32_t aggregator_life, received, due, holding[MAX_SLOTS * 2], n_holding;
    uint32_t frame_in[FRAMES], frame_out[FRAMES]; // slots of received frames
    uint32_t frame_next[FRAMES];                  // input slot of the frame behind, the same where there is none
    uint32_t epoch;
    uint32_t segment_frames;
    uint32_t context;
    uint32_t warmup; // of segment_frames the first ones, for the state alone
    uint32_t lead;   // or these, which are only seen
    uint32_t commits;
};

struct world {
    uint64_t seed;
    struct lane lanes[LANES];
    struct dispatch dispatch;
    struct sim_lane sim[LANES];
    struct sim_worker worker[WORKERS];
    struct message queue[QUEUE];
    uint32_t n_queue;
    uint32_t epoch, low_before[LANES], window_before[LANES];
    uint64_t order, events, deaths, give_ups, second_tries, repeats, parts_given, states_used, states_lost, dropped,
        cut_short, leads, skipped;
    bool live;    // frames that nobody has begun are dropped now and then
    bool parts;   // frames may be worked on in parts
    bool pairs;   // networks may make what lies between two frames
    bool windows; // networks may look at the frames around each
    bool states;  // networks may carry a state from frame to frame
    int64_t now;
    int death_per_mille, repeat_per_mille;
    char why[256];
};

static uint32_t draw(struct world *w, uint32_t below)
{
    return (uint32_t)(check_rand(&w->seed) >> 33) % below;
}

static bool chance(struct world *w, int per_mille)
{
    return draw(w, 1000) < (uint32_t)per_mille;
}

#define BAD(w, ...) (snprintf((w)->why, sizeof(w)->why, __VA_ARGS__))

static void say(struct world *w, struct message m)
{
    if (w->n_queue < QUEUE)
        w->queue[w->n_queue++] = m;
    else
        BAD(w, "the queue is full");
}

// ---- slots ----------------------------------------------------------------------

// Parts of one frame may be written side by side, each by one.
static void begin_write(struct world *w, struct sim_slot *s, uint32_t epoch, uint32_t n, uint32_t part, const char *who)
{
    bool same = s->epoch == epoch && s->n == n;
    if (s->readers || (s->writers && !same))
        BAD(w, "%s writes a slot with %d writers and %d readers", who, s->writers, s->readers);
    if (!same) s->whole = 0;
    if (s->writing >> part & 1) BAD(w, "%s writes part %u that another writes", who, part);
    s->epoch = epoch, s->n = n;
    s->writers++;
    s->writing |= 1u << part;
    s->whole &= ~(1u << part);
}

static void end_write(struct sim_slot *s, uint32_t part, bool torn)
{
    s->writers--;
    s->writing &= ~(1u << part);
    if (!torn) s->whole |= 1u << part;
}

static void begin_read(struct world *w, struct sim_slot *s, uint32_t epoch, uint32_t n, uint32_t parts, const char *who)
{
    if (s->writers) BAD(w, "%s reads a slot that is being written", who);
    if (s->whole != (1u << parts) - 1) BAD(w, "%s reads parts %x of %u", who, s->whole, parts);
    if (s->epoch != epoch || s->n != n) BAD(w, "%s reads frame %u/%u, wanted %u/%u", who, s->epoch, s->n, epoch, n);
    s->readers++;
}

// ---- the stages -----------------------------------------------------------------

static void step_decoder(struct world *w, uint32_t l)
{
    struct sim_lane *s = &w->sim[l];
    if (!s->decoder_open) return;
    uint32_t slots = w->lanes[l].p.in_slots;
    if (s->filling) {
        end_write(&s->in[s->next % slots], 0, false);
        s->filling = false;
        const bool context = s->next >= s->segment_frames || s->next < s->lead;
        say(w, (struct message){K_DECODED, l, s->decoder_life, l, s->epoch, s->next, s->next < s->warmup + s->lead,
                                context});
        s->next++;
    } else if (s->decoder_closing) {
        s->decoder_open = s->decoder_closing = false;
        say(w, (struct message){K_CLOSED, l, s->decoder_life, l, s->epoch, 0, 0, LANE_MEMBER_DECODER});
    } else if (s->next < s->segment_frames + s->context && s->next < s->window) {
        begin_write(w, &s->in[s->next % slots], s->epoch, s->next, 0, "decoder");
        s->filling = true;
    } else if (s->next == s->segment_frames + s->context && !s->ended_sent) {
        s->ended_sent = true;
        say(w, (struct message){K_END, l, s->decoder_life, l, s->epoch, s->segment_frames, 0, 0});
    }
}

static uint32_t first_seen(const struct work *job)
{
    return job->n > job->back ? job->n - job->back : 0;
}

static uint32_t seen(const struct work *job, uint32_t n)
{
    return n == job->n + 1 ? job->next : n;
}

static void begin_reads(struct world *w, const struct work *job)
{
    if (job->in_slot != job->n % job->slots) BAD(w, "frame %u in slot %u", job->n, job->in_slot);
    for (uint32_t n = first_seen(job); n <= job->n + job->after; n++)
        begin_read(w, &w->sim[job->lane].in[seen(job, n) % job->slots], job->epoch, seen(job, n), 1, "worker");
}

static void end_reads(struct world *w, const struct work *job)
{
    for (uint32_t n = first_seen(job); n <= job->n + job->after; n++)
        w->sim[job->lane].in[seen(job, n) % job->slots].readers--;
}

// The frame begins with what the one before left here.
static void use_state(struct world *w, struct sim_worker *s, const struct work *job)
{
    if (!w->lanes[job->lane].p.stateful || w->lanes[job->lane].p.epoch != job->epoch) return;
    uint32_t *next = &s->state_next[job->lane];
    if (s->state_epoch[job->lane] != job->epoch) *next = 0;
    s->state_epoch[job->lane] = job->epoch;
    if (job->n != *next) BAD(w, "frame %u is given to a worker whose state is for frame %u", job->n, *next);
    *next = job->n + 1;
    w->states_used++;
}

static void step_worker(struct world *w, uint32_t i)
{
    struct sim_worker *s = &w->worker[i];
    if (!s->alive) return;
    if (s->busy) {
        struct work job = s->queue[s->first % 64];
        struct sim_lane *lane = &w->sim[job.lane];
        end_reads(w, &job);
        end_write(&lane->out[job.out_slot], job.part, false);
        s->busy = false;
        s->first++, s->count--;
        say(w, (struct message){K_DONE, i, s->life, job.lane, job.epoch, job.n, job.out_slot, 0, job.part});
        say(w, (struct message){K_READY, i, s->life, 0, 0, 1, 0, 0});
        return;
    }
    for (uint32_t l = 0; l < LANES; l++) {
        if (!s->closing[l]) continue;
        s->closing[l] = false;
        uint32_t kept = 0, dropped = 0;
        for (uint32_t k = 0; k < s->count; k++) {
            struct work job = s->queue[(s->first + k) % 64];
            if (job.lane == l)
                dropped++;
            else
                s->queue[(s->first + kept++) % 64] = job;
        }
        s->count = kept;
        if (dropped) say(w, (struct message){K_READY, i, s->life, 0, 0, dropped, 0, 0});
        say(w, (struct message){K_CLOSED, i, s->life, l, s->known[l], 0, 0, LANE_MEMBER_WORKER0 + i});
        s->known[l] = 0;
        return;
    }
    if (!s->count) return;
    struct work job = s->queue[s->first % 64];
    struct sim_lane *lane = &w->sim[job.lane];
    if (s->known[job.lane] != job.epoch) BAD(w, "work of an epoch that the worker was not told");
    use_state(w, s, &job);
    begin_reads(w, &job);
    begin_write(w, &lane->out[job.out_slot], job.epoch, job.n, job.part, "worker");
    s->busy = true;
}

// The aggregator's input slots of a frame: its own and the next one's.
static void let_go(struct sim_lane *s, uint32_t n)
{
    s->in[s->frame_in[n]].readers--;
    if (s->frame_next[n] != s->frame_in[n]) s->in[s->frame_next[n]].readers--;
}

static void step_aggregator(struct world *w, uint32_t l)
{
    struct sim_lane *s = &w->sim[l];
    if (!s->aggregator_open) return;
    if (s->aggregator_closing) {
        for (uint32_t i = 0; i < s->n_holding; i++) {
            let_go(s, s->holding[i]);
            s->out[s->frame_out[s->holding[i]]].readers--;
        }
        s->n_holding = 0;
        s->aggregator_open = s->aggregator_closing = false;
        say(w, (struct message){K_CLOSED, l, s->aggregator_life, l, s->epoch, 0, 0, LANE_MEMBER_AGGREGATOR});
    } else if (s->n_holding > 2 || (s->n_holding && (s->finish || chance(w, 500)))) {
        // An encoder lets frames go in an order of its own.
        // Pictures of which several are made are copied, in order.
        uint32_t i = draw(w, s->n_holding);
        for (uint32_t k = 0; w->lanes[l].p.pairs && k < s->n_holding; k++)
            if (s->holding[k] < s->holding[i]) i = k;
        const uint32_t n = s->holding[i];
        s->holding[i] = s->holding[--s->n_holding];
        let_go(s, n);
        s->out[s->frame_out[n]].readers--;
        say(w, (struct message){K_TAKEN, l, s->aggregator_life, l, s->epoch, n, 0, 0});
    } else if (s->finish && !s->n_holding) {
        s->finish = false;
        say(w, (struct message){K_COMMITTED, l, s->aggregator_life, l, s->epoch, s->received, 0, 0});
    }
}

// ---- the coordinator, as flow.c does it -----------------------------------------

static void open_lane(struct world *w, uint32_t l)
{
    struct sim_lane *s = &w->sim[l];
    uint32_t in = 4 + draw(w, MAX_SLOTS - 4), out = 4 + draw(w, MAX_SLOTS - 4);
    const bool pairs = w->pairs && draw(w, 4);
    uint32_t before = w->windows && !pairs ? draw(w, 5) : 0, after = pairs ? 1 : w->windows ? draw(w, 5) : 0;
    if (in < before + after + 4) in = before + after + 4; // the aggregator keeps up to three
    struct lane_params p = {.epoch = ++w->epoch,
                            .in_slots = in,
                            .out_slots = out,
                            .out_spares = draw(w, 3),
                            .before = before,
                            .after = after,
                            .shape = draw(w, 2),
                            .parts = w->parts ? draw(w, LANE_MAX_PARTS + 1) : 0,
                            .order = ++w->order};
    p.pairs = pairs;
    p.loose = w->live && p.parts < 2 && draw(w, 4);
    p.stateful = w->states && p.parts < 2 && draw(w, 3);
    lane_open(&w->lanes[l], &p);
    for (uint32_t i = 0; i < MAX_SLOTS; i++)
        if (s->in[i].writers || s->in[i].readers) BAD(w, "a lane opens over slots in use");
    for (uint32_t i = 0; i < MAX_SLOTS + LANE_MAX_SPARES; i++)
        if (s->out[i].writers || s->out[i].readers) BAD(w, "a lane opens over slots in use");
    s->epoch = p.epoch;
    s->segment_frames = draw(w, 8) ? 1 + draw(w, FRAMES) : 0;
    s->context = after && !w->live ? draw(w, after + 1) : 0; // behind its end; a live input has no segment behind it
    s->warmup = p.stateful && s->segment_frames && draw(w, 2) ? draw(w, s->segment_frames + 1) : 0;
    s->lead = before && !p.stateful && !w->live && draw(w, 2) ? draw(w, before + 1) : 0;
    if (s->lead > s->segment_frames) s->lead = s->segment_frames;
    s->decoder_open = s->aggregator_open = true;
    s->ended_sent = s->finish = s->filling = false;
    s->next = s->received = s->n_holding = 0;
    s->due = s->warmup + s->lead;
    w->leads += s->lead;
    lane_next_window(&w->lanes[l], &s->window);
    w->low_before[l] = w->window_before[l] = 0;
    lane_join(&w->lanes[l], LANE_MEMBER_DECODER);
    lane_join(&w->lanes[l], LANE_MEMBER_AGGREGATOR);
    for (uint32_t i = 0; i < WORKERS; i++)
        if (w->worker[i].alive) {
            lane_join(&w->lanes[l], LANE_MEMBER_WORKER0 + i);
            w->worker[i].known[l] = p.epoch;
        }
}

static void close_lane(struct world *w, uint32_t l)
{
    struct lane *lane = &w->lanes[l];
    if (lane->state != LANE_OPEN) return;
    lane_close(lane);
    if (lane_has_member(lane, LANE_MEMBER_DECODER)) w->sim[l].decoder_closing = true;
    if (lane_has_member(lane, LANE_MEMBER_AGGREGATOR)) w->sim[l].aggregator_closing = true;
    for (uint32_t i = 0; i < WORKERS; i++)
        if (lane_has_member(lane, LANE_MEMBER_WORKER0 + i)) w->worker[i].closing[l] = true;
}

static void drop_member(struct world *w, uint32_t l, uint32_t member)
{
    struct lane *lane = &w->lanes[l];
    if (member >= LANE_MEMBER_WORKER0) {
        uint32_t i = member - LANE_MEMBER_WORKER0;
        dispatch_on_let_go(&w->dispatch, i, lane_on_worker_gone(lane, i));
    }
    if (lane->state == LANE_CLOSING)
        lane_on_closed(lane, lane->p.epoch, member);
    else
        lane->members[0] &= ~(UINT64_C(1) << member);
}

static void expect(struct world *w, enum lane_result r, bool repeated, const char *what)
{
    if (r == LANE_BAD) BAD(w, "%s was judged impossible", what);
    if (repeated && r == LANE_OK) BAD(w, "a repeated %s was taken twice", what);
}

static void take(struct world *w, struct message m, bool repeated)
{
    struct lane *lane = &w->lanes[m.lane];
    w->events++;
    bool of_worker = m.kind == K_DONE || m.kind == K_READY || (m.kind == K_CLOSED && m.member >= LANE_MEMBER_WORKER0);
    bool of_decoder = m.kind == K_DECODED || m.kind == K_END || (m.kind == K_CLOSED && m.member == LANE_MEMBER_DECODER);
    uint32_t life = of_worker    ? w->worker[m.from].life
                    : of_decoder ? w->sim[m.from].decoder_life
                                 : w->sim[m.from].aggregator_life;
    if (m.life != life) return; // expelled with its sender's death
    bool first;
    switch (m.kind) {
    case K_DECODED:
        expect(w,
               lane_on_decoded(lane, m.epoch, m.n, (m.member ? LANE_CONTEXT : 0) | (m.slot ? LANE_WARMUP : 0), m.n * 10,
                               10),
               repeated, "DECODED");
        break;
    case K_END:
        expect(w, lane_on_end(lane, m.epoch, m.n), repeated, "LANE_END");
        break;
    case K_DONE: {
        enum lane_result r = lane_on_done(lane, m.epoch, m.n, m.part, m.from, m.slot, &first);
        // Said again after the frame went to the same worker anew, it cannot be told apart; links number messages.
        expect(w, r, repeated, "DONE");
        if (r == LANE_OK) dispatch_on_done(&w->dispatch, m.from, 1000 + 1000 * m.from);
        break;
    }
    case K_READY:
        if (!repeated) dispatch_on_ready(&w->dispatch, m.from, m.n);
        break;
    case K_TAKEN:
        expect(w, lane_on_taken(lane, m.epoch, m.n), repeated, "TAKEN");
        break;
    case K_COMMITTED: {
        enum lane_result r = lane_on_committed(lane, m.epoch, m.n);
        expect(w, r, repeated, "COMMITTED");
        if (r != LANE_OK) break;
        if (m.n + lane->dropped + w->sim[m.lane].warmup + w->sim[m.lane].lead != w->sim[m.lane].segment_frames)
            BAD(w, "%u frames committed and %u dropped of %u", m.n, lane->dropped, w->sim[m.lane].segment_frames);
        w->sim[m.lane].commits++;
        close_lane(w, m.lane);
        break;
    }
    case K_CLOSED:
        if (lane->state == LANE_CLOSING && m.epoch == lane->p.epoch) drop_member(w, m.lane, m.member);
        break;
    }
}

static void kill_worker(struct world *w, uint32_t i)
{
    struct sim_worker *s = &w->worker[i];
    if (!s->alive) { // born again
        *s = (struct sim_worker){.alive = true, .life = s->life + 1};
        for (uint32_t l = 0; l < LANES; l++)
            if (w->lanes[l].state == LANE_OPEN) {
                lane_join(&w->lanes[l], LANE_MEMBER_WORKER0 + i);
                s->known[l] = w->lanes[l].p.epoch;
            }
        dispatch_up(&w->dispatch, i, 1 + i % 3);
        dispatch_on_ready(&w->dispatch, i, 8);
        return;
    }
    w->deaths++;
    if (s->busy) {
        struct work job = s->queue[s->first % 64];
        end_reads(w, &job);
        end_write(&w->sim[job.lane].out[job.out_slot], job.part, true);
    }
    s->alive = s->busy = false;
    s->life++;
    s->count = 0;
    memset(s->closing, 0, sizeof s->closing);
    for (uint32_t l = 0; l < LANES; l++) {
        if (w->lanes[l].state == LANE_IDLE) continue;
        const bool over = lane_needs(&w->lanes[l], i);
        drop_member(w, l, LANE_MEMBER_WORKER0 + i);
        if (over) w->states_lost++, w->give_ups++, close_lane(w, l);
    }
    dispatch_on_gone(&w->dispatch, i);
}

static void kill_bound(struct world *w, uint32_t l, bool decoder)
{
    struct sim_lane *s = &w->sim[l];
    struct lane *lane = &w->lanes[l];
    uint32_t member = decoder ? LANE_MEMBER_DECODER : LANE_MEMBER_AGGREGATOR;
    if (lane->state == LANE_IDLE || !lane_has_member(lane, member)) return;
    w->deaths++, w->give_ups++;
    if (decoder) {
        if (s->filling) end_write(&s->in[s->next % lane->p.in_slots], 0, true);
        s->filling = s->decoder_open = s->decoder_closing = false;
        s->decoder_life++;
    } else {
        for (uint32_t i = 0; i < s->n_holding; i++) {
            let_go(s, s->holding[i]);
            s->out[s->frame_out[s->holding[i]]].readers--;
        }
        s->n_holding = 0;
        s->aggregator_open = s->aggregator_closing = s->finish = false;
        s->aggregator_life++;
    }
    drop_member(w, l, member);
    if (w->live && decoder && lane->state == LANE_OPEN) {
        // What it has told of goes on.
        w->cut_short++;
        lane_cut_short(lane);
        s->segment_frames = lane->frames;
        return;
    }
    close_lane(w, l);
}

// One of the frames that nobody has begun.
static void drop_one(struct world *w, struct lane *lane)
{
    for (uint32_t n = lane->low; lane->state == LANE_OPEN && n < lane->decoded; n++) {
        if (lane_frame_of(lane, n)->state != SLOT_DECODED || draw(w, 2)) continue;
        // As late.c does it.
        if (lane->p.pairs && (lane_frame_of(lane, n)->kept || n + 1 == lane->window_end)) continue;
        lane_drop(lane, n);
        w->dropped++;
        return;
    }
}

static void coordinate(struct world *w)
{
    for (uint32_t l = 0; l < LANES; l++) {
        struct lane *lane = &w->lanes[l];
        struct sim_lane *s = &w->sim[l];
        lane_next_idle(lane);
        if (lane->state == LANE_IDLE) open_lane(w, l);
        if (w->live && chance(w, 20)) drop_one(w, lane);
        uint32_t n, end, frames;
        for (const struct lane_frame *f; (f = lane_next_frame(lane, &n));) {
            if (w->live ? n < s->due : n != s->due) BAD(w, "frame %u sent, %u expected", n, s->due);
            if (n >= FRAMES) BAD(w, "frame %u sent", n);
            s->due = n + 1;
            if (f->pts != n * 10) BAD(w, "frame %u has another's time", n);
            s->frame_in[n] = n % lane->p.in_slots;
            s->frame_out[n] = f->out_slot;
            const uint32_t next = lane_next_seen(lane, n);
            if (lane->p.pairs && next != n) {
                if (!lane_frame_of(lane, next)->kept) BAD(w, "frame %u leads to %u, which may be dropped", n, next);
                if (w->live) w->skipped += next - n - 1;
            }
            s->frame_next[n] = next % lane->p.in_slots;
            begin_read(w, &s->in[s->frame_in[n]], s->epoch, n, 1, "aggregator");
            if (next != n) begin_read(w, &s->in[s->frame_next[n]], s->epoch, next, 1, "aggregator");
            begin_read(w, &s->out[s->frame_out[n]], s->epoch, n, lane->p.parts > 1 ? lane->p.parts : 1, "aggregator");
            s->holding[s->n_holding++] = n;
            s->received++;
        }
        if (lane->state == LANE_OPEN && lane_at_aggregator(lane) < s->n_holding)
            BAD(w, "%u frames are at the aggregator, it has %u", lane_at_aggregator(lane), s->n_holding);
        if (lane_next_finish(lane, &frames)) {
            s->finish = true;
            if (frames != s->received) BAD(w, "%u frames are said to have been sent, %u were", frames, s->received);
        }
        if (lane_next_window(lane, &end)) s->window = end;
        if (lane->state == LANE_OPEN && (lane->low < w->low_before[l] || lane->window_end < w->window_before[l]))
            BAD(w, "the window went back");
        w->low_before[l] = lane->low;
        w->window_before[l] = lane->window_end;
    }
    struct dispatch_batch b;
    while (dispatch_next(&w->dispatch, w->lanes, LANES, w->now, &b)) {
        struct sim_worker *s = &w->worker[b.worker];
        if (!s->alive) BAD(w, "work for a dead worker");
        for (uint32_t i = 0; i < b.count; i++) {
            struct lane *lane = &w->lanes[b.item[i].lane];
            w->second_tries += b.item[i].out_slot >= lane->p.out_slots;
            if (lane->p.shape != w->lanes[b.item[0].lane].p.shape) BAD(w, "a batch of two shapes");
            w->parts_given += lane->p.parts > 1;
            const uint32_t n = b.item[i].n;
            if (n >= w->sim[b.item[i].lane].segment_frames || n < w->sim[b.item[i].lane].lead)
                BAD(w, "context is given");
            s->queue[(s->first + s->count++) % 64] = (struct work){.lane = b.item[i].lane,
                                                                   .epoch = lane->p.epoch,
                                                                   .n = n,
                                                                   .in_slot = n % lane->p.in_slots,
                                                                   .out_slot = b.item[i].out_slot,
                                                                   .part = b.item[i].part,
                                                                   .parts = lane->p.parts,
                                                                   .slots = lane->p.in_slots,
                                                                   .back = lane->p.before,
                                                                   .after = lane_after(lane, n),
                                                                   .next = lane_next_seen(lane, n)};
            const bool all = lane_after(lane, n) == lane->p.after ||
                             (lane->ended && (lane->p.pairs || n + lane_after(lane, n) + 1 == lane->decoded));
            if (!all) BAD(w, "frame %u is given without those behind it", n);
        }
        if (s->count > 60) BAD(w, "more work than was asked for");
    }
}

static void step(struct world *w)
{
    w->now += draw(w, 3000);
    uint32_t who = draw(w, 2 * LANES + WORKERS + 4);
    if (who < LANES)
        step_decoder(w, who);
    else if (who < 2 * LANES)
        step_aggregator(w, who - LANES);
    else if (who < 2 * LANES + WORKERS) {
        // The last worker is slow: it gets late.
        if (who < 2 * LANES + WORKERS - 1 || chance(w, 100)) step_worker(w, who - 2 * LANES);
    } else if (w->n_queue) {
        // Links keep their order, but are read in any: the first message of a random sender.
        uint32_t at = draw(w, w->n_queue), i = 0;
        struct message m = w->queue[at];
        bool worker = m.kind == K_DONE || m.kind == K_READY || (m.kind == K_CLOSED && m.member >= LANE_MEMBER_WORKER0);
        bool decoder =
            m.kind == K_DECODED || m.kind == K_END || (m.kind == K_CLOSED && m.member == LANE_MEMBER_DECODER);
        for (i = 0; i < at; i++) {
            const struct message *o = &w->queue[i];
            bool ow =
                o->kind == K_DONE || o->kind == K_READY || (o->kind == K_CLOSED && o->member >= LANE_MEMBER_WORKER0);
            bool od =
                o->kind == K_DECODED || o->kind == K_END || (o->kind == K_CLOSED && o->member == LANE_MEMBER_DECODER);
            if (ow == worker && od == decoder && o->from == m.from) break;
        }
        m = w->queue[i];
        memmove(&w->queue[i], &w->queue[i + 1], (w->n_queue - i - 1) * sizeof m);
        w->n_queue--;
        take(w, m, false);
        if (chance(w, w->repeat_per_mille)) {
            w->repeats++;
            take(w, m, true);
        }
    }
    if (chance(w, w->death_per_mille)) kill_worker(w, draw(w, WORKERS));
    if (chance(w, w->death_per_mille / 4)) kill_bound(w, draw(w, LANES), draw(w, 2));
    coordinate(w);
}

enum { PARTS = 1, WINDOWS = 2, STATES = 4, LIVE = 8, PAIRS = 16 };

static void run_world(uint64_t seed, int death_per_mille, int repeat_per_mille, uint32_t commits, int what,
                      struct world *w)
{
    memset(w, 0, sizeof *w);
    w->parts = what & PARTS;
    w->windows = what & WINDOWS;
    w->pairs = what & PAIRS;
    w->states = what & STATES;
    w->live = what & LIVE;
    w->seed = seed * 7919 + 1;
    w->death_per_mille = death_per_mille;
    w->repeat_per_mille = repeat_per_mille;
    dispatch_init(&w->dispatch, WORKERS);
    for (uint32_t i = 0; i < WORKERS; i++) kill_worker(w, i); // born
    uint64_t steps = 0, total = 0;
    while (total < commits && !w->why[0]) {
        step(w);
        // The dead do not stay dead for long.
        if (++steps % 64 == 0)
            for (uint32_t i = 0; i < WORKERS; i++)
                if (!w->worker[i].alive) kill_worker(w, i);
        if (steps > (uint64_t)commits * 60000)
            BAD(w, "no progress: %llu commits in %llu steps", (unsigned long long)total, (unsigned long long)steps);
        total = 0;
        for (uint32_t l = 0; l < LANES; l++) total += w->sim[l].commits;
    }
}

static struct world world;

static void undisturbed(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_world(seed, 0, 0, 30, 0, &world);
        CHECK_MSG(!world.why[0], "seed %" PRIu64 ": %s", seed, world.why);
    }
}

static void repeated_messages(void)
{
    uint64_t repeats = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_world(seed, 0, 100, 30, 0, &world);
        CHECK_MSG(!world.why[0], "seed %" PRIu64 ": %s", seed, world.why);
        repeats += world.repeats;
    }
    CHECK(repeats > 1000);
}

static void deaths_everywhere(void)
{
    uint64_t events = 0, deaths = 0, give_ups = 0, second = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_world(seed, 4, 20, 40, 0, &world);
        CHECK_MSG(!world.why[0], "seed %" PRIu64 ": %s", seed, world.why);
        events += world.events, deaths += world.deaths, give_ups += world.give_ups, second += world.second_tries;
    }
    CHECK_MSG(events > 100000 && deaths > 1000 && give_ups > 100 && second > 10,
              "the schedules were too tame: %" PRIu64 " events, %" PRIu64 " deaths, %" PRIu64
              " epochs given up, %" PRIu64 " second tries",
              events, deaths, give_ups, second);
}

static void parts_under_deaths(void)
{
    uint64_t deaths = 0, parts = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        run_world(seed, seed % 4 ? 4 : 0, 20, 30, PARTS, &world);
        CHECK_MSG(!world.why[0], "seed %" PRIu64 ": %s", seed, world.why);
        deaths += world.deaths, parts += world.parts_given;
    }
    CHECK_MSG(deaths > 500 && parts > 10000, "too tame: %" PRIu64 " deaths, %" PRIu64 " parts", deaths, parts);
}

// Frames around each are read too, of whole ones and of parts.
static void windows_under_deaths(void)
{
    uint64_t deaths = 0, leads = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_world(seed, seed % 4 ? 4 : 0, 20, 30, seed % 2 ? WINDOWS : WINDOWS | PARTS, &world);
        CHECK_MSG(!world.why[0], "seed %" PRIu64 ": %s", seed, world.why);
        deaths += world.deaths, leads += world.leads;
    }
    CHECK_MSG(deaths > 500 && leads > 500, "too tame: %" PRIu64 " deaths, %" PRIu64 " frames before a range", deaths,
              leads);
}

// What lies between two frames that follow each other, of a file and of a live input, where
// frames between them may have been dropped.
static void pairs_under_deaths(void)
{
    uint64_t deaths = 0, dropped = 0, skipped = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_world(seed, seed % 4 ? 4 : 0, 20, 30, PAIRS | (seed % 3 ? LIVE : seed % 2 ? PARTS : WINDOWS), &world);
        CHECK_MSG(!world.why[0], "seed %" PRIu64 ": %s", seed, world.why);
        deaths += world.deaths, dropped += world.dropped, skipped += world.skipped;
    }
    CHECK_MSG(deaths > 500 && dropped > 500 && skipped > 500,
              "too tame: %" PRIu64 " deaths, %" PRIu64 " frames dropped, %" PRIu64 " between two", deaths, dropped,
              skipped);
}

// Each frame begins with what the one before left with the same worker, whoever dies.
static void states_under_deaths(void)
{
    uint64_t deaths = 0, used = 0, lost = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_world(seed, seed % 4 ? 4 : 0, 20, 30, seed % 3 ? STATES : STATES | WINDOWS | PARTS, &world);
        CHECK_MSG(!world.why[0], "seed %" PRIu64 ": %s", seed, world.why);
        deaths += world.deaths, used += world.states_used, lost += world.states_lost;
    }
    CHECK_MSG(deaths > 500 && used > 10000 && lost > 50,
              "too tame: %" PRIu64 " deaths, %" PRIu64 " frames, %" PRIu64 " states lost", deaths, used, lost);
}

// Nothing is to come that would need it: a keeper may go, and the epoch goes on.
static void a_state_is_needed_to_the_last_frame(void)
{
    static struct lane lane;
    uint32_t end, n;
    bool first;
    lane_init(&lane);
    lane_open(&lane,
              &(struct lane_params){.epoch = 1, .in_slots = 4, .out_slots = 4, .out_spares = 1, .stateful = true});
    lane_next_window(&lane, &end);
    for (uint32_t i = 0; i < 2; i++) CHECK_INT(lane_on_decoded(&lane, 1, i, 0, i, 1), LANE_OK);
    CHECK(!lane_may_serve(&lane, 0) && !lane_may_serve(&lane, 1)); // nobody has it yet
    lane_bind(&lane, 1);
    CHECK(!lane_may_serve(&lane, 0) && lane_may_serve(&lane, 1));
    CHECK(lane_needs(&lane, 1) && !lane_needs(&lane, 0));
    lane_give(&lane, 0, 1, 0);
    CHECK_INT(lane_late_head(&lane, 1000), UINT32_MAX); // no second worker
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 1, 0, &first), LANE_OK);
    lane_give(&lane, 1, 1, 0);
    CHECK_INT(lane_on_done(&lane, 1, 1, 0, 1, 1, &first), LANE_OK);
    CHECK(lane_needs(&lane, 1)); // more may come
    CHECK_INT(lane_on_end(&lane, 1, 2), LANE_OK);
    CHECK(!lane_needs(&lane, 1));
    CHECK_INT(lane_on_worker_gone(&lane, 1), 0);
    CHECK(lane_next_frame(&lane, &n) && lane_next_frame(&lane, &n) && n == 1);
}

// Frames are dropped before anybody has begun them; a decoder's death ends the lane early.
static void drops_under_deaths(void)
{
    uint64_t deaths = 0, dropped = 0, cut = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        int what = LIVE | (seed % 3 == 1 ? WINDOWS : 0) | (seed % 3 == 2 ? PARTS : 0);
        run_world(seed, seed % 4 ? 4 : 0, 20, 30, what, &world);
        CHECK_MSG(!world.why[0], "seed %" PRIu64 ": %s", seed, world.why);
        deaths += world.deaths, dropped += world.dropped, cut += world.cut_short;
    }
    CHECK_MSG(deaths > 500 && dropped > 5000 && cut > 50,
              "too tame: %" PRIu64 " deaths, %" PRIu64 " frames dropped, %" PRIu64 " lanes cut short", deaths, dropped,
              cut);
}

// The aggregator is told of those between dropped ones, and how many they are.
static void dropped_frames_are_passed_over(void)
{
    static struct lane lane;
    uint32_t end, n, frames;
    bool first;
    lane_init(&lane);
    lane_open(&lane, &(struct lane_params){.epoch = 1, .in_slots = 6, .out_slots = 6});
    lane_next_window(&lane, &end);
    for (uint32_t i = 0; i < 6; i++) CHECK_INT(lane_on_decoded(&lane, 1, i, 0, i, 1), LANE_OK);
    lane_drop(&lane, 0);
    CHECK_INT(lane.low, 1);
    CHECK_INT(lane_next_work(&lane, 0), 1);
    uint32_t slot = lane_give(&lane, 1, 0, 0);
    lane_drop(&lane, 2); // behind one that is being worked on: its slot is not used again before that one's
    CHECK_INT(lane.low, 1);
    lane_drop(&lane, 3);
    CHECK_INT(lane_on_done(&lane, 1, 1, 0, 0, slot, &first), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) && n == 1);
    CHECK(!lane_next_frame(&lane, &n));
    CHECK_INT(lane_at_aggregator(&lane), 1);
    CHECK_INT(lane_on_taken(&lane, 1, 1), LANE_OK);
    CHECK_INT(lane.low, 4);
    CHECK_INT(lane_on_taken(&lane, 1, 2), LANE_STALE);
    CHECK(lane_next_window(&lane, &end) && end == 10);
    lane_drop(&lane, 5);
    lane_cut_short(&lane);
    CHECK(!lane_next_finish(&lane, &frames)); // frame 4 is due
    CHECK_INT(lane_on_end(&lane, 1, 6), LANE_STALE);
    slot = lane_give(&lane, 4, 0, 0);
    CHECK_INT(lane_on_done(&lane, 1, 4, 0, 0, slot, &first), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) && n == 4);
    CHECK(lane_next_finish(&lane, &frames) && frames == 2);
    CHECK_INT(lane_on_committed(&lane, 1, 2), LANE_BAD); // one is not TAKEN
    CHECK_INT(lane_on_taken(&lane, 1, 4), LANE_OK);
    CHECK_INT(lane_on_committed(&lane, 1, 2), LANE_OK);
}

// A worker's death gives back its own parts, and no others.
static void only_the_dead_ones_parts_go_back(void)
{
    static struct lane lane;
    uint32_t end, n;
    bool first;
    lane_init(&lane);
    lane_open(&lane, &(struct lane_params){.epoch = 1, .in_slots = 4, .out_slots = 4, .parts = 3});
    lane_next_window(&lane, &end);
    CHECK_INT(lane_on_decoded(&lane, 1, 0, 0, 0, 1), LANE_OK);
    CHECK_INT(lane_on_decoded(&lane, 1, 1, 0, 1, 1), LANE_OK);
    for (uint32_t part = 0; part < 3; part++) {
        CHECK_INT(lane_next_work(&lane, 0), 0);
        CHECK_INT(lane_next_part(&lane, 0), part);
        CHECK_INT(lane_give(&lane, 0, part == 2 ? 1 : 0, 0), 0); // worker 0 has the first two
    }
    CHECK_INT(lane_next_work(&lane, 0), 1);
    CHECK_INT(lane_on_done(&lane, 1, 0, 3, 1, 0, &first), LANE_BAD);
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 0, 0, &first), LANE_OK);
    CHECK(!first);
    CHECK_INT(lane_on_worker_gone(&lane, 0), 1);
    CHECK_INT(lane_next_work(&lane, 0), 0);
    CHECK_INT(lane_next_part(&lane, 0), 1); // part 0 was done, part 2 is with worker 1
    CHECK_INT(lane_on_done(&lane, 1, 0, 2, 1, 0, &first), LANE_OK);
    CHECK_INT(lane_frame_of(&lane, 0)->state, SLOT_DECODED); // nobody holds any
    CHECK(!lane_next_frame(&lane, &n));
    lane_give(&lane, 0, 1, 0);
    CHECK_INT(lane_on_done(&lane, 1, 0, 1, 1, 0, &first), LANE_OK);
    CHECK(first);
    CHECK(lane_next_frame(&lane, &n) && n == 0);
}

// A frame is given up while another worker is still at a part of it.
static void quarantine_waits_for_other_parts(void)
{
    static struct lane lane;
    uint32_t end, n;
    bool first;
    lane_init(&lane);
    lane_open(&lane, &(struct lane_params){.epoch = 1, .in_slots = 4, .out_slots = 4, .parts = 3});
    lane_next_window(&lane, &end);
    lane_on_decoded(&lane, 1, 0, 0, 0, 1);
    lane_give(&lane, 0, 0, 0);
    lane_give(&lane, 0, 1, 0);
    CHECK_INT(lane_on_worker_gone(&lane, 0), 1);
    lane_quarantine(&lane, 0, 2);
    CHECK_INT(lane_next_work(&lane, 0), UINT32_MAX);
    CHECK(!lane_next_frame(&lane, &n));
    CHECK_INT(lane_on_done(&lane, 1, 0, 1, 1, 0, &first), LANE_OK);
    const struct lane_frame *f = lane_next_frame(&lane, &n);
    CHECK(f && f->flags == 2);
}

// A decoder with room to go on is not told of each slot that comes free; one
// without is, at once.
static void windows_move_in_steps(void)
{
    static struct lane lane;
    uint32_t end, n;
    bool first;
    lane_init(&lane);
    lane_open(&lane, &(struct lane_params){.epoch = 1, .in_slots = 16, .out_slots = 16});
    CHECK(lane_next_window(&lane, &end));
    for (uint32_t i = 0; i < 16; i++) CHECK_INT(lane_on_decoded(&lane, 1, i, 0, i, 1), LANE_OK);
    uint32_t told = 0;
    for (uint32_t i = 0; i < 12; i++) {
        uint32_t slot = lane_give(&lane, lane_next_work(&lane, 0), 0, 0);
        CHECK_INT(lane_on_done(&lane, 1, i, 0, 0, slot, &first), LANE_OK);
        CHECK(lane_next_frame(&lane, &n));
        CHECK_INT(lane_on_taken(&lane, 1, n), LANE_OK);
        told += lane_next_window(&lane, &end);
        CHECK_MSG(end - lane.low + 4 >= 16 || end - (i + 1) < 5, "after %u frames the window ends at %u", i + 1, end);
    }
    CHECK_MSG(told >= 2 && told <= 4, "the decoder was told %u times of 12 slots", told);
}

// Context before the range is seen, and neither given nor sent; its slots stay as long as it is.
static void context_before_is_seen(void)
{
    static struct lane lane;
    lane_init(&lane);
    const struct lane_params p = {.epoch = 1, .in_slots = 5, .out_slots = 4, .before = 2};
    const uint32_t lead = LANE_CONTEXT | LANE_WARMUP;
    uint32_t end, n;
    bool first;
    lane_open(&lane, &p);
    CHECK(lane_next_window(&lane, &end));
    CHECK_INT(lane_on_decoded(&lane, 1, 0, lead, 0, 1), LANE_OK);
    CHECK_INT(lane_on_decoded(&lane, 1, 1, lead, 10, 1), LANE_OK);
    CHECK_INT(lane_next_work(&lane, 0), UINT32_MAX);
    CHECK(!lane_next_window(&lane, &end)); // both are still seen with frame 2
    CHECK_INT(lane_on_decoded(&lane, 1, 2, 0, 20, 1), LANE_OK);
    CHECK_INT(lane_on_decoded(&lane, 1, 3, lead, 30, 1), LANE_BAD); // not before the range
    CHECK_INT(lane_on_decoded(&lane, 1, 3, 0, 30, 1), LANE_OK);
    CHECK_INT(lane_next_work(&lane, 0), 2);
    for (n = 2; n < 4; n++) {
        CHECK_INT(lane_give(&lane, n, 5, 0), n);
        CHECK_INT(lane_on_done(&lane, 1, n, 0, 5, n, &first), LANE_OK);
    }
    CHECK(lane_next_frame(&lane, &n) && n == 2);
    CHECK_INT(lane_at_aggregator(&lane), 1);
    CHECK_INT(lane_on_taken(&lane, 1, 1), LANE_STALE);
    CHECK_INT(lane_on_taken(&lane, 1, 2), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) && n == 3);
    CHECK_INT(lane_on_taken(&lane, 1, 3), LANE_OK);
    CHECK(lane_next_window(&lane, &end) && end == 7); // frames 0 and 1 are seen no more, 2 and 3 are
    CHECK_INT(lane_on_end(&lane, 1, 4), LANE_OK);
    CHECK(lane_next_finish(&lane, &n) && n == 2);
    CHECK_INT(lane_on_committed(&lane, 1, 2), LANE_OK);
}

// Context is the last that is decoded, so much as is seen, and not of the segment's count.
static void context_is_decoded_and_no_more(void)
{
    static struct lane lane;
    lane_init(&lane);
    const struct lane_params p = {.epoch = 1, .in_slots = 8, .out_slots = 4, .after = 1};
    uint32_t end, n;
    bool first;
    lane_open(&lane, &p);
    CHECK(lane_next_window(&lane, &end));
    CHECK_INT(lane_on_decoded(&lane, 1, 0, 0, 0, 1), LANE_OK);
    CHECK_INT(lane_next_work(&lane, 0), UINT32_MAX); // what is behind it is not there
    CHECK_INT(lane_on_decoded(&lane, 1, 1, LANE_CONTEXT, 10, 1), LANE_OK);
    CHECK_INT(lane_on_decoded(&lane, 1, 2, 0, 20, 1), LANE_BAD);
    CHECK_INT(lane_on_decoded(&lane, 1, 2, LANE_CONTEXT, 20, 1), LANE_BAD);
    CHECK_INT(lane_next_work(&lane, 0), 0);
    CHECK_INT(lane_after(&lane, 0), 1);
    CHECK_INT(lane_on_end(&lane, 1, 2), LANE_BAD);
    CHECK_INT(lane_on_end(&lane, 1, 1), LANE_OK);
    CHECK_INT(lane_next_work(&lane, 1), UINT32_MAX);
    lane_give(&lane, 0, 5, 0);
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 5, 0, &first), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) != NULL);
    CHECK(lane_next_frame(&lane, &n) == NULL);
    CHECK(lane_next_finish(&lane, &n) && n == 1);
    CHECK_INT(lane_on_taken(&lane, 1, 0), LANE_OK);
    CHECK_INT(lane_on_committed(&lane, 1, 1), LANE_OK);
    lane_close(&lane);
    CHECK(lane_next_idle(&lane));
}

static void impossible_events_are_refused(void)
{
    static struct lane lane;
    bool first;
    lane_init(&lane);
    CHECK_INT(lane_on_decoded(&lane, 1, 0, 0, 0, 0), LANE_STALE);
    lane_open(&lane, &(struct lane_params){.epoch = 5, .in_slots = 4, .out_slots = 4});
    uint32_t end;
    CHECK(lane_next_window(&lane, &end));
    CHECK_INT(end, 4);
    CHECK(!lane_next_window(&lane, &end));
    CHECK_INT(lane_on_decoded(&lane, 4, 0, 0, 0, 0), LANE_STALE);
    CHECK_INT(lane_on_decoded(&lane, 5, 1, 0, 0, 0), LANE_BAD);
    CHECK_INT(lane_on_decoded(&lane, 5, 0, 0, 0, 0), LANE_OK);
    CHECK_INT(lane_on_end(&lane, 5, 3), LANE_BAD);
    CHECK_INT(lane_on_done(&lane, 5, 0, 0, 2, 0, &first), LANE_STALE);
    uint32_t slot = lane_give(&lane, lane_next_work(&lane, 0), 2, 0);
    CHECK_INT(lane_on_done(&lane, 5, 0, 0, 2, slot + 1, &first), LANE_BAD);
    CHECK_INT(lane_on_done(&lane, 5, 9, 0, 2, slot, &first), LANE_BAD);
    CHECK_INT(lane_on_taken(&lane, 5, 0), LANE_BAD);
    CHECK_INT(lane_on_committed(&lane, 5, 1), LANE_BAD);
    CHECK_INT(lane_on_refused(&lane, 5, 0, 0, 3), LANE_STALE);
    CHECK_INT(lane_on_refused(&lane, 5, 0, 0, 2), LANE_OK);
    CHECK_INT(lane_next_work(&lane, 0), 0);
}

// A worker's answer about the segment before must not free what it holds now.
static void answers_of_the_epoch_before_are_stale(void)
{
    static struct lane lane;
    uint32_t end;
    bool first;
    lane_init(&lane);
    lane_open(&lane, &(struct lane_params){.epoch = 1, .in_slots = 4, .out_slots = 4});
    lane_close(&lane);
    CHECK(lane_next_idle(&lane));
    lane_open(&lane, &(struct lane_params){.epoch = 2, .in_slots = 4, .out_slots = 4});
    lane_next_window(&lane, &end);
    CHECK_INT(lane_on_decoded(&lane, 1, 0, 0, 0, 1), LANE_STALE);
    CHECK_INT(lane_on_decoded(&lane, 2, 0, 0, 0, 1), LANE_OK);
    uint32_t slot = lane_give(&lane, 0, 3, 0);
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 3, slot, &first), LANE_STALE);
    CHECK(!first);
    CHECK_INT(lane_held_by(&lane, 3), 1);
    CHECK_INT(lane_on_refused(&lane, 1, 0, 0, 3), LANE_STALE);
    CHECK_INT(lane_held_by(&lane, 3), 1);
    CHECK_INT(lane_on_end(&lane, 1, 1), LANE_STALE);
    CHECK_INT(lane_on_done(&lane, 2, 0, 0, 3, slot, &first), LANE_OK);
    CHECK(first);
    uint32_t n;
    CHECK(lane_next_frame(&lane, &n) != NULL);
    CHECK_INT(lane_on_taken(&lane, 1, 0), LANE_STALE);
    CHECK_INT(lane_on_taken(&lane, 2, 0), LANE_OK);
    lane_join(&lane, LANE_MEMBER_DECODER);
    lane_close(&lane);
    CHECK_INT(lane_on_closed(&lane, 1, LANE_MEMBER_DECODER), LANE_STALE);
    CHECK(!lane_next_idle(&lane)); // the decoder has this epoch still
    CHECK_INT(lane_on_closed(&lane, 2, LANE_MEMBER_DECODER), LANE_OK);
    CHECK(lane_next_idle(&lane));
}

// A commit is of all frames of the segment, and each was taken.
static void commit_counts_every_frame(void)
{
    static struct lane lane;
    uint32_t end, n, frames;
    bool first;
    lane_init(&lane);
    lane_open(&lane, &(struct lane_params){.epoch = 1, .in_slots = 4, .out_slots = 4});
    lane_next_window(&lane, &end);
    for (uint32_t i = 0; i < 2; i++) {
        lane_on_decoded(&lane, 1, i, 0, i, 1);
        CHECK_INT(lane_on_done(&lane, 1, i, 0, 0, lane_give(&lane, i, 0, 0), &first), LANE_OK);
        CHECK(lane_next_frame(&lane, &n) != NULL);
    }
    CHECK_INT(lane_on_taken(&lane, 1, 0), LANE_OK);
    CHECK_INT(lane_on_end(&lane, 1, 2), LANE_OK);
    CHECK(lane_next_finish(&lane, &frames));
    CHECK_INT(lane_on_committed(&lane, 1, 2), LANE_BAD); // frame 1 is still held
    CHECK_INT(lane_on_taken(&lane, 1, 1), LANE_OK);
    CHECK_INT(lane_on_committed(&lane, 1, 1), LANE_BAD);
    CHECK_INT(lane_on_committed(&lane, 1, 3), LANE_BAD);
    CHECK_INT(lane_on_committed(&lane, 1, 2), LANE_OK);
    CHECK_INT(lane_on_committed(&lane, 1, 2), LANE_STALE);
}

static void spare_slots_come_back(void)
{
    static struct lane lane;
    uint32_t end, n;
    bool first;
    lane_init(&lane);
    lane_open(&lane, &(struct lane_params){.epoch = 1, .in_slots = 4, .out_slots = 4, .out_spares = 1});
    for (uint32_t i = 0; i < 3; i++) {
        lane_next_window(&lane, &end);
        lane_on_decoded(&lane, 1, i, 0, i, 1);
        uint32_t slot = lane_give(&lane, i, 0, 0);
        CHECK_INT(lane_late_head(&lane, 10), i);
        CHECK_INT(lane_give_second(&lane, i, 1), 4);
        CHECK_INT(lane_late_head(&lane, 10), UINT32_MAX); // the only spare is in use
        CHECK_INT(lane_on_done(&lane, 1, i, 0, 1, 4, &first), LANE_OK);
        CHECK(first);
        CHECK(lane_next_frame(&lane, &n) != NULL);
        CHECK_INT(lane_on_taken(&lane, 1, i), LANE_OK);
        CHECK_INT(lane.low, i); // the first worker may still write
        CHECK_INT(lane_on_done(&lane, 1, i, 0, 0, slot, &first), LANE_OK);
        CHECK(!first);
        CHECK_INT(lane.low, i + 1);
    }
}

static void quarantined_frame_is_passed_on(void)
{
    static struct lane lane;
    uint32_t end, n;
    lane_init(&lane);
    lane_open(&lane, &(struct lane_params){.epoch = 1, .in_slots = 4, .out_slots = 4});
    lane_next_window(&lane, &end);
    for (uint32_t i = 0; i < 2; i++) CHECK_INT(lane_on_decoded(&lane, 1, i, 0, i, 1), LANE_OK);
    lane_quarantine(&lane, 0, 2);
    const struct lane_frame *f = lane_next_frame(&lane, &n);
    CHECK(f && n == 0);
    CHECK_INT(f->flags, 2);
    CHECK_INT(lane_next_work(&lane, 0), 1);
}

CHECK_MAIN({"states_under_deaths", states_under_deaths},
           {"a_state_is_needed_to_the_last_frame", a_state_is_needed_to_the_last_frame}, {"undisturbed", undisturbed},
           {"repeated_messages", repeated_messages}, {"deaths_everywhere", deaths_everywhere},
           {"context_before_is_seen", context_before_is_seen},
           {"context_is_decoded_and_no_more", context_is_decoded_and_no_more},
           {"impossible_events_are_refused", impossible_events_are_refused},
           {"windows_move_in_steps", windows_move_in_steps}, {"parts_under_deaths", parts_under_deaths},
           {"windows_under_deaths", windows_under_deaths}, {"pairs_under_deaths", pairs_under_deaths},
           {"drops_under_deaths", drops_under_deaths},
           {"dropped_frames_are_passed_over", dropped_frames_are_passed_over},
           {"only_the_dead_ones_parts_go_back", only_the_dead_ones_parts_go_back},
           {"quarantine_waits_for_other_parts", quarantine_waits_for_other_parts},
           {"answers_of_the_epoch_before_are_stale", answers_of_the_epoch_before_are_stale},
           {"commit_counts_every_frame", commit_counts_every_frame}, {"spare_slots_come_back", spare_slots_come_back},
           {"quarantined_frame_is_passed_on", quarantined_frame_is_passed_on})
