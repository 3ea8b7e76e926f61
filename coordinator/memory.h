// SPDX-License-Identifier: MIT
//
// The memory account: rings, models and codec contexts of everything that runs
// must fit half of min(available, --memory). Fewer lanes first,
// then fewer slots, then a refusal with the sums.
//
// memory_limits() asks the system; the rest is pure. Called by setup in run.c
// and by flow.c before each epoch.
#ifndef COORDINATOR_MEMORY_H
#define COORDINATOR_MEMORY_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct memory_limits {
    uint64_t available; // what is free: of the machine, and of the control groups of this process
    uint64_t option;    // --memory; UINT64_MAX none
    uint64_t file;      // limit of file sizes (ulimit -f), which counts for rings too; UINT64_MAX: none
    uint64_t budget;    // half of what is free, at most the other two
};

// option: the text of --memory. Errors: CONFIG.
enum reel_err memory_limits(const char *option, struct memory_limits *out);

// What a lane would like, and what it must have.
struct memory_want {
    uint64_t in_slot_bytes, out_slot_bytes;
    uint32_t in_slots, out_slots;             // wished
    uint32_t least_in_slots, least_out_slots; // without which nothing moves
    uint32_t spares;                          // further output slots, dropped first
    uint64_t codec_bytes;                     // of one lane's decoder and encoder
    uint64_t model_bytes;                     // of all workers at this size
};

struct memory_grant {
    uint32_t in_slots, out_slots, spares;
    uint64_t bytes; // of this lane: rings and codec contexts
};

enum memory_answer {
    MEMORY_GRANTED,
    MEMORY_WAIT,    // not beside the lanes that are open now
    MEMORY_REFUSED, // not even alone
};

// used: bytes granted to lanes that are open.
enum memory_answer memory_fit(uint64_t budget, uint64_t used, const struct memory_want *want,
                              struct memory_grant *out_grant);
// The refusal's text, with the sums.
void memory_explain(const struct memory_limits *limits, const struct memory_want *want, char *out, uint64_t bytes);
// "1.5 GB" into buf of at least 32 bytes; returns buf.
const char *memory_text(uint64_t bytes, char *buf);

#endif
