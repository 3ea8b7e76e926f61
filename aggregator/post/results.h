// SPDX-License-Identifier: MIT
//
// A worker's results in an output slot's aux area, with every size checked:
// shared memory is written by a process that may have gone wrong.
#ifndef REEL_AGGREGATOR_POST_RESULTS_H
#define REEL_AGGREGATOR_POST_RESULTS_H

#include "common/frame.h"

// Borrows the slot's memory.
struct results {
    struct reel_results head; // count and bytes are sound
    const uint8_t *items;
};

// item sizes by head.task; PROTO when they do not fit aux_bytes.
enum reel_err results_read(const uint8_t *aux, uint32_t aux_bytes, struct results *out_results);
// Item i of a detection or classification (copied: no alignment is promised).
struct reel_object results_object(const struct results *r, uint32_t i);
struct reel_class_score results_class(const struct results *r, uint32_t i);

#endif
