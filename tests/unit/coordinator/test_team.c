// SPDX-License-Identifier: MIT
//
// Frames whose parts are done together, under random schedules of deaths, members
// that give up, lanes that are given up, and answers in any order between workers:
// members meet in every round that comes to an end, nobody of an old round meets
// somebody of a new one, and all frames get done.
#include <string.h>

#include "coordinator/team.h"
#include "tests/check.h"

#define WORKERS 6
#define LANES 3
#define FRAMES 12
#define QUEUE 64

struct item {
    uint64_t round;
    uint32_t lane, epoch, n, part, slot;
};

struct worker {
    bool alive;
    uint32_t epoch[LANES]; // that it has open
    bool closing[LANES];
    struct item queue[QUEUE];
    uint32_t n;
    uint64_t last_round; // that it was given
};

struct world {
    uint64_t seed;
    struct team team;
    struct dispatch dispatch;
    struct lane lane[LANES];
    struct worker worker[WORKERS];
    uint64_t over;                                   // rounds up to it are
    uint64_t done_by[LANES][FRAMES][LANE_MAX_PARTS]; // round of a part's answer
    uint32_t parts[LANES], members_of[1 << 14], finished, segments, rounds_done;
    uint32_t epoch;
    const char *bad;
};

#define BAD(w, text) ((w)->bad = (w)->bad ? (w)->bad : (text))

static uint32_t draw(struct world *w, uint32_t n)
{
    return (uint32_t)(check_rand(&w->seed) >> 33) % n;
}

static void broken(struct world *w, const struct lane *lane)
{
    if (lane->p.together && team_break(&w->team, w->lane, LANES)) w->over = w->team.round;
}

static void open_lane(struct world *w, uint32_t l)
{
    struct lane_params p = {
        .epoch = ++w->epoch, .in_slots = 5, .out_slots = 4, .parts = w->parts[l], .together = true, .order = w->epoch};
    lane_open(&w->lane[l], &p);
    memset(w->done_by[l], 0, sizeof w->done_by[l]);
    uint32_t end;
    lane_next_window(&w->lane[l], &end);
    lane_join(&w->lane[l], LANE_MEMBER_DECODER);
    for (uint32_t i = 0; i < WORKERS; i++)
        if (w->worker[i].alive) {
            w->worker[i].epoch[l] = p.epoch;
            lane_join(&w->lane[l], LANE_MEMBER_WORKER0 + i);
        }
}

static void close_lane(struct world *w, uint32_t l)
{
    struct lane *lane = &w->lane[l];
    if (lane->state != LANE_OPEN) return;
    if (lane_held_by(lane, LANE_NO_WORKER)) broken(w, lane);
    lane_close(lane);
    lane_on_closed(lane, lane->p.epoch, LANE_MEMBER_DECODER);
    for (uint32_t i = 0; i < WORKERS; i++)
        if (lane_has_member(lane, LANE_MEMBER_WORKER0 + i)) w->worker[i].closing[l] = true;
}

static void drop_member(struct world *w, uint32_t l, uint32_t i)
{
    struct lane *lane = &w->lane[l];
    dispatch_on_let_go(&w->dispatch, i, lane_on_worker_gone(lane, i));
    if (lane->state == LANE_CLOSING) lane_on_closed(lane, lane->p.epoch, LANE_MEMBER_WORKER0 + i);
    if (lane->state == LANE_OPEN) lane->members[0] &= ~(UINT64_C(1) << (LANE_MEMBER_WORKER0 + i));
}

static void kill_or_bear(struct world *w, uint32_t i)
{
    struct worker *s = &w->worker[i];
    if (s->alive) {
        for (uint32_t l = 0; l < LANES; l++) {
            if (w->lane[l].state == LANE_IDLE) continue;
            if (lane_held_by(&w->lane[l], i)) broken(w, &w->lane[l]);
            drop_member(w, l, i);
        }
        dispatch_on_gone(&w->dispatch, i);
        *s = (struct worker){0};
        return;
    }
    *s = (struct worker){.alive = true};
    dispatch_up(&w->dispatch, i, 1);
    dispatch_on_ready(&w->dispatch, i, 8);
    for (uint32_t l = 0; l < LANES; l++)
        if (w->lane[l].state == LANE_OPEN) {
            s->epoch[l] = w->lane[l].p.epoch;
            lane_join(&w->lane[l], LANE_MEMBER_WORKER0 + i);
        }
}

static void pop(struct worker *s)
{
    memmove(s->queue, s->queue + 1, --s->n * sizeof *s->queue);
}

