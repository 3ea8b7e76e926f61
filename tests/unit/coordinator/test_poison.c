// SPDX-License-Identifier: MIT
#include "coordinator/poison.h"

#include "tests/check.h"

static void tried_k_times_the_last_alone(void)
{
    struct poison p = {0};
    CHECK(!poison_on_crash(&p, 1, 7, false, 3));
    CHECK(!poison_on_crash(&p, 1, 7, true, 3));
    CHECK(!poison_on_crash(&p, 1, 8, false, 3));
    CHECK(poison_on_crash(&p, 1, 7, true, 3));
    CHECK(!poison_on_crash(&p, 1, 7, true, 3)); // once
    CHECK(poison_find(&p, 1, 7)->quarantined);
    CHECK_INT(poison_quarantined(&p, 1, 0), 1);
    CHECK_INT(poison_quarantined(&p, 1, 7), 1);
    CHECK_INT(poison_quarantined(&p, 1, 8), 0); // it was warm-up
    CHECK_INT(poison_quarantined(&p, 2, 0), 0);
    poison_fini(&p);
}

static void never_without_being_alone(void)
{
    struct poison p = {0};
    for (int i = 0; i < 10; i++) CHECK(!poison_on_crash(&p, 0, 3, false, 1));
    CHECK(poison_on_crash(&p, 0, 3, true, 1));
    poison_fini(&p);
}

static void going_through_clears(void)
{
    struct poison p = {0};
    for (uint32_t n = 0; n < 50; n++) poison_on_crash(&p, 0, n, false, 3);
    for (uint32_t n = 0; n < 50; n += 2) poison_on_done(&p, 0, n);
    for (uint32_t n = 0; n < 50; n++) CHECK((poison_find(&p, 0, n) == NULL) == (n % 2 == 0));
    poison_restore(&p, 4, 4);
    poison_on_done(&p, 4, 4); // a quarantine stays
    CHECK(poison_find(&p, 4, 4)->quarantined);
    poison_fini(&p);
}

CHECK_MAIN({"tried_k_times_the_last_alone", tried_k_times_the_last_alone},
           {"never_without_being_alone", never_without_being_alone}, {"going_through_clears", going_through_clears})
