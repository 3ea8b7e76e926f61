// SPDX-License-Identifier: MIT
//
// Times as users write them, and the part of an input that they name.
#include <string.h>

#include "common/settings.h"
#include "tests/check.h"

static void forms(void)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"0", 0},
        {"12.5", 12500000},
        {".5", 500000},
        {"90", 90000000},
        {"12.5s", 12500000},
        {"250ms", 250000},
        {"1.5ms", 1500},
        {"40us", 40},
        {"1:30", 90000000},
        {"75:00", 4500000000},
        {"01:02:03.25", 3723250000},
        {"1:00:00", 3600000000},
        {"100:00:00", 360000000000},
        {"0.0000019", 1},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t us = -1;
        CHECK_MSG(!reel_parse_time("start", good[i].text, &us), "%s: %s", good[i].text, reel_fail_text());
        CHECK_MSG(us == good[i].us, "%s: %lld us, not %lld", good[i].text, (long long)us, (long long)good[i].us);
    }
}

static void refused(void)
{
    static const char *const bad[] = {"",      "abc", "1:",    ":1", "1:60", "1:60:00", "1:2:3:4",
                                      "1.2.3", "5 s", "1:30s", "1h", "12,5", "1e3",     "99999999999999999999",
                                      "0x10",  "+5",  "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us;
        CHECK_MSG(reel_parse_time("start", bad[i], &us) == REEL_ERR_CONFIG, "\"%s\" was taken", bad[i]);
        CHECK_HAS(reel_fail_text(), "HH:MM:SS");
        CHECK_HAS(reel_fail_text(), "--start");
    }
    int64_t us;
    CHECK(reel_parse_time("end", "-1:30", &us) == REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "negative");
}

static enum reel_err part(const char *start, const char *end, const char *duration, int64_t *from, int64_t *to)
{
    static struct reel_settings s;
    snprintf(s.start, sizeof s.start, "%s", start);
    snprintf(s.end, sizeof s.end, "%s", end);
    snprintf(s.duration, sizeof s.duration, "%s", duration);
    return reel_settings_part(&s, from, to);
}

static void parts(void)
{
    int64_t from, to;
    CHECK(!part("", "", "", &from, &to) && from == 0 && to == INT64_MAX);
    CHECK(!part("1", "", "", &from, &to) && from == 1000000 && to == INT64_MAX);
    CHECK(!part("", "2", "", &from, &to) && from == 0 && to == 2000000);
    CHECK(!part("1:00", "", "2.5", &from, &to) && from == 60000000 && to == 62500000);
    CHECK(part("2", "2", "", &from, &to) == REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "not after");
    CHECK(part("", "0", "", &from, &to) == REEL_ERR_CONFIG);
    CHECK(part("1", "", "0", &from, &to) == REEL_ERR_CONFIG);
    CHECK(part("1", "3", "1", &from, &to) == REEL_ERR_CONFIG);
    CHECK(part("1", "x", "", &from, &to) == REEL_ERR_CONFIG);
    CHECK_HAS(reel_fail_text(), "--end");
}

CHECK_MAIN({"forms", forms}, {"refused", refused}, {"parts", parts})
