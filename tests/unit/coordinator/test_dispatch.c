// SPDX-License-Identifier: MIT
//
// Dispatch against a clock of its own: how much of the workers' speed comes
// through, with equal and with mixed devices, and what happens at the end of a
// job, with suspected frames and without credit.
#include "coordinator/dispatch.h"

#include "tests/check.h"

#define MAX_W 64
#define HOP_US 60 // a message's way, there or back

struct device {
    double frame_us, busy_until;
    uint32_t queue[64], first, count;
};

struct bench {
    struct dispatch d;
    struct lane lane[8];
    struct device dev[MAX_W];
    uint32_t workers, lanes, slots;
    uint64_t done, given, total;
    double now;
    // Answers on their way back: one per device at a time is enough (DONE in order).
    struct {
        double at;
        uint32_t worker, lane, n, part, slot;
    } answer[MAX_W * 64];
    uint32_t n_answers;
    uint32_t parts;
    double given_at[512], latency_us; // from a frame's first part given to its last one done, mean
};

static struct bench b;

// Decoders and aggregators of no cost, until nothing moves any more.
static void feed(void)
{
    for (uint32_t l = 0; l < b.lanes; l++) {
        struct lane *lane = &b.lane[l];
        uint32_t end, n;
        while (lane_next_window(lane, &end)) {
            while (lane->decoded < lane->window_end) lane_on_decoded(lane, lane->p.epoch, lane->decoded, 0, 0, 1);
            while (lane_next_frame(lane, &n)) lane_on_taken(lane, lane->p.epoch, n);
        }
        while (lane_next_frame(lane, &n)) lane_on_taken(lane, lane->p.epoch, n);
        if (lane_next_window(lane, &end)) l--; // once more
        while (lane->decoded < lane->window_end) lane_on_decoded(lane, lane->p.epoch, lane->decoded, 0, 0, 1);
    }
}

static void give(void)
{
    struct dispatch_batch batch;
    for (;;) {
        feed();
        b.d.remaining = (int64_t)(b.total * b.parts - b.given);
        if (b.d.remaining <= 0 || !dispatch_next(&b.d, b.lane, b.lanes, (int64_t)b.now, &batch)) return;
        struct device *dev = &b.dev[batch.worker];
        for (uint32_t i = 0; i < batch.count; i++) {
            b.given += batch.item[i].out_slot < b.slots; // a second try is no new frame
            if (!batch.item[i].part) b.given_at[batch.item[i].n % 512] = b.now;
            double begin = b.now + HOP_US > dev->busy_until ? b.now + HOP_US : dev->busy_until;
            dev->busy_until = begin + dev->frame_us / b.parts;
            b.answer[b.n_answers].at = dev->busy_until + HOP_US;
            b.answer[b.n_answers].worker = batch.worker;
            b.answer[b.n_answers].lane = batch.item[i].lane;
            b.answer[b.n_answers].n = batch.item[i].n;
            b.answer[b.n_answers].part = batch.item[i].part;
            b.answer[b.n_answers++].slot = batch.item[i].out_slot;
        }
    }
}

