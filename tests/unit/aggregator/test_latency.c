// SPDX-License-Identifier: MIT
#include "tests/check.h"

#include "aggregator/latency.h"

static void quantiles(void)
{
    static struct latency l;
    CHECK(latency_quantile(&l, 0.5) == 0);
    for (int us = 1; us <= 1000; us++) latency_add(&l, us);
    for (int share = 1; share < 10; share++) {
        double want = share * 100.0, got = latency_quantile(&l, share / 10.0);
        CHECK_MSG(got > 0.9 * want && got < 1.1 * want, "%d0%% of 1..1000 us is %.1f us", share, got);
    }
    latency_add(&l, -5);
    latency_add(&l, INT64_MAX);
    CHECK(latency_quantile(&l, 0) == 0);
    CHECK(latency_quantile(&l, 1) > 1e9);
}

static void small_values_are_exact(void)
{
    static struct latency l;
    for (int us = 0; us < 16; us++) {
        l = (struct latency){0};
        latency_add(&l, us);
        CHECK_INT((int)latency_quantile(&l, 0.5), us);
    }
}

CHECK_MAIN({"quantiles", quantiles}, {"small_values_are_exact", small_values_are_exact})
