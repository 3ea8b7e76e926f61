// SPDX-License-Identifier: MIT
//
// The policy of live inputs: what is dropped when, and that a worker's queue stays short.
#include "coordinator/late.h"

#include "coordinator/dispatch.h"
#include "tests/check.h"

static struct lane lane;

static void open_lane(uint32_t slots, uint32_t lookback)
{
    uint32_t end;
    lane_init(&lane);
    lane_open(
        &lane,
        &(struct lane_params){
            .epoch = 1, .in_slots = slots, .out_slots = slots, .before = lookback, .after = lookback, .order = 1});
    lane_next_window(&lane, &end);
}

static void decode(uint32_t n, int64_t now_us)
{
    CHECK_INT(lane_on_decoded(&lane, 1, n, 0, n, 1), LANE_OK);
    lane_frame_of(&lane, n)->decoded_us = now_us;
}

static void oldest_first_and_no_more(void)
{
    open_lane(8, 0);
    for (uint32_t n = 0; n < 6; n++) decode(n, 1000 * n);
    CHECK_INT(late_drop(&lane, 0, 3000, 3000), 0); // exactly as old as it may be
    CHECK_INT(late_drop(&lane, 0, 4500, 3000), 2); // 0 and 1
    CHECK_INT(lane.low, 2);
    CHECK_INT(lane_next_work(&lane, 0), 2);
    CHECK_INT(late_drop(&lane, 0, 4500, 3000), 0);
    CHECK_INT(late_drop(&lane, 0, 100000, 3000), 4);
    CHECK_INT(lane.dropped, 6);
    CHECK_INT(lane_next_work(&lane, 0), UINT32_MAX);
}

static void begun_frames_stay(void)
{
    bool first;
    uint32_t n;
    open_lane(8, 0);
    for (n = 0; n < 4; n++) decode(n, 0);
    uint32_t slot = lane_give(&lane, lane_next_work(&lane, 0), 3, 0);
    lane_give(&lane, lane_next_work(&lane, 0), 4, 0);
    CHECK_INT(late_drop(&lane, 0, 1000000, 1000), 2);
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 3, slot, &first), LANE_OK);
    CHECK_INT(late_drop(&lane, 0, 1000000, 1000), 0); // what is done is not given up
    CHECK(lane_next_frame(&lane, &n) && n == 0);
    // A worker's death gives its frame back: it is too old by now.
    CHECK_INT(lane_on_worker_gone(&lane, 4), 1);
    CHECK_INT(late_drop(&lane, 0, 1000000, 1000), 1);
    CHECK_INT(lane.dropped, 3);
    CHECK_INT(lane_at_aggregator(&lane), 1);
}

static void young_frames_outlive_their_worker(void)
{
    open_lane(8, 0);
    decode(0, 500);
    lane_give(&lane, 0, 2, 600);
    CHECK_INT(lane_on_worker_gone(&lane, 2), 1);
    CHECK_INT(late_drop(&lane, 0, 900, 1000), 0);
    CHECK_INT(lane_next_work(&lane, 0), 0);
}

// A dropped frame's picture is there for its neighbours as long as they need it.
static void neighbours_keep_the_picture(void)
{
    uint32_t end;
    open_lane(8, 2);
    for (uint32_t n = 0; n < 8; n++) decode(n, 1000 * n);
    CHECK_INT(late_drop(&lane, 0, 5500, 1000), 5); // 0 to 4
    CHECK_INT(lane_next_work(&lane, 0), 5);
    CHECK_INT(lane.low, 5);
    // Frame 5 looks at 3: slots from there on are not written anew.
    CHECK(lane_next_window(&lane, &end));
    CHECK_INT(end, 11);
}

// An encoder that keeps a frame until the next one comes: one is left for it, though it
// is late, and the lane goes on.
static void an_encoder_that_keeps_frames_gets_more(void)
{
    uint32_t end, n;
    bool first;
    lane_init(&lane);
    lane_open(&lane, &(struct lane_params){.epoch = 1, .in_slots = 8, .out_slots = 3, .loose = true, .order = 1});
    lane_next_window(&lane, &end);
    for (n = 0; n < 8; n++) decode(n, 0);
    uint32_t slot = lane_give(&lane, 0, 1, 0);
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 1, slot, &first), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) && n == 0);      // and it is not TAKEN
    CHECK_INT(late_drop(&lane, 1, 1000000, 1000), 6); // all but the last
    CHECK_INT(late_drop(&lane, 1, 2000000, 1000), 0);
    CHECK_INT(lane_next_work(&lane, 0), 7);
    slot = lane_give(&lane, 7, 1, 0);
    CHECK(slot < 3);
    CHECK_INT(lane_on_done(&lane, 1, 7, 0, 1, slot, &first), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) && n == 7);
    CHECK_INT(lane_on_taken(&lane, 1, 0), LANE_OK);
    CHECK_INT(lane_next_work(&lane, 0), UINT32_MAX);
    CHECK(lane_next_window(&lane, &end)); // there is room again
    CHECK_INT(end, 15);
}

