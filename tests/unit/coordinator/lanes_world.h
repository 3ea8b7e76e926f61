// SPDX-License-Identifier: MIT
//
// The stages of test_lanes.c: decoders, workers and aggregators that act in an order drawn from a
// seed and check every access to a slot. Messages from them wait in a queue; the coordinator, which
// takes them, is in test_lanes.c.
#ifndef REEL_TESTS_COORDINATOR_LANES_WORLD_H
#define REEL_TESTS_COORDINATOR_LANES_WORLD_H

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

static inline uint32_t draw(struct world *w, uint32_t below)
{
    return (uint32_t)(check_rand(&w->seed) >> 33) % below;
}

static inline bool chance(struct world *w, int per_mille)
{
    return draw(w, 1000) < (uint32_t)per_mille;
}

#define BAD(w, ...) (snprintf((w)->why, sizeof(w)->why, __VA_ARGS__))

static inline void say(struct world *w, struct message m)
{
    if (w->n_queue < QUEUE)
        w->queue[w->n_queue++] = m;
    else
        BAD(w, "the queue is full");
}

// ---- slots ----------------------------------------------------------------------

// Parts of one frame may be written side by side, each by one.
static inline void begin_write(struct world *w, struct sim_slot *s, uint32_t epoch, uint32_t n, uint32_t part,
                               const char *who)
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

static inline void end_write(struct sim_slot *s, uint32_t part, bool torn)
{
    s->writers--;
    s->writing &= ~(1u << part);
    if (!torn) s->whole |= 1u << part;
}

static inline void begin_read(struct world *w, struct sim_slot *s, uint32_t epoch, uint32_t n, uint32_t parts,
                              const char *who)
{
    if (s->writers) BAD(w, "%s reads a slot that is being written", who);
    if (s->whole != (1u << parts) - 1) BAD(w, "%s reads parts %x of %u", who, s->whole, parts);
    if (s->epoch != epoch || s->n != n) BAD(w, "%s reads frame %u/%u, wanted %u/%u", who, s->epoch, s->n, epoch, n);
    s->readers++;
}

// ---- the stages -----------------------------------------------------------------

static inline void step_decoder(struct world *w, uint32_t l)
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

static inline uint32_t first_seen(const struct work *job)
{
    return job->n > job->back ? job->n - job->back : 0;
}

static inline uint32_t seen(const struct work *job, uint32_t n)
{
    return n == job->n + 1 ? job->next : n;
}

static inline void begin_reads(struct world *w, const struct work *job)
{
    if (job->in_slot != job->n % job->slots) BAD(w, "frame %u in slot %u", job->n, job->in_slot);
    for (uint32_t n = first_seen(job); n <= job->n + job->after; n++)
        begin_read(w, &w->sim[job->lane].in[seen(job, n) % job->slots], job->epoch, seen(job, n), 1, "worker");
}

static inline void end_reads(struct world *w, const struct work *job)
{
    for (uint32_t n = first_seen(job); n <= job->n + job->after; n++)
        w->sim[job->lane].in[seen(job, n) % job->slots].readers--;
}

// The frame begins with what the one before left here.
static inline void use_state(struct world *w, struct sim_worker *s, const struct work *job)
{
    if (!w->lanes[job->lane].p.stateful || w->lanes[job->lane].p.epoch != job->epoch) return;
    uint32_t *next = &s->state_next[job->lane];
    if (s->state_epoch[job->lane] != job->epoch) *next = 0;
    s->state_epoch[job->lane] = job->epoch;
    if (job->n != *next) BAD(w, "frame %u is given to a worker whose state is for frame %u", job->n, *next);
    *next = job->n + 1;
    w->states_used++;
}

static inline void step_worker(struct world *w, uint32_t i)
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
static inline void let_go(struct sim_lane *s, uint32_t n)
{
    s->in[s->frame_in[n]].readers--;
    if (s->frame_next[n] != s->frame_in[n]) s->in[s->frame_next[n]].readers--;
}

static inline void step_aggregator(struct world *w, uint32_t l)
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

#endif
