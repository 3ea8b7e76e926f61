// SPDX-License-Identifier: MIT
//
// Parses HTTP requests and writes the heads of answers. See metrics/http.h.
#include "coordinator/metrics/http.h"

#include <stdio.h>
#include <string.h>

// ---- requests -------------------------------------------------------------------

// A piece of a request.
struct word {
    const char *p;
    size_t n;
};

static bool is_word(struct word w, const char *text)
{
    return w.n == strlen(text) && !memcmp(w.p, text, w.n);
}

static bool starts_with(struct word w, const char *text)
{
    size_t n = strlen(text);
    return w.n >= n && !memcmp(w.p, text, n);
}

// Takes the text before the next space, or all of it.
static struct word next_word(struct word *line)
{
    const char *space = line->n ? memchr(line->p, ' ', line->n) : NULL;
    struct word w = {line->p, space ? (size_t)(space - line->p) : line->n};
    size_t taken = w.n + (space != NULL);
    line->p += taken;
    line->n -= taken;
    return w;
}

// Whether it is a token (RFC 9110, 5.6.2).
static bool is_token(struct word w)
{
    for (size_t i = 0; i < w.n; i++) {
        unsigned char c = (unsigned char)w.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (!c || !strchr("!#$%&'*+-.^_`|~", c))) return false;
    }
    return w.n > 0;
}

static bool is_visible(struct word w)
{
    for (size_t i = 0; i < w.n; i++)
        if (w.p[i] <= ' ' || w.p[i] == 127) return false;
    return w.n > 0;
}

// The path of a target: its origin form, or the absolute one that proxies send.
static struct word path_of(struct word target)
{
    static const char scheme[] = "http://";
    if (starts_with(target, scheme)) {
        target.p += sizeof scheme - 1;
        target.n -= sizeof scheme - 1;
        while (target.n && *target.p != '/') target.p++, target.n--;
        if (!target.n) target = (struct word){"/", 1};
    }
    const char *query = target.n ? memchr(target.p, '?', target.n) : NULL;
    if (query) target.n = (size_t)(query - target.p);
    return target;
}

static int read_line(struct word line, struct metrics_request *out)
{
    struct word method = next_word(&line), target = next_word(&line), version = next_word(&line);
    if (line.n || !is_token(method) || !is_visible(target) || !starts_with(version, "HTTP/")) return 400;
    if (!is_word(version, "HTTP/1.1") && !is_word(version, "HTTP/1.0"))
        return version.n == 8 && version.p[6] == '.' ? 505 : 400;
    out->head_only = is_word(method, "HEAD");
    if (!out->head_only && !is_word(method, "GET")) return 405;
    struct word path = path_of(target);
    static const char *const paths[METRICS_DOCUMENTS] = {"/", "/metrics", "/status.json"};
    for (int d = 0; d < METRICS_DOCUMENTS; d++) {
        if (!is_word(path, paths[d])) continue;
        out->document = (enum metrics_document)d;
        return 200;
    }
    return *path.p == '/' ? 404 : 400;
}

// The length of the head, up to and including the empty line; 0: it is incomplete.
static size_t head_end(const char *text, size_t n)
{
    const char *p = text, *end = text + n;
    for (const char *line; (line = memchr(p, '\n', (size_t)(end - p))); p = line + 1)
        if (line == p || (line == p + 1 && *p == '\r')) return (size_t)(line + 1 - text);
    return 0;
}

bool metrics_parse_request(const char *text, size_t n, struct metrics_request *out)
{
    *out = (struct metrics_request){.status = 431};
    // Empty lines before a request are ignored (RFC 9112, 2.2).
    while (n && (*text == '\r' || *text == '\n')) text++, n--;
    if (!n || !head_end(text, n)) return n >= METRICS_REQUEST_BYTES - 64;
    const char *line_end = memchr(text, '\n', n);
    struct word line = {text, (size_t)(line_end - text)};
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    out->status = read_line(line, out);
    return true;
}

// ---- answers --------------------------------------------------------------------

const char *metrics_status_text(int status)
{
    return status == 404   ? "404 Not Found\n/ and /metrics are here.\n"
           : status == 405 ? "405 Method Not Allowed\nUse GET or HEAD.\n"
           : status == 431 ? "431 Request Header Fields Too Large\n"
           : status == 505 ? "505 HTTP Version Not Supported\n"
           : status == 503 ? "503 Service Unavailable\n"
                           : "400 Bad Request\n";
}

size_t metrics_answer_head(const struct metrics_request *request, size_t body_bytes, time_t now, char *out,
                           size_t bytes)
{
    static const char *const types[METRICS_DOCUMENTS] = {
        "text/html; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8", "application/json"};
    bool good = request->status == 200;
    const char *line = good ? "200 OK" : metrics_status_text(request->status);
    // The page uses only its own scripts and styles, and reads /status.json.
    const char *policy = good && request->document == METRICS_PAGE
                             ? "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                               "script-src 'unsafe-inline'; connect-src 'self'\r\n"
                             : "";
    char date[40];
    struct tm tm;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    int n =
        snprintf(out, bytes,
                 "HTTP/1.1 %.*s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s"
                 "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
                 (int)strcspn(line, "\n"), line, date, good ? types[request->document] : "text/plain; charset=utf-8",
                 body_bytes, request->status == 405 ? "Allow: GET, HEAD\r\n" : "", policy);
    return n < 0 ? 0 : (size_t)n < bytes ? (size_t)n : bytes - 1;
}

// ---- the address ----------------------------------------------------------------

static bool read_port(const char *text, unsigned *out)
{
    size_t n = strspn(text, "0123456789");
    if (!n || n > 5 || text[n]) return false;
    return sscanf(text, "%u", out) == 1 && *out <= 65535;
}

bool metrics_parse_address(const char *text, char host[static METRICS_HOST_BYTES], unsigned *out_port, bool *out_all)
{
    *out_all = false;
    if (read_port(text, out_port)) {
        snprintf(host, METRICS_HOST_BYTES, "127.0.0.1");
        return true;
    }
    const char *colon = strrchr(text, ':'), *from = text;
    if (!colon || !read_port(colon + 1, out_port)) return false;
    size_t n = (size_t)(colon - text);
    if (*text == '[') {
        if (n < 3 || text[n - 1] != ']') return false;
        from++;
        n -= 2;
    } else if (memchr(text, ':', n)) {
        return false; // an IPv6 address without brackets
    }
    if (n >= METRICS_HOST_BYTES || memchr(from, '[', n) || memchr(from, ']', n) || memchr(from, ' ', n)) return false;
    *out_all = n == 0 || (n == 1 && *from == '*');
    snprintf(host, METRICS_HOST_BYTES, "%.*s", *out_all ? 0 : (int)n, from);
    return true;
}
