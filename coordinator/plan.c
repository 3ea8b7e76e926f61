// SPDX-License-Identifier: MIT
//
// Cutting an input into segments. See plan.h.
#include "coordinator/plan.h"

#include <math.h>
#include <stdlib.h>

// Packets between an entry and the cut that do not give one of the frames before the cut: pictures
// that are shown earlier are stored later, at most 16 with x264.
#define LEAD_PACKETS 16

// Length of a segment in ticks; 0: no cuts.
static int64_t segment_ticks(const struct reel_media *media, double seconds)
{
    if (!(seconds > 0) || (media->flags & REEL_MEDIA_NO_CUT)) return 0;
    if (media->time_base.num <= 0 || media->time_base.den <= 0) return 0;
    double ticks = ceil(seconds * media->time_base.den / media->time_base.num);
    return ticks < 1 ? 1 : ticks > 9e18 ? 0 : (int64_t)ticks;
}

// The last entry at or before pts, NULL: there is none.
static const struct reel_entry *entry_before(const struct reel_entry *entries, uint32_t n_entries, int64_t pts)
{
    const struct reel_entry *best = NULL;
    for (uint32_t i = 0; i < n_entries; i++)
        if (entries[i].pts <= pts && (!best || entries[i].pts > best->pts)) best = &entries[i];
    return best;
}

// Sets the first and last bounds to those of --start and --end. If the input cannot be cut, there
// are no context frames around them.
static void bound_part(const struct reel_media *media, const struct reel_entry *entries, uint32_t n_entries,
                       struct segment *first, struct segment *last)
{
    const bool can_cut = !(media->flags & REEL_MEDIA_NO_CUT);
    const struct reel_entry *entry;
    if (media->flags & REEL_MEDIA_FROM) {
        first->start_pts = first->warmup_pts = media->start_pts;
        first->has_before = can_cut;
        entry = entry_before(entries, n_entries, media->start_pts);
        first->has_entry = entry != NULL;
        if (entry) first->entry = *entry;
    }
    if (media->flags & REEL_MEDIA_TO) {
        last->end_pts = media->end_pts;
        last->has_next = can_cut;
        entry = entry_before(entries, n_entries, media->end_pts);
        if (entry) last->next = *entry;
    }
}

struct segment *plan_segments(const struct reel_media *media, const struct reel_entry *entries, uint32_t n_entries,
                              double segment_seconds, uint32_t *out_n)
{
    struct segment *segments = calloc((size_t)n_entries + 1, sizeof *segments);
    if (!segments) return NULL;
    uint32_t n = 1;
    segments[0] = (struct segment){.start_pts = INT64_MIN, .end_pts = INT64_MAX, .warmup_pts = INT64_MIN};
    int64_t ticks = segment_ticks(media, segment_seconds);
    int64_t cut = media->first_pts;
    for (uint32_t i = 0; ticks && i < n_entries; i++) {
        const struct reel_entry *e = &entries[i];
        // Frames before first_pts or after last_pts are not shown: no cut there.
        if (e->pts <= media->first_pts || e->pts > media->last_pts || e->pts <= cut) continue;
        if ((uint64_t)e->pts - (uint64_t)cut < (uint64_t)ticks) continue;
        segments[n - 1].end_pts = e->pts;
        segments[n - 1].has_next = true;
        segments[n - 1].next = *e;
        segments[n++] = (struct segment){.has_entry = true,
                                         .entry = *e,
                                         .start_pts = e->pts,
                                         .end_pts = INT64_MAX,
                                         .warmup_pts = e->pts,
                                         .has_before = true};
        cut = e->pts;
    }
    bound_part(media, entries, n_entries, &segments[0], &segments[n - 1]);
    *out_n = n;
    return segments;
}

// Ticks from a frame to the next.
static double ticks_a_frame(const struct reel_media *m)
{
    if (m->n_frames > 1 && m->last_pts > m->first_pts)
        return (double)(m->last_pts - m->first_pts) / (double)(m->n_frames - 1);
    if (m->frame_rate.num <= 0 || m->time_base.num <= 0) return 1;
    return (double)m->time_base.den * m->frame_rate.den / ((double)m->time_base.num * m->frame_rate.num);
}