// Whether all of the round are at it: then, and only then, can one come to its end.
static bool all_meet(const struct world *w, const struct item *me)
{
    uint32_t at_it = 0;
    for (uint32_t i = 0; i < WORKERS; i++)
        at_it += w->worker[i].alive && w->worker[i].n && w->worker[i].queue[0].round == me->round;
    for (uint32_t p = 0; p < LANE_MAX_PARTS; p++) at_it += w->done_by[me->lane][me->n][p] == me->round;
    return at_it >= w->members_of[me->round];
}

static void refuse(struct world *w, uint32_t i, const struct item *item)
{
    struct lane *lane = &w->lane[item->lane];
    if (lane->state != LANE_OPEN || lane->p.epoch != item->epoch) return;
    broken(w, lane);
    if (lane_on_refused(lane, item->epoch, item->n, item->part, i) == LANE_OK) dispatch_on_let_go(&w->dispatch, i, 1);
}

static void finish_part(struct world *w, uint32_t i, const struct item *item)
{
    struct lane *lane = &w->lane[item->lane];
    bool first;
    if (lane->p.epoch == item->epoch) w->done_by[item->lane][item->n][item->part] = item->round;
    enum lane_result r = lane_on_done(lane, item->epoch, item->n, item->part, i, item->slot, &first);
    if (r == LANE_BAD) BAD(w, "an answer was judged impossible");
    if (r != LANE_OK) return;
    dispatch_on_done(&w->dispatch, i, 1000);
    if (!first) return;
    team_on_done(&w->team);
    w->rounds_done++;
    for (uint32_t p = 0; p < lane->p.parts; p++)
        if (w->done_by[item->lane][item->n][p] != item->round) BAD(w, "a frame is of several rounds");
}

static void step_worker(struct world *w, uint32_t i)
{
    struct worker *s = &w->worker[i];
    if (!s->alive) return;
    if (s->n) {
        struct item item = s->queue[0];
        bool stale = s->epoch[item.lane] != item.epoch;
        bool refused = !stale && (item.round <= w->over || draw(w, 60) == 0);
        if (!stale && !refused && !all_meet(w, &item)) return; // it waits, and hears nothing
        pop(s);
        dispatch_on_ready(&w->dispatch, i, 1);
        if (refused)
            refuse(w, i, &item);
        else if (!stale)
            finish_part(w, i, &item);
    }
    for (uint32_t l = 0; l < LANES; l++)
        if (s->closing[l]) {
            s->closing[l] = false;
            s->epoch[l] = 0;
            if (w->lane[l].state == LANE_CLOSING) drop_member(w, l, i);
        }
}

static void step_lane(struct world *w, uint32_t l)
{
    struct lane *lane = &w->lane[l];
    uint32_t n, end, frames;
    if (lane->state == LANE_OPEN) {
        lane_next_window(lane, &end);
        if (!lane->ended && lane->decoded < FRAMES && lane->decoded < lane->window_end)
            lane_on_decoded(lane, lane->p.epoch, lane->decoded, 0, 0, 1);
        if (lane->decoded == FRAMES) lane_on_end(lane, lane->p.epoch, FRAMES);
        while (lane_next_frame(lane, &n)) lane_on_taken(lane, lane->p.epoch, n);
        if (lane_next_finish(lane, &frames)) {
            lane_on_committed(lane, lane->p.epoch, frames);
            w->finished++;
            close_lane(w, l);
        }
    } else if (lane->state == LANE_IDLE || lane_next_idle(lane)) {
        if (w->finished < w->segments) open_lane(w, l);
    }
}

static void give(struct world *w)
{
    struct team_give g;
    while (team_next(&w->team, &w->dispatch, w->lane, LANES, 0, &g)) {
        if (g.round <= w->over) BAD(w, "a round is given that is over");
        if (g.round < sizeof w->members_of / sizeof *w->members_of) w->members_of[g.round] = g.parts;
        for (uint32_t i = 0; i < WORKERS; i++)
            for (uint32_t k = 0; k < w->worker[i].n; k++)
                if (w->worker[i].alive && w->worker[i].queue[k].round <= w->over &&
                    w->worker[i].epoch[w->worker[i].queue[k].lane] == w->worker[i].queue[k].epoch)
                    BAD(w, "a new round beside one that is over");
        for (uint32_t p = 0; p < g.parts; p++) {
            struct worker *s = &w->worker[g.worker[p]];
            for (uint32_t q = 0; q < p; q++)
                if (g.worker[q] == g.worker[p]) BAD(w, "a worker has two parts of a round");
            if (!s->alive || s->n == QUEUE || s->last_round >= g.round) BAD(w, "a member cannot take its part");
            if (s->n == QUEUE) continue;
            s->last_round = g.round;
            s->queue[s->n++] = (struct item){g.round, g.lane, w->lane[g.lane].p.epoch, g.n, p, g.out_slot};
        }
    }
}

