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

CHECK_MAIN({"filters: spatial", spatial})
