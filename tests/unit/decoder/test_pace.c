// SPDX-License-Identifier: MIT
//
// The pace of live files and pipes.
#include "decoder/pace.h"

#include "tests/check.h"

static void at_its_own_pace(void)
{
    struct pace p;
    pace_begin(&p, 0);
    CHECK_INT(pace_wait_us(&p, 5000000, 100), 0); // whatever time it says, it is now
    CHECK_INT(pace_wait_us(&p, 5040000, 100), 40000);
    CHECK_INT(pace_wait_us(&p, 5080000, 40100), 40000);
    CHECK_INT(pace_wait_us(&p, 5060000, 80100), 0); // of another stream, a little back
    CHECK_INT(pace_wait_us(&p, 5120000, 100100), 20000);
}

static void a_little_late_is_made_up_for(void)
{
    struct pace p;
    pace_begin(&p, 0);
    pace_wait_us(&p, 0, 0);
    CHECK_INT(pace_wait_us(&p, 40000, 140000), 0);
    CHECK_INT(pace_wait_us(&p, 200000, 140000), 60000);
}

static void much_is_not(void)
{
    struct pace p;
    pace_begin(&p, 0);
    pace_wait_us(&p, 0, 0);
    CHECK_INT(pace_wait_us(&p, 40000, 5000000), 0);
    CHECK_INT(pace_wait_us(&p, 80000, 5000000), 40000); // no run after what was missed
}

static void leaps_begin_anew(void)
{
    struct pace p;
    pace_begin(&p, 0);
    pace_wait_us(&p, 0, 0);
    CHECK_INT(pace_wait_us(&p, INT64_C(90000000), 10), 0);
    CHECK_INT(pace_wait_us(&p, INT64_C(90040000), 10), 40000);
    CHECK_INT(pace_wait_us(&p, 0, 20), 0);
    CHECK_INT(pace_wait_us(&p, 40000, 20), 40000);
}

static void pieces_come_ahead(void)
{
    struct pace p;
    pace_begin(&p, 500000);
    for (int64_t t = 0; t <= 500000; t += 100000) CHECK_INT(pace_wait_us(&p, t, 0), 0);
    CHECK_INT(pace_wait_us(&p, 600000, 0), 100000);
}

CHECK_MAIN({"at_its_own_pace", at_its_own_pace}, {"a_little_late_is_made_up_for", a_little_late_is_made_up_for},
           {"much_is_not", much_is_not}, {"leaps_begin_anew", leaps_begin_anew},
           {"pieces_come_ahead", pieces_come_ahead})
