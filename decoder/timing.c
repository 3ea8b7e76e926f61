// SPDX-License-Identifier: MIT
//
// Evaluates all timestamps of a stream together. See timing.h.
#include "decoder/timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool grow(void **data, int64_t n, int64_t *room, size_t item)
{
    if (n < *room) return true;
    int64_t more = *room ? 2 * *room : 1024;
    void *grown = realloc(*data, (size_t)more * item);
    if (!grown) return false;
    *data = grown;
    *room = more;
    return true;
}

static bool add_entry(struct timing *t, const struct reel_entry *entry)
{
    int64_t room = t->room_entries;
    if (!grow((void **)&t->entries, t->n_entries, &room, sizeof *t->entries)) return false;
    if (!grow((void **)&t->entry_at, t->n_entries, &t->room_entries, sizeof *t->entry_at)) return false;
    t->entries[t->n_entries] = *entry;
    t->entry_at[t->n_entries++] = t->n;
    return true;
}

bool timing_add(struct timing *t, int64_t pts, int64_t dts, int64_t duration, bool shows,
                const struct reel_entry *entry)
{
    if (dts != TIMING_NONE) {
        if (t->any && dts < t->last_dts) t->dts_back++;
        t->last_dts = dts;
        t->any = true;
    }
    if (!shows) {
        if (!grow((void **)&t->hidden_at, t->n_hidden, &t->room_hidden, sizeof *t->hidden_at)) return false;
        t->hidden_at[t->n_hidden++] = t->n;
        return true;
    }
    if (pts == TIMING_NONE) {
        t->missing++;
        return true;
    }
    // Everything before it is shown earlier, so a decoder that starts here misses nothing.
    if (entry && (!t->n || t->longest < pts) && !add_entry(t, entry)) return false;
    if (!grow((void **)&t->pts, t->n, &t->room, sizeof *t->pts)) return false;
    if (!t->n || pts > t->longest) {
        t->longest = pts;
        t->longest_duration = duration;
    }
    t->pts[t->n++] = pts;
    return true;
}

// Drops entries that are followed too late by pictures shown before them, and keeps one entry per
// second. Walks backward with the smallest PTS of all packets more than TIMING_LEADING_MAX later.
static void thin_entries(struct timing *t, double ticks)
{
    int64_t least = INT64_MAX, at = t->n;
    for (int64_t i = t->n_entries; i-- > 0;) {
        int64_t from = t->entry_at[i] + TIMING_LEADING_MAX;
        while (at > from) {
            at--;
            if (t->pts[at] < least) least = t->pts[at];
        }
        if (least < t->entries[i].pts) t->entry_at[i] = -1;
    }
    int64_t kept = 0;
    double last = -INFINITY;
    for (int64_t i = 0; i < t->n_entries; i++) {
        double second = floor((double)t->entries[i].pts / ticks);
        if (t->entry_at[i] < 0 || second <= last) continue;
        last = second;
        t->entries[kept++] = t->entries[i];
    }
    t->n_entries = kept;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Finds the first frame of the part, the first one after it, and the number of hidden packets between
// them in coding order. Called before the timestamps are sorted.
static void find_part(const struct timing *t, int64_t from, int64_t to, struct timing_result *r)
{
    int64_t begin = -1, end = INT64_MAX; // indices in pts
    r->first = INT64_MAX;
    for (int64_t i = 0; i < t->n; i++) {
        const int64_t pts = t->pts[i];
        if (pts < from) r->earlier = true;
        if (pts >= from && pts < to && pts < r->first) r->first = pts, begin = i;
        if (pts >= to && (r->next == TIMING_NONE || pts < r->next)) r->next = pts, end = i;
    }
    if (begin < 0) r->first = 0;
    if (!r->earlier) begin = -1; // count hidden packets before the first frame too
    for (int64_t i = 0; i < t->n_hidden; i++) r->hidden += t->hidden_at[i] > begin && t->hidden_at[i] <= end;
}

// The duration of the last frame: up to the next one or the end of the part, else what the container
// says.
static int64_t last_duration(const struct timing *t, int64_t to, const struct timing_result *r)
{
    if (r->next != TIMING_NONE) return (r->next < to ? r->next : to) - r->last;
    // Containers without a frame rate may say "one tick" for every frame.
    bool stated = (double)t->longest_duration * 4 > r->mean_step;
    int64_t all = stated ? t->longest_duration : (int64_t)llround(r->mean_step);
    return to < INT64_MAX && all > to - r->last ? to - r->last : all;
}

void timing_finish(struct timing *t, double ticks, int64_t from, int64_t to, struct timing_result *r)
{
    *r = (struct timing_result){.next = TIMING_NONE};
    thin_entries(t, ticks);
    find_part(t, from, to, r);
    if (!t->n) return;
    qsort(t->pts, (size_t)t->n, sizeof *t->pts, by_value);
    int64_t least = INT64_MAX, most = 0, steps = 0;
    for (int64_t i = 0; i < t->n; i++) {
        const bool mine = t->pts[i] >= from && t->pts[i] < to, inner = mine && t->pts[i] > r->first;
        int64_t step = i ? t->pts[i] - t->pts[i - 1] : 1;
        if (mine) r->frames++, r->last = t->pts[i];
        if (!step) r->repeated++;
        if (!step || !inner) continue;
        steps++;
        if (step < least) least = step;
        if (step > most) most = step;
    }
    if (steps > 0) {
        r->variable = most - least > 1;
        r->mean_step = (double)(r->last - r->first) / (double)steps;
    }
    if (r->frames) r->last_duration = last_duration(t, to, r);
}

void timing_free(struct timing *t)
{
    free(t->pts);
    free(t->entries);
    free(t->entry_at);
    free(t->hidden_at);
    *t = (struct timing){0};
}