// Returns the share of the summed speeds that came through.
static double run_parts(uint32_t workers, const double *frame_us, uint32_t lanes, uint32_t slots, uint64_t total,
                        uint32_t parts)
{
    memset(&b, 0, sizeof b);
    b.parts = parts;
    b.workers = workers, b.lanes = lanes, b.slots = slots, b.total = total;
    dispatch_init(&b.d, workers);
    double rate = 0;
    for (uint32_t i = 0; i < workers; i++) {
        b.dev[i].frame_us = frame_us[i];
        rate += 1 / frame_us[i];
        dispatch_up(&b.d, i, 1);
        dispatch_on_ready(&b.d, i, 16);
    }
    for (uint32_t l = 0; l < lanes; l++)
        lane_open(
            &b.lane[l],
            &(struct lane_params){
                .epoch = 1, .in_slots = slots, .out_slots = slots, .out_spares = 2, .parts = parts, .order = l + 1});
    give();
    while (b.done < total && b.n_answers) {
        uint32_t next = 0;
        for (uint32_t i = 1; i < b.n_answers; i++)
            if (b.answer[i].at < b.answer[next].at) next = i;
        b.now = b.answer[next].at;
        uint32_t w = b.answer[next].worker;
        bool first;
        if (lane_on_done(&b.lane[b.answer[next].lane], 1, b.answer[next].n, b.answer[next].part, w, b.answer[next].slot,
                         &first) == LANE_OK) {
            b.done += first;
            if (first) b.latency_us += (b.now - b.given_at[b.answer[next].n % 512]) / (double)total;
            dispatch_on_done(&b.d, w, (uint32_t)(b.dev[w].frame_us / b.parts));
        }
        dispatch_on_ready(&b.d, w, 1);
        b.answer[next] = b.answer[--b.n_answers];
        give();
    }
    return b.done < total ? 0 : (double)total / b.now / rate;
}

static double run_bench(uint32_t workers, const double *frame_us, uint32_t lanes, uint32_t slots, uint64_t total)
{
    return run_parts(workers, frame_us, lanes, slots, total, 1);
}

static uint32_t wished_slots(uint32_t workers)
{
    return 8 + 2 * workers; // as flow.c has it
}

static void equal_devices(void)
{
    double us[64];
    for (int i = 0; i < 64; i++) us[i] = 10000;
    double share = run_bench(8, us, 2, wished_slots(8), 4000);
    CHECK_MSG(share >= 0.98, "8 equal devices reach %.4f of 8 times one", share);
    share = run_bench(64, us, 2, wished_slots(64), 20000);
    CHECK_MSG(share >= 0.95, "64 equal devices reach %.4f", share);
}

static void mixed_devices(void)
{
    double us[8] = {10000, 10000, 10000, 10000, 40000, 40000, 40000, 40000};
    for (uint32_t lanes = 1; lanes <= 3; lanes++) {
        double share = run_bench(8, us, lanes, wished_slots(8), 4000);
        CHECK_MSG(share >= 0.97, "8 devices of 4:1 reach %.4f of their sum with %u lanes", share, lanes);
    }
    double far[2] = {5000, 100000};
    double share = run_bench(2, far, 2, wished_slots(2), 2000);
    CHECK_MSG(share >= 0.95, "2 devices of 20:1 reach %.4f of their sum", share);
}

// What parts are for: a frame is through sooner, and nothing is lost beside.
static void parts_shorten_the_way_of_a_frame(void)
{
    double us[4] = {40000, 40000, 40000, 40000};
    run_parts(4, us, 1, wished_slots(4), 400, 1);
    double whole_us = b.latency_us;
    double share = run_parts(4, us, 1, 10, 400, 4);
    CHECK_MSG(b.latency_us < 0.35 * whole_us, "a frame takes %.0f us in 4 parts, %.0f us whole", b.latency_us,
              whole_us);
    CHECK_MSG(share >= 0.95, "4 devices reach %.4f of their sum in parts", share);
}

static void nothing_waits_for_a_slow_one_at_the_end(void)
{
    double us[2] = {1000, 200000};
    run_bench(2, us, 1, 16, 600);
    // The fast one alone needs 0.6 s; nobody knows the slow one before its first frame.
    CHECK_MSG(b.done == 600 && b.now < 850000, "%" PRIu64 " frames of 600 took %.0f us", b.done, b.now);
}

// A lane of its first epoch, of whose frames some are decoded, and workers who
// have not said anything.
static void lane_with(struct dispatch *d, uint32_t workers, struct lane *lane, uint32_t slots, uint32_t decoded)
{
    uint32_t end;
    dispatch_init(d, workers);
    lane_init(lane);
    lane_open(lane, &(struct lane_params){.epoch = 1, .in_slots = slots, .out_slots = slots});
    lane_next_window(lane, &end);
    for (uint32_t i = 0; i < decoded; i++) lane_on_decoded(lane, 1, i, 0, i, 1);
}

