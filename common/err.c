// SPDX-License-Identifier: MIT
//
// The text of each thread's last failure: storage, prefixing, names of codes.
// See err.h for the rules. It prints nothing and frees nothing.
#include "common/err.h"

#include "common/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char fail_text[REEL_ERROR_TEXT_MAX];

enum reel_err reel_fail(enum reel_err code, const char *fmt, ...)
{
    // Formatted into a copy, because the arguments may point into the old text.
    char text[REEL_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    reel_hide_secrets(text);
    memcpy(fail_text, text, sizeof text);
    return code;
}

enum reel_err reel_fail_prefix(enum reel_err code, const char *fmt, ...)
{
    char text[REEL_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0) n = 0;
    if ((size_t)n < sizeof text - 1) snprintf(text + n, sizeof text - (size_t)n, "%s", fail_text);
    reel_hide_secrets(text);
    memcpy(fail_text, text, sizeof text);
    return code;
}

const char *reel_fail_text(void)
{
    return fail_text;
}

const char *reel_err_name(enum reel_err code)
{
    switch (code) {
    case REEL_OK:
        return "ok";
    case REEL_AGAIN:
        return "again";
    case REEL_EOF:
        return "eof";
    case REEL_GONE:
        return "gone";
    case REEL_ERR_NOMEM:
        return "nomem";
    case REEL_ERR_IO:
        return "io";
    case REEL_ERR_INPUT:
        return "input";
    case REEL_ERR_CONFIG:
        return "config";
    case REEL_ERR_UNSUPPORTED:
        return "unsupported";
    case REEL_ERR_PROTO:
        return "proto";
    case REEL_ERR_LIMIT:
        return "limit";
    case REEL_ERR_FAULT:
        return "fault";
    }
    return "unknown";
}
