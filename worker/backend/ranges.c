// SPDX-License-Identifier: MIT
//
// Measured ranges of values. See ranges.h. A list is enough: networks have some hundred convolutions.
#include "worker/backend/ranges.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct range {
    char *name;
    float magnitude; // INFINITY: the value is unusable
};

struct ranges {
    struct range *list;
    int n, room;
};

enum reel_err ranges_create(struct ranges **out_ranges)
{
    *out_ranges = calloc(1, sizeof **out_ranges);
    return *out_ranges ? REEL_OK : reel_fail(REEL_ERR_NOMEM, "could not measure a network: out of memory");
}

void ranges_destroy(struct ranges **ranges)
{
    struct ranges *r = *ranges;
    *ranges = NULL;
    if (!r) return;
    for (int i = 0; i < r->n; i++) free(r->list[i].name);
    free(r->list);
    free(r);
}

static struct range *find(const struct ranges *r, const char *name)
{
    for (int i = 0; i < r->n; i++)
        if (!strcmp(r->list[i].name, name)) return &r->list[i];
    return NULL;
}

enum reel_err ranges_widen(struct ranges *r, const char *name, float magnitude)
{
    struct range *have = find(r, name);
    if (!(magnitude < INFINITY)) magnitude = INFINITY;
    if (have) {
        if (magnitude > have->magnitude) have->magnitude = magnitude;
        return REEL_OK;
    }
    if (r->n == r->room) {
        const int room = r->room ? 2 * r->room : 64;
        struct range *grown = realloc(r->list, (size_t)room * sizeof *grown);
        if (!grown) return reel_fail(REEL_ERR_NOMEM, "could not measure a network: out of memory");
        r->list = grown, r->room = room;
    }
    char *copy = strdup(name);
    if (!copy) return reel_fail(REEL_ERR_NOMEM, "could not measure a network: out of memory");
    r->list[r->n++] = (struct range){copy, magnitude};
    return REEL_OK;
}

enum reel_err ranges_join(struct ranges *to, const struct ranges *from)
{
    enum reel_err err = REEL_OK;
    for (int i = 0; i < from->n && !err; i++) err = ranges_widen(to, from->list[i].name, from->list[i].magnitude);
    return err;
}

float ranges_find(const struct ranges *r, const char *name)
{
    const struct range *have = r ? find(r, name) : NULL;
    return have && have->magnitude < INFINITY ? have->magnitude : -1;
}

int ranges_count(const struct ranges *r)
{
    return r ? r->n : 0;
}