static void no_more_than_credit(void)
{
    static struct dispatch d;
    static struct lane lane[1];
    struct dispatch_batch batch;
    lane_with(&d, 1, lane, 40, 8);
    CHECK(!dispatch_next(&d, lane, 1, 0, &batch)); // not up
    dispatch_up(&d, 0, 4);
    CHECK(!dispatch_next(&d, lane, 1, 0, &batch)); // no credit
    dispatch_on_ready(&d, 0, 3);
    CHECK(dispatch_next(&d, lane, 1, 0, &batch));
    CHECK_INT(batch.count, 3);
    CHECK_INT(batch.item[0].n, 0);
    CHECK(!dispatch_next(&d, lane, 1, 0, &batch));
    dispatch_on_ready(&d, 0, 100);
    CHECK(!dispatch_next(&d, lane, 1, 0, &batch)); // its speed is not known yet
    d.worker[0].frame_us = 5000;
    CHECK(dispatch_next(&d, lane, 1, 0, &batch));
    CHECK_INT(batch.count, 4);
    lane_on_decoded(lane, 1, 8, 0, 8, 1);
    CHECK(dispatch_next(&d, lane, 1, 0, &batch));
    CHECK_INT(batch.count, 1);
    CHECK(!dispatch_next(&d, lane, 1, 0, &batch)); // two batches are enough
    CHECK_INT(d.worker[0].held, 8);
}

static void credit_is_spent(void)
{
    static struct dispatch d;
    static struct lane lane[1];
    struct dispatch_batch batch;
    bool first;
    lane_with(&d, 1, lane, 40, 8);
    dispatch_up(&d, 0, 4);
    dispatch_on_ready(&d, 0, 3);
    CHECK(dispatch_next(&d, lane, 1, 0, &batch));
    CHECK_INT(batch.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_INT(lane_on_done(lane, 1, i, 0, 0, i, &first), LANE_OK);
        dispatch_on_done(&d, 0, 5000);
    }
    CHECK(!dispatch_next(&d, lane, 1, 0, &batch)); // idle, but it asked for no more
    dispatch_on_ready(&d, 0, 1);
    CHECK(dispatch_next(&d, lane, 1, 0, &batch));
    CHECK_INT(batch.count, 1);
}

// Where frames are quick the messages are what costs: a queue of some
// milliseconds lets them go and come in groups, within half the window.
static void quick_frames_are_queued_deeper(void)
{
    static struct dispatch d;
    static struct lane lane[1];
    struct dispatch_batch batch;
    lane_with(&d, 1, lane, 24, 24);
    dispatch_up(&d, 0, 1);
    dispatch_on_ready(&d, 0, 24);
    d.worker[0].frame_us = 5000;
    while (dispatch_next(&d, lane, 1, 0, &batch)) CHECK_INT(batch.count, 1);
    CHECK_INT(d.worker[0].held, 8); // 40 ms
    d.worker[0].frame_us = 100;
    while (dispatch_next(&d, lane, 1, 0, &batch)) CHECK_INT(batch.count, 1);
    CHECK_INT(d.worker[0].held, 12); // half the window
}

static void batches_keep_to_one_shape(void)
{
    static struct dispatch d;
    static struct lane lane[3];
    struct dispatch_batch batch;
    uint32_t end;
    dispatch_init(&d, 1);
    for (uint32_t l = 0; l < 3; l++) {
        lane_init(&lane[l]);
        lane_open(&lane[l],
                  &(struct lane_params){.epoch = 1, .in_slots = 4, .out_slots = 4, .shape = l == 1, .order = 3 - l});
        lane_next_window(&lane[l], &end);
        lane_on_decoded(&lane[l], 1, 0, 0, 0, 1);
    }
    dispatch_up(&d, 0, 8);
    dispatch_on_ready(&d, 0, 16);
    CHECK(dispatch_next(&d, lane, 3, 0, &batch));
    CHECK_INT(batch.count, 2);
    CHECK_INT(batch.item[0].lane, 2); // the oldest
    CHECK_INT(batch.item[1].lane, 0);
}

