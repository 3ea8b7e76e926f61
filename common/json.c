// SPDX-License-Identifier: MIT
//
// Characters of JSON strings. See json.h.
#include "common/json.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

// Bytes of the UTF-8 sequence at p, 0 when it is none (RFC 3629: no overlong
// forms, no surrogates, nothing above U+10FFFF).
static size_t utf8_length(const unsigned char *p)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = *p < 0x80                 ? 1
               : *p >= 0xc2 && *p < 0xe0 ? 2
               : *p >= 0xe0 && *p < 0xf0 ? 3
               : *p >= 0xf0 && *p < 0xf5 ? 4
                                         : 0;
    if (n < 2) return n;
    uint32_t v = *p & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        v = v << 6 | (p[i] & 0x3f);
    }
    return v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : n;
}

size_t reel_json_next(const char **text, char out[static REEL_JSON_NEXT])
{
    const unsigned char *p = (const unsigned char *)*text;
    if (!*p) return 0;
    size_t n = utf8_length(p);
    *text += n ? n : 1;
    if (*p == '"' || *p == '\\') return (size_t)snprintf(out, REEL_JSON_NEXT, "\\%c", *p);
    if (*p == '\n') return (size_t)snprintf(out, REEL_JSON_NEXT, "\\n");
    if (*p < 32 || *p == 127) return (size_t)snprintf(out, REEL_JSON_NEXT, "\\u%04x", *p);
    if (!n) return (size_t)snprintf(out, REEL_JSON_NEXT, "\\ufffd");
    memcpy(out, p, n);
    return n;
}
