// SPDX-License-Identifier: MIT
//
// Sums of packets and frames. See ledger.h.
#include "coordinator/ledger.h"

#include <inttypes.h>
#include <stdio.h>

bool ledger_add(struct ledger *ledger, const struct ledger_entry *entry, char *out_why, size_t why_bytes)
{
    const struct ledger_entry *e = entry;
    if (e->packets < 0 || e->hidden < 0 || e->unreadable < 0 || e->filtered < 0 || e->quarantined < 0 ||
        e->dropped < 0) {
        snprintf(out_why, why_bytes, "a count of the segment is negative");
        return false;
    }
    const int64_t rate = ledger->rate ? ledger->rate : 1;
    if (e->decoded < 0 || e->encoded + e->dropped != e->decoded * rate || e->quarantined > e->decoded) {
        snprintf(out_why, why_bytes,
                 "%" PRId64 " frames were decoded, %" PRId64 " encoded, %" PRId64 " for each (%" PRId64
                 " of them filled in), %" PRId64 " dropped",
                 e->decoded, e->encoded, rate, e->quarantined, e->dropped);
        return false;
    }
    if (e->hidden + e->unreadable > e->packets) {
        snprintf(out_why, why_bytes, "%" PRId64 " packets were hidden and %" PRId64 " unreadable of only %" PRId64,
                 e->hidden, e->unreadable, e->packets);
        return false;
    }
    struct ledger_entry *s = &ledger->sum;
    s->packets += e->packets;
    s->hidden += e->hidden;
    s->unreadable += e->unreadable;
    s->filtered += e->filtered;
    s->decoded += e->decoded;
    s->encoded += e->encoded;
    s->quarantined += e->quarantined;
    s->dropped += e->dropped;
    ledger->segments++;
    return true;
}

bool ledger_check(const struct ledger *ledger, uint32_t segments, int64_t n_packets, int64_t muxed_frames,
                  char *out_why, size_t why_bytes)
{
    const struct ledger_entry *s = &ledger->sum;
    if (ledger->segments != segments) {
        snprintf(out_why, why_bytes, "%u of %u segments are in the ledger", ledger->segments, segments);
        return false;
    }
    if (n_packets >= 0 && s->packets != n_packets) {
        snprintf(out_why, why_bytes, "the scan saw %" PRId64 " packets, the segments account for %" PRId64, n_packets,
                 s->packets);
        return false;
    }
    if (muxed_frames != s->encoded) {
        snprintf(out_why, why_bytes, "the parts hold %" PRId64 " frames, the output %" PRId64, s->encoded,
                 muxed_frames);
        return false;
    }
    return true;
}