static void suspected_frames_go_alone(void)
{
    static struct dispatch d;
    static struct lane lane[1];
    struct dispatch_batch batch;
    bool first;
    lane_with(&d, 2, lane, 8, 8);
    lane_frame_of(lane, 1)->suspicion = 1;
    dispatch_up(&d, 0, 2);
    dispatch_on_ready(&d, 0, 16);
    CHECK(dispatch_next(&d, lane, 1, 0, &batch));
    CHECK_INT(batch.count, 2);
    CHECK_INT(batch.item[1].n, 2); // over the suspected one
    dispatch_up(&d, 1, 2);
    dispatch_on_ready(&d, 1, 16);
    CHECK(dispatch_next(&d, lane, 1, 0, &batch));
    CHECK_INT(batch.worker, 1);
    CHECK_INT(batch.item[0].n, 1);
    CHECK_INT(batch.count, 1);
    d.worker[0].frame_us = d.worker[1].frame_us = 10;
    while (dispatch_next(&d, lane, 1, 0, &batch)) CHECK_INT(batch.worker, 0);
    CHECK_INT(d.worker[1].held, 1);
    CHECK_INT(lane_on_done(lane, 1, 1, 0, 1, 1, &first), LANE_OK);
    dispatch_on_done(&d, 1, 1000);
    CHECK(!d.worker[1].alone);
}

// Lanes on devices: frames go to the allowed only, whoever is fastest, and to
// those as soon as they are; a second try as well.
static void limited_lanes(void)
{
    static struct lane lane[2];
    static struct dispatch d;
    struct dispatch_batch batch;
    dispatch_init(&d, 3);
    for (uint32_t w = 0; w < 3; w++) {
        dispatch_up(&d, w, 1);
        dispatch_on_ready(&d, w, 8);
        d.worker[w].frame_us = w == 2 ? 100 : 5000; // the fastest may serve none
    }
    for (uint32_t l = 0; l < 2; l++) {
        uint32_t end;
        lane_init(&lane[l]);
        lane_open(&lane[l], &(struct lane_params){
                                .epoch = l + 1, .in_slots = 8, .out_slots = 8, .out_spares = 1, .order = l + 1});
        lane_limit(&lane[l]);
        CHECK(lane_next_window(&lane[l], &end));
        for (uint32_t n = 0; n < end; n++) CHECK_INT(lane_on_decoded(&lane[l], l + 1, n, 0, 0, 1), LANE_OK);
    }
    CHECK(!dispatch_next(&d, lane, 2, 1000, &batch)); // nobody has opened the rings yet
    lane_allow(&lane[1], 0);
    CHECK(dispatch_next(&d, lane, 2, 1000, &batch));
    CHECK_INT(batch.worker, 0);
    CHECK_INT(batch.item[0].lane, 1);
    lane_allow(&lane[0], 1);
    int given[3] = {0};
    while (dispatch_next(&d, lane, 2, 1000, &batch)) {
        given[batch.worker]++;
        for (uint32_t i = 0; i < batch.count; i++) CHECK_INT(batch.item[i].lane, batch.worker == 0 ? 1 : 0);
    }
    CHECK(given[1] > 0 && !given[2]);
    // Worker 0 is late with the head of lane 1: worker 2 idles, but cannot reach it.
    CHECK(!dispatch_next(&d, lane, 2, 10000000, &batch));
    lane_allow(&lane[1], 2);
    bool second = false;
    while (dispatch_next(&d, lane, 2, 10000000, &batch)) {
        CHECK_INT(batch.worker, 2);
        CHECK_INT(batch.item[0].lane, 1);
        second |= batch.item[0].n == 0;
        bool first;
        CHECK_INT(lane_on_done(&lane[1], 2, batch.item[0].n, 0, 2, batch.item[0].out_slot, &first), LANE_OK);
        dispatch_on_done(&d, 2, 100);
        dispatch_on_ready(&d, 2, 1);
    }
    CHECK(second); // the head, in a spare slot
    lane_disallow(&lane[1], 2);
    CHECK(!lane_may_serve(&lane[1], 2) && lane_may_serve(&lane[1], 0));
}