static void random_schedules(void)
{
    static struct world w;
    uint32_t rounds = 0, broken_rounds = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        memset(&w, 0, sizeof w);
        w.seed = seed;
        w.segments = 4;
        w.team.join = TEAM_APART;
        dispatch_init(&w.dispatch, WORKERS);
        for (uint32_t l = 0; l < LANES; l++) {
            lane_init(&w.lane[l]);
            w.parts[l] = 2 + draw(&w, 3);
        }
        for (uint32_t i = 0; i < WORKERS; i++) kill_or_bear(&w, i);
        bool quiet = seed % 3 == 0;
        uint32_t steps = 0;
        for (; steps < 200000 && w.finished < w.segments && !w.bad; steps++) {
            if (w.team.round + 4 >= sizeof w.members_of / sizeof *w.members_of) break;
            w.team.off = false; // counted below; here breaks are far too many
            give(&w);
            if (draw(&w, 3))
                step_worker(&w, draw(&w, WORKERS));
            else
                step_lane(&w, draw(&w, LANES));
            if (!quiet && draw(&w, 300) == 0) kill_or_bear(&w, draw(&w, WORKERS));
            if (!quiet && draw(&w, 3000) == 0) close_lane(&w, draw(&w, LANES));
            for (uint32_t i = 0; i < WORKERS && steps % 100 == 0; i++)
                if (!w.worker[i].alive) kill_or_bear(&w, i);
        }
        CHECK_MSG(!w.bad, "seed %llu, step %u: %s", (unsigned long long)seed, steps, w.bad);
        CHECK_MSG(w.finished >= w.segments, "seed %llu: %u of %u segments after %u steps, round %llu",
                  (unsigned long long)seed, w.finished, w.segments, steps, (unsigned long long)w.team.round);
        rounds += (uint32_t)w.team.round;
        broken_rounds += (uint32_t)w.team.round - w.rounds_done;
    }
    CHECK_MSG(broken_rounds > 1000, "%u of %u rounds were broken", broken_rounds, rounds);
}

static void one_lane(struct lane *lane, struct dispatch *d, uint32_t workers)
{
    lane_init(lane);
    lane_open(lane, &(struct lane_params){.epoch = 1, .in_slots = 8, .out_slots = 8, .parts = 2, .together = true});
    uint32_t end;
    lane_next_window(lane, &end);
    for (uint32_t n = 0; n < 8; n++) lane_on_decoded(lane, 1, n, 0, n, 1);
    dispatch_init(d, workers);
    for (uint32_t i = 0; i < workers; i++) {
        dispatch_up(d, i, 1);
        dispatch_on_ready(d, i, 8);
    }
}

static void two_frames_ahead_and_spares(void)
{
    static struct lane lane;
    struct dispatch d;
    struct team t = {.join = TEAM_APART};
    struct team_give g;
    one_lane(&lane, &d, 3);
    CHECK(team_next(&t, &d, &lane, 1, 0, &g));
    CHECK_INT(g.n, 0);
    CHECK_INT(g.worker[0], 0);
    CHECK_INT(g.worker[1], 1);
    CHECK(team_next(&t, &d, &lane, 1, 0, &g));
    CHECK_INT(g.n, 1);
    CHECK(!team_next(&t, &d, &lane, 1, 0, &g));
    CHECK_INT(d.worker[2].held, 0);
    // Nothing else is given to a frame that is done together.
    struct dispatch_batch batch;
    CHECK(!dispatch_next(&d, &lane, 1, 0, &batch));
    // A member dies: the other lets go of both, then the spare takes over.
    CHECK(team_break(&t, &lane, 1));
    CHECK(!team_break(&t, &lane, 1));
    dispatch_on_let_go(&d, 1, lane_on_worker_gone(&lane, 1));
    dispatch_on_gone(&d, 1);
    CHECK(!team_next(&t, &d, &lane, 1, 0, &g));
    for (uint32_t n = 0; n < 2; n++) {
        CHECK_INT(lane_on_refused(&lane, 1, n, 0, 0), LANE_OK);
        dispatch_on_let_go(&d, 0, 1);
        dispatch_on_ready(&d, 0, 1);
    }
    CHECK(team_next(&t, &d, &lane, 1, 0, &g));
    CHECK_INT(g.n, 0);
    CHECK_INT(g.round, 3);
    CHECK_INT(g.worker[0], 0);
    CHECK_INT(g.worker[1], 2);
}

