// SPDX-License-Identifier: MIT
//
// The other streams of a live job's attempt, read from the pack file that the decoder
// writes at the same time (reel_live_copy_path). Used by the outlet's thread alone.
#ifndef REEL_AGGREGATOR_LIVE_FOLLOW_H
#define REEL_AGGREGATOR_LIVE_FOLLOW_H

#include "aggregator/sink/mux_head.h"

// All zero: nothing is followed.
struct follow {
    struct reel_pack_reader *reader;
    struct reel_pack_record *record;
    int *map; // stream of the pack -> of head->copied, -1: not kept
    int n_map;
    bool there;       // record holds a packet of a kept stream
    int64_t since_us; // when the last record was read
};

// Opens an attempt's file. AGAIN: it is not there yet. Errors: NOMEM, IO, INPUT.
enum reel_err follow_open(struct follow *f, const char *path);
// Reads what is before the first packet. `first`: its streams and texts are added to
// head; else those are found again that are alike. AGAIN: more of it may come (when
// nothing has come since since_us, perhaps not: it need not have an end). Errors: NOMEM,
// LIMIT, IO, INPUT.
enum reel_err follow_head(struct follow *f, struct mux_head *head, bool first);
// Reads until a packet of a kept stream is there. AGAIN: none yet; EOF: there will be
// none. Errors: IO, INPUT.
enum reel_err follow_next(struct follow *f, const struct mux_head *head);
// The stream of head->copied that the packet is of.
struct copied *follow_stream(const struct follow *f, const struct mux_head *head);
// Its decoding timestamp (or what stands for it) in us.
int64_t follow_us(const struct follow *f, const struct mux_head *head);
// Back to zero.
void follow_end(struct follow *f);

#endif