// ---- one decision at a time ---------------------------------------------------

// One lane with `frames` decoded frames and workers of known speed (0: not yet).
static struct dispatch one;
static struct lane one_lane[1];
static void one_job(uint32_t frames, uint32_t slots, uint32_t batch, const double *frame_us, uint32_t workers)
{
    uint32_t end;
    dispatch_init(&one, workers);
    lane_init(one_lane);
    lane_open(one_lane, &(struct lane_params){.epoch = 1, .in_slots = slots, .out_slots = slots, .out_spares = 1});
    lane_next_window(one_lane, &end);
    for (uint32_t i = 0; i < frames; i++) lane_on_decoded(one_lane, 1, i, 0, i, 1);
    for (uint32_t i = 0; i < workers; i++) {
        dispatch_up(&one, i, batch);
        dispatch_on_ready(&one, i, 100);
        one.worker[i].frame_us = frame_us[i];
    }
}

static bool next_at(int64_t now_us, struct dispatch_batch *batch)
{
    return dispatch_next(&one, one_lane, 1, now_us, batch);
}

// Who has a suspected frame gets no other beside it, and who has another no suspected one.
static void suspected_frames_wait_for_empty_hands(void)
{
    struct dispatch_batch batch;
    bool first;
    one_job(2, 40, 1, (double[]){1000}, 1);
    lane_frame_of(one_lane, 1)->suspicion = 1;
    CHECK(next_at(0, &batch));
    CHECK_INT(batch.item[0].n, 0);
    CHECK(!next_at(0, &batch));
    CHECK_INT(lane_on_done(one_lane, 1, 0, 0, 0, 0, &first), LANE_OK);
    dispatch_on_done(&one, 0, 1000);
    CHECK(next_at(0, &batch));
    CHECK_INT(batch.item[0].n, 1);
    CHECK_INT(lane_on_decoded(one_lane, 1, 2, 0, 0, 1), LANE_OK);
    CHECK(!next_at(0, &batch));
    CHECK_INT(lane_on_done(one_lane, 1, 1, 0, 0, 1, &first), LANE_OK);
    dispatch_on_done(&one, 0, 1000);
    CHECK(next_at(0, &batch));
    CHECK_INT(batch.item[0].n, 2);
}

// A second batch is for wide windows: its last frame comes two batches from now.
static void narrow_windows_are_not_given_ahead(void)
{
    struct dispatch_batch batch;
    one_job(15, 15, 2, (double[]){1000, 1000}, 2); // 7.5 frames of time each, half of that: fewer than 4
    CHECK(next_at(0, &batch));
    CHECK(next_at(0, &batch));
    CHECK(!next_at(0, &batch));
    one_job(16, 16, 2, (double[]){1000, 1000}, 2);
    CHECK(next_at(0, &batch));
    CHECK(next_at(0, &batch));
    CHECK(next_at(0, &batch));
}

// A first frame that sets up a device says little; after it changes are smoothed.
static void speeds_are_learned(void)
{
    struct dispatch_batch batch;
    one_job(4, 40, 4, (double[]){0}, 1);
    one.remaining = 9;
    CHECK(next_at(0, &batch));
    CHECK_INT(one.remaining, 5);
    dispatch_on_done(&one, 0, 400000);
    CHECK_INT(one.worker[0].frame_us, 400000);
    dispatch_on_done(&one, 0, 5000);
    CHECK_INT(one.worker[0].frame_us, 5000);
    dispatch_on_done(&one, 0, 6000);
    CHECK_INT(one.worker[0].frame_us, 5200);
    dispatch_on_gone(&one, 0);
    dispatch_up(&one, 0, 4);
    CHECK_INT(one.worker[0].frame_us, 5200);
}

