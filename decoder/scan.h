// SPDX-License-Identifier: MIT
//
// The scan of one input: all packets read once, in one pass, in steps. What it
// finds goes to the coordinator (plan) and the aggregator (encoder); the streams
// that are not processed go into the copy part on the way.
#ifndef REEL_DECODER_SCAN_H
#define REEL_DECODER_SCAN_H

#include "common/proto.h"
#include "decoder/decoder.h"
#include "decoder/demux.h"

struct scan_result {
    struct reel_rec_scanned scanned;
    const struct reel_entry *entries; // [scanned.n_entries]; until scan_close()
};

// Opens the input. The strings of job, settings and notes are borrowed until
// scan_close(). Errors: as demux_open().
enum reel_err scan_open(const struct reel_job *job, const struct reel_settings *settings, const struct notes *notes,
                        struct scan **out_scan);
// Removes an unfinished copy part. Accepts &NULL.
void scan_close(struct scan **scan);
// Reads on, for some milliseconds. AGAIN: call again. OK: *out_result is complete.
enum reel_err scan_step(struct scan *scan, struct scan_result *out_result);
uint32_t scan_job(const struct scan *scan);

#endif