// Of frames between which others are made: the next one that was not dropped is seen with
// each, and is kept from then on, however late; so pictures lead to it.
static void pairs_are_of_kept_frames(void)
{
    uint32_t end, n;
    bool first;
    lane_init(&lane);
    lane_open(&lane,
              &(struct lane_params){
                  .epoch = 1, .in_slots = 8, .out_slots = 3, .after = 1, .pairs = true, .loose = true, .order = 1});
    lane_next_window(&lane, &end);
    decode(0, 0);
    CHECK_INT(lane_next_work(&lane, 0), UINT32_MAX); // there is no next one yet
    decode(1, 1000);
    uint32_t slot = lane_give(&lane, 0, 1, 0);
    CHECK_INT(lane_next_seen(&lane, 0), 1);
    for (n = 2; n < 6; n++) decode(n, 1000 * n);
    CHECK_INT(late_drop(&lane, 0, 6500, 2000), 3); // 2 to 4, and not 1
    CHECK_INT(lane_next_seen(&lane, 1), 5);
    CHECK_INT(lane_after(&lane, 1), 1);
    CHECK_INT(lane_next_work(&lane, 0), 1);
    const uint32_t other = lane_give(&lane, 1, 2, 0);
    CHECK_INT(late_drop(&lane, 0, 1000000, 2000), 0); // 5 is what 1 leads to
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 1, slot, &first), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) && n == 0);
    // Its worker dies: it is given again, with the same one behind it.
    CHECK_INT(lane_on_worker_gone(&lane, 2), 1);
    CHECK_INT(late_drop(&lane, 0, 1000000, 2000), 0);
    CHECK_INT(lane_next_work(&lane, 0), 1);
    CHECK_INT(lane_next_seen(&lane, 1), 5);
    CHECK_INT(lane_give(&lane, 1, 3, 0), other);
    CHECK_INT(lane_on_done(&lane, 1, 1, 0, 3, other, &first), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) && n == 1);
    CHECK(!lane_next_frame(&lane, &n));
    CHECK_INT(lane_next_work(&lane, 0), UINT32_MAX); // 5 waits for one
    CHECK_INT(lane_on_end(&lane, 1, 6), LANE_OK);
    CHECK_INT(lane_next_work(&lane, 0), 5); // and there is none
    CHECK_INT(lane_after(&lane, 5), 0);
    CHECK_INT(lane_next_seen(&lane, 5), 5);
}

// A window full of late frames: one stays for the one that is kept, so that it goes on.
static void a_kept_frame_finds_a_next_one(void)
{
    uint32_t end, n;
    bool first;
    lane_init(&lane);
    lane_open(&lane,
              &(struct lane_params){
                  .epoch = 1, .in_slots = 6, .out_slots = 2, .after = 1, .pairs = true, .loose = true, .order = 1});
    lane_next_window(&lane, &end);
    for (n = 0; n < 6; n++) decode(n, 0);
    uint32_t slot = lane_give(&lane, 0, 1, 0);
    CHECK_INT(late_drop(&lane, 0, 1000000, 2000), 4); // all behind 1
    CHECK_INT(lane_on_done(&lane, 1, 0, 0, 1, slot, &first), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) && n == 0);
    CHECK_INT(lane_on_taken(&lane, 1, 0), LANE_OK);
    CHECK_INT(lane_next_work(&lane, 0), UINT32_MAX);
    CHECK(lane_next_window(&lane, &end) && end == 7);
    decode(6, 0);
    CHECK_INT(late_drop(&lane, 0, 1000000, 2000), 0); // or nothing would ever move
    CHECK_INT(lane_next_work(&lane, 0), 1);
    CHECK_INT(lane_next_seen(&lane, 1), 6);
    slot = lane_give(&lane, 1, 1, 0);
    CHECK_INT(lane_on_done(&lane, 1, 1, 0, 1, slot, &first), LANE_OK);
    CHECK(lane_next_frame(&lane, &n) && n == 1);
    CHECK_INT(lane_on_taken(&lane, 1, 1), LANE_OK);
    CHECK(lane_next_window(&lane, &end) && end == 12);
}

// Of a slow worker nothing lies in a queue; of a quick one some.
static void queues_of_workers_are_short(void)
{
    static struct dispatch d;
    for (int slow = 0; slow < 2; slow++) {
        struct dispatch_batch batch;
        open_lane(32, 0);
        for (uint32_t n = 0; n < 16; n++) decode(n, 0);
        dispatch_init(&d, 1);
        d.live_ahead_us = late_ahead_us(400000);
        dispatch_up(&d, 0, 1);
        dispatch_on_ready(&d, 0, 100);
        CHECK(dispatch_next(&d, &lane, 1, 1, &batch)); // the first tells how fast it is
        bool first;
        CHECK_INT(lane_on_done(&lane, 1, batch.item[0].n, 0, 0, batch.item[0].out_slot, &first), LANE_OK);
        dispatch_on_done(&d, 0, slow ? 60000 : 5000);
        uint32_t given = 0;
        while (dispatch_next(&d, &lane, 1, 2, &batch)) given += batch.count;
        CHECK_INT(given, slow ? 1 : 8);
    }
}

CHECK_MAIN({"oldest_first_and_no_more", oldest_first_and_no_more}, {"begun_frames_stay", begun_frames_stay},
           {"young_frames_outlive_their_worker", young_frames_outlive_their_worker},
           {"neighbours_keep_the_picture", neighbours_keep_the_picture},
           {"an_encoder_that_keeps_frames_gets_more", an_encoder_that_keeps_frames_gets_more},
           {"pairs_are_of_kept_frames", pairs_are_of_kept_frames},
           {"a_kept_frame_finds_a_next_one", a_kept_frame_finds_a_next_one},
           {"queues_of_workers_are_short", queues_of_workers_are_short})
