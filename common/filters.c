// SPDX-License-Identifier: MIT
//
// Which of FFmpeg's filters see one picture at a time. See filters.h.
#include "common/filters.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// Filters whose output frame depends on its input frame alone, grouped by purpose.
static const char *const spatial[] = {
    "scale",
    "crop",
    "pad",
    "transpose",
    "hflip",
    "vflip",
    "rotate",
    "format",
    "noformat",
    "null",
    "copy",
    "eq",
    "hue",
    "colorspace",
    "colormatrix",
    "setsar",
    "setdar",
    "unsharp",
    "gblur",
    "boxblur",
    "avgblur",
    "curves",
    "lut",
    "lutyuv",
    "lutrgb",
    "lut3d",
    "colorlevels",
    "colorbalance",
    "colorchannelmixer",
    "negate",
    "drawbox",
    "fillborders",
    "setparams",
    "setfield",
    "setrange",
    "zscale",
    "il",
    "sobel",
    "cas",
    "smartblur",
    "vibrance",
    "exposure",
    "zoneplate",
    "swapuv",
    "shuffleplanes",
    "extractplanes",
    "lenscorrection",
    "v360",
    "perspective",
    "bilateral",
    "median",
    "deband",
    "limiter",
    "grayworld",
};

static bool name_is_spatial(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof spatial / sizeof spatial[0]; i++)
        if (strlen(spatial[i]) == len && !strncmp(spatial[i], name, len)) return true;
    return false;
}

// Whether an expression uses the frame counter "n", which starts again in each segment. The
// time "t" is no problem: it does not depend on where a segment begins.
static bool counts_frames(const char *args, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (args[i] != 'n' && args[i] != 'N') continue;
        bool left = i && (isalnum((unsigned char)args[i - 1]) || args[i - 1] == '_');
        bool right = i + 1 < len && (isalnum((unsigned char)args[i + 1]) || args[i + 1] == '_' || args[i + 1] == '=');
        if (!left && !right) return true;
    }
    return false;
}

bool reel_filter_is_spatial(const char *filters)
{
    if (strpbrk(filters, "[];\\")) return false; // labels and escapes are not parsed here
    const char *p = filters;
    while (*p) {
        p += strspn(p, " \t\n,");
        size_t name = strcspn(p, "=@, \t\n"), len = 0;
        if (!name) break;
        bool quoted = false;
        while (p[len] && (quoted || p[len] != ',')) quoted ^= p[len++] == '\'';
        if (!name_is_spatial(p, name) || counts_frames(p + name, len - name)) return false;
        p += len;
    }
    return true;
}

// The length of a filter with its arguments, up to the character outside of quotes that ends it.
static size_t filter_length(const char *p)
{
    size_t len = 0;
    for (bool quoted = false; p[len] && (quoted || !strchr(",;[", p[len])); len++) {
        if (p[len] == '\'') quoted = !quoted;
        if (p[len] == '\\' && !quoted && p[len + 1]) len++; // the next character is escaped
    }
    return len;
}

bool reel_filter_unknown(const char *filters, bool (*known)(const char *name), char *name, size_t bytes)
{
    const char *p = filters;
    while (*(p += strspn(p, " \t\r\n,;"))) {
        if (*p == '[') { // the label of a link
            p += strcspn(p, "]");
            p += *p == ']';
            continue;
        }
        snprintf(name, bytes, "%.*s", (int)strcspn(p, "=@,;[ \t\r\n"), p);
        if (strcmp(name, "sws_flags") && !known(name)) return true; // sws_flags is an option of the graph, no filter
        p += filter_length(p);
    }
    return false;
}
