// SPDX-License-Identifier: MIT
//
// What a job needs of its disk, by what it has written; what is said of it, when, how often.
#include "coordinator/room.h"
#include "tests/check.h"

#define MB (UINT64_C(1) << 20)

static struct room_need of(enum room_join join, uint64_t frames, uint64_t total)
{
    const struct room_job job = {
        .join = join, .frames = frames, .bytes = frames * 1000, .frames_total = total, .copy_bytes = 700};
    return room_need_of(&job);
}

static void what_is_left_and_the_join(void)
{
    struct room_need need = of(ROOM_JOIN_MOVES, 100, 1000);
    CHECK_INT(need.parts, 900000);
    CHECK_INT(need.join, 0);
    CHECK_INT(of(ROOM_JOIN_COPIES, 100, 1000).join, 1000700);
    CHECK_INT(of(ROOM_JOIN_PUNCHES, 100, 1000).join, 1000000 / 16 + 700);
    CHECK_INT(of(ROOM_JOIN_PUNCHES, 100, 1000).output, 1000700);
    CHECK_INT(of(ROOM_JOIN_ENCODES, 100, 1000).join, 250000);
    CHECK_INT(of(ROOM_JOIN_MOVES, 1000, 1000).parts, 0);
    CHECK_INT(of(ROOM_JOIN_MOVES, 1010, 1000).parts, 0); // more than the input had said
}

static void too_little_is_known(void)
{
    CHECK_INT(of(ROOM_JOIN_COPIES, 49, 1000).output, 0);
    CHECK_INT(of(ROOM_JOIN_COPIES, 100, 0).output, 0);
    struct room_job job = {.frames = 100, .bytes = 5, .frames_total = 200, .joining = true};
    CHECK_INT(room_need_of(&job).output, 0);
    struct room_said said = {ROOM_ENOUGH};
    const struct room_need none = {.share = 1};
    CHECK_INT(room_judge(&said, &none, 0, 5), ROOM_ENOUGH);
}

// The fewer frames are known, the more must be lacking.
static void early_guesses_are_careful(void)
{
    static const struct {
        double share;
        uint64_t enough, lacking; // MB that are needed of 100
    } at[] = {{0.01, 195, 205}, {0.1, 120, 130}, {0.5, 103, 108}};
    for (int i = 0; i < 3; i++) {
        struct room_said said = {ROOM_ENOUGH};
        struct room_need need = {.parts = at[i].enough * MB, .share = at[i].share};
        CHECK_INT(room_judge(&said, &need, 100 * MB, -1), ROOM_ENOUGH);
        need.parts = at[i].lacking * MB;
        CHECK_INT(room_judge(&said, &need, 100 * MB, -1), ROOM_SHORT);
    }
}

static void each_word_once(void)
{
    struct room_said said = {ROOM_ENOUGH};
    struct room_need need = {.parts = 400 * MB, .share = 0.1};
    CHECK_INT(room_judge(&said, &need, 200 * MB, 7200), ROOM_SHORT);
    for (uint64_t left = 199; left > 20; left--) CHECK_INT(room_judge(&said, &need, left * MB, 5000), ROOM_ENOUGH);
    CHECK_INT(room_judge(&said, &need, 20 * MB, 599), ROOM_CRITICAL);
    CHECK_INT(room_judge(&said, &need, 10 * MB, 300), ROOM_ENOUGH);
    CHECK_INT(room_judge(&said, &need, 500 * MB, 9000), ROOM_ENOUGH);  // somebody made room
    CHECK_INT(room_judge(&said, &need, 100 * MB, 100), ROOM_CRITICAL); // and took it again
}

// The disk that only the join fills is not full soon.
static void a_join_is_not_soon(void)
{
    struct room_said said = {ROOM_ENOUGH};
    const struct room_need need = {.parts = 50 * MB, .join = 100 * MB, .share = 0.5};
    CHECK_INT(room_judge(&said, &need, 100 * MB, 30), ROOM_SHORT);
    CHECK_INT(room_judge(&said, &need, 90 * MB, 30), ROOM_ENOUGH);
}

CHECK_MAIN({"what_is_left_and_the_join", what_is_left_and_the_join}, {"too_little_is_known", too_little_is_known},
           {"early_guesses_are_careful", early_guesses_are_careful}, {"each_word_once", each_word_once},
           {"a_join_is_not_soon", a_join_is_not_soon})