// A slow worker gets none of the last frames, when the others are through sooner.
static void the_rest_is_for_the_fast(void)
{
    struct dispatch_batch batch;
    static const struct {
        int64_t remaining;
        bool slow_too;
    } rows[] = {{6, false}, {60, true}};
    for (int i = 0; i < 2; i++) {
        one_job(40, 40, 1, (double[]){10000, 100000}, 2);
        one.remaining = rows[i].remaining;
        bool slow_too = false;
        while (next_at(0, &batch)) slow_too |= batch.worker == 1;
        CHECK_MSG(slow_too == rows[i].slow_too, "with %" PRId64 " frames left the slow one got %s", rows[i].remaining,
                  slow_too ? "one" : "none");
    }
}

// Who would hold up a whole window is left out, and tried again after a while:
// it may have had a bad time.
static void the_left_out_are_tried_again(void)
{
    struct dispatch_batch batch;
    one_job(8, 8, 1, (double[]){1000, 100000}, 2);
    CHECK(next_at(1, &batch) && batch.worker == 0);
    while (next_at(1, &batch)) CHECK_INT(batch.worker, 0);
    while (next_at(4999000, &batch)) CHECK_INT(batch.worker, 0);
    CHECK(next_at(5001002, &batch));
    CHECK_INT(batch.worker, 1);
}

// The head of the lane is late: an idle worker tries it as well, but not at once,
// not a suspected one, and not what its holder has ready sooner.
static void late_heads_are_tried_twice(void)
{
    struct dispatch_batch batch;
    one_job(1, 8, 1, (double[]){0, 10000}, 2);
    one.worker[1].credits = 0;
    CHECK(next_at(1, &batch) && batch.worker == 0);
    dispatch_on_ready(&one, 1, 4);
    CHECK(!next_at(39000, &batch)); // 3 x 10 ms, but 40 ms at least
    lane_frame_of(one_lane, 0)->suspicion = 1;
    CHECK(!next_at(60000, &batch));
    lane_frame_of(one_lane, 0)->suspicion = 0;
    one.worker[0].frame_us = 65000;
    CHECK(!next_at(60000, &batch)); // it has it in 5 ms, the other in 10
    CHECK(next_at(66001, &batch));
    CHECK_INT(batch.worker, 1);
    CHECK_INT(batch.item[0].n, 0);
    CHECK_INT(batch.item[0].out_slot, 8);
    one.worker[1].held = 0;
    CHECK(!next_at(99000000, &batch)); // two are enough
}

// While the aggregator has half a ring of frames before it nobody waits for the
// head, and a second try would take the CPU from who encodes them.
static void late_heads_may_be_later_while_there_is_stock(void)
{
    struct dispatch_batch batch;
    uint32_t n;
    bool first;
    one_job(5, 8, 1, (double[]){10000, 10000}, 2);
    one.worker[1].credits = 0;
    for (uint32_t i = 0; i < 5; i++) {
        CHECK(next_at(1, &batch) && batch.worker == 0);
        CHECK_INT(batch.item[0].n, i);
        if (i == 4) break; // this one stays with it
        CHECK_INT(lane_on_done(one_lane, 1, i, 0, 0, i, &first), LANE_OK);
        dispatch_on_done(&one, 0, 10000);
        CHECK(lane_next_frame(one_lane, &n) != NULL); // and none is TAKEN
    }
    dispatch_on_ready(&one, 1, 4);
    CHECK(!next_at(60000, &batch));
    CHECK(!next_at(400000, &batch));
    CHECK(next_at(400002, &batch)); // its holder may have stopped for good
    CHECK_INT(batch.worker, 1);
    CHECK_INT(batch.item[0].n, 4);
}