void plan_warm_up(const struct reel_media *media, const struct reel_entry *entries, uint32_t n_entries, int frames,
                  struct segment *segments, uint32_t n)
{
    // Half a frame more: timestamps may be rounded.
    const double ticks = (frames + 0.5) * ticks_a_frame(media);
    // Before the beginning of a part (--start) there are frames too.
    const bool is_part = media->flags & REEL_MEDIA_FROM;
    for (uint32_t i = 0; i < n && frames > 0; i++) {
        struct segment *s = &segments[i];
        if (!s->has_before) continue;
        bool fits = is_part || (double)s->start_pts - (double)media->first_pts > ticks;
        s->warmup_pts = fits ? s->start_pts - (int64_t)ticks : media->first_pts;
        const struct reel_entry *from = entry_before(entries, n_entries, s->warmup_pts);
        s->has_entry = from != NULL;
        s->entry = from ? *from : (struct reel_entry){0};
    }
}

// The last entry from which at least `before` frames lie before entries[own]. Each entry counts as
// one frame; of the packets in between, two may make one frame (fields), and some are shown
// elsewhere (leading pictures). NULL: none.
static const struct reel_entry *near_entry(const struct reel_entry *entries, uint32_t own, uint32_t before)
{
    uint32_t frames = 0;
    for (uint32_t k = own; k-- > 0;) {
        const struct reel_entry *e = &entries[k];
        if (e->pts >= entries[own].pts) continue;
        if (++frames >= before || entries[own].packet_no - e->packet_no >= 2 * before + LEAD_PACKETS) return e;
    }
    return NULL;
}

// The same for the beginning of a part: its own entry, and an earlier one in case that gives too
// few frames.
static void lead_part(const struct reel_entry *entries, uint32_t n_entries, uint32_t before, struct segment *s)
{
    uint32_t at = 0;
    if (!s->has_before || !s->has_entry) return;
    while (at < n_entries && entries[at].packet_no < s->entry.packet_no) at++;
    if (s->entry.pts < s->start_pts) s->lead.from[s->lead.n++] = s->entry;
    const struct reel_entry *near = at < n_entries ? near_entry(entries, at, before) : NULL;
    if (near) s->lead.from[s->lead.n++] = *near;
}

void plan_lead(const struct reel_entry *entries, uint32_t n_entries, uint32_t before, struct segment *segments,
               uint32_t n)
{
    uint32_t at = 0;
    if (before) lead_part(entries, n_entries, before, &segments[0]);
    for (uint32_t i = 1; i < n && before; i++) {
        struct segment *s = &segments[i];
        while (at < n_entries && entries[at].packet_no < s->entry.packet_no) at++;
        const struct reel_entry *near = at < n_entries ? near_entry(entries, at, before) : NULL;
        if (!near) continue; // decoded from the beginning of the file
        uint32_t in = i - 1; // the segment that it lies in
        while (in > 0 && segments[in].entry.packet_no > near->packet_no) in--;
        struct reel_lead *lead = &s->lead;
        const bool has_entry = segments[in].has_entry; // false for the first segment of the input
        const bool before_all = has_entry && near->packet_no < segments[in].entry.packet_no; // before a part
        lead->inner = !has_entry || segments[in].entry.packet_no < near->packet_no;
        if (lead->inner || before_all) lead->from[lead->n++] = *near;
        if (has_entry && !before_all) lead->from[lead->n++] = segments[in].entry;
    }
}

uint32_t plan_limit(const struct reel_media *media, double seconds, struct segment *segments, uint32_t n)
{
    int64_t ticks = segment_ticks(media, seconds), end;
    if (!ticks || __builtin_add_overflow(media->first_pts, ticks, &end)) return n;
    while (n > 1 && segments[n - 1].start_pts >= end) n--;
    if (segments[n - 1].end_pts > end) {
        segments[n - 1].end_pts = end;
        segments[n - 1].has_next = false;
    }
    return n;
}
