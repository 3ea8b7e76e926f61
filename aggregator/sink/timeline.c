// SPDX-License-Identifier: MIT
//
// Decoding timestamps and durations. See timeline.h.
#include "aggregator/sink/timeline.h"

#include <stdlib.h>
#include <string.h>

enum reel_err timeline_add(struct timeline *t, int64_t pts)
{
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 1024;
        int64_t *more = realloc(t->pts, room * sizeof *more);
        if (!more) return reel_fail(REEL_ERR_NOMEM, "could not order timestamps: out of memory");
        t->pts = more;
        t->room = room;
    }
    t->pts[t->n++] = pts;
    return REEL_OK;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Place of pts among the sorted ones, which have it.
static size_t rank_of(const struct timeline *t, int64_t pts)
{
    size_t low = 0, high = t->n;
    while (low + 1 < high) {
        size_t mid = low + (high - low) / 2;
        if (t->sorted[mid] <= pts)
            low = mid;
        else
            high = mid;
    }
    return low;
}

enum reel_err timeline_close(struct timeline *t, int64_t last_duration)
{
    int64_t *sorted = realloc(t->sorted, (t->n + 1) * sizeof *t->sorted);
    if (!sorted) return reel_fail(REEL_ERR_NOMEM, "could not order timestamps: out of memory");
    t->sorted = sorted;
    const size_t from = t->closed, n = t->n - from;
    if (n) memcpy(sorted + from, t->pts + from, n * sizeof *sorted);
    qsort(sorted + from, n, sizeof *sorted, by_value);
    for (size_t i = from ? from : 1; i < t->n; i++)
        if (sorted[i] <= sorted[i - 1])
            return reel_fail(REEL_ERR_INPUT, "could not order timestamps: two frames have timestamp %lld",
                             (long long)sorted[i]);
    t->closed = t->n;
    for (size_t i = from; i < t->n; i++) {
        size_t rank = rank_of(t, t->pts[i]);
        if (i > rank && i - rank > t->depth) t->depth = i - rank;
    }
    t->last_duration = last_duration;
    t->step = t->n > 1 ? t->sorted[1] - t->sorted[0] : last_duration;
    if (t->step <= 0) t->step = 1;
    if (t->last_duration <= 0) t->last_duration = t->n > 1 ? t->sorted[t->n - 1] - t->sorted[t->n - 2] : t->step;
    return REEL_OK;
}

int64_t timeline_dts(const struct timeline *t, size_t i)
{
    if (i >= t->depth) return t->sorted[i - t->depth];
    return t->sorted[0] - (int64_t)(t->depth - i) * t->step;
}

int64_t timeline_duration(const struct timeline *t, int64_t pts)
{
    size_t rank = rank_of(t, pts);
    return rank + 1 < t->n ? t->sorted[rank + 1] - t->sorted[rank] : t->last_duration;
}

int64_t timeline_median(const struct timeline *t)
{
    if (t->closed < 2) return 0;
    const size_t n = t->closed - 1;
    int64_t *gaps = malloc(n * sizeof *gaps);
    if (!gaps) return 0;
    for (size_t i = 0; i < n; i++) gaps[i] = t->sorted[i + 1] - t->sorted[i];
    qsort(gaps, n, sizeof *gaps, by_value);
    int64_t median = gaps[n / 2];
    free(gaps);
    return median;
}

void timeline_fini(struct timeline *t)
{
    free(t->pts);
    free(t->sorted);
    *t = (struct timeline){0};
}
