// SPDX-License-Identifier: MIT
//
// A recipe is a sequence of: how many own bytes, these, how many bytes of the output are
// passed over, how many are taken; numbers in 7 bits a byte, the lowest first. See match.h.
#include "aggregator/sink/match.h"

#include <stdlib.h>
#include <string.h>

#define LEAST 16     // bytes that are the same by no accident
#define SHIFTED 8    // bytes in front of a packet that a container may leave out
#define NEAR 4096    // of the output are looked at behind what was found last
#define FAR_MISSES 4 // packets that are nowhere: the others are not to be expected

struct matcher {
    const uint8_t *range, *output;
    size_t out_n;
    size_t told, taken; // ends of what the recipe covers: of the range, of the output
    size_t misses;
    struct match_recipe *recipe;
    bool failed;
};

static void put(struct matcher *m, const void *data, size_t n)
{
    struct match_recipe *r = m->recipe;
    if (r->bytes + n > r->room) {
        const size_t room = 2 * (r->bytes + n) + 4096;
        uint8_t *more = realloc(r->data, room);
        if (!more) {
            m->failed = true;
            return;
        }
        r->data = more;
        r->room = room;
    }
    if (n) memcpy(r->data + r->bytes, data, n);
    r->bytes += n;
}

static void put_number(struct matcher *m, size_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (uint8_t)(value & 127);
        value >>= 7;
        if (value) bytes[n] |= 128;
        n++;
    } while (value);
    put(m, bytes, n);
}

// What lies between is the range's own.
static void put_copy(struct matcher *m, size_t at, size_t from, size_t n)
{
    put_number(m, at - m->told);
    put(m, m->range + m->told, at - m->told);
    m->recipe->own += at - m->told;
    put_number(m, from - m->taken);
    put_number(m, n);
    m->told = at + n;
    m->taken = from + n;
}

static size_t same_bytes(const uint8_t *a, const uint8_t *b, size_t most)
{
    size_t n = 0;
    while (n + 64 <= most && !memcmp(a + n, b + n, 64)) n += 64;
    while (n < most && a[n] == b[n]) n++;
    return n;
}

// LEAST bytes of the range from `at` on in the output, at most `most` behind what was taken.
static const uint8_t *look(const struct matcher *m, size_t at, size_t most)
{
    const size_t left = m->out_n - m->taken;
    return memmem(m->output + m->taken, left < most ? left : most, m->range + at, LEAST);
}

// The next place of the span that is in the output; false: there is none.
static bool find(struct matcher *m, const struct match_span *span, size_t *at, size_t *from)
{
    const size_t end = span->at + span->bytes;
    const uint8_t *found = NULL;
    size_t skip = 0;
    for (; !found && skip <= SHIFTED && *at + skip + LEAST <= end; skip++) found = look(m, *at + skip, NEAR);
    if (!found && *at == span->at && span->bytes >= LEAST + SHIFTED && m->misses < FAR_MISSES) {
        skip = SHIFTED + 1;
        found = look(m, *at + SHIFTED, m->out_n);
        m->misses += !found;
    }
    if (!found) return false;
    *at += skip - 1;
    *from = (size_t)(found - m->output);
    return true;
}

static void describe_span(struct matcher *m, const struct match_span *span)
{
    const size_t end = span->at + span->bytes;
    for (size_t at = span->at, from; at < end && find(m, span, &at, &from);) {
        while (at > span->at && at > m->told && from > m->taken && m->range[at - 1] == m->output[from - 1])
            at--, from--;
        const size_t left = m->out_n - from;
        const size_t n = same_bytes(m->range + at, m->output + from, end - at < left ? end - at : left);
        put_copy(m, at, from, n);
        at += n;
    }
}

bool match_describe(const uint8_t *range, size_t n, const struct match_span *spans, size_t n_spans,
                    const uint8_t *output, size_t out_n, struct match_recipe *recipe, size_t *out_used)
{
    struct matcher m = {.range = range, .output = output, .out_n = out_n, .recipe = recipe};
    recipe->bytes = recipe->own = 0;
    for (size_t i = 0; i < n_spans; i++) describe_span(&m, &spans[i]);
    *out_used = m.taken;
    put_copy(&m, n, m.taken, 0);
    return !m.failed;
}

static bool get_number(const uint8_t **at, const uint8_t *end, size_t *out)
{
    *out = 0;
    for (int shift = 0; *at < end && shift < 63; shift += 7) {
        const uint8_t byte = *(*at)++;
        *out |= (size_t)(byte & 127) << shift;
        if (!(byte & 128)) return true;
    }
    return false;
}

bool match_rebuild(const uint8_t *recipe, size_t bytes, const uint8_t *output, size_t out_n, uint8_t *range, size_t n)
{
    const uint8_t *at = recipe, *end = recipe + bytes;
    size_t done = 0, taken = 0, own, skip, copy;
    while (at < end) {
        if (!get_number(&at, end, &own) || own > (size_t)(end - at) || own > n - done) return false;
        memcpy(range + done, at, own);
        at += own;
        done += own;
        if (!get_number(&at, end, &skip) || !get_number(&at, end, &copy)) return false;
        if (skip > out_n - taken || copy > out_n - taken - skip || copy > n - done) return false;
        memcpy(range + done, output + taken + skip, copy);
        taken += skip + copy;
        done += copy;
    }
    return done == n;
}