static void a_part_done_is_done_again(void)
{
    static struct lane lane;
    struct dispatch d;
    struct team t = {.join = TEAM_APART};
    struct team_give g;
    bool first;
    one_lane(&lane, &d, 2);
    CHECK(team_next(&t, &d, &lane, 1, 0, &g));
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 0, g.out_slot, &first), LANE_OK);
    CHECK(!first);
    CHECK(team_break(&t, &lane, 1));
    lane_on_worker_gone(&lane, 1);
    CHECK_INT(lane_frame_of(&lane, 0)->state, SLOT_DECODED);
    CHECK_INT(lane_next_work(&lane, 0), 0);
    CHECK(team_next(&t, &d, &lane, 1, 0, &g));
    CHECK_INT(g.n, 0);
    CHECK_INT(lane_on_done(&lane, 1, 0, 1, 1, g.out_slot, &first), LANE_OK);
    CHECK(!first);
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 0, g.out_slot, &first), LANE_OK);
    CHECK(first);
}

static void suspected_frames_are_alone(void)
{
    static struct lane lane;
    struct dispatch d;
    struct team t = {.join = TEAM_APART};
    struct team_give g;
    bool first;
    one_lane(&lane, &d, 2);
    lane_frame_of(&lane, 1)->suspicion = 1;
    CHECK(team_next(&t, &d, &lane, 1, 0, &g));
    CHECK(!team_next(&t, &d, &lane, 1, 0, &g));
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_INT(lane_on_done(&lane, 1, 0, i, i, 0, &first), LANE_OK);
        dispatch_on_done(&d, i, 1000);
    }
    CHECK(team_next(&t, &d, &lane, 1, 0, &g));
    CHECK_INT(g.n, 1);
    CHECK(!team_next(&t, &d, &lane, 1, 0, &g));
    CHECK(d.worker[0].alone && d.worker[1].alone);
}

static void it_is_given_up_in_the_end(void)
{
    static struct lane lane;
    struct dispatch d;
    struct team t = {.join = TEAM_APART};
    struct team_give g;
    one_lane(&lane, &d, 2);
    for (int i = 0; i < TEAM_MOST_BREAKS; i++) {
        CHECK(!t.off);
        CHECK(team_next(&t, &d, &lane, 1, 0, &g));
        CHECK(team_break(&t, &lane, 1));
        for (uint32_t k = 0; k < 2; k++) {
            CHECK_INT(lane_on_refused(&lane, 1, 0, k, k), LANE_OK);
            dispatch_on_let_go(&d, k, 1);
            dispatch_on_ready(&d, k, 1);
        }
    }
    CHECK(t.off);
    CHECK(!team_next(&t, &d, &lane, 1, 0, &g));
}

// Before the first round, once; nothing is given until all have answered.
static void devices_join_first(void)
{
    static struct lane lane;
    struct dispatch d;
    struct team t = {0};
    struct team_give g;
    one_lane(&lane, &d, 2);
    d.n = 3; // the third is not up yet
    CHECK(!team_asks(&t, &d, &lane, 1));
    CHECK(!team_next(&t, &d, &lane, 1, 0, &g));
    dispatch_up(&d, 2, 1);
    CHECK(team_asks(&t, &d, &lane, 1));
    CHECK(!team_asks(&t, &d, &lane, 1));
    for (int i = 0; i < 3; i++) {
        CHECK(!team_next(&t, &d, &lane, 1, 0, &g));
        team_on_joined(&t, true);
    }
    CHECK(team_next(&t, &d, &lane, 1, 0, &g));
    CHECK(g.direct);
    // A round that is over parts them for good.
    CHECK(team_break(&t, &lane, 1));
    for (uint32_t k = 0; k < 2; k++) {
        CHECK_INT(lane_on_refused(&lane, 1, 0, k, k), LANE_OK);
        dispatch_on_let_go(&d, k, 1);
    }
    CHECK(!team_asks(&t, &d, &lane, 1));
    team_on_joined(&t, true);
    CHECK(team_next(&t, &d, &lane, 1, 0, &g));
    CHECK(!g.direct);
    // One that cannot is enough, and so is one that is gone in between.
    for (int gone = 0; gone < 2; gone++) {
        one_lane(&lane, &d, 2);
        t = (struct team){0};
        CHECK(team_asks(&t, &d, &lane, 1));
        team_on_joined(&t, true);
        if (gone)
            team_part(&t);
        else
            team_on_joined(&t, false);
        CHECK(team_next(&t, &d, &lane, 1, 0, &g));
        CHECK(!g.direct);
    }
}

CHECK_MAIN({"random_schedules", random_schedules}, {"two_frames_ahead_and_spares", two_frames_ahead_and_spares},
           {"a_part_done_is_done_again", a_part_done_is_done_again},
           {"suspected_frames_are_alone", suspected_frames_are_alone},
           {"it_is_given_up_in_the_end", it_is_given_up_in_the_end}, {"devices_join_first", devices_join_first})
