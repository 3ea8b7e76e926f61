// SPDX-License-Identifier: MIT
//
// From the entries of an input to segments. Boundaries follow from the input
// and the configuration alone, never from how many processes there are, so
// that the output bytes do not either (DESIGN: determinism).
//
// Pure. Called by jobs.c after a scan.
#ifndef COORDINATOR_PLAN_H
#define COORDINATOR_PLAN_H

#include "common/media.h"

struct segment {
    bool has_entry; // false: decode from the file's start
    struct reel_entry entry;
    int64_t start_pts, end_pts; // start <= pts < end; INT64_MAX for the last
    int64_t warmup_pts;         // frames from here to start_pts are seen, and not part of it; start_pts: none
    struct reel_lead lead;      // where frames that are looked at before it are decoded from
    bool has_before;            // there are frames before it, to be looked at
    bool has_next;              // there are frames behind it, which are decoded from
    struct reel_entry next;     // here (bytes 0: from the file's beginning)
};

// Cuts at the first entry that lies at least segment_seconds behind the last
// cut. Entries in any order of pts but increasing packet_no; those that do
// not lie behind the last cut are passed over. segment_seconds <= 0, a media
// flag NO_CUT or no time base: one segment. Of a part of an input (REEL_MEDIA_FROM, _TO)
// the first segment begins with its first frame, decoded from the last entry before that,
// and the last one ends before the first frame behind it. Returns malloc'ed segments
// (*out_n >= 1), NULL when out of memory.
struct segment *plan_segments(const struct reel_media *media, const struct reel_entry *entries, uint32_t n_entries,
                              double segment_seconds, uint32_t *out_n);

// Lets each segment but the input's first one begin with the `frames` frames before it, by the mean
// distance of frames: from an earlier entry, or from the file's beginning.
void plan_warm_up(const struct reel_media *media, const struct reel_entry *entries, uint32_t n_entries, int frames,
                  struct segment *segments, uint32_t n);

// Says of each segment that has frames before it where `before` of these are decoded
// from: a near entry, and the entry of the segment in which that lies.
void plan_lead(const struct reel_entry *entries, uint32_t n_entries, uint32_t before, struct segment *segments,
               uint32_t n);

// Leaves what lies in the first `seconds` of the input, the last segment cut
// short; all of it where it cannot be cut. Returns how many segments are left.
uint32_t plan_limit(const struct reel_media *media, double seconds, struct segment *segments, uint32_t n);

#endif
