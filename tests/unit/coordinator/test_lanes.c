// SPDX-License-Identifier: MIT
//
// Lanes and dispatch under random schedules: a small world of decoders,
// workers and aggregators that work, die, repeat and delay messages in an order
// drawn from a seed. Checked at every access: nobody writes a slot that another
// may read or write; at every commit: each frame exactly once, in order, made
// from the right input; and that the world never stands still. The stages are in
// lanes_world.h; test_lane_rules.c has single rules.
#include "tests/unit/coordinator/lanes_world.h"

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

CHECK_MAIN({"states_under_deaths", states_under_deaths}, {"undisturbed", undisturbed},
           {"repeated_messages", repeated_messages}, {"deaths_everywhere", deaths_everywhere},
           {"parts_under_deaths", parts_under_deaths}, {"windows_under_deaths", windows_under_deaths},
           {"pairs_under_deaths", pairs_under_deaths}, {"drops_under_deaths", drops_under_deaths})
