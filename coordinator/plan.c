// SPDX-License-Identifier: MIT
//
// Cutting an input into segments. See plan.h.
#include "coordinator/plan.h"

#include <math.h>
#include <stdlib.h>

// Length of a segment in ticks; 0: no cuts.
static int64_t segment_ticks(const struct reel_media *media, double seconds)
{
    if (!(seconds > 0) || (media->flags & REEL_MEDIA_NO_CUT)) return 0;
    if (media->time_base.num <= 0 || media->time_base.den <= 0) return 0;
    double ticks = ceil(seconds * media->time_base.den / media->time_base.num);
    return ticks < 1 ? 1 : ticks > 9e18 ? 0 : (int64_t)ticks;
}

struct segment *plan_segments(const struct reel_media *media, const struct reel_entry *entries, uint32_t n_entries,
                              double segment_seconds, uint32_t *out_n)
{
    struct segment *segments = calloc((size_t)n_entries + 1, sizeof *segments);
    if (!segments) return NULL;
    uint32_t n = 1;
    segments[0] = (struct segment){.start_pts = INT64_MIN, .end_pts = INT64_MAX};
    int64_t ticks = segment_ticks(media, segment_seconds);
    int64_t cut = media->first_pts;
    for (uint32_t i = 0; ticks && i < n_entries; i++) {
        const struct reel_entry *e = &entries[i];
        // Frames before first_pts or after last_pts are not shown: no cut there.
        if (e->pts <= media->first_pts || e->pts > media->last_pts || e->pts <= cut) continue;
        if ((uint64_t)e->pts - (uint64_t)cut < (uint64_t)ticks) continue;
        segments[n - 1].end_pts = e->pts;
        segments[n++] = (struct segment){.has_entry = true, .entry = *e, .start_pts = e->pts, .end_pts = INT64_MAX};
        cut = e->pts;
    }
    *out_n = n;
    return segments;
}

uint32_t plan_limit(const struct reel_media *media, double seconds, struct segment *segments, uint32_t n)
{
    int64_t ticks = segment_ticks(media, seconds), end;
    if (!ticks || __builtin_add_overflow(media->first_pts, ticks, &end)) return n;
    while (n > 1 && segments[n - 1].start_pts >= end) n--;
    if (segments[n - 1].end_pts > end) segments[n - 1].end_pts = end;
    return n;
}