// Lanes that carry a state are shared out, one worker each, the fastest first; a frame
// that is tried alone holds up those behind it.
static void stateful_lanes(void)
{
    static struct lane lane[3];
    static struct dispatch d;
    struct dispatch_batch batch;
    bool first;
    dispatch_init(&d, 3);
    for (uint32_t w = 0; w < 3; w++) {
        dispatch_up(&d, w, 2);
        dispatch_on_ready(&d, w, 8);
        d.worker[w].frame_us = 3000 - 1000 * w;
    }
    for (uint32_t l = 0; l < 3; l++) {
        uint32_t end;
        lane_init(&lane[l]);
        lane_open(&lane[l], &(struct lane_params){.epoch = l + 1,
                                                  .in_slots = 8,
                                                  .out_slots = 8,
                                                  .out_spares = 1,
                                                  .shape = l,
                                                  .order = l + 1,
                                                  .stateful = true});
        CHECK(lane_next_window(&lane[l], &end));
        if (l == 2) break; // no frame yet: nobody's
        for (uint32_t n = 0; n < end; n++) CHECK_INT(lane_on_decoded(&lane[l], l + 1, n, 0, 0, 1), LANE_OK);
    }
    lane_frame_of(&lane[1], 1)->suspicion = 1;
    uint32_t next[3] = {0};
    while (dispatch_next(&d, lane, 3, 1000, &batch))
        for (uint32_t i = 0; i < batch.count; i++) {
            const uint32_t l = batch.item[i].lane;
            CHECK_INT(batch.worker, l == 0 ? 2 : 1);
            CHECK_INT(batch.item[i].n, next[l]++);
        }
    CHECK_INT(lane[2].keeper, LANE_NO_WORKER);
    CHECK(next[0] >= 4);
    CHECK_INT(next[1], 1); // the next one waits for empty hands
    CHECK_INT(lane_on_done(&lane[1], 2, 0, 0, 1, 0, &first), LANE_OK);
    dispatch_on_done(&d, 1, 2000);
    CHECK(dispatch_next(&d, lane, 3, 10000000, &batch)); // late as the head of lane 0 may be
    CHECK_INT(batch.worker, 1);
    CHECK_INT(batch.count, 1);
    CHECK_INT(batch.item[0].n, 1);
    CHECK(!dispatch_next(&d, lane, 3, 10000000, &batch));
    CHECK_INT(lane_on_decoded(&lane[2], 3, 0, 0, 0, 1), LANE_OK);
    CHECK(dispatch_next(&d, lane, 3, 10000000, &batch));
    CHECK_INT(batch.item[0].lane, 2);
    CHECK_INT(batch.worker, 0);
}

CHECK_MAIN({"stateful_lanes", stateful_lanes}, {"limited_lanes", limited_lanes},
           {"parts_shorten_the_way_of_a_frame", parts_shorten_the_way_of_a_frame}, {"equal_devices", equal_devices},
           {"mixed_devices", mixed_devices},
           {"nothing_waits_for_a_slow_one_at_the_end", nothing_waits_for_a_slow_one_at_the_end},
           {"no_more_than_credit", no_more_than_credit}, {"credit_is_spent", credit_is_spent},
           {"quick_frames_are_queued_deeper", quick_frames_are_queued_deeper},
           {"batches_keep_to_one_shape", batches_keep_to_one_shape},
           {"suspected_frames_go_alone", suspected_frames_go_alone},
           {"suspected_frames_wait_for_empty_hands", suspected_frames_wait_for_empty_hands},
           {"narrow_windows_are_not_given_ahead", narrow_windows_are_not_given_ahead},
           {"speeds_are_learned", speeds_are_learned}, {"the_rest_is_for_the_fast", the_rest_is_for_the_fast},
           {"the_left_out_are_tried_again", the_left_out_are_tried_again},
           {"late_heads_are_tried_twice", late_heads_are_tried_twice},
           {"late_heads_may_be_later_while_there_is_stock", late_heads_may_be_later_while_there_is_stock})
