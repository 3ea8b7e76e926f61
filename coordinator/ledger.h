// SPDX-License-Identifier: MIT
//
// The ledger: what became of every packet and frame of a job. A job whose sums
// differ fails and says where, instead of handing out a video that lacks
// something.
//
// Pure. Called by jobs.c: one entry per committed segment, then the check.
#ifndef COORDINATOR_LEDGER_H
#define COORDINATOR_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Of one segment's own range.
struct ledger_entry {
    int64_t packets, hidden, unreadable; // packets = those shown + hidden + unreadable
    int64_t filtered;                    // frames that a filter or an edit list left out
    int64_t decoded;                     // frames announced by the decoder
    int64_t encoded;                     // frames in the part, those filled in included
    int64_t dropped;                     // of a live input: frames that were to be encoded, and given up
    int64_t quarantined;                 // of the decoded ones, filled in
};

struct ledger {
    struct ledger_entry sum;
    uint32_t rate; // frames encoded for each decoded; 0 is 1
    uint32_t segments;
};

// False with a text when the entry does not balance in itself.
bool ledger_add(struct ledger *ledger, const struct ledger_entry *entry, char *out_why, size_t why_bytes);
// The whole job against the scan: n_packets as scanned (-1 unknown), and what
// the muxed file shows.
bool ledger_check(const struct ledger *ledger, uint32_t segments, int64_t n_packets, int64_t muxed_frames,
                  char *out_why, size_t why_bytes);

#endif
