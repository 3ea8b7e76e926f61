// SPDX-License-Identifier: MIT
#include "coordinator/ledger.h"

#include "tests/check.h"

static char why[256];

static void sums(void)
{
    struct ledger l = {0};
    struct ledger_entry e = {
        .packets = 50, .hidden = 1, .unreadable = 2, .filtered = 0, .decoded = 47, .encoded = 47, .quarantined = 1};
    CHECK(ledger_add(&l, &e, why, sizeof why));
    CHECK(ledger_add(&l, &e, why, sizeof why));
    CHECK(ledger_check(&l, 2, 100, 94, why, sizeof why));
    CHECK(ledger_check(&l, 2, -1, 94, why, sizeof why));
    CHECK(!ledger_check(&l, 3, 100, 94, why, sizeof why));
    CHECK_HAS(why, "2 of 3 segments");
    CHECK(!ledger_check(&l, 2, 101, 94, why, sizeof why));
    CHECK_HAS(why, "101 packets");
    CHECK(!ledger_check(&l, 2, 99, 94, why, sizeof why));
    CHECK(!ledger_check(&l, 2, 100, 93, why, sizeof why));
    CHECK_HAS(why, "the output 93");
}

static void entries_must_balance(void)
{
    struct ledger l = {0};
    CHECK(!ledger_add(&l, &(struct ledger_entry){.packets = 5, .decoded = 5, .encoded = 4}, why, sizeof why));
    CHECK_HAS(why, "5 frames were decoded, 4 encoded");
    CHECK(!ledger_add(&l, &(struct ledger_entry){.packets = 5, .hidden = 4, .unreadable = 2}, why, sizeof why));
    CHECK(!ledger_add(&l, &(struct ledger_entry){.packets = 5, .hidden = -1}, why, sizeof why));
    CHECK(!ledger_add(&l, &(struct ledger_entry){.packets = 5, .decoded = 5, .encoded = 5, .quarantined = 6}, why,
                      sizeof why));
    CHECK_INT(l.segments, 0);
}

// Of networks that make frames between two.
static void more_frames_out_than_in(void)
{
    struct ledger l = {.rate = 3};
    struct ledger_entry e = {.packets = 5, .decoded = 5, .encoded = 15, .quarantined = 5};
    CHECK(ledger_add(&l, &e, why, sizeof why));
    CHECK(ledger_check(&l, 1, 5, 15, why, sizeof why));
    e.encoded = 5;
    CHECK(!ledger_add(&l, &e, why, sizeof why));
    e.encoded = 16;
    CHECK(!ledger_add(&l, &e, why, sizeof why));
    CHECK_HAS(why, "16 encoded, 3 for each");
    e.encoded = 15, e.quarantined = 6;
    CHECK(!ledger_add(&l, &e, why, sizeof why));
}

// Of a live input with such a network: what was to come out is out or dropped.
static void dropped_of_more_frames(void)
{
    struct ledger l = {.rate = 3};
    struct ledger_entry e = {.packets = 5, .decoded = 5, .encoded = 11, .dropped = 4};
    CHECK(ledger_add(&l, &e, why, sizeof why));
    e.dropped = 3;
    CHECK(!ledger_add(&l, &e, why, sizeof why));
}

// What a live input's frames came to: in is out and dropped.
static void dropped_frames_are_counted(void)
{
    struct ledger l = {0};
    struct ledger_entry e = {.packets = 50, .decoded = 50, .encoded = 30, .dropped = 20, .quarantined = 1};
    CHECK(ledger_add(&l, &e, why, sizeof why));
    CHECK(ledger_add(&l, &(struct ledger_entry){.decoded = 7, .encoded = 5, .dropped = 2}, why, sizeof why));
    CHECK_INT(l.sum.dropped, 22);
    CHECK(ledger_check(&l, 2, -1, 35, why, sizeof why));
    CHECK(!ledger_check(&l, 2, -1, 57, why, sizeof why));
    CHECK(!ledger_add(&l, &(struct ledger_entry){.decoded = 7, .encoded = 5, .dropped = 3}, why, sizeof why));
    CHECK_HAS(why, "7 frames were decoded, 5 encoded, 1 for each (0 of them filled in), 3 dropped");
    CHECK(!ledger_add(&l, &(struct ledger_entry){.decoded = 4, .encoded = 5, .dropped = -1}, why, sizeof why));
}

CHECK_MAIN({"more_frames_out_than_in", more_frames_out_than_in}, {"dropped_of_more_frames", dropped_of_more_frames},
           {"sums", sums}, {"entries_must_balance", entries_must_balance},
           {"dropped_frames_are_counted", dropped_frames_are_counted})
