// SPDX-License-Identifier: MIT
//
// Kinds of live inputs. See input.h.
#include "common/input.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char *const protocols[] = {"rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp", "http", "https"};

// Length of "scheme" where name is "scheme://...", else 0.
static size_t scheme_of(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return strncmp(name + n, "://", 3) ? 0 : n;
}

static bool is_scheme(const char *name, size_t n, const char *scheme)
{
    return strlen(scheme) == n && !strncasecmp(name, scheme, n);
}

bool reel_input_kind_of(const char *name, enum reel_input_kind *out_kind, const char **out_why)
{
    *out_why = "supported are rtsp:// rtsps:// rtmp:// rtmps:// srt:// udp:// rtp:// tcp:// http:// https://";
    *out_kind = REEL_INPUT_FILE;
    size_t n = scheme_of(name);
    if (n) {
        *out_kind = REEL_INPUT_NETWORK;
        for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
            if (is_scheme(name, n, protocols[i])) return true;
        return false;
    }
    struct stat st;
    if (!strcmp(name, "-"))
        *out_kind = REEL_INPUT_PIPE;
    else if (!stat(name, &st) && S_ISFIFO(st.st_mode))
        *out_kind = REEL_INPUT_PIPE;
    else if (!strncmp(name, "/dev/video", 10) || (!stat(name, &st) && S_ISCHR(st.st_mode)))
        *out_kind = REEL_INPUT_DEVICE;
    return true;
}

bool reel_input_in_pieces(const char *name)
{
    size_t n = scheme_of(name);
    return is_scheme(name, n, "http") || is_scheme(name, n, "https");
}

bool reel_input_reopens(enum reel_input_kind kind)
{
    return kind == REEL_INPUT_NETWORK || kind == REEL_INPUT_DEVICE;
}
