// SPDX-License-Identifier: MIT
//
// Single rules of a lane, each with a short sequence of events: what is stale, what is refused, how the
// window moves, and what happens to dropped, quarantined, split and context frames. test_lanes.c has the
// random schedules.
#include "coordinator/lanes.h"

#include "tests/check.h"

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

CHECK_MAIN({"a_state_is_needed_to_the_last_frame", a_state_is_needed_to_the_last_frame},
           {"context_before_is_seen", context_before_is_seen},
           {"context_is_decoded_and_no_more", context_is_decoded_and_no_more},
           {"impossible_events_are_refused", impossible_events_are_refused},
           {"windows_move_in_steps", windows_move_in_steps},
           {"dropped_frames_are_passed_over", dropped_frames_are_passed_over},
           {"only_the_dead_ones_parts_go_back", only_the_dead_ones_parts_go_back},
           {"quarantine_waits_for_other_parts", quarantine_waits_for_other_parts},
           {"answers_of_the_epoch_before_are_stale", answers_of_the_epoch_before_are_stale},
           {"commit_counts_every_frame", commit_counts_every_frame}, {"spare_slots_come_back", spare_slots_come_back},
           {"quarantined_frame_is_passed_on", quarantined_frame_is_passed_on})
