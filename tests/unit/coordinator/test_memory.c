// SPDX-License-Identifier: MIT
#include "coordinator/memory.h"

#include "tests/check.h"

static const struct memory_want want = {.in_slot_bytes = 10,
                                        .out_slot_bytes = 40,
                                        .in_slots = 16,
                                        .out_slots = 16,
                                        .least_in_slots = 3,
                                        .least_out_slots = 2,
                                        .spares = 2,
                                        .codec_bytes = 100,
                                        .model_bytes = 200};

static void grants_in_order(void)
{
    struct memory_grant g;
    // 16 x 10 + 18 x 40 + 100 = 980, and 200 for models
    CHECK_INT(memory_fit(1180, 0, &want, &g), MEMORY_GRANTED);
    CHECK_INT(g.in_slots, 16);
    CHECK_INT(g.spares, 2);
    CHECK_INT(g.bytes, 980);
    CHECK_INT(memory_fit(1180, 1, &want, &g), MEMORY_WAIT);    // fewer lanes first
    CHECK_INT(memory_fit(1179, 0, &want, &g), MEMORY_GRANTED); // then fewer slots
    CHECK(g.bytes <= 979 && g.in_slots <= 16 && g.spares == 0);
    CHECK_INT(memory_fit(3 * 10 + 2 * 40 + 300, 0, &want, &g), MEMORY_GRANTED);
    CHECK_INT(g.in_slots, 3);
    CHECK_INT(g.out_slots, 2);
    CHECK_INT(memory_fit(3 * 10 + 2 * 40 + 299, 0, &want, &g), MEMORY_REFUSED);
}

static void never_over_budget(void)
{
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        uint64_t budget = check_rand(&seed) % 3000, used = check_rand(&seed) % 3 ? 0 : check_rand(&seed) % 500;
        struct memory_grant g;
        if (memory_fit(budget, used, &want, &g) != MEMORY_GRANTED) continue;
        CHECK(g.bytes + used + want.model_bytes <= budget);
        CHECK(g.in_slots >= want.least_in_slots && g.out_slots >= want.least_out_slots);
    }
}

static void refusal_has_the_sums(void)
{
    struct memory_limits l = {.budget = 300, .option = UINT64_MAX, .file = UINT64_MAX};
    char text[512];
    memory_explain(&l, &want, text, sizeof text);
    CHECK_HAS(text,
              "input 3 x 10 B + output 2 x 40 B + codecs 100 B + models 200 B = 410 B, but only 300 B is allowed");
}

static void limits_of_this_machine(void)
{
    struct memory_limits l;
    CHECK_INT(memory_limits("", &l), REEL_OK);
    CHECK(l.available > 0 && l.budget > 0 && l.budget <= l.available / 2);
    CHECK_INT(memory_limits("1M", &l), REEL_OK);
    CHECK_INT(l.budget, 1 << 20);
    // More than half of what is free is not to be had by asking for it.
    char most[32];
    snprintf(most, sizeof most, "%llu", (unsigned long long)l.available / 4 * 3);
    CHECK_INT(memory_limits(most, &l), REEL_OK);
    CHECK(l.budget <= l.available / 2);
    CHECK_INT(memory_limits("lots", &l), REEL_ERR_CONFIG);
}

CHECK_MAIN({"grants_in_order", grants_in_order}, {"never_over_budget", never_over_budget},
           {"refusal_has_the_sums", refusal_has_the_sums}, {"limits_of_this_machine", limits_of_this_machine})
