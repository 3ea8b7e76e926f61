// SPDX-License-Identifier: MIT
#include "common/secret.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ADDRESS_ENDS " \t\r\n\"'<>"

// Where the part of an address that starts at p ends: at one of `stops` or at the end of the
// address. A colon, semicolon or comma at its very end belongs to the text around it.
static char *end_of(char *p, const char *stops)
{
    char *end = p;
    while (*end && !strchr(ADDRESS_ENDS, *end) && !strchr(stops, *end)) end++;
    if (!strchr(stops, *end) || !*end)
        while (end > p && strchr(":;,", end[-1])) end--;
    return end;
}

// Puts stars in place of [from, to). Returns where they end.
static char *hide(char *from, char *to)
{
    size_t stars = (size_t)(to - from) < 3 ? (size_t)(to - from) : 3;
    memset(from, '*', stars);
    memmove(from + stars, to, strlen(to) + 1);
    return from + stars;
}

// Hides the password of user:password@host. The last @ counts, so a password may contain one.
static void hide_password(char *host)
{
    char *end = end_of(host, "/?#"), *at = end;
    while (at > host && *at != '@') at--;
    char *colon = memchr(host, ':', (size_t)(at - host));
    if (colon) hide(colon + 1, at);
}

static bool is_rtmp(const char *text, const char *scheme_end)
{
    size_t n = (size_t)(scheme_end - text);
    return (n >= 4 && !strncasecmp(scheme_end - 4, "rtmp", 4)) || (n >= 5 && !strncasecmp(scheme_end - 5, "rtmps", 5));
}

// Hides the key of host/app/key: everything after the application's name, including the query.
static void hide_stream_key(char *host)
{
    char *end = end_of(host, "");
    char *app = memchr(host, '/', (size_t)(end - host));
    char *key = app ? memchr(app + 1, '/', (size_t)(end - app - 1)) : NULL;
    if (key) hide(key + 1, end);
}

static bool speaks_of_secret(const char *name, size_t n)
{
    static const char *const words[] = {"pass", "pwd",  "token",    "key",       "secret",
                                        "sig",  "auth", "streamid", "credential"};
    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            if (strlen(words[w]) <= n - i && !strncasecmp(name + i, words[w], strlen(words[w]))) return true;
    return false;
}

// Hides secret values of a query, ?name=value&name=value.
static void hide_values(char *host)
{
    char *p = end_of(host, "?");
    while (*p == '?' || *p == '&') {
        char *name = p + 1, *equals = end_of(name, "=&");
        p = end_of(equals, "&");
        if (*equals == '=' && speaks_of_secret(name, (size_t)(equals - name))) p = hide(equals + 1, p);
    }
}

void reel_hide_secrets(char *text)
{
    for (char *p = text; (p = strstr(p, "://")); p += 3) {
        if (is_rtmp(text, p)) hide_stream_key(p + 3);
        hide_values(p + 3);
        hide_password(p + 3);
    }
}

const char *reel_shown(const char *text, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s", text);
    reel_hide_secrets(out);
    return out;
}
