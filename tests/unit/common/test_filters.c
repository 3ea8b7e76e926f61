// SPDX-License-Identifier: MIT
#include "tests/check.h"

#include "common/filters.h"

static void spatial(void)
{
    static const struct {
        const char *filters;
        bool spatial;
    } rows[] = {
        {"", true},
        {"scale=640:-2", true},
        {"crop=iw-128:ih:128:0, hflip", true},
        {"eq=contrast=1.2@a,vflip", true},
        {"scale=w=iw/2:h=ih/2:flags=lanczos", true},
        {"drawbox=x='t*3':y=0", true},
        {"drawbox=x='n*3':y=0", false}, // counts frames
        {"rotate='2*PI*n/25'", false},
        {"hqdn3d", false},
        {"scale=640:360,tmix=frames=3", false},
        {"reverse", false},
        {"scales=2", false}, // no name that is known
        {"split[a][b];[a][b]hstack", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_MSG(reel_filter_is_spatial(rows[i].filters) == rows[i].spatial, "\"%s\" %s", rows[i].filters,
                  rows[i].spatial ? "forbids cuts" : "allows cuts");
}

static bool known(const char *name)
{
    return strstr(" scale crop split hstack drawtext ", name);
}

static void unknown(void)
{
    static const struct {
        const char *filters, *name; // the first unknown one
    } rows[] = {
        {"", NULL},
        {"scale=3:4", NULL},
        {"scael=3", "scael"},
        {"scale=3, corp=1:2,scael", "corp"},
        {"scale@a=3,nope@b", "nope"},
        {"split[a][b];[a][b]hstack", NULL},
        {"split[a][b];[a]flip[c];[c][b]hstack", "flip"},
        {"drawtext=text='a,b;c',scael", "scael"},
        {"drawtext=text=a\\,b\\;c", NULL},
        {"sws_flags=bicubic;scale=3", NULL},
        {"[a", NULL}, // no end
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[16] = "";
        const bool found = reel_filter_unknown(rows[i].filters, known, name, sizeof name);
        CHECK_MSG(found == (rows[i].name != NULL), "\"%s\": %s", rows[i].filters, name);
        if (rows[i].name) CHECK_STR(name, rows[i].name);
    }
    char name[8]; // too small: cut off
    CHECK(reel_filter_unknown("a_very_long_name=1", known, name, sizeof name));
    CHECK_STR(name, "a_very_");
}

CHECK_MAIN({"filters: spatial", spatial}, {"filters: unknown", unknown})
