// SPDX-License-Identifier: MIT
//
// Who is hung: a table of what is seen of a process.
#include "tests/check.h"

#include "coordinator/supervise.h"

static void hangs(void)
{
    enum { S = 1000000, TICK = 50000 };
    static const struct {
        const char *what;
        struct hang_look look;
        bool hung;
    } rows[] = {
        {"not yet at the limit", {60 * S, 59 * S, 59 * S, TICK, TICK, true}, false},
        {"sleeps", {60 * S, 60 * S, 0, TICK, 0, false}, true},
        {"sleeps after some work", {60 * S, 61 * S, 3 * S, TICK, 0, false}, true},
        {"had the CPU all the time", {60 * S, 60 * S, 59 * S, TICK, TICK, true}, true},
        {"starved, would run", {60 * S, 70 * S, 5 * S, TICK, 0, true}, false},
        {"starved, asleep just now, but it works", {60 * S, 70 * S, 5 * S, TICK, 2000, false}, false},
        {"starved for too long", {60 * S, 600 * S, 5 * S, TICK, 2000, true}, true},
        {"four threads, a share of the CPU each", {60 * S, 60 * S, 20 * S, TICK, 4000, false}, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_MSG(supervise_is_hang(&rows[i].look) == rows[i].hung, "%s: %s", rows[i].what,
                  rows[i].hung ? "passes for working" : "is called hung");
}

CHECK_MAIN({"supervise: hangs", hangs})
